//! Derived ops: plain functions over [`Expr`], written in terms of the op table.
//!
//! One row below is a function here, a method of [`Expr`], a function in text and a row of
//! [`DERIVED`]; nothing else knows of it. A derived op is written in its numerically stable form:
//! no intermediate overflows, and a NaN gives a NaN. Names, formulas and default
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

use crate::build::build;
use crate::error::Origin;
use crate::expr::{Expr, Kind};
use crate::graph::Graph;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2};
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
    /// Its documentation, as written above the row.
    doc: &'static str,
    function: fn(&[Expr]) -> Expr,
}

/// A parameter of a derived op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its value where text leaves it out.
    pub default: Option<f64>,
}

impl Derived {
    /// The derived op with this name.
    pub fn from_name(name: &str) -> Option<&'static Derived> {
        DERIVED.iter().find(|row| row.name == name)
    }

    /// What it computes, in a line or a few.
    pub fn doc(&self) -> String {
        let lines: Vec<&str> = self.doc.lines().map(str::trim).collect();
        lines.join("\n")
    }

    /// The kernel of this op alone: its inputs are the parameters without defaults.
    ///
    /// ```
    /// let prelu = kiln_ir::Derived::from_name("prelu").unwrap();
    /// assert_eq!(prelu.graph(), "kernel prelu(x, weight) { prelu(x, weight) }".parse().unwrap());
    /// ```
    #[track_caller]
    pub fn graph(&self) -> Graph {
        let required = &self.parameters[..*self.arity().start()];
        let inputs: Vec<Expr> = required.iter().map(|p| Expr::input(p.name)).collect();
        build(self.name, &[self.apply(&inputs)]).expect("a derived op takes arrays of any shape")
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
        all.extend(defaults.map(default));
        (self.function)(&all).relocated(self.name, here, &all)
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
                expr.relocated(stringify!($name), here, &args)
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
    relu(x) => x.max(0);

    /// `min(max(x, 0), 6)`.
    relu6(x) => x.clamp(0, 6);

    /// `(x + sqrt(x*x + b)) / 2`: relu with a rounded corner, without a transcendental function.
    /// For negative `x` it is `b / 2 / (sqrt(x*x + b) - x)`: nothing cancels.
    squareplus(x, b = 4.0) => {
        // The square may overflow. The root itself is at most |x| + sqrt(|b|).
        let magnitude = x.abs();
        let root = (x * x + b).sqrt().min(&magnitude + b.abs().sqrt());
        let half_sum = 0.5 * magnitude + 0.5 * root;
        x.ge(0).select(&half_sum, 0.25 * b / &half_sum)
    };

    /// `x` where positive, else `slope * x`.
    leaky_relu(x, slope = 0.01) => x.gt(0).select(x, slope * x);

    /// `x` where positive, else `weight * x`, where `weight` is learned.
    prelu(x, weight) => x.gt(0).select(x, weight * x);

    /// `x` where positive, else `alpha * (exp(x) - 1)`.
    elu(x, alpha = 1.0) => x.gt(0).select(x, scaled(alpha, &x.expm1()));

    /// The scaled `elu`: `1.0507 * elu(x, 1.6733)`, whose outputs keep mean 0 and variance 1
    /// ([Klambauer et al. 2017](https://arxiv.org/abs/1706.02515)).
    selu(x) => 1.0507009873554805 * elu(x, 1.6732632423543772);

    /// `x` where positive, else `alpha * (exp(x / alpha) - 1)`: an `elu` with a smooth slope.
    celu(x, alpha = 1.0) => {
        let negative = if is_one(alpha) { x.expm1() } else { alpha * (x / alpha).expm1() };
        x.gt(0).select(x, negative)
    };

    /// `x * normcdf(x) = 0.5 * x * (1 + erf(x / √2))`, accurate in the negative tail, too
    /// ([Hendrycks and Gimpel 2016](https://arxiv.org/abs/1606.08415)).
    gelu(x) => x * x.normcdf();

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

    /// `log(sigmoid(x))`, as `min(x, -0) - log1p(exp(-|x|))`: -0 for large `x`.
    logsigmoid(x) => x.min(-0.0) - (-x.abs()).exp().log1p();

    /// `x / (1 + |x|)`.
    softsign(x) => x / (1.0 + x.abs());

    /// `relu6(x + 3) / 6`: a `sigmoid` of straight lines.
    hardsigmoid(x) => relu6(x + 3.0) / 6.0;

    /// `x * (relu6(x + 3) / 6)`: a `silu` of straight lines.
    hardswish(x) => x * hardsigmoid(x);

    /// `min(max(x, low), high)`.
    hardtanh(x, low = -1.0, high = 1.0) => x.clamp(low, high);

    /// 0 where `|x| <= bound`, else `x`.
    hardshrink(x, bound = 0.5) => x.abs().le(bound).select(0, x);

    /// `x` moved toward 0 by `bound`, and 0 where it is nearer: `x - clamp(x, -bound, bound)`.
    softshrink(x, bound = 0.5) => x - x.clamp(-bound, bound);

    /// `x` where above `bound`, else `value`.
    threshold(x, bound, value) => x.le(bound).select(value, x);

    /// `x * x`.
    square(x) => x * x;

    /// `log(exp(x) + exp(y))`, as `max(x, y) + log1p(exp(-|x - y|))`: nothing overflows. Equal infinities
    /// have no difference, so of equal numbers it is `x + log(2)`.
    logaddexp(x, y) => {
        let sum = x.max(y) + (-(x - y).abs()).exp().log1p();
        x.eq(y).select(x + LN_2, sum)
    };
}

