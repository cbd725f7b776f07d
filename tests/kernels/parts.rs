//! Arrays put together: what computes a part writes it where it belongs, with the bits of the part by itself.

use super::random_mixed::memory::{Elements, Memory, ORDERS, Order};
use common::Rng;
use kiln::{CompileOptions, DType, Kernel, Mode, RunError, View, ViewMut, compile_with};
use kiln_ir::parse;

/// Kernels of `x` and `y`, of as many rows each and as many columns, and whether all parts of large ones are computed in place.
const KERNELS: &[(&str, bool)] = &[
    ("concat[0](x * 2, exp(y))", true),
    ("concat[-1](x * 2, y, exp(y))", true),
    ("concat[-1](softmax[-1](x), layer_norm[-1](y) * 2)", true),
    ("concat[0](softmax[-1](x), softmax[0](x * 2 + 1), y)", true),
    ("concat[-1](sum[-1](x * y), max[-1](x), f32(argmax[-1](x * 2)))", false),
    ("concat[0](relu(x @ transpose(y)), y @ transpose(x))", true),
    ("concat[-1](cumsum[-1](x), cumsum[0](y))", true),
    ("pad[0, 1, 2](tanh(x + y), 7)", true),
    ("pad[-1, 2, 0](pad[0, 0, 1](softmax[-1](x), 1), -1)", true),
    ("pad[-1, 1, 1](concat[-1](x + y, x - y, x), 0)", true),
    ("let e = exp(x); (concat[0](e, y), concat[-1](x * y, y * 2), sum[-1](x))", false),
    ("let e = exp(x); concat[0](e, e)", false),
    ("softmax[-1](concat[-1](x * 2, exp(y)))", false),
];
const SHAPES: [[usize; 2]; 6] = [[3, 5], [1, 64], [70, 1], [40, 65], [0, 3], [130, 700]];

/// The bits of all results of a kernel.
fn bits(kernel: &Kernel, inputs: &[Memory], order: Order) -> Result<Vec<Vec<u64>>, RunError> {
    let views: Vec<View<'_>> = inputs.iter().map(Memory::view).collect();
    let shapes = kernel.output_shapes(&views)?;
    let memory = |(at, shape): (usize, &Vec<usize>)| {
        let order = if shape.is_empty() { Order::Rows } else { order };
        Memory::new(kernel.output_dtype(at), shape, order)
    };
    let mut outputs: Vec<Memory> = shapes.iter().enumerate().map(memory).collect();
    let mut views_mut: Vec<ViewMut<'_>> = outputs.iter_mut().map(Memory::view_mut).collect();
    kernel.run_into(&views, &mut views_mut)?;
    drop(views_mut);
    Ok(outputs.iter_mut().map(Memory::bits).collect())
}

#[test]
fn parts_have_the_bits_that_they_have_alone() {
    let mut rng = Rng::new(3);
    for (text, in_place) in KERNELS {
        let text = format!("|x: f32[..], y: f32[..]| {text}");
        let graph = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let compiled = |options: CompileOptions| compile_with(&graph, options).unwrap();
        let unfused = compiled(CompileOptions::unfused().threads(1));
        let kernels = [1, 3]
            .map(|threads| compiled(CompileOptions::new().mode(Mode::Strict).threads(threads)));
        for shape in SHAPES {
            let elements = [0; 2].map(|_| Elements::draw(&mut rng, DType::F32, &shape, 50));
            let dense = elements.each_ref().map(|it| Memory::of(it, Order::Rows));
            let Ok(expected) = bits(&unfused, &dense, Order::Rows) else { continue };
            for (kernel, order) in kernels.iter().flat_map(|k| ORDERS.map(|order| (k, order))) {
                let order = if order == Order::Repeated { Order::Rows } else { order };
                let arrays = elements.each_ref().map(|it| Memory::of(it, order));
                let found = bits(kernel, &arrays, order).unwrap();
                assert!(found == expected, "{text} of {shape:?}, {order:?}");
            }
            let views = dense.each_ref().map(Memory::view);
            let peak = kernels[0].memory(&views).unwrap().peak();
            // A number that pads has a line of its own.
            let most = 64 * text.matches("pad").count();
            let is_small = shape.iter().product::<usize>() < 10_000;
            assert!(!in_place || is_small || peak <= most, "{text} of {shape:?}: {peak} bytes");
        }
    }
}

/// The halves of each row change places: both are read before either is written.
#[test]
fn an_output_that_is_an_input_is_written_last() {
    let text = "|x: f32[..]| concat[-1](slice[-1, 4:](x) * -1, slice[-1, :4](x) * 2)";
    let graph = parse(text).unwrap();
    let kernel = compile_with(&graph, CompileOptions::new()).unwrap();
    let mut x = ndarray::Array2::from_shape_fn((300, 8), |(row, at)| (row * 8 + at) as f32);
    let expected = ndarray::Array2::from_shape_fn((300, 8), |(row, at)| match at {
        0..4 => -((row * 8 + at + 4) as f32),
        _ => (row * 8 + at - 4) as f32 * 2.0,
    });
    let elsewhere = kernel.run(&[(&x).into()]).unwrap().remove(0).into_f32().unwrap();
    assert_eq!(elsewhere, expected.clone().into_dyn());
    kernel.run_in_place(&mut x, &[]).unwrap();
    assert_eq!(x, expected);
    // And elsewhere once more.
    let again = kernel.run(&[(&expected).into()]).unwrap().remove(0).into_f32().unwrap();
    assert_eq!(again[[2, 0]], -expected[[2, 4]]);
}
