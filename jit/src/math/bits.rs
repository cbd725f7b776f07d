//! Sign bits and exponents: what functions do to the bits of a float.

use super::{Range, by_type};
use crate::vir::{Builder, Type, Value};

/// `min(max(x, least), most)` for an `x` that is `within`; keeps NaN.
pub(crate) fn clamp(b: &mut Builder, x: Value, within: Range, least: f64, most: f64) -> Value {
    let ty = b.ty(x);
    let mut x = x;
    if within.high > most {
        let most = b.float(ty, most);
        x = b.min(most, x);
    }
    if within.low < least {
        let least = b.float(ty, least);
        x = b.max(least, x);
    }
    x
}

/// The bias of the float exponent.
pub(crate) fn exponent_bias(ty: Type) -> f64 {
    by_type(ty, 127.0, 1023.0)
}

/// Adding it rounds to an integer, held in the low bits of the sum.
pub(crate) fn magic(ty: Type) -> f64 {
    1.5 * by_type(ty, (1u64 << 23) as f64, (1u64 << 52) as f64)
}

/// `2^k`, from the float whose low bits are `k` plus the exponent bias.
pub(crate) fn power_of_two(b: &mut Builder, biased: Value) -> Value {
    let ty = b.ty(biased);
    let bits = exponent_bits(b, biased);
    b.bitcast(bits, ty)
}

/// The low bits of a float, shifted to the position of its exponent.
pub(crate) fn exponent_bits(b: &mut Builder, biased: Value) -> Value {
    let ty = b.ty(biased);
    let bits = b.bitcast(biased, ty.int());
    b.shl(bits, by_type(ty, 23, 52))
}

/// `x` as its sign bit and its magnitude.
pub(crate) fn split_sign(b: &mut Builder, x: Value) -> (Value, Value) {
    let ty = b.ty(x);
    let sign = sign_bit(b, x);
    let bits = b.bitcast(x, ty.int());
    let magnitude = b.xor(bits, sign);
    (sign, b.bitcast(magnitude, ty))
}

/// The sign bit of `x`, as an integer.
pub(crate) fn sign_bit(b: &mut Builder, x: Value) -> Value {
    let int = b.ty(x).int();
    let bits = b.bitcast(x, int);
    let mask = sign_mask(b, int);
    b.and(bits, mask)
}

/// `x` with a sign bit set that it already has or, if non-negative, may have.
pub(crate) fn or_sign(b: &mut Builder, x: Value, sign: Value) -> Value {
    let ty = b.ty(x);
    let bits = b.bitcast(x, ty.int());
    let bits = b.or(bits, sign);
    b.bitcast(bits, ty)
}

/// `result` with the sign of `x`, where the two can differ only for zeros.
pub(crate) fn with_sign_of(b: &mut Builder, result: Value, x: Value) -> Value {
    let sign = sign_bit(b, x);
    or_sign(b, result, sign)
}

/// The sign bit of a lane of integer type `int`.
pub(crate) fn sign_mask(b: &mut Builder, int: Type) -> Value {
    b.int(int, if int.bits() == 32 { i64::from(i32::MIN) } else { i64::MIN })
}

/// `x` with its sign flipped where the sign bit of the integer `sign` is set.
pub(crate) fn flip_sign(b: &mut Builder, x: Value, sign: Value) -> Value {
    let (ty, int) = (b.ty(x), b.ty(sign));
    let mask = sign_mask(b, int);
    let flip = b.and(sign, mask);
    let bits = b.bitcast(x, int);
    let bits = b.xor(bits, flip);
    b.bitcast(bits, ty)
}
