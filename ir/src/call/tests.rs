use super::Call;
use crate::array::Array;
use crate::dtype::DType;
use crate::eval::eval;
use crate::text::parse;

#[test]
fn calls_are_found_by_name() {
    assert_eq!(Call::from_name("matmul").map(|call| call.info().arity), Some(2));
    assert_eq!(Call::from_name("exp"), None);
}

/// What `text` makes of x = 0, 1, .. of shape [2, 3] and i = [2, -1, 0] of shape [3].
fn of(text: &str) -> Result<(Vec<usize>, Vec<f64>), String> {
    let graph = parse(&format!("kernel k(x: f64[..], i: i64[..]) {{ {text} }}"));
    let graph = graph.map_err(|e| format!("{text}: {e}"))?;
    assert_eq!(parse(&graph.to_string()).unwrap(), graph, "{graph}");
    let x = Array::new(DType::F64, vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let i = Array::new(DType::I64, vec![3], vec![2i64, -1, 0]).unwrap();
    let result = eval(&graph, &[x, i]).map_err(|e| e.to_string())?.remove(0);
    let data = match result.dtype() {
        DType::I64 => result.integers().iter().map(|&x| x as f64).collect(),
        _ => result.data().to_vec(),
    };
    Ok((result.shape().to_vec(), data))
}

#[test]
fn elements_by_hand() {
    for (text, shape, data) in [
        ("take[1](x, i)", &[2, 3][..], &[2.0, 2.0, 0.0, 5.0, 5.0, 3.0][..]),
        (
            "take[0](x, unsqueeze[0](i) // 2)",
            &[1, 3, 3],
            &[3.0, 4.0, 5.0, 3.0, 4.0, 5.0, 0.0, 1.0, 2.0],
        ),
        ("take[0](x, 1)", &[3], &[3.0, 4.0, 5.0]),
        ("take_along[-1](x, unsqueeze[0](i))", &[2, 3], &[2.0, 2.0, 0.0, 5.0, 5.0, 3.0]),
        ("take_along[-1](x, unsqueeze[-1](slice[0, :2](i)))", &[2, 1], &[2.0, 5.0]),
        (
            "concat[0](x, x + 10)",
            &[4, 3],
            &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0],
        ),
        ("concat[0](x)", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        (
            "concat[-1](x, slice[1, :1](x), slice[1, :0](x))",
            &[2, 4],
            &[0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 3.0],
        ),
        (
            "pad[1, 1, 2](x, 9)",
            &[2, 6],
            &[9.0, 0.0, 1.0, 2.0, 9.0, 9.0, 9.0, 3.0, 4.0, 5.0, 9.0, 9.0],
        ),
        (
            "pad[0, 1, 0](x, -inf)",
            &[3, 3],
            &[
                f64::NEG_INFINITY,
                f64::NEG_INFINITY,
                f64::NEG_INFINITY,
                0.0,
                1.0,
                2.0,
                3.0,
                4.0,
                5.0,
            ],
        ),
        ("iota[-1](x)", &[1, 3], &[0.0, 1.0, 2.0]),
        ("iota[0](x)", &[2, 1], &[0.0, 1.0]),
        ("iota[-2](x) >= iota[-1](x)", &[2, 3], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        ("one_hot[4](i)", &[3, 4], &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
    ] {
        assert_eq!(of(text), Ok((shape.to_vec(), data.to_vec())), "{text}");
    }
}

#[test]
fn what_does_not_fit() {
    for (text, message) in [
        (
            "take[1](x, i + 1)",
            "take: shapes [2, 3] and [3] do not fit: 3 is no place along axis 1, of size 3; they go from -3 to 2",
        ),
        ("take[0](x, i - 2)", "-3 is no place along axis 0, of size 2; they go from -2 to 1"),
        ("take[0](slice[0, :0](x), i)", "2 is no place along axis 0, of size 0; it has none"),
        ("take[0](x, x)", "hint: places are counted in i32 or i64"),
        ("take[2](x, i)", "there is no axis 2"),
        ("take_along[0](x, i)", "both must have the same number of axes"),
        (
            "take_along[0](x, unsqueeze[0](slice[0, :2](i)))",
            "axis -1 is 3 in one and 2 in the other",
        ),
        ("concat[0](x, i)", "concat: operands are f64 and i64"),
        ("concat[0](x, unsqueeze[0](x))", "all must have the same number of axes"),
        ("concat[0](x, slice[1, 1:](x))", "axis 1 is 3 in one and 2 in the other"),
        ("concat[0]()", "concat takes at least 1 argument, found 0"),
        ("concat[2](x)", "concat: the shape [2, 3] does not fit: there is no axis 2"),
        ("concat(x, x)", "`concat` of which axes or sizes?"),
        ("pad[1, 1](x, 0)", "write an axis and two counts"),
        ("pad[1, -1, 0](x, 0)", "-1 is no count: counts go from 0 to 4294967295; fewer elements"),
        ("iota[0, 4294967296](x)", "4294967296 is no size: sizes go from 0 to 4294967295"),
        ("pad[1, 1, 1](x, x)", "what it pads with is a single number"),
        ("iota[2](x)", "there is no axis 2"),
        ("one_hot[-1](i)", "-1 is no size"),
        ("one_hot[3](x)", "integers and floats do not mix"),
    ] {
        let error = of(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}
