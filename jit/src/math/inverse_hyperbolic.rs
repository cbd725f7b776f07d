//! asinh, acosh, atanh: `log(1 + y)` with a `y` that is small where the result is, so that nothing
//! cancels near their zeros.

use super::bits::{or_sign, split_sign};
use super::by_type;
use super::double_word::fast_two_sum;
use super::log::log1p_of_sum;
use crate::vir::{Builder, Value};

/// The inverse hyperbolic sine. Error 1.34 ULP (f32), 1.25 (f64); exactly odd.
///
/// `log(1 + a + a^2 / (1 + sqrt(a^2 + 1)))` of the magnitude `a`, or `log(2 a)` where the 1 is lost
/// next to `a` (and before the square overflows).
pub fn asinh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let one = b.float(ty, 1.0);
    let square = b.mul(a, a);
    let square_plus_one = b.add(square, one);
    let root = b.sqrt(square_plus_one);
    let denominator = b.add(root, one);
    let quotient = b.div(square, denominator);
    let result = log1p_or_log_of_double(b, a, a, quotient, None);
    or_sign(b, result, sign)
}

/// The inverse hyperbolic cosine. Error 1.17 ULP (f32), 1.17 (f64); NaN below 1.
///
/// With `t = x - 1` it is `log(1 + t + sqrt(t^2 + 2 t))`, or `log(2 x)` for large `x`.
pub fn acosh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let minus_one = b.float(ty, -1.0);
    let t = b.add(x, minus_one);
    // The root is NaN for every x below 1, including x = 0.
    let t = b.max(minus_one, t);
    let double = b.add(t, t);
    let product = b.fma(t, t, double);
    let root = b.sqrt(product);
    // The root's rounding error, over twice the root, which is 0 for 1.
    let minus = b.neg(root);
    let lost = b.fma(minus, root, product);
    let least = b.float(ty, by_type(ty, 1e-30, 1e-300));
    let double_root = b.add(root, root);
    let double_root = b.max(least, double_root);
    let lost = b.div(lost, double_root);
    log1p_or_log_of_double(b, x, root, t, Some(lost))
}

/// `log(1 + y + z)`, plus a small term, for `y >= z`, or `log(2 a)` for large `a`, where
/// `log(1 + a)` is as good as `log a`.
fn log1p_or_log_of_double(
    b: &mut Builder,
    a: Value,
    y: Value,
    z: Value,
    small: Option<Value>,
) -> Value {
    let ty = b.ty(a);
    let (sum, low) = fast_two_sum(b, y, z);
    let low = small.map_or(low, |small| b.add(low, small));
    let limit = b.float(ty, by_type(ty, 28f64, 56.0).exp2());
    let is_large = b.gt(a, limit);
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let sum = b.select(is_large, a, sum);
    let low = b.select(is_large, zero, low);
    let doublings = b.select(is_large, one, zero);
    log1p_of_sum(b, sum, Some(low), Some(doublings))
}

/// The inverse hyperbolic tangent, `log(1 + 2 a / (1 - a)) / 2` of the magnitude `a`.
/// Error 0.96 ULP (f32), 0.91 (f64); exactly odd, NaN outside [-1, 1].
///
/// The rounding errors of `1 - a` and of the quotient go into the logarithm.
pub fn atanh(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (sign, a) = split_sign(b, x);
    let (one, half) = (b.float(ty, 1.0), b.float(ty, 0.5));
    let double = b.add(a, a);
    let complement = b.sub(one, a);
    let kept = b.sub(one, complement);
    let lost = b.sub(kept, a);
    let y = b.div(double, complement);
    let minus = b.neg(y);
    let error = b.fma(minus, complement, double);
    let error = b.fma(minus, lost, error);
    // Over 1 - a, which is 2 / (2 + y): a rounding error of y needs no division of its own.
    let half_y = b.fma(y, half, one);
    let low = b.mul(error, half_y);
    let log = log1p_of_sum(b, y, Some(low), None);
    let result = b.mul(log, half);
    or_sign(b, result, sign)
}
