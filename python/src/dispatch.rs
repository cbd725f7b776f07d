//! The short way of a traced function: from the types and ranks of a call's arrays to its kernel.

use crate::kernel::PyKernel;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyTuple};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The type and the rank of each argument.
type Key = SmallVec<[u32; 8]>;

/// What stands for numbers of Python. NumPy's types are numbered from 0.
const FLOAT: u32 = u32::MAX;
const INT: u32 = u32::MAX - 1;

/// What a call runs.
struct Known {
    kernel: Py<PyKernel>,
    /// What makes the function's result of the kernel's, if they differ.
    finish: Option<Py<PyAny>>,
}

/// A function that finds the kernels of calls seen before. A class of Python derives from it, whose
/// `_call` finds all others.
#[pyclass(frozen, subclass, module = "kiln._kiln")]
pub(crate) struct Dispatch {
    /// Whether numbers of Python are inputs, and not constants.
    numbers: bool,
    known: Mutex<HashMap<Key, Known>>,
}

#[pymethods]
impl Dispatch {
    #[new]
    fn new(numbers: bool) -> Dispatch {
        Dispatch { numbers, known: Mutex::default() }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Dispatch>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let found = match (kwargs, this.key(args)) {
            (None, Some(key)) => this.lock().get(&key).map(|known| {
                let finish = known.finish.as_ref().map(|finish| finish.clone_ref(py));
                (known.kernel.clone_ref(py), finish)
            }),
            _ => None,
        };
        match found {
            None => {
                let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
                slf.call_method1(intern!(py, "_call"), (args, kwargs))
            }
            Some((kernel, None)) => kernel.get().call(py, args, None),
            Some((kernel, Some(finish))) => {
                finish.bind(py).call1((kernel.get().call(py, args, None)?,))
            }
        }
    }

    /// Has calls with such arguments run a kernel, if they are told apart by types and ranks alone.
    #[pyo3(signature = (args, kernel, finish=None))]
    fn _remember(
        &self,
        args: &Bound<'_, PyTuple>,
        kernel: Py<PyKernel>,
        finish: Option<Py<PyAny>>,
    ) {
        if let Some(key) = self.key(args) {
            let before = self.lock().insert(key, Known { kernel, finish });
            // What is dropped may run code of Python, which may call this again.
            drop(before);
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector stops at nothing, and so cannot wait for a lock.
        let Ok(known) = self.known.try_lock() else { return Ok(()) };
        known.values().try_for_each(|known| visit.call(&known.finish))
    }

    fn __clear__(&self) {
        let known = std::mem::take(&mut *self.lock());
        drop(known);
    }
}

impl Dispatch {
    /// The key of arguments; none if there is one that is neither an array nor a number.
    #[inline]
    fn key(&self, args: &Bound<'_, PyTuple>) -> Option<Key> {
        let mut key = Key::new();
        for value in args.iter_borrowed() {
            if let Ok(array) = value.cast_exact::<PyUntypedArray>() {
                key.push(u32::try_from(array.dtype().num()).ok()?);
                key.push(array.ndim() as u32);
            } else if self.numbers && value.is_exact_instance_of::<PyFloat>() {
                key.push(FLOAT);
            } else if self.numbers && value.is_exact_instance_of::<PyInt>() {
                key.push(INT);
            } else {
                return None;
            }
        }
        Some(key)
    }

    /// Nothing runs while the lock is held, and every table is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
