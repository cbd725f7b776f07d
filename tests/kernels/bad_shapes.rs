//! Shapes that do not fit, and those at the ends of what does: typed errors that name the call, the
//! shapes and what is wrong, whether kernels are fused or not.

use kiln::{CompileOptions, Expr, Tensor, View, compile, compile_with};
use kiln_ir::{Derived, ROWWISE, parse};
use ndarray::{ArrayD, IxDyn};

fn run(text: &str, shapes: &[&[usize]]) -> Result<Vec<usize>, String> {
    let graph = parse(text).map_err(|error| error.message().to_string())?;
    let inputs: Vec<Tensor> =
        shapes.iter().map(|shape| ArrayD::<f32>::ones(IxDyn(shape)).into()).collect();
    let inputs: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
    let [found, unfused] = [CompileOptions::new(), CompileOptions::unfused()].map(|options| {
        let kernel = compile_with(&graph, options).map_err(|error| error.to_string())?;
        let outputs = kernel.run(&inputs).map_err(|error| error.to_string())?;
        Ok::<_, String>(outputs[0].shape().to_vec())
    });
    assert_eq!(found.is_ok(), unfused.is_ok(), "{text} of {shapes:?}: {found:?}, not {unfused:?}");
    found
}

#[test]
fn errors_name_the_call_the_shapes_and_the_reason() {
    let long: &[usize] = &[1, 2, 1, 2, 1, 2, 1, 2];
    for (text, shapes, message) in [
        ("sum[2](x)", &[&[2, 3][..]][..], "sum: the shape [2, 3] does not fit: there is no axis 2"),
        ("sum[-3](x)", &[&[2, 3]], "sum: the shape [2, 3] does not fit: there is no axis -3"),
        ("softmax[8](x)", &[long], "there is no axis 8: the array has 8 axes"),
        ("sum[0, -2](x)", &[&[2, 3]], "axis 0 of 2 is there twice"),
        ("sum[1, 1](x)", &[&[2, 3]], "axis 1 is there twice"),
        (
            "max[-1](x)",
            &[&[2, 0]],
            "max: the shape [2, 0] does not fit: axis 1 has no elements to choose from",
        ),
        (
            "argmin[0](x * 2)",
            &[&[0, 3]],
            "argmin: the shape [0, 3] does not fit: axis 0 has no elements to choose from",
        ),
        (
            "x - min[..](x)",
            &[&[3, 0]],
            "min: the shape [3, 0] does not fit: axis 1 has no elements to choose from",
        ),
        ("reshape[4, -1](x)", &[&[2, 3]], "reshape: the shape [2, 3] does not fit"),
        ("reshape[7](x)", &[&[2, 3]], "reshape: the shape [2, 3] does not fit"),
        (
            "concat[0](x, x, y)",
            &[&[2, 3], &[2, 4]],
            "concat: shapes [2, 3] and [2, 3] and [2, 4] do not fit: axis 1 is 3 in one and 4 in the other",
        ),
        ("concat[0](x, y)", &[&[2, 3], &[3]], "all must have the same number of axes"),
        ("concat[2](x, x)", &[&[2, 3]], "there is no axis 2"),
        (
            "pad[2, 1, 1](x, 0)",
            &[&[2, 3]],
            "pad: shapes [2, 3] and [] do not fit: there is no axis 2",
        ),
        ("take[3](x, 0)", &[&[2, 3]], "there is no axis 3"),
        (
            "take[0](x, 5)",
            &[&[2, 3]],
            "take: 5 is no place along axis 0, of size 2; they go from -2 to 1",
        ),
        ("take[0](x, 0)", &[&[0, 3]], "take: 0 is no place along axis 0, of size 0; it has none"),
        ("iota[2](x) + 1", &[&[2, 3]], "iota: the shape [2, 3] does not fit: there is no axis 2"),
        ("iota[0](x + y) + 1", &[&[2, 3], &[3, 3]], "do not"),
        ("cumsum[-3](x)", &[&[2, 3]], "cumsum: the shape [2, 3] does not fit: there is no axis -3"),
        ("squeeze[0](x)", &[&[2, 3]], "squeeze: the shape [2, 3] does not fit"),
        ("x + y", &[&[2, 3], &[4]], "do not broadcast: axis -1 is 3 in one and 4 in another"),
        ("label_cross_entropy[2](x, i64(y))", &[&[2, 3], &[2, 1]], "there is no axis 2"),
        ("label_cross_entropy[-1](x, i64(y))", &[&[2, 3], &[2]], "the same number of axes"),
    ] {
        let error = run(text, shapes).expect_err(text);
        assert!(error.contains(message), "{text} of {shapes:?}: {error}");
    }
}

