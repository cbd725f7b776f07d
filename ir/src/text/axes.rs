//! What is in brackets behind a function: `sum[-1](x)`, `softmax[..](x)`, `slice[0, 1:10:2](x)`,
//! `reshape[-1, 3](x)`.

use super::cursor::Parsed;
use super::error::Mistake;
use super::function::Function;
use super::lexer::TokenKind;
use super::parser::Parser;
use super::{hints, usage, words};
use crate::call::{
    Axes, Call, Concat, Gather, Iota, Pad, Permutation, Reduce, Reduction, Running, Scan, Sizes,
    Slice, View, Within, small_axis,
};
use crate::rowwise::Rowwise;

/// What brackets hold.
#[derive(Debug, Default)]
pub(super) struct Brackets {
    /// `..`.
    all: bool,
    numbers: Vec<i64>,
    /// `start:stop:step`, which comes last.
    range: Option<(Option<i64>, Option<i64>, i64)>,
}

impl Brackets {
    pub(super) fn of(numbers: Vec<i64>) -> Brackets {
        Brackets { numbers, ..Brackets::default() }
    }

    fn axes(&self) -> Result<Axes, String> {
        match (self.all, self.range) {
            (true, None) => Ok(Axes::ALL),
            (false, None) => Axes::some(&self.numbers),
            (_, Some(_)) => Err("axes are numbers".into()),
        }
    }

    fn numbers(&self) -> Result<&[i64], String> {
        match (self.all, self.range) {
            (false, None) => Ok(&self.numbers),
            _ => Err("write numbers".into()),
        }
    }
}

impl Function {
    /// The function of this name with these brackets, which may be wrong for it; `None` where it has
    /// none.
    pub(super) fn with(name: &str, brackets: &Brackets) -> Option<Result<Function, String>> {
        let name = words::function(name);
        if let Some(by) = Reduction::from_name(name) {
            let reduce = |axes| Function::Call(Call::Reduce(Reduce { by, axes }));
            return Some(brackets.axes().map(reduce));
        }
        if let Some(row) = Rowwise::from_name(name) {
            return Some(brackets.axes().map(|axes| Function::Rowwise(row, axes)));
        }
        if let Some(call) = call(name, brackets) {
            return Some(call.map(Function::Call));
        }
        if name == "one_hot" {
            let depth = brackets.numbers().and_then(|numbers| match numbers {
                &[depth] => Ok(depth),
                _ => Err("write how many there are".into()),
            });
            return Some(depth.map(Function::OneHot));
        }
        let view = view(name, brackets)?;
        Some(view.and_then(View::checked).map(|view| Function::Call(Call::View(view))))
    }

    /// Whether functions of this name have axes.
    pub(super) fn has_axes(name: &str) -> bool {
        Function::with(name, &Brackets::default()).is_some()
    }
}

/// The call of this name that is no view.
fn call(name: &str, brackets: &Brackets) -> Option<Result<Call, String>> {
    let axis = || match brackets.numbers() {
        Ok(&[axis]) => small_axis(axis),
        _ => Err("write one axis".to_string()),
    };
    let scan = |by| axis().map(|axis| Call::Scan(Scan { by, axis }));
    let gather = |along| axis().map(|axis| Call::Gather(Gather { along, axis }));
    let iota = || match brackets.numbers() {
        Ok(&[axis]) => Iota::new(axis, None),
        Ok(&[axis, size]) => Iota::new(axis, Some(size)),
        _ => Err("write an axis, or an axis and a size".into()),
    };
    Some(match name {
        "concat" => axis().map(|axis| Call::Concat(Concat { axis })),
        "take" => gather(false),
        "take_along" => gather(true),
        "iota" => iota().map(Call::Iota),
        "iota32" => iota().map(|iota| Call::Iota(iota.short())),
        "labels" => axis().map(|axis| Call::Within(Within { axis })),
        "cumsum" => scan(Running::Sum),
        "cumprod" => scan(Running::Product),
        "pad" => match brackets.numbers() {
            Ok(&[axis, before, after]) => Pad::new(axis, before, after).map(Call::Pad),
            _ => Err("write an axis and two counts".into()),
        },
        _ => return None,
    })
}

