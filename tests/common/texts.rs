//! Kernel texts of any size: what a program, or a stranger, may hand to the compiler.

use std::fmt::Display;

/// Texts of one shape, by their number of terms.
pub struct Family {
    pub name: &'static str,
    pub text: fn(usize) -> String,
    /// The most terms: limits of the language, or 20 KB of text.
    pub most: usize,
}

const fn family(name: &'static str, most: usize, text: fn(usize) -> String) -> Family {
    Family { name, text, most }
}

/// Every family.
pub const FAMILIES: &[Family] = &[
    family("sum of multiples", 2000, |n| joined(n, " + ", |i| format!("{i}.5*x"))),
    family("sum of inputs", 1000, |n| joined(n, " + ", |i| format!("x{i}"))),
    family("sum over few inputs", 3900, |n| joined(n, "", |i| format!("{}x*y{}", sign(i), i % 7))),
    family("product by one number", 5000, |n| format!("x{}", "*1.5".repeat(n))),
    family("product by numbers", 2500, |n| format!("x*{}", joined(n, "*", |i| format!("{i}.5")))),
    family("Horner", 190, |n| (0..n).fold("x".into(), |sum, i| format!("({sum}*x+{i}.5)"))),
    family("Horner by let", 800, |n| chain(n, "x", |i, a| format!("{a}*x+{i}.5"))),
    family("polynomials", 400, |n| joined(n, " + ", |i| format!("(x*{i}.5+{i}.25)*x*x*{i}.75"))),
    family("squares by let", 900, |n| chain(n, "x", |_, a| format!("{a}*{a}+x"))),
    family("mixture of Gaussians", 400, |n| {
        joined(n, " + ", |i| format!("0.{i}*exp(-(x-{i})^2/(2*{i}.5^2))"))
    }),
    family("selects", 700, |n| joined(n, " + ", |i| format!("select(x<{i}, {i}.5, y)"))),
    family("selects, nested", 190, |n| {
        (0..n).fold("y".into(), |rest, i| format!("select(x<{i}, {i}.5, {rest})"))
    }),
    family("selects by let", 600, |n| {
        chain(n, "x", |i, a| format!("select({a}<y*{i}, {a}*{a}, y)"))
    }),
    family("sum of gelu_tanh", 900, |n| joined(n, " + ", |i| format!("gelu_tanh(x*{i}.5)"))),
    family("sum of gelu", 1000, |n| joined(n, " + ", |i| format!("gelu(x*{i}.5)"))),
    family("sum of softplus", 1000, |n| joined(n, "+", |i| format!("log(1+exp(x*{i}.5))"))),
    family("gelu nested", 190, |n| format!("{}x{}", "gelu(".repeat(n), ")".repeat(n))),
    family("gelu by let", 1000, |n| chain(n, "x", |_, a| format!("gelu({a})"))),
    family("mish nested", 190, |n| format!("{}x{}", "mish(".repeat(n), ")".repeat(n))),
    family("mish by let", 1000, |n| chain(n, "x", |_, a| format!("mish({a})"))),
    family("sum of sines", 1000, |n| joined(n, " + ", |i| format!("sin(x*{i}.5)"))),
    family("sum of sines in f64", 800, |n| {
        format!("kernel k(x: f64[..]) {{ {} }}", joined(n, " + ", |i| format!("sin(x*{i}.5)")))
    }),
    family("powers by let", 900, |n| chain(n, "x", |_, a| format!("pow({a}, y)"))),
    family("every op", 1000, |n| chain(n, "x", every_op)),
    family("logic", 800, |n| joined(n, " | ", |i| format!("(x<{i}) & !(y>={i}.5)"))),
    family("casts", 500, |n| joined(n, " + ", |i| format!("f32(f16(x*{i})) + f32(i32(y*{i}))"))),
    family("quotients", 1000, |n| joined(n, " + ", |i| format!("(x+{i})/(y-{i}.5)"))),
    family("outputs", 1000, |n| {
        format!(
            "kernel k(x: f32[..], y: f32[..]) {{ ({}) }}",
            joined(n, ", ", |i| format!("x*y+{i}"))
        )
    }),
    family("outputs that share", 800, |n| {
        let lets = steps(n, "x", |i, a| format!("{a}*y+{i}"));
        let names = joined(n, ", ", |i| format!("a{i}"));
        format!("kernel k(x: f32[..], y: f32[..]) {{ {lets}({names}) }}")
    }),
    family("outputs of many", 500, |n| {
        format!(
            "kernel k(x: f32[..], y: f32[..]) {{ ({}) }}",
            joined(n, ", ", |i| format!("exp(x*{i}.5)*sigmoid(y)"))
        )
    }),
    family("products of matrices", 300, |n| {
        format!(
            "kernel k(a: f32[n, n], w: f32[n, n]) {{ {} }}",
            joined(n, " + ", |i| format!("exp(a@(w*{i}.5))"))
        )
    }),
    family("broadcasts", 700, |n| {
        format!(
            "kernel k(x: f32[m, n], w: f32[n]) {{ {} }}",
            joined(n, " + ", |i| format!("x*exp(w*{i}.5)"))
        )
    }),
];

/// The family of this name.
pub fn family_named(name: &str) -> &'static Family {
    FAMILIES.iter().find(|family| family.name == name).expect("there is such a family")
}

fn sign(index: usize) -> &'static str {
    if index % 3 == 2 { "-" } else { "+" }
}

fn joined<T: Display>(count: usize, by: &str, term: impl Fn(usize) -> T) -> String {
    let text = (0..count).map(|i| term(i).to_string()).collect::<Vec<String>>().join(by);
    text.strip_prefix('+').map(str::to_string).unwrap_or(text)
}

/// `let a0 = ..; let a1 = ..;` each from the one before.
fn steps(count: usize, first: &str, step: impl Fn(usize, &str) -> String) -> String {
    let mut text = String::new();
    let mut last = first.to_string();
    for i in 0..count {
        text += &format!("let a{i} = {};", step(i, &last));
        last = format!("a{i}");
    }
    text
}

fn chain(count: usize, first: &str, step: impl Fn(usize, &str) -> String) -> String {
    format!("{} a{}", steps(count, first, step), count - 1)
}

/// One op after the other, of all kinds.
fn every_op(index: usize, a: &str) -> String {
    const OPS: [&str; 24] = [
        "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh",
        "atanh", "exp", "expm1", "log", "log1p", "erf", "erfc", "sigmoid", "sqrt", "rsqrt", "cbrt",
        "abs", "log2",
    ];
    format!("{}({a})*y", OPS[index % OPS.len()])
}
