//! Levels of memory, and how many bytes a measurement of each takes.

use super::bandwidth::{Access, Bandwidth};
use kiln_jit::cpu::data_caches;

/// A cache, or memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Level {
    /// `L1`, `L2`, .. or `memory`.
    pub name: String,
    /// Bytes that fit in: of one core, or of all if it is shared. `None` for memory.
    pub bytes: Option<usize>,
    /// Whether threads share it: the last cache and memory are taken to be shared.
    pub is_shared: bool,
    /// How fast its bytes move; one thread, then all.
    pub bandwidths: Vec<Bandwidth>,
    /// Bytes of a thread alone, and of each of all, when it is measured.
    pub(super) alone: usize,
    pub(super) each: usize,
    /// Whether it is next to the core.
    pub(super) is_first: bool,
}

/// Of a processor that does not tell.
const GUESS: [usize; 3] = [32 << 10, 1 << 20, 32 << 20];

/// The levels of this machine, not measured yet.
pub(super) fn levels(threads: usize) -> Vec<Level> {
    let caches = match data_caches() {
        [] => &GUESS,
        caches => caches,
    };
    of_caches(caches, threads)
}

fn of_caches(caches: &[usize], threads: usize) -> Vec<Level> {
    /// Of memory, all threads together.
    const MEMORY: std::ops::RangeInclusive<usize> = 64 << 20..=512 << 20;
    let last = caches.len() - 1;
    let mut levels: Vec<Level> = Vec::new();
    for (index, &bytes) in caches.iter().enumerate() {
        // Most of the first; of the others so much that a smaller one holds little of it.
        let inner = if index == 0 { 0 } else { caches[index - 1] };
        let alone =
            if index == 0 { bytes / 4 * 3 } else { (bytes / 4).max(4 * inner).min(bytes / 2) };
        let each = if index == last {
            (bytes / 2 / threads).clamp(2 * inner, alone.max(2 * inner))
        } else {
            alone
        };
        levels.push(Level::new(
            format!("L{}", index + 1),
            Some(bytes),
            index == last,
            [alone, each],
        ));
    }
    let memory = (4 * caches[last]).clamp(*MEMORY.start(), *MEMORY.end());
    levels.push(Level::new("memory".into(), None, true, [memory, memory / threads]));
    levels
}

impl Level {
    fn new(name: String, bytes: Option<usize>, is_shared: bool, sizes: [usize; 2]) -> Level {
        let [alone, each] = sizes;
        let is_first = name == "L1";
        Level { name, bytes, is_shared, bandwidths: Vec::new(), alone, each, is_first }
    }

    /// How fast at most so many threads move bytes of which that part is read: the faster one of what
    /// was measured with a larger and with a smaller part. Several threads may be as fast as all, and
    /// are at least as fast as one, which may do the work of all.
    pub fn bandwidth(&self, part_read: f64, threads: usize) -> Option<&Bandwidth> {
        let below = Access::ALL.into_iter().rev().find(|access| access.part_read() >= part_read);
        let above = Access::ALL.into_iter().find(|access| access.part_read() <= part_read);
        let of = |bandwidth: &&Bandwidth| {
            let is_near = [below, above].contains(&Some(bandwidth.access));
            is_near && (bandwidth.threads == 1 || threads > 1)
        };
        self.bandwidths.iter().filter(of).max_by(|a, b| a.gbytes.total_cmp(&b.gbytes))
    }

    /// Bytes that so many threads can have in it.
    pub(super) fn room(&self, threads: usize) -> f64 {
        let bytes = self.bytes.map_or(f64::INFINITY, |bytes| bytes as f64);
        if self.is_shared { bytes } else { bytes * threads as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::of_caches;

    /// Each level is measured by what the smaller caches cannot hold, and what it can, if the
    /// machine is no odd one.
    #[test]
    fn sizes_are_between_the_caches() {
        for (caches, threads) in [
            (&[32 << 10, 1 << 20, 32 << 20][..], 2),
            (&[48 << 10, 2 << 20, 260 << 20], 56),
            (&[128 << 10, 12 << 20], 4),
            (&[64 << 10], 1),
        ] {
            let levels = of_caches(caches, threads);
            assert_eq!(levels.len(), caches.len() + 1);
            let (memory, caches_only) = levels.split_last().unwrap();
            let mut inner = 0;
            for level in caches_only {
                let bytes = level.bytes.unwrap();
                assert!(level.alone > inner && level.alone <= bytes, "{level:?}");
                assert!(level.each > inner, "{level:?}");
                inner = bytes;
            }
            assert!(memory.alone >= (4 * inner).min(512 << 20), "{memory:?}");
            assert!(memory.each * threads >= (3 * inner).min(500 << 20), "{memory:?}");
            assert_eq!((&memory.name[..], memory.bytes), ("memory", None));
        }
    }
}
