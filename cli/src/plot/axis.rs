//! Axes: where a number lies, and which numbers are written.

/// How numbers are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Evenly, from 0 on.
    Linear,
    /// By their logarithm.
    Log,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ticks {
    /// `0.1`, `1`, `10`, ..
    Plain,
    /// Powers of two: `512`, `4 Ki`, `1 Mi`, ..
    Binary,
}

/// An axis: what it shows, and how. Its range follows from what is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
    pub(crate) ticks: Ticks,
}

/// An axis whose range is known.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    scale: Scale,
    ticks: Ticks,
    /// Of what [`Ruler::along`] maps to 0 and to 1, by their logarithm on a logarithmic axis.
    low: f64,
    high: f64,
}

/// A number that is marked, and what is written there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    /// Nothing for one of the marks between.
    pub(super) text: Option<String>,
}

/// The most numbers of an axis, however long it is.
pub(super) const MOST: usize = 10;

impl Axis {
    /// Whether a number has a place on it.
    pub(super) fn has(&self, number: f64) -> bool {
        number.is_finite() && (self.scale == Scale::Linear || number > 0.0)
    }

    /// The ruler on which all these numbers lie, with those parts of it free before and after them.
    pub(super) fn ruler(&self, numbers: impl Iterator<Item = f64>, free: [f64; 2]) -> Ruler {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for number in numbers.filter(|&number| self.has(number)) {
            (low, high) = (low.min(number), high.max(number));
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let (low, high) = match (self.scale, self.ticks) {
            (Scale::Linear, _) => (low.min(0.0), high.max(0.0)),
            (Scale::Log, Ticks::Binary) => (low.log2(), high.log2()),
            (Scale::Log, Ticks::Plain) => (low.log10(), high.log10()),
        };
        // One number alone has room, too.
        let length = if high > low { high - low } else { 1.0 };
        let [before, after] = free.map(|part| length * part / (1.0 - free[0] - free[1]));
        let (low, high) = (low - before, high.max(low + length) + after);
        Ruler { scale: self.scale, ticks: self.ticks, low, high }
    }
}

impl Ruler {
    /// The part of the axis before `number`.
    pub(super) fn along(&self, number: f64) -> f64 {
        let number = match (self.scale, self.ticks) {
            (Scale::Linear, _) => number,
            (Scale::Log, Ticks::Binary) => number.log2(),
            (Scale::Log, Ticks::Plain) => number.log10(),
        };
        (number - self.low) / (self.high - self.low)
    }

    /// Numbers, not many more than `most`, and marks between them.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        match (self.scale, self.ticks) {
            (Scale::Linear, _) => {
                let step = step(self.high - self.low, most);
                let (first, last) =
                    ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
                let ats = (first..=last).map(|index| index as f64 * step);
                ats.map(|at| Tick { at, text: Some(self.written(at)) }).collect()
            }
            (Scale::Log, Ticks::Binary) => {
                let (low, high) = (self.low.ceil() as i32, self.high.floor() as i32);
                let few = |step: &i32| (high - low) / step < most as i32;
                let step = [1, 2, 4, 5, 10, 20].into_iter().find(few).unwrap_or(40);
                (low..=high)
                    .map(|power| {
                        let at = f64::from(power).exp2();
                        let text = (power % step == 0).then(|| self.written(at));
                        Tick { at, text }
                    })
                    .collect()
            }
            (Scale::Log, Ticks::Plain) => self.decades(most),
        }
    }

    /// Powers of ten; twice and five times these if there are few, and marks for the others.
    fn decades(&self, most: usize) -> Vec<Tick> {
        let decades = self.high - self.low;
        let step = (decades / most as f64).ceil().max(1.0) as i32;
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let mut ticks = Vec::new();
        for power in first..=last {
            for digit in 1..10 {
                let at = f64::from(digit) * 10f64.powi(power);
                let written = match digit {
                    1 => power.rem_euclid(step) == 0,
                    2 | 5 => decades < most as f64 / 4.0,
                    _ => decades < 0.7,
                };
                let between = digit == 1 || decades < 6.0;
                if between && (0.0..=1.0).contains(&self.along(at)) {
                    ticks.push(Tick { at, text: written.then(|| self.written(at)) });
                }
            }
        }
        ticks
    }

    fn written(&self, number: f64) -> String {
        match self.ticks {
            Ticks::Plain => plain(number),
            Ticks::Binary => binary(number),
        }
    }
}

