//! Tokens into expressions, by recursive descent.
//!
//! Every function of the parser reads what its name says and leaves the next token at `self.at`.
//! Expressions carry their place in the text, so that what is wrong with their types and shapes
//! can be shown there too.

use super::error::Mistake;
use super::grammar::{Level, MAX_DEPTH, operator_of_symbol};
use super::lexer::{Token, TokenKind};
use super::suggest;
use crate::declaration::{ArrayType, RESERVED, parse_declaration, parse_type};
use crate::derived::Derived;
use crate::dtype::DType;
use crate::error::{Fault, Origin};
use crate::expr::{Expr, Kind};
use crate::ops::Op;
use std::collections::HashMap;
use std::ops::Range;

/// What a text says, before types and shapes are checked.
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) inputs: Vec<FreeInput>,
    pub(super) outputs: Vec<Expr>,
    /// The types of the outputs and where they stand, if given.
    pub(super) results: Option<(Vec<ArrayType>, Range<usize>)>,
}

/// An input of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeInput {
    /// Its name.
    pub name: String,
    /// Its type, where the text declares it.
    pub declared: Option<ArrayType>,
}

/// What names mean where the parser is.
#[derive(Default)]
struct Scope<'t> {
    names: HashMap<&'t str, Expr>,
    /// Inputs, in order; those of a bare expression are found on the way.
    inputs: Vec<FreeInput>,
    /// Whether unknown names are inputs.
    bare: bool,
    /// Whether this is the body of a fused kernel.
    fused: bool,
}

pub(super) struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
    depth: usize,
    scope: Scope<'t>,
    /// Whether a name is an input even where it could be a constant.
    is_input: &'t dyn Fn(&str) -> bool,
}

type Parsed<T> = Result<T, Mistake>;

