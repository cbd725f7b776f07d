//! What tells the calls of a traced function apart: types and ranks of arrays, and constants.

use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple, PyType};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// What a call's kernel depends on, argument by argument.
pub(crate) type Key = SmallVec<[Trait; 4]>;

#[derive(PartialEq, Eq, Hash)]
pub(crate) enum Trait {
    /// The number of its type, as NumPy numbers them, and its rank.
    Array(i32, u32),
    /// Numbers of Python that are inputs.
    Float,
    Int,
    /// Constants.
    None,
    Bool(bool),
    Integer(i64),
    /// Bits of a float.
    Bits(u64),
    Text(Box<str>),
    /// So many of what follows are a tuple.
    Tuple(usize),
    /// A type, of Python's or NumPy's.
    Type(Same),
    /// What follows is given by this name.
    Name(Same),
}

/// An object that equals itself alone.
pub(crate) struct Same(Py<PyAny>);

/// Which arguments are constants, though they are numbers.
pub(crate) struct Constants {
    pub(crate) positions: Vec<usize>,
    pub(crate) names: Vec<String>,
}

/// The key of a call; none if there is an argument whose value may matter otherwise.
#[inline]
pub(crate) fn key(
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    constants: &Constants,
) -> Option<Key> {
    let mut key = Key::new();
    for (at, value) in args.iter_borrowed().enumerate() {
        add(&value, constants.positions.contains(&at), &mut key)?;
    }
    for (name, value) in kwargs.into_iter().flatten() {
        let text = name.cast::<PyString>().ok()?.to_str().ok()?;
        if text != "out" {
            let is_constant = constants.names.iter().any(|constant| constant == text);
            key.push(Trait::Name(Same::new(&name)));
            add(&value, is_constant, &mut key)?;
        }
    }
    Some(key)
}

#[inline]
fn add(value: &Bound<'_, PyAny>, is_constant: bool, key: &mut Key) -> Option<()> {
    if let Ok(array) = value.cast_exact::<PyUntypedArray>() {
        // The values of a constant array are not looked at.
        let of = Trait::Array(array.dtype().num(), array.ndim() as u32);
        key.push((!is_constant).then_some(of)?);
    } else if let Ok(float) = value.cast_exact::<PyFloat>() {
        key.push(if is_constant { Trait::Bits(float.value().to_bits()) } else { Trait::Float });
    } else if value.is_exact_instance_of::<PyInt>() {
        key.push(if is_constant { Trait::Integer(value.extract().ok()?) } else { Trait::Int });
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        key.push(Trait::Bool(truth.is_true()));
    } else if value.is_none() {
        key.push(Trait::None);
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        key.push(Trait::Text(text.to_str().ok()?.into()));
    } else if let Ok(items) = value.cast_exact::<PyTuple>() {
        key.push(Trait::Tuple(items.len()));
        for item in items.iter_borrowed() {
            add(&item, true, key)?;
        }
    } else if value.is_instance_of::<PyType>() || value.is_instance_of::<PyArrayDescr>() {
        key.push(Trait::Type(Same::new(value)));
    } else {
        return None;
    }
    Some(())
}

impl Same {
    fn new(object: &Bound<'_, PyAny>) -> Same {
        Same(object.clone().unbind())
    }
}

impl PartialEq for Same {
    fn eq(&self, other: &Same) -> bool {
        self.0.is(&other.0)
    }
}

impl Eq for Same {}

impl Hash for Same {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ptr().hash(state);
    }
}
