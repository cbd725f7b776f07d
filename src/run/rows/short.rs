//! Short rows, one after the other in memory: a stage takes the elements of a tile of them as one row. What is one
//! for a row is repeated for each of its elements first.
//!
//! Nothing is transposed that way, and vectors are full. Nanoseconds for an `f32` on a Zen 4, so and side by side:
//!
//! | | softmax | RMS norm | layer norm, 4 numbers |
//! |---|---|---|---|
//! | (1000, 4) | .68 .84 | .51 .66 | 1.08 1.01 |
//! | (65536, 4) | .58 .68 | .45 .56 | 1.00 .92 |
//! | (10^6, 4) | .87 1.11 | .61 .94 | 1.35 1.28 |
//! | (500000, 8) | .78 1.06 | .53 .92 | 1.21 1.17 |
//! | (300000, 12) | .94 1.28 | .63 1.09 | 1.37 1.31 |
//! | (250000, 16), row by row before | .72 1.07 | .56 .61 | 1.22 1.30 |

use super::Program;
use super::grid::Grid;
use crate::lower::rows::{Per, Stage};
use kiln_ir::Reduction;
use kiln_jit::emit::Code;

/// Most elements of a row.
const MOST: usize = 16;

/// Numbers that are repeated: with more of them, rows side by side take less time.
const MOST_NUMBERS: usize = 2;

/// Bytes of the rows of a tile. A softmax of (10^6, 4) takes .87 ns an element, and took 1.35 with 8 KiB, in
/// another run, for the calls of stages.
pub(super) const TILE: usize = 32 << 10;

/// Whether stages take short rows so: all elements of operands lie one after the other, or repeat in all rows or in
/// each, and folds have vectors for it.
pub(super) fn fits(program: Program<'_>, grid: &Grid, is_in_place: bool) -> bool {
    let is_fast = |stage: &Stage<Code>| match stage {
        Stage::Fold { .. } => folds_floats(program, stage),
        Stage::Each(map) => map.kernel.takes_any_count(),
        Stage::Once(_) | Stage::Count { .. } => true,
    };
    let is_each = |stage: &Stage<Code>| matches!(stage, Stage::Each(_));
    // One for all elements of a row.
    let is_number = |slot: usize| {
        program.slots[slot].per == Per::Row
            || (slot < program.inputs && grid.element_step(slot) == Some(0))
    };
    let lies_so = |operand: usize| {
        let size = grid.sizes[operand] as isize;
        let is_dense = grid.element_step(operand) == Some(size)
            && grid.row_step(operand) == size * grid.len as isize;
        let repeats = operand < program.inputs && grid.repeats_rows(operand);
        is_dense || repeats || is_number(operand)
    };
    let numbers = |stage: &Stage<Code>| match stage {
        Stage::Each(map) => map.inputs.iter().filter(|&&slot| is_number(slot)).count(),
        _ => 0,
    };
    let operands = 0..program.operands();
    (2..=MOST).contains(&grid.len)
        && !is_in_place
        && program.stages.iter().any(is_each)
        && program.stages.iter().map(numbers).sum::<usize>() <= MOST_NUMBERS
        && program.stages.iter().all(is_fast)
        && operands.filter(|&op| program.slots[op].per == Per::Element).all(lies_so)
}

/// Whether a stage folds floats by vectors.
pub(super) fn folds_floats(program: Program<'_>, stage: &Stage<Code>) -> bool {
    let Stage::Fold { by, from, .. } = stage else { return false };
    let by_vectors =
        matches!(by, Reduction::Sum | Reduction::Max | Reduction::Sup | Reduction::Min);
    by_vectors && program.slots[*from].dtype.is_float()
}

/// Rows of a tile.
pub(super) fn rows_of_tile(grid: &Grid, sizes: &[usize]) -> usize {
    let largest = sizes.iter().copied().max().unwrap_or(1);
    (TILE / (grid.len * largest)).clamp(1, grid.runs().0.max(1))
}

/// Repeats each number of some rows, `step` bytes from one to the next, `len` times.
///
/// # Safety
///
/// The numbers must be there, of `size` bytes each, and room for what they become.
pub(super) unsafe fn expand(
    from: *const u8,
    step: isize,
    to: *mut u8,
    [rows, len, size]: [usize; 3],
) {
    macro_rules! by_len {
        ($ty:ty: $($len:literal)*) => {
            match len {
                // SAFETY: required of the caller.
                $($len => unsafe { expand_by::<$ty, $len>(from, step, to, rows) },)*
                _ => unreachable!("rows of {len}"),
            }
        };
    }
    match size {
        1 => by_len!(u8: 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16),
        2 => by_len!(u16: 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16),
        4 => by_len!(u32: 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16),
        _ => by_len!(u64: 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16),
    }
}

/// See [`expand`].
unsafe fn expand_by<T: Copy, const LEN: usize>(
    from: *const u8,
    step: isize,
    to: *mut u8,
    rows: usize,
) {
    let to = to.cast::<[T; LEN]>();
    for row in 0..rows {
        // SAFETY: required of the caller.
        unsafe {
            let number = from.wrapping_offset(row as isize * step).cast::<T>().read_unaligned();
            to.add(row).write_unaligned([number; LEN]);
        }
    }
}
