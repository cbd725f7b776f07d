//! The timer: entrants take turns in one run, so that whatever disturbs the machine disturbs all of
//! them, and ratios hold where times do not.

use super::clock::Instant;
use super::error::ProfileError;
use super::latency::Latency;
use super::profiler::Profiler;
use super::report::{Profile, Profiles};
use std::time::Duration;

/// Profilers that are measured against each other, round by round.
///
/// ```
/// use kiln::CompileOptions;
/// use kiln::profile::{Profiler, Race};
/// use ndarray::Array1;
///
/// let graph = kiln::ir::parse("gelu_tanh(x)")?;
/// let fused = kiln::compile_with(&graph, CompileOptions::new())?;
/// let unfused = kiln::compile_with(&graph, CompileOptions::unfused())?;
/// let x = Array1::<f32>::linspace(-6.0, 6.0, 1000);
/// let inputs = [(&x).into()];
///
/// let mut race = Race::new();
/// let slow = race.add(Profiler::new("unfused", &unfused, &inputs)?);
/// let fast = race.add(Profiler::new("fused", &fused, &inputs)?);
/// let profiles = race.run(1, 5)?;
/// println!("{profiles}"); // a table
/// println!("{}", profiles.compare(fast, slow)); // so many times as fast
/// assert!(profiles[fast].counts().bytes() < profiles[slow].counts().bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Race<'a> {
    entrants: Vec<Profiler<'a>>,
    pause: Option<Duration>,
}

/// When to stop.
#[derive(Clone, Copy)]
enum Until {
    Rounds(usize),
    Elapsed(Duration),
}

impl<'a> Race<'a> {
    /// A race without entrants yet.
    pub fn new() -> Race<'a> {
        Race::default()
    }

    /// A race in which every sample is one call, after a pause without sleep: for calls that come from
    /// time to time.
    pub fn apart(pause: Duration) -> Race<'a> {
        Race { pause: Some(pause), ..Race::new() }
    }

    /// Adds an entrant. They are numbered as they come, from 0; this returns the number.
    pub fn add(&mut self, entrant: Profiler<'a>) -> usize {
        self.entrants.push(entrant);
        self.entrants.len() - 1
    }

    /// Takes `iterations` samples of each entrant, in turn, after `warmup` rounds that do not count.
    ///
    /// Fails without iterations or entrants, and with the first call that fails.
    pub fn run(&mut self, warmup: usize, iterations: usize) -> Result<Profiles, ProfileError> {
        self.run_until(warmup, Until::Rounds(iterations))
    }

    /// [`Race::run`] for about so long: 3 rounds at least, 301 at most.
    pub fn run_for(&mut self, budget: Duration) -> Result<Profiles, ProfileError> {
        self.run_until(0, Until::Elapsed(budget))
    }

    fn run_until(&mut self, warmup: usize, until: Until) -> Result<Profiles, ProfileError> {
        const ROUNDS: std::ops::Range<usize> = 3..301;
        if self.entrants.is_empty() {
            return Err(ProfileError::NoEntrants);
        }
        if matches!(until, Until::Rounds(0)) {
            return Err(ProfileError::NoIterations);
        }
        let start = Instant::now();
        let mut calls = Vec::with_capacity(self.entrants.len());
        for entrant in &mut self.entrants {
            calls.push(if self.pause.is_some() { 1 } else { calls_of_a_sample(entrant)? });
        }
        for _ in 0..warmup {
            self.round(&calls, |_, _| ())?;
        }
        let mut samples = vec![Vec::new(); self.entrants.len()];
        let mut rounds = 0;
        let goes_on = |rounds: usize| match until {
            Until::Rounds(count) => rounds < count,
            Until::Elapsed(budget) => {
                rounds < ROUNDS.start || (rounds < ROUNDS.end && start.elapsed() < budget)
            }
        };
        while goes_on(rounds) {
            self.round(&calls, |entrant, time| samples[entrant].push(time))?;
            rounds += 1;
        }
        let measured = self.entrants.iter().zip(samples).zip(calls);
        let profile = |((entrant, samples), calls): ((&Profiler<'_>, Vec<f64>), u32)| {
            Profile::new(entrant.name.clone(), Latency::new(samples, calls), entrant.counts)
        };
        Ok(Profiles::new(measured.map(profile).collect()))
    }

    /// A sample of each entrant, in turn.
    fn round(
        &mut self,
        calls: &[u32],
        mut sample: impl FnMut(usize, f64),
    ) -> Result<(), ProfileError> {
        let is_race = self.entrants.len() > 1;
        for (index, (entrant, &calls)) in self.entrants.iter_mut().zip(calls).enumerate() {
            match self.pause {
                Some(pause) => {
                    let paused = Instant::now();
                    while paused.elapsed() < pause {
                        std::hint::spin_loop();
                    }
                }
                // What another entrant left in the caches is not its fault.
                None if is_race => (entrant.calls)(calls)?,
                None => {}
            }
            sample(index, nanoseconds(entrant, calls)? / f64::from(calls));
        }
        Ok(())
    }
}

/// How long so many calls take.
fn nanoseconds(entrant: &mut Profiler<'_>, calls: u32) -> Result<f64, ProfileError> {
    let start = Instant::now();
    (entrant.calls)(calls)?;
    Ok(start.elapsed().as_nanos() as f64)
}

/// How many calls make a sample, which the clock must be able to tell.
fn calls_of_a_sample(entrant: &mut Profiler<'_>) -> Result<u32, ProfileError> {
    /// Long enough for the clock.
    const SAMPLE: f64 = 50_000.0;
    /// Calls that take this long find nothing in any cache that another one left there.
    const SLOW: f64 = 3_000_000.0;
    /// Arrays that just fit the last cache settle there after a few calls.
    const LEAST: u32 = 3;
    (entrant.calls)(1)?; // touches every page
    let mut calls = 1;
    loop {
        let time = nanoseconds(entrant, calls)?;
        if calls == 1 && time > SLOW {
            return Ok(1);
        }
        if time > SAMPLE / 4.0 || calls >= 1 << 24 {
            let each = time / f64::from(calls);
            return Ok(((SAMPLE / each).ceil() as u32).clamp(LEAST, 1 << 24));
        }
        calls *= 4;
    }
}
