//! The errors of softmax, norms and losses: of what is computed along rows.

use crate::big::Big;
use crate::points::Random;
use kiln::ir::{Op, parse};
use kiln::{CompileOptions, DType, Mode, Tensor, compile_with};
use ndarray::{Array2, ArrayView1};
use std::error::Error;
use std::fmt::Write as _;

/// Rows of each length, and so many numbers apart.
const COLUMNS: [usize; 3] = [16, 1000, 5000];
const ROWS: usize = 6;

/// What there is in rows: a mean and half of a width.
const INPUTS: [(&str, f64, f64); 3] =
    [("about 0", 0.0, 4.0), ("wide", 0.0, 60.0), ("about 1000", 1000.0, 1.0)];

/// The exact results of a row.
#[derive(Clone, Copy)]
enum Exact {
    Of(fn(&[Big]) -> Vec<Big>),
    /// Of it and of probabilities.
    With(fn(&[Big], &[Big]) -> Vec<Big>),
}
use Exact::{Of, With};

/// What is measured: a name, a text of `x` and maybe of probabilities `p`, and the formula in numbers of
/// 200 bits.
const FUNCTIONS: [(&str, &str, Exact); 24] = [
    ("softmax", "softmax[-1](x)", Of(softmax)),
    ("naive softmax", "exp(x) / sum[-1](exp(x))", Of(softmax)),
    ("softmax_or_zero", "softmax_or_zero[-1](x)", Of(softmax)),
    ("log_softmax", "log_softmax[-1](x)", Of(log_softmax)),
    ("naive log_softmax", "x - logsumexp[-1](x)", Of(log_softmax)),
    ("logsumexp", "logsumexp[-1](x)", Of(|x| vec![log_sum(x)])),
    ("naive logsumexp", "log(sum[-1](exp(x)))", Of(|x| vec![log_sum(x)])),
    ("sum", "sum[-1](x)", Of(|x| vec![sum(x)])),
    ("cumsum", "cumsum[-1](x)", Of(sums)),
    ("prod of 1 + p", "prod[-1](1 + p)", With(|_, p| products(p).split_off(p.len() - 1))),
    ("cumprod of 1 + p", "cumprod[-1](1 + p)", With(|_, p| products(p))),
    ("mean", "mean[-1](x)", Of(|x| vec![mean(x)])),
    ("var", "var[-1](x)", Of(|x| vec![variance(x)])),
    ("naive var", "mean[-1](square(x - mean[-1](x)))", Of(|x| vec![variance(x)])),
    ("var of one pass", "mean[-1](x * x) - mean[-1](x)^2", Of(|x| vec![variance(x)])),
    ("std", "std[-1](x)", Of(|x| vec![root(variance(x))])),
    ("norm", "norm[-1](x)", Of(|x| vec![root(sum_of_squares(x))])),
    ("normalize", "normalize[-1](x)", Of(normalize)),
    ("cosine_similarity", "cosine_similarity[-1](x, p)", With(|x, p| vec![cosine(x, p)])),
    ("layer_norm", "layer_norm[-1](x)", Of(layer_norm)),
    ("naive layer_norm", "(x - mean[-1](x)) / sqrt(var[-1](x) + 1e-5)", Of(layer_norm)),
    ("rms_norm", "rms_norm[-1](x)", Of(rms_norm)),
    ("cross_entropy", "cross_entropy[-1](x, p)", With(|x, p| vec![-dot(p, &log_softmax(x))])),
    (
        "label_cross_entropy",
        "label_cross_entropy[-1](x, i64(0 * sum[-1](x)))",
        Of(|x| vec![-log_softmax(x).swap_remove(0)]),
    ),
];

fn big(value: f64) -> Big {
    Big::from_f64(value)
}

fn of(op: Op, x: Big) -> Big {
    crate::apply_big(op, &[x])
}

fn root(x: Big) -> Big {
    of(Op::Sqrt, x)
}

fn sum(x: &[Big]) -> Big {
    x.iter().fold(big(0.0), |sum, x| sum + x.clone())
}

/// Of the first element, of the first two, and so on.
fn sums(x: &[Big]) -> Vec<Big> {
    let mut sum = big(0.0);
    let add = |x: &Big| {
        sum = sum.clone() + x.clone();
        sum.clone()
    };
    x.iter().map(add).collect()
}

