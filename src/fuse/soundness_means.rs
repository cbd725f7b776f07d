//! What is without its mean, tested within its licence: as close as `layer_norm` and `var` are, and of rows
//! with infinities what was written.

use crate::{CompileOptions, Kernel, Mode, Tensor, compile_with};
use kiln_ir::parse;
use ndarray::Array2;

type Exact = fn(&[f64], &[f64]) -> Vec<f64>;

fn mean(row: &[f64]) -> f64 {
    row.iter().sum::<f64>() / row.len() as f64
}

/// A row without its mean.
fn centred(row: &[f64]) -> Vec<f64> {
    let mean = mean(row);
    let off: Vec<f64> = row.iter().map(|x| x - mean).collect();
    let left = self::mean(&off);
    off.iter().map(|x| x - left).collect()
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (centred(x), centred(y));
    x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>() / x.len() as f64
}

fn scores(x: &[f64]) -> Vec<f64> {
    let deviation = (covariance(x, x) + 1e-5).sqrt();
    centred(x).iter().map(|x| x / deviation).collect()
}

const SCORES: Exact = |x, _| scores(x);
const VARIANCE: Exact = |x, _| vec![covariance(x, x)];
const COVARIANCE: Exact = |x, y| vec![covariance(x, y)];

/// Spellings of arrays `x` and `y`, and what is meant.
const SPELLINGS: [(&str, Exact); 20] = [
    ("layer_norm[-1](x)", SCORES),
    ("(x - mean[-1](x)) / sqrt(var[-1](x) + 1e-5)", SCORES),
    ("(x - mean[-1](x)) * rsqrt(var[-1](x) + 1e-5)", SCORES),
    ("let o = x - mean[-1](x); o / sqrt(mean[-1](o * o) + 1e-5)", SCORES),
    ("let o = x - mean[-1](x); o * rsqrt(mean[-1](o^2) + 1e-5)", SCORES),
    (
        "let o = x - sum[-1](x) / count[-1](x); o / sqrt(sum[-1](o * o) / count[-1](x) + 1e-5)",
        SCORES,
    ),
    ("2 * (x - mean[-1](x)) / (2 * sqrt(var[-1](x) + 1e-5))", SCORES),
    ("(x - mean[-1](x)) / sqrt(mean[-1](x * x) - mean[-1](x)^2 + 1e-5)", SCORES),
    ("var[-1](x)", VARIANCE),
    ("mean[-1](square(x - mean[-1](x)))", VARIANCE),
    ("let o = x - mean[-1](x); sum[-1](o * o) / count[-1](x)", VARIANCE),
    ("mean[-1](x * x) - square(mean[-1](x))", VARIANCE),
    ("mean[-1](x^2) - mean[-1](x)^2", VARIANCE),
    ("sum[-1](x * x) / count[-1](x) - mean[-1](x) * mean[-1](x)", VARIANCE),
    ("mean[-1](x * y) - mean[-1](x) * mean[-1](y)", COVARIANCE),
    ("mean[-1](y * x) - mean[-1](x) * mean[-1](y)", COVARIANCE),
    ("let o = x - mean[-1](x); (o, mean[-1](o * o))", |x, _| centred(x)),
    ("let o = x - mean[-1](x); mean[-1](o * o * o) / std[-1](x)^3", |x, _| {
        let off = centred(x);
        let cubes: Vec<f64> = off.iter().map(|x| x * x * x).collect();
        vec![mean(&cubes) / covariance(x, x).powf(1.5)]
    }),
    (
        "let o = x - mean[-1](x); let p = y - mean[-1](y); \
         sum[-1](o * p) / sqrt(sum[-1](o * o) * sum[-1](p * p))",
        |x, y| vec![covariance(x, y) / (covariance(x, x) * covariance(y, y)).sqrt()],
    ),
    ("(mean[-1](x * y) - mean[-1](x) * mean[-1](y)) / (std[-1](x) * std[-1](y))", |x, y| {
        vec![covariance(x, y) / (covariance(x, x) * covariance(y, y)).sqrt()]
    }),
];

