//! Short rows, one after the other in memory: a stage takes the elements of a tile of them as one row. What is one
//! for a row is repeated for each of its elements first. So do few short rows that lie side by side, run after run:
//! the numbers of a run are repeated together.
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
//!
//! Time over that of row by row, of 2000 rows, by AVX-512 and by AVX2:
//!
//! | | 17 | 24 | 32 | 40 | 60 |
//! |---|---|---|---|---|---|
//! | `sum(exp(x) * x)` | .42 .42 | .50 .49 | .62 .81 | .57 .65 | .54 .51 |
//! | `sum(x * x)` | .54 .51 | .59 .67 | .70 .69 | .70 .58 | .76 .67 |
//! | softmax | .56 .49 | .64 .63 | 1.01 1.00 | .75 1.00 | .81 .70 |
//! | `tanh(x - mean(x))` | .63 .50 | .81 1.00 | 1.05 .99 | .87 1.00 | .94 .86 |
//! | RMS norm | .75 .68 | .91 .95 | 1.18 | 1.11 | 1.24 |
//! | less the largest | 1.01 | 1.29 | 1.57 | 1.47 | 1.43 |

use super::Stage;
use super::grid::Grid;
use super::{LINE, Program};
use crate::lower::rows::Per;
use crate::run::pack;
use kiln_ir::Reduction;

/// Elements of a row up to which its numbers are repeated, whatever is computed.
const MOST: usize = 16;

/// The same where two stages or more save a call for each row.
const NEXT: usize = 24;

/// Rows from this length on are no better so, however little is repeated for them.
const LONG: usize = 64;

/// Rows side by side that are worth a call for an element of each, if little is computed, and if more is. Time over
/// that of what is not fused, of 2000 runs of rows of 63, so and in calls, on a Zen 4:
///
/// | rows of a run | 2 | 4 | 8 | 16 | 30 |
/// |---|---|---|---|---|---|
/// | softmax | .61 3.07 | .65 2.26 | .65 1.45 | .83 .91 | .70 .97 |
/// | layer norm | | .67 1.25 | .77 | .91 1.04 | .72 .64 |
/// | less the largest | .65 1.92 | .73 1.53 | .73 .98 | 1.04 .97 | 1.31 1.01 |
const MANY: usize = 16;
const MOST_BESIDE: usize = 32;

/// Elements of a run of rows side by side, however long they are, that are not worth [groups](super::narrow).
const FEW: usize = 256;

/// Nanoseconds for an element from which on rows that leave lanes of vectors empty are better so, up to [`LONG`].
pub(super) const COSTLY: f64 = 0.1;

/// Numbers that are repeated: with more of them, rows take less time in other ways.
const MOST_NUMBERS: usize = 2;

/// Bytes of the rows of a tile. A softmax of (500000, 20) takes 1.20 ns an element, with 16 KiB 1.25; of (30000, 20)
/// .79 and .84.
pub(super) const TILE: usize = 64 << 10;

/// Whether stages take short rows so: all elements of operands lie one after the other, or repeat in all rows or in
/// each, and folds have vectors for it.
///
/// Rows may lie side by side in runs of so many: the [untangled](Grid::untangled) grid is of these.
pub(super) fn fits(
    program: Program<'_>,
    grid: &Grid,
    beside: usize,
    is_in_place: bool,
    is_large: bool,
) -> bool {
    let is_fast = |stage: &Stage| match stage {
        Stage::Fold { .. } => folds_floats(program, stage),
        Stage::Each(map) => map.kernel.takes_any_count(),
        Stage::Once(_) | Stage::Count { .. } => true,
    };
    let is_each = |stage: &Stage| matches!(stage, Stage::Each(_));
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
        // What is folded is packed, row by row, if it is one for all.
        let is_taken_so = beside == 1 || !program.slots[operand].is_folded;
        is_dense || repeats || (is_number(operand) && is_taken_so)
    };
    let numbers = |stage: &Stage| match stage {
        Stage::Each(map) => map.inputs.iter().filter(|&&slot| is_number(slot)).count(),
        _ => 0,
    };
    let operands = 0..program.operands();
    let numbers = program.stages.iter().map(numbers).sum();
    let takes_less = match beside {
        1 => takes_less(program, grid.len, numbers, is_large),
        _ => {
            let are_few = beside < MANY || (beside < MOST_BESIDE && program.cost >= COSTLY);
            are_few && grid.len > 1 && (grid.len < LONG || grid.len * beside < FEW)
        }
    };
    takes_less
        && !is_in_place
        && program.stages.iter().any(is_each)
        && program.stages.iter().all(is_fast)
        && operands.filter(|&op| program.slots[op].per == Per::Element).all(lies_so)
}

