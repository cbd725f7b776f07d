//! Special plans for calls whose inputs differ much in size, each made when first needed.

use super::Plan;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// An input with this many times fewer elements than the largest is small. What is computed from
/// small inputs alone may be worth a pass of its own.
const SMALL: usize = 16;

/// Which inputs of a call are small.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SizeClass(SmallVec<[bool; 8]>);

impl SizeClass {
    /// The class of a call whose inputs have this many elements; `None` if none is small.
    fn of(lens: impl Iterator<Item = usize> + Clone) -> Option<SizeClass> {
        let largest = lens.clone().max()?;
        let is_small = |len: usize| SMALL.saturating_mul(len) <= largest;
        lens.clone().any(is_small).then(|| SizeClass(lens.map(is_small).collect()))
    }

    /// For each input, whether it is small.
    pub(crate) fn small(&self) -> &[bool] {
        &self.0
    }
}

/// Makes plans for size classes.
pub(crate) trait Specialize<K>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The plan for calls of a class; `None` if the usual one does as well.
    fn plan(&self, class: &SizeClass) -> Result<Option<Plan<K>>, Failure>;
}

/// Why there is no plan for a class.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The plans of a kernel: the usual one, and those made for size classes.
pub(crate) struct Plans<K> {
    usual: Plan<K>,
    special: Option<Special<K>>,
}

struct Special<K> {
    make: Box<dyn Specialize<K>>,
    /// Locked only to find a cell. A call that needs a plan being made waits for that plan; no
    /// other call waits.
    made: RwLock<HashMap<SizeClass, Arc<Cell<K>>>>,
}

/// The result of making a plan, once it is known.
type Cell<K> = OnceLock<Result<Option<Plan<K>>, Failure>>;

impl<K> Plans<K> {
    /// One plan for all sizes.
    pub(crate) fn new(usual: Plan<K>) -> Plans<K> {
        Plans { usual, special: None }
    }

    /// A usual plan, and what makes the others.
    pub(crate) fn with_special(usual: Plan<K>, make: Box<dyn Specialize<K>>) -> Plans<K> {
        Plans { usual, special: Some(Special { make, made: RwLock::default() }) }
    }

    /// The plan for calls of unknown sizes.
    pub(crate) fn usual(&self) -> &Plan<K> {
        &self.usual
    }

    /// The plan of a call whose inputs have this many elements, made now if the call is the first
    /// of its class.
    #[inline(always)]
    pub(crate) fn choose(&self, lens: impl Iterator<Item = usize> + Clone) -> Chosen<'_, K> {
        let cell = self.special.as_ref().and_then(|special| special.cell(SizeClass::of(lens)?));
        Chosen { usual: &self.usual, cell }
    }

    /// The class of such a call, if plans differ by class.
    pub(crate) fn class(&self, lens: impl Iterator<Item = usize> + Clone) -> Option<SizeClass> {
        self.special.as_ref().and_then(|_| SizeClass::of(lens))
    }
}

impl<K> Special<K> {
    /// The cell for the plan of a class, added if there is none yet.
    fn cell(&self, class: SizeClass) -> Option<Arc<Cell<K>>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(&class).cloned();
        drop(made);
        let cell = known.unwrap_or_else(|| {
            let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
            made.entry(class.clone()).or_default().clone()
        });
        cell.get_or_init(|| self.make.plan(&class));
        Some(cell)
    }
}

/// The plan of a call.
pub(crate) struct Chosen<'a, K> {
    usual: &'a Plan<K>,
    cell: Option<Arc<Cell<K>>>,
}

impl<K> Chosen<'_, K> {
    /// Whether it was made for the sizes of the call. An error says why no such plan could be made:
    /// then the usual plan runs, which computes the same.
    pub(crate) fn is_special(&self) -> Result<bool, &Failure> {
        match self.cell.as_ref().and_then(|cell| cell.get()) {
            Some(made) => made.as_ref().map(Option::is_some),
            None => Ok(false),
        }
    }
}

impl<K> Deref for Chosen<'_, K> {
    type Target = Plan<K>;

    #[inline(always)]
    fn deref(&self) -> &Plan<K> {
        match self.cell.as_ref().and_then(|cell| cell.get()) {
            Some(Ok(Some(plan))) => plan,
            _ => self.usual,
        }
    }
}

impl<K: fmt::Debug> fmt::Debug for Plans<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans").field("usual", &self.usual).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Plan, Plans, SizeClass, Specialize};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError, mpsc};
    use std::thread;

    fn plan(passes: usize) -> Plan<()> {
        let steps = (0..passes).map(|_| super::super::Step {
            action: super::super::Action::Call(kiln_ir::Call::Matmul),
            args: Vec::new(),
            results: Vec::new(),
            domain: 0,
            smaller: Vec::new(),
        });
        let steps = steps.collect();
        Plan { steps, shapes: passes, buffers: Vec::new(), written: Vec::new(), read: Vec::new() }
    }

    /// Counts calls, and blocks if the last two of three inputs are small.
    struct Slow {
        made: &'static AtomicUsize,
        begun: mpsc::Sender<()>,
        released: Mutex<mpsc::Receiver<()>>,
    }

    impl Specialize<()> for Slow {
        fn plan(&self, class: &SizeClass) -> Result<Option<Plan<()>>, Failure> {
            match class.small() {
                [false, true, true] => {
                    self.made.fetch_add(1, Ordering::SeqCst);
                    self.begun.send(()).unwrap();
                    let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
                    released.recv().unwrap();
                    Ok(Some(plan(2)))
                }
                [false, false, true] => Err("no memory for it".into()),
                _ => Ok(None),
            }
        }
    }

    /// A plan for small operands is made once, and calls that do not need it do not wait for it.
    #[test]
    fn plans_are_made_apart() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let slow = Slow { made: &MADE, begun, released: Mutex::new(released) };
        let plans = Plans::with_special(plan(1), Box::new(slow));
        let passes = |lens: [usize; 3]| plans.choose(lens.into_iter()).steps.len();
        thread::scope(|scope| {
            let calls = [0; 3].map(|_| scope.spawn(|| passes([64, 4, 1])));
            has_begun.recv().unwrap();
            // Meanwhile, calls of other sizes.
            assert_eq!([passes([64, 64, 1]), passes([1, 64, 64]), passes([64, 5, 5])], [1; 3]);
            release.send(()).unwrap();
            assert!(calls.into_iter().all(|call| call.join().unwrap() == 2));
        });
        assert_eq!(MADE.load(Ordering::SeqCst), 1);
        let is_special = |lens: [usize; 3]| {
            let chosen = plans.choose(lens.into_iter());
            chosen.is_special().map_err(ToString::to_string)
        };
        assert_eq!(is_special([64, 4, 1]), Ok(true));
        assert_eq!(is_special([1, 64, 64]), Ok(false));
        assert_eq!(is_special([64, 64, 1]), Err("no memory for it".to_string()));
    }

    #[test]
    fn one_plan_where_nothing_makes_others() {
        let plans = Plans::new(plan(1));
        assert_eq!(plans.class([64, 1].into_iter()), None);
        assert!(matches!(plans.choose([64, 1].into_iter()).is_special(), Ok(false)));
    }
}
