//! What becomes of the elements of a row, in an order that is the definition of the result.
//!
//! The elements of a row go to blocks of [`BLOCK`], and in a block to stripes, 64 of 32 bits or 32 of
//! 64: element `i` to stripe `i mod 64`. Each stripe merges its elements from the first to the last.
//! Then stripes merge in halves: `j` with `j + 32`, `j` with `j + 16`, and so on. Blocks join from the
//! first to the last, in twice the precision, and the result is rounded once. Nothing depends on the
//! layout of an array, the number of threads, or the width of vectors.
//!
//! The error of a sum of `f32`: a block of 512 merges 8 elements in each stripe, and 64 stripes in 6
//! halves, which is at most 13 roundings of any element; joining blocks in `f64` adds nothing to speak
//! of, and rounding it one more: 14 units of 2^-24 of the sum of magnitudes, whatever the length. Of
//! `f64`, blocks have 16 elements in a stripe and 32 stripes: 15 + 5 + 1 units of 2^-53. That holds
//! where no sum on the way leaves the range of the type: one that does is infinite, as in a loop.
//!
//! Products of `f32` are computed in `f64` throughout, for those on the way leave the range easily.

use super::simd::{Blocked, Columns, Machine, Results};
use std::marker::PhantomData;

/// Elements of a block, at whose end sums join.
pub const BLOCK: usize = 512;

/// The most stripes of a block.
pub(super) const STRIPES: usize = 64;

/// Stripes of elements of 64 bits.
const HALF: usize = STRIPES / 2;

/// A way to fold a row.
pub(super) trait Fold {
    type Element: Copy + 'static;
    /// What stripes hold.
    type Lane: Copy;
    /// What a block becomes.
    type Block: Copy;
    /// Blocks, joined.
    type State;
    type Result: Copy;

    /// Stripes of a block: [`STRIPES`] or half as many.
    const COUNT: usize = STRIPES;

    /// Whether elements may be merged in any order, for the same result.
    const ANY_ORDER: bool = false;

    /// Whether stripes hold elements as they are, and merging adds them: machines do so with their vectors.
    const ADDS: bool = false;

    /// What a stripe of no elements holds. It changes no other.
    fn identity() -> Self::Lane;

    /// An element by itself, number `at` of its row.
    fn lane(at: usize, element: Self::Element) -> Self::Lane;

    /// The elements of two stripes, or of one and the next.
    fn merge(left: Self::Lane, right: Self::Lane) -> Self::Lane;

    /// Of all stripes.
    fn block(merged: Self::Lane) -> Self::Block;

    /// Of no elements.
    fn start() -> Self::State;

    /// Adds the next block.
    fn join(state: &mut Self::State, block: Self::Block);

    /// The result of a row of `count` elements.
    fn finish(state: Self::State, count: usize) -> Self::Result;

    /// The result of a row that is one block.
    #[inline(always)]
    fn only(block: Self::Block, count: usize) -> Self::Result {
        let mut state = Self::start();
        Self::join(&mut state, block);
        Self::finish(state, count)
    }

    /// A block of at least one element, the first of which is number `first` of the row; or a better way
    /// to the same result, but for which NaN it is.
    #[inline(always)]
    fn whole<M: Machine>(first: usize, block: &[Self::Element]) -> Self::Block {
        if Self::ANY_ORDER {
            let elements = block.iter().enumerate();
            let lanes = elements.map(|(at, &element)| Self::lane(first + at, element));
            return Self::block(lanes.fold(Self::identity(), Self::merge));
        }
        match Self::COUNT {
            STRIPES => stripes::<Self, STRIPES>(first, block),
            _ => stripes::<Self, HALF>(first, block),
        }
    }

    /// A better way for some rows of one block each: what the first of them become, and how many.
    ///
    /// # Safety
    ///
    /// The rows must be there and have elements, and there must be room for what they become.
    #[inline(always)]
    unsafe fn several<M: Machine>(_: Blocked<Self::Element>, _: *mut Self::Block) -> usize {
        0
    }

    /// A better way for rows side by side of one block each, and at most one element in each stripe where elements
    /// have an order. Returns whether there is one.
    ///
    /// # Safety
    ///
    /// The rows must be there and have elements, and there must be room for what they become.
    #[inline(always)]
    unsafe fn columns<M: Machine>(_: Columns<Self::Element>, _: Results<Self::Result>) -> bool {
        false
    }

    /// Whether [`across`](Fold::across) is there.
    const HAS_ACROSS: bool = false;

    /// A better way than by stripes to the same result for a block of up to [`STRIP`] rows side by side, of
    /// `len` elements each, at least one: `elements` gives one of each row.
    #[inline(always)]
    fn across<'e>(
        _elements: impl Fn(usize) -> &'e [Self::Element],
        _len: usize,
        _first: usize,
        _write: impl FnMut(usize, Self::Block),
    ) where
        Self::Element: 'e,
    {
        unreachable!("stripes are as good")
    }
}

