//! What texts mean, from the parser to the machine: on every emitter, in every mode.

use kiln::ir::{build, parse};
use kiln::{CompileOptions, DType, EmitterKind, Mode, Tensor, View, compile, compile_with};
use kiln::{Expr, compile_text};
use ndarray::{Array1, array};

/// The outputs as `f64`, the same whatever the mode and the emitter.
#[track_caller]
fn run(text: &str, inputs: &[View<'_>]) -> Vec<f64> {
    let graph = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut results = Vec::new();
    for mode in Mode::ALL {
        for emitter in EmitterKind::ALL {
            let options = CompileOptions::new().mode(mode).emitter(emitter);
            // What this machine has.
            let Ok(kernel) = compile_with(&graph, options) else { continue };
            results.push(numbers(&kernel.run(inputs).unwrap()[0]));
        }
    }
    let first = results.swap_remove(0);
    for result in results {
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(result.iter().zip(&first).all(same), "{text}: {result:?}, {first:?}");
    }
    first
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::Bool(a) => a.iter().map(|&v| f64::from(v)).collect(),
        Tensor::U8(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::I32(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::I64(a) => a.iter().map(|&v| v as f64).collect(),
        Tensor::F32(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::F64(a) => a.iter().copied().collect(),
        Tensor::F16(a) => a.iter().map(|v| v.to_f64()).collect(),
        Tensor::BF16(a) => a.iter().map(|v| v.to_f64()).collect(),
    }
}

#[test]
fn floor_division_of_every_type() {
    let (a, b) = ([7, 9, 20, -7, -9, 0, 6, 7], [2, 2, 2, 2, -2, 3, -3, 0]);
    let quotients = [3.0, 4.0, 10.0, -4.0, 4.0, 0.0, -2.0];
    let rests = [1.0, 1.0, 0.0, 1.0, -1.0, 0.0, 0.0];
    let truncated = [1.0, 1.0, 0.0, -1.0, -1.0, 0.0, 0.0];
    let check = |dtype: DType, inputs: &[View<'_>], over_zero: [f64; 3]| {
        let text = |body: &str| format!("kernel k(a: {dtype}[n], b: {dtype}[n]) {{ {body} }}");
        for (body, expected, last) in [
            ("a // b", quotients, over_zero[0]),
            ("mod(a, b)", rests, over_zero[1]),
            ("a % b", truncated, over_zero[2]),
        ] {
            let got = run(&text(body), inputs);
            assert_eq!(got[..7], expected, "{dtype} {body}");
            assert!(got[7] == last || got[7].is_nan() && last.is_nan(), "{dtype} {body}: {got:?}");
        }
    };
    let (x, y) = (Array1::from(a.to_vec()), Array1::from(b.to_vec()));
    check(DType::I32, &[(&x).into(), (&y).into()], [0.0; 3]);
    let (x64, y64) = (x.mapv(i64::from), y.mapv(i64::from));
    check(DType::I64, &[(&x64).into(), (&y64).into()], [0.0; 3]);
    let of_floats = [f64::INFINITY, f64::NAN, f64::NAN];
    let (x32, y32) = (x.mapv(|v| v as f32), y.mapv(|v| v as f32));
    check(DType::F32, &[(&x32).into(), (&y32).into()], of_floats);
    let (x64, y64) = (x.mapv(f64::from), y.mapv(f64::from));
    check(DType::F64, &[(&x64).into(), (&y64).into()], of_floats);
    let (x16, y16) =
        (x.mapv(|v| half::f16::from_f64(v.into())), y.mapv(|v| half::f16::from_f64(v.into())));
    check(DType::F16, &[(&x16).into(), (&y16).into()], of_floats);
    let (x8, y8) = (array![7u8, 255, 20], array![2u8, 16, 0]);
    let inputs = [View::from(&x8), View::from(&y8)];
    assert_eq!(run("kernel k(a: u8, b: u8) { a // b }", &inputs), [3.0, 15.0, 0.0]);
    assert_eq!(run("kernel k(a: u8, b: u8) { mod(a, b) }", &inputs), [1.0, 15.0, 0.0]);
    let bare = array![7f32, 9.0, 20.0];
    assert_eq!(run("x//2", &[(&bare).into()]), [3.0, 4.0, 10.0]);
    assert_eq!(run("x // 2 # not x", &[(&bare).into()]), [3.0, 4.0, 10.0]);
}

#[test]
fn narrowing_wraps_and_floats_saturate() {
    let wide = array![300i64, -1, i64::MIN, i64::MAX, (1 << 31), (1 << 32) + 5, -129];
    let view = || [View::from(&wide)];
    let expected: Vec<f64> = wide.iter().map(|&v| f64::from(v as i32)).collect();
    assert_eq!(run("kernel k(x: i64) { i32(x) }", &view()), expected);
    let expected: Vec<f64> = wide.iter().map(|&v| f64::from(v as u8)).collect();
    assert_eq!(run("kernel k(x: i64) { u8(x) }", &view()), expected);
    assert_eq!(run("kernel k(x: i64) { u8(i32(x)) }", &view()), expected);
    let floats = array![300f64, -1.0, -1e300, 1e300, 2.9, f64::NAN, f64::INFINITY];
    let expected: Vec<f64> = floats.iter().map(|&v| f64::from(v as u8)).collect();
    assert_eq!(run("kernel k(x: f64) { u8(x) }", &[(&floats).into()]), expected);
    assert_eq!(run("kernel k(x: f64) { u8(f32(x)) }", &[(&floats).into()]), expected);
    let expected: Vec<f64> = floats.iter().map(|&v| f64::from(v as i32)).collect();
    assert_eq!(run("kernel k(x: f64) { i32(x) }", &[(&floats).into()]), expected);
    assert_eq!(run("u8(300) + u8(-1) * 0", &[]), [44.0]);
    assert_eq!(run("i32(3e9)", &[]), [f64::from(i32::MAX)]);
}

#[test]
fn words_of_other_languages() {
    let x = array![7f32, -2.0, f32::NAN, f32::INFINITY, 0.0];
    let view = || [View::from(&x)];
    assert_eq!(run("isnan(x)", &view()), [0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(run("isinf(x)", &view()), [0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(run("isfinite(x)", &view()), [1.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(
        run("where(isnan(x) or not x > 0, 0, +x)", &view()),
        [7.0, 0.0, 0.0, f64::INFINITY, 0.0]
    );
    assert_eq!(
        run("where(isnan(x) || !(x > 0), 0, x)", &view()),
        [7.0, 0.0, 0.0, f64::INFINITY, 0.0]
    );
    assert_eq!(run("x and x > -5", &view()), [1.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(run("(x > 0) + (x > 5) + isfinite(x)", &view()), [3.0, 1.0, 0.0, 2.0, 1.0]);
    for dtype in ["f16", "bf16", "f64"] {
        let text = format!("isnan({dtype}(x)) + 2 * isinf({dtype}(x)) + 4 * isfinite({dtype}(x))");
        assert_eq!(run(&text, &view()), [4.0, 4.0, 1.0, 2.0, 4.0], "{dtype}");
    }
    let whole = array![7i32, -2, 12];
    let integers =
        |body: &str| run(&format!("kernel k(n: i32) {{ {body} }}"), &[View::from(&whole)]);
    assert_eq!(integers("~n"), [-8.0, 1.0, -13.0]);
    assert_eq!(integers("n << 2 | 1"), [29.0, -7.0, 49.0]);
    assert_eq!(integers("n >> 1 == 6"), [0.0, 0.0, 1.0]);
    assert_eq!(integers("n**3 - 0x10 * 1_000"), [343.0 - 16_000.0, -16_008.0, 1728.0 - 16_000.0]);
    assert_eq!(integers("square(n)"), [49.0, 4.0, 144.0]);
    assert_eq!(integers("remainder(n, 5)"), [2.0, 3.0, 2.0]);
    assert_eq!(integers("fmod(n, 5)"), [2.0, -2.0, 2.0]);
    assert_eq!(integers("n and not n == 7"), [0.0, 1.0, 1.0]);
    assert_eq!(integers("isnan(n) or isinf(n) or not isfinite(n)"), [0.0; 3]);
    assert_eq!(integers("maximum(n, 0) + minimum(n, 0) + absolute(n)"), [14.0, 0.0, 24.0]);
    let of_pow: Vec<f64> = whole.iter().map(|v| v.wrapping_pow(1000).into()).collect();
    assert_eq!(integers("n^1000"), of_pow);
}

#[test]
fn logaddexp_is_right_where_exponentials_are_not() {
    const INF: f32 = f32::INFINITY;
    let a = array![1e-10f32, 100.0, -1e4, 3e38, INF, -INF, INF, -INF, f32::NAN, 0.0];
    let b = array![2e-10f32, -100.0, -1e4, 3e38, INF, -INF, -INF, 5.0, INF, -3e38];
    let got = run("logaddexp(a, b)", &[(&a).into(), (&b).into()]);
    let ln2 = std::f64::consts::LN_2;
    let expected =
        [ln2, 100.0, ln2 - 1e4, 3e38, INF.into(), (-INF).into(), INF.into(), 5.0, f64::NAN, 0.0];
    for (got, expected) in got.iter().zip(expected) {
        let near = (got - expected).abs() <= 1e-7 * expected.abs();
        assert!(near || *got == expected || got.is_nan() && expected.is_nan(), "{got} {expected}");
    }
}

#[test]
fn literals_of_integers_and_floats() {
    for text in ["x/2.0", "x/5e0", "(x*1.0+x*1.0)/2.0", "x/2.5"] {
        let error =
            compile_text(&format!("kernel k(x: i32) {{ {text} }}")).unwrap_err().to_string();
        assert!(error.contains("is no i32") && error.contains("f32(x)"), "{error}");
    }
    let x = array![7i32, -7];
    assert_eq!(run("kernel k(x: i32) { f64(x) / 2.0 }", &[(&x).into()]), [3.5, -3.5]);
    assert_eq!(run("kernel k(x: i32) { x / 2 }", &[(&x).into()]), [3.0, -3.0]);
    assert_eq!(run("1e300 < 1e301", &[]), [1.0]);
    let error = compile(&[1e60 * Expr::input("x")]).unwrap_err().to_string();
    assert!(error.contains("the number 1e60 is too large for f32"), "{error}");
    let kernel = compile(&[1e-60 * Expr::input("x")]).unwrap();
    assert!(kernel.graph().notes()[0].to_string().contains("the number 1e-60 is 0 in f32"));
    let kernel = compile_with(&parse("x*1e-60").unwrap(), CompileOptions::unfused()).unwrap();
    assert_eq!(kernel.graph().notes().len(), 1);
}

/// Operators that assign are the operators, and what is assigned to is what others still hold.
#[test]
fn expressions_are_assigned_to() {
    let x = Expr::input("x");
    let (mut y, mut mask) = (x.clone(), x.gt(0.0));
    y += 1.0;
    y *= &x;
    y -= 2i64;
    y /= 3.0f32;
    mask &= x.lt(1.0);
    mask |= true;
    let graph = |outputs: [Expr; 2]| build("k", &outputs).unwrap();
    let written = ((&x + 1.0) * &x - 2i64) / 3.0;
    assert_eq!(graph([y, mask]), graph([written, (x.gt(0.0) & x.lt(1.0)) | true]));
}
