//! Work that a thread does over and over on memory of its own, timed for one thread and for all.

use crate::profile::clock::Instant;
use crate::profile::counts::Counts;
use crate::profile::error::ProfileError;
use crate::profile::latency::Latency;
use crate::profile::profiler::Profiler;
use crate::profile::race::Race;
use crate::profile::report::Profile;
use crate::run::{RunError, Tensor, pool_size};
use kiln_ir::DType;
use std::cell::RefCell;
use std::thread;
use std::time::Duration;

/// What can be timed.
pub(super) trait Work: Sync {
    /// Does it so many times.
    fn run(&self, times: u32, memory: &mut [u8]);

    /// What it does each time.
    fn counts(&self) -> Counts;
}

/// The memory of each thread.
pub(super) struct Memory(Vec<Tensor>);

/// Bytes of a page: each thread's memory begins at a multiple.
pub(super) const PAGE: usize = 4096;
/// Room for arrays to lie apart.
const APART: usize = 16 * PAGE;

impl Memory {
    /// So many bytes for the caller's thread, and for each other one; all were written.
    pub(super) fn new(threads: usize, own: usize, others: usize) -> Result<Memory, ProfileError> {
        let touched = |thread| -> Result<Tensor, RunError> {
            let bytes = if thread == 0 { own.max(others) } else { others };
            let mut tensor = Tensor::zeros(DType::U8, &[bytes + APART])?;
            if let Tensor::U8(array) = &mut tensor {
                // Pages that nobody wrote are one page.
                array.fill(1);
            }
            Ok(tensor)
        };
        let each = (0..threads).map(touched).collect::<Result<_, _>>();
        Ok(Memory(each?))
    }

    pub(super) fn threads(&self) -> usize {
        self.0.len()
    }

    fn slices(&mut self) -> Vec<&mut [u8]> {
        fn pages(tensor: &mut Tensor) -> Option<&mut [u8]> {
            let Tensor::U8(array) = tensor else { return None };
            let bytes = array.as_slice_mut()?;
            let start = bytes.as_ptr().addr();
            bytes.get_mut(start.next_multiple_of(PAGE) - start..)
        }
        self.0.iter_mut().filter_map(pages).collect()
    }
}

/// How many threads a call has by default.
pub(super) fn threads() -> usize {
    // A thread of no pool sees the size of the global one, whatever pool the caller is in. Where none can
    // be started, as on WebAssembly, there is the caller's.
    let asked = thread::Builder::new().spawn(pool_size).ok().and_then(|thread| thread.join().ok());
    asked.unwrap_or(1)
}

/// A rate of something, in 10^9 a second: the best of all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) giga: f64,
    /// How much longer the third of the best rounds took: what can be trusted, however the others were
    /// disturbed.
    pub(super) spread: f64,
}

/// How many rounds are worth their time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Care {
    /// A single one.
    Little,
    /// So many that the best ones of each work are alike.
    Much,
}

impl Rate {
    /// Of what `of` counts.
    pub(super) fn of(profile: &Profile, of: impl Fn(&Counts) -> u64) -> Rate {
        let latency = profile.latency();
        let giga = of(profile.counts()) as f64 / latency.minimum();
        Rate { giga, spread: apart(latency) }
    }
}

/// How much longer the third of the best samples took than the best.
fn apart(latency: &Latency) -> f64 {
    let mut samples = latency.samples().to_vec();
    samples.sort_by(f64::total_cmp);
    samples[2.min(samples.len() - 1)] / samples[0] - 1.0
}

/// Of rivals, the one that did most in its time: FLOPs, or bytes.
pub(super) fn fastest<T>(
    works: Vec<T>,
    profiles: Vec<Profile>,
    rivals: impl Fn(&T, &T) -> bool,
) -> Vec<(T, Profile)> {
    let rate =
        |profile: &Profile| Rate::of(profile, |counts| counts.flops.total() + counts.bytes()).giga;
    let mut fastest: Vec<(T, Profile)> = Vec::new();
    for (work, profile) in works.into_iter().zip(profiles) {
        match fastest.iter_mut().find(|(other, _)| rivals(other, &work)) {
            Some(other) if rate(&profile) > rate(&other.1) => *other = (work, profile),
            Some(_) => {}
            None => fastest.push((work, profile)),
        }
    }
    fastest
}

/// Times each work on the caller's thread, in turn.
pub(super) fn alone(
    works: &[&dyn Work],
    care: Care,
    memory: &mut Memory,
) -> Result<Vec<Profile>, ProfileError> {
    let slices = RefCell::new(memory.slices());
    let mut race = Race::new();
    for work in works {
        let calls = |calls| {
            work.run(calls, slices.borrow_mut()[0]);
            Ok(())
        };
        race.add(entrant(work.counts(), 1, calls));
    }
    run(race, care)
}

/// Times each work on all threads at once, in turn. `alone` says how long one thread takes.
pub(super) fn together(
    works: &[(&dyn Work, f64)],
    memory: &mut Memory,
) -> Result<Vec<Profile>, ProfileError> {
    /// Nanoseconds against which it is nothing that threads start one after another.
    const LONG: f64 = 11e6;
    let threads = memory.threads() as u64;
    let slices = RefCell::new(memory.slices());
    let mut race = Race::new();
    for (work, alone) in works {
        let times = (LONG / alone).ceil().clamp(1.0, 1e6) as u32;
        let slices = &slices;
        let calls = move |calls: u32| {
            let mut slices = slices.borrow_mut();
            thread::scope(|scope| {
                let mut slices = slices.iter_mut();
                let own = slices.next();
                for slice in slices {
                    let start = thread::Builder::new();
                    // One that does not start would make the others look faster.
                    let _ = start.spawn_scoped(scope, move || work.run(calls * times, slice));
                }
                own.into_iter().for_each(|slice| work.run(calls * times, slice));
            });
            Ok(())
        };
        race.add(entrant(work.counts(), threads * u64::from(times), calls));
    }
    run(race, Care::Much)
}

/// Rounds until the best ones are alike, or for long enough.
fn run(mut race: Race<'_>, care: Care) -> Result<Vec<Profile>, ProfileError> {
    const ROUNDS: usize = 5;
    const ALIKE: f64 = 0.03;
    /// Processors of a virtual machine that slept may begin as two threads of one core, and move apart
    /// later: on two of a Zen 4, FMAs of both were as many as those of one, round after round alike.
    const SETTLED: Duration = Duration::from_millis(1500);
    const PATIENCE: Duration = Duration::from_secs(3);
    if care == Care::Little {
        return Ok(race.run(0, 1)?.iter().cloned().collect());
    }
    let start = Instant::now();
    let mut all: Vec<Profile> = race.run(0, ROUNDS)?.iter().cloned().collect();
    let are_alike = |all: &[Profile]| all.iter().all(|it| apart(it.latency()) < ALIKE);
    let is_done =
        |all: &[Profile], elapsed| elapsed >= PATIENCE || elapsed >= SETTLED && are_alike(all);
    while !is_done(&all, start.elapsed()) {
        for (known, new) in all.iter_mut().zip(&race.run(0, ROUNDS)?) {
            *known = known.with_samples_of(new);
        }
    }
    Ok(all)
}

fn entrant<'a>(
    counts: Counts,
    times: u64,
    calls: impl FnMut(u32) -> Result<(), RunError> + 'a,
) -> Profiler<'a> {
    let mut counts =
        Counts { loaded: counts.loaded * times, stored: counts.stored * times, ..counts };
    counts.flops.fmas *= times;
    Profiler { name: String::new(), counts, calls: Box::new(calls) }
}