fn compiled(text: &str, options: CompileOptions) -> Kernel {
    let graph = parse(&format!("|x: f32[m, n], y: f32[m, n]| {text}"));
    let graph = graph.unwrap_or_else(|error| panic!("{text}: {error}"));
    compile_with(&graph, options).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first result for the arrays that a kernel reads.
fn run(kernel: &Kernel, arrays: &[Tensor; 2]) -> Vec<f32> {
    let read = kernel.inputs().iter().map(|input| arrays[usize::from(input.name == "y")].view());
    match &kernel.run(&read.collect::<Vec<_>>()).expect("shapes fit")[0] {
        Tensor::F32(array) => array.iter().copied().collect(),
        other => panic!("{other:?}"),
    }
}

fn rows(array: &Array2<f32>) -> Vec<Vec<f64>> {
    array.rows().into_iter().map(|row| row.iter().map(|&x| x.into()).collect()).collect()
}

/// By ULP of the largest result of a row, or of 1 where all are smaller, as coefficients are.
#[test]
fn a_large_mean_costs_no_digits() {
    let mut bits = 11u64;
    let mut unit = || {
        bits = super::extract::mix(bits);
        (bits >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut lost = 0;
    for ((text, exact), columns) in SPELLINGS.iter().flat_map(|s| [2, 70, 1024].map(|n| (s, n))) {
        let written = compiled(text, CompileOptions::new().mode(Mode::Strict));
        let kernels =
            [Mode::Precise, Mode::Fast].map(|m| compiled(text, CompileOptions::new().mode(m)));
        for kernel in &kernels {
            assert_eq!(kernel.pass_count(), 1, "{text}: {}", kernel.graph());
        }
        for from in [0.0, 1.0, -100.0, 1e4, -1e5] {
            let mut array = || Array2::from_shape_simple_fn((6, columns), || from + 3.5 * unit());
            let (x, y) = (array(), array());
            let exact: Vec<Vec<f64>> =
                rows(&x).iter().zip(&rows(&y)).map(|(x, y)| exact(x, y)).collect();
            let arrays = [Tensor::from(x), Tensor::from(y)];
            let error = |kernel: &Kernel| {
                let found = run(kernel, &arrays);
                let size = found.len() / exact.len();
                let of_row = |(at, exact): (usize, &Vec<f64>)| {
                    let least = if text.contains("rsqrt") || size > 1 { 0.0 } else { 1.0 };
                    let largest = exact.iter().fold(least, |most: f64, x| most.max(x.abs()));
                    let ulp = (largest.log2().floor() - 23.0).exp2();
                    let errors = found[at * size..][..size].iter().zip(exact);
                    errors.map(|(a, b)| (f64::from(*a) - b).abs() / ulp).fold(0.0, f64::max)
                };
                exact.iter().enumerate().map(of_row).fold(0.0, f64::max)
            };
            for kernel in &kernels {
                let error = error(kernel);
                assert!(error <= 6.0, "{text}, {columns} columns about {from}: {error} ULP");
            }
            lost += usize::from(error(&written) > 100.0);
        }
    }
    assert!(lost > 30, "as written, {lost} cases lose digits");
}

/// What was finite stays so, and no infinity becomes NaN or NaN an infinity.
#[test]
fn special_rows_are_what_was_written() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let specials: [&[f32]; 14] = [
        &[1.0, inf, 2.0, 3.0],
        &[1.0, -inf, 2.0, 3.0],
        &[inf, -inf, 0.0, 1.0],
        &[inf; 4],
        &[nan, 1.0, 2.0, 3.0],
        &[3e38, 3e38, 3e38, 3e38],
        &[3e38, -3e38, 1.0, 2.0],
        &[1e30, 1e30, 1.1e30, 1e30],
        &[1e25, 1e25, 1e25, 1.0000001e25],
        &[0.1; 4],
        &[0.0, -0.0, 0.0, -0.0],
        &[1e-40, 2e-40, 0.0, 1e-45],
        &[1.2e29, 0.0, 0.0, 0.0],
        &[0.0, 1e10, 1e10, 1e10],
    ];
    for (text, _) in SPELLINGS {
        let written = compiled(text, CompileOptions::unfused());
        let precise = compiled(text, CompileOptions::new());
        let strict = compiled(text, CompileOptions::new().mode(Mode::Strict));
        for (x, y) in specials.iter().flat_map(|x| specials.iter().map(move |y| (x, y))) {
            let array = |row: &[f32]| Array2::from_shape_vec((1, row.len()), row.to_vec()).unwrap();
            let arrays = [Tensor::from(array(x)), Tensor::from(array(y))];
            let (was, is) = (run(&written, &arrays), run(&precise, &arrays));
            let are_numbers = x.iter().chain(*y).all(|x| x.is_finite());
            for (was, is) in was.iter().zip(&is) {
                let keeps = match was {
                    was if was.is_nan() => !is.is_infinite(),
                    // Of numbers it is an overflow.
                    was if was.is_infinite() => !is.is_nan() || are_numbers,
                    _ => is.is_finite(),
                };
                assert!(keeps, "{text} of {x:?} and {y:?}: {was:e} became {is:e}");
            }
            let same =
                |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(was.iter().zip(&run(&strict, &arrays)).all(same), "{text} of {x:?}");
        }
    }
}
