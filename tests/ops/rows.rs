//! What folds promise: the bound of sums, norms of large means, values that two passes compute.

use common::Rng;
use kiln::{CompileOptions, DType, EmitterKind, Mode, Tensor, compile_with};
use kiln_ir::parse;
use ndarray::{Array1, ArrayD, IxDyn};

/// Exact sums are integers, in units of `2^-SCALE`.
const SCALE: i32 = 62;

fn run(text: &str, options: CompileOptions, x: &Tensor) -> Tensor {
    let graph = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let kernel = compile_with(&graph, options).unwrap();
    kernel.run(&[x.view()]).unwrap().remove(0)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::F32(array) => array.iter().map(|&x| x.into()).collect(),
        Tensor::F64(array) => array.iter().copied().collect(),
        other => panic!("an output of type {}", other.dtype()),
    }
}

/// In `[-1, 1)`.
fn unit(rng: &mut Rng) -> f64 {
    (rng.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Against exact sums: 14 units of 2^-24 of the sum of magnitudes in f32, 21 of 2^-53 in f64.
#[test]
fn sums_keep_their_bound() {
    let mut rng = Rng::new(1);
    for (dtype, unit_roundoff, bound, count, spread) in [
        (DType::F32, 2f64.powi(-24), 14.0, 10_000_000, 38),
        (DType::F64, 2f64.powi(-53), 21.0, 1_000_000, 9),
    ] {
        let rounded = |x: f64| if dtype == DType::F32 { f64::from(x as f32) } else { x };
        let mut mixed = |_| {
            let exponent = rng.below(spread) as i32 - spread as i32 / 2;
            let sign = if rng.below(2) == 0 { 1.0 } else { -1.0 };
            rounded(sign * (1.0 + unit(&mut rng).abs()) * f64::from(exponent).exp2())
        };
        let rows: [(&str, Vec<f64>); 3] = [
            ("mixed", (0..count).map(&mut mixed).collect()),
            ("equal", vec![rounded(0.1); count]),
            ("alternating", (0..count).map(|i| mixed(i).abs() * [1.0, -1.0][i % 2]).collect()),
        ];
        for (name, row) in rows {
            let fixed = |x: f64| (x * f64::from(SCALE).exp2()) as i128;
            let exact: i128 = row.iter().map(|&x| fixed(x)).sum();
            let magnitudes: f64 = row.iter().map(|x| x.abs()).sum();
            let x: Tensor = match dtype {
                DType::F32 => Array1::from_iter(row.iter().map(|&x| x as f32)).into(),
                _ => Array1::from(row).into(),
            };
            for mode in Mode::ALL {
                let text = format!("|x: {dtype}[n]| sum(x)");
                let found = numbers(&run(&text, CompileOptions::new().mode(mode), &x))[0];
                let error = (fixed(found) - exact) as f64 / f64::from(SCALE).exp2();
                let units = error.abs() / (unit_roundoff * magnitudes);
                assert!(units <= bound, "{dtype} {name}, {mode}: {units} units");
            }
        }
    }
}

fn row_of(mean: f64, deviation: f64, count: usize) -> Vec<f64> {
    let mut rng = Rng::new(7);
    let element = |_| f64::from((mean + deviation * 3f64.sqrt() * unit(&mut rng)) as f32);
    (0..count).map(element).collect()
}

fn moments(row: &[f64]) -> (f64, f64) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    (mean, row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count)
}

fn single(row: &[f64]) -> Tensor {
    Array1::from_iter(row.iter().map(|&x| x as f32)).into()
}

/// At most four units in the last place of the largest of the row, whatever the mean.
#[test]
fn norms_keep_their_digits() {
    for (mean, count) in [(0.0, 1024), (100.0, 1024), (1e3, 3000), (1e4, 1024), (1e4, 64)] {
        let row = row_of(mean, 1.0, count);
        let (center, variance) = moments(&row);
        let exact: Vec<f64> = row.iter().map(|x| (x - center) / (variance + 1e-5).sqrt()).collect();
        let largest = exact.iter().fold(0.0f64, |a, x| a.max(x.abs()));
        let last_place = (largest.log2().floor() - 23.0).exp2();
        for mode in Mode::ALL {
            let options = CompileOptions::new().mode(mode);
            let found = numbers(&run("layer_norm[-1](x)", options, &single(&row)));
            let errors = found.iter().zip(&exact).map(|(a, b)| (a - b).abs());
            let error = errors.fold(0.0, f64::max) / last_place;
            assert!(error <= 4.0, "mean {mean}, {mode}: {error} ULP");
        }
    }
}

/// No mode makes `E[x^2] - E[x]^2` of a variance, which has no digit left here.
#[test]
fn variances_do_not_cancel() {
    let row = row_of(1e4, 0.1, 1000);
    let (_, exact) = moments(&row);
    for text in [
        "var[-1](x)",
        "std[-1](x) * std[-1](x)",
        "mean[-1]((x - mean[-1](x))^2)",
        "let o = x - mean[-1](x); sum[-1](o * o) / count[-1](x)",
        "let o = x - sum[-1](x) / 1000; mean[-1](o * o)",
        "mean[-1](square(mean[-1](x) - x))",
    ] {
        for mode in Mode::ALL {
            let found = numbers(&run(text, CompileOptions::new().mode(mode), &single(&row)))[0];
            let error = (found - exact).abs() / exact;
            assert!(error < 1e-4, "{text}, {mode}: {found}, not {exact}");
        }
    }
}

/// The largest of logits, and the logits that are computed again: were a bit of them another, the
/// exponential of the difference would be infinite.
#[test]
fn what_two_passes_compute_is_one_value() {
    let mut rng = Rng::new(3);
    for shape in [[3, 7], [5, 1025], [2, 70_000]] {
        let x = ArrayD::from_shape_simple_fn(IxDyn(&shape), || unit(&mut rng) as f32);
        let x = Tensor::F32(x);
        for logits in
            ["x * 3e30", "x * 1.1e30 + 7e29", "sin(x) * 3e25", "x / 3e-30", "x * x * 3e28"]
        {
            let text = format!("let t = {logits}; exp(t - max[-1](t))");
            let whole = format!("softmax[-1]({logits})");
            for mode in Mode::ALL {
                for kind in [EmitterKind::Auto, EmitterKind::Interp] {
                    let options = CompileOptions::new().mode(mode).emitter(kind).threads(2);
                    for text in [&text, &whole] {
                        let found = numbers(&run(text, options, &x));
                        for row in found.chunks(shape[1]) {
                            let largest = row.iter().copied().fold(0.0, f64::max);
                            let is_number = row.iter().all(|x| (0.0..=1.0).contains(x));
                            assert!(is_number && largest > 0.0, "{text}, {mode}, {kind}");
                        }
                    }
                }
            }
        }
    }
}
