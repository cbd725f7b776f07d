//! Running sums and products in kernels: against the interpreter, in every layout, on any number of
//! threads.

use kiln::ir::{Array, build, eval, parse};
use kiln::{CompileOptions, DType, Expr, Tensor, View, compile_with};
use ndarray::{Array2, ArrayD, Axis, IxDyn, Slice};

/// Numbers of which sums and products are exact.
fn whole(shape: &[usize]) -> ArrayD<f64> {
    let mut next = 0u32;
    ArrayD::from_shape_simple_fn(shape, || {
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [1.0, -1.0, 2.0, 0.5][(next >> 30) as usize]
    })
}

fn run(text: &str, threads: usize, x: View<'_>) -> Tensor {
    let kernel =
        compile_with(&parse(text).unwrap(), CompileOptions::new().threads(threads)).unwrap();
    kernel.run(&[x]).unwrap().remove(0)
}

/// Of one to four axes, along each, counted from both ends.
#[test]
fn as_the_interpreter_along_every_axis_in_every_layout() {
    for shape in [
        &[1][..],
        &[40],
        &[0],
        &[3, 37],
        &[37, 3],
        &[2, 0],
        &[3, 4, 5],
        &[18, 1, 20],
        &[4, 270],
        &[2, 3, 4, 17],
    ] {
        let x = whole(shape);
        // The same elements elsewhere in memory: columns first, and backwards with gaps.
        let columns = x.t().as_standard_layout().into_owned();
        let wide_shape: Vec<usize> = shape.iter().map(|size| size * 2).collect();
        let mut wide = ArrayD::zeros(IxDyn(&wide_shape));
        let mut inside = wide.slice_each_axis_mut(|_| Slice::new(0, None, -2));
        inside.assign(&x);
        let inside = wide.slice_each_axis(|_| Slice::new(0, None, -2));
        let rank = shape.len() as i64;
        for axis in -rank..rank {
            for name in ["cumsum", "cumprod"] {
                let text = format!("|x: f64[..]| {name}[{axis}](x)");
                let graph = parse(&text).unwrap();
                assert_eq!(parse(&graph.to_string()).unwrap(), graph, "{graph}");
                let data = x.iter().copied().collect::<Vec<f64>>();
                let operand = Array::new(DType::F64, shape.to_vec(), data).unwrap();
                let expected = eval(&graph, &[operand]).unwrap().remove(0);
                for view in [x.view(), columns.t(), inside.view()] {
                    let found = run(&text, 1, (&view).into()).into_f64().unwrap();
                    assert_eq!(found.shape(), expected.shape(), "{text} of {shape:?}");
                    assert!(found.iter().eq(expected.data()), "{text} of {shape:?}");
                }
            }
        }
    }
}

/// Large enough for threads, with rows across and along memory.
#[test]
fn threads_and_layouts_change_no_bit() {
    let mut next = 1u32;
    let x = Array2::from_shape_simple_fn((700, 900), || {
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (next >> 8) as f32 / 3e6 - 2.7
    });
    let columns = x.t().as_standard_layout().into_owned();
    for text in ["cumsum[-1](x)", "cumsum[0](x)", "cumprod[1](x)", "f32(cumsum[0](f64(x)))"] {
        let by = |threads, view: View<'_>| {
            let found = run(text, threads, view).into_f32().unwrap();
            found.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let one = by(1, (&x).into());
        for threads in [1, 2, 3, 7] {
            assert_eq!(by(threads, (&x).into()), one, "{text} on {threads}");
            assert_eq!(by(threads, (&columns.t()).into()), one, "{text} on {threads}");
        }
    }
    // Element by element, as it is defined.
    let found = run("cumsum[0](x)", 2, (&x).into()).into_f32().unwrap();
    for (found, row) in found.axis_iter(Axis(1)).zip(x.axis_iter(Axis(1))) {
        let mut sum = 0.0;
        for (found, &x) in found.iter().zip(row) {
            sum += f64::from(x);
            assert_eq!(*found, sum as f32);
        }
    }
}

