//! The loops around the kernel: blocks that stay in a cache each.

use crate::halves::FEW_ROWS;
use crate::left::Left;
use crate::low;
use crate::matrix::MatrixMut;
use crate::observer::{Observer, Telling, Turned};
use crate::operand::Operand;
use crate::pages::Pages;
use crate::tile::{self, Ahead, Kernels, MOST, Rows};
use crate::vectors::Vectors;
use crate::{pack, row, swapped};
use std::cell::Cell;

/// The most products that one kernel adds up before it writes its tile. L2 has a panel of the right operand; with fewer, sums
/// are loaded and stored more often. Bits do not depend on it.
const INNER: usize = 512;
/// The most bytes of a block of the left operand, or nearly so: it stays in L2.
const LEFT: usize = 384 << 10;
/// Columns of a block of the right operand, which stays in L3.
pub(crate) const COLUMNS: usize = 2048;
/// The same where the left operand is a block or two: then it is the right one that stays in L2.
const FEW_COLUMNS: usize = 256;

/// So many tiles, the last of a panel, ask for the panel that follows, if so many bytes of panels are read in turn: then they
/// may be further away than L2. On a Xeon 6, 1024 by 1024 by 1024 takes .96 of the time that it takes without; if all tiles ask, or
/// the first ones, .97.
const ASKING: usize = 4;
const FAR_PANELS: usize = 512 << 10;
/// Of fewer bytes the first tile asks, if there are few: 48 rows by 128 by 64 take 1.08 times as long if all of its tiles do
/// (Xeon 6).
const FEW_ASKING: usize = 8;

/// Fewest bytes of the result that are said to be finished at once. With the block of the left operand
/// they stay in L2.
const FINISHED: usize = 128 << 10;

/// A type of elements: `f32` or `f64`.
#[expect(private_bounds, reason = "there are no others")]
pub trait Number: Element {}

impl Number for f32 {}

impl Number for f64 {}

/// What the loops need to know of a type.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    const ZERO: Self;
    /// Rows and columns of a block that is transposed at once.
    const BLOCK: [usize; 2];

    /// The kernels for these vectors.
    fn kernels(vectors: Vectors) -> &'static Kernels<Self>;

    /// Lends the thread's room for packed panels.
    fn with_room<R>(use_room: impl FnOnce(&mut Pages<Self>) -> R) -> R;

    /// Transposes a block, whose rows are `down` elements apart, to rows that are `pitch` apart.
    ///
    /// # Safety
    ///
    /// The block must be readable, and its room writable.
    unsafe fn transpose(from: *const Self, down: isize, to: *mut Self, pitch: usize);
}

macro_rules! number {
    ($element:ty, $avx512:ident, $avx2:ident, $plain:ident, $block:expr, $transpose:path) => {
        impl Element for $element {
            const ZERO: $element = 0.0;
            const BLOCK: [usize; 2] = $block;

            #[inline(always)]
            unsafe fn transpose(from: *const Self, down: isize, to: *mut Self, pitch: usize) {
                // SAFETY: required of the caller.
                unsafe { $transpose(from, down, to, pitch) };
            }

            #[inline]
            fn kernels(vectors: Vectors) -> &'static Kernels<$element> {
                match vectors {
                    #[cfg(target_arch = "x86_64")]
                    Vectors::Avx512 => &tile::x86::$avx512,
                    #[cfg(target_arch = "x86_64")]
                    Vectors::Avx2 => &tile::x86::$avx2,
                    _ => &tile::$plain,
                }
            }

            fn with_room<R>(use_room: impl FnOnce(&mut Pages<$element>) -> R) -> R {
                thread_local! {
                    /// What panels are packed into, kept between products.
                    static ROOM: Cell<Pages<$element>> = const { Cell::new(Pages::none()) };
                }
                let mut room = ROOM.replace(Pages::none());
                let result = use_room(&mut room);
                ROOM.set(room);
                result
            }
        }
    };
}

number!(f32, AVX512_F32, AVX2_F32, PLAIN_F32, [4, 4], pack::transpose_f32);
number!(f64, AVX512_F64, AVX2_F64, PLAIN_F64, [2, 2], pack::transpose_f64);

