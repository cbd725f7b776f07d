//! Reductions in kernels: against the interpreter, in every layout, on any number of threads.

use common::Rng;
use kiln::ir::{Array, eval};
use kiln::{
    CompileOptions, DType, EmitterKind, Graph, Mode, RunError, Tensor, View, compile_with, ir,
};
use ndarray::{Array1, ArrayD, Axis, IxDyn, s};

/// Elements of an array of `f64`s, reproducible, in `[-1, 1)`.
fn random(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut rng = Rng::new(seed);
    ArrayD::from_shape_simple_fn(shape, || (rng.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
}

fn run(graph: &Graph, options: CompileOptions, x: View<'_>) -> Result<Tensor, RunError> {
    let kernel = compile_with(graph, options).unwrap();
    Ok(kernel.run(&[x])?.remove(0))
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor {
        Tensor::F32(array) => array.iter().map(|x| u64::from(x.to_bits())).collect(),
        Tensor::F64(array) => array.iter().map(|x| x.to_bits()).collect(),
        Tensor::Bool(array) => array.iter().map(|&x| x.into()).collect(),
        Tensor::I64(array) => array.iter().map(|&x| x as u64).collect(),
        other => panic!("{}", other.dtype()),
    }
}

const TEXTS: [&str; 14] = [
    "sum[-1](x)",
    "sum[0](x)",
    "sum[1](x)",
    "sum[0, 2](x)",
    "sum(x)",
    "prod[-1](x)",
    "max[0](x)",
    "min[-2, -1](x)",
    "argmax[-1](x)",
    "argmin(x)",
    "count[0](x)",
    "any[-1](x > 0.9)",
    "sum[-1](x > 0)",
    "x / (1 + sum[-1](x * x))",
];

/// Lengths about stripes and blocks, along each axis of three.
#[test]
fn as_the_interpreter_in_every_layout() {
    for shape in [[2, 3, 513], [65, 2, 3], [3, 1100, 2], [1, 64, 63], [2, 1, 1], [3, 0, 2]] {
        let x = random(&shape, 1);
        // The same elements elsewhere in memory: columns first, backwards, among others.
        let columns = x.t().as_standard_layout().into_owned();
        let mut wide = ArrayD::zeros(IxDyn(&[shape[0], shape[1] * 2 + 1, shape[2] * 3]));
        let inside = s![.., 1..;2, ..;-3];
        let mut inner = wide.slice_mut(inside).into_dyn();
        inner.assign(&x);
        let views = [x.view(), columns.view().reversed_axes(), wide.slice(inside).into_dyn()];
        for text in TEXTS {
            let graph = ir::parse(&format!("|x: f64[..]| {text}")).unwrap();
            let data = x.iter().copied().collect::<Vec<f64>>();
            let operand = Array::new(DType::F64, shape.to_vec(), data).unwrap();
            let expected = match eval(&graph, &[operand]) {
                Ok(mut results) => results.remove(0),
                Err(error) => {
                    let found = run(&graph, CompileOptions::new(), (&x).into()).unwrap_err();
                    // An interpreter knows no place in a text.
                    assert!(found.to_string().starts_with(&error.to_string()), "{text}");
                    continue;
                }
            };
            let mut first: Option<Tensor> = None;
            for view in &views {
                for threads in [1, 3] {
                    let options = CompileOptions::new().threads(threads);
                    let found = run(&graph, options, view.into()).unwrap();
                    assert_eq!(found.shape(), expected.shape(), "{text} of {shape:?}");
                    let known = first.get_or_insert_with(|| found.clone());
                    assert_eq!(bits(&found), bits(known), "{text} of {shape:?}");
                }
            }
            let found = first.expect("it ran");
            match &found {
                Tensor::F64(found) => {
                    for (found, expected) in found.iter().zip(expected.data()) {
                        let error = (found - expected).abs();
                        let near = error <= 1e-13 * (1.0 + expected.abs()) || found == expected;
                        assert!(near, "{text} of {shape:?}: {found}, not {expected}");
                    }
                }
                Tensor::I64(found) => {
                    assert!(found.iter().eq(expected.integers()), "{text} of {shape:?}");
                }
                Tensor::Bool(found) => {
                    let expected = expected.data().iter().map(|&x| x != 0.0);
                    assert!(found.iter().copied().eq(expected), "{text} of {shape:?}");
                }
                other => panic!("{text} gives {}", other.dtype()),
            }
        }
    }
}

/// Large enough for threads, rows and columns and one long row.
#[test]
fn threads_change_no_bit() {
    let x = random(&[400, 3, 700], 2).mapv(|x| x as f32);
    for text in ["sum[-1](x)", "sum[0](x)", "sum(x)", "max[1](x)", "argmin[0, 1](x)"] {
        let graph = ir::parse(text).unwrap();
        let by = |threads| {
            let options = CompileOptions::new().threads(threads);
            bits(&run(&graph, options, (&x).into()).unwrap())
        };
        let one = by(1);
        for threads in [2, 3, 7] {
            assert_eq!(by(threads), one, "{text} on {threads}");
        }
    }
}

/// Rows of few elements side by side go from elements to results, cut anywhere: as rows that lie one after the other.
#[test]
fn rows_of_few_elements_wherever_they_lie() {
    for shape in [[1, 3, 50_001], [1, 8, 9_000], [2, 7, 20_003], [5, 1, 17], [9, 2, 33], [6, 8, 70]]
    {
        let mut x = random(&shape, 3);
        for (index, element) in x.iter_mut().enumerate() {
            match index % 47 {
                0 => *element = f64::NAN,
                1..4 => *element = -0.0,
                4..7 => *element = 0.0,
                _ => {}
            }
        }
        let single = x.mapv(|x| x as f32);
        let double = Tensor::F64(x.clone());
        let along_double =
            Tensor::F64(x.permuted_axes(vec![0, 2, 1]).as_standard_layout().into_owned());
        let along_single = Tensor::F32(
            single.view().permuted_axes(vec![0, 2, 1]).as_standard_layout().into_owned(),
        );
        let pairs = [(double, along_double), (Tensor::F32(single), along_single)];
        for (across, along) in &pairs {
            for op in ["sum", "prod", "max", "min", "argmax", "argmin"] {
                let graph = |axis| {
                    ir::parse(&format!("|x: {}[..]| {op}[{axis}](x)", across.dtype())).unwrap()
                };
                let expected = run(&graph(2), CompileOptions::new().threads(1), along.view());
                let expected = bits(&expected.unwrap());
                for threads in [1, 3] {
                    let options = CompileOptions::new().threads(threads);
                    let found = run(&graph(1), options, across.view()).unwrap();
                    assert_eq!(bits(&found), expected, "{op} of {shape:?} on {threads}");
                }
            }
        }
    }
}

/// Each mode within 3 ULP or so of the exact result; rows sum to 1.
#[test]
fn softmax_and_norms() {
    let x = random(&[7, 1000], 3).mapv(|x| (30.0 * x) as f32);
    let wide = x.mapv(f64::from);
    let largest = wide.map_axis(Axis(1), |row| row.fold(f64::NEG_INFINITY, |a, &b| a.max(b)));
    let powers = (&wide - &largest.insert_axis(Axis(1))).mapv(f64::exp);
    let softmax = &powers / &powers.sum_axis(Axis(1)).insert_axis(Axis(1));
    let off = &wide - &wide.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let square = off.mapv(|x| x * x).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let layer_norm = off / square.mapv(|square| (square + 1e-5).sqrt());
    for mode in [Mode::Strict, Mode::Precise, Mode::Fast] {
        let options = CompileOptions::new().mode(mode);
        // The error, relative, or of a norm relative to its scale, which is 1.
        for (text, expected, tolerance, scale) in [
            ("softmax[-1](x)", &softmax, 4e-7, 1e-6),
            ("exp(log_softmax[-1](x))", &softmax, 1e-5, 1e-6),
            ("exp(x - logsumexp[-1](x))", &softmax, 1e-5, 1e-6),
            ("layer_norm[-1](x)", &layer_norm, 4e-7, 1.0),
            ("(x - mean[-1](x)) / sqrt(var[-1](x) + 1e-5)", &layer_norm, 4e-7, 1.0),
        ] {
            let graph = ir::parse(text).unwrap();
            let found = run(&graph, options, (&x).into()).unwrap().into_f32().unwrap();
            for (found, expected) in found.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                let near = error <= tolerance * expected.abs().max(scale);
                assert!(near, "{text}, {mode}: {found}, not {expected}");
            }
        }
    }
}

/// A large mean costs no digits: the deviation is 1.
#[test]
fn norms_of_large_means() {
    let x = random(&[4, 1024], 4).mapv(|x| (1e4 + 3f64.sqrt() * x) as f32);
    let wide = x.mapv(f64::from);
    let off = &wide - &wide.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let square = off.mapv(|x| x * x).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let expected = off / square.mapv(|square| (square + 1e-5).sqrt());
    let norm = kiln::fuse!(|x| x.layer_norm(-1, 1e-5)).unwrap();
    let found = norm.call(&x).unwrap();
    let worst = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
    // Four units in the last place of 1.7, the largest deviation.
    assert!(worst.fold(0.0, f64::max) <= 4.0 * 2f64.powi(-23));
}

#[test]
fn typed_calls_and_errors() {
    let x = Array1::from_vec(vec![1.0f32, 2.0, 3.0]);
    let mean = kiln::fuse!(|x| x.mean(..)).unwrap();
    let value: f32 = mean.call_as(&x).unwrap();
    assert_eq!(value, 2.0);
    let softmax = kiln::fuse!(|x| x.softmax(-1)).unwrap();
    assert!((softmax.call(&x).unwrap().sum() - 1.0).abs() < 1e-6);
    let largest = kiln::fuse!(|x| x.amax(-1)).unwrap();
    let error = largest.call(&Array1::<f32>::zeros(0)).unwrap_err();
    let told = "max: the shape [0] does not fit: axis 0 has no elements to choose from; make it longer first, as by \
                `pad` (written at ";
    assert!(error.to_string().starts_with(told), "{error}");
    let error = kiln::fuse!(|x| x.sum(2)).unwrap().call(&x).unwrap_err();
    let told = "sum: the shape [3] does not fit: there is no axis 2: the array has 1 axis, 0 or -1 (written at ";
    assert!(error.to_string().starts_with(told), "{error}");
    // The result's memory may not be the operand's.
    let mut x = ndarray::array![[1.0f32]];
    let kernel = kiln::compile_text("sum[-1](x)").unwrap();
    let error = kernel.run_in_place(&mut x, &[]).unwrap_err();
    assert!(matches!(error, RunError::InPlace { .. }), "{error}");
}

/// Whatever stands before and after a reduction: fused, the bits are those of one kernel for each op.
#[test]
fn strict_fusion_changes_no_bit() {
    let x = random(&[5, 65, 3], 6).mapv(|x| x as f32);
    for text in [
        "let e = exp(x - max[-2](x)); e / sum[-2](e)",
        "(x - mean[0](x)) * rsqrt(var[0](x) + 1e-3) * 2 + 1",
        "log(sum[-1](exp(x))) + sum(x * x) / count(x)",
        "(softmax[1](x), logsumexp[1](x), sum[0, 1](abs(x)))",
        "sum[-1](sum[-2](x) * x) - max[..](x)",
        "select(x == max[1](x), 0, x)",
    ] {
        let graph = ir::parse(text).unwrap();
        let strict = compile_with(&graph, CompileOptions::new().mode(Mode::Strict)).unwrap();
        let unfused = compile_with(&graph, CompileOptions::unfused()).unwrap();
        let [fused, unfused] =
            [&strict, &unfused].map(|kernel| kernel.run(&[(&x).into()]).unwrap());
        for (fused, unfused) in fused.iter().zip(&unfused) {
            assert_eq!(bits(fused), bits(unfused), "{text}: {}", strict.graph());
        }
    }
}

/// Runs a kernel of one input on every emitter that the machine has, fused and not.
fn everywhere(text: &str, x: &Tensor, check: impl Fn(&Tensor, &str)) {
    let graph = ir::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    for emitter in EmitterKind::ALL {
        for options in [CompileOptions::new(), CompileOptions::unfused()] {
            let about = format!("{text} of {:?}, {emitter}, {options:?}", x.shape());
            let Ok(kernel) = compile_with(&graph, options.emitter(emitter)) else { continue };
            check(&kernel.run(&[x.view()]).unwrap().remove(0), &about);
        }
    }
}

#[test]
fn of_nothing() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for (by, expected) in [
        ("sum", 0.0),
        ("prod", 1.0),
        ("count", 0.0),
        ("mean", nan),
        ("var", nan),
        ("norm", 0.0),
        ("sup", -inf),
        ("logsumexp", -inf),
    ] {
        for (text, shape) in [
            (format!("|x: f64[..]| {by}[-1](x)"), [3, 0]),
            (format!("|x: f64[..]| {by}[0](x * 2)"), [0, 3]),
        ] {
            let x: Tensor = ArrayD::<f64>::zeros(IxDyn(&shape)).into();
            everywhere(&text, &x, |found, about| {
                let Tensor::F64(found) = found else { panic!("{about}: {}", found.dtype()) };
                let is_it =
                    |&x: &f64| x.to_bits() == expected.to_bits() || x.is_nan() && expected.is_nan();
                assert!(found.len() == 3 && found.iter().all(is_it), "{about}: {found}");
            });
        }
    }
    for (by, expected) in [("any", false), ("all", true)] {
        let x: Tensor = ArrayD::<f64>::zeros(IxDyn(&[3, 0])).into();
        everywhere(&format!("|x: f64[..]| {by}[-1](x > 0)"), &x, |found, about| {
            let Tensor::Bool(found) = found else { panic!("{about}: {}", found.dtype()) };
            assert!(found.len() == 3 && found.iter().all(|&x| x == expected), "{about}: {found}");
        });
    }
}

