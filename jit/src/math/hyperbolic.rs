//! sinh, cosh, tanh and the logistic sigmoid: all from one `e^x` whose range is known, so that they
//! need no double scaling, and a short odd polynomial where differences would cancel. Coefficients:
//! `tools/coefficients/minimax.sollya`.

use super::bits::{clamp, exponent_bias, or_sign, power_of_two, split_sign};
use super::exp::{exp_slope, reduce, reduce_roughly};
use super::{Range, Tier, by_type, horner};
use crate::vir::{Builder, Type, Value};

/// `tanh x = x + x^3 P(x^2)` for `|x| <= 0.885`; log2 of the relative error is -26.2.
const TANH_32: &[f64] =
    &[-0.3333323, 0.13330726, -0.053745374, 0.020971084, -0.0069443393, 0.0013430889];
/// The same for f64 and `|x| <= 0.66`: -59.3.
const TANH_64: &[f64] = &[
    -0.33333333333333265,
    0.133333333333226,
    -0.053968253962369844,
    0.021869488373958697,
    -0.00886323290194818,
    0.0035921008234691735,
    -0.001455645467435712,
    0.0005891254103199747,
    -0.00023614046376631452,
    9.008738078176179e-05,
    -2.8763382223595557e-05,
    5.440497690609407e-06,
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

/// The hyperbolic sine. Error 1.13 ULP (f32), 1.15 (f64).
///
/// `e^a / 2 - 1 / (2 e^a)` of the magnitude `a`; a polynomial below 1. In the fast tier, in f32,
/// one formula for both ranges: error 3.21 ULP.
pub fn sinh(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    if (tier, ty) == (Tier::Fast, Type::F32) {
        let result = sinh_of_expm1(b, a);
        return or_sign(b, result, sign);
    }
    let large = exp_sum(b, a, -1.0);
    let small = odd_polynomial(b, a, by_type(ty, SINH_32, SINH_64));
    let one = b.float(ty, 1.0);
    let is_small = b.lt(a, one);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}

/// `(d + d / (d + 1)) / 2` of `a >= 0` with `d = e^a - 1`, where nothing cancels near 0; computed
/// through a quarter of it, as in [`exp_sum`]. At least `r`, because a quarter of a subnormal is
/// rounded: `r` is `a` up to `ln 2 / 2`, and at most that beyond.
fn sinh_of_expm1(b: &mut Builder, a: Value) -> Value {
    let ty = b.ty(a);
    let most = b.float(ty, by_type(ty, 89.5, 710.5));
    let a = b.min(most, a);
    let (k, r) = reduce(b, a, 1.0, exponent_bias(ty) - 2.0);
    let (slope, power) = (exp_slope(b, r, 1.0, 1.0), power_of_two(b, k));
    let (quarter, minus_quarter) = (b.float(ty, 0.25), b.float(ty, -0.25));
    let slope = b.mul(slope, power);
    let power_minus = b.add(power, minus_quarter);
    let part = b.fma(slope, r, power_minus);
    let decayed = b.add(part, quarter);
    let decayed = b.div(part, decayed);
    let half = b.fma(decayed, quarter, part);
    let result = b.add(half, half);
    b.max(result, r)
}

/// The hyperbolic cosine, `e^a / 2 + 1 / (2 e^a)`. Error 1.13 ULP (f32), 1.14 (f64).
pub fn cosh(b: &mut Builder, x: Value) -> Value {
    let a = b.abs(x);
    exp_sum(b, a, 1.0)
}

/// `e^a / 2 + sign / (2 e^a)` for `a >= 0`.
///
/// Computed as twice the same of a quarter of `e^a`, which is finite wherever the result is: the
/// last sum overflows exactly where the result does.
fn exp_sum(b: &mut Builder, a: Value, sign: f64) -> Value {
    let ty = b.ty(a);
    let most = b.float(ty, by_type(ty, 89.5, 710.5));
    let a = b.min(most, a);
    let (k, r) = reduce(b, a, 1.0, exponent_bias(ty) - 2.0);
    let (slope, power) = (exp_slope(b, r, 1.0, 1.0), power_of_two(b, k));
    let slope = b.mul(slope, power);
    let quarter = b.fma(slope, r, power);
    let part = b.float(ty, sign / 16.0);
    let decayed = b.div(part, quarter);
    // The exact power of two comes last, so that the sum before it rounds at a smaller scale.
    let rest = b.fma(slope, r, decayed);
    let half = b.add(power, rest);
    b.add(half, half)
}

/// The hyperbolic tangent. Error 1.00 ULP (f32), 1.26 (f64); exactly odd, within [-1, 1].
///
/// `1 - 2 / (e^(2a) + 1)` of the magnitude `a`, whose relative error shrinks as `a` grows (hence
/// one piece of ln 2 is enough); a polynomial where the difference would cancel. In the fast tier,
/// in f32, `d / (d + 2)` with `d = e^(2a) - 1` serves both ranges: error 3.44 ULP.
pub fn tanh(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Everything above rounds to 1.
    let most = b.float(ty, by_type(ty, 9.02, 19.1));
    let a = b.min(most, a);
    let (k, r) = reduce_roughly(b, a, 2.0, exponent_bias(ty));
    let (slope, power) = (exp_slope(b, r, 2.0, 1.0), power_of_two(b, k));
    let (one, two) = (b.float(ty, 1.0), b.float(ty, 2.0));
    let slope = b.mul(slope, power);
    if (tier, ty) == (Tier::Fast, Type::F32) {
        let minus_one = b.float(ty, -1.0);
        let power_minus_one = b.add(power, minus_one);
        let above = b.fma(slope, r, power_minus_one);
        let below = b.add(above, two);
        let result = b.div(above, below);
        return or_sign(b, result, sign);
    }
    // e^2a + 1 with one rounding: the sum of the other two terms is exact where it matters.
    let power_plus_one = b.add(power, one);
    let denominator = b.fma(slope, r, power_plus_one);
    let complement = b.div(two, denominator);
    let large = b.sub(one, complement);
    let small = odd_polynomial(b, a, by_type(ty, TANH_32, TANH_64));
    let limit = b.float(ty, by_type(ty, 0.884, 0.659));
    let is_small = b.lt(a, limit);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}

/// `1 / (1 + e^-x)`. Error 1.24 ULP (f32), 1.18 (f64) in both tails, subnormal results included.
///
/// With `x = k ln 2 + r` it is `2^k / (2^k + e^-r)`: nothing cancels, nothing overflows, and no
/// lane needs a select. Both terms are scaled up so that `2^k` stays normal. The reciprocal is
/// corrected by its relative error `1 - (2^k + e^-r) / D` for the rounded denominator `D`, in which
/// only parts much smaller than 1 round. The fast tier leaves that out: error 2.0 ULP for 14
/// operations and a division instead of 20 and one, `x * sigmoid(x)` at 0.125 instead of 0.181 ns
/// per element (AVX-512).
pub fn sigmoid(b: &mut Builder, tier: Tier, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    // Above, everything rounds to 1; below, to 0, which is [far below](super).
    let (least, most) = by_type(ty, (-112.5, 18.0), (-756.0, 38.0));
    let lift = by_type(ty, 60.0, 500.0);
    let x = clamp(b, x, within, least, most);
    let (k, r) = reduce(b, x, 1.0, exponent_bias(ty) + lift);
    let power = power_of_two(b, k);
    let (one, lift) = (b.float(ty, 1.0), lift.exp2());
    let lifted_one = b.float(ty, lift);
    if tier == Tier::Fast {
        let slope = exp_slope(b, r, -1.0, lift);
        // The small terms first: in the lower tail, where the sum is 1, they round at their own
        // scale.
        let rest = b.fma(slope, r, power);
        let denominator = b.add(rest, lifted_one);
        return b.div(power, denominator);
    }
    let slope = exp_slope(b, r, -1.0, -lift);
    let complement = b.mul(slope, r);
    let sum = b.add(power, lifted_one);
    let denominator = b.sub(sum, complement);
    let reciprocal = b.div(one, denominator);
    // 1 - reciprocal (1 + 2^k - complement), the largest parts first.
    let minus_lifted_one = b.float(ty, -lift);
    let error = b.fma(reciprocal, minus_lifted_one, one);
    let minus_power = b.neg(power);
    let error = b.fma(reciprocal, minus_power, error);
    let error = b.fma(reciprocal, complement, error);
    let reciprocal = b.fma(reciprocal, error, reciprocal);
    // Only here may a number be subnormal.
    b.mul(reciprocal, power)
}

/// `x + x^3 P(x^2)`.
fn odd_polynomial(b: &mut Builder, x: Value, coefficients: &[f64]) -> Value {
    let square = b.mul(x, x);
    let p = horner(b, square, coefficients);
    let cube = b.mul(x, square);
    b.fma(cube, p, x)
}
