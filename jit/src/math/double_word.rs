//! Error-free sums and products: a result and its exact rounding error.
//!
//! Knuth, Dekker and the fma product; see Muller et al., Handbook of Floating-Point Arithmetic.

use crate::vir::{Builder, Value};

/// `x + y = sum + error`, for any `x` and `y`.
pub(crate) fn two_sum(b: &mut Builder, x: Value, y: Value) -> (Value, Value) {
    let sum = b.add(x, y);
    let y_part = b.sub(sum, x);
    let x_part = b.sub(sum, y_part);
    let y_error = b.sub(y, y_part);
    let x_error = b.sub(x, x_part);
    let error = b.add(x_error, y_error);
    (sum, error)
}

/// `x + y = sum + error`, where `x` is zero, or not below `y` in magnitude, or a multiple of the
/// last place of `y`.
pub(crate) fn fast_two_sum(b: &mut Builder, x: Value, y: Value) -> (Value, Value) {
    let sum = b.add(x, y);
    let y_part = b.sub(sum, x);
    let error = b.sub(y, y_part);
    (sum, error)
}

/// `x * y = product + error`, short of underflow.
pub(crate) fn two_prod(b: &mut Builder, x: Value, y: Value) -> (Value, Value) {
    let product = b.mul(x, y);
    let minus = b.neg(product);
    let error = b.fma(x, y, minus);
    (product, error)
}
