//! Derived ops: plain functions over [`Expr`], written in terms of the op table.
//!
//! One row below is a function here, a method of [`Expr`], a function in text and a row of
//! [`DERIVED`]; nothing else knows of it. A derived op is written in its numerically stable form:
//! nothing overflows on the way, and a NaN comes out as a NaN. Names, formulas and default
//! parameters are those of PyTorch's
//! [activation functions](https://pytorch.org/docs/stable/nn.functional.html#non-linear-activation-functions).
//!
//! ```
//! use kiln_ir::{Expr, derived};
//!
//! let x = Expr::input("x");
//! let graph = kiln_ir::build("leaky", &[derived::leaky_relu(&x, 0.01)]).unwrap();
//! assert_eq!(graph, kiln_ir::build("leaky", &[x.leaky_relu(0.01)]).unwrap());
//! assert_eq!(graph, "leaky_relu(x)".parse().unwrap());
//! ```

use crate::error::Origin;
use crate::expr::{Expr, Kind};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::fmt;
use std::ops::RangeInclusive;
use std::panic::Location;

/// A row of [`DERIVED`].
#[derive(Clone, Copy, Debug)]
pub struct Derived {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, those with defaults last.
    pub parameters: &'static [Parameter],
    /// Its documentation.
    pub doc: &'static str,
    function: fn(&[Expr]) -> Expr,
}

/// A parameter of a derived op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What text may leave out.
    pub default: Option<f64>,
}

impl Derived {
    /// The derived op with this name.
    pub fn from_name(name: &str) -> Option<&'static Derived> {
        DERIVED.iter().find(|row| row.name == name)
    }

    /// How many arguments it takes.
    pub fn arity(&self) -> RangeInclusive<usize> {
        let required = self.parameters.iter().filter(|p| p.default.is_none()).count();
        required..=self.parameters.len()
    }

    /// The expression for these arguments; missing ones are the defaults.
    ///
    /// # Panics
    ///
    /// If the number of arguments is not in [`arity`](Derived::arity).
    #[track_caller]
    pub fn apply(&self, args: &[Expr]) -> Expr {
        assert!(self.arity().contains(&args.len()), "{self} got {} arguments", args.len());
        let here = Origin::Code(Location::caller());
        let defaults = self.parameters[args.len()..].iter().filter_map(|p| p.default);
        let mut all = args.to_vec();
        all.extend(defaults.map(Expr::number));
        (self.function)(&all).relocated(here, &all)
    }
}

/// Its signature: `leaky_relu(x, slope = 0.01)`.
impl fmt::Display for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", parameter.name)?;
            if let Some(default) = parameter.default {
                write!(f, " = {default}")?;
            }
        }
        f.write_str(")")
    }
}

