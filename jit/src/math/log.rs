//! log, log2, log10, log1p.
//!
//! All of them write `x = 2^k (1 + f)` with `1 + f` in [sqrt 1/2, sqrt 2), by integer arithmetic on
//! the bits, and add `k log 2` to an approximation of `log(1 + f)`. The interval has 1 in its
//! interior, so nothing cancels near it. Coefficients: `tools/coefficients/minimax.sollya`.

use super::bits::{exponent_bias, with_sign_of};
use super::{Range, by_type, horner};
use crate::vir::{Builder, Type, Value};
use std::f64::consts::{LN_2, LOG2_E, LOG10_E};

/// `log(1 + f) = f + f^2 P(f)`; log2 of the relative error is -27.8.
const LOG_32: &[f64] = &[
    -0.49999988,
    0.33333325,
    -0.250016,
    0.20002003,
    -0.16608766,
    0.14181134,
    -0.13244562,
    0.1290909,
    -0.07623978,
];
/// `log(1 + f) = f + f^2 P(f)` for `f` in [-1/4, 1/2]; -27.6.
const LOG1P_32: &[f64] = &[
    -0.5,
    0.333334535,
    -0.250001162,
    0.199907184,
    -0.166464478,
    0.14478527,
    -0.131693885,
    0.104798824,
    -0.04517996,
];
/// `log2(1 + f) = f (LOG2_E + P(f))`, the constant rounded; -27.7.
const LOG2_32: &[f64] = &[
    1.925963e-08,
    -0.72134733,
    0.4808982,
    -0.36069787,
    0.28857023,
    -0.23959638,
    0.20454124,
    -0.19115237,
    0.1865504,
    -0.11020583,
];
/// `log10(1 + f) = f (LOG10_E + P(f))`, the constant rounded; -27.7.
const LOG10_32: &[f64] = &[
    -1.010305e-08,
    -0.21714719,
    0.1447648,
    -0.10858075,
    0.08686754,
    -0.072127596,
    0.06158693,
    -0.057543024,
    0.05607742,
    -0.033078484,
];
/// `log((1 + s) / (1 - s)) = 2 s + s^3 P(s^2)` for `|s| <= 0.1716`; -51.0 for `P` alone.
const LOG_64: &[f64] = &[
    0.666666666666667,
    0.39999999999899827,
    0.28571428625939216,
    0.22222211134087164,
    0.18182889402937885,
    0.15331708423735266,
    0.14616639771083692,
];
/// The same for `f` in [-1/4, 1/2], `|s| <= 0.2`; -54.0.
const LOG1P_64: &[f64] = &[
    0.6666666666666666,
    0.40000000000009006,
    0.28571428567008,
    0.22222223077774578,
    0.18181735985270084,
    0.15388916233227698,
    0.13208990826323586,
    0.13613206254720703,
];

/// The natural logarithm. Error 0.92 ULP (f32), 0.83 (f64).
pub fn log(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    let (least, most) = by_type(
        ty,
        (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)),
        (f64::MIN_POSITIVE, f64::MAX),
    );
    let (k, f) = if within.inside(least, most) {
        let bits = b.bitcast(x, ty.int());
        let bias = b.float(ty, integer_magic(ty) + exponent_bias(ty));
        let (k, f) = split_normal(b, bits, bias);
        // For NaN only.
        let zero = b.float(ty, 0.0);
        (b.fma(x, zero, k), f)
    } else {
        split(b, x)
    };
    log_of_parts(b, k, f, None, by_type(ty, LOG_32, LOG_64))
}

/// The logarithm to base 2. Error 0.96 ULP (f32), 0.91 (f64); exact for powers of two.
pub fn log2(b: &mut Builder, x: Value) -> Value {
    let (k, f) = split(b, x);
    let mantissa = log_of_mantissa_times(b, f, LOG2_E, 2.035_527_374_093_103_3e-17, LOG2_32, None);
    b.add(k, mantissa)
}

