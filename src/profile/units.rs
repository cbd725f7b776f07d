//! Figures with three or four digits and a unit that suits them.

/// A time in nanoseconds.
pub(super) fn time(nanoseconds: f64) -> String {
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    scaled(nanoseconds, &units)
}

/// A rate in 10^9 a second.
pub(super) fn rate(giga: f64, unit: &str) -> String {
    let units = [("M", 1e-3), ("G", 1.0), ("T", 1e3)];
    scaled(giga, &units) + unit
}

/// Bytes.
pub(super) fn bytes(count: u64) -> String {
    if count < 1 << 10 {
        return format!("{count} bytes");
    }
    let units = [("KiB", 1024.0), ("MiB", f64::from(1 << 20)), ("GiB", f64::from(1 << 30))];
    scaled(count as f64, &units)
}

/// A part of a whole.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}

/// In the largest of some units, ascending, that leaves at least 1 of it.
fn scaled(value: f64, units: &[(&str, f64)]) -> String {
    let fitting = units.iter().rev().find(|(_, size)| value >= *size);
    let (unit, size) = fitting.unwrap_or(&units[0]);
    let value = value / size;
    let digits = if value < 10.0 {
        3
    } else if value < 100.0 {
        2
    } else {
        1
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::{bytes, percent, rate, time};

    #[test]
    fn units_suit_the_figure() {
        assert_eq!(
            [0.0423, 31.0, 4200.0, 2.5e9].map(time),
            ["0.042 ns", "31.00 ns", "4.200 µs", "2.500 s"]
        );
        assert_eq!(rate(123.45, "FLOP/s"), "123.5 GFLOP/s");
        assert_eq!(rate(0.05, "B/s"), "50.00 MB/s");
        assert_eq!([1000, 1 << 10, 3 << 20].map(bytes), ["1000 bytes", "1.000 KiB", "3.000 MiB"]);
        assert_eq!(percent(0.123), "12.3%");
    }
}
