//! Every message that text can give its user, as it looks.

use kiln_ir::{Fault, parse};

/// What is said of these texts.
fn errors(texts: &[&str]) -> String {
    let one = |text: &&str| match parse(text) {
        Ok(graph) => panic!("{text:?} is a kernel:\n{graph}"),
        Err(error) => error.to_string(),
    };
    texts.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn stray_characters() {
    insta::assert_snapshot!(errors(&[
        "x ? y",
        "2 × x",
        "x²",
        "π * x",
        "x.exp()",
        "größe * 2",
        "x $ y",
        "'x'",
    ]), @r"
    1:3: unexpected '?'
      |
    1 | x ? y
      |   ^

    1:3: unexpected '×'
      |
    1 | 2 × x
      |   ^
      = hint: a product is written `*`

    1:2: unexpected '²'
      |
    1 | x²
      |  ^
      = hint: a power is written `x^2`

    1:1: unexpected 'π'
      |
    1 | π * x
      | ^
      = hint: it is written `pi`

    1:2: unexpected '.'
      |
    1 | x.exp()
      |  ^
      = hint: an op is called as a function: `exp(x)`

    1:3: unexpected 'ö'
      |
    1 | größe * 2
      |   ^
      = hint: names are ASCII letters, digits and _

    1:3: unexpected '$'
      |
    1 | x $ y
      |   ^

    1:1: unexpected '\''
      |
    1 | 'x'
      | ^
      = hint: text has no strings
    ");
}

#[test]
fn numbers() {
    insta::assert_snapshot!(errors(&[
        "2x + 1",
        "1e400",
        "1e39f32",
        "0xfg",
        "x * 0x10",
        "3 4",
        "1.5.2",
    ]), @r"
    1:1: unknown number suffix `x`
      |
    1 | 2x + 1
      | ^^
      = hint: a suffix is f32 or f64; a product is written `2 * x`

    1:1: this number is too large for f64
      |
    1 | 1e400
      | ^^^^^
      = hint: infinity is written `inf`

    1:1: this number is too large for f32
      |
    1 | 1e39f32
      | ^^^^^^^
      = hint: infinity is written `inf`

    1:1: this is no hexadecimal number of 64 bits
      |
    1 | 0xfg
      | ^^^^

    1:5: expected an expression, found `0x10`
      |
    1 | x * 0x10
      |     ^^^^
      = hint: write it in decimals, or the bits of a number as bits32(0x7fc00001)

    1:3: expected the end of the text, found `4`
      |
    1 | 3 4
      |   ^
      = hint: a product is written `a * b`

    1:4: expected the end of the text, found `.2`
      |
    1 | 1.5.2
      |    ^^
      = hint: a product is written `a * b`
    ");
}

#[test]
fn missing_parts() {
    insta::assert_snapshot!(errors(&[
        "",
        "# only a comment\n",
        "x +",
        "exp(x",
        "(x + 1",
        "x + 1)",
        "* x",
        "x ** 2",
        "exp x",
        "2 (x + 1)",
        "x y",
        "x && y",
        "x = y",
        "()",
        "exp(,)",
        "let",
        "kernel",
    ]), @r"
    1:1: expected an expression as the result, found the end of the text
      |
    1 | 
      | ^

    1:1: expected an expression as the result, found the end of the text
      |
    1 | # only a comment
      | ^

    1:4: expected an expression, found the end of the text
      |
    1 | x +
      |    ^

    1:4: this `(` is never closed
      |
    1 | exp(x
      |    ^

    1:1: this `(` is never closed
      |
    1 | (x + 1
      | ^

    1:6: expected the end of the text, found `)`
      |
    1 | x + 1)
      |      ^
      = hint: no `(` is open here

    1:1: expected an expression, found `*`
      |
    1 | * x
      | ^

    1:4: expected an expression, found `*`
      |
    1 | x ** 2
      |    ^
      = hint: a power is written `x^2`

    1:5: expected the end of the text, found `x`
      |
    1 | exp x
      |     ^
      = hint: arguments stand in parentheses: `exp(..)`

    1:3: expected the end of the text, found `(`
      |
    1 | 2 (x + 1)
      |   ^
      = hint: a product is written `a * b`

    1:3: expected the end of the text, found `y`
      |
    1 | x y
      |   ^
      = hint: a product is written `a * b`

    1:4: expected an expression, found `&`
      |
    1 | x && y
      |    ^
      = hint: logic is written `a & b`, `a | b`

    1:3: expected the end of the text, found `=`
      |
    1 | x = y
      |   ^
      = hint: equality is `==`; a name is `let u = ..;`

    1:2: expected an expression, found `)`
      |
    1 | ()
      |  ^

    1:5: expected an expression, found `,`
      |
    1 | exp(,)
      |     ^

    1:4: expected a name, found the end of the text
      |
    1 | let
      |    ^

    1:7: expected the name of the kernel, found the end of the text
      |
    1 | kernel
      |       ^
    ");
}

#[test]
fn bindings() {
    insta::assert_snapshot!(errors(&[
        "let u = x * 2 u",
        "let u = x;",
        "let 2 = x; x",
        "let exp2 = x; let exp2 = y; exp2",
        "let inf = x; x",
        "let u = x; u + 1;",
        "let (a, b) = (x, y); a",
        "let (a, b) = fused(x) { x }; a",
    ]), @r"
    1:15: expected `;`, found `u`
      |
    1 | let u = x * 2 u
      |               ^
      = hint: a product is written `a * b`

    1:11: expected an expression as the result, found the end of the text
      |
    1 | let u = x;
      |           ^

    1:5: expected a name, found `2`
      |
    1 | let 2 = x; x
      |     ^

    1:19: `exp2` has a meaning already
      |
    1 | let exp2 = x; let exp2 = y; exp2
      |                   ^^^^
      = hint: choose another name

    1:5: expected a name, found `inf`
      |
    1 | let inf = x; x
      |     ^^^
      = hint: `inf` is a word of the text format

    1:17: expected the end, found `;`
      |
    1 | let u = x; u + 1;
      |                 ^
      = hint: no `;` follows the result

    1:14: expected `fused`, found `(`
      |
    1 | let (a, b) = (x, y); a
      |              ^
      = hint: only a fused kernel has several values; write one `let` for each name

    1:12: 2 names for a fused kernel of 1 result
      |
    1 | let (a, b) = fused(x) { x }; a
      |            ^
    ");
}

#[test]
fn comparisons() {
    insta::assert_snapshot!(errors(&[
        "a < b < c",
        "a == b != c",
    ]), @r"
    1:7: comparisons do not chain
      |
    1 | a < b < c
      |       ^
      = hint: write `(a < b) & (b < c)`

    1:8: comparisons do not chain
      |
    1 | a == b != c
      |        ^^
      = hint: write `(a < b) & (b < c)`
    ");
}

#[test]
fn tuples() {
    insta::assert_snapshot!(errors(&[
        "(a, b) + 1",
        "exp((a, b))",
    ]), @r"
    1:3: expected `)`, found `,`
      |
    1 | (a, b) + 1
      |   ^
      = hint: a tuple stands only at the end of a kernel

    1:7: expected `)`, found `,`
      |
    1 | exp((a, b))
      |       ^
      = hint: a tuple stands only at the end of a kernel
    ");
}

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

    1:13: `x` is declared twice
      |
    1 | kernel f(x, x) { x }
      |             ^

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
        "swish(x)",
        "Sigmoid(x)",
        "frobnicate(x)",
        "let u = x + 1; u(2)",
        "leakyrelu(x)",
        "where(x > 0, x, 0)",
    ]), @r"
    1:1: unknown function `gleu`
      |
    1 | gleu(x)
      | ^^^^
      = hint: did you mean `gelu`?

    1:1: unknown function `swish`
      |
    1 | swish(x)
      | ^^^^^
      = hint: did you mean `silu`?

    1:1: unknown function `Sigmoid`
      |
    1 | Sigmoid(x)
      | ^^^^^^^
      = hint: did you mean `sigmoid`?

    1:1: unknown function `frobnicate`
      |
    1 | frobnicate(x)
      | ^^^^^^^^^^

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

    1:1: unknown function `where`
      |
    1 | where(x > 0, x, 0)
      | ^^^^^
      = hint: did you mean `select`?
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
        "kernel f(x: i32) { x }",
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

    1:10: the element type is not f32, f64 or bool
      |
    1 | kernel f(x: i32) { x }
      |          ^^^^^^

    1:10: a ] is missing
      |
    1 | kernel f(x: f32[n { x }
      |          ^^^^^^^^

    1:10: an axis is neither a name nor a size
      |
    1 | kernel f(x: f32[n,]) { x }
      |          ^^^^^^^^^^

    1:10: the element type is not f32, f64 or bool
      |
    1 | kernel f(x:) { x }
      |          ^^

    1:8: expected the name of the kernel, found `(`
      |
    1 | kernel (x) { x }
      |        ^

    1:13: expected `{`, found `x`
      |
    1 | kernel f(x) x
      |             ^

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

    1:16: the element type is not f32, f64 or bool
      |
    1 | kernel f(x) -> int { x }
      |                ^^^
    ");
}

#[test]
fn fused() {
    insta::assert_snapshot!(errors(&[
        "fused(x, x) { x }",
        "fused(x) { x @ x }",
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

    1:12: a matmul cannot stand in a fused body
      |
    1 | fused(x) { x @ x }
      |            ^^^^^
      = hint: a fused body has elementwise ops only; compute it outside and pass it in

    1:12: a fused kernel cannot stand in a fused body
      |
    1 | fused(x) { fused(x) { x } }
      |            ^^^^^
      = hint: a fused body has elementwise ops only; compute it outside and pass it in

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
      = hint: arguments stand in parentheses: `fused(..)`

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
        "(x > 0) + (y > 0)",
        "exp(true)",
        "x & y",
        "gelu(x) @ 2",
        "kernel f(a: f32[2], b: f32[3]) { (a - b)^3 }",
        "select(x, y, z)",
        "true & x",
        "kernel f(x: f32[]) { x @ x }",
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
      = hint: they must be equal (is an operand transposed?)

    1:1: add: operands are bool and bool
      |
    1 | (x > 0) + (y > 0)
      | ^^^^^^^^^^^^^^^^^
      = hint: it takes floats of one type; convert with f32(x) or f64(x)

    1:1: exp: operands are bool
      |
    1 | exp(true)
      | ^^^^^^^^^
      = hint: it takes floats of one type; convert with f32(x) or f64(x)

    1:1: and: operands are f32 and f32
      |
    1 | x & y
      | ^^^^^
      = hint: it takes bools; make them by a comparison or by bool(x)

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
      = hint: it takes bools; make them by a comparison or by bool(x)

    1:22: matmul: shapes [] and [] do not fit: each needs at least one axis
      |
    1 | kernel f(x: f32[]) { x @ x }
      |                      ^^^^^
      = hint: multiply by a number with `*`
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
      = hint: names are ASCII letters, digits and _

    3:6: this `(` is never closed
      |
    3 |   exp(y
      |      ^

    1:5: unexpected '日'
      |
    1 | let 日 = 1; x
      |     ^^
      = hint: names are ASCII letters, digits and _

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

    1:1: expected an expression, found `/`
      |
    1 | /* x */ x
      | ^
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
