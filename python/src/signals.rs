//! Ctrl-C during long runs.

use kiln::{RunError, interruptible};
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::OnceCell;
use std::sync::{Mutex, PoisonError};

/// Does work that may take long, while other threads of Python run, and ends it early if a signal's
/// handler raises an exception, as that of Ctrl-C does. Fails with that exception.
pub(crate) fn detached<R: Send, E: From<RunError> + Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<R, E> + Send,
) -> PyResult<Result<R, E>> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let done = py.detach(|| {
        // Handlers run on the main thread alone, and other ones need not wait for the interpreter.
        let handles = OnceCell::new();
        let ask = || {
            if handles.get() == Some(&false) {
                return false;
            }
            let asked = Python::attach(|py| {
                handles.set(is_main(py)?).ok();
                py.check_signals()
            });
            let is_over = asked.is_err();
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = asked.err();
            is_over
        };
        interruptible(&ask, work)
    });
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(done),
    }
}

/// Whether this is the interpreter's main thread.
fn is_main(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    let own = threading.call_method0(intern!(py, "get_ident"))?;
    main.getattr(intern!(py, "ident"))?.eq(own)
}
