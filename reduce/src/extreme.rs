//! Largest and least elements, and where they are.

use super::fold::{Fold, STRIP};
use super::simd::{BURST, Blocked, Columns, Machine, Results};
use std::marker::PhantomData;

/// The largest element, or the least.
pub(super) struct Extreme<T, const LARGEST: bool>(PhantomData<T>);
/// The largest element that is a number.
pub(super) struct Supremum<T>(PhantomData<T>);
/// The place of the first of these.
pub(super) struct Place<T, const LARGEST: bool>(PhantomData<T>);

/// A number of the kinds that are compared.
pub(super) trait Number: Copy + PartialOrd + 'static {
    /// An integer that is larger if the number is, +0 being above -0.
    type Key: Copy + Ord;
    const LEAST: Self::Key;
    const LARGEST: Self::Key;
    /// Nothing is beyond these.
    const BOUNDS: [Self; 2];
    const ZERO: Self;
    /// The NaN that stands for all; 0 if there is none.
    const NAN: Self;

    fn is_nan(self) -> bool;

    fn key(self) -> Self::Key;

    fn of_key(key: Self::Key) -> Self;

    /// A number of elements.
    fn count(elements: usize) -> Self;
}

macro_rules! define_numbers {
    (floats $($float:ident by $key:ident)*; integers $($integer:ident)*) => {
        $(impl Number for $float {
            type Key = $key;
            const LEAST: $key = $key::MIN;
            const LARGEST: $key = $key::MAX;
            const BOUNDS: [$float; 2] = [$float::NEG_INFINITY, $float::INFINITY];
            const ZERO: $float = 0.0;
            const NAN: $float = $float::NAN;

            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }

            /// Bits count upwards, but those of negative numbers downwards.
            #[inline(always)]
            fn key(self) -> $key {
                let bits = self.to_bits() as $key;
                bits ^ ((bits >> ($key::BITS - 1)) & $key::MAX)
            }

            #[inline(always)]
            fn of_key(key: $key) -> $float {
                let bits = key ^ ((key >> ($key::BITS - 1)) & $key::MAX);
                $float::from_bits(bits as _)
            }

            fn count(elements: usize) -> $float {
                elements as $float
            }
        })*
        $(impl Number for $integer {
            type Key = $integer;
            const LEAST: $integer = $integer::MIN;
            const LARGEST: $integer = $integer::MAX;
            const BOUNDS: [$integer; 2] = [$integer::MIN, $integer::MAX];
            const ZERO: $integer = 0;
            const NAN: $integer = 0;

            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }

            #[inline(always)]
            fn key(self) -> $integer {
                self
            }

            #[inline(always)]
            fn of_key(key: $integer) -> $integer {
                key
            }

            fn count(elements: usize) -> $integer {
                elements as $integer
            }
        })*
    };
}

define_numbers! { floats f32 by i32 f64 by i64; integers u8 i32 i64 }

/// NaN wins, and then the larger, or the lesser; -0 is below +0. In any order it is the same: the keys of
/// two NaN are the largest and the least integer.
impl<T: Number, const LARGEST: bool> Fold for Extreme<T, LARGEST> {
    const ANY_ORDER: bool = true;

    type Element = T;
    type Lane = T::Key;
    type Block = T;
    type State = T::Key;
    type Result = T;

    #[inline(always)]
    fn identity() -> T::Key {
        if LARGEST { T::LEAST } else { T::LARGEST }
    }

    #[inline(always)]
    fn lane(_: usize, element: T) -> T::Key {
        match element.is_nan() {
            true if LARGEST => T::LARGEST,
            true => T::LEAST,
            false => element.key(),
        }
    }

    #[inline(always)]
    fn merge(left: T::Key, right: T::Key) -> T::Key {
        if LARGEST { left.max(right) } else { left.min(right) }
    }

    #[inline(always)]
    fn block(merged: T::Key) -> T {
        T::of_key(merged)
    }

    #[inline(always)]
    fn start() -> T::Key {
        Self::identity()
    }

    #[inline(always)]
    fn join(best: &mut T::Key, block: T) {
        *best = Self::merge(*best, Self::lane(0, block));
    }

