//! What is said of the habits of other languages. (Beside the table of hints there is a test of each
//! of its words.)

use kiln_ir::parse;

#[test]
fn habits_have_hints() {
    let hints = [
        ("x > 0 ? x : 0", "a choice is written `select(x > 0, x, 0)`"),
        ("x if x > 0 else 0", "a choice is written `select(x > 0, x, 0)`"),
        ("if x > 0 { x } else { 0 }", "a choice is written `select(x > 0, x, 0)`"),
        ("IF(x > 0, x, 0)", "a choice is written `select(x > 0, x, 0)`"),
        ("x[0]", "write `slice[0, 1:10:2](x)` for elements along an axis"),
        ("[1, 2, 3]", "a kernel makes no arrays: pass one as an input"),
        ("x++", "a kernel changes no array: write `x + 1`"),
        ("x -= 1", "a kernel changes no array: write the new value, as in `x + 1`"),
        ("x -> x + 1", "inputs are named between bars at the start: `|x, y| x * y`"),
        ("(x, y) => x * y", "inputs are named between bars at the start: `|x, y| x * y`"),
        ("lambda x, y: x + y", "inputs are named between bars at the start: `|x, y| x * y`"),
        ("fn f(x) { x + 1 }", "inputs are named between bars at the start: `|x, y| x * y`"),
        ("@(x) x.^2", "`a @ b` is the matrix product; inputs are named between bars: `|x| x * 2`"),
        ("f(x) = x + 1", "inputs are named between bars at the start: `|x, y| x * y`"),
        ("x == y == z", "write `(a == b) & (b == c)`"),
        ("a < b < c", "write `(a < b) & (b < c)`"),
        ("0 < x <= 1", "write `(a < b) & (b <= c)`"),
        ("2x + 1", "a product is written `2 * x`; a suffix is a type, as in `2f64` or `2i32`"),
        ("2pi * x", "a product is written `2 * pi`; a suffix is a type, as in `2f64` or `2i32`"),
        ("2(x + 1)", "a product is written `a * b`"),
        ("|x|", "bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`"),
        (
            "|x| + 1",
            "bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`",
        ),
        (
            "2 * |x|",
            "bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`",
        ),
        ("x!", "there is no factorial; logical not comes first: `!x`"),
        ("x%", "`%` is the remainder: a hundredth is `x / 100`"),
        ("5% * x", "`%` is the remainder: a hundredth is `x / 100`"),
        ("√x", "a square root is written `sqrt(x)`"),
        ("x − y", "a minus is written `-`"),
        ("2π", "it is written `pi`"),
        ("x²", "a power is written `x^2`"),
        ("½ * x", "write 0.5"),
        ("// doubled", "comments begin with `#`; `//` is floor division"),
        ("x * 2 /* doubled */", "comments begin with `#`; `//` is floor division"),
        ("x = y", "equality is `==`; a name is `let u = ..;`"),
        ("y = x * 2", "equality is `==`; a name is `let u = ..;`"),
        ("let u = x * 2", "a binding ends with `;`: `let u = x * 2; u + 1`"),
        ("let u: f32 = x; u", "a name is given by `let u = ..;`, and takes the type of its value"),
        ("let mut u = x; u", "a name is given by `let u = ..;`, and takes the type of its value"),
        ("var u = x * 2; u", "a name is given by `let u = ..;`, and takes the type of its value"),
        ("return x", "the last expression is the result: leave `return` out"),
        ("return -x", "the last expression is the result: leave `return` out"),
        ("x;", "no `;` follows the result"),
        ("x; y", "several results are a tuple at the end: `(a, b)`; a name is `let u = ..;`"),
        ("x, y", "several results are a tuple at the end: `(a, b)`; a name is `let u = ..;`"),
        ("x <> y", "inequality is `!=`"),
        ("x === y", "equality is `==`, inequality `!=`"),
        ("x =< y", "at most is `<=`"),
        ("x => y", "at least is `>=`; inputs are named between bars at the start: `|x, y| x * y`"),
        ("a * not b", "write `!x`, or parentheses around it"),
        ("min(x 0)", "a comma stands between arguments; a product is written `a * b`"),
        ("let u = x * 2;", "a body ends with its result: `let u = x * 2; u`"),
        ("x %% y", "the remainder with the sign of `b` is `mod(a, b)`"),
        ("x %/% y", "floor division is `a // b`"),
        ("x %*% y", "the matrix product is `a @ b`"),
        ("x xor y", "exclusive or is a function: `xor(a, b)`"),
        ("x is nan", "equality is `==`; whether `x` is NaN, `isnan(x)`"),
        ("x as f32", "a type converts as a function: `f32(x)`"),
        ("x |> exp", "an op is called as a function: `exp(x)`"),
        ("exp x", "arguments go in parentheses: `exp(..)`"),
        ("np.exp(x)", "functions stand alone: `exp(x)`, without `np.`"),
        ("x.exp()", "an op is called as a function: `exp(x)`"),
        ("(x + 1).sum()", "an op is called as a function: `sum(x)`"),
        (
            "x.T",
            "write `transpose(x)` for all axes in reverse, `permute[0, 2, 1](x)` for another order, `swapaxes[-2, -1](x)` for two of them",
        ),
        ("f32::exp(x)", "functions stand alone: `exp(x)`"),
        ("x .* y", "every op is elementwise: leave the dot out"),
        ("x'", "a kernel has no strings; a transpose is `transpose(x)`"),
        ("$x", "a name is written without `$`"),
        ("for i in x", "there are no loops: ops go over whole arrays by themselves"),
        ("import numpy", "there is nothing to import: ops are known by their names"),
        ("x.sum(axis=1)", "write `sum[1](x)`; the axis stays, with size 1"),
        ("x.sum(1)", "write `sum[1](x)`; the axis stays, with size 1"),
        ("x.softmax(-1) * 2", "write `softmax[-1](x)`"),
        ("sum(x, axis=(0, 1))", "write `sum[0, 1](x)`; the axis stays, with size 1"),
        ("softmax(x, dim=-1)", "write `softmax[-1](x)`"),
        (
            "layer_norm[-1](x, eps=1e-5)",
            "arguments have no names: write it in its place, `layer_norm[-1](x, 1e-5)`",
        ),
        (
            "kernel f(x) { gelu(x) + layer_norm[-1](x * 2, eps=0.1) }",
            "arguments have no names: write it in its place, `layer_norm[-1](x * 2, 0.1)`",
        ),
        (
            "sum(x, keepdims=1)",
            "axes go in brackets: `sum[-1](x)`; other arguments have no names, they come in order",
        ),
        ("clamp(x, min=0)", "arguments have no names: they come in order, as in `clamp(x, 0, 1)`"),
        (
            "max(x)",
            "`max` is of two arrays; of one write `max[-1](x)`, or `max[..](x)` over all axes",
        ),
        ("softmax(x, 0)", "write `softmax[0](x)`"),
        ("sum(x, 0)", "write `sum[0](x)`; the axis stays, with size 1"),
        ("argmax(x, 1)", "write `argmax[1](x)`; the axis stays, with size 1"),
        ("one_hot(y, 5)", "write `one_hot[5](y)`"),
        ("y.one_hot(5)", "write `one_hot[5](y)`"),
        ("take(x, i, 0)", "write `take[0](x, i)`"),
        ("concat(a, b, 0)", "write `concat[0](a, b)`"),
        ("reshape(x, 2, 3)", "write `reshape[2, 3](x)`"),
        ("x.permute(1, 0)", "write `permute[1, 0](x)`"),
        (
            "transpose(x, 0, 1)",
            "two axes change places by `swapaxes[0, 1](x)`; all of them in an order of yours by `permute[1, 0](x)`",
        ),
        (
            "one_hot(y)",
            "True in the place that each element says, along a new last axis: `one_hot[10](y)` has ten. An element that is no place, as -1, has none",
        ),
        (
            "|x: f32[n, n]| softmax[-1](x - 0.1 * abs(iota[-1](x) - iota[-2](x)))",
            "convert what it meets, as in f32(x); integers have no fractions",
        ),
        (
            "one_hot[n](y)",
            "only numbers may stand here, no names of sizes; it is written `one_hot[10](y)`",
        ),
        (
            "|x: f32[t, 4]| reshape[t, -1](x)",
            "only numbers may stand here, no names of sizes; it is written `reshape[-1, 3](x)`",
        ),
        ("one_hot[2, 3](y)", "it is written `one_hot[10](y)`"),
        ("iota[-1, 5000000000](x)", "it is written `iota[-1](x)`"),
        ("pad[0, 5000000000, 0](x, 0)", "it is written `pad[-1, 0, 2](x, 0)`"),
        ("slice[0](x)", "it is written `slice[0, 1:10:2](x)`"),
        (
            "sum[n](x)",
            "axes are counted from the last, which is -1, or the first, which is 0: `[-1]`, `[0, 1]`, `[..]`",
        ),
        ("mse(a, b)", "write `mse[-1](a, b)` for the last axis, `mse[..](a, b)` for all"),
        ("label_cross_entropy(x, y)", "write `label_cross_entropy[-1](x, y)` for the last axis"),
        ("nll(x)", "write `nll[-1](x, labels)` for the last axis"),
        ("matmul[-1](a, b)", "it has no axes: write `matmul(a, b)`"),
        ("pow[-1](a, b)", "it is elementwise: write `pow(a, b)`"),
        ("gelu[-1](x)", "it is elementwise: write `gelu(x)`"),
        (
            "max[-1](x, 0)",
            "`max[-1](x)` is the largest of each row, `max(a, b)` the larger of two arrays",
        ),
        ("softmax[-1](x, 2)", "write `softmax[-1](x)`"),
        ("concat[0]()", "write `concat[-1](a, b)`"),
        ("layer_norm[-1](x, w, b)", "scale and shift follow it: `layer_norm[-1](x) * w + b`"),
        (
            "layer_norm[-1](x, w)",
            "a scale follows: `layer_norm[-1](x) * w`, and a number is declared as one: `w: f32[]`",
        ),
        ("cosine_similarity[-1](x, y, e)", "declare it so, `e: f32[]`"),
        (
            "|x: f32[n, k], y: i64[n, 1]| cross_entropy[-1](x, y)",
            "of labels write `label_cross_entropy[-1](x, y)`, of numbers `f32(p)`",
        ),
        ("label_cross_entropy[-1](x, y)", "places are counted in i32 or i64; convert with i64(x)"),
        (
            "causal(x)",
            "compare places: `select(iota[-2](s) >= iota[-1](s), s, -inf)` leaves scores `s` on and below the diagonal",
        ),
        ("max(x, y, z)", "of three write `max(a, max(b, c))`"),
        ("log(x, 2)", "write `log(x) / log(b)`"),
        ("round(x, 2)", "to `n` digits write `round(x * 10^n) / 10^n`"),
        (
            "where(x > 0)",
            "a kernel has no indices: `select(x > 0, x, 0)` chooses element by element",
        ),
        ("kernel f(x) { e^x }", "write `exp(1)`, or `exp(x)` for its powers"),
        ("kernel f(x) { x * tau }", "write `2 * pi`"),
        ("kernel f(x) { return x }", "the last expression is the result: leave `return` out"),
        (
            "kernel f(x) = x + 1",
            "a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`",
        ),
        (
            "kernel f(x y) { x }",
            "commas stand between parameters, and a type follows its name: `x: f32[n], y`",
        ),
        (
            "kernel f(float x) { x }",
            "commas stand between parameters, and a type follows its name: `x: f32[n], y`",
        ),
        ("kernel f(x: float) { x }", "write `f32`"),
        (
            "kernel f(x: [f32; 3]) { x }",
            "a type is an element type, and its axes where they matter: `f32`, `f32[n, 3]`",
        ),
        ("kernel f(x) -> double { x }", "write `f64`"),
    ];
    for (text, hint) in hints {
        match parse(text) {
            Ok(graph) => panic!("{text:?} is a kernel:\n{graph}"),
            Err(error) => assert_eq!(error.hint(), Some(hint), "{error}"),
        }
    }
}

