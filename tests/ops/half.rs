//! `f16` and `bf16`: storage types, computed with as `f32` and rounded once when stored.

use common::runner::kinds;
use half::{bf16, f16};
use kiln::ir::{Op, parse};
use kiln::{CompileOptions, DType, EmitterKind, Kernel, Mode, Tensor, compile_text, compile_with};
use ndarray::{Array1, ArrayD, s};

fn compiled(text: &str, emitter: EmitterKind) -> Result<Kernel, kiln::CompileError> {
    compile_with(&parse(text)?, CompileOptions::new().emitter(emitter))
}

fn run(kernel: &Kernel, input: &Tensor) -> Tensor {
    kernel.run(&[input.view()]).unwrap().remove(0)
}

/// Every `f16`, and every `bf16`.
fn all_halves() -> [(&'static str, Tensor, Vec<f32>); 2] {
    let bits = || 0..=u16::MAX;
    let narrow = Array1::from_iter(bits().map(f16::from_bits));
    let brain = Array1::from_iter(bits().map(bf16::from_bits));
    let (narrow_values, brain_values) =
        (narrow.iter().map(|x| x.to_f32()).collect(), brain.iter().map(|x| x.to_f32()).collect());
    [("f16", narrow.into(), narrow_values), ("bf16", brain.into(), brain_values)]
}

#[test]
fn every_half_is_loaded_exactly() {
    for (name, input, expected) in all_halves() {
        for emitter in kinds() {
            let kernel =
                compiled(&format!("kernel k(x: {name}[n]) {{ f32(x) }}"), emitter).unwrap();
            let got = run(&kernel, &input).into_f32().unwrap();
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let same =
                    got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
                assert!(same, "{emitter} {name} {i:#x}: {got} {expected}");
            }
        }
    }
}

#[test]
fn every_half_is_stored_as_it_was_loaded() {
    for (name, input, _) in all_halves() {
        for emitter in kinds() {
            let kernel = compiled(&format!("kernel k(x: {name}[n]) {{ {name}(f32(x)) }}"), emitter);
            let got = run(&kernel.unwrap(), &input);
            let bits = |tensor: &Tensor| -> Vec<u16> {
                let of = |value: f64, bits: u16| if value.is_nan() { 0xffff } else { bits };
                match tensor {
                    Tensor::F16(a) => a.iter().map(|x| of(x.to_f64(), x.to_bits())).collect(),
                    Tensor::BF16(a) => a.iter().map(|x| of(x.to_f64(), x.to_bits())).collect(),
                    _ => panic!("a half was stored as {}", tensor.dtype()),
                }
            };
            assert!(bits(&got) == bits(&input), "{emitter} {name}");
        }
    }
}

/// Numbers near the middle of two neighbours, and all over.
fn numbers() -> Vec<f64> {
    let mut numbers = vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, 1e-300];
    for bits in (0..0x7c00u16).step_by(3) {
        let (low, high) = (f16::from_bits(bits).to_f64(), f16::from_bits(bits + 1).to_f64());
        let middle = if high.is_infinite() { 65520.0 } else { (low + high) / 2.0 };
        numbers.extend([middle, -middle * (1.0 + 1e-12), middle * (1.0 - 1e-12)]);
        numbers.extend([middle * 1e-38, middle * 1e33]);
    }
    numbers
}

