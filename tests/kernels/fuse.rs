//! Fusion: any spelling of a function ends as the same kernel, and elementwise code as one kernel.

use kiln::Mode;
use kiln::explain::prove;
use kiln::internals::{fuse, unfuse};
use kiln_ir::{DERIVED, Derived, Expr, Graph, Node, build, parse};

const GELU_TANH: &[&str] = &[
    "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))",
    "x*0.5*(1+tanh(0.7978845608*(x+0.044715*x*x*x)))",
    "0.5*(x*(1+tanh(0.7978845608*(x+0.044715*pow(x,3)))))",
    "x/2*(tanh((x+x*x*x*0.044715)*0.7978845608)+1)",
    "x*(0.5*(1+tanh(0.7978845608*(0.044715*x^3+x))))",
    "x*(0.5+0.5*tanh(0.7978845608*(x+0.044715*x^3)))",
    "0.5*x+0.5*x*tanh(0.7978845608*(x+0.044715*x^3))",
    "x*sigmoid(2*(0.7978845608*(x+0.044715*x^3)))",
    "x/(1+exp(-2*(0.7978845608*(x+0.044715*x^3))))",
    "x*(1/(1+exp(-1.5957691216*(x+0.044715*x^3))))",
    "0.5*x*(1+tanh(0.7978845608*x*(1+0.044715*x*x)))",
    "(1+tanh(0.7978845608*(x+0.044715*x*(x*x))))*x*0.5",
];

const SILU: &[&str] = &[
    "x*sigmoid(x)",
    "x/(1+exp(-x))",
    "x*(1/(1+exp(-x)))",
    "0.5*x*(1+tanh(x/2))",
    "x*exp(x)/(1+exp(x))",
    "x*(0.5+0.5*tanh(0.5*x))",
];

const SOFTPLUS: &[&str] = &[
    "log(1+exp(x))",
    "log1p(exp(x))",
    "max(x,0)+log1p(exp(-abs(x)))",
    "log(exp(x)+1)",
    "x+log1p(exp(-x))",
    "x+log(1+exp(-x))",
];

const GELU: &[&str] = &[
    "gelu(x)",
    "x*normcdf(x)",
    "0.5*x*(1+erf(x*0.7071067811865476))",
    "0.5*x*(1+erf(x/1.4142135623730951))",
    "x*0.5*(erf(0.70710678*x)+1)",
    "x/2*(1+erf(x/1.41421356))",
    "0.5*(x*(1+erf(x*0.70710678)))",
    "x*(0.5*(1+erf(x/1.41421356)))",
    "x*(0.5+0.5*erf(x*0.70710678))",
    "0.5*x+0.5*x*erf(x*0.70710678)",
    "0.5*x*erfc(-x*0.70710678)",
    "0.5*x*erfc(-x/1.41421356)",
];

fn fused_text(text: &str, mode: Mode) -> String {
    fuse(&parse(text).unwrap(), mode).graph.to_string()
}

#[test]
fn spellings_of_one_function_end_as_one_kernel() {
    for spellings in [GELU_TANH, SILU, SOFTPLUS] {
        for mode in [Mode::Precise, Mode::Fast] {
            let first = fused_text(spellings[0], mode);
            for spelling in spellings {
                assert_eq!(fused_text(spelling, mode), first, "{mode} {spelling}");
            }
        }
    }
}

/// Fast mode keeps the form with `erf`, which is quicker.
#[test]
fn gelu_keeps_its_negative_tail() {
    let first = fused_text(GELU[0], Mode::Precise);
    for spelling in GELU {
        assert_eq!(fused_text(spelling, Mode::Precise), first, "{spelling}");
        assert!(!fused_text(spelling, Mode::Fast).contains("normcdf"), "{spelling}");
    }
    // Four digits of 1/√2 are another function, of which the tail is kept as well.
    let other = fused_text("0.5*x*(1+erf(x*0.7071))", Mode::Precise);
    assert!(other.contains("erfc") && !other.contains("normcdf"), "{other}");
}

