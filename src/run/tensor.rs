//! Owned arrays with their element type erased, allocated without aborting.

use super::view::{Element, View, ViewMut};
use crate::error::RunError;
use half::{bf16, f16};
use kiln_ir::DType;
use ndarray::{Array, ArrayD, Dimension, IxDyn};
use std::alloc::{Layout, alloc_zeroed};

/// An owned array of any element type.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    /// Of `f16`.
    F16(ArrayD<f16>),
    /// Of `bf16`.
    BF16(ArrayD<bf16>),
    /// Of `f32`.
    F32(ArrayD<f32>),
    /// Of `f64`.
    F64(ArrayD<f64>),
    /// Of `bool`.
    Bool(ArrayD<bool>),
    /// Of `u8`.
    U8(ArrayD<u8>),
    /// Of `i32`.
    I32(ArrayD<i32>),
    /// Of `i64`.
    I64(ArrayD<i64>),
}

/// Evaluates `$body` with `$array` bound to the array, whatever its type.
macro_rules! with_array {
    ($tensor:expr, $array:ident => $body:expr) => {
        match $tensor {
            Tensor::F16($array) => $body,
            Tensor::BF16($array) => $body,
            Tensor::F32($array) => $body,
            Tensor::F64($array) => $body,
            Tensor::Bool($array) => $body,
            Tensor::U8($array) => $body,
            Tensor::I32($array) => $body,
            Tensor::I64($array) => $body,
        }
    };
}

impl Tensor {
    /// Zeros (or false), in row-major order.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Tensor, RunError> {
        Ok(match dtype {
            DType::F16 => Tensor::F16(zeros(shape)?),
            DType::BF16 => Tensor::BF16(zeros(shape)?),
            DType::F32 => Tensor::F32(zeros(shape)?),
            DType::F64 => Tensor::F64(zeros(shape)?),
            DType::Bool => Tensor::Bool(zeros(shape)?),
            DType::U8 => Tensor::U8(zeros(shape)?),
            DType::I32 => Tensor::I32(zeros(shape)?),
            DType::I64 => Tensor::I64(zeros(shape)?),
        })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Tensor::F16(_) => DType::F16,
            Tensor::BF16(_) => DType::BF16,
            Tensor::F32(_) => DType::F32,
            Tensor::F64(_) => DType::F64,
            Tensor::Bool(_) => DType::Bool,
            Tensor::U8(_) => DType::U8,
            Tensor::I32(_) => DType::I32,
            Tensor::I64(_) => DType::I64,
        }
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        with_array!(self, array => array.shape())
    }

    /// A read-only view.
    pub fn view(&self) -> View<'_> {
        with_array!(self, array => View::from(array))
    }

    /// A view to write through.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        with_array!(self, array => ViewMut::from(array))
    }

    /// The array of `f16`.
    pub fn into_f16(self) -> Result<ArrayD<f16>, RunError> {
        match self {
            Tensor::F16(array) => Ok(array),
            other => Err(other.is_not(DType::F16)),
        }
    }

    /// The array of `bf16`.
    pub fn into_bf16(self) -> Result<ArrayD<bf16>, RunError> {
        match self {
            Tensor::BF16(array) => Ok(array),
            other => Err(other.is_not(DType::BF16)),
        }
    }

    /// The array of `f32`.
    pub fn into_f32(self) -> Result<ArrayD<f32>, RunError> {
        match self {
            Tensor::F32(array) => Ok(array),
            other => Err(other.is_not(DType::F32)),
        }
    }

    /// The array of `f64`.
    pub fn into_f64(self) -> Result<ArrayD<f64>, RunError> {
        match self {
            Tensor::F64(array) => Ok(array),
            other => Err(other.is_not(DType::F64)),
        }
    }

    /// The array of `bool`.
    pub fn into_bool(self) -> Result<ArrayD<bool>, RunError> {
        match self {
            Tensor::Bool(array) => Ok(array),
            other => Err(other.is_not(DType::Bool)),
        }
    }

    /// The array of `u8`.
    pub fn into_u8(self) -> Result<ArrayD<u8>, RunError> {
        match self {
            Tensor::U8(array) => Ok(array),
            other => Err(other.is_not(DType::U8)),
        }
    }

    /// The array of `i32`.
    pub fn into_i32(self) -> Result<ArrayD<i32>, RunError> {
        match self {
            Tensor::I32(array) => Ok(array),
            other => Err(other.is_not(DType::I32)),
        }
    }

    /// The array of `i64`.
    pub fn into_i64(self) -> Result<ArrayD<i64>, RunError> {
        match self {
            Tensor::I64(array) => Ok(array),
            other => Err(other.is_not(DType::I64)),
        }
    }

    fn is_not(&self, expected: DType) -> RunError {
        RunError::TensorDType { expected, found: self.dtype() }
    }
}

