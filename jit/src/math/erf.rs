//! The error function and its complement.
//! Coefficients: `tools/coefficients/{minimax,weighted}.sollya`, and `erf.py` for `erf` in f64.

use super::bits::{exponent_bias, magic, or_sign, power_of_two, split_sign};
use super::double_word::{fast_two_sum, two_prod};
use super::exp::exp_slope;
use super::{Tier, by_type, horner};
use crate::vir::{Builder, Type, Value};
use std::f64::consts::{LN_2, LOG2_E};

/// `erf x = x + x P(x^2)` for `|x| <= 1`; log2 of the relative error is -29.3.
const ERF_32: &[f64] =
    &[0.12837917, -0.37612626, 0.11283583, -0.026853692, 0.0051880744, -0.0008007889, 7.846173e-05];
/// The same for f64: -56.3.
const ERF_64: &[f64] = &[
    0.1283791670955126,
    -0.37612638903183876,
    0.11283791670958741,
    -0.026866170645619147,
    0.005223977629091198,
    -0.0008548327189331384,
    0.00012055337767440443,
    -1.4925738251937323e-05,
    1.6463083045836661e-06,
    -1.6370595645881892e-07,
    1.4786264738482082e-08,
    -1.182950921099924e-09,
    6.683030764946571e-11,
];
/// `erf x = x + x P(x^2 - 1/2)` for `x <= 1.12`; log2 of the relative error is -27.0.
const ERF_NEAR_32: &[f64] = &[
    -0.034531254,
    -0.28107217,
    0.07940965,
    -0.018283637,
    0.0034834156,
    -0.00056455861,
    7.0967159e-05,
];
/// The same for f64: -58.5.
const ERF_NEAR_64: &[f64] = &[
    -0.03453126133013269,
    -0.2810721780454343,
    0.07940998675593501,
    -0.01828388448914985,
    0.0034802744966574042,
    -0.0005611894221840084,
    7.82964954017228e-05,
    -9.614808083167041e-06,
    1.053643733129602e-06,
    -1.042060297492046e-07,
    9.392290110806372e-09,
    -7.76561223542556e-10,
    5.2963581776088086e-11,
];
/// `erfc x = P(x - 1.5)^3` for `1.12 <= x <= 3.92`; log2 of the absolute error of the power is -26.3.
const ERF_FAR_32: &[f64] = &[
    0.32362685,
    -0.37851393,
    0.12506436,
    0.023537809,
    -0.022439884,
    0.0011015985,
    0.0023561236,
    -0.00068395742,
    5.6569112e-05,
];
/// `erfc x = P(x - 1.5)^4` for `1.12 <= x <= 5.95`, f64; log2 of the absolute error of the power is
/// -58.3.
const ERF_FAR_64: &[f64] = &[
    0.42907522645363616,
    -0.3763848746510628,
    0.06932998074409429,
    0.03295383740840493,
    -0.012495818307290029,
    -0.0016049134741182357,
    0.0012489422946449869,
    -2.672258141628439e-05,
    -7.434491584422594e-05,
    8.35327919879278e-06,
    2.7799318736028314e-06,
    -5.169164949669471e-07,
    -8.513707299603108e-08,
    2.3398630229098548e-08,
    2.258298882686672e-09,
    -9.304612427438991e-10,
    -7.836212505305471e-11,
    6.328190338301363e-11,
    -1.092215859237717e-11,
    8.765603158663759e-13,
    -2.8584998529362295e-14,
];
/// `erf x = 1 - (1 - x P(x))^4` for `x <= 3.92`; log2 of the relative error is -25.5.
const ERF_FAST_32: &[f64] = &[
    0.28209478,
    0.11936689,
    -0.015469484,
    -0.018596042,
    0.0011606559,
    0.0020092393,
    -0.00024617356,
    -0.00012108555,
    3.4315235e-05,
    -2.6176563e-06,
];
/// `erfc(a) e^(a^2) = t P(t)` with `t = 1 / (a + 1)` for `0.85 <= a <= 10.1`; -29.9.
const ERFC_32: &[f64] = &[
    0.5641923,
    0.564041,
    0.28559887,
    -0.3289276,
    -0.31328475,
    -2.2715602,
    9.07297,
    -13.403173,
    9.677315,
    -2.876287,
];
/// The same for f64 with `t = 1 / (a + 2)` and `0.7 <= a <= 27.3`: -60.8.
const ERFC_64: &[f64] = &[
    0.564189583547214,
    1.1283791672144596,
    1.9746635303603435,
    2.8209486691932897,
    2.679868189744896,
    -0.2810726326094196,
    -7.288615681531597,
    -13.215053593644098,
    -8.969975097227781,
    136.291709576488,
    -733.3673925371924,
    6763.441775363387,
    -45342.87603297255,
    237495.72729084681,
    -1025861.0944342624,
    3532361.9353358303,
    -9370608.565913152,
    18793022.701455276,
    -28014707.989142433,
    30186776.00449006,
    -22301189.159267914,
    10139035.428321617,
    -2144466.527873969,
];
/// ln 2 in parts, the first of 16 bits.
const LN2_HIGH_32: f64 = 0.693_145_751_953_125;
/// ln 2 in parts, the first of 38 bits.
const LN2_HIGH_64: f64 = 0.6931471805582987;
const LN2_LOW_64: f64 = 1.6465949582897082e-12;

