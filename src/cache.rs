//! The kernel cache: one kernel for equal graphs and options, compiled once.
//!
//! There is no hidden cache: compiling is explicit, and so is keeping.

use crate::error::CompileError;
use crate::options::CompileOptions;
use crate::pipeline::compile_with;
use crate::run::Kernel;
use kiln_ir::Graph;
use std::any::TypeId;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
/// let again = KERNELS.get_or_compile_text("x*sigmoid(x)", CompileOptions::new())?;
/// assert!(Arc::ptr_eq(&first, &again));
/// assert_eq!(KERNELS.compile_count(), 1);
/// # Ok::<(), kiln::CompileError>(())
/// ```
///
/// A text that was seen before is found without being read, in a fraction of a microsecond. So is a
/// closure: [`fuse!`](crate::fuse!) has a form for it.
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
    texts: Aliases<Box<str>>,
    closures: Aliases<TypeId>,
}

/// Other ways to an entry, by what its graph was made of.
type Aliases<K> = HashMap<K, Vec<Alias>>;

#[derive(Debug)]
struct Alias {
    options: CompileOptions,
    /// Gone once the entry is, and nobody else has the kernel.
    kernel: Weak<Kernel>,
    /// The entry's.
    used: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Entry {
    options: CompileOptions,
    /// Equal graphs may differ in this, and kernels tell it.
    ordered: bool,
    slot: Slot,
    /// When it was last used, by the clock. No two entries have the same time.
    used: Arc<AtomicU64>,
}

/// A kernel, or nothing until it is compiled. The thread that holds the lock compiles it; others
/// wait for it, but not for kernels of other graphs.
type Slot = Arc<Mutex<Option<Arc<Kernel>>>>;

impl Entry {
    /// Whether it is that of a graph, which equals its own.
    fn is_of(&self, graph: &Graph, options: CompileOptions) -> bool {
        self.options == options && self.ordered == graph.inputs_are_ordered()
    }
}

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

    /// The kernel of a text, as of [its graph](KernelCache::get_or_compile).
    pub fn get_or_compile_text(
        &self,
        text: &str,
        options: CompileOptions,
    ) -> Result<Arc<Kernel>, CompileError> {
        self.get_or_build_as(
            |entries| &mut entries.texts,
            text,
            options,
            || Ok(kiln_ir::parse(text)?),
        )
    }

    /// The kernel of the graph that `build` makes: the same one for each call with this key.
    pub(crate) fn get_or_build(
        &self,
        key: TypeId,
        options: CompileOptions,
        build: impl FnOnce() -> Result<Graph, CompileError>,
    ) -> Result<Arc<Kernel>, CompileError> {
        self.get_or_build_as(|entries| &mut entries.closures, &key, options, build)
    }

    /// The kernel that has the alias `key`, which it gets if it has none.
    fn get_or_build_as<
        K: Borrow<Q> + From<Q::Owned> + Eq + Hash,
        Q: ToOwned + Eq + Hash + ?Sized,
    >(
        &self,
        aliases: fn(&mut Entries) -> &mut Aliases<K>,
        key: &Q,
        options: CompileOptions,
        build: impl FnOnce() -> Result<Graph, CompileError>,
    ) -> Result<Arc<Kernel>, CompileError> {
        if let Some(kernel) = lock(&self.entries).known(aliases, key, options) {
            return Ok(kernel);
        }
        let graph = build()?;
        let kernel = self.get_or_compile(&graph, options)?;
        let mut entries = lock(&self.entries);
        if let Some(alias) = entries.alias(&graph, options, &kernel, self.capacity) {
            replace(aliases(&mut entries).entry(key.to_owned().into()).or_default(), alias);
        }
        Ok(kernel)
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
        let known = self.graphs.get(graph);
        let entry = known.and_then(|entries| entries.iter().find(|e| e.is_of(graph, options)));
        if let Some(entry) = entry {
            entry.used.store(self.clock, Ordering::Relaxed);
            return entry.slot.clone();
        }
        if self.count == capacity {
            self.evict();
        }
        let slot = Slot::default();
        let used = Arc::new(AtomicU64::new(self.clock));
        let ordered = graph.inputs_are_ordered();
        let entry = Entry { options, ordered, slot: slot.clone(), used };
        self.graphs.entry(graph.clone()).or_default().push(entry);
        self.count += 1;
        slot
    }

    /// The kernel of an alias. Its entry is used by that.
    fn known<K: Borrow<Q> + Eq + Hash, Q: Eq + Hash + ?Sized>(
        &mut self,
        aliases: fn(&mut Entries) -> &mut Aliases<K>,
        key: &Q,
        options: CompileOptions,
    ) -> Option<Arc<Kernel>> {
        self.clock += 1;
        let now = self.clock;
        let alias = aliases(self).get(key)?.iter().find(|alias| alias.options == options)?;
        alias.used.store(now, Ordering::Relaxed);
        alias.kernel.upgrade()
    }

    /// A new alias of an entry, if that is still there. There are a few for each entry at most:
    /// forgetting them costs time only.
    fn alias(
        &mut self,
        graph: &Graph,
        options: CompileOptions,
        kernel: &Arc<Kernel>,
        capacity: usize,
    ) -> Option<Alias> {
        if self.texts.len() + self.closures.len() > 4 * capacity {
            self.texts.clear();
            self.closures.clear();
        }
        let entries = self.graphs.get(graph)?;
        let entry = entries.iter().find(|entry| entry.is_of(graph, options))?;
        Some(Alias { options, kernel: Arc::downgrade(kernel), used: entry.used.clone() })
    }

    /// Removes the entry unused for longest. It looks at all of them: the compilation that follows
    /// takes a thousand times as long.
    fn evict(&mut self) {
        let used = |entry: &Entry| entry.used.load(Ordering::Relaxed);
        let oldest = self.graphs.values().flatten().map(used).min();
        self.retain(|entry| Some(used(entry)) != oldest);
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.graphs.retain(|_, entries| {
            entries.retain(&keep);
            !entries.is_empty()
        });
        self.count = self.graphs.values().map(Vec::len).sum();
    }
}

/// Adds an alias in place of the one for the same options, whose kernel is gone.
fn replace(aliases: &mut Vec<Alias>, alias: Alias) {
    aliases.retain(|known| known.options != alias.options);
    aliases.push(alias);
}

/// Locks even after a panic: every value behind a lock is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::KernelCache;
    use crate::error::CompileError;
    use crate::options::CompileOptions;
    use crate::pipeline::compile_with;
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

    /// A text whose kernel was evicted has one way to it, not one for each time it came back.
    #[test]
    fn evicted_kernels_leave_no_aliases() {
        let cache = KernelCache::new(1);
        for _ in 0..5 {
            for text in ["x + 1", "x + 2"] {
                cache.get_or_compile_text(text, CompileOptions::new()).unwrap();
            }
        }
        let entries = super::lock(&cache.entries);
        assert_eq!(entries.texts.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
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
