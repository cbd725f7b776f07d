//! What is computed along axes of an array in terms of reductions: means, norms, softmax.
//!
//! One row below is a method of [`Expr`], a function in text (`softmax[-1](x)`) and a row of
//! [`ROWWISE`]; nothing else knows of it. Softmax and its kin are written so that nothing overflows,
//! variances so that nothing cancels. Norms square what they are given.

use crate::call::{Axes, Call, IntoAxes, Iota, Reduce, Reduction, Within};
use crate::derived::Parameter;
use crate::dtype::DType;
use crate::error::{Fault, Origin};
use crate::expr::{Expr, Kind};
use std::ops::RangeInclusive;
use std::panic::Location;

/// A row of [`ROWWISE`].
#[derive(Clone, Copy, Debug)]
pub struct Rowwise {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, those with defaults last.
    pub parameters: &'static [Parameter],
    /// What it computes.
    pub doc: &'static str,
    function: fn(&[Expr], Axes) -> Expr,
}

/// What a parameter of a [`Rowwise`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// An array of floats.
    Floats,
    /// Places along an axis.
    Labels,
    /// A single number, as what has a default.
    Number,
    /// An array of floats, easily taken for labels.
    Probabilities,
}

impl Parameter {
    /// What it takes in a [`Rowwise`].
    pub(crate) fn takes(&self) -> Takes {
        match (self.default, self.name) {
            (Some(_), _) => Takes::Number,
            (None, PROBABILITIES) => Takes::Probabilities,
            (None, LABELS) => Takes::Labels,
            (None, _) => Takes::Floats,
        }
    }
}

/// The parameter that is of labels, and the one that is of probabilities: easily taken for one another.
const LABELS: &str = "labels";
const PROBABILITIES: &str = "p";

impl Rowwise {
    /// The row of this name.
    pub fn from_name(name: &str) -> Option<&'static Rowwise> {
        ROWWISE.iter().find(|row| row.name == name)
    }

    /// How many arguments it takes.
    pub fn arity(&self) -> RangeInclusive<usize> {
        let needed = self.parameters.iter().filter(|parameter| parameter.default.is_none());
        needed.count()..=self.parameters.len()
    }

    /// Whether it takes labels, too. All else that it takes is floats: what it gives has fractions, which
    /// integers have not.
    pub fn takes_labels(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.takes() == Takes::Labels)
    }

    /// Whether it goes along one axis alone.
    pub(crate) fn is_along_one(&self) -> bool {
        self.takes_labels()
    }

    /// The expression for these arguments, as many as it takes; missing ones are the defaults.
    pub(crate) fn apply(&'static self, args: &[Expr], axes: Axes) -> Expr {
        let all: Vec<Expr> = self
            .parameters
            .iter()
            .enumerate()
            .map(|(index, parameter)| match (args.get(index), parameter.default) {
                (Some(given), _) if parameter.takes() == Takes::Labels => given.clone(),
                (Some(given), _) => {
                    Expr::new(Kind::Argument(given.clone(), self, index), given.origin())
                }
                (None, default) => Expr::number(default.expect("the others were given")),
            })
            .collect();
        (self.function)(&all, axes)
    }
}

/// A reduction of `x`.
fn reduce(by: Reduction, x: &Expr, axes: Axes) -> Expr {
    let kind = Kind::Call(Call::Reduce(Reduce { by, axes }), [x.clone()].into());
    Expr::new(kind, x.origin())
}

/// What `function` makes of `args`, or what is wrong with the axes, written at `here`.
fn along(
    name: &'static str,
    axes: impl IntoAxes,
    args: &[Expr],
    here: &'static Location<'static>,
    function: impl FnOnce(&[Expr], Axes) -> Expr,
) -> Expr {
    let origin = Origin::Code(here);
    match axes.into_axes() {
        Ok(axes) => function(args, axes).relocated(name, origin, args),
        Err(reason) => Expr::new(Kind::Wrong(Fault::Axes { op: name, reason }.into()), origin),
    }
}

