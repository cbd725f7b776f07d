//! Results that bypass the caches though their rows begin between lines of memory.
//!
//! Code stores whole vectors of memory, and the last elements of a row wait for the first ones of the next, which
//! [begins](kiln_jit::emit::Carry) where it ends. What memory holds before a row is not known where rows before it are
//! another thread's, so the first rows that follow none go through the caches.

use super::job::{At, Job};
use kiln_jit::emit::{Carry, Code, Cursor, Tile};
use smallvec::SmallVec;

/// Rows that are stored one after the other, on one thread.
pub(super) struct Realigned<'a> {
    job: Job<'a>,
    code: &'a Code,
    /// The slot of each output.
    outputs: &'a [usize],
    /// The rows that follow, and what waits for them.
    next: Option<At>,
    carries: SmallVec<[Carry; 2]>,
}

impl<'a> Realigned<'a> {
    /// Of the code of a sweep that is realigned.
    pub(super) fn new(job: Job<'a>, code: &'a Code, outputs: &'a [usize]) -> Realigned<'a> {
        Realigned { job, code, outputs, next: None, carries: SmallVec::new() }
    }

    /// Whether these rows follow those that were stored last.
    pub(super) fn is_at(&self, at: At) -> bool {
        self.next == Some(at)
    }

    /// Goes on at these rows, of which those before were stored by something else.
    ///
    /// # Safety
    ///
    /// On this thread; and nothing else may use the elements of outputs of rows that were stored.
    pub(super) unsafe fn go_on(&mut self, at: At) {
        // SAFETY: required of the caller; rows are at least as long as a vector.
        unsafe {
            self.finish();
            let carry = |&slot: &usize| Carry::new(self.job.place(slot, at));
            self.carries = self.outputs.iter().map(carry).collect();
        }
        self.next = Some(at);
    }

    /// Calls the code for rows that follow, which store as many.
    ///
    /// # Safety
    ///
    /// As for [`Code::call_tiles_realigned`].
    pub(super) unsafe fn call(&mut self, rows: usize, tile: Tile, operands: &mut [Cursor]) {
        let len = self.job.setup.grid.len;
        let at = self.next.expect("rows follow others");
        // SAFETY: required of the caller.
        unsafe {
            self.code.call_tiles_realigned(rows, tile, len, operands, &mut self.carries);
        }
        self.next = Some(At { row: at.row + rows, ..at });
    }

    /// Stores what waits.
    ///
    /// # Safety
    ///
    /// As for [`go_on`](Realigned::go_on).
    pub(super) unsafe fn finish(&mut self) {
        let Some(at) = self.next.take() else { return };
        for (carry, &slot) in self.carries.iter().zip(self.outputs) {
            // SAFETY: required of the caller.
            unsafe { carry.store(self.job.place(slot, at)) };
        }
    }
}
