//! Expressions: operators by precedence, calls, names and numbers.

use super::cursor::{Parsed, origin};
use super::error::{Mistake, plural};
use super::grammar::{Level, Operator, operator_of_symbol};
use super::lexer::{TokenKind, quoted};
use super::parser::Parser;
use super::suggest;
use crate::derived::Derived;
use crate::dtype::DType;
use crate::expr::{Expr, Kind};
use crate::number::{Number, Scalar};
use crate::ops::Op;
use std::ops::Range;

impl<'t> Parser<'t> {
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.nested(Parser::operations)
    }

    /// Operands with operators between them. A loop, so that levels of operators need no stack.
    fn operations(&mut self) -> Parsed<Expr> {
        // Left operands, where they start, and their operators, each tighter than the one before.
        let mut waiting: Vec<(Expr, usize, &Operator)> = Vec::new();
        loop {
            let mut start = self.cursor.token().span.start;
            let mut operand = self.unary()?;
            let next = operator_of_symbol(self.cursor.token().text);
            let comes_first = |operator: &Operator| next.is_none_or(|n| n.level <= operator.level);
            while let Some((left, left_start, operator)) =
                waiting.pop_if(|(.., operator)| comes_first(operator))
            {
                if operator.level == Level::Compare
                    && next.is_some_and(|n| n.level == operator.level)
                {
                    let mistake = self.cursor.unexpected("comparisons do not chain");
                    return Err(mistake.hint("write `(a < b) & (b < c)`"));
                }
                start = left_start;
                operand = self.operation(operator, left, operand, start)?;
            }
            let Some(next) = next else { return Ok(operand) };
            self.cursor.advance();
            waiting.push((operand, start, next));
        }
    }

    fn operation(
        &self,
        operator: &Operator,
        left: Expr,
        right: Expr,
        start: usize,
    ) -> Parsed<Expr> {
        let kind = match operator.op {
            Some(op) => Kind::Op(op, vec![left, right]),
            None if self.scope.fused => return Err(self.not_elementwise(start, "a matmul")),
            None => Kind::Matmul(left, right),
        };
        Ok(Expr::new(kind, self.cursor.origin_from(start)))
    }

    /// Signs, then a power. A loop, so that many signs need no stack.
    fn unary(&mut self) -> Parsed<Expr> {
        let mut signs = Vec::new();
        loop {
            let op = match self.cursor.token() {
                token if token.is("-") => Op::Neg,
                token if token.is("!") => Op::Not,
                _ => break,
            };
            signs.push((op, self.cursor.token().span.start));
            self.cursor.advance();
        }
        let mut expr = match signs.last() {
            // `-2f32` is a number, not the negation of one.
            Some((Op::Neg, start)) => match self.negative_number(*start)? {
                Some(number) => {
                    signs.pop();
                    number
                }
                None => self.power()?,
            },
            _ => self.power()?,
        };
        for (op, start) in signs.into_iter().rev() {
            expr = Expr::new(Kind::Op(op, vec![expr]), self.cursor.origin_from(start));
        }
        Ok(expr)
    }

    /// A number after a minus, unless it is the base of a power.
    fn negative_number(&mut self, start: usize) -> Parsed<Option<Expr>> {
        let TokenKind::Number { number, dtype: Some(dtype) } = self.cursor.token().kind else {
            return Ok(None);
        };
        if self.cursor.ahead(1).is("^") {
            return Ok(None);
        }
        let span = start..self.cursor.token().span.end;
        self.cursor.advance();
        typed_number(dtype, -number, span).map(Some)
    }

    fn power(&mut self) -> Parsed<Expr> {
        let start = self.cursor.token().span.start;
        let base = self.primary()?;
        if !self.cursor.eat("^") {
            return Ok(base);
        }
        if let Some(exponent) = self.integer_exponent() {
            let power = base.powi(exponent);
            return Ok(power.relocated(self.cursor.origin_from(start), &[base]));
        }
        let exponent = self.nested(Parser::unary)?;
        Ok(Expr::new(Kind::Op(Op::Pow, vec![base, exponent]), self.cursor.origin_from(start)))
    }

    /// `3` or `-3`, unless it is itself the base of a power.
    fn integer_exponent(&mut self) -> Option<i32> {
        let sign = usize::from(self.cursor.token().is("-"));
        let number = self.cursor.ahead(sign);
        let magnitude: i32 = match number.kind {
            TokenKind::Number { dtype: None, .. } => number.text.parse().ok()?,
            _ => return None,
        };
        if self.cursor.ahead(sign + 1).is("^") {
            return None;
        }
        (0..=sign).for_each(|_| self.cursor.advance());
        Some(if sign == 1 { -magnitude } else { magnitude })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.cursor.token().clone();
        let written_here = |kind| Expr::new(kind, origin(&token.span));
        match token.kind {
            TokenKind::Number { number, dtype } => {
                self.cursor.advance();
                match dtype {
                    None => Ok(written_here(Kind::Number(number))),
                    Some(dtype) => typed_number(dtype, number, token.span),
                }
            }
            TokenKind::Symbol("(") => {
                let open = self.cursor.position();
                self.cursor.advance();
                let inner = self.expression()?;
                if self.cursor.token().is(",") {
                    let hint = "a tuple stands only at the end of a kernel";
                    return Err(self.cursor.expected("`)`").hint(hint));
                }
                self.cursor.expect_closing(")", open)?;
                Ok(inner)
            }
            TokenKind::Word(word) => match word {
                "inf" | "nan" | "true" | "false" => {
                    self.cursor.advance();
                    Ok(written_here(match word {
                        "inf" => Kind::Number(f64::INFINITY.into()),
                        "nan" => Kind::Number(f64::NAN.into()),
                        _ => Kind::Typed(DType::Bool, f64::from(word == "true").into()),
                    }))
                }
                "fused" => self.single_fused(),
                "let" | "kernel" => Err(self.cursor.expected("an expression")),
                _ if self.cursor.ahead(1).is("(") => self.call(word),
                _ => {
                    self.cursor.advance();
                    self.name(word, token.span)
                }
            },
            TokenKind::Bits(_) => {
                let hint = "write it in decimals, or the bits of a number as bits32(0x7fc00001)";
                Err(self.cursor.expected("an expression").hint(hint))
            }
            TokenKind::Symbol(_) | TokenKind::End => Err(self.cursor.expected("an expression")),
        }
    }

    /// What a name stands for.
    pub(super) fn name(&mut self, name: &'t str, span: Range<usize>) -> Parsed<Expr> {
        if let Some(known) = self.scope.names.get(name) {
            return Ok(known.clone());
        }
        if name == "pi" && !(self.scope.bare && (self.is_input)(name)) {
            return Ok(Expr::new(Kind::Number(std::f64::consts::PI.into()), origin(&span)));
        }
        if self.scope.bare {
            self.bind_input(name, None, span)?;
            return Ok(self.scope.names[name].clone());
        }
        let mistake = Mistake::new(span, format!("unknown name {}", quoted(name)));
        Err(if let Some(near) = suggest::nearest(name, self.names()) {
            mistake.hint(format!("did you mean `{near}`?"))
        } else if suggest::is_function(name) {
            mistake.hint(format!("it is a function: call it as `{name}(..)`"))
        } else if self.scope.fused {
            mistake.hint(format!("a fused body sees its parameters only: `fused({name}, ..)`"))
        } else {
            mistake.hint(format!("inputs are declared in the head: `kernel f({name}: f32[..])`"))
        })
    }

    /// What can be meant, in an order that does not change from run to run.
    fn names(&self) -> impl Iterator<Item = &'t str> {
        let mut names: Vec<&'t str> = self.scope.names.keys().copied().collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// A function and its arguments.
    fn call(&mut self, name: &'t str) -> Parsed<Expr> {
        let span = self.cursor.token().span.clone();
        self.cursor.advance();
        if let "bits32" | "bits64" = name {
            return self.bits(name, span.start);
        }
        let op = Op::from_name(name);
        let derived = Derived::from_name(name);
        if op.is_none() && derived.is_none() && name != "matmul" {
            let mistake = Mistake::new(span, format!("unknown function {}", quoted(name)));
            return Err(if let Some(near) = suggest::function(name) {
                mistake.hint(format!("did you mean `{near}`?"))
            } else if self.scope.names.contains_key(name) {
                mistake.hint(format!("{} is an array; a product is `{name} * (..)`", quoted(name)))
            } else {
                mistake
            });
        }
        let args = self.list_of(|parser| parser.expression())?;
        let all = span.start..self.cursor.previous_end();
        let origin = origin(&all);
        if let Some(derived) = derived {
            let arity = derived.arity();
            if !arity.contains(&args.len()) {
                let (least, most) = arity.into_inner();
                let takes = match most - least {
                    0 => plural(most, "argument"),
                    _ => format!("{least} to {}", plural(most, "argument")),
                };
                let message = format!("{name} takes {takes}, found {}", args.len());
                return Err(Mistake::new(all, message).hint(format!("write `{derived}`")));
            }
            let expr = derived.apply(&args);
            return Ok(expr.relocated(origin, &args));
        }
        let arity = op.map_or(2, Op::arity);
        if args.len() != arity {
            let found = args.len();
            let message = format!("{name} takes {}, found {found}", plural(arity, "argument"));
            let doc = op.map_or("`a @ b`", |op| op.info().doc);
            let operands = ["a", "a, b", "a, b, c"][arity - 1];
            return Err(Mistake::new(all, message).hint(format!("`{name}({operands})`: {doc}")));
        }
        match op {
            Some(op) => Ok(Expr::new(Kind::Op(op, args), origin)),
            None if self.scope.fused => Err(self.not_elementwise(all.start, "a matmul")),
            None => Ok(Expr::new(Kind::Matmul(args[0].clone(), args[1].clone()), origin)),
        }
    }

    /// `(0x7fc00001)` after `bits32`: a number by its bits, for NaN payloads.
    fn bits(&mut self, name: &str, start: usize) -> Parsed<Expr> {
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
                let hint = format!("write `{name}(0x7fc00001)`");
                return Err(self.cursor.expected("a hexadecimal number").hint(hint));
            }
        };
        self.cursor.advance();
        self.cursor.expect(")")?;
        Ok(Expr::new(kind, self.cursor.origin_from(start)))
    }
}

/// `2f64`, `-5i32`.
fn typed_number(dtype: DType, number: Number, span: Range<usize>) -> Parsed<Expr> {
    match (number.of(dtype), dtype.integer_range()) {
        (None, Some((least, most))) => {
            let message = format!("this number is out of the range of {dtype}");
            Err(Mistake::new(span, message).hint(format!("that is from {least} to {most}")))
        }
        (value, _) => {
            let value = value.unwrap_or(Scalar::Float(number.value));
            Ok(Expr::new(Kind::Typed(dtype, value), origin(&span)))
        }
    }
}
