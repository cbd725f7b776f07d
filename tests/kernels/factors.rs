//! Products of operands of every type, against the reference interpreter.

use common::Rng;
use half::{bf16, f16};
use kiln::internals::matmul;
use kiln::ir::{Array, eval, parse};
use kiln::{DType, RunError, Tensor, View, ViewMut, compile_text};
use ndarray::{Array2, ArrayD, s};

/// Random numbers of a type, and the same for the interpreter.
pub(crate) fn draw(rng: &mut Rng, dtype: DType, shape: &[usize]) -> (Tensor, Array) {
    let count = shape.iter().product();
    let numbers: Vec<f64> = (0..count).map(|_| dtype.round(4.0 * rng.ordinary().sin())).collect();
    let array = Array::new(dtype, shape.to_vec(), numbers.clone()).unwrap();
    let of = ArrayD::from_shape_vec(shape.to_vec(), numbers).unwrap();
    let tensor: Tensor = match dtype {
        DType::F16 => of.mapv(f16::from_f64).into(),
        DType::BF16 => of.mapv(bf16::from_f64).into(),
        DType::F32 => of.mapv(|x| x as f32).into(),
        _ => of.into(),
    };
    (tensor, array)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::F16(a) => a.iter().map(|x| x.to_f64()).collect(),
        Tensor::BF16(a) => a.iter().map(|x| x.to_f64()).collect(),
        Tensor::F32(a) => a.iter().map(|&x| x.into()).collect(),
        Tensor::F64(a) => a.iter().copied().collect(),
        _ => panic!("no floats"),
    }
}

/// Every pair of types, few rows and many, with the bits of the interpreter.
#[test]
fn operands_of_every_type() {
    let mut rng = Rng::new(5);
    let floats = [DType::F16, DType::BF16, DType::F32, DType::F64];
    let shapes: [[&[usize]; 2]; 5] = [
        [&[1, 70], &[70, 300]],
        [&[5, 70], &[70, 40]],
        [&[230, 33], &[33, 50]],
        [&[3, 4, 20], &[20, 9]],
        [&[2, 1, 4, 20], &[3, 20, 9]],
    ];
    for (left, right) in floats.iter().flat_map(|&l| floats.map(|r| (l, r))) {
        for ([a, b], text) in shapes.iter().zip(["a @ b", "bf16(a @ b)"].iter().cycle()) {
            let text = format!("|a: {left}{a:?}, b: {right}{b:?}| {text}");
            let graph = parse(&text).unwrap();
            let kernel = compile_text(&text).unwrap();
            let ((a, a_numbers), (b, b_numbers)) =
                (draw(&mut rng, left, a), draw(&mut rng, right, b));
            let expected = eval(&graph, &[a_numbers, b_numbers]).unwrap();
            let found = kernel.run(&[a.view(), b.view()]).unwrap().remove(0);
            assert_eq!(found.dtype(), expected[0].dtype(), "{text}");
            assert!(numbers(&found) == expected[0].data(), "{text}");
        }
    }
}

/// Transposed, strided and reversed operands, in blocks on several threads.
#[test]
fn halves_in_every_layout() {
    let mut rng = Rng::new(6);
    let (m, k, n) = (210, 100, 150);
    let mut half = |rows: usize, columns: usize| {
        Array2::from_shape_fn((rows, columns), |_| bf16::from_f64(rng.ordinary()))
    };
    let (a, b) = (half(2 * m, 3 * k), half(2 * k, 3 * n));
    for rows in [1, 9, m] {
        let a = a.slice(s![..2 * rows; -2, ..3 * k; 3]);
        let b = b.slice(s![..2 * k; 2, ..3 * n; -3]);
        let [a_rows, b_rows] = [&a, &b].map(|x| x.as_standard_layout().into_owned());
        let [a_columns, b_columns] = [&a, &b].map(|x| x.t().as_standard_layout().into_owned());
        let (wide_a, wide_b) = (a.mapv(bf16::to_f32), b.mapv(bf16::to_f32));
        let mut expected = Array2::<f32>::zeros((rows, n));
        matmul(&(&wide_a).into(), &(&wide_b).into(), &mut (&mut expected).into(), None).unwrap();
        for a in [a, a_rows.view(), a_columns.t()] {
            for b in [b, b_rows.view(), b_columns.t()] {
                for threads in [Some(1), Some(3)] {
                    let mut out = Array2::<f32>::zeros((rows, n));
                    let (a, b) = (View::from(&a), View::from(&b));
                    matmul(&a, &b, &mut ViewMut::from(&mut out), threads).unwrap();
                    assert_eq!(out, expected, "{rows} rows, strides {:?}", b.strides());
                }
            }
        }
    }
}

