//! Where arrays lie: the same way for every peer that lets its caller choose, as in
//! `../python/memory.py`.

const PAGE: usize = 4096;
const HUGE: usize = 2 << 20;

/// Memory for one array, which can begin anywhere in a page.
pub(crate) struct Arena {
    map: *mut u8,
    size: usize,
    start: usize,
}

impl Arena {
    pub(crate) fn new(bytes: usize) -> Arena {
        let large = bytes >= HUGE;
        let size = if large { (bytes + 2 * HUGE).next_multiple_of(HUGE) } else { bytes + 4 * PAGE };
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping touches no other memory.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), size, access, kind, -1, 0) };
        assert!(map != libc::MAP_FAILED, "no memory for {size} bytes");
        if large {
            // SAFETY: the range is the mapping's own.
            unsafe { libc::madvise(map, size, libc::MADV_HUGEPAGE) };
        }
        let map = map.cast::<u8>();
        let start = map.align_offset(if large { HUGE } else { PAGE });
        Arena { map, size, start }
    }

    /// The address `offset` bytes behind the start of a page.
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        assert!(self.start + offset < self.size);
        // SAFETY: it lies in the mapping.
        unsafe { self.map.add(self.start + offset) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is whole, and arrays in it are dropped before it.
        unsafe { libc::munmap(self.map.cast(), self.size) };
    }
}
