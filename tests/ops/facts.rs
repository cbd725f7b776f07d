//! What is known of an operand makes its op cheaper: primitives of whole bodies, counted.

use kiln::internals::vir::{Inst, Routine, Storage, UnaryOp, interp};
use kiln::internals::{Tier, lower};
use std::fmt::Write;

/// Primitives that are computed for every vector, and those in cold regions.
fn count(program: &Routine) -> (usize, usize) {
    let computes = |inst: &Inst| {
        let free = matches!(inst, Inst::Load { .. } | Inst::Const { .. });
        !free && !matches!(inst, Inst::Unary { op: UnaryOp::Bitcast(_), .. })
    };
    let cold =
        |at: usize| program.body().cold.iter().any(|c| (c.start..c.end).contains(&(at as u32)));
    let computing = program.body().insts.iter().enumerate().filter(|(_, inst)| computes(inst));
    let (cold, hot): (Vec<_>, Vec<_>) = computing.partition(|(at, _)| cold(*at));
    (hot.len(), cold.len())
}

#[test]
fn known_ranges_drop_primitives() {
    let mut table = String::new();
    for text in [
        "exp(x)",
        "exp(-abs(x))",
        "exp(sin(x))",
        "expm1(-abs(x))",
        "sigmoid(tanh(x))",
        "log1p(x)",
        "log1p(x*x)",
        "log1p(exp(-abs(x)))",
        "max(x, 0) + log1p(exp(-abs(x)))",
        "log(x)",
        "log(2 + sin(x))",
        "log(clamp(x, 0.001, 1))",
    ] {
        let graph = kiln_ir::parse(text).unwrap();
        let (hot, cold) = count(&lower(&graph, Tier::Default));
        let _ = writeln!(table, "{text:34} {hot:3} and {cold:2} cold");
    }
    insta::assert_snapshot!(table);
    let decay = kiln_ir::parse("exp(-abs(x))").unwrap();
    insta::assert_snapshot!("decay", lower(&decay, Tier::Default).to_string());
}

/// The value at `x` of an expression of one input, by the interpreter.
fn value(text: &str, dtype: &str, x: f64) -> f64 {
    let graph = kiln_ir::parse(&format!("kernel f(x: {dtype}) {{ {text} }}")).unwrap();
    let program = lower(&graph, Tier::Default);
    let bits = match program.inputs[0] {
        Storage::F32 => u64::from((x as f32).to_bits()),
        _ => x.to_bits(),
    };
    let result = interp::run(&program, &[&[bits]], 1)[0][0];
    match program.outputs[0] {
        Storage::F32 => f32::from_bits(result as u32).into(),
        _ => f64::from_bits(result),
    }
}

#[test]
fn what_may_overflow_may_be_infinite() {
    let inf = f64::INFINITY;
    for (text, x, expected) in [
        ("exp(log10(tanh(x)*3e38+3e38))", 1e30, inf),
        ("exp(log10(clamp(x, 0, 1e30) * clamp(x, 0, 2e30)))", 1e30, inf),
        ("sigmoid(-log10(tanh(x)*3e38+3e38))", 1e30, 0.0),
        ("sigmoid(-log10(clamp(x, 0, 1e30) * clamp(x, 0, 2e30)))", 1e30, 0.0),
        ("log(sqrt(tanh(x)*3e38+3e38))", 1e30, inf),
        ("log(sqrt(clamp(x, 1, 1e30) * clamp(x, 1, 1e30)))", 1e30, inf),
        ("log(-(-3e38 - clamp(x, 1, 3e38)))", 1e38, inf),
        ("log(f32(f16(clamp(x, 1, 65520))))", 65520.0, inf),
        ("log(f32(bf16(clamp(x, 1, 3.4e38))))", 3.4e38, inf),
    ] {
        let found = value(text, "f32", x);
        assert!(found == expected, "{text}: {found:e}");
    }
    for (text, x, expected) in [
        ("exp(log10(tanh(x)*1.7e308+1.7e308))", 1e30, inf),
        ("log(f32(clamp(x, 1, 1e39)))", 1e39, inf),
        ("exp(log10(clamp(x, 0, 1e200) * clamp(x, 0, 1e200)))", 1e200, inf),
    ] {
        let found = value(text, "f64", x);
        assert!(found == expected, "{text}: {found:e}");
    }
}
