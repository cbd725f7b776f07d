//! Numbers without an array around them: values of the reference, and literals.

use crate::dtype::DType;

/// A number of any element type: a constant of a graph, or a value of the reference interpreter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// Of a float type, or a bool as 1 or 0.
    Float(f64),
    /// Of an integer type. (`f64` does not hold every `i64`.)
    Integer(i64),
}

impl Scalar {
    /// The number of type `dtype` that [`bits`](Scalar::bits) gave.
    pub fn from_bits(dtype: DType, bits: u64) -> Scalar {
        match dtype.is_integer() {
            true => Scalar::Integer(bits as i64),
            false => Scalar::Float(f64::from_bits(bits)),
        }
    }

    /// The bits of the `f64` or `i64`.
    pub fn bits(self) -> u64 {
        match self {
            Scalar::Float(value) => value.to_bits(),
            Scalar::Integer(value) => value as u64,
        }
    }

    /// As `f64`, rounded to nearest even.
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Float(value) => value,
            Scalar::Integer(value) => value as f64,
        }
    }

    /// Whether it is not zero.
    pub fn is_true(self) -> bool {
        self.to_f64() != 0.0
    }

    /// Converted to `dtype`: to a float it is rounded once, to nearest even; to an integer it is
    /// cut toward zero and saturates, NaN giving 0 (as Rust's `as` does from floats); a bool is
    /// "not zero".
    pub fn cast(self, dtype: DType) -> Scalar {
        match (self, dtype.integer_range()) {
            (Scalar::Float(value), Some((least, most))) => {
                Scalar::Integer((value as i64).clamp(least, most))
            }
            (Scalar::Integer(value), Some((least, most))) => {
                Scalar::Integer(value.clamp(least, most))
            }
            (Scalar::Float(value), None) => Scalar::Float(dtype.round(value)),
            (Scalar::Integer(value), None) => Scalar::Float(match dtype {
                DType::F64 => value as f64,
                _ => dtype.round(rounding_alike(value)),
            }),
        }
    }
}

/// A number that rounds to 24 bits or fewer as `value` does: where `f64` has no room for all of its
/// bits, those at the bottom count only as "some" (rounding to odd).
fn rounding_alike(value: i64) -> f64 {
    const CUT: i64 = 0x7ff;
    let fits = value.unsigned_abs() < 1 << 53;
    let some = if value & CUT != 0 { CUT + 1 } else { 0 };
    (if fits { value } else { value & !CUT | some }) as f64
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Scalar {
        Scalar::Float(value)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Scalar {
        Scalar::Integer(value)
    }
}

/// A number as it was written, which takes the type of what it meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    /// The same number, exactly, if it is an integer that `i64` holds.
    pub(crate) integer: Option<i64>,
}

impl Number {
    /// As a number of type `dtype`; `None` where an integer type does not have it.
    pub(crate) fn of(self, dtype: DType) -> Option<Scalar> {
        let Some((least, most)) = dtype.integer_range() else {
            return Some(Scalar::Float(self.value));
        };
        self.integer.filter(|integer| (least..=most).contains(integer)).map(Scalar::Integer)
    }

    /// Converted to `dtype`, as an array would be.
    pub(crate) fn cast(self, dtype: DType) -> Scalar {
        self.integer.map_or(Scalar::Float(self.value), Scalar::Integer).cast(dtype)
    }
}

impl std::ops::Neg for Number {
    type Output = Number;

    fn neg(self) -> Number {
        // The magnitude of `i64::MIN` is no `i64`.
        let negated = self.integer.map_or(Number::from(-self.value).integer, i64::checked_neg);
        Number { value: -self.value, integer: negated }
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Number {
        let bound = 2f64.powi(63);
        let is_integer = value.fract() == 0.0 && (-bound..bound).contains(&value);
        Number { value, integer: is_integer.then_some(value as i64) }
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Number {
        Number { value: integer as f64, integer: Some(integer) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Scalar};
    use crate::dtype::DType;

    #[test]
    fn casts_saturate_and_round_once() {
        let cast = |value: Scalar, dtype| value.cast(dtype);
        for value in [f64::NAN, -1e300, 1e300, -0.9, 255.9, 3e9, -3e9, 9.3e18, f64::INFINITY] {
            let float = Scalar::Float(value);
            assert_eq!(cast(float, DType::U8), Scalar::Integer((value as u8).into()));
            assert_eq!(cast(float, DType::I32), Scalar::Integer((value as i32).into()));
            assert_eq!(cast(float, DType::I64), Scalar::Integer(value as i64));
        }
        assert_eq!(cast(Scalar::Integer(300), DType::U8), Scalar::Integer(255));
        assert_eq!(cast(Scalar::Integer(i64::MIN), DType::I32), Scalar::Integer(i32::MIN.into()));
        assert_eq!(cast(Scalar::Integer(-2), DType::Bool), Scalar::Float(1.0));
        // A tie of f32, and a little more: by way of f64 it would be a tie again.
        let tie = (1i64 << 62) + (1 << 38);
        for value in [tie - 1, tie, tie + 1, -tie - 1, -tie, -tie + 1, i64::MAX, i64::MIN, 7] {
            let expected = Scalar::Float((value as f32).into());
            assert_eq!(cast(Scalar::Integer(value), DType::F32), expected, "{value}");
        }
        let above = (1i64 << 62) + (1 << 54) + 1;
        let next = Scalar::Float(2f64.powi(62) + 2f64.powi(55));
        assert_eq!(cast(Scalar::Integer(above), DType::BF16), next);
    }

    #[test]
    fn numbers_keep_their_last_digit() {
        let number = Number::from(i64::MAX);
        assert_eq!((-number).of(DType::I64), Some(Scalar::Integer(-i64::MAX)));
        assert_eq!((-Number::from(2f64.powi(63))).integer, Some(i64::MIN));
        assert_eq!(Number::from(2f64.powi(63)).integer, None);
        assert_eq!(Number::from(0.5).of(DType::I32), None);
        assert_eq!(Number::from(256.0).of(DType::U8), None);
        assert_eq!(Number::from(-0.0).of(DType::U8), Some(Scalar::Integer(0)));
    }
}
