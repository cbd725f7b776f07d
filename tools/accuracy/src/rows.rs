//! The errors of softmax, norms and losses: of what is computed along rows.

use crate::big::Big;
use crate::points::Random;
use kiln::ir::{Op, parse};
use kiln::{CompileOptions, DType, Mode, Tensor, compile_with};
use ndarray::Array2;
use std::error::Error;
use std::fmt::Write as _;

/// Rows of each length, and so many numbers apart.
const COLUMNS: [usize; 3] = [16, 1000, 5000];
const ROWS: usize = 6;

/// What there is in rows: a mean and half of a width.
const INPUTS: [(&str, f64, f64); 3] =
    [("about 0", 0.0, 4.0), ("wide", 0.0, 60.0), ("about 1000", 1000.0, 1.0)];

/// The exact results of a row.
type Exact = fn(&[Big]) -> Vec<Big>;

/// What is measured: a name, a text, and the formula in numbers of 200 bits.
const FUNCTIONS: [(&str, &str, Exact); 12] = [
    ("softmax", "softmax[-1](x)", softmax),
    ("naive softmax", "exp(x) / sum[-1](exp(x))", softmax),
    ("log_softmax", "log_softmax[-1](x)", log_softmax),
    ("logsumexp", "logsumexp[-1](x)", |x| vec![log_sum(x)]),
    ("naive logsumexp", "log(sum[-1](exp(x)))", |x| vec![log_sum(x)]),
    ("sum", "sum[-1](x)", |x| vec![sum(x)]),
    ("mean", "mean[-1](x)", |x| vec![mean(x)]),
    ("var", "var[-1](x)", |x| vec![variance(x)]),
    ("norm", "norm[-1](x)", |x| vec![root(sum_of_squares(x))]),
    ("layer_norm", "layer_norm[-1](x)", layer_norm),
    ("rms_norm", "rms_norm[-1](x)", rms_norm),
    ("label_cross_entropy", "label_cross_entropy[-1](x, i64(0 * sum[-1](x)))", |x| {
        vec![-log_softmax(x).swap_remove(0)]
    }),
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

fn sum_of_squares(x: &[Big]) -> Big {
    x.iter().fold(big(0.0), |sum, x| sum + x.clone() * x.clone())
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

fn measured(
    text: &str,
    mode: Mode,
    x: &Array2<f32>,
    exact: &[Vec<Big>],
) -> Result<Largest, Box<dyn Error>> {
    let graph = parse(&format!("|x: f32[m, n]| {text}"))?;
    let kernel = compile_with(&graph, CompileOptions::new().mode(mode))?;
    let Tensor::F32(found) = &kernel.run(&[x.into()])?[0] else {
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
         [999, 1001] (*about 1000*), against 200 bits: the largest error that was seen, in ULP of the\n\
         element itself and, behind the stroke, of the largest element of its row. An element of a softmax\n\
         is off by half as many ULP as its logarithm is below the largest, for the difference from the largest\n\
         is rounded; where a logarithm or an element of a norm is next to 0, its own ULP are tiny. *wrong* is an\n\
         infinity or NaN for a number. They are the same on every machine.\n\n",
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
                let x = rows(columns, mean, width);
                let of_row = |row: ndarray::ArrayView1<'_, f32>| {
                    exact(&row.iter().map(|&x| big(x.into())).collect::<Vec<_>>())
                };
                let expected: Vec<Vec<Big>> = x.rows().into_iter().map(of_row).collect();
                for (errors, mode) in errors.iter_mut().zip(Mode::ALL) {
                    let found = measured(formula, mode, &x, &expected)?;
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
    use super::{FUNCTIONS, big, measured, rows, shown};
    use kiln::Mode;

    /// Every function is what its formula says, to some ULP of the largest of its row.
    #[test]
    fn errors_are_small() {
        for (name, text, exact) in FUNCTIONS {
            let x = rows(70, 0.0, 4.0);
            let of_row = |row: ndarray::ArrayView1<'_, f32>| {
                exact(&row.iter().map(|&x| big(x.into())).collect::<Vec<_>>())
            };
            let expected: Vec<_> = x.rows().into_iter().map(of_row).collect();
            for mode in Mode::ALL {
                let error = measured(text, mode, &x, &expected).unwrap().of_row;
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
