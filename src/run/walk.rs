//! Walking an iteration space block by block, on one thread.
//!
//! A block is some rows of the space (a row is a run of the innermost dimension). Where rows are
//! long, it is some columns of them. An operand reaches the kernel
//!
//! - where it lies, if its rows are contiguous;
//! - as copies with step 0, if each row repeats one element;
//! - packed into a scratch that stays in L1, otherwise.
//!
//! One call handles rows that are evenly spaced: `x + y` with rows of 100 of 200 `f32` takes 0.17
//! ns an element, against 0.33 with a call for each row. Short rows still leave vectors half empty,
//! so they are *joined* into one: what is contiguous over the whole space stays where it lies, a
//! row that repeats is packed once, and the rest is packed block by block.
//! the rest is packed block by block, and all rows are one.

use super::call::{Call, Pads};
use super::interrupt::goes_on;
use super::layout::{Inner, OPERANDS, Space};
use super::pack::{self, Block, Scratch, Vector};
use kiln_jit::emit::{Code, Cursor};
use smallvec::SmallVec;
use std::ops::Range;

/// Elements of a packed block: a few operands of this size stay in L1.
const TILE: usize = 2048;
/// Bytes of a row of a block with a transposed operand. What lies row by row is then read and
/// written in runs long enough for the processor to fetch ahead. Measured with `x + y`, `y`
/// transposed, `f32` of 4096 x 4096 and `f64` of 2048 x 2048, on one thread (Zen 5, 1 MiB of L2),
/// ns per element: rows of 512 bytes 1.1 and 2.1, of 4 KiB 0.73 and 1.39, of 8 KiB 0.68 and 1.29,
/// of 16 KiB 0.63 and 1.11, of 32 KiB 0.64 (`f32`). Where all are contiguous: 0.28 and 0.57.
const ROW: usize = 16 << 10;
/// Bytes of a column of such a block: cache lines in a row. With 256 bytes: 1.2 ns (`f64`).
const COLUMN: usize = 512;
/// Bytes between its packed rows. Where rows are a power of two apart, a column has only one set of
/// the cache, and this takes 1.2 and 2.6 ns.
const GAP: usize = 64;
/// Most bytes of such a block, for each operand. Whole columns are worth more than a block that
/// stays in L2: `x + y` of 3000 x 3000 `f32` takes 0.61 ns with 1 MiB, 0.48 with 2 MiB, 0.51 with 8
/// MiB. `x+y*z+u*v`, four transposed, 2048 x 2048 `f32`, takes 2.5 ns with 1 MiB for all operands,
/// 1.5 with 1 MiB for each.
const TALL: usize = 2 << 20;
/// Elements of a block that is not packed.
const LONG: usize = 1 << 16;
/// Rows up to this size are joined.
const SHORT: usize = 64;
/// But from this size on, they are left apart if they lie as code reads them, and either no element
/// is left over for a single vector or that costs next to nothing (less than [`CHEAP`]). `x + y` of
/// every other 32 `f32` (AVX-512): 0.37 ns per element joined, 0.17 row by row. Tanh-GELU of
/// `x + y`: 0.66 and 0.52, but of every other 17, 0.76 and 0.95.
const ALONE: usize = 8;
/// Nanoseconds for an element.
const CHEAP: f64 = 0.1;
/// Rows up to this size are joined where that packs no operand block by block.
const SHORT_IF_FREE: usize = 1024;
/// Bytes of a row up to which rows are joined where a packed operand is transposed. `x + y`, `y`
/// transposed, ns a call joined and (by an earlier build) not: `f32` of 128 x 128 3070 and 4190, of
/// 256 x 256 12,500 and 14,000; `f64` of 128 x 128 4670 and 6020, but of 256 x 256 33,000 and
/// 25,000.
const SHORT_IF_TRANSPOSED: usize = 1 << 10;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes of repeated elements, for each operand, that one call on several rows reads. They stay in
/// L1.
const SPLATS: usize = 16 << 10;

/// How an operand reaches the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Where it lies.
    Direct,
    /// One vector of an element that all rows share.
    Constant,
    /// As many vectors per row as code reads at once.
    Splat,
    /// Packed once, since every row is the same.
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
    space: &'a Space,
    inputs: usize,
    access: SmallVec<[Access; OPERANDS]>,
    /// Whether the rows of a block are one call.
    joined: bool,
    /// Rows and columns of a block.
    block: [usize; 2],
    /// Bytes between its packed rows.
    gap: usize,
    /// Most rows of a call.
    most: usize,
}

// SAFETY: workers read the space and write disjoint blocks of it.
unsafe impl Sync for Job<'_> {}

