//! Numbers keep what they were written as, and take no type that does not have them.

use kiln_ir::{DType, Expr, Fault, Graph, NodeId, Op, Scalar, build, eval_scalar, parse};

/// A body over `x: i32`, `y: i64`, `z: u8`, `f: f32`, `d: f64`, `b: bool`.
fn typed(body: &str) -> Result<Graph, String> {
    let head = "x: i32, y: i64, z: u8, f: f32, d: f64, h: f16, b: bool, c: bool";
    parse(&format!("kernel k({head}) {{ {body} }}")).map_err(|error| error.to_string())
}

#[track_caller]
fn dtype(body: &str) -> DType {
    let graph = typed(body).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(graph.to_string().parse::<Graph>().unwrap(), graph, "{graph}");
    graph.dtype(graph.outputs()[0])
}

/// The value at x = 7, y = 7, z = 7, f = 7, d = 7, h = 7, b = true, c = false.
#[track_caller]
fn value(body: &str) -> f64 {
    let graph = typed(body).unwrap_or_else(|error| panic!("{error}"));
    eval_scalar(&graph, &[7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 1.0, 0.0])[0]
}

#[test]
fn floats_meet_no_integers_through_folding() {
    for float in [
        "2.0",
        "2.",
        "5e0",
        "2e-0",
        "20e-1",
        "1.0*2",
        "2*1.0",
        "-(-2.0)",
        "+2.0",
        "4/2",
        "2^1.0",
        "2.0^1",
        "max(1, 2.0)",
        "abs(-2.0)",
        "sqrt(4)",
        "pow(2, 1)",
        "2.0 // 1",
        "mod(2.0, 3)",
        "2.0 % 3",
        "2^-1",
        "pi",
        "inf",
        "select(true, 2.0, 2)",
        "clamp(2, 0.0, 3)",
        "sign(2.0)",
        "exp(0)",
        "round(2.0)",
        "floor(2.5)",
        "1_0.0",
        "0x10 * 1.0",
        "square(2.0)",
        "recip(1)",
    ] {
        for integers in ["x", "y", "z"] {
            for body in [
                format!("{integers} * ({float})"),
                format!("({float}) // {integers}"),
                format!("{integers} < ({float})"),
                format!("max({integers}, {float})"),
            ] {
                let error = typed(&body).map(|graph| graph.to_string()).unwrap_err();
                let told = error.contains("is no") || error.contains("do not mix");
                assert!(told && error.contains("hint"), "{body}: {error}");
            }
        }
        assert_eq!(dtype(&format!("f * ({float})")), DType::F32, "{float}");
        assert_eq!(dtype(&format!("d * ({float})")), DType::F64, "{float}");
    }
    assert!(typed("(x*1.0+x*1.0)/2.0").is_err());
}

