//! Which values an emitter has to compute.

use crate::vir::{Body, Each, Inst, UnaryOp, Value};

/// What [`Inst::Fma`] reads instead of `value`: the operand of a negation that is folded into it.
pub(in crate::emit) fn negated(body: &Body, value: Value) -> Option<Value> {
    match *body.inst(value) {
        Inst::Unary { op: UnaryOp::Neg, a } => Some(a),
        _ => None,
    }
}

/// What an emitter computes of [`Inst::Scale`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emit) enum Scales {
    /// The scaled value, from the number and its exponent.
    #[cfg_attr(not(feature = "x86"), expect(dead_code, reason = "no other emitter has it"))]
    ByInstruction,
    /// What the scaled value is otherwise.
    Never,
}

/// Marks the values that a stored or folded value depends on.
pub(in crate::emit) fn live(stage: &Each, scales: Scales) -> Vec<bool> {
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
        let is_needed = |operand: &Value| match (inst, scales) {
            (Inst::Scale { p, k, .. }, Scales::ByInstruction) => [p, k].contains(operand),
            (Inst::Scale { scaled, .. }, Scales::Never) => *operand == scaled,
            _ => true,
        };
        for operand in inst.operands().filter(is_needed) {
            let folded = match inst {
                Inst::Fma { .. } => negated(body, operand),
                _ => None,
            };
            live[folded.unwrap_or(operand).index()] = true;
        }
    }
    live
}