/// The same of products, of `f32`s that are 1 more than these.
fn products(p: &[Big]) -> Vec<Big> {
    let mut product = big(1.0);
    let multiply = |p: &Big| {
        product = product.clone() * big(DType::F32.round(1.0 + p.to_f64()));
        product.clone()
    };
    p.iter().map(multiply).collect()
}

fn dot(x: &[Big], y: &[Big]) -> Big {
    x.iter().zip(y).fold(big(0.0), |sum, (x, y)| sum + x.clone() * y.clone())
}

fn sum_of_squares(x: &[Big]) -> Big {
    dot(x, x)
}

/// No row here is as short as what the op divides by at least.
fn normalize(x: &[Big]) -> Vec<Big> {
    let length = root(sum_of_squares(x));
    x.iter().map(|x| x.clone() / length.clone()).collect()
}

fn cosine(x: &[Big], y: &[Big]) -> Big {
    dot(x, y) / (root(sum_of_squares(x)) * root(sum_of_squares(y)))
}

fn mean(x: &[Big]) -> Big {
    sum(x) / big(x.len() as f64)
}

/// Without its mean.
fn off(x: &[Big]) -> Vec<Big> {
    let mean = mean(x);
    x.iter().map(|x| x.clone() - mean.clone()).collect()
}

fn variance(x: &[Big]) -> Big {
    sum_of_squares(&off(x)) / big(x.len() as f64)
}

fn log_sum(x: &[Big]) -> Big {
    of(Op::Log, x.iter().fold(big(0.0), |sum, x| sum + of(Op::Exp, x.clone())))
}

fn log_softmax(x: &[Big]) -> Vec<Big> {
    let log = log_sum(x);
    x.iter().map(|x| x.clone() - log.clone()).collect()
}

fn softmax(x: &[Big]) -> Vec<Big> {
    let powers: Vec<Big> = x.iter().map(|x| of(Op::Exp, x.clone())).collect();
    let sum = sum(&powers);
    powers.into_iter().map(|power| power / sum.clone()).collect()
}

/// A number as `f32` and `f64` kernels have it in their text.
fn epsilon(of: DType, value: f64) -> Big {
    big(of.round(value))
}

fn layer_norm(x: &[Big]) -> Vec<Big> {
    let scale = root(variance(x) + epsilon(DType::F32, 1e-5));
    off(x).into_iter().map(|x| x / scale.clone()).collect()
}

fn rms_norm(x: &[Big]) -> Vec<Big> {
    let mean = sum_of_squares(x) / big(x.len() as f64);
    let scale = root(mean + epsilon(DType::F32, 1e-6));
    x.iter().map(|x| x.clone() / scale.clone()).collect()
}

/// The largest error of an element, in ULP of itself and in those of the largest element of its row.
#[derive(Clone, Copy, Default)]
struct Largest {
    own: f64,
    of_row: f64,
}

/// Rows of numbers of `f32`.
fn rows(columns: usize, mean: f64, width: f64) -> Array2<f32> {
    let mut random = Random::new(columns as u64);
    Array2::from_shape_simple_fn((ROWS, columns), || {
        (mean + width * (2.0 * random.unit() - 1.0)) as f32
    })
}

/// As many rows of probabilities, whose sums are about 1.
fn probabilities(columns: usize) -> Array2<f32> {
    let mut p = rows(columns, 0.5, 0.5);
    for mut row in p.rows_mut() {
        let sum = row.iter().map(|&p| f64::from(p)).sum::<f64>();
        row.mapv_inplace(|p| (f64::from(p) / sum) as f32);
    }
    p
}

/// The exact results of each row.
fn expected(exact: Exact, x: &Array2<f32>, p: &Array2<f32>) -> Vec<Vec<Big>> {
    let bigs = |row: ArrayView1<'_, f32>| row.iter().map(|&x| big(x.into())).collect::<Vec<_>>();
    let of_row = |(x, p)| match exact {
        Of(exact) => exact(&bigs(x)),
        With(exact) => exact(&bigs(x), &bigs(p)),
    };
    x.rows().into_iter().zip(p.rows()).map(of_row).collect()
}

