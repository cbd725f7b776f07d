//! What can go wrong when a kernel runs.

use crate::plan::ShapeError;
use kiln_ir::{BodyMisfit, Call, DType, MAX_RANK, WrittenMisfit};
use std::fmt;

/// What reads an input when an output in its place is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reread {
    /// A pass after the one that writes the output.
    Later,
    /// A matrix product, which reads its operands again and again.
    Product,
    /// The pass that writes the output, which reads elements in another order than it writes them.
    Order,
}

impl fmt::Display for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reread::Later => "a later pass reads again",
            Reread::Product => "the same matmul reads again and again",
            Reread::Order => "the same pass reads in another order than it writes",
        })
    }
}

/// An argument of a call: `input x`, `output 1`, `output 1 (price)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// An input.
    Input {
        /// Its position.
        index: usize,
        /// Its name, if it has one.
        name: Option<String>,
    },
    /// An output.
    Output {
        /// Its position.
        index: usize,
        /// Its name, if it has one.
        name: Option<String>,
    },
}

impl Argument {
    /// An input without a name.
    pub(super) fn input(index: usize) -> Argument {
        Argument::Input { index, name: None }
    }

    /// An output without a name.
    pub(super) fn output(index: usize) -> Argument {
        Argument::Output { index, name: None }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Input { name: Some(name), .. } => write!(f, "input {name}"),
            Argument::Input { index, .. } => write!(f, "input {index}"),
            Argument::Output { index, name: Some(name) } => write!(f, "output {index} ({name})"),
            Argument::Output { index, .. } => write!(f, "output {index}"),
        }
    }
}

/// Why a kernel did not run. Nothing was written, unless it was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The number of inputs is not the kernel's.
    #[error(
        "the kernel takes {} input{} ({}), found {found}; give one array for each, in this order",
        .inputs.len(), if .inputs.len() == 1 { "" } else { "s" }, .inputs.join(", ")
    )]
    InputCount {
        /// The kernel's, as declared.
        inputs: Vec<String>,
        /// How many were given.
        found: usize,
    },
    /// An array of Arrow in which elements are null.
    #[cfg(feature = "arrow")]
    #[error(
        "{nulls} of {length} elements are null, and a kernel knows no nulls: give it the numbers, \
         `array.values()`, and its results the nulls, `array.nulls()`"
    )]
    Nulls {
        /// How many are null.
        nulls: usize,
        /// How many elements there are.
        length: usize,
    },
    /// An array of Arrow whose elements are none of Kiln's where they lie.
    #[cfg(feature = "arrow")]
    #[error(
        "an array of {found} cannot be read where it lies: cast it to floats, UInt8, Int32 or Int64; \
         bools are packed in bits, unpack them"
    )]
    Column {
        /// Its type.
        found: String,
    },
    /// A name that no input has.
    #[error("the kernel has no input {name}; its inputs are {}", .inputs.join(", "))]
    NoInput {
        /// The name.
        name: String,
        /// The names of the inputs.
        inputs: Vec<String>,
    },
    /// An input given twice by name.
    #[error("input {name} is given twice")]
    InputTwice {
        /// Its name.
        name: String,
    },
    /// An input that a call by name does not give.
    #[error("input {input} is missing")]
    InputMissing {
        /// As declared.
        input: String,
    },
    /// An input of another shape than was declared.
    #[error("input {input} got shape {found:?}: {reason}")]
    InputShape {
        /// As declared.
        input: String,
        /// The shape given.
        found: Vec<usize>,
        /// What does not fit.
        reason: String,
    },
    /// Shapes that do not broadcast.
    #[error(
        "{}shapes {} do not broadcast: axis -{axis} is {} in one and {} in another; sizes must be \
         equal, or one of them 1{}", of(*.function), .operands.join(", "), .sizes[0], .sizes[1],
        at(.place)
    )]
    Broadcast {
        /// Each operand's name and shape.
        operands: Vec<String>,
        /// The axis that differs, counted from the last, which is 1.
        axis: usize,
        /// Two sizes that it has.
        sizes: [usize; 2],
        /// The function that they are a part of, if it is one of several ops, such as `mse`.
        function: Option<&'static str>,
        /// Where they were written, if that is known: a line of code, or a place in the text.
        place: Option<String>,
    },
    /// The number of outputs is not the kernel's.
    #[error(
        "the kernel has {expected} output{}, found {found}; give one array for each, in this order",
        if *.expected == 1 { "" } else { "s" }
    )]
    OutputCount {
        /// The kernel's number.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// An argument of the wrong element type.
    #[error("{}", dtype(.argument, *.expected, *.found))]
    DType {
        /// Which argument.
        argument: Argument,
        /// The kernel's type.
        expected: DType,
        /// The type given.
        found: DType,
    },
    /// A tensor taken as another element type than it has.
    #[error("the tensor is {found}, not {expected}: take it with `into_{found}`")]
    TensorDType {
        /// The type asked for.
        expected: DType,
        /// The tensor's type.
        found: DType,
    },
    /// A result taken as an array of another number of axes than it has.
    #[error(
        "the result has shape {found:?}, which is no array of {}; take it as {} or an `ArrayD`, by \
         `call_as` if a function gives it", axes(*.expected), rank(.found.len())
    )]
    TensorRank {
        /// The number of axes asked for.
        expected: usize,
        /// The result's shape.
        found: Vec<usize>,
    },
    /// An output of another shape than the result.
    #[error(
        "{output} has shape {found:?}, the result has shape {expected:?}; give an array of that shape"
    )]
    OutputShape {
        /// The output.
        output: Argument,
        /// The result's.
        expected: Vec<usize>,
        /// The output's.
        found: Vec<usize>,
    },
    /// An output that shares memory with another operand without being the same array.
    #[error(
        "{output} overlaps {other} in memory: an output may be exactly an input (same place, \
         shape and strides), or must lie elsewhere; copy {other} first"
    )]
    Overlap {
        /// The output.
        output: Argument,
        /// What it overlaps.
        other: Argument,
    },
    /// An output that is exactly an input which is still read after the output is written.
    #[error(
        "{output} is the memory of {other}, which {again}: this kernel cannot run in place; give another \
         output"
    )]
    InPlace {
        /// The output.
        output: Argument,
        /// The input.
        other: Argument,
        /// What reads it.
        again: Reread,
    },
    /// A place along an axis that the array does not have.
    #[error("{}: {}", .call.info().name, .call.no_place(*.place, *.axis, *.size))]
    Place {
        /// The call.
        call: Call,
        /// The place.
        place: i64,
        /// The axis.
        axis: usize,
        /// Its size.
        size: usize,
    },
    /// An output whose own elements share memory.
    #[error("elements of {output} overlap each other in memory (shape {shape:?})")]
    SelfOverlap {
        /// The output.
        output: Argument,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// An array with more axes than any kernel takes.
    #[error("{argument} has {found} axes, over {MAX_RANK}: merge some, or drop those of size 1")]
    Rank {
        /// Which array.
        argument: Argument,
        /// The number of its axes.
        found: usize,
    },
    /// An array too large for any address space.
    #[error("an array of shape {shape:?} and type {dtype} has more bytes than can be addressed")]
    TooLarge {
        /// Its shape.
        shape: Vec<usize>,
        /// Its element type.
        dtype: DType,
    },
    /// The allocator gave no memory.
    #[error("out of memory: {bytes} bytes for {}", purpose(.array))]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// The shape and the element type of a result; `None` of a kernel's intermediates.
        array: Option<(Vec<usize>, DType)>,
    },
    /// Somebody ended it ([`interruptible`](crate::interruptible)). What it was to write may be written in
    /// part.
    #[error("the call was interrupted")]
    Interrupted,
    /// Operands that a call, such as a product, does not accept.
    #[error(
        "{}{}", kiln_ir::misfit(.call, .operands.iter().map(|shape| format!("{shape:?}")), .reason),
        at(.place)
    )]
    Call {
        /// The call's name, or that of the function that it is a part of, such as `softmax`.
        call: &'static str,
        /// The operands' shapes.
        operands: Vec<Vec<usize>>,
        /// What does not fit, and a hint.
        reason: String,
        /// Where it was written, if that is known: a line of code, or a place in the text.
        place: Option<String>,
    },
}

