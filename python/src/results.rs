//! Results as NumPy's arrays.

use crate::array::sizes;
use crate::dtype;
use kiln::Tensor;
use ndarray::ArrayD;
use numpy::PyUntypedArray;
use numpy::npyffi::{NPY_ARRAY_WRITEABLE, NpyTypes, PY_ARRAY_API, get_type_object};
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// Bytes from which on an array keeps the memory that the kernel wrote. Smaller results are copied:
/// that costs less than an owner.
const LARGE: usize = 1 << 14;

/// Owns the memory of an array. Kiln keeps what is freed for the next result.
#[pyclass(frozen, module = "kiln._kiln")]
struct Owner {
    #[expect(dead_code, reason = "it is held, and reached through the array")]
    tensor: Tensor,
}

/// Where a tensor lies. Strides are in elements.
struct Parts<'t> {
    data: NonNull<u8>,
    shape: &'t [usize],
    strides: &'t [isize],
}

fn parts<T>(array: &ArrayD<T>) -> Parts<'_> {
    // An array without elements may lie nowhere.
    let data = NonNull::new(array.as_ptr().cast_mut().cast()).unwrap_or(NonNull::dangling());
    Parts { data, shape: array.shape(), strides: array.strides() }
}

/// The array of a result.
pub(crate) fn to_array<'py>(
    py: Python<'py>,
    tensor: Tensor,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let dtype = tensor.dtype();
    let parts = match &tensor {
        Tensor::F16(array) => parts(array),
        Tensor::BF16(array) => parts(array),
        Tensor::F32(array) => parts(array),
        Tensor::F64(array) => parts(array),
        Tensor::Bool(array) => parts(array),
        Tensor::U8(array) => parts(array),
        Tensor::I32(array) => parts(array),
        Tensor::I64(array) => parts(array),
    };
    let bytes = dtype.size() * parts.shape.iter().product::<usize>();
    let data = parts.data.as_ptr();
    if bytes < LARGE {
        let is_c = is_in_order(parts.shape.iter().zip(parts.strides).rev());
        if is_c || is_in_order(parts.shape.iter().zip(parts.strides)) {
            // SAFETY: NumPy allocates what it needs.
            let (array, to) = unsafe { new(py, dtype, parts.shape, None, is_c)? };
            // SAFETY: both are of so many bytes, and elements lie in the same order in both.
            unsafe { ptr::copy_nonoverlapping(data, to, bytes) };
            return Ok(array);
        }
    }
    let size = dtype.size() as isize;
    let strides: Vec<isize> = parts.strides.iter().map(|stride| stride * size).collect();
    // SAFETY: the elements are there, and stay as long as their owner, which the array keeps. Moving the
    // tensor into it moves no elements.
    let (array, _) = unsafe { new(py, dtype, parts.shape, Some((data, &strides)), true)? };
    let owner = Bound::new(py, Owner { tensor })?;
    // SAFETY: the reference is given away, whatever happens.
    let failed =
        unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr()) };
    if failed < 0 { Err(PyErr::fetch(py)) } else { Ok(array) }
}

/// Whether elements lie one after another, these axes being given from the fastest on.
fn is_in_order<'a>(axes: impl Iterator<Item = (&'a usize, &'a isize)>) -> bool {
    let mut expected = 1;
    for (&size, &stride) in axes {
        if size != 1 && stride != expected {
            return false;
        }
        expected *= size as isize;
    }
    true
}

/// A new array, in memory of its own or in that which is given, and where its elements begin.
///
/// # Safety
///
/// What is given must have all elements that shape and strides reach, and outlive the array.
unsafe fn new<'py>(
    py: Python<'py>,
    dtype: kiln::DType,
    shape: &[usize],
    given: Option<(*mut u8, &[isize])>,
    row_major: bool,
) -> PyResult<(Bound<'py, PyUntypedArray>, *mut u8)> {
    let descr = dtype::to_descr(py, dtype)?;
    let (data, strides) = match given {
        Some((data, strides)) => (data.cast::<c_void>(), strides.as_ptr().cast_mut()),
        None => (ptr::null_mut(), ptr::null_mut()),
    };
    // For memory that is given, flags say what it may be used for; else, in which order axes lie.
    let flags = if given.is_some() { NPY_ARRAY_WRITEABLE } else { i32::from(!row_major) };
    // SAFETY: NumPy reads the sizes and strides, as many as there are axes, and takes the reference to
    // the type.
    unsafe {
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            descr,
            shape.len() as i32,
            sizes(shape).as_ptr().cast_mut(),
            strides,
            data,
            flags,
            ptr::null_mut(),
        );
        let array = Bound::from_owned_ptr_or_err(py, array)?.cast_into_unchecked();
        let to = (*array.as_ptr().cast::<numpy::npyffi::PyArrayObject>()).fields.data.cast();
        Ok((array, to))
    }
}
