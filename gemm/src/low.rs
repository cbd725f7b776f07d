//! Products of few rows, and of some rows at a time: the right operand is not packed as a whole.

use crate::blocked::{Element, Number, Panel, finished_columns, inner, pack_right, tile};
use crate::caches;
use crate::left::Left;
use crate::matrix::MatrixMut;
use crate::observer::{Observer, Telling};
use crate::operand::Operand;
use crate::pack::LINE;
use crate::pages::Pages;
use crate::tile::{Ahead, Kernels, NARROW, Rows};
use crate::vectors::Vectors;

/// Up to so many tiles of rows are few.
const LOW: usize = 16;
/// And so many, if a right operand in rows is further away than L2, or fills it: 300 rows by 1024 by 1024 take .94 of the time that
/// they take with all of it packed beforehand, 400 rows as long (Xeon 6).
const LOW_AND_FAR: usize = 28;

/// Bytes of a right operand that L2 holds, or nearly so. Where a vector is a cache line, to read it as it lies for so many
/// tiles of rows takes .88 to 1 of the time (Zen 4, 64 to 512 columns); with shorter vectors up to 1.37.
const NEAR: usize = 1 << 20;
const FEW_TILES: usize = 8;
/// Of more bytes than these, many rows have it packed: 512 by 512 by 512 and 500 by 500 by 500 take .92 and .90 of the time, 480 by
/// 480 by 480 1.01, and 300 rows by 512 by 512 1.05 (Xeon 6).
const FULL: usize = 960 << 10;

/// The most terms of a panel of a right operand that is further away, of up to so many rows and of more. Processors ask memory for
/// what follows in some 32 rows at once, if each is read on and on, and for nothing where a panel is a piece of each of
/// hundreds. On a Xeon 6, 8, 32 and 192 rows by 1024 by 1024 take .73, .73 and .65 of the time that they take with
/// 384 terms and tiles that read them as they lie, and 32 rows by 4096 by 4096, which memory has, .4. So few rows as
/// here lose by it where an L2 of 2 MiB has most of the matrix, up to a seventh.
const FAR: [usize; 2] = [48, 192];
const FEW_FAR: usize = 48;

/// Part of L2 that a right operand may fill of which the panel that follows is not asked for: it is there. 7 rows by 512 by 512 take .93
/// of the time, and so do 30 rows by 300 by 300 (Xeon 6).
const ASKED: usize = 2;
/// Quarters of L2 that a right operand may fill of which few rows read more than two vectors at once. 5 rows by 300 by 300 take .91
/// of the time, 4 rows by 512 by 512 .90, 8 rows by 600 by 600 .87; 8 rows by 700 by 700, which fill L2, 1.09 (Xeon 6).
const WIDE: usize = 3;

/// Bytes of the result that are finished as a whole, if they are whole rows: in parts, what is computed of them waits for
/// memory at the beginning of each (a twentieth of 1024 by 64 by 1024 with GELU, Zen 4).
const WHOLE: usize = 256 << 10;

/// The most terms of a panel whose columns are turned. Long runs of them come faster from memory, while what is packed of
/// the left operand stays in L2: 32 rows take .91 of the time that 384 terms take (1024 and 4096 columns, Zen 4).
const TURNED: usize = 2048;
/// And the fewest, if what is packed of the left operand has more bytes than these.
const FEWEST_TURNED: usize = 384;
const LEFT: usize = 288 << 10;

/// Whether products of some rows each, by one right operand, gain by having it [packed](crate::Packed) once for all.
pub fn gains_by_packing<T: Number>(b: Operand<T>) -> bool {
    b.plain_rows().is_none() || !reads_lines(T::kernels(Vectors::widest()))
}

/// Whether a vector is a cache line, so that rows are read as they lie as fast as from panels.
fn reads_lines<T: Element>(kernels: &Kernels<T>) -> bool {
    kernels.lanes * size_of::<T>() == LINE
}

/// Whether products of these sizes by that right operand need not have it packed as a whole.
pub(crate) fn is_for<T: Element>(
    kernels: &Kernels<T>,
    [m, k, n]: [usize; 3],
    b: Operand<T>,
) -> bool {
    m <= LOW * kernels.rows
        || b.plain_rows().is_some()
            && match is_far::<T>([m, k, n]) || bytes::<T>([k, n]) > FULL {
                true => m <= LOW_AND_FAR * kernels.rows,
                false => reads_lines(kernels),
            }
}

/// Whether a right operand of these products is further away than L2.
fn is_far<T>([m, k, n]: [usize; 3]) -> bool {
    // Two rows by 1024 by 600 take .64 of the time that reading it twice takes if it is far, .70 if not (Xeon 6).
    let near = match m {
        ..=2 => 2 * NEAR,
        3..=FEW_FAR => 3 * NEAR,
        _ => NEAR,
    };
    bytes::<T>([k, n]) > near
}

/// Bytes of a right operand.
fn bytes<T>([k, n]: [usize; 2]) -> usize {
    k.saturating_mul(n).saturating_mul(size_of::<T>())
}