/// What other languages have and works here too, stays.
#[test]
fn habits_that_work() {
    let same = |text: &str, ours: &str| {
        let head = "kernel f(x: f32[n], y: f32[n])";
        let read = |body| parse(&format!("{head} {{ {body} }}")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read(text), read(ours), "{text}");
    };
    for (text, ours) in [
        ("x ** y", "x ^ y"),
        ("x**2", "x * x"),
        ("not x", "!bool(x)"),
        ("x and y", "bool(x) & bool(y)"),
        ("x && y", "bool(x) & bool(y)"),
        ("x or y", "bool(x) | bool(y)"),
        ("x || y", "bool(x) | bool(y)"),
        ("x // y", "floordiv(x, y)"),
        ("x % y", "rem(x, y)"),
        ("+x", "x"),
        ("where(x > 0, x, 0)", "select(x > 0, x, 0)"),
        ("ifelse(x > 0, x, 0)", "select(x > 0, x, 0)"),
        ("clip(x, 0, 1)", "clamp(x, 0, 1)"),
        ("fmod(x, y)", "x % y"),
        ("swish(x)", "silu(x)"),
        ("pmax(x, y)", "max(x, y)"),
        ("ln(x)", "log(x)"),
        ("arctan2(y, x)", "atan2(y, x)"),
        ("is_nan(x)", "isnan(x)"),
    ] {
        same(text, ours);
    }
}

/// What goes wrong in what a function is made of names the function, and nothing else does.
#[test]
fn functions_are_named() {
    for (text, message) in [
        ("one_hot[5](y)", "one_hot: eq: operands are f32 and i64"),
        ("nll[-1](x, y)", "nll: labels: operands are f32 and f32"),
        (
            "|x: f32[3], y: f32[2]| mse[-1](x, y)",
            "mse: sub: shapes [3] and [2] do not broadcast: axis -1 is 3 on the left and 2 on the right",
        ),
        ("|x: i32[3]| gelu(x) * 2", "gelu: normcdf: operands are i32"),
        (
            "|x: f32[3], y: f32[2]| gelu(x) + gelu(y)",
            "add: shapes [3] and [2] do not broadcast: axis -1 is 3 on the left and 2 on the right",
        ),
        ("layer_norm[-1](x, y)", "layer_norm: eps is one number, not an array [..]"),
    ] {
        assert_eq!(parse(text).unwrap_err().message(), message, "{text}");
    }
}
