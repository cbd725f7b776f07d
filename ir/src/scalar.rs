//! Scalar definitions that no library has in the form that the op table needs.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// -1, 1, or the zero or NaN given.
pub(crate) fn sign(a: f64) -> f64 {
    if a == 0.0 || a.is_nan() { a } else { 1f64.copysign(a) }
}

/// IEEE 754-2019 `minimum`: NaN if either is, -0 below +0.
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b || (a == b && a.is_sign_negative()) {
        a
    } else {
        b
    }
}

/// IEEE 754-2019 `maximum`: NaN if either is, -0 below +0.
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    -minimum(-a, -b)
}

/// The quotient rounded toward zero; 0 for a zero divisor.
pub(crate) fn integer_quotient(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_div(b) }
}

/// The remainder of [`integer_quotient`], with the sign of `a`; 0 for a zero divisor.
pub(crate) fn integer_remainder(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_rem(b) }
}

/// The quotient rounded down; 0 for a zero divisor.
pub(crate) fn integer_floor_quotient(a: i64, b: i64) -> i64 {
    let quotient = integer_quotient(a, b);
    if rest_is_opposite(a, b) { quotient - 1 } else { quotient }
}

/// The remainder of [`integer_floor_quotient`], with the sign of `b`; 0 for a zero divisor.
pub(crate) fn integer_floor_remainder(a: i64, b: i64) -> i64 {
    let rest = integer_remainder(a, b);
    if rest_is_opposite(a, b) { rest + b } else { rest }
}

/// Whether the quotient rounded toward zero was rounded up.
fn rest_is_opposite(a: i64, b: i64) -> bool {
    let rest = integer_remainder(a, b);
    rest != 0 && (rest < 0) != (b < 0)
}

/// The quotient of `f64` rounded down, as [`floor_quotient_within`].
pub(crate) fn floor_quotient(a: f64, b: f64) -> f64 {
    floor_quotient_within(a, b, 2f64.powi(53))
}

/// The quotient of two `f32` rounded down, to be rounded to `f32`.
pub(crate) fn floor_quotient_f32(a: f64, b: f64) -> f64 {
    floor_quotient_within(a, b, 2f64.powi(24))
}

/// The exact quotient rounded down; beyond `limit`, from which on all floats are integers, the
/// quotient itself. Special cases are NumPy's: NaN for infinite `a`, infinite for finite `a` over 0,
/// -1 for what is finite over an infinity of the other sign.
fn floor_quotient_within(a: f64, b: f64, limit: f64) -> f64 {
    let quotient = a / b;
    if b == 0.0 || quotient.is_nan() {
        return quotient;
    }
    if a.is_infinite() {
        return f64::NAN;
    }
    if quotient.abs() > limit {
        return quotient;
    }
    let whole = quotient.floor();
    // If the quotient was rounded up to an integer, the remainder has the wrong sign. For a quotient of
    // zero the remainder is `a` itself; 0 times an infinity would be NaN.
    let rest = if whole == 0.0 { a } else { (-whole).mul_add(b, a) };
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { whole - 1.0 } else { whole }
}

/// The remainder of [`floor_quotient`]: exact, but where `b` must be added to it, which rounds once.
pub(crate) fn floor_remainder(a: f64, b: f64) -> f64 {
    let rest = libm::fmod(a, b);
    if rest == 0.0 {
        0f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// The normal distribution function, `erfc(-a / √2) / 2`.
///
/// The rounding error of `t = -a / √2` is added back, because in the tail it is magnified by `t^2`.
pub(crate) fn normcdf(a: f64) -> f64 {
    /// `1 / √2` less the `f64` nearest to it.
    const REST: f64 = -4.833_646_656_726_457e-17;
    let t = -a * FRAC_1_SQRT_2;
    let half = 0.5 * libm::erfc(t);
    // Farther out the result is 0 or 1, or a NaN.
    if t.abs() < 28.0 {
        let lost = (-a).mul_add(FRAC_1_SQRT_2, -t) - a * REST;
        return half - FRAC_2_SQRT_PI / 2.0 * libm::exp(-t * t) * lost;
    }
    half
}

/// `a - tanh(a) = a w / (1 + w)` with `w = z / (3 + z / (5 + z / (7 + ..)))`, `z = a^2`: near 0 without
/// cancellation, by Lambert's continued fraction of `tanh(a) / a = 1 / (1 + w)`.
pub(crate) fn tanhshrink(a: f64) -> f64 {
    if a.abs() >= 1.0 || a.is_nan() {
        return a - libm::tanh(a);
    }
    let square = a * a;
    let tail = (2..=10).rev().fold(23.0, |tail, n| f64::from(2 * n + 1) + square / tail);
    let w = square / (3.0 + square / tail);
    a * (w / (1.0 + w))
}

/// The inverse hyperbolic cosine. (`libm` gives numbers for some operands far below 1.)
pub(crate) fn acosh(a: f64) -> f64 {
    if a < 1.0 { f64::NAN } else { libm::acosh(a) }
}

/// The logistic function without cancellation: `exp(-|a|)` never overflows.
pub(crate) fn sigmoid(a: f64) -> f64 {
    let e = libm::exp(-a.abs());
    if a < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

#[cfg(test)]
mod tests {
    use super::acosh;

    #[test]
    fn acosh_has_a_domain() {
        for a in [0.999, 0.0, -1.0, -2.0, -290_246.0, -577_321.0, -1e10, -1e300] {
            assert!(acosh(a).is_nan(), "{a}");
        }
        assert_eq!((acosh(1.0), acosh(f64::INFINITY)), (0.0, f64::INFINITY));
    }
}
