//! The kernel of one tile of the result, whose sums stay in registers.

use crate::halves;
use crate::matrix::Matrix;
use crate::simd::{Plain, Simd};
use crate::{pack, row};

/// Adds `k` products to a tile: `([k, columns], a, b, step, c, down, goes_on)`. `a` has a column of the tile's rows
/// for each product, one after the other, `b` a row of its columns, `step` elements apart. The sums go
/// on from `c` if it `goes_on`, and else from 0. Rows of `c` are `down` elements apart. It has so many columns:
/// in the last vector there may be more, which are not written.
type Run<T> = unsafe fn([usize; 2], *const T, *const T, isize, *mut T, isize, bool);

/// The most rows of a tile, on any machine.
const MOST_ROWS: usize = 12;
/// The most elements of a tile, on any machine.
pub(crate) const MOST: usize = MOST_ROWS * 32;

/// The kernels of a processor.
pub(crate) struct Kernels<T: 'static> {
    /// Rows of a whole tile.
    pub(crate) rows: usize,
    /// Columns of a vector; a tile has one or two of them.
    pub(crate) lanes: usize,
    /// The kernel of each number of rows, from 1 on: for one vector, for two, and for two that are not
    /// packed.
    run: [&'static [Run<T>]; 3],
    /// Packs lines whose elements lie one after the other.
    pub(crate) across: pack::Across<T>,
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

    /// The kernel for so many rows and vectors.
    #[inline]
    pub(crate) fn of(&self, rows: usize, vectors: usize) -> Run<T> {
        self.run[vectors - 1][rows - 1]
    }

    /// The kernel for so many rows, and two whole vectors: it asks for those beside them, of a matrix as it lies, or of the
    /// panel that follows.
    #[inline]
    pub(crate) fn asking(&self, rows: usize) -> Run<T> {
        self.run[2][rows - 1]
    }
}

/// # Safety
///
/// The processor must have the vectors of `S`. `a`, `b` and `c` must hold what [`Run`] says.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const ASKS: bool>(
    [k, columns]: [usize; 2],
    mut a: *const S::Element,
    mut b: *const S::Element,
    step: isize,
    c: *mut S::Element,
    down: isize,
    goes_on: bool,
) {
    // SAFETY: required of the caller.
    unsafe {
        let is_whole = columns == VECTORS * S::LANES;
        let mut sums = [[S::zero(); VECTORS]; ROWS];
        for row in 0..ROWS {
            let to = c.offset(row as isize * down);
            S::prefetch(to);
            S::prefetch(to.wrapping_add(VECTORS * S::LANES - 1));
        }
        if goes_on {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    let from = c.offset(row as isize * down).add(vector * S::LANES);
                    *sum = match is_whole || vector + 1 < VECTORS {
                        true => S::load(from),
                        false => S::load_part(from, columns - vector * S::LANES),
                    };
                }
            }
        }
        let width = VECTORS * S::LANES;
        // What is beside is a panel's next one.
        let ahead = if step == width as isize { k * width } else { width };
        for _ in 0..k {
            if ASKS {
                let beside = b.wrapping_add(ahead);
                S::prefetch(beside);
                S::prefetch(beside.wrapping_add(width - 1));
            }
            let right: [S::Vector; VECTORS] = std::array::from_fn(|v| S::load(b.add(v * S::LANES)));
            for (row, sums) in sums.iter_mut().enumerate() {
                let left = S::splat(a.add(row));
                for (sum, &right) in sums.iter_mut().zip(&right) {
                    *sum = S::fma(left, right, *sum);
                }
            }
            a = a.add(ROWS);
            b = b.wrapping_offset(step);
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, &sum) in sums.iter().enumerate() {
                let to = c.offset(row as isize * down).add(vector * S::LANES);
                match is_whole || vector + 1 < VECTORS {
                    true => S::store(to, sum),
                    false => S::store_part(to, sum, columns - vector * S::LANES),
                }
            }
        }
    }
}

/// Kernels for one kind of vectors: `NAME: Simd<Element>, features, [row numbers]`.
macro_rules! kernels {
    ($($name:ident: $simd:ty, $element:ty, $half_row:expr, $(#[$feature:meta])?, $most:literal, [$($rows:literal)*];)*) => {$(
        pub(crate) static $name: Kernels<$element> = {
            $(#[$feature])?
            unsafe fn run<const ROWS: usize, const VECTORS: usize, const ASKS: bool>(
                sizes: [usize; 2],
                a: *const $element,
                b: *const $element,
                step: isize,
                c: *mut $element,
                down: isize,
                goes_on: bool,
            ) {
                // SAFETY: required of the caller.
                unsafe { tile::<$simd, ROWS, VECTORS, ASKS>(sizes, a, b, step, c, down, goes_on) };
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
            Kernels {
                across,
                row: single,
                half_row: $half_row,
                rows: $most,
                lanes: <$simd as Simd>::LANES,
                run: [
                    &[$(run::<$rows, 1, false>),*],
                    &[$(run::<$rows, 2, false>),*],
                    &[$(run::<$rows, 2, true>),*],
                ],
            }
        };
    )*};
}

kernels! {
    PLAIN_F32: Plain<f32>, f32, Some(halves::plain), , 4, [1 2 3 4];
    PLAIN_F64: Plain<f64>, f64, None, , 4, [1 2 3 4];
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{Kernels, Matrix, Simd, pack, row, tile};
    use crate::halves::x86 as halves;
    use crate::simd::x86::{Avx2, Avx512};

    kernels! {
        AVX512_F32: Avx512<f32>, f32, Some(halves::avx512), #[target_feature(enable = "avx512f")], 12, [1 2 3 4 5 6 7 8 9 10 11 12];
        AVX512_F64: Avx512<f64>, f64, None, #[target_feature(enable = "avx512f")], 12, [1 2 3 4 5 6 7 8 9 10 11 12];
        AVX2_F32: Avx2<f32>, f32, Some(halves::avx2), #[target_feature(enable = "avx2,fma")], 6, [1 2 3 4 5 6];
        AVX2_F64: Avx2<f64>, f64, None, #[target_feature(enable = "avx2,fma")], 6, [1 2 3 4 5 6];
    }
}
