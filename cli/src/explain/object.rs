//! What `kiln explain --json` prints.

use crate::json;
use kiln::explain::{Costs, Separation};
use serde::Serialize;

/// The object that `kiln explain --json` prints.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    pub(super) command: &'static str,
    pub(super) kernel: &'a str,
    pub(super) mode: String,
    pub(super) stages: Vec<Shown>,
    /// Why its kernels are not one.
    pub(super) apart: Vec<Apart>,
    /// What a call with the inputs of `--shape` runs.
    pub(super) plan: Option<json::Plan>,
    /// The files that were written.
    pub(super) files: Vec<Written<'a>>,
}

/// A stage, as text.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) stage: String,
    pub(super) text: String,
}

/// Two steps that are not one kernel.
#[derive(Serialize)]
pub(super) struct Apart {
    steps: [usize; 2],
    because: String,
    /// Estimates in adds on one element, if they decided.
    cost_apart: Option<f64>,
    cost_fused: Option<f64>,
}

/// A file that was written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) format: &'static str,
    pub(super) to: &'a str,
}

impl Apart {
    pub(super) fn of(Separation { steps, reason }: Separation) -> Apart {
        let adds = |tenths: u64| tenths as f64 / 10.0;
        let costs = reason.costs();
        Apart {
            steps,
            because: reason.to_string(),
            cost_apart: costs.map(|Costs { apart, .. }| adds(apart)),
            cost_fused: costs.map(|Costs { fused, .. }| adds(fused)),
        }
    }
}
