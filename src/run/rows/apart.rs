//! Whether passes over all elements take less time than stages over tiles.

use super::setup::{Access, Setup};
use super::{Program, SHORT};
use crate::lower::rows::{Per, Stage};

/// Elements of a run of rows side by side that are worth the calls of its stages.
const WORTH_CALLS: usize = 512;

/// Fewer runs than this take less time than a pass needs to begin.
const MANY: usize = 32;

/// Elements that are worth a pass of their own.
const WORTH_A_PASS: f64 = 2048.0;

/// Whether a pass that computes all elements, and one that folds them, take less time: where one value is computed,
/// and of nothing that rows became, and runs of rows side by side are short and many, or more than one operand would be
/// transposed. Nanoseconds for an element so and by stages, on a Zen 4: `sum[1](exp(x) * y)` of (100, 3, 50) .92 and
/// 1.18, `argmax[1](x * 2 + y)` of (65536, 4) .52 and .67.
pub(super) fn take_less(program: Program<'_>, setup: &Setup) -> bool {
    let is_number = |&slot: &usize| program.slots[slot].per == Per::Row;
    let mut computed = program.stages.iter().filter_map(|stage| match stage {
        Stage::Each(map) => Some(map),
        _ => None,
    });
    let (Some(map), None) = (computed.next(), computed.next()) else { return false };
    let is_one = map.outputs.len() == 1 && !map.inputs.iter().any(is_number);
    let (run, runs) = setup.grid.runs();
    let is_transposed =
        |slot: &usize| setup.access[*slot] == Access::Packed && !setup.grid.repeats_rows(*slot);
    let transposed = (0..program.inputs).filter(is_transposed).count();
    let is_small = runs > MANY && run.saturating_mul(setup.grid.len) < WORTH_CALLS;
    is_one
        && setup.side_by_side
        && (is_small
            || (setup.grid.len <= SHORT && transposed > 1 && setup.elements() >= WORTH_A_PASS))
}
