//! Rows that lie side by side, from elements to results in registers: a lane of a vector has what is of one row.

use super::Vector;
use crate::halves::{Leaves, in_halves};
use std::ops::Range;

/// Runs of rows side by side, of at least one element and at most a block each.
#[derive(Clone, Copy)]
pub(crate) struct Columns<T> {
    /// The first element of the first row.
    pub(crate) from: *const T,
    pub(crate) runs: usize,
    /// Bytes from run to run.
    pub(crate) next: isize,
    /// How many rows a run has.
    pub(crate) rows: usize,
    /// Elements of each.
    pub(crate) len: usize,
    /// Bytes from element to element of a row.
    pub(crate) step: isize,
    /// Whether L2 has all of them.
    pub(crate) are_near: bool,
}

/// Where results go: those of a run one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Results<R> {
    pub(crate) to: *mut R,
    /// Bytes from run to run.
    pub(crate) next: isize,
}

impl<T> Columns<T> {
    /// Some of the runs.
    pub(crate) fn some(&self, runs: Range<usize>) -> Columns<T> {
        let from = self.from.wrapping_byte_offset(runs.start as isize * self.next);
        Columns { from, runs: runs.len(), ..*self }
    }

    pub(super) fn of<U>(self) -> Columns<U> {
        let Columns { from, runs, next, rows, len, step, are_near } = self;
        Columns { from: from.cast(), runs, next, rows, len, step, are_near }
    }
}

impl<R> Results<R> {
    /// Those of a run and the next ones.
    pub(crate) fn from(&self, run: usize) -> Results<R> {
        Results { to: self.to.wrapping_byte_offset(run as isize * self.next), ..*self }
    }

    pub(super) fn of<U>(self) -> Results<U> {
        Results { to: self.to.cast(), next: self.next }
    }
}

/// Vectors that are folded at a time: of each element some lines of memory that follow one another, or neighbouring
/// rows of some runs. One by one, each element would wait for the one before.
pub(crate) const BURST: usize = 4;

/// Bytes of a run up to which several are folded at a time, and of one that is not in L2: longer ones are read faster
/// one by one.
const NEAR: usize = 8 << 10;
const FAR: usize = 1 << 10;

/// Some vectors of neighbouring rows.
pub(super) struct Lanes<T> {
    from: *const T,
    len: usize,
    step: isize,
    /// Lanes of each that are rows.
    count: usize,
    /// Bytes from vector to vector.
    apart: isize,
}

impl<T> Clone for Lanes<T> {
    fn clone(&self) -> Lanes<T> {
        *self
    }
}

impl<T> Copy for Lanes<T> {}

impl<T> Lanes<T> {
    /// Element `at` of each row.
    #[inline(always)]
    unsafe fn load<V: Vector<Element = T>, const N: usize, const ARE_FULL: bool>(
        &self,
        at: usize,
    ) -> [V; N] {
        let from = self.from.wrapping_byte_offset(at as isize * self.step);
        // SAFETY: required of the caller.
        unsafe {
            let mut vectors = [V::splat(V::NEGATIVE_ZERO); N];
            for (index, vector) in vectors.iter_mut().enumerate() {
                let from = from.wrapping_byte_offset(index as isize * self.apart);
                *vector = match ARE_FULL {
                    true => V::load(from),
                    false => V::load_some(from, self.count, V::splat(V::NEGATIVE_ZERO)),
                };
            }
            vectors
        }
    }
}

/// What becomes of rows.
pub(super) trait Way<V: Vector> {
    type Result;

    /// Of `N` vectors of them, whose lanes may all be rows; results lie as they do.
    ///
    /// # Safety
    ///
    /// The elements must be there, room for results, and the machine's vectors.
    unsafe fn fold<const N: usize, const ARE_FULL: bool>(
        lanes: Lanes<V::Element>,
        results: Results<Self::Result>,
    );
}

