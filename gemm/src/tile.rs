//! The kernel of one tile of the result, whose sums stay in registers.

use crate::halves;
use crate::left::Left;
use crate::matrix::Matrix;
use crate::simd::{Plain, Simd};
use crate::{pack, row, turning};
use std::ops::Range;
use std::ptr;

/// Adds `k` products to a tile: `([k, columns], a, b, step, (c, down), goes_on, ahead)`. `a` is where the tile's rows begin,
/// and how many elements are from one to the next, if they are not packed. `b` has a row of its columns for each product,
/// `step` elements apart. The sums go on from `c` if it `goes_on`, and else from 0. Rows of `c` are `down` elements
/// apart. It has so many columns: in the last vector there may be more, which are not written.
type Run<T> =
    unsafe fn([usize; 2], (*const T, isize), *const T, isize, (*mut T, isize), bool, Ahead<T>);

/// What a kernel asks memory for while it computes a tile, and what it leaves of what it read. None of what is asked for need
/// be there.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<T> {
    /// The tile that follows, whose rows are as far apart; or the same.
    pub(crate) tile: *const T,
    /// Two places of the right operand that a kernel that asks begins with, and bytes from one product to the next.
    pub(crate) right: [*const T; 2],
    pub(crate) step: isize,
    /// Where it packs what it reads of the right operand, or null.
    pub(crate) panel: *mut T,
}

impl<T> Ahead<T> {
    /// Nothing of the right operand.
    pub(crate) fn of_tile(tile: *const T) -> Ahead<T> {
        Ahead { tile, right: [ptr::null(); 2], step: 0, panel: ptr::null_mut() }
    }

    /// Also what is beside a panel that lies in rows so many bytes apart, of which these are the first elements of the first
    /// row beside it, and the last.
    pub(crate) fn and_beside(self, right: [*const T; 2], step: isize) -> Ahead<T> {
        Ahead { right, step, ..self }
    }

    /// Also one of several parts of a packed panel of so many columns and terms, while as many terms are added: by a kernel that
    /// asks for so many places for every two of them.
    pub(crate) fn and_part_of(
        self,
        panel: *const T,
        [columns, terms]: [usize; 2],
        [part, parts]: [usize; 2],
        places: usize,
    ) -> Ahead<T> {
        let part = panel.wrapping_byte_add(columns * terms * size_of::<T>() / parts * part);
        let step = columns * 2 * size_of::<T>() / parts / places;
        let also = part.wrapping_byte_add(step * terms);
        Ahead { right: [part, also], step: step as isize, ..self }
    }
}

/// What kernels ask for beside the tile that follows: nothing; a place of the right operand for every two products; or two for
/// each, and such may pack.
const NOTHING: u8 = 0;
const SOME: u8 = 1;
const MUCH: u8 = 2;

