//! Arrays of Arrow's C data interface, read where they lie.

use crate::results::borrowed;
use kiln::DType;
use numpy::PyUntypedArray;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_char, c_void};

/// `ArrowSchema`, as far as it is read: C programs lay out the rest behind.
#[repr(C)]
struct Schema {
    format: *const c_char,
}

/// `ArrowArray`, likewise.
#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    /// Which elements are there, if some are not; and the elements.
    buffers: *const *const u8,
}

/// The types that both have, by Arrow's formats.
const FORMATS: &[(&CStr, DType)] = &[
    (c"g", DType::F64),
    (c"f", DType::F32),
    (c"e", DType::F16),
    (c"l", DType::I64),
    (c"i", DType::I32),
    (c"C", DType::U8),
];

/// The array in the memory of an object that has `__arrow_c_array__`.
pub(crate) fn as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let (schema, array): (Bound<'py, PyAny>, Bound<'py, PyAny>) =
        object.call_method0("__arrow_c_array__")?.extract()?;
    let structure = |capsule: &Bound<'py, PyAny>, name: &CStr| {
        // SAFETY: it fails where the object is no capsule of this name.
        let pointer = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), name.as_ptr()) };
        if pointer.is_null() { Err(PyErr::fetch(py)) } else { Ok(pointer) }
    };
    let described: *mut c_void = structure(&schema, c"arrow_schema")?;
    let held: *mut c_void = structure(&array, c"arrow_array")?;
    // SAFETY: capsules of these names hold these structures, as long as they are there themselves.
    let (described, held) = unsafe { (&*described.cast::<Schema>(), &*held.cast::<Array>()) };
    // SAFETY: the interface has a string there.
    let format = unsafe { CStr::from_ptr(described.format) };
    let Some((_, dtype)) = FORMATS.iter().find(|(known, _)| *known == format) else {
        return Err(PyTypeError::new_err(format!(
            "an Arrow array of format {format:?}, which Kiln has not; it takes floats, int64, int32 and \
             uint8"
        )));
    };
    if held.n_buffers != 2 || held.n_children != 0 || held.length < 0 || held.offset < 0 {
        return Err(PyValueError::new_err(
            "an Arrow array that is not laid out as its format says",
        ));
    }
    // SAFETY: there are two buffers.
    let (there, elements) = unsafe { (*held.buffers, *held.buffers.add(1)) };
    // A count below 0 is not known.
    if held.null_count != 0 && !there.is_null() {
        let message = "an Arrow array with nulls, which a kernel would not see: fill them first";
        return Err(PyValueError::new_err(message));
    }
    let first = elements.wrapping_add(held.offset as usize * dtype.size());
    // SAFETY: so many elements lie there, read-only, as long as the capsule is there, which the array keeps.
    unsafe { borrowed(py, *dtype, held.length as usize, first, array) }
}
