//! What runs on blocks of a product's result.

use super::pack::Vector;
use super::view::Layout;
use kiln_ir::DType;
use std::cell::Cell;
use std::ops::Range;

/// What runs on blocks of a result, each while a cache holds it.
pub(super) struct Epilogue<'a> {
    /// What it takes for an element, estimated.
    pub(super) nanoseconds: f64,
    /// Whether its blocks are whole rows.
    pub(super) takes_rows: bool,
    /// How many columns of some rows of a matrix it needs, if it knows: it takes those.
    pub(super) columns: Option<&'a Columns<'a>>,
    /// Runs it on a block, which may then be anything. Returns whether it could do with so many columns.
    pub(super) run: &'a (dyn Fn(Block) -> bool + Sync),
}

/// Says of rows of a matrix how many columns are needed.
pub(super) type Columns<'a> = dyn Fn(usize, Range<usize>) -> usize + Sync + 'a;

/// Rows and columns of one matrix of a result.
pub(super) struct Block {
    /// Which matrix of the batch.
    pub(super) index: usize,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// Where its first element is, and from one row and one column to the next, in bytes.
    pub(super) first: *mut u8,
    pub(super) steps: [isize; 2],
}

impl Block {
    /// Where its elements are.
    pub(super) fn layout(&self, dtype: DType) -> Layout {
        self.layout_at(self.first, self.steps, dtype)
    }

    pub(super) fn layout_at(&self, base: *mut u8, steps: [isize; 2], dtype: DType) -> Layout {
        let shape = [self.rows.len(), self.columns.len()];
        Layout { base, dtype, shape: shape.as_slice().into(), strides: steps.as_slice().into() }
    }
}

/// An array that broadcasts to a result: how its elements lie along rows and columns, in bytes.
pub(super) struct Placed<'a> {
    pub(super) array: &'a Layout,
    pub(super) steps: [isize; 2],
}

/// Bytes of a thread's scratch for a block of a product.
pub(super) const SCRATCH: usize = 1 << 20;

thread_local! {
    /// The lines of this thread's last scratch.
    static LINES: Cell<Vec<Vector>> = const { Cell::new(Vec::new()) };
}

/// Lends a thread's scratch of at least so many bytes.
pub(super) fn with_scratch(bytes: usize, use_scratch: impl FnOnce(*mut u8)) {
    let mut lines = LINES.take();
    let need = bytes.div_ceil(size_of::<Vector>());
    if lines.len() < need {
        lines.resize(need, Vector::ZERO);
    }
    use_scratch(lines.as_mut_ptr().cast());
    LINES.set(lines);
}