/// Halves are read as they lie, also where a conversion is written out.
#[test]
fn no_copy_is_made_of_halves() {
    for text in [
        "|x: f32[m, k], w: bf16[k, n]| x @ w",
        "|x: f32[m, k], w: bf16[k, n]| x @ f32(w)",
        "|x: f16[m, k], w: bf16[k, n]| f32(x) @ w",
    ] {
        let kernel = compile_text(text).unwrap();
        assert_eq!(kernel.pass_count(), 1, "{text}: {}", kernel.graph());
        assert_eq!(kernel.output_dtype(0), DType::F32);
    }
    let wide = compile_text("|x: f64[m, k], w: bf16[k, n]| x @ w").unwrap();
    assert_eq!(wide.output_dtype(0), DType::F64);
}

#[test]
fn wrong_types_are_refused() {
    let half = Array2::from_elem((4, 4), bf16::ZERO);
    let double = Array2::<f64>::zeros((4, 4));
    let mut out = Array2::from_elem((4, 4), bf16::ZERO);
    let found = matmul(&(&half).into(), &(&half).into(), &mut (&mut out).into(), None);
    assert!(matches!(found, Err(RunError::DType { expected: DType::F32, .. })), "{found:?}");
    let mut out = Array2::<f32>::zeros((4, 4));
    let found = matmul(&(&half).into(), &(&double).into(), &mut (&mut out).into(), None);
    assert!(matches!(found, Err(RunError::DType { expected: DType::F32, .. })), "{found:?}");
    let integers = compile_text("|x: bf16[m, k], w: i32[k, n]| x @ w").unwrap_err();
    assert!(integers.to_string().contains("floats"), "{integers}");
}

/// A batch with one right operand, and what is computed of it, has the bits of its matrices one by one,
/// whatever is added and however rows lie.
#[test]
fn batches_are_their_matrices() {
    let mut rng = Rng::new(9);
    let (batch, m, k, n) = ([2, 3], 7, 40, 30);
    let mut draw = |shape: &[usize]| ArrayD::from_shape_simple_fn(shape, || rng.ordinary().sin());
    let x = draw(&[batch[0], batch[1], 2 * m, k]);
    let (w, v) = (draw(&[k, n]), draw(&[k]));
    let rows = x.slice(s![.., .., ..;2, ..]).into_dyn();
    let gaps = x.slice(s![.., .., ..m, ..]).into_dyn();
    let added: [&[usize]; 7] =
        [&[n], &[1, 1, 1, n], &[2, 3, m, n], &[2, 3, m, 1], &[m, n], &[3, 1, n], &[2, 1, 1, 1]];
    for text in ["relu(x @ w + b)", "(x @ w) * b, exp(x @ w)", "x @ w, b"] {
        let kernel = compile_text(&format!("|x: f64, w: f64, b: f64| ({text})")).unwrap();
        for (x, shape) in [&rows, &gaps].into_iter().flat_map(|x| added.map(|shape| (x, shape))) {
            let b = draw(shape);
            let whole = b.broadcast(vec![batch[0], batch[1], m, n]).unwrap();
            let found = kernel.run(&[x.into(), (&w).into(), (&b).into()]).unwrap().remove(0);
            let found = found.into_f64().unwrap();
            for i in 0..batch[0] {
                for j in 0..batch[1] {
                    let part = |of: &ndarray::ArrayViewD<f64>| {
                        of.slice(s![i, j, .., ..]).to_owned().into_dyn()
                    };
                    let (x, b) = (part(x), part(&whole));
                    let one = kernel.run(&[(&x).into(), (&w).into(), (&b).into()]).unwrap();
                    let one = one[0].clone().into_f64().unwrap();
                    assert_eq!(part(&found.view()), one, "{text}, {shape:?}");
                }
            }
        }
    }
    let kernel = compile_text("|x: f64, v: f64| relu(x @ v)").unwrap();
    let found = kernel.run(&[rows.into(), (&v).into()]).unwrap().remove(0);
    assert_eq!(found.shape(), [2, 3, m]);
}
