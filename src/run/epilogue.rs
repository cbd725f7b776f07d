//! What runs on blocks of a product's result.

use super::exec::{Work, execute_on};
use super::layout::OPERANDS;
use super::pack::Vector;
use super::product::Product;
use super::view::Layout;
use crate::lower::product::Source;
use kiln_ir::DType;
use kiln_jit::emit::Code;
use smallvec::SmallVec;
use std::cell::RefCell;
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

/// Where an operand of what runs on blocks is.
pub(super) enum Place<'a> {
    /// It is the product, or what is computed in its place.
    Product,
    Array(Placed<'a>),
    /// A number of the product's type, not 0 if a row may leave out what is masked.
    Verdict,
}

impl<'a> Place<'a> {
    /// Where what is read lies, of these inputs.
    pub(super) fn of_sources(
        sources: &[Source],
        product: &Product,
        inputs: &[&'a Layout],
    ) -> SmallVec<[Place<'a>; OPERANDS]> {
        let mut placed = SmallVec::new();
        sources.iter().for_each(|source| {
            placed.push(match source {
                Source::Product => Place::Product,
                Source::Parameter(at) => Place::Array(product.placed(inputs[*at])),
            });
        });
        placed
    }

    /// The arrays of these outputs.
    pub(super) fn of_outputs(
        product: &Product,
        outputs: &[&'a Layout],
    ) -> impl Iterator<Item = Place<'a>> {
        outputs.iter().map(|output| Place::Array(product.placed(output)))
    }
}

/// Code of elements, and the operands on which it runs block by block.
pub(super) struct BlockCode<'a> {
    pub(super) code: &'a Code,
    pub(super) placed: SmallVec<[Place<'a>; OPERANDS]>,
}

impl BlockCode<'_> {
    /// Runs on a block of a product, which is of this type.
    ///
    /// # Safety
    ///
    /// Operands must be as the code needs them. Inputs must be readable, outputs writable, and nothing else may
    /// use these blocks of them, or the block.
    pub(super) unsafe fn run(&self, product: &Product, block: &Block, dtype: DType) {
        let mut layouts: SmallVec<[Layout; OPERANDS]> = SmallVec::new();
        self.placed.iter().for_each(|operand| {
            layouts.push(match operand {
                Place::Array(placed) => product.part(placed, block),
                Place::Product | Place::Verdict => block.layout(dtype),
            });
        });
        let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        layouts.iter().for_each(|layout| operands.push(layout));
        let work = Work { stream_above: Some(usize::MAX), ..Work::new(Some(1), 0.0) };
        // SAFETY: required of the caller.
        unsafe { execute_on(1, self.code, &operands, work) };
    }
}

/// Bytes of a thread's scratch for a block of a product.
pub(super) const SCRATCH: usize = 1 << 20;

/// Bytes that rows of a scratch may lie apart: those of a cache line.
pub(super) const GAP: usize = 64;

/// Bytes from one row of a scratch to the next, of rows of so many bytes: a product that reads them as they lie takes .95 of
/// the time if they do not meet in one set of L1.
pub(super) fn pitch(row: usize) -> usize {
    /// Bytes from one cache line to the next of its set.
    const SET: usize = 4 << 10;
    if row.is_multiple_of(SET) { row + GAP } else { row }
}

thread_local! {
    /// The lines of this thread's scratches that nothing uses.
    static LINES: RefCell<Vec<Vec<Vector>>> = const { RefCell::new(Vec::new()) };
}

/// Lends a scratch of a thread, of at least so many bytes.
pub(super) fn with_scratch<R>(bytes: usize, use_scratch: impl FnOnce(*mut u8) -> R) -> R {
    let mut lines = LINES.with_borrow_mut(Vec::pop).unwrap_or_default();
    let need = bytes.div_ceil(size_of::<Vector>());
    if lines.len() < need {
        lines.resize(need, Vector::ZERO);
    }
    let result = use_scratch(lines.as_mut_ptr().cast());
    LINES.with_borrow_mut(|free| free.push(lines));
    result
}