/// `x` without its mean, and of that the mean and the mean square. The mean is rounded: what that leaves
/// in the differences is the mean of those, and is taken off again.
fn moments(x: &Expr, axes: Axes) -> (Expr, Expr, Expr) {
    let count = x.count(axes);
    let off = x - x.sum(axes) / &count;
    let left = off.sum(axes) / &count;
    let square = (&off * &off).sum(axes) / count;
    (off, left, square)
}

/// The variance. Rounding may take what is left of nothing below 0.
fn deviation(left: &Expr, square: &Expr) -> Expr {
    (square - left * left).max(0.0)
}

/// Of each row the element at its label: the sum of it and of zeros, which rows fold as they are read.
fn at_label(name: &'static str, x: &Expr, labels: &Expr, axes: Axes) -> Expr {
    match axes.only() {
        Some(axis) => {
            let call = Call::Within(Within { axis });
            let labels =
                Expr::new(Kind::Call(call, [labels.clone(), x.clone()].into()), x.origin());
            // Met by a reduction, which changes nothing, a label is a value of its row: it is converted
            // once a row, in the same kernel. Counted in a type that counts all elements.
            let last = x.cast(DType::F64).count(axes).cast(DType::I64) - 1;
            let label = labels.min(last).cast(DType::I32);
            let places = Iota { axis, size: None, short: true };
            let places = Expr::new(Kind::Call(Call::Iota(places), [x.clone()].into()), x.origin());
            places.eq(label).select(x, 0).sum(axes)
        }
        None => {
            let reason = "labels are places along one axis".to_string();
            Expr::new(Kind::Wrong(Fault::Axes { op: name, reason }.into()), x.origin())
        }
    }
}

/// `Reduction method, "name", "doc";`.
macro_rules! define_reductions {
    ($($variant:ident $method:ident $name:literal, $doc:literal;)*) => {
        /// Reductions. Axes are `-1`, `[-2, -1]`, or `..` for all, counted from the last, which is
        /// -1, or the first, which is 0. Named axes stay, with size 1; of all axes the result is a
        /// single number.
        impl Expr {
            $(
                #[doc = $doc]
                #[track_caller]
                pub fn $method(&self, axes: impl IntoAxes) -> Expr {
                    let reduce = |args: &[Expr], axes| reduce(Reduction::$variant, &args[0], axes);
                    along($name, axes, std::slice::from_ref(self), Location::caller(), reduce)
                }
            )*
        }
    };
}

define_reductions! {
    Sum sum "sum", "The sum; of nothing 0. Of bools and short integers it is `i64`.";
    Prod prod "prod", "The product; of nothing 1. Of bools and short integers it is `i64`.";
    Max amax "max", "The largest element; NaN if one is. Without elements it is an error.";
    Min amin "min", "The least element; NaN if one is. Without elements it is an error.";
    Sup sup "sup", "The largest element that is a number, +0 of zeros; of nothing -inf, or the least integer.";
    All all "all", "Whether all are true; so it is of nothing.";
    Any any "any", "Whether any is true; of nothing none is.";
    ArgMax argmax "argmax", "The place of the first NaN, else of the first largest element.";
    ArgMin argmin "argmin", "The place of the first NaN, else of the first least element.";
    Count count "count", "How many elements there are, as a number of their type.";
}

