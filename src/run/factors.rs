//! Operands of a product, of any type that it takes.

use super::error::{Argument, RunError};
use half::{bf16, f16};
use kiln_gemm::{Matrix, Number, Operand};
use kiln_ir::{Call, DType};

/// A type that products are computed in.
pub(super) trait Stored: Number {
    /// The matrix that begins `from` rows and columns after `at`; `steps` are those from a row and a
    /// column to the next, in elements of its type, which a product of this type takes.
    fn operand(dtype: DType, at: *mut u8, from: [isize; 2], steps: [isize; 2]) -> Operand<Self>;
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
}

impl Stored for f64 {
    fn operand(_: DType, at: *mut u8, from: [isize; 2], steps: [isize; 2]) -> Operand<f64> {
        matrix::<f64>(at, from, steps).into()
    }
}

/// The type of a product of these, or the operand that is of a wrong one.
pub(super) fn product_type(left: DType, right: DType) -> Result<DType, RunError> {
    let refused = |index, expected, found| {
        Err(RunError::DType { argument: Argument::input(index), expected, found })
    };
    match Call::Matmul.info().typing.result_type(&[left, right]) {
        Some(dtype) => Ok(dtype),
        None if !left.is_float() => refused(0, DType::F32, left),
        None => refused(1, left.max(DType::F32), right),
    }
}
