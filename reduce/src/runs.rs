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
use super::simd::{Columns, Machine, Results};

/// Runs of rows, and where results go.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// The first element of the first row, aligned.
    pub base: *const u8,
    /// How many runs there are.
    pub runs: usize,
    /// Rows of a run.
    pub rows: usize,
    /// Elements of each row: one at least, and at most as [`longest`] says.
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

/// Stripes that are merged in registers.
const GROUP: usize = 8;

/// Some rows side by side.
#[derive(Clone, Copy)]
struct Lanes {
    base: *const u8,
    len: usize,
    step: isize,
}

impl Lanes {
    /// An element of each.
    #[inline(always)]
    unsafe fn load<F: Fold, const W: usize>(self, at: usize) -> [F::Lane; W] {
        let from = self.base.wrapping_offset(at as isize * self.step).cast::<[F::Element; W]>();
        // SAFETY: required of the caller.
        let elements = unsafe { from.read_unaligned() };
        elements.map(|element| F::lane(at, element))
    }

    /// What `N` stripes of one element each come to.
    #[inline(always)]
    unsafe fn stripes<F: Fold, const W: usize, const N: usize, const APART: usize>(
        self,
        first: usize,
    ) -> [F::Lane; W] {
        let mut merged = [[F::identity(); W]; GROUP];
        for (index, merged) in merged.iter_mut().enumerate().take(N) {
            // SAFETY: required of the caller.
            *merged = unsafe { self.load::<F, W>(first + index * APART) };
        }
        halves::<F, W>(merged, N)
    }

    /// What all elements come to.
    #[inline(always)]
    unsafe fn fold<F: Fold, const W: usize>(self) -> [F::Lane; W] {
        /// Of so many stripes of a group, as a number that the compiler knows.
        macro_rules! stripes {
            ($count:expr, $first:expr, $apart:expr) => {
                match $count {
                    1 => self.stripes::<F, W, 1, $apart>($first),
                    2 => self.stripes::<F, W, 2, $apart>($first),
                    3 => self.stripes::<F, W, 3, $apart>($first),
                    4 => self.stripes::<F, W, 4, $apart>($first),
                    5 => self.stripes::<F, W, 5, $apart>($first),
                    6 => self.stripes::<F, W, 6, $apart>($first),
                    7 => self.stripes::<F, W, 7, $apart>($first),
                    _ => self.stripes::<F, W, 8, $apart>($first),
                }
            };
        }
        // SAFETY: required of the caller.
        unsafe {
            if F::ANY_ORDER {
                let mut merged = self.load::<F, W>(0);
                for at in 1..self.len {
                    merged = merge::<F, W>(merged, self.load::<F, W>(at));
                }
                return merged;
            }
            if self.len <= GROUP {
                return stripes!(self.len, 0, 1);
            }
            let mut merged = [[F::identity(); W]; GROUP];
            for (first, merged) in merged.iter_mut().enumerate() {
                *merged = stripes!((self.len - first).div_ceil(GROUP), first, GROUP);
            }
            halves::<F, W>(merged, GROUP)
        }
    }
}

#[inline(always)]
fn merge<F: Fold, const W: usize>(mut left: [F::Lane; W], right: [F::Lane; W]) -> [F::Lane; W] {
    for (left, right) in left.iter_mut().zip(right) {
        *left = F::merge(*left, right);
    }
    left
}

/// Merges in halves the first `count` of some; the others hold nothing.
#[inline(always)]
fn halves<F: Fold, const W: usize>(mut all: [[F::Lane; W]; GROUP], count: usize) -> [F::Lane; W] {
    for half in [4, 2, 1] {
        for at in 0..half {
            if at + half < count {
                all[at] = merge::<F, W>(all[at], all[at + half]);
            }
        }
    }
    all[0]
}

/// Folds `W` neighbouring rows.
///
/// # Safety
///
/// As for [`fold`].
#[inline(always)]
unsafe fn fold_lanes<F: Fold, const W: usize>(lanes: Lanes, results: *mut F::Result) {
    let Lanes { base, len, step } = lanes;
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
            let result = lanes.fold::<F, W>().map(|merged| F::only(F::block(merged), len));
            results.cast::<[F::Result; W]>().write_unaligned(result);
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
            let lanes = Lanes { base: base.wrapping_add(first * size), len, step };
            let results = results.cast::<F::Result>().wrapping_add(first);
            // SAFETY: required of the caller.
            unsafe {
                match width {
                    WIDEST => fold_lanes::<F, WIDEST>(lanes, results),
                    8 => fold_lanes::<F, 8>(lanes, results),
                    4 => fold_lanes::<F, 4>(lanes, results),
                    _ => fold_lanes::<F, 1>(lanes, results),
                }
            }
            first += width;
        }
    }
}
