//! What is measured: ops, derived ops, and spellings that people write, with their formulas.
//!
//! A formula is the mathematical function in a form without cancellation, so that 53 bits give an
//! `f32` reference good to a hundred-thousandth of an ULP or better.

use crate::real::{Real, tanhshrink};
use kiln::ir::Op;

/// A function of one variable that is composed of ops.
pub(crate) struct Composite {
    pub(crate) name: &'static str,
    /// How it is written, in `x`.
    pub(crate) text: &'static str,
    pub(crate) formula: Formula,
}

/// One formula in each kind of number.
pub(crate) struct Formula {
    pub(crate) float: fn(&f64) -> f64,
    pub(crate) expr: fn(&kiln::Expr) -> kiln::Expr,
    pub(crate) big: fn(&crate::big::Big) -> crate::big::Big,
}

macro_rules! composites {
    ($($name:literal, $text:literal => $formula:ident;)*) => {
        /// Every derived op, then spellings of functions that are badly conditioned as written.
        pub(crate) static COMPOSITES: &[Composite] = &[$(Composite {
            name: $name,
            text: $text,
            formula: Formula { float: $formula, expr: $formula, big: $formula },
        }),*];
    };
}

composites! {
    "relu", "relu(x)" => relu;
    "relu6", "relu6(x)" => relu6;
    "squareplus", "squareplus(x)" => squareplus;
    "leaky_relu", "leaky_relu(x)" => leaky_relu;
    "prelu", "prelu(x, 0.25)" => prelu;
    "elu", "elu(x)" => elu;
    "selu", "selu(x)" => selu;
    "celu", "celu(x)" => elu;
    "gelu", "gelu(x)" => gelu;
    "gelu_tanh", "gelu_tanh(x)" => gelu_tanh;
    "quick_gelu", "quick_gelu(x)" => quick_gelu;
    "silu", "silu(x)" => silu;
    "mish", "mish(x)" => mish;
    "softplus", "softplus(x)" => softplus;
    "logsigmoid", "logsigmoid(x)" => logsigmoid;
    "softsign", "softsign(x)" => softsign;
    "hardsigmoid", "hardsigmoid(x)" => hardsigmoid;
    "hardswish", "hardswish(x)" => hardswish;
    "hardtanh", "hardtanh(x)" => hardtanh;
    "hardshrink", "hardshrink(x)" => hardshrink;
    "softshrink", "softshrink(x)" => softshrink;
    "threshold", "threshold(x, 1, 20)" => threshold;
    "square", "square(x)" => square;
    "logaddexp", "logaddexp(x, 1)" => logaddexp;
    "naive sigmoid", "1/(1+exp(-x))" => sigmoid;
    "naive softplus", "log(1+exp(x))" => softplus;
    "naive logsigmoid", "log(sigmoid(x))" => logsigmoid;
    "naive silu", "x/(1+exp(-x))" => silu;
    "naive mish", "x*tanh(log(1+exp(x)))" => mish;
    "naive expm1", "exp(x)-1" => expm1;
    "naive log1p", "log(1+x)" => log1p;
    "naive gelu", "0.5*x*(1+erf(x/1.4142135623730951))" => gelu;
    "naive tanhshrink", "x-tanh(x)" => tanhshrink;
    "slope of tanh", "1-tanh(x)*tanh(x)" => tanh_slope;
    "hyperbola", "sqrt(x*x+1)-1" => hyperbola;
}

fn num<R: Real>(value: f64) -> R {
    R::number(value)
}

fn min<R: Real>(a: &R, b: f64) -> R {
    R::apply(Op::Min, &[a.clone(), num(b)])
}

fn max<R: Real>(a: &R, b: f64) -> R {
    R::apply(Op::Max, &[a.clone(), num(b)])
}

fn square<R: Real>(a: &R) -> R {
    a.clone() * a.clone()
}

/// `x / (1 + e^-t)`.
fn gated<R: Real>(x: &R, t: R) -> R {
    x.clone() / (num::<R>(1.0) + (-t).of(Op::Exp))
}

fn relu<R: Real>(x: &R) -> R {
    max(x, 0.0)
}

fn relu6<R: Real>(x: &R) -> R {
    min(&max(x, 0.0), 6.0)
}

/// `(x + s)/2` with `s = √(x² + 4)`; left of 0 as `2/(s - x)`. `s` is a hypotenuse: `x²` overflows.
fn squareplus<R: Real>(x: &R) -> R {
    let s = R::apply(Op::Hypot, &[x.clone(), num(2.0)]);
    x.above(
        0.0,
        || (x.clone() * num(0.5)) + s.clone() * num(0.5),
        || num::<R>(2.0) / (s.clone() - x.clone()),
    )
}

fn leaky_relu<R: Real>(x: &R) -> R {
    x.above(0.0, || x.clone(), || num::<R>(0.01) * x.clone())
}

fn prelu<R: Real>(x: &R) -> R {
    x.above(0.0, || x.clone(), || num::<R>(0.25) * x.clone())
}

fn elu<R: Real>(x: &R) -> R {
    x.above(0.0, || x.clone(), || x.of(Op::Expm1))
}

