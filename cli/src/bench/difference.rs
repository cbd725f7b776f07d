//! How far two results are apart.

use kiln::Tensor;

/// The largest difference between two arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub(super) abs: f64,
    /// Representable numbers from one to the other.
    pub(super) ulp: u64,
}

impl Difference {
    pub(super) fn of(a: &Tensor, b: &Tensor) -> Difference {
        match (a, b) {
            (Tensor::F16(a), Tensor::F16(b)) => Difference::over(a, b, |a, b| {
                let steps =
                    ordered(a.to_bits().into(), 15).abs_diff(ordered(b.to_bits().into(), 15));
                Difference::between(a.into(), b.into(), steps)
            }),
            (Tensor::BF16(a), Tensor::BF16(b)) => Difference::over(a, b, |a, b| {
                let steps =
                    ordered(a.to_bits().into(), 15).abs_diff(ordered(b.to_bits().into(), 15));
                Difference::between(a.into(), b.into(), steps)
            }),
            (Tensor::F32(a), Tensor::F32(b)) => Difference::over(a, b, |a, b| {
                let steps =
                    ordered(a.to_bits().into(), 31).abs_diff(ordered(b.to_bits().into(), 31));
                Difference::between(a.into(), b.into(), steps)
            }),
            (Tensor::F64(a), Tensor::F64(b)) => Difference::over(a, b, |a, b| {
                let steps = ordered(a.to_bits(), 63).abs_diff(ordered(b.to_bits(), 63));
                Difference::between(a, b, steps)
            }),
            (Tensor::U8(a), Tensor::U8(b)) => {
                Difference::over(a, b, |a, b| Difference::of_integers(a.into(), b.into()))
            }
            (Tensor::I32(a), Tensor::I32(b)) => {
                Difference::over(a, b, |a, b| Difference::of_integers(a.into(), b.into()))
            }
            (Tensor::I64(a), Tensor::I64(b)) => Difference::over(a, b, Difference::of_integers),
            (Tensor::Bool(a), Tensor::Bool(b)) => Difference::over(a, b, |a, b| Difference {
                abs: f64::from(u8::from(a != b)),
                ulp: u64::from(a != b),
            }),
            _ => panic!("outputs of one graph have one type"),
        }
    }

    fn over<T: std::marker::Copy>(
        a: &ndarray::ArrayD<T>,
        b: &ndarray::ArrayD<T>,
        difference: impl Fn(T, T) -> Difference,
    ) -> Difference {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| difference(a, b))
            .fold(Difference::default(), Difference::max)
    }

    fn of_integers(a: i64, b: i64) -> Difference {
        Difference { abs: a.abs_diff(b) as f64, ulp: a.abs_diff(b) }
    }

    /// Equal numbers and two NaNs do not differ; a NaN and a number differ in everything.
    fn between(a: f64, b: f64, steps: u64) -> Difference {
        match a.is_nan() || b.is_nan() {
            _ if a == b || (a.is_nan() && b.is_nan()) => Difference::default(),
            true => Difference { abs: f64::INFINITY, ulp: u64::MAX },
            false => Difference { abs: (a - b).abs(), ulp: steps },
        }
    }

    pub(super) fn max(self, other: Difference) -> Difference {
        Difference { abs: self.abs.max(other.abs), ulp: self.ulp.max(other.ulp) }
    }
}

/// The bits of a float as a number that grows with it; `sign` is the place of the sign bit.
fn ordered(bits: u64, sign: u32) -> i64 {
    let magnitude = (bits & !(1 << sign)) as i64;
    if bits >> sign == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::{Difference, ordered};

    #[test]
    fn floats_are_ordered_by_their_bits() {
        let order = |x: f32| ordered(x.to_bits().into(), 31);
        assert_eq!(order(0.0), order(-0.0));
        assert_eq!(order(1.0) + 1, order(1.0f32.next_up()));
        assert_eq!(order(-1.0) - 1, order((-1.0f32).next_down()));
        assert_eq!(ordered(f64::MIN_POSITIVE.to_bits(), 63), 1 << 52);
    }

    #[test]
    fn nans_differ_from_numbers_only() {
        let nan = f64::NAN;
        assert_eq!(Difference::between(nan, nan, 5), Difference::default());
        assert_eq!(Difference::between(nan, 1.0, 5).ulp, u64::MAX);
        assert_eq!(Difference::between(1.0, 3.0, 5), Difference { abs: 2.0, ulp: 5 });
        assert_eq!(Difference::between(f64::INFINITY, f64::INFINITY, 0), Difference::default());
    }
}
