//! A value in real numbers, of 200 bits where it is finite.

use kiln::DType;
use kiln::ir::Scalar;
use kiln_accuracy::Big;
use std::cmp::Ordering;

/// Exponents of two from which a number may be one that is held at `e^±10000`.
const LOSSY: isize = 14_000;

/// A value in real numbers.
#[derive(Clone, Debug)]
pub(crate) enum Real {
    Nan,
    /// Whether it is the negative one.
    Infinite(bool),
    /// Exactly zero, and whether it is -0.
    Zero(bool),
    Finite(Big),
    Integer(i64),
    Bool(bool),
    Unknown,
}

use Real::{Bool, Finite, Infinite, Integer, Nan, Unknown, Zero};

impl Real {
    pub(crate) fn of_f64(value: f64) -> Real {
        match value {
            v if v.is_nan() => Nan,
            v if v.is_infinite() => Infinite(v < 0.0),
            0.0 => Zero(value.is_sign_negative()),
            v => Finite(Big::from_f64(v)),
        }
    }

    pub(crate) fn of_scalar(dtype: DType, value: Scalar) -> Real {
        match value {
            Scalar::Integer(value) => Integer(value),
            Scalar::Float(value) if dtype == DType::Bool => Bool(value != 0.0),
            Scalar::Float(value) => Real::of_f64(value),
        }
    }

    /// A sum or a difference: an exact zero is +0.
    pub(crate) fn of_big(value: Big) -> Real {
        if value.is_zero() { Zero(false) } else { Finite(value) }
    }

    /// The sign bit of a float.
    pub(crate) fn is_negative(&self) -> bool {
        match self {
            Infinite(negative) | Zero(negative) => *negative,
            Finite(value) => value.is_negative(),
            _ => false,
        }
    }

    pub(crate) fn negated(self) -> Real {
        match self {
            Infinite(negative) => Infinite(!negative),
            Zero(negative) => Zero(!negative),
            Finite(value) => Finite(-value),
            other => other,
        }
    }

    pub(crate) fn is_lossy(&self) -> bool {
        matches!(self, Finite(value) if value.exponent().abs() > LOSSY)
    }

    /// An `f64` of its kind and sign, to ask what IEEE 754 has for special operands.
    pub(crate) fn stand_in(&self) -> f64 {
        match self {
            Nan | Unknown => f64::NAN,
            Infinite(negative) => {
                if *negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
            Zero(negative) => {
                if *negative {
                    -0.0
                } else {
                    0.0
                }
            }
            Finite(value) => {
                let near = value.to_f64();
                near.abs().clamp(1e-300, 1e300).copysign(if value.is_negative() {
                    -1.0
                } else {
                    1.0
                })
            }
            Integer(value) => *value as f64,
            Bool(value) => f64::from(*value),
        }
    }

    pub(crate) fn order(&self, other: &Real) -> Option<Ordering> {
        match (self, other) {
            (Nan | Unknown, _) | (_, Nan | Unknown) => None,
            (Finite(a), Finite(b)) => a.partial_cmp(b),
            (Integer(a), Integer(b)) => Some(a.cmp(b)),
            (Bool(a), Bool(b)) => Some(a.cmp(b)),
            _ => self.stand_in().partial_cmp(&other.stand_in()),
        }
    }

    pub(crate) fn with_sign(self, negative: bool) -> Real {
        if negative { self.negated() } else { self }
    }
}