/// The first NaN, else the first of the largest, wherever it is among vectors and what fills none.
#[test]
fn places_at_every_position() {
    const LEN: usize = 150;
    // A row for each place: the largest there and at the end of the row, or NaN.
    let of = |largest: f32, before: f32| {
        ArrayD::from_shape_fn(IxDyn(&[LEN, LEN]), |index| {
            let (row, at) = (index[0], index[1]);
            let is_it = at == row || at == LEN - 1 && row < at;
            if is_it { largest } else { before + (at % 7) as f32 }
        })
    };
    for (text, largest, before) in [
        ("argmax[-1](x)", 9.0, 0.0),
        ("argmax[-1](x * 2)", f32::NAN, 0.0),
        ("argmin[-1](x)", -9.0, 0.0),
        ("argmin[-1](-x)", f32::NAN, f32::NEG_INFINITY),
        ("argmax[-1](x)", f32::NEG_INFINITY, f32::NEG_INFINITY),
    ] {
        let x: Tensor = of(largest, before).into();
        let all_alike = largest == before;
        everywhere(&format!("|x: f32[..]| {text}"), &x, |found, about| {
            let Tensor::I64(found) = found else { panic!("{about}: {}", found.dtype()) };
            let is_it =
                |(row, &place): (usize, &i64)| place == if all_alike { 0 } else { row as i64 };
            assert!(found.iter().enumerate().all(is_it), "{about}: {found}");
        });
    }
}
