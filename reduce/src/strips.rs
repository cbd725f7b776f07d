//! Folds of rows that lie side by side: neighbours in memory are elements of neighbouring rows.
//!
//! Memory is read fastest in its own order, in few streams and long ones, and what waits to be merged is
//! best in a near cache. So the elements of a stripe come four at a time, stripe after stripe, which is four
//! streams; and stripes wait for one another in a strip as wide as rows are, if that leaves them in L2, and
//! in a narrow one, whose stripes L1 holds, if L2 has the elements already. Nanoseconds for an `f32`, on a
//! Zen 4, by bytes of a strip, of sums before they were [trees](super::trees):
//!
//! | | read | 256 | 1 K | 4 K | 16 K | 64 K |
//! |---|---|---|---|---|---|---|
//! | (512, 256), in L2 | .034 | .040 | .048 | | | |
//! | (65536, 1024), in memory | .131 | | .204 | .143 | | |
//! | (16384, 4096) | .136 | | | | .145 | |
//! | (64, 1048576) | .129 | .31 | .26 | .22 | .19 | .17 |

use super::fold::{BLOCK, Fold, STRIP, STRIPES};
use super::folder::{Blocks, Rows};
use super::room::Room;
use std::mem::MaybeUninit;

/// Bytes of all stripes of a strip whose elements are in L2.
const NARROW: usize = 16 << 10;
/// Most bytes of a strip.
const WIDE: usize = 64 << 10;
/// Bytes of all stripes of a strip.
const ROOM: usize = 1 << 20;
/// Bytes of each stripe that are merged at a time, once all are there: they stay in L1.
const PART: usize = 512;
/// Rows up to which a block of rows that lie side by side, with nothing else between them, is taken as
/// one of longer rows.
pub(super) const DENSE: usize = 16;

/// A lane of a stripe, which is written before it is read.
type Lane<F> = MaybeUninit<<F as Fold>::Lane>;

/// Folds blocks of rows that lie side by side.
///
/// # Safety
///
/// The elements must be readable and aligned, and places of blocks aligned and writable.
#[inline(always)]
pub(super) unsafe fn fold<F: Fold>(rows: &Rows, blocks: &Blocks) {
    debug_assert_eq!(blocks.row, 1);
    let size = size_of::<F::Element>();
    let is_dense = rows.rows <= DENSE && rows.step == (rows.rows * size) as isize;
    let is_dense = is_dense && !F::HAS_ACROSS;
    let width = if F::HAS_ACROSS { STRIP } else { width::<F>(rows) }.min(rows.rows);
    let kept = if is_dense || F::HAS_ACROSS { 0 } else { kept::<F>(rows.len) };
    let mut room = Room::new(kept * width * size_of::<F::Lane>());
    for index in 0..rows.len.div_ceil(BLOCK) {
        let before = index * BLOCK;
        let base = rows.base.wrapping_offset(before as isize * rows.step);
        let len = (rows.len - before).min(BLOCK);
        let block = Rows { base, len, first: rows.first + before, ..*rows };
        // SAFETY: a part of what the caller has.
        unsafe {
            if is_dense {
                dense::<F>(&block, |row, folded| blocks.at::<F>(row, index).write(folded));
                continue;
            }
            for strip in (0..rows.rows).step_by(width) {
                let base = base.wrapping_add(strip * size);
                let part = Rows { base, rows: width.min(rows.rows - strip), ..block };
                if F::HAS_ACROSS {
                    let write = |row, folded| blocks.at::<F>(strip + row, index).write(folded);
                    F::across(|at| elements::<F>(&part, at), len, part.first, write);
                    continue;
                }
                let lanes = strip_of::<F>(&part, room.lanes(base));
                let to = blocks.at::<F>(strip, index);
                for (row, &lane) in lanes.iter().enumerate() {
                    to.add(row).write(F::block(lane));
                }
            }
        }
    }
}

