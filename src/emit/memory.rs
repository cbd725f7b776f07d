//! Executable memory: written first, executable after, never both; freed on drop.
//!
//! `memmap2` does what `cranelift-jit` would do with it (map, copy, protect), but unmaps on drop
//! where `JITModule` leaks, and needs no symbol table: kernels call nothing and have no relocations.

use std::io;
use wasmtime_internal_jit_icache_coherence as icache;

/// Machine code that can be executed and no longer written.
#[derive(Debug)]
pub(super) struct CodeMemory {
    map: memmap2::Mmap,
    len: usize,
}

impl CodeMemory {
    /// Copies `code` into executable memory.
    pub(super) fn new(code: &[u8]) -> io::Result<CodeMemory> {
        let mut map = memmap2::MmapMut::map_anon(code.len().max(1))?;
        map[..code.len()].copy_from_slice(code);
        let map = map.make_exec()?;
        // SAFETY: the range is the mapping just made.
        unsafe { icache::clear_cache(map.as_ptr().cast(), map.len())? };
        icache::pipeline_flush_mt()?;
        Ok(CodeMemory { map, len: code.len() })
    }

    /// The machine code.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map[..self.len]
    }

    /// Where it begins. Valid as long as `self`.
    pub(super) fn entry(&self) -> *const u8 {
        self.map.as_ptr()
    }
}
