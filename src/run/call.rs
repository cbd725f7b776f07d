//! One call of a kernel on any number of elements. Where code takes whole vectors only, what does not
//! fill one goes through padded vectors and the same machine code, so an element's result depends on
//! nothing but the element.
//!
//! Measured on a Zen 5, AVX-512, ns that a call on 17 elements takes more than one on 32: by padded
//! vectors `relu` 14, `x + y` 21, tanh-GELU 27, under [masks](Code::takes_any_count) 0 to 2. A call
//! for each row of 100, `gelu_tanh(x*w+b)`: 0.84 and 0.58 ns per element. AVX2, 13 elements more than
//! 16: `relu` 11 to 13, tanh-GELU 30, `log` 28, under masks 0 to 3; rows of 103: 1.06 and 0.84 ns per
//! element, of `f64` 1.81 and 1.54.

use super::layout::OPERANDS;
use super::pack::{self, Vector};
use kiln_jit::emit::Code;
use smallvec::SmallVec;

/// The padded vectors, one per operand.
#[derive(Clone, Copy)]
pub(super) struct Pads(pub(super) *mut Vector);

impl Pads {
    pub(super) fn of(self, op: usize) -> *mut u8 {
        self.0.wrapping_add(op).cast()
    }
}

/// Where the operands of a call are. As for [`Code::call`], but that a splat's copies must be in its
/// pad.
pub(super) struct Call<'a> {
    pub(super) code: &'a Code,
    /// Of an element of each operand.
    pub(super) sizes: &'a [usize],
    pub(super) sources: &'a [*const u8],
    pub(super) steps: &'a [usize],
    pub(super) targets: &'a [*mut u8],
    pub(super) pads: Pads,
    /// Whether results go past the caches.
    pub(super) streams: bool,
}

impl Call<'_> {
    /// Runs the kernel on `n` elements of each operand. Whole vectors are computed where they lie.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`], but `n` may be anything.
    pub(super) unsafe fn run(&self, n: usize) {
        let head = if self.streams { head(self.code, self.targets).min(n) } else { 0 };
        let tail = if self.code.takes_any_count() { 0 } else { (n - head) % self.code.lanes() };
        let whole = n - head - tail;
        // SAFETY: required of the caller.
        unsafe {
            if head > 0 {
                self.padded(0, head);
            }
            if head > 0 && whole > 0 {
                let sources = pointers(self.sources.len(), |op| self.source(op, head));
                let targets = pointers(self.targets.len(), |output| self.target(output, head));
                self.code.call_streaming(whole, &sources, self.steps, &targets);
            } else if whole > 0 && self.streams {
                self.code.call_streaming(whole, self.sources, self.steps, self.targets);
            } else if whole > 0 {
                self.code.call(whole, self.sources, self.steps, self.targets);
            }
            if tail > 0 {
                self.padded(head + whole, tail);
            }
        }
    }

    /// Runs on `count` elements from element `start` on, at most a vector.
    unsafe fn padded(&self, start: usize, count: usize) {
        let (inputs, lanes, pads) = (self.sources.len(), self.code.lanes(), self.pads);
        for op in (0..inputs).filter(|&op| self.steps[op] != 0) {
            let (size, from) = (self.sizes[op], self.source(op, start));
            // SAFETY: `count` elements are left at `from`; the pad holds `lanes`. What is left of
            // it repeats an element, which takes no path that the others don't.
            unsafe {
                pack::fill(pads.of(op), from, lanes, size);
                pads.of(op).copy_from_nonoverlapping(from, count * size);
            }
        }
        let sources = pointers(inputs, |op| pads.of(op).cast_const());
        let results = pointers(self.targets.len(), |output| pads.of(inputs + output));
        // SAFETY: one vector of every operand.
        unsafe { self.code.call(lanes, &sources, self.steps, &results) };
        for (output, &result) in results.iter().enumerate() {
            // SAFETY: `count` elements of the output are there.
            unsafe {
                let bytes = count * self.sizes[inputs + output];
                self.target(output, start).copy_from_nonoverlapping(result, bytes);
            }
        }
    }

    /// Element `at` of an input; a splat has only one.
    fn source(&self, op: usize, at: usize) -> *const u8 {
        let step = if self.steps[op] == 0 { 0 } else { self.sizes[op] };
        self.sources[op].wrapping_add(at * step)
    }

    /// Element `at` of an output.
    fn target(&self, output: usize, at: usize) -> *mut u8 {
        self.targets[output].wrapping_add(at * self.sizes[self.sources.len() + output])
    }
}

/// So many pointers. `collect` of a `SmallVec` checks for room at each.
fn pointers<P: Copy>(count: usize, pointer: impl Fn(usize) -> P) -> SmallVec<[P; OPERANDS]> {
    let mut all = SmallVec::from_elem(pointer(0), count);
    (1..count).for_each(|at| all[at] = pointer(at));
    all
}

/// Elements before the first that begins a vector in memory, in an output that streams: fewer than
/// a vector has.
fn head(code: &Code, targets: &[*mut u8]) -> usize {
    let vector = code.bits() as usize / 8;
    let mut streams =
        targets.iter().zip(code.outputs()).filter(|(_, storage)| storage.fills_lane());
    streams.next().map_or(0, |(target, storage)| {
        let before = target.addr().next_multiple_of(vector) - target.addr();
        // Where elements are not aligned to their size, none begins one, and nothing streams.
        // Nor where a vector of memory is several of lanes.
        let elements = before / storage.size();
        let fits = before.is_multiple_of(storage.size()) && elements <= code.lanes();
        if fits { elements } else { 0 }
    })
}
