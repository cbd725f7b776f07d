//! Rounding to the storage types `f16` and `bf16`, whose values are held in lanes of `f32`.

use super::basic::to_float;
use crate::vir::{Builder, Type, Value};

/// `x` rounded to `f16`, once, to nearest even; a bool is 1 or 0.
pub fn to_f16(b: &mut Builder, x: Value) -> Value {
    let x = before_f16(b, x);
    let bits = b.bitcast(x, Type::I32);
    let magnitude = b.abs(x);

    // Normal: 13 bits fewer. A carry out of the fraction goes into the exponent, as it should.
    let raised = raise_for(b, bits, 13);
    let kept = b.int(Type::I32, -1 << 13);
    let rounded = b.and(raised, kept);
    let rounded = b.bitcast(rounded, Type::F32);
    // From 65520 on the result is 65536, which means infinity.
    let (too_large, infinity) = (b.f32(65520.0), b.f32(f32::INFINITY));
    let infinity = b.copysign(infinity, x);
    let overflows = b.ge(magnitude, too_large);
    let rounded = b.select(overflows, infinity, rounded);

    // Below 2^-14, multiples of 2^-24, which is the last place of 0.5: adding 0.5 rounds.
    let (half, smallest) = (b.f32(0.5), b.f32(f32::powi(2.0, -14)));
    let raised = b.add(magnitude, half);
    let lowered = b.sub(raised, half);
    let subnormal = b.copysign(lowered, x);
    let is_subnormal = b.lt(magnitude, smallest);
    let rounded = b.select(is_subnormal, subnormal, rounded);

    let is_nan = b.ne(x, x);
    b.select(is_nan, x, rounded)
}

/// An `f32` that a store to `f16` rounds the same as `x`.
pub(crate) fn before_f16(b: &mut Builder, x: Value) -> Value {
    match b.ty(x) {
        Type::F64 => round_to_odd(b, x),
        _ => to_float(b, x, Type::F32),
    }
}

/// `x` rounded to `bf16`, once, to nearest even; a bool is 1 or 0.
pub fn to_bf16(b: &mut Builder, x: Value) -> Value {
    let raised = before_bf16(b, x);
    let bits = b.bitcast(raised, Type::I32);
    let kept = b.int(Type::I32, -1 << 16);
    let rounded = b.and(bits, kept);
    b.bitcast(rounded, Type::F32)
}

/// An `f32` whose upper half is `x` rounded to `bf16`: what a store keeps.
pub fn before_bf16(b: &mut Builder, x: Value) -> Value {
    let x = before_f16(b, x);
    let bits = b.bitcast(x, Type::I32);
    let raised = raise_for(b, bits, 16);
    let raised = b.bitcast(raised, Type::F32);
    // A NaN must not lose the bits that make it one.
    let quiet = b.int(Type::I32, 0x40_0000);
    let quieted = b.or(bits, quiet);
    let quieted = b.bitcast(quieted, Type::F32);
    let is_nan = b.ne(x, x);
    b.select(is_nan, quieted, raised)
}

/// `bits` raised so that dropping the lower `count` rounds to nearest even.
fn raise_for(b: &mut Builder, bits: Value, count: u8) -> Value {
    let (one, below_half) = (b.int(Type::I32, 1), b.int(Type::I32, (1 << (count - 1)) - 1));
    let kept = b.shr(bits, count);
    let odd = b.and(kept, one);
    let raised = b.add(bits, below_half);
    b.add(raised, odd)
}

