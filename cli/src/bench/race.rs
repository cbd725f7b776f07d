//! The timer: candidates take turns in one run, so that whatever disturbs the machine disturbs all
//! of them, and ratios hold where times do not.

use kiln::RunError;
use std::time::{Duration, Instant};

type Call<'a> = Box<dyn FnMut() -> Result<(), RunError> + 'a>;

/// Candidates to be measured against each other.
#[derive(Default)]
pub(super) struct Race<'a> {
    calls: Vec<Call<'a>>,
}

/// Nanoseconds of a call: one row a candidate, one sample a round.
pub(super) struct Times(Vec<Vec<f64>>);

impl<'a> Race<'a> {
    /// Adds a candidate. They are numbered as they come.
    pub(super) fn add(&mut self, call: impl FnMut() -> Result<(), RunError> + 'a) {
        self.calls.push(Box::new(call));
    }

    /// Calls all in turn, round by round, for about so long.
    ///
    /// Before each sample its candidate is called as often off the clock: what another one left in
    /// the caches is not its fault.
    pub(super) fn run(&mut self, budget: Duration) -> Result<Times, RunError> {
        const ROUNDS: std::ops::RangeInclusive<usize> = 3..=301;
        let start = Instant::now();
        let mut repeats = Vec::new();
        for call in &mut self.calls {
            call()?; // touches every page
            let once = Instant::now();
            call()?;
            repeats.push(repeats_of(once.elapsed()));
        }
        let mut samples = vec![Vec::new(); self.calls.len()];
        let mut rounds = 0;
        while rounds < *ROUNDS.start() || (rounds < *ROUNDS.end() && start.elapsed() < budget) {
            for ((call, &repeats), samples) in self.calls.iter_mut().zip(&repeats).zip(&mut samples)
            {
                let mut sample = || -> Result<f64, RunError> {
                    let once = Instant::now();
                    for _ in 0..repeats {
                        call()?;
                    }
                    Ok(once.elapsed().as_nanos() as f64 / f64::from(repeats))
                };
                sample()?;
                samples.push(sample()?);
            }
            rounds += 1;
        }
        Ok(Times(samples))
    }
}

/// How many calls that take so long make a sample.
fn repeats_of(once: Duration) -> u32 {
    /// Long enough for the clock.
    const SAMPLE: u128 = 30_000;
    /// Too long for any cache to hold something from call to call.
    const SLOW: u128 = 10_000_000;
    match once.as_nanos().max(1) {
        SLOW.. => 1,
        // Arrays that just fit the last cache settle there after a few calls.
        nanoseconds => (SAMPLE / nanoseconds).clamp(3, 10_000) as u32,
    }
}

impl Times {
    /// The median time of a call in nanoseconds.
    pub(super) fn median(&self, candidate: usize) -> f64 {
        median(self.0[candidate].clone())
    }

    /// How many times longer a call takes than one of `than`: the median of the ratios of each
    /// round, which a disturbance of some rounds does not move.
    pub(super) fn ratio(&self, candidate: usize, than: usize) -> f64 {
        median(self.0[candidate].iter().zip(&self.0[than]).map(|(a, b)| a / b).collect())
    }

    /// The interquartile range over the median.
    pub(super) fn spread(&self, candidate: usize) -> f64 {
        let mut sorted = self.0[candidate].clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted[part * (sorted.len() - 1) / 4];
        (at(3) - at(1)) / at(2)
    }

    /// The number of samples of each candidate.
    pub(super) fn rounds(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
