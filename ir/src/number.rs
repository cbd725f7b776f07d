//! Single numbers: values of the reference interpreter, and literals.

use crate::dtype::DType;
use std::fmt;

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

    /// Converted to `dtype` as Rust's `as` does: to a float it is rounded once, to nearest even;
    /// an integer wraps around in a narrower one; a float is cut toward zero and saturates, NaN
    /// giving 0. A bool is "not zero".
    pub fn cast(self, dtype: DType) -> Scalar {
        match (self, dtype.integer_range()) {
            (Scalar::Float(value), Some((least, most))) => {
                Scalar::Integer((value as i64).clamp(least, most))
            }
            (Scalar::Integer(value), Some(_)) => Scalar::Integer(dtype.wrap(value)),
            (Scalar::Float(value), None) => Scalar::Float(dtype.round(value)),
            (Scalar::Integer(value), None) => Scalar::Float(match dtype {
                DType::F64 => value as f64,
                _ => dtype.round(rounding_alike(value)),
            }),
        }
    }
}

/// A number that rounds to 24 bits or fewer just as `value` does. If `f64` has no room for all bits, the
/// lowest are replaced by a single sticky bit (rounding to odd).
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

/// As it is written: a float shows that it is one.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Float(value) => write!(f, "{value:?}"),
            Scalar::Integer(value) => write!(f, "{value}"),
        }
    }
}

/// A number as it was written, which takes the type of what it meets.
///
/// One with a point or an exponent is a float and meets no integers, whatever its value, and so is
/// what is computed from one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// Written in digits alone.
    Integer {
        /// Its value, rounded; -0 for a negated zero, which counts once it becomes a float.
        value: f64,
        /// The same exactly, where that is known.
        exact: Option<i128>,
    },
    Float(f64),
}

impl Number {
    /// An integer of which only its rounded value is known.
    pub(crate) fn inexact(value: f64) -> Number {
        Number::Integer { value, exact: None }
    }

    pub(crate) fn value(self) -> f64 {
        match self {
            Number::Integer { value, .. } | Number::Float(value) => value,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Number::Float(_))
    }

    /// The integer, where it is one that `i64` holds.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Number::Integer { exact, .. } => exact?.try_into().ok(),
            Number::Float(_) => None,
        }
    }

    /// The integer, where it is known exactly.
    pub(crate) fn exact(self) -> Option<i128> {
        match self {
            Number::Integer { exact, .. } => exact,
            Number::Float(_) => None,
        }
    }

    /// Its value before it takes a type; exact for integers that `i64` holds.
    pub(crate) fn scalar(self) -> Scalar {
        let minus_zero = self.value() == 0.0 && self.value().is_sign_negative();
        match self.integer() {
            Some(integer) if !minus_zero => Scalar::Integer(integer),
            _ => Scalar::Float(self.value()),
        }
    }

    /// As a number of type `dtype`, still to be rounded to it; `None` where an integer type does
    /// not have it, or where it would be a bool other than 0 and 1.
    pub(crate) fn of(self, dtype: DType) -> Option<Scalar> {
        let (least, most) = match (dtype, dtype.integer_range()) {
            (_, Some(range)) => range,
            (DType::Bool, _) => (0, 1),
            _ => return Some(self.scalar()),
        };
        self.integer().filter(|integer| (least..=most).contains(integer)).map(Scalar::Integer)
    }
}

/// As it is written.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Integer { exact: Some(integer), .. } => write!(f, "{integer}"),
            Number::Integer { value, .. } => write!(f, "{value}"),
            Number::Float(value) => write!(f, "{value:?}"),
        }
    }
}

impl std::ops::Neg for Number {
    type Output = Number;

    fn neg(self) -> Number {
        match self {
            Number::Integer { value, exact } => {
                Number::Integer { value: -value, exact: exact.and_then(i128::checked_neg) }
            }
            Number::Float(value) => Number::Float(-value),
        }
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Number {
        Number::Float(value)
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Number {
        Number::from(i128::from(integer))
    }
}

impl From<i128> for Number {
    fn from(integer: i128) -> Number {
        Number::Integer { value: integer as f64, exact: Some(integer) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Scalar};
    use crate::dtype::DType;

    #[test]
    fn casts_are_those_of_rust_and_round_once() {
        let cast = |value: Scalar, dtype| value.cast(dtype);
        for value in [f64::NAN, -1e300, 1e300, -0.9, 255.9, 3e9, -3e9, 9.3e18, f64::INFINITY] {
            let float = Scalar::Float(value);
            assert_eq!(cast(float, DType::U8), Scalar::Integer((value as u8).into()));
            assert_eq!(cast(float, DType::I32), Scalar::Integer((value as i32).into()));
            assert_eq!(cast(float, DType::I64), Scalar::Integer(value as i64));
        }
        for value in [300, -1, i64::MIN, i64::MAX, 1 << 31, 0x1_2345_6789, -129] {
            let integer = Scalar::Integer(value);
            assert_eq!(cast(integer, DType::U8), Scalar::Integer((value as u8).into()));
            assert_eq!(cast(integer, DType::I32), Scalar::Integer((value as i32).into()));
            assert_eq!(cast(integer, DType::I64), integer);
        }
        assert_eq!(cast(Scalar::Integer(-2), DType::Bool), Scalar::Float(1.0));
        // Just above a tie in f32. Rounded to f64 first, it would be a tie.
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
        assert_eq!((-Number::from(1i128 << 63)).integer(), Some(i64::MIN));
        assert_eq!((-Number::from((1i128 << 63) + 1)).integer(), None);
        assert_eq!(Number::from(256i64).of(DType::U8), None);
        assert_eq!((-Number::from(0i64)).of(DType::U8), Some(Scalar::Integer(0)));
        assert_eq!((-Number::from(0i64)).scalar().bits(), (-0f64).to_bits());
    }

    #[test]
    fn floats_are_no_integers_whatever_their_value() {
        for value in [0.5, 2.0, -0.0, 1e300] {
            assert_eq!(Number::from(value).of(DType::I32), None);
            assert_eq!(Number::from(value).of(DType::Bool), None);
            assert!((-Number::from(value)).is_float());
        }
        assert_eq!(Number::from(2i64).of(DType::Bool), None);
        assert_eq!(
            (Number::from(2.0).to_string(), Number::from(2i64).to_string()),
            ("2.0".into(), "2".into())
        );
        assert_eq!(Number::from(1e60).to_string(), "1e60");
    }
}
