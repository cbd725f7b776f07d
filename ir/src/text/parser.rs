//! Kernels: bindings, results and fused kernels.
//!
//! Every function of the parser reads what its name says and leaves the cursor after it. None
//! recurses, except for the body of a fused kernel, which holds no other.
//! Expressions carry their place in the text, so that faults of types and shapes are shown there too.

use super::cursor::{Cursor, Parsed, origin};
use super::error::{Mistake, plural};
use super::grammar::{MAX_DEPTH, MAX_PARTS};
use super::hints;
use super::lexer::{Token, TokenKind, quoted, shortened};
use crate::declaration::{ArrayType, RESERVED};
use crate::error::Fault;
use crate::expr::{Expr, Fused, Kind};
use crate::graph::Input;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// What a text says, before types and shapes are checked.
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) inputs: Vec<FreeInput>,
    /// Whether the text puts the inputs in order.
    pub(super) ordered: bool,
    pub(super) outputs: Vec<Expr>,
    /// What the text calls them.
    pub(super) output_names: Vec<Option<String>>,
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

impl fmt::Display for FreeInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = shortened(&self.name);
        match &self.declared {
            None => f.write_str(&name),
            Some((dtype, dims)) => {
                let (name, dtype, dims) = (name.into(), *dtype, dims.clone());
                write!(f, "{}", Input { name, dtype, dims })
            }
        }
    }
}

/// What names mean where the parser is.
#[derive(Default)]
pub(super) struct Scope<'t> {
    pub(super) names: HashMap<&'t str, Expr>,
    /// Inputs, in order. Those of a bare expression are found while reading it.
    pub(super) inputs: Vec<FreeInput>,
    pub(super) form: Form,
    /// What a body calls its results, as far as it has read them.
    output_names: Vec<Option<String>>,
}

/// What declares the names of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// A head: `kernel f(x)`.
    #[default]
    Kernel,
    /// Parameters between bars: `|x|`.
    Closure,
    /// Nothing: unknown names are inputs.
    Bare,
    /// The parameters of a fused kernel.
    Fused,
}

/// The parameters of a fused kernel that were read so far.
pub(super) struct FusedHead<'t> {
    pub(super) start: usize,
    open: Token<'t>,
    names: HashMap<&'t str, Expr>,
    parameters: Vec<String>,
    pub(super) args: Vec<Expr>,
}