#[test]
fn differences_that_cancel_are_repaired() {
    for (text, repaired) in [
        ("x-tanh(x)", "tanhshrink(x)"),
        ("1-tanh(x)^2", "exp(-2 * abs(x))"),
        ("1-tanh(x)*tanh(x)", "exp(-2 * abs(x))"),
        ("sqrt(x*x+1)-1", "select("),
        ("sqrt(1+x)-1", "select("),
        ("1-sqrt(1-x)", "select("),
        ("1-cos(x)", "sin(0.5 * x)"),
        ("1-erf(x)", "erfc(x)"),
    ] {
        let fused = fused_text(text, Mode::Precise);
        assert!(fused.contains(repaired), "{text}: {fused}");
    }
}

#[test]
fn gelu_gate_is_one_sigmoid() {
    let text = fused_text(GELU_TANH[0], Mode::Precise);
    insta::assert_snapshot!(text, @r"
    kernel kernel(x: f32[..]) -> f32[..] {
        fused(x) {
            x * sigmoid(x * fma(0.071354814, x * x, 1.5957692))
        }
    }
    ");
}

/// A derived op over inputs of its parameters' names; optional ones keep their defaults.
fn derived_graph(row: &Derived) -> Graph {
    let required = row.parameters.iter().filter(|parameter| parameter.default.is_none());
    let args: Vec<Expr> = required.map(|parameter| Expr::input(parameter.name)).collect();
    build(row.name, &[row.apply(&args)]).unwrap()
}

fn count_fused(graph: &Graph) -> usize {
    graph.nodes().iter().filter(|node| matches!(node, Node::Fused { .. })).count()
}

#[test]
fn derived_ops_are_one_kernel_each_and_saturate() {
    let mut all = String::new();
    for row in DERIVED {
        for mode in Mode::ALL {
            let fusion = fuse(&derived_graph(row), mode);
            assert_eq!(count_fused(&fusion.graph), 1, "{} {mode}", row.name);
            assert!(fusion.algebra.saturated, "{} {mode}", row.name);
            assert!(fusion.algebra.cost_after <= fusion.algebra.cost_before);
            all += &format!("{mode}: {}", fusion.graph);
        }
    }
    insta::assert_snapshot!("derived", all);
}

#[test]
fn unfused_is_one_kernel_for_each_op() {
    let graph = parse(GELU_TANH[0]).unwrap();
    let split = unfuse(&graph);
    assert_eq!(count_fused(&split), graph.op_count());
}

#[test]
fn products_are_part_of_kernels() {
    let x = Expr::input("x: f32[n, k]");
    let w = Expr::input("w: f32[k, m]");
    let b = Expr::input("b: f32[m]");
    let layer = kiln_ir::derived::gelu_tanh(x.exp().matmul(&w) + &b);
    let graph = build("layer", &[layer]).unwrap();
    insta::assert_snapshot!("layer", fuse(&graph, Mode::Precise).graph);
}

#[test]
fn outputs_over_one_domain_share_a_pass() {
    let x = Expr::input("x");
    let s = x.sigmoid();
    let graph = build("forward_backward", &[&x * &s, &s * (1.0 - &s), s.exp()]).unwrap();
    insta::assert_snapshot!("forward_backward", fuse(&graph, Mode::Precise).graph);
}

#[test]
fn dear_producers_over_a_smaller_domain_are_computed_once() {
    let (x, w) = (Expr::input("x: f32[n, d]"), Expr::input("w: f32[d]"));
    let graph = build("scaled", &[&x * w.exp() + (&w * 2.0)]).unwrap();
    insta::assert_snapshot!("hoisted", fuse(&graph, Mode::Precise).graph);
}

#[test]
fn copies_and_fills_are_kernels_too() {
    let graph = build("trivial", &[Expr::input("x"), Expr::number(1.0)]).unwrap();
    insta::assert_snapshot!("trivial", fuse(&graph, Mode::Precise).graph);
}

#[test]
fn the_proof_of_gelu() {
    let graph = parse(GELU_TANH[0]).unwrap();
    insta::assert_snapshot!("gelu_proof", prove(&graph, Mode::Precise).unwrap());
}
