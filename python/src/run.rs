//! Running a kernel on arrays of NumPy, into new ones or into the caller's.

use crate::array::{Array, Foreign, bfloat16_of_torch, check_writeable, lies_readable};
use crate::dtype;
use crate::error;
use crate::results::{LARGE, to_array};
use crate::signals;
use crate::variants::Variant;
use kiln::ir::{Call, Graph, Node};
use kiln::{Kernel, RunError, View, ViewMut};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use smallvec::SmallVec;

pub(crate) type Views<'a> = SmallVec<[View<'a>; 8]>;

/// Elements from which on other threads of Python may run meanwhile. For fewer, asking for the
/// interpreter again costs more than the call.
const LONG: usize = 512;

/// Runs a kernel and returns its result, or a tuple of its results: new arrays, or `out`.
#[inline]
pub(crate) fn run<'py>(
    py: Python<'py>,
    variant: &Variant,
    views: &[View<'_>],
    out: Option<&Bound<'py, PyAny>>,
    foreign: Foreign,
) -> PyResult<Bound<'py, PyAny>> {
    match out {
        Some(out) => run_into(py, &variant.kernel, views, out, foreign),
        None => new_results(py, &variant.kernel, variant.shaping, views),
    }
}

/// What is known of the shape of a kernel's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shaping {
    /// There is one result, and where inputs that are no single elements have one shape, it is the
    /// result's, if it reads one of them.
    Elementwise,
    Other,
}

impl Shaping {
    pub(crate) fn of(graph: &Graph) -> Shaping {
        let is_elementwise =
            |node: &Node| matches!(node, Node::Input(_) | Node::Const(_) | Node::Op(..));
        match graph.outputs().len() == 1 && graph.nodes().iter().all(is_elementwise) {
            true => Shaping::Elementwise,
            false => Shaping::Other,
        }
    }
}

/// Runs a kernel and returns its result, or a tuple of its results, as new arrays.
#[inline]
pub(crate) fn new_results<'py>(
    py: Python<'py>,
    kernel: &Kernel,
    shaping: Shaping,
    views: &[View<'_>],
) -> PyResult<Bound<'py, PyAny>> {
    if shaping == Shaping::Elementwise
        && let Some(array) = small_result(py, kernel, views)?
    {
        return Ok(array.into_any());
    }
    let outputs = detached(py, views, || kernel.run(views))?.map_err(error::run)?;
    let mut arrays = outputs.into_iter().map(|tensor| to_array(py, tensor));
    if kernel.output_count() == 1
        && let Some(array) = arrays.next()
    {
        return Ok(array?.into_any());
    }
    let arrays: Vec<_> = arrays.collect::<PyResult<_>>()?;
    Ok(PyTuple::new(py, arrays)?.into_any())
}

/// Runs an elementwise kernel on not too many elements, straight into memory of NumPy's: none if the result has
/// another shape or order of axes than one can tell beforehand.
#[inline]
fn small_result<'py>(
    py: Python<'py>,
    kernel: &Kernel,
    views: &[View<'_>],
) -> PyResult<Option<Bound<'py, PyUntypedArray>>> {
    let dtype = kernel.output_dtype(0);
    let is_small = |view: &&View<'_>| view.len() < LARGE / dtype.size() && is_row_major(view);
    let mut arrays = views.iter().filter(|view| !view.shape().is_empty());
    let Some(first) = arrays.next().filter(is_small) else {
        return Ok(None);
    };
    if arrays.any(|view| view.shape() != first.shape()) {
        return Ok(None);
    }
    let result = Array::empty(py, dtype, first.shape())?;
    let mut outputs = [result.view_mut()?];
    match detached(py, views, || kernel.run_into(views, &mut outputs))? {
        Ok(()) => Ok(Some(result.into_object())),
        Err(RunError::OutputShape { .. }) => Ok(None),
        Err(error) => Err(error::run(error)),
    }
}

/// Whether elements lie one after another, the last axis fastest.
#[inline]
fn is_row_major(view: &View<'_>) -> bool {
    let mut expected = view.dtype().size() as isize;
    for (&size, &stride) in view.shape().iter().zip(view.strides()).rev() {
        if size != 1 && stride != expected {
            return false;
        }
        expected *= size as isize;
    }
    true
}

