//! Element types of Kiln and of NumPy.

use kiln::DType;
use numpy::npyffi::{NPY_TYPES, PY_ARRAY_API, PyArray_Descr};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicI32, Ordering};

/// The number that NumPy gave `bfloat16` of `ml_dtypes`, once an array of it was seen.
static BFLOAT16: AtomicI32 = AtomicI32::new(NONE);
const NONE: i32 = -1;

const LONG: DType = if size_of::<c_long>() == 8 { DType::I64 } else { DType::I32 };

/// Types, and NumPy's numbers for them. The first of a type is the one that results have.
const TYPES: &[(DType, NPY_TYPES)] = &[
    (DType::F64, NPY_TYPES::NPY_DOUBLE),
    (DType::F32, NPY_TYPES::NPY_FLOAT),
    (LONG, NPY_TYPES::NPY_LONG),
    (DType::I32, NPY_TYPES::NPY_INT),
    (DType::I64, NPY_TYPES::NPY_LONGLONG),
    (DType::Bool, NPY_TYPES::NPY_BOOL),
    (DType::U8, NPY_TYPES::NPY_UBYTE),
    (DType::F16, NPY_TYPES::NPY_HALF),
];

/// The type of what an array holds, whatever its byte order; `None` if Kiln has no such type.
pub(crate) fn of_descr(descr: &Bound<'_, PyArrayDescr>) -> Option<DType> {
    let number = descr.num();
    if let Some((dtype, _)) = TYPES.iter().find(|(_, known)| *known as c_int == number) {
        return Some(*dtype);
    }
    // Types that others registered are numbered as they come.
    let is_bfloat16 = number == BFLOAT16.load(Ordering::Relaxed)
        || (number >= NPY_TYPES::NPY_USERDEF as c_int
            && descr.typeobj().name().is_ok_and(|name| name == "bfloat16"));
    if is_bfloat16 {
        BFLOAT16.store(number, Ordering::Relaxed);
    }
    is_bfloat16.then_some(DType::BF16)
}

/// NumPy's type for a type of Kiln, as a new reference.
pub(crate) fn to_descr(py: Python<'_>, dtype: DType) -> PyResult<*mut PyArray_Descr> {
    if let Some((_, number)) = TYPES.iter().find(|(known, _)| *known == dtype) {
        // SAFETY: the number is one of NumPy's own.
        return Ok(unsafe { PY_ARRAY_API.PyArray_DescrFromType(py, *number as c_int) });
    }
    let bfloat16 = py.import("ml_dtypes")?.getattr("bfloat16")?;
    Ok(PyArrayDescr::new(py, bfloat16)?.into_dtype_ptr())
}
