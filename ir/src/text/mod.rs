//! Kernels as text: one grammar, parsed and printed.
//!
//! [`FromStr`] reads what `Display` of a [`Graph`] prints, and gives an equal graph.
//!
//! ```
//! use kiln_ir::Graph;
//!
//! let text = "\
//! kernel bias_gelu(x: f32[n, d], w: f32[d], b: f32[d]) -> f32[n, d] {
//!     let t0 = x * w + b;
//!     0.5 * t0 * (1 + tanh(0.7978846 * (t0 + 0.044715 * (t0 * t0 * t0))))
//! }
//! ";
//! let graph: Graph = text.parse().unwrap();
//! assert_eq!(graph.to_string(), text);
//! ```
//!
//! # Grammar
//!
//! ```text
//! text       = kernel | closure | body
//! kernel     = "kernel" name "(" [ parameter { "," parameter } ] ")" [ "->" results ] "{" body "}"
//! closure    = "|" [ parameter { "," parameter } ] "|" ( body | [ "->" results ] "{" body "}" )
//! parameter  = name [ ":" type ]
//! results    = type | "(" type { "," type } ")"
//! type       = dtype [ "[" ".." "]" | "[" [ dim { "," dim } ] "]" ]
//! dtype      = "f32" | "f64" | "f16" | "bf16" | "u8" | "i32" | "i64" | "bool"
//! dim        = name | digits
//! body       = { binding } outputs
//! binding    = "let" name "=" expr ";"
//!            | "let" "(" name { "," name } ")" "=" fused ";"
//! outputs    = expr | "(" expr { "," expr } ")" | fused
//! expr       = expr ("|" | "||" | "or") expr | expr ("&" | "&&" | "and") expr | "not" expr
//!            | expr ("<" | "<=" | ">" | ">=" | "==" | "!=") expr | expr ("<<" | ">>") expr
//!            | expr ("+" | "-") expr | expr ("*" | "/" | "//" | "%" | "@") expr
//!            | ("-" | "+" | "!" | "~") expr | expr ("^" | "**") expr | primary
//! primary    = number | "true" | "false" | "inf" | "nan" | "pi" | bits
//!            | name | call | fused | "(" expr ")"
//! number     = digits [ "." digits ] [ "e" [ "+" | "-" ] digits ] [ dtype ]
//!            | ("0x" | "0b" | "0o") digits
//! bits       = ("bits32" | "bits64") "(" "0x" digits ")"
//! call       = name [ axes ] "(" [ expr { "," expr } ] ")"
//! axes       = "[" ".." "]" | "[" [ "-" ] digits { "," [ "-" ] digits } "]"
//! fused      = "fused" "(" [ argument { "," argument } ] ")" "{" body "}"
//! argument   = name [ "=" expr ]
//! ```
//!
//! Operators are listed from the loosest to the tightest. All group to the left, but for `^`,
//! which groups to the right and binds more tightly than a sign (`-x^2` is `-(x^2)`), and
//! comparisons, which do not chain. `@` is the matrix product. Comments run from `#` to the end of
//! the line. A comma may follow the last item of a list, and a `_` stand between digits.
//!
//! - **A closure** names its inputs in the order of a call: `|p, lr, g| p - lr*g`. It is a kernel
//!   named `kernel` in a shorter form: `|x: f32[n, d], w: f64| ..`. A parameter is an input even
//!   where nothing reads it, and unknown names are errors, as in a kernel with a head.
//! - **A bare body** is a kernel named `kernel` whose unknown names are its inputs, in order of
//!   first appearance: `0.5*x*(1+erf(x/sqrt(2)))` has the input `x: f32[..]`. [`parse_with`] gives
//!   them other types. That order changes with the expression, so where there are several inputs,
//!   name them first ([`Graph::inputs_are_ordered`]).
//! - **Constants.** `inf` and `nan` are numbers, never names. `pi` is π unless it is declared, bound
//!   by `let`, or typed by the caller of [`parse_with`]. There is no `e`, a likely name of an
//!   input: write `exp(x)`.
//! - **Numbers** are weakly typed unless they have a suffix, as in Rust code: `2f64`, `255u8`. One
//!   with a point or an exponent is a float, and so is what is computed from one, and a quotient:
//!   `x / 2.0` of an integer array is an error, as is `x / 2.5`. What is computed from numbers alone is
//!   exact among integers, an `f64` else. A number that its type does not have is an error; one that
//!   becomes 0, as `1e-60` does in `f32`, is a [note](Graph::notes). `bits32(0x7fc00001)` is a number by
//!   its bits, for NaNs of every kind.
//! - **Bools** are 0 and 1 in arithmetic; see [`DType`].
//! - **Functions** are the ops by their names, the [derived](crate::derived) ops, and `matmul`.
//!   `f32(x)`, `i32(x)`, `bool(x)` and their like convert. `xor(a, b)` is a function, for `^` is a
//!   power. Many names that NumPy, PyTorch, Python and C have for them are understood too: `where`,
//!   `maximum`, `arcsin`, `power`, `True`; of others the message says what to write.
//! - **Reductions** have axes in brackets, counted from the last, which is -1, or from the first, which is
//!   0: `sum[-1](x)`, `softmax[-2, -1](x)`, `max[..](x)` for all axes. `sum(x)` is `sum[..](x)`, but
//!   `max(x, y)` and `min(x, y)` are elementwise. Axes that are named stay, with size 1, so that
//!   `x - mean[-1](x)` broadcasts; of all axes the result is a single number.
//! - **Division.** `/` of integers is rounded toward zero, and `a % b` has the sign of `a`, as in Rust and
//!   C. `a // b` is rounded down, and `mod(a, b)` has the sign of `b`, as in Python. Of integers each is
//!   0 where `b` is 0.
//! - **Logic.** `&`, `|` and `!` (or `~`) are logical ops on bools, bit by bit on integers. The words
//!   `and`, `or` and `not`, and `&&` and `||`, ask of any number whether it is not zero, and give a bool.
//! - **`x^n`** with an integer literal `n` is [`Expr::powi`](crate::Expr::powi), else it is
//!   [`Expr::pow`](crate::Expr::pow). Integers have powers by such literals alone.
//! - **`fused(x, w = u * 2) { .. }`** is a fused kernel: its body sees its parameters only, and is
//!   elementwise. A parameter named like what it is bound to is written once. Each result has the shape
//!   of what the body gives, whatever else the kernel loads.
//! - **A binding that no result needs** is read, but its types and shapes are not checked, and it
//!   is not part of the graph.
//!
//! Text may come from strangers: its length, its nesting and the size of the graph are bounded
//! ([`MAX_TEXT`], [`MAX_DEPTH`], [`MAX_NODES`](crate::MAX_NODES)), and no text makes the parser
//! panic.

