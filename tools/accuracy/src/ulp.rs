//! What an error is.
//!
//! The error of a result is its distance from the exact value in units in the last place (ULP) of
//! the exact value: `|got - exact| / 2^(e - p + 1)` where `2^e <= |exact| < 2^(e + 1)` and `p` is
//! 24 or 53 digits. Below the least normal number the unit stays that of the least normal binade.
//! Correct rounding is at most 0.5.
//!
//! Three things are no matter of degree, and are counted as [`Failure`]s: a NaN for a number or a
//! number for a NaN, a zero (or any number) of the wrong sign, and an infinity where the exact
//! value rounds to a finite one or the other way round.

use kiln::DType;
use serde::{Deserialize, Serialize};

/// A result that is wrong in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// NaN where the exact value is a number, or a number where it is none.
    Nan,
    /// Infinite where the exact value rounds to a finite one, or the other way round.
    Infinity,
    /// The sign differs, that of a zero included.
    Sign,
}

/// How one result compares with the exact value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// So many ULP; `subnormal` if the exact value is below the least normal number.
    Ulp {
        error: f64,
        subnormal: bool,
    },
    Failure(Failure),
}

/// The least normal number of a type.
pub(crate) fn least_normal(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE }
}

/// The unit in the last place of `value` in `dtype`, as a power of two: `2^result`.
pub(crate) fn ulp_exponent(dtype: DType, value: f64) -> i32 {
    let (digits, least) = if dtype == DType::F32 { (23, -149) } else { (52, -1074) };
    let biased = (value.to_bits() >> 52 & 0x7ff) as i32;
    (biased - 1023 - digits).max(least)
}

/// `value * 2^exponent`, exact where the result is normal.
pub(crate) fn scale(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    let power = |e: i32| f64::from_bits(((1023 + e) as u64) << 52);
    value * power(half) * power(exponent - half)
}

/// Judges `got`, a value of `dtype`, by `exact`: its own error is that of an `f64`.
pub(crate) fn judge(dtype: DType, got: f64, exact: f64) -> Verdict {
    if got.is_nan() || exact.is_nan() {
        return match got.is_nan() && exact.is_nan() {
            true => Verdict::Ulp { error: 0.0, subnormal: false },
            false => Verdict::Failure(Failure::Nan),
        };
    }
    if got.is_sign_negative() != exact.is_sign_negative() {
        return Verdict::Failure(Failure::Sign);
    }
    if got.is_infinite() || dtype.round(exact).is_infinite() {
        return match got == dtype.round(exact) {
            true => Verdict::Ulp { error: 0.0, subnormal: false },
            false => Verdict::Failure(Failure::Infinity),
        };
    }
    // Both are finite and of one sign: the difference is exact where it is small.
    let error = scale((got - exact).abs(), -ulp_exponent(dtype, exact));
    Verdict::Ulp { error, subnormal: exact.abs() < least_normal(dtype) }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Verdict, judge};
    use kiln::DType;

    fn ulp(error: f64) -> Verdict {
        Verdict::Ulp { error, subnormal: false }
    }

    #[test]
    fn errors_are_in_units_of_the_exact_value() {
        let eps = f64::from(f32::EPSILON);
        assert_eq!(judge(DType::F32, 1.0, 1.0 + eps / 4.0), ulp(0.25));
        assert_eq!(judge(DType::F32, 1.0, 1.0 - eps / 4.0), ulp(0.5));
        assert_eq!(judge(DType::F64, 1.0, 1.0 + f64::EPSILON), ulp(1.0));
        let (least, half) = (2f64.powi(-149), 2f64.powi(-150));
        let tiny = Verdict::Ulp { error: 0.5, subnormal: true };
        assert_eq!(judge(DType::F32, least, half), tiny);
        assert_eq!(
            judge(DType::F64, 0.0, f64::from_bits(3)),
            Verdict::Ulp { error: 3.0, subnormal: true }
        );
        assert_eq!(
            judge(DType::F64, 1.5e308, f64::MAX),
            ulp((f64::MAX - 1.5e308) * 2f64.powi(-971))
        );
    }

    #[test]
    fn nan_infinity_and_sign_are_failures() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let max = f64::from(f32::MAX);
        for (got, exact, want) in [
            (nan, nan, ulp(0.0)),
            (nan, 1.0, Verdict::Failure(Failure::Nan)),
            (1.0, nan, Verdict::Failure(Failure::Nan)),
            (-0.0, 0.0, Verdict::Failure(Failure::Sign)),
            (-0.0, 1e-300, Verdict::Failure(Failure::Sign)),
            (inf, 1e39, ulp(0.0)),
            (inf, max, Verdict::Failure(Failure::Infinity)),
            (max, 1e39, Verdict::Failure(Failure::Infinity)),
            (-inf, inf, Verdict::Failure(Failure::Sign)),
        ] {
            assert_eq!(judge(DType::F32, got, exact), want, "{got:e} for {exact:e}");
        }
    }
}
