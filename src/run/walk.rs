//! Walking an iteration space block by block, on one thread.
//!
//! A block is some rows of the space (a row is a run of the innermost dimension) or, where rows are
//! long, some columns of them. An operand reaches the kernel
//!
//! - where it lies, if its rows are contiguous;
//! - as one vector and step 0, if its rows repeat one element;
//! - packed into a scratch that stays in L1, otherwise.
//!
//! Long rows take one call each. Short rows would pay for it, so a block of them is *joined*: what
//! is contiguous over the whole space stays where it lies, a row that repeats is packed once, the
//! rest is packed block by block, and one call handles all rows.
//!
//! What does not fill a vector goes through padded vectors and the same machine code, so an
//! element's result depends on nothing but the element.

use super::layout::{Inner, OPERANDS, Space};
use super::pack::{self, Block, Scratch, Vector};
use crate::emit::Code;
use smallvec::SmallVec;
use std::ops::Range;

/// Elements of a block that is packed: a few operands of this many stay in L1.
const TILE: usize = 2048;
/// Columns of a packed block of long rows: enough for a call, and rows enough that a transposed
/// operand is read by whole cache lines.
const COLUMNS: usize = 128;
/// Elements of a block that is not packed.
const LONG: usize = 1 << 16;
/// Rows up to this size are joined.
const SHORT: usize = 64;
/// The same where no operand must be packed block by block for it.
const SHORT_IF_FREE: usize = 1024;

/// How an operand reaches the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Where it lies.
    Direct,
    /// One vector of an element that is the same for every row.
    Constant,
    /// One vector per row.
    Splat,
    /// Packed once: every row is the same.
    Repeat,
    /// Packed, block by block.
    Packed,
}

impl Access {
    fn is_splat(self) -> bool {
        matches!(self, Access::Constant | Access::Splat)
    }
}

/// A kernel over a space, cut into blocks.
pub(super) struct Job<'a> {
    code: &'a Code,
    space: Space,
    inputs: usize,
    access: SmallVec<[Access; OPERANDS]>,
    /// Whether the rows of a block are one call.
    joined: bool,
    /// Rows and columns of a block.
    block: [usize; 2],
}

// SAFETY: workers read the space and write disjoint blocks of it.
unsafe impl Sync for Job<'_> {}

