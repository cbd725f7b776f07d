//! Graphs that mean nothing, in fused bodies and in whole.

use super::errors;
use kiln_ir::{Fault, NodeId, parse};

#[test]
fn fused() {
    insta::assert_snapshot!(errors(&[
        "fused(x, x) { x }",
        "fused(x) { x @ x @ x @ x }",
        "fused(x) { fused(x) { x } }",
        "fused(x) { (x, x * 2) } + 1",
        "fused(x = ) { x }",
        "fused x",
        "kernel f(x: f32[2]) {\n    let y = fused(x, y = x > 0) {\n        x + exp(y)\n    };\n    y\n}",
    ]), @r"
    1:10: parameter `x` is given twice
      |
    1 | fused(x, x) { x }
      |          ^

    1:1: a second matmul cannot stand in a fused body, which has elementwise ops, reductions and one matmul by a parameter
      |
    1 | fused(x) { x @ x @ x @ x }
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: compute it outside and pass it in as an argument

    1:12: a fused kernel cannot stand in a fused body, which has elementwise ops, reductions and one matmul by a parameter
      |
    1 | fused(x) { fused(x) { x } }
      |            ^^^^^
      = hint: compute it outside and pass it in as an argument

    1:1: this fused kernel has 2 results
      |
    1 | fused(x) { (x, x * 2) } + 1
      | ^^^^^^^^^^^^^^^^^^^^^^^
      = hint: name them: `let (t0, t1) = fused(..) {..};`

    1:11: expected an expression, found `)`
      |
    1 | fused(x = ) { x }
      |           ^

    1:7: expected `(`, found `x`
      |
    1 | fused x
      |       ^
      = hint: arguments go in parentheses: `fused(..)`

    3:13: exp: operands are bool
      |
    3 |         x + exp(y)
      |             ^^^^^^
      = hint: it takes floats of one type; convert with f32(x) or f64(x)
    ");
}

#[test]
fn graphs() {
    insta::assert_snapshot!(errors(&[
        "kernel f(x: f32[n, 3], y: f32[4]) {\n\tlet z = exp(x); # fine\n\tz + y\n}",
        "kernel f(a: f32[n, k], b: f32[m, n]) { a @ b }",
        "exp(true)",
        "x & y",
        "gelu(x) @ 2",
        "kernel f(a: f32[2], b: f32[3]) { (a - b)^3 }",
        "select(x, y, z)",
        "true & x",
        "kernel f(x: f32[]) { x @ x }",
        "x*1e60",
        "f16(1e6)",
        "1e30*1e30*x",
        "f64(x) * (1e200*1e200)",
        "kernel f(x: i32) { x/2.0 }",
        "kernel f(x: i32) { x/5e0 }",
        "kernel f(x: i32, y: i32) { (x*1.0+y*1.0)/2.0 }",
        "kernel f(x: i32) { x < 2. }",
        "kernel f(x: i32) { x * (4/2) }",
        "kernel f(x: u8) { x + 300 }",
        "kernel f(x: i64) { x * 1_000_000_000_000_000_000_000 }",
        "kernel f(x: i32) { x^-2 }",
        "kernel f(x: i32, y: i32) { x^y }",
        "(x > 0) & 2",
        "1.5 & 1",
        "kernel f(x: i32) { sqrt(x) }",
        "kernel f(x: i32, y: f32) { x//y }",
    ]), @r"
    3:2: add: shapes [n, 3] and [4] do not broadcast: axis -1 is 3 on the left and 4 on the right
      |
    3 |  z + y
      |  ^^^^^
      = hint: sizes must be equal, or one of them 1

    1:40: matmul: shapes [n, k] and [m, n] do not fit: the last axis of the left is k, but the second-last axis of the right is m
      |
    1 | kernel f(a: f32[n, k], b: f32[m, n]) { a @ b }
      |                                        ^^^^^
      = hint: they must be equal

    1:1: exp: operands are bool
      |
    1 | exp(true)
      | ^^^^^^^^^
      = hint: it takes floats of one type; convert with f32(x) or f64(x)

    1:1: and: operands are f32 and f32
      |
    1 | x & y
      | ^^^^^
      = hint: it takes bools, or integers of one type; make bools by a comparison or by bool(x)

    1:1: matmul: shapes [..] and [] do not fit: each needs at least one axis
      |
    1 | gelu(x) @ 2
      | ^^^^^^^^^^^
      = hint: multiply by a number with `*`

    1:35: sub: shapes [2] and [3] do not broadcast: axis -1 is 2 on the left and 3 on the right
      |
    1 | kernel f(a: f32[2], b: f32[3]) { (a - b)^3 }
      |                                   ^^^^^
      = hint: sizes must be equal, or one of them 1

    1:1: select: operands are f32 and f32 and f32
      |
    1 | select(x, y, z)
      | ^^^^^^^^^^^^^^^
      = hint: it takes a bool, then two operands of one type

    1:1: and: operands are bool and f32
      |
    1 | true & x
      | ^^^^^^^^
      = hint: it takes bools, or integers of one type; make bools by a comparison or by bool(x)

    1:22: matmul: shapes [] and [] do not fit: each needs at least one axis
      |
    1 | kernel f(x: f32[]) { x @ x }
      |                      ^^^^^
      = hint: multiply by a number with `*`

    1:1: the number 1e60 is too large for f32, whose largest is 3.4028235e38
      |
    1 | x*1e60
      | ^^^^^^
      = hint: declare inputs of type f64 (x: f64) or convert one (f64(x)); infinity is written inf

    1:1: the number 1000000.0 is too large for f16, whose largest is 6.5504e4
      |
    1 | f16(1e6)
      | ^^^^^^^^
      = hint: convert to a wider type; infinity is written inf

    1:1: the number 1.0000000000000001e60 is too large for f32, whose largest is 3.4028235e38
      |
    1 | 1e30*1e30*x
      | ^^^^^^^^^^^
      = hint: declare inputs of type f64 (x: f64) or convert one (f64(x)); infinity is written inf

    1:11: mul of the numbers 1e200 and 1e200 is too large for f64
      |
    1 | f64(x) * (1e200*1e200)
      |           ^^^^^^^^^^^
      = hint: infinity is written inf

    1:20: the number 2.0 is no i32
      |
    1 | kernel f(x: i32) { x/2.0 }
      |                    ^^^^^
      = hint: write an integer without a point, or convert what it meets, as in f32(x)

    1:20: the number 5.0 is no i32
      |
    1 | kernel f(x: i32) { x/5e0 }
      |                    ^^^^^
      = hint: write an integer without a point, or convert what it meets, as in f32(x)

    1:29: the number 1.0 is no i32
      |
    1 | kernel f(x: i32, y: i32) { (x*1.0+y*1.0)/2.0 }
      |                             ^^^^^
      = hint: write an integer without a point, or convert what it meets, as in f32(x)

    1:20: the number 2.0 is no i32
      |
    1 | kernel f(x: i32) { x < 2. }
      |                    ^^^^^^
      = hint: write an integer without a point, or convert what it meets, as in f32(x)

    1:20: the number 2.0 is no i32
      |
    1 | kernel f(x: i32) { x * (4/2) }
      |                    ^^^^^^^^^
      = hint: write an integer without a point, or convert what it meets, as in f32(x)

    1:19: the number 300 is no u8
      |
    1 | kernel f(x: u8) { x + 300 }
      |                   ^^^^^^^
      = hint: write an integer from 0 to 255, or convert what it meets, as in f32(x)

    1:20: the number 1000000000000000000000 is no i64
      |
    1 | kernel f(x: i64) { x * 1_000_000_000_000_000_000_000 }
      |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: write an integer from -9223372036854775808 to 9223372036854775807, or convert what it meets, as in f32(x)

    1:20: pow: operands are i32
      |
    1 | kernel f(x: i32) { x^-2 }
      |                    ^^^^
      = hint: integers have no negative powers; convert with f32(x)

    1:28: pow: operands are i32 and i32
      |
    1 | kernel f(x: i32, y: i32) { x^y }
      |                            ^^^
      = hint: a power of integers has a literal exponent, not negative, as in x^3; convert with f32(x) for others; exclusive or is xor(a, b)

    1:1: the number 2 is no bool
      |
    1 | (x > 0) & 2
      | ^^^^^^^^^^^
      = hint: write true or false, or a comparison as in x != 0

    1:1: the number 1.5 is no bool
      |
    1 | 1.5 & 1
      | ^^^^^^^
      = hint: write true or false, or a comparison as in x != 0

    1:20: sqrt: operands are i32
      |
    1 | kernel f(x: i32) { sqrt(x) }
      |                    ^^^^^^^
      = hint: it takes floats of one type; convert with f32(x) or f64(x)

    1:28: floordiv: operands are i32 and f32
      |
    1 | kernel f(x: i32, y: f32) { x//y }
      |                            ^^^^
      = hint: integers and floats do not mix; convert one of them, as in f32(x) or i32(x)
    ");
}

/// Text says so at the place; here is what a graph says that is made by hand.
#[test]
fn bodies_that_are_not_elementwise() {
    let mut graph = parse("kernel f(x, w) { x + w }").unwrap();
    let arguments: Vec<NodeId> = [0, 1].map(NodeId::new).to_vec();
    for (text, what) in [
        ("kernel body(x, w) { transpose(x) + w }", "a transpose"),
        ("kernel body(x, w) { (x @ w, w @ x) }", "a second matmul"),
        ("kernel body(x, w) { x @ exp(w) }", "a matmul by what the body computes"),
        ("kernel body(x, w) { fused(x, w) { x + w } }", "a fused kernel"),
    ] {
        let fault = graph.fused(parse(text).unwrap(), arguments.clone()).unwrap_err();
        assert_eq!(fault, Fault::Body { what });
        let says = format!(
            "{what} cannot stand in a fused body, which has elementwise ops, reductions and one matmul by \
             a parameter;"
        );
        assert!(fault.to_string().starts_with(&says), "{fault}");
    }
}
