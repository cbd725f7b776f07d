//! The error function and its complement.
//! Coefficients: `tools/coefficients/minimax.sollya`.

use super::bits::{exponent_bias, magic, or_sign, power_of_two, split_sign};
use super::double_word::{fast_two_sum, two_prod};
use super::exp::{exp_slope, exp2_parts};
use super::{by_type, horner};
use crate::lower::Tier;
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
/// `erf x = 1 - 2^-P(x)` for `1 <= x <= 5.95`; log2 of the absolute error is -55.9.
const ERF_TAIL_64: &[f64] = &[
    2.659801088224457e-07,
    1.627904309877929,
    0.9184610723289831,
    0.14823207579966985,
    -0.02752223685239027,
    -0.0004071581256544727,
    0.002554891925691801,
    -0.0009274009250922328,
    6.629176265889615e-05,
    0.00010063357580906546,
    -6.459159743377112e-05,
    2.3692002506228565e-05,
    -6.206384041734232e-06,
    1.2194045651127001e-06,
    -1.8010079170284066e-07,
    1.9509389859390848e-08,
    -1.4673650295734782e-09,
    6.855641339831998e-11,
    -1.4991180342666207e-12,
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

/// The error function. Error 0.96 ULP (f32), 1.26 (f64); exactly odd, within [-1, 1].
///
/// An odd polynomial near 0. Beyond, in f32 `1 - P^3`: a root of erfc is so much smoother that the
/// products save six terms. In f64 `1 - erfc` with erfc as an exponential. In f32 both polynomials
/// have their origins where rounded arguments and sums would cost most.
///
/// In the fast tier, in f32, one polynomial does for both, `v = 1 - erfc^(1/4)`, of which two
/// steps `v => 1 - (1 - v)^2 = 2 v - v^2` make erf: nothing cancels where `v` is small, and errors of
/// a `v` near 1 vanish. Error 3.74 ULP.
pub(crate) fn erf(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    // Everything above rounds to 1.
    let most = b.float(ty, by_type(ty, 3.95, 5.95));
    let a = b.min(most, a);
    let result = match (tier, ty) {
        (Tier::Fast, Type::F32) => {
            let p = horner(b, a, ERF_FAST_32);
            let mut v = b.mul(a, p);
            for _ in 0..2 {
                let (double, minus) = (b.add(v, v), b.neg(v));
                v = b.fma(minus, v, double);
            }
            v
        }
        (_, Type::F32) => {
            let near = erf_near(b, a, 0.5, ERF_NEAR_32);
            let (one, centre) = (b.float(ty, 1.0), b.float(ty, 1.5));
            let from_centre = b.sub(a, centre);
            let root = horner(b, from_centre, ERF_FAR_32);
            let (square, minus) = (b.mul(root, root), b.neg(root));
            let far = b.fma(minus, square, one);
            let limit = b.float(ty, 1.12);
            let is_near = b.lt(a, limit);
            b.select(is_near, near, far)
        }
        _ => {
            let near = erf_near(b, a, 0.0, ERF_64);
            let negated: Vec<f64> = ERF_TAIL_64.iter().map(|c| -c).collect();
            let exponent = horner(b, a, &negated);
            // The bias that makes an exponent of `k`, and one more bit, which lands in the sign.
            let (k, p) = exp2_parts(b, exponent, exponent_bias(ty) + 2048.0);
            let minus_power = power_of_two(b, k);
            let one = b.float(ty, 1.0);
            let far = b.fma(p, minus_power, one);
            let is_near = b.lt(a, one);
            b.select(is_near, near, far)
        }
    };
    or_sign(b, result, sign)
}

/// `a + a P(a^2 - centre)`.
fn erf_near(b: &mut Builder, a: Value, centre: f64, coefficients: &[f64]) -> Value {
    let minus_centre = b.float(b.ty(a), -centre);
    let square = b.fma(a, a, minus_centre);
    let p = horner(b, square, coefficients);
    b.fma(a, p, a)
}

/// `1 - erf x`. Error 1.90 ULP (f32), 2.37 (f64), in the tail and for subnormal results too.
///
/// For the magnitude `a` it is `e^(-a^2) t P(t)` with `t = 1 / (a + c)`, which maps all that does
/// not round to zero to a short interval; `2 -` that for negative `x`. What `a^2`, `t` and the last
/// sums lose to rounding is kept: `a^2` rounded would cost `a^2` ULP.
pub(crate) fn erfc(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let most = b.float(ty, by_type(ty, 10.1, 27.3));
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
    // What that sum and the quotient lost goes into the exponent: `t P(t)` is about a power of `t`,
    // of exponent 1.1 to 1.39 with 1 / (a + 1), and 1.2 to 2.04 with 1 / (a + 2).
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
    // The power is lifted to be normal; taking that back rounds the only time, together with
    // adding the 0 or 2 that the sign bit, moved by one, happens to be.
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
