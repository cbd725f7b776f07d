//! Names of the caller's frame.

use pyo3::exceptions::PyKeyError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Where names are looked up: first among locals, then among globals.
pub(crate) struct Scope<'py> {
    locals: Bound<'py, PyAny>,
    globals: Globals<'py>,
    /// Whether `locals` is a copy that the frame keeps, and with it all that it names.
    is_kept: bool,
}

/// Globals are asked for only if a name is not among locals.
enum Globals<'py> {
    Given(Bound<'py, PyAny>),
    /// Of the frame so many calls above the running one.
    Above(usize),
}

/// A bit of `co_flags`: locals are no dictionary of their own.
const OPTIMIZED: u32 = 1;

impl<'py> Scope<'py> {
    /// The scope of the frame `up` calls above the running one, or what is given in its place.
    #[inline]
    pub(crate) fn new(
        py: Python<'py>,
        locals: Option<&Bound<'py, PyAny>>,
        globals: Option<&Bound<'py, PyAny>>,
        up: usize,
    ) -> PyResult<Scope<'py>> {
        let globals = match globals {
            Some(globals) => Globals::Given(globals.clone()),
            None => Globals::Above(up),
        };
        if let Some(locals) = locals {
            return Ok(Scope { locals: locals.clone(), globals, is_kept: false });
        }
        let Some(frame) = frame(py, up)? else {
            return Ok(Scope { locals: PyDict::new(py).into_any(), globals, is_kept: false });
        };
        let locals = frame.getattr(intern!(py, "f_locals"))?;
        let is_kept = locals.is_exact_instance_of::<PyDict>() && is_optimized(&frame)?;
        Ok(Scope { locals, globals, is_kept })
    }

    /// What a name stands for.
    #[inline]
    pub(crate) fn get(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(object) = get(&self.locals, name)? {
            return Ok(object);
        }
        let py = name.py();
        let global = match &self.globals {
            Globals::Given(globals) => get(globals, name)?,
            Globals::Above(up) => match frame(py, *up)? {
                Some(frame) => get(&frame.getattr(intern!(py, "f_globals"))?, name)?,
                None => None,
            },
        };
        global.ok_or_else(|| PyKeyError::new_err(name.to_string()))
    }
}

/// The frame so many calls above the running one; none where no code of Python runs.
#[inline]
fn frame(py: Python<'_>, up: usize) -> PyResult<Option<Bound<'_, PyAny>>> {
    // SAFETY: it is a borrowed reference to a frame, or null.
    let frame = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) };
    let Some(mut frame) = frame else { return Ok(None) };
    for _ in 0..up {
        frame = frame.getattr(intern!(py, "f_back"))?;
    }
    Ok(Some(frame))
}

/// Whether it is the frame of a function.
fn is_optimized(frame: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = frame.py();
    let code = frame.getattr(intern!(py, "f_code"))?;
    let flags: u32 = code.getattr(intern!(py, "co_flags"))?.extract()?;
    Ok(flags & OPTIMIZED != 0)
}

/// What the frame keeps would keep alive what its names stood for, until the function returns.
impl Drop for Scope<'_> {
    fn drop(&mut self) {
        // SAFETY: it is an object, and the interpreter is held.
        let references = unsafe { ffi::Py_REFCNT(self.locals.as_ptr()) };
        // Whoever asked for `locals()` has the same dictionary: then there are more than two of us.
        if self.is_kept
            && references <= 2
            && let Ok(locals) = self.locals.cast::<PyDict>()
        {
            locals.clear();
        }
    }
}

#[inline]
fn get<'py>(
    names: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(names) = names.cast_exact::<PyDict>() {
        return names.get_item(name);
    }
    match names.get_item(name) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_instance_of::<PyKeyError>(names.py()) => Ok(None),
        Err(error) => Err(error),
    }
}
