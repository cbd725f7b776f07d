//! What was measured, and what follows from it.

use super::counts::Counts;
use super::latency::{Latency, quantile};
use super::units::{bytes, percent, rate, time};
use std::fmt;
use std::ops::Index;

/// A [`spread`](Latency::spread) from which on figures are not worth reading: something else is running.
pub const NOISY: f64 = 0.1;

/// What was measured of one thing. `Display` is a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    name: String,
    latency: Latency,
    counts: Counts,
}

/// What a [`Race`](super::Race) measured, in the order of its entrants. `Display` is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles(Vec<Profile>);

/// One thing against another. `Display` is a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    names: [String; 2],
    speed_up: f64,
    saved: f64,
}

impl Profile {
    pub(super) fn new(name: String, latency: Latency, counts: Counts) -> Profile {
        Profile { name, latency, counts }
    }

    /// The samples of both, which are of one thing.
    pub(super) fn with_samples_of(&self, other: &Profile) -> Profile {
        let samples = [self.latency.samples(), other.latency.samples()].concat();
        let latency = Latency::new(samples, self.latency.calls());
        Profile { latency, ..self.clone() }
    }

    pub(super) fn into_latency(self) -> Latency {
        self.latency
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long a call takes.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// What a call does.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Median nanoseconds for one element.
    pub fn per_element(&self) -> f64 {
        self.latency.per_element(self.counts.elements)
    }

    /// 10^9 FLOPs a second, at the median.
    pub fn gflops(&self) -> f64 {
        self.counts.flops.total() as f64 / self.latency.median()
    }

    /// 10^9 bytes a second read and written, at the median: more than memory gives where the arrays are
    /// in a cache.
    pub fn gbytes(&self) -> f64 {
        self.counts.bytes() as f64 / self.latency.median()
    }

    /// This one against a `baseline`, by their medians. Of what was measured in one race,
    /// [`Profiles::compare`] knows more.
    pub fn compare(&self, baseline: &Profile) -> Comparison {
        Comparison::new(self, baseline, baseline.latency.median() / self.latency.median())
    }
}

impl Profiles {
    pub(super) fn new(profiles: Vec<Profile>) -> Profiles {
        Profiles(profiles)
    }

    pub(super) fn into_only(self) -> Profile {
        self.0.into_iter().next().expect("a race has entrants")
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Profile> {
        self.0.iter()
    }

    /// How many times longer a call of `entrant` takes than one of `than`: the median of the ratios of
    /// each round, which a disturbance of some rounds does not move.
    ///
    /// # Panics
    ///
    /// If there is no such entrant, as for the other methods.
    pub fn ratio(&self, entrant: usize, than: usize) -> f64 {
        let [a, b] = [entrant, than].map(|index| self.0[index].latency.samples());
        let mut ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        quantile(&ratios, 0.5)
    }

    /// One entrant against a `baseline`, by their [ratio](Profiles::ratio).
    pub fn compare(&self, entrant: usize, baseline: usize) -> Comparison {
        let speed_up = self.ratio(baseline, entrant);
        Comparison::new(&self.0[entrant], &self.0[baseline], speed_up)
    }

    /// The entrant whose median is least.
    pub fn fastest(&self) -> usize {
        let median = |index: &usize| self.0[*index].latency.median();
        let all = 0..self.0.len();
        all.min_by(|a, b| median(a).total_cmp(&median(b))).expect("a race has entrants")
    }

    /// The number of samples of each.
    pub fn rounds(&self) -> usize {
        self.0[0].latency.samples().len()
    }

    /// The largest [spread](Latency::spread) of all: from [`NOISY`] on, something disturbed the run.
    pub fn noise(&self) -> f64 {
        self.0.iter().map(|profile| profile.latency.spread()).fold(0.0, f64::max)
    }
}

impl Index<usize> for Profiles {
    type Output = Profile;

    fn index(&self, entrant: usize) -> &Profile {
        &self.0[entrant]
    }
}

impl<'a> IntoIterator for &'a Profiles {
    type Item = &'a Profile;
    type IntoIter = std::slice::Iter<'a, Profile>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Comparison {
    fn new(profile: &Profile, baseline: &Profile, speed_up: f64) -> Comparison {
        let names = [profile, baseline].map(|profile| profile.name.clone());
        let saved = baseline.latency.median() * (1.0 - 1.0 / speed_up);
        Comparison { names, speed_up, saved }
    }