/// `/// doc` `name(x, needed, parameter = default; axes) => expression;`.
macro_rules! define_rowwise {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident($x:ident $(, $parameter:ident $(= $default:expr)?)*; $axes:ident) => $body:expr;
    )*) => {
        /// Of reductions, along axes as those take them. They take floats, and labels where they say so: integers and
        /// truth values are converted first, as in `x.cast(DType::F32).mean(-1)`.
        impl Expr {
            $(
                $(#[doc = $doc])+
                #[track_caller]
                pub fn $name(
                    &self,
                    axes: impl IntoAxes
                    $(, $parameter: impl Into<Expr>)*
                ) -> Expr {
                    let args = [self.clone() $(, $parameter.into())*];
                    let row = Rowwise::from_name(stringify!($name)).expect("it has a row");
                    along(stringify!($name), axes, &args, Location::caller(), |args, axes| {
                        row.apply(args, axes)
                    })
                }
            )*
        }

        /// Every row.
        pub static ROWWISE: &[Rowwise] = &[$(Rowwise {
            name: stringify!($name),
            parameters: &[
                Parameter { name: stringify!($x), default: None },
                $(Parameter {
                    name: stringify!($parameter),
                    default: [$($default)?].first().copied(),
                },)*
            ],
            doc: concat!($($doc, "\n"),+),
            function: |args, $axes| {
                let [$x $(, $parameter)*] = args else { unreachable!("one for each parameter") };
                $body
            },
        }),*];
    };
}

define_rowwise! {
    /// The mean; of nothing NaN. How many are true, in parts of one, is `mean[..](f32(x > 0))`.
    mean(x; axes) => x.sum(axes) / x.count(axes);

    /// The mean square of what is left when the mean is taken off, in two passes: a large mean costs no
    /// digits. It divides by the number of elements, as NumPy does.
    var(x; axes) => {
        let (_, left, square) = moments(x, axes);
        deviation(&left, &square)
    };

    /// The root of the variance.
    std(x; axes) => x.var(axes).sqrt();

    /// `log(sum(exp(x)))`, which neither overflows nor underflows.
    logsumexp(x; axes) => {
        let largest = x.sup(axes);
        // All are -inf, or one is inf: differences from these are no numbers.
        let from = largest.isfinite().select(&largest, 0.0);
        (x - &from).exp().sum(axes).log() + &from
    };

    /// `exp(x) / sum(exp(x))`. Where all are -inf it is NaN, as it is written; of nothing it is nothing.
    softmax(x; axes) => {
        let powers = (x - x.sup(axes)).exp();
        // One division for a row: for each element it would cost as much as the exponential.
        &powers * powers.sum(axes).recip()
    };

    /// [`softmax`](Expr::softmax), and 0 where all are -inf: rows that are masked whole.
    softmax_or_zero(x; axes) => {
        let largest = x.sup(axes);
        let from = largest.eq(f64::NEG_INFINITY).select(0.0, &largest);
        let powers = (x - from).exp();
        let total = powers.sum(axes);
        &powers * total.eq(0.0).select(1.0, &total).recip()
    };

    /// `log(softmax(x))`.
    log_softmax(x; axes) => {
        let off = x - x.sup(axes);
        &off - off.exp().sum(axes).log()
    };

    /// `(x - mean(x)) / sqrt(var(x) + eps)`.
    layer_norm(x, eps = 1e-5; axes) => {
        let (off, left, square) = moments(x, axes);
        (off - &left) * (deviation(&left, &square) + eps).rsqrt()
    };

    /// `x / sqrt(mean(x * x) + eps)`. Squares overflow as those of [`norm`](Expr::norm).
    rms_norm(x, eps = 1e-6; axes) => x * ((x * x).mean(axes) + eps).rsqrt();

    /// The root of the sum of squares, which are computed in the type of `x`: of `f32` it is infinite where an element
    /// is above 1.8e19, and loses digits where all are below 1e-19. The norm of `x.cast(DType::F64)` does not.
    norm(x; axes) => (x * x).sum(axes).sqrt();

    /// `x / max(norm(x), eps)`: of length 1, and 0 where all are 0, or where [`norm`](Expr::norm) overflows.
    normalize(x, eps = 1e-12; axes) => x * x.norm(axes).max(eps).recip();

    /// The cosine of the angle between `x` and `y`: their product over that of their lengths, each at
    /// least `eps`. Squares overflow as those of [`norm`](Expr::norm).
    cosine_similarity(x, y, eps = 1e-8; axes) => {
        let lengths = x.norm(axes).max(eps) * y.norm(axes).max(eps);
        (x * y).sum(axes) / lengths
    };

    /// `-sum(p * log_softmax(x))`: the loss of logits `x` where the probabilities of the classes are `p`.
    cross_entropy(x, p; axes) => -(p * x.log_softmax(axes)).sum(axes);

    /// The loss of logits `x` where the class of each row is its label, a place along the axis:
    /// `-log_softmax(x)` there. Labels are `i32` or `i64`, keep the axis, with size 1, and count from 0; one
    /// that is no place along it is an error of the call, and so is -1.
    label_cross_entropy(x, labels; axes) => {
        // Of the logits, and not of `log_softmax`: that would have to be written out to be picked from.
        let largest = x.sup(axes);
        let total = (x - &largest).exp().sum(axes);
        total.log() - (at_label("label_cross_entropy", x, labels, axes) - largest)
    };

    /// The loss of logarithms of probabilities `x` at labels, which are as those of
    /// [`label_cross_entropy`](Expr::label_cross_entropy): `-x` there.
    nll(x, labels; axes) => -at_label("nll", x, labels, axes);

    /// `mean((x - y)^2)`: the mean square of the differences.
    mse(x, y; axes) => {
        let off = x - y;
        (&off * &off).mean(axes)
    };
}

