//! Published inputs at which results are hard to get right: `worst/*.txt`, which say their sources.

use kiln::ir::Op;

const LISTS: [&str; 4] = [
    include_str!("../worst/zimmermann.txt"),
    include_str!("../worst/core-math.txt"),
    include_str!("../worst/hard-to-round.txt"),
    include_str!("../worst/hard-trig.txt"),
];

/// Operands of `op` at which libraries were found to be furthest off, or whose exact results are next
/// to the middle between two `f64`s. Of odd and even functions some have one sign only.
///
/// ```
/// let inputs = kiln_accuracy::worst_cases(kiln::ir::Op::Exp);
/// assert!(inputs.contains(&vec![2f64.powi(-53)]));
/// ```
pub fn worst_cases(op: Op) -> Vec<Vec<f64>> {
    let lines = LISTS.iter().flat_map(|list| list.lines());
    let of_op = lines.filter_map(|line| line.strip_prefix(op.name())?.strip_prefix(' '));
    of_op.map(|operands| operands.split(' ').map(number).collect()).collect()
}

/// A number as C's `%a` writes it. It must be one of `f64`.
fn number(text: &str) -> f64 {
    let parse = || {
        let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |text| (-1.0, text));
        let (digits, exponent) = text.strip_prefix("0x")?.split_once('p')?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let significand = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
        let exponent = exponent.parse::<i32>().ok()? - 4 * i32::try_from(fraction.len()).ok()?;
        // Two factors: the power alone may be below the least number.
        let half = exponent / 2;
        Some(sign * significand as f64 * 2f64.powi(half) * 2f64.powi(exponent - half))
    };
    parse().unwrap_or_else(|| panic!("`{text}` is no hexadecimal number"))
}

#[cfg(test)]
mod tests {
    use super::{LISTS, number, worst_cases};
    use kiln::ir::Op;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, value) in [
            ("0x1p-53", f64::EPSILON / 2.0),
            ("-0x1.8p+1", -3.0),
            ("0x1.fffffffffffffp+1023", f64::MAX),
            ("0x1p-1074", f64::from_bits(1)),
            ("-0x0.fffffffffffffp-1022", -f64::from_bits((1 << 52) - 1)),
            ("0x1.921fb54442d18p+0", std::f64::consts::FRAC_PI_2),
        ] {
            assert_eq!(number(text).to_bits(), value.to_bits(), "{text}");
        }
    }

    #[test]
    fn every_line_is_of_an_op() {
        let lines = LISTS.iter().flat_map(|list| list.lines());
        let cases = lines.filter(|line| !line.starts_with('#')).count();
        let of_ops = Op::ALL.iter().map(|&op| {
            let cases = worst_cases(op);
            assert!(cases.iter().all(|case| case.len() == op.arity()), "{}", op.name());
            cases.len()
        });
        assert_eq!(of_ops.sum::<usize>(), cases);
    }
}
