//! A product of a single row: the right operand is read once, as fast as memory gives it.

use crate::blocked::Element;
use crate::matrix::{Matrix, MatrixMut};
use crate::observer::Observer;
use crate::operand::Operand;
use crate::pack;
use crate::pages::Pages;
use crate::simd::Simd;
use crate::tile::Kernels;
use crate::turning;

/// Rows of the right operand that are read side by side: each is a stream, and the result is loaded and
/// stored once for all of them.
pub(crate) const STREAMS: usize = 8;
/// Bytes of the result that stay in L1 meanwhile.
pub(crate) const STRIP: usize = 16 << 10;

/// Elements of the right operand between two questions whether to go on: some milliseconds, if memory has them.
const ASKED: usize = 8 << 20;

/// Rows and columns of a right operand of 16 bits that are widened at once where columns are what lies together,
/// and from one of them to the next when they are wide.
const WIDENED_COLUMNS: [usize; 2] = [128, 32];
const WIDE_COLUMN: usize = 144;

/// `(k, n, a, b, c, goes_on)`: the row `a` times `b`, of which columns lie side by side, or each element
/// after element. Columns of `c` lie side by side. The sums go on from `c` if it `goes_on`, and else
/// from 0.
pub(crate) type Run<T> = unsafe fn(usize, usize, Matrix<T>, Matrix<T>, *mut T, bool);

/// Rows of `a` times `b`, one by one.
///
/// # Safety
///
/// As for [`multiply`](crate::multiply); columns of `c` lie side by side.
pub(crate) unsafe fn one_by_one<T: Element>(
    kernels: &Kernels<T>,
    [m, k, n]: [usize; 3],
    a: Operand<T>,
    b: Operand<T>,
    c: MatrixMut<T>,
    room: &mut Pages<T>,
    observer: &mut dyn Observer,
) {
    let wide = (ASKED / k.max(1)).max(1).next_multiple_of(STRIP / size_of::<T>());
    for columns in (0..n).step_by(wide).map(|side| side..n.min(side + wide)) {
        // A product of no terms is 0, which the first piece of none writes.
        for done in (0..k.max(1)).step_by(ASKED) {
            if !observer.goes_on() {
                return;
            }
            let sizes = [ASKED.min(k - done), columns.len()];
            let (a, b) = (a.from(0, done), b.from(done, columns.start));
            for top in 0..m {
                let (a, to) = (a.from(top, 0), c.at(top, columns.start));
                // SAFETY: required of the caller.
                unsafe { multiply(kernels, sizes, a, b, to, done > 0, room) };
            }
        }
        observer.finished(0..m, columns);
    }
}

/// The row `a` times `b`, for operands of any kind. The sums go on from `c` if it `goes_on`, and else from 0.
///
/// # Safety
///
/// The operands must be readable, and `n` elements from `c` on writable.
unsafe fn multiply<T: Element>(
    kernels: &Kernels<T>,
    [k, n]: [usize; 2],
    a: Operand<T>,
    b: Operand<T>,
    c: *mut T,
    goes_on: bool,
    room: &mut Pages<T>,
) {
    if k == 0 {
        // SAFETY: required of the caller.
        unsafe { (0..n).for_each(|column| c.add(column).write(T::ZERO)) };
        return;
    }
    let [terms, width] = WIDENED_COLUMNS;
    let need = k + WIDE_COLUMN * width;
    if room.len() < need {
        *room = Pages::room(T::ZERO, need);
    }
    let (row, block) = room.split_at_mut(k);
    // SAFETY: required of the caller; the row and blocks have room.
    unsafe {
        let a = plain(kernels, a, k, row);
        let b = match b {
            Operand::Half(b, widen)
                if b.across == 1
                    && let Some(run) = kernels.half_row =>
            {
                return run(widen.half, [k, n], a, b, c, goes_on);
            }
            Operand::Plain(b) if b.across == 1 || b.down == 1 => {
                return (kernels.row)(k, n, a, b, c, goes_on);
            }
            b => b,
        };
        let to = block.as_mut_ptr();
        for side in (0..n).step_by(width) {
            let width = width.min(n - side);
            for l in (0..k).step_by(terms) {
                let terms = terms.min(k - l);
                let wide = widen_block(kernels, b.from(l, side), [terms, width], to);
                (kernels.row)(terms, width, a.from(0, l), wide, c.add(side), goes_on || l > 0);
            }
        }
    }
}

/// A row of `k` elements as numbers, in `room` if they are to be widened.
///
/// # Safety
///
/// The row must be readable, and there must be room for it.
pub(crate) unsafe fn plain<T: Element>(
    kernels: &Kernels<T>,
    a: Operand<T>,
    k: usize,
    room: &mut [T],
) -> Matrix<T> {
    match a {
        Operand::Plain(a) => a,
        Operand::Half(..) => {
            // SAFETY: required of the caller.
            unsafe { pack::lines(kernels, a, 1, k, room.as_mut_ptr(), 1) };
            Matrix { first: room.as_ptr(), down: 0, across: 1 }
        }
    }
}