    #[inline(always)]
    fn finish(best: T::Key, _: usize) -> T {
        let best = T::of_key(best);
        if best.is_nan() { T::NAN } else { best }
    }

    /// One instruction compares and chooses, if neither NaN nor the sign of zero count. So NaN is looked
    /// for beside it, and the sign only where the result is zero.
    #[inline(always)]
    fn whole<M: Machine>(_: usize, block: &[T]) -> T {
        match M::extreme::<T, LARGEST>(block) {
            Some(best) if best != T::ZERO => best,
            _ => {
                let merge = |a, &b: &T| Self::merge(a, Self::lane(0, b));
                T::of_key(block.iter().fold(Self::identity(), merge))
            }
        }
    }

    #[inline(always)]
    unsafe fn several<M: Machine>(rows: Blocked<T>, to: *mut T) -> usize {
        // SAFETY: required of the caller.
        unsafe { several::<Self, M, T, LARGEST>(rows, to) }
    }

    #[inline(always)]
    unsafe fn columns<M: Machine>(rows: Columns<T>, to: Results<T>) -> bool {
        // SAFETY: required of the caller.
        unsafe { columns::<Self, M, T, LARGEST>(rows, to) }
    }
}

/// NaN is as good as nothing, and zeros are +0, so in any order it is the same.
impl<T: Number> Fold for Supremum<T> {
    const ANY_ORDER: bool = true;

    type Element = T;
    type Lane = T::Key;
    type Block = T;
    type State = T::Key;
    type Result = T;

    #[inline(always)]
    fn identity() -> T::Key {
        T::BOUNDS[0].key()
    }

    #[inline(always)]
    fn lane(_: usize, element: T) -> T::Key {
        match element {
            element if element.is_nan() => Self::identity(),
            element if element == T::ZERO => T::ZERO.key(),
            element => element.key(),
        }
    }

    #[inline(always)]
    fn merge(left: T::Key, right: T::Key) -> T::Key {
        left.max(right)
    }

    #[inline(always)]
    fn block(merged: T::Key) -> T {
        T::of_key(merged)
    }

    #[inline(always)]
    fn start() -> T::Key {
        Self::identity()
    }

    #[inline(always)]
    fn join(best: &mut T::Key, block: T) {
        *best = Self::merge(*best, block.key());
    }

    #[inline(always)]
    fn finish(best: T::Key, _: usize) -> T {
        T::of_key(best)
    }

    /// As [`Extreme`] does.
    #[inline(always)]
    fn whole<M: Machine>(_: usize, block: &[T]) -> T {
        match M::extreme::<T, true>(block) {
            Some(best) if best != T::ZERO && !best.is_nan() => best,
            _ => {
                let merge = |a, &b: &T| Self::merge(a, Self::lane(0, b));
                T::of_key(block.iter().fold(Self::identity(), merge))
            }
        }
    }

    #[inline(always)]
    unsafe fn several<M: Machine>(rows: Blocked<T>, to: *mut T) -> usize {
        // SAFETY: required of the caller.
        unsafe { several::<Self, M, T, true>(rows, to) }
    }

    #[inline(always)]
    unsafe fn columns<M: Machine>(rows: Columns<T>, to: Results<T>) -> bool {
        // SAFETY: required of the caller.
        unsafe { columns::<Self, M, T, true>(rows, to) }
    }
}

/// Extremes of rows, as [`whole`](Fold::whole) has them: those that are zero, and those that are or may be
/// NaN, one by one.
///
/// # Safety
///
/// As for [`several`](Fold::several).
#[inline(always)]
unsafe fn several<F, M, T, const LARGEST: bool>(rows: Blocked<T>, to: *mut T) -> usize
where
    F: Fold<Element = T, Block = T>,
    M: Machine,
    T: Number,
{
    const AT_A_TIME: usize = 16;
    // SAFETY: required of the caller.
    unsafe {
        let done = M::extremes::<T, LARGEST>(rows, to);
        let best = std::slice::from_raw_parts_mut(to, done);
        for (index, best) in best.chunks_mut(AT_A_TIME).enumerate() {
            let is_odd = |best: T| best.is_nan() | (best == T::ZERO);
            if best.iter().fold(false, |any, &best| any | is_odd(best)) {
                for (row, best) in best.iter_mut().enumerate().filter(|(_, best)| is_odd(**best)) {
                    let row = rows.row(index * AT_A_TIME + row);
                    *best = F::whole::<M>(0, std::slice::from_raw_parts(row, rows.len));
                }
            }
        }
        done
    }
}

