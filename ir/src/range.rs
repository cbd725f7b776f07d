//! Interval analysis: which values an op can give, from those that its operands can have.
//!
//! The [`Transfer`] in each row of the op table says how results follow from operands. The algebra
//! snaps the ends of the intervals, so that its lattice has finite height, and lowering leaves out of
//! expansions what cannot happen. Ends are rounded to the type of the result. Rounding keeps order, so
//! correctly rounded results lie between the ends, infinities included.

use crate::dtype::DType;
use crate::ops::Op;
use crate::typing::Typing;

/// A result with a larger operand may come so near the largest number that another rounding makes it
/// infinite. For `f32`, this is less than half an ULP of any number near the largest.
pub const LARGE: f64 = 1e18;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower bound of its numbers; either zero counts as 0.
    pub low: f64,
    /// The upper bound of its numbers.
    pub high: f64,
    /// Whether it may be NaN.
    pub may_be_nan: bool,
    /// Whether it may be -0.
    pub may_be_minus_zero: bool,
    /// Whether an infinity may be the overflow of a number, here or before. What is given to a
    /// kernel as infinite *is* infinite.
    pub may_overflow: bool,
}

/// The operands of an op.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// The type of the result, a float.
    pub dtype: DType,
    /// The range of each.
    pub ranges: &'a [Range],
    /// Whether all are the same value.
    pub one: bool,
}