/// `factor * x`, without the product where the factor is the number 1.
fn scaled(factor: &Expr, x: &Expr) -> Expr {
    if is_one(factor) { x.clone() } else { factor * x }
}

fn is_one(expr: &Expr) -> bool {
    matches!(expr.kind(), Kind::Number(number) if number.value() == 1.0)
}

/// A default value, as an integer where it is one, so that it may meet integers.
fn default(value: f64) -> Expr {
    if value.fract() == 0.0 { Expr::from(value as i64) } else { Expr::number(value) }
}

#[cfg(test)]
mod tests {
    use super::{DERIVED, Derived};
    use crate::build::build;
    use crate::dtype::DType;
    use crate::eval::eval_scalar;
    use crate::expr::Expr;
    use crate::text::parse;

    /// The value in f64, as text has it.
    fn value(text: &str, x: f64) -> f64 {
        let graph = parse(&format!("kernel f(x: f64) {{ {text} }}")).unwrap();
        eval_scalar(&graph, &[x])[0]
    }

    #[test]
    fn values_are_those_of_the_formulas() {
        type Formula = fn(f64) -> f64;
        let formulas: &[(&str, Formula)] = &[
            ("relu(x)", |x| if x > 0.0 { x } else { 0.0 }),
            ("relu6(x)", |x| x.clamp(0.0, 6.0)),
            ("squareplus(x)", |x| 0.5 * (x + x.hypot(2.0))),
            ("leaky_relu(x)", |x| if x > 0.0 { x } else { 0.01 * x }),
            ("leaky_relu(x, 0.2)", |x| if x > 0.0 { x } else { 0.2 * x }),
            ("prelu(x, 3)", |x| if x > 0.0 { x } else { 3.0 * x }),
            ("elu(x)", |x| if x > 0.0 { x } else { x.exp() - 1.0 }),
            ("elu(x, 2)", |x| if x > 0.0 { x } else { 2.0 * (x.exp() - 1.0) }),
            ("selu(x)", |x| {
                let negative = 1.6732632423543772 * (x.exp() - 1.0);
                1.0507009873554805 * if x > 0.0 { x } else { negative }
            }),
            ("celu(x)", |x| if x > 0.0 { x } else { x.exp() - 1.0 }),
            ("celu(x, 2)", |x| if x > 0.0 { x } else { 2.0 * ((x / 2.0).exp() - 1.0) }),
            ("gelu(x)", |x| x * 0.5 * libm::erfc(-x / 2f64.sqrt())),
            ("gelu_tanh(x)", |x| {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                x / (1.0 + (-2.0 * inner).exp())
            }),
            ("quick_gelu(x)", |x| x / (1.0 + (-1.702 * x).exp())),
            ("silu(x)", |x| x / (1.0 + (-x).exp())),
            ("mish(x)", |x| x * (1.0 + x.exp()).ln().tanh()),
            ("softplus(x)", |x| (1.0 + x.exp()).ln()),
            ("softplus(x, 2)", |x| (1.0 + (2.0 * x).exp()).ln() / 2.0),
            ("logsigmoid(x)", |x| -(1.0 + (-x).exp()).ln()),
            ("softsign(x)", |x| x / (1.0 + x.abs())),
            ("hardsigmoid(x)", |x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            ("hardswish(x)", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            ("hardtanh(x)", |x| x.clamp(-1.0, 1.0)),
            ("hardtanh(x, -2, 3)", |x| x.clamp(-2.0, 3.0)),
            ("hardshrink(x)", |x| if x.abs() > 0.5 { x } else { 0.0 }),
            ("softshrink(x)", |x| x.signum() * (x.abs() - 0.5).max(0.0)),
            ("softshrink(x, 2)", |x| x.signum() * (x.abs() - 2.0).max(0.0)),
            ("threshold(x, 1, 20)", |x| if x > 1.0 { x } else { 20.0 }),
            ("square(x)", |x| x * x),
            ("logaddexp(x, 0.5)", |x| (x.exp() + 0.5f64.exp()).ln()),
        ];
        for (text, formula) in formulas {
            for step in -80..=80 {
                let x = f64::from(step) / 10.0;
                let (found, expected) = (value(text, x), formula(x));
                assert!((found - expected).abs() < 1e-12, "{text} at {x}: {found}, {expected}");
            }
        }
        let tested = |row: &Derived| {
            formulas.iter().any(|(text, _)| text.split('(').next() == Some(row.name))
        };
        assert!(DERIVED.iter().all(tested));
    }

    /// With a negative `b` it is a hyperbola of two branches, and NaN between them.
    #[test]
    fn squareplus_has_a_domain_where_b_is_negative() {
        for x in [-9.0, -5.0, 5.0, 9.0f64] {
            let expected = 0.5 * (x + (x * x - 16.0).sqrt());
            assert!((value("squareplus(x, -16)", x) - expected).abs() < 1e-12, "{x}");
        }
        assert!(value("squareplus(x, -16)", 3.9).is_nan());
    }

    #[test]
    fn nan_comes_out_as_nan() {
        for row in DERIVED {
            let graph = row.graph();
            let mut inputs = vec![1.0; graph.inputs().len()];
            inputs[0] = f64::NAN;
            assert!(eval_scalar(&graph, &inputs)[0].is_nan(), "{row}");
        }
    }

    #[test]
    fn nothing_overflows_on_the_way() {
        for (text, low, high) in [
            ("softplus(x)", 0.0, 1000.0),
            ("logsigmoid(x)", -1000.0, 0.0),
            ("mish(x)", 0.0, 1000.0),
            ("silu(x)", 0.0, 1000.0),
            ("elu(x)", -1.0, 1000.0),
            ("celu(x, 2)", -2.0, 1000.0),
            ("gelu(x)", 0.0, 1000.0),
            ("gelu_tanh(x)", 0.0, 1000.0),
            ("quick_gelu(x)", 0.0, 1000.0),
        ] {
            assert_eq!((value(text, -1000.0), value(text, 1000.0)), (low, high), "{text}");
        }
    }

    #[test]
    fn logaddexp_at_infinities() {
        const INF: f64 = f64::INFINITY;
        let graph = parse("kernel f(x: f64, y: f64) { logaddexp(x, y) }").unwrap();
        let at = |x: f64, y: f64| eval_scalar(&graph, &[x, y])[0];
        for (x, y, expected) in [
            (INF, INF, INF),
            (-INF, -INF, -INF),
            (INF, -INF, INF),
            (-INF, 3.0, 3.0),
            (1e308, -1e308, 1e308),
            (1000.0, 1000.0, 1000.0 + std::f64::consts::LN_2),
            (-1e4, -1e4, -1e4 + std::f64::consts::LN_2),
        ] {
            assert_eq!((at(x, y), at(y, x)), (expected, expected), "{x} {y}");
        }
        for other in [0.0, INF, -INF, f64::NAN] {
            assert!(at(f64::NAN, other).is_nan() && at(other, f64::NAN).is_nan());
        }
    }

    #[test]
    fn what_only_compares_takes_integers() {
        for text in ["relu(x)", "relu6(x)", "hardtanh(x)", "hardshrink(x, 2)", "square(x)"] {
            let graph = parse(&format!("kernel f(x: i32) {{ {text} }}")).unwrap();
            assert_eq!(graph.dtype(graph.outputs()[0]), DType::I32, "{text}");
        }
        // On integers it would be 0 everywhere.
        assert!(parse("kernel f(x: i32) { softsign(x) }").is_err());
    }

    #[test]
    fn small_values_keep_their_digits() {
        assert_eq!(value("elu(x)", -1e-20), -1e-20);
        assert_eq!(value("softplus(x)", -50.0), (-50f64).exp());
        assert_eq!(value("logsigmoid(x)", 50.0), -(-50f64).exp());
    }

    #[test]
    fn faults_name_the_line_of_the_user() {
        let sum = (Expr::input("x: f32[2]") + 1.0).prelu(Expr::input("w: f32[3]"));
        let line = line!() - 1;
        let error = build("f", &[sum]).unwrap_err().to_string();
        assert!(error.contains(&format!("derived.rs:{line}:")), "{error}");
    }

    #[test]
    fn signatures_and_docs() {
        let row = Derived::from_name("hardtanh").unwrap();
        assert_eq!(row.to_string(), "hardtanh(x, low = -1, high = 1)");
        assert_eq!(row.doc(), "`min(max(x, low), high)`.");
        assert_eq!(row.arity(), 1..=3);
        assert!(DERIVED.iter().all(|row| crate::Op::from_name(row.name).is_none()));
        let typed = parse("kernel f(x: f64[n]) { gelu(x) }").unwrap();
        assert_eq!(typed.dtype(typed.outputs()[0]), DType::F64);
    }
}