/// Runs a kernel into the caller's arrays.
fn run_into<'py>(
    py: Python<'py>,
    kernel: &Kernel,
    views: &[View<'_>],
    out: &Bound<'py, PyAny>,
    foreign: Foreign,
) -> PyResult<Bound<'py, PyAny>> {
    let targets: SmallVec<[Bound<'py, PyAny>; 2]> = match out.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().collect(),
        Err(_) => match out.cast::<PyList>() {
            Ok(_) => {
                let message = "out is an array, or a tuple of arrays if there are several results";
                return Err(PyTypeError::new_err(message));
            }
            Err(_) => [out.clone()].into_iter().collect(),
        },
    };
    let arrays: SmallVec<[Bound<'py, PyUntypedArray>; 2]> =
        targets.iter().map(shared).collect::<PyResult<_>>()?;
    let is_copied = if arrays.iter().all(lies_readable) {
        // Places that are computed can be wrong when some results are there, and then none may be written.
        arrays.len() > 1 && kernel.graph().nodes().iter().any(checks_places)
    } else {
        foreign == Foreign::Copy
    };
    if is_copied {
        return run_and_copy(py, kernel, views, out, &arrays);
    }
    let targets: SmallVec<[Array<'py>; 2]> =
        arrays.iter().map(|array| Array::new(array, foreign, "out")).collect::<PyResult<_>>()?;
    let mut outputs: SmallVec<[ViewMut<'_>; 2]> =
        targets.iter().map(Array::view_mut).collect::<PyResult<_>>()?;
    match detached(py, views, || kernel.run_into(views, &mut outputs))? {
        Ok(()) => Ok(out.clone()),
        // An input that is read again after it was written.
        Err(RunError::InPlace { .. }) => run_and_copy(py, kernel, views, out, &arrays),
        Err(error) => Err(error::run(error)),
    }
}

/// Whether a node reads places along an axis, which an array may not have.
fn checks_places(node: &Node) -> bool {
    matches!(node, Node::Call(Call::Gather(_) | Call::Within(_), _))
}

/// Runs a kernel with one result into an array that can take it as it is: false if it cannot, and then
/// nothing was written.
pub(crate) fn run_into_same<'py>(
    py: Python<'py>,
    kernel: &Kernel,
    views: &[View<'_>],
    out: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    let array = shared(out)?;
    if !lies_readable(&array) || dtype::of_descr(&array.dtype()) != Some(kernel.output_dtype(0)) {
        return Ok(false);
    }
    let array = Array::plain(&array, Foreign::Copy, "out")?;
    let mut outputs = [array.view_mut()?];
    match detached(py, views, || kernel.run_into(views, &mut outputs))? {
        Ok(()) => Ok(true),
        Err(
            RunError::Overlap { .. }
            | RunError::SelfOverlap { .. }
            | RunError::InPlace { .. }
            | RunError::OutputShape { .. },
        ) => Ok(false),
        Err(error) => Err(error::run(error)),
    }
}

/// The array in whose memory an object lies. What other interfaces give may be a copy, and what is written
/// there lost.
fn shared<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    if !object.hasattr(intern!(py, "__dlpack__"))? {
        let message = format!("out is {}, not an array", object.get_type().name()?);
        return Err(PyTypeError::new_err(message));
    }
    if let Some(array) = bfloat16_of_torch(object)? {
        return Ok(array);
    }
    let numpy = py.import(intern!(py, "numpy"))?;
    Ok(numpy.call_method1(intern!(py, "from_dlpack"), (object,))?.cast_into()?)
}

/// Runs a kernel and has NumPy copy the results into arrays that the kernel cannot write itself.
#[cold]
fn run_and_copy<'py>(
    py: Python<'py>,
    kernel: &Kernel,
    views: &[View<'_>],
    out: &Bound<'py, PyAny>,
    arrays: &[Bound<'py, PyUntypedArray>],
) -> PyResult<Bound<'py, PyAny>> {
    let (expected, found) = (kernel.output_count(), arrays.len());
    if expected != found {
        return Err(error::run(RunError::OutputCount { expected, found }));
    }
    let results = detached(py, views, || kernel.run(views))?.map_err(error::run)?;
    for (index, (array, tensor)) in arrays.iter().zip(&results).enumerate() {
        let output = kiln::Argument::Output { index, name: None };
        let (expected, found) = (tensor.shape().to_vec(), array.shape().to_vec());
        if expected != found {
            return Err(error::run(RunError::OutputShape { output, expected, found }));
        }
        let expected = tensor.dtype();
        match dtype::of_descr(&array.dtype()) {
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(error::run(RunError::DType { argument: output, expected, found }));
            }
            // It tells what the type is.
            None => drop(Array::new(array, Foreign::Copy, "out")?),
        }
        check_writeable(array)?;
    }
    let copyto = py.import(intern!(py, "numpy"))?.getattr(intern!(py, "copyto"))?;
    for (array, tensor) in arrays.iter().zip(results) {
        copyto.call1((array, to_array(py, tensor)?))?;
    }
    Ok(out.clone())
}

/// Does something with views. If it takes long, other threads of Python may run, and signals end it.
#[inline]
fn detached<R: Send>(
    py: Python<'_>,
    views: &[View<'_>],
    work: impl FnOnce() -> Result<R, RunError> + Send,
) -> PyResult<Result<R, RunError>> {
    // Shapes that broadcast may have a result that is larger than they are.
    let elements = views
        .iter()
        .map(View::len)
        .fold(1usize, |all, len| if len == all { all } else { all.saturating_mul(len) });
    if elements < LONG { Ok(work()) } else { signals::detached(py, work) }
}
