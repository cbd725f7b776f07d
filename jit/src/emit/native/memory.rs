//! Executable memory: written first, then executed, never both at once; freed on drop.
//!
//! Small code shares pages with other code ([`slab`](super::slab), on Linux). Other code gets its
//! own mapping from `memmap2`. Kernels call nothing and have no relocations, so no other linking is
//! needed; `DESIGN.md` says what `cranelift-jit` would cost instead.

use super::launch::Entry;
#[cfg(target_os = "linux")]
use super::slab::{self, Slab};
use memmap2::{MmapMut, MmapRaw};
use std::io;
#[cfg(target_os = "linux")]
use std::sync::Arc;
#[cfg(not(any(miri, all(target_arch = "x86_64", not(windows)))))]
use wasmtime_internal_jit_icache_coherence as icache;

/// Machine code that can be executed but no longer written.
#[derive(Debug)]
pub(in crate::emit) struct CodeMemory {
    pages: Pages,
    /// Where it begins in its pages, and how long it is.
    start: usize,
    len: usize,
}

/// Keeps the code mapped.
#[derive(Debug)]
enum Pages {
    Own(MmapRaw),
    #[cfg(target_os = "linux")]
    Shared(Arc<Slab>),
}

impl CodeMemory {
    /// Copies `code` into executable memory.
    pub(in crate::emit) fn new(code: &[u8]) -> io::Result<CodeMemory> {
        let len = code.len();
        #[cfg(target_os = "linux")]
        if let Some((slab, start)) = slab::place(code) {
            return CodeMemory { pages: Pages::Shared(slab), start, len }.flushed();
        }
        let pages = Pages::Own(map(code)?);
        CodeMemory { pages, start: 0, len }.flushed()
    }

    /// Tells the processor that code has changed, where it must be told.
    fn flushed(self) -> io::Result<CodeMemory> {
        // Miri runs no machine code, and x86-64 sees what was written.
        #[cfg(not(any(miri, all(target_arch = "x86_64", not(windows)))))]
        {
            // SAFETY: the range is mapped.
            unsafe { icache::clear_cache(self.entry().cast(), self.len) }
                .and_then(|()| icache::pipeline_flush_mt())
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(self)
    }

    /// The machine code.
    pub(in crate::emit) fn bytes(&self) -> &[u8] {
        // SAFETY: the range holds that many bytes, and nothing writes them while `self` lives.
        unsafe { std::slice::from_raw_parts(self.entry(), self.len) }
    }

    /// The code as a function.
    ///
    /// # Safety
    ///
    /// The code must be such a function for this machine, and must not be called after `self` is
    /// dropped.
    pub(in crate::emit) unsafe fn routine(&self) -> Entry {
        // SAFETY: required of the caller.
        unsafe { std::mem::transmute::<*const u8, Entry>(self.entry()) }
    }

    /// Where it begins.
    fn entry(&self) -> *const u8 {
        let pages = match &self.pages {
            Pages::Own(map) => map.as_ptr(),
            #[cfg(target_os = "linux")]
            Pages::Shared(slab) => slab.as_ptr(),
        };
        pages.wrapping_add(self.start)
    }
}

/// A mapping of its own for `code`.
pub(in crate::emit) fn map(code: &[u8]) -> io::Result<MmapRaw> {
    let mut map = MmapMut::map_anon(code.len().max(1))?;
    map[..code.len()].copy_from_slice(code);
    Ok(MmapRaw::from(map.make_exec()?))
}
