//! Sums of floats of rows that lie side by side: neighbours in memory are elements of neighbouring rows.
//!
//! Halves that are added to halves are a tree, with the stripes of a block as its leaves: `0`, `32`, `16`,
//! `48`, `8` and so on. Taken in this order, a few leaves at a time, as many as make eight elements of a
//! row, sums wait on a stack: those after an odd number of others are added to the one before, and so on.
//! So of eight elements one sum is written, and all that waits is some rows wide, which a near cache holds.
//! Neighbouring stripes whose rows follow one another in memory are taken as one with longer rows: memory
//! is read fastest in few streams and long ones, some lines of each at a time. Nanoseconds for an `f32`, on a
//! Zen 4, by bytes of a stream, of which there are eight, in L2, in the last-level cache and in memory:
//!
//! | | read | 4 K | 16 K | 64 K |
//! |---|---|---|---|---|
//! | (512, 256) | .034 | .047 | .044 | .045 |
//! | (1024, 1024) | .040 | .056 | .054 | .052 |
//! | (4096, 1024) | .046 | .060 | .058 | .057 |
//! | (65536, 64) | .046 | .061 | .060 | .058 |
//! | (1000, 1000), 24 elements of 1024 absent | .040 | .059 | .053 | .053 |
//! | axis 1 of (128, 100, 300), 28 of 128 | .046 | .070 | .078 | .078 |
//! | (65536, 1024) | .128 | .191 | .161 | .149 |
//! | (70000, 500) | .130 | .206 | .158 | .141 |
//!
//! The order alone, with nothing written, takes 1.0 to 1.1 times as long as reading in the last-level cache: there the
//! way from L2 to L1 is all but full, and what waits takes it, too, two lines for eight.

use super::fold::{BLOCK, Fold};
use super::folder::{Blocks, Rows};
use super::room::Room;
use super::simd::{Machine, Sums};
use super::strips::DENSE;

/// Streams of elements that are read at a time.
const STREAMS: usize = 8;
/// Bytes of each, if rows are as long.
const LONG_RUN: usize = 64 << 10;
/// The same where an element of some stripes is absent, and where that is one of few.
const RUN: usize = 16 << 10;
const SHORT_RUN: usize = 4 << 10;
/// Most elements of a strip.
const STRIP: usize = 16 << 10;
/// The same where some elements of a short row are absent: L1 has to hold what is read instead.
const NARROW_STRIP: usize = 2 << 10;
/// Elements between sums on the stack: what is stored at a time is not what is read at the same place of
/// another page.
const GAP: usize = 32;

/// How a block is summed: what is the same for all its strips.
#[derive(Clone, Copy)]
struct Tree {
    /// Elements of a block.
    len: usize,
    /// Stripes, a power of two.
    stripes: usize,
    /// Those of them that have as many elements as any: the others have one fewer.
    full: usize,
    /// Stripes of a leaf, and elements of each that are added at a time.
    leaf: [usize; 2],
    /// Neighbouring stripes that are taken as one.
    run: usize,
}

impl Tree {
    /// Of blocks of `len` elements of `width` rows; `is_dense` tells that these are all that there is.
    fn new<F: Fold>(len: usize, width: usize, is_dense: bool) -> Tree {
        let stripes = F::COUNT.min(len.next_power_of_two());
        let chain = len.div_ceil(stripes);
        let full = len - (chain - 1) * stripes;
        // What is not there is read from other memory, as much as a run.
        let is_even = len.is_multiple_of(stripes * chain.next_power_of_two().min(STREAMS));
        let bytes = match is_even {
            true => LONG_RUN,
            false if chain >= STREAMS => RUN,
            false => SHORT_RUN,
        };
        let chain = chain.next_power_of_two().min(STREAMS);
        let leaf = [stripes.min(STREAMS / chain), chain];
        let runs = stripes / leaf[0];
        let most = if is_dense { (bytes / size_of::<F::Element>() / width).max(1) } else { 1 };
        let run = runs.min(most.next_power_of_two());
        Tree { len, stripes, full, leaf, run }
    }

    /// Sums that are written before any are added, as a power of two.
    fn leaves(&self) -> u32 {
        (self.stripes / self.leaf[0] / self.run).ilog2()
    }

    /// Elements from one sum on the stack to the next.
    fn pitch(&self, width: usize) -> usize {
        (self.run * width).next_multiple_of(GAP) + GAP
    }

    /// Elements of all that waits, and after it of what is read where there are no elements.
    fn room(&self, width: usize) -> [usize; 2] {
        let is_even = self.len.is_multiple_of(self.stripes * self.leaf[1]);
        let none = if is_even { 0 } else { self.run * width };
        [(self.leaves() as usize + 1) * self.pitch(width), none]
    }

