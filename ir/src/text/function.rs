//! Functions applied to arguments.

use super::cursor::{Parsed, origin};
use super::error::Mistake;
use super::lexer::{Token, TokenKind};
use super::parser::{Form, Parser};
use super::{hints, named, usage, words};
use crate::call::{Axes, Call};
use crate::derived::Derived;
use crate::error::Fault;
use crate::expr::{Expr, Kind};
use crate::ops::Op;
use crate::rowwise::Rowwise;
use std::ops::{Range, RangeInclusive};

/// A function, and the arguments so far.
pub(super) struct OpenCall<'t> {
    pub(super) name: &'t str,
    pub(super) span: Range<usize>,
    pub(super) open: Token<'t>,
    pub(super) function: Function,
    pub(super) args: Vec<Expr>,
}

#[derive(Clone, Copy)]
pub(super) enum Function {
    Op(Op),
    Derived(&'static Derived),
    Logical(Op),
    Call(Call),
    Rowwise(&'static Rowwise, Axes),
    OneHot(i64),
}

impl Function {
    /// The function of this name.
    pub(super) fn from_name(name: &str) -> Option<Function> {
        let logical = match name {
            "logical_and" => Some(Op::And),
            "logical_or" => Some(Op::Or),
            "logical_xor" => Some(Op::Xor),
            "logical_not" => Some(Op::Not),
            _ => None,
        };
        let op = || Op::from_name(name).map(Function::Op);
        let derived = || Derived::from_name(name).map(Function::Derived);
        let is_whole = |call: &Call| call.stands_alone();
        let call = || Call::from_name(name).filter(is_whole).map(Function::Call);
        logical.map(Function::Logical).or_else(op).or_else(derived).or_else(call)
    }
}

impl Function {
    /// How many arguments it takes.
    fn arity(self) -> RangeInclusive<usize> {
        match self {
            Function::Op(op) | Function::Logical(op) => op.arity()..=op.arity(),
            Function::Derived(row) => row.arity(),
            Function::Call(call) => call.arity(),
            Function::Rowwise(row, _) => row.arity(),
            Function::OneHot(_) => 1..=1,
        }
    }

    /// How it is written, under this name of it.
    pub(super) fn usage(self, name: &str) -> String {
        if let Function::Derived(row) = self {
            return row.to_string();
        }
        let has_brackets = match self {
            Function::Call(call) => !call.attributes().is_empty(),
            Function::Rowwise(..) | Function::OneHot(_) => true,
            _ => false,
        };
        match usage::example(words::function(name)).filter(|_| has_brackets) {
            Some(example) => example,
            None => format!("{name}({})", ["", "a", "a, b", "a, b, c"][*self.arity().start()]),
        }
    }
}

impl<'t> Parser<'t> {
    /// Refuses `name = value`, with what to write for it.
    pub(super) fn no_named_argument(&mut self, call: &OpenCall<'t>) -> Parsed<()> {
        let (token, end) = (self.cursor.token(), call.open.span.end);
        let (TokenKind::Word(name), true) = (token.kind, self.cursor.ahead(1).is("=")) else {
            return Ok(());
        };
        let head = self.cursor.text(call.span.start..end);
        let before = self.cursor.text(end..token.span.start);
        let value = self.cursor.ahead(2).text;
        let parameters = match call.function {
            Function::Derived(row) => row.parameters,
            Function::Rowwise(row, _) => row.parameters,
            _ => &[],
        };
        let is_next = parameters.get(call.args.len()).is_some_and(|next| next.name == name);
        let hint = match named::along(call.name, None, self.cursor.text_from(end)) {
            Some(says) => says,
            None if is_next && head.len() + before.len() < 80 => {
                hints::fill(hints::IN_PLACE, &[head, before, value])
            }
            None if Function::has_axes(call.name) => hints::fill(hints::BRACKETS, &[call.name]),
            None => hints::POSITIONAL.into(),
        };
        self.cursor.advance();
        Err(self.cursor.expected("`)`").hint(hint))
    }

    /// The end of a call, and its value.
    pub(super) fn close_call(&mut self, call: OpenCall<'t>) -> Parsed<Expr> {
        self.cursor.expect_closing(")", &call.open)?;
        self.leave();
        let all = call.span.start..self.cursor.previous_end();
        let found = call.args.len();
        if !call.function.arity().contains(&found) {
            let (op, expected) = (call.name.into(), call.function.arity());
            let fault = Fault::Arity { op, expected, found };
            return Err(Mistake::fault(all, fault).hint(self.arity_hint(&call)));
        }
        let OpenCall { function, args, .. } = call;
        let origin = origin(&all);
        self.charge(1)?;
        let kind = match function {
            Function::Op(op) => Kind::Op(op, args.into()),
            Function::Logical(op) => Kind::Logical(op, args.into()),
            Function::Call(call) if self.scope.form == Form::Fused && !call.fuses() => {
                return Err(self.not_in_body(all.start, call.info().noun));
            }
            Function::Call(call) => Kind::Call(call, args.into()),
            Function::OneHot(depth) => {
                self.charge(6)?;
                return Ok(args[0].one_hot_of(depth).relocated("one_hot", origin, &args));
            }
            Function::Derived(row) => {
                return self.applied(row.name, row.apply(&args), all, &args);
            }
            Function::Rowwise(row, axes) => {
                return self.applied(row.name, row.apply(&args, axes), all, &args);
            }
        };
        Ok(Expr::new(kind, origin))
    }

    /// What a function made of its arguments, as written here.
    fn applied(
        &mut self,
        function: &'static str,
        expr: Expr,
        all: Range<usize>,
        args: &[Expr],
    ) -> Parsed<Expr> {
        let (expr, parts) = expr.counted(function, origin(&all), args);
        // One is charged for already.
        self.charge(parts.saturating_sub(1))?;
        Ok(expr)
    }

    /// What to write for a call with the wrong number of arguments.
    fn arity_hint(&self, call: &OpenCall<'t>) -> String {
        let OpenCall { name, function, .. } = *call;
        let (ours, found) = (words::function(name), call.args.len());
        let most = *function.arity().end();
        let has_brackets = self.cursor.text(call.span.end..call.open.span.start).contains('[');
        let key = if has_brackets { format!("{ours}[-1]") } else { ours.to_string() };
        if let Some(says) = hints::arity(&key, found, most) {
            let name = if has_brackets { &key } else { name };
            return hints::fill(says, &[name]);
        }
        let text = self.cursor.text_from(call.open.span.end);
        if !has_brackets && let Some(says) = named::along(name, None, text) {
            return says;
        }
        let usage = function.usage(name);
        match function {
            Function::Op(op) => format!("`{usage}`: {}", op.info().doc),
            Function::Call(call) if call.attributes().is_empty() => {
                format!("`{usage}`: {}", call.info().doc)
            }
            Function::Logical(_) => {
                format!("`{usage}`: logic on truth values, numbers being \"not zero\"")
            }
            _ => format!("write `{usage}`"),
        }
    }
}
