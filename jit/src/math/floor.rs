//! Floor division and its remainder, as in Python and NumPy.

use super::by_type;
use super::rem::rem;
use crate::vir::{Builder, Value};

/// The exact quotient rounded down; beyond 2^24 (2^53 for f64), where all floats are integers, the
/// quotient itself.
///
/// Below that, the only possible error is a quotient rounded up to an integer, which is then one
/// too large: the remainder of `x` by fma has the wrong sign then, whatever its own rounding.
/// NumPy's special cases: NaN for infinite `x`, an infinity over 0, -1 for finite over an infinity
/// of the other sign.
pub fn floordiv(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let quotient = b.div(x, y);
    let whole = b.floor(quotient);
    let minus_whole = b.neg(whole);
    let rest = b.fma(minus_whole, y, x);
    // 0 times an infinity is NaN.
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let none = b.eq(whole, zero);
    let rest = b.select(none, x, rest);

    let misses = has_other_sign(b, rest, y);
    let limit = b.float(ty, by_type(ty, 2f64.powi(24), 2f64.powi(53)));
    let magnitude = b.abs(quotient);
    let exact = b.le(magnitude, limit);
    let misses = b.and(misses, exact);
    let less = b.sub(whole, one);
    let result = b.select(misses, less, whole);

    let (infinity, nan) = (b.float(ty, f64::INFINITY), b.float(ty, f64::NAN));
    let magnitude = b.abs(x);
    let infinite = b.eq(magnitude, infinity);
    let divisible = b.ne(y, zero);
    let undefined = b.and(infinite, divisible);
    b.select(undefined, nan, result)
}

/// The remainder of [`floordiv`], with the sign of `y`, even for a zero: that of [`rem`], or `y`
/// more, which rounds once.
pub fn modulo(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let rest = rem(b, x, y);
    let misses = has_other_sign(b, rest, y);
    let moved = b.add(rest, y);
    let moved = b.select(misses, moved, rest);
    let zero = b.float(ty, 0.0);
    let none = b.eq(rest, zero);
    let signed_zero = b.copysign(zero, y);
    b.select(none, signed_zero, moved)
}

/// Whether `rest` and `y` are on opposite sides of 0.
fn has_other_sign(b: &mut Builder, rest: Value, y: Value) -> Value {
    let zero = b.float(b.ty(rest), 0.0);
    let (below, above) = (b.lt(rest, zero), b.lt(zero, rest));
    let negative = b.lt(y, zero);
    b.select(negative, above, below)
}
