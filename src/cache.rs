//! The kernel cache: one kernel for equal graphs and options, compiled once.
//!
//! There is no hidden cache: compiling is explicit, and so is keeping.

use crate::options::CompileOptions;
use crate::pipeline::{CompileError, compile_with};
use crate::run::Kernel;
use kiln_ir::Graph;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Compiled kernels, those used most recently.
///
/// Graphs are compared in full (names, types and shapes of inputs, every node, the outputs; not the
/// graph's own name), and so are options. Graphs from text and from [`build`](kiln_ir::build) are
/// numbered canonically, so an expression is found again however it was made. The cache can be
/// shared between threads, and can be a `static`:
///
/// ```
/// use kiln::{CompileOptions, KernelCache, ir};
/// use std::sync::{Arc, LazyLock};
///
/// static KERNELS: LazyLock<KernelCache> = LazyLock::new(|| KernelCache::new(100));
///
/// let graph = ir::parse("x * sigmoid(x)")?;
/// let first = KERNELS.get_or_compile(&graph, CompileOptions::new())?;
/// let again = KERNELS.get_or_compile(&ir::parse("x*sigmoid(x)")?, CompileOptions::new())?;
/// assert!(Arc::ptr_eq(&first, &again));
/// assert_eq!(KERNELS.compile_count(), 1);
/// # Ok::<(), kiln::CompileError>(())
/// ```
#[derive(Debug)]
pub struct KernelCache {
    capacity: usize,
    compiled: AtomicUsize,
    entries: Mutex<Entries>,
}

/// The cached kernels. Each graph has an entry for each set of options it was compiled with.
#[derive(Debug, Default)]
struct Entries {
    graphs: HashMap<Graph, Vec<Entry>>,
    /// Number of entries.
    count: usize,
    /// Number of uses so far.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    options: CompileOptions,
    slot: Slot,
    /// When it was last used, by the clock. No two entries have the same time.
    used: u64,
}

/// A kernel, or nothing until it is compiled. The thread that holds the lock compiles it; others
/// wait for it, but not for kernels of other graphs.
type Slot = Arc<Mutex<Option<Arc<Kernel>>>>;

impl KernelCache {
    /// A cache for up to `capacity` kernels, but at least one.
    pub fn new(capacity: usize) -> KernelCache {
        KernelCache {
            capacity: capacity.max(1),
            compiled: AtomicUsize::new(0),
            entries: Mutex::default(),
        }
    }

    /// The kernel of `graph`, compiled if it is not there; it then replaces the one unused for
    /// longest, if the cache is full.
    ///
    /// Threads that ask for the same kernel at once wait for the first of them, which compiles it.
    /// Errors are not kept: the next call tries again.
    pub fn get_or_compile(
        &self,
        graph: &Graph,
        options: CompileOptions,
    ) -> Result<Arc<Kernel>, CompileError> {
        self.get_or_make(graph, options, compile_with)
    }

    fn get_or_make(
        &self,
        graph: &Graph,
        options: CompileOptions,
        make: impl FnOnce(&Graph, CompileOptions) -> Result<Kernel, CompileError>,
    ) -> Result<Arc<Kernel>, CompileError> {
        let slot = lock(&self.entries).slot(graph, options, self.capacity);
        let mut kernel = lock(&slot);
        if let Some(kernel) = &*kernel {
            return Ok(kernel.clone());
        }
        match make(graph, options) {
            Ok(made) => {
                self.compiled.fetch_add(1, Ordering::Relaxed);
                Ok(kernel.insert(Arc::new(made)).clone())
            }
            Err(error) => {
                lock(&self.entries).retain(|entry| !Arc::ptr_eq(&entry.slot, &slot));
                Err(error)
            }
        }
    }

    /// The number of kernels it holds.
    pub fn len(&self) -> usize {
        lock(&self.entries).count
    }

    /// Whether it holds no kernels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of kernels it may hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of kernels compiled so far.
    pub fn compile_count(&self) -> usize {
        self.compiled.load(Ordering::Relaxed)
    }
}

impl Entries {
    /// The slot of a graph, added if there is none.
    fn slot(&mut self, graph: &Graph, options: CompileOptions, capacity: usize) -> Slot {
        self.clock += 1;
        let known = self.graphs.get_mut(graph);
        let entry = known.and_then(|entries| entries.iter_mut().find(|e| e.options == options));
        if let Some(entry) = entry {
            entry.used = self.clock;
            return entry.slot.clone();
        }
        if self.count == capacity {
            self.evict();
        }
        let slot = Slot::default();
        let entry = Entry { options, slot: slot.clone(), used: self.clock };
        self.graphs.entry(graph.clone()).or_default().push(entry);
        self.count += 1;
        slot
    }

    /// Removes the entry unused for longest. It looks at all of them: the compilation that follows
    /// takes a thousand times as long.
    fn evict(&mut self) {
        let oldest = self.graphs.values().flatten().map(|entry| entry.used).min();
        self.retain(|entry| Some(entry.used) != oldest);
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.graphs.retain(|_, entries| {
            entries.retain(&keep);
            !entries.is_empty()
        });
        self.count = self.graphs.values().map(Vec::len).sum();
    }
}

/// Locks even after a panic: every value behind a lock is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::KernelCache;
    use crate::options::CompileOptions;
    use crate::pipeline::{CompileError, compile_with};
    use kiln_jit::emit::{EmitError, EmitterKind};

    #[test]
    fn errors_are_not_kept() {
        let cache = KernelCache::new(4);
        let (graph, options) = (kiln_ir::parse("x + 1").unwrap(), CompileOptions::new());
        for _ in 0..2 {
            let refused = EmitError::NoFma { emitter: EmitterKind::Cranelift };
            let error = cache.get_or_make(&graph, options, |_, _| Err(refused.into()));
            assert!(matches!(error, Err(CompileError::Emit(EmitError::NoFma { .. }))));
            assert!(cache.is_empty());
        }
        cache.get_or_make(&graph, options, compile_with).unwrap();
        cache.get_or_make(&graph, options, |_, _| unreachable!("it is there")).unwrap();
        assert_eq!((cache.len(), cache.compile_count()), (1, 1));
    }

    #[test]
    fn a_panic_leaves_the_cache_in_order() {
        let cache = KernelCache::new(4);
        let (graph, options) = (kiln_ir::parse("x + 1").unwrap(), CompileOptions::new());
        let panicked = std::thread::scope(|scope| {
            scope.spawn(|| cache.get_or_make(&graph, options, |_, _| panic!("a bug"))).join()
        });
        assert!(panicked.is_err());
        cache.get_or_compile(&graph, options).unwrap();
        assert_eq!((cache.len(), cache.compile_count()), (1, 1));
    }
}
