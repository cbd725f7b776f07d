//! An element that is picked of each row by its place is picked before anything is computed of it.

use kiln::{CompileOptions, Kernel, Mode, RunError, Tensor, View, compile_with};
use kiln_ir::parse;
use ndarray::{Array2, ArrayD, IxDyn, arr2};

/// What is computed of an element that is picked, of `x: f32[n, c]` and `y: i64[n, 1]`.
const PICKS: [&str; 11] = [
    "logsumexp[-1](x) - take_along[-1](x, y)",
    "-take_along[-1](x, y) + logsumexp[-1](x)",
    "log(sum[-1](exp(x))) - take_along[-1](x, y)",
    "-take_along[-1](log_softmax[-1](x), y)",
    "-take_along[1](x - logsumexp[-1](x), y)",
    "-log(take_along[-1](softmax[-1](x), y))",
    "-log(take_along[-1](exp(x) / sum[-1](exp(x)), y))",
    "let p = take_along[-1](log_softmax[-1](x), i32(y)); -p",
    "let p = take_along[-1](log_softmax[-1](x), y); -p * (1 - exp(p))^2",
    "take_along[-1](softmax[-1](x), y)",
    "take_along[-1](x / norm[-1](x), y)",
];

fn compiled(text: &str, options: CompileOptions) -> Kernel {
    let graph = match text.starts_with('|') {
        true => parse(text),
        false => parse(&format!("|x: f32[n, c], y: i64[n, 1]| {text}")),
    };
    let graph = graph.unwrap_or_else(|error| panic!("{text}: {error}"));
    compile_with(&graph, options).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run(kernel: &Kernel, x: &Array2<f32>, y: &Array2<i64>) -> Result<Vec<f32>, RunError> {
    let found = kernel.run(&[x.into(), y.into()])?;
    let Tensor::F32(found) = &found[0] else { unreachable!("they are f32") };
    Ok(found.iter().copied().collect())
}

#[test]
fn nothing_is_computed_for_the_others() {
    for (text, mode) in PICKS.iter().flat_map(|text| Mode::ALL.map(|mode| (text, mode))) {
        let kernel = compiled(text, CompileOptions::new().mode(mode));
        // Places that are computed are a kernel, too.
        let passes = 2 + usize::from(text.contains("i32"));
        assert_eq!(kernel.pass_count(), passes, "{text}: {}", kernel.graph());
        let fused = kernel.graph().to_string();
        assert!(fused.contains("(x, y)") || fused.contains("(x, t"), "{text}: {fused}");
    }
    for (text, passes) in [
        ("take_along[-1](x, y)", 1),
        ("take_along[-1](exp(x) * 2, y)", 2),
        ("take_along[-1](x + exp(x), y)", 2),
        ("take_along[-1](x * x - x, y) + take_along[-1](x, y)", 2),
        // More than one of each row is picked of what is stored.
        ("take_along[-1](exp(x), concat[-1](y, y))", 3),
    ] {
        let kernel = compiled(text, CompileOptions::new());
        assert_eq!(kernel.pass_count(), passes, "{text}: {}", kernel.graph());
    }
    // A product is reduced while it is computed, and need not be in memory then.
    let text =
        "|x: f32[n, k], w: f32[k, c], y: i64[n, 1]| take_along[-1](log_softmax[-1](x @ w), y)";
    assert_eq!(compiled(text, CompileOptions::new()).pass_count(), 2);
}

/// Places from either end, and rows with infinities.
#[test]
fn what_is_picked_is_the_same() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let rows = arr2(&[
        [1.0, -2.0, 0.5, 3.0],
        [-0.0, 0.0, -0.0, 0.0],
        [inf, 1.0, 2.0, 3.0],
        [-inf, 1.0, 2.0, 3.0],
        [nan, 1.0, 2.0, 3.0],
        [-inf, -inf, -inf, -inf],
        [10000.0, 10001.0, 9999.0, 10000.5],
        [80.0, -3.0, 60.0, -60.0],
    ]);
    for text in PICKS {
        let kernels = [Mode::Precise, Mode::Strict]
            .map(|mode| compiled(text, CompileOptions::new().mode(mode)));
        let unfused = compiled(text, CompileOptions::unfused());
        for place in -4..4 {
            let y = Array2::from_elem((rows.nrows(), 1), place);
            let expected = run(&unfused, &rows, &y).unwrap();
            let [precise, strict] =
                kernels.each_ref().map(|kernel| run(kernel, &rows, &y).unwrap());
            for (row, (expected, found)) in expected.iter().zip(&precise).enumerate() {
                // As written, a large row overflows, or has the digits of its elements.
                let near = expected.is_nan()
                    || expected == found
                    || (expected - found).abs() <= 1e-5 * expected.abs().max(1.0)
                    || row == 6 && (expected - found).abs() <= 2e-3
                    || row > 5 && expected.is_infinite() && found.is_finite();
                assert!(near, "{text}, row {row}, {place}: {found:e}, not {expected:e}");
            }
            let same =
                |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(expected.iter().zip(&strict).all(same), "{text}, {place}");
        }
    }
}

/// As close as the loss of labels, however far from 0 the logits are.
#[test]
fn losses_keep_their_digits() {
    let row = |from: f32| [from - 1.0, from + 0.5, from + 2.0, from - 0.25];
    for text in &PICKS[..8] {
        for mode in [Mode::Precise, Mode::Fast] {
            let kernel = compiled(text, CompileOptions::new().mode(mode));
            for (from, place) in [(0.0, 0), (1e4, 1), (-1e5, -1), (1000.0, 2), (-1000.0, 3)] {
                let x = arr2(&[row(from)]);
                let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
                let label = usize::try_from(place).unwrap_or(3);
                let sum: f64 = wide.iter().map(|x| (x - wide[2]).exp()).sum();
                let expected = sum.ln() + wide[2] - wide[label];
                let found = run(&kernel, &x, &arr2(&[[place]])).unwrap()[0];
                let error = (f64::from(found) - expected).abs();
                assert!(error <= 4e-7 * expected.max(1.0), "{text} at {from}: {found}, {expected}");
            }
        }
    }
}

/// A place that is none is the error that it was, and nothing is written.
#[test]
fn places_out_of_bounds() {
    let x = arr2(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    for text in PICKS {
        for mode in Mode::ALL {
            let kernel = compiled(text, CompileOptions::new().mode(mode));
            for wrong in [3i64, -4, 1 << 20, -(1 << 30)] {
                let y = arr2(&[[0], [wrong]]);
                let error = run(&kernel, &x, &y).unwrap_err();
                let message = format!(
                    "take_along: {wrong} is no place along axis 1, of size 3; they go from -3 to 2"
                );
                assert_eq!(error.to_string(), message, "{text}");
                if text.contains("i32") {
                    continue;
                }
                let mut out = ArrayD::<f32>::zeros(IxDyn(&[2, 1]));
                let inputs: [View<'_>; 2] = [(&x).into(), (&y).into()];
                kernel.run_into(&inputs, &mut [(&mut out).into()]).unwrap_err();
                assert!(out.iter().all(|&x| x == 0.0), "{text}");
            }
        }
    }
}
