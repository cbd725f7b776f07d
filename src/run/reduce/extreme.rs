//! Largest and least elements, and where they are.

use super::fold::{Fold, STRIPES};
use std::marker::PhantomData;

/// The largest element, or the least.
pub(super) struct Extreme<T, const LARGEST: bool>(PhantomData<T>);
/// The place of the first of these.
pub(super) struct Place<T, const LARGEST: bool>(PhantomData<T>);

/// NaN wins, and then the larger, or the lesser; -0 is below +0. In any order it is the same.
#[inline(always)]
fn better<T: Number, const LARGEST: bool>(a: T, b: T) -> T {
    let loses = if LARGEST { b.is_above(a) } else { a.is_above(b) };
    if a.is_nan() || !(b.is_nan() || loses) { a } else { b }
}

/// A number of the kinds that are compared.
pub(super) trait Number: Copy + PartialOrd {
    const LEAST: Self;
    const LARGEST: Self;
    /// The NaN that stands for all.
    const NAN: Self;
    const ZERO: Self;
    const NEGATIVE_ZERO: Self;

    fn is_nan(self) -> bool;

    /// Whether it is larger, +0 being above -0.
    fn is_above(self, other: Self) -> bool;

    /// Whether it is -0, which is below +0.
    fn is_negative_zero(self) -> bool;

    /// A number of elements.
    fn count(elements: usize) -> Self;
}

macro_rules! define_numbers {
    (floats $($float:ident)*; integers $($integer:ident)*) => {
        $(impl Number for $float {
            const LEAST: $float = $float::NEG_INFINITY;
            const LARGEST: $float = $float::INFINITY;
            const NAN: $float = $float::NAN;
            const ZERO: $float = 0.0;
            const NEGATIVE_ZERO: $float = -0.0;

            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }

            #[inline(always)]
            fn is_above(self, other: $float) -> bool {
                self > other || (self == other && other.is_sign_negative())
            }

            #[inline(always)]
            fn is_negative_zero(self) -> bool {
                self.to_bits() == (-0.0 as $float).to_bits()
            }

            fn count(elements: usize) -> $float {
                elements as $float
            }
        })*
        $(
            impl Number for $integer {
                const LEAST: $integer = $integer::MIN;
                const LARGEST: $integer = $integer::MAX;
                const NAN: $integer = 0;
                const ZERO: $integer = 0;
                const NEGATIVE_ZERO: $integer = 0;

                #[inline(always)]
                fn is_nan(self) -> bool {
                    false
                }

                #[inline(always)]
                fn is_above(self, other: $integer) -> bool {
                    self > other
                }

                #[inline(always)]
                fn is_negative_zero(self) -> bool {
                    false
                }

                fn count(elements: usize) -> $integer {
                    elements as $integer
                }
            }
        )*
    };
}

define_numbers! { floats f32 f64; integers u8 i32 i64 }

impl<T: Number, const LARGEST: bool> Fold for Extreme<T, LARGEST> {
    type Element = T;
    type Lane = T;
    type Block = T;
    type State = T;
    type Result = T;

    #[inline(always)]
    fn lane(_: usize, element: T) -> T {
        element
    }

    #[inline(always)]
    fn merge(left: T, right: T) -> T {
        better::<T, LARGEST>(left, right)
    }

    #[inline(always)]
    fn block(merged: T) -> T {
        merged
    }

    #[inline(always)]
    fn start() -> T {
        if LARGEST { T::LEAST } else { T::LARGEST }
    }

    #[inline(always)]
    fn join(best: &mut T, block: T) {
        *best = better::<T, LARGEST>(*best, block);
    }

    #[inline(always)]
    fn finish(best: T, _: usize) -> T {
        if best.is_nan() { T::NAN } else { best }
    }

    /// One instruction compares and chooses, if neither NaN nor the sign of zero count. So NaN is looked
    /// for beside it, and the sign only where the result is zero.
    #[inline(always)]
    fn whole(_: usize, elements: &[T]) -> T {
        let wins = |a: T, b: T| if LARGEST { a > b } else { a < b };
        let mut best = [Self::start(); STRIPES];
        let mut odd = best;
        let mut rows = elements.chunks_exact(STRIPES);
        for row in &mut rows {
            for lane in 0..STRIPES {
                best[lane] = if wins(row[lane], best[lane]) { row[lane] } else { best[lane] };
                odd[lane] = if row[lane].is_nan() { row[lane] } else { odd[lane] };
            }
        }
        for (lane, &element) in rows.remainder().iter().enumerate() {
            best[lane] = if wins(element, best[lane]) { element } else { best[lane] };
            odd[lane] = if element.is_nan() { element } else { odd[lane] };
        }
        let mut half = STRIPES / 2;
        while half > 0 {
            for lane in 0..half {
                let (a, b) = (best[lane + half], odd[lane + half]);
                best[lane] = if wins(a, best[lane]) { a } else { best[lane] };
                odd[lane] = if b.is_nan() { b } else { odd[lane] };
            }
            half /= 2;
        }
        if odd[0].is_nan() {
            return T::NAN;
        }
        if best[0] != T::ZERO {
            return best[0];
        }
        let (better, worse) =
            if LARGEST { (T::ZERO, T::NEGATIVE_ZERO) } else { (T::NEGATIVE_ZERO, T::ZERO) };
        let is_better = |element: T| element == T::ZERO && element.is_negative_zero() != LARGEST;
        let found = elements.iter().fold(false, |found, &element| found | is_better(element));
        if found { better } else { worse }
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
}
