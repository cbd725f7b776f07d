//! Outputs that are views of what a step gives: it writes where they have its elements.

use common::Rng;
use kiln::ir::{Array, eval};
use kiln::{CompileOptions, DType, Mode, View, ViewMut, compile_with, ir};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

const HEAD: &str = "x: f32[m, n], w: f32[n, m], y: f32[m], i: i64[k]";

/// What one step gives, of shape (m, n), (m, m), (m, 1) or (k, n).
const GIVEN: &[&str] = &[
    "softmax[-1](x)",
    "layer_norm[0](x)",
    "x @ w",
    "gelu(x @ w + y)",
    "softmax[-1](x @ w)",
    "sum[-1](x * 2)",
    "max[-1](x)",
    "argmax[-1](x)",
    "cumsum[-1](x)",
    "take[0](x, i)",
];

/// Views of it. Those of which strides do not say where elements lie are copied.
const VIEWS: &[&str] = &[
    "transpose(?)",
    "flip[0](?)",
    "flip[..](transpose(?))",
    "swapaxes[0, -1](unsqueeze[1](?))",
    "reshape[-1](?)",
    "reshape[1, -1](transpose(?))",
    "permute[2, 0, 1](unsqueeze[0](flip[1](?)))",
    "squeeze[0](unsqueeze[0](?))",
    "transpose(reshape[2, -1](flip[1](?)))",
];

fn random(rng: &mut Rng, shape: &[usize]) -> ArrayD<f32> {
    let number = || ((rng.next() >> 40) as f32 / (1 << 23) as f32 - 1.0) * 3.0;
    ArrayD::from_shape_simple_fn(shape, number)
}

/// Arrays of a shape, each of which lies in a larger one in another way, as every second column and row do,
/// backwards, and by columns.
fn rooms(shape: &[usize]) -> Vec<(ArrayD<f32>, Vec<Slice>, bool)> {
    let doubled: Vec<usize> = shape.iter().map(|size| 2 * size + 1).collect();
    let slices = |step: isize| -> Vec<Slice> {
        let slice = |&size: &usize| match step {
            1 => Slice::new(0, Some(size as isize), 1),
            step => Slice::new(1, Some(2 * size as isize + 1), step),
        };
        shape.iter().map(slice).collect()
    };
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    vec![
        (ArrayD::zeros(shape), slices(1), false),
        (ArrayD::zeros(&doubled[..]), slices(2), false),
        (ArrayD::zeros(&doubled[..]), slices(-2), false),
        (ArrayD::zeros(&reversed[..]), slices(1).into_iter().rev().collect(), true),
    ]
}

#[test]
fn one_step_writes_what_a_view_has() {
    let mut rng = Rng::new(5);
    for &given in GIVEN {
        for view in VIEWS {
            let text = view.replace('?', &given.replace("argmax[-1](x)", "f32(argmax[-1](x))"));
            let text = format!("kernel k({HEAD}) {{ {text} }}");
            let graph = ir::parse(&text).unwrap_or_else(|error| panic!("{error}"));
            // Rows are not stored by columns.
            let moves = ["transpose", "swapaxes", "permute"].iter().any(|it| view.contains(it));
            let in_any_order = ["x @ w", "gelu(x @ w + y)", "max[-1](x)"];
            // A reshape of what then lies in another order is copied.
            let is_said = !view.contains("(reshape");
            let is_copied = moves && !in_any_order.contains(&given) || !is_said;
            let passes = if is_copied { 2 } else { 1 };
            for [m, n] in [[4, 6], [1, 2], [34, 70], [2, 3000]] {
                let inputs =
                    [random(&mut rng, &[m, n]), random(&mut rng, &[n, m]), random(&mut rng, &[m])];
                let places = ndarray::arr1(&[0i64, -1]).into_dyn();
                let mut arrays: Vec<Array> = inputs
                    .iter()
                    .map(|array| {
                        let data = array.iter().map(|&x| f64::from(x)).collect();
                        Array::new(DType::F32, array.shape().to_vec(), data).unwrap()
                    })
                    .collect();
                arrays.push(Array::new(DType::I64, vec![2], vec![0i64, -1]).unwrap());
                let mut views: Vec<View<'_>> = inputs.iter().map(View::from).collect();
                views.push((&places).into());
                let options = CompileOptions::default().mode(Mode::Strict);
                let kernel = compile_with(&graph, options).unwrap();
                let Ok(mut found) = kernel.run(&views) else {
                    assert!(eval(&graph, &arrays).is_err(), "{text} of {m} by {n}");
                    continue;
                };
                let found = found.remove(0).into_f32().unwrap();
                // As one pass each, with a copy for the view.
                let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
                let meant = apart.run(&views).unwrap().remove(0).into_f32().unwrap();
                assert_eq!(kernel.pass_count(), passes, "{}", kernel.graph());
                let same =
                    |a: &ArrayD<f32>| a.iter().zip(&meant).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(found.shape() == meant.shape() && same(&found), "{text} of {m} by {n}");
                for (mut room, slices, by_columns) in rooms(meant.shape()) {
                    let mut output = room.view_mut();
                    for (axis, slice) in slices.iter().enumerate() {
                        output.slice_axis_inplace(Axis(axis), *slice);
                    }
                    if by_columns {
                        output = output.reversed_axes();
                    }
                    kernel.run_into(&views, &mut [output.view_mut().into()]).unwrap();
                    assert!(same(&output.to_owned()), "{text} of {m} by {n}");
                    output.fill(0.0);
                    assert!(room.iter().all(|&x| x == 0.0), "{text} wrote beside its output");
                }
            }
        }
    }
}