fn measured(
    text: &str,
    mode: Mode,
    [x, p]: [&Array2<f32>; 2],
    exact: &[Vec<Big>],
) -> Result<Largest, Box<dyn Error>> {
    let graph = parse(&format!("|x: f32[m, n], p: f32[m, n]| {text}"))?;
    let kernel = compile_with(&graph, CompileOptions::new().mode(mode))?;
    let Tensor::F32(found) = &kernel.run(&[x.into(), p.into()])?[0] else {
        return Err(format!("{text} is not of f32").into());
    };
    let found: Vec<f32> = found.iter().copied().collect();
    let mut largest = Largest::default();
    for (found, exact) in found.chunks(exact[0].len()).zip(exact) {
        let most =
            exact.iter().fold(big(0.0), |most, x| if x.abs() > most { x.abs() } else { most });
        for (&found, exact) in found.iter().zip(exact) {
            let found = f64::from(found);
            let (own, of_row) = match found.is_finite() {
                true => (
                    exact.ulp_error(DType::F32, found),
                    // As far from the largest as it is from what it should be.
                    most.ulp_error(
                        DType::F32,
                        (most.clone() + (exact.clone() - big(found))).to_f64(),
                    ),
                ),
                false => (f64::INFINITY, f64::INFINITY),
            };
            largest.own = largest.own.max(own);
            largest.of_row = largest.of_row.max(of_row);
        }
    }
    Ok(largest)
}

/// A figure, rounded up.
fn shown(error: f64) -> String {
    match error {
        _ if error.is_infinite() => "wrong".into(),
        _ if error >= 1000.0 => format!("{error:.0}"),
        _ => format!("{:.2}", (error * 100.0).ceil() / 100.0),
    }
}

/// The section of the document.
pub(crate) fn section() -> Result<String, Box<dyn Error>> {
    table(&COLUMNS)
}

fn table(columns: &[usize]) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "Rows of {} elements of f32, uniform in [-4, 4] (*about 0*), in [-60, 60] (*wide*) and in\n\
         [999, 1001] (*about 1000*), and rows *p* of probabilities, against 200 bits: the largest error that\n\
         was seen, in ULP of the element itself and, behind the stroke, of the largest element of its row. An\n\
         element of a softmax is off by half as many ULP as its logarithm is below the largest, for the\n\
         difference from the largest is rounded; where a logarithm or an element of a norm is next to 0, its\n\
         own ULP are tiny. *wrong* is an infinity or NaN for a number. They are the same on every machine.\n\
         `max`, `min`, `sup`, `argmax`, `argmin`, `any`, `all` and reductions of integers round nothing.\n\n",
        columns.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
    );
    text += "| function | mode |";
    INPUTS.iter().try_for_each(|(name, ..)| write!(text, " {name} |"))?;
    text += "\n|---|---|";
    text += &"--:|".repeat(INPUTS.len());
    // The exact results, for they are the same in every mode.
    for (name, formula, exact) in FUNCTIONS {
        let mut errors = [[Largest::default(); INPUTS.len()]; Mode::ALL.len()];
        for (at, &(_, mean, width)) in INPUTS.iter().enumerate() {
            for &columns in columns {
                let (x, p) = (rows(columns, mean, width), probabilities(columns));
                let expected = expected(exact, &x, &p);
                for (errors, mode) in errors.iter_mut().zip(Mode::ALL) {
                    let found = measured(formula, mode, [&x, &p], &expected)?;
                    errors[at].own = errors[at].own.max(found.own);
                    errors[at].of_row = errors[at].of_row.max(found.of_row);
                }
            }
        }
        for (errors, mode) in errors.iter().zip(Mode::ALL) {
            write!(text, "\n| {name} | {mode} |")?;
            for Largest { own, of_row } in errors {
                write!(text, " {} / {} |", shown(*own), shown(*of_row))?;
            }
        }
    }
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, expected, measured, probabilities, rows, shown};
    use kiln::Mode;

    /// Every function is what its formula says, to some ULP of the largest of its row.
    #[test]
    fn errors_are_small() {
        for (name, text, exact) in FUNCTIONS {
            let (x, p) = (rows(70, 0.0, 4.0), probabilities(70));
            let expected = expected(exact, &x, &p);
            for mode in Mode::ALL {
                let error = measured(text, mode, [&x, &p], &expected).unwrap().of_row;
                assert!(error > 0.0 && error < 8.0, "{name}, {mode}: {error}");
            }
        }
    }

    #[test]
    fn figures_are_rounded_up() {
        assert_eq!(
            [0.501, 12.0, 1e5, f64::INFINITY].map(shown),
            ["0.51", "12.00", "100000", "wrong"]
        );
    }
}
