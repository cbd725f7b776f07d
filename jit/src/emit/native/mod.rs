//! Machine code: where it lies, how it is called, and what its emitters share.
//!
//! | file | |
//! |---|---|
//! | `launch.rs` | the ABI |
//! | `memory.rs` `slab.rs` | executable memory |
//! | `pool.rs` `live.rs` | constants, and which values are computed at all |
//! | `stream.rs` | stores that bypass the caches |

pub(super) mod launch;
pub(super) mod live;
pub(super) mod memory;
pub(super) mod pool;
#[cfg(target_os = "linux")]
mod slab;
#[cfg_attr(not(feature = "x86"), path = "stream/absent.rs")]
pub(super) mod stream;

use super::code::{Cursor, Rows, Tile};
use launch::{Entry, Launch};
use memory::CodeMemory;
use std::sync::OnceLock;

/// A routine in machine code.
#[derive(Debug)]
pub(super) struct Native {
    entry: Entry,
    /// Holds the code that `entry` points at.
    code: CodeMemory,
    /// Constants and tables.
    pool: Box<[pool::Line]>,
    /// The same code, but its stores bypass the caches. Made on the first such call.
    streaming: OnceLock<Option<stream::Streaming>>,
}

impl Native {
    /// # Safety
    ///
    /// The memory must hold a routine for this machine, whose constants are `pool`.
    pub(super) unsafe fn new(code: CodeMemory, pool: Box<[pool::Line]>) -> Native {
        // SAFETY: required of the caller; the code lives as long as this.
        let entry = unsafe { code.routine() };
        Native { entry, code, pool, streaming: OnceLock::new() }
    }

    /// The machine code.
    pub(super) fn bytes(&self) -> &[u8] {
        self.code.bytes()
    }

    /// Runs on at least one row, so many at a time if it is the code of a sweep.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`](super::Code::call), with a cursor for each operand.
    #[inline(always)]
    pub(super) unsafe fn call(&self, rows: Rows, n: usize, operands: &mut [Cursor]) {
        let mut launch = self.launch(rows, n, operands);
        // SAFETY: the routine was compiled for this machine with this ABI and pool and lives as
        // long as `self`; the caller guarantees the memory.
        unsafe { (self.entry)(&mut launch) };
    }

    /// [`call`](Native::call), with stores that bypass the caches if there is such code.
    ///
    /// # Safety
    ///
    /// As for [`Code::call_streaming`](super::Code::call_streaming), with a cursor for each operand
    /// and outputs that are aligned to a vector.
    pub(super) unsafe fn call_streaming(&self, rows: Rows, n: usize, operands: &mut [Cursor]) {
        let twin = || stream::Streaming::new(self.code.bytes());
        // SAFETY: as in `call`; vectors are aligned, as each is a whole number of vectors from the
        // start of a row.
        unsafe {
            match self.streaming.get_or_init(twin) {
                Some(streaming) => streaming.call(&mut self.launch(rows, n, operands)),
                None => self.call(rows, n, operands),
            }
        }
    }

    /// The argument of a call.
    #[inline(always)]
    fn launch(&self, call: Rows, n: usize, operands: &mut [Cursor]) -> Launch {
        let (pool, cursors) = (self.pool.as_ptr().cast(), operands.as_mut_ptr());
        let Rows { all, tile, head, carries } = call;
        let Tile { rows: tile, ahead, results } = tile;
        let results = usize::from(results);
        Launch { rows: all, n, pool, cursors, tile, head, ahead, results, carries }
    }
}
