//! What `--json` prints. Each object says its `command` and the name of its `kernel`, and is a line
//! of its own: `docs/json.md` tells the meaning of every field.

use kiln::profile::Counts;
use kiln::{CallPlan, CallStep, Traffic};
use serde::{Deserialize, Deserializer, Serialize};

/// An object, as a line.
pub(crate) fn print(object: &impl Serialize) -> String {
    let mut line = serde_json::to_string(object).expect("keys are words");
    line.push('\n');
    line
}

/// Reads a number that may be one that JSON does not have: `null`, an infinity or NaN.
pub(crate) fn finite_or_not<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// An input of a call.
#[derive(Serialize)]
pub(crate) struct Array<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
}

/// A result, and where it went.
#[derive(Serialize)]
pub(crate) struct Place<'a> {
    pub(crate) to: &'a str,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
}

/// What a call runs.
#[derive(Serialize)]
pub(crate) struct Plan {
    specialized: bool,
    steps: Vec<Step>,
    /// Bytes of the block that intermediates share, and of all of them.
    memory_peak: usize,
    memory_total: usize,
}

/// A pass over memory.
#[derive(Serialize)]
struct Step {
    text: String,
    /// `None` for a product.
    emitter: Option<String>,
    width: Option<u32>,
    ops: usize,
    /// `None` if they are more than can be counted.
    flops: Option<u64>,
    bytes_loaded: usize,
    bytes_stored: usize,
}

impl Plan {
    pub(crate) fn of(plan: &CallPlan) -> Plan {
        let step = |step: &CallStep| {
            let Traffic { ops, loaded, stored } = step.traffic();
            let (emitter, width) = step.emitter().unzip();
            Step {
                text: step.to_string().trim_end().to_string(),
                emitter: emitter.map(|emitter| emitter.to_string()),
                width,
                ops,
                flops: Counts::of_pass(step).ok().map(|counts| counts.flops.total()),
                bytes_loaded: loaded,
                bytes_stored: stored,
            }
        };
        Plan {
            specialized: plan.is_specialized(),
            steps: plan.steps().iter().map(step).collect(),
            memory_peak: plan.memory().peak(),
            memory_total: plan.memory().total(),
        }
    }
}