/// Whether rows of this length, so many numbers of which are repeated, take less time so. Operands may be larger
/// than the caches.
fn takes_less(program: Program<'_>, len: usize, numbers: usize, is_large: bool) -> bool {
    let mut codes = program.stages.iter().filter_map(|stage| match stage {
        Stage::Each(map) => Some(&map.kernel),
        _ => None,
    });
    let fills_vectors = codes.clone().all(|code| len.is_multiple_of(code.lanes()));
    match (len, numbers) {
        (0..2, _) => false,
        (..=MOST, ..=MOST_NUMBERS) | (..LONG, 0) => true,
        (..=NEXT, ..=MOST_NUMBERS) if codes.nth(1).is_some() => true,
        (..LONG, ..=MOST_NUMBERS) => !is_large && program.cost >= COSTLY && !fills_vectors,
        _ => false,
    }
}

/// Whether a stage folds floats by vectors.
pub(super) fn folds_floats(program: Program<'_>, stage: &Stage) -> bool {
    let Stage::Fold { by, from, .. } = stage else { return false };
    let by_vectors =
        matches!(by, Reduction::Sum | Reduction::Max | Reduction::Sup | Reduction::Min);
    by_vectors && program.slots[*from].dtype.is_float()
}

/// Rows of a tile: whole runs. All but the last one fill vectors if there is room for so many.
pub(super) fn rows_of_tile(grid: &Grid, beside: usize, sizes: &[usize]) -> usize {
    let largest = sizes.iter().copied().max().unwrap_or(1);
    let rows = TILE / (grid.len * largest);
    let full = LINE * beside;
    let rows = if rows < full { rows / beside * beside } else { rows / full * full };
    rows.clamp(beside, grid.runs().0.max(beside))
}

/// Repeats each number of some rows, `step` bytes from one to the next, `len` times; if rows lie side by side, all
/// those of a run.
///
/// # Safety
///
/// The numbers must be there, of `size` bytes each, and room for what they become.
pub(super) unsafe fn expand(
    from: *const u8,
    step: isize,
    to: *mut u8,
    [rows, len, size]: [usize; 3],
    beside: usize,
) {
    if beside > 1 {
        // SAFETY: required of the caller.
        return unsafe { expand_runs(from, step, to, [rows / beside, len, size], beside) };
    }
    macro_rules! by_len {
        ($ty:ty: $($len:literal)*) => {
            match len {
                // SAFETY: required of the caller.
                $($len => unsafe { expand_by::<$ty, $len>(from, step, to, rows) },)*
                // SAFETY: as above.
                _ => unsafe { expand_long::<$ty>(from, step, to, [rows, len]) },
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

/// See [`expand`]. There are more than [`MOST`] of each.
unsafe fn expand_long<T: Copy>(from: *const u8, step: isize, to: *mut u8, [rows, len]: [usize; 2]) {
    for row in 0..rows {
        // SAFETY: required of the caller; the last ones of a row overlap those before.
        unsafe {
            let number = from.wrapping_offset(row as isize * step).cast::<T>().read_unaligned();
            let to = to.cast::<T>().add(row * len);
            for at in (0..len - MOST).step_by(MOST).chain([len - MOST]) {
                to.add(at).cast::<[T; MOST]>().write_unaligned([number; MOST]);
            }
        }
    }
}

/// See [`expand`]: of rows side by side.
unsafe fn expand_runs(
    from: *const u8,
    step: isize,
    to: *mut u8,
    [runs, len, size]: [usize; 3],
    beside: usize,
) {
    macro_rules! by_rows {
        ($ty:ty: $($rows:literal)*) => {
            match beside {
                // SAFETY: required of the caller.
                $($rows => return unsafe { expand_runs_of::<$ty, $rows>(from, step, to, runs, len) },)*
                _ => {}
            }
        };
    }
    match size {
        4 => by_rows!(u32: 2 3 4 5 6 7 8),
        8 => by_rows!(u64: 2 3 4 5 6 7 8),
        _ => {}
    }
    let (period, mut numbers) = (beside * size, [0u8; MOST_BESIDE * 8]);
    for run in 0..runs {
        // SAFETY: required of the caller; numbers have up to 8 bytes each.
        unsafe {
            for row in 0..beside {
                let number = from.wrapping_offset((run * beside + row) as isize * step);
                number.copy_to_nonoverlapping(numbers.as_mut_ptr().add(row * size), size);
            }
            pack::repeat(to.add(run * len * period), numbers.as_ptr(), period, len * period);
        }
    }
}

/// The same for as many rows as the compiler knows.
unsafe fn expand_runs_of<T: Copy, const ROWS: usize>(
    from: *const u8,
    step: isize,
    to: *mut u8,
    runs: usize,
    len: usize,
) {
    const AT_A_TIME: usize = 8;
    let whole = len / AT_A_TIME * AT_A_TIME;
    for run in 0..runs {
        // SAFETY: required of the caller.
        unsafe {
            let numbers: [T; ROWS] = std::array::from_fn(|row| {
                let number = from.wrapping_offset((run * ROWS + row) as isize * step);
                number.cast::<T>().read_unaligned()
            });
            let to = to.cast::<[T; ROWS]>().add(run * len);
            for at in (0..whole).step_by(AT_A_TIME) {
                to.add(at).cast::<[[T; ROWS]; AT_A_TIME]>().write_unaligned([numbers; AT_A_TIME]);
            }
            for at in whole..len {
                to.add(at).write_unaligned(numbers);
            }
        }
    }
}
