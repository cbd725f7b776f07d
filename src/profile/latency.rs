//! Times of one thing, sample by sample.

/// How long a call takes. All times are nanoseconds; as `f64`, for per element they are less than one.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Nanoseconds of a call, in the order in which they were taken.
    samples: Vec<f64>,
    sorted: Vec<f64>,
    calls: u32,
}

impl Latency {
    /// Of samples, at least one, each the mean of so many `calls`.
    pub(super) fn new(samples: Vec<f64>, calls: u32) -> Latency {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        Latency { samples, sorted, calls }
    }

    /// Half of the samples are below, half above.
    pub fn median(&self) -> f64 {
        quantile(&self.sorted, 0.5)
    }

    /// The fastest sample: what the machine does when nothing disturbs it.
    pub fn minimum(&self) -> f64 {
        self.sorted[0]
    }

    /// The interquartile range over the median: half of the samples lie within a band so wide. It is
    /// 0 for a single sample, a hundredth or two on a quiet machine, and [`NOISY`](super::NOISY) on one
    /// whose figures are not worth reading.
    pub fn spread(&self) -> f64 {
        relative_spread(&self.sorted)
    }

    /// The median for one of so many elements.
    pub fn per_element(&self, elements: u64) -> f64 {
        self.median() / elements.max(1) as f64
    }

    /// Nanoseconds of a call in each sample, in the order in which they were taken.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// How many calls each sample is the mean of: more than one where a call is too short for the
    /// clock.
    pub fn calls(&self) -> u32 {
        self.calls
    }
}

/// The interquartile range over the median.
pub(super) fn relative_spread(sorted: &[f64]) -> f64 {
    match quantile(sorted, 0.5) {
        // Less than the clock can tell.
        0.0 => 0.0,
        median => (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median,
    }
}

/// Interpolated between the two samples that are nearest.
pub(super) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::Latency;

    #[test]
    fn samples_are_summed_up() {
        let latency = Latency::new(vec![4.0, 1.0, 2.0, 3.0, 100.0], 7);
        assert_eq!((latency.median(), latency.minimum(), latency.calls()), (3.0, 1.0, 7));
        assert_eq!(latency.spread(), (4.0 - 2.0) / 3.0);
        assert_eq!(latency.per_element(6), 0.5);
        assert_eq!(latency.samples(), [4.0, 1.0, 2.0, 3.0, 100.0]);
        let one = Latency::new(vec![2.5], 1);
        assert_eq!((one.median(), one.minimum(), one.spread()), (2.5, 2.5, 0.0));
        assert_eq!(Latency::new(vec![1.0, 2.0], 1).median(), 1.5);
    }
}
