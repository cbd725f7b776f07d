//! Folds: what becomes of the elements of a row. See the module table of [`vir`](super).

use super::{Type, Value};

/// How two elements become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Merge {
    /// `add`, from -0; of integers wrapping, from 0.
    Add,
    /// `mul` of floats, from 1.
    Mul,
    /// The larger, from the least there is. NaN wins, and -0 is below +0.
    Max,
    /// The lesser, from the largest there is. NaN wins, and -0 is below +0.
    Min,
    /// `and` of integers, from all ones.
    And,
    /// `or` of integers, from 0.
    Or,
}

/// A value that is merged over the elements of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fold {
    /// The merged value: a number.
    pub value: Value,
    /// How.
    pub merge: Merge,
}

/// Bytes of all stripes of a fold, whatever its type.
pub const STRIPE_BYTES: usize = 256;

/// The number of stripes of a fold of lanes of type `ty`.
pub fn stripes(ty: Type) -> usize {
    STRIPE_BYTES * 8 / ty.bits() as usize
}

impl Merge {
    /// All of them.
    pub const ALL: [Merge; 6] =
        [Merge::Add, Merge::Mul, Merge::Max, Merge::Min, Merge::And, Merge::Or];

    /// Whether lanes of type `ty` are merged this way.
    pub fn fits(self, ty: Type) -> bool {
        match self {
            Merge::Add | Merge::Max | Merge::Min => !ty.is_mask(),
            Merge::Mul => ty.is_float(),
            Merge::And | Merge::Or => ty.is_int(),
        }
    }

    /// The bits that a stripe begins with: merging them changes no element.
    pub fn identity(self, ty: Type) -> u64 {
        let float = |narrow: f32, wide: f64| match ty {
            Type::F32 => u64::from(narrow.to_bits()),
            _ => wide.to_bits(),
        };
        let sign = 1 << (ty.bits() - 1);
        match self {
            Merge::Add if ty.is_float() => sign,
            Merge::Add | Merge::Or => 0,
            Merge::Mul => float(1.0, 1.0),
            Merge::Max if ty.is_float() => float(f32::NEG_INFINITY, f64::NEG_INFINITY),
            Merge::Min if ty.is_float() => float(f32::INFINITY, f64::INFINITY),
            Merge::Max => sign,
            Merge::Min => sign - 1,
            Merge::And => ty.ones(),
        }
    }
}
