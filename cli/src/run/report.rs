//! What a run tells of itself: a line, or JSON.

use super::target::Destination;
use crate::console::counted;
use crate::json::{Array, Place, Plan, print};
use crate::units::duration;
use kiln::ir::Input;
use kiln::{CallPlan, CallStep, DType, Mode, Tensor};
use serde::Serialize;
use std::time::Duration;

/// What was run.
pub(super) struct Report<'a> {
    pub(super) kernel: &'a str,
    pub(super) inputs: Vec<(&'a Input, &'a Tensor)>,
    /// Where each result went.
    pub(super) outputs: Vec<(String, DType, Vec<usize>)>,
    pub(super) mode: Mode,
    pub(super) plan: &'a CallPlan,
    pub(super) compiled: Duration,
    pub(super) ran: Duration,
}

/// Where each result goes, and what it is.
pub(super) fn outputs(
    destinations: &[Destination],
    results: &[Tensor],
) -> Vec<(String, DType, Vec<usize>)> {
    let places = destinations.iter().flat_map(Destination::places);
    places
        .map(|(place, result)| (place, results[result].dtype(), results[result].shape().to_vec()))
        .collect()
}

/// The results themselves.
pub(super) fn shown(results: &[Tensor]) -> String {
    results.iter().map(|result| format!("{result}\n")).collect()
}

/// The object that `kiln run --json` prints.
#[derive(Serialize)]
struct Object<'a> {
    command: &'static str,
    kernel: &'a str,
    mode: String,
    inputs: Vec<Array<'a>>,
    outputs: Vec<Place<'a>>,
    plan: Plan,
    compile_ms: f64,
    run_ms: f64,
}

impl Report<'_> {
    pub(super) fn line(&self) -> String {
        let output = |(place, dtype, shape): &(String, DType, Vec<usize>)| {
            format!("{place}: {dtype}{shape:?}")
        };
        let outputs: Vec<String> = self.outputs.iter().map(output).collect();
        let kernels = counted(self.plan.steps().len(), "kernel");
        let emitter = match self.plan.steps().iter().find_map(CallStep::emitter) {
            Some((emitter, bits)) => format!("{emitter} {bits}-bit"),
            None => "calls alone".into(),
        };
        format!("{}; {kernels}, {emitter}, {}\n", outputs.join(", "), duration(self.ran))
    }

    pub(super) fn json(&self) -> String {
        print(&Object {
            command: "run",
            kernel: self.kernel,
            mode: self.mode.to_string(),
            inputs: self
                .inputs
                .iter()
                .map(|(input, tensor)| Array {
                    name: &input.name,
                    dtype: tensor.dtype().name(),
                    shape: tensor.shape().to_vec(),
                })
                .collect(),
            outputs: self
                .outputs
                .iter()
                .map(|(place, dtype, shape)| Place {
                    to: place,
                    dtype: dtype.name(),
                    shape: shape.clone(),
                })
                .collect(),
            plan: Plan::of(self.plan),
            compile_ms: self.compiled.as_secs_f64() * 1e3,
            run_ms: self.ran.as_secs_f64() * 1e3,
        })
    }
}