fn selu<R: Real>(x: &R) -> R {
    num::<R>(1.0507009873554805)
        * x.above(0.0, || x.clone(), || num::<R>(1.6732632423543772) * x.of(Op::Expm1))
}

/// `x Φ(x) = x/2 erfc(-x/√2)`.
fn gelu<R: Real>(x: &R) -> R {
    let root_half = num::<R>(0.5).of(Op::Sqrt);
    num::<R>(0.5) * x.clone() * (-(x.clone() * root_half)).of(Op::Erfc)
}

/// `x sigmoid(2u)`, `u = √(2/π) (x + 0.044715 x³)`.
fn gelu_tanh<R: Real>(x: &R) -> R {
    let scale = num::<R>(2.0) * (num::<R>(2.0) / R::pi()).of(Op::Sqrt);
    let cubic = x.clone() * (num::<R>(1.0) + num::<R>(0.044715) * square(x));
    gated(x, scale * cubic)
}

fn quick_gelu<R: Real>(x: &R) -> R {
    gated(x, num::<R>(1.702) * x.clone())
}

fn silu<R: Real>(x: &R) -> R {
    gated(x, x.clone())
}

/// `tanh(log(1 + e)) = n/(n + 2)` with `e = e^x` and `n = e² + 2e`; 1 beyond 100.
fn mish<R: Real>(x: &R) -> R {
    let small = || {
        let e = x.of(Op::Exp);
        let n = e.clone() * (e + num(2.0));
        x.clone() * n.clone() / (n + num(2.0))
    };
    x.above(100.0, || x.clone(), small)
}

/// `log(1 + e^-|x|)`.
fn log1p_exp<R: Real>(x: &R) -> R {
    (-x.of(Op::Abs)).of(Op::Exp).of(Op::Log1p)
}

fn softplus<R: Real>(x: &R) -> R {
    max(x, 0.0) + log1p_exp(x)
}

fn logsigmoid<R: Real>(x: &R) -> R {
    min(x, -0.0) - log1p_exp(x)
}

fn softsign<R: Real>(x: &R) -> R {
    x.clone() / (num::<R>(1.0) + x.of(Op::Abs))
}

fn hardsigmoid<R: Real>(x: &R) -> R {
    relu6(&(x.clone() + num(3.0))) / num(6.0)
}

fn hardswish<R: Real>(x: &R) -> R {
    // Divided first: the product can overflow.
    x.clone() * hardsigmoid(x)
}

fn hardtanh<R: Real>(x: &R) -> R {
    min(&max(x, -1.0), 1.0)
}

fn hardshrink<R: Real>(x: &R) -> R {
    x.of(Op::Abs).above(0.5, || x.clone(), || num(0.0))
}

fn softshrink<R: Real>(x: &R) -> R {
    x.clone() - min(&max(x, -0.5), 0.5)
}

fn threshold<R: Real>(x: &R) -> R {
    x.above(1.0, || x.clone(), || num(20.0))
}

/// `log(e^x + e)`, never below 1.
fn logaddexp<R: Real>(x: &R) -> R {
    max(x, 1.0) + log1p_exp(&(x.clone() - num(1.0)))
}

fn sigmoid<R: Real>(x: &R) -> R {
    x.of(Op::Sigmoid)
}

fn expm1<R: Real>(x: &R) -> R {
    x.of(Op::Expm1)
}

fn log1p<R: Real>(x: &R) -> R {
    x.of(Op::Log1p)
}

/// `4 e/(1 + e)²`, `e = e^(-2|x|)`.
fn tanh_slope<R: Real>(x: &R) -> R {
    let e = (num::<R>(-2.0) * x.of(Op::Abs)).of(Op::Exp);
    num::<R>(4.0) * e.clone() / square(&(num::<R>(1.0) + e))
}

/// `x²/(√(x² + 1) + 1)`, with the quotient by the root first.
fn hyperbola<R: Real>(x: &R) -> R {
    let root = R::apply(Op::Hypot, &[x.clone(), num(1.0)]);
    x.clone() * (x.clone() / (root + num(1.0)))
}

#[cfg(test)]
mod tests {
    use super::COMPOSITES;
    use crate::big::Big;
    use kiln::DType;
    use kiln::ir::DERIVED;

    #[test]
    fn every_derived_op_is_measured() {
        for row in DERIVED {
            assert!(COMPOSITES.iter().any(|c| c.name == row.name), "{}", row.name);
        }
    }

    /// 53 bits are enough for each formula, in f32.
    #[test]
    fn formulas_in_f64_are_those_in_200_bits() {
        for composite in COMPOSITES {
            for step in -3000..=3000 {
                let x = f64::from(step as f32 * 0.037 + 0.001);
                if composite.name == "naive log1p" && x <= -1.0 {
                    continue;
                }
                let near = (composite.formula.float)(&x);
                if !near.is_finite() || near.abs() < f64::from(f32::MIN_POSITIVE) {
                    continue;
                }
                let exact = (composite.formula.big)(&Big::from_f64(x));
                let error = exact.ulp_error(DType::F32, near);
                assert!(error < 2e-5, "{} at {x}: {error}", composite.name);
            }
        }
    }
}
