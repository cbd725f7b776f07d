//! Ops made of a few primitives: exact or correctly rounded, so no error is stated.

use crate::vir::{Builder, Type, Value};

/// `1 / x`, correctly rounded.
pub fn recip(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let one = b.float(ty, 1.0);
    b.div(one, x)
}

/// -1, 1, or the given zero or NaN: only ordered non-zero lanes take the signed 1.
pub fn sign(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let signed_one = b.copysign(one, x);
    let magnitude = b.abs(x);
    let nonzero = b.gt(magnitude, zero);
    b.select(nonzero, signed_one, x)
}

/// IEEE 754 `minimum`: NaN if either is, -0 below +0.
///
/// The primitive returns its second operand on NaN and on equal zeros, so computing it in both
/// orders covers every case, and `or` of the bits keeps the minus of a zero and a NaN from either.
/// With a constant operand one primitive is enough: with `x` second, NaN and the right zero come
/// out.
pub fn minimum(b: &mut Builder, x: Value, y: Value) -> Value {
    for (variable, bound) in [(x, y), (y, x)] {
        if b.constant(bound).is_some_and(|c| !c.is_nan() && (c != 0.0 || c.is_sign_positive())) {
            return b.min(bound, variable);
        }
    }
    let int = b.ty(x).int();
    let (xy, yx) = (b.min(x, y), b.min(y, x));
    let (xy, yx) = (b.bitcast(xy, int), b.bitcast(yx, int));
    let merged = b.or(xy, yx);
    let ty = b.ty(x);
    b.bitcast(merged, ty)
}

/// IEEE 754 `maximum`: NaN if either is, -0 below +0. The mirror image of [`minimum`], but `and` of
/// the bits, which keeps the plus of a zero, would lose a NaN, so NaN is restored.
pub fn maximum(b: &mut Builder, x: Value, y: Value) -> Value {
    for (variable, bound) in [(x, y), (y, x)] {
        let Some(c) = b.constant(bound).filter(|c| !c.is_nan()) else { continue };
        let larger = b.max(bound, variable);
        // max(+0, -0) is -0 here; adding +0 turns it to +0 and changes nothing else.
        let plus_zero = c == 0.0 && c.is_sign_positive();
        return if plus_zero { b.add(larger, bound) } else { larger };
    }
    let ty = b.ty(x);
    let (xy, yx) = (b.max(x, y), b.max(y, x));
    let (xy, yx) = (b.bitcast(xy, ty.int()), b.bitcast(yx, ty.int()));
    let merged = b.and(xy, yx);
    let merged = b.bitcast(merged, ty);
    let sum = b.add(x, y);
    let (nan_x, nan_y) = (b.ne(x, x), b.ne(y, y));
    let either = b.or(nan_x, nan_y);
    b.select(either, sum, merged)
}

/// A bool, `f32` or `f64` as the float type `to`.
pub(crate) fn to_float(b: &mut Builder, x: Value, to: Type) -> Value {
    match (b.ty(x), to) {
        (Type::F32, Type::F64) => b.promote(x),
        (Type::F64, Type::F32) => b.demote(x),
        (from, _) if from.is_mask() => {
            let (zero, one) = (b.float(to, 0.0), b.float(to, 1.0));
            let mask = b.resize_mask(x, to);
            b.select(mask, one, zero)
        }
        _ => x,
    }
}

/// Whether `x` is not zero; true for NaN.
pub(crate) fn to_bool(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    if ty.is_mask() {
        return x;
    }
    let zero = b.float(ty, 0.0);
    let mask = b.ne(x, zero);
    b.resize_mask(mask, Type::M32)
}

/// Whether `x` is NaN, which an integer never is.
pub fn is_nan(b: &mut Builder, x: Value) -> Value {
    if b.ty(x).is_int() {
        return b.mask(Type::M32, false);
    }
    let mask = b.ne(x, x);
    b.resize_mask(mask, Type::M32)
}

/// Whether `x` is an infinity, which an integer never is.
pub fn is_infinite(b: &mut Builder, x: Value) -> Value {
    compared_to_infinity(b, x, false, Builder::eq)
}

/// Whether `x` is neither NaN nor infinite, as an integer always is.
pub fn is_finite(b: &mut Builder, x: Value) -> Value {
    compared_to_infinity(b, x, true, Builder::lt)
}

/// Compares the magnitude; `integers` is the answer for all integers.
fn compared_to_infinity(
    b: &mut Builder,
    x: Value,
    integers: bool,
    compare: fn(&mut Builder, Value, Value) -> Value,
) -> Value {
    let ty = b.ty(x);
    if ty.is_int() {
        return b.mask(Type::M32, integers);
    }
    let (magnitude, infinity) = (b.abs(x), b.float(ty, f64::INFINITY));
    let mask = compare(b, magnitude, infinity);
    b.resize_mask(mask, Type::M32)
}
