//! Work that threads take from each other.

use super::interrupt::goes_on;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Blocks of work, handed out in portions.
#[derive(Debug)]
pub(super) struct Queue {
    next: AtomicUsize,
    blocks: usize,
    chunk: usize,
}

impl Queue {
    /// All of `blocks`, in portions of `chunk`.
    pub(super) fn new(blocks: usize, chunk: usize) -> Queue {
        Queue { next: AtomicUsize::new(0), blocks, chunk }
    }

    /// Blocks that no other thread gets; none once the work is over before it is done.
    pub(super) fn take(&self) -> Option<Range<usize>> {
        let start = self.next.fetch_add(self.chunk, Ordering::Relaxed);
        (start < self.blocks && goes_on()).then(|| start..self.blocks.min(start + self.chunk))
    }
}

/// A closure over raw pointers that threads may share.
///
/// It is made for one that reads what nobody writes meanwhile, and writes other places for each piece of
/// work that it is called with; what makes it sees to that.
pub(super) struct Shared<F>(pub(super) F);

// SAFETY: as its documentation says.
unsafe impl<F> Sync for Shared<F> {}

impl<F> Shared<F> {
    /// The closure. Captured by itself, it would not be shared as a `Shared`.
    pub(super) fn get(&self) -> &F {
        &self.0
    }
}
