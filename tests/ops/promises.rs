//! What each mode promises, at the points where it is easiest to break.
//!
//! Strict mode changes no bit. Precise mode makes no NaN and no infinity of a number, no infinity of
//! a NaN unless it is the truth, and repairs what people write. The truth is computed in 200 bits.

use kiln::{CompileOptions, DType, EmitterKind, Mode, Tensor, View, compile_with};
use kiln_accuracy::exact;
use kiln_ir::{Graph, Node, parse};
use ndarray::Array1;
use std::fmt::Write as _;

const F32: DType = DType::F32;
const F64: DType = DType::F64;

/// The expression `text` over scalars of these names and one type.
fn graph(text: &str, dtype: DType, names: &[&str]) -> Graph {
    let inputs: Vec<String> = names.iter().map(|name| format!("{name}: {dtype}[n]")).collect();
    let text = format!("kernel f({}) {{ {text} }}", inputs.join(", "));
    parse(&text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// Its outputs for columns of inputs, as numbers. The interpreter's bits are those of all emitters.
fn run_all(graph: &Graph, options: CompileOptions, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let kernel = compile_with(graph, options.emitter(EmitterKind::Interp)).unwrap();
    let tensor = |(column, input): (&Vec<f64>, &kiln_ir::Input)| -> Tensor {
        let column = Array1::from(column.clone());
        if input.dtype == F32 { column.mapv(|value| value as f32).into() } else { column.into() }
    };
    let tensors: Vec<Tensor> = inputs.iter().zip(graph.inputs()).map(tensor).collect();
    let views: Vec<View<'_>> = tensors.iter().map(Tensor::view).collect();
    let column = |tensor: Tensor| match &tensor {
        Tensor::F32(array) => array.iter().map(|&value| f64::from(value)).collect(),
        Tensor::F64(array) => array.iter().copied().collect(),
        other => panic!("an output of type {}", other.dtype()),
    };
    kernel.run(&views).unwrap().into_iter().map(column).collect()
}

/// Its first output for one input each.
fn run(graph: &Graph, options: CompileOptions, inputs: &[f64]) -> f64 {
    let columns: Vec<Vec<f64>> = inputs.iter().map(|&value| vec![value]).collect();
    run_all(graph, options, &columns)[0][0]
}

fn written(graph: &Graph, inputs: &[f64]) -> f64 {
    run(graph, CompileOptions::unfused(), inputs)
}

fn in_mode(graph: &Graph, mode: Mode, inputs: &[f64]) -> f64 {
    run(graph, CompileOptions::new().mode(mode), inputs)
}

fn precise(text: &str, dtype: DType, names: &[&str], inputs: &[f64]) -> f64 {
    in_mode(&graph(text, dtype, names), Mode::Precise, inputs)
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// `|a - b|` in units of the last place of `b`.
fn ulps(dtype: DType, a: f64, b: f64) -> f64 {
    let (digits, least) = if dtype == F64 { (52, -1022) } else { (23, -126) };
    let exponent = b.abs().log2().floor().max(f64::from(least));
    (a - b).abs() / (exponent - f64::from(digits)).exp2()
}

#[test]
fn numbers_are_not_folded_past_their_type() {
    for mode in Mode::ALL {
        let big = graph("x*1.2676506002282294e30*1.2676506002282294e30", F32, &["x"]);
        for x in [1e-40, 0.0, -0.0] {
            let x = f64::from(x as f32);
            assert!(same(in_mode(&big, mode, &[x]), written(&big, &[x])), "{mode} {x}");
        }
    }
    // Products, quotients and sums of numbers that only each by itself are ordinary.
    let extremes = ["1e30", "1e-30", "3e38", "1.2e-38", "1.2676506002282294e30", "7.9e-31"];
    let shapes = [
        "x*k*l",
        "k*(l*x)",
        "x/k/l",
        "x/k*l",
        "k*x*(l*x)",
        "(x*k)*(x*k)*l",
        "k*x + l*x",
        "x*k - l*x",
    ];
    for shape in shapes {
        for (k, l) in extremes.iter().flat_map(|k| extremes.map(|l| (*k, l))) {
            let text = shape.replace('k', k).replace('l', l);
            let graph = graph(&text, F32, &["x"]);
            for x in [1e-40, 1e-30, 1e-8, 1.0, 1e8, 1e30, 0.0, -0.0] {
                let x = f64::from(x as f32);
                let was = written(&graph, &[x]);
                for mode in [Mode::Strict, Mode::Precise] {
                    let is = in_mode(&graph, mode, &[x]);
                    let kept = same(is, was) || mode == Mode::Precise && is.is_finite();
                    assert!(kept || !was.is_finite(), "{mode} {text} at {x:e}: {was:e} {is:e}");
                    assert!(!was.is_nan() || !is.is_infinite(), "{mode} {text} at {x:e}");
                }
            }
        }
    }
}

/// `q` is `m * m` rounded, so that `q - m*m` is 0 as written; rounded once, it is the error of that.
#[test]
fn exact_cancellations_stay_where_it_matters() {
    let texts = [
        "sqrt(q - m*m)",
        "rsqrt(q - m*m + 1)",
        "rsqrt(q - m*m)",
        "log(q - m*m + 1)",
        "log(1 - (q - m*m) - 1)",
        "(q - m*m)^0.5",
        "pow(m*m - q, 0.5)",
        "sqrt((q - m*m) / 3)",
        "sqrt(3 * (q - m*m))",
        "sqrt(tanh(q - m*m))",
        "sqrt(min(q - m*m, 4))",
        "sqrt(select(q > 0, m*m - q, 1))",
        "sqrt(1 - exp(m*m - q))",
        "asin(1 + (q - m*m))",
        "acos(m*m - q + 1)",
        "atanh(0.99999994 + (q - m*m))",
        "acosh(1 + (q - m*m))",
        "floor(q - m*m)",
        "ceil(m*m - q)",
        "trunc(1 + (q - m*m))",
        "round(0.5 + (m*m - q))",
        "sign(q - m*m)",
        "select(q - m*m < 0, 1, 2)",
        "select(m*m - q > 0, 1, 2)",
        "select(m*m <= q, 1, 2)",
        "select(q - m*m == 0, 1, 2)",
        "f32(i32(1 + (m*m - q)))",
        "(m*m - q) % 3",
        "atan2(q - m*m, -1)",
        "copysign(3, q - m*m)",
        "sqrt(q*2 - m*m*2)",
        "sqrt(q - abs(m*m))",
        "sqrt(q*1.3 - m*m*1.3)",
    ];
    for dtype in [F32, F64] {
        for text in texts {
            let graph = graph(text, dtype, &["q", "m"]);
            for step in 0..60u32 {
                let m = 1.5140288 + f64::from(step) * 0.0371;
                let (m, q) = match dtype {
                    F64 => (m, m * m),
                    _ => (f64::from(m as f32), f64::from(m as f32 * m as f32)),
                };
                let (was, is) = (written(&graph, &[q, m]), in_mode(&graph, Mode::Precise, &[q, m]));
                let kept = same(is, was) || !was.is_finite() && !was.is_nan();
                assert!(kept, "{dtype} {text} at {m}: as written {was:e}, precise {is:e}");
            }
        }
    }
}

/// Where nothing of the kind can happen, products are added with one rounding.
#[test]
fn harmless_sums_are_contracted() {
    for (text, names) in [
        ("x*w + b", &["x", "w", "b"][..]),
        ("((0.3*x + 0.2)*x + 0.1)*x - 0.7", &["x"]),
        ("gelu(x*w + b)", &["x", "w", "b"]),
        ("gelu_tanh(x*w + b)", &["x", "w", "b"]),
        ("relu(x*w + b)", &["x", "w", "b"]),
        ("max(x*w + b, 0)", &["x", "w", "b"]),
        ("silu(x*w + b)", &["x", "w", "b"]),
        ("(x - m) * rsqrt(v*v + 1e-5) * g + b", &["x", "m", "v", "g", "b"]),
        ("sqrt(x*x + 1e-6)", &["x"]),
        ("log(1 + exp(x*w + b))", &["x", "w", "b"]),
        ("y / (x*w + b)", &["x", "w", "b", "y"]),
        ("exp(x*w + b)", &["x", "w", "b"]),
        ("(x*w + b) * (1/(1 + exp(-(x*w + b))))", &["x", "w", "b"]),
    ] {
        let graph = graph(text, F32, names);
        let fused = kiln::internals::fuse(&graph, Mode::Precise).graph.to_string();
        assert!(fused.contains("fma("), "{text}: {fused}");
    }
}

/// An overflow beside a repaired one: what was NaN is no infinity now, unless that is the truth.
#[test]
fn nan_never_becomes_a_wrong_infinity() {
    let cases: &[(&str, &[(f64, f64)])] = &[
        ("(exp(2*x) - 1) / (exp(2*x) + 1) + 0*y", &[(50.0, 0.0), (400.0, 0.0)]),
        ("(y + y) / (1 + exp(-x))", &[(-89.0, 3e38), (-720.0, 1.6e308)]),
        ("cosh(y) / (1 + exp(-x))", &[(-89.0, 100.0), (-720.0, 800.0)]),
        ("exp(y) / (1 + exp(x))", &[(95.0, 100.0), (720.0, 725.0)]),
        ("(y*exp(x)) / (1 + exp(x))", &[(100.0, 3e38), (-100.0, 3e38)]),
        ("(y*y) * exp(x) / (1 + exp(x))", &[(100.0, 1e30)]),
        ("(y*y) * (exp(x) / (1 + exp(x)))", &[(100.0, 1e30), (800.0, 1e200)]),
        ("0.5*(y*y)*(1 + tanh(x))", &[(-10.0, 1e30)]),
        ("0.5*((y*y) + (y*y)*tanh(x))", &[(-10.0, 1e30)]),
        ("0.5*(y*y) + 0.5*(y*y)*erf(x)", &[(-5.0, 1e30)]),
        ("cos(x) + (x + x) - log(1 + exp(x)) + 0*y", &[(3e38, 0.0), (1.7e308, 0.0)]),
        ("(y + y) - log(1 + exp(x))", &[(3e38, 3e38)]),
        ("x*x - (y + y)", &[(1e30, 3e38)]),
        ("x*y - (x + x)*y", &[(1e30, 1e30)]),
        ("fma(x, x, 0) - exp(y)", &[(1e30, 100.0)]),
        ("(y*y) * (1 / (1 + exp(-x)))", &[(-89.0, 1e30)]),
        ("(y*y) * (1 - sigmoid(x))", &[(95.0, 1e30)]),
        ("(y*y) / log(1 + exp(x))", &[(1e3, 1e30)]),
        ("log(y*y + sqrt(y*y*(y*y) + 1)) + 0*x", &[(0.0, 1e30)]),
        ("log(-(y*y) + sqrt(y*y*(y*y) + 1)) + 0*x", &[(0.0, 1e30)]),
        ("sqrt(x*x + y*y)", &[(f64::INFINITY, f64::NAN), (f64::NAN, 1.0)]),
    ];
    for dtype in [F32, F64] {
        for (text, points) in cases {
            let graph = graph(text, dtype, &["x", "y"]);
            for &(x, y) in *points {
                let inputs =
                    if dtype == F32 { [f64::from(x as f32), f64::from(y as f32)] } else { [x, y] };
                // Numbers that only f64 has.
                if (x.is_finite() && inputs[0].is_infinite())
                    || (y.is_finite() && inputs[1].is_infinite())
                {
                    continue;
                }
                let (was, is) = (written(&graph, &inputs), in_mode(&graph, Mode::Precise, &inputs));
                let largest = if dtype == F32 { f64::from(f32::MAX) } else { f64::MAX };
                let truth = exact(&graph, &inputs.map(|v| if v.is_finite() { v } else { 0.0 }))[0];
                let is_true = truth.is_some_and(|value| value.abs() > largest);
                let wrong = was.is_nan() && is.is_infinite() && !is_true;
                assert!(!wrong, "{dtype} {text} at {x:e}, {y:e}: {is:e}, in truth {truth:?}");
                assert!(!was.is_finite() || is.is_finite(), "{dtype} {text} at {x:e}, {y:e}");
            }
        }
    }
}

/// Where both sides of a difference have overflowed, one of them in a repaired form: the truth is a
/// number, and beyond the exponents of the 200 bits above.
#[test]
fn differences_of_overflows_are_no_infinities() {
    for text in [
        "cos(x) + (x + x) - log(1 + exp(x))",
        "(x + x) - log(1 + exp(x))",
        "log(1 + exp(x)) - (x + x)",
        "(x + x) - log1p(exp(x))",
        "(x + x) - log(exp(x) - 1)",
        "(x + x) - (sqrt(x*x + 1) - 1)",
        "(x + x) - sqrt(x*x + x*x)",
        "(x + x) - log(exp(x) + exp(x - 1e37))",
        "max(x + x, 1) - abs(log(1 + exp(x)))",
        "fma(x, 2, -log(1 + exp(x)))*1 + (1 - x)*0",
    ] {
        for (dtype, x) in [(F32, f64::from(3e38f32)), (F64, 1.7e308)] {
            let graph = graph(text, dtype, &["x"]);
            let (was, is) = (written(&graph, &[x]), in_mode(&graph, Mode::Precise, &[x]));
            assert!(!is.is_infinite() || was == is, "{dtype} {text}: {was}, {is}");
        }
    }
}

/// Functions as people write them, and a form that loses nothing.
const REPAIRED: &[(&str, &[&str])] = &[
    (
        "max(x, 0) + log1p(exp(-abs(x)))",
        &["log(1 + exp(x))", "log1p(exp(x))", "x + log1p(exp(-x))", "x + log(1 + exp(-x))"],
    ),
    (
        "tanh(x)",
        &[
            "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
            "(exp(2*x) - 1) / (exp(2*x) + 1)",
            "(1 - exp(-2*x)) / (1 + exp(-2*x))",
            "1 - 2 / (exp(2*x) + 1)",
            "2 / (1 + exp(-2*x)) - 1",
            "2 * sigmoid(2*x) - 1",
            "expm1(2*x) / (exp(2*x) + 1)",
            "sinh(x) / cosh(x)",
        ],
    ),
    ("sigmoid(x)", &["1 / (1 + exp(-x))", "exp(x) / (1 + exp(x))", "exp(x) / (exp(x) + exp(0*x))"]),
    ("expm1(x)", &["exp(x) - 1", "-1 + exp(x)", "exp(x) + -1", "-(1 - exp(x))"]),
    // Of what is never negative.
    ("abs(x) + log1p(exp(-abs(x)))", &["log(1 + exp(abs(x)))", "log1p(exp(abs(x)))"]),
    ("exp(x) + log1p(exp(-exp(x)))", &["log(1 + exp(exp(x)))"]),
    ("log1p(abs(x))", &["log(1 + abs(x))", "log(abs(x) + 1)"]),
    ("asinh(x)", &["log(x + sqrt(x*x + 1))", "log(sqrt(1 + x*x) + x)", "log(x + sqrt(x^2 + 1))"]),
    ("log(-expm1(-abs(x)))", &["log(1 - exp(-abs(x)))", "log1p(-exp(-abs(x)))"]),
    ("log(expm1(abs(x)))", &["log(exp(abs(x)) - 1)"]),
    ("min(x, 0) - log1p(exp(-abs(x)))", &["log(sigmoid(x))", "log(1 / (1 + exp(-x)))"]),
    ("hypot(x, 3*x)", &["sqrt(x*x + (3*x)*(3*x))"]),
    ("x * tanh(max(x, 0) + log1p(exp(-abs(x))))", &["x * tanh(log(1 + exp(x)))", "mish(x)"]),
];

const POINTS: &[f64] =
    &[1e-10, -1e-10, 0.3, -0.3, 2.0, -2.0, 20.0, -20.0, 100.0, -100.0, 1e4, -1e4];

fn points(dtype: DType) -> impl Iterator<Item = f64> {
    POINTS.iter().map(move |&x| if dtype == F32 { f64::from(x as f32) } else { x })
}

/// The exact value of a graph, rounded to a type. 200 bits hold no more than that of e^±100.
fn truth(graph: &Graph, dtype: DType, x: f64) -> f64 {
    let value = exact(graph, &[x])[0].unwrap_or(f64::NEG_INFINITY);
    if dtype == F32 { f64::from(value as f32) } else { value }
}

#[test]
fn what_people_write_is_repaired() {
    for dtype in [F32, F64] {
        let mut faults = String::new();
        for (stable, spellings) in REPAIRED {
            let stable_graph = graph(stable, dtype, &["x"]);
            for spelling in *spellings {
                let graph = graph(spelling, dtype, &["x"]);
                let column: Vec<f64> = points(dtype).collect();
                let options = CompileOptions::new().mode(Mode::Precise);
                let results = run_all(&graph, options, std::slice::from_ref(&column)).remove(0);
                for (x, is) in column.into_iter().zip(results) {
                    let truth = truth(&stable_graph, dtype, x);
                    // A tail that vanishes in the type may be 0; e^1e4 is infinite.
                    let least = if dtype == F32 { 1.2e-38 } else { 2.3e-308 };
                    let good = same(is, truth)
                        || ulps(dtype, is, truth) <= 6.0
                        || is.abs() <= least && truth.abs() <= least;
                    if !good {
                        let _ = writeln!(faults, "{spelling} at {x:e}: {is:e}, not {truth:e}");
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{dtype}\n{faults}");
    }
}

/// Two spellings meet in one graph: each stays repaired, beside and inside the other.
#[test]
fn no_repair_is_lost_where_two_meet_in_f32() {
    all_pairs_meet(F32);
}

#[test]
fn no_repair_is_lost_where_two_meet_in_f64() {
    all_pairs_meet(F64);
}

fn all_pairs_meet(dtype: DType) {
    let pairs = |&(stable, spellings): &(&'static str, &'static [&'static str])| {
        spellings.iter().map(move |&spelling| (spelling, stable))
    };
    let all: Vec<(&str, &str)> = REPAIRED.iter().flat_map(pairs).collect();
    let mut faults = String::new();
    for (index, a) in all.iter().enumerate() {
        for b in &all[index..] {
            meet(dtype, *a, *b, &mut faults);
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Checks two functions, each with a form that loses nothing, in a sum, a product, as two outputs and
/// one inside the other.
fn meet(dtype: DType, a: (&str, &str), b: (&str, &str), faults: &mut String) {
    let inside = |outer: &str, inner: &str| format!("{{ let y = {inner}; {} }}", rename(outer));
    let combine = |join: &str, a: &str, b: &str| match join {
        "inside" => inside(a, b),
        _ => join.replace('a', "A").replace('b', "B").replace('A', a).replace('B', b),
    };
    for join in ["(a) + (b)", "(a) * (b)", "((a), (b))", "inside"] {
        let text = combine(join, a.0, b.0);
        let text = text.trim_start_matches('{').trim_end_matches('}');
        let stable = combine(join, a.1, b.1);
        let stable = stable.trim_start_matches('{').trim_end_matches('}');
        let (graph, stable) = (graph(text, dtype, &["x"]), graph(stable, dtype, &["x"]));
        let column: Vec<f64> = points(dtype).filter(|x| x.abs() < 50.0).collect();
        let of = |graph, options| run_all(graph, options, std::slice::from_ref(&column));
        let is = of(&graph, CompileOptions::new().mode(Mode::Precise));
        let best = of(&stable, CompileOptions::unfused());
        for (row, &x) in column.iter().enumerate() {
            for (output, truth) in exact(&stable, &[x]).into_iter().enumerate() {
                let Some(truth) = truth else { continue };
                // As good as the stable forms, op by op, or as a few roundings.
                let best = ulps(dtype, best[output][row], truth);
                let bound = if best.is_nan() { f64::INFINITY } else { 16.0f64.max(4.0 * best) };
                let largest = if dtype == F32 { 3.4e38 } else { f64::MAX };
                let tiny = truth.abs() < if dtype == F32 { 1e-37 } else { 1e-300 };
                let error = ulps(dtype, is[output][row], truth);
                if truth.abs() <= largest && !tiny && (error > bound || error.is_nan()) {
                    let is = is[output][row];
                    let _ = writeln!(faults, "{text} at {x:e}: {is:e}, not {truth:e}");
                }
            }
        }
    }
}

/// The same text about `y`.
fn rename(text: &str) -> String {
    let bytes = text.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let lone = |at: usize| !word(at + 1) && (at == 0 || !word(at - 1));
    text.char_indices().map(|(at, c)| if c == 'x' && lone(at) { 'y' } else { c }).collect()
}

#[test]
fn sums_of_spellings_are_what_they_are_each() {
    let text = "t + log1p(exp(-t)) + log(1 + exp(t))";
    for dtype in [F32, F64] {
        assert_eq!(precise(text, dtype, &["t"], &[100.0]), 200.0);
        let tail = precise(text, dtype, &["t"], &[-80.0]);
        assert!((tail / (2.0 * (-80f64).exp()) - 1.0).abs() < 1e-6, "{tail:e}");
    }
}

/// How far a graph may be off at a point by the errors of its own ops, to first order.
fn error_bound(graph: &Graph, inputs: &[f64]) -> f64 {
    let mut values: Vec<(f64, f64)> = Vec::new();
    for (id, node) in graph.iter() {
        values.push(match node {
            Node::Input(index) => (inputs[*index as usize], 0.0),
            Node::Const(bits) => (f64::from_bits(*bits), 0.0),
            Node::Op(op, args) => {
                let operands: Vec<f64> = args.iter().map(|arg| values[arg.index()].0).collect();
                let value = op.eval(F64, &operands);
                let mut error = op.max_ulp(graph.dtype(id)) * value.abs() * f64::from(f32::EPSILON);
                for (index, arg) in args.iter().enumerate() {
                    let mut moved = operands.clone();
                    moved[index] += values[arg.index()].1;
                    error += (op.eval(F64, &moved) - value).abs();
                }
                (value, error)
            }
            _ => panic!("elementwise ops only"),
        });
    }
    values[graph.outputs()[0].index()].1
}

/// Where a sum cancels, what is left of it may be far off in ULP, contracted or not: but contracted
/// it is never farther from the truth than what was written may be.
#[test]
fn contraction_stays_within_the_error_of_what_was_written() {
    for text in [
        "(x*0.3 + 0.1)*x - 0.7",
        "((x*0.3 - 0.2)*x + 0.1)*x - 0.7",
        "(x - 0.3)*1.7 - x",
        "exp(x)*0.1 - 0.42",
        "x*sin(x) - 1.4",
    ] {
        let graph = graph(text, F32, &["x"]);
        let column: Vec<f64> =
            (0..20_000).map(|i| f64::from(1.4352046f32 + i as f32 * 1.1920929e-7 * 37.0)).collect();
        let options = CompileOptions::new().mode(Mode::Precise);
        let fused = kiln::internals::fuse(&graph, Mode::Precise).graph.to_string();
        assert!(fused.contains("fma("), "{fused}");
        let results = run_all(&graph, options, std::slice::from_ref(&column)).remove(0);
        for (&x, is) in column.iter().zip(results) {
            let truth = exact_in_f64(&graph, x);
            let bound = error_bound(&graph, &[x]);
            assert!((is - truth).abs() <= bound, "{text} at {x}: {is:e}, not {truth:e}");
        }
    }
}

/// A graph of `f32` in `f64`, which is exact enough beside the rounding of `f32`.
fn exact_in_f64(graph: &Graph, x: f64) -> f64 {
    let mut values: Vec<f64> = Vec::new();
    for (_, node) in graph.iter() {
        values.push(match node {
            Node::Input(_) => x,
            Node::Const(bits) => f64::from_bits(*bits),
            Node::Op(op, args) => {
                let operands: Vec<f64> = args.iter().map(|arg| values[arg.index()]).collect();
                op.eval(F64, &operands)
            }
            _ => panic!("elementwise ops only"),
        });
    }
    values[graph.outputs()[0].index()]
}
