//! Operands: matrices whose elements are numbers, or are stored in half as many bits.

use crate::halves::Half;
use crate::matrix::Matrix;
use crate::widen;
use half::{bf16, f16};

/// A matrix that a product reads. What is stored in 16 bits is widened where it is packed: exactly, so
/// the product is that of the numbers.
#[derive(Clone, Copy, Debug)]
pub enum Operand<T> {
    /// Numbers as they are computed with.
    Plain(Matrix<T>),
    /// Numbers of 16 bits, and what widens them.
    Half(Matrix<u16>, Widen<T>),
}

/// What widens numbers of 16 bits.
#[derive(Clone, Copy, Debug)]
pub struct Widen<T> {
    pub(crate) half: Half,
    run: WidenRows<T>,
}

/// `(from, down, [rows, count], to, pitch)`: widens so many numbers of each of so many rows, which are `down` numbers
/// apart, to rows that are `pitch` apart.
type WidenRows<T> = unsafe fn(*const u16, isize, [usize; 2], *mut T, usize);

impl<T> Widen<T> {
    /// Widens so many numbers that lie one after the other.
    ///
    /// # Safety
    ///
    /// They must be readable, and as many writable.
    pub(crate) unsafe fn run(self, from: *const u16, count: usize, to: *mut T) {
        // SAFETY: required of the caller.
        unsafe { (self.run)(from, 0, [1, count], to, 0) };
    }

    /// Widens the first `count` numbers of each of some rows, which lie one after the other, to rows that are
    /// `pitch` apart.
    ///
    /// # Safety
    ///
    /// As for [`run`](Widen::run).
    pub(crate) unsafe fn rows(
        self,
        from: Matrix<u16>,
        sizes: [usize; 2],
        to: *mut T,
        pitch: usize,
    ) {
        // SAFETY: required of the caller.
        unsafe { (self.run)(from.first, from.down, sizes, to, pitch) };
    }
}

impl<T> From<Matrix<T>> for Operand<T> {
    fn from(matrix: Matrix<T>) -> Operand<T> {
        Operand::Plain(matrix)
    }
}

impl From<Matrix<bf16>> for Operand<f32> {
    fn from(Matrix { first, down, across }: Matrix<bf16>) -> Operand<f32> {
        let widen = Widen { half: Half::Bf16, run: widen::bf16 };
        Operand::Half(Matrix { first: first.cast(), down, across }, widen)
    }
}

impl From<Matrix<f16>> for Operand<f32> {
    fn from(Matrix { first, down, across }: Matrix<f16>) -> Operand<f32> {
        let widen = Widen { half: Half::F16, run: widen::f16 };
        Operand::Half(Matrix { first: first.cast(), down, across }, widen)
    }
}

impl<T: Copy> Operand<T> {
    /// The same from this row and column on.
    pub(crate) fn from(self, row: usize, column: usize) -> Operand<T> {
        match self {
            Operand::Plain(matrix) => Operand::Plain(matrix.from(row, column)),
            Operand::Half(matrix, widen) => Operand::Half(matrix.from(row, column), widen),
        }
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Operand<T> {
        match self {
            Operand::Plain(matrix) => Operand::Plain(matrix.transposed()),
            Operand::Half(matrix, widen) => Operand::Half(matrix.transposed(), widen),
        }
    }

    /// The matrix, if columns of numbers lie side by side.
    pub(crate) fn plain_rows(self) -> Option<Matrix<T>> {
        match self {
            Operand::Plain(matrix) if matrix.across == 1 => Some(matrix),
            _ => None,
        }
    }

    /// The matrix, if rows of numbers lie side by side, and columns do not.
    pub(crate) fn plain_columns(self) -> Option<Matrix<T>> {
        match self {
            Operand::Plain(matrix) if matrix.down == 1 && matrix.across != 1 => Some(matrix),
            _ => None,
        }
    }
}