impl<D: Dimension> From<Array<f16, D>> for Tensor {
    fn from(array: Array<f16, D>) -> Tensor {
        Tensor::F16(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<bf16, D>> for Tensor {
    fn from(array: Array<bf16, D>) -> Tensor {
        Tensor::BF16(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<f32, D>> for Tensor {
    fn from(array: Array<f32, D>) -> Tensor {
        Tensor::F32(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<f64, D>> for Tensor {
    fn from(array: Array<f64, D>) -> Tensor {
        Tensor::F64(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<bool, D>> for Tensor {
    fn from(array: Array<bool, D>) -> Tensor {
        Tensor::Bool(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<u8, D>> for Tensor {
    fn from(array: Array<u8, D>) -> Tensor {
        Tensor::U8(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<i32, D>> for Tensor {
    fn from(array: Array<i32, D>) -> Tensor {
        Tensor::I32(array.into_dyn())
    }
}

impl<D: Dimension> From<Array<i64, D>> for Tensor {
    fn from(array: Array<i64, D>) -> Tensor {
        Tensor::I64(array.into_dyn())
    }
}

/// Number of bytes of an array, if it can be addressed. Sizes 0 count as 1, as in `ndarray`, so
/// that no partial product overflows.
fn byte_count(dtype: DType, shape: &[usize]) -> Option<usize> {
    let sizes = shape.iter().map(|&size| size.max(1));
    let bytes = sizes.chain([dtype.size()]).try_fold(1usize, usize::checked_mul)?;
    isize::try_from(bytes).ok()?;
    Some(bytes)
}

/// An array of zeros; big ones come from the system as untouched pages.
fn zeros<T: Element>(shape: &[usize]) -> Result<ArrayD<T>, RunError> {
    let too_large = || RunError::TooLarge { shape: shape.to_vec(), dtype: T::DTYPE };
    let bytes = byte_count(T::DTYPE, shape).ok_or_else(too_large)?;
    let len: usize = shape.iter().product();
    let elements = if len == 0 {
        Vec::new()
    } else {
        let layout = Layout::array::<T>(len).map_err(|_| too_large())?;
        // SAFETY: the layout has a size, for `len` is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            return Err(RunError::OutOfMemory { bytes, shape: shape.to_vec(), dtype: T::DTYPE });
        }
        // SAFETY: allocated by the global allocator for `len` elements, of which all-zero bytes are
        // values: every `Element` is a number or `bool`.
        unsafe { Vec::from_raw_parts(start.cast::<T>(), len, len) }
    };
    Array::from_shape_vec(IxDyn(shape), elements).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::{DType, RunError, Tensor};

    #[test]
    fn absurd_sizes_are_errors() {
        let huge = [usize::MAX, 2];
        let error = Tensor::zeros(DType::F32, &huge).unwrap_err();
        assert_eq!(error, RunError::TooLarge { shape: huge.to_vec(), dtype: DType::F32 });
        // No partial product overflows, either.
        assert!(Tensor::zeros(DType::F64, &[usize::MAX, 2, 0]).is_err());
        let error = Tensor::zeros(DType::F64, &[1 << 59]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "out of memory: 4611686018427387904 bytes for an array of shape [576460752303423488] \
             and type f64"
        );
        let empty = Tensor::zeros(DType::Bool, &[3, 0]).unwrap();
        assert_eq!(empty.shape(), [3, 0]);
    }

    #[test]
    fn a_tensor_of_another_type_says_so() {
        let error = Tensor::zeros(DType::F64, &[]).unwrap().into_f32().unwrap_err();
        assert_eq!(error.to_string(), "the tensor is f64, not f32: take it with `into_f64`");
    }
}
