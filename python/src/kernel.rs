//! `kiln.Kernel`: a text that is called with arrays.

use crate::arguments::{Bindings, Call};
use crate::array::{Array, Foreign, as_array};
use crate::error;
use crate::html;
use crate::look::{self, Memory, Profile};
use crate::options::Options;
use crate::run::{Views, run};
use crate::signals;
use crate::variants::{Types, Variant, Variants};
use kiln::explain::{Stage, explain, tour};
use kiln::ir::{FreeInput, free_inputs};
use kiln::{DType, RunError, View};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::Arc;

/// A compiled expression. Call it with arrays or numbers, in the order of its inputs or by name.
///
/// Inputs whose element type the text does not declare take those of the arrays of a call; for each
/// list of types the text is compiled once. Kernels can be shared between threads and pickled.
#[pyclass(frozen, module = "kiln", name = "Kernel")]
pub(crate) struct PyKernel {
    text: String,
    pub(crate) inputs: Vec<FreeInput>,
    /// The names of the inputs, interned.
    names: Vec<Py<PyString>>,
    options: Options,
    /// What inputs are bound to, if they are.
    bound: Vec<Option<Py<PyAny>>>,
    variants: Variants,
}

/// Compiles kernel text, such as `"0.5 * x * (1 + erf(x / sqrt(2)))"` or `"|x, w: f32[d]| x * w"`.
///
/// mode is "strict", "precise" or "fast"; threads the most that a call uses, None for all. Where copy
/// is false, arrays that a kernel cannot read as they lie (another byte order, not aligned) are refused.
#[pyfunction]
#[pyo3(signature = (text, *, mode="precise", threads=None, emitter="auto", copy=true))]
pub(crate) fn compile_text(
    py: Python<'_>,
    text: String,
    mode: &str,
    threads: Option<isize>,
    emitter: &str,
    copy: bool,
) -> PyResult<PyKernel> {
    let options = Options::new(mode, emitter, threads, copy)?;
    let inputs = free_inputs(&text).map_err(error::text)?;
    let names = inputs.iter().map(|input| PyString::intern(py, &input.name).unbind()).collect();
    let bound = inputs.iter().map(|_| None).collect();
    let variants = Variants::default();
    let kernel = PyKernel { text, inputs, names, options, bound, variants };
    // Where all types are declared, mistakes are told now.
    let declared: Option<Types> = kernel.inputs.iter().map(declared).collect();
    if let Some(types) = declared {
        kernel.variant(py, &types)?;
    }
    Ok(kernel)
}

pub(crate) fn declared(input: &FreeInput) -> Option<DType> {
    input.declared.as_ref().map(|(dtype, _)| *dtype)
}

impl PyKernel {
    /// The kernel for these types, compiled if it is not there.
    #[inline]
    pub(crate) fn variant(&self, py: Python<'_>, types: &[DType]) -> PyResult<Arc<Variant>> {
        match self.variants.get(types) {
            Some(variant) => Ok(variant),
            None => self.compile(py, types),
        }
    }

    #[cold]
    fn compile(&self, py: Python<'_>, types: &[DType]) -> PyResult<Arc<Variant>> {
        let (text, inputs, options) = (&self.text, &self.inputs, self.options);
        let mut variant = py.detach(|| Variant::compile(text, inputs, types, options))?;
        for (input, value) in inputs.iter().zip(&self.bound) {
            let Some(value) = value else { continue };
            let array = Array::new(value.bind(py).cast()?, options.foreign, &input.name)?;
            let bound = variant.kernel.bind_constant(&input.name, array.view());
            variant.kernel = bound.map_err(error::run)?;
        }
        Ok(self.variants.add(variant))
    }

    /// What is looked at: what the last call ran, or the text as Kiln reads it, whose inputs are `f32`
    /// unless it says otherwise.
    fn shown(&self, py: Python<'_>) -> PyResult<Arc<Variant>> {
        if let Some(variant) = self.variants.last() {
            return Ok(variant);
        }
        let types: PyResult<Types> = self
            .inputs
            .iter()
            .zip(&self.bound)
            .map(|(input, bound)| {
                let Some(value) = bound else { return Ok(declared(input).unwrap_or(DType::F32)) };
                Ok(Array::new(value.bind(py).cast()?, self.options.foreign, &input.name)?.dtype)
            })
            .collect();
        self.variant(py, &types?)
    }

