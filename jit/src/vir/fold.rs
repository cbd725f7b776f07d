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
    /// The larger of floats, from -inf. NaN is left out, and of zeros it is +0.
    Sup,
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
    pub const ALL: [Merge; 7] =
        [Merge::Add, Merge::Mul, Merge::Max, Merge::Min, Merge::Sup, Merge::And, Merge::Or];

    /// Whether lanes of type `ty` are merged this way.
    pub fn fits(self, ty: Type) -> bool {
        match self {
            Merge::Add | Merge::Max | Merge::Min => !ty.is_mask(),
            Merge::Mul | Merge::Sup => ty.is_float(),
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
            Merge::Sup => float(f32::NEG_INFINITY, f64::NEG_INFINITY),
            Merge::Max if ty.is_float() => float(f32::NEG_INFINITY, f64::NEG_INFINITY),
            Merge::Min if ty.is_float() => float(f32::INFINITY, f64::INFINITY),
            Merge::Max => sign,
            Merge::Min => sign - 1,
            Merge::And => ty.ones(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fold, Merge};
    use crate::vir::{Builder, Inst, Routine, Storage, Type, Value, interp, verify};

    fn sum(storage: Storage) -> Routine {
        let mut b = Builder::new();
        let x = b.input(storage);
        b.fold(x, Merge::Add);
        b.finish()
    }

    /// The definition, on a row whose sum depends on the order.
    #[test]
    fn stripes_merge_in_halves() {
        let row: Vec<f32> = (0..150).map(|i| (i as f32 * 0.7).sin() * 10f32.powi(i % 7)).collect();
        let mut stripes = vec![-0.0f32; 64];
        row.iter().enumerate().for_each(|(i, x)| stripes[i % 64] += x);
        while stripes.len() > 1 {
            let upper = stripes.split_off(stripes.len() / 2);
            stripes.iter_mut().zip(upper).for_each(|(a, b)| *a += b);
        }
        let bits: Vec<u64> = row.iter().map(|x| u64::from(x.to_bits())).collect();
        let result = interp::run(&sum(Storage::F32), &[&bits], row.len());
        assert_eq!(result, [[u64::from(stripes[0].to_bits())]]);
        assert_ne!(stripes[0], row.iter().sum::<f32>());
    }

    #[test]
    fn no_elements_leave_the_identity() {
        for (storage, ty) in [(Storage::F64, Type::F64), (Storage::I32, Type::I32)] {
            for merge in Merge::ALL.into_iter().filter(|merge| merge.fits(ty)) {
                let mut b = Builder::new();
                let x = b.input(storage);
                b.fold(x, merge);
                assert_eq!(interp::run(&b.finish(), &[&[]], 0), [[merge.identity(ty)]]);
            }
        }
    }

    #[test]
    fn what_cannot_be_merged_is_refused() {
        let mut routine = sum(Storage::F32);
        routine.inputs[0] = Storage::Bool;
        routine.stage.body.types[0] = Type::M32;
        assert_eq!(verify(&routine).unwrap_err(), "Add merges no m32");
        let mut routine = sum(Storage::F32);
        routine.stage.folds.push(Fold { value: Value(1), merge: Merge::Add });
        assert_eq!(verify(&routine).unwrap_err(), "v1, which is folded, is not defined");
        routine.stage.folds[1] = Fold { value: Value(0), merge: Merge::Or };
        assert_eq!(verify(&routine).unwrap_err(), "Or merges no f32");
    }

    #[test]
    fn row_scalars_fill_their_lanes_and_are_no_elements() {
        let mut routine = sum(Storage::F32);
        routine.stage.body.insts.push(Inst::Scalar { slot: 0 });
        routine.stage.body.types.push(Type::F32);
        assert_eq!(verify(&routine).unwrap_err(), "v0: loads a row scalar");
        routine.stage.body.insts.remove(0);
        routine.stage.body.types.remove(0);
        assert_eq!(verify(&routine), Ok(()));
        routine.inputs[0] = Storage::F16;
        assert_eq!(verify(&routine).unwrap_err(), "v0: a row scalar is as wide as its lane");
    }
}
