//! What names mean, and the errors for those that mean nothing.

use super::cursor::{Parsed, origin};
use super::error::Mistake;
use super::expression::{constant, is_constant};
use super::function::Function;
use super::hints::{self, Missing, Place};
use super::lexer::{quoted, shortened};
use super::parser::{Form, Parser};
use super::{named, suggest, words};
use crate::expr::Expr;
use crate::rowwise::Rowwise;
use std::ops::Range;

impl<'t> Parser<'t> {
    /// What a name stands for.
    pub(super) fn name(&mut self, name: &'t str, span: Range<usize>) -> Parsed<Expr> {
        if let Some(known) = self.scope.names.get(name) {
            return Ok(known.clone());
        }
        let meant = words::constant(name).unwrap_or(name);
        let is_number = meant == "pi" || is_constant(meant);
        if is_number && !(self.scope.form == Form::Bare && (self.is_input)(name)) {
            self.charge(1)?;
            return Ok(Expr::new(constant(meant), origin(&span)));
        }
        if self.scope.form == Form::Bare {
            if let Some(says) = hints::find(Place::Free, name) {
                return Err(Mistake::new(span, format!("{} is no input", quoted(name))).hint(says));
            }
            self.bind_input(name, None, span)?;
            return Ok(self.scope.names[name].clone());
        }
        let mistake = Mistake::new(span, format!("unknown name {}", quoted(name)));
        let near = suggest::nearest(name, self.names());
        let shown = shortened(name);
        let known = hints::find(Place::Name, name).or_else(|| hints::find(Place::Free, name));
        Err(mistake.hint(match (near, known, self.scope.form) {
            (Some(near), ..) => hints::fill(hints::MEANT, &[near]),
            (_, Some(says), _) => says.to_string(),
            _ if words::is_function(name) => hints::fill(hints::WRITTEN, &[name]),
            (.., Form::Fused) => hints::fill(hints::FUSED_INPUT, &[&shown]),
            (.., Form::Closure) => {
                let inputs = self.scope.inputs.iter().map(|input| &*input.name);
                let inputs = match inputs.len() {
                    0..=5 => inputs.chain([&*shown]).collect::<Vec<&str>>().join(", "),
                    _ => format!("{shown}, .."),
                };
                hints::fill(hints::CLOSURE_INPUT, &[&inputs])
            }
            (.., Form::Kernel | Form::Bare) => hints::fill(hints::KERNEL_INPUT, &[&shown]),
        }))
    }

    /// The names in scope, in an order that does not change from run to run.
    fn names(&self) -> impl Iterator<Item = &'t str> {
        let mut names: Vec<&'t str> = self.scope.names.keys().copied().collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// The error for a function that is not here; the cursor is at its parenthesis.
    pub(super) fn no_function(&self, name: &str, span: Range<usize>) -> Mistake {
        let unknown = Mistake::new(span.clone(), format!("unknown function {}", quoted(name)));
        // The name of an array is no misspelt function.
        if self.scope.names.contains_key(name) {
            return unknown.hint(hints::fill(hints::ARRAY, &[&shortened(name)]));
        }
        if Function::has_axes(name) {
            let name = words::function(name);
            let open = self.cursor.token();
            let text = if open.is("(") { self.cursor.text_from(open.span.end) } else { "" };
            let which = if Rowwise::from_name(name).is_some() { "along" } else { "of" };
            let what = if which == "of" { "axes or sizes" } else { "axes" };
            let mistake = Mistake::new(span, format!("`{name}` {which} which {what}?"));
            return mistake.hint(named::without_brackets(name, text));
        }
        if let Some(function) = Function::from_name(words::function(name)) {
            let mistake = Mistake::new(span, format!("`{name}` goes along no axes"));
            let usage = function.usage(name);
            return mistake.hint(match function {
                Function::Call(_) => hints::fill(hints::NO_BRACKETS, &[&usage]),
                _ => hints::fill(hints::NO_AXES, &[&usage]),
            });
        }
        match hints::missing(name) {
            Missing::Known(says) => {
                Mistake::new(span, format!("there is no function `{name}`")).hint(says)
            }
            Missing::Near(hint) => unknown.hint(hint),
            Missing::Unknown => {
                let start = self.cursor.token().span.start;
                unknown.hint(match self.cursor.follows_group(start, &["="]) {
                    true => hints::CLOSURE,
                    false => hints::FUNCTIONS,
                })
            }
        }
    }
}
