//! asinh, acosh, atanh: `log(1 + y)` of a `y` that is small where the result is, so that nothing
//! cancels next to their zeros.

use super::bits::{or_sign, split_sign};
use super::by_type;
use super::log::{log1p_times_power, log1p_unsigned};
use crate::vir::{Builder, Value};

/// The inverse hyperbolic sine. Error 1.95 ULP (f32), 1.75 (f64); exactly odd.
///
/// `log(1 + a + a^2 / (1 + sqrt(a^2 + 1)))` of the magnitude `a`, `log(2 a)` where 1 is lost
/// against `a` (and before its square overflows).
pub(crate) fn asinh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let one = b.float(ty, 1.0);
    let square = b.mul(a, a);
    let square_plus_one = b.add(square, one);
    let root = b.sqrt(square_plus_one);
    let denominator = b.add(root, one);
    let quotient = b.div(square, denominator);
    let y = b.add(a, quotient);
    let result = log1p_or_log_of_double(b, a, y);
    or_sign(b, result, sign)
}

/// The inverse hyperbolic cosine. Error 2.27 ULP (f32), 2.17 (f64); NaN below 1.
///
/// With `t = x - 1` it is `log(1 + t + sqrt(t (t + 2)))`, `log(2 x)` for large `x`.
pub(crate) fn acosh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (minus_one, two) = (b.float(ty, -1.0), b.float(ty, 2.0));
    let t = b.add(x, minus_one);
    // The magnitude keeps the product negative, and the root NaN, for every x below 1.
    let t_plus_two = b.add(t, two);
    let t_plus_two = b.abs(t_plus_two);
    let product = b.mul(t, t_plus_two);
    let root = b.sqrt(product);
    let y = b.add(t, root);
    log1p_or_log_of_double(b, x, y)
}

/// `log(1 + y)`, or `log(2 a)` for large `a`, where `log(1 + a)` is as good as `log a`.
fn log1p_or_log_of_double(b: &mut Builder, a: Value, y: Value) -> Value {
    let ty = b.ty(a);
    let limit = b.float(ty, by_type(ty, 28f64, 56.0).exp2());
    let is_large = b.gt(a, limit);
    let y = b.select(is_large, a, y);
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let doublings = b.select(is_large, one, zero);
    log1p_times_power(b, y, Some(doublings))
}

/// The inverse hyperbolic tangent, `log(1 + 2 a / (1 - a)) / 2` of the magnitude `a`.
/// Error 2.0 ULP (f32), 2.1 (f64); exactly odd, NaN outside [-1, 1].
pub(crate) fn atanh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let (one, half) = (b.float(ty, 1.0), b.float(ty, 0.5));
    let double = b.add(a, a);
    let complement = b.sub(one, a);
    let y = b.div(double, complement);
    let log = log1p_unsigned(b, y);
    let result = b.mul(log, half);
    or_sign(b, result, sign)
}