    /// Sums a strip. What its rows come to is at the beginning of the stack.
    ///
    /// # Safety
    ///
    /// The elements must be there, and room on the stack, with `none` after it.
    #[inline(always)]
    unsafe fn sum<F: Fold, M: Machine>(
        &self,
        rows: &Rows,
        stack: *mut F::Element,
        none: *const F::Element,
    ) {
        let (width, leaves, pitch) = (rows.rows, self.leaves(), self.pitch(rows.rows));
        let [of_leaf, chain] = self.leaf;
        let apart = self.stripes / of_leaf;
        let passes = self.len.div_ceil(self.stripes).div_ceil(chain);
        for leaf in 0..1usize << leaves {
            // In the order of the tree: that of the bits turned round.
            let turned = leaf.reverse_bits().checked_shr(usize::BITS - leaves).unwrap_or(0);
            let first = turned * self.run;
            let to = stack.wrapping_add(leaf.count_ones() as usize * pitch);
            // The stripe from which on there is one element fewer may be in the middle of a run.
            let cut = (0..of_leaf).map(|stripe| self.full.wrapping_sub(first + stripe * apart));
            let cut = cut.filter(|&at| at < self.run).max().unwrap_or(0);
            for part in [0..cut, cut..self.run] {
                if part.is_empty() {
                    continue;
                }
                let to = to.wrapping_add(part.start * width);
                for pass in 0..passes {
                    let is_last = pass + 1 == passes;
                    let sums = Sums {
                        to,
                        goes_on: pass > 0,
                        below: if is_last { leaf.trailing_ones() as usize } else { 0 },
                        pitch,
                        width: part.len() * width,
                    };
                    let from = |stripe: usize, turn: usize| {
                        let stripe = first + part.start + stripe * apart;
                        let at = (pass * chain + turn) * self.stripes + stripe;
                        match at < self.len {
                            true => rows.base.wrapping_offset(at as isize * rows.step).cast(),
                            false => none,
                        }
                    };
                    // SAFETY: required of the caller.
                    unsafe { add::<F, M>(self.leaf, from, sums) };
                }
            }
        }
        let mut left = self.run;
        while left > 1 {
            let stripes = left.min(STREAMS);
            left /= stripes;
            let width = left * width;
            let sums = Sums { to: stack, goes_on: false, below: 0, pitch, width };
            let from = |stripe: usize, _: usize| stack.wrapping_add(stripe * width).cast_const();
            // SAFETY: as above; what is read at a place is read before anything is written there.
            unsafe { add::<F, M>([stripes, 1], from, sums) };
        }
    }
}

/// Adds elements of stripes, so many of each one after the other, and then the stripes in halves.
///
/// # Safety
///
/// As for [`Machine::add`].
#[inline(always)]
unsafe fn add<F: Fold, M: Machine>(
    leaf: [usize; 2],
    from: impl Fn(usize, usize) -> *const F::Element,
    sums: Sums<F::Element>,
) {
    macro_rules! dispatch {
        ($(($stripes:literal, $chain:literal))*) => {
            match leaf {
                $([$stripes, $chain] => {
                    let mut places = [[std::ptr::null(); $chain]; $stripes];
                    for (stripe, places) in places.iter_mut().enumerate() {
                        for (turn, place) in places.iter_mut().enumerate() {
                            *place = from(stripe, turn);
                        }
                    }
                    // SAFETY: required of the caller.
                    unsafe { M::add::<_, $stripes, $chain>(places, sums) }
                })*
                _ => unreachable!("{leaf:?} is no leaf of a tree"),
            }
        };
    }
    dispatch! { (1, 1) (2, 1) (4, 1) (8, 1) (4, 2) (2, 4) (1, 8) }
}

/// Sums blocks of rows that lie side by side, if there are vectors of their elements.
///
/// # Safety
///
/// The elements must be readable and aligned, and places of blocks aligned and writable.
#[inline(always)]
pub(super) unsafe fn fold<F: Fold, M: Machine>(rows: &Rows, blocks: &Blocks) -> bool {
    if !F::ADDS || !M::has_vectors_of::<F::Element>() {
        return false;
    }
    debug_assert_eq!(blocks.row, 1);
    let size = size_of::<F::Element>();
    let is_dense = rows.step == (rows.rows * size) as isize;
    if is_dense && rows.rows <= DENSE {
        return false;
    }
    let strip = match rows.len.min(BLOCK) {
        len if len < F::COUNT && !len.is_power_of_two() => NARROW_STRIP,
        _ => STRIP,
    };
    let strip = rows.rows.clamp(1, strip);
    let is_dense = is_dense && strip == rows.rows;
    let tree = |len: usize, width| Tree::new::<F>(len, width, is_dense);
    let (longest, left) = (rows.len.min(BLOCK), (rows.len - 1) % BLOCK + 1);
    let (whole, last) = (tree(longest, strip), tree(left, strip));
    let most = |at: usize| whole.room(strip)[at].max(last.room(strip)[at]);
    let [waiting, none] = [most(0), most(1)];
    let mut room = Room::new((waiting + none) * size);
    let stack = room.lanes::<F::Element>(rows.base);
    let absent = stack.wrapping_add(waiting);
    // SAFETY: there is room for them.
    (0..none).for_each(|at| unsafe { absent.cast::<F::Lane>().add(at).write(F::identity()) });
    for index in 0..rows.len.div_ceil(BLOCK) {
        let before = index * BLOCK;
        let base = rows.base.wrapping_offset(before as isize * rows.step);
        let len = (rows.len - before).min(BLOCK);
        for first in (0..rows.rows).step_by(strip) {
            let width = strip.min(rows.rows - first);
            let part = Rows { base: base.wrapping_add(first * size), rows: width, len, ..*rows };
            // SAFETY: a part of what the caller has.
            unsafe {
                match (len, width) == (longest, strip) {
                    true => whole.sum::<F, M>(&part, stack, absent),
                    false => tree(len, width).sum::<F, M>(&part, stack, absent),
                }
                let sums = std::slice::from_raw_parts(stack.cast::<F::Lane>(), width);
                let to = blocks.at::<F>(first, index);
                for (row, &sum) in sums.iter().enumerate() {
                    to.add(row).write(F::block(sum));
                }
            }
        }
    }
    true
}