mod axes;
mod cursor;
mod error;
mod expression;
mod function;
mod grammar;
mod head;
mod hints;
mod lexer;
mod named;
mod names;
mod parser;
mod printer;
mod suggest;
#[cfg(test)]
mod tests;
mod usage;
mod words;

use crate::build::build_with_inputs;
use crate::declaration::ArrayType;
use crate::dtype::DType;
use crate::error::Origin;
use crate::graph::{Graph, Input};
use crate::shape::Shape;
use error::{Mistake, plural};
use parser::{Kernel, Parser};
use std::str::FromStr;

pub use error::TextError;
pub use grammar::{MAX_DEPTH, MAX_TEXT};
pub use parser::FreeInput;
pub use words::{SPECIAL, Special, function as function_name};

/// Reads a kernel; inputs without a type are `f32[..]`.
///
/// ```
/// let graph = kiln_ir::parse("0.5*x*(1+erf(x/sqrt(2)))").unwrap();
/// assert_eq!(graph.inputs()[0].to_string(), "x: f32[..]");
/// let sgd = kiln_ir::parse("|p, lr: f32[], g| p - lr*g").unwrap();
/// assert_eq!(sgd.inputs()[1].to_string(), "lr: f32[]");
/// ```
pub fn parse(text: &str) -> Result<Graph, TextError> {
    parse_with(text, |_| None)
}