/// What is written where an input lies is copied at last: a step may read that in another order.
#[test]
fn where_an_input_lies() {
    let mut rng = Rng::new(6);
    for text in [
        "transpose(softmax[-1](x))",
        "flip[0](layer_norm[-1](x))",
        "transpose(x @ x)",
        "flip[..](cumsum[0](x))",
    ] {
        let graph = ir::parse(&format!("kernel k(x: f32[n, n]) {{ {text} }}")).unwrap();
        let kernel = compile_with(&graph, CompileOptions::default()).unwrap();
        let mut x = random(&mut rng, &[50, 50]);
        let meant = kernel.run(&[(&x).into()]).unwrap().remove(0).into_f32().unwrap();
        kernel.run_in_place(&mut x, &[]).unwrap();
        assert_eq!(x, meant, "{text}");
    }
    // The second of two, too.
    let text = "kernel k(x: f32[n, n]) { (transpose(x @ x), flip[0](softmax[-1](x))) }";
    let kernel = compile_with(&ir::parse(text).unwrap(), CompileOptions::default()).unwrap();
    let mut x = random(&mut rng, &[50, 50]);
    let meant = kernel.run(&[(&x).into()]).unwrap();
    let meant = meant.into_iter().map(|output| output.into_f32().unwrap()).collect::<Vec<_>>();
    let mut product = ArrayD::<f32>::zeros(IxDyn(&[50, 50]));
    let base = x.as_mut_ptr().cast::<u8>();
    // SAFETY: the array has these elements, and an output may be exactly an input.
    let input = unsafe { View::from_raw(base, DType::F32, &[50, 50], &[200, 4]) };
    // SAFETY: as above.
    let output = unsafe { ViewMut::from_raw(base, DType::F32, &[50, 50], &[200, 4]) };
    kernel.run_into(&[input], &mut [(&mut product).into(), output]).unwrap();
    assert_eq!([product, x], meant[..]);
}

/// A value that is read elsewhere too is not written so, nor an output twice, nor what a slice leaves of one.
#[test]
fn what_has_another_reader() {
    for (text, passes) in [
        ("let s = softmax[-1](x); (s, transpose(s))", 2),
        ("let s = softmax[-1](x); (transpose(s), transpose(s))", 3),
        ("let s = softmax[-1](x); (transpose(s), s @ w)", 3),
        ("slice[0, 1:](softmax[-1](x))", 2),
        ("let s = softmax[-1](x); (flip[0](s), exp(s))", 1),
        ("flip[0](concat[0](x, x * 2))", 3),
    ] {
        let graph = ir::parse(&format!("kernel k({HEAD}) {{ {text} }}")).unwrap();
        let kernel = compile_with(&graph, CompileOptions::default()).unwrap();
        let mut rng = Rng::new(7);
        let inputs = [[5, 7], [7, 5]].map(|shape| random(&mut rng, &shape));
        let (y, places) = (ArrayD::<f32>::zeros(IxDyn(&[5])), ndarray::arr1(&[0i64]).into_dyn());
        let mut views: Vec<View<'_>> = inputs.iter().map(View::from).collect();
        views.extend([View::from(&y), View::from(&places)]);
        let unfused = compile_with(&graph, CompileOptions::unfused()).unwrap();
        let [found, meant] = [&kernel, &unfused].map(|kernel| kernel.run(&views).unwrap());
        for (found, meant) in found.iter().zip(&meant) {
            let [found, meant] = [found, meant].map(|it| it.clone().into_f32().unwrap());
            let near =
                found.iter().zip(&meant).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1e-3));
            assert!(found.shape() == meant.shape() && near, "{text}");
        }
        assert_eq!(kernel.pass_count(), passes, "{text}: {}", kernel.graph());
    }
}

/// Views of reductions and products go on to the results, so that what is computed of them is one kernel.
#[test]
fn views_rise() {
    for (text, passes) in [
        ("squeeze[-1](sum[-1](x)) * 2", 1),
        ("y / squeeze[-1](sum[-1](x))", 1),
        ("squeeze[-1](max[-1](x)) - squeeze[-1](mean[-1](x))", 1),
        ("x - unsqueeze[-1](squeeze[-1](mean[-1](x)))", 1),
        ("transpose(softmax[-1](x)) * w", 2),
        ("gelu(transpose(x @ w) + unsqueeze[-1](y))", 1),
        ("transpose(x @ w) + y", 1),
        ("transpose(x @ w) + transpose(w) @ transpose(x)", 3),
        ("reshape[-1](sum[-1](x)) * 2", 1),
        ("transpose(layer_norm[-1](x)) @ x", 2),
        ("squeeze[-1](sum[-1](x)) + squeeze[0](sum[0](w))", 3),
    ] {
        let graph = ir::parse(&format!("kernel k({HEAD}) {{ {text} }}")).unwrap();
        let mut rng = Rng::new(8);
        let inputs = [vec![6, 9], vec![9, 6], vec![6]].map(|shape| random(&mut rng, &shape));
        let places = ndarray::arr1(&[0i64]).into_dyn();
        let mut views: Vec<View<'_>> = inputs.iter().map(View::from).collect();
        views.push((&places).into());
        let strict = CompileOptions::default().mode(Mode::Strict);
        let [found, meant] = [strict, CompileOptions::unfused()].map(|options| {
            compile_with(&graph, options)
                .unwrap()
                .run(&views)
                .unwrap()
                .remove(0)
                .into_f32()
                .unwrap()
        });
        assert_eq!(found, meant, "{text}");
        let kernel = compile_with(&graph, CompileOptions::default()).unwrap();
        assert_eq!(kernel.pass_count(), passes, "{text}: {}", kernel.graph());
    }
}