/// The view of this name.
fn view(name: &str, brackets: &Brackets) -> Option<Result<View, String>> {
    let sizes = || brackets.numbers().and_then(Sizes::new);
    Some(match name {
        "permute" | "transpose" => brackets.numbers().and_then(Permutation::new).map(View::Permute),
        "swapaxes" => match brackets.numbers() {
            Ok(&[a, b]) => View::swap(a, b),
            _ => Err("write two axes".into()),
        },
        "slice" => match (&brackets.numbers[..], brackets.range) {
            (&[axis], Some((start, stop, step))) => {
                Slice::new(axis, start, stop, step).map(View::Slice)
            }
            _ => Err("write an axis and a range".into()),
        },
        "flip" => brackets.axes().map(View::Flip),
        "squeeze" => brackets.axes().map(View::Squeeze),
        "unsqueeze" => brackets.axes().map(View::Unsqueeze),
        "expand" => sizes().map(View::Expand),
        "reshape" => sizes().map(View::Reshape),
        _ => return None,
    })
}

/// Whether what is in the brackets of a function of this name is axes.
fn is_along(name: &str) -> bool {
    let name = words::function(name);
    Reduction::from_name(name).is_some() || Rowwise::from_name(name).is_some()
}

/// What stands in the brackets of a function of this name.
fn attributes(name: &str) -> String {
    let example = usage::example(words::function(name)).filter(|_| !is_along(name));
    example.map_or(hints::AXES.into(), |example| hints::fill(hints::USAGE, &[&example]))
}

impl Parser<'_> {
    /// The function of this name with the brackets that come next; `None` where it has none.
    pub(super) fn bracketed(&mut self, name: &str) -> Parsed<Option<Function>> {
        let open = self.cursor.token().clone();
        self.cursor.expect("[")?;
        let mut brackets = Brackets { all: self.cursor.eat(".."), ..Brackets::default() };
        while !brackets.all && brackets.range.is_none() && !self.cursor.token().is("]") {
            let is_range =
                |parser: &Self| [":", "::"].iter().any(|it| parser.cursor.token().is(it));
            let start = if is_range(self) { None } else { Some(self.axis(name)?) };
            match (is_range(self), start) {
                (false, Some(number)) => brackets.numbers.push(number),
                _ => brackets.range = Some(self.range(name, start)?),
            }
            if !self.cursor.eat(",") {
                break;
            }
        }
        self.cursor.expect_closing("]", &open)?;
        let span = open.span.start..self.cursor.previous_end();
        match Function::with(name, &brackets) {
            Some(Err(reason)) => Err(Mistake::new(span, reason).hint(attributes(name))),
            Some(Ok(function)) => Ok(Some(function)),
            None => Ok(None),
        }
    }

    /// `:stop:step`, after `start`.
    fn range(&mut self, name: &str, start: Option<i64>) -> Parsed<(Option<i64>, Option<i64>, i64)> {
        let bound = |parser: &mut Self| match [":", "]", ","]
            .iter()
            .any(|end| parser.cursor.token().is(end))
        {
            true => Ok(None),
            false => parser.axis(name).map(Some),
        };
        let (stop, has_step) = match self.cursor.eat("::") {
            true => (None, true),
            false => {
                self.cursor.expect(":")?;
                (bound(self)?, self.cursor.eat(":"))
            }
        };
        let step = if has_step { bound(self)? } else { None };
        Ok((start, stop, step.unwrap_or(1)))
    }

    fn axis(&mut self, name: &str) -> Parsed<i64> {
        let is_negative = self.cursor.eat("-");
        let number = match self.cursor.token().kind {
            TokenKind::Number { number, dtype: None } => number.integer(),
            _ => None,
        };
        let Some(axis) = number else {
            let what = if is_along(name) { "an axis" } else { "a number" };
            let is_symbol =
                what == "a number" && matches!(self.cursor.token().kind, TokenKind::Word(_));
            let only = if is_symbol { hints::ONLY_NUMBERS } else { "" };
            return Err(self.cursor.expected(what).hint(format!("{only}{}", attributes(name))));
        };
        self.cursor.advance();
        Ok(if is_negative { -axis } else { axis })
    }
}