/// Whatever a function is made of, an error names the function, and where it was called.
#[test]
fn errors_name_what_was_written() {
    for row in ROWWISE {
        let given = row.parameters.iter().filter(|parameter| parameter.default.is_none());
        let args: Vec<&str> =
            given.map(|given| if given.name == "labels" { "i64(y)" } else { "x" }).collect();
        let call = format!("{}[-3]({})", row.name, args.join(", "));
        let (shapes, text) = ([&[2, 3][..], &[2, 1]], format!("|x, y|\n  tanh({call} * 2)"));
        let error = run(&text, &shapes).expect_err(&text);
        assert!(error.starts_with(&format!("{}: ", row.name)), "{text}: {error}");
        assert!(error.contains("there is no axis -3"), "{text}: {error}");
        assert!(error.ends_with(&format!(" (written at 2:8, `{call}`)")), "{text}: {error}");
    }
    for (text, shapes, message) in [
        (
            "mse[-1](x, y)",
            &[&[2, 3][..], &[2, 4]][..],
            "mse: shapes x [2, 3], y [2, 4] do not broadcast: axis -1 is 3 in one and 4 in \
             another; sizes must be equal, or one of them 1 (written at 1:1, `mse[-1](x, y)`)",
        ),
        (
            "x + fused(y) { y - max[-3](y) }",
            &[&[2, 3], &[2, 3]],
            "max: the shape [2, 3] does not fit: there is no axis -3: the array has 2 axes",
        ),
        (
            "relu(x @ y + transpose(x))",
            &[&[2, 3], &[2, 3]],
            "matmul: shapes [2, 3] and [2, 3] do not fit: the last axis of the left is 3",
        ),
    ] {
        let error = run(text, shapes).expect_err(text);
        assert!(error.starts_with(message), "{text}: {error}");
    }
    // An op by itself is of the line that asks for it.
    let (prelu, line) = (Derived::from_name("prelu").unwrap().graph(), line!());
    let arrays = [&[2, 3][..], &[4]].map(|shape| ArrayD::<f32>::ones(IxDyn(shape)));
    let views: Vec<View<'_>> = arrays.iter().map(View::from).collect();
    let error = compile_with(&prelu, CompileOptions::new()).unwrap().run(&views).unwrap_err();
    let expected = format!("bad_shapes.rs:{line}:");
    assert!(error.to_string().contains(&expected), "{error}");
    // The same of code: the line of the call, when it is compiled and when it is run.
    let (x, known) = (Expr::input("x"), Expr::input("x: f32[2, 3]"));
    let (softmax, line) = (x.softmax(-3), line!());
    let message =
        "softmax: the shape [2, 3] does not fit: there is no axis -3: the array has 2 axes";
    let place = format!("bad_shapes.rs:{line}:");
    let kernel = compile(&[softmax * 2]).unwrap();
    let array = ArrayD::<f32>::ones(IxDyn(&[2, 3]));
    let error = kernel.run(&[(&array).into()]).unwrap_err().to_string();
    assert!(error.starts_with(message) && error.contains(&place), "{error}");
    let of_unknown = kernel.output_shapes(&[(&array).into()]).unwrap_err().to_string();
    assert_eq!(of_unknown, error);
    for (wrong, message) in [
        (known.softmax(-3), "softmax: the shape [2, 3] does not fit: there is no axis -3"),
        (known.mse(-1, Expr::input("y: f32[4]")), "mse: sub: shapes [2, 3] and [4] do not"),
        (Expr::input("n: i32").gelu(), "gelu: normcdf: operands are i32"),
        (known.amax(2), "max: the shape [2, 3] does not fit: there is no axis 2"),
    ] {
        let error = compile(&[wrong + 1]).unwrap_err().to_string();
        assert!(error.starts_with(message) && error.contains("bad_shapes.rs:"), "{error}");
    }
}