/// Bools and short integers are summed up as `i64`; what is around a scan fuses, it does not.
#[test]
fn types_and_programs() {
    let x = ndarray::arr1(&[2_000_000_000i32, 2_000_000_000, -1]);
    let found = run("|x: i32[..]| cumsum[0](x)", 1, (&x).into()).into_i64().unwrap();
    assert_eq!(found.as_slice(), Some(&[2_000_000_000, 4_000_000_000, 3_999_999_999][..]));
    let x = ndarray::arr1(&[1f32, -1.0, 3.0]);
    let found = run("cumsum[-1](x > 0)", 1, (&x).into()).into_i64().unwrap();
    assert_eq!(found.as_slice(), Some(&[1, 1, 2][..]));
    let found = run("exp(cumsum[-1](x * 2 - 2)) - 1", 1, (&x).into()).into_f32().unwrap();
    assert_eq!(found[0], 0.0);
    let x = Expr::input("x");
    let graph = build("k", &[x.cumsum(-1) * x.cumprod(0)]).unwrap();
    assert_eq!(parse(&graph.to_string()).unwrap(), graph);
    let kernel = compile_with(&graph, CompileOptions::new()).unwrap();
    let y = Array2::<f32>::zeros((3, 4));
    let plan = kernel.plan_for(&[(&y).into()]).unwrap().to_string();
    // Of two columns and of rows: one of both is a pass of its own.
    assert!(plan.contains("a running"), "{plan}");
}

/// What is computed before and after scans is one kernel with them, where they go along the same rows.
#[test]
fn scans_are_stages() {
    for (text, passes) in [
        ("|x| cumsum[-1](exp(x))", 1),
        ("|x, y| cumsum[-1](exp(x)) * y", 1),
        ("|x| cumsum[0](x * 2) - x", 1),
        ("|x| cumsum[-1](softmax[-1](x)) <= 0.9", 1),
        ("|x| cumsum[-1](x) / sum[-1](x)", 1),
        ("|x| max[-1](cumsum[-1](x))", 1),
        ("|x| cumprod[-1](1 - cumsum[-1](x))", 1),
        ("|x| (cumsum[-1](x), cumprod[-1](x), exp(x))", 1),
        ("|x: f32[n, m]| cumsum[-1](x) + cumsum[1](x * 2)", 1),
        ("|x: f32[n, m]| cumsum[0](cumsum[1](x))", 2),
        ("|x| cumsum[-1](x @ x)", 2),
        ("|x| cumsum[-1](x)", 1),
    ] {
        let kernel = compile_with(&parse(text).unwrap(), CompileOptions::new()).unwrap();
        assert_eq!(kernel.pass_count(), passes, "{text}: {}", kernel.graph());
    }
}

#[test]
fn what_cannot_be() {
    for (text, message) in [
        ("cumsum[](x)", "write one axis"),
        ("cumsum[..](x)", "write one axis"),
        ("cumprod[0, 1](x)", "write one axis"),
        ("cumsum(x)", "`cumsum` of which axes"),
        ("|x: f32[2, 3]| cumsum[2](x)", "axis 2"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let fault = build("k", &[Expr::input("x: f32[3]").cumsum(1)]).unwrap_err().to_string();
    assert!(fault.contains("cumsum") && fault.contains("axis 1"), "{fault}");
}

/// Results of open shapes are stored together only by what says that they have one.
#[test]
fn results_that_may_differ_in_shape_are_apart() {
    let text = "|x, y| let c = cumsum[0](x); let d = cumsum[0](c); (c * c, c - y, d)";
    for text in [text, "|x, y, w| (x * 2, y * 3, max[-1](x @ w))"] {
        let kernel = compile_with(&parse(text).unwrap(), CompileOptions::new()).unwrap();
        assert!(kernel.pass_count() > 1, "{}", kernel.graph());
    }
    let text = "kernel k(x: u8[..], y: u8[..]) { let v0 = cumsum[0](x); let v1 = cumsum[0](v0);
        let v2 = v0 - y; let v4 = v0 * v0; (v4, v4, v2) }";
    let kernel = compile_with(&parse(text).unwrap(), CompileOptions::new()).unwrap();
    let (x, y) = (ndarray::arr1(&[1u8, 2]), Array2::<u8>::ones((3, 2)));
    let found = kernel.run(&[(&x).into(), (&y).into()]).unwrap();
    assert_eq!((found[0].shape(), found[2].shape()), (&[2][..], &[3, 2][..]));
}
