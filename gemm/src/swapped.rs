//! Products of some rows by a right operand whose columns lie element after element, as `x @ w.T` reads a matrix: operands
//! change places. Its columns are rows that tiles read as they lie, so nothing of it is turned. What is turned instead is the
//! other operand, which is small, and each tile of the result.

use crate::blocked::{Element, finished_columns, pack_right};
use crate::left::Left;
use crate::matrix::{Matrix, MatrixMut};
use crate::observer::{Observer, Telling};
use crate::operand::Operand;
use crate::pack;
use crate::pages::Pages;
use crate::tile::{Ahead, Kernels, MOST};

/// The most bytes of a column of the left operand, and of a panel: L2 holds it whatever else it does.
const COLUMN: usize = 256;
const PANEL: usize = 512 << 10;

/// The most pieces that rows are cut into for that: each reads the right operand anew.
const MOST_PIECES: usize = 16;

/// The fewest terms, and the fewest for each row: with fewer, the result is large beside the right operand, and takes as long
/// to turn. 32 rows of 384 terms take .84 to .90 of the time, of 64 terms up to 1.35 (Zen 4).
const FEWEST: usize = 256;
const FEWEST_FOR_ROW: usize = 12;

/// The columns of the right operand as rows, where that gains: vectors are filled by rows of the left one. Lanes that these leave
/// unused take as long as others: there may be two of them, no more than a quarter, or few beside all rows.
pub(crate) fn right<T: Element>(
    kernels: &Kernels<T>,
    [m, k]: [usize; 2],
    b: Operand<T>,
    c: MatrixMut<T>,
) -> Option<Matrix<T>> {
    let b = b.plain_columns()?;
    let lie_so = c.across == 1 && c.down > 0;
    let at_once = m.min(COLUMN / size_of::<T>());
    let are_many = k >= FEWEST.max(at_once * FEWEST_FOR_ROW);
    if !lie_so || !are_many || m > MOST_PIECES * at_once {
        return None;
    }
    let unused = m.next_multiple_of(kernels.lanes) - m;
    // A single tile turns columns while it is computed, which leaves no lanes unused.
    let is_one_tile = m <= kernels.turning.len();
    let may_be_unused = if is_one_tile { 0 } else { (kernels.lanes / 4).min(2).max(m / 32) };
    (unused <= may_be_unused).then(|| b.transposed())
}

/// `c = a b`, where `b` is given by its columns, as rows.
///
/// # Safety
///
/// As for [`multiply`](crate::multiply); columns of `c` lie side by side.
pub(crate) unsafe fn multiply<T: Element>(
    kernels: &Kernels<T>,
    [m, k, n]: [usize; 3],
    a: Operand<T>,
    b: Matrix<T>,
    c: MatrixMut<T>,
    room: &mut Pages<T>,
    observer: &mut dyn Observer,
) {
    let most = m.min(COLUMN / size_of::<T>());
    let pitch = most.next_multiple_of(kernels.lanes);
    let inner = k.min(PANEL / size_of::<T>() / pitch);
    let need = inner * pitch;
    if room.len() < need {
        *room = Pages::room(T::ZERO, need);
    }
    let right = room.as_mut_ptr();
    // Rows of a tile must not evict each other: fewer of them take 1.02 of the time, such as do 1.1.
    let are_kept = |&rows: &usize| !pack::are_crowded(b, rows);
    let high = (2..=kernels.rows).rev().find(are_kept).unwrap_or(1);
    for first in (0..m).step_by(most) {
        let all = first..m.min(first + most);
        let at_once = finished_columns(kernels, all.len());
        for done in (0..k).step_by(inner) {
            let terms = inner.min(k - done);
            let (goes_on, is_last) = (done > 0, done + terms == k);
            let mut telling = Telling::new(observer, all.clone(), 0..n, at_once);
            let columns = a.from(first, done).transposed();
            // SAFETY: required of the caller; there is room for these panels.
            unsafe { pack_right(kernels, columns, terms, all.len(), right) };
            for top in (0..n).step_by(high) {
                if !telling.goes_on() {
                    return;
                }
                let rows = high.min(n - top);
                let left = Left::Rows(b.from(top, done));
                for side in all.clone().step_by(kernels.columns()) {
                    let columns = kernels.columns().min(all.end - side);
                    let to = MatrixMut { first: c.at(side, top), ..c };
                    // SAFETY: as above.
                    unsafe {
                        let panel = right.add((side - first) * terms);
                        tile(kernels, [rows, terms, columns], left, panel, to, goes_on);
                    }
                }
                let whole = (top + rows) / kernels.columns() * kernels.columns();
                let end = if top + rows == n { n } else { whole };
                if is_last {
                    telling.are_finished(end);
                }
            }
        }
    }
}

/// A tile of `rows` columns of the result, and `columns` of its rows.
///
/// # Safety
///
/// As for [`multiply`]; `panel` must be packed.
#[inline]
unsafe fn tile<T: Element>(
    kernels: &Kernels<T>,
    [rows, terms, columns]: [usize; 3],
    left: Left<T>,
    panel: *const T,
    c: MatrixMut<T>,
    goes_on: bool,
) {
    let vectors = columns.div_ceil(kernels.lanes);
    let pitch = vectors * kernels.lanes;
    let mut apart = [T::ZERO; MOST];
    let to = apart.as_mut_ptr();
    let turned = Matrix { first: to.cast_const(), down: pitch as isize, across: 1 };
    let read = Matrix { first: c.first.cast_const(), down: c.down, across: 1 };
    // SAFETY: required of the caller. The tile apart is as large as any.
    unsafe {
        if goes_on {
            (kernels.across)(read, columns, rows, to, pitch);
        }
        let run = kernels.of(left, rows, vectors);
        let sizes = [terms, columns];
        let ahead = Ahead::of_tile(to);
        run(sizes, left.parts(), panel, pitch as isize, (to, pitch as isize), goes_on, ahead);
        (kernels.across)(turned, rows, columns, c.first, c.down as usize);
    }
}
