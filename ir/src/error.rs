//! What can be wrong with a graph. Messages name the op and the shapes, and give a hint.

use crate::dtype::DType;
use crate::shape::{BroadcastError, Shape};
use crate::written::Written;
use std::fmt;
use std::ops::RangeInclusive;
use std::panic::Location;

/// Where the user wrote the faulty expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A line of Rust.
    Code(&'static Location<'static>),
    /// A byte range of kernel text.
    Text {
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
}

/// A graph that cannot be built: what is wrong, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// What is wrong.
    pub fault: Fault,
    /// Where it was written, if known.
    pub origin: Option<Origin>,
    /// The function that it is a part of, where that is made of several ops: `softmax`.
    pub function: Option<&'static str>,
}

/// What is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Operand shapes do not broadcast.
    Broadcast {
        /// The op's name.
        op: &'static str,
        /// Shape of the left operand.
        left: Shape,
        /// Shape of the right operand.
        right: Shape,
        /// The axis that differs.
        axis: BroadcastError,
    },
    /// Operands of a call do not fit.
    Call {
        /// Its name.
        call: &'static str,
        /// The operands' shapes.
        operands: Vec<Shape>,
        /// What does not fit, and a hint.
        reason: String,
    },
    /// An argument that a function of arrays does not take.
    Argument {
        /// The function's name.
        function: &'static str,
        /// What is wrong, and a hint.
        reason: String,
    },
    /// Axes that no array has, or that are there twice.
    Axes {
        /// The op's name.
        op: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Operand types do not fit the op.
    Types {
        /// The op's name.
        op: &'static str,
        /// The operand types.
        operands: Vec<DType>,
        /// What the op takes.
        hint: &'static str,
    },
    /// A number cannot have the type that it takes: a float among integers, an integer that is out of
    /// range, a finite number that would become infinite.
    Number {
        /// The number.
        value: String,
        /// The type.
        dtype: DType,
    },
    /// Arithmetic on finite numbers alone goes beyond the largest `f64`.
    Overflow {
        /// The op's name.
        op: &'static str,
        /// The numbers.
        operands: Vec<String>,
    },
    /// A function got the wrong number of arguments.
    Arity {
        /// Its name.
        op: String,
        /// How many it takes.
        expected: RangeInclusive<usize>,
        /// How many it got.
        found: usize,
    },
    /// One input name with two types or shapes.
    InputTwice {
        /// The name.
        name: String,
        /// First declaration.
        first: String,
        /// Second declaration.
        second: String,
    },
    /// An input declaration that cannot be read.
    Declaration {
        /// The text.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// An input that is not among the parameters of a function.
    NoParameter {
        /// Its name.
        name: String,
    },
    /// The body of a fused kernel is not elementwise.
    Body {
        /// What it holds.
        what: &'static str,
    },
    /// A kernel without outputs.
    NoOutputs,
    /// More nodes than a graph may have.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// More inputs than a graph may have.
    TooManyInputs {
        /// The limit.
        limit: usize,
    },
    /// More outputs than a kernel may have.
    TooManyOutputs {
        /// The limit.
        limit: usize,
    },
}

impl Fault {
    /// This fault, written at `origin`.
    pub fn at(self, origin: Option<Origin>) -> GraphError {
        GraphError { fault: self, origin, function: None }
    }
}

impl GraphError {
    /// This error, written there if no closer place is known.
    pub(crate) fn or_at(self, written: Written) -> GraphError {
        match self.origin {
            Some(_) => self,
            None => {
                let Written { function, origin } = written;
                GraphError { origin: Some(origin), function, ..self }
            }
        }
    }
}

impl From<Fault> for GraphError {
    fn from(fault: Fault) -> GraphError {
        fault.at(None)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Broadcast { op, left, right, axis } => write!(
                f,
                "{op}: shapes {left} and {right} do not broadcast: axis -{} is {} on the left and \
                 {} on the right; sizes must be equal, or one of them 1",
                axis.axis_from_end, axis.left, axis.right
            ),
            Fault::Call { call, operands, reason } => {
                f.write_str(&misfit(call, operands.iter().map(Shape::to_string), reason))
            }
            Fault::Argument { function: name, reason } | Fault::Axes { op: name, reason } => {
                write!(f, "{name}: {reason}")
            }
            Fault::Types { op, operands, hint } => {
                let names: Vec<&str> = operands.iter().map(|d| d.name()).collect();
                write!(f, "{op}: operands are {}; {hint}", names.join(" and "))
            }
            Fault::Number { value, dtype } => number(f, value, *dtype),
            Fault::Overflow { op, operands } => {
                let s = if operands.len() == 1 { "" } else { "s" };
                let numbers = operands.join(" and ");
                write!(
                    f,
                    "{op} of the number{s} {numbers} is too large for f64; infinity is written inf"
                )
            }
            Fault::Arity { op, expected, found } => {
                let (least, most) = (expected.start(), expected.end());
                let (count, last) = match *most {
                    usize::MAX => (format!("at least {least}"), least),
                    _ if least == most => (most.to_string(), most),
                    _ => (format!("{least} to {most}"), most),
                };
                let s = if *last == 1 { "" } else { "s" };
                write!(f, "{op} takes {count} argument{s}, found {found}")
            }
            Fault::InputTwice { name, first, second } => {
                write!(f, "input {name} is declared twice")?;
                if first != second {
                    write!(f, ", as {first} and as {second}")?;
                }
                f.write_str("; use one declaration")
            }
            Fault::Declaration { text, reason } => write!(
                f,
                "cannot read the input declaration {text:?}: {reason}; write a name such as \
                 \"x\", or a name and a type such as \"x: f32[n, 3]\""
            ),
            Fault::NoParameter { name } => {
                write!(f, "input {name} is no parameter of the function; make it one")
            }
            Fault::Body { what } => write!(
                f,
                "{what} cannot stand in a fused body, which has elementwise ops, reductions \
                 and one matmul by a parameter; compute it outside and pass it in as an argument"
            ),
            Fault::NoOutputs => {
                f.write_str("the kernel has no output; give at least one expression")
            }
            Fault::TooLarge { limit } => {
                write!(f, "the kernel has more than {limit} nodes; split it into several kernels")
            }
            Fault::TooManyInputs { limit } => {
                write!(f, "the kernel has more than {limit} inputs; stack them into fewer arrays")
            }
            Fault::TooManyOutputs { limit } => {
                write!(f, "the kernel has more than {limit} outputs; split it into several kernels")
            }
        }
    }
}

