//! numexpr's types of arguments: narrow integers are 32 bits wide, and halves are `float32`.

use crate::array::{Argument, Array, Foreign, Number, as_array};
use crate::dtype;
use kiln::DType;
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// A type of numexpr's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Long,
    Float,
    Double,
    /// Kiln has none.
    Complex,
    /// Kiln has none.
    Bytes,
}

impl Kind {
    /// numexpr's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Complex => "complex",
            Kind::Bytes => "bytes",
        }
    }

    /// Kiln's type for it.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Kind::Bool => DType::Bool,
            Kind::Int => DType::I32,
            Kind::Long => DType::I64,
            Kind::Float => DType::F32,
            Kind::Double | Kind::Complex | Kind::Bytes => DType::F64,
        }
    }

    fn of(dtype: DType) -> Option<Kind> {
        Some(match dtype {
            DType::Bool => Kind::Bool,
            DType::I32 => Kind::Int,
            DType::I64 => Kind::Long,
            DType::F32 => Kind::Float,
            DType::F64 => Kind::Double,
            _ => return None,
        })
    }
}

/// An argument and its type; none if Kiln has no such type.
#[inline]
pub(crate) fn promoted<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    casting: &str,
) -> PyResult<(Kind, Option<Argument<'py>>)> {
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return promoted_array(array, name, casting);
    }
    Ok(match Number::new(object)? {
        Some(number @ Number::Bool(_)) => (Kind::Bool, Some(Argument::Number(number))),
        Some(number @ Number::Int(_)) => (Kind::Long, Some(Argument::Number(number))),
        Some(number @ Number::Float(_)) if object.is_instance_of::<pyo3::types::PyFloat>() => {
            (Kind::Double, Some(Argument::Number(number)))
        }
        _ => return promoted_array(&as_array(object)?, name, casting),
    })
}

#[inline]
fn promoted_array<'py>(
    array: &Bound<'py, PyUntypedArray>,
    name: &Bound<'py, PyString>,
    casting: &str,
) -> PyResult<(Kind, Option<Argument<'py>>)> {
    if let Some(kind) = dtype::of_descr(&array.dtype()).and_then(Kind::of) {
        let array = Array::plain(array, Foreign::Copy, "")?;
        return Ok((kind, Some(Argument::Array(array))));
    }
    converted(array, name, casting)
}

/// An array of a type that numexpr takes for another one.
#[cold]
fn converted<'py>(
    array: &Bound<'py, PyUntypedArray>,
    name: &Bound<'py, PyString>,
    casting: &str,
) -> PyResult<(Kind, Option<Argument<'py>>)> {
    let py = array.py();
    let descr = array.dtype();
    let kind = match (descr.kind(), descr.itemsize()) {
        (b'i' | b'u', 8..) | (b'u', 4) => Kind::Long,
        (b'i' | b'u', _) => Kind::Int,
        (b'f', 5..) => Kind::Double,
        (b'f', _) => Kind::Float,
        (b'c', _) => return Ok((Kind::Complex, None)),
        (b'S', _) => return Ok((Kind::Bytes, None)),
        (b'U', _) => {
            let message = "NumExpr 2 does not support Unicode as a dtype.";
            return Err(PyValueError::new_err(message));
        }
        _ => return Err(PyValueError::new_err(format!("{name} is of unknown type {descr}"))),
    };
    let to = dtype::to_descr(py, kind.dtype())?;
    // SAFETY: it is a new reference to a type.
    let to = unsafe { Bound::from_owned_ptr(py, to.cast()).cast_into_unchecked::<PyArrayDescr>() };
    let options = PyDict::new(py);
    options.set_item("casting", casting)?;
    let converted = array.call_method(intern!(py, "astype"), (&to,), Some(&options));
    let converted = converted.map_err(|error| match error.is_instance_of::<PyTypeError>(py) {
        true => PyTypeError::new_err(format!(
            "Iterator operand {name} dtype could not be cast from dtype('{descr}') to dtype('{to}') \
             according to the rule '{casting}'"
        )),
        false => error,
    })?;
    let array = Array::plain(converted.cast()?, Foreign::Copy, "")?;
    Ok((kind, Some(Argument::Array(array))))
}
