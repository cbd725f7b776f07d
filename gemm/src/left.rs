//! Left operands of tiles: packed, or as they lie where packing is not repaid.

use crate::blocked::Element;
use crate::matrix::Matrix;
use crate::operand::Operand;
use crate::pack;
use crate::tile::{Kernels, Rows};

/// So many panels of a right operand do not repay packing the left one, which takes as long as adding up half a panel: 64 by
/// 64 by 64 takes .89 of the time as rows lie (with shorter vectors .74), 256 by 256 by 256 .97 (Zen 4).
const FEW_PANELS: usize = 16;

/// Some rows of a left operand.
#[derive(Clone, Copy)]
pub(crate) enum Left<T> {
    /// For each tile a column of its rows for each product, one after the other.
    Packed(*const T),
    /// Their columns lie side by side.
    Rows(Matrix<T>),
}

impl<T: Element> Left<T> {
    /// Rows of so many terms, which meet so many columns. `room` is where they are packed, if they are.
    ///
    /// # Safety
    ///
    /// They must be readable, and there must be room for them.
    pub(crate) unsafe fn new(
        kernels: &Kernels<T>,
        a: Operand<T>,
        rows: Rows,
        [terms, columns]: [usize; 2],
        room: *mut T,
    ) -> Left<T> {
        let is_worth_packing = columns > FEW_PANELS * kernels.columns();
        if let Some(a) = a.plain_rows()
            && !is_worth_packing
            && !pack::are_crowded(a, kernels.rows)
        {
            return Left::Rows(a);
        }
        for span in rows.tiles() {
            let (high, to) = (span.len(), room.wrapping_add(span.start * terms));
            // SAFETY: required of the caller.
            unsafe { pack::lines(kernels, a.from(span.start, 0), high, terms, to, high) };
        }
        Left::Packed(room)
    }

    /// So many rows and terms of a tile, packed: into `room`, if they are not.
    ///
    /// # Safety
    ///
    /// They must be readable, and there must be room for them.
    pub(crate) unsafe fn packed(
        self,
        kernels: &Kernels<T>,
        [rows, terms]: [usize; 2],
        room: *mut T,
    ) -> *const T {
        match self {
            Left::Packed(first) => first,
            Left::Rows(a) => {
                // SAFETY: required of the caller.
                unsafe { pack::lines(kernels, a.into(), rows, terms, room, rows) };
                room
            }
        }
    }

    /// The same from this row on, which begins a tile.
    pub(crate) fn from(self, row: usize, terms: usize) -> Left<T> {
        match self {
            Left::Packed(first) => Left::Packed(first.wrapping_add(row * terms)),
            Left::Rows(a) => Left::Rows(a.from(row, 0)),
        }
    }

    /// Where they begin, and elements from one to the next, or 0 if they are packed.
    pub(crate) fn parts(self) -> (*const T, isize) {
        match self {
            Left::Packed(first) => (first, 0),
            Left::Rows(a) => (a.first, a.down),
        }
    }
}
