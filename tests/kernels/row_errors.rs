//! Errors of reductions and norms against exact results, and values that two passes compute.

use common::Rng;
use kiln::{CompileOptions, Mode, Tensor, View, compile_with};
use kiln_ir::parse;
use ndarray::{Array1, Array2};

const LONG: usize = 10_000_000;

/// The first output of a kernel.
fn run(text: &str, mode: Mode, inputs: &[View<'_>]) -> Tensor {
    let graph = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let kernel = compile_with(&graph, CompileOptions::new().mode(mode)).unwrap();
    kernel.run(inputs).unwrap().remove(0)
}

fn of_f32(text: &str, mode: Mode, inputs: &[View<'_>]) -> Vec<f32> {
    let Tensor::F32(array) = &run(text, mode, inputs) else { panic!("{text} is of f32") };
    array.iter().copied().collect()
}

fn of_f64(text: &str, mode: Mode, inputs: &[View<'_>]) -> Vec<f64> {
    let Tensor::F64(array) = &run(text, mode, inputs) else { panic!("{text} is of f64") };
    array.iter().copied().collect()
}

/// The sum in twice the precision of `f64`: a number and what it lacks.
fn exact(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0f64, 0f64);
    for value in values {
        let next = sum + value;
        let of_value = next - sum;
        rest += (sum - (next - of_value)) + (value - of_value);
        sum = next;
    }
    sum + rest
}

/// The distance between an `f32` and the next.
fn unit(value: f64) -> f64 {
    let above = f32::from_bits((value.abs() as f32).to_bits() + 1);
    f64::from(above) - f64::from(above.next_down())
}

fn mixed(seed: u64, len: usize) -> Vec<f64> {
    let mut rng = Rng::new(seed);
    let sized = |rng: &mut Rng| rng.ordinary() * f64::exp2(rng.below(40) as f64 - 20.0);
    (0..len).map(|_| sized(&mut rng)).collect()
}

/// 14 units of 2^-24 of the sum of magnitudes, whatever the length; 21 units of 2^-53 of `f64`.
#[test]
fn long_sums_keep_their_bound() {
    let numbers = mixed(5, LONG);
    let small = Array1::from_iter(numbers.iter().map(|&v| v as f32));
    let wide = Array1::from(numbers);
    for mode in Mode::ALL {
        let found = f64::from(of_f32("sum(x)", mode, &[(&small).into()])[0]);
        let expected = exact(small.iter().map(|&v| v.into()));
        let size: f64 = small.iter().map(|&v| f64::from(v.abs())).sum();
        let error = (found - expected).abs();
        assert!(error <= 14.0 * f64::exp2(-24.0) * size, "{mode}: {error} of {size}");
        let found = of_f64("|x: f64| sum(x)", mode, &[(&wide).into()])[0];
        let expected = exact(wide.iter().copied());
        let size: f64 = wide.iter().map(|v| v.abs()).sum();
        let error = (found - expected).abs();
        assert!(error <= 21.0 * f64::exp2(-53.0) * size, "{mode}: {error} of {size}");
    }
}

/// What loops and plain stripes are worst at.
#[test]
fn sums_of_equal_elements_are_off_by_two_units() {
    for value in [0.1f32, 1.0 / 3.0, 1.9999999] {
        let x = Array1::from_elem(LONG, value);
        let sum = f64::from(of_f32("sum(x)", Mode::Strict, &[(&x).into()])[0]);
        let expected = f64::from(value) * LONG as f64;
        let error = (sum - expected).abs() / unit(expected);
        assert!(error <= 2.0, "sum: {error} ULP of {value}");
        let mean = f64::from(of_f32("mean[..](x)", Mode::Strict, &[(&x).into()])[0]);
        let error = (mean - f64::from(value)).abs() / unit(value.into());
        assert!(error <= 2.5, "mean: {error} ULP of {value}");
    }
}

/// Rows of 1024 about a mean, with deviation 1.
fn about(mean: f64) -> Array2<f32> {
    let mut rng = Rng::new(9);
    let mut unit = || (rng.next() >> 11) as f64 / (1u64 << 53) as f64;
    Array2::from_shape_simple_fn((16, 1024), || {
        let normal: f64 = (0..12).map(|_| unit()).sum::<f64>() - 6.0;
        (mean + normal) as f32
    })
}

fn moments(row: &[f64]) -> (f64, f64) {
    let mean = exact(row.iter().copied()) / row.len() as f64;
    (mean, exact(row.iter().map(|v| (v - mean) * (v - mean))) / row.len() as f64)
}

/// The largest error of a row in ULP of its largest result.
fn of_scale(found: &[f32], expected: &[Vec<f64>]) -> f64 {
    let row = |(found, expected): (&[f32], &Vec<f64>)| {
        let scale = expected.iter().fold(0f64, |most, v| most.max(v.abs()));
        let off = found.iter().zip(expected).map(|(&f, e)| (f64::from(f) - e).abs());
        off.fold(0f64, f64::max) / unit(scale)
    };
    found.chunks(expected[0].len()).zip(expected).map(row).fold(0.0, f64::max)
}

/// However it is spelled; `E[x²] - E[x]²` would have no digit left of a variance of 1 about 10⁴.
#[test]
fn layer_norm_far_from_zero_is_four_units_off() {
    let (whole, by_hand) = (
        "layer_norm[-1](x)",
        "kernel k(x) { let d = x - mean[-1](x); d / sqrt(mean[-1](d * d) + 1e-5) }",
    );
    for mean in [0.0, 100.0, 1000.0, 1e4] {
        let x = about(mean);
        let rows: Vec<Vec<f64>> =
            x.rows().into_iter().map(|row| row.iter().map(|&v| v.into()).collect()).collect();
        let norm = |row: &Vec<f64>| {
            let (mean, var) = moments(row);
            row.iter().map(|v| (v - mean) / (var + 1e-5).sqrt()).collect::<Vec<f64>>()
        };
        let expected: Vec<Vec<f64>> = rows.iter().map(norm).collect();
        let var: Vec<Vec<f64>> = rows.iter().map(|row| vec![moments(row).1]).collect();
        for mode in Mode::ALL {
            let error = of_scale(&of_f32(whole, mode, &[(&x).into()]), &expected);
            println!("layer_norm about {mean}, {mode}: {error:.2} ULP of the row's largest");
            assert!(error <= 4.0, "{mode}, about {mean}: {error}");
            let found = of_f32("var[-1](x)", mode, &[(&x).into()]);
            let error = of_scale(&found, &var);
            println!("var about {mean}, {mode}: {error:.2} ULP");
            assert!(error <= 4.0, "var, {mode}, about {mean}: {error}");
            // A mean in `f32` is off by up to two units of its own, but the variance keeps its digits.
            let error = of_scale(&of_f32(by_hand, mode, &[(&x).into()]), &expected);
            let rounding = 2.0 * unit(mean) / unit(2.0);
            assert!(error <= 6.0 + rounding, "by hand, {mode}, about {mean}: {error}");
        }
    }
}

/// Whatever is written, no mode makes `E[x²] - E[x]²` of it, which has no digit left here.
#[test]
fn variances_do_not_cancel() {
    let row: Vec<f64> = about(0.0).row(0).iter().map(|v| f64::from(1e4 + 0.1 * v)).collect();
    let x = Array1::from(row.clone());
    let (_, variance) = moments(&row);
    for text in [
        "var[-1](x)",
        "std[-1](x) * std[-1](x)",
        "mean[-1]((x - mean[-1](x))^2)",
        "let o = x - mean[-1](x); sum[-1](o * o) / count[-1](x)",
        "let o = x - sum[-1](x) / 1024; mean[-1](o * o)",
        "mean[-1](square(mean[-1](x) - x))",
    ] {
        for mode in Mode::ALL {
            let found = f64::from(of_f32(text, mode, &[(&x.mapv(|v| v as f32)).into()])[0]);
            let error = (found - variance).abs() / variance;
            assert!(error < 1e-4, "{text}, {mode}: {found}, not {variance}");
        }
    }
}

/// Beside an infinity, what is nothing of the sum stays so, even where its own power overflows.
#[test]
fn shares_of_an_infinite_sum_are_nothing() {
    let x = Array1::from(vec![f32::INFINITY, 200.0, 100.0, 1.0]);
    for text in [
        "exp(x - logsumexp[-1](x))",
        "exp(x - log(sum[-1](exp(x))))",
        "exp2(x - log2(sum[-1](exp2(x))))",
    ] {
        for mode in [Mode::Strict, Mode::Precise] {
            let found = of_f32(text, mode, &[(&x).into()]);
            assert_eq!(found[1..], [0.0; 3], "{text}, {mode}");
        }
    }
}

/// The largest of the logits, and the logits once more for the exponentials: were one rounded in
/// another way, an element would be above the largest, or infinity less infinity.
#[test]
fn a_value_of_two_passes_has_the_same_bits_in_both() {
    let mut rng = Rng::new(3);
    for (rows, n) in [(3, 53), (5, 64), (2, 1025), (1, 20_000)] {
        let mut draw = || Array2::from_shape_simple_fn((rows, n), || rng.ordinary() as f32);
        let (x, y, z) = (draw(), draw(), draw());
        for logits in ["x * y + z", "x * 0.3 - y / 7", "tanh(x) * y * z", "exp(x * 1e-7) * y"] {
            let params = "kernel k(x, y, z)";
            let at_most_0 = format!("{params} {{ let l = {logits}; max[-1](l - max[-1](l)) }}");
            let shares = format!("{params} {{ softmax[-1](({logits}) * 1e20) }}");
            for mode in Mode::ALL {
                let inputs = [View::from(&x), View::from(&y), View::from(&z)];
                let most = of_f32(&at_most_0, mode, &inputs);
                assert!(most.iter().all(|&v| v == 0.0), "{logits}, {mode}: {most:?}");
                let shares = of_f32(&shares, mode, &inputs);
                assert!(shares.iter().all(|v| !v.is_nan()), "{logits}, {mode}");
                let sums = shares.chunks(n).map(|row| row.iter().sum::<f32>());
                assert!(sums.into_iter().all(|sum| (sum - 1.0).abs() < 1e-4), "{logits}, {mode}");
            }
        }
    }
}
