//! Executing one elementwise kernel over arrays of any layout.
//!
//! An iteration [`Space`] is walked in one of two ways:
//!
//! - **by rows**, where the innermost dimension is long: a contiguous operand is handed to the
//!   kernel where it lies, a repeated element as one vector with step 0, and a strided one is
//!   packed tile by tile into a scratch that stays in L1;
//! - **by tiles of several rows**, where the rows are short, so that nothing is paid per row: what
//!   is contiguous over the whole space stays where it lies, a row that repeats is packed once, and
//!   the rest is packed tile by tile.
//!
//! What does not fill a vector goes through a padded vector and the same machine code, so an
//! element's result depends on nothing but the element.

use super::layout::{Inner, OPERANDS, Space, broadcast_shape, broadcasts_to};
use super::overlap;
use super::pack::{self, Scratch, Vector};
use super::view::{View, ViewMut};
use crate::emit::{Code, Storage};
use crate::error::{Operand, RunError};
use kiln_ir::DType;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements of a tile: a few operands of this many stay in L1.
const TILE: usize = 2048;
/// Rows up to this size are walked by tiles of several rows.
const SHORT: usize = 64;
/// The same where every operand is contiguous or repeats its row, so that tiles cost nothing.
const SHORT_IF_FREE: usize = 1024;
/// What a thread must have to do, in nanoseconds, to be worth waking: waking a pool costs 17 µs.
const WORTH_A_THREAD: f64 = 40_000.0;
/// Nanoseconds per byte moved, a lower bound of any kernel's cost.
const PER_BYTE: f64 = 0.02;

/// How much there is to do for an element, and how many threads may do it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// At most so many threads; `Some(1)` stays on the caller's, `None` takes the current pool.
    pub threads: Option<usize>,
    /// Estimated nanoseconds per element on one thread.
    pub cost: f64,
}

impl Default for Work {
    fn default() -> Work {
        Work { threads: None, cost: 0.5 }
    }
}

/// Runs `code` once per element of the outputs, to whose shape the inputs broadcast.
///
/// An output may be exactly an input (the same elements in the same order); any other overlap of
/// an output is an error. Nothing is written if there is an error.
pub fn execute(
    code: &Code,
    inputs: &[View<'_>],
    outputs: &mut [ViewMut<'_>],
    work: Work,
) -> Result<(), RunError> {
    check_types(code, inputs, outputs)?;
    let Some(first) = outputs.first() else { return Ok(()) };
    check_shapes(inputs, outputs)?;
    overlap::check(inputs, outputs)?;
    if first.shape().contains(&0) {
        return Ok(());
    }
    let layouts = inputs.iter().map(|v| &v.layout).chain(outputs.iter().map(|v| &v.layout));
    let space = Space::new(first.shape(), layouts, inputs.len());
    let job = Job::new(code, space);
    match job.threads(work) {
        1 => Worker::new(&job).range(0..job.space.len()),
        threads => job.parallel(threads),
    }
    Ok(())
}

fn check_types(code: &Code, inputs: &[View<'_>], outputs: &[ViewMut<'_>]) -> Result<(), RunError> {
    let (expected, found) = (code.inputs().len(), inputs.len());
    if expected != found {
        return Err(RunError::InputCount { expected, found });
    }
    let (expected, found) = (code.outputs().len(), outputs.len());
    if expected != found {
        return Err(RunError::OutputCount { expected, found });
    }
    let dtype = |storage: &Storage| match storage {
        Storage::F32 => DType::F32,
        Storage::F64 => DType::F64,
        Storage::Bool => DType::Bool,
    };
    for (i, (view, storage)) in inputs.iter().zip(code.inputs()).enumerate() {
        let (expected, found) = (dtype(storage), view.dtype());
        if expected != found {
            return Err(RunError::DType { operand: Operand::Input(i), expected, found });
        }
    }
    for (i, (view, storage)) in outputs.iter().zip(code.outputs()).enumerate() {
        let (expected, found) = (dtype(storage), view.dtype());
        if expected != found {
            return Err(RunError::DType { operand: Operand::Output(i), expected, found });
        }
    }
    Ok(())
}

/// All outputs have one shape, and inputs broadcast to it.
fn check_shapes(inputs: &[View<'_>], outputs: &[ViewMut<'_>]) -> Result<(), RunError> {
    let shape = outputs[0].shape();
    for (index, output) in outputs.iter().enumerate().skip(1) {
        if output.shape() != shape {
            let (expected, found) = (shape.to_vec(), output.shape().to_vec());
            return Err(RunError::OutputShape { index, expected, found });
        }
    }
    if inputs.iter().all(|input| broadcasts_to(input.shape(), shape)) {
        return Ok(());
    }
    // Either the inputs do not fit each other, or what they give is not the output's shape.
    let shapes: Vec<&[usize]> = inputs.iter().map(View::shape).collect();
    let expected = broadcast_shape(&shapes)?;
    Err(RunError::OutputShape { index: 0, expected, found: shape.to_vec() })
}

/// How an operand reaches the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Where it lies.
    Direct,
    /// One vector of a repeated element.
    Splat,
    /// Packed once: every row is the same.
    Repeat,
    /// Packed, tile by tile.
    Packed,
}

/// A kernel over a space.
struct Job<'a> {
    code: &'a Code,
    space: Space,
    inputs: usize,
    access: SmallVec<[Access; OPERANDS]>,
    /// Rows of a tile, where tiles have several.
    tile_rows: Option<usize>,
}

