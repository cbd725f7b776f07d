//! Element types.

use std::fmt;

/// The element type of an array.
///
/// Mixed operands promote: `bool` < `u8` < `i32` < `i64`, and `bool` < `f16`, `bf16` < `f32` < `f64`.
/// An `f16` and a `bf16` promote to `f32`, as neither holds the other. An integer and a float do not
/// mix; one of them is converted by name, as in `f32(x)`.
/// Number literals are weakly typed: they take the type of what they meet. One that is written with
/// a point or an exponent is a float, and does not mix with integers.
///
/// In arithmetic and comparisons a bool is the integer 0 or 1. What is computed from bools and integer
/// literals alone is an `i32`, and takes the type of what it meets as a literal does:
/// `(x > 0) + (y > 0)` counts, and may be multiplied with an `f32`.
///
/// Integers wrap around, in arithmetic as with Rust's `wrapping_add`, and when they are converted to a
/// narrower type. Division and remainder by zero give 0, and the amount of a shift is taken modulo the
/// width. Floats saturate when they are converted to integers.
///
/// `f16` and `bf16` are storage types: they halve the traffic through memory. Arithmetic on them is done
/// in `f32`, which holds their values exactly, and gives `f32`. A matrix product reads them as they lie, each
/// operand for itself, and is an `f32` too, as one of bools is, which counts. To store an output in one
/// of them, convert it last, as in `f16(x * y)`, which rounds once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// A truth value, stored as one byte, 0 or 1.
    Bool,
    /// An unsigned integer of 8 bits.
    U8,
    /// A signed integer of 32 bits.
    I32,
    /// A signed integer of 64 bits.
    I64,
    /// IEEE 754 binary16: 11 bits of precision, up to 65504.
    F16,
    /// The upper half of a binary32 (bfloat16): 8 bits of precision.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DType {
    /// Every element type, in order of promotion; but see [`promote`](DType::promote) for the halves.
    pub const ALL: [DType; 8] = [
        DType::Bool,
        DType::U8,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ];

    /// The name in text: `bool`, `u8`, `i32`, `i64`, `f16`, `bf16`, `f32`, `f64`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Size of an element in bytes.
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 => 1,
            DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// Whether elements are integers.
    pub fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// The least and the largest integer of an integer type.
    pub fn integer_range(self) -> Option<(i64, i64)> {
        match self {
            DType::U8 => Some((0, u8::MAX.into())),
            DType::I32 => Some((i32::MIN.into(), i32::MAX.into())),
            DType::I64 => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }

    /// The type that operands of these two types promote to: the narrowest that holds both, and of an
    /// integer and a float, which no graph mixes, the float.
    ///
    /// ```
    /// use kiln_ir::DType;
    ///
    /// assert_eq!(DType::F32.promote(DType::F64), DType::F64);
    /// assert_eq!(DType::F16.promote(DType::BF16), DType::F32);
    /// ```
    pub fn promote(self, other: DType) -> DType {
        match (self, other) {
            (DType::F16, DType::BF16) | (DType::BF16, DType::F16) => DType::F32,
            _ => self.max(other),
        }
    }

    /// The largest finite number.
    pub(crate) fn largest(self) -> f64 {
        match (self, self.integer_range()) {
            (_, Some((_, most))) => most as f64,
            (DType::Bool, _) => 1.0,
            (DType::F16, _) => F16_MAX,
            (DType::BF16, _) => BF16_MAX,
            (DType::F32, _) => f32::MAX.into(),
            _ => f64::MAX,
        }
    }

    /// The integer of an integer type that equals `value` modulo 2 to the power of its width.
    pub(crate) fn wrap(self, value: i64) -> i64 {
        match self {
            DType::U8 => (value as u8).into(),
            DType::I32 => (value as i32).into(),
            _ => value,
        }
    }

    /// Whether float arithmetic is done in this type: `f32` or `f64`.
    pub fn is_arithmetic(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// A number rounded once to this type, to nearest even. `bool` is "not zero"; for an integer type the
    /// fraction is cut off, and the result saturates (the largest `i64` is 2^63 here).
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::Bool => f64::from(value != 0.0),
            DType::U8 => f64::from(value as u8),
            DType::I32 => f64::from(value as i32),
            DType::I64 => value as i64 as f64,
            DType::F16 => round_to(value, 11, -14, F16_MAX),
            DType::BF16 => round_to(value, 8, -126, BF16_MAX),
            DType::F32 => f64::from(value as f32),
            DType::F64 => value,
        }
    }
}

/// The largest finite `f16`.
const F16_MAX: f64 = 65504.0;

/// The largest finite `bf16`.
const BF16_MAX: f64 = 3.389_531_389_251_535_5e38;

/// `value` rounded to nearest even among floats of this many bits of precision, whose smallest normal
/// number is `2^min_exponent` and whose largest number is `max`. Scaling by powers of two is exact.
fn round_to(value: f64, precision: i32, min_exponent: i32, max: f64) -> f64 {
    if value.is_nan() {
        return f64::NAN;
    }
    if value == 0.0 || value.is_infinite() {
        return value;
    }
    let exponent = ((value.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let last_place = 2f64.powi(exponent.max(min_exponent) - precision + 1);
    let rounded = (value / last_place).round_ties_even() * last_place;
    if rounded.abs() > max { f64::INFINITY.copysign(value) } else { rounded }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn halves_round_once_to_nearest_even() {
        let f16 = |value| DType::F16.round(value);
        assert_eq!(f16(1.0 + 2f64.powi(-11)), 1.0);
        assert_eq!(f16(1.0 + 3.0 * 2f64.powi(-11)), 1.0 + 2f64.powi(-9));
        // Rounded to f32 first, this would be a tie and round down.
        assert_eq!(f16(1.0 + 2f64.powi(-11) + 2f64.powi(-40)), 1.0 + 2f64.powi(-10));
        assert_eq!((f16(65519.9), f16(65520.0)), (65504.0, f64::INFINITY));
        assert_eq!((f16(2f64.powi(-25)), f16(3.0 * 2f64.powi(-26))), (0.0, 2f64.powi(-24)));
        assert!(f16(-1e-30).is_sign_negative() && f16(f64::NAN).is_nan());
        let bf16 = |value| DType::BF16.round(value);
        assert_eq!(bf16(1.0 + 2f64.powi(-8)), 1.0);
        assert_eq!(bf16(-3.4e38), f64::NEG_INFINITY);
        assert_eq!(bf16(2f64.powi(-133)), 2f64.powi(-133));
    }
}
