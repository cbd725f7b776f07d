//! Whether a kernel is what a function's types say.

use super::outputs::{Elements, Outputs};
use crate::error::SignatureError;
use crate::run::Kernel;
use kiln_ir::Input;

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
            let name = kernel.graph().output_name(index).map(str::to_string);
            return Err(SignatureError::Output { index, name, expected, found });
        }
    }
    Ok(())
}
