//! Conversions to and from integers, through the bits of floats.
//!
//! The mantissa of a float whose last place is 1 is an integer: adding `1.5 * 2^52` to an `f64` (or
//! `1.5 * 2^23` to an `f32`) puts a small integer there, and subtracting takes one out.

use super::basic;
use super::half::before_f16;
use super::integer::wrapped;
use crate::vir::{Builder, Storage, Type, Value};

const MAGIC: f64 = 1.5 * (1u64 << 52) as f64;
/// The same for bytes, which are unsigned.
const BYTE_CARRIER: f32 = (1u32 << 23) as f32;

/// `x` of type `from` as an integer of type `to`: a float is truncated toward zero and saturates,
/// with 0 for NaN; an integer wraps around.
pub fn to_integer(b: &mut Builder, x: Value, from: Storage, to: Storage) -> Value {
    match (from, b.ty(x)) {
        (Storage::Bool, _) => {
            let mask = b.resize_mask(x, to.lane());
            let (zero, one) = (b.int(to.lane(), 0), b.int(to.lane(), 1));
            b.select(mask, one, zero)
        }
        (_, Type::I32 | Type::I64) => between_integers(b, x, to),
        (_, Type::F32) if to == Storage::U8 => {
            let whole = within(b, x, to);
            u8_of_whole_f32(b, whole)
        }
        (_, Type::F32) if to == Storage::I32 => i32_of_f32(b, x),
        (_, Type::F32) => {
            let wide = b.promote(x);
            i64_of_f64(b, wide)
        }
        _ if to == Storage::I64 => i64_of_f64(b, x),
        _ => narrow_of_f64(b, x, to),
    }
}

/// Narrower integers keep the lower bits.
fn between_integers(b: &mut Builder, x: Value, to: Storage) -> Value {
    let x = b.resize_int(x, to.lane());
    wrapped(b, x, to)
}

/// `x` of type `from` as the float type `to`, rounded once, to nearest even.
pub fn to_float(b: &mut Builder, x: Value, from: Storage, to: Type) -> Value {
    match (from, to) {
        _ if !from.is_integer() => basic::to_float(b, x, to),
        (Storage::U8, Type::F32) => f32_of_u8(b, x),
        (Storage::I64, Type::F32) => {
            let x = rounding_alike(b, x);
            let float = approximate_f64(b, x);
            b.demote(float)
        }
        (Storage::I64, _) => approximate_f64(b, x),
        (_, Type::F32) => f32_of_i32(b, x),
        _ => f64_of_i32(b, x),
    }
}

/// `x` of type `from` as an `f32` that rounds to `f16` and to `bf16` as `x` does.
pub fn before_half(b: &mut Builder, x: Value, from: Storage) -> Value {
    match from {
        _ if !from.is_integer() => before_f16(b, x),
        Storage::U8 => f32_of_u8(b, x),
        Storage::I64 => {
            let x = rounding_alike(b, x);
            let float = approximate_f64(b, x);
            before_f16(b, float)
        }
        _ => {
            let float = f64_of_i32(b, x);
            before_f16(b, float)
        }
    }
}

/// Whether `x` is not zero; true for NaN.
pub fn to_bool(b: &mut Builder, x: Value) -> Value {
    if !b.ty(x).is_int() {
        return basic::to_bool(b, x);
    }
    let zero = b.int(b.ty(x), 0);
    let mask = b.ne(x, zero);
    b.resize_mask(mask, Type::M32)
}

/// `u8` lanes as `f32`, exact.
pub(super) fn f32_of_u8(b: &mut Builder, x: Value) -> Value {
    let carrier = b.f32(BYTE_CARRIER);
    let bits = b.bitcast(carrier, Type::I32);
    let bits = b.or(x, bits);
    let raised = b.bitcast(bits, Type::F32);
    b.sub(raised, carrier)
}

