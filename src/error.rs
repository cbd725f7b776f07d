//! Why there is no kernel, or no function, or no result.

use crate::profile::ProfileError;
use crate::run::RunError;
use kiln_ir::{DType, GraphError, TextError};
use kiln_jit::emit::EmitError;
use std::fmt;

/// What can go wrong from an expression to its results: for functions that compile, call and measure.
///
/// ```
/// use ndarray::{Array1, array};
///
/// fn softsign(x: &Array1<f32>) -> kiln::Result<Array1<f32>> {
///     Ok(kiln::fuse!(|x| x / (1.0 + x.abs()))?.call(x)?)
/// }
/// assert_eq!(softsign(&array![1.0, -3.0])?, array![0.5, -0.75]);
/// # Ok::<(), kiln::Error>(())
/// ```
///
/// Its `Debug` is its text, for that is what a `main` that returns it prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no kernel.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A call failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing was measured.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The result of what compiles and calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! from_parts {
    ($($part:ty),*) => {$(
        impl From<$part> for Error {
            fn from(part: $part) -> Error {
                CompileError::from(part).into()
            }
        }
    )*};
}

from_parts!(GraphError, TextError, EmitError, SignatureError);

/// Why a kernel was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The expression is wrong: shapes, types, declarations.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The text cannot be read, or is wrong.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No code can be made on this machine.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The kernel is no function of the types asked for.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A kernel that is no function of the types asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It has another number of inputs.
    #[error("the function has {expected} inputs, the kernel has {}: {}", .found.len(), .found.join(", "))]
    InputCount {
        /// The function's number.
        expected: usize,
        /// The kernel's, as declared.
        found: Vec<String>,
    },
    /// Its text does not say the order of its inputs.
    #[error(
        "the text does not say the order of the inputs {}: write `|{}| ..`, or give them by name, \
         as in `kernel.bind().input({:?}, ..)`", .inputs.join(", "), .inputs.join(", "), .inputs[0]
    )]
    Order {
        /// The names of the inputs, in order of first use.
        inputs: Vec<String>,
    },
    /// An input has another element type.
    #[error("input {name} is {found} in the kernel, and {expected} in the function")]
    Input {
        /// Its name.
        name: String,
        /// The function's element type.
        expected: DType,
        /// The kernel's.
        found: DType,
    },
    /// It has another number of outputs.
    #[error("the function has {expected} outputs, the kernel {found}")]
    OutputCount {
        /// The function's number.
        expected: usize,
        /// The kernel's.
        found: usize,
    },
    /// An output has another element type.
    #[error(
        "output {index}{} is {found} in the kernel, and {expected} in the function: say so, as in \
         `|x| -> {found} {{ .. }}`, or convert it, as in `y.cast(DType::{expected:?})`",
        .name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
    )]
    Output {
        /// Which output.
        index: usize,
        /// Its name, if it has one.
        name: Option<String>,
        /// The function's element type.
        expected: DType,
        /// The kernel's.
        found: DType,
    },
}
