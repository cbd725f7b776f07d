//! Ops on integers. `i32` and `i64` fill their lanes; `u8` is held in 32-bit lanes, 0 to 255.
//!
//! There are few integer primitives, because machines have few: shifts by a variable are built from
//! shifts by constants, and quotients from float quotients.

use super::integer_casts::{
    approximate_f64, f32_of_u8, f64_of_i32, from_f64, i64_of_whole_f64, low_bits_of_f64,
    u8_of_whole_f32,
};
use crate::vir::{Builder, Storage, Type, Value};

/// Keeps as many low bits of a lane as an element has: `u8` wraps around.
pub fn wrapped(b: &mut Builder, x: Value, storage: Storage) -> Value {
    if storage != Storage::U8 {
        return x;
    }
    let byte = b.int(Type::I32, 0xff);
    b.and(x, byte)
}

/// `-x`, for `u8` only its low bits; see [`wrapped`].
pub fn negated(b: &mut Builder, x: Value) -> Value {
    let zero = b.int(b.ty(x), 0);
    b.sub(zero, x)
}

/// The magnitude; that of the least integer wraps around to itself.
pub fn magnitude(b: &mut Builder, x: Value) -> Value {
    let zero = b.int(b.ty(x), 0);
    let (negative, minus) = (b.lt(x, zero), b.sub(zero, x));
    b.select(negative, minus, x)
}

/// The smaller integer.
pub fn min(b: &mut Builder, x: Value, y: Value) -> Value {
    let less = b.lt(x, y);
    b.select(less, x, y)
}

/// The larger integer.
pub fn max(b: &mut Builder, x: Value, y: Value) -> Value {
    let less = b.lt(x, y);
    b.select(less, y, x)
}

/// -1, 0 or 1.
pub fn sign(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let [zero, one, minus_one] = [0, 1, -1].map(|value| b.int(ty, value));
    let (negative, positive) = (b.lt(x, zero), b.lt(zero, x));
    let positive = b.select(positive, one, zero);
    b.select(negative, minus_one, positive)
}

/// `x` shifted left by `y` modulo the width of `storage`; see [`wrapped`] for `u8`.
pub fn shift_left(b: &mut Builder, x: Value, y: Value, storage: Storage) -> Value {
    shift(b, x, y, storage, Builder::shl)
}

/// `x` shifted right by `y` modulo the width of `storage`; the sign is kept.
pub fn shift_right(b: &mut Builder, x: Value, y: Value, storage: Storage) -> Value {
    shift(b, x, y, storage, Builder::sar)
}

/// `x` shifted by `y` modulo the width of `storage`: directly if constant, else by each power of
/// two whose bit is set in `y`.
fn shift(
    b: &mut Builder,
    x: Value,
    y: Value,
    storage: Storage,
    by: fn(&mut Builder, Value, u8) -> Value,
) -> Value {
    let (ty, width) = (b.ty(x), storage.size() as u8 * 8);
    if let Some(amount) = b.int_constant(y) {
        let amount = amount as u8 & (width - 1);
        return if amount == 0 { x } else { by(b, x, amount) };
    }
    let zero = b.int(ty, 0);
    let mut result = x;
    for bit in 0..width.ilog2() as u8 {
        // The bit as a sign, for the comparison.
        let sign = b.shl(y, (ty.bits() - 1) as u8 - bit);
        let set = b.lt(sign, zero);
        let shifted = by(b, result, 1 << bit);
        result = b.select(set, shifted, result);
    }
    result
}

/// The quotient rounded toward zero, and the remainder; both 0 where `y` is.
pub fn divide(b: &mut Builder, x: Value, y: Value, storage: Storage) -> (Value, Value) {
    let (quotient, rest) = match storage {
        Storage::I64 => divide_wide(b, x, y),
        Storage::U8 => divide_bytes(b, x, y),
        _ => divide_narrow(b, x, y),
    };
    let zero = b.int(b.ty(x), 0);
    let by_zero = b.eq(y, zero);
    (b.select(by_zero, zero, quotient), b.select(by_zero, zero, rest))
}