    /// The same text, bound and compiled otherwise.
    fn with(&self, py: Python<'_>, bound: Vec<Option<Py<PyAny>>>, options: Options) -> PyKernel {
        let names = self.names.iter().map(|name| name.clone_ref(py)).collect();
        let (text, inputs) = (self.text.clone(), self.inputs.clone());
        PyKernel { text, inputs, names, options, bound, variants: Variants::default() }
    }

    /// Runs it on the arguments of a call.
    #[inline]
    pub(crate) fn call<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.with_arguments(py, args, kwargs, |variant, views, out| {
            run(py, variant, views, out, self.options.foreign)
        })
    }

    /// Does something with what a call with these arguments would run, read and write.
    #[inline]
    fn with_arguments<'py, R>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        work: impl FnOnce(&Variant, &[View<'_>], Option<&Bound<'py, PyAny>>) -> PyResult<R>,
    ) -> PyResult<R> {
        let bindings = Bindings {
            inputs: &self.inputs,
            names: &self.names,
            bound: &self.bound,
            foreign: self.options.foreign,
        };
        let call = bindings.call(args, kwargs)?;
        let variant = self.variant_for(py, &call)?;
        let mut views = Views::new();
        call.add_views(&mut views)?;
        work(&variant, &views, call.out.as_ref())
    }

    /// The variant of a call, whose positional arguments it can tell apart.
    #[inline]
    fn variant_for(&self, py: Python<'_>, call: &Call<'_, '_>) -> PyResult<Arc<Variant>> {
        let variant = self.variant(py, &call.types)?;
        if call.positional > 1 && !variant.graph.inputs_are_ordered() {
            let names: Vec<&str> = self.inputs.iter().map(|input| &*input.name).collect();
            let names = names.join(", ");
            return Err(PyTypeError::new_err(format!(
                "the text does not say the order of the inputs {names}: write \"|{names}| ..\", or \
                 give them by name, as in k({}=..)",
                self.inputs[0].name
            )));
        }
        Ok(variant)
    }
}

