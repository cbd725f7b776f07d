//! Special plans for calls whose inputs differ much in size, each made when first needed.

use super::Plan;
use super::pattern::Pattern;
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

/// The same of inputs that alone are read by a reduction or a product. That is never computed again for an element, but
/// for a row, or many.
const SMALLER: usize = 2;

/// The most classes that have plans of their own: of calls whose shapes always differ, not all can.
const MOST_CLASSES: usize = 64;

/// What is known of the sizes of a call's inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SizeClass {
    /// Of a kernel of elementwise ops.
    Lens {
        /// For each input, whether it is small.
        small: SmallVec<[bool; 8]>,
        /// Whether all inputs have one shape, but for the small ones, which are single elements.
        one_shape: bool,
    },
    /// Of others, which also know ranks.
    Shapes(Pattern),
}

impl SizeClass {
    /// The class of a call whose inputs have these shapes; `None` if nothing is to be gained.
    #[inline]
    fn of<'s>(
        shapes: impl Iterator<Item = &'s [usize]> + Clone,
        matters: &Matters,
    ) -> Option<SizeClass> {
        if let Some(shaped) = &matters.shapes {
            return shaped
                .matter(shapes.clone())
                .then(|| Pattern::of(shapes).map(SizeClass::Shapes))?;
        }
        if matters.one_shape {
            let mut arrays = shapes.clone().filter(|shape| !shape.is_empty());
            let first = arrays.next();
            if arrays.all(|shape| Some(shape) == first) {
                let small = shapes.map(|shape| shape.is_empty() && first.is_some()).collect();
                return Some(SizeClass::Lens { small, one_shape: true });
            }
        }
        if !matters.small {
            return None;
        }
        let lens = shapes.map(len);
        let largest = lens.clone().max()?;
        let is_small = |len: usize| SMALL.saturating_mul(len) <= largest;
        let is_any = lens.clone().any(is_small);
        is_any.then(|| SizeClass::Lens { small: lens.map(is_small).collect(), one_shape: false })
    }
}

/// How many elements an array of this shape has.
fn len(shape: &[usize]) -> usize {
    match shape.contains(&0) {
        true => 0,
        false => shape.iter().fold(1, |len: usize, &size| len.saturating_mul(size)),
    }
}

/// What of the sizes of a call may ask for another plan than the usual one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matters {
    /// That some inputs are small: what depends on them alone is dear.
    pub(crate) small: bool,
    /// That all arrays have one shape: then outputs whose shapes could differ share a pass.
    pub(crate) one_shape: bool,
    /// Which axes are equal, of a kernel with calls.
    pub(crate) shapes: Option<Shaped>,
}

/// When the shapes of a call matter to a kernel with calls.
#[derive(Clone, Debug)]
pub(crate) struct Shaped {
    /// Always: the usual plan has several passes, and some might be one.
    pub(crate) always: bool,
    /// Where all inputs of one of these sets are small: a call is of them alone.
    pub(crate) dear: Vec<Vec<usize>>,
}

impl Shaped {
    #[inline]
    fn matter<'s>(&self, shapes: impl Iterator<Item = &'s [usize]>) -> bool {
        if self.always {
            return true;
        }
        let lens: SmallVec<[usize; 8]> = shapes.map(len).collect();
        let largest = lens.iter().copied().max().unwrap_or(0);
        let is_small = |&input: &usize| SMALLER.saturating_mul(lens[input]) <= largest;
        self.dear.iter().any(|inputs| inputs.iter().all(is_small))
    }
}

/// Makes plans for size classes.
pub(crate) trait Specialize<K>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The plan for calls of a class; `None` if the usual one does as well.
    fn plan(&self, class: &SizeClass) -> Result<Option<Plan<K>>, Failure>;
}

/// Why there is no plan for a class, in words.
#[derive(Clone, Debug)]
pub(crate) struct Failure(String);

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The plans of a kernel: the usual one, and those made for size classes.
pub(crate) struct Plans<K> {
    usual: Plan<K>,
    special: Option<Special<K>>,
}

struct Special<K> {
    matters: Matters,
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

    /// A usual plan, and what makes the others where something matters.
    pub(crate) fn with_special(
        usual: Plan<K>,
        matters: Matters,
        make: Box<dyn Specialize<K>>,
    ) -> Plans<K> {
        Plans { usual, special: Some(Special { matters, make, made: RwLock::default() }) }
    }

    /// Whether all calls have the usual plan.
    pub(crate) fn is_one(&self) -> bool {
        self.special.is_none()
    }

