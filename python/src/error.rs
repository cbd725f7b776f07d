//! Kiln's errors as Python's exceptions: the messages stay as they are.

use kiln::ir::Fault;
use kiln::profile::ProfileError;
use kiln::{CompileError, GraphError, RunError, TextError};
use pyo3::PyErr;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyTypeError, PyValueError};

/// The exception for a text or a graph that is no kernel.
pub(crate) fn compile(error: CompileError) -> PyErr {
    match error {
        CompileError::Text(error) => text(error),
        CompileError::Graph(error) => graph(error),
        CompileError::Emit(error) => PyRuntimeError::new_err(error.to_string()),
        error => PyValueError::new_err(error.to_string()),
    }
}

pub(crate) fn text(error: TextError) -> PyErr {
    of_fault(error.fault(), error.to_string())
}

pub(crate) fn graph(error: GraphError) -> PyErr {
    of_fault(Some(&error.fault), error.fault.to_string())
}

fn of_fault(fault: Option<&Fault>, message: String) -> PyErr {
    match fault {
        Some(Fault::Types { .. }) => PyTypeError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}

/// The exception for a call that did not run.
pub(crate) fn run(error: RunError) -> PyErr {
    let message = error.to_string();
    match error {
        RunError::DType { .. }
        | RunError::InputCount { .. }
        | RunError::NoInput { .. }
        | RunError::InputTwice { .. }
        | RunError::InputMissing { .. }
        | RunError::OutputCount { .. } => PyTypeError::new_err(message),
        RunError::OutOfMemory { .. } | RunError::TooLarge { .. } => PyMemoryError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}

/// The exception for what could not be measured.
pub(crate) fn profile(error: ProfileError) -> PyErr {
    match error {
        ProfileError::Run(error) => run(error),
        error => PyRuntimeError::new_err(error.to_string()),
    }
}