/// The kernels of each number of rows, from 1 on: for one vector, for two, and for two that ask for some or for much.
type Runs<T> = [&'static [Run<T>]; 4];

/// The most vectors of a tile that has many rows.
pub(crate) const NARROW: usize = 2;

/// The most rows of a tile, on any machine.
const MOST_ROWS: usize = 14;
/// The most elements of a tile, on any machine.
pub(crate) const MOST: usize = MOST_ROWS * 32;
/// Rows of a left operand that one pointer leads to: at it, and at once and twice the distance of rows from it.
const GROUP: usize = 3;

/// The kernels of a processor.
pub(crate) struct Kernels<T: 'static> {
    /// The most rows of a tile.
    pub(crate) rows: usize,
    /// Columns of a vector; a tile has one or two of them, and of few rows up to four.
    pub(crate) lanes: usize,
    /// For packed rows of a left operand.
    packed: Runs<T>,
    /// For rows as they lie.
    as_rows: Runs<T>,
    /// For few rows of either, and three vectors or four.
    wide: [[&'static [Run<T>]; 2]; 2],
    /// For columns that lie element after element, of each number of rows: up to as many as there are registers for, and
    /// as gain.
    pub(crate) turning: &'static [turning::Run<T>],
    /// Packs lines whose elements lie one after the other.
    pub(crate) across: pack::Across<T>,
    /// Packs rows.
    pub(crate) beside: pack::Beside<T>,
    /// For a single row.
    pub(crate) row: row::Run<T>,
    /// The same with a right operand of 16 bits, which products of `f32` may have.
    pub(crate) half_row: Option<halves::Run<T>>,
}

impl<T: Copy> Kernels<T> {
    /// Columns of a whole tile.
    pub(crate) fn columns(&self) -> usize {
        2 * self.lanes
    }

    /// The most vectors of a tile of so many rows: two, or more if these are few.
    pub(crate) fn widest(&self, rows: usize) -> usize {
        let wider = self.wide.iter().rposition(|[runs, _]| rows <= runs.len());
        wider.map_or(NARROW, |wider| NARROW + 1 + wider)
    }

    /// The kernel for so many rows and vectors.
    #[inline]
    pub(crate) fn of(&self, left: Left<T>, rows: usize, vectors: usize) -> Run<T> {
        match vectors.checked_sub(NARROW + 1) {
            Some(wide) => self.wide[wide][usize::from(matches!(left, Left::Rows(_)))][rows - 1],
            None => self.runs(left)[vectors - 1][rows - 1],
        }
    }

    /// The kernel for so many rows, and two whole vectors, that asks for a place of the right operand for every two products.
    #[inline]
    pub(crate) fn asking(&self, left: Left<T>, rows: usize) -> Run<T> {
        self.runs(left)[2][rows - 1]
    }

    /// The one that asks for two for each, and packs.
    #[inline]
    pub(crate) fn asking_much(&self, left: Left<T>, rows: usize) -> Run<T> {
        self.runs(left)[3][rows - 1]
    }

    fn runs(&self, left: Left<T>) -> &Runs<T> {
        match left {
            Left::Packed(_) => &self.packed,
            Left::Rows(_) => &self.as_rows,
        }
    }
}

/// Rows that are cut into tiles.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    /// The most of a tile.
    pub(crate) most: usize,
    /// Whether the first tile has as many: it is computed while a packed panel comes from memory. Others share out what is
    /// left, as a tile of a row waits for L2 as long as one of four: seven rows and six by 1024 by 1024 take .82 of the time of
    /// twelve and one (Zen 4).
    pub(crate) is_first_whole: bool,
}

impl Rows {
    /// How many the first tile has, and no other more.
    pub(crate) fn highest(self) -> usize {
        self.tiles().next().map_or(0, |tile| tile.len())
    }

    /// The rows of each tile.
    pub(crate) fn tiles(self) -> impl Iterator<Item = Range<usize>> {
        let whole = if self.is_first_whole { self.count.min(self.most) } else { 0 };
        let left = self.count - whole;
        let tiles = left.div_ceil(self.most);
        // The first ones have one more.
        let (fewest, higher) = (left / tiles.max(1), left % tiles.max(1));
        let heights = (0..tiles).map(move |tile| fewest + usize::from(tile < higher));
        let mut start = 0;
        (whole > 0).then_some(whole).into_iter().chain(heights).map(move |high| {
            start += high;
            start - high..start
        })
    }
}

/// A pointer of which a compiler does not know how it came about: else it keeps one for every row, and has no registers for
/// so many.
#[allow(clippy::pointers_in_nomem_asm_block, reason = "nothing is read there")]
#[inline(always)]
fn opaque<T>(pointer: *const T) -> *const T {
    #[cfg(target_arch = "x86_64")]
    {
        let mut same = pointer;
        // SAFETY: nothing is done.
        unsafe {
            std::arch::asm!(
                "/* {0} */",
                inout(reg) same,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        same
    }
    #[cfg(not(target_arch = "x86_64"))]
    pointer
}

/// Does something for each row of a tile, of which there are so many: a compiler that is given a loop around so much keeps sums in
/// memory.
macro_rules! each_row {
    ($row:ident < $count:expr, $does:block) => {
        each_row!(@ $row < $count, $does, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $row:ident < $count:expr, $does:block, $($at:literal)*) => {{$(
        if $at < $count {
            let $row: usize = $at;
            $does
        }
    )*}};
}

/// # Safety
///
/// The processor must have the vectors of `S`. `a`, `b` and `c` must hold what [`Run`] says, and `a` be packed or not as
/// `IS_PACKED` says.
#[expect(unused_assignments, reason = "the last steps lead nowhere")]
#[inline(always)]
unsafe fn tile<
    S: Simd,
    const IS_PACKED: bool,
    const ROWS: usize,
    const VECTORS: usize,
    const ASKS: u8,
>(
    [k, columns]: [usize; 2],
    (first, apart): (*const S::Element, isize),
    mut b: *const S::Element,
    step: isize,
    (c, down): (*mut S::Element, isize),
    goes_on: bool,
    ahead: Ahead<S::Element>,
) {
    // SAFETY: required of the caller.
    unsafe {
        let is_whole = columns == VECTORS * S::LANES;
        let mut sums = [[S::zero(); VECTORS]; ROWS];
        // Rows of the result are reached one from the other, or a compiler keeps the distance of each, and has no registers for so
        // many.
        let mut next = ahead.tile;
        each_row!(_row < ROWS, {
            S::prefetch(next);
            S::prefetch(next.wrapping_add(VECTORS * S::LANES - 1));
            next = opaque(next.wrapping_offset(down));
        });
        if goes_on {
            let mut from = c.cast_const();
            each_row!(row < ROWS, {
                for (vector, sum) in sums[row].iter_mut().enumerate() {
                    let from = from.add(vector * S::LANES);
                    *sum = match is_whole || vector + 1 < VECTORS {
                        true => S::load(from),
                        false => S::load_part(from, columns - vector * S::LANES),
                    };
                }
                from = opaque(from.wrapping_offset(down));
            });
        }
        let apart = apart * size_of::<S::Element>() as isize;
        let apart = opaque(ptr::without_provenance::<u8>(apart as usize)).addr() as isize;
        let mut groups: [_; MOST_ROWS] = std::array::from_fn(|group| {
            first.wrapping_byte_offset((group * GROUP) as isize * apart)
        });
        let width = VECTORS * S::LANES;
        let Ahead { right: [mut asked, mut also], mut panel, .. } = ahead;
        // One product of each element: the next, or the one after that.
        macro_rules! add {
            ($at:literal) => {
                if ASKS == MUCH || ASKS == SOME && $at == 0 {
                    S::prefetch(asked);
                    asked = asked.wrapping_byte_offset(ahead.step);
                }
                if ASKS == MUCH {
                    S::prefetch(also);
                    also = also.wrapping_byte_offset(ahead.step);
                }
                let from = b.wrapping_offset($at * step);
                let vectors: [S::Vector; VECTORS] =
                    std::array::from_fn(|v| S::load(from.add(v * S::LANES)));
                if ASKS == MUCH && !panel.is_null() {
                    for (v, &vector) in vectors.iter().enumerate() {
                        S::store(panel.add(v * S::LANES), vector);
                    }
                    panel = panel.add(width);
                }
                each_row!(row < ROWS, {
                    let left = S::splat(match IS_PACKED {
                        true => groups[0].add($at * ROWS + row),
                        false => {
                            let group = groups[row / GROUP].add($at);
                            group.byte_offset((row % GROUP) as isize * apart)
                        }
                    });
                    for (sum, &vector) in sums[row].iter_mut().zip(&vectors) {
                        *sum = S::fma(left, vector, *sum);
                    }
                });
            };
        }
        macro_rules! go_on {
            ($by:literal) => {
                match IS_PACKED {
                    true => groups[0] = groups[0].add($by * ROWS),
                    false => each_row!(group < ROWS.div_ceil(GROUP), {
                        groups[group] = opaque(groups[group].add($by));
                    }),
                }
                b = b.wrapping_offset($by * step);
            };
        }
        if ASKS == MUCH {
            // Two at a time spill registers.
            for _ in 0..k {
                add!(0);
                go_on!(1);
            }
        } else {
            for _ in 0..k / 2 {
                add!(0);
                add!(1);
                go_on!(2);
            }
            if k % 2 == 1 {
                add!(0);
            }
        }
        let mut to = c;
        each_row!(row < ROWS, {
            for (vector, &sum) in sums[row].iter().enumerate() {
                let to = to.add(vector * S::LANES);
                match is_whole || vector + 1 < VECTORS {
                    true => S::store(to, sum),
                    false => S::store_part(to, sum, columns - vector * S::LANES),
                }
            }
            to = opaque(to.wrapping_offset(down)).cast_mut();
        });
    }
}

/// Kernels for one kind of vectors: `NAME: Simd<Element>, features, most rows, [numbers of rows], [such as turn columns], [such as
/// have three vectors], [or four]`.
///
/// With 32 registers a tile has 14 rows of two vectors, as few loads as there are for each multiply-add beside nine rows of three,
/// which are no faster: on a Xeon 6, kernels alone reach 198 GFLOP/s with 12 rows and a term at a time, 209 with 14 rows and two
/// terms, 199 with four terms, and 206 with nine rows of three vectors.
macro_rules! kernels {
    ($($name:ident: $simd:ty, $element:ty, $half_row:expr, $(#[$feature:meta])?, $most:literal, [$($rows:literal)*], [$($turning:literal)*], [$($three:literal)*], [$($four:literal)*];)*) => {$(
        pub(crate) static $name: Kernels<$element> = {
            $(#[$feature])?
            unsafe fn run<
                const IS_PACKED: bool,
                const ROWS: usize,
                const VECTORS: usize,
                const ASKS: u8,
            >(
                sizes: [usize; 2],
                a: (*const $element, isize),
                b: *const $element,
                step: isize,
                c: (*mut $element, isize),
                goes_on: bool,
                ahead: Ahead<$element>,
            ) {
                // SAFETY: required of the caller.
                unsafe {
                    tile::<$simd, IS_PACKED, ROWS, VECTORS, ASKS>(sizes, a, b, step, c, goes_on, ahead);
                }
            }
            $(#[$feature])?
            unsafe fn turning<const ROWS: usize>(
                sizes: [usize; 2],
                a: *const $element,
                b: Matrix<$element>,
                panel: Option<*mut $element>,
                c: *mut $element,
                down: isize,
                goes_on: bool,
            ) {
                // SAFETY: required of the caller.
                unsafe { turning::tiles::<$simd, ROWS>(sizes, a, b, panel, c, down, goes_on) };
            }
            $(#[$feature])?
            unsafe fn single(
                k: usize,
                n: usize,
                a: Matrix<$element>,
                b: Matrix<$element>,
                c: *mut $element,
                goes_on: bool,
            ) {
                // SAFETY: required of the caller.
                unsafe { row::row::<$simd>(k, n, a, b, c, goes_on) };
            }
            $(#[$feature])?
            unsafe fn across(
                lines: Matrix<$element>,
                width: usize,
                k: usize,
                to: *mut $element,
                pitch: usize,
            ) {
                // SAFETY: required of the caller.
                unsafe { pack::across::<$simd>(lines, width, k, to, pitch) };
            }
            $(#[$feature])?
            unsafe fn beside(rows: Matrix<$element>, sizes: [usize; 2], to: *mut $element) {
                // SAFETY: required of the caller.
                unsafe { pack::beside::<$simd>(rows, sizes, to) };
            }
            Kernels {
                beside,
                turning: &[$(turning::<$turning>),*],
                across,
                row: single,
                half_row: $half_row,
                rows: $most,
                lanes: <$simd as Simd>::LANES,
                packed: [
                    &[$(run::<true, $rows, 1, NOTHING>),*],
                    &[$(run::<true, $rows, 2, NOTHING>),*],
                    &[$(run::<true, $rows, 2, SOME>),*],
                    &[$(run::<true, $rows, 2, MUCH>),*],
                ],
                wide: [
                    [
                        &[$(run::<true, $three, 3, NOTHING>),*],
                        &[$(run::<false, $three, 3, NOTHING>),*],
                    ],
                    [
                        &[$(run::<true, $four, 4, NOTHING>),*],
                        &[$(run::<false, $four, 4, NOTHING>),*],
                    ],
                ],
                as_rows: [
                    &[$(run::<false, $rows, 1, NOTHING>),*],
                    &[$(run::<false, $rows, 2, NOTHING>),*],
                    &[$(run::<false, $rows, 2, SOME>),*],
                    &[$(run::<false, $rows, 2, MUCH>),*],
                ],
            }
        };
    )*};
}

kernels! {
    PLAIN_F32: Plain<f32>, f32, Some(halves::plain), , 4, [1 2 3 4], [1 2], [1 2 3], [1 2];
    PLAIN_F64: Plain<f64>, f64, None, , 4, [1 2 3 4], [1 2], [1 2 3], [1 2];
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{Ahead, Kernels, MUCH, Matrix, NOTHING, SOME, Simd, pack, row, tile, turning};
    use crate::halves::x86 as halves;
    use crate::simd::x86::{Avx2, Avx512};

    kernels! {
        AVX512_F32: Avx512<f32>, f32, Some(halves::avx512), #[target_feature(enable = "avx512f")], 14, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2 3 4 5 6 7 8 9], [1 2 3 4 5 6];
        AVX512_F64: Avx512<f64>, f64, None, #[target_feature(enable = "avx512f")], 14, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2 3 4 5 6 7 8 9], [1 2 3 4 5 6];
        AVX2_F32: Avx2<f32>, f32, Some(halves::avx2), #[target_feature(enable = "avx2,fma")], 6, [1 2 3 4 5 6], [1 2 3], [1 2 3], [1 2];
        AVX2_F64: Avx2<f64>, f64, None, #[target_feature(enable = "avx2,fma")], 6, [1 2 3 4 5 6], [1 2], [1 2 3], [1 2];
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    /// Tiles follow one another, none is higher than may be, there are no more than needed, and heights differ by one.
    #[test]
    fn rows_are_shared_out() {
        for (count, most, is_first_whole) in
            (0..200).flat_map(|count| [(count, 14, true), (count, 14, false), (count, 5, false)])
        {
            let rows = Rows { count, most, is_first_whole };
            let tiles: Vec<_> = rows.tiles().collect();
            assert!(tiles.windows(2).all(|pair| pair[0].end == pair[1].start), "{tiles:?}");
            assert_eq!(tiles.last().map_or(0, |last| last.end), count);
            assert_eq!(tiles.len(), count.div_ceil(most), "{tiles:?}");
            let heights: Vec<usize> = tiles.iter().map(ExactSizeIterator::len).collect();
            assert_eq!(heights.first().copied().unwrap_or(0), rows.highest());
            assert!(!is_first_whole || rows.highest() == count.min(most));
            let others = &heights[usize::from(is_first_whole).min(heights.len())..];
            let (least, highest) = (others.iter().min(), others.iter().max());
            assert!(least.zip(highest).is_none_or(|(least, highest)| highest - least <= 1));
            assert!(heights.iter().all(|&high| high > 0 && high <= rows.highest()));
        }
    }
}