impl RunError {
    /// This error as one of the graph that the user wrote, where shapes of its inputs do not fit so.
    pub(super) fn written(self, found: WrittenMisfit) -> RunError {
        let WrittenMisfit { misfit, function, place } = found;
        match (self, misfit) {
            (
                RunError::Call { .. } | RunError::Broadcast { .. },
                BodyMisfit::Call { call, operands, reason },
            ) => {
                let call = function.unwrap_or(call.info().name);
                RunError::Call { call, operands, reason, place }
            }
            (RunError::Broadcast { operands, axis, sizes, .. }, BodyMisfit::Broadcast) => {
                RunError::Broadcast { operands, axis, sizes, function, place }
            }
            (other, _) => other,
        }
    }
}

/// `1 axis`, `2 axes`.
fn axes(count: usize) -> String {
    if count == 1 { "1 axis".into() } else { format!("{count} axes") }
}

/// What holds a result of so many axes.
fn rank(axes: usize) -> String {
    match axes {
        0 => "a number".into(),
        1..=6 => format!("an `Array{axes}`"),
        _ => format!("an array of {axes} axes"),
    }
}

/// The beginning of what is said of a part of a function.
fn of(function: Option<&'static str>) -> String {
    function.map_or(String::new(), |function| format!("{function}: "))
}

/// The end of what is said of a place.
fn at(place: &Option<String>) -> String {
    place.as_ref().map_or(String::new(), |place| format!(" (written at {place})"))
}

impl From<ShapeError> for RunError {
    fn from(error: ShapeError) -> RunError {
        match error {
            ShapeError::Broadcast { operands, axis, sizes } => {
                RunError::Broadcast { operands, axis, sizes, function: None, place: None }
            }
            ShapeError::Call { call, operands, reason } => {
                RunError::Call { call: call.info().name, operands, reason, place: None }
            }
            ShapeError::TooLarge { shape, dtype } => RunError::TooLarge { shape, dtype },
        }
    }
}

/// What is said of an argument of the wrong element type.
fn dtype(argument: &Argument, expected: DType, found: DType) -> String {
    match argument {
        Argument::Input { name: Some(name), .. } => format!(
            "{argument} is {found}, the kernel takes {expected}; convert it, or declare {name}: {found}"
        ),
        Argument::Input { .. } => {
            format!("{argument} is {found}, the kernel takes {expected}; convert it")
        }
        Argument::Output { .. } => format!(
            "{argument} is {found}, the kernel gives {expected}; give an array of {expected}, or \
             convert the result to {found} in the kernel"
        ),
    }
}

/// What memory was asked for.
fn purpose(array: &Option<(Vec<usize>, DType)>) -> String {
    match array {
        Some((shape, dtype)) => format!("an array of shape {shape:?} and type {dtype}"),
        None => "intermediates".to_string(),
    }
}
