//! Reductions: the elements along some axes become one.
//!
//! Axes that are named stay, as axes of size 1, so that the result broadcasts back over what it was
//! computed of: `x - max[-1](x)`. Where none is named, all elements become a single number.

use super::{Call, CallInfo};
use crate::array::{Array, Data};
use crate::number::Scalar;
use crate::scalar::{maximum, minimum};
use crate::shape::{Dims, Extent, MAX_RANK, Shape};
use crate::typing::Typing;
use std::fmt;

/// A reduction of an array along axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reduce {
    /// What becomes of the elements.
    pub by: Reduction,
    /// Along which axes.
    pub axes: Axes,
}

/// The axes of a reduction: a set of some, or all.
///
/// An axis is counted from the last, which is -1, or from the first, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Axes {
    /// Bit `i` is axis `-1 - i`.
    last: u64,
    /// Bit `i` is axis `i`.
    first: u64,
}

impl Axes {
    /// All axes.
    pub const ALL: Axes = Axes { last: 0, first: 0 };

    /// The last axis.
    pub const LAST: Axes = Axes { last: 1, first: 0 };

    /// Some axes, at least one. Fails for an axis that no array has, and for one that is there twice.
    pub fn some(axes: &[i64]) -> Result<Axes, String> {
        let mut set = Axes::ALL;
        for &axis in axes {
            let (bits, place) = match usize::try_from(axis) {
                Ok(place) => (&mut set.first, place),
                Err(_) => (&mut set.last, axis.unsigned_abs() as usize - 1),
            };
            if place >= MAX_RANK {
                return Err(format!("no array has an axis {axis}: the most axes are {MAX_RANK}"));
            }
            if *bits & 1 << place != 0 {
                return Err(format!("axis {axis} is there twice; name each axis once"));
            }
            *bits |= 1 << place;
        }
        match set == Axes::ALL {
            true => Err("name an axis, or `..` for all".into()),
            false => Ok(set),
        }
    }

    /// Whether these are all axes of an array, whatever its rank.
    pub fn are_all(self) -> bool {
        self == Axes::ALL
    }

    /// For an array of this rank, whether each of its axes is one of them. Fails where there is no
    /// such axis, and where one is named in both ways.
    pub fn of_rank(self, rank: usize) -> Result<Dims<bool>, String> {
        self.among(rank, "the array")
    }

    /// The same; what has that rank is named in what is said.
    pub(super) fn among(self, rank: usize, whole: &str) -> Result<Dims<bool>, String> {
        let mut is_reduced = Dims::from_elem(self.are_all(), rank);
        if self.are_all() {
            return Ok(is_reduced);
        }
        for axis in self.iter() {
            let place = if axis < 0 { axis + rank as i64 } else { axis };
            let place = usize::try_from(place).ok().and_then(|place| is_reduced.get_mut(place));
            match place {
                None => {
                    let has = match rank {
                        0 => "is a single number".into(),
                        1 => "has 1 axis, 0 or -1".into(),
                        _ => format!("has {rank} axes, from -{rank} to {}", rank - 1),
                    };
                    return Err(format!("there is no axis {axis}: {whole} {has}"));
                }
                Some(true) => {
                    let hint = "name each axis once";
                    return Err(format!("axis {axis} of {rank} is there twice; {hint}"));
                }
                Some(is_reduced) => *is_reduced = true,
            }
        }
        Ok(is_reduced)
    }

    /// The axis if one is named and no more.
    pub(crate) fn only(self) -> Option<i8> {
        let mut axes = self.iter();
        let axis = axes.next()?;
        // There are at most 64 axes.
        axes.next().is_none().then_some(axis as i8)
    }

    /// How many are named.
    pub fn count(self) -> usize {
        (self.last.count_ones() + self.first.count_ones()) as usize
    }

    /// The same of an array of this rank, as far as it has them, each counted from the last.
    pub fn from_last(self, rank: usize) -> Axes {
        let moved = (0..rank).filter(|&place| self.first >> place & 1 == 1);
        let last = moved.fold(self.last, |last, place| last | 1 << (rank - 1 - place));
        Axes { last, first: 0 }
    }

    /// Those that are named, ascending.
    fn iter(self) -> impl Iterator<Item = i64> {
        let last = (1..=64i64).rev().filter(move |&i| self.last >> (i - 1) & 1 == 1).map(|i| -i);
        let first = (0..64i64).filter(move |&i| self.first >> i & 1 == 1);
        last.chain(first)
    }
}