/// The quotient rounded down, and the remainder with the sign of `y`; both 0 where `y` is. The
/// quotient rounded toward zero is one too large where the remainder has the other sign.
pub fn divide_down(b: &mut Builder, x: Value, y: Value, storage: Storage) -> (Value, Value) {
    let (quotient, rest) = divide(b, x, y, storage);
    if storage == Storage::U8 {
        return (quotient, rest);
    }
    let ty = b.ty(x);
    let (zero, one) = (b.int(ty, 0), b.int(ty, 1));
    let (below, above) = (b.lt(rest, zero), b.lt(zero, rest));
    let negative = b.lt(y, zero);
    let misses = b.select(negative, above, below);
    let (less, moved) = (b.sub(quotient, one), b.add(rest, y));
    (b.select(misses, less, quotient), b.select(misses, moved, rest))
}

/// For bytes, in `f32`; see [`divide_narrow`].
fn divide_bytes(b: &mut Builder, x: Value, y: Value) -> (Value, Value) {
    let (float_x, float_y) = (f32_of_u8(b, x), f32_of_u8(b, y));
    let quotient = b.div(float_x, float_y);
    let quotient = b.trunc(quotient);
    let quotient = u8_of_whole_f32(b, quotient);
    let product = b.mul(quotient, y);
    (quotient, b.sub(x, product))
}

/// For 32-bit lanes, in `f64`. A quotient that is not an integer is at least `1 / |y|` from the
/// next one, more than half of its last place for `|x| < 2^53`, so rounding cannot reach that
/// integer.
fn divide_narrow(b: &mut Builder, x: Value, y: Value) -> (Value, Value) {
    let (wide_x, wide_y) = (f64_of_i32(b, x), f64_of_i32(b, y));
    let quotient = b.div(wide_x, wide_y);
    let quotient = b.trunc(quotient);
    // 2^31, the quotient of the least integer and -1, wraps around here.
    let quotient = low_bits_of_f64(b, quotient);
    let quotient = b.resize_int(quotient, Type::I32);
    let product = b.mul(quotient, y);
    (quotient, b.sub(x, product))
}

/// For 64-bit lanes.
///
/// The quotient in `f64`, rounded to an integer, is off by at most `3 * 2^-53 * 2^63 < 2^12`, for
/// three roundings; so the rest of `x` is below `|y| / 2 + 2^12` (all modulo 2^64, which the least
/// integer divided by -1 needs). Dividing that again in the same way leaves `|y| / 2`, or a little
/// more where 2^53 cannot tell the nearer of two. The rest must have the sign of `x`, not the least
/// magnitude: if it does not, it is moved by `|y|` once.
fn divide_wide(b: &mut Builder, x: Value, y: Value) -> (Value, Value) {
    let ty = Type::I64;
    let float_y = approximate_f64(b, y);
    let mut quotient = b.int(ty, 0);
    let mut rest = x;
    for step in [i64_of_whole_f64, from_f64] {
        let float_rest = approximate_f64(b, rest);
        let part = b.div(float_rest, float_y);
        let part = b.nearest(part);
        let part = step(b, part);
        quotient = b.add(quotient, part);
        let product = b.mul(part, y);
        rest = b.sub(rest, product);
    }
    let [zero, one, minus_one] = [0, 1, -1].map(|value| b.int(ty, value));
    // The rest is not zero and has the wrong sign.
    let (x_negative, y_negative) = (b.lt(x, zero), b.lt(y, zero));
    let (below, above) = (b.lt(rest, zero), b.lt(zero, rest));
    let misses = b.select(x_negative, above, below);
    // Moving toward the sign of `x` takes one `y` less if the signs agree, else one more.
    let differ = b.xor(x_negative, y_negative);
    let step = b.select(differ, one, minus_one);
    let moved = b.add(quotient, step);
    let minus_y = b.sub(zero, y);
    let by = b.select(differ, minus_y, y);
    let moved_rest = b.add(rest, by);
    (b.select(misses, moved, quotient), b.select(misses, moved_rest, rest))
}
