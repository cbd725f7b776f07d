//! The error of matrix products, and what bounds it.

use crate::points::Random;
use half::{bf16, f16};
use kiln::{DType, Tensor, compile_text};
use ndarray::{ArrayD, Ix2};
use std::error::Error;
use std::fmt::Write as _;

/// Sizes of the inner dimension.
const INNER: [usize; 4] = [16, 256, 4096, 16384];
/// Rows and columns: each product is so many sums squared.
const OUTER: usize = 40;

/// What is multiplied.
const OPERANDS: [DType; 4] = [DType::F32, DType::F64, DType::BF16, DType::F16];

/// Draws an element.
type Draw = fn(&mut Random) -> f64;

/// What numbers there are.
const INPUTS: [(&str, Draw); 3] = [
    ("of one sign", |random| random.unit()),
    ("of both signs", |random| 2.0 * random.unit() - 1.0),
    ("far apart", |random| (2.0 * random.unit() - 1.0) * (20.0 * random.unit() - 10.0).exp2()),
];

/// A number as a type holds it.
fn tensor(dtype: DType, numbers: &ArrayD<f64>) -> Tensor {
    match dtype {
        DType::F16 => numbers.mapv(f16::from_f64).into(),
        DType::BF16 => numbers.mapv(bf16::from_f64).into(),
        DType::F32 => numbers.mapv(|x| x as f32).into(),
        _ => numbers.clone().into(),
    }
}

fn numbers(tensor: &Tensor) -> ArrayD<f64> {
    match tensor {
        Tensor::F16(array) => array.mapv(f16::to_f64),
        Tensor::BF16(array) => array.mapv(bf16::to_f64),
        Tensor::F32(array) => array.mapv(f64::from),
        Tensor::F64(array) => array.clone(),
        _ => unreachable!("products are of floats"),
    }
}

/// `Σ a b` in twice the precision of `f64`, as two numbers, and `Σ |a b|`.
fn exact(terms: impl Iterator<Item = (f64, f64)>) -> ([f64; 2], f64) {
    let (mut sum, mut rest, mut size) = (0.0f64, 0.0f64, 0.0f64);
    for (a, b) in terms {
        let product = a * b;
        let next = sum + product;
        let back = next - sum;
        rest += a.mul_add(b, -product) + ((sum - (next - back)) + (product - back));
        (sum, size) = (next, size + product.abs());
    }
    ([sum, rest], size)
}

/// The largest error of a sum, in units of `u Σ |a b|`, where `u` is half a unit in the last place of 1.
fn largest(of: DType, k: usize, draw: fn(&mut Random) -> f64) -> Result<f64, Box<dyn Error>> {
    let kernel = compile_text(&format!("|a: {of}[m, k], b: {of}[k, n]| a @ b"))?;
    let mut random = Random::new(k as u64);
    let mut matrix = |rows, columns| {
        let drawn =
            ArrayD::from_shape_simple_fn(vec![rows, columns], || of.round(draw(&mut random)));
        (tensor(of, &drawn), drawn)
    };
    let ((a, a_numbers), (b, b_numbers)) = (matrix(OUTER, k), matrix(k, OUTER));
    let found = numbers(&kernel.run(&[a.view(), b.view()])?[0]).into_dimensionality::<Ix2>()?;
    let a = a_numbers.into_dimensionality::<Ix2>()?;
    let b = b_numbers.into_dimensionality::<Ix2>()?;
    let unit = match of {
        DType::F64 => f64::EPSILON / 2.0,
        _ => f64::from(f32::EPSILON) / 2.0,
    };
    let errors = found.indexed_iter().map(|((i, j), &found)| {
        let terms = a.row(i).into_iter().copied().zip(b.column(j).into_iter().copied());
        let ([sum, rest], size) = exact(terms);
        ((found - sum) - rest).abs() / (unit * size)
    });
    Ok(errors.fold(0.0, f64::max))
}

/// The section of the document.
pub(crate) fn section() -> Result<String, Box<dyn Error>> {
    let mut text = String::from(
        "An element of a product of matrices is one chain of fused multiply-adds in the order of the inner\n\
         dimension, so it has `k` roundings: its error is at most `γ Σ |a b|` with `γ = k u / (1 - k u)`, `u` being\n\
         2^-24 in f32 and 2^-53 in f64. Operands of 16 bits are widened, which is exact, and summed in f32; storing\n\
         the product in 16 bits rounds it once more. The largest errors of 1600 sums, in units of `u Σ |a b|`, of\n\
         which `k` is the bound. They are the same on every machine.\n\n",
    );
    text += "| operands | numbers |";
    INNER.iter().try_for_each(|k| write!(text, " k = {k} |"))?;
    text += "\n|---|---|";
    text += &"--:|".repeat(INNER.len());
    for of in OPERANDS {
        for (inputs, draw) in INPUTS {
            write!(text, "\n| {of} | {inputs} |")?;
            for k in INNER {
                write!(text, " {:.2} |", largest(of, k, draw)?)?;
            }
        }
    }
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{INPUTS, OPERANDS, exact, largest};

    #[test]
    fn what_cancels_is_seen() {
        let terms = [(1e16, 1.0), (1.0, 1.0), (-1e16, 1.0), (0.1, 0.1)];
        let ([sum, rest], _) = exact(terms.into_iter());
        assert_eq!(sum + rest, 1.0 + 0.1 * 0.1);
    }

    /// The bound holds, and something is measured.
    #[test]
    fn errors_are_below_the_bound() {
        for of in OPERANDS {
            for (inputs, draw) in INPUTS {
                let error = largest(of, 100, draw).unwrap();
                assert!(error > 0.0 && error < 100.0, "{of}, {inputs}: {error}");
            }
        }
    }
}
