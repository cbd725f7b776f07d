//! What a measurement found, and the file that keeps it.

use crate::ulp::{Failure, Verdict};
use kiln::{DType, EmitterKind, Mode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// The largest error, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Worst {
    pub(crate) ulp: f64,
    /// Bits of the operands, as `f64`s.
    pub(crate) at: Vec<u64>,
}

impl Worst {
    /// Keeps the larger; of equals the one with the smaller bits, whatever the order they come in.
    pub(crate) fn meet(&mut self, other: Worst) {
        let better = other.ulp > self.ulp || other.ulp == self.ulp && other.at < self.at;
        if !other.at.is_empty() && (better || self.at.is_empty()) {
            *self = other;
        }
    }
}

/// How often results were wrong in kind, and the first operands where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) count: u64,
    pub(crate) at: Vec<u64>,
}

/// Hashes of all results of one emitter: of the positive and of the negative inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hashes(pub(crate) [u64; 2]);

/// What was found out about one program: a function, compiled for one or more modes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Inputs tried, NaN and infinities among them.
    pub(crate) inputs: u64,
    /// At results that are normal numbers.
    pub(crate) normal: Worst,
    /// At results below the least normal number.
    pub(crate) subnormal: Worst,
    pub(crate) failures: BTreeMap<Failure, Failed>,
    /// Results outside of the op's range.
    pub(crate) outside: u64,
    /// By emitter; empty where inputs are no range.
    pub(crate) hashes: BTreeMap<String, Hashes>,
    /// The first operands at which an emitter differs from the fastest one.
    pub(crate) differs: BTreeMap<String, Vec<u64>>,
    /// Inputs on which the interpreter was compared too.
    pub(crate) interpreted: u64,
    /// Steps from one input to the next that go the wrong way for a monotone function.
    pub(crate) turns: u64,
    /// How far the fast reference was from the precise one where both were computed, in ULP.
    pub(crate) reference_gap: f64,
    /// Inputs where both were.
    pub(crate) checked: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, verdict: Verdict, operands: &[f64]) {
        match verdict {
            Verdict::Ulp { error, subnormal } => {
                let worst = if subnormal { &mut self.subnormal } else { &mut self.normal };
                if error < worst.ulp {
                    return;
                }
                let at = operands.iter().map(|v| v.to_bits()).collect();
                worst.meet(Worst { ulp: error, at });
            }
            Verdict::Failure(failure) => {
                let at = operands.iter().map(|v| v.to_bits()).collect();
                self.fail(failure, Failed { count: 1, at });
            }
        }
    }

    fn fail(&mut self, failure: Failure, new: Failed) {
        let known = self.failures.entry(failure).or_insert(Failed { count: 0, at: new.at.clone() });
        known.count += new.count;
        known.at = known.at.clone().min(new.at);
    }

    /// Both together, in any order.
    pub(crate) fn merge(mut self, other: Tally) -> Tally {
        self.inputs += other.inputs;
        self.normal.meet(other.normal);
        self.subnormal.meet(other.subnormal);
        for (failure, failed) in other.failures {
            self.fail(failure, failed);
        }
        self.outside += other.outside;
        for (emitter, hashes) in other.hashes {
            let sum = self.hashes.entry(emitter).or_default();
            sum.0 = [0, 1].map(|half| sum.0[half].wrapping_add(hashes.0[half]));
        }
        for (emitter, at) in other.differs {
            let first = self.differs.entry(emitter).or_insert_with(|| at.clone());
            *first = at.min(first.clone());
        }
        self.interpreted += other.interpreted;
        self.turns += other.turns;
        self.reference_gap = self.reference_gap.max(other.reference_gap);
        self.checked += other.checked;
        self
    }

    /// The larger of the errors at normal and at subnormal results.
    pub(crate) fn worst(&self) -> &Worst {
        if self.subnormal.ulp > self.normal.ulp { &self.subnormal } else { &self.normal }
    }

    /// Whether every emitter gave the same bits on every input.
    pub(crate) fn emitters_agree(&self) -> bool {
        let mut hashes = self.hashes.values();
        let first = hashes.next();
        self.differs.is_empty() && hashes.all(|other| Some(other) == first)
    }
}

/// A function's measurement in one element type: one tally for each distinct program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) dtype: String,
    /// Changes with the programs and with how they were measured.
    pub(crate) fingerprint: u64,
    /// `2026-11-23`, of the last range.
    pub(crate) date: String,
    /// Ranges of the inputs that are done, of [`ranges`](Record::ranges).
    pub(crate) done: Vec<u32>,
    pub(crate) ranges: u32,
    pub(crate) programs: Vec<Program>,
    /// Nanoseconds per element, f32 in the L1 cache; `std` is the standard library's function.
    pub(crate) speed: BTreeMap<String, f64>,
}

/// The program that some modes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) modes: Vec<String>,
    pub(crate) tally: Tally,
}

impl Record {
    pub(crate) fn is_complete(&self) -> bool {
        self.done.len() == self.ranges as usize
    }
}

/// Everything that was measured, in a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// The machine that measured.
    pub(crate) machine: String,
    pub(crate) records: BTreeMap<String, Record>,
}

impl State {
    pub(crate) fn key(name: &str, dtype: DType) -> String {
        format!("{dtype} {name}")
    }

    pub(crate) fn load(path: &Path) -> io::Result<State> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error),
        }
    }

    /// Written beside and renamed: a run that is killed leaves the old or the new state.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = path.with_extension("new");
        fs::write(&fresh, serde_json::to_string_pretty(self)?)?;
        fs::rename(fresh, path)
    }
}

pub(crate) fn emitter_name(kind: EmitterKind) -> String {
    kind.name().to_string()
}

pub(crate) fn mode_names(modes: &[Mode]) -> Vec<String> {
    modes.iter().map(Mode::to_string).collect()
}
