//! Operands: matrices whose elements are numbers, or are stored in half as many bits.

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

/// Widens so many numbers that lie one after the other.
pub(crate) type Widen<T> = unsafe fn(*const u16, usize, *mut T);

impl<T> From<Matrix<T>> for Operand<T> {
    fn from(matrix: Matrix<T>) -> Operand<T> {
        Operand::Plain(matrix)
    }
}

impl From<Matrix<bf16>> for Operand<f32> {
    fn from(Matrix { first, down, across }: Matrix<bf16>) -> Operand<f32> {
        Operand::Half(Matrix { first: first.cast(), down, across }, widen::bf16)
    }
}

impl From<Matrix<f16>> for Operand<f32> {
    fn from(Matrix { first, down, across }: Matrix<f16>) -> Operand<f32> {
        Operand::Half(Matrix { first: first.cast(), down, across }, widen::f16)
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
}