/// Folds rows so.
///
/// # Safety
///
/// The elements must be there, room for results, and the machine's vectors.
#[inline(always)]
pub(super) unsafe fn fold<V: Vector, W: Way<V>>(
    columns: &Columns<V::Element>,
    results: Results<W::Result>,
) {
    let Columns { rows, len, step, .. } = *columns;
    let (lanes, wide) = (V::LANES, rows / (BURST * V::LANES) * BURST * V::LANES);
    let most = if columns.are_near { NEAR } else { FAR };
    let are_short = rows * len * size_of::<V::Element>() <= most;
    let line = |elements: usize| (elements * size_of::<V::Element>()) as isize;
    let count = lanes.min(rows);
    let next = (lanes * size_of::<W::Result>()) as isize;
    let mut first = 0;
    while first < columns.runs {
        let here = if are_short && first + BURST <= columns.runs { BURST } else { 1 };
        // Of each of these runs what is wide, and then what is left of all of them.
        for part in if wide > 0 { 0 } else { here }..here + 1 {
            let is_wide = part < here;
            let (run, range, step_by, apart, next) = match is_wide {
                true => (first + part, 0..wide, BURST * lanes, line(lanes), next),
                false => (first, wide..rows, lanes, columns.next, results.next),
            };
            let (from, to) = (columns.some(run..run + 1).from, results.from(run).to);
            for at in range.step_by(step_by) {
                // The last vector has rows of the one before, too, if there is one.
                let at = at.min(rows.saturating_sub(lanes));
                // SAFETY: required of the caller.
                unsafe {
                    let lanes = Lanes { from: from.add(at), len, step, count, apart };
                    let results = Results { to: to.add(at), next };
                    match (is_wide || here == BURST, count == V::LANES) {
                        (true, true) => W::fold::<BURST, true>(lanes, results),
                        (true, false) => W::fold::<BURST, false>(lanes, results),
                        (false, true) => W::fold::<1, true>(lanes, results),
                        (false, false) => W::fold::<1, false>(lanes, results),
                    }
                }
            }
        }
        first += here;
    }
}

/// A vector, or the first elements of one.
#[inline(always)]
pub(super) unsafe fn some<V: Vector>(from: *const V::Element, count: usize) -> V {
    // SAFETY: required of the caller.
    unsafe {
        match count == V::LANES {
            true => V::load(from),
            false => V::load_some(from, count, V::splat(V::NEGATIVE_ZERO)),
        }
    }
}

#[inline(always)]
pub(super) unsafe fn keep<V: Vector>(vector: V, to: *mut V::Element, count: usize) {
    // SAFETY: required of the caller.
    unsafe {
        match count == V::LANES {
            true => vector.store(to),
            false => vector.store_some(to, count),
        }
    }
}

#[inline(always)]
pub(super) unsafe fn add<V: Vector, const N: usize>(mut left: [V; N], right: [V; N]) -> [V; N] {
    for (left, right) in left.iter_mut().zip(right) {
        // SAFETY: required of the caller.
        *left = unsafe { left.add(right) };
    }
    left
}

/// The sum, of rows with one element in each stripe.
pub(super) struct SumOf;

impl<V: Vector> Way<V> for SumOf {
    type Result = V::Element;

    #[inline(always)]
    unsafe fn fold<const N: usize, const ARE_FULL: bool>(
        lanes: Lanes<V::Element>,
        results: Results<V::Element>,
    ) {
        let count = if ARE_FULL { V::LANES } else { lanes.count };
        // SAFETY: required of the caller.
        unsafe {
            let sum = in_halves(Stripes::<V, N, ARE_FULL>(lanes));
            let none = V::no_lane();
            for (index, sum) in sum.into_iter().enumerate() {
                let sum = V::choose(V::odd(none, sum, sum), V::splat(V::NAN), sum);
                keep(sum, results.from(index).to, count);
            }
        }
    }
}

/// Vectors of rows with one element in each stripe, which are added.
struct Stripes<V: Vector, const N: usize, const ARE_FULL: bool>(Lanes<V::Element>);

impl<V: Vector, const N: usize, const ARE_FULL: bool> Clone for Stripes<V, N, ARE_FULL> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: Vector, const N: usize, const ARE_FULL: bool> Copy for Stripes<V, N, ARE_FULL> {}

