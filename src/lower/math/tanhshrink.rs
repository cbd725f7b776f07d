//! `x - tanh x`. Coefficients: `tools/coefficients/minimax.sollya`.

use super::bits::{exponent_bias, or_sign, power_of_two, split_sign};
use super::exp::{exp_slope, reduce_roughly};
use super::{by_type, horner};
use crate::vir::{Builder, Value};

/// `x - tanh x = x^3 P(x^2)` for `|x| <= 0.96`; log2 of the relative error is -25.0.
const TANHSHRINK_32: &[f64] = &[
    0.33333334,
    -0.13333362,
    0.053969923,
    -0.021865318,
    0.008797921,
    -0.0033557164,
    0.0010356917,
    -0.00017643571,
];
/// The same for f64: -54.0.
const TANHSHRINK_64: &[f64] = &[
    0.3333333333333333,
    -0.1333333333333293,
    0.05396825396799209,
    -0.021869488528134255,
    0.008863235389210687,
    -0.0035921264627166343,
    0.001455822388321116,
    -0.0005899623421816253,
    0.00023887046276627966,
    -9.614888016390347e-05,
    3.756679016295728e-05,
    -1.303058242230197e-05,
    2.783043224838927e-06,
    8.506135490188344e-07,
    -1.3236151107508275e-06,
    7.287134999499964e-07,
    -2.1460328174607487e-07,
    2.7689520017188298e-08,
];

/// `x - tanh x`. Error 3.26 ULP (f32), 2.6 (f64, sampled); exactly odd.
///
/// `(a - 1) + 2 / (e^(2a) + 1)` of the magnitude `a`, of which neither term is large where the sum
/// is small; below, a polynomial.
pub(crate) fn tanhshrink(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Beyond, the quotient vanishes in the sum.
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
    let square = b.mul(a, a);
    let p = horner(b, square, by_type(ty, TANHSHRINK_32, TANHSHRINK_64));
    let cube = b.mul(a, square);
    let small = b.mul(cube, p);
    let limit = b.float(ty, 0.95);
    let is_small = b.lt(a, limit);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}
