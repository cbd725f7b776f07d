//! Expressions: operators by precedence, calls, names and numbers.
//!
//! One loop over operands and what follows them. Whatever is open waits on a stack of the parser's own,
//! so neither nesting nor levels of operators use up the thread's.

use super::cursor::{Parsed, origin};
use super::error::Mistake;
use super::function::{Function, OpenCall};
use super::grammar::{Level, Meaning, Operator, operator_of_symbol};
use super::hints;
use super::lexer::{Token, TokenKind};
use super::parser::{Form, FusedHead, Parser};
use super::words;
use crate::dtype::DType;
use crate::error::Fault;
use crate::expr::{Expr, Kind};
use crate::number::{Number, Scalar};
use crate::ops::Op;
use std::ops::Range;

/// What waits for the operand that is read next.
enum Waiting<'t> {
    /// `(`.
    Group(Token<'t>),
    Call(Box<OpenCall<'t>>),
    /// A parameter of a fused kernel and `=`.
    Fused(Box<FusedHead<'t>>),
    Sign(Sign, usize),
    /// A left operand, where it starts, and its operator.
    Infix(Expr, usize, &'static Operator),
    /// The base of a power, and where it starts.
    Power(Expr, usize),
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
    /// `!` or `~`.
    Flip,
    /// The word `not`.
    Not,
}

impl Sign {
    fn level(self) -> Level {
        match self {
            Sign::Plus | Sign::Minus | Sign::Flip => Level::Unary,
            Sign::Not => Level::Not,
        }
    }
}

/// An expression and the byte that it starts at.
type Operand = (Expr, usize);

/// What comes after an operand.
enum Next {
    /// An operator or a comma: another operand.
    Operand,
    /// The end of a group or a call, which is an operand itself.
    Closed(Operand),
    /// Nothing more of this expression.
    Done(Expr),
}

impl<'t> Parser<'t> {
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        let mut stack: Vec<Waiting<'t>> = Vec::new();
        self.enter()?;
        loop {
            let Some(mut operand) = self.operand(&mut stack)? else { continue };
            loop {
                match self.after(&mut stack, operand)? {
                    Next::Operand => break,
                    Next::Closed(closed) => operand = closed,
                    Next::Done(expr) => {
                        self.leave();
                        return Ok(expr);
                    }
                }
            }
        }
    }

    /// An operand, or `None` after something was opened that an operand must follow.
    fn operand(&mut self, stack: &mut Vec<Waiting<'t>>) -> Parsed<Option<Operand>> {
        let start = self.cursor.token().span.start;
        match self.cursor.token().kind {
            TokenKind::Symbol("(") => {
                self.enter()?;
                stack.push(Waiting::Group(self.cursor.token().clone()));
                self.cursor.advance();
                Ok(None)
            }
            TokenKind::Symbol(symbol @ ("-" | "+" | "!" | "~")) => {
                // `-2f32` is a number, not the negation of one.
                if symbol == "-"
                    && let Some(number) = self.negative_number(start)?
                {
                    return Ok(Some((number, start)));
                }
                let sign = match symbol {
                    "-" => Sign::Minus,
                    "+" => Sign::Plus,
                    _ => Sign::Flip,
                };
                self.sign(stack, sign, start).map(|()| None)
            }
            TokenKind::Word("not") => {
                let fits = match stack.last() {
                    Some(Waiting::Infix(.., operator)) => operator.level < Level::Not,
                    Some(Waiting::Sign(sign, _)) => sign.level() <= Level::Not,
                    Some(Waiting::Power(..)) => false,
                    Some(Waiting::Group(_) | Waiting::Call(_) | Waiting::Fused(_)) | None => true,
                };
                if !fits {
                    return Err(self.cursor.expected("an expression"));
                }
                self.sign(stack, Sign::Not, start).map(|()| None)
            }
            TokenKind::Word("fused") => {
                let head = self.fused_head()?;
                let value = self.fused_parameters(stack, head, true)?;
                Ok(value.map(|value| (value, start)))
            }
            TokenKind::Word(name)
                if self.cursor.ahead(1).is("(") && !is_constant(name)
                    || self.cursor.ahead(1).is("[")
                        && (Function::has_axes(name) || self.cursor.has_axes_ahead()) =>
            {
                Ok(self.open_call(stack, name)?.map(|value| (value, start)))
            }
            _ => self.atom().map(|value| Some((value, start))),
        }
    }

    fn sign(&mut self, stack: &mut Vec<Waiting<'t>>, sign: Sign, start: usize) -> Parsed<()> {
        self.charge(1)?;
        stack.push(Waiting::Sign(sign, start));
        self.cursor.advance();
        Ok(())
    }

    /// Handles what follows an operand. Whatever waits for the operand takes it, the tightest first.
    fn after(
        &mut self,
        stack: &mut Vec<Waiting<'t>>,
        (mut operand, mut start): Operand,
    ) -> Parsed<Next> {
        if self.cursor.token().is("^") || self.cursor.token().is("**") {
            self.charge(1)?;
            self.cursor.advance();
            if let Some(exponent) = self.integer_exponent()? {
                let kind = Kind::Power(operand, exponent);
                return Ok(Next::Closed((Expr::new(kind, self.cursor.origin_from(start)), start)));
            }
            self.enter()?;
            stack.push(Waiting::Power(operand, start));
            return Ok(Next::Operand);
        }
        let next = match self.cursor.token().kind {
            TokenKind::Symbol(_) | TokenKind::Word(_) => {
                operator_of_symbol(self.cursor.token().text)
            }
            _ => None,
        };
        let comes_first = |level: Level| next.is_none_or(|next| next.level <= level);
        let takes = |waiting: &mut Waiting<'t>| match waiting {
            Waiting::Group(_) | Waiting::Call(_) | Waiting::Fused(_) => false,
            Waiting::Power(..) => true,
            Waiting::Sign(sign, _) => comes_first(sign.level()),
            Waiting::Infix(.., operator) => comes_first(operator.level),
        };
        while let Some(waiting) = stack.pop_if(takes) {
            let kind = match waiting {
                Waiting::Power(base, left_start) => {
                    self.leave();
                    start = left_start;
                    Kind::Op(Op::Pow, [base, operand].into())
                }
                Waiting::Sign(sign, sign_start) => {
                    start = sign_start;
                    match sign {
                        Sign::Plus => continue,
                        Sign::Minus => Kind::Op(Op::Neg, [operand].into()),
                        Sign::Flip => Kind::Op(Op::Not, [operand].into()),
                        Sign::Not => Kind::Logical(Op::Not, [operand].into()),
                    }
                }
                Waiting::Infix(left, left_start, operator) => {
                    let chains = next.is_some_and(|next| next.level == Level::Compare);
                    if operator.level == Level::Compare && chains {
                        let second = self.cursor.token().text;
                        let hint = hints::fill(hints::CHAIN, &[operator.symbol, second]);
                        let mistake = self.cursor.unexpected("comparisons do not chain");
                        return Err(mistake.hint(hint));
                    }
                    start = left_start;
                    self.operation(operator, left, operand, start)?
                }
                Waiting::Group(_) | Waiting::Call(_) | Waiting::Fused(_) => {
                    unreachable!("these are closed below")
                }
            };
            operand = Expr::new(kind, self.cursor.origin_from(start));
        }
        if let Some(next) = next {
            self.charge(1)?;
            self.cursor.advance();
            stack.push(Waiting::Infix(operand, start, next));
            return Ok(Next::Operand);
        }
        self.close(stack, operand)
    }

    /// Closes what an operand ends when no operator follows it.
    fn close(&mut self, stack: &mut Vec<Waiting<'t>>, operand: Expr) -> Parsed<Next> {
        match stack.pop() {
            Some(Waiting::Group(open)) => {
                if self.cursor.token().is(",") {
                    // `(x, y) -> x * y` is a closure of other languages.
                    let closure = self.cursor.follows_group(open.span.start, &["->", "=>"]);
                    let hint = if closure { hints::CLOSURE } else { hints::TUPLE };
                    return Err(self.cursor.expected("`)`").hint(hint));
                }
                self.cursor.expect_closing(")", &open)?;
                self.leave();
                Ok(Next::Closed((operand, open.span.start)))
            }
            Some(Waiting::Call(mut call)) => {
                call.args.push(operand);
                if self.cursor.eat(",") && !self.cursor.token().is(")") {
                    self.no_named_argument(&call)?;
                    stack.push(Waiting::Call(call));
                    return Ok(Next::Operand);
                }
                let start = call.span.start;
                self.close_call(*call).map(|value| Next::Closed((value, start)))
            }
            Some(Waiting::Fused(mut head)) => {
                head.args.push(operand);
                let start = head.start;
                let more = self.cursor.eat(",");
                Ok(match self.fused_parameters(stack, head, more)? {
                    Some(value) => Next::Closed((value, start)),
                    None => Next::Operand,
                })
            }
            _ => Ok(Next::Done(operand)),
        }
    }

    fn operation(
        &self,
        operator: &Operator,
        left: Expr,
        right: Expr,
        start: usize,
    ) -> Parsed<Kind> {
        Ok(match operator.meaning {
            Meaning::Op(op) => Kind::Op(op, [left, right].into()),
            Meaning::Logical(op) => Kind::Logical(op, [left, right].into()),
            Meaning::Call(call) if self.scope.form == Form::Fused && !call.fuses() => {
                return Err(self.not_in_body(start, call.info().noun));
            }
            Meaning::Call(call) => Kind::Call(call, [left, right].into()),
        })
    }

    /// Parameters of a fused kernel, its body, and its one value; `None` where an argument comes
    /// first.
    fn fused_parameters(
        &mut self,
        stack: &mut Vec<Waiting<'t>>,
        mut head: Box<FusedHead<'t>>,
        more: bool,
    ) -> Parsed<Option<Expr>> {
        if more && self.read_parameters(&mut head)? {
            stack.push(Waiting::Fused(head));
            return Ok(None);
        }
        let start = head.start;
        let mut values = self.fused_body(*head)?;
        if values.len() == 1 {
            return Ok(Some(values.remove(0)));
        }
        let names: Vec<String> = (0..values.len()).map(|i| format!("t{i}")).collect();
        let span = start..self.cursor.previous_end();
        let mistake = Mistake::new(span, format!("this fused kernel has {} results", values.len()));
        Err(mistake.hint(hints::fill(hints::FUSED_NAMES, &[&names.join(", ")])))
    }

    /// A number after a minus, unless it is the base of a power.
    fn negative_number(&mut self, start: usize) -> Parsed<Option<Expr>> {
        let TokenKind::Number { number, dtype: Some(dtype) } = self.cursor.ahead(1).kind else {
            return Ok(None);
        };
        if ["^", "**"].iter().any(|power| self.cursor.ahead(2).is(power)) {
            return Ok(None);
        }
        let span = start..self.cursor.ahead(1).span.end;
        (0..2).for_each(|_| self.cursor.advance());
        self.charge(1)?;
        typed_number(dtype, -number, span).map(Some)
    }

    /// `3` or `-3`, unless it is itself the base of a power.
    fn integer_exponent(&mut self) -> Parsed<Option<i64>> {
        let sign = usize::from(self.cursor.token().is("-"));
        let number = match self.cursor.ahead(sign).kind {
            TokenKind::Number { number, dtype: None } => number.integer(),
            TokenKind::Bits(bits) => i64::try_from(bits).ok(),
            _ => None,
        };
        let Some(magnitude) = number else { return Ok(None) };
        if sign == 1 {
            // With a sign, what follows the number is one token farther on.
            let after = self.cursor.ahead(2);
            if after.is("^") || after.is("**") {
                return Ok(None);
            }
        } else if self.cursor.ahead(1).is("^") || self.cursor.ahead(1).is("**") {
            return Ok(None);
        }
        (0..=sign).for_each(|_| self.cursor.advance());
        Ok(Some(if sign == 1 { -magnitude } else { magnitude }))
    }

    /// A number, a constant or a name.
    fn atom(&mut self) -> Parsed<Expr> {
        let token = self.cursor.token().clone();
        let written_here = |kind| Expr::new(kind, origin(&token.span));
        let kind = match token.kind {
            TokenKind::Number { number, dtype: None } => Kind::Number(number),
            TokenKind::Number { number, dtype: Some(dtype) } => {
                self.charge(1)?;
                self.cursor.advance();
                return typed_number(dtype, number, token.span);
            }
            TokenKind::Bits(bits) => Kind::Number(i128::from(bits).into()),
            TokenKind::Word("let" | "kernel") => {
                return Err(self.cursor.expected("an expression"));
            }
            TokenKind::Word(word) if is_constant(word) => constant(word),
            TokenKind::Word(name) => {
                self.cursor.advance();
                return self.name(name, token.span);
            }
            TokenKind::Symbol(_) | TokenKind::Bad | TokenKind::End => {
                return Err(self.cursor.expected("an expression"));
            }
        };
        self.charge(1)?;
        self.cursor.advance();
        Ok(written_here(kind))
    }

    /// A function and its parenthesis; its value, where that has no operands in it.
    fn open_call(&mut self, stack: &mut Vec<Waiting<'t>>, name: &'t str) -> Parsed<Option<Expr>> {
        let span = self.cursor.token().span.clone();
        self.cursor.advance();
        if let "bits32" | "bits64" = name {
            return self.bits(name, span.start).map(Some);
        }
        let function = match self.cursor.token().is("[") {
            true => self.bracketed(name)?,
            false => Function::from_name(words::function(name)),
        };
        let Some(function) = function else {
            return Err(self.no_function(name, span));
        };
        self.enter()?;
        let open = self.cursor.token().clone();
        self.cursor.expect("(")?;
        let call = OpenCall { name, span, open, function, args: Vec::new() };
        if self.cursor.token().is(")") {
            return self.close_call(call).map(Some);
        }
        self.no_named_argument(&call)?;
        stack.push(Waiting::Call(Box::new(call)));
        Ok(None)
    }

    /// `(0x7fc00001)` after `bits32`: a number by its bits, for NaN payloads.
    fn bits(&mut self, name: &str, start: usize) -> Parsed<Expr> {
        self.charge(1)?;
        self.cursor.expect("(")?;
        let kind = match (self.cursor.token().kind, name) {
            (TokenKind::Bits(bits), "bits64") => {
                Kind::Typed(DType::F64, Scalar::Float(f64::from_bits(bits)))
            }
            (TokenKind::Bits(bits), _) => match u32::try_from(bits) {
                Ok(bits) => Kind::Typed(DType::F32, Scalar::Float(f64::from(f32::from_bits(bits)))),
                Err(_) => return Err(self.cursor.unexpected("these bits are more than 32")),
            },
            _ => {
                let hint = hints::fill(hints::PAYLOAD, &[name]);
                return Err(self.cursor.expected("a hexadecimal number").hint(hint));
            }
        };
        self.cursor.advance();
        self.cursor.expect(")")?;
        Ok(Expr::new(kind, self.cursor.origin_from(start)))
    }
}

/// Whether this word is a number or a truth value, whatever names there are.
pub(super) fn is_constant(word: &str) -> bool {
    matches!(word, "inf" | "nan" | "true" | "false")
}

/// The value of a constant, or of `pi`.
pub(super) fn constant(word: &str) -> Kind {
    match word {
        "inf" => Kind::Number(f64::INFINITY.into()),
        "nan" => Kind::Number(f64::NAN.into()),
        "pi" => Kind::Number(std::f64::consts::PI.into()),
        _ => Kind::Typed(DType::Bool, f64::from(word == "true").into()),
    }
}

/// `2f64`, `-5i32`.
fn typed_number(dtype: DType, number: Number, span: Range<usize>) -> Parsed<Expr> {
    match number.of(dtype) {
        None if dtype.is_integer() => {
            Err(Mistake::fault(span, Fault::Number { value: number.to_string(), dtype }))
        }
        value => {
            let value = value.unwrap_or(number.scalar());
            Ok(Expr::new(Kind::Typed(dtype, value), origin(&span)))
        }
    }
}
