//! What of operands, and of what stages do with them, says how rows are run.

use super::Stage;
use super::{Program, short};
use crate::lower::rows::Per;
use crate::run::layout::OPERANDS;
use crate::run::view::Layout;
use smallvec::SmallVec;

/// Of each output, whether it is the memory of one of so many inputs.
pub(super) fn in_place(operands: &[&Layout], inputs: usize) -> impl Iterator<Item = bool> {
    let (inputs, outputs) = operands.split_at(inputs);
    outputs.iter().map(|output| inputs.iter().any(|input| input.base == output.base))
}

/// Whether the first element lies at a multiple of its size.
pub(super) fn is_aligned(operand: &Layout) -> bool {
    operand.base.addr().is_multiple_of(operand.dtype.size())
}

/// Outputs of elements that are written before the last stage over elements.
pub(super) fn written_early(program: Program<'_>) -> SmallVec<[usize; OPERANDS]> {
    let reads =
        |stage: &Stage| matches!(stage, Stage::Each(_) | Stage::Fold { .. } | Stage::Scan { .. });
    let last = program.stages.iter().rposition(reads);
    let early = &program.stages[..last.unwrap_or(0)];
    let is_early = |slot: &usize| {
        program.slots[*slot].per == Per::Element
            && early.iter().any(|stage| Program::reads_and_writes(stage).1.contains(slot))
    };
    (program.inputs..program.operands()).filter(is_early).collect()
}

/// Whether nothing is done but to fold floats, which are as fast where they lie, however short rows are.
pub(super) fn only_folds_floats(program: Program<'_>) -> bool {
    program.stages.iter().all(|stage| short::folds_floats(program, stage))
}

/// The operand by whose memory rows are ordered: the first one with elements of its own everywhere.
pub(super) fn lead(program: Program<'_>, domain: &[usize], operands: &[&Layout]) -> usize {
    let is_element = |op: usize| program.slots[op].per == Per::Element;
    let is_whole = |op: usize| {
        let operand = operands[op];
        let own = operand.shape.len() == domain.len();
        own && (0..domain.len())
            .all(|dim| domain[dim] == 1 || (operand.shape[dim] != 1 && operand.strides[dim] != 0))
    };
    let found = (0..operands.len()).find(|&op| is_element(op) && is_whole(op));
    found.or_else(|| (0..operands.len()).find(|&op| is_element(op))).unwrap_or(0)
}
