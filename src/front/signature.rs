//! Whether a kernel is what a function's types say.

use super::outputs::{Elements, Outputs};
use crate::run::Kernel;
use kiln_ir::{DType, Input};

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
        "output {index} is {found} in the kernel, and {expected} in the function: say so, as in \
         `|x| -> {found} {{ .. }}`, or convert it, as in `y.cast(DType::{expected:?})`"
    )]
    Output {
        /// Which output.
        index: usize,
        /// The function's element type.
        expected: DType,
        /// The kernel's.
        found: DType,
    },
}

/// Checks that a kernel has inputs of the element types `I` and outputs of `O`.
pub(super) fn check<I: Elements, O: Outputs>(kernel: &Kernel) -> Result<(), SignatureError> {
    let (inputs, outputs) = (kernel.inputs(), kernel.output_count());
    if inputs.len() != I::DTYPES.len() {
        let found = inputs.iter().map(Input::to_string).collect();
        return Err(SignatureError::InputCount { expected: I::DTYPES.len(), found });
    }
    if !kernel.graph().inputs_are_ordered() {
        let inputs = inputs.iter().map(|input| input.name.clone()).collect();
        return Err(SignatureError::Order { inputs });
    }
    for (input, &expected) in inputs.iter().zip(I::DTYPES) {
        if input.dtype != expected {
            let (name, found) = (input.name.clone(), input.dtype);
            return Err(SignatureError::Input { name, expected, found });
        }
    }
    if outputs != O::DTYPES.len() {
        return Err(SignatureError::OutputCount { expected: O::DTYPES.len(), found: outputs });
    }
    for (index, &expected) in O::DTYPES.iter().enumerate() {
        let found = kernel.output_dtype(index);
        if found != expected {
            return Err(SignatureError::Output { index, expected, found });
        }
    }
    Ok(())
}
