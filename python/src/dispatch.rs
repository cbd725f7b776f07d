//! The short way of a traced function: from a call's arguments to the kernel that such a call ran before.

use crate::kernel::PyKernel;
use crate::recent::Recent;
use crate::traits::{Constants, Key, key};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a call runs.
struct Known {
    kernel: Py<PyKernel>,
    /// What makes the function's result of the kernel's, if they differ.
    finish: Option<Py<PyAny>>,
    /// Where the kernel's arguments come from, if they are not those of the call, in order.
    sources: Option<Vec<Source>>,
}

/// Where an argument of a kernel comes from.
enum Source {
    Position(usize),
    Keyword(Py<PyString>),
    /// A parameter's default.
    Default(Py<PyAny>),
}

/// A function that finds the kernels of calls seen before. A class of Python derives from it, whose
/// `_call` finds all others.
#[pyclass(frozen, subclass, module = "kiln._kiln")]
pub(crate) struct Dispatch {
    constants: Constants,
    known: Mutex<Recent<Key, Arc<Known>>>,
}

#[pymethods]
impl Dispatch {
    /// Of a function whose parameters at these positions, and of these names, are constants. It remembers
    /// `most` ways to call it.
    #[new]
    fn new(positions: Vec<usize>, names: Vec<String>, most: usize) -> Dispatch {
        let constants = Constants { positions, names };
        Dispatch { constants, known: Mutex::new(Recent::new(most)) }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Dispatch>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let key = key(args, kwargs, &this.constants);
        let Some(known) = key.and_then(|key| this.lock().get(&key).cloned()) else {
            let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
            return slf.call_method1(intern!(py, "_call"), (args, kwargs));
        };
        let result = known.run(py, args, kwargs)?;
        match &known.finish {
            None => Ok(result),
            Some(finish) => finish.bind(py).call1((result,)),
        }
    }

    /// Has calls with such arguments run a kernel, if types, ranks and constants tell them apart.
    ///
    /// Each of sources says where an argument of the kernel comes from: the position or the name of an
    /// argument, or a default in a tuple. They are None where arguments are the kernel's as they are.
    #[pyo3(signature = (args, kwargs, sources, kernel, finish=None))]
    fn _remember(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        sources: Option<Vec<Bound<'_, PyAny>>>,
        kernel: Py<PyKernel>,
        finish: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let sources = sources.map(|all| all.iter().map(Source::new).collect()).transpose()?;
        if let Some(key) = key(args, Some(kwargs), &self.constants) {
            let known = Arc::new(Known { kernel, finish, sources });
            let forgotten = self.lock().insert(key, known);
            // What is dropped may run code of Python, which may call this again.
            drop(forgotten);
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector stops at nothing, and so cannot wait for a lock.
        let Ok(known) = self.known.try_lock() else { return Ok(()) };
        for known in known.values() {
            visit.call(&known.finish)?;
            for source in known.sources.iter().flatten() {
                if let Source::Default(value) = source {
                    visit.call(value)?;
                }
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let known = self.lock().take();
        drop(known);
    }
}

impl Dispatch {
    /// Nothing runs while the lock is held, and every table is whole.
    fn lock(&self) -> MutexGuard<'_, Recent<Key, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    #[inline]
    fn run<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let kernel = self.kernel.get();
        let Some(sources) = &self.sources else {
            // All that a call can have besides is `out`.
            return kernel.call(py, args, kwargs);
        };
        let arguments: Vec<Bound<'py, PyAny>> =
            sources.iter().map(|source| source.find(args, kwargs)).collect::<PyResult<_>>()?;
        let out = match kwargs {
            Some(kwargs) => kwargs.get_item(intern!(py, "out"))?,
            None => None,
        };
        let given = match out {
            Some(out) => {
                let given = PyDict::new(py);
                given.set_item(intern!(py, "out"), out)?;
                Some(given)
            }
            None => None,
        };
        kernel.call(py, &PyTuple::new(py, arguments)?, given.as_ref())
    }
}

impl Source {
    fn new(source: &Bound<'_, PyAny>) -> PyResult<Source> {
        if let Ok(name) = source.cast::<PyString>() {
            return Ok(Source::Keyword(name.clone().unbind()));
        }
        if source.is_instance_of::<PyInt>() {
            return source.extract().map(Source::Position);
        }
        Ok(Source::Default(source.cast::<PyTuple>()?.get_item(0)?.unbind()))
    }

    #[inline]
    fn find<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let missing = || PyTypeError::new_err("an argument is missing");
        match self {
            Source::Position(at) => args.get_item(*at),
            Source::Keyword(name) => match kwargs {
                Some(kwargs) => kwargs.get_item(name)?.ok_or_else(missing),
                None => Err(missing()),
            },
            Source::Default(value) => Ok(value.bind(args.py()).clone()),
        }
    }
}
