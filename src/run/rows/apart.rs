//! Whether passes over all elements take less time than stages over tiles.

use super::Stage;
use super::setup::{Access, Setup};
use super::short::COSTLY;
use super::{LINE, Program, SHORT};
use crate::lower::rows::Per;

/// Elements of a run of rows side by side that are worth the calls of its stages.
const WORTH_CALLS: usize = 512;

/// Fewer runs than this take less time than a pass needs to begin.
const MANY: usize = 32;

/// Elements that are worth a pass of their own.
const WORTH_A_PASS: f64 = 2048.0;

/// Rows side by side that are not worth a call for an element of each, if there are so many calls. Softmax along
/// axis 1 of (2000, 63, 2) that is a part of a wider array took 1.96 times as long by stages as by passes on a Zen 4,
/// (2000, 63, 4) 1.6, (2000, 63, 8) about as long.
const TINY: usize = 8;
const MANY_CALLS: usize = 512;

/// Rows side by side that are not worth it either if they are shorter than this and little is computed, in two passes
/// that read what two stages read: what is less the largest of (1000, 128, 15) took 1.29 times as long by stages, of
/// (2000, 70, 20) 1.26, of (1000, 128, 31) 1.19, of (1000, 200, 16) 1.06; of (2000, 63, 16) .97.
const FEW: usize = 32;
const LONG: usize = 256;

/// Elements of a run of rows side by side that are worth the calls of many stages, if there are so many runs. By stages in
/// place of passes, on a Xeon 6, of log-softmax along axis 1 of (2400, 2, 32) 3.5, (1200, 2, 64) 2.0, (600, 8, 32) 1.6, (300, 8, 64)
/// 1.1, (300, 32, 16) .9; with gaps between runs of rows along axis 0, of (2, 1200, 64) 2.7, (8, 600, 32) 1.4, (8, 300, 64) 1.1.
const WORTH_STAGES: usize = 320;
const SOME: usize = 16;

/// Elements from which on it counts how operands lie, and those of rows.
const MUCH: f64 = 16384.0;
const LONG_ROWS: usize = 128;

/// Whether an operand lies across the others: its neighbours in memory are in no tile, so that each tile reads a line for an
/// element of it, or they are along the other side of long tiles. By stages in place of passes, on a Xeon 6, with `y` of other
/// strides than `x`: `y - mean[0](y + x)` of (256, 64, 64) 5.9 and (32, 64, 64) 1.5; `softmax[-1](y + x)` of (128, 128) 1.1, (512, 512) 3.3,
/// (512, 4096) 2.8; but of (256, 64, 64), `y` turned in its last axes, .41.
fn lies_across(setup: &Setup, operand: usize) -> bool {
    let grid = &setup.grid;
    let row = grid.row_step(operand).unsigned_abs();
    let element = grid.element_step(operand).map_or(row, isize::unsigned_abs);
    let is_packed = setup.access[operand] == Access::Packed && row != 0 && element != 0;
    let (inside, outside) = if setup.side_by_side { (row, element) } else { (element, row) };
    is_packed && inside >= LINE && (outside >= LINE || grid.len >= LONG_ROWS)
}

/// Whether a pass that computes all elements, and one that folds them, take less time: where one value is computed,
/// and of nothing that rows became, and runs of rows side by side are short and many, or more than one operand would be
/// transposed. Nanoseconds for an element so and by stages, on a Zen 4: `sum[1](exp(x) * y)` of (100, 3, 50) .92 and
/// 1.18, `argmax[1](x * 2 + y)` of (65536, 4) .52 and .67.
pub(super) fn take_less(program: Program<'_>, setup: &Setup) -> bool {
    let (run, runs) = setup.grid.runs();
    let calls_code = program.stages.iter().any(|stage| matches!(stage, Stage::Each(_)));
    let calls = runs.saturating_mul(setup.grid.len);
    let is_tiny = setup.group.is_none() && run <= TINY;
    let is_plain = matches!(program.stages, [Stage::Fold { .. }, Stage::Each(_)]);
    let is_plain = is_plain && program.cost < COSTLY && run < FEW && setup.grid.len < LONG;
    if calls_code && setup.side_by_side && (is_tiny || is_plain) && calls >= MANY_CALLS {
        return true;
    }
    if calls_code
        && setup.side_by_side
        && setup.group.is_none()
        && runs >= SOME
        && run.saturating_mul(setup.grid.len) < WORTH_STAGES
    {
        return true;
    }
    if calls_code
        && !setup.is_flat
        && setup.elements() >= MUCH
        && (0..program.operands()).any(|operand| lies_across(setup, operand))
    {
        return true;
    }
    let is_number = |&slot: &usize| program.slots[slot].per == Per::Row;
    let mut computed = program.stages.iter().filter_map(|stage| match stage {
        Stage::Each(map) => Some(map),
        _ => None,
    });
    let (Some(map), None) = (computed.next(), computed.next()) else { return false };
    let is_one = map.outputs.len() == 1 && !map.inputs.iter().any(is_number);
    let is_transposed =
        |slot: &usize| setup.access[*slot] == Access::Packed && !setup.grid.repeats_rows(*slot);
    let transposed = (0..program.inputs).filter(is_transposed).count();
    let is_small = runs > MANY && run.saturating_mul(setup.grid.len) < WORTH_CALLS;
    is_one
        && setup.side_by_side
        && (is_small
            || (setup.grid.len <= SHORT && transposed > 1 && setup.elements() >= WORTH_A_PASS))
}
