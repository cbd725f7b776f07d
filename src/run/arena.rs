//! Memory of intermediates: one block, kept from call to call.

use super::error::RunError;
use super::view::Layout;
use crate::plan::{ALIGNMENT, Dims, Memory, Plan};
use kiln_gemm::ask_for_huge_pages;
use smallvec::SmallVec;

/// A block of memory. It grows to what a call needs, and serves one call at a time.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Initialised, whatever it held before; read and written through layouts only.
    block: Vec<Line>,
    /// How the last call used it.
    memory: Memory,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "it is memory")] [u8; ALIGNMENT]);

impl Arena {
    /// An array in row-major order for each buffer of a plan whose steps have these shapes. They
    /// are valid until the next call of this, or until the arena is dropped. Those that are live
    /// during the same step do not overlap. With `in_parts`, those that are parts of others are still to be
    /// placed.
    pub(super) fn arrays<K>(
        &mut self,
        plan: &Plan<K>,
        shapes: &[Dims],
        in_parts: bool,
    ) -> Result<SmallVec<[Layout; 2]>, RunError> {
        plan.update_memory(&mut self.memory, shapes, in_parts)?;
        self.grow(self.memory.peak())?;
        let block = self.block.as_mut_ptr().cast::<u8>();
        let mut arrays = SmallVec::new();
        for (buffer, offset) in plan.buffers.iter().zip(self.memory.offsets()) {
            let (base, shape) = (block.wrapping_add(offset), &shapes[buffer.written.shape]);
            arrays.push(Layout::row_major(base, buffer.dtype, shape));
        }
        Ok(arrays)
    }

    /// What a call may take without asking for more, in lines.
    pub(super) fn room(&self) -> usize {
        self.block.len()
    }

    /// Makes room for this many bytes, a whole number of lines.
    fn grow(&mut self, bytes: usize) -> Result<(), RunError> {
        let lines = bytes / ALIGNMENT;
        if lines <= self.block.len() {
            return Ok(());
        }
        // The contents of the old block are of no use.
        self.block = Vec::new();
        let out_of_memory = |_| RunError::OutOfMemory { bytes, array: None };
        self.block.try_reserve_exact(lines).map_err(out_of_memory)?;
        ask_for_huge_pages(self.block.spare_capacity_mut());
        self.block.resize(lines, Line([0; ALIGNMENT]));
        Ok(())
    }
}
