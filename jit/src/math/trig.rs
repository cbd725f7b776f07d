//! sin, cos, tan, for arguments of any size.
//!
//! All three reduce `|x|` to `r = |x| - k π/2` in two words, evaluate the sine and cosine of `r`,
//! and choose by the low bits of `k`. They work on `|x|` so that symmetry is exact and -0 survives.
//!
//! Errors are the largest measured, in f32 and f64. The fast tier has its own versions in f32.

use super::bits::{flip_sign, magic};
use super::double_word::fast_two_sum;
use super::payne_hanek::payne_hanek;
use super::{Tier, by_type, horner};
use crate::vir::{Builder, Type, Value};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, PI};

/// sin, 0.89 and 0.85 ULP, fast 1.74. NaN for infinities, zeros are kept, never beyond ±1.
pub fn sin(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let a = b.abs(x);
    if (tier, b.ty(x)) == (Tier::Fast, Type::F32) {
        return sin_by_half_turns(b, a, 0.0, Some(x));
    }
    let reduced = Reduced::new(b, a);
    let (sine, cosine) = (reduced.sin(b), reduced.cos(b));
    let even = reduced.even_quadrant(b);
    let magnitude = b.select(even, sine, cosine);
    let turn = reduced.bit_1_as_sign(b, 0);
    let sign = b.bitcast(x, b.ty(x).int());
    let sign = b.xor(sign, turn);
    flip_sign(b, magnitude, sign)
}

/// cos, 0.89 and 0.89 ULP, fast 1.78. NaN for infinities, 1 for zeros, never beyond ±1.
pub fn cos(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let a = b.abs(x);
    if (tier, b.ty(x)) == (Tier::Fast, Type::F32) {
        return sin_by_half_turns(b, a, 0.5, None);
    }
    let reduced = Reduced::new(b, a);
    let (sine, cosine) = (reduced.sin(b), reduced.cos(b));
    let even = reduced.even_quadrant(b);
    let magnitude = b.select(even, cosine, sine);
    // Quadrants 1 and 2 are the negative ones.
    let turn = reduced.bit_1_as_sign(b, 1);
    flip_sign(b, magnitude, turn)
}

/// tan, 1.17 and 1.05 ULP: the quotient of sine and cosine, each with its rounding error, so that
/// one division is corrected for all of them. The fast one, 3.54 ULP, is the plain quotient. NaN
/// for infinities, zeros are kept.
pub fn tan(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let a = b.abs(x);
    if (tier, ty) == (Tier::Fast, Type::F32) {
        let (quadrant, high) = reduce_roughly(b, a, FRAC_PI_2, 0.0);
        let reduced = Reduced { quadrant, high, low: None };
        let (sine, cosine) = (reduced.sin(b), reduced.cos(b));
        let even = reduced.even_quadrant(b);
        let above = b.select(even, sine, cosine);
        let below = b.select(even, cosine, sine);
        let magnitude = b.div(above, below);
        return flip_odd(b, magnitude, quadrant, Some(x));
    }
    let reduced = Reduced::new(b, a);
    let one = b.float(ty, 1.0);
    let slope = reduced.cos_slope(b);
    let cosine = b.fma(reduced.high, slope, one);
    let lost = b.sub(one, cosine);
    let cosine_low = b.fma(reduced.high, slope, lost);
    let low = reduced.low.map(|low| b.mul(low, cosine));
    let correction = reduced.sin_correction(b, low);
    let (sine, sine_low) = fast_two_sum(b, reduced.high, correction);

    let even = reduced.even_quadrant(b);
    let above = b.select(even, sine, cosine);
    let above_low = b.select(even, sine_low, cosine_low);
    let below = b.select(even, cosine, sine);
    let below_low = b.select(even, cosine_low, sine_low);
    let reciprocal = b.div(one, below);
    let quotient = b.mul(above, reciprocal);
    let minus = b.neg(quotient);
    let error = b.fma(minus, below, above);
    let error_low = b.fma(minus, below_low, above_low);
    let error = b.add(error, error_low);
    let magnitude = b.fma(error, reciprocal, quotient);

    // Odd quadrants are -1/tan.
    flip_odd(b, magnitude, reduced.quadrant, Some(x))
}

