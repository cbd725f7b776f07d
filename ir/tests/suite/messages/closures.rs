//! Closures that mean nothing, and what looks like one.

use super::errors;

#[test]
fn messages() {
    insta::assert_snapshot!(errors(&[
        "|p, lr| p - lr*g",
        "|scale| scael * 2",
        "|x, x| x",
        "|x, let| x",
        "|x: f16[n| x",
        "|x: i16| x",
        "|x y| x",
        "|f32 x| x",
        "|x: f32[n] y| x",
        "|x, y",
        "|x, y x * y",
        "|x|",
        "|x| + 1",
        "|x| - y",
        "|x| * y",
        "2 * |x|",
        "||x| - 1|",
        "|x| x; x",
        "|x| { x } + 1",
        "|x| -> f32[..] x",
        "|x| -> f64[..] { x }",
        "|x| |y| x + y",
        "kernel f |x| { x }",
    ]), @r"
    1:16: unknown name `g`
      |
    1 | |p, lr| p - lr*g
      |                ^
      = hint: inputs are named at the start: `|p, lr, g| ..`

    1:9: unknown name `scael`
      |
    1 | |scale| scael * 2
      |         ^^^^^
      = hint: did you mean `scale`?

    1:5: input x is declared twice
      |
    1 | |x, x| x
      |     ^
      = hint: use one declaration

    1:5: let is a word of the text format
      |
    1 | |x, let| x
      |     ^^^

    1:2: a ] is missing
      |
    1 | |x: f16[n| x
      |  ^^^^^^^^
      = hint: a type is an element type, and its axes where they matter: `f32`, `f32[n, 3]`

    1:2: the element type is not u8, i32, i64, f16, bf16, f32, f64 or bool
      |
    1 | |x: i16| x
      |  ^^^^^^
      = hint: there are integers `u8`, `i32` and `i64`

    1:4: expected `,` or `:`, found `y`
      |
    1 | |x y| x
      |    ^
      = hint: commas stand between parameters, and a type follows its name: `x: f32[n], y`

    1:6: expected `,` or `:`, found `x`
      |
    1 | |f32 x| x
      |      ^
      = hint: commas stand between parameters, and a type follows its name: `x: f32[n], y`

    1:12: expected `,`, found `y`
      |
    1 | |x: f32[n] y| x
      |            ^
      = hint: commas stand between parameters, and a type follows its name: `x: f32[n], y`

    1:1: this `|` is never closed
      |
    1 | |x, y
      | ^

    1:7: expected `,` or `:`, found `x`
      |
    1 | |x, y x * y
      |       ^
      = hint: commas stand between parameters, and a type follows its name: `x: f32[n], y`

    1:4: expected the expression of the kernel, found the end of the text
      |
    1 | |x|
      |    ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`

    1:5: expected the expression of the kernel, found `+`
      |
    1 | |x| + 1
      |     ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`

    1:5: expected the expression of the kernel, found `-`
      |
    1 | |x| - y
      |     ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`

    1:5: expected the expression of the kernel, found `*`
      |
    1 | |x| * y
      |     ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`

    1:5: expected an expression, found `|`
      |
    1 | 2 * |x|
      |     ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`

    1:3: unknown name `x`
      |
    1 | ||x| - 1|
      |   ^
      = hint: inputs are named at the start: `|x| ..`

    1:6: expected the end, found `;`
      |
    1 | |x| x; x
      |      ^
      = hint: several results are a tuple at the end: `(a, b)`; a name is `let u = ..;`

    1:11: expected the end of the text, found `+`
      |
    1 | |x| { x } + 1
      |           ^

    1:16: expected `{`, found `x`
      |
    1 | |x| -> f32[..] x
      |                ^
      = hint: a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`

    1:8: the result is f32[..], but f64[..] is declared
      |
    1 | |x| -> f64[..] { x }
      |        ^^^^^^^
      = hint: the result type may be left out

    1:5: expected the expression of the kernel, found `|`
      |
    1 | |x| |y| x + y
      |     ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`

    1:10: expected `(`, found `|`
      |
    1 | kernel f |x| { x }
      |          ^
      = hint: bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`
    ");
}
