//! How the elements of a row are carried, one after the other.

/// A way to carry elements of a type.
pub(super) trait Carry<T> {
    type State: Copy;

    fn start() -> Self::State;

    /// Merges an element, and gives what the elements come to so far.
    fn step(state: &mut Self::State, element: T) -> T;
}

pub(super) struct Sum;
pub(super) struct Product;

impl Carry<f32> for Sum {
    type State = f64;

    fn start() -> f64 {
        -0.0
    }

    #[inline(always)]
    fn step(sum: &mut f64, element: f32) -> f32 {
        *sum += f64::from(element);
        // One NaN, whatever it came of.
        if sum.is_nan() { f32::NAN } else { *sum as f32 }
    }
}

impl Carry<f64> for Sum {
    /// The sum, and what was lost.
    type State = (f64, f64);

    fn start() -> (f64, f64) {
        (-0.0, 0.0)
    }

    #[inline(always)]
    fn step((sum, lost): &mut (f64, f64), element: f64) -> f64 {
        let next = *sum + element;
        let back = next - *sum;
        *lost += (*sum - (next - back)) + (element - back);
        *sum = next;
        match *lost {
            _ if next.is_nan() => f64::NAN,
            // What infinity loses is no number, and nothing lost would change the sign of zero.
            lost if next.is_finite() && lost != 0.0 => next + lost,
            _ => next,
        }
    }
}

macro_rules! define_float_products {
    ($($float:ident)*) => {
        $(impl Carry<$float> for Product {
            type State = f64;

            fn start() -> f64 {
                1.0
            }

            #[inline(always)]
            fn step(product: &mut f64, element: $float) -> $float {
                *product *= f64::from(element);
                if product.is_nan() { $float::NAN } else { *product as $float }
            }
        })*
    };
}

define_float_products! { f32 f64 }

macro_rules! define_integer_scans {
    ($($integer:ident)*) => {
        $(
            define_integer_scans! { $integer Sum wrapping_add 0 }
            define_integer_scans! { $integer Product wrapping_mul 1 }
        )*
    };
    ($integer:ident $carry:ident $merge:ident $start:literal) => {
        impl Carry<$integer> for $carry {
            type State = $integer;

            fn start() -> $integer {
                $start
            }

            #[inline(always)]
            fn step(state: &mut $integer, element: $integer) -> $integer {
                *state = state.$merge(element);
                *state
            }
        }
    };
}

define_integer_scans! { u8 i32 i64 }

#[cfg(test)]
mod tests {
    use super::{Carry, Product, Sum};

    fn scan<C: Carry<T>, T: Copy>(row: &[T]) -> Vec<T> {
        let mut state = C::start();
        row.iter().map(|&element| C::step(&mut state, element)).collect()
    }

    /// The errors that the module states, against sums that are exact: of multiples of 2^-20.
    #[test]
    fn sums_are_near() {
        let mut random = fastrand::Rng::with_seed(9);
        let row: Vec<f32> = (0..100_000)
            .map(|_| (random.f32() - 0.5) * f32::from(random.u8(..32)).exp2())
            .map(|x| (x * 1048576.0).round() / 1048576.0)
            .collect();
        let wide: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let (short, long) = (scan::<Sum, f32>(&row), scan::<Sum, f64>(&wide));
        let (mut exact, mut magnitudes) = (0i128, 0.0);
        for (at, &x) in wide.iter().enumerate() {
            exact += (x * 1048576.0) as i128;
            magnitudes += x.abs();
            let exact = exact as f64 / 1048576.0;
            let carried = (at + 1) as f64 * magnitudes * 2f64.powi(-53);
            let error = (f64::from(short[at]) - exact).abs();
            assert!(error <= exact.abs() * 2f64.powi(-24) + carried, "{at}: {error:e}");
            assert!((long[at] - exact).abs() <= exact.abs() * 2f64.powi(-52), "{at}");
        }
        // What a plain sum would lose.
        let row: Vec<f64> = (0..3000).map(|i| if i == 0 { 1e16 } else { 1.0 }).collect();
        assert_eq!(scan::<Sum, f64>(&row)[2999], 1e16 + 2999.0);
        let tenths = scan::<Sum, f32>(&vec![0.1; 1_000_000]);
        assert_eq!(tenths[999_999], (f64::from(0.1f32) * 1e6) as f32);
    }

    #[test]
    fn special_values() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let bits = |row: Vec<f32>| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let sums = scan::<Sum, f32>(&[-0.0, -0.0, 0.0, 1.0, inf, 1.0, -inf, 1.0]);
        assert_eq!(bits(sums), bits(vec![-0.0, -0.0, 0.0, 1.0, inf, inf, nan, nan]));
        let products = scan::<Product, f32>(&[-0.0, 2.0, inf, 0.0]);
        assert_eq!(bits(products), bits(vec![-0.0, -0.0, nan, nan]));
        let sums = scan::<Sum, f64>(&[-0.0, f64::MAX, f64::MAX, 1.0, f64::NEG_INFINITY]);
        assert_eq!(sums[..4], [-0.0, f64::MAX, f64::INFINITY, f64::INFINITY]);
        assert_eq!(
            (sums[0].to_bits(), sums[4].to_bits()),
            ((-0.0f64).to_bits(), f64::NAN.to_bits())
        );
        assert_eq!(scan::<Sum, u8>(&[200, 100]), [200, 44]);
    }
}
