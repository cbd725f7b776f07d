//! `Expression`: what numexpr's calls compile to, with kernels for the types that calls brought.

use crate::array::Argument;
use crate::error;
use crate::promote::{Kind, promoted};
use crate::run::{Shaping, Views, new_results, run_into_same};
use kiln::ir::parse;
use kiln::{CompileOptions, Kernel};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The most threads that a call uses, as numexpr's `set_num_threads` says.
pub(crate) static THREADS: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The most kernels of one expression. Programs that bring more lists of types than that wait for the
/// compiler again.
const MOST_KERNELS: usize = 64;

type Arguments<'py> = SmallVec<[Argument<'py>; 8]>;
type Kinds = SmallVec<[Kind; 8]>;

/// An expression of numexpr, which is called with arrays in the order of its names.
#[pyclass(frozen, module = "kiln._kiln")]
pub(crate) struct Expression {
    /// A `kiln.numexpr._translate.Parsed`, which writes the text of a kernel.
    parsed: Py<PyAny>,
    pub(crate) names: Vec<Py<PyString>>,
    kernels: Mutex<Vec<Compiled>>,
}

struct Compiled {
    kinds: Kinds,
    threads: usize,
    kernel: Arc<Kernel>,
    shaping: Shaping,
}

/// How results are given: numexpr's keyword arguments.
pub(crate) struct Giving<'a, 'py> {
    pub(crate) out: Option<&'a Bound<'py, PyAny>>,
    pub(crate) order: &'a str,
    pub(crate) casting: &'a str,
}

impl Expression {
    /// Runs it on the objects that its names stand for.
    #[inline]
    pub(crate) fn run<'py>(
        &self,
        py: Python<'py>,
        objects: &[Bound<'py, PyAny>],
        giving: &Giving<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (kinds, arguments) = self.arguments(py, objects, giving.casting)?;
        let (kernel, shaping) = self.kernel(py, &kinds)?;
        let mut views = Views::new();
        for (argument, kind) in arguments.iter().zip(&kinds) {
            argument.add_view(kind.dtype(), "", &mut views)?;
        }
        match giving.out {
            None => {
                let result = new_results(py, &kernel, shaping, &views)?;
                if matches!(giving.order, "K" | "A") {
                    Ok(result)
                } else {
                    ordered(&result, giving.order)
                }
            }
            Some(out) => {
                if !run_into_same(py, &kernel, &views, out)? {
                    let result = new_results(py, &kernel, shaping, &views)?;
                    copy_to(out, &result, giving.casting)?;
                }
                Ok(out.clone())
            }
        }
    }

    /// Checks that it could run, and compiles it.
    pub(crate) fn check<'py>(
        &self,
        py: Python<'py>,
        objects: &[Bound<'py, PyAny>],
        casting: &str,
    ) -> PyResult<()> {
        let (kinds, _) = self.arguments(py, objects, casting)?;
        self.kernel(py, &kinds).map(drop)
    }

    #[inline]
    fn arguments<'py>(
        &self,
        py: Python<'py>,
        objects: &[Bound<'py, PyAny>],
        casting: &str,
    ) -> PyResult<(Kinds, Arguments<'py>)> {
        let mut kinds = Kinds::new();
        let mut arguments = Arguments::new();
        for (object, name) in objects.iter().zip(&self.names) {
            let (kind, argument) = promoted(object, name.bind(py), casting)?;
            kinds.push(kind);
            // What has a kind that Kiln has not is told when the kernel is written.
            arguments.extend(argument);
        }
        Ok((kinds, arguments))
    }

    /// The kernel for variables of these kinds.
    pub(crate) fn kernel(
        &self,
        py: Python<'_>,
        kinds: &[Kind],
    ) -> PyResult<(Arc<Kernel>, Shaping)> {
        let threads = THREADS.load(Ordering::Relaxed);
        let known =
            |compiled: &&Compiled| compiled.kinds[..] == *kinds && compiled.threads == threads;
        if let Some(compiled) = self.lock().iter().find(known) {
            return Ok((compiled.kernel.clone(), compiled.shaping));
        }
        let text = self.text(py, kinds)?;
        let options = CompileOptions::new().threads(threads);
        let compiled: Result<_, kiln::CompileError> = py.detach(|| {
            let graph = parse(&text)?;
            Ok((kiln::compile_with(&graph, options)?, Shaping::of(&graph)))
        });
        let (kernel, shaping) = compiled.map_err(error::compile)?;
        let kernel = Arc::new(kernel);
        let mut kernels = self.lock();
        if kernels.len() == MOST_KERNELS {
            kernels.clear();
        }
        kernels.push(Compiled { kinds: kinds.into(), threads, kernel: kernel.clone(), shaping });
        Ok((kernel, shaping))
    }

    /// The kernel's text for variables of these kinds.
    fn text(&self, py: Python<'_>, kinds: &[Kind]) -> PyResult<String> {
        let by_name = PyDict::new(py);
        for (name, kind) in self.names.iter().zip(kinds) {
            by_name.set_item(name, kind.name())?;
        }
        self.parsed.bind(py).call_method1(intern!(py, "kernel_text"), (by_name,))?.extract()
    }

    /// Nothing runs while the lock is held, and every list is whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Compiled>> {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Expression {
    #[new]
    fn new(parsed: Bound<'_, PyAny>) -> PyResult<Expression> {
        let py = parsed.py();
        let names: Vec<String> = parsed.getattr("names")?.extract()?;
        let names = names.iter().map(|name| PyString::intern(py, name).unbind()).collect();
        Ok(Expression { parsed: parsed.unbind(), names, kernels: Mutex::default() })
    }

    /// Runs it on arrays in the order of its names.
    #[pyo3(signature = (*arrays, out=None, order="K", casting="safe"))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        arrays: &Bound<'py, PyTuple>,
        out: Option<&Bound<'py, PyAny>>,
        order: &str,
        casting: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let objects: Vec<_> = arrays.iter().collect();
        if objects.len() != self.names.len() {
            let (expected, found) = (self.names.len(), objects.len());
            let message = format!("the expression takes {expected} arrays, got {found}");
            return Err(PyTypeError::new_err(message));
        }
        self.run(py, &objects, &Giving { out, order, casting })
    }

    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.iter().map(|name| name.bind(py)))
    }
}

/// A result in the order of axes that was asked for.
#[cold]
fn ordered<'py>(result: &Bound<'py, PyAny>, order: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = result.py();
    let options = PyDict::new(py);
    options.set_item("order", order)?;
    py.import("numpy")?.call_method("asarray", (result,), Some(&options))
}

/// Copies a result into an array of another type or shape.
#[cold]
fn copy_to(out: &Bound<'_, PyAny>, result: &Bound<'_, PyAny>, casting: &str) -> PyResult<()> {
    let py = out.py();
    let options = PyDict::new(py);
    options.set_item("casting", casting)?;
    py.import("numpy")?.call_method("copyto", (out, result), Some(&options))?;
    Ok(())
}
