//! Well-formed texts that mean nothing.

use super::errors;
use kiln_ir::{Fault, parse};

#[test]
fn names() {
    insta::assert_snapshot!(errors(&[
        "kernel f(x) { x * scale }",
        "kernel f(scale) { scael * 2 }",
        "kernel f(x) { exp * x }",
        "kernel f(x, x) { x }",
        "kernel f(let) { 1 }",
        "kernel f(x, y) { fused(x) { x * y } }",
    ]), @r"
    1:19: unknown name `scale`
      |
    1 | kernel f(x) { x * scale }
      |                   ^^^^^
      = hint: inputs are declared in the head: `kernel f(scale: f32[..])`

    1:19: unknown name `scael`
      |
    1 | kernel f(scale) { scael * 2 }
      |                   ^^^^^
      = hint: did you mean `scale`?

    1:15: unknown name `exp`
      |
    1 | kernel f(x) { exp * x }
      |               ^^^
      = hint: it is a function: call it as `exp(..)`

    1:13: input x is declared twice
      |
    1 | kernel f(x, x) { x }
      |             ^
      = hint: use one declaration

    1:10: let is a word of the text format
      |
    1 | kernel f(let) { 1 }
      |          ^^^

    1:33: unknown name `y`
      |
    1 | kernel f(x, y) { fused(x) { x * y } }
      |                                 ^
      = hint: a fused body sees its parameters only: `fused(y, ..)`
    ");
}

#[test]
fn functions() {
    insta::assert_snapshot!(errors(&[
        "gleu(x)",
        "fmax(x, y)",
        "Sigmoid(x)",
        "frobnicate(x)",
        "let u = x + 1; u(2)",
        "leakyrelu(x)",
        "softmax(x)",
    ]), @r"
    1:1: unknown function `gleu`
      |
    1 | gleu(x)
      | ^^^^
      = hint: did you mean `gelu`?

    1:1: there is no function `fmax`
      |
    1 | fmax(x, y)
      | ^^^^
      = hint: `max(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, max(a, b)))`

    1:1: unknown function `Sigmoid`
      |
    1 | Sigmoid(x)
      | ^^^^^^^
      = hint: did you mean `sigmoid`?

    1:1: unknown function `frobnicate`
      |
    1 | frobnicate(x)
      | ^^^^^^^^^^
      = hint: write it with functions that are here; `kiln ops` lists them all

    1:16: unknown function `u`
      |
    1 | let u = x + 1; u(2)
      |                ^
      = hint: `u` is an array; a product is `u * (..)`

    1:1: unknown function `leakyrelu`
      |
    1 | leakyrelu(x)
      | ^^^^^^^^^
      = hint: did you mean `leaky_relu`?

    1:1: `softmax` along which axes?
      |
    1 | softmax(x)
      | ^^^^^^^
      = hint: write `softmax[-1](x)` for the last axis, `softmax[..](x)` for all
    ");
}

#[test]
fn arguments() {
    insta::assert_snapshot!(errors(&[
        "exp(x, y)",
        "pow(x)",
        "leaky_relu()",
        "threshold(x, 1)",
        "matmul(a)",
        "gelu(x, 2)",
        "bits32(1.5)",
        "bits32(0x1ffffffff)",
    ]), @r"
    1:1: exp takes 1 argument, found 2
      |
    1 | exp(x, y)
      | ^^^^^^^^^
      = hint: `exp(a)`: `e^a`

    1:1: pow takes 2 arguments, found 1
      |
    1 | pow(x)
      | ^^^^^^
      = hint: `pow(a, b)`: `a` to the power of `b`, special cases as IEEE 754

    1:1: leaky_relu takes 1 to 2 arguments, found 0
      |
    1 | leaky_relu()
      | ^^^^^^^^^^^^
      = hint: write `leaky_relu(x, slope = 0.01)`

    1:1: threshold takes 3 arguments, found 2
      |
    1 | threshold(x, 1)
      | ^^^^^^^^^^^^^^^
      = hint: write `threshold(x, bound, value)`

    1:1: matmul takes 2 arguments, found 1
      |
    1 | matmul(a)
      | ^^^^^^^^^
      = hint: `matmul(a, b)`: `a @ b`

    1:1: gelu takes 1 argument, found 2
      |
    1 | gelu(x, 2)
      | ^^^^^^^^^^
      = hint: write `gelu(x)`

    1:8: expected a hexadecimal number, found `1.5`
      |
    1 | bits32(1.5)
      |        ^^^
      = hint: write `bits32(0x7fc00001)`

    1:8: these bits are more than 32
      |
    1 | bits32(0x1ffffffff)
      |        ^^^^^^^^^^^
    ");
}

#[test]
fn heads() {
    insta::assert_snapshot!(errors(&[
        "kernel f",
        "kernel f(x { x }",
        "kernel f(x: i16) { x }",
        "kernel f(x: f32[n { x }",
        "kernel f(x: f32[n,]) { x }",
        "kernel f(x:) { x }",
        "kernel (x) { x }",
        "kernel f(x) x",
        "kernel f(x) { x",
        "kernel f(x) { x } y",
        "kernel f(3) { x }",
    ]), @r"
    1:9: expected `(`, found the end of the text
      |
    1 | kernel f
      |         ^

    1:12: expected `)`, found `{`
      |
    1 | kernel f(x { x }
      |            ^
      = hint: a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`

    1:10: the element type is not u8, i32, i64, f16, bf16, f32, f64 or bool
      |
    1 | kernel f(x: i16) { x }
      |          ^^^^^^
      = hint: there are integers `u8`, `i32` and `i64`

    1:10: a ] is missing
      |
    1 | kernel f(x: f32[n { x }
      |          ^^^^^^^^
      = hint: a type is an element type, and its axes where they matter: `f32`, `f32[n, 3]`

    1:10: an axis is neither a name nor a size
      |
    1 | kernel f(x: f32[n,]) { x }
      |          ^^^^^^^^^^
      = hint: a type is an element type, and its axes where they matter: `f32`, `f32[n, 3]`

    1:10: the element type is not u8, i32, i64, f16, bf16, f32, f64 or bool
      |
    1 | kernel f(x:) { x }
      |          ^^
      = hint: a type is an element type, and its axes where they matter: `f32`, `f32[n, 3]`

    1:8: expected the name of the kernel, found `(`
      |
    1 | kernel (x) { x }
      |        ^
      = hint: a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`

    1:13: expected `{`, found `x`
      |
    1 | kernel f(x) x
      |             ^
      = hint: a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`

    1:13: this `{` is never closed
      |
    1 | kernel f(x) { x
      |             ^

    1:19: expected the end of the text, found `y`
      |
    1 | kernel f(x) { x } y
      |                   ^

    1:10: the name is not a word of letters, digits and _
      |
    1 | kernel f(3) { x }
      |          ^
    ");
}

#[test]
fn results() {
    insta::assert_snapshot!(errors(&[
        "kernel f(x: f32[n]) -> f64[n] { x }",
        "kernel f(x: f32[n]) -> f32[m] { x }",
        "kernel f(x) -> (f32, f32) { x }",
        "kernel f(x) -> f32[n] { x }",
        "kernel f(x) -> int { x }",
    ]), @r"
    1:24: the result is f32[n], but f64[n] is declared
      |
    1 | kernel f(x: f32[n]) -> f64[n] { x }
      |                        ^^^^^^
      = hint: the result type may be left out

    1:24: the result is f32[n], but f32[m] is declared
      |
    1 | kernel f(x: f32[n]) -> f32[m] { x }
      |                        ^^^^^^
      = hint: the result type may be left out

    1:16: the kernel has 1 result, but 2 types are declared
      |
    1 | kernel f(x) -> (f32, f32) { x }
      |                ^^^^^^^^^^
      = hint: the result type may be left out

    1:16: the result is f32[..], but f32[n] is declared
      |
    1 | kernel f(x) -> f32[n] { x }
      |                ^^^^^^
      = hint: the result type may be left out

    1:16: the element type is not u8, i32, i64, f16, bf16, f32, f64 or bool
      |
    1 | kernel f(x) -> int { x }
      |                ^^^
      = hint: write `i32`
    ");
}

#[test]
fn places() {
    insta::assert_snapshot!(errors(&[
        "# é日本\nx + 日本",
        "x +\n\n  exp(y\n",
        "let 日 = 1; x",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + gleu(x) + ccccccccccccccccccccccccccccccccccccccccccccccccc + ddddddddddddddddd",
        "x +\r\n\tgleu(y)\r\n",
        "gleu(\n  x\n)",
        "/* x */ x",
    ]), @r"
    2:5: unexpected '日'
      |
    2 | x + 日本
      |     ^^
      = hint: names are ASCII letters, digits and `_`

    3:6: this `(` is never closed
      |
    3 |   exp(y
      |      ^

    1:5: unexpected '日'
      |
    1 | let 日 = 1; x
      |     ^^
      = hint: names are ASCII letters, digits and `_`

    1:90: unknown function `gleu`
      |
    1 | …aaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + gleu(x) + ccccccccccccccccccccccccccccccccccccccccccccccccc …
      |                                                              ^^^^
      = hint: did you mean `gelu`?

    2:2: unknown function `gleu`
      |
    2 |  gleu(y)
      |  ^^^^
      = hint: did you mean `gelu`?

    1:1: unknown function `gleu`
      |
    1 | gleu(
      | ^^^^
      = hint: did you mean `gelu`?

    1:1: unexpected `/*`
      |
    1 | /* x */ x
      | ^^
      = hint: comments begin with `#`; `//` is floor division
    ");
}

#[test]
fn faults_are_typed() {
    let text = "kernel f(x: f32[2], y: f32[3]) {\n    exp(x + y)\n}";
    let error = parse(text).unwrap_err();
    assert!(matches!(error.fault(), Some(Fault::Broadcast { op: "add", .. })), "{error}");
    assert_eq!(&text[error.span()], "x + y");
    assert_eq!((error.line(), error.column()), (2, 9));
    assert_eq!(error.hint(), Some("sizes must be equal, or one of them 1"));
    assert_eq!(parse("x +").unwrap_err().fault(), None);
}
