//! Arguments of a call: arrays where they lie, and numbers.

use crate::arrow;
use crate::dtype;
use crate::results;
use crate::run::Views;
use kiln::{DType, View, ViewMut};
use numpy::npyffi::{NPY_ARRAY_ALIGNED, NPY_ARRAY_WRITEABLE, PyArrayObject_fields};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};
use std::slice;

/// An argument of a call.
pub(crate) enum Argument<'py> {
    Array(Array<'py>),
    /// A number of Python, which takes the type of what it meets.
    Number(Number),
}

/// An array that Kiln can read where it lies.
pub(crate) struct Array<'py> {
    array: Bound<'py, PyUntypedArray>,
    pub(crate) dtype: DType,
}

#[derive(Clone, Copy)]
pub(crate) enum Number {
    Bool(bool),
    Int(i64),
    Float(f64),
}

/// What to do with an array that Kiln cannot read where it lies: one of another byte order, or whose
/// elements are not aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    Copy,
    Refuse,
}

impl<'py> Argument<'py> {
    /// Adds what a kernel reads, whose input `name` is of type `dtype`.
    #[inline]
    pub(crate) fn add_view<'a>(
        &'a self,
        dtype: DType,
        name: &str,
        views: &mut Views<'a>,
    ) -> PyResult<()> {
        views.push(match self {
            Argument::Array(array) => array.view(),
            Argument::Number(number) => number.view(dtype, name)?,
        });
        Ok(())
    }

    /// The type that it has.
    pub(crate) fn dtype(&self) -> Option<DType> {
        match self {
            Argument::Array(array) => Some(array.dtype),
            Argument::Number(_) => None,
        }
    }

    /// The argument that an object is: an array, a number, or what NumPy makes an array of.
    #[inline]
    pub(crate) fn new(
        object: &Bound<'py, PyAny>,
        foreign: Foreign,
        name: &str,
    ) -> PyResult<Argument<'py>> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return Array::new(array, foreign, name).map(Argument::Array);
        }
        if let Some(number) = Number::new(object)? {
            return Ok(Argument::Number(number));
        }
        let array = as_array(object)?;
        Array::new(&array, foreign, name).map(Argument::Array)
    }
}

impl Number {
    /// The number that an object is. NumPy's numbers are none: they have types.
    #[inline]
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Option<Number>> {
        Ok(if let Ok(float) = object.cast_exact::<PyFloat>() {
            Some(Number::Float(float.value()))
        } else if object.is_exact_instance_of::<PyInt>() {
            // An integer beyond 64 bits may still be meant as a float.
            Some(
                object
                    .extract()
                    .map(Number::Int)
                    .or_else(|_| object.extract().map(Number::Float))?,
            )
        } else if let Ok(truth) = object.cast_exact::<PyBool>() {
            Some(Number::Bool(truth.is_true()))
        } else {
            None
        })
    }

    /// The type that it takes beside arrays, of which `widest` is the widest type.
    pub(crate) fn dtype_beside(self, widest: Option<DType>) -> DType {
        match (self, widest) {
            (Number::Bool(_), _) => DType::Bool,
            (Number::Int(_), Some(dtype)) if dtype != DType::Bool => dtype,
            (Number::Int(_), _) => DType::I64,
            (Number::Float(_), Some(dtype)) if dtype.is_float() => dtype,
            (Number::Float(_), _) => DType::F64,
        }
    }

    /// An array of no axes with this number. An input named `name` takes it.
    pub(crate) fn view(self, dtype: DType, name: &str) -> PyResult<View<'static>> {
        let float = match self {
            Number::Bool(truth) => f64::from(truth),
            Number::Int(integer) => integer as f64,
            Number::Float(float) => float,
        };
        let integer = || match self {
            Number::Bool(truth) => Ok(i64::from(truth)),
            Number::Int(integer) => Ok(integer),
            Number::Float(float) => Err(PyTypeError::new_err(format!(
                "input {name} is {float:?}, the kernel takes {dtype}: a float is no {dtype}"
            ))),
        };
        let too_large = |_| PyOverflowError::new_err(format!("input {name} does not fit {dtype}"));
        Ok(match dtype {
            DType::F64 => View::from(float),
            DType::F32 => View::from(float as f32),
            DType::F16 => View::from(half::f16::from_f64(float)),
            DType::BF16 => View::from(half::bf16::from_f64(float)),
            DType::I64 => View::from(integer()?),
            DType::I32 => View::from(i32::try_from(integer()?).map_err(too_large)?),
            DType::U8 => View::from(u8::try_from(integer()?).map_err(too_large)?),
            DType::Bool => match self {
                Number::Bool(truth) => View::from(truth),
                _ => {
                    let message = format!("input {name} is a number, the kernel takes bool");
                    return Err(PyTypeError::new_err(message));
                }
            },
        })
    }
}

