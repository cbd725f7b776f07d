//! How far two results are apart, and where.

use crate::json::finite_or_not;
use half::{bf16, f16};
use kiln::Tensor;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest difference between two arrays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    pub(crate) abs: f64,
    /// Representable numbers from one to the other.
    pub(crate) ulp: u64,
    /// Where most of them are, if there are any.
    pub(crate) most: Option<Place>,
}

/// An element that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The number of the output.
    pub(crate) output: usize,
    pub(crate) index: Vec<usize>,
    /// The element of the fused result, and that of the unfused one.
    #[serde(deserialize_with = "finite_or_not")]
    pub(crate) fused: f64,
    #[serde(deserialize_with = "finite_or_not")]
    pub(crate) unfused: f64,
}

/// How far two elements are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Distance {
    abs: f64,
    ulp: u64,
}

/// An element that can be compared.
trait Element: Copy {
    fn number(self) -> f64;

    fn distance(self, other: Self) -> Distance;
}

macro_rules! floats {
    ($($float:ty, $sign:literal, $number:expr;)*) => {$(
        impl Element for $float {
            fn number(self) -> f64 {
                $number(self)
            }

            fn distance(self, other: Self) -> Distance {
                let order = |element: $float| ordered(element.to_bits().into(), $sign);
                let steps = order(self).abs_diff(order(other));
                Distance::between(self.number(), other.number(), steps)
            }
        }
    )*};
}

floats! {
    f16, 15, f64::from;
    bf16, 15, f64::from;
    f32, 31, f64::from;
    f64, 63, |number| number;
}

macro_rules! integers {
    ($($integer:ty, $wide:expr;)*) => {$(
        impl Element for $integer {
            fn number(self) -> f64 {
                $wide(self) as f64
            }

            fn distance(self, other: Self) -> Distance {
                let ulp = $wide(self).abs_diff($wide(other));
                Distance { abs: ulp as f64, ulp }
            }
        }
    )*};
}

integers! {
    bool, i64::from;
    u8, i64::from;
    i32, i64::from;
    i64, |number: i64| number;
}

impl Difference {
    /// Between the results of a fused and an unfused kernel, which are the outputs of one graph.
    pub(crate) fn of(fused: &[Tensor], unfused: &[Tensor]) -> Difference {
        let mut largest = Difference::default();
        for (output, pair) in fused.iter().zip(unfused).enumerate() {
            match pair {
                (Tensor::F16(a), Tensor::F16(b)) => largest.take(output, a, b),
                (Tensor::BF16(a), Tensor::BF16(b)) => largest.take(output, a, b),
                (Tensor::F32(a), Tensor::F32(b)) => largest.take(output, a, b),
                (Tensor::F64(a), Tensor::F64(b)) => largest.take(output, a, b),
                (Tensor::U8(a), Tensor::U8(b)) => largest.take(output, a, b),
                (Tensor::I32(a), Tensor::I32(b)) => largest.take(output, a, b),
                (Tensor::I64(a), Tensor::I64(b)) => largest.take(output, a, b),
                (Tensor::Bool(a), Tensor::Bool(b)) => largest.take(output, a, b),
                _ => panic!("outputs of one graph have one type"),
            }
        }
        largest
    }

    fn take<T: Element>(&mut self, output: usize, fused: &ArrayD<T>, unfused: &ArrayD<T>) {
        let mut most = None;
        for (flat, (&a, &b)) in fused.iter().zip(unfused).enumerate() {
            let Distance { abs, ulp } = a.distance(b);
            self.abs = self.abs.max(abs);
            if ulp > self.ulp {
                self.ulp = ulp;
                most = Some((flat, a.number(), b.number()));
            }
        }
        if let Some((flat, fused_element, unfused_element)) = most {
            self.most = Some(Place {
                output,
                index: index_of(flat, fused.shape()),
                fused: fused_element,
                unfused: unfused_element,
            });
        }
    }
}

/// In two lines, the second being the place.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Place { output, index, fused, unfused }) = &self.most else {
            return f.write_str("fused and unfused results are equal");
        };
        let Difference { abs, ulp, .. } = self;
        write!(f, "fused results differ from unfused ones by at most {abs:.3e}, {ulp} ULP")?;
        let of = if *output == 0 { String::new() } else { format!("output {output} ") };
        write!(f, "\nmost ULP at {of}{index:?}: {fused:e} fused, {unfused:e} unfused")
    }
}

/// The index of an element from its place in row-major order.
fn index_of(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let at = flat % size;
            flat /= size;
            at
        })
        .collect();
    index.reverse();
    index
}

impl Distance {
    /// Equal numbers and two NaNs do not differ; a NaN and a number differ in everything.
    fn between(a: f64, b: f64, steps: u64) -> Distance {
        match a.is_nan() || b.is_nan() {
            _ if a == b || (a.is_nan() && b.is_nan()) => Distance::default(),
            true => Distance { abs: f64::INFINITY, ulp: u64::MAX },
            false => Distance { abs: (a - b).abs(), ulp: steps },
        }
    }
}

/// The bits of a float as a number that grows with it; `sign` is the place of the sign bit.
fn ordered(bits: u64, sign: u32) -> i64 {
    let magnitude = (bits & !(1 << sign)) as i64;
    if bits >> sign == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::{Difference, Distance, Place, ordered};
    use kiln::Tensor;
    use ndarray::array;

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
        assert_eq!(Distance::between(nan, nan, 5), Distance::default());
        assert_eq!(Distance::between(nan, 1.0, 5).ulp, u64::MAX);
        assert_eq!(Distance::between(1.0, 3.0, 5), Distance { abs: 2.0, ulp: 5 });
        assert_eq!(Distance::between(f64::INFINITY, f64::INFINITY, 0), Distance::default());
    }

    #[test]
    fn the_largest_difference_has_a_place() {
        let same = Tensor::from(array![7i32, 8]);
        let fused = Tensor::from(array![[1.0f32, 2.0], [3.0, 4.0]]);
        let unfused = Tensor::from(array![[1.0f32, 2.0f32.next_up()], [3.0, 4.0]]);
        let results = [[same.clone(), fused], [same, unfused]];
        assert_eq!(Difference::of(&results[0], &results[0]).most, None);
        let difference = Difference::of(&results[0], &results[1]);
        let unfused = f64::from(2.0f32.next_up());
        let most = Place { output: 1, index: vec![0, 1], fused: 2.0, unfused };
        assert_eq!((difference.ulp, difference.most), (1, Some(most)));
    }
}
