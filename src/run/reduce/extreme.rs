//! Largest and least elements, and where they are.

use super::fold::{Fold, STRIPES, stripes};
use super::simd::Machine;
use std::marker::PhantomData;

/// The largest element, or the least.
pub(super) struct Extreme<T, const LARGEST: bool>(PhantomData<T>);
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

    /// What it is comes first, and then where.
    #[inline(always)]
    fn whole<M: Machine>(first: usize, block: &[T]) -> (T, usize) {
        let Some(best) = M::extreme::<T, LARGEST>(block) else {
            return stripes::<Self, STRIPES>(first, block);
        };
        let is_it = |&element: &T| element == best || (best.is_nan() && element.is_nan());
        (best, first + block.iter().position(is_it).expect("it is there"))
    }
}