    /// How many times longer the baseline takes.
    pub fn speed_up(&self) -> f64 {
        self.speed_up
    }

    /// Nanoseconds of a call that are saved; negative where the baseline is faster.
    pub fn saved(&self) -> f64 {
        self.saved
    }

    /// The part of the baseline's time that is saved: 0.75 where a quarter is left.
    pub fn saved_part(&self) -> f64 {
        1.0 - 1.0 / self.speed_up
    }
}

/// One line for each figure: what it is, the figure, and what it is made of.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Profile { name, latency, counts } = self;
        writeln!(f, "{name}")?;
        let mut line = |what: &str, figure: String, note: String| {
            writeln!(f, "{}", format!("  {what:<12}{figure:>16}  {note}").trim_end())
        };
        let (samples, calls) = (latency.samples().len(), latency.calls());
        let note =
            format!("median of {samples} samples of {calls}, spread {}", percent(latency.spread()));
        line("latency", time(latency.median()), note)?;
        line("fastest", time(latency.minimum()), String::new())?;
        if counts.elements > 1 {
            let each = format!("for each of {} elements", counts.elements);
            line("per element", time(self.per_element()), each)?;
        }
        let flops = &counts.flops;
        if flops.kinds().next().is_some() {
            let kinds: Vec<String> =
                flops.kinds().map(|(kind, count)| format!("{count} {kind}")).collect();
            line("work", format!("{} FLOP", flops.total()), kinds.join(", "))?;
            line("throughput", rate(self.gflops(), "FLOP/s"), String::new())?;
        }
        if counts.bytes() > 0 {
            let both = format!("{} read, {} written", counts.loaded, counts.stored);
            line("moved", format!("{} bytes", counts.bytes()), both)?;
            line("bandwidth", rate(self.gbytes(), "B/s"), String::new())?;
            line("intensity", format!("{:.3} FLOP/byte", counts.intensity()), String::new())?;
        }
        if counts.memory > 0 {
            let what = "inputs, outputs and intermediates".to_string();
            line("peak memory", bytes(counts.memory), what)?;
        }
        Ok(())
    }
}

impl fmt::Display for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |profile: &Profile| profile.name.chars().count();
        let wide = self.iter().map(width).max().unwrap_or(0);
        let heads = ["median", "spread", "per element", "throughput", "bandwidth", "speed-up"];
        write!(f, "{:wide$}", "")?;
        heads.iter().try_for_each(|head| write!(f, " {head:>13}"))?;
        writeln!(f)?;
        let some = |figure: f64, text: String| if figure > 0.0 { text } else { "-".into() };
        for (index, profile) in self.iter().enumerate() {
            let latency = &profile.latency;
            let cells = [
                time(latency.median()),
                percent(latency.spread()),
                some(profile.counts.elements as f64, time(profile.per_element())),
                some(profile.gflops(), rate(profile.gflops(), "FLOP/s")),
                some(profile.gbytes(), rate(profile.gbytes(), "B/s")),
                format!("{:.2}x", self.ratio(0, index)),
            ];
            write!(f, "{:wide$}", profile.name)?;
            cells.iter().try_for_each(|cell| write!(f, " {cell:>13}"))?;
            writeln!(f)?;
        }
        let (rounds, noise) = (self.rounds(), self.noise());
        writeln!(f, "medians of {rounds} interleaved rounds")?;
        if noise >= NOISY {
            writeln!(f, "a spread of {}: the machine is busy with something else", percent(noise))?;
        }
        Ok(())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, baseline] = &self.names;
        let saved = time(self.saved.abs());
        match self.speed_up >= 1.0 {
            true => write!(
                f,
                "{name} is {:.2} times as fast as {baseline}: it saves {saved} of a call, {}",
                self.speed_up,
                percent(self.saved_part())
            ),
            false => write!(
                f,
                "{name} takes {:.2} times as long as {baseline}: it costs {saved} more a call",
                1.0 / self.speed_up
            ),
        }
    }
}