// SAFETY: workers read the space and write disjoint ranges of it.
unsafe impl Sync for Job<'_> {}

impl<'a> Job<'a> {
    fn new(code: &'a Code, space: Space) -> Job<'a> {
        let (inputs, row) = (code.inputs().len(), space.inner());
        let operands = 0..space.operands();
        let rank = space.extents.len();
        let free = |op: usize| space.is_flat(op) || (op < inputs && space.repeats_rows(op));
        let by_tiles =
            rank > 1 && (row <= SHORT || (row <= SHORT_IF_FREE && operands.clone().all(free)));
        let by_row = |op: usize| match space.inner_class(op) {
            Inner::Contiguous => Access::Direct,
            Inner::Splat => Access::Splat,
            Inner::Strided => Access::Packed,
        };
        let by_tile = |op: usize| match space.inner_class(op) {
            _ if space.is_flat(op) => Access::Direct,
            Inner::Splat if space.repeats_rows(op) => Access::Splat,
            _ if op < inputs && space.repeats_rows(op) => Access::Repeat,
            _ => Access::Packed,
        };
        let access = match by_tiles {
            true => operands.map(by_tile).collect(),
            false => operands.map(by_row).collect(),
        };
        let tile_rows = by_tiles.then(|| {
            let (rows, lanes) = (TILE / row, code.lanes());
            if rows > lanes { rows - rows % lanes } else { rows }
        });
        Job { code, space, inputs, access, tile_rows }
    }

    /// How many threads the work is worth.
    fn threads(&self, work: Work) -> usize {
        let most = work.threads.unwrap_or(usize::MAX);
        let bytes: usize = self.space.sizes.iter().sum();
        let cost = work.cost.max(bytes as f64 * PER_BYTE);
        let worth = (self.space.len() as f64 * cost / WORTH_A_THREAD) as usize;
        // The pool is asked last: asking starts it.
        if most.min(worth) < 2 { 1 } else { most.min(worth).min(rayon::current_num_threads()) }
    }

    /// Elements that a range must begin at a multiple of.
    fn unit(&self) -> usize {
        self.tile_rows.map_or(TILE, |rows| rows * self.space.inner())
    }

    fn parallel(&self, threads: usize) {
        let (len, unit) = (self.space.len(), self.unit());
        // More chunks than threads, for threads that others keep busy.
        let chunk = len.div_ceil(threads * 4).next_multiple_of(unit);
        let next = AtomicUsize::new(0);
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            let mut worker = Worker::new(self);
            loop {
                let start = next.fetch_add(1, Ordering::Relaxed) * chunk;
                if start >= len {
                    break;
                }
                worker.range(start..len.min(start + chunk));
            }
        });
    }
}

/// Runs ranges of a job on one thread.
struct Worker<'a> {
    job: &'a Job<'a>,
    /// Where each operand's part at hand is, in its array or its scratch; a splat is in its pad.
    at: SmallVec<[*mut u8; OPERANDS]>,
    /// Bytes from vector to vector of each input.
    steps: SmallVec<[usize; OPERANDS]>,
    /// One vector per operand, for splats and tails.
    pads: SmallVec<[Vector; OPERANDS]>,
    /// A tile per packed operand.
    scratch: Scratch,
    repeats_packed: bool,
}