impl<'a> Job<'a> {
    pub(super) fn new(code: &'a Code, space: Space) -> Job<'a> {
        let (inputs, lanes, row) = (code.inputs().len(), code.lanes(), space.inner());
        let operands = 0..space.operands();
        let repeats = |op: usize| op < inputs && space.repeats_rows(op);
        let free = |op: usize| space.is_flat(op) || repeats(op);
        let several = space.extents.len() > 1;
        let joined =
            several && (row <= SHORT || (row <= SHORT_IF_FREE && operands.clone().all(free)));
        let access_of = |op: usize| match space.inner_class(op) {
            Inner::Contiguous if !joined || space.is_flat(op) => Access::Direct,
            Inner::Splat if repeats(op) => Access::Constant,
            Inner::Splat if !joined => Access::Splat,
            _ if joined && repeats(op) => Access::Repeat,
            _ => Access::Packed,
        };
        let access: SmallVec<[Access; OPERANDS]> = operands.map(access_of).collect();
        let columns = match access.contains(&Access::Packed) {
            _ if joined => row,
            true if several => row.min(COLUMNS),
            true => row.min(TILE),
            false => row.min(LONG),
        };
        let elements = if joined || access.contains(&Access::Packed) { TILE } else { LONG };
        let mut rows = (elements / columns).max(1);
        if joined && rows > lanes {
            // No tail but the last.
            rows -= rows % lanes;
        }
        let block = [rows.min(space.rows()), columns];
        Job { code, space, inputs, access, joined, block }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        let [rows, columns] = self.block;
        self.space.rows().div_ceil(rows) * self.space.inner().div_ceil(columns)
    }

    /// Block `index`: the blocks of the same rows follow one another.
    fn block(&self, index: usize) -> Block {
        let [rows, columns] = self.block;
        let across = self.space.inner().div_ceil(columns);
        let (row, column) = (index / across * rows, index % across * columns);
        Block {
            rows: row..self.space.rows().min(row + rows),
            columns: column..self.space.inner().min(column + columns),
        }
    }
}

/// Runs blocks of a job on one thread.
pub(super) struct Worker<'a> {
    job: &'a Job<'a>,
    /// Where each operand's part at hand is, in its array or its scratch; a splat is in its pad.
    at: SmallVec<[*mut u8; OPERANDS]>,
    /// Bytes from vector to vector of each input.
    steps: SmallVec<[usize; OPERANDS]>,
    /// One vector per operand, for splats and tails.
    pads: SmallVec<[Vector; OPERANDS]>,
    /// A block per packed operand.
    scratch: Scratch,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Worker<'a> {
        let (space, lanes) = (&job.space, job.code.lanes());
        let step = |op: usize| match job.access[op].is_splat() {
            true => 0,
            false => lanes * space.sizes[op],
        };
        let [rows, columns] = job.block;
        let packed = |op: usize| match job.access[op] {
            Access::Packed | Access::Repeat => rows * columns * space.sizes[op],
            _ => 0,
        };
        let mut worker = Worker {
            job,
            at: space.bases.clone(),
            steps: (0..job.inputs).map(step).collect(),
            pads: SmallVec::new(),
            scratch: Scratch::new((0..space.operands()).map(packed)),
        };
        let has_splats = job.access.iter().any(|access| access.is_splat());
        if has_splats || space.extents.len() > 1 || !space.len().is_multiple_of(lanes) {
            worker.pads.resize(space.operands(), Vector::ZERO);
        }
        for op in 0..job.inputs {
            match job.access[op] {
                Access::Constant => worker.splat(op, space.bases[op]),
                Access::Repeat => {
                    worker.at[op] = worker.scratch.of(op);
                    let block = Block { rows: 0..rows, columns: 0..columns };
                    // SAFETY: a block of the space, and a scratch of its size.
                    unsafe { pack::gather(worker.at[op], space, op, &block) };
                }
                _ => {}
            }
        }
        worker
    }

    /// Blocks `range` of the job.
    pub(super) fn blocks(&mut self, range: Range<usize>) {
        for index in range {
            self.block(&self.job.block(index));
        }
    }

    fn block(&mut self, block: &Block) {
        let job = self.job;
        let space = &job.space;
        let packed = |op: &usize| job.access[*op] == Access::Packed;
        for op in (0..job.inputs).filter(packed) {
            // SAFETY: a block of the space, and a scratch of its size.
            unsafe { pack::gather(self.scratch.of(op), space, op, block) };
        }
        let columns = block.columns.len();
        if job.joined {
            self.row(block, block.rows.start, 0);
            self.call(block.rows.len() * columns);
        } else {
            for (i, row) in block.rows.clone().enumerate() {
                self.row(block, row, i * columns);
                self.call(columns);
            }
        }
        for op in (job.inputs..space.operands()).filter(packed) {
            // SAFETY: as for gathering; workers have different blocks.
            unsafe { pack::scatter(space, op, block, self.scratch.of(op)) };
        }
    }

    /// Points at what a block has of `row`, which is in a scratch from element `packed` on.
    fn row(&mut self, block: &Block, row: usize, packed: usize) {
        let job = self.job;
        let space = &job.space;
        for op in 0..space.operands() {
            let access = job.access[op];
            if let Access::Direct | Access::Splat = access {
                let column = block.columns.start as isize * space.inner_stride(op);
                let here = space.bases[op].wrapping_offset(space.row_offset(row, op) + column);
                match access {
                    Access::Direct => self.at[op] = here,
                    _ => self.splat(op, here),
                }
            } else if access == Access::Packed {
                self.at[op] = self.scratch.of(op).wrapping_add(packed * space.sizes[op]);
            }
        }
    }

    /// Fills an operand's pad with the element at `source`.
    fn splat(&mut self, op: usize, source: *const u8) {
        let (size, lanes) = (self.job.space.sizes[op], self.job.code.lanes());
        let pad = self.pads.as_mut_ptr().wrapping_add(op).cast();
        // SAFETY: an element of the array, and a vector of elements.
        unsafe { pack::fill(pad, source, lanes, size) };
    }

    /// Runs the kernel on `n` elements that lie at `self.at`.
    fn call(&mut self, n: usize) {
        let (job, inputs) = (self.job, self.job.inputs);
        let tail = n % job.code.lanes();
        let whole = n - tail;
        if whole > 0 {
            let pads = self.pads.as_mut_ptr();
            let source = |op: usize| match job.access[op].is_splat() {
                true => pads.wrapping_add(op).cast::<u8>().cast_const(),
                false => self.at[op].cast_const(),
            };
            let sources: SmallVec<[*const u8; OPERANDS]> = (0..inputs).map(source).collect();
            // SAFETY: every operand has `n` elements where it lies, is a splat's vector, or has a
            // scratch of a block; overlaps were checked.
            unsafe { job.code.call(whole, &sources, &self.steps, &self.at[inputs..]) };
        }
        if tail > 0 {
            self.tail(whole, tail);
        }
    }

    /// The last elements, too few for a vector: through padded vectors.
    fn tail(&mut self, start: usize, count: usize) {
        let (job, inputs) = (self.job, self.job.inputs);
        let (space, lanes) = (&job.space, job.code.lanes());
        let pads = self.pads.as_mut_ptr();
        let pads: SmallVec<[*mut u8; OPERANDS]> =
            (0..space.operands()).map(|op| pads.wrapping_add(op).cast()).collect();
        for op in (0..inputs).filter(|&op| !job.access[op].is_splat()) {
            let size = space.sizes[op];
            let from = self.at[op].wrapping_add(start * size);
            // SAFETY: `count` elements are left at `from`; the pad holds `lanes`. What is left of
            // it repeats an element, which takes no path that the others don't.
            unsafe {
                pack::fill(pads[op], from, lanes, size);
                pads[op].copy_from_nonoverlapping(from, count * size);
            }
        }
        let sources: SmallVec<[*const u8; OPERANDS]> =
            pads[..inputs].iter().map(|pad| pad.cast_const()).collect();
        // SAFETY: one vector of every operand.
        unsafe { job.code.call(lanes, &sources, &self.steps, &pads[inputs..]) };
        for op in inputs..space.operands() {
            let size = space.sizes[op];
            let to = self.at[op].wrapping_add(start * size);
            // SAFETY: `count` elements are left at `to`.
            unsafe { to.copy_from_nonoverlapping(pads[op], count * size) };
        }
    }
}