    /// Whether single elements beside arrays of one shape, with `len` elements, may ask for another
    /// plan than arrays of that shape alone.
    #[inline(always)]
    pub(crate) fn tells_elements(&self, len: usize) -> bool {
        let matters = self.special.as_ref().map(|special| &special.matters);
        matters.is_some_and(|matters| matters.one_shape || SMALL <= len)
    }

    /// The plan for calls of unknown sizes.
    pub(crate) fn usual(&self) -> &Plan<K> {
        &self.usual
    }

    /// The plan of a call whose inputs have these shapes, made now if the call is the first of its
    /// class.
    #[inline(always)]
    pub(crate) fn choose<'s>(
        &self,
        shapes: impl Iterator<Item = &'s [usize]> + Clone,
    ) -> Chosen<'_, K> {
        let cell = self
            .special
            .as_ref()
            .and_then(|special| special.cell(SizeClass::of(shapes, &special.matters)?));
        Chosen { usual: &self.usual, cell }
    }

    /// The class of such a call, if plans differ by class.
    pub(crate) fn class<'s>(
        &self,
        shapes: impl Iterator<Item = &'s [usize]> + Clone,
    ) -> Option<SizeClass> {
        self.special.as_ref().and_then(|special| SizeClass::of(shapes, &special.matters))
    }
}

impl<K> Special<K> {
    /// The cell for the plan of a class, added if there is none yet and not too many.
    fn cell(&self, class: SizeClass) -> Option<Arc<Cell<K>>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(&class).cloned();
        drop(made);
        let added = || {
            let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
            let has_room = made.len() < MOST_CLASSES || made.contains_key(&class);
            has_room.then(|| made.entry(class.clone()).or_default().clone())
        };
        let cell = known.or_else(added)?;
        cell.get_or_init(|| self.make.plan(&class));
        Some(cell)
    }
}

/// The plan of a call.
#[derive(Debug)]
pub(crate) struct Chosen<'a, K> {
    usual: &'a Plan<K>,
    cell: Option<Arc<Cell<K>>>,
}

impl<'a, K> Chosen<'a, K> {
    /// The one for calls of unknown sizes.
    pub(crate) fn usual(plans: &'a Plans<K>) -> Chosen<'a, K> {
        Chosen { usual: &plans.usual, cell: None }
    }

    /// What is left of it once the plans are lent no more.
    pub(crate) fn keep(self) -> Kept<K> {
        Kept(self.cell)
    }

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
        special(&self.cell).unwrap_or(self.usual)
    }
}

/// A plan that was chosen before.
#[derive(Debug)]
pub(crate) struct Kept<K>(Option<Arc<Cell<K>>>);

impl<K> Kept<K> {
    /// The plan, of the plans that it was chosen from.
    #[inline(always)]
    pub(crate) fn plan<'k>(&'k self, plans: &'k Plans<K>) -> &'k Plan<K> {
        special(&self.0).unwrap_or(&plans.usual)
    }
}

#[inline(always)]
fn special<K>(cell: &Option<Arc<Cell<K>>>) -> Option<&Plan<K>> {
    match cell.as_ref().and_then(|cell| cell.get()) {
        Some(Ok(Some(plan))) => Some(plan),
        _ => None,
    }
}