/// `[-2, -1]`; `[..]` for all.
impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.are_all() {
            return f.write_str("[..]");
        }
        let axes: Vec<String> = self.iter().map(|axis| axis.to_string()).collect();
        write!(f, "[{}]", axes.join(", "))
    }
}

/// Axes as they are written in Rust: `-1`, `[-2, -1]`, or `..` for all.
pub trait IntoAxes {
    /// The axes, or why there are no such axes.
    fn into_axes(self) -> Result<Axes, String>;
}

impl IntoAxes for Axes {
    fn into_axes(self) -> Result<Axes, String> {
        Ok(self)
    }
}

impl IntoAxes for i32 {
    fn into_axes(self) -> Result<Axes, String> {
        Axes::some(&[self.into()])
    }
}

impl<const N: usize> IntoAxes for [i32; N] {
    fn into_axes(self) -> Result<Axes, String> {
        self[..].into_axes()
    }
}

impl IntoAxes for &[i32] {
    fn into_axes(self) -> Result<Axes, String> {
        Axes::some(&self.iter().map(|&axis| axis.into()).collect::<Vec<_>>())
    }
}

impl IntoAxes for std::ops::RangeFull {
    fn into_axes(self) -> Result<Axes, String> {
        Ok(Axes::ALL)
    }
}

/// Makes the enum and its table from rows: `Variant name noun Typing, "doc";`.
macro_rules! define_reductions {
    ($($variant:ident $name:literal $noun:literal $typing:ident, $doc:literal;)*) => {
        /// What a reduction makes of the elements along its axes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reduction {
            $(#[doc = $doc] $variant,)*
        }

        impl Reduction {
            /// Every reduction.
            pub const ALL: &'static [Reduction] = &[$(Reduction::$variant),*];

            /// Its row.
            pub fn info(self) -> &'static CallInfo {
                match self {
                    $(Reduction::$variant => &CallInfo {
                        name: $name,
                        noun: $noun,
                        arity: 1,
                        typing: Typing::$typing,
                        doc: $doc,
                    },)*
                }
            }
        }

        /// All of them, over all axes.
        pub(super) const ALL: &[Call] =
            &[$(Call::Reduce(Reduce { by: Reduction::$variant, axes: Axes::ALL })),*];
    };
}

define_reductions! {
    Sum "sum" "a sum" Number, "The sum; of nothing 0. Of bools, `u8` and `i32` it is `i64`";
    Prod "prod" "a product of elements" Number, "The product; of nothing 1. Of bools, `u8` and `i32` it is `i64`";
    Max "max" "a largest element" Number, "The largest; NaN if one is, -0 below +0. Without elements it is an error";
    Min "min" "a least element" Number, "The least; NaN if one is, -0 below +0. Without elements it is an error";
    Sup "sup" "a supremum" Number, "The largest that is a number, +0 of zeros; of nothing -inf, or the least integer";
    All "all" "an all" Truth, "Whether all are true, numbers being \"not zero\"; so it is of nothing";
    Any "any" "an any" Truth, "Whether any is true, numbers being \"not zero\"; of nothing none is";
    ArgMax "argmax" "an argmax" Index, "The place of the first NaN, else of the first largest, counted along the axes, the last one fastest";
    ArgMin "argmin" "an argmin" Index, "The place of the first NaN, else of the first least, counted along the axes, the last one fastest";
    Count "count" "a count" Number, "How many elements there are, as a number of their type; bools and `i32` are counted as `i64`";
}

impl Reduction {
    /// The reduction of this name in text.
    pub fn from_name(name: &str) -> Option<Reduction> {
        Reduction::ALL.iter().copied().find(|reduction| reduction.info().name == name)
    }

    /// Whether it looks at elements: how many there are, the shape says.
    pub fn reads(self) -> bool {
        self != Reduction::Count
    }

    /// Whether it has no value where there are no elements.
    pub fn needs_elements(self) -> bool {
        matches!(self, Reduction::Max | Reduction::Min | Reduction::ArgMax | Reduction::ArgMin)
    }
}

pub(super) fn info(reduce: Reduce) -> &'static CallInfo {
    reduce.by.info()
}