/// Sizes whose product no address space holds.
#[test]
fn sizes_that_overflow() {
    for text in [
        "expand[4000000000, 4000000000, 4000000000](x)",
        "sum[-1](expand[4000000000, 4000000000, 4000000000](x) * 2)",
        "one_hot[4000000000](i64(expand[4000000000, 4000000000](x)))",
        "pad[0, 4000000000, 4000000000](expand[4000000000, 4000000000](x), 0)",
    ] {
        let error = run(text, &[&[1, 1]]).expect_err(text);
        let told = ["too large", "more elements", "bytes", "memory"];
        assert!(told.iter().any(|it| error.contains(it)), "{text}: {error}");
    }
}

/// What is no error: eight axes and nine, and axes of no elements.
#[test]
fn the_ends_of_what_fits() {
    let eight: &[usize] = &[1, 2, 1, 2, 1, 2, 1, 2];
    let nine: &[usize] = &[2, 1, 2, 1, 2, 1, 2, 1, 3];
    for (text, shape, expected) in [
        ("softmax[-1](x)", eight, eight),
        ("sum[0, 3, -1](x)", eight, &[1, 2, 1, 1, 1, 2, 1, 1][..]),
        ("softmax[4](x) + 1", nine, nine),
        ("argmax[0](x)", nine, &[1, 1, 2, 1, 2, 1, 2, 1, 3]),
        ("iota[8](x)", nine, &[1, 1, 1, 1, 1, 1, 1, 1, 3]),
        ("concat[-1](x, x, x)", nine, &[2, 1, 2, 1, 2, 1, 2, 1, 9]),
        ("take[-1](x, 2)", nine, &[2, 1, 2, 1, 2, 1, 2, 1]),
        ("pad[0, 1, 1](x, 0)", nine, &[4, 1, 2, 1, 2, 1, 2, 1, 3]),
        ("sum[-1](x)", &[3, 0], &[3, 1]),
        ("mean[0](x)", &[0, 3], &[1, 3]),
        ("any[..](x > 0)", &[0], &[]),
        ("softmax[-1](x)", &[0, 3], &[0, 3]),
        ("softmax[-1](x)", &[3, 0], &[3, 0]),
        ("log_softmax[-1](x) * 2", &[3, 0], &[3, 0]),
        ("logsumexp[-1](x)", &[3, 0], &[3, 1]),
        ("concat[-1](x)", &[2, 3], &[2, 3]),
        ("max[-1](x)", &[0, 3], &[0, 1]),
        ("cumsum[0](x)", &[0, 3], &[0, 3]),
        ("concat[0](x, x)", &[0, 3], &[0, 3]),
        ("concat[1](x, x)", &[0, 3], &[0, 6]),
        ("take[1](x, 2)", &[0, 3], &[0]),
        ("iota[0](x)", &[0, 3], &[0, 1]),
        ("one_hot[0](i64(x))", &[2, 3], &[2, 3, 0]),
        ("pad[0, 1, 2](x, 7)", &[0, 3], &[3, 3]),
    ] {
        assert_eq!(run(text, &[shape]).as_deref(), Ok(expected), "{text} of {shape:?}");
    }
}

/// A view that repeats one element may have more of them, or more blocks, than any memory holds.
#[test]
fn reductions_of_more_than_memory_holds() {
    for text in ["sum[..](V)", "max[0, 1](V)", "mean[..](V)", "var[..](V)", "sum[..](exp(V) * 2)"] {
        let text = text.replace('V', &format!("expand[{0}, {0}](x)", u32::MAX - 1));
        let error = run(&format!("|x: f32[..]| {text}"), &[&[1, 1]]).unwrap_err();
        let is_told = ["out of memory", "more bytes than can be addressed"];
        assert!(is_told.iter().any(|told| error.contains(told)), "{text}: {error}");
    }
}