#[cfg(test)]
mod tests {
    use crate::array::Array;
    use crate::dtype::DType;
    use crate::eval::eval;
    use crate::text::parse;

    /// What `text` makes of an array `x` of `f64`.
    fn of(text: &str, shape: &[usize], data: &[f64]) -> Vec<f64> {
        let graph = parse(&format!("|x: f64[..]| {text}")).unwrap();
        assert_eq!(parse(&graph.to_string()).unwrap(), graph, "{graph}");
        let x = Array::new(DType::F64, shape.to_vec(), data.to_vec()).unwrap();
        let result = eval(&graph, &[x]).unwrap().remove(0);
        match result.dtype() {
            dtype if dtype.is_integer() => result.integers().iter().map(|&x| x as f64).collect(),
            _ => result.data().to_vec(),
        }
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn reductions_by_hand() {
        let grid = [1.0, 5.0, 2.0, -3.0, 0.0, 4.0];
        for (text, expected) in [
            ("sum[-1](x)", &[8.0, 1.0][..]),
            ("sum[0](x)", &[-2.0, 5.0, 6.0]),
            ("sum(x)", &[9.0]),
            ("sum[-2, -1](x)", &[9.0]),
            ("prod[1](x)", &[10.0, 0.0]),
            ("max[-1](x)", &[5.0, 4.0]),
            ("amin[..](x)", &[-3.0]),
            ("argmax[-1](x)", &[1.0, 2.0]),
            ("argmin(x)", &[3.0]),
            ("count[-1](x)", &[3.0, 3.0]),
            ("sum[-1](x > 0)", &[3.0, 1.0]),
            ("any[-1](x > 4)", &[1.0, 0.0]),
            ("all[0](x)", &[1.0, 0.0, 1.0]),
            ("mean[-2](x)", &[-1.0, 2.5, 3.0]),
            ("var[-1](x)", &[26.0 / 9.0, 74.0 / 9.0]),
            ("x - max[-1](x)", &[-4.0, 0.0, -3.0, -7.0, -4.0, 0.0]),
            ("norm[-1](x) * norm[-1](x)", &[30.0, 25.0]),
            ("sum[-1](normalize[-1](x)^2)", &[1.0, 1.0]),
            ("normalize[-1](0 * x)", &[0.0; 6]),
            ("mse[-1](x, x + 2)", &[4.0, 4.0]),
            ("cosine_similarity[-1](x, -2 * x)", &[-1.0, -1.0]),
            ("cosine_similarity[-1](x, 0 * x)", &[0.0, 0.0]),
            ("nll[-1](x, count[-1](x > 0) - 2)", &[-5.0, 0.0]),
            ("nll[0](x, argmin[0](x))", &[3.0, 0.0, -2.0]),
            ("label_cross_entropy[-1](0 * x, argmax[-1](x)) / log(3)", &[1.0, 1.0]),
            ("cross_entropy[-1](0 * x, 3 * softmax[-1](0 * x)) / log(3)", &[3.0, 3.0]),
            ("fused(x) { x - max[-1](x) }", &[-4.0, 0.0, -3.0, -7.0, -4.0, 0.0]),
            ("let (a, b) = fused(x) { (x * 2, sum[0](x)) }; max[0](a) - b", &[4.0, 5.0, 2.0]),
        ] {
            let found = of(text, &[2, 3], &grid);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-15 * b.abs();
            let fits = found.len() == expected.len() && found.iter().zip(expected).all(close);
            assert!(fits, "{text}: {found:?}, not {expected:?}");
        }
    }

    #[test]
    fn special_values() {
        let nan = f64::NAN;
        assert!(of("max[-1](x)", &[3], &[1.0, nan, 2.0])[0].is_nan());
        assert_eq!(of("argmax[-1](x)", &[4], &[1.0, nan, 2.0, nan]), [1.0]);
        assert_eq!(of("argmin[-1](x)", &[4], &[2.0, 1.0, 1.0, 3.0]), [1.0]);
        assert_eq!(of("max[-1](x)", &[2], &[-0.0, 0.0])[0].to_bits(), 0.0f64.to_bits());
        // Of nothing.
        assert_eq!(of("sum[-1](x)", &[2, 0], &[]), [0.0, 0.0]);
        assert_eq!(of("prod[-1](x)", &[2, 0], &[]), [1.0, 1.0]);
        assert_eq!(of("sup[-1](x)", &[2, 0], &[]), [-INF, -INF]);
        assert_eq!(of("sup[-1](x)", &[2], &[-3.0, -4.0]), [-3.0]);
        assert_eq!(of("all[-1](x)", &[1, 0], &[]), [1.0]);
        assert!(of("mean[-1](x)", &[1, 0], &[])[0].is_nan());
        // Rows that are masked whole.
        let masked = [-INF, -INF];
        assert!(of("softmax[-1](x)", &[2], &masked).iter().all(|x| x.is_nan()));
        assert_eq!(of("softmax_or_zero[-1](x)", &[2], &masked), [0.0, 0.0]);
        assert_eq!(of("softmax_or_zero[-1](x)", &[2], &[0.0, -INF]), [1.0, 0.0]);
        assert_eq!(of("logsumexp[-1](x)", &[2], &masked), [-INF]);
        assert_eq!(of("logsumexp[-1](x)", &[2], &[INF, 0.0]), [INF]);
        // What would overflow.
        assert_eq!(of("softmax[-1](x)", &[2], &[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(of("log_softmax[-1](x)", &[2], &[1000.0, -1000.0]), [0.0, -2000.0]);
        // A certain class costs nothing, whatever the logits' scale.
        let logits = [1e9, 1e9 - 1000.0];
        assert_eq!(of("label_cross_entropy[-1](x, argmax[-1](x))", &[2], &logits), [0.0]);
        assert_eq!(of("label_cross_entropy[-1](x, argmin[-1](x))", &[2], &logits), [1000.0]);
        // A class that cannot be costs infinitely much.
        let masked = [0.0, -INF];
        assert_eq!(of("label_cross_entropy[-1](x, argmin[-1](x))", &[2], &masked), [INF]);
        // A large mean costs the variance no digits.
        assert_eq!(of("var[-1](x)", &[2], &[1e9, 1e9 + 2.0]), [1.0]);
        assert_eq!(of("std[-1](x)", &[3], &[0.1, 0.1, 0.1]), [0.0]);
    }

    /// No function takes what has no fractions, and each says so by its own name.
    #[test]
    fn all_take_floats() {
        for row in super::ROWWISE {
            for dtype in DType::ALL {
                let more = match (row.arity().start(), row.takes_labels()) {
                    (2, false) => ", p",
                    (_, false) => "",
                    (_, true) => ", y",
                };
                let p = if dtype.is_float() { dtype } else { DType::F32 };
                let inputs = format!("x: {dtype}[n, 4], y: i64[n, 1], p: {p}[n, 4]");
                let text = format!("|{inputs}| {}[-1](x{more})", row.name);
                match (dtype.is_float(), parse(&text)) {
                    (true, result) => assert!(result.is_ok(), "{text}: {result:?}"),
                    (false, Ok(_)) => panic!("{text} is taken"),
                    (false, Err(error)) => {
                        let told = error.to_string();
                        let message = format!("{}: operands are {dtype}", row.name);
                        assert!(error.message().starts_with(&message), "{text}: {told}");
                        assert!(told.contains("f32(x)"), "{text}: {told}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be() {
        for (text, message) in [
            ("sum[](x)", "name an axis, or `..` for all"),
            ("sum[1, 1](x)", "axis 1 is there twice"),
            ("sum[n](x)", "expected an axis, found `n`"),
            ("sum[-1", "this `[` is never closed"),
            ("sum[-1] x", "expected `(`, found `x`"),
            ("exp[-1](x)", "`exp` goes along no axes"),
            ("sofmax[-1](x)", "unknown function `sofmax`"),
            ("sum(x, axis=1)", "expected `)`, found `=`"),
            ("x[0]", "found `[`"),
            ("softmax(x)", "`softmax` along which axes?"),
            ("sum[-1](x, x)", "sum takes 1 argument, found 2"),
            ("softmax[-1](x, x)", "softmax takes 1 argument, found 2"),
            ("layer_norm[-1](x, w)", "eps is one number, not an array [..]"),
            ("rms_norm[-1](x, x * 2)", "eps is one number, not an array [..]"),
            (
                "|x, w: f32[d]| layer_norm[-1](x, w)",
                "layer_norm: eps is one number, not an array [d]",
            ),
            (
                "|x: f32[n, k], p: i64[n, 1]| cross_entropy[-1](x, p)",
                "p has the probability of each class, not i64",
            ),
            ("layer_norm[-1]()", "layer_norm takes 1 to 2 arguments, found 0"),
            ("mse[-1](x)", "mse takes 2 arguments, found 1"),
            ("nll[..](x, argmax(x))", "nll: labels are places along one axis"),
            ("|x: i32[n]| mean[-1](x)", "mean: operands are i32"),
            ("|x: bool[n]| mean[..](x)", "mean: operands are bool"),
            ("|x, y: i64[n]| nll[-1](y, y)", "nll: operands are i64"),
            ("nll[-1](x, 0.5)", "the number 0.5 is no i64"),
            ("|x: f32[2, 3], y: i64[2]| label_cross_entropy[-1](x, y)", "the same number of axes"),
            ("cosine_similarity[-1](x)", "cosine_similarity takes 2 to 3 arguments, found 1"),
            ("|x: f32[2, 3]| sum[2](x)", "there is no axis 2: the array has 2 axes"),
            ("|x: f32[2, 3]| sum[0, -2](x)", "axis 0 of 2 is there twice"),
            ("|x: f32[2, 0]| max[-1](x)", "axis 1 has no elements to choose from"),
            ("|x: f32[2, 0]| fused(x) { max[-1](x) }", "no elements to choose from"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains(message), "{text}: {error}");
        }
        let x = crate::Expr::input("x");
        let error = crate::build("k", &[x.sum([1, 1])]).unwrap_err().to_string();
        assert!(error.contains("sum: axis 1 is there twice"), "{error}");
    }
}
