//! Checks of a call's arguments, before anything is written.

use super::error::{Argument, RunError};
use super::overlap;
use super::view::{View, ViewMut};
use crate::plan::{Action, Dims, Plan, Written};
use kiln_ir::{BindError, Binding, Graph, Input};

/// Checks number, types and declared shapes of inputs.
pub(super) fn inputs(inputs: &[Input], views: &[View<'_>]) -> Result<(), RunError> {
    if views.len() != inputs.len() {
        let inputs = inputs.iter().map(Input::to_string).collect();
        return Err(RunError::InputCount { inputs, found: views.len() });
    }
    let mut binding = Binding::default();
    for (index, (input, view)) in inputs.iter().zip(views).enumerate() {
        view.layout.check_rank(Argument::Input(index))?;
        if view.dtype() != input.dtype {
            let (expected, found) = (input.dtype, view.dtype());
            return Err(RunError::InputDType { name: input.name.clone(), expected, found });
        }
        binding.bind(input, view.shape()).map_err(|error| RunError::InputShape {
            input: input.to_string(),
            found: view.shape().to_vec(),
            reason: match error {
                BindError::Rank { expected } => format!("it must have {expected} axes"),
                BindError::Size { axis, expected } => format!("axis {axis} must be {expected}"),
                BindError::Symbol { axis, symbol, bound, by, .. } => {
                    format!("axis {axis}, {symbol}, is {bound} in input {by}")
                }
            },
        })?;
    }
    Ok(())
}

/// Checks outputs of the planned graph: number, types, shapes and overlaps. `shapes` are those of
/// the call.
pub(super) fn outputs<K>(
    plan: &Plan<K>,
    graph: &Graph,
    inputs: &[View<'_>],
    outputs: &[ViewMut<'_>],
    shapes: &[Dims],
) -> Result<(), RunError> {
    let (expected, found) = (graph.outputs().len(), outputs.len());
    if expected != found {
        return Err(RunError::OutputCount { expected, found });
    }
    for (index, output) in outputs.iter().enumerate() {
        let argument = Argument::Output(index);
        let (expected, found) = (graph.dtype(graph.outputs()[index]), output.dtype());
        if expected != found {
            return Err(RunError::DType { argument, expected, found });
        }
        let Written { step, shape } = plan.written[index];
        if shapes[shape][..] != *output.shape() {
            let (expected, found) = (shapes[shape].to_vec(), output.shape().to_vec());
            return Err(RunError::OutputShape { index, expected, found });
        }
        overlap::check_itself(index, &output.layout)?;
        for (other, earlier) in outputs[..index].iter().enumerate() {
            if overlap::overlap(&output.layout, &earlier.layout) {
                return Err(RunError::Overlap { output: argument, other: Argument::Output(other) });
            }
        }
        let mapped = matches!(plan.steps[step].action, Action::Map { .. });
        for (other_index, input) in inputs.iter().enumerate() {
            // Writing in place is fine in the pass that reads an input last, if both are the same
            // array. A matmul reads its operands again and again.
            if !overlap::overlap(&output.layout, &input.layout) {
                continue;
            }
            let other = Argument::Input(other_index);
            if !overlap::same(&output.layout, &input.layout) {
                return Err(RunError::Overlap { output: argument, other });
            }
            let read = plan.read[other_index];
            if read > step || (read == step && !mapped) {
                return Err(RunError::InPlace { output: argument, other });
            }
        }
    }
    Ok(())
}