impl<'a> Job<'a> {
    /// The job, cut for this number of threads.
    pub(super) fn new(code: &'a Code, space: &'a Space, threads: usize) -> Job<'a> {
        let (inputs, lanes, row) = (code.inputs().len(), code.lanes(), space.inner());
        let operands = 0..space.operands();
        let repeats = |op: usize| op < inputs && space.repeats_rows(op);
        // An operand lies transposed where its rows are nearer to one another than its columns.
        let transposed = |op: usize| {
            let down = space.row_step(op).unsigned_abs();
            space.inner_class(op) == Inner::Strided
                && (1..space.inner_stride(op).unsigned_abs()).contains(&down)
        };
        let free = |op: usize| space.is_flat(op) || repeats(op) || transposed(op);
        let transposes = operands.clone().any(transposed);
        let size = space.sizes.iter().copied().max().expect("there are operands");
        let short_if_free = if transposes { SHORT_IF_TRANSPOSED / size } else { SHORT_IF_FREE };
        let several = space.extents.len() > 1;
        // One call takes rows that lie anywhere, as long as it takes whole rows.
        let lies = |op: usize| match space.inner_class(op) {
            Inner::Contiguous => true,
            Inner::Splat => repeats(op),
            Inner::Strided => false,
        };
        let whole = row.is_multiple_of(code.copies())
            || (code.takes_any_count() && code.nanoseconds() < CHEAP);
        let alone = row >= ALONE && whole && operands.clone().all(lies);
        let joined = several
            && ((row <= SHORT && !alone) || (row <= short_if_free && operands.clone().all(free)));
        let access_of = |op: usize| match space.inner_class(op) {
            Inner::Contiguous if !joined || space.is_flat(op) => Access::Direct,
            Inner::Splat if repeats(op) => Access::Constant,
            Inner::Splat if !joined => Access::Splat,
            _ if joined && repeats(op) => Access::Repeat,
            _ => Access::Packed,
        };
        let mut access: SmallVec<[Access; OPERANDS]> = SmallVec::new();
        operands.for_each(|op| access.push(access_of(op)));
        let packs = access.contains(&Access::Packed);
        let tall = !joined && transposes;
        let columns = match packs {
            _ if joined => row,
            true if tall => row.min(ROW / size),
            true => row.min(TILE),
            false => row.min(LONG),
        };
        let elements = if joined || packs { TILE } else { LONG };
        let mut rows = (elements / columns).max(1);
        if tall {
            let room = TALL / (columns * size);
            rows = room.min(COLUMN / size).min(share(space.rows(), threads, size));
        } else if transposes {
            // Whole cache lines of a column.
            rows = rows.max(LINE / size);
        }
        if joined && rows > lanes {
            // No tail except the last.
            rows -= rows % lanes;
        }
        let block = [rows.min(space.rows()), columns];
        let gap = if tall { GAP } else { 0 };
        let splat = code.copies() * size;
        let most = if access.contains(&Access::Splat) { (SPLATS / splat).max(1) } else { block[0] };
        Job { code, space, inputs, access, joined, block, gap, most: most.min(block[0]) }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        let [rows, columns] = self.block;
        self.space.rows().div_ceil(rows) * self.space.inner().div_ceil(columns)
    }

    /// Does the blocks that `take` hands out, until there are none left.
    pub(super) fn work(&self, mut take: impl FnMut() -> Option<Range<usize>>) {
        if let Some(first) = take() {
            let rest = std::iter::from_fn(take);
            // Kept apart from the worker: nothing borrows the pads while kernels write through
            // pointers.
            let mut pads: SmallVec<[Vector; OPERANDS]> = SmallVec::new();
            if self.pads() {
                pads.reserve(self.space.operands());
            }
            let pads = Pads(pads.as_mut_ptr());
            let blocks = std::iter::once(first).chain(rest).flatten();
            Worker::new(self, pads).blocks(blocks.take_while(|_| goes_on()));
        }
    }

    /// Whether operands need pads: for an element that all rows share, or for tails.
    fn pads(&self) -> bool {
        // A block ends where it fits a cache, which may be in the middle of a vector.
        self.access.contains(&Access::Constant) || !self.code.takes_any_count()
    }

    /// Where the first column of a block in `row` lies in an operand's array.
    fn array(&self, op: usize, block: &Block, row: usize) -> *mut u8 {
        let column = block.columns.start as isize * self.space.inner_stride(op);
        self.space.bases[op].wrapping_offset(self.space.row_offset(row, op) + column)
    }

    /// Block `index`. Blocks of the same rows follow one another.
    fn block(&self, index: usize) -> Block {
        let [rows, columns] = self.block;
        let across = self.space.inner().div_ceil(columns);
        let (row, column) = (index / across * rows, index % across * columns);
        Block {
            rows: row..self.space.rows().min(row + rows),
            columns: column..self.space.inner().min(column + columns),
            gap: self.gap,
        }
    }
}

/// Rows of a block such that every thread gets some blocks: whole cache lines of a column.
fn share(rows: usize, threads: usize, size: usize) -> usize {
    const BLOCKS: usize = 4;
    let most = if threads == 1 { rows } else { rows.div_ceil(threads * BLOCKS) };
    most.next_multiple_of(LINE / size)
}

/// Runs blocks of a job on one thread.
struct Worker<'a> {
    job: &'a Job<'a>,
    /// Where the current part of each operand is: in its array, its scratch or its pad.
    cursors: SmallVec<[Cursor; OPERANDS]>,
    /// Room for one vector per operand, for constants and tails.
    pads: Pads,
    /// A block per packed operand, and the splats of a call's rows.
    scratch: Scratch,
}