/// How the results of an op follow from its operands. Whatever it says, results lie within the
/// bounds of the op's row.
#[derive(Clone, Copy, Debug)]
pub enum Transfer {
    /// Nothing follows: only the bounds are known.
    Bounds,
    /// They rise with the operand, up to the error bound. It is defined on an interval.
    Rising,
    /// They fall as the operand rises, up to the error bound. It is defined on an interval.
    Falling,
    /// They rise with the operand's magnitude, up to the error bound.
    Magnitude,
    /// As this function says.
    Of(fn(Operands<'_>) -> Range),
}

impl Range {
    /// What any value of this type is.
    pub fn any(dtype: DType) -> Range {
        let is_float = dtype.is_float();
        let (low, high) = match dtype.integer_range() {
            Some((least, most)) => (least as f64, most as f64),
            None if is_float => (f64::NEG_INFINITY, f64::INFINITY),
            None => (0.0, 1.0),
        };
        Range { low, high, may_be_nan: is_float, may_be_minus_zero: is_float, may_overflow: false }
    }

    /// A float of known value. Numbers too large for their type are infinite, so an infinity is one
    /// of those.
    pub fn number(value: f64) -> Range {
        let ends = if value.is_nan() { (f64::NEG_INFINITY, f64::INFINITY) } else { (value, value) };
        Range {
            low: ends.0,
            high: ends.1,
            may_be_nan: value.is_nan(),
            may_be_minus_zero: value == 0.0 && value.is_sign_negative(),
            may_overflow: value.is_infinite(),
        }
    }

    /// The results of type `dtype` of an op; `one` if all operands are one value.
    pub fn of_op(op: Op, dtype: DType, ranges: &[Range], one: bool) -> Range {
        if !dtype.is_float() {
            return Range::any(dtype);
        }
        let x = ranges[0];
        let (low, high) = op.info().range;
        let range = match op.info().transfer {
            Transfer::Bounds => Range { low, high, may_overflow: true, ..Range::any(dtype) },
            Transfer::Rising => {
                let range = between(op, dtype, x, x.low, x.high);
                Range { may_be_minus_zero: x.may_be_signed(), ..range.beyond_zero(op, dtype, x) }
            }
            Transfer::Falling => between(op, dtype, x, x.high, x.low),
            Transfer::Magnitude => {
                let least = x.low.max(-x.high).max(0.0);
                between(op, dtype, x, least, x.high.max(-x.low))
            }
            Transfer::Of(rule) => rule(Operands { dtype, ranges, one }),
        };
        let within = Range { low: range.low.max(low), high: range.high.min(high), ..range };
        let is_large = within.low < -LARGE || within.high > LARGE;
        let minus_zero = low.is_sign_negative() && within.contains(0.0);
        Range {
            may_be_minus_zero: within.may_be_minus_zero && minus_zero,
            may_overflow: within.may_overflow && is_large,
            ..within
        }
    }

    /// Whether a number lies within; either zero counts as 0.
    pub fn contains(self, number: f64) -> bool {
        self.low <= number && number <= self.high
    }

    /// Whether no value is negative, -0 included.
    pub fn never_negative(self) -> bool {
        !self.may_be_signed()
    }

    /// What follows if both this and `other` are known of a value.
    pub fn and(self, other: Range) -> Range {
        Range {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
            may_be_nan: self.may_be_nan && other.may_be_nan,
            may_be_minus_zero: self.may_be_minus_zero && other.may_be_minus_zero,
            may_overflow: self.may_overflow && other.may_overflow,
        }
    }

    /// Whether no value is in it, because two ranges contradict each other.
    pub fn is_empty(self) -> bool {
        self.low > self.high && !self.may_be_nan
    }

    fn may_be_signed(self) -> bool {
        self.low < 0.0 || self.may_be_minus_zero
    }

    fn negated(self) -> Range {
        let may_be_minus_zero = self.contains(0.0);
        Range { low: -self.high, high: -self.low, may_be_minus_zero, ..self }
    }

    /// Wider by more than any op errs, in steps from float to float of `dtype`: above the largest
    /// number comes infinity, and below infinity that number. No end crosses 0, for no op gets the
    /// sign of its result wrong. An end that underflowed has that sign still: what is 0 here may come
    /// out as the smallest number.
    fn widened(self, dtype: DType) -> Range {
        // Four ULP, twice that where the value is in the next binade, and what the reference errs.
        const STEPS: usize = 16;
        let moved = |end: f64, next: fn(f64) -> f64, next_f32: fn(f32) -> f32| match dtype {
            DType::F64 => (0..STEPS).fold(end, |end, _| next(end)),
            _ => f64::from((0..STEPS).fold(end as f32, |end, _| next_f32(end))),
        };
        let low = moved(self.low, f64::next_down, f32::next_down);
        let high = moved(self.high, f64::next_up, f32::next_up);
        Range {
            low: if self.low.is_sign_positive() { low.max(0.0) } else { low },
            high: if self.high.is_sign_negative() { high.min(0.0) } else { high },
            ..self
        }
    }

    /// The results of a rising op of operands on one side of 0. They are not beyond that of 0, by an
    /// error either: `exp` of what is negative is never above 1.
    fn beyond_zero(self, op: Op, dtype: DType, x: Range) -> Range {
        if x.low < 0.0 && x.high > 0.0 {
            return self;
        }
        // `min` and `max` ignore NaN.
        let at_zero = op.eval(dtype, &[0.0]);
        match x.low >= 0.0 {
            true => Range { low: self.low.max(at_zero), ..self },
            false => Range { high: self.high.min(at_zero), ..self },
        }
    }
}

/// The results of an op of one operand between the operands `from` and `to`, which make the lowest and
/// the highest. Where one of them is outside of the domain, results begin at the bounds of the row.
fn between(op: Op, dtype: DType, x: Range, from: f64, to: f64) -> Range {
    let at = |x: f64| op.eval(dtype, &[x]);
    let ends = [at(from), at(to)];
    let (least, most) = op.info().range;
    let known = |end: f64, unknown: f64| if end.is_nan() { unknown } else { end };
    let range = Range {
        low: known(ends[0], least),
        high: known(ends[1], most),
        may_be_nan: x.may_be_nan || ends[0].is_nan() || ends[1].is_nan(),
        may_be_minus_zero: true,
        may_overflow: x.may_overflow,
    };
    let range = if op.max_ulp(dtype) > 0.5 { range.widened(dtype) } else { range };
    let largest = match op.info().typing {
        Typing::Cast(_) => f64::MAX,
        _ => dtype.largest(),
    };
    // Whether the op gives infinity for a finite operand.
    let overflows = |operand: f64, end: f64| {
        let of_number = || !at(operand.clamp(-largest, largest)).is_finite();
        end.is_infinite() && (operand.is_finite() || of_number())
    };
    let may_overflow = overflows(from, range.low) || overflows(to, range.high);
    Range { may_overflow: range.may_overflow || may_overflow, ..range }
}

/// The result of an op of two or three floats.
fn joined(operands: &[Range], low: f64, high: f64) -> Range {
    Range {
        low,
        high,
        may_be_nan: operands.iter().any(|range| range.may_be_nan),
        may_be_minus_zero: operands.iter().any(|range| range.may_be_minus_zero),
        may_overflow: operands.iter().any(|range| range.may_overflow),
    }
}

/// `a + b`.
pub(crate) fn sum(operands: Operands<'_>) -> Range {
    let &[a, b] = operands.ranges else { panic!("a sum is of two") };
    sum_of(operands.dtype, a, b)
}

/// `a - b`.
pub(crate) fn difference(operands: Operands<'_>) -> Range {
    let &[a, b] = operands.ranges else { panic!("a difference is of two") };
    sum_of(operands.dtype, a, b.negated())
}

fn sum_of(dtype: DType, a: Range, b: Range) -> Range {
    let add = |a: f64, b: f64| dtype.round(a + b);
    let largest = dtype.largest();
    let finite = |end: f64| end.clamp(-largest, largest);
    let [low, high] = [add(a.low, b.low), add(a.high, b.high)];
    let overflows = |a, b, sum: f64| !sum.is_finite() && add(finite(a), finite(b)).is_infinite();
    let cancels = |a: Range, b: Range| a.high == f64::INFINITY && b.low == f64::NEG_INFINITY;
    let either = joined(&[a, b], low, high);
    Range {
        // If infinities of both signs can meet, nothing is known.
        low: if low.is_nan() { f64::NEG_INFINITY } else { low },
        high: if high.is_nan() { f64::INFINITY } else { high },
        may_be_nan: either.may_be_nan || cancels(a, b) || cancels(b, a),
        may_be_minus_zero: a.may_be_minus_zero && b.may_be_minus_zero,
        may_overflow: either.may_overflow
            || overflows(a.low, b.low, low)
            || overflows(a.high, b.high, high),
    }
}

/// `a * b`.
pub(crate) fn product(operands: Operands<'_>) -> Range {
    let &[a, b] = operands.ranges else { panic!("a product is of two") };
    let dtype = operands.dtype;
    // 0 times infinity is a NaN. The products of what lies between do not go beyond 0.
    let multiply = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { dtype.round(a * b) };
    let ends = |a: Range, b: Range| {
        let corners = [(a.low, b.low), (a.low, b.high), (a.high, b.low), (a.high, b.high)];
        let corners = corners.map(|(a, b)| multiply(a, b));
        let low = corners.into_iter().fold(f64::INFINITY, f64::min);
        (low, corners.into_iter().fold(f64::NEG_INFINITY, f64::max))
    };
    let largest = dtype.largest();
    let finite = |range: Range| Range {
        low: range.low.clamp(-largest, largest),
        high: range.high.clamp(-largest, largest),
        ..range
    };
    let (low, high) = ends(a, b);
    let is_finite = |(low, high): (f64, f64)| low.is_finite() && high.is_finite();
    let overflows = !is_finite((low, high)) && !is_finite(ends(finite(a), finite(b)));
    let vanishes = |a: Range, b: Range| {
        a.contains(0.0) && (b.low == f64::NEG_INFINITY || b.high == f64::INFINITY)
    };
    let either = joined(&[a, b], low, high);
    let product = Range {
        may_be_nan: either.may_be_nan || vanishes(a, b) || vanishes(b, a),
        may_be_minus_zero: a.may_be_signed() || b.may_be_signed(),
        may_overflow: either.may_overflow || overflows,
        ..either
    };
    if !operands.one {
        return product;
    }
    // No square is negative, and no square is a product of 0 and infinity.
    Range { low: low.max(0.0), may_be_nan: a.may_be_nan, may_be_minus_zero: false, ..product }
}

/// `a / b`.
pub(crate) fn quotient(operands: Operands<'_>) -> Range {
    let &[a, b] = operands.ranges else { panic!("a quotient is of two") };
    // A divisor of -0 gives an infinity of the other sign.
    let positive = a.low >= 0.0 && b.never_negative();
    let large_divisor = b.low >= 1.0 || b.high <= -1.0;
    Range {
        low: if positive { 0.0 } else { f64::NEG_INFINITY },
        high: f64::INFINITY,
        may_be_nan: true,
        may_be_minus_zero: !positive || a.may_be_minus_zero,
        may_overflow: a.may_overflow || b.may_overflow || !large_divisor,
    }
}

/// `1 / a`.
pub(crate) fn reciprocal(operands: Operands<'_>) -> Range {
    let one = Range::number(1.0);
    quotient(Operands { ranges: &[one, operands.ranges[0]], one: false, ..operands })
}

/// `a * b + c`, rounded once.
pub(crate) fn product_and_sum(operands: Operands<'_>) -> Range {
    let &[a, b, c] = operands.ranges else { panic!("a product and a sum are of three") };
    let dtype = operands.dtype;
    let ends = |c: f64, worst: f64, pick: fn(f64, f64) -> f64| {
        let corners = [(a.low, b.low), (a.low, b.high), (a.high, b.low), (a.high, b.high)];
        let sum = |(a, b): (f64, f64)| {
            let exact = if a == 0.0 || b == 0.0 { c } else { a.mul_add(b, c) };
            if exact.is_nan() { worst } else { dtype.round(exact) }
        };
        corners.map(sum).into_iter().fold(-worst, pick)
    };
    let product = product(Operands { ranges: &[a, b], one: false, ..operands });
    let low = ends(c.low, f64::NEG_INFINITY, f64::min);
    let range = Range {
        low,
        high: ends(c.high, f64::INFINITY, f64::max),
        may_be_nan: sum_of(dtype, product, c).may_be_nan,
        // From zeros, or from a product that underflows.
        may_be_minus_zero: low < 0.0
            || low == 0.0 && (product.may_be_signed() || c.may_be_signed()),
        may_overflow: true,
    };
    // An `f32` was rounded to `f64` first.
    range.widened(dtype)
}

/// A result whose magnitude is at most that of the first operand.
pub(crate) fn no_larger(operands: Operands<'_>) -> Range {
    let a = operands.ranges[0];
    let most = a.high.max(-a.low);
    let range = joined(operands.ranges, -most, most);
    Range { may_be_nan: true, may_be_minus_zero: true, ..range }
}

/// The smaller of two.
pub(crate) fn minimum(operands: Operands<'_>) -> Range {
    let &[a, b] = operands.ranges else { panic!("a minimum is of two") };
    smaller(a, b)
}

/// The larger of two.
pub(crate) fn maximum(operands: Operands<'_>) -> Range {
    let &[a, b] = operands.ranges else { panic!("a maximum is of two") };
    larger(a, b)
}

/// `min(max(a, low), high)`.
pub(crate) fn clamped(operands: Operands<'_>) -> Range {
    let &[a, low, high] = operands.ranges else { panic!("a clamp is of three") };
    smaller(larger(a, low), high)
}

fn smaller(a: Range, b: Range) -> Range {
    joined(&[a, b], a.low.min(b.low), a.high.min(b.high))
}

fn larger(a: Range, b: Range) -> Range {
    joined(&[a, b], a.low.max(b.low), a.high.max(b.high))
}

/// The second or the third.
pub(crate) fn chosen(operands: Operands<'_>) -> Range {
    let &[_, a, b] = operands.ranges else { panic!("a choice is by a mask, of two") };
    joined(&[a, b], a.low.min(b.low), a.high.max(b.high))
}

#[cfg(test)]
mod tests {
    use super::{Range, Transfer};
    use crate::dtype::DType;
    use crate::ops::Op;

    /// The floats that an op may give for `x`, by its error bound. It gets the sign right, keeps to
    /// the bounds of its row, and if it rises it stays on its side of the result for 0.
    fn results(op: Op, x: f64) -> Vec<f64> {
        let exact = op.eval(DType::F64, &[x]);
        let near = exact as f32;
        let (least, most) = op.info().range;
        let spacing = f64::from(near.abs().next_up()) - f64::from(near.abs());
        let at_zero = op.eval(DType::F32, &[0.0]);
        let allowed = |&value: &f64| {
            let is_near = (value - exact).abs() <= op.max_ulp(DType::F32) * spacing;
            let has_sign = value * exact >= 0.0 && least <= value && value <= most;
            is_near && has_sign && !(op.is_rising() && (value - at_zero) * x < 0.0)
        };
        [near.next_down(), near, near.next_up()]
            .map(f64::from)
            .into_iter()
            .filter(allowed)
            .collect()
    }

    /// If the end of a range underflows to 0, the op may still give the smallest number.
    #[test]
    fn what_an_error_bound_allows_lies_within() {
        let points = [1e-30f32, 1e-16, 1e-15, 1e-5, 0.5, 3.0, 10.054, 14.0, 44.9, 45.2, 87.5]
            .into_iter()
            .chain([103.97, 103.98, 104.0, 149.0, 149.6, 150.5, 200.0]);
        let points: Vec<f64> = points.flat_map(|x| [x, -x]).map(f64::from).collect();
        let any = Range::any(DType::F32);
        let mut underflows = Vec::new();
        let follows = |op: &&Op| {
            let one_operand = !matches!(op.info().transfer, Transfer::Bounds | Transfer::Of(_));
            one_operand && op.max_ulp(DType::F32) > 0.5
        };
        for &op in Op::ALL.iter().filter(follows) {
            for &x in &points {
                let exact = op.eval(DType::F64, &[x]);
                if !exact.is_finite() || exact.abs() > f64::from(f32::MAX) {
                    continue;
                }
                if exact != 0.0 && exact as f32 == 0.0 {
                    underflows.push(op.name());
                }
                for (low, high) in [(x, x), (any.low, x), (x, any.high)] {
                    let range = Range::of_op(op, DType::F32, &[Range { low, high, ..any }], false);
                    for value in results(op, x) {
                        let name = op.name();
                        assert!(range.contains(value), "{name} of {x:e}: {value:e}, {range:?}");
                    }
                }
            }
        }
        underflows.dedup();
        for op in ["exp", "exp2", "exp10", "tanhshrink", "sigmoid", "erfc"] {
            assert!(underflows.contains(&op), "{op} is tried where it underflows: {underflows:?}");
        }
    }
}
