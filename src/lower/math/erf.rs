//! The error function and its complement.
//! Coefficients: `tools/coefficients/minimax.sollya`.

use super::exp::{exp2_parts, exponent_bias, or_sign, power_of_two, split_sign};
use super::{by_type, horner};
use crate::vir::{Builder, Type, Value};

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
/// `erf x = P(x - TAIL_CENTRE)` for `1 <= x <= 3.922`; -27.0.
const ERF_TAIL_32: &[f64] = &[
    0.9994884,
    0.0026967186,
    -0.006625811,
    0.009955087,
    -0.010019246,
    0.006853837,
    -0.0029467852,
    0.00045050238,
    0.00036398508,
    -0.00030197433,
    7.5143565e-05,
    2.5365182e-05,
    -1.738952e-05,
    4.4266272e-08,
    1.1016425e-06,
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
/// Where erf is very nearly a float.
const TAIL_CENTRE: f64 = 2.45692396;

/// The error function. Error 1.0 ULP (f32), 1.0 (f64); exactly odd, within [-1, 1].
///
/// An odd polynomial up to 1; above, f32 takes a polynomial around the middle of what is left until
/// everything rounds to 1, and f64, where that would be long, `1 - erfc` with `erfc` as an
/// exponential.
pub(crate) fn erf(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let most = b.float(ty, by_type(ty, 3.92, 5.95));
    let a = b.min(most, a);
    let square = b.mul(a, a);
    let p = horner(b, square, by_type(ty, ERF_32, ERF_64));
    let small = b.fma(a, p, a);
    let one = b.float(ty, 1.0);
    let large = match ty {
        Type::F32 => {
            let centre = b.float(ty, TAIL_CENTRE);
            let from_centre = b.sub(a, centre);
            horner(b, from_centre, ERF_TAIL_32)
        }
        _ => {
            let negated: Vec<f64> = ERF_TAIL_64.iter().map(|c| -c).collect();
            let exponent = horner(b, a, &negated);
            // The bias that makes an exponent of `k`, and one more bit, which lands in the sign.
            let (k, p) = exp2_parts(b, exponent, exponent_bias(ty) + 2048.0);
            let minus_power = power_of_two(b, k);
            b.fma(p, minus_power, one)
        }
    };
    let is_small = b.lt(a, one);
    let result = b.select(is_small, small, large);
    or_sign(b, result, sign)
}

pub(crate) fn erfc(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