impl<'py> Array<'py> {
    #[inline]
    pub(crate) fn new(
        array: &Bound<'py, PyUntypedArray>,
        foreign: Foreign,
        name: &str,
    ) -> PyResult<Array<'py>> {
        // Objects made by `ndarray.__new__` itself are the usual case.
        if !array.is_exact_instance_of::<PyUntypedArray>() && is_masked(array)? {
            return Err(PyTypeError::new_err(format!(
                "{name} is a masked array, and a kernel would not see its mask: fill it first, as in \
                 {name}.filled(0)"
            )));
        }
        Array::plain(array, foreign, name)
    }

    /// The array without a look at a mask.
    #[inline]
    pub(crate) fn plain(
        array: &Bound<'py, PyUntypedArray>,
        foreign: Foreign,
        name: &str,
    ) -> PyResult<Array<'py>> {
        let descr = array.dtype();
        let Some(dtype) = dtype::of_descr(&descr) else {
            return Err(PyTypeError::new_err(format!(
                "{name} is {descr}, which Kiln has not; its types are bool, uint8, int32, int64, float16, \
                 bfloat16, float32 and float64"
            )));
        };
        if lies_readable(array) {
            return Ok(Array { array: array.clone(), dtype });
        }
        if foreign == Foreign::Refuse {
            let what = match descr.is_native_byteorder() {
                Some(false) => "of another byte order",
                _ => "not aligned",
            };
            return Err(PyTypeError::new_err(format!(
                "{name} is {what}, and copy=False forbids to convert it"
            )));
        }
        let native = descr.call_method1(intern!(array.py(), "newbyteorder"), ("=",))?;
        let copy = array.call_method1(intern!(array.py(), "astype"), (native,))?;
        Ok(Array { array: copy.cast_into()?, dtype })
    }

    fn fields(&self) -> &PyArrayObject_fields {
        // SAFETY: it is an array.
        unsafe { &(*self.array.as_array_ptr()).fields }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    fn strides(&self) -> &[isize] {
        self.array.strides()
    }

    /// A new array in row-major order, whose elements are not written yet.
    #[inline]
    pub(crate) fn empty(py: Python<'py>, dtype: DType, shape: &[usize]) -> PyResult<Array<'py>> {
        Ok(Array { array: results::empty(py, dtype, shape)?, dtype })
    }

    pub(crate) fn into_object(self) -> Bound<'py, PyUntypedArray> {
        self.array
    }

    pub(crate) fn object(&self) -> &Bound<'py, PyUntypedArray> {
        &self.array
    }

    /// What a kernel reads.
    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        // SAFETY: NumPy's arrays reach memory that is there as long as they are, and this one is of
        // this type, aligned and in native byte order. Python code of other threads may write
        // meanwhile what the kernel reads, as it may while NumPy reads.
        unsafe {
            View::from_raw(self.fields().data.cast(), self.dtype, self.shape(), self.strides())
        }
    }

    /// What a kernel writes. Fails if the array may not be written.
    pub(crate) fn view_mut(&self) -> PyResult<ViewMut<'_>> {
        check_writeable(&self.array)?;
        // SAFETY: as above; and Kiln refuses outputs that overlap what it reads or writes otherwise.
        Ok(unsafe {
            ViewMut::from_raw(self.fields().data.cast(), self.dtype, self.shape(), self.strides())
        })
    }
}

/// Refuses an array that may not be written.
#[inline]
pub(crate) fn check_writeable(array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
    // SAFETY: it is an array.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    match flags & NPY_ARRAY_WRITEABLE {
        0 => Err(PyValueError::new_err("out is read-only")),
        _ => Ok(()),
    }
}

/// Whether a kernel can read an array where it lies.
#[inline]
pub(crate) fn lies_readable(array: &Bound<'_, PyUntypedArray>) -> bool {
    // SAFETY: it is an array.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    flags & NPY_ARRAY_ALIGNED != 0 && array.dtype().is_native_byteorder() != Some(false)
}

/// Whether an array of a derived type is one of `numpy.ma`.
#[cold]
fn is_masked(array: &Bound<'_, PyUntypedArray>) -> PyResult<bool> {
    let py = array.py();
    let masked = py.import(intern!(py, "numpy"))?.getattr("ma")?.getattr("MaskedArray")?;
    array.is_instance(&masked)
}

/// The array that NumPy makes of an object, in its memory where it has some.
pub(crate) fn as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    if let Some(array) = bfloat16_of_torch(object)? {
        return Ok(array);
    }
    let has = |name| object.hasattr(name);
    // Objects that share memory in no other way do so by DLPack, or by Arrow's interface.
    let function = match has(intern!(py, "__array__"))? {
        true => intern!(py, "asarray"),
        false if has(intern!(py, "__dlpack__"))? => intern!(py, "from_dlpack"),
        false if has(intern!(py, "__arrow_c_array__"))? => return arrow::as_array(object),
        false => intern!(py, "asarray"),
    };
    Ok(numpy.call_method1(function, (object,))?.cast_into()?)
}

/// The array in the memory of a tensor of PyTorch, if it is of this type. NumPy has no such type, so PyTorch
/// gives it none: it goes by its bits.
pub(crate) fn bfloat16_of_torch<'py>(
    object: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyUntypedArray>>> {
    let py = object.py();
    let dtype = match object.hasattr(intern!(py, "__dlpack__"))? {
        true => object.getattr_opt(intern!(py, "dtype"))?,
        false => None,
    };
    if !matches!(dtype, Some(dtype) if dtype.str()?.to_str()? == "torch.bfloat16") {
        return Ok(None);
    }
    let int16 = py.import(intern!(py, "torch"))?.getattr(intern!(py, "int16"))?;
    let bits = object.call_method1(intern!(py, "view"), (int16,))?;
    let bits = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (bits,))?;
    let bfloat16 = py.import(intern!(py, "ml_dtypes"))?.getattr(intern!(py, "bfloat16"))?;
    Ok(Some(bits.call_method1(intern!(py, "view"), (bfloat16,))?.cast_into()?))
}

/// The array that a kernel reads of an object.
#[pyfunction(name = "as_array")]
pub(crate) fn py_as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    as_array(object)
}

/// The sizes of axes, as NumPy's C interface takes them.
pub(crate) fn sizes(shape: &[usize]) -> &[ffi::Py_ssize_t] {
    // SAFETY: both are integers of the width of a pointer, and no size of an array is beyond `isize`.
    unsafe { slice::from_raw_parts(shape.as_ptr().cast(), shape.len()) }
}
