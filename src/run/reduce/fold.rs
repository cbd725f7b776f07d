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

use std::marker::PhantomData;

/// Elements of a block.
pub(super) const BLOCK: usize = 512;

/// A way to fold a row.
pub(super) trait Fold {
    type Element: Copy;
    type State;
    type Result: Copy;

    /// Of no elements.
    fn start() -> Self::State;

    /// Adds a block, whose first element is number `first` of the row. All but the last one are full.
    fn add(state: &mut Self::State, first: usize, block: &[Self::Element]);

    /// The result of a row of `count` elements.
    fn finish(state: Self::State, count: usize) -> Self::Result;
}

/// A block: stripes merge from `identity` on, then in halves.
fn stripes<T: Copy, const S: usize>(block: &[T], identity: T, merge: impl Fn(T, T) -> T) -> T {
    let mut lanes = [identity; S];
    let mut rows = block.chunks_exact(S);
    for row in &mut rows {
        for (lane, &element) in lanes.iter_mut().zip(row) {
            *lane = merge(*lane, element);
        }
    }
    for (lane, &element) in lanes.iter_mut().zip(rows.remainder()) {
        *lane = merge(*lane, element);
    }
    let mut half = S / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = merge(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

pub(super) struct Sum<T>(PhantomData<T>);
pub(super) struct Product<T>(PhantomData<T>);
/// The largest element, or the least.
pub(super) struct Extreme<T, const LARGEST: bool>(PhantomData<T>);
/// The place of the first of these.
pub(super) struct Place<T, const LARGEST: bool>(PhantomData<T>);
pub(super) struct Count<T>(PhantomData<T>);
pub(super) struct All;
pub(super) struct Any;

impl Fold for Sum<f32> {
    type Element = f32;
    type State = f64;
    type Result = f32;

    /// -0 changes no sum.
    fn start() -> f64 {
        -0.0
    }

    fn add(sum: &mut f64, _: usize, block: &[f32]) {
        *sum += f64::from(stripes::<f32, 64>(block, -0.0, |a, b| a + b));
    }

    fn finish(sum: f64, count: usize) -> f32 {
        match count {
            0 => 0.0,
            _ if sum.is_nan() => f32::NAN,
            _ => sum as f32,
        }
    }
}

/// Blocks join as an unevaluated sum of two `f64`: each addition keeps what it rounds off.
impl Fold for Sum<f64> {
    type Element = f64;
    type State = (f64, f64);
    type Result = f64;

    fn start() -> (f64, f64) {
        (-0.0, 0.0)
    }

    fn add((sum, lost): &mut (f64, f64), _: usize, block: &[f64]) {
        let term = stripes::<f64, 32>(block, -0.0, |a, b| a + b);
        let next = *sum + term;
        // Knuth's two-sum: exact, whichever is larger.
        let back = next - *sum;
        *lost += (*sum - (next - back)) + (term - back);
        *sum = next;
    }

    fn finish((sum, lost): (f64, f64), count: usize) -> f64 {
        match count {
            0 => 0.0,
            // What infinity loses is no number, and nothing lost would change the sign of zero.
            _ if sum.is_finite() && lost != 0.0 => sum + lost,
            _ if sum.is_nan() => f64::NAN,
            _ => sum,
        }
    }
}

impl Fold for Product<f32> {
    type Element = f32;
    type State = f64;
    type Result = f32;

    fn start() -> f64 {
        1.0
    }

    fn add(product: &mut f64, _: usize, block: &[f32]) {
        let mut wide = [1.0; BLOCK];
        wide.iter_mut().zip(block).for_each(|(wide, &element)| *wide = f64::from(element));
        *product *= stripes::<f64, 64>(&wide[..block.len()], 1.0, |a, b| a * b);
    }

    fn finish(product: f64, _: usize) -> f32 {
        if product.is_nan() { f32::NAN } else { product as f32 }
    }
}

impl Fold for Product<f64> {
    type Element = f64;
    type State = f64;
    type Result = f64;

    fn start() -> f64 {
        1.0
    }

    fn add(product: &mut f64, _: usize, block: &[f64]) {
        *product *= stripes::<f64, 32>(block, 1.0, |a, b| a * b);
    }

    fn finish(product: f64, _: usize) -> f64 {
        if product.is_nan() { f64::NAN } else { product }
    }
}

/// NaN wins, and then the larger, or the lesser; -0 is below +0. In any order it is the same.
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

    fn is_nan(self) -> bool;

    /// Whether it is larger, +0 being above -0.
    fn is_above(self, other: Self) -> bool;

    /// A number of elements.
    fn count(elements: usize) -> Self;
}

macro_rules! define_numbers {
    (floats $($float:ident)*; integers $($integer:ident)*) => {
        $(impl Number for $float {
            const LEAST: $float = $float::NEG_INFINITY;
            const LARGEST: $float = $float::INFINITY;
            const NAN: $float = $float::NAN;

            fn is_nan(self) -> bool {
                self != self
            }

            fn is_above(self, other: $float) -> bool {
                self > other || (self == other && other.is_sign_negative())
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

                fn is_nan(self) -> bool {
                    false
                }

                fn is_above(self, other: $integer) -> bool {
                    self > other
                }

                fn count(elements: usize) -> $integer {
                    elements as $integer
                }
            }

            impl Fold for Sum<$integer> {
                type Element = $integer;
                type State = $integer;
                type Result = $integer;

                fn start() -> $integer {
                    0
                }

                fn add(sum: &mut $integer, _: usize, block: &[$integer]) {
                    *sum = block.iter().fold(*sum, |a, &b| a.wrapping_add(b));
                }

                fn finish(sum: $integer, _: usize) -> $integer {
                    sum
                }
            }

            impl Fold for Product<$integer> {
                type Element = $integer;
                type State = $integer;
                type Result = $integer;

                fn start() -> $integer {
                    1
                }

                fn add(product: &mut $integer, _: usize, block: &[$integer]) {
                    *product = block.iter().fold(*product, |a, &b| a.wrapping_mul(b));
                }

                fn finish(product: $integer, _: usize) -> $integer {
                    product
                }
            }
        )*
    };
}

define_numbers! { floats f32 f64; integers u8 i32 i64 }

impl<T: Number, const LARGEST: bool> Fold for Extreme<T, LARGEST> {
    type Element = T;
    type State = T;
    type Result = T;

    fn start() -> T {
        if LARGEST { T::LEAST } else { T::LARGEST }
    }

    fn add(best: &mut T, _: usize, block: &[T]) {
        let of_block = stripes::<T, 64>(block, Self::start(), better::<T, LARGEST>);
        *best = better::<T, LARGEST>(*best, of_block);
    }

    fn finish(best: T, _: usize) -> T {
        if best.is_nan() { T::NAN } else { best }
    }
}

/// The best element so far and its place; of a NaN nothing is better.
impl<T: Number, const LARGEST: bool> Fold for Place<T, LARGEST> {
    type Element = T;
    type State = Option<(T, usize)>;
    type Result = i64;

    fn start() -> Self::State {
        None
    }

    fn add(state: &mut Self::State, first: usize, block: &[T]) {
        for (at, &element) in block.iter().enumerate() {
            let wins = match *state {
                None => true,
                Some((best, _)) if best.is_nan() => false,
                Some((best, _)) if LARGEST => element.is_nan() || element > best,
                Some((best, _)) => element.is_nan() || element < best,
            };
            if wins {
                *state = Some((element, first + at));
            }
        }
    }

    fn finish(state: Self::State, _: usize) -> i64 {
        state.map_or(0, |(_, place)| place as i64)
    }
}

impl<T: Number> Fold for Count<T> {
    type Element = T;
    type State = ();
    type Result = T;

    fn start() {}

    fn add((): &mut (), _: usize, _: &[T]) {}

    fn finish((): (), count: usize) -> T {
        T::count(count)
    }
}

/// Bools, as the bytes that they are.
impl Fold for All {
    type Element = u8;
    type State = bool;
    type Result = bool;

    fn start() -> bool {
        true
    }

    fn add(all: &mut bool, _: usize, block: &[u8]) {
        *all &= block.iter().all(|&byte| byte != 0);
    }

    fn finish(all: bool, _: usize) -> bool {
        all
    }
}

impl Fold for Any {
    type Element = u8;
    type State = bool;
    type Result = bool;

    fn start() -> bool {
        false
    }

    fn add(any: &mut bool, _: usize, block: &[u8]) {
        *any |= block.iter().any(|&byte| byte != 0);
    }

    fn finish(any: bool, _: usize) -> bool {
        any
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Extreme, Fold, Place, Product, Sum};

    fn fold<F: Fold>(row: &[F::Element]) -> F::Result {
        let mut state = F::start();
        for (index, block) in row.chunks(BLOCK).enumerate() {
            F::add(&mut state, index * BLOCK, block);
        }
        F::finish(state, row.len())
    }

    /// The order, element by element.
    #[test]
    fn sums_have_their_order() {
        let mut random = fastrand::Rng::with_seed(7);
        for len in [1, 2, 63, 64, 65, 511, 512, 513, 1500] {
            let row: Vec<f32> = (0..len).map(|_| random.f32() * 2.0 - 1.0).collect();
            let mut sum = -0.0f64;
            for block in row.chunks(512) {
                let mut stripes: Vec<f32> = (0..64)
                    .map(|s| block.iter().skip(s).step_by(64).fold(-0.0, |a, b| a + b))
                    .collect();
                while stripes.len() > 1 {
                    let upper = stripes.split_off(stripes.len() / 2);
                    stripes.iter_mut().zip(upper).for_each(|(a, b)| *a += b);
                }
                sum += f64::from(stripes[0]);
            }
            assert_eq!(fold::<Sum<f32>>(&row).to_bits(), (sum as f32).to_bits(), "{len}");
        }
    }

    /// The error that the module states, against a sum that is exact.
    #[test]
    fn sums_are_near() {
        let mut random = fastrand::Rng::with_seed(8);
        let draws: [fn(&mut fastrand::Rng) -> f32; 3] = [
            |_| 0.1,
            |random| random.f32(),
            |random| (random.f32() - 0.5) * (random.f32() * 60.0 - 30.0).exp2(),
        ];
        for draw in draws {
            for len in [1000, 100_000, 1_000_000] {
                let row: Vec<f32> = (0..len).map(|_| draw(&mut random)).collect();
                let exact =
                    fold::<Sum<f64>>(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
                let magnitudes: f64 = row.iter().map(|&x| f64::from(x.abs())).sum();
                let error = (f64::from(fold::<Sum<f32>>(&row)) - exact).abs();
                assert!(error <= 14.0 * magnitudes * 2f64.powi(-24), "{len}: {error:e}");
            }
        }
    }

    #[test]
    fn compensated_sums_lose_little() {
        let row: Vec<f64> = (0..3000).map(|i| if i < 1024 { 1e16 } else { 1.0 }).collect();
        assert_eq!(fold::<Sum<f64>>(&row), 1024.0 * 1e16 + 1976.0);
        let zeros = vec![-0.0f64; 600];
        assert_eq!(fold::<Sum<f64>>(&zeros).to_bits(), (-0.0f64).to_bits());
        let infinite = vec![f64::INFINITY; 600];
        assert_eq!(fold::<Sum<f64>>(&infinite), f64::INFINITY);
    }

    /// Of what leaves the range of `f32` on the way, a product leaves nothing out.
    #[test]
    fn products_have_room() {
        let row = [1e30f32, 1e-30, 1e30, 1e-30];
        assert!((fold::<Product<f32>>(&row) - 1.0).abs() < 1e-6);
        // One NaN, whatever it came of.
        let infinities = [f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(fold::<Sum<f32>>(&infinities).to_bits(), f32::NAN.to_bits());
    }

    /// At every position of vector and tail.
    #[test]
    fn a_nan_wins_wherever_it_is() {
        for len in [1, 7, 64, 65, 513, 1100] {
            for at in [0, len / 2, len - 1] {
                let mut row: Vec<f32> = (0..len).map(|i| i as f32).collect();
                row[at] = f32::NAN;
                assert!(fold::<Extreme<f32, true>>(&row).is_nan(), "{at} of {len}");
                assert_eq!(fold::<Place<f32, true>>(&row), at as i64);
                row[at] = 1e9;
                assert_eq!(fold::<Extreme<f32, true>>(&row), 1e9);
                assert_eq!(fold::<Place<f32, true>>(&row), at as i64);
            }
        }
    }
}
