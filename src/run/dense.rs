//! Dense spaces: every operand is one run of memory, read once or over and over, or is one element.
//!
//! These are row-major arrays of one shape, single elements, and rows that repeat (a bias). Most
//! calls are of this kind. They need no nested loops: the elements are cut into blocks at cache
//! lines of the output, wherever rows end.

use super::call::{Call, Pads};
use super::interrupt::goes_on;
use super::layout::{OPERANDS, Space};
use super::pack::{self, Scratch, Vector};
use super::view::Layout;
use kiln_jit::emit::{Code, Cursor, fence};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

/// What an operand holds for element `i` of the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Along {
    /// Its element `i`.
    Direct,
    /// Its only element.
    Constant,
    /// Its element `i` modulo this.
    Periodic(usize),
}

/// Operands with periods up to this are written out, once for each thread, so that a block of any
/// length and start finds its part. With longer ones, blocks end where the period does, and whole
/// periods are the rows of one call. Rows of 1024, ns an element written out and as rows, with 32 KiB
/// of L1 (Zen 4): `x*w+b` of 4 Ki elements 0.32 and 0.20, of 256 Ki 0.14 and 0.12, `gelu_tanh(x*w+b)`
/// of 64 Ki 0.41 and 0.40; with rows of 256 `gelu_tanh(x*w+b)` 0.40 and 0.43.
const WRITTEN_OUT: usize = 256;
/// Bytes of an operand's part of a block where some are written out: they stay in L1. For
/// `gelu_tanh(x*w+b)` in `f64` with rows of 1024, 4 Mi elements take 0.73 ns each, against 0.84 to
/// 0.99 with twice the bytes.
const TILE: usize = 8 << 10;
/// How many bytes further on memory is asked for where results bypass the caches: processors that fetch ahead by
/// themselves stop where a page of 4 KiB ends. Nanoseconds for an `f32` of 64 MiB in memory, on a Xeon 6, without
/// this, with 1, 4 and 8 KiB: a chain of 20 multiply-adds .564, .391, .336 and .327, one of 12 .498, .300, .312 and .304,
/// one of 3 .327, .300, .294 and .299, a copy .306, .286, .285 and .283.
const AHEAD: isize = 4 << 10;
/// Fewest elements of a block, where there are several threads.
const SHORT: usize = 2048;
/// Most elements of a block: where there are several threads, the others finish soon after.
const LONG: usize = 1 << 16;
/// Blocks begin and end at multiples of this many elements: a cache line of bools.
const LINE: usize = 64;

/// A kernel over a dense space.
pub(super) struct Dense<'a> {
    code: &'a Code,
    /// Number of elements.
    n: usize,
    count: usize,
    bases: [*mut u8; OPERANDS],
    sizes: [usize; OPERANDS],
    along: [Along; OPERANDS],
    /// Elements of a block.
    block: usize,
    /// Elements before the first cache line of the first output.
    head: usize,
    pub(super) streams: bool,
}

// SAFETY: threads read the inputs and write disjoint blocks of the outputs.
unsafe impl Sync for Dense<'_> {}