/// A whole `f32` from 0 to 255 as `u8` lanes.
pub(super) fn u8_of_whole_f32(b: &mut Builder, x: Value) -> Value {
    let carrier = b.f32(BYTE_CARRIER);
    let raised = b.add(x, carrier);
    let bits = b.bitcast(raised, Type::I32);
    let byte = b.int(Type::I32, 0xff);
    b.and(bits, byte)
}

/// `i32` lanes as `f64`, exact.
pub(super) fn f64_of_i32(b: &mut Builder, x: Value) -> Value {
    let wide = b.resize_int(x, Type::I64);
    let magic = b.f64(MAGIC);
    let magic_bits = b.bitcast(magic, Type::I64);
    let bits = b.add(wide, magic_bits);
    let float = b.bitcast(bits, Type::F64);
    b.sub(float, magic)
}

/// `i32` lanes as `f32`, rounded once: the sum of two halves, each exact. The lower one lies in the
/// mantissa of 2^23, the upper one, its sign bit flipped, in that of 2^39.
fn f32_of_i32(b: &mut Builder, x: Value) -> Value {
    let int = Type::I32;
    let (low_carrier, high_carrier) = (f32::powi(2.0, 23), f32::powi(2.0, 39));
    let low_bits = b.int(int, low_carrier.to_bits().into());
    let high_bits = b.int(int, i64::from(high_carrier.to_bits()) | 0x8000);
    let lower_half = b.int(int, 0xffff);
    let low = b.and(x, lower_half);
    let low = b.or(low, low_bits);
    let low = b.bitcast(low, Type::F32);
    let high = b.shr(x, 16);
    let high = b.xor(high, high_bits);
    let high = b.bitcast(high, Type::F32);
    let carriers = b.f32(high_carrier + f32::powi(2.0, 31) + low_carrier);
    let high = b.sub(high, carriers);
    b.add(high, low)
}

/// `i64` lanes as `f64`, rounded once: like [`f32_of_i32`], with halves of 32 bits in 2^52 and
/// 2^84.
pub(super) fn approximate_f64(b: &mut Builder, x: Value) -> Value {
    let int = Type::I64;
    let (low_carrier, high_carrier) = (2f64.powi(52), 2f64.powi(84));
    let low_bits = b.int(int, low_carrier.to_bits() as i64);
    let high_bits = b.int(int, high_carrier.to_bits() as i64 | 1 << 31);
    let lower_half = b.int(int, 0xffff_ffff);
    let low = b.and(x, lower_half);
    let low = b.or(low, low_bits);
    let low = b.bitcast(low, Type::F64);
    let high = b.shr(x, 32);
    let high = b.xor(high, high_bits);
    let high = b.bitcast(high, Type::F64);
    let carriers = b.f64(high_carrier + 2f64.powi(63) + low_carrier);
    let high = b.sub(high, carriers);
    b.add(high, low)
}

/// An integer that `f64` can hold and that rounds to 24 bits or fewer as `x` does: if `x` is large,
/// its lowest 11 bits become one sticky bit (rounding to odd).
fn rounding_alike(b: &mut Builder, x: Value) -> Value {
    let int = Type::I64;
    let [cut, keep, bound] = [0x7ff, !0x7ff, 1 << 53].map(|value| b.int(int, value));
    let lowest = b.and(x, cut);
    let some = b.add(lowest, cut);
    let odd = b.or(x, some);
    let odd = b.and(odd, keep);
    let minus_bound = b.int(int, -1 << 53);
    let (above, below) = (b.lt(bound, x), b.lt(x, minus_bound));
    let large = b.or(above, below);
    b.select(large, odd, x)
}

/// The low bits of a whole `f64` of magnitude up to 2^51, as `i64` lanes: modulo 2^51, above which
/// the bits of [`MAGIC`] remain.
pub(super) fn low_bits_of_f64(b: &mut Builder, x: Value) -> Value {
    let magic = b.f64(MAGIC);
    let raised = b.add(x, magic);
    b.bitcast(raised, Type::I64)
}