impl<V: Vector, const N: usize, const ARE_FULL: bool> Leaves for Stripes<V, N, ARE_FULL> {
    type Merged = [V; N];

    #[inline(always)]
    fn len(self) -> usize {
        self.0.len
    }

    #[inline(always)]
    unsafe fn load(self, at: usize) -> [V; N] {
        // SAFETY: required of the caller.
        unsafe { self.0.load::<V, N, ARE_FULL>(at) }
    }

    #[inline(always)]
    unsafe fn merge(left: [V; N], right: [V; N]) -> [V; N] {
        // SAFETY: as above.
        unsafe { add(left, right) }
    }

    #[inline(always)]
    unsafe fn nothing() -> [V; N] {
        // SAFETY: as above.
        unsafe { [V::splat(V::NEGATIVE_ZERO); N] }
    }
}

/// The best elements, and where they are if that is asked for; and the lanes in which a NaN is.
#[inline(always)]
#[allow(clippy::type_complexity, reason = "two arrays and a third")]
unsafe fn best<
    V: Vector,
    const N: usize,
    const ARE_FULL: bool,
    const LARGEST: bool,
    const HAS_PLACES: bool,
>(
    lanes: Lanes<V::Element>,
) -> ([V; N], [V; N], [V::Mask; N]) {
    // SAFETY: required of the caller.
    unsafe {
        let mut best = lanes.load::<V, N, ARE_FULL>(0);
        let mut odd = [V::no_lane(); N];
        for (odd, &best) in odd.iter_mut().zip(&best) {
            *odd = V::odd(*odd, best, best);
        }
        let (one, mut here) = (V::splat(V::ONE), V::splat(V::NEGATIVE_ZERO));
        let mut places = [here; N];
        for at in 1..lanes.len {
            let elements = lanes.load::<V, N, ARE_FULL>(at);
            if HAS_PLACES {
                here = here.add(one);
            }
            for (index, element) in elements.into_iter().enumerate() {
                if HAS_PLACES {
                    let takes = element.beyond::<LARGEST>(best[index], odd[index]);
                    best[index] = V::choose(takes, element, best[index]);
                    places[index] = V::choose(takes, here, places[index]);
                } else {
                    best[index] = element.better::<LARGEST>(best[index]);
                }
                odd[index] = V::odd(odd[index], element, element);
            }
        }
        (best, places, odd)
    }
}

/// The largest element or the least, of zeros any; NaN if one is.
pub(super) struct BestOf<const LARGEST: bool>;

impl<V: Vector, const LARGEST: bool> Way<V> for BestOf<LARGEST> {
    type Result = V::Element;

    #[inline(always)]
    unsafe fn fold<const N: usize, const ARE_FULL: bool>(
        lanes: Lanes<V::Element>,
        results: Results<V::Element>,
    ) {
        let count = if ARE_FULL { V::LANES } else { lanes.count };
        // SAFETY: required of the caller.
        unsafe {
            let (best, _, odd) = best::<V, N, ARE_FULL, LARGEST, false>(lanes);
            for (index, (best, odd)) in best.into_iter().zip(odd).enumerate() {
                let best = V::choose(odd, V::splat(V::NAN), best);
                keep(best, results.from(index).to, count);
            }
        }
    }
}

/// The place of the first of these, or of the first NaN.
pub(super) struct PlaceOf<const LARGEST: bool>;

impl<V: Vector, const LARGEST: bool> Way<V> for PlaceOf<LARGEST> {
    type Result = i64;

    #[inline(always)]
    unsafe fn fold<const N: usize, const ARE_FULL: bool>(
        lanes: Lanes<V::Element>,
        results: Results<i64>,
    ) {
        let count = if ARE_FULL { V::LANES } else { lanes.count };
        // SAFETY: required of the caller.
        unsafe {
            let (_, places, _) = best::<V, N, ARE_FULL, LARGEST, true>(lanes);
            for (index, places) in places.into_iter().enumerate() {
                places.store_integers(results.from(index).to, count);
            }
        }
    }
}
