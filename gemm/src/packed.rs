//! Right operands that are packed once, and multiplied often.

use crate::blocked::{
    Block, COLUMNS, Element, Number, blocks_of_rows, inner, most_rows, pack_right,
};
use crate::halves::FEW_ROWS_OF_PANELS;
use crate::matrix::{Matrix, MatrixMut};
use crate::observer::Observer;
use crate::operand::{Operand, Widen};
use crate::pages::Pages;
use crate::row;
use crate::tile::Kernels;
use crate::vectors::Vectors;
use std::ops::Range;

/// The right operand of products, as the kernels of this machine read it. Numbers of 16 bits stay so.
#[derive(Debug)]
pub struct Packed<T> {
    vectors: Vectors,
    sizes: [usize; 2],
    panels: Panels<T>,
}

/// For each block of rows, panels of columns, the last of them of whole vectors.
#[derive(Debug)]
enum Panels<T> {
    Plain(Pages<T>),
    Half(Pages<u16>, Widen<T>),
}

impl<T: Number> Packed<T> {
    /// Products of some columns begin and end at multiples of this.
    pub const START: usize = 32;

    /// Packs `b`, which has `k` rows and `n` columns.
    ///
    /// # Safety
    ///
    /// `b` must be readable in all of its elements.
    pub unsafe fn new(sizes: [usize; 2], b: impl Into<Operand<T>>) -> Packed<T> {
        // SAFETY: required of the caller; these vectors are there.
        unsafe { Packed::by(Vectors::widest(), sizes, b.into()) }
    }

    /// [`new`](Packed::new) for the kernels of these vectors, for tests.
    ///
    /// # Safety
    ///
    /// As for [`new`](Packed::new).
    #[doc(hidden)]
    pub unsafe fn by(vectors: Vectors, [k, n]: [usize; 2], b: Operand<T>) -> Packed<T> {
        let len = k * pitch(T::kernels(vectors), n);
        let panels = match b {
            Operand::Plain(_) => Panels::Plain(Pages::zeros(T::ZERO, len)),
            Operand::Half(_, widen) => Panels::Half(Pages::zeros(0, len), widen),
        };
        let mut packed = Packed { vectors, sizes: [k, n], panels };
        // SAFETY: required of the caller.
        unsafe { packed.fill(b) };
        packed
    }

    /// Packs another matrix of as many rows and columns in its place.
    ///
    /// # Safety
    ///
    /// As for [`new`](Packed::new).
    pub unsafe fn renew(&mut self, b: impl Into<Operand<T>>) {
        // SAFETY: required of the caller.
        unsafe { self.fill(b.into()) };
    }

    /// # Safety
    ///
    /// As for [`new`](Packed::new).
    unsafe fn fill(&mut self, b: Operand<T>) {
        let Packed { vectors, sizes: [k, n], panels } = self;
        let (kernels, k, n) = (T::kernels(*vectors), *k, *n);
        let width = pitch(kernels, n);
        let inner = inner(k);
        let starts = (0..k).step_by(inner);
        // SAFETY: required of the caller; the panels of a block have as much room as its rows.
        unsafe {
            match (panels, b) {
                (Panels::Plain(panels), Operand::Plain(b)) => {
                    for start in starts {
                        let to = panels[start * width..].as_mut_ptr();
                        pack_right(kernels, b.from(start, 0).into(), inner.min(k - start), n, to);
                    }
                }
                (Panels::Half(panels, held), Operand::Half(b, widen)) => {
                    *held = widen;
                    for start in starts {
                        let to = &mut panels[start * width..];
                        pack_half(kernels, b.from(start, 0), [inner.min(k - start), n], to);
                    }
                }
                _ => *self = Packed::by(*vectors, [k, n], b),
            }
        }
    }

    /// Rows and columns.
    pub fn sizes(&self) -> [usize; 2] {
        self.sizes
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::Plain(panels) => size_of_val(&panels[..]),
            Panels::Half(panels, _) => size_of_val(&panels[..]),
        }
    }
}

/// The panels of some columns: for each block of the rows that are used, where it begins, and where each panel begins,
/// and how many columns it has.
fn panels_of<T: Element>(
    kernels: &Kernels<T>,
    [used, inner]: [usize; 2],
    columns: Range<usize>,
) -> impl Iterator<Item = (usize, usize, usize)> {
    let (step, end) = (kernels.columns(), columns.end);
    (0..used).step_by(inner).flat_map(move |done| {
        columns.clone().step_by(step).map(move |side| (done, side, step.min(end - side)))
    })
}

/// Columns of the panels of so many columns.
fn pitch<T: Element>(kernels: &Kernels<T>, columns: usize) -> usize {
    columns.next_multiple_of(kernels.lanes)
}