/// Extremes of rows side by side. Where some are zero, or are or may be NaN, they and their neighbours are found
/// as the definition says.
///
/// # Safety
///
/// As for [`columns`](Fold::columns).
#[inline(always)]
unsafe fn columns<F, M, T, const LARGEST: bool>(rows: Columns<T>, to: Results<T>) -> bool
where
    F: Fold<Element = T, Result = T>,
    M: Machine,
    T: Number,
{
    const NEIGHBOURS: usize = 16;
    // SAFETY: required of the caller.
    unsafe {
        for first in (0..rows.runs).step_by(BURST) {
            let end = rows.runs.min(first + BURST);
            if !M::best_of_columns::<T, LARGEST>(rows.some(first..end), to.from(first)) {
                return false;
            }
            for run in first..end {
                let best = std::slice::from_raw_parts_mut(to.from(run).to, rows.rows);
                let from = rows.some(run..run + 1).from;
                for (index, best) in best.chunks_mut(NEIGHBOURS).enumerate() {
                    let is_odd = |best: T| best.is_nan() | (best == T::ZERO);
                    if best.iter().fold(false, |any, &best| any | is_odd(best)) {
                        let from = from.add(index * NEIGHBOURS);
                        neighbours::<F, NEIGHBOURS>(&Columns { from, ..rows }, best);
                    }
                }
            }
        }
    }
    true
}

/// Folds up to `N` rows side by side as the definition says.
///
/// # Safety
///
/// The rows must be there.
unsafe fn neighbours<F: Fold, const N: usize>(
    rows: &Columns<F::Element>,
    results: &mut [F::Result],
) {
    let mut lanes = [F::identity(); N];
    for at in 0..rows.len {
        let from = rows.from.wrapping_byte_offset(at as isize * rows.step);
        // SAFETY: required of the caller.
        let elements = unsafe { std::slice::from_raw_parts(from, results.len()) };
        for (lane, &element) in lanes.iter_mut().zip(elements) {
            *lane = F::merge(*lane, F::lane(at, element));
        }
    }
    for (result, lane) in results.iter_mut().zip(lanes) {
        *result = F::only(F::block(lane), rows.len);
    }
}

/// The best element so far and its place; of a NaN nothing is better.
impl<T: Number, const LARGEST: bool> Fold for Place<T, LARGEST> {
    type Element = T;
    type Lane = (T, usize);
    type Block = (T, usize);
    type State = Option<(T, usize)>;
    type Result = i64;

    #[inline(always)]
    fn lane(at: usize, element: T) -> (T, usize) {
        (element, at)
    }

    #[inline(always)]
    fn identity() -> (T, usize) {
        (T::BOUNDS[usize::from(!LARGEST)], usize::MAX)
    }

    /// Stripes take turns, so the left one may well come later.
    #[inline(always)]
    fn merge((a, at): (T, usize), (b, then): (T, usize)) -> (T, usize) {
        let wins = if LARGEST { b > a } else { b < a };
        let ties = b == a || (a.is_nan() && b.is_nan());
        let takes = if ties { then < at } else { !a.is_nan() && (wins || b.is_nan()) };
        if takes { (b, then) } else { (a, at) }
    }

    #[inline(always)]
    fn block(merged: (T, usize)) -> (T, usize) {
        merged
    }

    #[inline(always)]
    fn start() -> Self::State {
        None
    }

    #[inline(always)]
    fn join(state: &mut Self::State, block: (T, usize)) {
        *state = Some(state.map_or(block, |best| Self::merge(best, block)));
    }

    #[inline(always)]
    fn finish(state: Self::State, _: usize) -> i64 {
        state.map_or(0, |(_, place)| place as i64)
    }