/// Most rows side by side that [`across`](Fold::across) takes at a time.
pub(super) const STRIP: usize = 256;

/// Stripes merge from the first element to the last, and then in halves.
#[inline(always)]
pub(super) fn stripes<F: Fold + ?Sized, const S: usize>(
    first: usize,
    block: &[F::Element],
) -> F::Block {
    // As many as compilers keep in registers, as vectors, for their number is known.
    const TOGETHER: usize = 16;
    let mut lanes = [F::identity(); S];
    let (rows, rest) = block.as_chunks::<S>();
    let parts = if rows.is_empty() { &mut [] } else { lanes.as_chunks_mut::<TOGETHER>().0 };
    for (part, lanes) in parts.iter_mut().enumerate() {
        let mut merged = [F::identity(); TOGETHER];
        for (turn, row) in rows.iter().enumerate() {
            for (lane, &element) in row.as_chunks::<TOGETHER>().0[part].iter().enumerate() {
                let at = first + turn * S + part * TOGETHER + lane;
                merged[lane] = F::merge(merged[lane], F::lane(at, element));
            }
        }
        *lanes = merged;
    }
    let after = first + rows.len() * S;
    for (at, (lane, &element)) in lanes.iter_mut().zip(rest).enumerate() {
        *lane = F::merge(*lane, F::lane(after + at, element));
    }
    let mut half = S / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = F::merge(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    F::block(lanes[0])
}

pub(super) struct Sum<T>(PhantomData<T>);
pub(super) struct Product<T>(PhantomData<T>);
pub(super) struct All;
pub(super) struct Any;

impl Fold for Sum<f32> {
    const ADDS: bool = true;

    type Element = f32;
    type Lane = f32;
    type Block = f32;
    type State = f64;
    type Result = f32;

    /// -0 changes no sum.
    #[inline(always)]
    fn identity() -> f32 {
        -0.0
    }

    #[inline(always)]
    fn lane(_: usize, element: f32) -> f32 {
        element
    }

    #[inline(always)]
    fn merge(left: f32, right: f32) -> f32 {
        left + right
    }

    #[inline(always)]
    fn block(merged: f32) -> f32 {
        merged
    }

    #[inline(always)]
    fn start() -> f64 {
        -0.0
    }

    #[inline(always)]
    fn join(sum: &mut f64, block: f32) {
        *sum += f64::from(block);
    }

    #[inline(always)]
    fn finish(sum: f64, count: usize) -> f32 {
        match count {
            0 => 0.0,
            _ if sum.is_nan() => f32::NAN,
            _ => sum as f32,
        }
    }

    /// Nothing is rounded, whatever the precision.
    #[inline(always)]
    fn only(block: f32, _: usize) -> f32 {
        if block.is_nan() { f32::NAN } else { block }
    }

    #[inline(always)]
    fn whole<M: Machine>(first: usize, block: &[f32]) -> f32 {
        M::sum(block).unwrap_or_else(|| stripes::<Self, STRIPES>(first, block))
    }

    #[inline(always)]
    unsafe fn several<M: Machine>(rows: Blocked<f32>, to: *mut f32) -> usize {
        // SAFETY: required of the caller.
        unsafe { M::sums(rows, to) }
    }

    #[inline(always)]
    unsafe fn columns<M: Machine>(rows: Columns<f32>, to: Results<f32>) -> bool {
        // SAFETY: required of the caller.
        unsafe { M::sum_columns(rows, to) }
    }
}

/// Blocks join as an unevaluated sum of two `f64`: each addition keeps what it rounds off.
impl Fold for Sum<f64> {
    const ADDS: bool = true;

    type Element = f64;
    type Lane = f64;
    type Block = f64;
    type State = (f64, f64);
    type Result = f64;

    const COUNT: usize = HALF;

    #[inline(always)]
    fn identity() -> f64 {
        -0.0
    }

    #[inline(always)]
    fn lane(_: usize, element: f64) -> f64 {
        element
    }

    #[inline(always)]
    fn merge(left: f64, right: f64) -> f64 {
        left + right
    }

    #[inline(always)]
    fn block(merged: f64) -> f64 {
        merged
    }

    #[inline(always)]
    fn start() -> (f64, f64) {
        (-0.0, 0.0)
    }

    #[inline(always)]
    fn join((sum, lost): &mut (f64, f64), term: f64) {
        let next = *sum + term;
        // Knuth's two-sum: exact, whichever is larger.
        let back = next - *sum;
        *lost += (*sum - (next - back)) + (term - back);
        *sum = next;
    }

    #[inline(always)]
    fn finish((sum, lost): (f64, f64), count: usize) -> f64 {
        match count {
            0 => 0.0,
            // What infinity loses is no number, and nothing lost would change the sign of zero.
            _ if sum.is_finite() && lost != 0.0 => sum + lost,
            _ if sum.is_nan() => f64::NAN,
            _ => sum,
        }
    }

    /// Nothing is rounded, whatever the precision.
    #[inline(always)]
    fn only(block: f64, _: usize) -> f64 {
        if block.is_nan() { f64::NAN } else { block }
    }

    #[inline(always)]
    fn whole<M: Machine>(first: usize, block: &[f64]) -> f64 {
        M::sum(block).unwrap_or_else(|| stripes::<Self, HALF>(first, block))
    }

    #[inline(always)]
    unsafe fn several<M: Machine>(rows: Blocked<f64>, to: *mut f64) -> usize {
        // SAFETY: required of the caller.
        unsafe { M::sums(rows, to) }
    }

    #[inline(always)]
    unsafe fn columns<M: Machine>(rows: Columns<f64>, to: Results<f64>) -> bool {
        // SAFETY: required of the caller.
        unsafe { M::sum_columns(rows, to) }
    }
}

macro_rules! define_float_products {
    ($($float:ident by $count:expr;)*) => {
        $(impl Fold for Product<$float> {
            type Element = $float;
            type Lane = f64;
            type Block = f64;
            type State = f64;
            type Result = $float;

            const COUNT: usize = $count;

            #[inline(always)]
            fn identity() -> f64 {
                1.0
            }

            #[inline(always)]
            fn lane(_: usize, element: $float) -> f64 {
                f64::from(element)
            }

            #[inline(always)]
            fn merge(left: f64, right: f64) -> f64 {
                left * right
            }

            #[inline(always)]
            fn block(merged: f64) -> f64 {
                merged
            }

            #[inline(always)]
            fn start() -> f64 {
                1.0
            }

            #[inline(always)]
            fn join(product: &mut f64, block: f64) {
                *product *= block;
            }

            #[inline(always)]
            fn finish(product: f64, _: usize) -> $float {
                if product.is_nan() { $float::NAN } else { product as $float }
            }
        })*
    };
}

define_float_products! {
    f32 by STRIPES;
    f64 by HALF;
}

macro_rules! define_integer_folds {
    ($($integer:ident $fold:ident $merge:ident $start:literal;)*) => {
        $(impl Fold for $fold<$integer> {
            const ANY_ORDER: bool = true;

            type Element = $integer;
            type Lane = $integer;
            type Block = $integer;
            type State = $integer;
            type Result = $integer;

            #[inline(always)]
            fn identity() -> $integer {
                $start
            }

            #[inline(always)]
            fn lane(_: usize, element: $integer) -> $integer {
                element
            }

            #[inline(always)]
            fn merge(left: $integer, right: $integer) -> $integer {
                left.$merge(right)
            }

            #[inline(always)]
            fn block(merged: $integer) -> $integer {
                merged
            }

            #[inline(always)]
            fn start() -> $integer {
                $start
            }

            #[inline(always)]
            fn join(state: &mut $integer, block: $integer) {
                *state = state.$merge(block);
            }

            #[inline(always)]
            fn finish(state: $integer, _: usize) -> $integer {
                state
            }
        })*
    };
}

define_integer_folds! {
    u8 Sum wrapping_add 0;
    i32 Sum wrapping_add 0;
    i64 Sum wrapping_add 0;
    u8 Product wrapping_mul 1;
    i32 Product wrapping_mul 1;
    i64 Product wrapping_mul 1;
}

macro_rules! define_truths {
    ($($fold:ident $start:literal $merge:tt $join:tt;)*) => {
        /// Bools, as the bytes that they are.
        $(impl Fold for $fold {
            const ANY_ORDER: bool = true;

            type Element = u8;
            type Lane = bool;
            type Block = bool;
            type State = bool;
            type Result = bool;

            #[inline(always)]
            fn identity() -> bool {
                $start
            }

            #[inline(always)]
            fn lane(_: usize, element: u8) -> bool {
                element != 0
            }

            #[inline(always)]
            fn merge(left: bool, right: bool) -> bool {
                left $merge right
            }

            #[inline(always)]
            fn block(merged: bool) -> bool {
                merged
            }

            #[inline(always)]
            fn start() -> bool {
                $start
            }

            #[inline(always)]
            fn join(state: &mut bool, block: bool) {
                *state $join block;
            }

            #[inline(always)]
            fn finish(state: bool, _: usize) -> bool {
                state
            }
        })*
    };
}

define_truths! {
    All true & &=;
    Any false | |=;
}

#[cfg(test)]
mod tests;