/// A block as numbers that lie together, in rows or in columns.
///
/// # Safety
///
/// The block must be readable, and of [`WIDENED_COLUMNS`] at most; as much must be writable, from one column to the
/// next [`WIDE_COLUMN`].
unsafe fn widen_block<T: Element>(
    kernels: &Kernels<T>,
    b: Operand<T>,
    [terms, width]: [usize; 2],
    to: *mut T,
) -> Matrix<T> {
    // SAFETY: required of the caller.
    unsafe {
        match b {
            Operand::Half(b, widen) if b.down == 1 => {
                widen.rows(b.transposed(), [width, terms], to, WIDE_COLUMN);
                Matrix { first: to, down: 1, across: WIDE_COLUMN as isize }
            }
            b => {
                pack::lines(kernels, b.transposed(), width, terms, to, width);
                Matrix { first: to, down: width as isize, across: 1 }
            }
        }
    }
}

/// An element that is multiplied alone, not in a vector.
pub(crate) trait Scalar: Copy {
    /// `self * b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
}

macro_rules! scalar {
    ($($element:ty)*) => {$(
        impl Scalar for $element {
            #[inline(always)]
            fn fma(self, b: $element, c: $element) -> $element {
                self.mul_add(b, c)
            }
        }
    )*};
}

scalar! { f32 f64 }

/// # Safety
///
/// The processor must have the vectors of `S`. The operands must be readable and `c` writable, as
/// [`Run`] says.
#[inline(always)]
pub(crate) unsafe fn row<S: Simd>(
    k: usize,
    n: usize,
    a: Matrix<S::Element>,
    b: Matrix<S::Element>,
    c: *mut S::Element,
    goes_on: bool,
) where
    S::Element: Scalar + Element,
{
    if b.across != 1 {
        // SAFETY: required of the caller.
        return unsafe {
            match pack::are_crowded(b.transposed(), 2 * S::LANES) {
                true => columns::<S, 1>(k, n, a, b, c, goes_on),
                false => columns::<S, 2>(k, n, a, b, c, goes_on),
            }
        };
    }
    let strip = STRIP / size_of::<S::Element>();
    for start in (0..n).step_by(strip) {
        let width = strip.min(n - start);
        let mut l = 0;
        loop {
            let goes_on = goes_on || l > 0;
            let streams = STREAMS.min(k - l);
            let (from, to) = (b.at(l, start), c.wrapping_add(start));
            // SAFETY: rows `l` and the next ones, and this strip, are within the operands.
            unsafe {
                match streams {
                    STREAMS => streams_of::<S, STREAMS>(
                        goes_on,
                        a.at(0, l),
                        a.across,
                        from,
                        b.down,
                        to,
                        width,
                    ),
                    0 => streams_of::<S, 0>(goes_on, a.first, 0, from, 0, to, width),
                    _ => {
                        for l in l..l + streams {
                            let (from, goes_on) = (b.at(l, start), goes_on || l > 0);
                            streams_of::<S, 1>(goes_on, a.at(0, l), 0, from, 0, to, width);
                        }
                    }
                }
            }
            l += streams;
            if l == k {
                break;
            }
        }
    }
}

/// [`row`] where a column lies element after element: `VECTORS` vectors of columns are [turned](turning) at a time.
///
/// # Safety
///
/// As for [`row`].
#[inline(always)]
unsafe fn columns<S: Simd, const VECTORS: usize>(
    k: usize,
    n: usize,
    a: Matrix<S::Element>,
    b: Matrix<S::Element>,
    c: *mut S::Element,
    goes_on: bool,
) where
    S::Element: Scalar + Element,
{
    let [several, whole] = [VECTORS * S::LANES, S::LANES].map(|width| n / width * width);
    // SAFETY: required of the caller: all columns are within the operands.
    unsafe {
        for side in (0..several).step_by(VECTORS * S::LANES) {
            turning::tile::<S, 1, VECTORS>(k, a, b.from(0, side), None, c.add(side), 0, goes_on);
        }
        for side in (several..whole).step_by(S::LANES) {
            turning::tile::<S, 1, 1>(k, a, b.from(0, side), None, c.add(side), 0, goes_on);
        }
        for column in whole..n {
            let terms = (0..k).map(|l| (*a.at(0, l), *b.at(l, column)));
            let first = if goes_on { *c.add(column) } else { <S::Element as Element>::ZERO };
            *c.add(column) = terms.fold(first, |sum, (a, b)| a.fma(b, sum));
        }
    }
}

/// Adds the products of `COUNT` elements of the row, `across` apart, with rows that are `down` apart.
///
/// # Safety
///
/// As for [`row`].
#[inline(always)]
unsafe fn streams_of<S: Simd, const COUNT: usize>(
    goes_on: bool,
    a: *const S::Element,
    across: isize,
    b: *const S::Element,
    down: isize,
    c: *mut S::Element,
    width: usize,
) where
    S::Element: Scalar + Element,
{
    // SAFETY: required of the caller.
    unsafe {
        let rows: [*const S::Element; COUNT] = std::array::from_fn(|l| b.offset(l as isize * down));
        let factors: [S::Vector; COUNT] =
            std::array::from_fn(|l| S::splat(a.offset(l as isize * across)));
        let mut at = 0;
        while at + S::LANES <= width {
            let mut sum = if goes_on { S::load(c.add(at)) } else { S::zero() };
            for (row, &factor) in rows.iter().zip(&factors) {
                sum = S::fma(factor, S::load(row.add(at)), sum);
            }
            S::store(c.add(at), sum);
            at += S::LANES;
        }
        for at in at..width {
            let mut sum = if goes_on { *c.add(at) } else { <S::Element as Element>::ZERO };
            for (l, row) in rows.iter().enumerate() {
                sum = (*a.offset(l as isize * across)).fma(*row.add(at), sum);
            }
            *c.add(at) = sum;
        }
    }
}
