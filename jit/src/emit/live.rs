//! Which values an emitter has to make.

use crate::vir::{Inst, Program, UnaryOp, Value};

/// What [`Inst::Fma`] reads in place of `value`: the operand of a negation is folded into it.
pub(super) fn negated(program: &Program, value: Value) -> Option<Value> {
    match *program.inst(value) {
        Inst::Unary { op: UnaryOp::Neg, a } => Some(a),
        _ => None,
    }
}

/// Marks the values that outputs depend on.
pub(super) fn live(program: &Program) -> Vec<bool> {
    let mut live = vec![false; program.insts.len()];
    let outputs = program.outputs.iter().map(|output| output.value);
    for root in outputs.chain(program.cold.iter().map(|cold| cold.mask)) {
        live[root.index()] = true;
    }
    for index in (0..program.insts.len()).rev() {
        if !live[index] {
            continue;
        }
        let inst = program.insts[index];
        for operand in inst.operands() {
            let folded = match inst {
                Inst::Fma { .. } => negated(program, operand),
                _ => None,
            };
            live[folded.unwrap_or(operand).index()] = true;
        }
    }
    live
}
