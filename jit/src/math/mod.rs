//! The expansions of ops that need an algorithm, one function per op.
//!
//! Each function takes a float of either width ([`Builder::ty`] tells) and returns the same type,
//! unless it says otherwise. Its comment names the method, the error bound and the special cases.
//! Sources and measurements behind them: `tools/` and the accuracy tests.
//!
//! # Far below
//!
//! An Intel core computes an instruction in microcode where a lane of its result lies below the least normal
//! number: 80 to 150 cycles, for one lane or for all. It does not where a product is below 2^-160 (2^-1088) and
//! so is 0 whatever its fraction. So arguments whose results round to 0 are clamped to where they are below that,
//! and not to where they just vanish: `exp` of -110 took 30 times as long as of 1 on a Xeon 6, `sigmoid` 9 times.
//! What is subnormal itself takes its time. To compute such lanes apart, in a cold region where they are scaled and
//! rounded by a sum, gains less than it costs: `silu` of numbers around 0 took 1.2 times as long (AVX2 1.3).

mod basic;
mod bits;
mod double_word;
mod erf;
mod exp;
#[cfg(test)]
mod far_below;
mod floor;
mod half;
mod hyperbolic;
pub mod integer;
mod integer_casts;
mod inverse_hyperbolic;
mod inverse_trig;
mod log;
mod normcdf;
mod payne_hanek;
mod pow;
mod rem;
mod root;
mod tanhshrink;
mod trig;

pub use self::half::{before_bf16, to_bf16, to_f16};
pub use basic::{is_finite, is_infinite, is_nan, maximum, minimum, recip, sign};
pub use erf::{erf, erfc};
pub use exp::{exp, exp2, exp10, expm1};
pub use floor::{floordiv, modulo};
pub use hyperbolic::{cosh, sigmoid, sinh, tanh};
pub use integer_casts::{before_half, to_bool, to_float, to_integer};
pub use inverse_hyperbolic::{acosh, asinh, atanh};
pub use inverse_trig::{acos, asin, atan, atan2};
pub use log::{log, log1p, log2, log10};
pub use normcdf::normcdf;
pub use pow::pow;
pub use rem::rem;
pub use root::{cbrt, hypot, rsqrt};
pub use tanhshrink::tanhshrink;
pub use trig::{cos, sin, tan};

use crate::vir::{Builder, Type, Value};

/// How accurate an expansion is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// About 1 ULP; each function states its bound.
    #[default]
    Default,
    /// At most 4 ULP where that is at least a fifth faster, otherwise the default.
    Fast,
}

/// What is known about a value, so that an expansion can omit impossible cases: it is NaN or lies
/// within these bounds; either zero counts as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least number it can be.
    pub low: f64,
    /// The largest number it can be.
    pub high: f64,
}

impl Range {
    /// Nothing is known.
    pub const ANY: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// Whether every number is within `low..=high`.
    pub fn inside(self, low: f64, high: f64) -> bool {
        low <= self.low && self.high <= high
    }
}

/// A polynomial by Horner's rule, coefficients from low to high order, one `fma` per step.
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