/// Rows of a strip.
fn width<F: Fold>(rows: &Rows) -> usize {
    let lane = size_of::<F::Lane>().max(size_of::<F::Element>());
    let room = if rows.is_near { NARROW } else { ROOM };
    WIDE.min(room / kept::<F>(rows.len)) / lane
}

/// Stripes of a block, but for those at the end that have no elements, up to a power of two.
fn stripes<F: Fold>(len: usize) -> usize {
    if F::ANY_ORDER { 1 } else { F::COUNT.min(len.next_power_of_two()) }
}

/// Stripes that are in memory at once.
fn kept<F: Fold>(len: usize) -> usize {
    let stripes = stripes::<F>(len.min(BLOCK));
    if len > stripes { stripes } else { (stripes / 4).max(1) }
}

/// Element `at` of each row.
///
/// # Safety
///
/// It must be there, and aligned.
#[inline(always)]
unsafe fn elements<'a, F: Fold>(rows: &Rows, at: usize) -> &'a [F::Element] {
    let base = rows.base.wrapping_offset(at as isize * rows.step).cast::<F::Element>();
    // SAFETY: required of the caller.
    unsafe { std::slice::from_raw_parts(base, rows.rows) }
}

/// Element `at` of each row, and `N - 1` more, `step` from one to the next.
///
/// # Safety
///
/// They must be there.
#[inline(always)]
unsafe fn several<'a, F: Fold, const N: usize>(
    rows: &Rows,
    at: usize,
    step: usize,
) -> [&'a [F::Element]; N] {
    let mut several: [&[F::Element]; N] = [&[]; N];
    for (turn, one) in several.iter_mut().enumerate() {
        // SAFETY: required of the caller.
        *one = unsafe { elements::<F>(rows, at + turn * step) };
    }
    several
}

/// Folds a block of a strip. What its rows become is at the beginning of `lanes`.
///
/// # Safety
///
/// As for [`fold`]; there must be room for the stripes that are [`kept`].
#[inline(always)]
unsafe fn strip_of<'a, F: Fold>(rows: &Rows, lanes: *mut Lane<F>) -> &'a [F::Lane] {
    let Rows { rows: width, len, .. } = *rows;
    let stripes = stripes::<F>(len);
    // SAFETY: required of the caller; each lane is written before it is read.
    unsafe {
        let left = match F::ANY_ORDER || len > stripes {
            true => {
                merge_elements::<F>(rows, stripes, lanes);
                stripes
            }
            false => merge_quarters::<F>(rows, stripes, lanes),
        };
        let part = PART / size_of::<F::Lane>();
        for at in (0..width).step_by(part) {
            merge_stripes::<F>(lanes.add(at), left, width, part.min(width - at));
        }
        std::slice::from_raw_parts(lanes.cast::<F::Lane>(), width)
    }
}

/// Merges the elements of each stripe, from the first to the last.
///
/// # Safety
///
/// As for [`strip_of`].
#[inline(always)]
unsafe fn merge_elements<F: Fold>(rows: &Rows, stripes: usize, lanes: *mut Lane<F>) {
    let Rows { rows: width, len, .. } = *rows;
    let turn = 4 * stripes;
    for first in (0..len).step_by(turn) {
        for stripe in 0..stripes.min(len - first) {
            let (at, end) = (first + stripe, len.min(first + turn));
            // SAFETY: required of the caller.
            unsafe {
                let to = stripe_of::<F>(lanes, stripe * width, width);
                match ((end - at).div_ceil(stripes), first > 0) {
                    (4, false) => in_turn::<F, 4, false>(rows, at, stripes, to),
                    (4, true) => in_turn::<F, 4, true>(rows, at, stripes, to),
                    // Of one stripe these are but the last few of a block.
                    (few, goes_on) if F::ANY_ORDER => {
                        one_by_one::<F>(rows, at, few, stripes, goes_on, to);
                    }
                    (3, false) => in_turn::<F, 3, false>(rows, at, stripes, to),
                    (3, true) => in_turn::<F, 3, true>(rows, at, stripes, to),
                    (2, false) => in_turn::<F, 2, false>(rows, at, stripes, to),
                    (2, true) => in_turn::<F, 2, true>(rows, at, stripes, to),
                    (_, false) => in_turn::<F, 1, false>(rows, at, stripes, to),
                    (_, true) => in_turn::<F, 1, true>(rows, at, stripes, to),
                }
            }
        }
    }
}

