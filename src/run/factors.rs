//! Operands of a product, of any type that it takes.

use super::error::{Argument, RunError};
use super::right::{Lent, Spare};
use super::view::Layout;
use half::{bf16, f16};
use kiln_gemm::{Matrix, Number, Operand, Packed};
use kiln_ir::{DType, Typing};

/// A type that products are computed in.
pub(super) trait Stored: Number + Default {
    /// The matrix that begins `from` rows and columns after `at`; `steps` are those from a row and a
    /// column to the next, in elements of its type, which a product of this type takes.
    fn operand(dtype: DType, at: *mut u8, from: [isize; 2], steps: [isize; 2]) -> Operand<Self>;

    /// Packed matrices, which are of this type.
    fn packed(matrices: &Matrices) -> &[Packed<Self>];

    /// The same of those that threads have.
    fn spare(lent: &Lent) -> &Spare<Self>;

    /// What kind of number it is.
    fn category(self) -> Category;
}

/// What products with zeros depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// 0.0.
    Zero,
    /// -0.0.
    NegativeZero,
    Other,
}

macro_rules! category {
    () => {
        fn category(self) -> Category {
            match self {
                _ if self != 0.0 => Category::Other,
                _ if self.is_sign_negative() => Category::NegativeZero,
                _ => Category::Zero,
            }
        }
    };
}

/// The matrices of a right operand, packed.
#[derive(Debug)]
pub(super) enum Matrices {
    /// For products of `f32`.
    F32(Vec<Packed<f32>>),
    /// For products of `f64`.
    F64(Vec<Packed<f64>>),
}

impl Matrices {
    /// Packs the matrices of an operand, each once however often it repeats; `None` for a vector, and for
    /// single columns.
    ///
    /// # Safety
    ///
    /// The operand must be readable, and aligned.
    pub(super) unsafe fn pack(right: &Layout) -> Option<Matrices> {
        let [batch @ .., k, n] = &right.shape[..] else { return None };
        if *n < 2 {
            return None;
        }
        // SAFETY: required of the caller.
        Some(unsafe {
            match right.dtype {
                DType::F64 => Matrices::F64(pack(right, batch, [*k, *n])),
                _ => Matrices::F32(pack(right, batch, [*k, *n])),
            }
        })
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Matrices::F32(matrices) => matrices.iter().map(Packed::bytes).sum(),
            Matrices::F64(matrices) => matrices.iter().map(Packed::bytes).sum(),
        }
    }
}

/// # Safety
///
/// As for [`Matrices::pack`].
unsafe fn pack<T: Stored>(right: &Layout, batch: &[usize], sizes: [usize; 2]) -> Vec<Packed<T>> {
    let own = |axis: usize| if repeats(right, axis) { 1 } else { batch[axis] };
    let count: usize = (0..batch.len()).map(own).product();
    let steps = [1, 0].map(|back| from_end(right, Some(back)));
    let matrix = |mut index: usize| {
        let mut at = right.base;
        for axis in (0..batch.len()).rev().filter(|&axis| !repeats(right, axis)) {
            let position = index % batch[axis];
            index /= batch[axis];
            at = at.wrapping_offset(position as isize * right.strides[axis]);
        }
        // SAFETY: required of the caller.
        unsafe { Packed::new(sizes, T::operand(right.dtype, at, [0, 0], steps)) }
    };
    (0..count).map(matrix).collect()
}

/// Whether matrices along an axis of the batch are one. Where there are none, nothing may be read, whatever
/// the stride.
pub(super) fn repeats(operand: &Layout, axis: usize) -> bool {
    let (size, stride) = (operand.shape[axis], operand.strides[axis]);
    size == 1 || (size > 1 && stride == 0)
}

/// A step in elements, if it is a whole number of them.
pub(super) fn in_elements(step: isize, size: usize) -> Option<isize> {
    let size = size as isize;
    (step % size == 0).then(|| step / size)
}

/// Step in elements of a dimension, counted from the last (0); 1 if there is none. A step that is
/// not whole is never taken: an aligned operand has one only for a single element.
pub(super) fn from_end(operand: &Layout, back: Option<usize>) -> isize {
    let stride = back.map(|back| operand.strides[operand.strides.len() - 1 - back]);
    stride.and_then(|stride| in_elements(stride, operand.dtype.size())).unwrap_or(1)
}

fn matrix<S>(at: *mut u8, from: [isize; 2], [down, across]: [isize; 2]) -> Matrix<S> {
    let first = at.cast_const().cast::<S>();
    Matrix { first: first.wrapping_offset(from[0] * down + from[1] * across), down, across }
}

impl Stored for f32 {
    fn operand(dtype: DType, at: *mut u8, from: [isize; 2], steps: [isize; 2]) -> Operand<f32> {
        match dtype {
            DType::F16 => matrix::<f16>(at, from, steps).into(),
            DType::BF16 => matrix::<bf16>(at, from, steps).into(),
            _ => matrix::<f32>(at, from, steps).into(),
        }
    }

    fn packed(matrices: &Matrices) -> &[Packed<f32>] {
        match matrices {
            Matrices::F32(matrices) => matrices,
            Matrices::F64(_) => unreachable!("a right operand of `f64` has a product of `f64`"),
        }
    }

    fn spare(lent: &Lent) -> &Spare<f32> {
        match lent {
            Lent::F32(spare) => spare,
            Lent::F64(_) => unreachable!("as above"),
        }
    }

    category!();
}

impl Stored for f64 {
    fn operand(_: DType, at: *mut u8, from: [isize; 2], steps: [isize; 2]) -> Operand<f64> {
        matrix::<f64>(at, from, steps).into()
    }

    fn packed(matrices: &Matrices) -> &[Packed<f64>] {
        match matrices {
            Matrices::F64(matrices) => matrices,
            Matrices::F32(_) => unreachable!("a product of `f64` has operands of `f64`"),
        }
    }

    fn spare(lent: &Lent) -> &Spare<f64> {
        match lent {
            Lent::F64(spare) => spare,
            Lent::F32(_) => unreachable!("as above"),
        }
    }

    category!();
}

/// The type of a product of these, or the operand that is of a wrong one.
pub(super) fn product_type(left: DType, right: DType) -> Result<DType, RunError> {
    let refused = |index, expected, found| {
        Err(RunError::DType { argument: Argument::input(index), expected, found })
    };
    match Typing::Product.result_type(&[left, right]) {
        Some(dtype) => Ok(dtype),
        None if !left.is_float() => refused(0, DType::F32, left),
        None => refused(1, left.max(DType::F32), right),
    }
}
