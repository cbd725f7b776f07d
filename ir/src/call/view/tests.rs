use crate::array::Array;
use crate::dtype::DType;
use crate::eval::eval;
use crate::text::parse;

/// What `text` makes of an array of 0, 1, 2, ..: its shape and its elements.
fn of(text: &str, shape: &[usize]) -> (Vec<usize>, Vec<f64>) {
    let graph = parse(&format!("|x: f64[..]| {text}")).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(parse(&graph.to_string()).unwrap(), graph, "{graph}");
    let data: Vec<f64> = (0..shape.iter().product()).map(|at: usize| at as f64).collect();
    let x = Array::new(DType::F64, shape.to_vec(), data).unwrap();
    let result = eval(&graph, &[x]).unwrap_or_else(|e| panic!("{text}: {e}")).remove(0);
    (result.shape().to_vec(), result.data().to_vec())
}

#[test]
fn views_by_hand() {
    let grid = &[2, 3][..];
    for (text, from, shape, data) in [
        ("transpose(x)", grid, &[3, 2][..], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0][..]),
        ("permute[1, 0](x)", grid, &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("permute[-1, 0](x)", grid, &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("swapaxes[0, -1](x)", grid, &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("slice[1, ::2](x)", grid, &[2, 2], &[0.0, 2.0, 3.0, 5.0]),
        ("slice[-1, -2:](x)", grid, &[2, 2], &[1.0, 2.0, 4.0, 5.0]),
        ("slice[0, ::-1](x)", grid, &[2, 3], &[3.0, 4.0, 5.0, 0.0, 1.0, 2.0]),
        ("slice[0, 8:1:-3](x)", &[10], &[3], &[8.0, 5.0, 2.0]),
        ("slice[0, -100:100](x)", &[2], &[2], &[0.0, 1.0]),
        ("slice[0, 5:2](x)", &[10], &[0], &[]),
        ("slice[0, ::-1](x)", &[0], &[0], &[]),
        ("slice[0, :-1](x)", &[0], &[0], &[]),
        (
            "slice[0, 9223372036854775807:-9223372036854775807:-9223372036854775807](x)",
            &[3],
            &[1],
            &[2.0],
        ),
        ("flip[-1](x)", grid, &[2, 3], &[2.0, 1.0, 0.0, 5.0, 4.0, 3.0]),
        ("flip[..](x)", grid, &[2, 3], &[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]),
        ("squeeze[0, -1](x)", &[1, 2, 1], &[2], &[0.0, 1.0]),
        ("unsqueeze[0, -1](x)", &[2], &[1, 2, 1], &[0.0, 1.0]),
        ("expand[2, 2](x)", &[2, 1], &[2, 2], &[0.0, 0.0, 1.0, 1.0]),
        ("expand[2, -1](x)", &[2], &[2, 2], &[0.0, 1.0, 0.0, 1.0]),
        ("expand[0, -1](x)", &[2], &[0, 2], &[]),
        ("reshape[3, -1](x)", grid, &[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ("reshape[-1](x)", &[], &[1], &[0.0]),
        ("reshape[](x)", &[1, 1], &[], &[0.0]),
        ("reshape[0, 3](x)", &[2, 0], &[0, 3], &[]),
        ("reshape[2, -1](x)", &[0, 3], &[2, 0], &[]),
    ] {
        assert_eq!(of(text, from), (shape.to_vec(), data.to_vec()), "{text} of {from:?}");
    }
}

#[test]
fn shapes_in_symbols() {
    for (head, text, shape) in [
        ("x: f32[n, d]", "transpose(x)", "[d, n]"),
        ("x: f32[n, d]", "swapaxes[-2, -1](x)", "[d, n]"),
        ("x: f32[n, 12]", "reshape[-1, 3, 4](x)", "[n, 3, 4]"),
        ("x: f32[n, 3, 4]", "reshape[-1, 12](x)", "[n, 12]"),
        ("x: f32[n, d]", "reshape[-1](x)", "[..]"),
        ("x: f32[n, d]", "reshape[2, 3](x)", "[2, 3]"),
        ("x: f32[n, 6]", "slice[-1, ::2](x)", "[n, 3]"),
        ("x: f32[n, 6]", "slice[0, ::-1](x)", "[n, 6]"),
        ("x: f32[n, 6]", "slice[0, 1:](x)", "[..]"),
        ("x: f32[n]", "unsqueeze[-1](x)", "[n, 1]"),
        ("x: f32[n]", "expand[3, -1](x)", "[3, n]"),
        ("x: f32[..]", "transpose(x)", "[..]"),
    ] {
        let graph = parse(&format!("kernel k({head}) {{ {text} }}")).unwrap();
        assert_eq!(graph.shape(graph.outputs()[0]).to_string(), shape, "{text} of {head}");
    }
}

#[test]
fn what_cannot_be() {
    for (text, message) in [
        (
            "|x: f32[2, 3]| permute[0](x)",
            "permute: the shape [2, 3] does not fit: 1 axes are in order, but the array has 2",
        ),
        ("permute[0, 0](x)", "axis 0 is there twice; name each axis once"),
        ("permute[0, 2](x)", "there is no axis 2: the permutation has 2 axes, from -2 to 1"),
        ("|x: f32[2, 3]| swapaxes[0, 2](x)", "there is no axis 2: the array has 2 axes"),
        ("slice[0, ::0](x)", "a step of 0 never ends"),
        ("slice[0](x)", "write an axis and a range"),
        ("slice(x)", "`slice` of which axes or sizes?"),
        ("|x: f32[2]| slice[1, :](x)", "there is no axis 1: the array has 1 axis"),
        ("|x: f32[2, 3]| squeeze[0](x)", "axis 0 has size 2: only a 1 can be dropped"),
        ("squeeze[..](x)", "name the axes"),
        ("|x: f32[2]| unsqueeze[3](x)", "there is no axis 3: the result has 2 axes, from -2 to 1"),
        ("|x: f32[2, 3]| expand[3](x)", "the array has 2 axes, and must keep them"),
        ("|x: f32[2, 3]| expand[4, 3](x)", "axis 0 has size 2: only a 1 repeats"),
        ("|x: f32[2]| expand[-1, -1](x)", "a new axis needs a size"),
        ("|x: f32[2]| expand[4294967294, 4294967294, 2](x)", "more elements than can be counted"),
        ("|x: f32[2, 3]| reshape[4](x)", "its 6 elements are not the 4 of [4]"),
        ("|x: f32[2, 3]| reshape[4, -1](x)", "its 6 elements do not divide into the 4 of [4, -1]"),
        ("|x: f32[0, 3]| reshape[0, -1](x)", "may have any size"),
        ("|x: f32[2]| reshape[-1, -1](x)", "at most one size can be found out"),
        ("reshape[-2](x)", "-2 is no size"),
        ("reshape[1,1,1,1,1,1,1,1,1](x)", "9 sizes are too many"),
        ("fused(x) { transpose(x) }", "a transpose cannot stand in a fused body"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.message().contains(message), "{text}: {error}");
    }
    let x = crate::Expr::input("x: f32[2, 3]");
    for (expr, message) in [
        (x.reshape([4, 2]), "reshape: the shape [2, 3] does not fit: its 6 elements"),
        (x.slice_by(0, None, None, 0), "slice: a step of 0"),
        (x.permute([0, 0]), "permute: axis 0 is there twice"),
        (x.squeeze(..), "squeeze: name the axes"),
    ] {
        let error = crate::build("k", &[expr]).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("tests.rs:"), "{error}");
    }
    let y = crate::build("k", &[x.slice(1, 1..3).t()]).unwrap();
    assert_eq!(y.shape(y.outputs()[0]).to_string(), "[2, 2]");
}
