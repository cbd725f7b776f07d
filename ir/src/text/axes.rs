//! Axes in brackets behind a function: `sum[-1](x)`, `softmax[-2, -1](x)`, `max[..](x)`.

use super::cursor::Parsed;
use super::error::Mistake;
use super::function::Function;
use super::lexer::TokenKind;
use super::parser::Parser;
use super::{hints, words};
use crate::call::{Axes, Call, Reduce, Reduction};
use crate::rowwise::Rowwise;

impl Function {
    /// The function of this name along axes.
    pub(super) fn along(name: &str, axes: Axes) -> Option<Function> {
        let name = words::function(name);
        let reduce = |by| Function::Call(Call::Reduce(Reduce { by, axes }));
        let rowwise = || Rowwise::from_name(name).map(|row| Function::Rowwise(row, axes));
        Reduction::from_name(name).map(reduce).or_else(rowwise)
    }

    /// Whether functions of this name have axes.
    pub(super) fn has_axes(name: &str) -> bool {
        Function::along(name, Axes::ALL).is_some()
    }
}

impl Parser<'_> {
    /// `[-1]`, `[-2, -1]` or `[..]`.
    pub(super) fn axes(&mut self) -> Parsed<Axes> {
        let open = self.cursor.token().clone();
        self.cursor.expect("[")?;
        let mut axes = Vec::new();
        let all = self.cursor.eat("..");
        while !all && !self.cursor.token().is("]") {
            axes.push(self.axis()?);
            if !self.cursor.eat(",") {
                break;
            }
        }
        self.cursor.expect_closing("]", &open)?;
        if all {
            return Ok(Axes::ALL);
        }
        let span = open.span.start..self.cursor.previous_end();
        Axes::some(&axes).map_err(|reason| Mistake::new(span, reason).hint(hints::AXES))
    }

    fn axis(&mut self) -> Parsed<i64> {
        let is_negative = self.cursor.eat("-");
        let number = match self.cursor.token().kind {
            TokenKind::Number { number, dtype: None } => number.integer(),
            _ => None,
        };
        let Some(axis) = number else {
            return Err(self.cursor.expected("an axis").hint(hints::AXES));
        };
        self.cursor.advance();
        Ok(if is_negative { -axis } else { axis })
    }
}