/// `sin(a + offset π)`, with the sign of `x` flipped in: the fast tier's sine and cosine.
///
/// With `a = (k - offset) π + r` it is `±sin r`, one polynomial for all quadrants.
fn sin_by_half_turns(b: &mut Builder, a: Value, offset: f64, x: Option<Value>) -> Value {
    let ty = b.ty(a);
    let (k, r) = reduce_roughly(b, a, PI, offset);
    let square = b.mul(r, r);
    let polynomial = horner(b, square, &SIN_WIDE_F32);
    let cube = b.mul(square, r);
    let magnitude = b.fma(cube, polynomial, r);
    // It may round beyond ±1.
    let (one, minus_one) = (b.float(ty, 1.0), b.float(ty, -1.0));
    let magnitude = b.min(one, magnitude);
    let magnitude = b.max(minus_one, magnitude);
    flip_odd(b, magnitude, k, x)
}

/// `magnitude`, its sign flipped where `k` is odd and where `x` is negative.
fn flip_odd(b: &mut Builder, magnitude: Value, k: Value, x: Option<Value>) -> Value {
    let int = b.ty(k);
    let mut sign = b.shl(k, int.bits() as u8 - 1);
    if let Some(x) = x {
        let bits = b.bitcast(x, int);
        sign = b.xor(bits, sign);
    }
    flip_sign(b, magnitude, sign)
}

/// The fast tier's reduction of an f32 `a >= 0`: `(k, r)` of `a = (k - offset) step + r`, where
/// `step` is π or π/2 and only the low bits of `k` matter.
///
/// The three steps of [`Reduced::new`]; each of the last two rounds at the size of its result, so
/// `r` is good to an ULP even next to multiples of the step.
fn reduce_roughly(b: &mut Builder, a: Value, step: f64, offset: f64) -> (Value, Value) {
    let ty = b.ty(a);
    let quarters = step / FRAC_PI_2;
    let [c1, c2, c3] = half_pi_in_parts(ty).map(|part| b.float(ty, -quarters * part));
    let (per_step, magic) = (b.float(ty, 1.0 / step), b.float(ty, magic(ty)));
    let (shifted, k) = if offset == 0.0 {
        let shifted = b.fma(a, per_step, magic);
        (shifted, b.sub(shifted, magic))
    } else {
        let (offset, minus_offset) = (b.float(ty, offset), b.float(ty, -offset));
        let quotient = b.fma(a, per_step, offset);
        let shifted = b.add(quotient, magic);
        let k = b.sub(shifted, magic);
        (shifted, b.add(k, minus_offset))
    };
    let r = b.fma(k, c1, a);
    let r = b.fma(k, c2, r);
    let r = b.fma(k, c3, r);
    let limit = b.float(ty, large(ty));
    let is_large = b.ge(a, limit);
    let [shifted, r] = b.cold(is_large, [shifted, r], |b| {
        let wide = b.promote(a);
        // From multiples of π/2 to the nearest multiple of the step.
        let [k, high, _] = payne_hanek(b, wide);
        let (share, offset, per_step) = (b.f64(1.0 / quarters), b.f64(offset), b.f64(1.0 / step));
        let steps = b.fma(k, share, offset);
        let near = b.fma(high, per_step, steps);
        let whole = b.nearest(near);
        let rest = b.sub(steps, whole);
        let step = b.f64(step);
        let r = b.fma(rest, step, high);
        let whole = b.demote(whole);
        [b.add(whole, magic), b.demote(r)]
    });
    (b.bitcast(shifted, ty.int()), r)
}

/// π/2 as a sum of three floats.
fn half_pi_in_parts(ty: Type) -> [f64; 3] {
    by_type(
        ty,
        [1.5707963705062866, -4.371138828673793e-8, -1.7151245100059007e-15],
        [FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591833e-33],
    )
}

/// From here on, Payne and Hanek.
fn large(ty: Type) -> f64 {
    by_type(ty, 17f64, 30.0).exp2()
}

/// `a = quadrant * π/2 + high + low`, with `|high|` no more than about π/4.
struct Reduced {
    /// An integer of which only the low two bits matter.
    quadrant: Value,
    high: Value,
    /// Zero in the fast tier.
    low: Option<Value>,
}