#[test]
fn integers_meet_both() {
    for integer in [
        "2",
        "1 + 1",
        "4 // 2",
        "2 ^ 1",
        "max(1, 2)",
        "--2",
        "5 % 3",
        "mod(5, 3)",
        "0x2",
        "0b10",
        "0o2",
        "1 << 1",
        "6 & 3",
        "abs(-2)",
        "clamp(3, 0, 2)",
        "~-3",
        "2 | 2",
        "xor(3, 1)",
        "square(1) + 1",
        "+2",
        "8 >> 2",
        "1_000 - 998",
        "1 * 2 ** 1",
    ] {
        for array in ["x", "y", "z", "f", "d"] {
            assert_eq!(value(&format!("{array} * ({integer})")), 14.0, "{integer}");
        }
    }
    // Beyond 2^53, digits count.
    for (body, expected) in [
        ("9007199254740992 + 1", 9_007_199_254_740_993),
        ("3037000499 * 3037000499", 9_223_372_030_926_249_001),
        ("2^62 + (2^62 - 1)", i64::MAX),
        ("-(2^62) * 2", i64::MIN),
        ("-2^63", i64::MIN),
        ("-(2^63)", i64::MIN),
        ("2^64 - 2^63 - 1", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("0x7fffffffffffffff", i64::MAX),
        ("9223372036854775807 - 1", i64::MAX - 1),
        ("-9223372036854775807 // 2", -4_611_686_018_427_387_904),
        ("9_223_372_036_854_775_807", i64::MAX),
    ] {
        let graph = typed(&format!("xor(y, {body})")).unwrap();
        let constant = graph.iter().find_map(|(id, _)| graph.scalar(id)).unwrap();
        assert_eq!(constant, Scalar::Integer(expected), "{body}");
    }
    for body in [
        "9223372036854775807 + 1",
        "2^63",
        "2^64",
        "0xffffffffffffffff",
        "3^100",
        "-9223372036854775808 - 1",
        "-9223372036854775809",
        "2^200 - 2^200",
        "1 << 63",
        "1 << 64",
    ] {
        let error = typed(&format!("y + ({body})")).map(|graph| graph.to_string()).unwrap_err();
        assert!(
            error.contains("is no i64") || error.contains("it takes integers"),
            "{body}: {error}"
        );
    }
    assert_eq!(value("f * 2^64"), 7.0 * 2f64.powi(64));
    assert_eq!(value("d * 3^100"), 7.0 * 3f64.powi(100));
}

#[test]
fn numbers_alone_compare_as_what_they_are() {
    for (body, expected) in [
        ("1e300 < 1e301", true),
        ("1e300 == 1e301", false),
        ("1.5 < 2", true),
        ("0.1 + 0.2 == 0.3", false),
        ("0.1 == 0.1", true),
        ("16777217 == 16777216", false),
        ("16777217 > 16777216.0", true),
        ("9007199254740993 > 9007199254740992", true),
        ("1e-300 > 0", true),
        ("nan != nan", true),
        ("inf > 1e308", true),
        ("2 != 2.0", false),
        ("isnan(0/0.0)", true),
        ("isinf(inf)", true),
        ("isfinite(3)", true),
        ("1 < 2 and 2 < 3", true),
        ("not 1 > 2", true),
        ("1e300 < 1e301 and not 2 < 1 or false", true),
    ] {
        assert_eq!(value(body), f64::from(expected), "{body}");
        assert_eq!(dtype(body), DType::Bool);
        assert_eq!(value(&format!("select({body}, d, 1)")), if expected { 7.0 } else { 1.0 });
    }
}

#[test]
fn numbers_beyond_the_type_are_told() {
    let fault = |body: &str| {
        let head = "x: i32, f: f32, d: f64, h: f16, g: bf16";
        let error = parse(&format!("kernel k({head}) {{ {body} }}")).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error.fault().cloned()
    };
    for (body, number, dtype) in [
        ("f*1e60", "1e60", DType::F32),
        ("1e60*f", "1e60", DType::F32),
        ("-1e39 + f", "-1e39", DType::F32),
        ("h * 1e39", "1e39", DType::F32),
        ("f16(1e5)", "100000.0", DType::F16),
        ("f16(65520)", "65520", DType::F16),
        ("bf16(3.4e38)", "3.4e38", DType::BF16),
        ("f32(1e39)", "1e39", DType::F32),
        ("max(f, 1e60)", "1e60", DType::F32),
        ("f < 1e60", "1e60", DType::F32),
        ("select(f > 0, 1e60, f)", "1e60", DType::F32),
        ("f + 10^60", "1e60", DType::F32),
        ("1e60", "1e60", DType::F32),
        ("fused(f, w = 1e60) { f * w }", "1e60", DType::F32),
        ("fused(f) { f * 1e60 }", "1e60", DType::F32),
        ("leaky_relu(f, 1e60)", "1e60", DType::F32),
        ("x + 3000000000", "3000000000", DType::I32),
    ] {
        let expected = Fault::Number { value: number.into(), dtype };
        assert_eq!(fault(body), Some(expected), "{body}");
    }
    for body in [
        "d * (1e200 * 1e200)",
        "f * exp(1000)",
        "d + 10.0^400",
        "d + 10^400",
        "d * (1e308 + 1e308)",
        "d - 2.0^1024",
        "d * hypot(1e308, 1.7e308)",
    ] {
        assert!(matches!(fault(body), Some(Fault::Overflow { .. })), "{body}");
    }
    // What has a pole is infinite, as is what is written so.
    for body in [
        "d * (1/0)",
        "d + log(0)",
        "d * inf",
        "f * -inf",
        "f + (inf + 1e300)",
        "f16(inf)",
        "d + 1e308",
        "f + 3.4028235e38",
        "f + atanh(1)",
        "f * 0^-1",
        "f16(65519)",
        "f16(f * 1e30)",
    ] {
        let head = "x: i32, f: f32, d: f64, h: f16, g: bf16";
        let graph =
            parse(&format!("kernel k({head}) {{ {body} }}")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(graph.notes(), [], "{body}");
    }
    let rust = |expr: Expr| build("k", &[expr]).unwrap_err();
    let x = || Expr::input("x");
    assert_eq!(rust(1e60 * x()).fault, Fault::Number { value: "1e60".into(), dtype: DType::F32 });
    assert_eq!(
        rust(x().max(-1e60)).fault,
        Fault::Number { value: "-1e60".into(), dtype: DType::F32 }
    );
    assert!(rust(1e60 * x()).to_string().contains("literals.rs"));
    assert!(build("k", &[1e60 * Expr::input("x: f64")]).is_ok());
}

#[test]
fn numbers_that_become_0_are_noted() {
    let notes = |body: &str| -> Vec<String> {
        let graph = typed(body).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(graph.normalized().notes(), graph.notes());
        graph.notes().iter().map(|note| note.message().to_string()).collect()
    };
    for (body, message) in [
        ("f*1e-60", "the number 1e-60 is 0 in f32"),
        ("log(f + 1e-300)", "the number 1e-300 is 0 in f32"),
        ("1e-30*1e-30*f", "the number 1.0000000000000001e-60 is 0 in f32"),
        ("f16(1e-10)", "the number 1e-10 is 0 in f16"),
        ("bf16(1e-60)", "the number 1e-60 is 0 in bf16"),
        ("1e-200*1e-200*d", "mul of the numbers 1e-200 and 1e-200 is 0 in f64"),
        ("d + exp(-1000)", "exp of the number -1000 is 0 in f64"),
        ("f > 1e-50", "the number 1e-50 is 0 in f32"),
        ("fused(f) { f + 1e-50 }", "the number 1e-50 is 0 in f32"),
    ] {
        assert_eq!(notes(body), [message], "{body}");
    }
    for body in [
        "d*1e-60",
        "f*0",
        "f*0.0",
        "f + 1e-45",
        "f * (1 - 1)",
        "f + -0.0",
        "f16(6e-8)",
        "i32(1e-60)",
        "d * (0 * 1e-200)",
    ] {
        assert_eq!(notes(body), [""; 0], "{body}");
    }
    let graph = parse("x +\n y*1e-60").unwrap();
    let shown = graph.notes()[0].to_string();
    assert_eq!(
        shown,
        "2:2: the number 1e-60 is 0 in f32\n  |\n2 |  y*1e-60\n  |  ^^^^^^^\n  = hint: declare inputs of type f64, or write 0"
    );
    let graph = build("k", &[Expr::input("x") * 1e-60]).unwrap();
    assert!(graph.notes()[0].to_string().contains("literals.rs:"), "{}", graph.notes()[0]);
    // They say nothing of what the graph computes.
    assert_eq!(graph, build("k", &[Expr::input("x") * 0.0]).unwrap());
    // Where the number itself has the type, it is an error in the same words.
    for (number, suffix, dtype) in
        [("1e-400", "", "f64"), ("1e-60", "f32", "f32"), ("1e-9", "f16", "f16")]
    {
        let error = parse(&format!("x + {number}{suffix}")).unwrap_err();
        assert_eq!(error.message(), format!("the number {number} is 0 in {dtype}"));
    }
}

#[test]
fn constants_of_a_graph_have_their_type() {
    let constant = |dtype: DType, value: Scalar| Graph::new("k").constant(dtype, value);
    let float = |dtype, value: f64| constant(dtype, value.into());
    let integer = |dtype, value: i64| constant(dtype, value.into());
    for (dtype, value) in [
        (DType::F32, 1e60),
        (DType::F16, -7e4),
        (DType::BF16, 1e39),
        (DType::I32, 2.5),
        (DType::I32, 3e9),
        (DType::U8, -1.0),
        (DType::I64, 9.3e18),
        (DType::I64, f64::NAN),
        (DType::I64, 2f64.powi(63)),
    ] {
        assert!(matches!(float(dtype, value), Err(Fault::Number { .. })), "{dtype} {value}");
    }
    for (dtype, value) in
        [(DType::U8, 256), (DType::U8, -1), (DType::I32, i64::MAX), (DType::F16, 70_000)]
    {
        assert!(matches!(integer(dtype, value), Err(Fault::Number { .. })), "{dtype} {value}");
    }
    for (dtype, value) in [
        (DType::F32, f64::INFINITY),
        (DType::F32, f64::NAN),
        (DType::F32, 0.1),
        (DType::I32, -2.0),
        (DType::Bool, 7.0),
        (DType::I64, -2f64.powi(63)),
        (DType::F16, 65519.0),
    ] {
        assert_eq!(float(dtype, value), Ok(NodeId::new(0)), "{dtype} {value}");
    }
    assert!(integer(DType::I64, i64::MIN).is_ok() && integer(DType::F32, i64::MAX).is_ok());
}

#[test]
fn bools_count() {
    for (body, expected, value_type) in [
        ("b + c", 1.0, DType::I32),
        ("b + b", 2.0, DType::I32),
        ("(f > 1) + (f > 2) + (f > 9)", 2.0, DType::I32),
        ("b * 3 - 1", 2.0, DType::I32),
        ("-b", -1.0, DType::I32),
        ("b == c", 0.0, DType::Bool),
        ("b == 1", 1.0, DType::Bool),
        ("b > c", 1.0, DType::Bool),
        ("b << 3", 8.0, DType::I32),
        ("b ^ 3", 1.0, DType::I32),
        ("(b + b)^10", 1024.0, DType::I32),
        ("max(b, c)", 1.0, DType::I32),
        ("select(b, c, 5)", 0.0, DType::I32),
        ("select(b, c, b)", 0.0, DType::Bool),
        ("7 // (b + b)", 3.0, DType::I32),
        ("(b + b) & 3", 2.0, DType::I32),
        ("isnan(b)", 0.0, DType::Bool),
        // With others it takes their type.
        ("b * f", 7.0, DType::F32),
        ("b * d", 7.0, DType::F64),
        ("b * h", 7.0, DType::F32),
        ("b + x", 8.0, DType::I32),
        ("b + y", 8.0, DType::I64),
        ("b + z", 8.0, DType::U8),
        ("b * 0.5", 0.5, DType::F32),
        ("(b + b) * f", 14.0, DType::F32),
        ("(b * 2 - 1) * d", 7.0, DType::F64),
        ("(b + b) * y", 14.0, DType::I64),
        ("(b + b) * z", 14.0, DType::I32),
        ("(b + b) / 2.5", 0.8, DType::F32),
        ("(b + b) < f", 1.0, DType::Bool),
        ("pow(b + b, f)", 128.0, DType::F32),
    ] {
        assert_eq!(dtype(body), value_type, "{body}");
        assert_eq!(value(body), f64::from(expected as f32), "{body}");
    }
    for body in ["exp(b)", "sqrt(b + c)", "(b + c) & b & f", "x * (b + 0.5)", "f32(b) * x"] {
        assert!(typed(body).is_err(), "{body}");
    }
}

/// A choice between numbers has no type before it meets one.
#[test]
fn choices_between_numbers_take_a_type() {
    for (body, expected, value_type) in [
        ("select(b, 0.1, 0.2) * d", 0.1 * 7.0, DType::F64),
        ("select(c, 0.1, 0.2) * f", f64::from(0.2f32 * 7.0), DType::F32),
        ("select(b, 2, -1) * x", 14.0, DType::I32),
        ("select(b, 3000000000, -1) + y", 3_000_000_007.0, DType::I64),
        ("select(b, 0.1, 0)", f64::from(0.1f32), DType::F32),
        ("select(b, 1, 2) + 1", 2.0, DType::F32),
        ("-select(b, 1, 2)", -1.0, DType::F32),
        ("i32(select(b, 1, 2))", 1.0, DType::I32),
        ("select(b, select(c, 1, 2), x)", 2.0, DType::I32),
        ("select(b, 0.1, 2) < d", 1.0, DType::Bool),
        ("select(b, 1, 0) and c", 0.0, DType::Bool),
        ("select(b, 1, 2) + b", 2.0, DType::I32),
        ("let s = select(b, 2, 3); f32(s * x) + s * f", 28.0, DType::F32),
    ] {
        assert_eq!((value(body), dtype(body)), (expected, value_type), "{body}");
    }
    for body in ["select(b, 1, 0.5) * x", "select(b, 1e60, 0) * f", "select(b, 300, 0) + z"] {
        assert!(typed(body).is_err(), "{body}");
    }
}

#[test]
fn powers_of_integers() {
    for (body, expected) in [
        ("x^0", 1.0),
        ("x^1", 7.0),
        ("x^2", 49.0),
        ("x**3", 343.0),
        ("x^7", 823_543.0),
        ("pow(x, 2)", 49.0),
        ("power(x, 2)", 49.0),
        ("y^20", 79_792_266_297_612_001.0),
        ("z^3", f64::from(343 % 256)),
        ("f^10", f64::from(282_475_249f32)),
        ("f^0", 1.0),
        ("f^-1", f64::from(1f32 / 7.0)),
        ("2^10 * x", 7168.0),
        ("x^0x2", 49.0),
        ("x^1_0", f64::from(7i32.wrapping_pow(10))),
    ] {
        assert_eq!(value(body), expected, "{body}");
    }
    assert_eq!(value("x^1000"), f64::from(7i32.wrapping_pow(1000)));
    assert_eq!(value("(x*0)^0"), 1.0);
    let ten_squarings = typed("x^1000").unwrap();
    assert!(ten_squarings.op_count() <= 15, "{ten_squarings}");
    let shaped = parse("kernel k(x: i32[n]) { x^0 }").unwrap();
    assert_eq!(shaped.shape(shaped.outputs()[0]).to_string(), "[n]");
    assert!(typed("y^9223372036854775807").unwrap().op_count() <= 126);
    for body in ["x^-1", "x^x", "x^2.0", "x^0.5", "y^9223372036854775808", "pow(x, -2)"] {
        assert!(typed(body).is_err(), "{body}");
    }
}

/// What is computed from numbers while a graph is built is what its ops would have computed, with the
/// type of what they meet: of the same op on numbers that have it.
#[test]
fn folding_is_evaluation() {
    let floats = [0.0, -0.0, 0.5, -2.5, 3.0, -7.0, 1e10, 700.0, 1e-5, f64::INFINITY, f64::NAN];
    let integers = [0, 1, -1, 2, -2, 7, -9, 63, 1 << 40, i64::MAX, i64::MIN];
    let (mut tried, mut refused) = (0, 0);
    for &op in Op::ALL {
        let picks = |count: usize| (0..11usize.pow(op.arity() as u32)).step_by(count);
        for pick in picks(if op.arity() == 3 { 7 } else { 1 }) {
            let digits = [pick % 11, pick / 11 % 11, pick / 121 % 11];
            for dtype in [DType::F64, DType::I64] {
                let is_float = dtype == DType::F64;
                let number = |index: usize| match is_float {
                    true => Expr::from(floats[digits[index]]),
                    false => Expr::from(integers[digits[index]]),
                };
                let typed = |index: usize| match is_float {
                    true => number(index).cast(DType::F64),
                    false => number(index).cast(DType::I64),
                };
                let operands = |operand: &dyn Fn(usize) -> Expr| {
                    let mut all: Vec<Expr> = (0..op.arity()).map(operand).collect();
                    if op == Op::Select {
                        all[0] = Expr::from(1).lt(2);
                    }
                    Expr::apply(op, all)
                };
                let whole = |expr: Expr, other: &str| {
                    let mask = Expr::input("m: bool");
                    build("k", &[mask.select(expr, Expr::input(other))])
                };
                // The type of the result tells what the number must meet.
                let Ok(evaluated) = build("k", &[operands(&typed)]) else { continue };
                let result = evaluated.dtype(evaluated.outputs()[0]);
                let folded = match result {
                    DType::Bool => whole(operands(&number), "y: bool"),
                    _ => whole(operands(&number), &format!("y: {result}")),
                };
                tried += 1;
                let Ok(folded) = folded else {
                    // What wraps around is no number, and a quotient is a float.
                    refused += 1;
                    continue;
                };
                let names: Vec<f64> =
                    folded.inputs().iter().map(|input| f64::from(input.name == "m")).collect();
                let (got, expected) =
                    (eval_scalar(&folded, &names)[0], eval_scalar(&evaluated, &[])[0]);
                let same = got == expected && got.is_sign_negative() == expected.is_sign_negative();
                assert!(
                    same || got.is_nan() && expected.is_nan(),
                    "{got:e}, not {expected:e}:\n{folded}{evaluated}"
                );
            }
        }
    }
    assert!(tried > 6_000 && refused < tried / 8, "{refused} of {tried}");
}
