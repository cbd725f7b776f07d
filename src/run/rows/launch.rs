//! The calls of stages, as far as they are the same for all tiles.

use super::setup::{Access, Setup};
use super::{LINE, Program};
use super::{Map, Stage};
use crate::run::layout::OPERANDS;
use kiln_jit::emit::Cursor;
use smallvec::SmallVec;
use std::ptr;

/// A call of a stage's code. Where operands are is what differs from tile to tile.
#[derive(Clone, Debug, Default)]
pub(super) struct Launch {
    /// Cursors without their bases; a number that is to be repeated has the step 0 and the bytes to the
    /// next row's.
    pub(super) cursors: SmallVec<[Cursor; OPERANDS]>,
    /// Whose place each begins at.
    pub(super) slots: SmallVec<[usize; OPERANDS]>,
    /// Bytes of an element of each.
    pub(super) sizes: SmallVec<[usize; OPERANDS]>,
    /// Inputs whose numbers must be repeated in memory.
    pub(super) splats: SmallVec<[usize; 2]>,
    /// Whether what it stores bypasses the caches.
    pub(super) streams: bool,
    /// How many of the next stages are folds that the code does.
    pub(super) folds: usize,
}

// SAFETY: cursors of a launch have no bases.
unsafe impl Send for Launch {}
// SAFETY: as above.
unsafe impl Sync for Launch {}

impl Launch {
    /// The call of a stage; none of one that calls no code.
    pub(super) fn new(program: Program<'_>, setup: &Setup, stage: &Stage) -> Launch {
        match stage {
            Stage::Each(map) => Launch::of_each(program, setup, map),
            Stage::Once(map) => {
                let mut launch = Launch::default();
                for &slot in map.inputs.iter().chain(&map.outputs) {
                    let step = map.kernel.lanes() * setup.sizes[slot];
                    launch.push(setup, slot, step, 0);
                }
                launch
            }
            Stage::Fold { .. } | Stage::Count { .. } => Launch::default(),
        }
    }

    fn of_each(program: Program<'_>, setup: &Setup, map: &Map) -> Launch {
        let (code, inputs, outputs) = setup.code_of(map);
        let mut launch = Launch { folds: setup.folds_of(map), ..Launch::default() };
        for (index, &slot) in inputs.iter().enumerate() {
            let (vector, row) = (code.lanes() * setup.sizes[slot], setup.step(program, slot));
            match setup.access[setup.home[slot]] {
                Access::Row if setup.side_by_side => launch.push(setup, slot, vector, 0),
                Access::Row | Access::Splat if setup.is_flat => {
                    launch.splats.push(index);
                    launch.push(setup, slot, vector, row);
                }
                Access::Row | Access::Splat => {
                    if !code.is_scalar(index) {
                        launch.splats.push(index);
                    }
                    launch.push(setup, slot, 0, row);
                }
                _ => launch.push(setup, slot, vector, row),
            }
        }
        for &slot in outputs {
            launch.push(setup, slot, 0, setup.step(program, slot));
        }
        launch.streams = setup.streams && map.is_final && is_worth_streaming(setup, map);
        launch
    }

    fn push(&mut self, setup: &Setup, slot: usize, step: usize, row: isize) {
        self.cursors.push(Cursor { base: ptr::null_mut(), step, row });
        self.slots.push(setup.home[slot]);
        self.sizes.push(setup.sizes[slot]);
    }
}

/// Whether what a stage stores goes to memory, in rows that are worth a call each, or need none.
fn is_worth_streaming(setup: &Setup, map: &Map) -> bool {
    const WORTH_A_CALL: usize = 2048;
    let n = match setup.side_by_side {
        true => setup.tile[0] * setup.group.unwrap_or(1).min(setup.grid.len),
        false if setup.is_flat => setup.tile[0] * setup.tile[1],
        false => setup.tile[1],
    };
    let is_direct = |&slot: &usize| setup.access[setup.home[slot]] == Access::Direct;
    let is_worth = |&slot: &usize| {
        let bytes = n * setup.sizes[slot];
        bytes >= WORTH_A_CALL || bytes.is_multiple_of(LINE)
    };
    map.outputs.iter().all(is_direct) && map.outputs.iter().all(is_worth)
}