impl<'a> Worker<'a> {
    fn new(job: &'a Job<'a>) -> Worker<'a> {
        let (space, lanes) = (&job.space, job.code.lanes());
        let step = |op: usize| match job.access[op] {
            Access::Splat => 0,
            _ => lanes * space.sizes[op],
        };
        let tile = TILE.min(space.len());
        let packed = |op: usize| match job.access[op] {
            Access::Packed | Access::Repeat => tile * space.sizes[op],
            Access::Direct | Access::Splat => 0,
        };
        let mut worker = Worker {
            job,
            at: space.bases.clone(),
            steps: (0..job.inputs).map(step).collect(),
            pads: SmallVec::new(),
            scratch: Scratch::new((0..space.operands()).map(packed)),
            repeats_packed: false,
        };
        let needs_pads = job.access.contains(&Access::Splat)
            || space.extents.len() > 1
            || !space.len().is_multiple_of(lanes);
        if needs_pads {
            worker.pads.resize(space.operands(), Vector::ZERO);
        }
        worker
    }

    /// Elements `range` of the space, in the order of its dimensions.
    fn range(&mut self, range: Range<usize>) {
        let row = self.job.space.inner();
        match self.job.tile_rows {
            Some(rows) => {
                let end = range.end / row;
                for first in (range.start / row..end).step_by(rows) {
                    self.tile(first..end.min(first + rows));
                }
            }
            None => {
                let mut start = range.start;
                while start < range.end {
                    let column = start % row;
                    let end = range.end.min(start - column + row);
                    self.row(start / row, column, end - start);
                    start = end;
                }
            }
        }
    }

    /// `n` elements of row `row`, from `column` on.
    fn row(&mut self, row: usize, column: usize, n: usize) {
        let job = self.job;
        let space = &job.space;
        let mut bases: SmallVec<[*mut u8; OPERANDS]> = SmallVec::new();
        for op in 0..space.operands() {
            let offset = space.row_offset(row, op) + column as isize * space.inner_stride(op);
            bases.push(space.bases[op].wrapping_offset(offset));
            if job.access[op] == Access::Splat {
                self.splat(op, bases[op]);
            }
        }
        let tile = if job.access.contains(&Access::Packed) { TILE } else { n };
        for start in (0..n).step_by(tile) {
            let len = tile.min(n - start);
            for op in 0..space.operands() {
                let stride = space.inner_stride(op);
                let here = bases[op].wrapping_offset(start as isize * stride);
                match job.access[op] {
                    Access::Direct => self.at[op] = here,
                    Access::Packed => {
                        self.at[op] = self.scratch.of(op);
                        if op < job.inputs {
                            // SAFETY: `len` elements of the array from `here`, and a tile of them.
                            unsafe { pack::gather(self.at[op], here, stride, len, space.sizes[op]) }
                        }
                    }
                    Access::Splat | Access::Repeat => {}
                }
            }
            self.call(len);
            for op in job.inputs..space.operands() {
                if job.access[op] == Access::Packed {
                    let stride = space.inner_stride(op);
                    let here = bases[op].wrapping_offset(start as isize * stride);
                    // SAFETY: as for gathering.
                    unsafe { pack::scatter(here, stride, self.at[op], len, space.sizes[op]) }
                }
            }
        }
    }

    /// Whole rows as one tile.
    fn tile(&mut self, rows: Range<usize>) {
        let job = self.job;
        let space = &job.space;
        let row = space.inner();
        for op in 0..space.operands() {
            match job.access[op] {
                Access::Direct => {
                    let offset = (rows.start * row * space.sizes[op]) as isize;
                    self.at[op] = space.bases[op].wrapping_offset(offset);
                }
                Access::Splat if !self.repeats_packed => self.splat(op, space.bases[op]),
                Access::Repeat if !self.repeats_packed => {
                    // A whole tile, for the largest to come.
                    self.at[op] = self.scratch.of(op);
                    let most = (self.scratch.bytes(op) / space.sizes[op] / row).min(TILE / row);
                    // SAFETY: a scratch of as many rows.
                    unsafe { pack::gather_rows(self.at[op], space, op, 0..most) };
                }
                Access::Packed => {
                    self.at[op] = self.scratch.of(op);
                    if op < job.inputs {
                        // SAFETY: a scratch of a tile, and rows of the space.
                        unsafe { pack::gather_rows(self.at[op], space, op, rows.clone()) };
                    }
                }
                Access::Splat | Access::Repeat => {}
            }
        }
        self.repeats_packed = true;
        self.call(rows.len() * row);
        for op in job.inputs..space.operands() {
            if job.access[op] == Access::Packed {
                // SAFETY: as for gathering.
                unsafe { pack::scatter_rows(space, op, rows.clone(), self.at[op]) };
            }
        }
    }

    /// Fills an operand's pad with the element at `source`.
    fn splat(&mut self, op: usize, source: *const u8) {
        let (size, lanes) = (self.job.space.sizes[op], self.job.code.lanes());
        let pad = self.pads.as_mut_ptr().wrapping_add(op).cast();
        // SAFETY: an element of the array, and a vector of elements.
        unsafe { pack::gather(pad, source, 0, lanes, size) };
    }

    /// Runs the kernel on `n` elements that lie at `self.at`.
    fn call(&mut self, n: usize) {
        let (job, inputs) = (self.job, self.job.inputs);
        let tail = n % job.code.lanes();
        let whole = n - tail;
        if whole > 0 {
            let pads = self.pads.as_mut_ptr();
            let source = |op: usize| match job.access[op] {
                Access::Splat => pads.wrapping_add(op).cast::<u8>().cast_const(),
                _ => self.at[op].cast_const(),
            };
            let sources: SmallVec<[*const u8; OPERANDS]> = (0..inputs).map(source).collect();
            // SAFETY: every operand has `n` elements where it lies, is a splat's vector, or has a
            // scratch of a tile; overlaps were checked.
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
        for op in (0..inputs).filter(|&op| job.access[op] != Access::Splat) {
            let size = space.sizes[op];
            let from = self.at[op].wrapping_add(start * size);
            // SAFETY: `count` elements are left at `from`; the pad holds `lanes`. What is left of
            // it repeats an element, which takes no path that the others don't.
            unsafe {
                pack::gather(pads[op], from, 0, lanes, size);
                pack::gather(pads[op], from, size as isize, count, size);
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
            unsafe { pack::gather(to, pads[op], size as isize, count, size) };
        }
    }
}