impl<'t> Parser<'t> {
    pub(super) fn new(tokens: Vec<Token<'t>>, is_input: &'t dyn Fn(&str) -> bool) -> Parser<'t> {
        Parser { tokens, at: 0, depth: 0, scope: Scope::default(), is_input }
    }

    /// A whole text: a kernel with a head, or a bare body.
    pub(super) fn kernel(mut self) -> Parsed<Kernel> {
        let mut name = "kernel".to_string();
        let mut results = None;
        let outputs;
        if self.eat_word("kernel") {
            name = self.any_word("the name of the kernel")?.to_string();
            self.parameters()?;
            if self.eat("->") {
                results = Some(self.result_types()?);
            }
            outputs = self.block()?;
        } else {
            self.scope.bare = true;
            outputs = self.body()?;
        }
        if !self.at_end() {
            return Err(self.expected("the end of the text"));
        }
        Ok(Kernel { name, inputs: self.scope.inputs, outputs, results })
    }

    /// `(x: f32[n, d], y)`.
    fn parameters(&mut self) -> Parsed<()> {
        self.list(|parser| {
            let first = parser.token().clone();
            let declaration = parser.declaration_text();
            let span = first.span.start..parser.previous_end().max(first.span.start);
            let input = parse_declaration(&declaration)
                .map_err(|fault| Mistake::new(span.clone(), reason(&fault)))?;
            let declared = declaration.contains(':').then_some((input.dtype, input.dims));
            // A declaration begins with its name.
            parser.bind_input(first.text, declared, span)
        })
    }

    fn bind_input(
        &mut self,
        name: &'t str,
        declared: Option<ArrayType>,
        span: Range<usize>,
    ) -> Parsed<()> {
        let expr = Expr::new(Kind::Input(name.into()), origin(&span));
        if self.scope.names.insert(name, expr).is_some() {
            return Err(Mistake::new(span, format!("`{name}` is declared twice")));
        }
        self.scope.inputs.push(FreeInput { name: name.into(), declared });
        Ok(())
    }

    /// The tokens up to the comma or parenthesis that ends a declaration.
    fn declaration_text(&mut self) -> String {
        let mut text = String::new();
        let mut in_brackets = false;
        while !self.at_end() {
            let token = self.token();
            let ends = token.is(")") || token.is("{") || (token.is(",") && !in_brackets);
            if ends {
                break;
            }
            in_brackets = (in_brackets || token.is("[")) && !token.is("]");
            text.push_str(token.text);
            text.push(' ');
            self.at += 1;
        }
        text
    }

    /// `f32[n]`, or `(f32[n], bool[n])`.
    fn result_types(&mut self) -> Parsed<(Vec<ArrayType>, Range<usize>)> {
        let start = self.token().span.start;
        let mut types = Vec::new();
        let mut one = |parser: &mut Parser<'t>| {
            let start = parser.token().span.start;
            let text = parser.declaration_text();
            let span = start..parser.previous_end().max(start);
            types.push(parse_type(&text).map_err(|reason| Mistake::new(span, reason))?);
            Ok(())
        };
        if self.token().is("(") {
            self.list(one)?
        } else {
            one(self)?
        }
        Ok((types, start..self.previous_end()))
    }

    /// `{ body }`.
    fn block(&mut self) -> Parsed<Vec<Expr>> {
        let open = self.at;
        self.expect("{")?;
        let outputs = self.body()?;
        self.expect_closing("}", open)?;
        Ok(outputs)
    }

    /// Bindings, then the outputs.
    fn body(&mut self) -> Parsed<Vec<Expr>> {
        while self.eat_word("let") {
            self.binding()?;
        }
        if self.at_end() || self.token().is("}") {
            return Err(self.expected("an expression, the result"));
        }
        let outputs = if self.is_last("(") && self.has_comma() {
            self.list_of(|parser| parser.expression())?
        } else if self.is_last("fused") {
            self.fused()?
        } else {
            vec![self.expression()?]
        };
        match self.token().is(";") {
            true => Err(self.expected("the end").hint("no `;` follows the result")),
            false => Ok(outputs),
        }
    }

    /// `name = expression;` or `(a, b) = fused(..) {..};`, after `let`.
    fn binding(&mut self) -> Parsed<()> {
        let names = match self.token().is("(") {
            true => self.list_of(|parser| parser.new_name())?,
            false => vec![self.new_name()?],
        };
        let equals = self.token().span.clone();
        self.expect("=")?;
        let values = match names.len() {
            1 => vec![self.expression()?],
            _ if self.is_word("fused") => self.fused()?,
            _ => {
                let hint = "only a fused kernel has several values; write one `let` for each name";
                return Err(self.expected("`fused`").hint(hint));
            }
        };
        if values.len() != names.len() {
            let (names, values) = (names.len(), values.len());
            let message = format!("{names} names for a fused kernel of {values} results");
            return Err(Mistake::new(equals, message));
        }
        for ((name, span), value) in names.into_iter().zip(values) {
            if self.scope.names.contains_key(name) {
                let message = format!("`{name}` has a meaning already");
                return Err(Mistake::new(span, message).hint("choose another name"));
            }
            self.scope.names.insert(name, value);
        }
        self.expect(";")
    }

    fn new_name(&mut self) -> Parsed<(&'t str, Range<usize>)> {
        let span = self.token().span.clone();
        match self.token().kind {
            TokenKind::Word(word) if !RESERVED.contains(&word) => {
                self.at += 1;
                Ok((word, span))
            }
            _ => Err(self.expected("a name")),
        }
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.nested(|parser| parser.binary(Level::LOOSEST))
    }

    /// Operators of this level and tighter ones.
    fn binary(&mut self, loosest: Level) -> Parsed<Expr> {
        let start = self.token().span.start;
        let mut left = self.unary()?;
        while let TokenKind::Symbol(symbol) = self.token().kind {
            let Some(operator) = operator_of_symbol(symbol).filter(|o| o.level >= loosest) else {
                break;
            };
            self.at += 1;
            let right = self.binary(operator.level.tighter())?;
            let kind = match operator.op {
                Some(op) => Kind::Op(op, vec![left, right]),
                None if self.scope.fused => return Err(self.not_elementwise(start, "a matmul")),
                None => Kind::Matmul(left, right),
            };
            left = Expr::new(kind, self.origin_from(start));
            if operator.level == Level::Compare && self.is_comparison() {
                let hint = "write `(a < b) & (b < c)`";
                return Err(self.unexpected("comparisons do not chain").hint(hint));
            }
        }
        Ok(left)
    }

    fn is_comparison(&self) -> bool {
        let operator = operator_of_symbol(self.token().text);
        operator.is_some_and(|operator| operator.level == Level::Compare)
    }

    /// Signs, then a power. A loop, so that many signs need no stack.
    fn unary(&mut self) -> Parsed<Expr> {
        let mut signs = Vec::new();
        loop {
            let op = match self.token() {
                token if token.is("-") => Op::Neg,
                token if token.is("!") => Op::Not,
                _ => break,
            };
            signs.push((op, self.token().span.start));
            self.at += 1;
        }
        let mut expr = match signs.last() {
            // `-2f32` is a number, not the negation of one.
            Some((Op::Neg, start)) => match self.negative_number(*start) {
                Some(number) => {
                    signs.pop();
                    number
                }
                None => self.power()?,
            },
            _ => self.power()?,
        };
        for (op, start) in signs.into_iter().rev() {
            expr = Expr::new(Kind::Op(op, vec![expr]), self.origin_from(start));
        }
        Ok(expr)
    }

    /// A number after a minus, unless it is the base of a power.
    fn negative_number(&mut self, start: usize) -> Option<Expr> {
        let TokenKind::Number { value, dtype: Some(dtype) } = self.token().kind else {
            return None;
        };
        if self.tokens[self.at + 1].is("^") {
            return None;
        }
        self.at += 1;
        Some(Expr::new(Kind::Typed(dtype, -value), self.origin_from(start)))
    }

    fn power(&mut self) -> Parsed<Expr> {
        let start = self.token().span.start;
        let base = self.primary()?;
        if !self.eat("^") {
            return Ok(base);
        }
        if let Some(exponent) = self.integer_exponent() {
            let power = base.powi(exponent);
            return Ok(power.relocated(self.origin_from(start), &[base]));
        }
        let exponent = self.nested(Parser::unary)?;
        Ok(Expr::new(Kind::Op(Op::Pow, vec![base, exponent]), self.origin_from(start)))
    }

    /// `3` or `-3`, unless it is itself the base of a power.
    fn integer_exponent(&mut self) -> Option<i32> {
        let sign = usize::from(self.token().is("-"));
        let number = self.tokens.get(self.at + sign)?;
        let magnitude: i32 = match number.kind {
            TokenKind::Number { dtype: None, .. } => number.text.parse().ok()?,
            _ => return None,
        };
        if self.tokens.get(self.at + sign + 1)?.is("^") {
            return None;
        }
        self.at += sign + 1;
        Some(if sign == 1 { -magnitude } else { magnitude })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.token().clone();
        let written_here = |kind| Expr::new(kind, origin(&token.span));
        match token.kind {
            TokenKind::Number { value, dtype } => {
                self.at += 1;
                Ok(written_here(dtype.map_or(Kind::Number(value), |d| Kind::Typed(d, value))))
            }
            TokenKind::Symbol("(") => {
                let open = self.at;
                self.at += 1;
                let inner = self.expression()?;
                if self.token().is(",") {
                    let hint = "a tuple stands only at the end of a kernel";
                    return Err(self.expected("`)`").hint(hint));
                }
                self.expect_closing(")", open)?;
                Ok(inner)
            }
            TokenKind::Word(word) => match word {
                "inf" | "nan" | "true" | "false" => {
                    self.at += 1;
                    Ok(written_here(match word {
                        "inf" => Kind::Number(f64::INFINITY),
                        "nan" => Kind::Number(f64::NAN),
                        _ => Kind::Typed(DType::Bool, f64::from(word == "true")),
                    }))
                }
                "fused" => self.single_fused(),
                "let" | "kernel" => Err(self.expected("an expression")),
                _ if self.tokens[self.at + 1].is("(") => self.call(word),
                _ => self.name(word),
            },
            TokenKind::Bits(_) => {
                let hint = "write it in decimals, or the bits of a number as bits32(0x7fc00001)";
                Err(self.expected("an expression").hint(hint))
            }
            TokenKind::Symbol(_) | TokenKind::End => Err(self.expected("an expression")),
        }
    }

    /// A name that is not called.
    fn name(&mut self, name: &'t str) -> Parsed<Expr> {
        let span = self.token().span.clone();
        self.at += 1;
        if let Some(known) = self.scope.names.get(name) {
            return Ok(known.clone());
        }
        if name == "pi" && !(self.scope.bare && (self.is_input)(name)) {
            return Ok(Expr::new(Kind::Number(std::f64::consts::PI), origin(&span)));
        }
        if self.scope.bare {
            self.bind_input(name, None, span)?;
            return Ok(self.scope.names[name].clone());
        }
        let mistake = Mistake::new(span, format!("unknown name `{name}`"));
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
        let span = self.token().span.clone();
        self.at += 1;
        if let "bits32" | "bits64" = name {
            return self.bits(name, span.start);
        }
        let op = Op::from_name(name);
        let derived = Derived::from_name(name);
        if op.is_none() && derived.is_none() && name != "matmul" {
            let mistake = Mistake::new(span, format!("unknown function `{name}`"));
            return Err(if let Some(near) = suggest::function(name) {
                mistake.hint(format!("did you mean `{near}`?"))
            } else if self.scope.names.contains_key(name) {
                mistake.hint(format!("`{name}` is an array; a product is `{name} * (..)`"))
            } else {
                mistake
            });
        }
        let args = self.list_of(|parser| parser.expression())?;
        let all = span.start..self.previous_end();
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
            let doc = op.map_or("`matmul(a, b)`, or `a @ b`", |op| op.info().doc);
            return Err(Mistake::new(all, message).hint(format!("{name}: {doc}")));
        }
        match op {
            Some(op) => Ok(Expr::new(Kind::Op(op, args), origin)),
            None if self.scope.fused => Err(self.not_elementwise(all.start, "a matmul")),
            None => Ok(Expr::new(Kind::Matmul(args[0].clone(), args[1].clone()), origin)),
        }
    }

    /// `(0x7fc00001)` after `bits32`: a number by its bits, for NaN payloads.
    fn bits(&mut self, name: &str, start: usize) -> Parsed<Expr> {
        self.expect("(")?;
        let kind = match (self.token().kind, name) {
            (TokenKind::Bits(bits), "bits64") => Kind::Typed(DType::F64, f64::from_bits(bits)),
            (TokenKind::Bits(bits), _) => match u32::try_from(bits) {
                Ok(bits) => Kind::Typed(DType::F32, f64::from(f32::from_bits(bits))),
                Err(_) => return Err(self.unexpected("these bits are more than 32")),
            },
            _ => {
                let hint = format!("write `{name}(0x7fc00001)`");
                return Err(self.expected("a hexadecimal number").hint(hint));
            }
        };
        self.at += 1;
        self.expect(")")?;
        Ok(Expr::new(kind, self.origin_from(start)))
    }

    /// A fused kernel where one value is wanted.
    fn single_fused(&mut self) -> Parsed<Expr> {
        let start = self.token().span.start;
        let mut values = self.fused()?;
        if values.len() == 1 {
            return Ok(values.remove(0));
        }
        let names: Vec<String> = (0..values.len()).map(|i| format!("t{i}")).collect();
        let span = start..self.previous_end();
        let mistake = Mistake::new(span, format!("this fused kernel has {} results", values.len()));
        Err(mistake.hint(format!("name them: `let ({}) = fused(..) {{..}};`", names.join(", "))))
    }

    /// `fused(x, w = expression) { body }`: its values.
    fn fused(&mut self) -> Parsed<Vec<Expr>> {
        let start = self.token().span.start;
        if self.scope.fused {
            return Err(self.not_elementwise(start, "a fused kernel"));
        }
        self.at += 1;
        let mut parameters = Vec::new();
        let mut args = Vec::new();
        let mut names = HashMap::new();
        self.list(|parser| {
            let (name, span) = parser.new_name()?;
            let arg = if parser.eat("=") {
                parser.expression()?
            } else {
                parser.at -= 1;
                parser.name(name)?
            };
            let parameter = Expr::new(Kind::Input(name.into()), origin(&span));
            if names.insert(name, parameter).is_some() {
                return Err(Mistake::new(span, format!("parameter `{name}` is given twice")));
            }
            parameters.push(name.to_string());
            args.push(arg);
            Ok(())
        })?;
        let inner = Scope { names, fused: true, ..Scope::default() };
        let outer = std::mem::replace(&mut self.scope, inner);
        let body = self.nested(Parser::block)?;
        self.scope = outer;
        let count = body.len();
        let origin = self.origin_from(start);
        let kernel = Expr::new(Kind::Fused { parameters, args, body }, origin);
        Ok(match count {
            1 => vec![kernel],
            _ => (0..count).map(|i| Expr::new(Kind::Item(kernel.clone(), i), origin)).collect(),
        })
    }

    fn not_elementwise(&self, start: usize, what: &str) -> Mistake {
        let message = format!("{what} cannot stand in a fused body");
        Mistake::new(start..self.previous_end().max(start), message)
            .hint("a fused body has elementwise ops only; compute it outside and pass it in")
    }

    // Lists, tokens and mistakes.

    /// `(item, item)`; a comma may follow the last one.
    fn list(&mut self, mut item: impl FnMut(&mut Parser<'t>) -> Parsed<()>) -> Parsed<()> {
        let open = self.at;
        self.expect("(")?;
        while !self.token().is(")") {
            item(self)?;
            if !self.eat(",") {
                break;
            }
        }
        self.expect_closing(")", open)
    }

    fn list_of<T>(&mut self, mut item: impl FnMut(&mut Parser<'t>) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        self.list(|parser| {
            items.push(item(parser)?);
            Ok(())
        })?;
        Ok(items)
    }

    /// Whether what begins here, with `word_or_symbol`, is a list (and a block) and then the end.
    fn is_last(&self, word_or_symbol: &str) -> bool {
        if self.token().text != word_or_symbol {
            return false;
        }
        let list = self.at + usize::from(word_or_symbol == "fused");
        let mut end = self.after_group(list);
        if word_or_symbol == "fused" {
            end = self.after_group(end);
        }
        let token = &self.tokens[end.min(self.tokens.len() - 1)];
        token.kind == TokenKind::End || token.is("}") || token.is(";")
    }

    /// The index after the group that opens at `index`.
    fn after_group(&self, index: usize) -> usize {
        let mut depth = 0usize;
        for (offset, token) in self.tokens.iter().enumerate().skip(index) {
            match token.kind {
                TokenKind::Symbol("(" | "{") => depth += 1,
                TokenKind::Symbol(")" | "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return offset + 1;
            }
        }
        self.tokens.len()
    }

    /// Whether the group that opens here has a comma of its own.
    fn has_comma(&self) -> bool {
        let mut depth = 0usize;
        for token in &self.tokens[self.at..self.after_group(self.at)] {
            match token.kind {
                TokenKind::Symbol("(" | "{") => depth += 1,
                TokenKind::Symbol(")" | "}") => depth -= 1,
                TokenKind::Symbol(",") if depth == 1 => return true,
                _ => {}
            }
        }
        false
    }

    /// Runs `inner` one level deeper, if that is not too deep.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Parser<'t>) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            let message = format!("this is nested more than {MAX_DEPTH} deep");
            return Err(self.unexpected(&message).hint("name inner parts with `let`"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn token(&self) -> &Token<'t> {
        &self.tokens[self.at]
    }

    fn at_end(&self) -> bool {
        self.token().kind == TokenKind::End
    }

    fn is_word(&self, word: &str) -> bool {
        self.token().kind == TokenKind::Word(word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn any_word(&mut self, what: &str) -> Parsed<&'t str> {
        let TokenKind::Word(word) = self.token().kind else { return Err(self.expected(what)) };
        self.at += 1;
        Ok(word)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.token().is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        match self.eat(symbol) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{symbol}`"))),
        }
    }

    /// The end of what token `open` began.
    fn expect_closing(&mut self, symbol: &str, open: usize) -> Parsed<()> {
        self.expect(symbol).map_err(|mistake| match self.at_end() {
            true => {
                let open = &self.tokens[open];
                Mistake::new(open.span.clone(), format!("this {open} is never closed"))
            }
            false => mistake,
        })
    }

    fn expected(&self, what: &str) -> Mistake {
        let found = self.token();
        let mistake = self.unexpected(&format!("expected {what}, found {found}"));
        let previous = self.at.checked_sub(1).map(|index| &self.tokens[index]);
        match (previous.map(|token| token.kind), found.kind) {
            (Some(TokenKind::Word(f)), TokenKind::Word(_) | TokenKind::Number { .. })
                if suggest::is_function(f) =>
            {
                mistake.hint(format!("arguments stand in parentheses: `{f}(..)`"))
            }
            (
                Some(TokenKind::Number { .. } | TokenKind::Word(_) | TokenKind::Symbol(")")),
                TokenKind::Word(_) | TokenKind::Number { .. } | TokenKind::Symbol("("),
            ) if what != "`{`" => mistake.hint("a product is written `a * b`"),
            (_, TokenKind::Symbol("*")) if previous.is_some_and(|token| token.is("*")) => {
                mistake.hint("a power is written `x^2`")
            }
            (_, TokenKind::Symbol("&" | "|")) => mistake.hint("logic is written `a & b`, `a | b`"),
            (_, TokenKind::Symbol("=")) => {
                mistake.hint("equality is `==`; a name is `let u = ..;`")
            }
            _ => mistake,
        }
    }

    fn unexpected(&self, message: &str) -> Mistake {
        Mistake::new(self.token().span.clone(), message)
    }

    fn previous_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |index| self.tokens[index].span.end)
    }

    fn origin_from(&self, start: usize) -> Origin {
        origin(&(start..self.previous_end()))
    }
}

fn origin(span: &Range<usize>) -> Origin {
    Origin::Text { start: span.start, end: span.end }
}

/// Of a faulty declaration, the reason alone: the caret shows the rest.
fn reason(fault: &Fault) -> String {
    match fault {
        Fault::Declaration { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

fn plural(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}