impl<'a> Dense<'a> {
    /// The space of `operands`, the inputs and then the outputs, if it is a dense one. It has at
    /// least one element.
    // Inlined, with what it calls, so that it is built in place: 149 to 137 ns for `relu` of 16.
    #[inline(always)]
    pub(super) fn new(code: &'a Code, operands: &[&Layout]) -> Option<Dense<'a>> {
        let shape = &operands.get(code.inputs().len())?.shape;
        Dense::of(code, operands.len(), shape, |op| {
            let operand = operands[op];
            let along = if operand.shape == *shape && operand.is_row_major() {
                Some(Along::Direct)
            } else {
                let missing = shape.len() - operand.shape.len();
                along(shape, operand.dtype.size(), |dim| match dim.checked_sub(missing) {
                    Some(own) if operand.shape[own] != 1 => operand.strides[own],
                    _ => 0,
                })
            };
            (operand.base, operand.dtype.size(), along)
        })
    }

    /// The same, once dimensions are ordered and merged.
    pub(super) fn of_space(code: &'a Code, space: &Space) -> Option<Dense<'a>> {
        Dense::of(code, space.operands(), &space.extents, |op| {
            let along = along(&space.extents, space.sizes[op], |dim| space.stride(dim, op));
            (space.bases[op], space.sizes[op], along)
        })
    }

    /// `operand` gives an operand's base, its element size and, if it is a run, how it lies.
    #[inline(always)]
    fn of(
        code: &'a Code,
        count: usize,
        shape: &[usize],
        operand: impl Fn(usize) -> (*mut u8, usize, Option<Along>),
    ) -> Option<Dense<'a>> {
        if count > OPERANDS {
            return None;
        }
        let (inputs, n) = (code.inputs().len(), shape.iter().product());
        let (mut bases, mut sizes) = ([ptr::null_mut(); OPERANDS], [0; OPERANDS]);
        let mut alongs = [Along::Direct; OPERANDS];
        for op in 0..count {
            let (base, size, along) = operand(op);
            (bases[op], sizes[op], alongs[op]) = (base, size, along?);
            if op >= inputs && alongs[op] != Along::Direct {
                return None;
            }
        }
        let line = bases[inputs].addr().next_multiple_of(LINE) - bases[inputs].addr();
        let head = (line / sizes[inputs]).min(n);
        Some(Dense { code, n, count, bases, sizes, along: alongs, block: n, head, streams: false })
    }

    /// Cuts the space into blocks for this number of threads.
    pub(super) fn cut(&mut self, threads: usize) {
        /// Enough that a thread kept busy by others holds nothing up.
        const PER_THREAD: usize = 8;
        let even = self.n.div_ceil(threads * PER_THREAD).next_multiple_of(LINE);
        self.block = match threads {
            _ if self.written_out().next().is_some() => self.n.min(TILE / self.largest()),
            // Nothing is gained by blocks, but that the work can end between them.
            1 => self.n.min(LONG),
            _ => even.clamp(SHORT, LONG),
        };
    }

    /// Bytes of the largest element.
    fn largest(&self) -> usize {
        self.sizes[..self.count].iter().copied().max().unwrap_or(1)
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        (self.n - self.head).div_ceil(self.block).max(1)
    }

    /// The elements of a block.
    fn elements(&self, block: usize) -> Range<usize> {
        let bound = |block: usize| (self.head + block * self.block).min(self.n);
        if block == 0 { 0..bound(1) } else { bound(block)..bound(block + 1) }
    }

    /// Inputs that are written out, with their periods.
    fn written_out(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count).filter_map(|op| match self.along[op] {
            Along::Periodic(period) if period <= WRITTEN_OUT => Some((op, period)),
            _ => None,
        })
    }

    /// Whether an output is the memory of an input.
    pub(super) fn is_in_place(&self) -> bool {
        let (inputs, outputs) = self.bases[..self.count].split_at(self.code.inputs().len());
        outputs.iter().any(|output| inputs.contains(output))
    }

    /// Bytes read and written.
    pub(super) fn bytes(&self) -> usize {
        let elements = |op: usize| match self.along[op] {
            Along::Direct => self.n,
            Along::Constant => 1,
            Along::Periodic(period) => period,
        };
        (0..self.count).map(|op| elements(op) * self.sizes[op]).sum()
    }