/// `c = a b` for sizes `[m, k, n]`: `a` is m by k, `b` is k by n. The definition is in the
/// [crate's documentation](crate).
///
/// # Safety
///
/// `a` and `b` must be readable in all of their elements. `c` must be writable, no two of its elements
/// may share memory, and nothing else may use it.
pub unsafe fn multiply<T: Number>(
    sizes: [usize; 3],
    a: impl Into<Operand<T>>,
    b: impl Into<Operand<T>>,
    c: MatrixMut<T>,
) {
    // SAFETY: required of the caller.
    unsafe { multiply_with(sizes, a, b, c, &mut |_, _| {}) };
}

/// [`multiply`], which tells an observer what is finished of `c`, and ends where that one says so.
///
/// # Safety
///
/// As for [`multiply`]; what is finished may be written by the observer.
pub unsafe fn multiply_with<T: Number>(
    sizes: [usize; 3],
    a: impl Into<Operand<T>>,
    b: impl Into<Operand<T>>,
    c: MatrixMut<T>,
    observer: &mut dyn Observer,
) {
    // SAFETY: required of the caller; these vectors are there.
    unsafe { multiply_by(Vectors::widest(), sizes, [a.into(), b.into()], c, observer) };
}

/// [`multiply_with`] by the kernels for these vectors, for tests.
///
/// # Safety
///
/// As for [`multiply_with`], on a processor that has such vectors.
#[doc(hidden)]
pub unsafe fn multiply_by<T: Number>(
    vectors: Vectors,
    [m, k, n]: [usize; 3],
    [a, b]: [Operand<T>; 2],
    c: MatrixMut<T>,
    observer: &mut dyn Observer,
) {
    if m == 0 || n == 0 {
        return;
    }
    // Rows of the result are what kernels write, so they are the side whose elements lie together.
    let is_turned = m > 1 && (n == 1 || c.across.unsigned_abs() > c.down.unsigned_abs());
    let ([m, n], [a, b], c) = match is_turned {
        true => ([n, m], [b.transposed(), a.transposed()], c.transposed()),
        false => ([m, n], [a, b], c),
    };
    let kernels = T::kernels(vectors);
    let few = match b {
        Operand::Half(b, _) if b.across == 1 => FEW_ROWS,
        _ => 1,
    };
    let mut turned;
    let observer: &mut dyn Observer = match is_turned {
        true => {
            turned = Turned(observer);
            &mut turned
        }
        false => observer,
    };
    // SAFETY: required of the caller.
    T::with_room(|room| unsafe {
        if m <= few && c.across == 1 {
            row::one_by_one(kernels, [m, k, n], a, b, c, room, observer);
        } else if let Some(b) = swapped::right(kernels, [m, k], b, c) {
            swapped::multiply(kernels, [m, k, n], a, b, c, room, observer);
        } else if low::is_for(kernels, [m, k, n], b) {
            low::multiply(kernels, [m, k, n], a, b, c, room, observer);
        } else {
            blocked(kernels, [m, k, n], a, b, c, room, observer);
        }
    });
}

/// How many of so many products one kernel adds up before it writes its tile: about as many each time. 1024 by 1024 by 1024
/// takes .98 of the time with 512 and 512 that it takes with 384, 384 and 256 (Xeon 6).
pub(crate) fn inner(k: usize) -> usize {
    let blocks = k.div_ceil(INNER).max(1);
    k.div_ceil(blocks).next_multiple_of(2).max(1)
}

/// Rows of a block of the left operand.
pub(crate) fn most_rows<T: Element>(kernels: &Kernels<T>) -> usize {
    (LEFT / (INNER * size_of::<T>())).next_multiple_of(kernels.rows)
}

/// Tiles of rows that meet packed panels.
pub(crate) fn rows<T: Element>(kernels: &Kernels<T>, count: usize) -> Rows {
    Rows { count, most: kernels.rows, is_first_whole: true }
}

/// How many columns of so many rows are finished at once: whole tiles.
pub(crate) fn finished_columns<T: Element>(kernels: &Kernels<T>, rows: usize) -> usize {
    (FINISHED / (rows * size_of::<T>())).next_multiple_of(kernels.columns()).max(kernels.columns())
}

/// Columns of the right operand: their first elements, and elements from one row to the next.
#[derive(Clone, Copy)]
pub(crate) struct Panel<T> {
    pub(crate) first: *const T,
    pub(crate) step: isize,
    pub(crate) columns: usize,
}