/// A whole `f64` of magnitude up to 2^51 as `i64` lanes.
pub(super) fn from_f64(b: &mut Builder, x: Value) -> Value {
    let magic = b.int(Type::I64, MAGIC.to_bits() as i64);
    let bits = low_bits_of_f64(b, x);
    b.sub(bits, magic)
}

/// A whole `f64` of magnitude up to 2^63 as `i64` lanes, with 2^63 wrapping around. Both halves are
/// exact; the bits of [`MAGIC`] are shifted out.
pub(super) fn i64_of_whole_f64(b: &mut Builder, x: Value) -> Value {
    let (down, minus_up) = (b.f64(2f64.powi(-32)), b.f64(-2f64.powi(32)));
    let high = b.mul(x, down);
    let high = b.floor(high);
    let low = b.fma(high, minus_up, x);
    let high = low_bits_of_f64(b, high);
    let high = b.shl(high, 32);
    let low = low_bits_of_f64(b, low);
    let lower_half = b.int(Type::I64, 0xffff_ffff);
    let low = b.and(low, lower_half);
    b.or(high, low)
}

fn i64_of_f64(b: &mut Builder, x: Value) -> Value {
    let whole = b.trunc(x);
    let result = i64_of_whole_f64(b, whole);
    saturated(b, x, result, 2f64.powi(63), i64::MIN, i64::MAX)
}

/// Like [`i64_of_f64`], with halves of 16 bits.
fn i32_of_f32(b: &mut Builder, x: Value) -> Value {
    let magic = b.f32(1.5 * (1u32 << 23) as f32);
    let (down, minus_up) = (b.f32(f32::powi(2.0, -16)), b.f32(-f32::powi(2.0, 16)));
    let whole = b.trunc(x);
    let high = b.mul(whole, down);
    let high = b.floor(high);
    let low = b.fma(high, minus_up, whole);
    let [high, low] = [high, low].map(|half| {
        let raised = b.add(half, magic);
        b.bitcast(raised, Type::I32)
    });
    let high = b.shl(high, 16);
    let lower_half = b.int(Type::I32, 0xffff);
    let low = b.and(low, lower_half);
    let result = b.or(high, low);
    saturated(b, x, result, 2f64.powi(31), i32::MIN.into(), i32::MAX.into())
}

/// `result` where `x` is between `-bound` and `bound`; beyond that the least or the most; 0 for
/// NaN.
fn saturated(b: &mut Builder, x: Value, result: Value, bound: f64, least: i64, most: i64) -> Value {
    let (float, int) = (b.ty(x), b.ty(result));
    let (bound, minus_bound) = (b.float(float, bound), b.float(float, -bound));
    let [least, most, zero] = [least, most, 0].map(|value| b.int(int, value));
    let (above, below) = (b.le(bound, x), b.lt(x, minus_bound));
    let result = b.select(above, most, result);
    let result = b.select(below, least, result);
    let ordered = b.eq(x, x);
    b.select(ordered, result, zero)
}

/// `x` clamped to the range of `to`, 0 for NaN: `u8`, or `i32` if `x` is an `f64`, whose mantissa
/// is wider.
fn within(b: &mut Builder, x: Value, to: Storage) -> Value {
    let ty = b.ty(x);
    let (least, most) = match to {
        Storage::U8 => (0.0, f64::from(u8::MAX)),
        _ => (f64::from(i32::MIN), f64::from(i32::MAX)),
    };
    let (least, most) = (b.float(ty, least), b.float(ty, most));
    let zero = b.float(ty, 0.0);
    let ordered = b.eq(x, x);
    let x = b.select(ordered, x, zero);
    let x = b.max(x, least);
    let x = b.min(x, most);
    b.trunc(x)
}

/// `u8` or `i32` lanes from `f64`.
fn narrow_of_f64(b: &mut Builder, x: Value, to: Storage) -> Value {
    let whole = within(b, x, to);
    let bits = from_f64(b, whole);
    b.resize_int(bits, Type::I32)
}