pub(super) struct Parser<'t> {
    pub(super) cursor: Cursor<'t>,
    depth: usize,
    /// How many more parts the text may have.
    parts_left: usize,
    pub(super) scope: Scope<'t>,
    /// Whether a name is an input even where it could be a constant.
    pub(super) is_input: &'t dyn Fn(&str) -> bool,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, is_input: &'t dyn Fn(&str) -> bool) -> Parser<'t> {
        let cursor = Cursor::new(text);
        Parser { cursor, depth: 0, parts_left: MAX_PARTS, scope: Scope::default(), is_input }
    }

    /// A whole text: a kernel with a head, a closure, or a bare body.
    pub(super) fn kernel(mut self) -> Parsed<Kernel> {
        let mut name = "kernel".to_string();
        let mut results = None;
        let outputs;
        if self.cursor.eat_word("kernel") {
            name = self.cursor.any_word("the name of the kernel")?.to_string();
            self.parameters()?;
            if self.cursor.eat("->") {
                results = Some(self.result_types()?);
            }
            outputs = self.block()?;
        } else if self.cursor.token().is("|") || self.cursor.token().is("||") {
            self.scope.form = Form::Closure;
            self.closure_parameters()?;
            outputs = if self.cursor.eat("->") {
                results = Some(self.result_types()?);
                self.block()?
            } else if self.cursor.token().is("{") {
                self.block()?
            } else {
                self.body()?
            };
        } else {
            self.scope.form = Form::Bare;
            outputs = self.body()?;
        }
        if !self.cursor.at_end() {
            return Err(self.cursor.expected("the end of the text"));
        }
        let Scope { inputs, form, output_names, .. } = self.scope;
        let ordered = form != Form::Bare;
        Ok(Kernel { name, inputs, ordered, outputs, output_names, results })
    }

    /// `{ body }`.
    fn block(&mut self) -> Parsed<Vec<Expr>> {
        let open = self.cursor.token().clone();
        self.cursor.expect("{")?;
        let outputs = self.body()?;
        self.cursor.expect_closing("}", &open)?;
        Ok(outputs)
    }

    /// Bindings, then the outputs.
    fn body(&mut self) -> Parsed<Vec<Expr>> {
        while self.cursor.eat_word("let") {
            self.charge(1)?;
            self.binding()?;
        }
        if self.cursor.at_end() || self.cursor.token().is("}") {
            return Err(self.cursor.expected("an expression as the result"));
        }
        let outputs = if self.cursor.is_last("(") && self.cursor.has_comma() {
            self.list_of(|parser| {
                parser.charge(1)?;
                parser.output()
            })?
        } else if self.cursor.is_last("fused") {
            self.fused()?
        } else {
            vec![self.output()?]
        };
        match self.cursor.token().is(";") {
            true => {
                let hint = match self.cursor.ahead(1).is_last() || self.cursor.ahead(1).is("}") {
                    true => hints::RESULT,
                    false => hints::SEVERAL,
                };
                Err(self.cursor.expected("the end").hint(hint))
            }
            false => Ok(outputs),
        }
    }

    /// A result, which has a name where it is that of a binding.
    fn output(&mut self) -> Parsed<Expr> {
        let (token, after) = (self.cursor.token().clone(), self.cursor.ahead(1));
        let stands_alone = after.is_last() || [",", ")", "}"].iter().any(|end| after.is(end));
        let bound = self.scope.names.get(token.text).filter(|_| stands_alone);
        let is_binding = bound.is_some_and(|value| !matches!(value.kind(), Kind::Input(_)));
        self.scope.output_names.push(is_binding.then(|| shortened(token.text).into()));
        self.expression()
    }

    /// `name = expression;` or `(a, b) = fused(..) {..};`, after `let`.
    fn binding(&mut self) -> Parsed<()> {
        let names = match self.cursor.token().is("(") {
            true => self.list_of(|parser| parser.new_name())?,
            false => vec![self.new_name()?],
        };
        let equals = self.cursor.token().span.clone();
        self.cursor.expect("=")?;
        let values = match names.len() {
            1 => vec![self.expression()?],
            _ if self.cursor.is_word("fused") => self.fused()?,
            _ => {
                return Err(self.cursor.expected("`fused`").hint(hints::UNPACK));
            }
        };
        if values.len() != names.len() {
            let (names, values) = (plural(names.len(), "name"), plural(values.len(), "result"));
            let message = format!("{names} for a fused kernel of {values}");
            return Err(Mistake::new(equals, message));
        }
        for ((name, span), value) in names.into_iter().zip(values) {
            if self.scope.names.contains_key(name) {
                let message = format!("{} has a meaning already", quoted(name));
                return Err(Mistake::new(span, message).hint(hints::NAMED));
            }
            self.scope.names.insert(name, value);
        }
        self.cursor.expect(";")
    }

    fn new_name(&mut self) -> Parsed<(&'t str, Range<usize>)> {
        let span = self.cursor.token().span.clone();
        match self.cursor.token().kind {
            TokenKind::Word(word) if !RESERVED.contains(&word) => {
                self.cursor.advance();
                Ok((word, span))
            }
            TokenKind::Word(word) => {
                Err(self.cursor.expected("a name").hint(hints::fill(hints::RESERVED, &[word])))
            }
            _ => Err(self.cursor.expected("a name")),
        }
    }

    /// `fused(x, w = expression) { body }`: its values.
    fn fused(&mut self) -> Parsed<Vec<Expr>> {
        let mut head = self.fused_head()?;
        while self.read_parameters(&mut head)? {
            head.args.push(self.expression()?);
            if !self.cursor.eat(",") {
                break;
            }
        }
        self.fused_body(*head)
    }

    /// `fused(`.
    pub(super) fn fused_head(&mut self) -> Parsed<Box<FusedHead<'t>>> {
        let start = self.cursor.token().span.start;
        self.cursor.advance();
        if self.scope.form == Form::Fused {
            return Err(self.not_in_body(start, "a fused kernel"));
        }
        self.enter()?;
        let open = self.cursor.token().clone();
        self.cursor.expect("(")?;
        let (names, parameters, args) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(Box::new(FusedHead { start, open, names, parameters, args }))
    }

    /// `x, y, w =`: parameters up to one that is followed by its argument, or to the end. Whether an
    /// argument follows.
    pub(super) fn read_parameters(&mut self, head: &mut FusedHead<'t>) -> Parsed<bool> {
        while !self.cursor.token().is(")") {
            let (name, span) = self.new_name()?;
            let has_argument = self.cursor.eat("=");
            self.charge(1)?;
            let parameter = Expr::new(Kind::Input(name.into()), origin(&span));
            let arg = if has_argument { None } else { Some(self.name(name, span.clone())?) };
            if head.names.insert(name, parameter).is_some() {
                let message = format!("parameter {} is given twice", quoted(name));
                return Err(Mistake::new(span, message));
            }
            head.parameters.push(name.to_string());
            head.args.extend(arg);
            if has_argument {
                return Ok(true);
            }
            if !self.cursor.eat(",") {
                break;
            }
        }
        Ok(false)
    }

    /// `) { body }`: the values of a fused kernel.
    pub(super) fn fused_body(&mut self, head: FusedHead<'t>) -> Parsed<Vec<Expr>> {
        let FusedHead { start, open, names, parameters, args } = head;
        self.cursor.expect_closing(")", &open)?;
        let inner = Scope { names, form: Form::Fused, ..Scope::default() };
        let outer = std::mem::replace(&mut self.scope, inner);
        let body = self.block()?;
        self.scope = outer;
        self.leave();
        let count = body.len();
        self.charge(count)?;
        let origin = self.cursor.origin_from(start);
        let kernel = Expr::new(Kind::Fused(Box::new(Fused { parameters, args, body })), origin);
        Ok((0..count).map(|i| Expr::new(Kind::Item(kernel.clone(), i), origin)).collect())
    }

    pub(super) fn not_in_body(&self, start: usize, what: &'static str) -> Mistake {
        Mistake::fault(start..self.cursor.previous_end(), Fault::Body { what })
    }

    // Lists.

    /// `(item, item)`, between these marks; a comma may follow the last one.
    pub(super) fn list(
        &mut self,
        left: &str,
        right: &str,
        mut item: impl FnMut(&mut Parser<'t>) -> Parsed<()>,
    ) -> Parsed<()> {
        let open = self.cursor.token().clone();
        self.cursor.expect(left)?;
        while !self.cursor.token().is(right) {
            item(self)?;
            if !self.cursor.eat(",") {
                break;
            }
        }
        self.cursor.expect_closing(right, &open)
    }

    pub(super) fn list_of<T>(
        &mut self,
        mut item: impl FnMut(&mut Parser<'t>) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        self.list("(", ")", |parser| {
            items.push(item(parser)?);
            Ok(())
        })?;
        Ok(items)
    }

    // Limits.

    /// Goes one level deeper, unless that is too deep.
    pub(super) fn enter(&mut self) -> Parsed<()> {
        if self.depth == MAX_DEPTH {
            let message = format!("this is nested more than {MAX_DEPTH} deep");
            return Err(self.cursor.unexpected(&message).hint(hints::NESTED));
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts parts of the text before they take memory.
    pub(super) fn charge(&mut self, parts: usize) -> Parsed<()> {
        match self.parts_left.checked_sub(parts) {
            Some(left) => {
                self.parts_left = left;
                Ok(())
            }
            None => {
                let message = format!("the text has more than {MAX_PARTS} operations and numbers");
                Err(self.cursor.unexpected(&message).hint(hints::LARGE))
            }
        }
    }
}
