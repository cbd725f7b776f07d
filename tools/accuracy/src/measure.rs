//! One measurement: a function in one element type, from its programs to its record.

use crate::exhaustive::{BLOCKS, Exhaustive};
use crate::function::Function;
use crate::program::{Program, programs};
use crate::record::{self, Record, State, Tally, mode_names};
use crate::scan::mix;
use crate::speed::{Quiet, speed};
use crate::sweep::{self, Sweep};
use indicatif::ProgressBar;
use jiff::Timestamp;
use kiln::{DType, Mode};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// Ranges of all f32, after each of which the state is saved.
const RANGES: u32 = 16;

/// How often a disturbed measurement of throughput is tried.
const ATTEMPTS: u32 = 3;

/// How much to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) stride: u64,
    pub(crate) random: u64,
    pub(crate) composite: u64,
    pub(crate) fresh: bool,
}

/// What to measure, and how.
pub(crate) struct Measure<'a> {
    pub(crate) function: &'a Function,
    pub(crate) dtype: DType,
    pub(crate) modes: &'a [Mode],
    pub(crate) settings: Settings,
}

impl Measure<'_> {
    /// Measures what `state` does not have yet, and keeps it there and in `path`.
    pub(crate) fn run(
        &self,
        state: &mut State,
        path: &Path,
        bar: &ProgressBar,
    ) -> Result<(), Box<dyn Error>> {
        let programs = programs(self.function, self.dtype, self.modes)?;
        let key = State::key(self.function.name(), self.dtype);
        let fingerprint = self.fingerprint(&programs);
        let current = |record: &Record| record.fingerprint == fingerprint && !self.settings.fresh;
        let mut record = match state.records.remove(&key) {
            Some(record) if current(&record) => record,
            _ => self.empty(&programs, fingerprint),
        };
        let exhaustive = match self.is_exhaustive() {
            true => Some(Exhaustive::new(self.function, &programs, self.settings.stride)?),
            false => None,
        };
        let sweep = Sweep::new(self.function, self.dtype, &programs);
        let blocks = BLOCKS / u64::from(RANGES);
        if exhaustive.is_some() {
            bar.set_length(BLOCKS);
            bar.set_position(record.done.len() as u64 * blocks);
        } else {
            bar.set_length(self.random());
        }
        let open = (0..record.ranges).filter(|range| !record.done.contains(range));
        for range in open.collect::<Vec<_>>() {
            let step = |count| bar.inc(count);
            let tallies = match &exhaustive {
                Some(exhaustive) => {
                    let first = u64::from(range) * blocks;
                    exhaustive.measure(first..first + blocks, step)
                }
                None => sweep.measure(self.random(), step),
            };
            for (program, tally) in record.programs.iter_mut().zip(tallies) {
                program.tally = std::mem::take(&mut program.tally).merge(tally);
            }
            record.done.push(range);
            record.date = today();
            if let Some(worst) =
                record.programs.iter().map(|p| p.tally.worst().ulp).reduce(f64::max)
            {
                bar.set_message(format!("{worst:.4} ULP"));
            }
            state.records.insert(key.clone(), record.clone());
            state.save(path)?;
        }
        state.records.insert(key, record);
        state.save(path)?;
        Ok(())
    }

    /// Measures the throughput in `f32`, if `state` has the function's error but not that, or `again`.
    /// Keeps nothing, and returns what other processes used of a processor, if the machine was not
    /// quiet.
    pub(crate) fn run_speed(
        &self,
        state: &mut State,
        path: &Path,
        again: bool,
    ) -> Result<Option<f64>, Box<dyn Error>> {
        let programs = programs(self.function, self.dtype, self.modes)?;
        let fingerprint = self.fingerprint(&programs);
        let key = State::key(self.function.name(), self.dtype);
        let record = state.records.entry(key).or_insert_with(|| self.empty(&programs, fingerprint));
        if record.fingerprint != fingerprint {
            *record = self.empty(&programs, fingerprint);
        }
        if !again && !record.speed.is_empty() {
            return Ok(None);
        }
        let mut disturbed = None;
        for _ in 0..ATTEMPTS {
            let quiet = Quiet::begin();
            let found = speed(self.function, &programs);
            disturbed = quiet.disturbed();
            if disturbed.is_none() {
                record.speed = found;
                state.save(path)?;
                break;
            }
        }
        Ok(disturbed)
    }

    fn is_exhaustive(&self) -> bool {
        self.dtype == DType::F32 && self.function.arity() == 1
    }

    fn random(&self) -> u64 {
        match (self.function.op(), self.function.arity()) {
            (None, _) => self.settings.composite,
            (_, 1) => self.settings.random,
            _ => 2 * self.settings.random,
        }
    }

    fn empty(&self, programs: &[Program], fingerprint: u64) -> Record {
        let unmeasured = |program: &Program| record::Program {
            modes: mode_names(&program.modes),
            tally: Tally::default(),
        };
        Record {
            name: self.function.name().to_string(),
            dtype: self.dtype.to_string(),
            fingerprint,
            date: String::new(),
            done: Vec::new(),
            ranges: if self.is_exhaustive() { RANGES } else { 1 },
            programs: programs.iter().map(unmeasured).collect(),
            speed: BTreeMap::new(),
        }
    }

    /// A hash of the programs and of how much is tried: a record with another one is out of date.
    fn fingerprint(&self, programs: &[Program]) -> u64 {
        let amount = match self.is_exhaustive() {
            true => self.settings.stride,
            false => mix(self.random() ^ sweep::VERSION),
        };
        let texts = programs.iter().flat_map(|program| program.text.bytes());
        texts.fold(mix(amount), |hash, byte| mix(hash ^ u64::from(byte)))
    }
}