#[test]
fn stores_round_once() {
    let doubles = Array1::from(numbers());
    let singles = doubles.mapv(|x| x as f32);
    let expected = |dtype: DType, exact: &[f64]| -> Vec<u64> {
        let key = |x: f64| if x.is_nan() { 1 } else { x.to_bits() };
        exact.iter().map(|&x| key(dtype.round(x))).collect()
    };
    let exact_singles: Vec<f64> = singles.iter().map(|&x| x.into()).collect();
    for emitter in kinds() {
        for dtype in [DType::F16, DType::BF16] {
            for (from, input, exact) in [
                ("f32", Tensor::from(singles.clone()), &exact_singles),
                ("f64", Tensor::from(doubles.clone()), &doubles.to_vec()),
            ] {
                // Stored, and rounded in the middle of a kernel.
                let text = format!(
                    "kernel k(x: {from}[n]) {{ let y = {dtype}(x); (y, f64(f32(y) * 1)) }}"
                );
                let kernel = compiled(&text, emitter).unwrap();
                let outputs = kernel.run(&[input.view()]).unwrap();
                let key = |x: f64| if x.is_nan() { 1 } else { x.to_bits() };
                let stored: Vec<u64> = match &outputs[0] {
                    Tensor::F16(a) => a.iter().map(|x| key(x.to_f64())).collect(),
                    Tensor::BF16(a) => a.iter().map(|x| key(x.to_f64())).collect(),
                    other => panic!("{}", other.dtype()),
                };
                let used: Vec<u64> = match &outputs[1] {
                    Tensor::F64(a) => a.iter().map(|&x| key(x)).collect(),
                    other => panic!("{}", other.dtype()),
                };
                let expected = expected(dtype, exact);
                assert!(stored == expected, "{emitter} {from} to {dtype}");
                assert!(used == expected, "{emitter} {from} to {dtype} within a kernel");
            }
        }
    }
}

#[test]
fn emitters_agree_at_every_length_and_stride() {
    let text = "kernel k(x: f16[..], y: bf16[..]) { (f16(gelu(x) * y), bf16(exp(x) + y), x < y) }";
    let values = |salt: f32| Array1::from_iter((0..300).map(|i| (i as f32 * salt).sin() * 6.0));
    let (x, y) = (values(0.7).mapv(f16::from_f32), values(1.3).mapv(bf16::from_f32));
    let expected = compiled(text, EmitterKind::Interp).unwrap();
    for emitter in kinds() {
        let kernel = compiled(text, emitter).unwrap();
        for n in 0..=131 {
            for step in [1, 2, -1] {
                let span = (n * 2) as isize;
                let (a, b) = (x.slice(s![..span; step]), y.slice(s![..span; step]));
                let (a, b) = (a.slice(s![..n]), b.slice(s![..n]));
                let views = [a.into(), b.into()];
                let (got, wanted) = (kernel.run(&views).unwrap(), expected.run(&views).unwrap());
                assert_eq!(got, wanted, "{emitter}, {n} elements, step {step}");
            }
        }
    }
}

#[test]
fn fused_equals_unfused() {
    let graph =
        parse("kernel k(x: f16[n], b: bf16[n]) { let y = f16(x * 2 + b); f16(silu(f32(y))) }");
    let graph = graph.unwrap();
    let x = Array1::from_iter((0..1000).map(|i| f16::from_f32(i as f32 * 0.01 - 5.0)));
    let b = Array1::from_iter((0..1000).map(|i| bf16::from_f32(1.0 - i as f32 * 0.002)));
    let run = |options: CompileOptions| -> ArrayD<f16> {
        let kernel = compile_with(&graph, options).unwrap();
        kernel.run(&[(&x).into(), (&b).into()]).unwrap().remove(0).into_f16().unwrap()
    };
    let unfused = run(CompileOptions::unfused());
    assert_eq!(run(CompileOptions::new().mode(Mode::Strict)), unfused);
}

#[test]
fn arithmetic_on_halves_is_f32() {
    let kernel = compile_text("kernel k(x: f16[n], y: bf16[n]) { (x + y, x < y, -x, x * 0.1) }");
    let kernel = kernel.unwrap();
    let dtypes: Vec<DType> = (0..4).map(|index| kernel.output_dtype(index)).collect();
    assert_eq!(dtypes, [DType::F32, DType::Bool, DType::F32, DType::F32]);
    let (x, y) = (Array1::from(vec![f16::MAX]), Array1::from(vec![bf16::MAX]));
    let outputs = kernel.run(&[(&x).into(), (&y).into()]).unwrap();
    assert_eq!(outputs[3].clone().into_f32().unwrap()[0], 65504.0 * 0.1f32);
    assert_eq!(Op::cast_to(DType::BF16).name(), "bf16");
    let error = kernel.run(&[(&y).into(), (&y).into()]).unwrap_err().to_string();
    assert!(error.contains("f16") && error.contains("bf16"), "{error}");
}