/// The logarithm to base 10. Error 0.93 ULP (f32), 0.85 (f64).
pub fn log10(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (k, f) = split(b, x);
    // log10 2 as a sum of two floats, both positive: an infinite `k` must not turn them into NaN.
    let high = b.float(ty, by_type(ty, 0.30102998, 0.30102999566398114));
    let low = b.float(ty, by_type(ty, 1.54813335e-08, 5.270742310347266e-17));
    let low = b.mul(k, low);
    let mantissa =
        log_of_mantissa_times(b, f, LOG10_E, 1.098_319_650_216_765e-17, LOG10_32, Some(low));
    b.fma(k, high, mantissa)
}

/// `factor log(1 + f)`, plus a small term; `factor_low` is the rest of the factor in f64. The
/// product with the factor rounds last, so all other roundings are small next to it.
fn log_of_mantissa_times(
    b: &mut Builder,
    f: Value,
    factor: f64,
    factor_low: f64,
    polynomial_32: &[f64],
    small: Option<Value>,
) -> Value {
    let ty = b.ty(f);
    let factor = b.float(ty, factor);
    if ty == Type::F32 {
        let p = horner(b, f, polynomial_32);
        let rest = match small {
            Some(small) => b.fma(f, p, small),
            None => b.mul(f, p),
        };
        return b.fma(f, factor, rest);
    }
    let correction = mantissa_correction_64(b, f, None, LOG_64);
    let high = b.sub(f, correction);
    let kept = b.sub(f, high);
    let low = b.sub(kept, correction);
    let rest = match small {
        Some(small) => b.fma(low, factor, small),
        None => b.mul(low, factor),
    };
    let factor_low = b.float(ty, factor_low);
    let rest = b.fma(high, factor_low, rest);
    b.fma(high, factor, rest)
}

/// `log(1 + x)`. Error 0.93 ULP (f32), 0.91 (f64), next to 0 too; -0 stays -0.
pub fn log1p(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    let coefficients = by_type(ty, LOG1P_32, LOG1P_64);
    let result = if within.inside(0.0, 1.01) {
        let (k, f) = split_small_sum(b, x);
        log_of_parts(b, k, f, None, coefficients)
    } else if within.inside(-0.99, by_type(ty, 120f64, 1020.0).exp2()) {
        let (k, _, f) = split_sum(b, x);
        log_of_parts(b, k, f, None, coefficients)
    } else {
        log1p_of_sum(b, x, None, None)
    };
    with_sign_of(b, result, x)
}

/// `log(2^more (1 + x + low))`, with +0 for -0, for a `low` of the size of a rounding error.
///
/// `k` comes from the rounded sum, `f = 2^-k x + (2^-k - 1)` from `x` itself: one rounding, and
/// `f = x` where `k` is 0. Where `1 + x` is not positive, finite and below 2^126 (2^-k must be
/// normal), the logarithm is taken of `1 + x` itself.
pub(crate) fn log1p_of_sum(
    b: &mut Builder,
    x: Value,
    low: Option<Value>,
    more: Option<Value>,
) -> Value {
    let ty = b.ty(x);
    let one = b.float(ty, 1.0);
    let sum = b.add(x, one);
    let (k, power, f) = split_sum(b, x);
    let k = more.map_or(k, |more| b.add(k, more));
    let small = low.map(|low| {
        // low / (1 + x), where a linear term is enough: 1 - 0.8 f is 1 / (1 + f), 10% off.
        let slope = b.float(ty, -0.8);
        let reciprocal = b.fma(f, slope, one);
        let scaled = b.mul(low, power);
        b.mul(scaled, reciprocal)
    });
    let result = log_of_parts(b, k, f, small, by_type(ty, LOG1P_32, LOG1P_64));
    let bits = b.bitcast(sum, ty.int());
    let first = by_type(ty, 0x0080_0000, 1 << 52);
    let end = by_type(ty, 0x7e80_0000, 0x7fd << 52);
    let unusual = outside(b, bits, first, end);
    let [result] = b.cold(unusual, [result], |b| {
        let (k, f) = split(b, sum);
        let k = more.map_or(k, |more| b.add(k, more));
        [log_of_parts(b, k, f, None, by_type(ty, LOG_32, LOG_64))]
    });
    result
}

