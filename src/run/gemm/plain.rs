//! Products by a plain loop, in builds without the crate `gemm`: the same on every machine, and some
//! ten times slower.

use super::Matrix;
use std::ops::{AddAssign, Mul};

/// Rows and columns of the output that are summed at a time, so that their sums stay in registers.
const ROWS: usize = 4;
const COLUMNS: usize = 8;

/// An element type that is multiplied.
pub(super) trait Number: Copy + Default + AddAssign + Mul<Output = Self> + 'static {
    /// `output = left * right`, for sizes `[m, n, k]`. Each element is summed in order.
    ///
    /// # Safety
    ///
    /// Every matrix must be valid for its size, and the output must overlap nothing.
    unsafe fn gemm(
        [m, n, k]: [usize; 3],
        output: Matrix<*mut Self>,
        left: Matrix<*const Self>,
        right: Matrix<*const Self>,
    ) {
        for top in (0..m).step_by(ROWS) {
            for side in (0..n).step_by(COLUMNS) {
                let (rows, columns) = (ROWS.min(m - top), COLUMNS.min(n - side));
                let mut sums = [[Self::default(); COLUMNS]; ROWS];
                for term in 0..k {
                    let mut factors = [Self::default(); COLUMNS];
                    for (column, factor) in factors[..columns].iter_mut().enumerate() {
                        // SAFETY: the element is within the right operand.
                        *factor = unsafe { *at(right, term, side + column) };
                    }
                    for (row, sums) in sums[..rows].iter_mut().enumerate() {
                        // SAFETY: the element is within the left operand.
                        let factor = unsafe { *at(left, top + row, term) };
                        sums.iter_mut()
                            .zip(factors)
                            .for_each(|(sum, other)| *sum += factor * other);
                    }
                }
                for (row, sums) in sums[..rows].iter().enumerate() {
                    for (column, &sum) in sums[..columns].iter().enumerate() {
                        let (first, across, down) = output;
                        let element =
                            at((first.cast_const(), across, down), top + row, side + column);
                        // SAFETY: the element is within the output, which nothing else uses.
                        unsafe { *element.cast_mut() = sum };
                    }
                }
            }
        }
    }
}

impl Number for f32 {}

impl Number for f64 {}

/// Where an element of a matrix is.
fn at<T>((first, across, down): Matrix<*const T>, row: usize, column: usize) -> *const T {
    first.wrapping_offset(row as isize * down + column as isize * across)
}