impl Reduced {
    /// Reduces `a >= 0`: Cody and Waite in three steps by fma, or Payne and Hanek above the limit.
    ///
    /// `a - k*C1` is exact (a multiple of the last place of C1, and small). The rounding errors of
    /// the second step are kept, so that a full word is left even next to multiples of π/2.
    fn new(b: &mut Builder, a: Value) -> Reduced {
        let ty = b.ty(a);
        let [c1, c2, c3] = half_pi_in_parts(ty).map(|part| b.float(ty, -part));
        let (two_over_pi, magic) = (b.float(ty, FRAC_2_PI), b.float(ty, magic(ty)));

        let shifted = b.fma(a, two_over_pi, magic);
        let k = b.sub(shifted, magic);
        let rest = b.fma(k, c1, a);
        let step = b.mul(k, c2);
        let minus_step = b.neg(step);
        let step_error = b.fma(k, c2, minus_step);
        let (high, low) = fast_two_sum(b, rest, step);
        let low = b.add(low, step_error);
        let low = b.fma(k, c3, low);

        let limit = b.float(ty, large(ty));
        let is_large = b.ge(a, limit);
        let [shifted, high, low] = b.cold(is_large, [shifted, high, low], |b| {
            let wide = if ty == Type::F32 { b.promote(a) } else { a };
            let [k, high, low] = payne_hanek(b, wide);
            if ty == Type::F64 {
                return [b.add(k, magic), high, low];
            }
            let k = b.demote(k);
            let short = b.demote(high);
            let rounded = b.promote(short);
            let rest = b.sub(high, rounded);
            [b.add(k, magic), short, b.demote(rest)]
        });
        Reduced { quadrant: b.bitcast(shifted, ty.int()), high, low: Some(low) }
    }

    /// Whether the quadrant is 0 or 2.
    fn even_quadrant(&self, b: &mut Builder) -> Value {
        let int = b.ty(self.quadrant);
        let (one, zero) = (b.int(int, 1), b.int(int, 0));
        let parity = b.and(self.quadrant, one);
        b.eq(parity, zero)
    }

    /// Bit 1 of `quadrant + offset` as a sign bit (the bits below are garbage).
    fn bit_1_as_sign(&self, b: &mut Builder, offset: i64) -> Value {
        let int = b.ty(self.quadrant);
        let mut turned = self.quadrant;
        if offset != 0 {
            let offset = b.int(int, offset);
            turned = b.add(turned, offset);
        }
        b.shl(turned, int.bits() as u8 - 2)
    }

    /// `sin r - high`; the argument `low` is `low * cos r`, or simply `low`.
    fn sin_correction(&self, b: &mut Builder, low: Option<Value>) -> Value {
        let square = b.mul(self.high, self.high);
        let polynomial = horner(b, square, by_type(b.ty(square), &SIN_F32[..], &SIN_F64));
        let cube = b.mul(square, self.high);
        match low {
            Some(low) => b.fma(cube, polynomial, low),
            None => b.mul(cube, polynomial),
        }
    }

    fn sin(&self, b: &mut Builder) -> Value {
        let correction = self.sin_correction(b, self.low);
        b.add(self.high, correction)
    }

    /// `(cos r - 1) / high`. Factoring out one `high` keeps the rounding errors of its square and
    /// of `high * low` out of the leading term at no cost.
    fn cos_slope(&self, b: &mut Builder) -> Value {
        let ty = b.ty(self.high);
        let square = b.mul(self.high, self.high);
        let polynomial = horner(b, square, by_type(ty, &COS_F32[..], &COS_F64));
        let minus_half = b.float(ty, -0.5);
        let curvature = b.fma(polynomial, square, minus_half);
        let Some(low) = self.low else { return b.mul(self.high, curvature) };
        let minus_low = b.neg(low);
        b.fma(self.high, curvature, minus_low)
    }

    fn cos(&self, b: &mut Builder) -> Value {
        let slope = self.cos_slope(b);
        let one = b.float(b.ty(slope), 1.0);
        b.fma(self.high, slope, one)
    }
}

// From tools/coefficients/trig_pow.sollya; relative errors 2^-27.8, 2^-57.7, 2^-32.7, 2^-63.6.
const SIN_F32: [f64; 3] = [-0.16666654, 0.008332108, -0.00019508236];
const SIN_F64: [f64; 6] = [
    -0.16666666666666627,
    0.008333333333321074,
    -0.00019841269828703849,
    2.7557313300726725e-06,
    -2.5050695820158788e-08,
    1.5893133160035858e-10,
];
/// For the fast tier, up to π/2: relative error 2^-27.
const SIN_WIDE_F32: [f64; 4] = [-0.16666658, 0.0083330357, -0.00019807495, 2.6012722e-06];
const COS_F32: [f64; 3] = [0.041666646, -0.0013887299, 2.4430286e-05];
const COS_F64: [f64; 6] = [
    0.04166666666666658,
    -0.0013888888888871052,
    2.4801587287614253e-05,
    -2.755731382374614e-07,
    2.0875652605096963e-09,
    -1.1356038518358662e-11,
];
