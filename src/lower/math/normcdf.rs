//! The normal distribution function. Coefficients: `tools/coefficients/normcdf.py`.

use super::bits::{exponent_bits, magic};
use super::exp::exp_slope;
use super::{by_type, horner};
use crate::lower::range::Range;
use crate::vir::{Builder, Value};
use std::f64::consts::LOG2_E;

/// `Φ(-a) e^(a^2/2) = P / (L P + S)` for `a <= 14.3`; log2 of the relative error is -27.2.
const P_32: &[f64] = &[0.5, 0.437088281, 0.182310775, 0.0403128639, 0.00406620232];
const S_32: &[f64] = &[0.999019027, 0.417905211, 0.102767758, 0.00996396597];
const L_32: &[f64] = &[0.00196194649, 2.50659728];
/// The same for f64 and `a <= 38.7`: -57.7.
const P_64: &[f64] = &[
    0.5,
    0.8467250012346237,
    0.7092213009643245,
    0.3803857139020821,
    0.14343749399245087,
    0.03957552225204446,
    0.008084052768019505,
    0.0012093145739435138,
    0.00012736163869659313,
    8.596698492474593e-06,
    2.8648895102707125e-07,
];
const S_64: &[f64] = &[
    1.0,
    1.238020425956613,
    0.783815156826315,
    0.3221555150925934,
    0.0933540509120171,
    0.01963239813790433,
    0.0029882046986984836,
    0.0003178120410849824,
    2.1548727521034777e-05,
    7.181213049535518e-07,
];
const L_64: &[f64] = &[0.0, 2.5066282746310007];
/// 2 ln 2 in parts, the first of so few bits that its product with any exponent is exact.
const TWO_LN2_32: (f64, f64) = (1.386_291_503_906_25, 2.857_213_640_618_834_5e-6);
const TWO_LN2_64: (f64, f64) = (1.386_294_361_116_597_4, 3.293_189_916_579_416_5e-12);

/// `Φ(x)`, the chance that a normal variate is below `x`. Error 4.40 ULP (f32), 3.9 (f64, sampled), all
/// of it in the lower tail.
///
/// For the magnitude `a` the tail is `2^k e^(-r/2) P / (L P + S)` with `a^2 = r - 2k ln 2`; `1 -`
/// that for positive `x`. `r` comes of one fused step, so that `a^2` is never rounded, which would
/// cost `a^2` ULP. `L` is nearly `a √(2π)`, the reciprocal of Mills' ratio of a large `a`; since `P`
/// is in both parts of the quotient, what it lost to rounding falls out of it there.
pub(crate) fn normcdf(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    // Beyond, the tail rounds to 0.
    let most = by_type(ty, 14.3, 38.7);
    let mut a = b.abs(x);
    if !within.inside(-most, most) {
        let most = b.float(ty, most);
        a = b.min(most, a);
    }
    // The lift keeps all factors normal; only the quotient rounds, be it subnormal.
    let lift = by_type(ty, 64.0, 512.0);
    let magic = b.float(ty, magic(ty) + lift);
    let scale = b.float(ty, -LOG2_E / 2.0);
    let square = b.mul(a, a);
    let biased = b.fma(square, scale, magic);
    let k = b.sub(biased, magic);
    let (high, low) = by_type(ty, TWO_LN2_32, TWO_LN2_64);
    let (high, low) = (b.float(ty, high), b.float(ty, low));
    let k_ln2 = b.mul(k, high);
    let r = b.fma(a, a, k_ln2);
    let r = b.fma(k, low, r);
    // The constant terms come last: near 0, where they dominate, the others then round at a smaller
    // scale.
    let (p_first, p_others) = by_type(ty, P_32, P_64).split_first().expect("coefficients");
    let p_first = b.float(ty, *p_first);
    let p_rest = horner(b, a, p_others);
    let p_rest = b.mul(p_rest, a);
    let p = b.add(p_rest, p_first);
    let slope = exp_slope(b, r, -0.5, 1.0);
    let slope = b.mul(slope, p);
    let top_rest = b.fma(slope, r, p_rest);
    let top = b.add(top_rest, p_first);
    let lifted =
        |coefficients: &[f64]| coefficients.iter().map(|c| c * lift.exp2()).collect::<Vec<_>>();
    let line = horner(b, a, &lifted(by_type(ty, L_32, L_64)));
    let s = lifted(by_type(ty, S_32, S_64));
    let s_first = b.float(ty, s[0]);
    let s_rest = horner(b, a, &s[1..]);
    let s_rest = b.mul(s_rest, a);
    let bottom_rest = b.fma(line, p, s_rest);
    let bottom = b.add(bottom_rest, s_first);
    // Times 2^(k + lift). A NaN may become a number here; `bottom` is one still.
    let (bits, power) = (b.bitcast(top, ty.int()), exponent_bits(b, biased));
    let bits = b.add(bits, power);
    let top = b.bitcast(bits, ty);
    let tail = b.div(top, bottom);
    if within.high <= 0.0 {
        return tail;
    }
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let rest = b.sub(one, tail);
    let is_tail = b.lt(x, zero);
    b.select(is_tail, tail, rest)
}
