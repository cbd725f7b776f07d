//! Memory for large results: huge pages where the system grants them, and freed buffers kept for
//! the next result.
//!
//! The first touch of a page costs far more than what a kernel does with it. Measured on Zen 5
//! under KVM, 256 MiB copied by two threads, ns per element of `f32`: 0.13 into memory touched
//! before, 0.9 into new pages of 4 KiB (and 0.3 to free them), 0.16 to 0.23 into new pages of
//! 2 MiB.
//!
//! The buffers are `Vec`s of the global allocator, so that a result becomes an `ndarray` array
//! without a copy. That is why pages are asked for by `madvise` and not mapped.

use super::element::Element;
use kiln_gemm::ask_for_huge_pages;
use std::any::Any;
use std::sync::{Mutex, PoisonError};

/// Bytes of a buffer worth keeping. Allocators keep smaller ones themselves.
const LARGE: usize = 1 << 20;
/// The most bytes kept, by the whole process.
const MOST_BYTES: usize = 1 << 30;
/// The most buffers kept. The one freed longest ago goes first.
const MOST_BUFFERS: usize = 8;

static STORE: Mutex<Store> = Mutex::new(Store::new(LARGE, MOST_BYTES));

/// An empty vector with room for `len` elements, new or freed before; `None` if there is no memory.
/// All of its room is initialised, or was never touched.
pub(super) fn take<T: Element>(len: usize) -> Option<Vec<T>> {
    let bytes = len * size_of::<T>();
    if bytes >= LARGE
        && let Some(kept) = store(|store| store.take(len))
    {
        return Some(kept);
    }
    let mut elements = Vec::new();
    elements.try_reserve_exact(len).ok()?;
    ask_for_huge_pages(elements.spare_capacity_mut());
    Some(elements)
}

/// Keeps the memory of `elements` for another result if it is large; frees it if not.
pub(super) fn give<T: Element>(elements: Vec<T>) {
    if elements.capacity() * size_of::<T>() >= LARGE {
        // Memory is freed only once others may use the store again.
        let freed = store(|store| store.give(elements));
        drop(freed);
    }
}

/// Frees the memory that is kept for later results.
///
/// Kiln keeps the memory of large [`Tensor`](super::Tensor)s that are dropped, at most 1 GiB in 8
/// buffers, because new memory costs more than computing what goes there.
pub fn release_memory() {
    let freed = store(|store| std::mem::take(&mut store.kept));
    drop(freed);
}

fn store<R>(use_it: impl FnOnce(&mut Store) -> R) -> R {
    use_it(&mut STORE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Freed buffers, the latest last.
struct Store {
    kept: Vec<Kept>,
    large: usize,
    most: usize,
}

struct Kept {
    bytes: usize,
    /// A `Vec` of elements, empty.
    elements: Box<dyn Any + Send>,
}

impl Store {
    const fn new(large: usize, most: usize) -> Store {
        Store { kept: Vec::new(), large, most }
    }

    /// The smallest buffer with room for `len` elements, if it is not much too large.
    fn take<T: Element>(&mut self, len: usize) -> Option<Vec<T>> {
        let bytes = len * size_of::<T>();
        if bytes < self.large {
            return None;
        }
        let fits = bytes..=bytes + bytes / 8;
        let fitting = self
            .kept
            .iter()
            .enumerate()
            .filter(|(_, kept)| fits.contains(&kept.bytes) && kept.elements.is::<Vec<T>>());
        let (best, _) = fitting.min_by_key(|(_, kept)| kept.bytes)?;
        self.kept.remove(best).elements.downcast().ok().map(|elements| *elements)
    }

    /// Keeps a buffer; returns those that must be freed for it.
    fn give<T: Element>(&mut self, mut elements: Vec<T>) -> Vec<Kept> {
        let bytes = elements.capacity() * size_of::<T>();
        elements.clear();
        self.kept.push(Kept { bytes, elements: Box::new(elements) });
        let mut total: usize = self.kept.iter().map(|kept| kept.bytes).sum();
        let mut freed = 0;
        while total > self.most || self.kept.len() - freed > MOST_BUFFERS {
            total -= self.kept[freed].bytes;
            freed += 1;
        }
        self.kept.drain(..freed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_BUFFERS, Store};

    #[test]
    fn freed_buffers_come_back_within_bounds() {
        let mut store = Store::new(64, 1000);
        let buffer = |len: usize| Vec::<f32>::with_capacity(len);
        assert!(store.give(buffer(100)).is_empty());
        let kept = store.kept[0].elements.downcast_ref::<Vec<f32>>().unwrap().as_ptr();
        assert!(store.take::<f64>(50).is_none(), "of another type");
        assert!(store.take::<f32>(101).is_none(), "too small");
        assert!(store.take::<f32>(80).is_none(), "much too large");
        assert!(store.take::<f32>(15).is_none(), "not worth it");
        let found = store.take::<f32>(90).unwrap();
        assert_eq!((found.as_ptr(), found.len()), (kept, 0));
        assert!(store.take::<f32>(90).is_none(), "it is in use");
        // The oldest go first; one above the bound goes at once.
        assert!(store.give(found).is_empty());
        assert!(store.give(buffer(120)).is_empty());
        let freed = store.give(buffer(40));
        assert_eq!(freed.iter().map(|kept| kept.bytes).collect::<Vec<_>>(), [400]);
        assert_eq!(store.give(buffer(251)).len(), 3);
        for _ in 0..MOST_BUFFERS {
            assert!(store.give(buffer(20)).is_empty());
        }
        assert_eq!(store.give(buffer(20)).len(), 1);
    }
}
