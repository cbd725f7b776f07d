//! Owned arrays with their element type erased, allocated without aborting.

use super::buffers;
use super::element::Element;
use super::error::RunError;
use super::order::strides_like;
use super::view::{View, ViewMut};
use crate::plan::Dims;
use half::{bf16, f16};
use kiln_ir::DType;
use ndarray::{Array, ArrayD, Dimension, IxDyn, ShapeBuilder};
use std::alloc::{Layout, alloc_zeroed};
use std::any::Any;
use std::fmt::{self, Display, Formatter};
use std::mem;

/// An owned array of any element type.
///
/// The memory of a large one that is dropped is kept for later results; see
/// [`release_memory`](super::release_memory). An array taken out of it belongs to the allocator: to
/// have its memory kept too, drop it as `Tensor::from(array)`.
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

    /// The array, which must have this element type.
    fn into_array<T: Element>(mut self) -> Result<ArrayD<T>, RunError> {
        let found = self.dtype();
        with_array!(&mut self, array => {
            let array = (array as &mut dyn Any).downcast_mut().map(mem::take);
            array.ok_or(RunError::TensorDType { expected: T::DTYPE, found })
        })
    }

    /// The array of `f16`.
    pub fn into_f16(self) -> Result<ArrayD<f16>, RunError> {
        self.into_array()
    }

    /// The array of `bf16`.
    pub fn into_bf16(self) -> Result<ArrayD<bf16>, RunError> {
        self.into_array()
    }

    /// The array of `f32`.
    pub fn into_f32(self) -> Result<ArrayD<f32>, RunError> {
        self.into_array()
    }

    /// The array of `f64`.
    pub fn into_f64(self) -> Result<ArrayD<f64>, RunError> {
        self.into_array()
    }

    /// The array of `bool`.
    pub fn into_bool(self) -> Result<ArrayD<bool>, RunError> {
        self.into_array()
    }

    /// The array of `u8`.
    pub fn into_u8(self) -> Result<ArrayD<u8>, RunError> {
        self.into_array()
    }

    /// The array of `i32`.
    pub fn into_i32(self) -> Result<ArrayD<i32>, RunError> {
        self.into_array()
    }

    /// The array of `i64`.
    pub fn into_i64(self) -> Result<ArrayD<i64>, RunError> {
        self.into_array()
    }
}

macro_rules! tensors_from_arrays {
    ($($element:ty: $variant:ident;)*) => {$(
        impl<D: Dimension> From<Array<$element, D>> for Tensor {
            fn from(array: Array<$element, D>) -> Tensor {
                Tensor::$variant(array.into_dyn())
            }
        }
    )*};
}

tensors_from_arrays! {
    f16: F16; bf16: BF16; f32: F32; f64: F64; bool: Bool; u8: U8; i32: I32; i64: I64;
}

/// Fails where the tensor has another element type, or another number of axes.
impl<T: Element, D: Dimension> TryFrom<Tensor> for Array<T, D> {
    type Error = RunError;

    fn try_from(tensor: Tensor) -> Result<Array<T, D>, RunError> {
        let array = tensor.into_array()?;
        match D::NDIM {
            Some(expected) if expected != array.ndim() => {
                Err(RunError::TensorRank { expected, found: array.shape().to_vec() })
            }
            _ => Ok(array.into_dimensionality().expect("as many axes")),
        }
    }
}

/// As `ndarray` shows arrays: the middle of a long one is left out, unless `{:#}` asks for all.
impl Display for Tensor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        with_array!(self, array => array.fmt(f))
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        with_array!(self, array => {
            if !array.is_empty() {
                buffers::give(mem::take(array).into_raw_vec_and_offset().0);
            }
        });
    }
}

/// A tensor whose elements are not yet written.
#[derive(Debug)]
pub(super) struct Unfilled {
    room: Room,
    shape: Dims,
    /// In elements, if they do not lie in row-major order.
    strides: Option<kiln_ir::Dims<isize>>,
}