    /// Does the blocks that `take` hands out, until there are none left.
    ///
    /// # Safety
    ///
    /// As for [`execute_checked`](super::exec::execute_checked).
    pub(super) unsafe fn work(&self, mut take: impl FnMut() -> Option<Range<usize>>) {
        let Some(first) = take() else { return };
        let (inputs, lanes) = (self.code.inputs().len(), self.code.lanes());
        let mut vectors = MaybeUninit::<[Vector; OPERANDS]>::uninit();
        let pads = Pads(vectors.as_mut_ptr().cast());
        let scratch = self.written_out().next().map(|_| Scratch::new(self.scratch_sizes()));
        let mut cursors = [Cursor { base: ptr::null_mut(), step: 0, row: 0 }; OPERANDS];
        let mut starts = self.bases;
        // Blocks end where a long period does.
        let mut period = usize::MAX;
        for op in 0..inputs {
            let (base, size) = (self.bases[op], self.sizes[op]);
            cursors[op].step = lanes * size;
            match self.along[op] {
                Along::Direct if self.streams => cursors[op].row = AHEAD,
                Along::Direct => {}
                Along::Constant => {
                    (cursors[op].step, starts[op]) = (0, pads.of(op));
                    // SAFETY: the one element of an array, and a pad with room for the copies.
                    unsafe { pack::fill(starts[op], base, self.code.copies(), size) };
                }
                Along::Periodic(own) => match &scratch {
                    Some(scratch) if own <= WRITTEN_OUT => {
                        let length = self.written_length(own);
                        starts[op] = scratch.of(op);
                        // SAFETY: the array has `own` elements, the scratch room for `length`.
                        unsafe { pack::repeat(starts[op], base, own * size, length * size) };
                    }
                    _ => period = period.min(own),
                },
            }
        }
        let in_rows = self.in_rows(period);
        if in_rows {
            for op in (0..self.count).filter(|&op| self.along[op] == Along::Direct) {
                cursors[op].row = (period * self.sizes[op]) as isize;
            }
        }
        let blocks = std::iter::once(first).chain(std::iter::from_fn(take)).flatten();
        for block in blocks.take_while(|_| goes_on()) {
            let mut elements = self.elements(block);
            while !elements.is_empty() {
                // Each period is a product of the last sizes of one shape, so it divides the longer
                // ones: the shortest ends whenever another does.
                let end = match period {
                    usize::MAX => elements.end,
                    _ => elements.end.min(elements.start + period - elements.start % period),
                };
                let length = end - elements.start;
                let rows = if in_rows && length == period { elements.len() / period } else { 1 };
                // SAFETY: the elements are within the space, and within one of each long period; or
                // they are whole periods, and all operands with one have that.
                unsafe { self.call(elements.start, rows, length, &starts, &mut cursors, pads) };
                elements.start += rows * length;
            }
        }
        if self.streams {
            fence();
        }
    }

    /// Whether whole periods are rows of one call. Streaming code takes one at a time.
    fn in_rows(&self, period: usize) -> bool {
        let fits = |&along: &Along| match along {
            Along::Periodic(own) => own == period,
            Along::Direct | Along::Constant => true,
        };
        !self.streams && period != usize::MAX && self.along[..self.count].iter().all(fits)
    }

    /// Runs the kernel on some rows of `length` elements from `first` on; `starts` says where operands
    /// begin: in their arrays, written out or in a pad.
    unsafe fn call(
        &self,
        first: usize,
        rows: usize,
        length: usize,
        starts: &[*mut u8; OPERANDS],
        cursors: &mut [Cursor; OPERANDS],
        pads: Pads,
    ) {
        for (op, cursor) in cursors[..self.count].iter_mut().enumerate() {
            cursor.base = match self.along[op] {
                Along::Direct => starts[op].wrapping_add(first * self.sizes[op]),
                Along::Constant => starts[op],
                Along::Periodic(own) => starts[op].wrapping_add(first % own * self.sizes[op]),
            };
        }
        let mut call = Call {
            code: self.code,
            sizes: &self.sizes[..self.count],
            cursors: &mut cursors[..self.count],
            pads,
            streams: self.streams,
        };
        // SAFETY: every operand has the elements in a row, in its array or written out, or is a
        // vector of one in its pad; the caller vouches for the rest.
        unsafe {
            match rows {
                1 => call.run(length),
                _ => call.rows(rows, length),
            }
        }
    }

    /// Elements written out for an operand. A block may begin anywhere in a period, and the first
    /// one may be longer by its head.
    fn written_length(&self, period: usize) -> usize {
        let longest = self.head + self.block;
        if longest >= self.n { self.n } else { longest + period }
    }

    /// Bytes written out for each operand.
    fn scratch_sizes(&self) -> impl Iterator<Item = usize> {
        (0..self.count).map(|op| match self.along[op] {
            Along::Periodic(period) if period <= WRITTEN_OUT => {
                self.written_length(period) * self.sizes[op]
            }
            _ => 0,
        })
    }
}

/// How an operand with these strides lies along all of a space; `None` if it is no run.
fn along(shape: &[usize], size: usize, stride: impl Fn(usize) -> isize) -> Option<Along> {
    let mut period = 1;
    let mut repeats = false;
    for (dim, &extent) in shape.iter().enumerate().rev() {
        match stride(dim) {
            _ if extent == 1 => {}
            0 => repeats = true,
            stride if stride == (period * size) as isize && !repeats => period *= extent,
            _ => return None,
        }
    }
    Some(match repeats {
        false => Along::Direct,
        true if period == 1 => Along::Constant,
        true => Along::Periodic(period),
    })
}
