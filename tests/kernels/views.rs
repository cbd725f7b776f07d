//! Views in kernels: against `ndarray` and the interpreter, in every layout, and as parts of fused
//! chains.

use common::Rng;
use kiln::ir::{Array, eval};
use kiln::{CompileOptions, DType, Expr, Graph, RunError, Tensor, View, compile_with, ir};
use ndarray::{ArrayD, Axis, Ix2, Slice, s};

/// An array of 0, 1, 2, ..
fn counted(shape: &[usize]) -> ArrayD<f64> {
    let mut next = -1.0;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 1.0;
        next
    })
}

fn unfused() -> CompileOptions {
    CompileOptions::unfused()
}

fn run(graph: &Graph, options: CompileOptions, inputs: &[View<'_>]) -> Result<Tensor, RunError> {
    Ok(compile_with(graph, options).unwrap().run(inputs)?.remove(0))
}

fn result(graph: &Graph, options: CompileOptions, inputs: &[View<'_>]) -> ArrayD<f64> {
    run(graph, options, inputs).unwrap_or_else(|e| panic!("{graph}{e}")).into_f64().unwrap()
}

/// A random view of an array, as Kiln's and as `ndarray`'s.
fn random_view(rng: &mut Rng, x: &Expr, array: ArrayD<f64>) -> (Expr, ArrayD<f64>) {
    let rank = array.ndim();
    let mut below = |n: usize| (rng.next() >> 33) as usize % n.max(1);
    // An axis, counted from either end.
    let written = |axis: usize, from_last: bool| match from_last {
        true => axis as i32 - rank as i32,
        false => axis as i32,
    };
    match below(8) {
        0 => (x.t(), array.reversed_axes()),
        1 if rank > 0 => {
            let (a, b) = (below(rank), below(rank));
            let mut swapped = array;
            swapped.swap_axes(a, b);
            (x.swapaxes(written(a, below(2) == 0), written(b, false)), swapped)
        }
        2 if rank > 0 => {
            let axis = below(rank);
            let bound = |at: usize| match at {
                0 => None,
                at => Some(at as i64 - 6),
            };
            let (start, stop) = (bound(below(12)), bound(below(12)));
            let step = [1, 2, 3, -1, -2][below(5)];
            let sliced = x.slice_by(written(axis, below(2) == 0), start, stop, step);
            // NumPy's rules, element by element.
            let len = array.len_of(Axis(axis)) as i64;
            let (least, most) = if step > 0 { (0, len) } else { (-1, len - 1) };
            let at = |bound: i64| (if bound < 0 { bound + len } else { bound }).clamp(least, most);
            let (from, to) = if step > 0 { (least, most) } else { (most, least) };
            let (mut at_now, to) = (start.map_or(from, at), stop.map_or(to, at));
            let mut taken = Vec::new();
            while if step > 0 { at_now < to } else { at_now > to } {
                taken.push(at_now as usize);
                at_now += step;
            }
            (sliced, array.select(Axis(axis), &taken))
        }
        3 if rank > 0 => {
            let axis = below(rank);
            let mut flipped = array;
            flipped.invert_axis(Axis(axis));
            (x.flip(written(axis, below(2) == 0)), flipped)
        }
        4 if rank < 8 => {
            let axis = below(rank + 1);
            (x.unsqueeze(axis as i32), array.insert_axis(Axis(axis)))
        }
        5 => match (0..rank).find(|&axis| array.len_of(Axis(axis)) == 1) {
            Some(axis) => (x.squeeze(written(axis, true)), array.remove_axis(Axis(axis))),
            None => (x.t(), array.reversed_axes()),
        },
        6 if rank < 8 && array.len() < 4096 => {
            let mut shape = array.shape().to_vec();
            shape.iter_mut().filter(|size| **size == 1).for_each(|size| *size = 3);
            shape.insert(0, below(3));
            let expanded = array.broadcast(&shape[..]).unwrap().to_owned();
            (x.expand(&shape[..]), expanded)
        }
        _ => {
            // Some neighbours joined, others split.
            let mut shape: Vec<usize> = array.shape().to_vec();
            if rank > 1 && below(3) > 0 {
                let axis = below(rank - 1);
                shape[axis] *= shape.remove(axis + 1);
            }
            if let Some(axis) = shape.iter().position(|&size| size % 2 == 0 && size > 0)
                && shape.len() < 8
            {
                shape[axis] /= 2;
                shape.insert(axis + 1, 2);
            }
            let elements: Vec<f64> = array.iter().copied().collect();
            (x.reshape(&shape[..]), ArrayD::from_shape_vec(shape, elements).unwrap())
        }
    }
}

/// Chains of views of arrays of up to eight axes, some of no elements, in rows, in columns and
/// backwards.
#[test]
fn as_ndarray_does() {
    let mut rng = Rng::new(11);
    for round in 0..300 {
        let rank = (rng.next() >> 33) as usize % 7;
        let size = |rng: &mut Rng| [1, 2, 3, 4, 5, 1, 2, 6, 0][(rng.next() >> 33) as usize % 9];
        let shape: Vec<usize> = (0..rank).map(|_| size(&mut rng)).collect();
        let array = counted(&shape);
        let (mut expr, mut expected) = (Expr::input("x: f64"), array.clone());
        for _ in 0..1 + round % 4 {
            (expr, expected) = random_view(&mut rng, &expr, expected);
        }
        let columns = array.t().as_standard_layout().into_owned();
        let mut backwards = array.clone();
        for axis in 0..rank {
            backwards.invert_axis(Axis(axis));
        }
        let mut backwards = backwards.as_standard_layout().into_owned();
        for axis in 0..rank {
            backwards.invert_axis(Axis(axis));
        }
        let views = [array.view(), columns.view().reversed_axes(), backwards.view()];
        // The view alone is a copy; in a sum it is read as it lies.
        let graphs = [expr.clone(), &expr + 1.0, (&expr * 2.0).t()]
            .map(|expr| ir::build("k", &[expr]).unwrap());
        let expected = [expected.clone(), &expected + 1.0, (&expected * 2.0).reversed_axes()];
        for (graph, expected) in graphs.iter().zip(&expected) {
            assert_eq!(&ir::parse(&graph.to_string()).unwrap(), graph, "{graph}");
            let data: Vec<f64> = array.iter().copied().collect();
            let input = Array::new(DType::F64, shape.clone(), data).unwrap();
            let meant = eval(graph, &[input]).unwrap().remove(0);
            assert_eq!(meant.shape(), expected.shape(), "{graph}");
            assert!(meant.data().iter().eq(expected.iter()), "{graph}");
            for view in &views {
                for options in [CompileOptions::default(), unfused()] {
                    let found = result(graph, options, &[view.into()]);
                    assert_eq!(&found, expected, "{graph} of {shape:?}");
                }
            }
        }
    }
}

/// What is a view costs no pass, and what reads one reads it as it lies.
#[test]
fn no_pass_for_a_view() {
    for (text, passes) in [
        ("kernel k(x: f32[n, m], b: f32[m, n]) { gelu(transpose(x) + b) }", 1),
        ("transpose(x)", 1),
        ("softmax[-1](swapaxes[-2, -1](x))", 1),
        ("q @ swapaxes[-2, -1](k)", 1),
        ("transpose(a @ b) + 1", 1),
        ("reshape[-1, 3](sum[-1](x)) * 2", 1),
    ] {
        let graph = ir::parse(text).unwrap();
        let kernel = compile_with(&graph, CompileOptions::default()).unwrap();
        assert_eq!(kernel.pass_count(), passes, "{}", kernel.graph());
    }
}

/// Products and reductions of views, and views of them.
#[test]
fn products_and_reductions() {
    let (a, b) = (counted(&[3, 4]), counted(&[3, 5]));
    let graph = ir::parse("|a: f64, b: f64| flip[0](transpose(transpose(a) @ b))").unwrap();
    let product = a
        .view()
        .into_dimensionality::<Ix2>()
        .unwrap()
        .t()
        .dot(&b.view().into_dimensionality::<Ix2>().unwrap());
    let expected = product.t().slice(s![..;-1, ..]).to_owned().into_dyn();
    for options in [CompileOptions::default(), unfused()] {
        assert_eq!(result(&graph, options, &[(&a).into(), (&b).into()]), expected);
    }
    let graph = ir::parse("|a: f64, r: f64| transpose(sum[0](slice[1, ::-2](a))) - r").unwrap();
    let sums = a.slice_axis(Axis(1), Slice::new(0, None, -2)).sum_axis(Axis(0));
    let expected = sums.insert_axis(Axis(1));
    let row = counted(&[1, 4]);
    for options in [CompileOptions::default(), unfused()] {
        let found = result(&graph, options, &[(&a).into(), (&row).into()]);
        assert_eq!(found, &expected - &row);
    }
}

/// An output may be an input only where it is read as it lies.
#[test]
fn in_place() {
    let transposed = ir::parse("|x: f64| transpose(x) + 1").unwrap();
    let kernel = compile_with(&transposed, CompileOptions::default()).unwrap();
    let mut x = counted(&[3, 3]);
    let error = kernel.run_in_place(&mut x, &[]).unwrap_err();
    assert!(matches!(error, RunError::InPlace { .. }), "{error}");
    assert_eq!(x, counted(&[3, 3]), "nothing was written");
    let plain = ir::parse("|x: f64| x + 1").unwrap();
    compile_with(&plain, CompileOptions::default()).unwrap().run_in_place(&mut x, &[]).unwrap();
    assert_eq!(x, counted(&[3, 3]) + 1.0);
}

/// What does not fit is told at the call, too.
#[test]
fn misfits_of_a_call() {
    for (text, shape, message) in [
        (
            "reshape[2, -1](x)",
            &[3, 3][..],
            "reshape: the shape [3, 3] does not fit: its 9 elements",
        ),
        ("permute[1, 0](x) + 1", &[3], "permute: the shape [3] does not fit: 2 axes are in order"),
        ("slice[2, ::2](x)", &[3, 3], "slice: the shape [3, 3] does not fit: there is no axis 2"),
        (
            "squeeze[0](exp(x))",
            &[3, 3],
            "squeeze: the shape [3, 3] does not fit: axis 0 has size 3",
        ),
        ("expand[2, 2](x)", &[3], "expand: the shape [3] does not fit: axis 0 has size 3"),
    ] {
        let graph = ir::parse(&format!("|x: f64| {text}")).unwrap();
        for options in [CompileOptions::default(), unfused()] {
            let x = counted(shape);
            let error = run(&graph, options, &[(&x).into()]).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}

/// Every type of elements, in layouts of all kinds, against the interpreter.
#[test]
fn picked_and_put_together() {
    let x = counted(&[3, 4, 5]);
    let columns = x.t().as_standard_layout().into_owned();
    let places = ArrayD::from_shape_vec(vec![2, 2], vec![2i64, -1, 0, 1]).unwrap();
    let short = places.mapv(|place| place as i32);
    for body in [
        "take[0](x, i)",
        "take[1](x, i)",
        "take[-1](x * 2, i) + 1",
        "take[0](transpose(x), i)",
        "take_along[0](x, unsqueeze[-1](slice[0, :1](i)))",
        "take_along[2](slice[0, :2](x), unsqueeze[1](i))",
        "concat[1](x, x + 100) * 2",
        "concat[-1](x, slice[2, ::-2](x), x)",
        "concat[1](concat[1](x, x + 100), concat[1](x * 2, x), x) + 1",
        "concat[0](transpose(x), unsqueeze[-1](transpose(slice[0, 0:1](squeeze[0](slice[0, :1](x))))))",
        "pad[1, 2, 1](x, 7)",
        "pad[0, 0, 0](transpose(x), 7)",
        "x + iota[1](x * 2)",
        "select(iota[-2](x) >= iota[-1](x), x, -1)",
        "select(one_hot[5](i), 1, 0) + sum(x)",
    ] {
        for dtype in ["f64", "f32", "f16", "i32", "i64", "u8", "bool"] {
            for index in ["i64", "i32"] {
                let cast = body.replace('x', &format!("{dtype}(x)")).replace("mafix", "max");
                let cast = cast.replace(&format!("ma{dtype}(x)"), "max");
                let text = format!("kernel k(x: f64[..], i: {index}[..]) {{ f64({cast}) }}");
                let Ok(graph) = ir::parse(&text) else { continue };
                let arrays = [
                    Array::new(DType::F64, x.shape().to_vec(), x.iter().copied().collect())
                        .unwrap(),
                    Array::new(
                        graph.inputs()[1].dtype,
                        vec![2, 2],
                        places.iter().copied().collect::<Vec<i64>>(),
                    )
                    .unwrap(),
                ];
                let Ok(mut meant) = eval(&graph, &arrays) else { continue };
                let meant = meant.remove(0);
                let indices: View<'_> =
                    if index == "i64" { (&places).into() } else { (&short).into() };
                for x in [x.view(), columns.view().reversed_axes()] {
                    for options in [CompileOptions::default(), unfused()] {
                        let found = result(&graph, options, &[(&x).into(), indices.clone()]);
                        assert_eq!(found.shape(), meant.shape(), "{text}");
                        assert!(found.iter().eq(meant.data()), "{text}: {found}");
                    }
                }
            }
        }
    }
}

/// A place that is none is told before anything is written.
#[test]
fn places_out_of_bounds() {
    let graph = ir::parse("kernel k(x: f64[..], i: i64[..]) { (x + 1, take[0](x, i)) }").unwrap();
    let x = counted(&[3, 2]);
    for places in [[0, 3], [-4, 0]] {
        for options in [CompileOptions::default(), unfused()] {
            let kernel = compile_with(&graph, options).unwrap();
            let places = ndarray::arr1::<i64>(&places);
            let (mut sum, mut taken) = (counted(&[3, 2]) * 0.0, counted(&[2, 2]) * 0.0);
            let inputs = [View::from(&x), View::from(&places)];
            let mut outputs = [(&mut sum).into(), (&mut taken).into()];
            let error = kernel.run_into(&inputs, &mut outputs).unwrap_err();
            assert!(matches!(error, RunError::Place { axis: 0, size: 3, .. }), "{error}");
            assert!(kernel.run(&inputs).is_err());
            assert!(sum.iter().chain(&taken).all(|&x| x == 0.0), "nothing was written");
        }
    }
    let error = run(
        &ir::parse("|x: f64| take[0](x, i64(x))").unwrap(),
        CompileOptions::default(),
        &[(&x).into()],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "take: 3 is no place along axis 0, of size 3; they go from -3 to 2"
    );
}

/// A mask of two iotas is part of the kernel that uses it.
#[test]
fn a_causal_softmax() {
    let text = "kernel k(s: f32[h, n, m]) {
        softmax[-1](select(iota[-2](s) >= iota[-1](s), s * 0.125, -inf))
    }";
    let kernel = compile_with(&ir::parse(text).unwrap(), CompileOptions::default()).unwrap();
    assert_eq!(kernel.pass_count(), 1, "{}", kernel.graph());
    let s = ndarray::Array3::<f32>::zeros((2, 3, 3));
    let found = kernel.run(&[(&s).into()]).unwrap().remove(0).into_f32().unwrap();
    let third = 1.0f32 / 3.0;
    let row = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [third, third, third]];
    assert_eq!(found.index_axis(Axis(0), 1), ndarray::arr2(&row).into_dyn());
}

/// What has no elements is picked of nothing, wherever its axes say that some lie.
#[test]
fn nothing_is_picked_where_there_is_nothing() {
    for (shape, places, axis) in [
        (&[9, 0][..], &[3, 0][..], 0),
        (&[0, 9, 0, 9], &[2, 9, 0, 9], 0),
        (&[1, 5, 40, 0], &[1, 2, 40, 0], 1),
        (&[2, 3, 0, 1, 1], &[2, 1, 0, 1, 1], 1),
        (&[4, 5], &[4, 0], 1),
    ] {
        let x = ArrayD::<f64>::zeros(shape);
        let i = ArrayD::<i64>::zeros(places);
        for text in [
            format!("take_along[{axis}](x, i)"),
            format!("take_along[{axis}](x * 2, i)"),
            format!("take_along[{axis}](exp(x), i + 0) + 1"),
        ] {
            let graph = ir::parse(&format!("|x: f64[..], i: i64[..]| {text}")).unwrap();
            for options in [CompileOptions::new(), unfused()] {
                let found = run(&graph, options, &[(&x).into(), (&i).into()]).unwrap();
                assert_eq!(found.shape(), places, "{text}");
            }
        }
    }
}
