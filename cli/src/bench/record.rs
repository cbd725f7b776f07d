//! What one comparison found: a line of `kiln bench --json`, and what it is read from.

use super::difference::Place;
use crate::failure::Failure;
use crate::json::{finite_or_not, print};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::{fmt, fs};

/// Of the format. It changes if a field goes or means something else.
pub(super) const VERSION: u32 = 1;

/// A kernel measured: fused, unfused, and beside a copy. `docs/json.md` tells the meaning of every
/// field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) command: String,
    pub(super) version: u32,
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) suite: Option<String>,
    pub(super) size: Option<usize>,
    pub(super) kernel: String,
    pub(super) text: String,
    pub(super) inputs: Vec<Input>,
    pub(super) n: usize,
    pub(super) shape: Vec<usize>,
    pub(super) mode: String,
    pub(super) emitter: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) threads: usize,
    pub(super) rounds: usize,
    pub(super) fused_ns_per_element: f64,
    pub(super) unfused_ns_per_element: f64,
    pub(super) copy_ns_per_element: f64,
    pub(super) fused_spread: f64,
    pub(super) unfused_spread: f64,
    pub(super) copy_spread: f64,
    /// The fastest way of copying.
    pub(super) copied_by: String,
    /// The median of the ratios of each round.
    pub(super) unfused_over_fused: f64,
    pub(super) kernels_fused: usize,
    pub(super) kernels_unfused: usize,
    pub(super) bytes_fused: u64,
    pub(super) bytes_unfused: u64,
    pub(super) ops_fused: u64,
    pub(super) ops_unfused: u64,
    pub(super) flops: u64,
    /// How near the fused kernel is to the roof that binds it, unless roofs were not measured.
    pub(super) roof: Option<Reached>,
    /// Of the machine, with these threads.
    pub(super) peak_gflops: Option<f64>,
    #[serde(deserialize_with = "finite_or_not")]
    pub(super) max_abs_diff: f64,
    pub(super) max_ulp_diff: u64,
    pub(super) max_ulp_at: Option<Place>,
    pub(super) compile_ms: f64,
    /// What an older file has of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compared: Option<Compared>,
}

/// An input of the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Whether it is bound to a constant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) bound: bool,
}

/// A roof: the bandwidth of a level of memory, or the peak of arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The part of it that is reached.
    pub(super) part: f64,
    /// `L1`, .., `memory` or `peak`.
    pub(super) of: String,
    /// By what it was measured: the best of several ways.
    pub(super) by: String,
    /// 10^9 bytes, or FLOPs, a second.
    pub(super) giga: f64,
}

/// The same kernel in an older file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Compared {
    pub(super) date: String,
    pub(super) fused_ns_per_element: f64,
    pub(super) fused_spread: f64,
    /// New times over old ones.
    pub(super) ratio: f64,
    pub(super) copy_ratio: f64,
    pub(super) verdict: Verdict,
}

/// What a ratio says, the spread of both figures considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Faster,
    /// The ratio is within what both figures spread.
    Same,
    Slower,
}

/// As kernels declare it, with its sizes: `x: f32[64, 128]`, and `bound` before it if it is.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = if self.bound { "bound " } else { "" };
        write!(f, "{bound}{}: {}{:?}", self.name, self.dtype, self.shape)
    }
}

impl Record {
    pub(super) fn json(&self) -> String {
        print(self)
    }

    /// Nanoseconds of a call, fused.
    pub(super) fn fused(&self) -> f64 {
        self.fused_ns_per_element * self.n as f64
    }

    /// Nanoseconds of a call, unfused.
    pub(super) fn unfused(&self) -> f64 {
        self.unfused_ns_per_element * self.n as f64
    }

    /// FLOPs a nanosecond, of the fused program.
    pub(super) fn gflops(&self) -> f64 {
        self.flops as f64 / self.fused()
    }

    /// Bytes a nanosecond that the fused program moves.
    pub(super) fn bandwidth(&self) -> f64 {
        self.bytes_fused as f64 / self.fused()
    }

    /// What makes its code, in words.
    pub(super) fn emitter(&self) -> String {
        match (&self.emitter, self.width) {
            (Some(emitter), Some(bits)) => format!("{emitter} {bits}-bit"),
            (Some(emitter), None) => emitter.clone(),
            _ => "calls alone".into(),
        }
    }

    /// Whether its own figures can be.
    fn check(&self) -> Result<(), String> {
        let times = [
            ("fused_ns_per_element", self.fused_ns_per_element),
            ("unfused_ns_per_element", self.unfused_ns_per_element),
            ("copy_ns_per_element", self.copy_ns_per_element),
        ];
        match times.into_iter().find(|(_, time)| !(time.is_finite() && *time > 0.0)) {
            Some((name, time)) => Err(format!("{name} is {time}, and no time")),
            None if self.n == 0 => Err("n is 0".into()),
            None => Ok(()),
        }
    }
}

/// The records of a file that `kiln bench --json` wrote, at least one.
pub(super) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Failed(format!("cannot read {shown}: {error}")))?;
    let mut records = Vec::new();
    for (at, value) in serde_json::Deserializer::from_str(&text).into_iter().enumerate() {
        let record = value.map_err(|error| format!("no JSON: {error}")).and_then(record);
        records.push(record.map_err(|what| {
            Failure::Failed(format!(
                "{shown}, object {}: {what}; write one by `kiln bench --json`",
                at + 1
            ))
        })?);
    }
    match records.is_empty() {
        true => Err(Failure::Failed(format!("{shown} is empty; write one by `kiln bench --json`"))),
        false => Ok(records),
    }
}

fn record(value: Value) -> Result<Record, String> {
    let object = value.as_object().ok_or("not an object")?;
    match object.get("command").and_then(Value::as_str) {
        Some("bench") => {}
        Some(other) => return Err(format!("written by `kiln {other}`")),
        None => return Err("no `command`".into()),
    }
    match object.get("version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(format!("its version is {version}, and this program reads {VERSION}"));
        }
        None => return Err("no `version`: an older program wrote it".into()),
    }
    let record: Record = serde_json::from_value(value).map_err(|error| error.to_string())?;
    record.check().map(|()| record)
}
