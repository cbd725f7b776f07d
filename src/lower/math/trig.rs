//! sin, cos, tan, for arguments of any size.
//!
//! All three reduce `|x|` to `r = |x| - k π/2` in two words, evaluate sine and cosine of `r`, and
//! pick by the low bits of `k`. They work on `|x|` so that parity holds by bits and -0 survives.
//!
//! Errors are the largest measured, in f32 and f64.

use super::bits::flip_sign;
use super::double_word::fast_two_sum;
use super::payne_hanek::payne_hanek;
use super::{by_type, horner};
use crate::vir::{Builder, Type, Value};

/// sin, 0.87 and 0.85 ULP. NaN for infinities, the zero given for zeros, never beyond ±1.
pub(crate) fn sin(b: &mut Builder, x: Value) -> Value {
    let a = b.abs(x);
    let reduced = Reduced::new(b, a);
    let (sine, cosine) = (reduced.sin(b), reduced.cos(b));
    let even = reduced.even_quadrant(b);
    let magnitude = b.select(even, sine, cosine);
    let turn = reduced.bit_1_as_sign(b, 0);
    let sign = b.bitcast(x, b.ty(x).int());
    let sign = b.xor(sign, turn);
    flip_sign(b, magnitude, sign)
}

/// cos, 0.88 and 0.89 ULP. NaN for infinities, 1 for zeros, never beyond ±1.
pub(crate) fn cos(b: &mut Builder, x: Value) -> Value {
    let a = b.abs(x);
    let reduced = Reduced::new(b, a);
    let (sine, cosine) = (reduced.sin(b), reduced.cos(b));
    let even = reduced.even_quadrant(b);
    let magnitude = b.select(even, cosine, sine);
    // The quadrants 1 and 2 are the negative ones.
    let turn = reduced.bit_1_as_sign(b, 1);
    flip_sign(b, magnitude, turn)
}

/// tan, 1.17 and 1.05 ULP: the quotient of sine and cosine, each with its rounding error, so that
/// one division is corrected for all of them. NaN for infinities, the zero given for zeros.
pub(crate) fn tan(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let a = b.abs(x);
    let reduced = Reduced::new(b, a);
    let one = b.float(ty, 1.0);
    let slope = reduced.cos_slope(b);
    let cosine = b.fma(reduced.high, slope, one);
    let lost = b.sub(one, cosine);
    let cosine_low = b.fma(reduced.high, slope, lost);
    let low = b.mul(reduced.low, cosine);
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
    let turn = b.shl(reduced.quadrant, ty.bits() as u8 - 1);
    let sign = b.bitcast(x, ty.int());
    let sign = b.xor(sign, turn);
    flip_sign(b, magnitude, sign)
}

/// `a = quadrant * π/2 + high + low`, with `|high|` no more than about π/4.
struct Reduced {
    /// An integer of which the low two bits count.
    quadrant: Value,
    high: Value,
    low: Value,
}

impl Reduced {
    /// Reduces `a >= 0`: Cody and Waite in three steps by fma, or Payne and Hanek above the limit.
    ///
    /// `a - k*C1` is exact (a multiple of the last place of C1, and small). The rounding errors of
    /// the second step are kept, so that there is a full word left next to multiples of π/2.
    fn new(b: &mut Builder, a: Value) -> Reduced {
        let ty = b.ty(a);
        let parts = by_type(
            ty,
            [1.5707963705062866, -4.371138828673793e-8, -1.7151245100059007e-15],
            [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591833e-33],
        );
        let [c1, c2, c3] = parts.map(|part| b.float(ty, -part));
        let two_over_pi = b.float(ty, std::f64::consts::FRAC_2_PI);
        // Adding it leaves an integer in the low bits of the sum.
        let magic = b.float(ty, by_type(ty, 1.5 * 2f64.powi(23), 1.5 * 2f64.powi(52)));

        let shifted = b.fma(a, two_over_pi, magic);
        let k = b.sub(shifted, magic);
        let rest = b.fma(k, c1, a);
        let step = b.mul(k, c2);
        let minus_step = b.neg(step);
        let step_error = b.fma(k, c2, minus_step);
        let (high, low) = fast_two_sum(b, rest, step);
        let low = b.add(low, step_error);
        let low = b.fma(k, c3, low);

        let limit = b.float(ty, by_type(ty, 2f64.powi(17), 2f64.powi(30)));
        let large = b.ge(a, limit);
        let [shifted, high, low] = b.cold(large, [shifted, high, low], |b| {
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
        Reduced { quadrant: b.bitcast(shifted, ty.int()), high, low }
    }

    /// Whether the quadrant is 0 or 2.
    fn even_quadrant(&self, b: &mut Builder) -> Value {
        let int = b.ty(self.quadrant);
        let (one, zero) = (b.int(int, 1), b.int(int, 0));
        let parity = b.and(self.quadrant, one);
        b.eq(parity, zero)
    }

    /// Bit 1 of `quadrant + offset` as a sign bit (and rubbish below).
    fn bit_1_as_sign(&self, b: &mut Builder, offset: i64) -> Value {
        let int = b.ty(self.quadrant);
        let mut turned = self.quadrant;
        if offset != 0 {
            let offset = b.int(int, offset);
            turned = b.add(turned, offset);
        }
        b.shl(turned, int.bits() as u8 - 2)
    }

    /// `sin r - high`; `low` stands for `low * cos r`, or all of it.
    fn sin_correction(&self, b: &mut Builder, low: Value) -> Value {
        let square = b.mul(self.high, self.high);
        let polynomial = horner(b, square, by_type(b.ty(square), &SIN_F32[..], &SIN_F64));
        let cube = b.mul(square, self.high);
        b.fma(cube, polynomial, low)
    }

    fn sin(&self, b: &mut Builder) -> Value {
        let correction = self.sin_correction(b, self.low);
        b.add(self.high, correction)
    }

    /// `(cos r - 1) / high`. Leaving one factor `high` out keeps the rounding of its square and
    /// `high * low` out of the leading term at no cost.
    fn cos_slope(&self, b: &mut Builder) -> Value {
        let ty = b.ty(self.high);
        let square = b.mul(self.high, self.high);
        let polynomial = horner(b, square, by_type(ty, &COS_F32[..], &COS_F64));
        let minus_half = b.float(ty, -0.5);
        let curvature = b.fma(polynomial, square, minus_half);
        let minus_low = b.neg(self.low);
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
const COS_F32: [f64; 3] = [0.041666646, -0.0013887299, 2.4430286e-05];
const COS_F64: [f64; 6] = [
    0.04166666666666658,
    -0.0013888888888871052,
    2.4801587287614253e-05,
    -2.755731382374614e-07,
    2.0875652605096963e-09,
    -1.1356038518358662e-11,
];