/// Merges `N` elements of a stripe, `step` from one to the next, one after the other; with what came
/// before, if anything did.
///
/// # Safety
///
/// The elements must be there, and as many lanes, written if anything came before.
#[inline(always)]
unsafe fn in_turn<F: Fold, const N: usize, const GOES_ON: bool>(
    rows: &Rows,
    at: usize,
    step: usize,
    to: &mut [Lane<F>],
) {
    // SAFETY: required of the caller.
    unsafe {
        let from = several::<F, N>(rows, at, step);
        for (row, to) in to.iter_mut().enumerate() {
            let lane = |turn: usize| {
                F::lane(rows.first + at + turn * step, *from[turn].get_unchecked(row))
            };
            let mut merged = lane(0);
            if GOES_ON {
                merged = F::merge(to.assume_init_read(), merged);
            }
            for turn in 1..N {
                merged = F::merge(merged, lane(turn));
            }
            to.write(merged);
        }
    }
}

/// The same for fewer elements.
///
/// # Safety
///
/// As for [`in_turn`].
#[inline(always)]
unsafe fn one_by_one<F: Fold>(
    rows: &Rows,
    at: usize,
    count: usize,
    step: usize,
    goes_on: bool,
    to: &mut [Lane<F>],
) {
    for turn in 0..count {
        // SAFETY: required of the caller.
        unsafe {
            match goes_on || turn > 0 {
                true => in_turn::<F, 1, true>(rows, at + turn * step, step, to),
                false => in_turn::<F, 1, false>(rows, at, step, to),
            }
        }
    }
}

/// Merges stripes of one element each in halves, twice. Returns how many are left.
///
/// # Safety
///
/// As for [`strip_of`].
#[inline(always)]
unsafe fn merge_quarters<F: Fold>(rows: &Rows, stripes: usize, lanes: *mut Lane<F>) -> usize {
    let Rows { rows: width, len, .. } = *rows;
    let quarter = (stripes / 4).max(1);
    for stripe in 0..quarter {
        // Those that are not there are at the end.
        // SAFETY: required of the caller.
        unsafe {
            let to = stripe_of::<F>(lanes, stripe * width, width);
            match (len - stripe).div_ceil(quarter) {
                3 => in_halves::<F, 3>(rows, stripe, quarter, to),
                4 => in_halves::<F, 4>(rows, stripe, quarter, to),
                2 => in_turn::<F, 2, false>(rows, stripe, quarter, to),
                _ => in_turn::<F, 1, false>(rows, stripe, quarter, to),
            }
        }
    }
    quarter
}

/// Merges three or four elements, `step` from one to the next: the first with the third, the second with
/// the fourth, if it is there, and these.
///
/// # Safety
///
/// The elements must be there, and as many lanes.
#[inline(always)]
unsafe fn in_halves<F: Fold, const N: usize>(
    rows: &Rows,
    at: usize,
    step: usize,
    to: &mut [Lane<F>],
) {
    // SAFETY: required of the caller.
    unsafe {
        let from = several::<F, N>(rows, at, step);
        for (row, to) in to.iter_mut().enumerate() {
            let lane = |turn: usize| {
                F::lane(rows.first + at + turn * step, *from[turn].get_unchecked(row))
            };
            let right = if N == 4 { F::merge(lane(1), lane(3)) } else { lane(1) };
            to.write(F::merge(F::merge(lane(0), lane(2)), right));
        }
    }
}