    #[inline(always)]
    unsafe fn several<M: Machine>(rows: Blocked<T>, to: *mut (T, usize)) -> usize {
        // SAFETY: required of the caller.
        unsafe { M::places::<T, LARGEST>(rows, to) }
    }

    #[inline(always)]
    unsafe fn columns<M: Machine>(rows: Columns<T>, to: Results<i64>) -> bool {
        // SAFETY: required of the caller.
        unsafe { M::places_of_columns::<T, LARGEST>(rows, to) }
    }

    const HAS_ACROSS: bool = true;

    /// Elements come in order, so of equals the one before stays, as a NaN does.
    #[inline(always)]
    fn across<'e>(
        elements: impl Fn(usize) -> &'e [T],
        len: usize,
        first: usize,
        mut write: impl FnMut(usize, (T, usize)),
    ) {
        let heads = elements(0);
        let mut best = [T::ZERO; STRIP];
        let mut places = [0u32; STRIP];
        let (best, places) = (&mut best[..heads.len()], &mut places[..heads.len()]);
        best.copy_from_slice(heads);
        for at in 1..len {
            let rows = best.iter_mut().zip(&mut *places).zip(elements(at));
            for ((best, place), &element) in rows {
                let stays = if LARGEST { element <= *best } else { element >= *best };
                let takes = !stays & !best.is_nan();
                *best = if takes { element } else { *best };
                *place = if takes { at as u32 } else { *place };
            }
        }
        for (row, (&best, &place)) in best.iter().zip(&*places).enumerate() {
            write(row, (best, first + place as usize));
        }
    }

    /// What it is comes first, and then where.
    #[inline(always)]
    fn whole<M: Machine>(first: usize, block: &[T]) -> (T, usize) {
        let best = M::extreme::<T, LARGEST>(block)
            .unwrap_or_else(|| Extreme::<T, LARGEST>::whole::<M>(first, block));
        (best, first + place(block, best))
    }
}

/// Where an element is in a block that has it, or the first NaN. Parts are looked through as a whole: which of its
/// elements it is, is asked of one only.
#[inline(always)]
fn place<T: Number>(block: &[T], best: T) -> usize {
    const PART: usize = 64;
    let is_it = |element: T| match best.is_nan() {
        true => element.is_nan(),
        false => element == best,
    };
    let has_it = |part: &[T]| part.iter().fold(false, |any, &element| any | is_it(element));
    let part = block.chunks(PART).position(has_it).expect("one of them has it");
    let elements = &block[part * PART..];
    part * PART + elements.iter().position(|&element| is_it(element)).expect("this one has it")
}

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::fold::{Fold, STRIPES, stripes};

    /// Side by side or by stripes: the same place, whatever is equal, signed or no number.
    #[test]
    fn places_of_rows_side_by_side() {
        let mut random = fastrand::Rng::with_seed(4);
        let numbers = [f32::NAN, -f32::NAN, 0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY];
        for len in [1, 2, 63, 64, 65, 200, 512] {
            for kinds in [2..4, 2..6, 0..8, 7..8] {
                const WIDTH: usize = 17;
                let elements: Vec<f32> =
                    (0..len * WIDTH).map(|_| numbers[random.usize(kinds.clone())]).collect();
                let row = |at: usize| &elements[at * WIDTH..(at + 1) * WIDTH];
                let mut found = Vec::new();
                Place::<f32, true>::across(row, len, 512, |_, (_, place)| found.push(place));
                let mut least = Vec::new();
                Place::<f32, false>::across(row, len, 512, |_, (_, place)| least.push(place));
                for lane in 0..WIDTH {
                    let column: Vec<f32> = (0..len).map(|at| row(at)[lane]).collect();
                    let (_, place) = stripes::<Place<f32, true>, STRIPES>(512, &column);
                    assert_eq!(found[lane], place, "{column:?}");
                    let (_, place) = stripes::<Place<f32, false>, STRIPES>(512, &column);
                    assert_eq!(least[lane], place, "{column:?}");
                }
            }
        }
    }
}
