use super::{Costs, separations};
use crate::cost::cost_model;
use crate::fuse::regions::{Domains, merge};
use crate::mode::Mode;
use kiln_ir::{Graph, Node, parse};

/// The reasons of a program, as text; there must be some for every kernel but one, and those of numbers.
fn reasons(text: &str) -> Vec<String> {
    let graph: Graph = parse(text).unwrap();
    let (domains, model) = (Domains::of(&graph), cost_model(Mode::Precise));
    let found = separations(&graph, &domains, model);
    assert_eq!(found, separations(&graph, &domains, model), "they are always the same");
    let merged = merge(&graph, &domains, model);
    let is_kernel = |node: &&Node| matches!(node, Node::Fused { args, .. } if !args.is_empty());
    let kernels = merged.nodes().iter().filter(is_kernel);
    assert!(found.len() + 1 >= kernels.count(), "{found:?}\n{merged}");
    for separation in &found {
        let Some(Costs { apart, fused }) = separation.reason.costs() else { continue };
        assert!(apart <= fused, "{text}: {separation}: the search chose the dearer");
    }
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn one_kernel_has_no_reason() {
    assert_eq!(reasons("exp(x) * y + 1"), [""; 0]);
    assert_eq!(reasons("(exp(x), exp(x) * 2)"), [""; 0]);
    // Nor has the number that a padding reads.
    assert_eq!(reasons("pad[-1, 1, 1](exp(x), 0)"), [""; 0]);
}

#[test]
fn every_reason_is_given() {
    for (text, expected) in [
        ("exp(x @ tanh(w))", "1 and 2: 2 has a matmul of it, whose operands must be in memory"),
        ("x @ gelu_tanh(w)", "1 and 2: 2 has a matmul of it, whose operands must be in memory"),
        (
            "|x: f32[64, 5000], w: f32[5000, 8]| relu(x) @ w",
            "1 and 2: 2 has a matmul of it, and max (f32[64, 5000]) has rows that are too long",
        ),
        (
            "|x: f32[64, 4096], w: f32[4096, 4096]| relu(x) @ w + 1",
            "1 and 2: 2 has a matmul of it, and f32[4096, 4096] is too large to be read",
        ),
        (
            "softmax[-1](relu(x) @ w + c)",
            "1 and 2: 2 reduces rows of a matmul of it, and with those",
        ),
        ("sum[-2](x @ w)", "1 and 2: sum[-2] of f32[..] is not along the rows of the product"),
        ("slice[0, 1:](x @ w)", "1 and 2: a slice of it is an output, and a copy: it leaves"),
        ("transpose(softmax[-1](x))", "1 and 2: a transpose of it is an output, and a copy"),
        ("cumsum[-1](x @ w)", "1 and 2: 2 has a running sum, and a kernel with a product has none"),
        (
            "cumsum[-1](relu(x @ w)) * 2",
            "1 and 2: 2 has a running sum, and a kernel with a product",
        ),
        (
            "softmax[-1](x @ w) * cumsum[-1](exp(y))",
            "1 and 2: 1 has a running sum, and a kernel with",
        ),
        (
            "cumsum[-1](exp(x)) @ w",
            "1 and 2: 2 has a matmul of it, whose operands must be in memory",
        ),
        (
            "cumsum[0](cumsum[-1](exp(x)))",
            "1 and 2: cumsum[-1] of exp (f32[..]) and cumsum[0] of f32[..] are over different rows",
        ),
        ("concat[-1](x, y) * 2", "1 and 2: 1 is a concatenation, which no kernel computes: what"),
        (
            "|q: f32[4096, 64], kt: f32[64, 4096], v: f32[4096, 64]| \
             softmax[-1](softmax[-1](q @ kt) @ v + q)",
            "1 and 2: what follows a product of what a kernel computes is elementwise, of it and of",
        ),
        (
            "let s = q @ kt; softmax[-1](select(iota[-2](s) >= iota[-1](s), s, -inf)) @ v",
            "1 and 2: places along axes of the product (f32[..]) need it in memory; those along its",
        ),
        ("relu(slice[0, 1:](x @ w))", "1 and 2: it is read as a slice, not element by"),
        ("silu(x @ w) * (x @ v)", "1 and 2: a kernel has one product at most, and each has one"),
        ("softmax[0](x @ w)", "1 and 2: sup[0] of f32[..] is not along the rows of the product"),
        (
            "kernel k(x: f32[8, 8], w: f32[8, 50000]) { softmax[-1](x @ w) }",
            "1 and 2: the rows of the product (f32[8, 50000]) are too long to be held and reduced",
        ),
        (
            "kernel k(x: f32[m, k], w: f32[k, n], y: f32[b, m, n]) { x @ w + y }",
            "1 and 2: add (f32[b, m, n]) has more elements than the product (f32[m, n])",
        ),
        (
            "kernel k(x: f32[1000, 64], w: f32[64]) { x * exp(sin(w)) }",
            "1 and 2: exp (f32[64]) is computed once, not for every element of mul (f32[1000, 64])",
        ),
        ("exp(tanh(x) @ w @ w)", "1 and 2: 2 has a matmul of it, whose operands must be in memory"),
        (
            "kernel k(x: f32[n, n], w: f32[n, n]) { (exp(x), x @ w + 1) }",
            "1 and 2: with a product, a kernel stores only what is computed of it",
        ),
        (
            "kernel k(x: f32[n], y: f32[4, n]) { let v = exp(sin(x)) * tan(x); (v, v * y) }",
            "1 and 2: mul (f32[n]) is stored anyway, so it is loaded: ",
        ),
        ("sum[0](softmax[-1](x))", "1 and 2: sup[-1] of f32[..] and sum[0] of mul (f32[..]) are"),
        ("(softmax[-1](x), exp(softmax[0](x)))", "1 and 2: sup[-1] of f32[..] and sup[0] of"),
        (
            "kernel k(x: f32[n], y: f32[m]) { (exp(x), exp(y)) }",
            "1 and 2: exp (f32[n]) and exp (f32[m]) are not known to have one shape",
        ),
    ] {
        let found = reasons(text);
        assert!(found.iter().any(|reason| reason.starts_with(expected)), "{text}: {found:#?}");
    }
    let terms: Vec<String> = (1..=200).map(|i| format!("sin(x*{i}.5)*cos(y*{i}.25)")).collect();
    let found = reasons(&terms.join(" + "));
    assert!(found[0].ends_with("ops are cut into kernels of at most 512"), "{found:#?}");
}
