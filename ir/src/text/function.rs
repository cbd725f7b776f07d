//! Functions applied to arguments.

use super::cursor::{Parsed, origin};
use super::error::Mistake;
use super::lexer::{Token, TokenKind};
use super::parser::{Form, Parser};
use super::{hints, named, words};
use crate::call::{Axes, Call};
use crate::derived::Derived;
use crate::error::Fault;
use crate::expr::{Expr, Kind};
use crate::ops::Op;
use crate::rowwise::Rowwise;
use std::ops::Range;

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
        let OpenCall { name, span, open, function, args } = call;
        self.cursor.expect_closing(")", &open)?;
        self.leave();
        let all = span.start..self.cursor.previous_end();
        let origin = origin(&all);
        let arity = match function {
            Function::Derived(derived) => return self.derived(derived, name, &args, all),
            Function::Rowwise(row, axes) => return self.rowwise(row, axes, &args, all),
            Function::Op(op) | Function::Logical(op) => op.arity(),
            // Some are of any number of arrays.
            Function::Call(call) if call.takes(args.len()) => args.len(),
            Function::Call(call) => call.info().arity,
            Function::OneHot(_) => 1,
        };
        if args.len() != arity {
            let found = args.len();
            let fault = Fault::Arity { op: name.into(), expected: arity..=arity, found };
            let doc = match function {
                Function::Op(op) => op.info().doc,
                Function::Call(call) => call.info().doc,
                Function::OneHot(_) => "true in the place that a number says",
                _ => "logic on truth values, numbers being \"not zero\"",
            };
            let operands = ["a", "a, b", "a, b, c"][arity - 1];
            let mistake = Mistake::fault(all, fault);
            return Err(match hints::arity(words::function(name), found, arity) {
                Some(says) => mistake.hint(hints::fill(says, &[name])),
                None => mistake.hint(format!("`{name}({operands})`: {doc}")),
            });
        }
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
                return Ok(args[0].one_hot_of(depth).relocated(origin, &args));
            }
            Function::Derived(_) | Function::Rowwise(..) => unreachable!("applied above"),
        };
        Ok(Expr::new(kind, origin))
    }

    fn rowwise(
        &mut self,
        row: &Rowwise,
        axes: Axes,
        args: &[Expr],
        all: Range<usize>,
    ) -> Parsed<Expr> {
        let expected = row.arity();
        if !expected.contains(&args.len()) {
            let (op, found) = (row.name.into(), args.len());
            return Err(Mistake::fault(all, Fault::Arity { op, expected, found }));
        }
        let (expr, parts) = row.apply(args, axes).counted(origin(&all), args);
        self.charge(parts)?;
        Ok(expr)
    }

    fn derived(
        &mut self,
        derived: &Derived,
        name: &str,
        args: &[Expr],
        all: Range<usize>,
    ) -> Parsed<Expr> {
        let arity = derived.arity();
        if !arity.contains(&args.len()) {
            let (op, found) = (name.into(), args.len());
            let mistake = Mistake::fault(all, Fault::Arity { op, expected: arity, found });
            return Err(mistake.hint(format!("write `{derived}`")));
        }
        let (expr, parts) = derived.apply(args).counted(origin(&all), args);
        self.charge(parts)?;
        Ok(expr)
    }
}
