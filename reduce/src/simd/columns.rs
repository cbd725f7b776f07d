//! Rows that lie side by side, from elements to results in registers: a lane of a vector has what is of one row.

use super::Vector;
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

/// Stripes that are merged at a time.
const GROUP: usize = 8;

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
                *vector = some(from, if ARE_FULL { V::LANES } else { self.count });
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
    let apart = line(lanes);
    let next = (lanes * size_of::<W::Result>()) as isize;
    let mut first = 0;
    while first < columns.runs {
        let here = if are_short && first + BURST <= columns.runs { BURST } else { 1 };
        // SAFETY: required of the caller.
        unsafe {
            for run in first..first + here {
                let (from, to) = (columns.some(run..run + 1).from, results.from(run).to);
                for at in (0..wide).step_by(BURST * lanes) {
                    let lanes = Lanes { from: from.add(at), len, step, count: lanes, apart };
                    W::fold::<BURST, true>(lanes, Results { to: to.add(at), next });
                }
            }
            for at in (wide..rows).step_by(lanes) {
                // The last vector has rows of the one before, too, if there is one.
                let (at, count) = (at.min(rows.saturating_sub(lanes)), lanes.min(rows));
                let from = columns.some(first..first + here).from.add(at);
                let to = results.from(first).to.add(at);
                let (lanes, results) = (
                    Lanes { from, len, step, count, apart: columns.next },
                    Results { to, next: results.next },
                );
                match (here == BURST, count == V::LANES) {
                    (true, true) => W::fold::<BURST, true>(lanes, results),
                    (true, false) => W::fold::<BURST, false>(lanes, results),
                    (false, true) => W::fold::<1, true>(lanes, results),
                    (false, false) => W::fold::<1, false>(lanes, results),
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
        // No closures: they would have no vectors of their own where they are not inlined.
        macro_rules! group {
            ($first:literal) => {
                stripes::<V, N, ARE_FULL>(lanes, $first, GROUP)
            };
        }
        // SAFETY: required of the caller.
        unsafe {
            // In the order of the tree that halves added to halves are, so that few wait.
            let sum = match lanes.len <= GROUP {
                true => stripes::<V, N, ARE_FULL>(lanes, 0, 1),
                false => {
                    let even = add(add(group!(0), group!(4)), add(group!(2), group!(6)));
                    add(even, add(add(group!(1), group!(5)), add(group!(3), group!(7))))
                }
            };
            let none = V::no_lane();
            for (index, sum) in sum.into_iter().enumerate() {
                let sum = V::choose(V::odd(none, sum, sum), V::splat(V::NAN), sum);
                keep(sum, results.from(index).to, count);
            }
        }
    }
}

/// What up to [`GROUP`] stripes come to, `apart` from one to the next.
#[inline(always)]
unsafe fn stripes<V: Vector, const N: usize, const ARE_FULL: bool>(
    lanes: Lanes<V::Element>,
    first: usize,
    apart: usize,
) -> [V; N] {
    let there = (lanes.len - first).div_ceil(apart);
    macro_rules! stripe {
        ($index:literal) => {
            lanes.load::<V, N, ARE_FULL>(first + $index * apart)
        };
    }
    macro_rules! pair {
        ($left:literal $right:literal) => {
            match there > $right {
                true => add(stripe!($left), stripe!($right)),
                false => stripe!($left),
            }
        };
    }
    // SAFETY: required of the caller.
    unsafe {
        let mut even = pair!(0 4);
        if there > 2 {
            even = add(even, pair!(2 6));
        }
        if there == 1 {
            return even;
        }
        let mut odd = pair!(1 5);
        if there > 3 {
            odd = add(odd, pair!(3 7));
        }
        add(even, odd)
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