/// The error function. Error 0.96 ULP (f32), 1.12 (f64); exactly odd, within [-1, 1].
///
/// An odd polynomial near 0. Beyond it, `1 - P^3`, in f64 `1 - P^4`: a root of erfc is so much
/// smoother that the multiplications save six terms, and in f64 an exponential. Both polynomials
/// are centred where rounded arguments and sums would cost most.
///
/// In the fast tier, in f32, one polynomial serves both ranges, `v = 1 - erfc^(1/4)`; two steps
/// `v => 1 - (1 - v)^2 = 2 v - v^2` turn it into erf: nothing cancels where `v` is small, and
/// errors in a `v` near 1 vanish. The first is computed from `2 v`, since a quarter of the least
/// number is 0. Error 3.74 ULP.
pub fn erf(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Everything above rounds to 1.
    let most = b.float(ty, by_type(ty, 3.95, 5.95));
    let a = b.min(most, a);
    let result = match (tier, ty) {
        (Tier::Fast, Type::F32) => {
            let doubled: Vec<f64> = ERF_FAST_32.iter().map(|c| 2.0 * c).collect();
            let p = horner(b, a, &doubled);
            let double = b.mul(a, p);
            let minus_quarter = b.float(ty, -0.25);
            let minus_half_v = b.mul(double, minus_quarter);
            let v = b.fma(minus_half_v, double, double);
            let (double, minus) = (b.add(v, v), b.neg(v));
            b.fma(minus, v, double)
        }
        _ => {
            let minus_half = b.float(ty, -0.5);
            let square = b.fma(a, a, minus_half);
            let p = horner(b, square, by_type(ty, ERF_NEAR_32, ERF_NEAR_64));
            let near = b.fma(a, p, a);
            let (one, centre) = (b.float(ty, 1.0), b.float(ty, 1.5));
            let from_centre = b.sub(a, centre);
            let root = horner(b, from_centre, by_type(ty, ERF_FAR_32, ERF_FAR_64));
            let square = b.mul(root, root);
            let factor = if ty == Type::F32 { root } else { square };
            let minus = b.neg(factor);
            let far = b.fma(minus, square, one);
            let limit = b.float(ty, 1.12);
            let is_near = b.lt(a, limit);
            b.select(is_near, near, far)
        }
    };
    or_sign(b, result, sign)
}