/// A tile: `terms` products for each element of `rows` by the panel's columns, which begin at `to`.
///
/// # Safety
///
/// The operands must be readable, in whole vectors, and the tile writable, with the steps of `c`.
#[expect(clippy::too_many_arguments, reason = "what a kernel is given, and which it is")]
#[inline(always)]
pub(crate) unsafe fn tile<T: Element>(
    kernels: &Kernels<T>,
    [rows, terms]: [usize; 2],
    left: Left<T>,
    panel: Panel<T>,
    to: *mut T,
    c: MatrixMut<T>,
    goes_on: bool,
    ahead: Ahead<T>,
) {
    let vectors = panel.columns.div_ceil(kernels.lanes);
    let pitch = vectors * kernels.lanes;
    let run = kernels.of(left, rows, vectors);
    let (sizes, left) = ([terms, panel.columns], left.parts());
    // SAFETY: required of the caller. The tile apart is as large as any.
    unsafe {
        if c.across == 1 {
            return run(sizes, left, panel.first, panel.step, (to, c.down), goes_on, ahead);
        }
        let mut apart = [T::ZERO; MOST];
        let element = |row: usize, column: usize| {
            to.offset(row as isize * c.down + column as isize * c.across)
        };
        if goes_on {
            for (row, column) in pairs(rows, panel.columns) {
                apart[row * pitch + column] = *element(row, column);
            }
        }
        let to = apart.as_mut_ptr();
        let ahead = Ahead { tile: to, ..ahead };
        run(sizes, left, panel.first, panel.step, (to, pitch as isize), goes_on, ahead);
        for (row, column) in pairs(rows, panel.columns) {
            *element(row, column) = apart[row * pitch + column];
        }
    }
}

/// # Safety
///
/// As for [`multiply`].
unsafe fn blocked<T: Element>(
    kernels: &Kernels<T>,
    [m, k, n]: [usize; 3],
    a: Operand<T>,
    b: Operand<T>,
    c: MatrixMut<T>,
    room: &mut Pages<T>,
    observer: &mut dyn Observer,
) {
    let inner = inner(k);
    let high = most_rows(kernels);
    let wide = if m <= 2 * high { FEW_COLUMNS } else { COLUMNS };
    let (high, wide) = (high.min(m), wide.min(n.next_multiple_of(kernels.lanes)));
    let need = inner * (high + wide);
    if room.len() < need {
        *room = Pages::room(T::ZERO, need);
    }
    let (left, right) = room.split_at_mut(inner * high);
    let (left, right) = (left.as_mut_ptr(), right.as_mut_ptr());
    for side in (0..n).step_by(wide) {
        let width = wide.min(n - side);
        // A product of no terms is 0, which the first block of none writes.
        for done in (0..k.max(1)).step_by(inner) {
            let terms = inner.min(k - done);
            let (goes_on, is_last) = (done > 0, done + terms == k);
            // SAFETY: the block is within `b`, and has room.
            unsafe { pack_right(kernels, b.from(done, side), terms, width, right) };
            let all = Block { top: 0, side, height: m, width, terms, goes_on, is_last };
            let (a, panel) = (a.from(0, done), |at, _| right.wrapping_add(at).cast_const());
            // SAFETY: the rows are within `a`, and a block of them has room. Panels are packed, and `c` is as the
            // caller says.
            if !unsafe { blocks_of_rows(kernels, all, high, (a, n), left, panel, c, observer) } {
                return;
            }
        }
    }
}

/// A block of the result, and the terms that are added to it.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) top: usize,
    pub(crate) side: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) terms: usize,
    pub(crate) goes_on: bool,
    pub(crate) is_last: bool,
}

/// A block as some of so many rows each. `a` are the terms of the left operand, of which a product with so many columns is, and
/// `room` is where those of some rows are packed. Returns whether it ended by itself.
///
/// # Safety
///
/// As for [`tiles`], with all rows of the block in `a`, and room for so many.
#[expect(clippy::too_many_arguments, reason = "the loop of two products")]
pub(crate) unsafe fn blocks_of_rows<T: Element>(
    kernels: &Kernels<T>,
    all: Block,
    high: usize,
    (a, n): (Operand<T>, usize),
    room: *mut T,
    mut right: impl FnMut(usize, usize) -> *const T,
    c: MatrixMut<T>,
    observer: &mut dyn Observer,
) -> bool {
    for top in (0..all.height).step_by(high) {
        if !observer.goes_on() {
            return false;
        }
        let block = Block { top, height: high.min(all.height - top), ..all };
        let its = rows(kernels, block.height);
        // SAFETY: required of the caller.
        unsafe {
            let left = Left::new(kernels, a.from(top, 0), its, [block.terms, n], room);
            tiles(kernels, &block, left, &mut right, c, observer);
        }
    }
    true
}

