//! Functions that pass through zero do so in steps of the least number: no result is 0 that should
//! not be, in either tier, on any emitter.

use common::emitters;
use kiln::internals::emit::Code;
use kiln::internals::{Tier, Work, execute, max_ulp, op_program_in};
use kiln::{CompileOptions, DType, EmitterKind, Mode, Tensor, View, ViewMut, compile_with};
use kiln_ir::{Op, Typing};
use ndarray::Array1;

/// Magnitudes in units of the least number: the bottom, both sides of the least normal number, and
/// a few on each power of two between and above.
fn magnitudes(dtype: DType) -> Vec<u64> {
    let digits = if dtype == DType::F32 { 23 } else { 52 };
    let normal = 1u64 << digits;
    let bottom = 0..=64;
    let around = normal - 64..=normal + 64;
    let between = (6..digits + 3).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1, 3 << (k - 1)]);
    bottom.chain(around).chain(between).collect()
}

/// Those numbers, with both signs.
fn points(dtype: DType) -> Vec<f64> {
    let magnitude = |bits: u64| match dtype {
        DType::F32 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    };
    magnitudes(dtype).into_iter().map(magnitude).flat_map(|x| [x, -x]).collect()
}

fn tensor(dtype: DType, values: &[f64]) -> Tensor {
    let values = Array1::from(values.to_vec());
    if dtype == DType::F32 { values.mapv(|value| value as f32).into() } else { values.into() }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::F32(array) => array.iter().map(|&value| value.into()).collect(),
        Tensor::F64(array) => array.iter().copied().collect(),
        other => panic!("a result of type {}", other.dtype()),
    }
}

fn run(code: &Code, dtype: DType, x: &[f64]) -> Vec<f64> {
    let (x, mut y) = (tensor(dtype, x), tensor(dtype, x));
    let (views, mut targets): ([View<'_>; 1], [ViewMut<'_>; 1]) = ([x.view()], [y.view_mut()]);
    execute(code, &views, &mut targets, Work { threads: Some(1), ..Work::default() }).unwrap();
    numbers(&y)
}

/// How many numbers of the type lie between two of one sign.
fn steps(dtype: DType, a: f64, b: f64) -> u64 {
    match dtype {
        DType::F32 => (a as f32).to_bits().abs_diff((b as f32).to_bits()).into(),
        _ => a.to_bits().abs_diff(b.to_bits()),
    }
}

/// Fails unless every result has the sign of the expected one, is 0 where that is, and is within
/// `bound` ULP.
fn check(name: &str, dtype: DType, x: &[f64], y: &[f64], expected: &[f64], bound: f64) {
    // The expected number is rounded, too.
    let most = (bound + 0.5) as u64;
    for ((x, y), expected) in x.iter().zip(y).zip(expected) {
        let sign = y.is_sign_negative() == expected.is_sign_negative();
        let zero = (*y == 0.0) == (*expected == 0.0);
        assert!(sign && zero, "{name} of {x:e} in {dtype} is {y:e}, not {expected:e}");
        let off = steps(dtype, *y, *expected);
        assert!(off <= most, "{name} of {x:e} in {dtype} is {y:e}, {off} steps off {expected:e}");
    }
}

#[test]
fn ops_that_are_0_at_0() {
    let mut tried = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        let x = points(dtype);
        let passes_zero = |op: &Op| op.eval(dtype, &[0.0]) == 0.0 && op.eval(dtype, &[1e-3]) < 0.1;
        let float = |op: &Op| matches!(op.info().typing, Typing::Float | Typing::Number);
        for &op in Op::ALL.iter().filter(|op| op.arity() == 1 && float(op) && passes_zero(op)) {
            tried.push(op);
            let expected: Vec<f64> = x.iter().map(|&x| op.eval(dtype, &[x])).collect();
            for tier in [Tier::Default, Tier::Fast] {
                for code in emitters(&op_program_in(tier, op, dtype)) {
                    let name = format!("{}, {tier:?}, {}", op.name(), code.emitter());
                    let y = run(&code, dtype, &x);
                    check(&name, dtype, &x, &y, &expected, max_ulp(tier, op, dtype));
                }
            }
        }
    }
    // `abs`, the roundings and roots, and the functions whose slope at 0 is near 1.
    for op in [Op::Expm1, Op::Log1p, Op::Sinh, Op::Erf, Op::Tan, Op::Asinh, Op::Tanhshrink] {
        assert!(tried.contains(&op), "{} is not tried", op.name());
    }
    assert!(tried.len() >= 2 * 18, "{tried:?}");
}

/// An expression, its value near 0, and the modes in which it has that.
type Case = (&'static str, fn(f64) -> f64, &'static [Mode]);

/// What other ops are made of them, and what rules make them of.
#[test]
fn expressions_that_are_0_at_0() {
    let same: fn(f64) -> f64 = |x| x;
    let selu: fn(f64) -> f64 =
        |x| 1.0507009873554805 * if x > 0.0 { x } else { 1.6732632423543772 * x };
    let modes: &'static [Mode] = &Mode::ALL;
    let rewriting: &'static [Mode] = &[Mode::Precise, Mode::Fast];
    let cases: [Case; 9] = [
        ("softsign(x)", same, modes),
        ("elu(x)", same, modes),
        ("celu(x)", same, modes),
        ("selu(x)", selu, modes),
        ("hardtanh(x)", same, modes),
        ("exp(x) - 1", same, rewriting),
        ("log(1 + x)", same, rewriting),
        ("sinh(x) + 0", same, modes),
        ("erf(x) * 0.8862269254527580", same, modes),
    ];
    for dtype in [DType::F32, DType::F64] {
        let x: Vec<f64> = points(dtype).into_iter().filter(|&x| x != 0.0).collect();
        for (text, meaning, modes) in &cases {
            let graph = kiln_ir::parse(&format!("kernel f(x: {dtype}[n]) {{ {text} }}")).unwrap();
            let expected: Vec<f64> = x.iter().map(|&x| dtype.round(meaning(x))).collect();
            for &mode in *modes {
                let options = CompileOptions::new().mode(mode).emitter(EmitterKind::Auto);
                let kernel = compile_with(&graph, options).unwrap();
                let input = tensor(dtype, &x);
                let y = numbers(&kernel.run(&[input.view()]).unwrap()[0]);
                check(&format!("{text}, {mode}"), dtype, &x, &y, &expected, 4.0);
            }
        }
    }
}
