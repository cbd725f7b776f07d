use super::{free_inputs, parse};
use crate::build::build;
use crate::expr::Expr;
use crate::graph::Graph;

/// What is printed for `text`, after a check that it reads back.
fn printed(text: &str) -> String {
    let graph = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let printed = graph.to_string();
    let again: Graph = printed.parse().unwrap_or_else(|error| panic!("{printed}\n{error}"));
    assert_eq!(again, graph, "{printed}");
    assert_eq!(again.name(), graph.name());
    assert_eq!(again.to_string(), printed);
    printed
}

/// The body of what is printed for a bare expression.
fn body(text: &str) -> String {
    let printed = printed(text);
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    lines[1..lines.len() - 1].join(" ")
}

#[test]
fn kernels() {
    insta::assert_snapshot!(printed(
        "kernel bias_gelu(x: f32[n, d], w: f32[d], b: f32[d]) -> f32[n, d] {
            let u = x * w + b; # bias
            0.5 * u * (1 + tanh(0.7978845608 * (u + 0.044715 * u^3))) # gelu
        }"
    ), @r"
    kernel bias_gelu(x: f32[n, d], w: f32[d], b: f32[d]) -> f32[n, d] {
        let t0 = x * w + b;
        0.5 * t0 * (1 + tanh(0.7978846 * (t0 + 0.044715 * (t0 * t0 * t0))))
    }
    ");
    insta::assert_snapshot!(printed("0.5*x*(1+erf(x/sqrt(2)))"), @r"
    kernel kernel(x: f32[..]) -> f32[..] {
        0.5 * x * (1 + erf(x / 1.4142135))
    }
    ");
    insta::assert_snapshot!(
        printed("kernel two(x: f32[n]) -> (f32[n], bool[n]) { (exp(x), x > 0) }"), @r"
    kernel two(x: f32[n]) -> (f32[n], bool[n]) {
        (exp(x), x > 0)
    }
    ");
}

#[test]
fn fused_kernels() {
    insta::assert_snapshot!(printed(
        "kernel gelu_tanh(x: f32[..]) -> f32[..] {
            fused(x) {
                x * sigmoid(1.5957692 * fma(x * x, 0.044715 * x, x))
            }
        }"
    ), @r"
    kernel gelu_tanh(x: f32[..]) -> f32[..] {
        fused(x) {
            x * sigmoid(1.5957692 * fma(x * x, 0.044715 * x, x))
        }
    }
    ");
    insta::assert_snapshot!(printed(
        "kernel mlp(x: f32[n, k], w: f32[k, d], b: f32[d]) {
            let h = fused(y = x @ w, b) { let t = y + b; t * sigmoid(t) };
            let (a, b2) = fused(h, two = 2f64) { let e = exp(h); (e, f64(e) > two) };
            (a, b2, h)
        }"
    ), @r"
    kernel mlp(x: f32[n, k], w: f32[k, d], b: f32[d]) -> (f32[n, d], bool[n, d], f32[n, d]) {
        let h = fused(y = x @ w, b) {
            let t0 = y + b;
            t0 * sigmoid(t0)
        };
        let (t0, t1) = fused(h, two = 2f64) {
            let t0 = exp(h);
            (t0, f64(t0) > two)
        };
        (t0, t1, h)
    }
    ");
    insta::assert_snapshot!(printed("fused(x) { (x + 1, x * x) }"), @r"
    kernel kernel(x: f32[..]) -> (f32[..], f32[..]) {
        fused(x) {
            (x + 1, x * x)
        }
    }
    ");
}

#[test]
fn closures() {
    insta::assert_snapshot!(printed("|p, lr: f64[], g| p - lr*g"), @r"
    kernel kernel(p: f32[..], lr: f64[], g: f32[..]) -> f64[..] {
        f64(p) - lr * f64(g)
    }
    ");
    insta::assert_snapshot!(printed("|x: f32[n, d], unread: bool[3],| {
        let u = exp(x); # twice
        (u, u + 1)
    }"), @r"
    kernel kernel(x: f32[n, d], unread: bool[3]) -> (f32[n, d], f32[n, d]) {
        let t0 = exp(x);
        (t0, t0 + 1)
    }
    ");
    insta::assert_snapshot!(printed("|x| -> bool[..] { 1 < x | 0 > x }"), @r"
    kernel kernel(x: f32[..]) -> bool[..] {
        1 < x | 0 > x
    }
    ");
    // What may follow the parameters, and what they may be called.
    assert_eq!(body("|x| -x"), "-x");
    assert_eq!(body("|x: bool| !x"), "!x");
    assert_eq!(body("|x: f32| - x"), "-x");
    assert_eq!(body("|x, y| - x"), "-x");
    assert_eq!(body("|pi| pi * 2"), "pi * 2");
    assert_eq!(body("|x, y| x > 0 | y > 0"), "x > 0 | y > 0");
    assert_eq!(body("|a, b| (b, a)"), "(b, a)");
    for text in ["|| 1", "| | 1", "|| { 1 }"] {
        assert_eq!(printed(text), "kernel kernel() -> f32[] {\n    1\n}\n");
    }
}

/// The order of inputs is the closure's and the head's; a bare expression has none.
#[test]
fn orders_of_inputs() {
    let inputs = |text: &str| {
        let graph = parse(text).unwrap();
        let free = free_inputs(text).unwrap();
        assert!(free.iter().map(|input| &input.name).eq(graph.inputs().iter().map(|i| &i.name)));
        let names: Vec<&str> = graph.inputs().iter().map(|input| &*input.name).collect();
        (names.join(" "), graph.inputs_are_ordered())
    };
    let ordered = |names: &str| (names.to_string(), true);
    for text in ["p - lr*g", "lr*g - p", "p", "0"] {
        assert_eq!(inputs(&format!("|p, lr, g| {text}")), ordered("p lr g"));
        assert_eq!(inputs(&format!("kernel sgd(p, lr, g) {{ {text} }}")), ordered("p lr g"));
    }
    assert_eq!(inputs("p - lr*g"), ("p lr g".into(), false));
    assert_eq!(inputs("p - g*lr"), ("p g lr".into(), false));
    assert_eq!(inputs("x * exp(x)"), ordered("x"));
    assert_eq!(inputs("1 + 1"), ordered(""));
    // What Rust code writes has no head either.
    let [p, lr, g] = ["p", "lr", "g"].map(Expr::input);
    assert!(!build("sgd", &[p - lr * g]).unwrap().inputs_are_ordered());
    // Passes keep it, and what is printed has a head.
    let bare = parse("p - lr*g").unwrap();
    assert!(!bare.normalized().inputs_are_ordered());
    assert!(parse(&bare.to_string()).unwrap().inputs_are_ordered());
    assert_eq!(bare, parse("|p, lr, g| p - lr*g").unwrap());
}

/// Bindings that are results name them, in a kernel and after passes.
#[test]
fn names_of_outputs() {
    let names = |text: &str| {
        let graph = parse(text).unwrap().normalized();
        let name = |index| graph.output_name(index).unwrap_or("-").to_string();
        (0..graph.outputs().len()).map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names("let price = x * y; let delta = x; (price, delta, y, price * 2)"),
        "price - - -"
    );
    assert_eq!(names("|x| { let y = exp(x); y }"), "y");
    assert_eq!(names("let (a, b) = fused(x) { let e = exp(x); (e, e * e) }; (b, a)"), "b a");
    assert_eq!(names("exp(x)"), "-");
    assert_eq!(names("fused(x) { let e = exp(x); (e, e * e) }"), "- -");
}

#[test]
fn precedence() {
    assert_eq!(body("-x^2.5"), "-x^2.5");
    assert_eq!(body("(-x)^2.5"), "(-x)^2.5");
    assert_eq!(body("x^y^z"), "x^y^z");
    assert_eq!(body("(x^y)^z"), "(x^y)^z");
    assert_eq!(body("x^-y"), "x^-y");
    assert_eq!(body("a - (b - c) - d"), "a - (b - c) - d");
    assert_eq!(body("a / (b * c) % d @ e"), "a / (b * c) % d @ e");
    assert_eq!(body("a < b & !(c >= d) | a == c"), "a < b & !(c >= d) | a == c");
    assert_eq!(body("(a < b) & ((c < d) | (e < f))"), "a < b & (c < d | e < f)");
    assert_eq!(body("--x * -y"), "--x * -y");
    assert_eq!(body("-(x * y)"), "-(x * y)");
}

#[test]
fn powers() {
    assert_eq!(body("x^3"), "x * x * x");
    assert_eq!(body("pow(x, 3)"), "pow(x, 3)");
    assert_eq!(body("x^10"), "x^10");
    assert_eq!(body("x^-2"), "x^-2");
    assert_eq!(body("x^-1"), "recip(x)");
    assert_eq!(body("x^0"), "x^0");
    assert_eq!(body("pow(x, -0)"), "pow(x, -0)");
    assert_eq!(body("x^99999999999"), "x^100000000000");
    assert_eq!(body("2^x"), "2^x");
    assert_eq!(body("(-2)^x"), "(-2)^x");
}

#[test]
fn numbers() {
    assert_eq!(body("x + 1e-3 + 0.1 + .5 + 2. + 1e30"), "x + 0.001 + 0.1 + 0.5 + 2 + 1e30");
    assert_eq!(body("f64(x) + 1e300"), "f64(x) + 1e300");
    assert_eq!(body("x + -0.0"), "x + -0");
    assert_eq!(body("x * inf - nan - -inf"), "x * inf - nan - -inf");
    assert_eq!(body("x + bits32(0x7fc00001)"), "x + bits32(0x7fc00001)");
    assert_eq!(body("x + bits32(0xffc00000)"), "x + bits32(0xffc00000)");
    assert_eq!(body("f64(x) + bits64(0x7ff8000000000001)"), "f64(x) + bits64(0x7ff8000000000001)");
    assert_eq!(body("x + 0.1f64"), "f64(x) + 0.1");
    assert_eq!(body("1f32 + 2"), "1f32 + 2");
    assert_eq!(body("1 + 2"), "3");
    assert_eq!(body("1 + 2f64"), "1f64 + 2");
    assert_eq!(body("1f32 < 2"), "1f32 < 2");
    assert_eq!(body("1 < 2"), "true");
    assert_eq!(body("f32(2)"), "2");
    assert_eq!(body("f64(2)"), "2f64");
    assert_eq!(body("f32(2f64)"), "f32(2f64)");
    assert_eq!(body("exp(f64(inf))"), "exp(f64(inf))");
    assert_eq!(body("neg(-2f32) + -(2f32) + -2f32^x"), "neg(-2f32) + neg(2f32) + -2^x");
    assert_eq!(body("select(true, x, false)"), "select(true, x, 0)");
    assert_eq!(body("pi * x"), "3.1415927 * x");
}

#[test]
fn names() {
    assert_eq!(body("let pi = 3 * x; pi + y"), "3 * x + y");
    assert!(printed("kernel f(pi, t0) { let u = pi + t0; u * u }").contains("let t1 = pi + t0;"));
    let names = |text| -> Vec<String> {
        free_inputs(text).unwrap().into_iter().map(|input| input.name).collect()
    };
    assert_eq!(names("let a = b + c; a * b * d * pi"), ["b", "c", "d"]);
}

#[test]
fn long_expressions_are_split() {
    let sum = (0..500).map(|i| format!("x{i}")).collect::<Vec<_>>().join(" + ");
    assert!(printed(&sum).lines().skip(1).all(|line| line.len() < 150));
    let mut deep = "x".to_string();
    for _ in 0..90 {
        deep = format!("exp(1 / ({deep} + y))");
    }
    printed(&deep);
}
