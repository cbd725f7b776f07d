//! One call of a kernel on any number of elements. Where code takes only whole vectors, the rest
//! goes through padded vectors and the same machine code, so an element's result depends on nothing
//! but the element.
//!
//! Measured on a Zen 5, AVX-512, extra ns of a call on 17 elements over one on 32: by padded
//! vectors `relu` 14, `x + y` 21, tanh-GELU 27, under [masks](Code::takes_any_count) 0 to 2. A call
//! for each row of 100, `gelu_tanh(x*w+b)`: 0.84 and 0.58 ns per element. AVX2, 13 elements over
//! 16: `relu` 11 to 13, tanh-GELU 30, `log` 28, under masks 0 to 3. Rows of 103: 1.06 and 0.84 ns
//! per element, of `f64` 1.81 and 1.54.

use super::layout::OPERANDS;
use super::pack::{self, Vector};
use kiln_jit::emit::{Code, Cursor, Tile};
use smallvec::SmallVec;

/// The padded vectors, one per operand.
#[derive(Clone, Copy)]
pub(super) struct Pads(pub(super) *mut Vector);

impl Pads {
    pub(super) fn of(self, op: usize) -> *mut u8 {
        self.0.wrapping_add(op).cast()
    }
}

/// Where the operands of a call are.
pub(super) struct Call<'a> {
    pub(super) code: &'a Code,
    /// Bytes of an element of each operand.
    pub(super) sizes: &'a [usize],
    /// As for [`Code::call`].
    pub(super) cursors: &'a mut [Cursor],
    pub(super) pads: Pads,
    /// Whether results bypass the caches.
    pub(super) streams: bool,
}

/// What is in memory is asked for where the next row would be: [`run`](Call::run).
const ASKING: Tile = Tile { ahead: 1, ..Tile::ONE };

impl Call<'_> {
    /// Runs the kernel on rows of `n` elements, in one call where code takes that many, which no
    /// streaming code does. Whole vectors are computed where they lie.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`], but `n` may be anything.
    pub(super) unsafe fn rows(mut self, rows: usize, n: usize) {
        if self.code.takes_any_count() || n.is_multiple_of(self.code.lanes()) {
            // SAFETY: required of the caller.
            return unsafe { self.code.call(rows, n, self.cursors) };
        }
        for row in 0..rows {
            if row > 0 {
                self.next_row();
            }
            // SAFETY: required of the caller.
            unsafe { self.run(n) };
        }
    }

    /// The same, but results bypass the caches; memory is asked for rows that are `ahead`.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`], but `n` may be anything.
    pub(super) unsafe fn rows_streaming(mut self, rows: usize, n: usize, ahead: usize) {
        let vector = self.code.bits() as usize / 8;
        let outputs = &self.cursors[self.code.inputs().len()..];
        let is_aligned = |cursor: &Cursor| {
            (cursor.base.addr() | cursor.row.unsigned_abs()).is_multiple_of(vector)
        };
        if n.is_multiple_of(self.code.lanes()) && outputs.iter().all(is_aligned) {
            let tile = Tile { ahead, ..Tile::ONE };
            // SAFETY: required of the caller.
            return unsafe { self.code.call_tiles_streaming(rows, tile, n, self.cursors) };
        }
        for row in 0..rows {
            if row > 0 {
                self.next_row();
            }
            // SAFETY: required of the caller.
            unsafe { self.run(n) };
        }
    }

    fn next_row(&mut self) {
        let next = |cursor: &mut Cursor| cursor.base = cursor.base.wrapping_offset(cursor.row);
        self.cursors.iter_mut().for_each(next);
    }

    /// Runs the kernel on a row of `n` elements. Whole vectors are computed where they lie. Where results bypass
    /// the caches, memory is asked for what the kernel can [look ahead for](kiln_jit::vir::Routine::ahead), a
    /// cursor's row further on.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`], but `n` may be anything.
    pub(super) unsafe fn run(&mut self, n: usize) {
        let head = if self.streams { self.head().min(n) } else { 0 };
        let tail = if self.code.takes_any_count() { 0 } else { (n - head) % self.code.lanes() };
        let whole = n - head - tail;
        // SAFETY: required of the caller.
        unsafe {
            if head > 0 {
                self.padded(0, head);
            }
            if head > 0 && whole > 0 {
                let mut cursors = self.cursors(|op| self.element(op, head));
                self.code.call_tiles_streaming(1, ASKING, whole, &mut cursors);
            } else if whole > 0 && self.streams {
                self.code.call_tiles_streaming(1, ASKING, whole, self.cursors);
            } else if whole > 0 {
                self.code.call(1, whole, self.cursors);
            }
            if tail > 0 {
                self.padded(head + whole, tail);
            }
        }
    }

    /// Runs on `count` elements from `start` on, at most a vector.
    unsafe fn padded(&self, start: usize, count: usize) {
        let (inputs, lanes, pads) = (self.code.inputs().len(), self.code.lanes(), self.pads);
        for op in (0..inputs).filter(|&op| !self.is_splat(op)) {
            let (size, from) = (self.sizes[op], self.element(op, start));
            // SAFETY: `count` elements are left at `from`; the pad holds `lanes`. The rest of the
            // pad repeats an element, so it takes no path that the others don't.
            unsafe {
                pack::fill(pads.of(op), from, lanes, size);
                pads.of(op).copy_from_nonoverlapping(from, count * size);
            }
        }
        let place = |op| if self.is_splat(op) { self.cursors[op].base } else { pads.of(op) };
        // SAFETY: one vector of every operand.
        unsafe { self.code.call(1, lanes, &mut self.cursors(place)) };
        for op in inputs..self.cursors.len() {
            // SAFETY: `count` elements of the output are there.
            unsafe {
                let bytes = count * self.sizes[op];
                self.element(op, start).copy_from_nonoverlapping(pads.of(op), bytes);
            }
        }
    }

    /// Element `at` of an operand; a splat has only one.
    fn element(&self, op: usize, at: usize) -> *mut u8 {
        let at = if self.is_splat(op) { 0 } else { at * self.sizes[op] };
        self.cursors[op].base.wrapping_add(at)
    }

    fn is_splat(&self, op: usize) -> bool {
        op < self.code.inputs().len() && self.cursors[op].step == 0
    }

    /// The cursors moved to other bases.
    fn cursors(&self, base: impl Fn(usize) -> *mut u8) -> SmallVec<[Cursor; OPERANDS]> {
        let mut cursors: SmallVec<[Cursor; OPERANDS]> = SmallVec::from_slice(self.cursors);
        cursors.iter_mut().enumerate().for_each(|(op, cursor)| cursor.base = base(op));
        cursors
    }

    /// Elements before the first vector-aligned one in a streaming output: fewer than a vector has.
    fn head(&self) -> usize {
        let vector = self.code.bits() as usize / 8;
        let targets = self.cursors[self.code.inputs().len()..].iter().zip(self.code.outputs());
        let mut streams = targets.filter(|(_, storage)| storage.fills_lane());
        streams.next().map_or(0, |(target, storage)| {
            let target = target.base.addr();
            let before = target.next_multiple_of(vector) - target;
            // Where elements are not aligned to their size, none begins a vector, and nothing
            // streams. Nor where a vector of memory takes several vectors of lanes.
            let elements = before / storage.size();
            let fits = before.is_multiple_of(storage.size()) && elements <= self.code.lanes();
            if fits { elements } else { 0 }
        })
    }
}
