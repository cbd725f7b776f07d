//! Checks of a call's arguments, before anything is written.

use super::error::{Argument, Reread, RunError};
use super::overlap;
use super::view::{View, ViewMut};
use crate::plan::{Access, Action, Dims, Place, Plan, Written};
use kiln_ir::{Binding, Graph, Input};
use std::borrow::Borrow;

/// Checks number, types and declared shapes of inputs.
#[inline]
pub(super) fn inputs(inputs: &[Input], views: &[View<'_>]) -> Result<(), RunError> {
    count(inputs, views)?;
    fit(inputs.iter().zip(views))
}

/// Checks the number of inputs.
#[inline]
pub(super) fn count(inputs: &[Input], views: &[View<'_>]) -> Result<(), RunError> {
    if views.len() != inputs.len() {
        let inputs = inputs.iter().map(Input::to_string).collect();
        return Err(RunError::InputCount { inputs, found: views.len() });
    }
    Ok(())
}

/// Checks types and declared shapes of inputs.
#[inline]
pub(super) fn fit<'i, 'v>(
    inputs: impl Iterator<Item = (&'i Input, impl Borrow<View<'v>>)>,
) -> Result<(), RunError> {
    let mut binding = Binding::default();
    for (index, (input, view)) in inputs.enumerate() {
        let view = view.borrow();
        let argument = || Argument::Input { index, name: Some(input.name.clone()) };
        view.layout.check_rank(argument)?;
        if view.dtype() != input.dtype {
            let (expected, found) = (input.dtype, view.dtype());
            return Err(RunError::DType { argument: argument(), expected, found });
        }
        binding.bind(input, view.shape()).map_err(|error| RunError::InputShape {
            input: input.to_string(),
            found: view.shape().to_vec(),
            reason: error.to_string(),
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
    let named = |index: usize| Argument::Output {
        index,
        name: graph.output_name(index).map(str::to_string),
    };
    // Told only if nothing else is wrong: other memory for the outputs is all that such a call needs.
    let mut in_place = Ok(());
    for (index, output) in outputs.iter().enumerate() {
        let argument = || named(index);
        let (expected, found) = (graph.dtype(graph.outputs()[index]), output.dtype());
        if expected != found {
            return Err(RunError::DType { argument: argument(), expected, found });
        }
        let Written { step, shape } = plan.written[index];
        if shapes[shape][..] != *output.shape() {
            let (expected, found) = (shapes[shape].to_vec(), output.shape().to_vec());
            return Err(RunError::OutputShape { output: argument(), expected, found });
        }
        overlap::check_itself(&output.layout, argument)?;
        for (other, earlier) in outputs[..index].iter().enumerate() {
            if overlap::overlap(&output.layout, &earlier.layout) {
                return Err(RunError::Overlap { output: argument(), other: named(other) });
            }
        }
        let mapped = matches!(plan.steps[step].action, Action::Map { .. });
        for (other_index, input) in inputs.iter().enumerate() {
            // Writing in place is fine in the pass that reads an input last, if both are the same
            // array. A matmul reads its operands again and again.
            if !overlap::overlap(&output.layout, &input.layout) {
                continue;
            }
            let other = || {
                let name = graph.inputs()[other_index].name.clone();
                Argument::Input { index: other_index, name: Some(name) }
            };
            if !overlap::same(&output.layout, &input.layout) {
                return Err(RunError::Overlap { output: argument(), other: other() });
            }
            // Nor can a pass that reads it in another order.
            let is_viewed = |access: &Access| {
                access.place == Place::Input(other_index) && access.view.is_some()
            };
            let in_order = mapped && !plan.steps[step].args.iter().any(is_viewed);
            let read = plan.read[other_index];
            // An output that is a view is written at last where an input lies.
            let is_through = plan.through.iter().any(|through| through.output == index);
            if read > step || (read == step && !in_order && !is_through) {
                let again = match &plan.steps[step].action {
                    _ if read > step => Reread::Later,
                    Action::Call(call) if call.multiplies() => Reread::Product,
                    _ => Reread::Order,
                };
                let error = RunError::InPlace { output: argument(), other: other(), again };
                in_place = in_place.and(Err(error));
            }
        }
    }
    in_place
}