/// Panels of whole vectors of columns; those beyond the matrix are 0.
///
/// # Safety
///
/// `terms` by `width` elements must be readable, and room for them and for the rest of the last vector.
pub(crate) unsafe fn pack_right<T: Element>(
    kernels: &Kernels<T>,
    b: Operand<T>,
    terms: usize,
    width: usize,
    to: *mut T,
) {
    let columns = kernels.columns();
    let whole = width / columns * columns;
    // SAFETY: required of the caller.
    unsafe {
        if let Some(b) = b.plain_rows() {
            return (kernels.beside)(b, [terms, width], to);
        }
        for side in (0..whole).step_by(columns) {
            let from = b.from(0, side).transposed();
            pack::lines(kernels, from, columns, terms, to.add(side * terms), columns);
        }
        let (rest, to) = (width - whole, to.add(whole * terms));
        if rest > 0 {
            let pitch = rest.next_multiple_of(kernels.lanes);
            pack::lines(kernels, b.from(0, whole).transposed(), rest, terms, to, pitch);
            for l in 0..terms {
                (rest..pitch).for_each(|column| *to.add(l * pitch + column) = T::ZERO);
            }
        }
    }
}

/// The tiles of a block. `right` gives where a panel lies that begins so many elements after the first, and
/// has so many.
///
/// # Safety
///
/// `left` must hold the rows of the block, as the packed panels of `right` must until it is asked for the
/// next one, and `c` must be writable.
pub(crate) unsafe fn tiles<T: Element>(
    kernels: &Kernels<T>,
    block: &Block,
    left: Left<T>,
    mut right: impl FnMut(usize, usize) -> *const T,
    c: MatrixMut<T>,
    observer: &mut dyn Observer,
) {
    let &Block { top, side, height, width, terms, goes_on, is_last } = block;
    let at_once = finished_columns(kernels, height);
    let its = side..side + width;
    let mut telling = Telling::new(observer, top..top + height, its, at_once);
    // Tiles that ask for the panel that follows.
    let count = height.div_ceil(kernels.rows);
    let is_far = width * terms * size_of::<T>() > FAR_PANELS;
    let asking = match c.across == 1 && count > 1 {
        true if is_far => count.saturating_sub(ASKING)..count,
        true if count <= FEW_ASKING => 0..1,
        _ => 0..0,
    };
    let mut at = 0;
    for column in (0..width).step_by(kernels.columns()) {
        let columns = kernels.columns().min(width - column);
        let pitch = columns.next_multiple_of(kernels.lanes);
        let first = right(at, pitch * terms);
        at += pitch * terms;
        let panel = Panel { first, step: pitch as isize, columns };
        for (which, span) in rows(kernels, height).tiles().enumerate() {
            let high = span.len();
            let (left, to) = (left.from(span.start, terms), c.at(top + span.start, side + column));
            let next = match span.end < height {
                true => c.at(top + span.end, side + column),
                false => c.at(top, side + column + columns),
            };
            let ahead = Ahead::of_tile(next);
            // SAFETY: required of the caller.
            unsafe {
                if asking.contains(&which) && columns == kernels.columns() {
                    let (run, places) = match asking.len() {
                        ASKING => (kernels.asking(left, high), 1),
                        _ => (kernels.asking_much(left, high), 4),
                    };
                    let (sizes, left) = ([terms, columns], left.parts());
                    let (beside, part) = (first.wrapping_add(pitch * terms), which - asking.start);
                    let part = [part, asking.len()];
                    let ahead = ahead.and_part_of(beside, [pitch, terms], part, places);
                    run(sizes, left, first, pitch as isize, (to, c.down), goes_on, ahead);
                } else {
                    tile(kernels, [high, terms], left, panel, to, c, goes_on, ahead);
                }
            }
        }
        if is_last {
            telling.are_finished(side + column + columns);
        }
    }
}

fn pairs(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}