/// The date in UTC, as `2026-11-23`.
fn today() -> String {
    Timestamp::now().strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Measure, Settings};
    use crate::function::Function;
    use crate::record::{Record, State};
    use crate::report::{breaks_contract, faults};
    use crate::ulp::Failure;
    use indicatif::ProgressBar;
    use kiln::{DType, Mode};
    use std::path::{Path, PathBuf};

    fn settings(stride: u64) -> Settings {
        Settings { stride, random: 2_000, composite: 500, fresh: false }
    }

    /// Measures `name` with the state in a file of its own.
    fn measure(name: &str, dtype: DType, state: &mut State, path: &Path) -> Record {
        let all = Function::all();
        let function = all.iter().find(|function| function.name() == name).unwrap();
        let measure = Measure { function, dtype, modes: &Mode::ALL, settings: settings(8192) };
        measure.run(state, path, &ProgressBar::hidden()).unwrap();
        state.records[&State::key(name, dtype)].clone()
    }

    fn file(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("kiln-accuracy-{name}-{}.json", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn a_broken_off_run_goes_on_where_it_was() {
        let path = file("resume");
        let mut state = State::default();
        let whole = measure("exp", DType::F32, &mut state, &path);
        assert!(whole.is_complete() && State::load(&path).unwrap().records["f32 exp"] == whole);
        // As if the last three ranges had not been reached: their part is measured again.
        let key = State::key("exp", DType::F32);
        let kept = state.records.get_mut(&key).unwrap();
        kept.done.truncate(13);
        let tally = &mut kept.programs[0].tally;
        let before = tally.inputs;
        let again = measure("exp", DType::F32, &mut state, &path);
        assert!(again.is_complete() && again.programs[0].tally.inputs > before);
        // And nothing is measured a third time.
        assert_eq!(measure("exp", DType::F32, &mut State::load(&path).unwrap(), &path), again);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn sound_ops_keep_their_contract() {
        let path = file("contract");
        let all = Function::all();
        for (name, dtype) in [("cosh", DType::F32), ("exp", DType::F64), ("rem", DType::F32)] {
            let record = measure(name, dtype, &mut State::default(), &path);
            let function = all.iter().find(|function| function.name() == name).unwrap();
            assert!(!breaks_contract(function, dtype, &record), "{record:?}");
            assert_eq!(record.programs.len(), 1);
            assert!(record.programs[0].tally.interpreted > 0);
        }
        std::fs::remove_file(&path).unwrap();
    }

    /// `exp(x) - 1` as written has no digits and the wrong zeros near 0; the default mode repairs
    /// it. If either were not seen, the measurement would be worth nothing.
    #[test]
    fn known_errors_are_found() {
        let path = file("known");
        let record = measure("naive expm1", DType::F32, &mut State::default(), &path);
        let [strict, precise] = &record.programs[..] else { panic!("{record:?}") };
        assert_eq!((strict.modes.len(), precise.modes.len()), (1, 2));
        assert!(strict.tally.worst().ulp > 1e6);
        assert!(strict.tally.failures.contains_key(&Failure::Sign));
        assert!(precise.tally.worst().ulp < 2.0 && precise.tally.failures.is_empty());
        let all = Function::all();
        let function = all.iter().find(|function| function.name() == "naive expm1").unwrap();
        assert!(faults(function, DType::F32, strict)[0].contains("Sign"));
        std::fs::remove_file(&path).unwrap();
    }
}
