//! What is known of an operand makes its op cheaper: primitives of whole bodies, counted.

use kiln::lower::{Tier, lower};
use kiln::vir::{Inst, Program, UnaryOp};
use std::fmt::Write;

/// Primitives that are computed for every vector, and those in cold regions.
fn count(program: &Program) -> (usize, usize) {
    let computes = |inst: &Inst| {
        let free = matches!(inst, Inst::Load { .. } | Inst::Const { .. });
        !free && !matches!(inst, Inst::Unary { op: UnaryOp::Bitcast(_), .. })
    };
    let cold = |at: usize| program.cold.iter().any(|c| (c.start..c.end).contains(&(at as u32)));
    let computing = program.insts.iter().enumerate().filter(|(_, inst)| computes(inst));
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
