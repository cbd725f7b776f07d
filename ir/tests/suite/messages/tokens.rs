//! Texts whose characters make no tokens.

use super::errors;

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
    1:3: expected the end of the text, found `?`
      |
    1 | x ? y
      |   ^
      = hint: a choice is written `select(x > 0, x, 0)`

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

    1:2: expected the end of the text, found `.`
      |
    1 | x.exp()
      |  ^
      = hint: an op is called as a function: `exp(x)`

    1:3: unexpected 'ö'
      |
    1 | größe * 2
      |   ^
      = hint: names are ASCII letters, digits and `_`

    1:3: unexpected '$'
      |
    1 | x $ y
      |   ^
      = hint: a name is written without `$`

    1:1: unexpected '\''
      |
    1 | 'x'
      | ^
      = hint: a kernel has no strings; a transpose is `transpose(x)`
    ");
}

#[test]
fn numbers() {
    insta::assert_snapshot!(errors(&[
        "2x + 1",
        "1e400",
        "1e39f32",
        "7e4f16",
        "0xfg",
        "0b12",
        "0x1.8p3",
        "0x10i32",
        "0x1_",
        "1__0",
        "1_.5",
        "007",
        "0777 * x",
        "1.5f",
        "2j",
        "10L",
        "1e-400",
        "1e-60f32",
        "bits64(0x1_0000_0000_0000_0000)",
        "3 4",
        "1.5.2",
    ]), @r"
    1:1: unknown number suffix `x`
      |
    1 | 2x + 1
      | ^^
      = hint: a product is written `2 * x`; a suffix is a type, as in `2f64` or `2i32`

    1:1: the number 1e400 is too large for f64, whose largest is 1.7976931348623157e308
      |
    1 | 1e400
      | ^^^^^
      = hint: infinity is written inf

    1:1: the number 1e39 is too large for f32, whose largest is 3.4028235e38
      |
    1 | 1e39f32
      | ^^^^^^^
      = hint: declare inputs of type f64 (x: f64) or convert one (f64(x)); infinity is written inf

    1:1: the number 7e4 is too large for f16, whose largest is 6.5504e4
      |
    1 | 7e4f16
      | ^^^^^^
      = hint: convert to a wider type; infinity is written inf

    1:1: this is no hexadecimal number of 64 bits
      |
    1 | 0xfg
      | ^^^^
      = hint: it has no suffix: convert it, as in `i64(0x10)`

    1:1: this is no binary number of 64 bits
      |
    1 | 0b12
      | ^^^^
      = hint: it has no suffix: convert it, as in `i64(0x10)`

    1:4: unknown number suffix `p3`
      |
    1 | 0x1.8p3
      |    ^^^^
      = hint: a product is written `.8 * p3`; a suffix is a type, as in `2f64` or `2i32`

    1:1: this is no hexadecimal number of 64 bits
      |
    1 | 0x10i32
      | ^^^^^^^
      = hint: it has no suffix: convert it, as in `i64(0x10)`

    1:1: this is no hexadecimal number of 64 bits
      |
    1 | 0x1_
      | ^^^^
      = hint: it has no suffix: convert it, as in `i64(0x10)`

    1:1: this is no number
      |
    1 | 1__0
      | ^^^^
      = hint: a `_` stands between digits

    1:1: this is no number
      |
    1 | 1_.5
      | ^^^^
      = hint: a `_` stands between digits

    1:1: a number does not begin with 0
      |
    1 | 007
      | ^^^
      = hint: write `7`; octal digits are `0o7`

    1:1: a number does not begin with 0
      |
    1 | 0777 * x
      | ^^^^
      = hint: write `777`; octal digits are `0o777`

    1:1: unknown number suffix `f`
      |
    1 | 1.5f
      | ^^^^
      = hint: a suffix is a type: write `f32`, or none, as numbers take the type they meet

    1:1: unknown number suffix `j`
      |
    1 | 2j
      | ^^
      = hint: there are no complex numbers; a product is written `2 * j`

    1:1: unknown number suffix `L`
      |
    1 | 10L
      | ^^^
      = hint: a suffix is a type: write `i64`, or none, as numbers take the type they meet

    1:1: the number 1e-400 is 0 in f64
      |
    1 | 1e-400
      | ^^^^^^
      = hint: write 0

    1:1: the number 1e-60 is 0 in f32
      |
    1 | 1e-60f32
      | ^^^^^^^^
      = hint: declare inputs of type f64, or write 0

    1:8: this is no hexadecimal number of 64 bits
      |
    1 | bits64(0x1_0000_0000_0000_0000)
      |        ^^^^^^^^^^^^^^^^^^^^^^^
      = hint: write `bits64(0x7fc00001)`

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

/// Comments of other languages, and of this one as it was.
#[test]
fn comments() {
    insta::assert_snapshot!(errors(&[
        "kernel f(x) {\n    // twice\n    x * 2\n}",
        "kernel f(x) {\n    let u = x * 2; // twice\n    u + 1\n}",
        "kernel f(x) {\n    x * 2 // gelu\n}",
        "kernel f(x) {\n    x * 2 // the result\n}",
        "// a comment\nx * 2",
        "x * 2 // twice it",
        "x * 2\n// twice\n",
        "x * 2 //",
        "x * 2 /* twice */",
        "kernel f(x) { x / / 2 }",
    ]), @r"
    2:5: unexpected `//`
      |
    2 |     // twice
      |     ^^
      = hint: comments begin with `#`; `//` is floor division

    2:20: expected an expression, found `//`
      |
    2 |     let u = x * 2; // twice
      |                    ^^
      = hint: comments begin with `#`; `//` is floor division

    2:14: unknown name `gelu`
      |
    2 |     x * 2 // gelu
      |              ^^^^
      = hint: comments begin with `#`; `//` is floor division

    2:14: unknown name `the`
      |
    2 |     x * 2 // the result
      |              ^^^
      = hint: comments begin with `#`; `//` is floor division

    1:1: unexpected `//`
      |
    1 | // a comment
      | ^^
      = hint: comments begin with `#`; `//` is floor division

    1:16: expected the end of the text, found `it`
      |
    1 | x * 2 // twice it
      |                ^^
      = hint: comments begin with `#`; `//` is floor division

    2:1: unexpected `//`
      |
    2 | // twice
      | ^^
      = hint: comments begin with `#`; `//` is floor division

    1:9: expected an expression, found the end of the text
      |
    1 | x * 2 //
      |         ^
      = hint: comments begin with `#`; `//` is floor division

    1:7: unexpected `/*`
      |
    1 | x * 2 /* twice */
      |       ^^
      = hint: comments begin with `#`; `//` is floor division

    1:19: expected an expression, found `/`
      |
    1 | kernel f(x) { x / / 2 }
      |                   ^
      = hint: a quotient is `a / b`, floor division `a // b`
    ");
}