/// Reads a kernel, with the caller's types for inputs that the text does not type.
///
/// Where `type_of` knows `pi`, that is an input too.
///
/// ```
/// use kiln_ir::{DType, parse_with};
///
/// let graph = parse_with("a * x + b", |name| (name == "x").then_some((DType::F64, None))).unwrap();
/// let inputs: Vec<String> = graph.inputs().iter().map(|input| input.to_string()).collect();
/// assert_eq!(inputs, ["a: f32[..]", "x: f64[..]", "b: f32[..]"]);
/// ```
pub fn parse_with(
    text: &str,
    type_of: impl Fn(&str) -> Option<ArrayType>,
) -> Result<Graph, TextError> {
    let _env = kiln_fenv::hold_default();
    crate::span!(DEBUG, "parse", bytes = text.len());
    let is_input = |name: &str| type_of(name).is_some();
    let graph = read(text, &is_input).and_then(|kernel| build(text, kernel, &type_of));
    let mut graph = graph.map_err(|mistake| locate(text, mistake))?;
    for note in graph.notes_mut() {
        if let Some(Origin::Text { start, end }) = note.origin {
            let place = Mistake::new(start..end, note.message.clone()).hint(note.hint);
            note.shown = Some(locate(text, place).to_string());
        }
    }
    Ok(graph)
}

/// The inputs of a text, in order, without a look at types.
///
/// ```
/// let inputs = kiln_ir::free_inputs("kernel f(x, y: bool) { select(y, x, 0) }").unwrap();
/// assert_eq!(inputs[0].name, "x");
/// assert_eq!(inputs[0].declared, None);
/// assert_eq!(inputs[1].declared, Some((kiln_ir::DType::Bool, None)));
/// ```
pub fn free_inputs(text: &str) -> Result<Vec<FreeInput>, TextError> {
    let _env = kiln_fenv::hold_default();
    read(text, &|_| false).map(|kernel| kernel.inputs).map_err(|mistake| locate(text, mistake))
}

impl FromStr for Graph {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Graph, TextError> {
        parse(text)
    }
}

fn read(text: &str, is_input: &dyn Fn(&str) -> bool) -> Result<Kernel, Mistake> {
    if text.len() > MAX_TEXT {
        let message = format!("the text is {} bytes long, over {MAX_TEXT}", text.len());
        return Err(Mistake::new(0..0, message));
    }
    Parser::new(text, is_input).kernel()
}

fn build(
    text: &str,
    kernel: Kernel,
    type_of: &dyn Fn(&str) -> Option<ArrayType>,
) -> Result<Graph, Mistake> {
    let typed = |input: FreeInput| {
        let declared = input.declared.or_else(|| type_of(&input.name));
        let (dtype, dims) = declared.unwrap_or((DType::F32, None));
        Input { name: input.name, dtype, dims }
    };
    let inputs: Vec<Input> = kernel.inputs.into_iter().map(typed).collect();
    let graph = build_with_inputs(&kernel.name, &inputs, &kernel.outputs).map_err(|error| {
        let span = match error.origin {
            Some(Origin::Text { start, end }) => start..end,
            _ => 0..0,
        };
        Mistake::error(span, error)
    })?;
    let graph = graph.with_output_names(kernel.output_names).in_text(text);
    if let Some((declared, span)) = kernel.results {
        check_results(&graph, &declared)
            .map_err(|message| Mistake::new(span, message).hint(hints::RESULT_TYPE))?;
    }
    Ok(if kernel.ordered { graph } else { graph.with_found_inputs() })
}

/// Whether outputs are what the text declares.
fn check_results(graph: &Graph, declared: &[ArrayType]) -> Result<(), String> {
    if graph.outputs().len() != declared.len() {
        let (types, results) = (declared.len(), plural(graph.outputs().len(), "result"));
        return Err(format!("the kernel has {results}, but {types} types are declared"));
    }
    for (index, (&output, (dtype, dims))) in graph.outputs().iter().zip(declared).enumerate() {
        let (actual, shape) = (graph.dtype(output), graph.shape(output));
        let fits = dims.is_none() || dims.as_deref() == shape.dims();
        if *dtype != actual || !fits {
            let dims = dims.clone().map_or("[..]".to_string(), |d| Shape::new(d).to_string());
            let result = match (declared.len(), graph.output_name(index)) {
                (1, _) => "the result".to_string(),
                (_, Some(name)) => format!("result {index} ({name})"),
                (_, None) => format!("result {index}"),
            };
            return Err(format!("{result} is {actual}{shape}, but {dtype}{dims} is declared"));
        }
    }
    Ok(())
}

/// A mistake in its line. Where words stand after `//`, they are likely an old comment.
fn locate(text: &str, mistake: Mistake) -> TextError {
    let error = TextError::new(text, mistake);
    let word = ["expected", "unknown name"].iter().any(|start| error.message().starts_with(start));
    match word && error.is_after("//", text) {
        true => error.with_hint(hints::COMMENTS),
        false => error,
    }
}