impl<K: fmt::Debug> fmt::Debug for Plans<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans").field("usual", &self.usual).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Matters, Plan, Plans, Shaped, SizeClass, Specialize};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError, mpsc};
    use std::thread;

    fn plan(passes: usize) -> Plan<()> {
        let steps = (0..passes).map(|_| super::super::Step {
            action: super::super::Action::Call(kiln_ir::Call::Matmul),
            call: None,
            args: Vec::new(),
            results: Vec::new(),
            domain: 0,
            smaller: Vec::new(),
        });
        let steps = steps.collect();
        Plan {
            steps,
            shapes: passes,
            buffers: Vec::new(),
            views: Vec::new(),
            numbers: Vec::new(),
            checks: Vec::new(),
            written: Vec::new(),
            through: Vec::new(),
            read: Vec::new(),
            last: None,
        }
    }

    /// Counts calls, and blocks if the last two of three inputs are small.
    struct Slow {
        made: &'static AtomicUsize,
        begun: mpsc::Sender<()>,
        released: Mutex<mpsc::Receiver<()>>,
    }

    impl Specialize<()> for Slow {
        fn plan(&self, class: &SizeClass) -> Result<Option<Plan<()>>, Failure> {
            let SizeClass::Lens { small, .. } = class else { return Ok(None) };
            match small[..] {
                [false, true, true] => {
                    self.made.fetch_add(1, Ordering::SeqCst);
                    self.begun.send(()).unwrap();
                    let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
                    released.recv().unwrap();
                    Ok(Some(plan(2)))
                }
                [false, false, true] => Err(Failure("no memory for it".into())),
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
        let matters = Matters { small: true, ..Matters::default() };
        let plans = Plans::with_special(plan(1), matters, Box::new(slow));
        let choose = |lens: &[usize; 3]| plans.choose(lens.iter().map(std::slice::from_ref));
        let passes = |lens: [usize; 3]| choose(&lens).steps.len();
        thread::scope(|scope| {
            let calls = [0; 3].map(|_| scope.spawn(|| passes([64, 4, 1])));
            has_begun.recv().unwrap();
            // Meanwhile, calls of other sizes.
            assert_eq!([passes([64, 64, 1]), passes([1, 64, 64]), passes([64, 5, 5])], [1; 3]);
            release.send(()).unwrap();
            assert!(calls.into_iter().all(|call| call.join().unwrap() == 2));
        });
        assert_eq!(MADE.load(Ordering::SeqCst), 1);
        let is_special = |lens: [usize; 3]| choose(&lens).is_special().map_err(ToString::to_string);
        assert_eq!(is_special([64, 4, 1]), Ok(true));
        assert_eq!(is_special([1, 64, 64]), Ok(false));
        assert_eq!(is_special([64, 64, 1]), Err("no memory for it".to_string()));
    }

    #[test]
    fn one_plan_where_nothing_makes_others() {
        let plans = Plans::new(plan(1));
        let shapes = || [&[64][..], &[1]].into_iter();
        assert_eq!(plans.class(shapes()), None);
        assert!(matches!(plans.choose(shapes()).is_special(), Ok(false)));
    }

    #[test]
    fn classes_of_calls() {
        let class = |shapes: &[&[usize]], small, one_shape| {
            let matters = Matters { small, one_shape, shapes: None };
            match SizeClass::of(shapes.iter().copied(), &matters)? {
                SizeClass::Lens { small, one_shape } => Some((small.to_vec(), one_shape)),
                SizeClass::Shapes(pattern) => panic!("{pattern}"),
            }
        };
        let (t, f) = (true, false);
        assert_eq!(class(&[&[64, 4], &[4], &[]], t, f), Some((vec![f, t, t], f)));
        assert_eq!(class(&[&[64, 4], &[64, 4], &[]], t, t), Some((vec![f, f, t], t)));
        assert_eq!(class(&[&[64, 4], &[64, 4]], f, t), Some((vec![f, f], t)));
        assert_eq!(class(&[&[2], &[]], t, t), Some((vec![f, t], t)), "an element, if not small");
        assert_eq!(class(&[&[2], &[]], t, f), None);
        assert_eq!(class(&[&[], &[]], t, t), Some((vec![f, f], t)));
        assert_eq!(class(&[&[2], &[2, 1]], t, t), None);
        assert_eq!(class(&[&[64], &[1]], t, t), Some((vec![f, t], f)), "an axis is no element");
        assert_eq!(class(&[&[64], &[1]], f, t), None);
        assert_eq!(class(&[&[64], &[0, 5]], t, f), Some((vec![f, t], f)));
    }

    #[test]
    fn classes_of_calls_with_reductions() {
        let class = |shapes: &[&[usize]], always| {
            let shaped = Shaped { always, dear: vec![vec![1], vec![0, 2]] };
            let matters = Matters { shapes: Some(shaped), ..Matters::default() };
            match SizeClass::of(shapes.iter().copied(), &matters)? {
                SizeClass::Lens { .. } => panic!("ranks are known"),
                SizeClass::Shapes(pattern) => Some(pattern.to_string()),
            }
        };
        let weights = Some("[s1, s2], [s2], [s1, s2]".to_string());
        assert_eq!(class(&[&[8, 4], &[4], &[8, 4]], false), weights);
        assert_eq!(class(&[&[8, 4], &[8, 4], &[4]], false), None, "one of two is small");
        assert_eq!(class(&[&[4], &[8, 4], &[4]], false).as_deref(), Some("[s1], [s2, s1], [s1]"));
        assert_eq!(class(&[&[3], &[3], &[3]], true).as_deref(), Some("[s1], [s1], [s1]"));
    }
}
