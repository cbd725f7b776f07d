//! Which columns of a product's rows a mask leaves, found before they are computed.

use super::epilogue::{Block, Placed};
use super::exec::{Work, execute_on};
use super::layout::OPERANDS;
use super::product::Product;
use super::view::Layout;
use kiln_ir::DType;
use kiln_jit::emit::Code;
use smallvec::SmallVec;
use std::ops::Range;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Rows and columns that are looked at at once.
const ROWS: usize = 64;
const COLUMNS: usize = 256;

/// A mask on some operands.
pub(super) struct Needed<'a> {
    /// Whether an element is needed.
    code: &'a Code,
    product: &'a Product,
    read: SmallVec<[Placed<'a>; OPERANDS]>,
    /// What is known of rows that begin there, if it is the same for all matrices of the batch.
    known: Option<Mutex<Vec<Known>>>,
}

/// Some rows, and how many of their columns are needed.
type Known = (Range<usize>, usize);

impl<'a> Needed<'a> {
    pub(super) fn new(
        code: &'a Code,
        product: &'a Product,
        read: SmallVec<[Placed<'a>; OPERANDS]>,
    ) -> Needed<'a> {
        let is_one = read.iter().all(|placed| product.is_of_all(placed.array));
        Needed { code, product, read, known: is_one.then(Mutex::default) }
    }

    /// Up to which column any of these rows needs an element, of so many.
    ///
    /// # Safety
    ///
    /// What the mask reads must be readable.
    pub(super) unsafe fn columns(&self, index: usize, rows: Range<usize>, all: usize) -> usize {
        let known =
            self.known.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner));
        let is_of = |(of, _): &&Known| *of == rows;
        if let Some((_, columns)) = known.as_ref().and_then(|known| known.iter().find(is_of)) {
            return *columns;
        }
        // SAFETY: required of the caller.
        let columns = unsafe { self.find(index, rows.clone(), all) };
        if let Some(mut known) = known {
            known.push((rows, columns));
        }
        columns
    }

    /// # Safety
    ///
    /// As for [`columns`](Needed::columns).
    unsafe fn find(&self, index: usize, rows: Range<usize>, all: usize) -> usize {
        let mut end = all;
        while end > 0 {
            let start = (end - 1) / COLUMNS * COLUMNS;
            let mut found = [0; COLUMNS];
            for top in rows.clone().step_by(ROWS) {
                let rows = top..rows.end.min(top + ROWS);
                // SAFETY: required of the caller.
                unsafe { self.add(index, rows, start..end, &mut found) };
            }
            if let Some(last) = found.iter().rposition(|&needed| needed != 0) {
                return start + last + 1;
            }
            end = start;
        }
        0
    }

    /// Adds which columns some of these rows need.
    ///
    /// # Safety
    ///
    /// As for [`columns`](Needed::columns).
    unsafe fn add(
        &self,
        index: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        found: &mut [u8; COLUMNS],
    ) {
        let mut needed = [[0u8; COLUMNS]; ROWS];
        let count = rows.len();
        let steps = [COLUMNS as isize, 1];
        let block = Block { index, rows, columns, first: ptr::from_mut(&mut needed).cast(), steps };
        let mut layouts: SmallVec<[Layout; OPERANDS]> = SmallVec::new();
        self.read.iter().for_each(|placed| layouts.push(self.product.part(placed, &block)));
        layouts.push(block.layout(DType::Bool));
        let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        layouts.iter().for_each(|layout| operands.push(layout));
        let work = Work { stream_above: Some(usize::MAX), ..Work::new(Some(1), 0.0) };
        // SAFETY: required of the caller; the block has room for these rows and columns.
        unsafe { execute_on(1, self.code, &operands, work) };
        for row in &needed[..count] {
            found.iter_mut().zip(row).for_each(|(found, needed)| *found |= needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Needed;
    use crate::plan::Action;
    use crate::run::View;
    use crate::run::bound::Bound;
    use crate::run::compiled::Compiled;
    use crate::run::epilogue::{Block, Epilogue};
    use crate::run::product::{Product, Run};
    use ndarray::{Array, Array2};
    use std::sync::Mutex;

    /// The last column that any of some rows needs, of any mask.
    #[test]
    fn columns_are_counted() {
        let text = "|i: i32[t, 1], j: i32[1, s], m: bool[s]| (i >= j) & m";
        let kernel = crate::compile_text(text).unwrap();
        let Action::Map { kernel: Compiled::Map(code), .. } = &kernel.plans.usual().steps[0].action
        else {
            panic!("one pass");
        };
        let product = Product::new(&[2, 700, 4], &[2, 4, 600]).unwrap();
        let i = Array::from_shape_fn((700, 1), |(i, _)| i as i32);
        let j = Array::from_shape_fn((1, 600), |(_, j)| j as i32);
        let m = Array::from_shape_fn(600, |j| j % 3 == 0 && j < 540);
        let views: [View<'_>; 3] = [(&i).into(), (&j).into(), (&m).into()];
        let read = views.iter().map(|view| product.placed(&view.layout)).collect();
        let needed = Needed::new(code, &product, read);
        for _ in 0..2 {
            for (rows, expected) in
                [(0..1, 1), (0..3, 1), (0..4, 4), (100..170, 169), (290..620, 538), (0..0, 0)]
            {
                // SAFETY: the views are of arrays.
                let found = unsafe { needed.columns(1, rows.clone(), 600) };
                assert_eq!(found, expected, "{rows:?}");
            }
        }
    }

    /// Rows are multiplied as far as they are needed, in whole panels, and once more where that was too few.
    #[test]
    fn needed_columns_are_enough() {
        let (left, right) = (Array2::<f32>::ones((100, 3)), Array2::<f32>::ones((3, 90)));
        let (left, right): (View<'_>, View<'_>) = ((&left).into(), (&right).into());
        let product = Product::new(&left.layout.shape, &right.layout.shape).unwrap();
        let told = Mutex::new(Vec::new());
        let run = |block: Block| {
            told.lock().unwrap().push((block.rows.start, block.columns.clone()));
            block.rows.start > 0
        };
        let columns = |_, rows: std::ops::Range<usize>| rows.start + 1;
        let (nanoseconds, columns) = (1.0, Some(&columns as &_));
        let epilogue = Some(Epilogue { nanoseconds, takes_rows: true, columns, run: &run });
        let operands = [&left.layout, &right.layout];
        // SAFETY: the views are of arrays, and the epilogue writes nothing.
        let done = unsafe {
            Run { product: &product, operands, target: None, epilogue }.run(Some(1), Bound::NONE)
        };
        assert!(done);
        let expected = [(0, 0..32), (0, 0..90), (36, 0..64), (72, 0..90)];
        assert_eq!(told.into_inner().unwrap(), expected);
    }
}
