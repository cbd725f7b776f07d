//! Element types.

use std::fmt;

/// The element type of an array.
///
/// Mixed operands promote as in NumPy: `bool` < `f32` < `f64`. Number literals are weakly typed:
/// they take the type of what they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// A truth value, stored as one byte, 0 or 1.
    Bool,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DType {
    /// Every element type, in order of promotion.
    pub const ALL: [DType; 3] = [DType::Bool, DType::F32, DType::F64];

    /// The name in text: `bool`, `f32`, `f64`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
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
            DType::Bool => 1,
            DType::F32 => 4,
            DType::F64 => 8,
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        self != DType::Bool
    }

    /// A number rounded to this type: `f32` rounds to nearest even, `bool` is "not zero".
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::Bool => f64::from(value != 0.0),
            DType::F32 => f64::from(value as f32),
            DType::F64 => value,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
