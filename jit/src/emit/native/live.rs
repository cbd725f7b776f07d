//! Which values an emitter has to compute.

use crate::vir::{Body, Each, Inst, UnaryOp, Value};

/// What [`Inst::Fma`] reads instead of `value`: the operand of a negation that is folded into it.
pub(in crate::emit) fn negated(body: &Body, value: Value) -> Option<Value> {
    match *body.inst(value) {
        Inst::Unary { op: UnaryOp::Neg, a } => Some(a),
        _ => None,
    }
}

/// Marks the values that a stored or folded value depends on.
pub(in crate::emit) fn live(stage: &Each) -> Vec<bool> {
    let body = &stage.body;
    let mut live = vec![false; body.insts.len()];
    let stored = stage.stores.iter().map(|store| store.value);
    let folded = stage.folds.iter().map(|fold| fold.value);
    for root in stored.chain(folded).chain(body.cold.iter().map(|cold| cold.mask)) {
        live[root.index()] = true;
    }
    for index in (0..body.insts.len()).rev() {
        if !live[index] {
            continue;
        }
        let inst = body.insts[index];
        for operand in inst.operands() {
            let folded = match inst {
                Inst::Fma { .. } => negated(body, operand),
                _ => None,
            };
            live[folded.unwrap_or(operand).index()] = true;
        }
    }
    live
}