/// `1 - erf x`. Error 1.90 ULP (f32), 2.37 (f64), in the tail and for subnormal results too.
///
/// For the magnitude `a` it is `e^(-a^2) t P(t)` with `t = 1 / (a + c)`, which maps every `a` whose
/// result does not round to zero to a short interval; for negative `x`, 2 minus that. The rounding
/// errors of `a^2`, `t` and the last sums are kept: rounding `a^2` would cost `a^2` ULP.
pub fn erfc(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Above, the tail rounds to 0: [far below](super).
    let most = b.float(ty, by_type(ty, 10.6, 27.6));
    let a = b.min(most, a);
    // -a^2 = k ln 2 - r. The first part of ln 2 has so few bits that its product with k is exact.
    let (square, square_low) = two_prod(b, a, a);
    let lift = by_type(ty, 64, 512);
    let magic = b.float(ty, magic(ty) + exponent_bias(ty) + f64::from(lift));
    let minus_log2_e = b.float(ty, -LOG2_E);
    let biased = b.fma(square, minus_log2_e, magic);
    let k = b.sub(biased, magic);
    let ln2_high = b.float(ty, by_type(ty, LN2_HIGH_32, LN2_HIGH_64));
    let ln2_low = b.float(ty, by_type(ty, LN_2 - LN2_HIGH_32, LN2_LOW_64));
    let k_ln2 = b.mul(k, ln2_high);
    let rest = b.add(square, k_ln2);
    let correction = b.fma(k, ln2_low, square_low);
    let (one, offset) = (b.float(ty, 1.0), b.float(ty, by_type(ty, 1.0, 2.0)));
    let denominator = b.add(a, offset);
    let t = b.div(one, denominator);
    // The rounding errors of that sum and the quotient go into the exponent: `t P(t)` is about a
    // power of `t`, with exponent 1.1 to 1.39 for 1 / (a + 1), and 1.2 to 2.04 for 1 / (a + 2).
    let kept = b.sub(denominator, offset);
    let lost = b.sub(a, kept);
    let minus_t = b.neg(t);
    let error = b.fma(minus_t, denominator, one);
    let error = b.fma(minus_t, lost, error);
    let weight = b.float(ty, by_type(ty, -1.24, -1.6));
    let correction = b.fma(error, weight, correction);
    let (r, low) = fast_two_sum(b, rest, correction);
    let slope = exp_slope(b, r, -1.0, 1.0);
    let (first, others) = by_type(ty, ERFC_32, ERFC_64).split_first().expect("coefficients");
    let q = horner(b, t, others);
    let first = b.float(ty, *first);
    let p = b.fma(q, t, first);
    let kept = b.sub(first, p);
    let p_error = b.fma(q, t, kept);
    let (scaled, product_error) = two_prod(b, t, p);
    let product_error = b.fma(t, p_error, product_error);
    let minus_scaled = b.neg(scaled);
    let rest = b.fma(minus_scaled, low, product_error);
    let slope = b.mul(slope, scaled);
    let rest = b.fma(slope, r, rest);
    let p = b.add(scaled, rest);
    // The power is scaled up to be normal; undoing that is the only rounding, combined with adding
    // 0 or 2, which the sign bit shifted by one happens to be.
    let power = power_of_two(b, biased);
    let lifted = b.mul(p, power);
    let lower = b.float(ty, (-f64::from(lift)).exp2());
    let lower = or_sign(b, lower, sign);
    let base = b.shr(sign, 1);
    let base = b.bitcast(base, ty);
    let far = b.fma(lifted, lower, base);
    let near = one_minus_small_erf(b, x);
    let limit = b.float(ty, by_type(ty, 0.85, 0.7));
    let is_near = b.lt(a, limit);
    b.select(is_near, near, far)
}

/// `1 - erf x` for `|x| <= 1`, as `(1 - x) - x P(x^2)`.
fn one_minus_small_erf(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let negated: Vec<f64> = by_type(ty, ERF_32, ERF_64).iter().map(|c| -c).collect();
    let square = b.mul(x, x);
    let p = horner(b, square, &negated);
    let one = b.float(ty, 1.0);
    let difference = b.sub(one, x);
    b.fma(x, p, difference)
}