#[pymethods]
impl PyKernel {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.call(py, args, kwargs)
    }
    /// This kernel with inputs bound to constants, which calls then do not give: for weights.
    #[pyo3(signature = (**constants))]
    fn bind(&self, py: Python<'_>, constants: Option<&Bound<'_, PyDict>>) -> PyResult<PyKernel> {
        let mut bound: Vec<Option<Py<PyAny>>> = self
            .bound
            .iter()
            .map(|value| value.as_ref().map(|value| value.clone_ref(py)))
            .collect();
        for (name, value) in constants.into_iter().flatten() {
            let name: String = name.extract()?;
            let index = self.inputs.iter().position(|input| input.name == name);
            let Some(index) = index.filter(|&index| bound[index].is_none()) else {
                let left = self.inputs.iter().zip(&bound).filter(|(_, bound)| bound.is_none());
                let inputs = left.map(|(input, _)| input.name.clone()).collect();
                return Err(error::run(RunError::NoInput { name, inputs }));
            };
            let array = as_array(&value)?;
            let array = Array::new(&array, Foreign::Copy, &name)?;
            let declared = declared(&self.inputs[index]);
            if declared.is_some_and(|dtype| dtype != array.dtype) {
                let argument = kiln::Argument::Input { index, name: Some(name) };
                let (expected, found) = (declared.unwrap_or(array.dtype), array.dtype);
                return Err(error::run(RunError::DType { argument, expected, found }));
            }
            bound[index] = Some(array.object().call_method0(intern!(py, "copy"))?.unbind());
        }
        Ok(self.with(py, bound, self.options))
    }

    /// The same with a kernel for each op, as it is written, and an array for each result: to compare
    /// with.
    fn unfused(&self, py: Python<'_>) -> PyKernel {
        let bound = self.bound.iter().map(|value| value.as_ref().map(|value| value.clone_ref(py)));
        self.with(py, bound.collect(), Options { fuse: false, ..self.options })
    }

    /// What happens to the kernel at a stage of compilation, as text; a tour through them by default.
    /// `kiln.STAGES` lists them.
    #[pyo3(signature = (stage="tour"))]
    fn explain(&self, py: Python<'_>, stage: &str) -> PyResult<String> {
        let (graph, mode) = (&self.shown(py)?.graph, self.options.mode);
        if stage == "tour" {
            return py.detach(|| tour(graph, mode)).map_err(error::compile);
        }
        let stage: Stage = stage.parse().map_err(|error: kiln::explain::UnknownStage| {
            PyValueError::new_err(error.to_string())
        })?;
        py.detach(|| explain(graph, mode, stage)).map_err(error::compile)
    }

    /// The text that it was compiled from.
    #[getter]
    fn text(&self) -> &str {
        &self.text
    }

    /// The names of the inputs that a call gives, in order.
    #[getter]
    fn inputs(&self) -> Vec<&str> {
        let free = self.inputs.iter().zip(&self.bound).filter(|(_, bound)| bound.is_none());
        free.map(|(input, _)| &*input.name).collect()
    }

    /// The graph that runs, after fusion, as text: that of the last call.
    #[getter]
    fn graph(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.shown(py)?.kernel.graph().to_string())
    }

    /// Passes over memory.
    #[getter]
    fn passes(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.shown(py)?.kernel.pass_count())
    }

    /// What made the machine code, and how many bits its vectors have; None where only products run.
    #[getter]
    fn emitter(&self, py: Python<'_>) -> PyResult<Option<(String, u32)>> {
        let emitter = self.shown(py)?.kernel.emitter();
        Ok(emitter.map(|(kind, bits)| (kind.to_string(), bits)))
    }

    /// How much its rewrites may change.
    #[getter]
    fn mode(&self) -> String {
        self.options.mode.to_string()
    }

    /// The memory that a call with these arguments takes for intermediates.
    #[pyo3(signature = (*args, **kwargs))]
    fn memory<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Memory> {
        self.with_arguments(py, args, kwargs, |variant, views, _| {
            let memory = variant.kernel.memory(views).map_err(error::run)?;
            Ok(Memory::new(&memory))
        })
    }

    /// Measures calls with these arguments.
    #[pyo3(signature = (*args, **kwargs))]
    fn profile<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Profile> {
        self.with_arguments(py, args, kwargs, |variant, views, _| {
            let measured = signals::detached(py, || Profile::measure(&variant.kernel, views));
            measured?.map_err(error::profile)
        })
    }

    /// Where calls with these arguments are under the roofs of this machine, in a sentence.
    #[pyo3(signature = (*args, **kwargs))]
    fn place<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<String> {
        self.with_arguments(py, args, kwargs, |variant, views, _| {
            let threads = self.options.threads;
            let placed = signals::detached(py, || look::place(&variant.kernel, views, threads));
            placed?.map_err(error::profile)
        })
    }

    /// What notebooks show: the kernel, and what became of it, to unfold.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        let shown = self.shown(py)?;
        py.detach(|| html::page(&self.text, &shown.graph, &shown.kernel, self.options.mode))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Kernel({})", PyString::new(py, &self.text).repr()?))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let bound = PyDict::new(py);
        for (name, value) in self.names.iter().zip(&self.bound) {
            if let Some(value) = value {
                bound.set_item(name, value)?;
            }
        }
        let Options { mode, emitter, threads, foreign, fuse } = self.options;
        let state = (
            &self.text,
            mode.to_string(),
            threads,
            emitter.to_string(),
            foreign == Foreign::Copy,
            fuse,
            bound,
        );
        let restore = py.import("kiln._kiln")?.getattr("_restore")?;
        (restore, state).into_pyobject(py)
    }
}

/// A kernel out of its pickle.
#[pyfunction]
#[pyo3(name = "_restore")]
#[expect(clippy::too_many_arguments, reason = "they are all of its state")]
pub(crate) fn restore(
    py: Python<'_>,
    text: String,
    mode: &str,
    threads: Option<isize>,
    emitter: &str,
    copy: bool,
    fuse: bool,
    bound: &Bound<'_, PyDict>,
) -> PyResult<PyKernel> {
    let mut kernel = compile_text(py, text, mode, threads, emitter, copy)?;
    if !fuse {
        kernel = kernel.unfused(py);
    }
    if bound.is_empty() { Ok(kernel) } else { kernel.bind(py, Some(bound)) }
}
