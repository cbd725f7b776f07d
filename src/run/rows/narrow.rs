//! Few rows side by side: a call takes several elements of each as one.
//!
//! Their elements lie one after the other, or are packed so. A call that takes one of each does little; one that
//! takes a group of them finds what is one for a row repeated as often. Time with groups over time without, `f32`
//! on a Zen 4, for 2, 8, 16, 31 and 64 rows:
//!
//! | | less the largest | softmax | layer norm |
//! |---|---|---|---|
//! | 16 elements | .97 1.07 1.07 1.08 1.11 | .90 .93 1.07 1.06 1.09 | 1.03 1.03 1.04 1.13 1.13 |
//! | 64 | .87 .95 1.02 1.04 1.17 | .52 .65 .97 .88 1.05 | .77 .93 1.05 1.00 1.31 |
//! | 1000 | .27 .50 .68 .87 1.11 | .13 .27 .69 .67 .85 | .24 .46 .68 .81 1.01 |

use super::Program;
use super::Stage;
use super::grid::Grid;
use crate::run::pack;
use kiln_jit::emit::Cursor;

/// Fewer rows than this are few.
const FEW: usize = 32;

/// Bytes of a group, about: what is repeated in each stays in L1.
const GROUP: usize = 4 << 10;

/// Elements of each row are a multiple of this, so that groups begin and end where lines of a cache do, if the first
/// one begins so.
const STEP: usize = 64;

/// Elements from which on grouping them takes less time than it saves.
const LONG: usize = 64;

/// Room for what is repeated. A group is as large as [`GROUP`], or has a [`STEP`] of eight bytes an element.
pub(super) const ROOM: usize = FEW * STEP * 8;

/// Elements of each row that a call takes, if rows side by side are few.
pub(super) fn group(program: Program<'_>, grid: &Grid, sizes: &[usize]) -> Option<usize> {
    let rows = grid.runs().0;
    let calls_code = program.stages.iter().any(|stage| matches!(stage, Stage::Each(_)));
    let largest = sizes.iter().copied().max().unwrap_or(1);
    let group = (GROUP / largest / rows.max(1) / STEP).max(1) * STEP;
    (calls_code && rows < FEW && grid.len >= LONG).then_some(group)
}

/// Makes the cursors of a call on an element of each row those of a call on `group` of them.
///
/// # Safety
///
/// The cursors must be at numbers of rows, or at elements that lie one after the other; `room` gives [ROOM] for
/// an input.
pub(super) unsafe fn widen(
    cursors: &mut [Cursor],
    sizes: &[usize],
    [rows, group]: [usize; 2],
    room: impl Fn(usize) -> *mut u8,
) {
    for (index, (cursor, size)) in cursors.iter_mut().zip(sizes).enumerate() {
        if cursor.row == 0 && cursor.step != 0 {
            let room = room(index);
            // SAFETY: a number of each row, and room for a group of them.
            unsafe { pack::repeat(room, cursor.base, rows * size, rows * group * size) };
            cursor.base = room;
        }
        cursor.row *= group as isize;
    }
}
