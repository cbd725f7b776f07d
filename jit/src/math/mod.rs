//! The expansions of ops that take an algorithm, one function per op.
//!
//! Each function takes a float of either width ([`Builder::ty`] tells) and returns the same type,
//! unless it says otherwise. Its comment names the method, the error bound and the special cases.
//! Sources and measurements behind them: `tools/` and the accuracy tests.

pub(crate) mod basic;
pub(crate) mod bits;
pub(crate) mod double_word;
pub(crate) mod erf;
pub(crate) mod exp;
pub(crate) mod floor;
pub(crate) mod half;
pub(crate) mod hyperbolic;
pub(crate) mod integer;
pub(crate) mod integer_casts;
pub(crate) mod inverse_hyperbolic;
pub(crate) mod inverse_trig;
pub(crate) mod log;
pub(crate) mod normcdf;
pub(crate) mod payne_hanek;
pub(crate) mod pow;
pub(crate) mod rem;
pub(crate) mod root;
pub(crate) mod tanhshrink;
pub(crate) mod trig;

use crate::vir::{Builder, Type, Value};

/// A polynomial by Horner's rule, coefficients from low to high order, one `fma` a step.
///
/// Horner takes the fewest operations and registers and is the most accurate order; latency is
/// hidden by running several vectors at once, not by splitting the polynomial.
pub(crate) fn horner(b: &mut Builder, x: Value, coefficients: &[f64]) -> Value {
    let ty = b.ty(x);
    let (last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
    let mut sum = b.float(ty, *last);
    for &coefficient in rest.iter().rev() {
        let coefficient = b.float(ty, coefficient);
        sum = b.fma(sum, x, coefficient);
    }
    sum
}

/// Picks the value of a parameter that depends on the float width.
pub(crate) fn by_type<T>(ty: Type, f32: T, f64: T) -> T {
    match ty {
        Type::F32 => f32,
        Type::F64 => f64,
        _ => panic!("{ty} is no float type"),
    }
}
