//! Matrices: where elements are.

/// A matrix that is read: its first element, and steps in elements.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<T> {
    /// Element (0, 0).
    pub first: *const T,
    /// From one row to the next.
    pub down: isize,
    /// From one column to the next.
    pub across: isize,
}

/// A matrix that is written.
#[derive(Clone, Copy, Debug)]
pub struct MatrixMut<T> {
    /// Element (0, 0).
    pub first: *mut T,
    /// From one row to the next.
    pub down: isize,
    /// From one column to the next.
    pub across: isize,
}

impl<T: Copy> Matrix<T> {
    /// The same from this row and column on.
    pub(crate) fn from(self, row: usize, column: usize) -> Matrix<T> {
        Matrix { first: self.at(row, column), ..self }
    }

    pub(crate) fn at(self, row: usize, column: usize) -> *const T {
        self.first.wrapping_offset(row as isize * self.down + column as isize * self.across)
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Matrix<T> {
        Matrix { first: self.first, down: self.across, across: self.down }
    }
}

impl<T: Copy> MatrixMut<T> {
    pub(crate) fn at(self, row: usize, column: usize) -> *mut T {
        self.first.wrapping_offset(row as isize * self.down + column as isize * self.across)
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> MatrixMut<T> {
        MatrixMut { first: self.first, down: self.across, across: self.down }
    }
}
