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
        let note = format!(
            "median of {samples} samples of {calls} calls, spread {}",
            percent(latency.spread())
        );
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

#[cfg(test)]
mod tests {
    use super::{Profile, Profiles};
    use crate::profile::{Counts, Flops, Latency};

    fn profile(name: &str, samples: [f64; 3], counts: Counts) -> Profile {
        Profile::new(name.into(), Latency::new(samples.to_vec(), 4), counts)
    }

    fn profiles() -> Profiles {
        let flops = Flops { multiplies: 3000, fmas: 500, comparisons: 1000, ..Flops::default() };
        let counts = Counts { elements: 1000, flops, loaded: 4000, stored: 4000, memory: 8192 };
        let plain = profile("plain", [4100.0, 4000.0, 4000.0], counts);
        Profiles::new(vec![plain, profile("one", [990.0, 1000.0, 2000.0], counts)])
    }

    #[test]
    fn a_report_has_a_line_for_each_figure() {
        let expected = "\
one
  latency             1.000 µs  median of 3 samples of 4 calls, spread 50.5%
  fastest             990.0 ns
  per element         1.000 ns  for each of 1000 elements
  work               4000 FLOP  3000 multiplies, 500 FMAs, 1000 comparisons
  throughput     4.000 GFLOP/s
  moved             8000 bytes  4000 read, 4000 written
  bandwidth         8.000 GB/s
  intensity    0.500 FLOP/byte
  peak memory        8.000 KiB  inputs, outputs and intermediates
";
        assert_eq!(profiles()[1].to_string(), expected);
        let time = profile("time alone", [1.0, 2.0, 3.0], Counts::default()).to_string();
        assert_eq!(time.lines().count(), 3, "{time}");
    }

    #[test]
    fn a_table_compares_with_the_first() {
        let expected = "
             median        spread   per element    throughput     bandwidth      speed-up
plain      4.000 µs          1.2%      4.000 ns 1.000 GFLOP/s    2.000 GB/s         1.00x
one        1.000 µs         50.5%      1.000 ns 4.000 GFLOP/s    8.000 GB/s         4.00x
medians of 3 interleaved rounds
a spread of 50.5%: the machine is busy with something else
";
        assert_eq!(profiles().to_string(), expected[1..]);
    }

    #[test]
    fn comparisons_go_by_rounds() {
        let profiles = profiles();
        // The rounds' ratios are 4.14, 4 and 2.
        assert_eq!((profiles.ratio(0, 1), profiles.fastest(), profiles.rounds()), (4.0, 1, 3));
        let better = profiles.compare(1, 0);
        assert_eq!((better.speed_up(), better.saved(), better.saved_part()), (4.0, 3000.0, 0.75));
        let expected = "one is 4.00 times as fast as plain: it saves 3.000 µs of a call, 75.0%";
        assert_eq!(better.to_string(), expected);
        let worse = profiles.compare(0, 1).to_string();
        assert_eq!(worse, "plain takes 4.00 times as long as one: it costs 3.000 µs more a call");
        assert_eq!(profiles[1].compare(&profiles[0]).speed_up(), 4.0);
    }
}
