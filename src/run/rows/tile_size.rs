//! How many rows are worked on at a time.

use super::setup::{Access, Setup};
use super::short;
use super::{FOLD_TILE, FOLD_WIDE, LINE, Program, Stage, TILE, WAYS, WIDE};
use crate::lower::rows::Per;
use crate::run::scan::LANES;

impl Setup {
    /// Whether the elements of rows side by side lie so that L2 has no room for all that a tile reads: of steps
    /// that are a multiple of a power of two, it is as if all that lies between such were read.
    pub(super) fn is_scattered(&self, operand: usize) -> bool {
        let step = self.grid.element_step(operand).unwrap_or(0).unsigned_abs();
        let span = self.grid.len.saturating_mul((step & step.wrapping_neg()).min(self.near / WAYS));
        self.side_by_side && self.group.is_none() && span > self.near
    }

    /// Whether a slot is a result that nothing reads, and in memory of which nothing else is before: what is of use is
    /// gone once it is there.
    fn is_left(&self, program: Program<'_>, slot: usize) -> bool {
        let is_output = (program.inputs..program.operands()).contains(&slot);
        let others = program.operands()..program.slots.len();
        let is_shared = others.into_iter().any(|other| self.home[other] == slot);
        is_output && program.slots[slot].reads == 0 && !is_shared
    }

    /// Neighbouring rows that are worked on at a time.
    pub(super) fn rows_of_tile(&self, program: Program<'_>) -> usize {
        let (run, _) = self.grid.runs();
        if self.is_flat {
            return short::rows_of_tile(&self.grid, self.beside, &self.sizes);
        }
        if self.group.is_some() {
            return run;
        }
        let is_whole = |slot: &usize| {
            let is_there = match self.access[*slot] {
                Access::Packed | Access::Kept => true,
                Access::Direct => *slot < program.operands() && !self.is_scattered(*slot),
                Access::Row | Access::Splat => false,
            };
            let repeats = *slot < program.inputs && self.grid.repeats_rows(*slot);
            let is_element = program.slots[*slot].per == Per::Element;
            let is_left = self.side_by_side && self.is_left(program, *slot);
            is_there && is_element && !repeats && !is_left && self.home[*slot] == *slot
        };
        let sizes = (0..program.slots.len()).filter(is_whole);
        let sizes = sizes.map(|slot| self.sizes[slot]);
        let (bytes, largest) = sizes.fold((0, 1), |(sum, most), size| (sum + size, size.max(most)));
        let row = self.grid.len.saturating_mul(bytes).max(1);
        if !self.side_by_side {
            let only_folds = program.stages.iter().all(|stage| matches!(stage, Stage::Fold { .. }));
            let tile = if only_folds { FOLD_TILE } else { TILE };
            let rows = tile / row;
            // Those that are scanned side by side: as many as vectors turn, or half or a quarter of that.
            let rows = match program.has_scans() && rows > 0 {
                true if rows > LANES => rows / LANES * LANES,
                true => 1 << rows.ilog2(),
                false => rows,
            };
            return rows.clamp(1, run.max(1));
        }
        let line = LINE / largest;
        let rows = match self.only_folds_where_elements_lie(program) {
            true => FOLD_WIDE / largest,
            // If not even a line of each element fits, all goes through memory anyway.
            false if self.near / row < line => WIDE / largest,
            false => (self.near / row).min(WIDE / largest) / line * line,
        };
        rows.max(line).min(run.max(1))
    }
}
