//! Every fault of a kernel that is written in Rust.

use kiln_ir::{DType, Expr, Op, build, parse};

fn fault(outputs: &[Expr]) -> String {
    build("k", outputs).unwrap_err().fault.to_string()
}

#[test]
fn messages() {
    let input = |declaration: &str| Expr::input(declaration);
    let x = || input("x");
    insta::assert_snapshot!(fault(&[input("x: f32[n, 3]") - input("y: f32[4]")]), @"sub: shapes [n, 3] and [4] do not broadcast: axis -1 is 3 on the left and 4 on the right; sizes must be equal, or one of them 1");
    insta::assert_snapshot!(fault(&[input("a: f32[n, k]").matmul(input("b: f32[n, k]"))]), @"matmul: shapes [n, k] and [n, k] do not fit: the last axis of the left is k, but the second-last axis of the right is n; they must be equal (is the right operand transposed?)");
    insta::assert_snapshot!(fault(&[input("a: f32[h, n, k]").matmul(input("b: f32[h, n, k]").t())]), @"matmul: shapes [h, n, k] and [k, n, h] do not fit: the last axis of the left is k, but the second-last axis of the right is n; they must be equal (are all axes of the right operand reversed? `swapaxes[-2, -1]` turns the last two)");
    insta::assert_snapshot!(fault(&[input("a: f32[n, k]").matmul(input("b: f32[n]"))]), @"matmul: shapes [n, k] and [n] do not fit: the last axis of the left is k, but the only axis of the right is n; they must be equal (is the left operand transposed?)");
    insta::assert_snapshot!(fault(&[input("a: f32[2, n, k]").matmul(input("b: f32[3, k, d]"))]), @"matmul: shapes [2, n, k] and [3, k, d] do not fit: the batch axes do not broadcast: 2 against 3; sizes must be equal, or one of them 1");
    insta::assert_snapshot!(fault(&[x().matmul(2.0)]), @"matmul: shapes [..] and [] do not fit: each needs at least one axis; multiply by a number with `*`");
    insta::assert_snapshot!(fault(&[x().gt(0.0).exp()]), @"exp: operands are bool; it takes floats of one type; convert with f32(x) or f64(x)");
    insta::assert_snapshot!(fault(&[x() & x().gt(0.0)]), @"and: operands are f32 and bool; it takes bools, or integers of one type; make bools by a comparison or by bool(x)");
    insta::assert_snapshot!(fault(&[x().select(x(), 0.0)]), @"select: operands are f32 and f32 and f32; it takes a bool, then two operands of one type");
    insta::assert_snapshot!(fault(&[1e60 * x()]), @"the number 1e60 is too large for f32, whose largest is 3.4028235e38; declare inputs of type f64 (x: f64) or convert one (f64(x)); infinity is written inf");
    insta::assert_snapshot!(fault(&[Expr::number(7e4).cast(DType::F16)]), @"the number 70000.0 is too large for f16, whose largest is 6.5504e4; convert to a wider type; infinity is written inf");
    insta::assert_snapshot!(fault(&[(Expr::number(1e200) * 1e200) * input("x: f64")]), @"mul of the numbers 1e200 and 1e200 is too large for f64; infinity is written inf");
    insta::assert_snapshot!(fault(&[input("x: i32") / 2.0]), @"the number 2.0 is no i32; write an integer without a point, or convert what it meets, as in f32(x)");
    insta::assert_snapshot!(fault(&[input("x: u8") + 256]), @"the number 256 is no u8; write an integer from 0 to 255, or convert what it meets, as in f32(x)");
    insta::assert_snapshot!(fault(&[x().gt(0.0) & Expr::from(2)]), @"the number 2 is no bool; write true or false, or a comparison as in x != 0");
    insta::assert_snapshot!(fault(&[input("x: i32").powi(-2)]), @"pow: operands are i32; integers have no negative powers; convert with f32(x)");
    insta::assert_snapshot!(fault(&[input("x: i32").pow(input("y: i32"))]), @"pow: operands are i32 and i32; a power of integers has a literal exponent, not negative, as in x^3; convert with f32(x) for others; exclusive or is xor(a, b)");
    insta::assert_snapshot!(fault(&[Expr::apply(Op::Pow, vec![x()])]), @"pow takes 2 arguments, found 1");
    insta::assert_snapshot!(fault(&[x() + input("x: f64")]), @"input x is declared twice, as x: f32[..] and as x: f64[..]; use one declaration");
    insta::assert_snapshot!(fault(&[input("two words")]), @r#"cannot read the input declaration "two words": the name is not a word of letters, digits and _; write a name such as "x", or a name and a type such as "x: f32[n, 3]""#);
    insta::assert_snapshot!(fault(&[input("inf")]), @r#"cannot read the input declaration "inf": inf is a word of the text format; write a name such as "x", or a name and a type such as "x: f32[n, 3]""#);
    insta::assert_snapshot!(fault(&[input("x: i16")]), @r#"cannot read the input declaration "x: i16": the element type is not u8, i32, i64, f16, bf16, f32, f64 or bool; write a name such as "x", or a name and a type such as "x: f32[n, 3]""#);
    insta::assert_snapshot!(fault(&[]), @"the kernel has no output; give at least one expression");
    insta::assert_snapshot!(fault(&[(0..30_000).fold(x(), |sum, _| sum + 1.0)]), @"the kernel has more than 20000 nodes; split it into several kernels");
    insta::assert_snapshot!(fault(&[(0..2_000).fold(x(), |sum, i| sum + input(&format!("x{i}")))]), @"the kernel has more than 1000 inputs; stack them into fewer arrays");
    insta::assert_snapshot!(fault(&vec![x(); 1_001]), @"the kernel has more than 1000 outputs; split it into several kernels");
}

/// A fault is of one type, and in one set of words, wherever it is written.
#[test]
fn text_and_code_say_the_same() {
    let input = |declaration: &str| Expr::input(declaration);
    for (text, expr) in [
        ("|x: f32[2], y: f32[3]| x + y", input("x: f32[2]") + input("y: f32[3]")),
        ("|x: i32| exp(x)", input("x: i32").exp()),
        ("x * 1e60", input("x") * 1e60),
        ("|x: u8| x + 300", input("x: u8") + 300),
        ("f64(x) * (1e200 * 1e200)", input("x").cast(DType::F64) * (Expr::number(1e200) * 1e200)),
        ("pow(x)", Expr::apply(Op::Pow, vec![input("x")])),
        ("|a: f32[2, 3], b: f32[2, 3]| a @ b", input("a: f32[2, 3]").matmul(input("b: f32[2, 3]"))),
    ] {
        let (written, built) = (parse(text).unwrap_err(), build("k", &[expr]).unwrap_err());
        assert_eq!(written.fault(), Some(&built.fault), "{text}");
        let words = match written.hint() {
            Some(hint) => format!("{}; {hint}", written.message()),
            None => written.message().to_string(),
        };
        assert!(words.starts_with(&built.fault.to_string()) || text == "pow(x)", "{words}");
    }
    // What only text can say is a fault of a graph too.
    for text in ["|x, x| x", "1.5i32", "1e39f32", "softplus()", "fused(x) { x @ x @ x @ x }"] {
        assert!(parse(text).unwrap_err().fault().is_some(), "{text}");
    }
}

#[test]
fn faults_name_the_line() {
    let error = build("k", &[Expr::input("x: i32").powi(-7)]).unwrap_err().to_string();
    let line = line!() - 1;
    assert!(error.contains(&format!("faults.rs:{line}:")), "{error}");
}