impl<'a> Worker<'a> {
    // Inlined, so that it is built in place.
    #[inline(always)]
    fn new(job: &'a Job<'a>, pads: Pads) -> Worker<'a> {
        let (space, lanes) = (job.space, job.code.lanes());
        let step = |op: usize| match job.access[op].is_splat() {
            true => 0,
            false => lanes * space.sizes[op],
        };
        let [rows, columns] = job.block;
        let packed = |op: usize| match job.access[op] {
            Access::Packed | Access::Repeat => rows * (columns * space.sizes[op] + job.gap),
            Access::Splat => job.most * job.code.copies() * space.sizes[op],
            Access::Direct | Access::Constant => 0,
        };
        let scratch = Scratch::new((0..space.operands()).map(packed));
        let mut worker = Worker { job, cursors: SmallVec::new(), pads, scratch };
        // Pushed, not collected: see `Kernel::run_steps`.
        for (op, &base) in space.bases.iter().enumerate() {
            worker.cursors.push(Cursor { base, step: step(op), row: 0 });
        }
        worker
    }

    /// Some blocks of the job.
    fn blocks(&mut self, indices: impl Iterator<Item = usize>) {
        let job = self.job;
        for op in 0..job.inputs {
            match job.access[op] {
                Access::Constant => {
                    let pad = self.pads.of(op);
                    self.splat(op, pad, job.space.bases[op]);
                    self.cursors[op].base = pad;
                }
                Access::Repeat => {
                    let [rows, columns] = job.block.map(|size| 0..size);
                    let (scratch, block) = (self.scratch.of(op), Block { rows, columns, gap: 0 });
                    // SAFETY: a block of the space, and a scratch of its size.
                    unsafe { pack::gather(scratch, job.space, op, &block) };
                    self.cursors[op].base = scratch;
                }
                _ => {}
            }
        }
        for index in indices {
            self.block(&job.block(index));
        }
    }

    fn block(&mut self, block: &Block) {
        let job = self.job;
        let space = job.space;
        let packed = |op: &usize| job.access[*op] == Access::Packed;
        for op in (0..job.inputs).filter(packed) {
            // SAFETY: a block of the space, and a scratch of its size.
            unsafe { pack::gather(self.scratch.of(op), space, op, block) };
        }
        if job.joined {
            self.point(block, block.rows.start, 1);
            self.call(1, block.rows.len() * block.columns.len());
        } else {
            // Rows are evenly spaced within a run of the next to innermost dimension.
            let run = space.run();
            let mut row = block.rows.start;
            while row < block.rows.end {
                let rows = (run - row % run).min(block.rows.end - row).min(job.most);
                self.point(block, row, rows);
                self.call(rows, block.columns.len());
                row += rows;
            }
        }
        for op in (job.inputs..space.operands()).filter(packed) {
            // SAFETY: as for gathering; workers have different blocks.
            unsafe { pack::scatter(space, op, block, self.scratch.of(op)) };
        }
    }

    /// Points the cursors at some rows of a block, beginning at `row`.
    fn point(&mut self, block: &Block, row: usize, rows: usize) {
        let job = self.job;
        for op in 0..job.space.operands() {
            let (size, array) = (job.space.sizes[op], || job.array(op, block, row));
            let (base, step) = match job.access[op] {
                Access::Direct => (array(), job.space.row_step(op)),
                Access::Splat => {
                    let (base, pitch) = (self.scratch.of(op), job.code.copies() * size);
                    let first = array();
                    for row in 0..rows {
                        let from = first.wrapping_offset(row as isize * job.space.row_step(op));
                        self.splat(op, base.wrapping_add(row * pitch), from);
                    }
                    (base, pitch as isize)
                }
                Access::Packed => {
                    let pitch = block.pitch(size);
                    let before = (row - block.rows.start) * pitch;
                    (self.scratch.of(op).wrapping_add(before), pitch as isize)
                }
                Access::Constant | Access::Repeat => continue,
            };
            (self.cursors[op].base, self.cursors[op].row) = (base, step);
        }
    }

    /// Repeats the element at `source` as often as code reads it at once.
    fn splat(&self, op: usize, to: *mut u8, source: *const u8) {
        let (size, copies) = (self.job.space.sizes[op], self.job.code.copies());
        // SAFETY: an element of the array, and a pad or part of a scratch with room for the copies.
        unsafe { pack::fill(to, source, copies, size) };
    }

    /// Runs the kernel on rows of `n` elements.
    fn call(&mut self, rows: usize, n: usize) {
        let job = self.job;
        let call = Call {
            code: job.code,
            sizes: &job.space.sizes,
            cursors: &mut self.cursors,
            pads: self.pads,
            streams: false,
        };
        // SAFETY: every operand has `n` elements in each row where it lies, or has a scratch of a
        // block. A splat has the copies for each row. Overlaps were checked.
        unsafe { call.rows(rows, n) };
    }
}
