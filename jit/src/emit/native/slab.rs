//! Slabs: pages of code that many kernels share, freed with the last of them. (The slab being
//! filled is kept for the next kernel: making and freeing one per kernel took 25 µs.)
//!
//! A mapping per kernel takes at least a page, and Linux gives a process 65,530 mappings. A slab is
//! a file in memory with a single, executable mapping. Code is written to the file, so no page is
//! ever writable through a mapping while other code in it runs.
//!
//! Bytes that may have been executed are never written again: a process that forks shares the
//! slab's pages with its child, which may still run kernels that the parent has dropped. For the
//! same reason a child starts slabs of its own. A slab kept alive by one kernel costs no more
//! mappings than one mapping per kernel did.

use super::memory;
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes of a slab.
const SLAB: usize = 64 << 10;
/// Longer code gets a mapping of its own.
const LONGEST: usize = SLAB / 2;
/// Code begins at cache lines.
const LINE: usize = 64;

/// Pages of code.
#[derive(Debug)]
pub(super) struct Slab {
    map: MmapRaw,
    filling: Mutex<Option<Filling>>,
}

/// What is needed to add code, until a slab is full.
#[derive(Debug)]
struct Filling {
    file: File,
    /// Bytes handed out so far, from the start.
    used: usize,
}

/// The slab being filled.
static CURRENT: Mutex<Option<Arc<Slab>>> = Mutex::new(None);

/// Puts `code` into a slab and returns its place. None if the code is long or slabs are
/// unavailable; the fallback to a separate mapping will report what is wrong.
pub(super) fn place(code: &[u8]) -> Option<(Arc<Slab>, usize)> {
    if code.len() > LONGEST || is_denied() {
        return None;
    }
    let mut current = lock(&CURRENT);
    let owner = Owner::get()?;
    if owner.is_this_process()
        && let Some(slab) = &*current
        && let Some(start) = slab.add(code).ok()?
    {
        return Some((slab.clone(), start));
    }
    // A full slab is kept alive by its kernels alone.
    *current = None;
    let slab = Arc::new(Slab::new().ok()?);
    let start = slab.add(code).ok()??;
    owner.set_this_process();
    Some((current.insert(slab).clone(), start))
}

impl Slab {
    fn new() -> io::Result<Slab> {
        // Systems that deny executable memory deny it in this form, but may forget the other.
        drop(memory::map(&[])?);
        let file = memory_file()?;
        file.set_len(SLAB as u64)?;
        // SAFETY: nothing shortens the file, and mapped bytes are read only after they are written.
        let map = unsafe { MmapOptions::new().len(SLAB).map_exec(&file)? };
        let filling = Mutex::new(Some(Filling { file, used: 0 }));
        Ok(Slab { map: MmapRaw::from(map), filling })
    }

    /// Adds code and returns its place, or none if there is no room; the file is not needed after
    /// that.
    fn add(&self, code: &[u8]) -> io::Result<Option<usize>> {
        let mut filling = lock(&self.filling);
        let Some(Filling { file, used }) = &mut *filling else { return Ok(None) };
        let start = *used;
        if SLAB - start < code.len() {
            *filling = None;
            return Ok(None);
        }
        // Counted before the write, which may fail halfway.
        *used = (start + code.len().max(1)).next_multiple_of(LINE);
        file.write_all_at(code, start as u64)?;
        Ok(Some(start))
    }

    /// The first byte. Valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.map.as_ptr()
    }
}

/// A new file without a name, which cannot be run as a program.
fn memory_file() -> io::Result<File> {
    let create = |flags| {
        // SAFETY: the name is a C string.
        match unsafe { libc::memfd_create(c"kiln".as_ptr(), flags) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: it is new and has no other owner.
            file => Ok(unsafe { File::from_raw_fd(file) }),
        }
    };
    // Kernels before 6.3 do not know the second flag.
    create(libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL).or_else(|_| create(libc::MFD_CLOEXEC))
}

/// Whether the process may not make memory executable, or may not write a file of this size, for
/// which the system would kill it.
fn is_denied() -> bool {
    const REFUSES: c_int = libc::PR_MDWE_REFUSE_EXEC_GAIN as c_int;
    // SAFETY: it only queries. Kernels before 6.3 do not know the query and answer -1.
    let refusals = unsafe { libc::prctl(libc::PR_GET_MDWE, 0, 0, 0, 0) };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes to `limit`, which is valid.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    let refuses = refusals > 0 && refusals & REFUSES != 0;
    refuses || asked != 0 || limit.rlim_cur < SLAB as libc::rlim_t
}

/// The process that fills [`CURRENT`], as a byte that is set here and that the system clears in
/// every child.
struct Owner(MmapRaw);

impl Owner {
    fn get() -> Option<&'static Owner> {
        static OWNER: OnceLock<Option<Owner>> = OnceLock::new();
        OWNER.get_or_init(Owner::new).as_ref()
    }

    fn new() -> Option<Owner> {
        let map = MmapRaw::from(MmapMut::map_anon(1).ok()?);
        // SAFETY: the page belongs to this mapping and is private.
        let advised =
            unsafe { libc::madvise(map.as_mut_ptr().cast(), map.len(), libc::MADV_WIPEONFORK) };
        (advised == 0).then_some(Owner(map))
    }

    fn byte(&self) -> &AtomicBool {
        // SAFETY: the mapping has at least one byte, always 0 or 1, is used in no other way, and
        // lives as long.
        unsafe { AtomicBool::from_ptr(self.0.as_mut_ptr().cast()) }
    }

    fn is_this_process(&self) -> bool {
        self.byte().load(Ordering::Relaxed)
    }

    fn set_this_process(&self) {
        self.byte().store(true, Ordering::Relaxed);
    }
}

/// The data behind these locks is consistent at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
