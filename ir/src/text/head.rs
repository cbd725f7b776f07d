//! Heads: the parameters of a kernel or a closure, and the types of its results.

use super::cursor::{Parsed, origin};
use super::error::Mistake;
use super::grammar::operator_of_symbol;
use super::hints::{self, Place};
use super::lexer::{TokenKind, shortened};
use super::parser::{FreeInput, Parser};
use crate::declaration::{ArrayType, is_name, parse_declaration, parse_type};
use crate::error::Fault;
use crate::expr::{Expr, Kind};
use crate::graph::MAX_INPUTS;
use std::ops::Range;

impl<'t> Parser<'t> {
    /// `(x: f32[n, d], y)`.
    pub(super) fn parameters(&mut self) -> Parsed<()> {
        self.list("(", ")", Parser::parameter)
    }

    /// `|x: f32[n, d], y|`. In mathematics, bars are a magnitude: text that looks like one is refused.
    pub(super) fn closure_parameters(&mut self) -> Parsed<()> {
        if self.cursor.eat("||") {
            return Ok(());
        }
        self.list("|", "|", Parser::parameter)?;
        let (next, after) = (self.cursor.token(), self.cursor.ahead(1));
        let is_magnitude = match (&self.scope.inputs[..], next.kind) {
            (_, TokenKind::End) => true,
            // `|x| -x` negates, but `|x| - x` may be meant as a difference.
            ([FreeInput { declared: None, .. }], TokenKind::Symbol("-")) => {
                next.span.end < after.span.start
            }
            _ => next.is("+") || operator_of_symbol(next.text).is_some_and(|_| !next.is("-")),
        };
        match is_magnitude {
            true => Err(self.cursor.expected("the expression of the kernel").hint(hints::BARS)),
            false => Ok(()),
        }
    }

    /// `x: f32[n, d]`.
    fn parameter(&mut self) -> Parsed<()> {
        let first = self.cursor.token().clone();
        if let (TokenKind::Word(_), TokenKind::Word(_)) = (first.kind, self.cursor.ahead(1).kind) {
            self.cursor.advance();
            return Err(self.cursor.expected("`,` or `:`").hint(hints::PARAMETERS));
        }
        let declaration = self.declaration_text()?;
        let span = first.span.start..self.cursor.previous_end().max(first.span.start);
        let input = parse_declaration(&declaration).map_err(|fault| {
            let mistake = Mistake::new(span.clone(), reason(&fault));
            match declaration.split_once(':') {
                Some((_, array_type)) if is_name(first.text) => mistake.hint(type_hint(array_type)),
                _ => mistake,
            }
        })?;
        let declared = declaration.contains(':').then_some((input.dtype, input.dims));
        // A declaration begins with its name.
        self.bind_input(first.text, declared, span)?;
        match self.cursor.token().kind {
            TokenKind::Word(_) | TokenKind::Symbol("[") => {
                Err(self.cursor.expected("`,`").hint(hints::PARAMETERS))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn bind_input(
        &mut self,
        name: &'t str,
        declared: Option<ArrayType>,
        span: Range<usize>,
    ) -> Parsed<()> {
        if self.scope.inputs.len() >= MAX_INPUTS {
            return Err(Mistake::fault(span, Fault::TooManyInputs { limit: MAX_INPUTS }));
        }
        let expr = Expr::new(Kind::Input(name.into()), origin(&span));
        if self.scope.names.insert(name, expr).is_some() {
            let known = self.scope.inputs.iter().find(|input| input.name == name);
            let first = known.map_or(String::new(), FreeInput::to_string);
            let second = FreeInput { name: name.into(), declared }.to_string();
            let name = shortened(name).into();
            return Err(Mistake::fault(span, Fault::InputTwice { name, first, second }));
        }
        self.scope.inputs.push(FreeInput { name: name.into(), declared });
        Ok(())
    }

    /// The tokens of a declaration, up to its closing bracket or to what follows it.
    fn declaration_text(&mut self) -> Parsed<String> {
        let mut text = String::new();
        let mut in_brackets = false;
        while !self.cursor.token().is_last() {
            let token = self.cursor.token();
            let ends =
                [")", "{", "|"].iter().any(|end| token.is(end)) || (token.is(",") && !in_brackets);
            if ends {
                break;
            }
            let (opens, closes) = (token.is("["), token.is("]"));
            let is_word = matches!(token.kind, TokenKind::Word(_));
            text.push_str(token.text);
            text.push(' ');
            self.cursor.advance();
            let two_words = is_word && matches!(self.cursor.token().kind, TokenKind::Word(_));
            if closes || two_words {
                break;
            }
            in_brackets |= opens;
        }
        match self.cursor.token().kind {
            TokenKind::Bad => Err(self.cursor.expected("a type")),
            _ => Ok(text),
        }
    }

    /// `f32[n]`, or `(f32[n], bool[n])`.
    pub(super) fn result_types(&mut self) -> Parsed<(Vec<ArrayType>, Range<usize>)> {
        let start = self.cursor.token().span.start;
        let mut types = Vec::new();
        let mut one = |parser: &mut Parser<'t>| {
            parser.charge(1)?;
            let start = parser.cursor.token().span.start;
            let text = parser.declaration_text()?;
            let span = start..parser.cursor.previous_end().max(start);
            types.push(
                parse_type(&text)
                    .map_err(|reason| Mistake::new(span, reason).hint(type_hint(&text)))?,
            );
            Ok(())
        };
        if self.cursor.token().is("(") {
            self.list("(", ")", one)?
        } else {
            one(self)?
        }
        Ok((types, start..self.cursor.previous_end()))
    }
}

/// What to write instead of a type that cannot be read.
fn type_hint(text: &str) -> &'static str {
    let word = text.split_whitespace().next().unwrap_or_default();
    hints::find(Place::Type, word).unwrap_or(hints::TYPE)
}

/// The reason alone of a faulty declaration: the caret shows the rest.
fn reason(fault: &Fault) -> String {
    match fault {
        Fault::Declaration { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}