/// `x = 2^k (1 + f)`. Where the logarithm is infinite or NaN, so is `k`, and `f` is finite.
fn split(b: &mut Builder, x: Value) -> (Value, Value) {
    let ty = b.ty(x);
    let int = ty.int();
    let bits = b.bitcast(x, int);
    let first_normal = by_type(ty, 0x0080_0000, 1 << 52);
    let infinity = by_type(ty, 0x7f80_0000, 0x7ff << 52);
    let unusual = outside(b, bits, first_normal, infinity);
    let bias = b.float(ty, integer_magic(ty) + exponent_bias(ty));
    let [bits, bias] = b.cold(unusual, [bits, bias], |b| {
        // A subnormal is scaled to be normal; the others get the `k` that gives their result.
        let shift = by_type(ty, 23, 52);
        let scale = b.float(ty, f64::from(shift).exp2());
        let scaled = b.mul(x, scale);
        let zero = b.float(ty, 0.0);
        let subnormal_bias = b.float(ty, integer_magic(ty) + by_type(ty, 150.0, 1075.0));
        let (up, down) = (b.float(ty, f64::INFINITY), b.float(ty, f64::NEG_INFINITY));
        let nan = b.float(ty, f64::NAN);
        let (is_zero, is_infinite) = (b.eq(x, zero), b.eq(x, up));
        let valid = b.le(zero, x);
        let bias = b.select(is_zero, up, subnormal_bias);
        let bias = b.select(is_infinite, down, bias);
        let bias = b.select(valid, bias, nan);
        [b.bitcast(scaled, int), bias]
    });
    split_normal(b, bits, bias)
}

/// `k` and `f` of the bits of a normal positive float; `bias` is that of `k`.
fn split_normal(b: &mut Builder, bits: Value, bias: Value) -> (Value, Value) {
    let int = b.ty(bits);
    let ty = int.float();
    let (exponent, moved) = move_interval(b, bits, sqrt_half_bits(ty));
    let k = b.sub(exponent, bias);
    let mantissa_mask = b.int(int, by_type(ty, (1 << 23) - 1, (1 << 52) - 1));
    let least = b.int(int, sqrt_half_bits(ty));
    let mantissa = b.and(moved, mantissa_mask);
    let mantissa = b.add(mantissa, least);
    let mantissa = b.bitcast(mantissa, ty);
    let minus_one = b.float(ty, -1.0);
    (k, b.add(mantissa, minus_one))
}

/// `1 + x = 2^k (1 + f)` for an ordinary `1 + x`: `k`, `2^-k`, `f`.
fn split_sum(b: &mut Builder, x: Value) -> (Value, Value, Value) {
    let ty = b.ty(x);
    let int = ty.int();
    let one = b.float(ty, 1.0);
    let mut sum = b.add(x, one);
    // From 3/4, so that f is exact for every x from -1/2 to 1/2. But just below 1/2 the sum rounds
    // to 3/2; so in f32, for x above 0, it is lowered by what rounding may have raised it. (In
    // f64 that costs half an ULP at one x, the last before 1/2.)
    if ty == Type::F32 {
        let (zero, slope) = (b.f32(0.0), b.f32(-2.0 * f32::EPSILON));
        let positive = b.max(zero, x);
        sum = b.fma(positive, slope, sum);
    }
    let bits = b.bitcast(sum, int);
    let least = by_type(ty, 0x3f40_0000, 0x3fe8 << 48);
    let (exponent, moved) = move_interval(b, bits, least);
    let bias = b.float(ty, integer_magic(ty) + exponent_bias(ty));
    let k = b.sub(exponent, bias);
    let exponent_mask = b.int(int, by_type(ty, -1 << 23, -1 << 52));
    let exponent_bits = b.and(moved, exponent_mask);
    // Twice the exponent bias minus an exponent is the exponent of the reciprocal.
    let twice = b.int(int, by_type(ty, 254 << 23, 2046 << 52));
    let power = b.sub(twice, exponent_bits);
    let power = b.bitcast(power, ty);
    let minus_one = b.float(ty, -1.0);
    let power_minus_one = b.add(power, minus_one);
    (k, power, b.fma(power, x, power_minus_one))
}