/// `f64` to `f32` such that rounding again, to at least two bits fewer, is the same as rounding
/// once: inexact values go to the neighbour whose last bit is set (Boldo and Melquiond, 2008).
fn round_to_odd(b: &mut Builder, x: Value) -> Value {
    let nearest = b.demote(x);
    let back = b.promote(nearest);
    let (magnitude, back_magnitude) = (b.abs(x), b.abs(back));
    let above = b.gt(back_magnitude, magnitude);
    let inexact = b.ne(back, x);
    let above = b.resize_mask(above, Type::F32);
    let inexact = b.resize_mask(inexact, Type::F32);
    let bits = b.bitcast(nearest, Type::I32);
    let (zero, one) = (b.int(Type::I32, 0), b.int(Type::I32, 1));
    let step = b.select(above, one, zero);
    let truncated = b.sub(bits, step);
    let odd = b.or(truncated, one);
    let bits = b.select(inexact, odd, bits);
    b.bitcast(bits, Type::F32)
}

#[cfg(test)]
mod tests {
    use super::{to_bf16, to_f16};
    use crate::vir::{Builder, Storage, Value, interp};

    /// `x` rounded once to the numbers of `digits` bits whose least normal one is `2^least`.
    fn nearest(x: f64, digits: i32, least: i32) -> f64 {
        if x == 0.0 || !x.is_finite() {
            return x;
        }
        let exponent = (x.to_bits() >> 52 & 0x7ff) as i32 - 1023;
        let unit = 2f64.powi(exponent.max(least) - digits + 1);
        let rounded = (x / unit).round_ties_even() * unit;
        let beyond = 2f64.powi(2 - least);
        if rounded.abs() < beyond { rounded } else { f64::INFINITY.copysign(x) }
    }

    fn nearest_f16(x: f64) -> f64 {
        nearest(x, 11, -14)
    }

    fn nearest_bf16(x: f64) -> f64 {
        nearest(x, 8, -126)
    }

    /// The rounded value of each number, as computed from a storage type.
    fn rounded(from: Storage, round: fn(&mut Builder, Value) -> Value, bits: &[u64]) -> Vec<f64> {
        let mut b = Builder::new();
        let x = b.input(from);
        let y = round(&mut b, x);
        b.output(y, Storage::F32);
        let results = interp::run(&b.finish(), &[bits], bits.len());
        results[0].iter().map(|&bits| f64::from(f32::from_bits(bits as u32))).collect()
    }

    fn agrees(nearest: fn(f64) -> f64, round: fn(&mut Builder, Value) -> Value) {
        let singles: Vec<u32> = (0..=u32::MAX).step_by(9973).collect();
        let bits: Vec<u64> = singles.iter().map(|&bits| bits.into()).collect();
        let results = rounded(Storage::F32, round, &bits);
        for (&bits, result) in singles.iter().zip(results) {
            let x = f64::from(f32::from_bits(bits));
            let expected = nearest(x);
            let same = result.to_bits() == expected.to_bits();
            assert!(same || (result.is_nan() && expected.is_nan()), "{x:e}: {result:e}");
        }
        // Near every tie of the target, as f64, where rounding twice would go wrong.
        let ties = (0..=u16::MAX).step_by(7).map(|half| f64::from(half) / 3.0);
        let numbers: Vec<f64> = ties
            .flat_map(|x| {
                let here = nearest(x);
                let above = nearest(x * (1.0 + 1.5 * 2f64.powi(-8)));
                let tie = (here + above) / 2.0;
                [tie, tie * (1.0 + 1e-15), tie * (1.0 - 1e-15), -tie, tie * 1e-5, tie * 1e-43]
            })
            .chain([0.0, -0.0, 65520.0, 65519.999999, 3.3961e38, 1e300, -1e300, 1e-300])
            .collect();
        let bits: Vec<u64> = numbers.iter().map(|x| x.to_bits()).collect();
        for (x, result) in numbers.iter().zip(rounded(Storage::F64, round, &bits)) {
            assert_eq!(result.to_bits(), nearest(*x).to_bits(), "{x:e}: {result:e}");
        }
    }

    #[test]
    fn rounds_once_to_f16() {
        agrees(nearest_f16, to_f16);
    }

    #[test]
    fn rounds_once_to_bf16() {
        agrees(nearest_bf16, to_bf16);
    }
}