/// Merges stripes in halves, until one is left: `width` lanes of each, from `lanes` on.
///
/// # Safety
///
/// There must be so many stripes, `pitch` lanes from one to the next.
#[inline(always)]
unsafe fn merge_stripes<F: Fold>(lanes: *mut Lane<F>, stripes: usize, pitch: usize, width: usize) {
    let mut left = stripes;
    while left > 1 {
        let next = (left / 4).max(1);
        for stripe in 0..next {
            // SAFETY: required of the caller; the stripes are apart, and were written.
            unsafe {
                let of = |turn: usize| lanes.add((stripe + turn * next) * pitch);
                match left {
                    2 => lanes_in_halves::<F, 2>([of(0), of(1)], width),
                    _ => lanes_in_halves::<F, 4>([of(0), of(1), of(2), of(3)], width),
                }
            }
        }
        left = next;
    }
}

/// Merges the lanes of four stripes as [`in_halves`] does, or of two, into those of the first.
///
/// # Safety
///
/// The lanes must have been written, and be apart.
#[inline(always)]
unsafe fn lanes_in_halves<F: Fold, const N: usize>(stripes: [*mut Lane<F>; N], width: usize) {
    // SAFETY: required of the caller.
    unsafe {
        let to = stripe_of::<F>(stripes[0], 0, width);
        let mut others: [&[Lane<F>]; N] = [&[]; N];
        for (turn, other) in others.iter_mut().enumerate() {
            *other = &*stripe_of::<F>(stripes[turn.max(1)], 0, width);
        }
        for (row, to) in to.iter_mut().enumerate() {
            let other = |turn: usize| others[turn].get_unchecked(row).assume_init_read();
            let (mut left, mut right) = (to.assume_init_read(), other(1));
            if N == 4 {
                left = F::merge(left, other(2));
                right = F::merge(right, other(3));
            }
            to.write(F::merge(left, right));
        }
    }
}

/// Some lanes of a stripe.
///
/// # Safety
///
/// There must be room for them, which nothing else may use.
#[inline(always)]
unsafe fn stripe_of<'a, F: Fold>(
    lanes: *mut Lane<F>,
    at: usize,
    width: usize,
) -> &'a mut [Lane<F>] {
    // SAFETY: required of the caller.
    unsafe { std::slice::from_raw_parts_mut(lanes.add(at), width) }
}

/// Stripes of rows that lie side by side, one after the other, are wider stripes.
///
/// # Safety
///
/// There must be at most [`DENSE`] rows of at most a block, element after element.
#[inline(always)]
unsafe fn dense<F: Fold>(rows: &Rows, mut write: impl FnMut(usize, F::Block)) {
    let (width, first) = (rows.rows, rows.first);
    // SAFETY: required of the caller.
    let elements =
        unsafe { std::slice::from_raw_parts(rows.base.cast::<F::Element>(), rows.len * width) };
    let stripes = rows.len.min(F::COUNT);
    let mut lanes = [F::identity(); STRIPES * DENSE];
    let (heads, rest) = elements.split_at(stripes * width);
    for (at, (lane, &element)) in lanes.iter_mut().zip(heads).enumerate() {
        *lane = F::lane(first + at / width, element);
    }
    for (turn, row) in rest.chunks(F::COUNT * width).enumerate() {
        let first = first + (turn + 1) * F::COUNT;
        for (at, (lane, &element)) in lanes.iter_mut().zip(row).enumerate() {
            *lane = F::merge(*lane, F::lane(first + at / width, element));
        }
    }
    let mut half = F::COUNT / 2;
    while half > 0 {
        let (left, right) = lanes.split_at_mut(half * width);
        let count = half.min(stripes.saturating_sub(half)) * width;
        for (left, &right) in left.iter_mut().zip(&right[..count]) {
            *left = F::merge(*left, right);
        }
        half /= 2;
    }
    lanes[..width].iter().enumerate().for_each(|(row, &lane)| write(row, F::block(lane)));
}