#[derive(Debug)]
enum Room {
    F16(Vec<f16>),
    BF16(Vec<bf16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

/// Evaluates `$body` with `$elements` bound to the vector, whatever its type.
macro_rules! with_room {
    ($room:expr, $elements:ident => $body:expr) => {
        match $room {
            Room::F16($elements) => $body,
            Room::BF16($elements) => $body,
            Room::F32($elements) => $body,
            Room::F64($elements) => $body,
            Room::Bool($elements) => $body,
            Room::U8($elements) => $body,
            Room::I32($elements) => $body,
            Room::I64($elements) => $body,
        }
    };
}

impl Unfilled {
    /// Room for a dense array that lies [as the inputs do](strides_like).
    pub(super) fn new(
        dtype: DType,
        shape: &[usize],
        inputs: &[View<'_>],
    ) -> Result<Unfilled, RunError> {
        let room = match dtype {
            DType::F16 => Room::F16(room(shape)?),
            DType::BF16 => Room::BF16(room(shape)?),
            DType::F32 => Room::F32(room(shape)?),
            DType::F64 => Room::F64(room(shape)?),
            DType::Bool => Room::Bool(room(shape)?),
            DType::U8 => Room::U8(room(shape)?),
            DType::I32 => Room::I32(room(shape)?),
            DType::I64 => Room::I64(room(shape)?),
        };
        Ok(Unfilled { room, shape: shape.into(), strides: strides_like(inputs, shape) })
    }

    /// The view to fill.
    pub(super) fn view_mut(&mut self) -> ViewMut<'_> {
        let Unfilled { room, shape, strides } = self;
        with_room!(room, elements => {
            // SAFETY: the vector has room for the shape, and is borrowed. It is only written.
            unsafe { ViewMut::of_room(elements.as_mut_ptr(), shape, strides.as_deref()) }
        })
    }

    /// The tensor.
    ///
    /// # Safety
    ///
    /// Every element of the view must have been written.
    pub(super) unsafe fn filled(self) -> Tensor {
        unsafe fn array<T: Element>(
            mut elements: Vec<T>,
            shape: &[usize],
            strides: &Option<kiln_ir::Dims<isize>>,
        ) -> ArrayD<T> {
            // SAFETY: required of the caller.
            unsafe { elements.set_len(shape.iter().product()) };
            let array = match strides {
                None => Array::from_shape_vec(IxDyn(shape), elements),
                Some(strides) => {
                    let strides: Dims = strides.iter().map(|&stride| stride as usize).collect();
                    Array::from_shape_vec(IxDyn(shape).strides(IxDyn(&strides)), elements)
                }
            };
            array.expect("as many elements as it has room")
        }
        let Unfilled { room, shape, strides } = self;
        // SAFETY: required of the caller.
        unsafe {
            match room {
                Room::F16(elements) => Tensor::F16(array(elements, &shape, &strides)),
                Room::BF16(elements) => Tensor::BF16(array(elements, &shape, &strides)),
                Room::F32(elements) => Tensor::F32(array(elements, &shape, &strides)),
                Room::F64(elements) => Tensor::F64(array(elements, &shape, &strides)),
                Room::Bool(elements) => Tensor::Bool(array(elements, &shape, &strides)),
                Room::U8(elements) => Tensor::U8(array(elements, &shape, &strides)),
                Room::I32(elements) => Tensor::I32(array(elements, &shape, &strides)),
                Room::I64(elements) => Tensor::I64(array(elements, &shape, &strides)),
            }
        }
    }
}

/// An empty vector with room for all elements of an array.
pub(super) fn room<T: Element>(shape: &[usize]) -> Result<Vec<T>, RunError> {
    let bytes = byte_count(T::DTYPE, shape)
        .ok_or_else(|| RunError::TooLarge { shape: shape.to_vec(), dtype: T::DTYPE })?;
    let array = || Some((shape.to_vec(), T::DTYPE));
    buffers::take(shape.iter().product())
        .ok_or_else(|| RunError::OutOfMemory { bytes, array: array() })
}

/// Number of bytes of an array, if it can be addressed. A size of 0 counts as 1, as in `ndarray`,
/// so that no partial product overflows.
fn byte_count(dtype: DType, shape: &[usize]) -> Option<usize> {
    let sizes = shape.iter().map(|&size| size.max(1));
    let bytes = sizes.chain([dtype.size()]).try_fold(1usize, usize::checked_mul)?;
    isize::try_from(bytes).ok()?;
    Some(bytes)
}

/// An array of zeros. Big ones come from the system as untouched pages.
fn zeros<T: Element>(shape: &[usize]) -> Result<ArrayD<T>, RunError> {
    let too_large = || RunError::TooLarge { shape: shape.to_vec(), dtype: T::DTYPE };
    let bytes = byte_count(T::DTYPE, shape).ok_or_else(too_large)?;
    let len: usize = shape.iter().product();
    let elements = if len == 0 {
        Vec::new()
    } else {
        let layout = Layout::array::<T>(len).map_err(|_| too_large())?;
        // SAFETY: the layout has a size, since `len` is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            let array = Some((shape.to_vec(), T::DTYPE));
            return Err(RunError::OutOfMemory { bytes, array });
        }
        // SAFETY: the global allocator gave room for `len` elements, and zero bytes are valid ones:
        // every `Element` is a number or `bool`.
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
