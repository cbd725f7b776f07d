//! Results as NumPy's arrays.

use crate::array::sizes;
use crate::dtype;
use kiln::{DType, Tensor};
use ndarray::ArrayD;
use numpy::PyUntypedArray;
use numpy::npyffi::{NPY_ARRAY_WRITEABLE, NpyTypes, PY_ARRAY_API, get_type_object};
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// Bytes from which on an array keeps the memory that the kernel wrote. Smaller results are copied:
/// that costs less than an owner.
pub(crate) const LARGE: usize = 1 << 14;

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
    let given = Given { data, strides: &strides, flags: NPY_ARRAY_WRITEABLE };
    // SAFETY: the elements are there, and stay as long as their owner, which the array keeps. Moving the
    // tensor into it moves no elements.
    let (array, _) = unsafe { new(py, dtype, parts.shape, Some(given), true)? };
    owned(array, Bound::new(py, Owner { tensor })?.into_any())
}

/// A new array in row-major order, whose elements are not written yet.
#[inline]
pub(crate) fn empty<'py>(
    py: Python<'py>,
    dtype: DType,
    shape: &[usize],
) -> PyResult<Bound<'py, PyUntypedArray>> {
    // SAFETY: NumPy allocates what it needs.
    unsafe { new(py, dtype, shape, None, true).map(|(array, _)| array) }
}

/// An array of one axis in memory of someone else, which may not be written.
///
/// # Safety
///
/// So many elements must lie there as long as the owner is there.
pub(crate) unsafe fn borrowed<'py>(
    py: Python<'py>,
    dtype: DType,
    len: usize,
    data: *const u8,
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let strides = [dtype.size() as isize];
    let given = Given { data: data.cast_mut(), strides: &strides, flags: 0 };
    // SAFETY: required of the caller.
    let (array, _) = unsafe { new(py, dtype, &[len], Some(given), true)? };
    owned(array, owner)
}

/// An array that keeps the owner of its memory.
fn owned<'py>(
    array: Bound<'py, PyUntypedArray>,
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = array.py();
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

/// Memory for an array: where its elements begin, its strides in bytes, and whether it may be written.
struct Given<'a> {
    data: *mut u8,
    strides: &'a [isize],
    flags: i32,
}

/// A new array, in memory of its own or in that which is given, and where its elements begin.
///
/// # Safety
///
/// What is given must have all elements that shape and strides reach, and outlive the array.
unsafe fn new<'py>(
    py: Python<'py>,
    dtype: DType,
    shape: &[usize],
    given: Option<Given<'_>>,
    row_major: bool,
) -> PyResult<(Bound<'py, PyUntypedArray>, *mut u8)> {
    let descr = dtype::to_descr(py, dtype)?;
    let (data, strides) = match &given {
        Some(given) => (given.data.cast::<c_void>(), given.strides.as_ptr().cast_mut()),
        None => (ptr::null_mut(), ptr::null_mut()),
    };
    // For memory that is given, flags say what it may be used for; else, in which order axes lie.
    let flags = given.map_or(i32::from(!row_major), |given| given.flags);
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
