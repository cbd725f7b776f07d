//! Texts that are not well-formed.

use super::errors;

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
        "x *** 2",
        "exp x",
        "2 (x + 1)",
        "x y",
        "x &&& y",
        "x += y",
        "x == = y",
        "x <> y",
        "x if x > 0 else 0",
        "x is nan",
        "x mod 3",
        "a xor b",
        "a * not b",
        "x ? y : z",
        "x ≤ y",
        "x .* y",
        "not",
        "+",
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
      = hint: a product is `a * b`, a power `a^b`; an array is named as it is, without `*`

    1:5: expected an expression, found `*`
      |
    1 | x *** 2
      |     ^
      = hint: a product is `a * b`, a power `a^b`; an array is named as it is, without `*`

    1:5: expected the end of the text, found `x`
      |
    1 | exp x
      |     ^
      = hint: arguments go in parentheses: `exp(..)`

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

    1:5: expected an expression, found `&`
      |
    1 | x &&& y
      |     ^
      = hint: logical and is `a & b`; an array is named as it is, without `&`

    1:3: expected the end of the text, found `+=`
      |
    1 | x += y
      |   ^^
      = hint: a kernel changes no array: write the new value, as in `x + 1`

    1:6: expected an expression, found `=`
      |
    1 | x == = y
      |      ^
      = hint: equality is `==`; a name is `let u = ..;`

    1:3: expected the end of the text, found `<>`
      |
    1 | x <> y
      |   ^^
      = hint: inequality is `!=`

    1:3: expected the end of the text, found `if`
      |
    1 | x if x > 0 else 0
      |   ^^
      = hint: a choice is written `select(x > 0, x, 0)`

    1:3: expected the end of the text, found `is`
      |
    1 | x is nan
      |   ^^
      = hint: equality is `==`; whether `x` is NaN, `isnan(x)`

    1:3: expected the end of the text, found `mod`
      |
    1 | x mod 3
      |   ^^^
      = hint: a remainder is `mod(a, b)`, with the sign of `b`, or `a % b`, with that of `a`

    1:3: expected the end of the text, found `xor`
      |
    1 | a xor b
      |   ^^^
      = hint: exclusive or is a function: `xor(a, b)`

    1:5: expected an expression, found `not`
      |
    1 | a * not b
      |     ^^^
      = hint: write `!x`, or parentheses around it

    1:3: expected the end of the text, found `?`
      |
    1 | x ? y : z
      |   ^
      = hint: a choice is written `select(x > 0, x, 0)`

    1:3: unexpected '≤'
      |
    1 | x ≤ y
      |   ^
      = hint: it is written `<=`

    1:3: expected the end of the text, found `.*`
      |
    1 | x .* y
      |   ^^
      = hint: every op is elementwise: leave the dot out

    1:4: expected an expression, found the end of the text
      |
    1 | not
      |    ^

    1:2: expected an expression, found the end of the text
      |
    1 | +
      |  ^

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
      = hint: a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`
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
      = hint: a body ends with its result: `let u = x * 2; u`

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
      = hint: write `(a == b) & (b != c)`
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