/// Panels of numbers of 16 bits, as [`pack_right`] makes them of others.
///
/// # Safety
///
/// The rows and columns must be readable.
unsafe fn pack_half<T: Element>(
    kernels: &Kernels<T>,
    b: Matrix<u16>,
    [terms, columns]: [usize; 2],
    to: &mut [u16],
) {
    let mut room = &mut to[..];
    for side in (0..columns).step_by(kernels.columns()) {
        let width = kernels.columns().min(columns - side);
        let pitch = pitch(kernels, width);
        let panel;
        (panel, room) = room.split_at_mut(pitch * terms);
        for (l, row) in panel.chunks_exact_mut(pitch).enumerate() {
            for (column, element) in row[..width].iter_mut().enumerate() {
                // SAFETY: required of the caller.
                *element = unsafe { *b.at(l, side + column) };
            }
        }
    }
}

/// `c = a b` for these columns of `b`, with the bits of [`multiply`](crate::multiply): `a` has `m` rows and
/// `used` columns, which meet as many rows of `b`, the first ones. The observer is told and asked as by
/// [`multiply_with`](crate::multiply_with).
///
/// # Safety
///
/// `a` must be readable. `c` must be writable, no two of its elements may share memory, and nothing else
/// may use it, but for the observer.
///
/// # Panics
///
/// If `b` has fewer rows, or the columns are not within it, or do not begin at a multiple of [`Packed::START`] and end at one or
/// with the last column.
pub unsafe fn multiply_packed<T: Number>(
    [m, used]: [usize; 2],
    a: impl Into<Operand<T>>,
    b: &Packed<T>,
    columns: Range<usize>,
    c: MatrixMut<T>,
    observer: &mut dyn Observer,
) {
    let [k, all] = b.sizes;
    let Range { start, end } = columns;
    let is_edge = |at: usize| at == all || (at < all && at.is_multiple_of(Packed::<T>::START));
    assert!(is_edge(start) && is_edge(end), "{columns:?} of {all}");
    assert!(used <= k, "{used} of {k} rows");
    let (a, n) = (a.into(), columns.len());
    if m == 0 || n == 0 {
        return;
    }
    let kernels = T::kernels(b.vectors);
    let inner = inner(k);
    if let Panels::Half(panels, widen) = &b.panels
        && let Some(run) = kernels.half_row
        && m <= FEW_ROWS_OF_PANELS
        && used > 0
        && c.across == 1
    {
        T::with_room(|room| {
            if room.len() < used {
                *room = Pages::room(T::ZERO, used);
            }
            for top in (0..m).take_while(|_| observer.goes_on()) {
                // SAFETY: required of the caller; the columns are whole panels, or end with the last one.
                unsafe {
                    let a = row::plain(kernels, a.from(top, 0), used, room);
                    let to = c.at(top, 0);
                    for (done, side, columns) in panels_of(kernels, [used, inner], start..end) {
                        let (held, terms) = (inner.min(k - done), inner.min(used - done));
                        let down = pitch(kernels, columns);
                        let at = done * pitch(kernels, all) + side * held;
                        let first = panels[at..][..down * terms].as_ptr();
                        let panel = Matrix { first, down: down as isize, across: 1 };
                        let (sizes, to) = ([terms, columns], to.add(side - start));
                        run(widen.half, sizes, a.from(0, done), panel, to, done > 0);
                    }
                }
            }
        });
        return observer.finished(0..m, 0..n);
    }
    let high = most_rows(kernels).min(m);
    // Of few rows, the left operand is packed once.
    let wide = if high == m { n } else { COLUMNS };
    let width = pitch(kernels, all);
    T::with_room(|room| {
        let need = inner * (high + kernels.columns());
        if room.len() < need {
            *room = Pages::room(T::ZERO, need);
        }
        let (left, right) = room.split_at_mut(inner * high);
        let (left, right) = (left.as_mut_ptr(), right.as_mut_ptr());
        for side in (0..n).step_by(wide) {
            for done in (0..used.max(1)).step_by(inner) {
                // Of the last block of rows, the first ones may be all that is used.
                let (held, terms) = (inner.min(k - done), inner.min(used - done));
                let (goes_on, is_last) = (done > 0, done + terms == used);
                let first = done * width + (start + side) * held;
                let width = wide.min(n - side);
                let all = Block { top: 0, side, height: m, width, terms, goes_on, is_last };
                // Panels are as long as they were packed, for the last columns of a product are the last ones, or end
                // with a panel.
                let panel = |at: usize, count| {
                    let at = first + at.checked_div(terms).unwrap_or(0) * held;
                    match &b.panels {
                        Panels::Plain(panels) => panels[at..][..count].as_ptr(),
                        Panels::Half(panels, widen) => {
                            // SAFETY: a panel has room.
                            unsafe { widen.run(panels[at..][..count].as_ptr(), count, right) };
                            right.cast_const()
                        }
                    }
                };
                let a = a.from(0, done);
                // SAFETY: the rows are within `a`, and a block of them has room; `c` is as the caller says.
                if !unsafe { blocks_of_rows(kernels, all, high, (a, n), left, panel, c, observer) }
                {
                    return;
                }
            }
        }
    });
}
