//! Figures with the digits that count and the unit that suits them.

use std::time::Duration;

/// Nanoseconds in the unit that suits them.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        _ if ns < 999.5 => format!("{} ns", digits(ns)),
        _ if ns < 999.5e3 => format!("{} µs", digits(ns / 1e3)),
        _ if ns < 999.5e6 => format!("{} ms", digits(ns / 1e6)),
        _ => format!("{} s", digits(ns / 1e9)),
    }
}

/// The same of a duration.
pub(crate) fn duration(of: Duration) -> String {
    time(of.as_secs_f64() * 1e9)
}

/// A part of a whole.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

/// Three digits that count.
pub(crate) fn digits(number: f64) -> String {
    match number {
        _ if number < 0.9995 => format!("{number:.4}"),
        _ if number < 9.995 => format!("{number:.2}"),
        _ if number < 99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{digits, time};

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.18456, 0.9999, 1.004, 9.999, 12.34, 123.4, 99.99].map(digits);
        assert_eq!(shown, ["0.1846", "1.00", "1.00", "10.0", "12.3", "123", "100"]);
        let times = [12.0, 999.9, 1e6, 2.5e9].map(time);
        assert_eq!(times, ["12.0 ns", "1.00 µs", "1.00 ms", "2.50 s"]);
    }
}