/// `c = a b`. The right operand is not packed where its columns lie side by side, but for those that are no
/// whole panel and numbers of 16 bits. What is, is packed panel by panel. Columns that lie element after element are
/// turned [while the first tile is computed](crate::turning).
///
/// # Safety
///
/// As for [`multiply`](crate::multiply).
pub(crate) unsafe fn multiply<T: Element>(
    kernels: &Kernels<T>,
    [m, k, n]: [usize; 3],
    a: Operand<T>,
    b: Operand<T>,
    c: MatrixMut<T>,
    room: &mut Pages<T>,
    observer: &mut dyn Observer,
) {
    let row = n * size_of::<T>();
    let tiles = (WHOLE / row / kernels.rows).clamp(2, FEW_TILES);
    let is_far = is_far::<T>([m, k, n]);
    let (bytes, held) = (bytes::<T>([k, n]), caches::second_level());
    let is_asked = bytes > held / ASKED;
    let most = if m <= LOW * kernels.rows || is_far { m } else { tiles * kernels.rows };
    let most_terms = match b.plain_rows() {
        Some(_) if !is_far => inner(k),
        Some(_) if m <= FEW_FAR => FAR[0],
        Some(_) => FAR[1],
        None => (LEFT / (most * size_of::<T>())).clamp(FEWEST_TURNED, TURNED),
    };
    let lying = b.plain_columns().filter(|_| c.across == 1);
    let inner = most_terms.min(k.max(1));
    let need = most * inner + inner * kernels.columns();
    if room.len() < need {
        *room = Pages::room(T::ZERO, need);
    }
    let (left, right) = room.split_at_mut(most * inner);
    let (left, right) = (left.as_mut_ptr(), right.as_mut_ptr());
    for first in (0..m).step_by(most) {
        let all = first..m.min(first + most);
        let at_once = match all.len() * row <= WHOLE {
            true => n,
            false => finished_columns(kernels, all.len()),
        };
        let is_first_whole = b.plain_rows().is_none();
        let rows = Rows { count: all.len(), most: kernels.rows, is_first_whole };
        let is_wide = b.plain_rows().is_some() && bytes <= held / 4 * WIDE;
        let vectors = if is_wide { kernels.widest(rows.highest()) } else { NARROW };
        let widest = vectors * kernels.lanes;
        // What the first tile turns, the others read.
        let turning = lying.zip(kernels.turning.get(rows.highest() - 1));
        // A product of no terms is 0, which the first block of none writes.
        for done in (0..k.max(1)).step_by(inner) {
            let terms = inner.min(k - done);
            let (goes_on, is_last) = (done > 0, done + terms == k);
            let mut telling = Telling::new(observer, all.clone(), 0..n, at_once);
            // SAFETY: required of the caller; there is room for these rows, or for the first of them, and a panel.
            let (left, turning) = unsafe {
                let all = Left::new(kernels, a.from(first, done), rows, [terms, n], left);
                let first = |(b, run)| (b, run, all.packed(kernels, [rows.highest(), terms], left));
                (all, turning.map(first))
            };
            let mut side = 0;
            while side < n {
                if !telling.goes_on() {
                    return;
                }
                let columns = match n - side {
                    rest if rest >= widest => widest,
                    rest => kernels.columns().min(rest),
                };
                let step = columns.next_multiple_of(kernels.lanes);
                let unpacked = b.plain_rows().filter(|_| columns >= kernels.columns());
                let turning = turning.filter(|_| columns == step);
                // SAFETY: as above.
                unsafe {
                    let panel = match unpacked {
                        Some(b) => Panel { first: b.at(done, side), step: b.down, columns },
                        None => {
                            if turning.is_none() {
                                pack_right(kernels, b.from(done, side), terms, columns, right);
                            }
                            Panel { first: right, step: step as isize, columns }
                        }
                    };
                    // Rows far apart share sets of L1, and tiles that follow would read them from L2. Where none follows, to
                    // leave out these stores takes .94 to .98 of the time (4 to 12 rows by 1024 by 1024, Xeon 6).
                    let asks = is_asked
                        && unpacked.is_some()
                        && c.across == 1
                        && columns == kernels.columns();
                    let packs = asks && is_far && all.len() > rows.highest();
                    for span in rows.tiles() {
                        let (high, is_first) = (span.len(), span.start == 0);
                        let left = left.from(span.start, terms);
                        let to = c.at(first + span.start, side);
                        let next = match span.end < all.len() {
                            true => c.at(first + span.end, side),
                            false => c.at(first, side + columns),
                        };
                        let ahead = Ahead::of_tile(next);
                        if let Some((b, run, packed)) = turning
                            && is_first
                        {
                            let panel = (all.len() > high).then_some(right);
                            let (sizes, b) = ([terms, columns], b.from(done, side));
                            run(sizes, packed, b, panel, to, c.down, goes_on);
                        } else if asks && is_first {
                            let run = kernels.asking_much(left, high);
                            let (sizes, left) = ([terms, columns], left.parts());
                            let beside =
                                [columns, 2 * columns - 1].map(|at| panel.first.wrapping_add(at));
                            let step = panel.step * size_of::<T>() as isize;
                            let mut ahead = ahead.and_beside(beside, step);
                            if packs {
                                ahead.panel = right;
                            }
                            run(sizes, left, panel.first, panel.step, (to, c.down), goes_on, ahead);
                        } else {
                            let panel = match packs {
                                true => Panel { first: right, step: step as isize, columns },
                                false => panel,
                            };
                            tile(kernels, [high, terms], left, panel, to, c, goes_on, ahead);
                        }
                    }
                }
                side += columns;
                if is_last {
                    telling.are_finished(side);
                }
            }
        }
    }
}