/// `/// doc` `name(x, parameter = default) => expression;`, where parameters are `&Expr`.
macro_rules! define_derived {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident($x:ident $(, $parameter:ident $(= $default:expr)?)*) => $body:expr;
    )*) => {
        $(
            $(#[doc = $doc])+
            #[track_caller]
            pub fn $name($x: impl Into<Expr> $(, $parameter: impl Into<Expr>)*) -> Expr {
                let here = Origin::Code(Location::caller());
                let args = [$x.into() $(, $parameter.into())*];
                let [$x $(, $parameter)*] = &args;
                let expr: Expr = $body;
                expr.relocated(here, &args)
            }
        )*

        /// Derived ops; [`derived`](crate::derived) has the same as functions.
        impl Expr {
            $(
                $(#[doc = $doc])+
                #[track_caller]
                pub fn $name(&self $(, $parameter: impl Into<Expr>)*) -> Expr {
                    $name(self $(, $parameter)*)
                }
            )*
        }

        /// Every derived op.
        pub static DERIVED: &[Derived] = &[$(Derived {
            name: stringify!($name),
            parameters: &[
                Parameter { name: stringify!($x), default: None },
                $(Parameter {
                    name: stringify!($parameter),
                    default: define_derived!(@default $($default)?),
                },)*
            ],
            doc: concat!($($doc, "\n"),+),
            function: |args| {
                let [$x $(, $parameter)*] = args else { unreachable!("checked by `apply`") };
                $name($x $(, $parameter)*)
            },
        }),*];
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}

define_derived! {
    /// `max(x, 0)`.
    relu(x) => x.max(0.0);

    /// `min(max(x, 0), 6)`.
    relu6(x) => x.clamp(0.0, 6.0);

    /// `x` where positive, else `slope * x`.
    leaky_relu(x, slope = 0.01) => x.gt(0.0).select(x, slope * x);

    /// `x` where positive, else `weight * x`, where `weight` is learned.
    prelu(x, weight) => x.gt(0.0).select(x, weight * x);

    /// `x` where positive, else `alpha * (exp(x) - 1)`.
    elu(x, alpha = 1.0) => x.gt(0.0).select(x, scaled(alpha, &x.expm1()));

    /// The scaled `elu`: `1.0507 * elu(x, 1.6733)`, whose outputs keep mean 0 and variance 1
    /// ([Klambauer et al. 2017](https://arxiv.org/abs/1706.02515)).
    selu(x) => 1.0507009873554805 * elu(x, 1.6732632423543772);

    /// `x` where positive, else `alpha * (exp(x / alpha) - 1)`: an `elu` with a smooth slope.
    celu(x, alpha = 1.0) => {
        let negative = if is_one(alpha) { x.expm1() } else { alpha * (x / alpha).expm1() };
        x.gt(0.0).select(x, negative)
    };

    /// `x * Φ(x) = 0.5 * x * (1 + erf(x / √2))`, Φ the normal distribution
    /// ([Hendrycks and Gimpel 2016](https://arxiv.org/abs/1606.08415)).
    gelu(x) => 0.5 * x * (1.0 + (x * FRAC_1_SQRT_2).erf());

    /// The usual approximation of `gelu`:
    /// `0.5 * x * (1 + tanh(√(2/π) * (x + 0.044715 * x^3)))`.
    gelu_tanh(x) => {
        let sqrt_2_over_pi = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI;
        0.5 * x * (1.0 + (sqrt_2_over_pi * (x + 0.044715 * x.powi(3))).tanh())
    };

    /// `x * sigmoid(1.702 * x)`: a rougher approximation of `gelu`.
    quick_gelu(x) => x * (1.702 * x).sigmoid();

    /// `x * sigmoid(x)`, also called swish.
    silu(x) => x * x.sigmoid();

    /// `x * tanh(softplus(x))` ([Misra 2019](https://arxiv.org/abs/1908.08681)).
    mish(x) => x * softplus(x, 1.0).tanh();

    /// `log(1 + exp(beta * x)) / beta`, as `max(x, 0) + log1p(exp(-|x|))`: no overflow, so no
    /// threshold.
    softplus(x, beta = 1.0) => {
        let x = scaled(beta, x);
        let sum = x.max(0.0) + (-x.abs()).exp().log1p();
        if is_one(beta) { sum } else { sum / beta }
    };

    /// `log(sigmoid(x))`, as `min(x, 0) - log1p(exp(-|x|))`.
    logsigmoid(x) => x.min(0.0) - (-x.abs()).exp().log1p();

    /// `x / (1 + |x|)`.
    softsign(x) => x / (1.0 + x.abs());

    /// `relu6(x + 3) / 6`: a `sigmoid` of straight lines.
    hardsigmoid(x) => relu6(x + 3.0) / 6.0;

    /// `x * relu6(x + 3) / 6`: a `silu` of straight lines.
    hardswish(x) => x * relu6(x + 3.0) / 6.0;

    /// `min(max(x, low), high)`.
    hardtanh(x, low = -1.0, high = 1.0) => x.clamp(low, high);

    /// 0 where `|x| <= bound`, else `x`.
    hardshrink(x, bound = 0.5) => x.abs().le(bound).select(0.0, x);

    /// `x` moved toward 0 by `bound`, and 0 where it is nearer: `x - clamp(x, -bound, bound)`.
    softshrink(x, bound = 0.5) => x - x.clamp(-bound, bound);

    /// `x - tanh(x)`.
    tanhshrink(x) => x - x.tanh();

    /// `x` where above `bound`, else `value`.
    threshold(x, bound, value) => x.le(bound).select(value, x);
}

/// `factor * x`, without the product where the factor is the number 1.
fn scaled(factor: &Expr, x: &Expr) -> Expr {
    if is_one(factor) { x.clone() } else { factor * x }
}

fn is_one(expr: &Expr) -> bool {
    matches!(expr.kind(), Kind::Number(value) if *value == 1.0)
}
