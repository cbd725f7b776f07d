//! sinh, cosh, tanh and the logistic sigmoid: all from one `e^x` whose range is known, so that they
//! need no double scaling, and a short odd polynomial where differences would cancel.
//! Coefficients: `tools/coefficients/minimax.sollya`.

use super::bits::{clamp, exponent_bias, or_sign, power_of_two, split_sign};
use super::exp::{exp_of_reduced, reduce, reduce_roughly};
use super::{by_type, horner};
use crate::vir::{Builder, Value};

/// `tanh x = x + x^3 P(x^2)` for `|x| <= 0.85`; log2 of the relative error is -26.9.
const TANH_32: &[f64] =
    &[-0.333332658, 0.133314788, -0.0537964106, 0.0211209338, -0.00714262063, 0.00144008046];
/// The same for f64 and `|x| <= 0.626`: -61.1.
const TANH_64: &[f64] = &[
    -0.33333333333333315,
    0.1333333333332993,
    -0.05396825396612263,
    0.021869488469783892,
    -0.008863234322214824,
    0.003592114043154675,
    -0.0014557259717860164,
    0.0005894510370602693,
    -0.00023700761524499182,
    9.154818933408062e-05,
    -3.017431225147669e-05,
    6.035780601782836e-06,
];
/// `sinh x = x + x^3 P(x^2)` for `|x| <= 1`; log2 of the relative error is -31.4.
const SINH_32: &[f64] = &[0.16666667, 0.008333315, 0.00019841666, 2.789984e-06];
/// The same for f64: -62.5.
const SINH_64: &[f64] = &[
    0.16666666666666666,
    0.008333333333333519,
    0.00019841269841133232,
    2.755731927390287e-06,
    2.5052098350165263e-08,
    1.6060174315015305e-10,
    7.580157504091655e-13,
    4.448995073979302e-15,
];

/// The hyperbolic sine. Error 1.62 ULP (f32), 1.64 (f64).
///
/// `e^a / 2 - 1 / (2 e^a)` of the magnitude `a`; a polynomial below 1.
pub(crate) fn sinh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let large = exp_sum(b, a, -1.0);
    let small = odd_polynomial(b, a, by_type(ty, SINH_32, SINH_64));
    let one = b.float(ty, 1.0);
    let is_small = b.lt(a, one);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}

/// The hyperbolic cosine, `e^a / 2 + 1 / (2 e^a)`. Error 1.34 ULP (f32), 1.35 (f64).
pub(crate) fn cosh(b: &mut Builder, x: Value) -> Value {
    let a = b.abs(x);
    exp_sum(b, a, 1.0)
}

/// `e^a / 2 + sign / (2 e^a)` for `a >= 0`.
///
/// From a quarter of `e^a`, which is finite wherever a half is: the last sum overflows exactly where
/// the result does.
fn exp_sum(b: &mut Builder, a: Value, sign: f64) -> Value {
    let ty = b.ty(a);
    let most = b.float(ty, by_type(ty, 89.5, 710.5));
    let a = b.min(most, a);
    let (k, r) = reduce(b, a, 1.0, exponent_bias(ty) - 2.0);
    let (p, power) = (exp_of_reduced(b, r, 1.0), power_of_two(b, k));
    let quarter = b.mul(p, power);
    let (two, eighth) = (b.float(ty, 2.0), b.float(ty, sign / 8.0));
    let decayed = b.div(eighth, quarter);
    b.fma(quarter, two, decayed)
}

/// The hyperbolic tangent. Error 1.03 ULP (f32), 1.49 (f64); exactly odd, within [-1, 1].
///
/// `1 - 2 / (e^(2a) + 1)` of the magnitude `a`, whose relative error shrinks as `a` grows (hence
/// one piece of ln 2 is enough); a polynomial where the difference would cancel.
pub(crate) fn tanh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Everything above rounds to 1.
    let most = b.float(ty, by_type(ty, 9.02, 19.1));
    let a = b.min(most, a);
    let (k, r) = reduce_roughly(b, a, 2.0, exponent_bias(ty));
    let (p, power) = (exp_of_reduced(b, r, 2.0), power_of_two(b, k));
    let (one, two) = (b.float(ty, 1.0), b.float(ty, 2.0));
    let denominator = b.fma(p, power, one);
    let complement = b.div(two, denominator);
    let large = b.sub(one, complement);
    let small = odd_polynomial(b, a, by_type(ty, TANH_32, TANH_64));
    let limit = b.float(ty, by_type(ty, 0.84, 0.625));
    let is_small = b.lt(a, limit);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}

/// `1 / (1 + e^-x)`. Error 2.47 ULP (f32), 2.42 (f64) in both tails, subnormal results included.
///
/// With `x = k ln 2 + r` it is `2^k / (2^k + e^-r)`: nothing cancels, nothing overflows, and no lane
/// needs a choice. Both terms are scaled up so that `2^k` stays normal.
pub(crate) fn sigmoid(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    // Above, everything rounds to 1; below, to 0.
    let (least, most) = by_type(ty, (-104.0, 18.0), (-746.0, 38.0));
    let scale = by_type(ty, 60, 500);
    let x = clamp(b, x, least, most);
    let (k, r) = reduce(b, x, 1.0, exponent_bias(ty) + f64::from(scale));
    let (p, power) = (exp_of_reduced(b, r, -1.0), power_of_two(b, k));
    let scale = b.float(ty, f64::from(scale).exp2());
    let denominator = b.fma(p, scale, power);
    b.div(power, denominator)
}

/// `x + x^3 P(x^2)`.
fn odd_polynomial(b: &mut Builder, x: Value, coefficients: &[f64]) -> Value {
    let square = b.mul(x, x);
    let p = horner(b, square, coefficients);
    let cube = b.mul(x, square);
    b.fma(cube, p, x)
}
