//! `x - tanh x`. Coefficients: `tools/coefficients/minimax.sollya`.

use super::bits::{exponent_bias, or_sign, power_of_two, split_sign};
use super::exp::{exp_slope, reduce_roughly};
use super::{by_type, horner};
use crate::vir::{Builder, Value};

/// `x - tanh x = x^3 / 3 + x^5 P(x^2)` for `|x| <= 1.025`; log2 of the relative error is -30.4.
const TANHSHRINK_32: &[f64] = &[
    -0.13333331,
    0.053967535,
    -0.021861698,
    0.008821781,
    -0.0034671845,
    0.0012273072,
    -0.00032770485,
    4.5785364e-05,
];
/// The same for f64: -61.9.
const TANHSHRINK_64: &[f64] = &[
    -0.1333333333333333,
    0.05396825396825027,
    -0.021869488535992375,
    0.00886323552623847,
    -0.0035921279870089703,
    0.0014558339450611616,
    -0.0005900246875309626,
    0.00023911665884806158,
    -9.68733682095167e-05,
    3.9170747219340973e-05,
    -1.5707300268696633e-05,
    6.1296874584946045e-06,
    -2.2342822639535093e-06,
    7.097667776560325e-07,
    -1.7770416902083e-07,
    3.014170113314505e-08,
    -2.531876012608131e-09,
];
/// 1/3 minus the nearest f32 and f64.
const THIRD_REST: (f64, f64) = (-9.934_107_462_565_104e-9, 1.850_371_707_708_594e-17);

/// `x - tanh x`. Error 1.51 ULP (f32), 1.53 (f64, sampled); exactly odd.
///
/// `(a - 1) + 2 / (e^(2a) + 1)` of the magnitude `a`, where neither term is large if the sum is
/// small; below that, a polynomial after `a^3 / 3`, which loses nothing before the last sum.
pub fn tanhshrink(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Beyond this, the quotient vanishes in the sum.
    let most = b.float(ty, by_type(ty, 9.02, 19.1));
    let clamped = b.min(most, a);
    let (k, r) = reduce_roughly(b, clamped, 2.0, exponent_bias(ty));
    let (slope, power) = (exp_slope(b, r, 2.0, 1.0), power_of_two(b, k));
    let (one, two) = (b.float(ty, 1.0), b.float(ty, 2.0));
    let power_plus_one = b.add(power, one);
    let slope = b.mul(slope, power);
    let denominator = b.fma(slope, r, power_plus_one);
    let complement = b.div(two, denominator);
    let line = b.sub(a, one);
    let large = b.add(line, complement);
    let small = cubic(b, a);
    // Where the result passes 1/4 and its unit doubles.
    let limit = b.float(ty, 1.02);
    let is_small = b.lt(a, limit);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}

/// `a^3 / 3 + a^5 P(a^2)`, the cube and the third in two parts.
fn cubic(b: &mut Builder, a: Value) -> Value {
    let ty = b.ty(a);
    let square = b.mul(a, a);
    let cube = b.mul(a, square);
    let (minus_square, minus_cube) = (b.neg(square), b.neg(cube));
    let square_rest = b.fma(a, a, minus_square);
    let cube_rest = b.fma(a, square, minus_cube);
    let cube_rest = b.fma(a, square_rest, cube_rest);
    let third = b.float(ty, 1.0 / 3.0);
    let third_rest = b.float(ty, by_type(ty, THIRD_REST.0, THIRD_REST.1));
    let p = horner(b, square, by_type(ty, TANHSHRINK_32, TANHSHRINK_64));
    let p = b.fma(p, square, third_rest);
    let ratio = b.add(third, p);
    let rest = b.mul(cube_rest, ratio);
    let rest = b.fma(cube, p, rest);
    b.fma(cube, third, rest)
}
