//! Slabs: pages that the code of many kernels shares, freed with the last of them. (The one that is
//! being filled is kept for the next kernel: to make and free one for each took 25 µs.)
//!
//! A mapping for each kernel is a page at least, and Linux gives a process 65,530 mappings. A slab is
//! a file in memory, of which one mapping exists, to be executed. Code is written to the file, so no
//! page can be written through any mapping, while other code of it runs.
//!
//! What may have been executed is never written again: a process that forks shares the pages of the
//! slab with its child, which may still run kernels that the parent has dropped. For the same reason a
//! child begins slabs of its own. That some kernel keeps a slab costs no more mappings than one for
//! each did.

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
/// Longer code does not share.
const LONGEST: usize = SLAB / 2;
/// Where code begins: at cache lines.
const LINE: usize = 64;

/// Pages of code.
#[derive(Debug)]
pub(super) struct Slab {
    map: MmapRaw,
    filling: Mutex<Option<Filling>>,
}

/// What it takes to add code, until a slab is full.
#[derive(Debug)]
struct Filling {
    file: File,
    /// Bytes from the start that have been given away.
    used: usize,
}

/// The slab that is being filled.
static CURRENT: Mutex<Option<Arc<Slab>>> = Mutex::new(None);

/// Puts `code` into a slab, and says where. None where it is long, or where slabs cannot be had: what
/// is wrong then, a mapping of its own will tell.
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
    // A full one is kept by its kernels alone.
    *current = None;
    let slab = Arc::new(Slab::new().ok()?);
    let start = slab.add(code).ok()??;
    owner.set_this_process();
    Some((current.insert(slab).clone(), start))
}

impl Slab {
    fn new() -> io::Result<Slab> {
        // Systems that deny executable memory deny it in this form, and may forget the other.
        drop(memory::map(&[])?);
        let file = memory_file()?;
        file.set_len(SLAB as u64)?;
        // SAFETY: nothing shortens the file, and what is mapped is read only after it was written.
        let map = unsafe { MmapOptions::new().len(SLAB).map_exec(&file)? };
        let filling = Mutex::new(Some(Filling { file, used: 0 }));
        Ok(Slab { map: MmapRaw::from(map), filling })
    }

    /// Adds code, and says where; none where there is no room. It then needs its file no longer.
    fn add(&self, code: &[u8]) -> io::Result<Option<usize>> {
        let mut filling = lock(&self.filling);
        let Some(Filling { file, used }) = &mut *filling else { return Ok(None) };
        let start = *used;
        if SLAB - start < code.len() {
            *filling = None;
            return Ok(None);
        }
        // Before it is written: half of it may be.
        *used = (start + code.len().max(1)).next_multiple_of(LINE);
        file.write_all_at(code, start as u64)?;
        Ok(Some(start))
    }

    /// The first byte. Good as long as `self`.
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
            // SAFETY: it is new, and nobody else's.
            file => Ok(unsafe { File::from_raw_fd(file) }),
        }
    };
    // Kernels before 6.3 do not know the second flag.
    create(libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL).or_else(|_| create(libc::MFD_CLOEXEC))
}

/// Whether the process may not make memory executable, or may not write a file of this size: the
/// system would end it.
fn is_denied() -> bool {
    const REFUSES: c_int = libc::PR_MDWE_REFUSE_EXEC_GAIN as c_int;
    // SAFETY: it only asks. Kernels before 6.3 do not know the question, and answer -1.
    let refusals = unsafe { libc::prctl(libc::PR_GET_MDWE, 0, 0, 0, 0) };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes the limit, which is there.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    let refuses = refusals > 0 && refusals & REFUSES != 0;
    refuses || asked != 0 || limit.rlim_cur < SLAB as libc::rlim_t
}

/// The process that fills [`CURRENT`]. A byte that is set in it, and that the system clears in every
/// child.
struct Owner(MmapRaw);

impl Owner {
    fn get() -> Option<&'static Owner> {
        static OWNER: OnceLock<Option<Owner>> = OnceLock::new();
        OWNER.get_or_init(Owner::new).as_ref()
    }

    fn new() -> Option<Owner> {
        let map = MmapRaw::from(MmapMut::map_anon(1).ok()?);
        // SAFETY: the page is the mapping's own, and private.
        let advised =
            unsafe { libc::madvise(map.as_mut_ptr().cast(), map.len(), libc::MADV_WIPEONFORK) };
        (advised == 0).then_some(Owner(map))
    }

    fn byte(&self) -> &AtomicBool {
        // SAFETY: the mapping has a byte, 0 or 1, which is used in this way only, and lives as long.
        unsafe { AtomicBool::from_ptr(self.0.as_mut_ptr().cast()) }
    }

    fn is_this_process(&self) -> bool {
        self.byte().load(Ordering::Relaxed)
    }

    fn set_this_process(&self) {
        self.byte().store(true, Ordering::Relaxed);
    }
}

/// What is behind these locks is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
