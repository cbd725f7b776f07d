//! Numbers that a reference formula can be evaluated in.
//!
//! One formula serves three times: in [`f64`] with `core-math`'s correctly rounded functions, as
//! an [`Expr`] that Kiln compiles to a fast `f64` kernel, and in [`Big`](crate::big::Big), with 200
//! bits.

use kiln::Expr;
use kiln::ir::Op;
use std::f64::consts::PI;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What a formula may do with its numbers.
pub(crate) trait Real:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// A number, exactly.
    fn number(value: f64) -> Self;

    /// The circle's.
    fn pi() -> Self;

    /// A function of the op table, as mathematics has it.
    fn apply(op: Op, operands: &[Self]) -> Self;

    /// One of two values, by whether `self` is above `bound` or NaN; the other need not be
    /// evaluated.
    fn above(&self, bound: f64, yes: impl FnOnce() -> Self, no: impl FnOnce() -> Self) -> Self;

    /// Below this, `x - tanh(x)` is better by its series: the difference loses `2 log2(1/x)` bits,
    /// four terms of the series are good to `-8 log2(x)`.
    const CANCELS: f64;

    fn of(&self, op: Op) -> Self {
        Self::apply(op, std::slice::from_ref(self))
    }
}

impl Real for f64 {
    const CANCELS: f64 = 1.0 / 32.0;

    fn number(value: f64) -> f64 {
        value
    }

    fn pi() -> f64 {
        PI
    }

    fn apply(op: Op, operands: &[f64]) -> f64 {
        correctly_rounded(op, operands)
    }

    fn above(&self, bound: f64, yes: impl FnOnce() -> f64, no: impl FnOnce() -> f64) -> f64 {
        if *self <= bound { no() } else { yes() }
    }
}

impl Real for Expr {
    const CANCELS: f64 = 1.0 / 32.0;

    fn number(value: f64) -> Expr {
        Expr::number(value)
    }

    fn pi() -> Expr {
        Expr::number(PI)
    }

    fn apply(op: Op, operands: &[Expr]) -> Expr {
        Expr::apply(op, operands.to_vec())
    }

    fn above(&self, bound: f64, yes: impl FnOnce() -> Expr, no: impl FnOnce() -> Expr) -> Expr {
        self.le(bound).select(no(), yes())
    }
}

/// The `f64` nearest to the exact result: by `core-math` where it has the function, by one
/// operation of the processor where that rounds once. `sigmoid`, `normcdf` and `tanhshrink` are neither,
/// and may be the second nearest where two are as near to a millionth of an ULP.
pub fn correctly_rounded(op: Op, x: &[f64]) -> f64 {
    use core_math as cr;
    match op {
        Op::Cbrt => cr::cbrt(x[0]),
        Op::Exp => cr::exp(x[0]),
        Op::Exp2 => cr::exp2(x[0]),
        Op::Exp10 => cr::exp10(x[0]),
        Op::Expm1 => cr::expm1(x[0]),
        Op::Log => cr::log(x[0]),
        Op::Log2 => cr::log2(x[0]),
        Op::Log10 => cr::log10(x[0]),
        Op::Log1p => cr::log1p(x[0]),
        Op::Sin => cr::sin(x[0]),
        Op::Cos => cr::cos(x[0]),
        Op::Tan => cr::tan(x[0]),
        Op::Asin => cr::asin(x[0]),
        Op::Acos => cr::acos(x[0]),
        Op::Atan => cr::atan(x[0]),
        Op::Sinh => cr::sinh(x[0]),
        Op::Cosh => cr::cosh(x[0]),
        Op::Tanh => cr::tanh(x[0]),
        Op::Asinh => cr::asinh(x[0]),
        Op::Acosh => cr::acosh(x[0]),
        Op::Atanh => cr::atanh(x[0]),
        Op::Erf => cr::erf(x[0]),
        Op::Erfc => cr::erfc(x[0]),
        Op::Rsqrt if x[0] > 0.0 => cr::rsqrt(x[0]),
        Op::Pow => cr::pow(x[0], x[1]),
        Op::Atan2 => cr::atan2(x[0], x[1]),
        Op::Hypot => cr::hypot(x[0], x[1]),
        Op::Sigmoid => crate::double::sigmoid(x[0]),
        Op::Normcdf => crate::double::normcdf(x[0]),
        Op::Tanhshrink => crate::double::tanhshrink(x[0]),
        // One operation of the processor, or exact.
        _ => op.eval(kiln::DType::F64, x),
    }
}

/// `x - tanh(x)`; near 0 `x³/3 - 2/15 x⁵ + 17/315 x⁷ - 62/2835 x⁹`, the next coefficient 0.009.
pub(crate) fn tanhshrink<R: Real>(x: &R) -> R {
    let series = || {
        let z = x.clone() * x.clone();
        let terms = [(-62.0, 2835.0), (17.0, 315.0), (-2.0, 15.0), (1.0, 3.0)];
        let quotients = terms.map(|(p, q)| R::number(p) / R::number(q));
        let sum = quotients.into_iter().reduce(|sum, c| sum * z.clone() + c).expect("four");
        x.clone() * z * sum
    };
    x.of(Op::Abs).above(R::CANCELS, || x.clone() - x.of(Op::Tanh), series)
}