/// The `k`, 0 or 1, and `f` of [`split_sum`] for `x` from 0 to 1.
fn split_small_sum(b: &mut Builder, x: Value) -> (Value, Value) {
    let ty = b.ty(x);
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let is_large = match ty {
        Type::F32 => {
            // The last one whose lowered sum is below 3/2.
            let last = b.f32(0.5 + f32::EPSILON / 2.0);
            b.lt(last, x)
        }
        _ => {
            let sum = b.add(x, one);
            let limit = b.f64(1.5);
            b.le(limit, sum)
        }
    };
    let (half, minus_half) = (b.float(ty, 0.5), b.float(ty, -0.5));
    let halved = b.fma(x, half, minus_half);
    (b.select(is_large, one, zero), b.select(is_large, halved, x))
}

/// The bits shifted so that the exponent steps at the float with bits `least` instead of at 1, and
/// that (biased) exponent as a float above [`integer_magic`].
fn move_interval(b: &mut Builder, bits: Value, least: i64) -> (Value, Value) {
    let int = b.ty(bits);
    let ty = int.float();
    let one = by_type(ty, 127 << 23, 1023 << 52);
    let offset = b.int(int, one - least);
    let moved = b.add(bits, offset);
    let exponent = b.shr(moved, by_type(ty, 23, 52));
    let magic = b.int(int, by_type(ty, 0x4b00_0000, 0x433 << 52));
    let exponent = b.or(exponent, magic);
    (b.bitcast(exponent, ty), moved)
}

fn sqrt_half_bits(ty: Type) -> i64 {
    by_type(ty, 0x3f35_04f3, 0x3fe6_a09e_667f_3bcd)
}

/// 2^23 (2^52): a float of this exponent, less this, is the integer in its low bits.
fn integer_magic(ty: Type) -> f64 {
    by_type(ty, (1u64 << 23) as f64, (1u64 << 52) as f64)
}

/// Whether `bits`, taken as unsigned, lie outside `first..end`.
fn outside(b: &mut Builder, bits: Value, first: i64, end: i64) -> Value {
    let int = b.ty(bits);
    // Signed comparison of numbers offset by half the range compares them as unsigned.
    let half = if int == Type::I32 { i64::from(i32::MIN) } else { i64::MIN };
    let offset = b.int(int, half.wrapping_sub(first));
    let limit = b.int(int, half.wrapping_add(end - first));
    let moved = b.add(bits, offset);
    b.ge(moved, limit)
}

/// `k ln 2 + log(1 + f)`, plus a small term.
///
/// In f32 by a polynomial, in f64 (where that would be long) by a quotient; the coefficients fit
/// the interval of `f`.
fn log_of_parts(
    b: &mut Builder,
    k: Value,
    f: Value,
    small: Option<Value>,
    coefficients: &[f64],
) -> Value {
    let ty = b.ty(f);
    let ln2 = b.float(ty, LN_2);
    if ty == Type::F32 {
        let p = horner(b, f, coefficients);
        let square = b.mul(f, f);
        let mantissa = match small {
            Some(small) => {
                let rest = b.fma(square, p, small);
                b.add(f, rest)
            }
            None => b.fma(square, p, f),
        };
        return b.fma(k, ln2, mantissa);
    }
    let low = b.float(ty, 2.319_046_813_846_3e-17);
    let low = match small {
        Some(small) => b.fma(k, low, small),
        None => b.mul(k, low),
    };
    let correction = mantissa_correction_64(b, f, Some(low), coefficients);
    let mantissa = b.sub(f, correction);
    b.fma(k, ln2, mantissa)
}

/// `f - log(1 + f)`, minus a small term, in f64: as in fdlibm, `f^2/2 - s (f^2/2 + s^2 P(s^2))`
/// with `s = f / (2 + f)`, which is small next to `f`.
fn mantissa_correction_64(
    b: &mut Builder,
    f: Value,
    small: Option<Value>,
    coefficients: &[f64],
) -> Value {
    let ty = b.ty(f);
    let (two, half) = (b.float(ty, 2.0), b.float(ty, 0.5));
    let denominator = b.add(f, two);
    let s = b.div(f, denominator);
    let square = b.mul(s, s);
    let p = horner(b, square, coefficients);
    let half_f = b.mul(f, half);
    let half_square = b.mul(half_f, f);
    let sum = b.fma(square, p, half_square);
    let product = match small {
        Some(small) => b.fma(s, sum, small),
        None => b.mul(s, sum),
    };
    b.sub(half_square, product)
}