/// The distance of the numbers on a linear axis: 1, 2 or 5 times a power of ten.
fn step(range: f64, most: usize) -> f64 {
    if range <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf((range / most as f64).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    steps.into_iter().find(|step| range / step <= most as f64).unwrap_or(10.0 * power)
}

/// `0.05`, `12`, `20 000`.
fn plain(number: f64) -> String {
    // What steps of tenths leave behind.
    let digits = if number == 0.0 { 0 } else { (2 - number.abs().log10().floor() as i32).max(0) };
    let text = format!("{number:.*}", digits as usize);
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    match text.len() {
        ..=4 => text,
        _ if text.contains('.') => text,
        length => {
            let gap = |(index, digit): (usize, char)| {
                let gap = index > 0 && (length - index).is_multiple_of(3);
                [gap.then_some('\u{a0}'), Some(digit)]
            };
            text.chars().enumerate().flat_map(gap).flatten().collect()
        }
    }
}

/// `1/4`, `512`, `4 Ki`.
fn binary(number: f64) -> String {
    const UNITS: [(f64, &str); 4] = [
        ((1u64 << 40) as f64, "Ti"),
        ((1 << 30) as f64, "Gi"),
        ((1 << 20) as f64, "Mi"),
        (1024.0, "Ki"),
    ];
    if number < 1.0 {
        return format!("1/{}", plain(1.0 / number));
    }
    match UNITS.into_iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => format!("{}\u{a0}{name}", plain(number / unit)),
        None => plain(number),
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, MOST, Scale, Ticks};

    fn written(scale: Scale, ticks: Ticks, numbers: &[f64]) -> Vec<String> {
        let ruler =
            Axis { label: String::new(), scale, ticks }.ruler(numbers.iter().copied(), [0.02; 2]);
        assert!(numbers.iter().all(|&number| (0.0..=1.0).contains(&ruler.along(number))));
        let text = |text: String| text.replace('\u{a0}', " ");
        ruler.ticks(MOST).into_iter().filter_map(|tick| tick.text).map(text).collect()
    }

    #[test]
    fn sizes_are_powers_of_two() {
        let sizes = written(Scale::Log, Ticks::Binary, &[64.0, 2048.0]);
        assert_eq!(sizes, ["64", "128", "256", "512", "1 Ki", "2 Ki"]);
        let sizes = written(Scale::Log, Ticks::Binary, &[1024.0, (1 << 26) as f64]);
        assert_eq!(
            sizes,
            ["1 Ki", "4 Ki", "16 Ki", "64 Ki", "256 Ki", "1 Mi", "4 Mi", "16 Mi", "64 Mi"]
        );
        assert_eq!(written(Scale::Log, Ticks::Binary, &[0.25, 1.0]), ["1/4", "1/2", "1"]);
    }

    #[test]
    fn decades_have_twos_and_fives_if_they_are_few() {
        let numbers = written(Scale::Log, Ticks::Plain, &[0.06, 170.0]);
        assert_eq!(numbers, ["0.1", "1", "10", "100"]);
        let numbers = written(Scale::Log, Ticks::Plain, &[3.0, 60.0]);
        assert_eq!(numbers, ["5", "10", "20", "50"]);
        assert!(written(Scale::Log, Ticks::Plain, &[7.0]).contains(&"10".to_string()));
        let numbers = written(Scale::Log, Ticks::Plain, &[1e-3, 3e4]);
        assert_eq!(numbers, ["0.001", "0.01", "0.1", "1", "10", "100", "1000", "10 000"]);
    }

    #[test]
    fn linear_axes_begin_at_zero() {
        let numbers = written(Scale::Linear, Ticks::Plain, &[31.0, 97.0]);
        assert_eq!(numbers, ["0", "20", "40", "60", "80"]);
        assert_eq!(written(Scale::Linear, Ticks::Plain, &[0.5])[..3], ["0", "0.1", "0.2"]);
    }

    #[test]
    fn numbers_without_a_place_change_nothing() {
        let numbers = [1.0, 0.0, -4.0, f64::NAN, f64::INFINITY, 8.0];
        let axis = Axis { label: String::new(), scale: Scale::Log, ticks: Ticks::Binary };
        assert_eq!(axis.ruler(numbers.into_iter(), [0.0; 2]).ticks(MOST).len(), 4);
        assert_eq!(axis.ruler([].into_iter(), [0.0; 2]).along(1.0), 0.0);
    }
}