pub(super) fn infer<E: Extent>(reduce: Reduce, operands: &[&[E]]) -> Result<Dims<E>, String> {
    let shape = operands[0];
    let is_reduced = reduce.axes.of_rank(shape.len())?;
    let kept = || shape.iter().zip(&is_reduced).filter(|(_, reduced)| !**reduced);
    let is_empty = |(size, reduced): (&E, &bool)| *reduced && *size == E::ZERO;
    let needs_one = reduce.by.needs_elements() && !kept().any(|(size, _)| *size == E::ZERO);
    if needs_one && let Some(axis) = shape.iter().zip(&is_reduced).position(is_empty) {
        let hint = "make it longer first, as by `pad`";
        return Err(format!("axis {axis} has no elements to choose from; {hint}"));
    }
    if reduce.axes.are_all() {
        return Ok(Dims::new());
    }
    let size = |(size, reduced): (&E, &bool)| if *reduced { E::ONE } else { size.clone() };
    Ok(shape.iter().zip(&is_reduced).map(size).collect())
}

/// What fits is known once the rank is.
pub(super) fn check(_: Reduce, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

/// Sums and products are computed in twice the precision, and rounded once.
pub(super) fn eval(reduce: Reduce, operands: &[&Array], shape: Vec<usize>) -> Array {
    let operand = operands[0];
    let is_reduced = reduce.axes.of_rank(operand.shape().len()).expect("the shape was inferred");
    let mut groups: Vec<Vec<Scalar>> = vec![Vec::new(); shape.iter().product()];
    for index in 0..operand.shape().iter().product() {
        // The place in the result, from the last axis on.
        let (mut rest, mut place, mut step) = (index, 0, 1);
        for (&size, &reduced) in operand.shape().iter().zip(&is_reduced).rev() {
            if !reduced {
                place += rest % size * step;
                step *= size;
            }
            rest /= size;
        }
        groups[place].push(operand.data.at(index));
    }
    let dtype = reduce.by.info().typing.result_type(&[operand.dtype()]);
    let dtype = dtype.expect("the operand has a type that fits");
    let results = groups.iter().map(|group| value(reduce.by, group).cast(dtype));
    let data = Data::collect(dtype, results);
    Array { dtype, shape, data }
}

/// The reference.
fn value(by: Reduction, elements: &[Scalar]) -> Scalar {
    let pick = |better: fn(Scalar, Scalar) -> bool| {
        let is_nan = |value: &Scalar| value.to_f64().is_nan();
        let first_nan = elements.iter().position(is_nan);
        first_nan.unwrap_or_else(|| {
            let best = (0..elements.len())
                .reduce(|best, at| if better(elements[at], elements[best]) { at } else { best });
            best.expect("there are elements")
        })
    };
    let fold = |floats: fn(f64, f64) -> f64, integers: fn(i64, i64) -> i64| {
        let merge = |a: Scalar, b: Scalar| match (a, b) {
            (Scalar::Integer(a), Scalar::Integer(b)) => Scalar::Integer(integers(a, b)),
            (a, b) => Scalar::Float(floats(a.to_f64(), b.to_f64())),
        };
        elements.iter().copied().reduce(merge)
    };
    let are_integers = elements.first().is_some_and(|first| matches!(first, Scalar::Integer(_)));
    match by {
        Reduction::Sum if are_integers => {
            fold(|a, b| a + b, i64::wrapping_add).expect("there are elements")
        }
        Reduction::Sum => Scalar::Float(exact_sum(elements)),
        Reduction::Prod => fold(|a, b| a * b, i64::wrapping_mul).unwrap_or(Scalar::Integer(1)),
        Reduction::Max => fold(maximum, i64::max).expect("there are elements"),
        Reduction::Sup if are_integers => fold(maximum, i64::max).expect("there are elements"),
        Reduction::Sup => {
            let numbers = elements.iter().map(|x| x.to_f64()).filter(|x| !x.is_nan());
            Scalar::Float(numbers.fold(f64::NEG_INFINITY, maximum) + 0.0)
        }
        Reduction::Min => fold(minimum, i64::min).expect("there are elements"),
        Reduction::All => Scalar::Float(elements.iter().all(|x| x.to_f64() != 0.0).into()),
        Reduction::Any => Scalar::Float(elements.iter().any(|x| x.to_f64() != 0.0).into()),
        Reduction::ArgMax => Scalar::Integer(pick(is_above) as i64),
        Reduction::ArgMin => Scalar::Integer(pick(|a, b| is_above(b, a)) as i64),
        Reduction::Count => Scalar::Integer(elements.len() as i64),
    }
}

fn is_above(a: Scalar, b: Scalar) -> bool {
    match (a, b) {
        (Scalar::Integer(a), Scalar::Integer(b)) => a > b,
        (a, b) => a.to_f64() > b.to_f64(),
    }
}

/// Neumaier's compensated sum; of nothing 0.
fn exact_sum(elements: &[Scalar]) -> f64 {
    let mut elements = elements.iter().map(|element| element.to_f64());
    let Some(mut sum) = elements.next() else { return 0.0 };
    let mut lost = 0.0;
    for element in elements {
        let next = sum + element;
        let (large, small) =
            if sum.abs() >= element.abs() { (sum, element) } else { (element, sum) };
        lost += large - next + small;
        sum = next;
    }
    // What is lost of infinity is no number, and of nothing it would lose the sign of zero.
    if sum.is_finite() && lost != 0.0 { sum + lost } else { sum }
}

/// One for each element along the axes.
pub(super) fn terms<E: Extent>(reduce: Reduce, operands: &[&[E]]) -> (usize, Dims<E>) {
    let is_reduced = reduce.axes.of_rank(operands[0].len()).unwrap_or_default();
    let reduced = operands[0].iter().zip(is_reduced).filter(|(_, reduced)| *reduced);
    match reduce.by.reads() {
        false => (0, Dims::new()),
        true => (1, reduced.map(|(size, _)| size.clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Axes, Reduce, Reduction, infer};

    #[test]
    fn axes_are_sets() {
        assert_eq!(Axes::some(&[-1, -2]), Axes::some(&[-2, -1]));
        assert_eq!(Axes::some(&[-1, 0, -3]).unwrap().to_string(), "[-3, -1, 0]");
        assert_eq!(Axes::ALL.to_string(), "[..]");
        assert_eq!(
            Axes::some(&[-1, 0]).unwrap().of_rank(3).as_deref(),
            Ok(&[true, false, true][..])
        );
        for (axes, rank, fault) in [
            (&[][..], 2, "name an axis, or `..` for all"),
            (&[1, 1], 2, "axis 1 is there twice; name each axis once"),
            (&[64], 2, "no array has an axis 64: the most axes are 64"),
            (&[-65], 2, "no array has an axis -65: the most axes are 64"),
            (&[i64::MIN], 2, "no array has an axis -9223372036854775808: the most axes are 64"),
            (&[2], 2, "there is no axis 2: the array has 2 axes, from -2 to 1"),
            (&[-2], 1, "there is no axis -2: the array has 1 axis, 0 or -1"),
            (&[-1], 0, "there is no axis -1: the array is a single number"),
            (&[-2, 0], 2, "axis 0 of 2 is there twice; name each axis once"),
        ] {
            let found = Axes::some(axes).and_then(|axes| axes.of_rank(rank));
            assert_eq!(found, Err(fault.to_string()), "{axes:?}");
        }
    }

    #[test]
    fn shapes() {
        let shape = |by, axes: &[i64], shape: &[usize]| {
            let axes = if axes.is_empty() { Axes::ALL } else { Axes::some(axes).unwrap() };
            infer(Reduce { by, axes }, &[shape]).map(|dims| dims.into_vec())
        };
        assert_eq!(shape(Reduction::Sum, &[-1], &[2, 3]), Ok(vec![2, 1]));
        assert_eq!(shape(Reduction::Sum, &[0], &[2, 3]), Ok(vec![1, 3]));
        assert_eq!(shape(Reduction::Sum, &[], &[2, 3]), Ok(vec![]));
        assert_eq!(shape(Reduction::Sum, &[-1], &[2, 0]), Ok(vec![2, 1]));
        // Of nothing there is no largest; but where nothing is asked for, nothing lacks.
        assert_eq!(shape(Reduction::Max, &[-1], &[0, 0]), Ok(vec![0, 1]));
        let fault = "axis 1 has no elements to choose from; make it longer first, as by `pad`";
        assert_eq!(shape(Reduction::Max, &[-1], &[2, 0]), Err(fault.into()));
        assert_eq!(shape(Reduction::ArgMin, &[], &[2, 0]), Err(fault.into()));
    }
}
