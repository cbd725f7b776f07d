//! Folds of short runs of rows that lie side by side, run after run: what begins a run has to cost next to nothing.
//!
//! A vector of neighbouring rows is folded in registers, from elements to results, and nothing is written on the way.
//! Floats have [vectors](super::simd::Columns) for it, four at a time: of neighbouring rows, or of some short runs. Of
//! other types, the last vector of a run overlaps the one before, or reaches into the next run. Where a fold has an
//! order, stripes have one element each: of more, [trees](super::trees) are as good, or better. Nanoseconds for an
//! `f32`, on a Zen 4, so and in tiles or trees:
//!
//! | | read | `sum` | so | `max` | so | `argmax` | so |
//! |---|---|---|---|---|---|---|---|
//! | (100, 50, 20) | .034 | .206 | .064 | .363 | .068 | .565 | .104 |
//! | (1000, 8, 16) | .034 | .791 | .040 | .937 | .065 | 1.191 | .085 |
//! | (100, 50, 40) | .036 | .128 | .051 | | .060 | | .154 |
//! | (100, 60, 80) | .040 | .090 | .052 | | .050 | | .081 |
//! | (200, 64, 64) | .040 | .071 | .055 | | .042 | | .065 |
//! | (1000, 16, 64) | .040 | .146 | .072 | | .048 | | .068 |
//! | (3, 10^6), one run | .046 | .116 | .063 | | | | |
//! | (7, 100000) | .040 | .073 | .047 | | | | |
//! | (16, 65536) | .040 | .057 | .057 | | .065 | | .093 |

use super::fold::{BLOCK, Fold};
use super::halves::{Leaves, in_halves};
use super::simd::{Columns, Machine, Results};
use std::marker::PhantomData;

/// Runs of rows, and where results go.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// The first element of the first row, aligned.
    pub base: *const u8,
    /// How many runs there are.
    pub runs: usize,
    /// Rows of a run.
    pub rows: usize,
    /// Elements of each row: one at least, and at most [`Folder::longest_of_runs`](super::Folder::longest_of_runs).
    pub len: usize,
    /// Bytes from element to element of a row.
    pub step: isize,
    /// Bytes from run to run.
    pub next: isize,
    /// Whether L2 has all elements.
    pub are_near: bool,
    /// The first result, aligned. Those of a run lie one after the other.
    pub results: *mut u8,
    /// Bytes from those of a run to those of the next.
    pub next_results: isize,
}

/// The most elements of rows that are folded so.
pub(super) const fn longest<F: Fold>() -> usize {
    if F::ANY_ORDER || F::HAS_ACROSS { BLOCK } else { F::COUNT }
}

/// `W` rows side by side.
struct Lanes<F, const W: usize> {
    base: *const u8,
    len: usize,
    step: isize,
    fold: PhantomData<F>,
}

impl<F, const W: usize> Clone for Lanes<F, W> {
    fn clone(&self) -> Lanes<F, W> {
        *self
    }
}

impl<F, const W: usize> Copy for Lanes<F, W> {}

impl<F: Fold, const W: usize> Leaves for Lanes<F, W> {
    type Merged = [F::Lane; W];

    #[inline(always)]
    fn len(self) -> usize {
        self.len
    }

    #[inline(always)]
    unsafe fn load(self, at: usize) -> [F::Lane; W] {
        let from = self.base.wrapping_offset(at as isize * self.step).cast::<[F::Element; W]>();
        // SAFETY: required of the caller.
        let elements = unsafe { from.read_unaligned() };
        let mut lanes = [F::identity(); W];
        for (lane, element) in lanes.iter_mut().zip(elements) {
            *lane = F::lane(at, element);
        }
        lanes
    }

    #[inline(always)]
    unsafe fn merge(mut left: [F::Lane; W], right: [F::Lane; W]) -> [F::Lane; W] {
        for (left, right) in left.iter_mut().zip(right) {
            *left = F::merge(*left, right);
        }
        left
    }

    #[inline(always)]
    unsafe fn nothing() -> [F::Lane; W] {
        [F::identity(); W]
    }
}

/// What becomes of all elements.
///
/// # Safety
///
/// They must be there.
#[inline(always)]
unsafe fn merged<F: Fold, const W: usize>(lanes: Lanes<F, W>) -> [F::Lane; W] {
    // SAFETY: required of the caller.
    unsafe {
        if !F::ANY_ORDER {
            return in_halves(lanes);
        }
        let mut merged = lanes.load(0);
        for at in 1..lanes.len {
            merged = Lanes::<F, W>::merge(merged, lanes.load(at));
        }
        merged
    }
}

/// Folds `W` neighbouring rows.
///
/// # Safety
///
/// As for [`fold`].
#[inline(always)]
unsafe fn fold_lanes<F: Fold, const W: usize>(lanes: Lanes<F, W>, results: *mut F::Result) {
    let Lanes { base, len, step, .. } = lanes;
    // SAFETY: required of the caller.
    unsafe {
        if F::HAS_ACROSS {
            let elements = |at: usize| {
                let from = base.wrapping_offset(at as isize * step);
                &*from.cast::<[F::Element; W]>() as &[F::Element]
            };
            let write = |row, block| results.add(row).write(F::only(block, len));
            F::across(elements, len, 0, write);
        } else {
            for (row, lane) in merged(lanes).into_iter().enumerate() {
                results.add(row).write(F::only(F::block(lane), len));
            }
        }
    }
}

/// Folds runs.
///
/// # Safety
///
/// The elements must be readable and aligned, and places of results aligned and writable.
#[inline(always)]
pub(super) unsafe fn fold<F: Fold, M: Machine>(runs: &Runs) {
    const WIDEST: usize = 16;
    let Runs { rows, len, step, .. } = *runs;
    debug_assert!((1..=longest::<F>()).contains(&len));
    let [size, result] = [size_of::<F::Element>(), size_of::<F::Result>()];
    let is_dense = step == (rows * size) as isize
        && runs.next == (rows * len * size) as isize
        && runs.next_results == (rows * result) as isize;
    let columns = Columns {
        from: runs.base.cast(),
        runs: runs.runs,
        next: runs.next,
        rows,
        len,
        step,
        are_near: runs.are_near,
    };
    // SAFETY: required of the caller.
    if unsafe {
        F::columns::<M>(columns, Results { to: runs.results.cast(), next: runs.next_results })
    } {
        return;
    }
    for run in 0..runs.runs {
        let base = runs.base.wrapping_offset(run as isize * runs.next);
        let results = runs.results.wrapping_offset(run as isize * runs.next_results);
        // Where nothing lies between runs, a vector may reach into the next ones, whose results come later.
        let after = if is_dense { (runs.runs - 1 - run) * rows } else { 0 };
        let mut first = 0;
        while first < rows {
            let left = rows - first;
            let width = match left.next_power_of_two().clamp(4, WIDEST) {
                width if width <= rows + after => width,
                _ if rows >= 8 => 8,
                _ if rows >= 4 => 4,
                _ => 1,
            };
            if left < width && width <= rows {
                first = rows - width;
            }
            let base = base.wrapping_add(first * size);
            let results = results.cast::<F::Result>().wrapping_add(first);
            macro_rules! fold {
                ($width:expr) => {
                    fold_lanes::<F, $width>(Lanes { base, len, step, fold: PhantomData }, results)
                };
            }
            // SAFETY: required of the caller.
            unsafe {
                match width {
                    WIDEST => fold!(WIDEST),
                    8 => fold!(8),
                    4 => fold!(4),
                    _ => fold!(1),
                }
            }
            first += width;
        }
    }
}