/// What is said of a call whose operands, of these shapes, do not fit.
#[doc(hidden)]
pub fn misfit(call: &str, operands: impl Iterator<Item = String>, reason: &str) -> String {
    let shapes: Vec<String> = operands.collect();
    match &shapes[..] {
        [shape] => format!("{call}: the shape {shape} does not fit: {reason}"),
        _ => format!("{call}: shapes {} do not fit: {reason}", shapes.join(" and ")),
    }
}

/// The message for a number that a type does not have.
fn number(f: &mut fmt::Formatter<'_>, value: &str, dtype: DType) -> fmt::Result {
    match (dtype.integer_range(), dtype) {
        (Some((least, most)), _) => {
            let is_float = value.contains(|c: char| !(c.is_ascii_digit() || c == '-'));
            let is_whole = value.parse().is_ok_and(|value: f64| value.fract() == 0.0);
            let hint = match is_float {
                true if is_whole => {
                    "write an integer without a point, or convert what it meets, as in f32(x)"
                        .into()
                }
                true => "convert what it meets, as in f32(x); integers have no fractions".into(),
                false => format!(
                    "write an integer from {least} to {most}, or convert what it meets, as in f32(x)"
                ),
            };
            write!(f, "the number {value} is no {dtype}; {hint}")
        }
        (None, DType::Bool) => write!(
            f,
            "the number {value} is no bool; write true or false, or a comparison as in x != 0"
        ),
        _ => {
            // In the fewest digits that give the number back.
            let most = match dtype {
                DType::F32 => format!("{:e}", f32::MAX),
                _ => format!("{:e}", dtype.largest()),
            };
            let hint = match dtype {
                DType::F64 => "infinity is written inf",
                DType::F32 => {
                    "declare inputs of type f64 (x: f64) or convert one (f64(x)); infinity is \
                     written inf"
                }
                _ => "convert to a wider type; infinity is written inf",
            };
            write!(
                f,
                "the number {value} is too large for {dtype}, whose largest is {most}; {hint}"
            )
        }
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told())?;
        match self.origin {
            Some(Origin::Code(location)) => write!(f, " (written at {location})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for GraphError {}
