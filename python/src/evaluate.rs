//! numexpr's functions: expressions by their text, with variables from the caller's frame.

use crate::expression::{Expression, Giving, THREADS};
use crate::scope::Scope;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use smallvec::SmallVec;
use std::sync::atomic::Ordering;

/// The most expressions that are kept, as in numexpr.
const MOST_EXPRESSIONS: usize = 256;

/// Expressions by their text, and by text and optimization where that is not the usual one.
static EXPRESSIONS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// What `re_evaluate` evaluates, in a `ContextVar`: an expression, or with `out`, order and casting.
static LAST: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What `evaluate` looks at, by numexpr's names, besides the expression.
struct Request<'a, 'py> {
    sanitize: Option<bool>,
    context: Option<&'a Bound<'py, PyDict>>,
    disable_cache: bool,
}

/// Evaluates an expression such as "2*a + 3*b" on arrays of the caller's frame.
///
/// local_dict and global_dict are looked at instead, if given; results go into out, if given, in the
/// order of axes and by the rule of casting that order and casting name. optimization ("none",
/// "moderate", "aggressive") decides the type of powers of integers, as in numexpr.
#[pyfunction]
#[pyo3(signature = (
    ex, local_dict=None, global_dict=None, out=None, order="K", casting="same_kind", sanitize=None,
    _frame_depth=3, disable_cache=false, **kwargs
))]
#[expect(clippy::too_many_arguments, reason = "they are numexpr's")]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    ex: &Bound<'py, PyAny>,
    local_dict: Option<&Bound<'py, PyAny>>,
    global_dict: Option<&Bound<'py, PyAny>>,
    out: Option<&Bound<'py, PyAny>>,
    order: &str,
    casting: &str,
    sanitize: Option<bool>,
    _frame_depth: usize,
    disable_cache: bool,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let request = Request { sanitize, context: kwargs, disable_cache };
    let expression = expression(py, ex, &request)?;
    let giving = Giving { out, order, casting };
    check_casting(casting)?;
    let objects = objects(py, expression.get(), local_dict, global_dict, _frame_depth)?;
    let result = expression.get().run(py, &objects, &giving)?;
    if !disable_cache {
        remember(py, &expression, &giving)?;
    }
    Ok(result)
}

/// Checks an expression and its variables without evaluating it. Returns the exception that evaluate
/// would raise, or None; then re_evaluate may follow.
#[pyfunction]
#[pyo3(signature = (
    ex, local_dict=None, global_dict=None, out=None, order="K", casting="safe", _frame_depth=2,
    sanitize=None, **kwargs
))]
#[expect(clippy::too_many_arguments, reason = "they are numexpr's")]
pub(crate) fn validate<'py>(
    py: Python<'py>,
    ex: &Bound<'py, PyAny>,
    local_dict: Option<&Bound<'py, PyAny>>,
    global_dict: Option<&Bound<'py, PyAny>>,
    out: Option<&Bound<'py, PyAny>>,
    order: &str,
    casting: &str,
    _frame_depth: usize,
    sanitize: Option<bool>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> Option<PyErr> {
    let request = Request { sanitize, context: kwargs, disable_cache: false };
    let check = || {
        let expression = expression(py, ex, &request)?;
        check_casting(casting)?;
        let depth = _frame_depth + 1;
        let objects = objects(py, expression.get(), local_dict, global_dict, depth)?;
        expression.get().check(py, &objects, casting)?;
        remember(py, &expression, &Giving { out, order, casting })
    };
    check().err()
}

/// Evaluates the expression of the last evaluate or validate again, on what its names stand for now.
#[pyfunction]
#[pyo3(signature = (local_dict=None, global_dict=None, _frame_depth=2))]
pub(crate) fn re_evaluate<'py>(
    py: Python<'py>,
    local_dict: Option<&Bound<'py, PyAny>>,
    global_dict: Option<&Bound<'py, PyAny>>,
    _frame_depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let last = last(py)?.call_method1(intern!(py, "get"), (py.None(),))?;
    let run = |expression: &Bound<'py, Expression>, giving: &Giving<'_, 'py>| {
        let expression = expression.get();
        let objects = objects(py, expression, local_dict, global_dict, _frame_depth + 1)?;
        expression.run(py, &objects, giving)
    };
    if let Ok(expression) = last.cast::<Expression>() {
        return run(expression, &Giving { out: None, order: "K", casting: "same_kind" });
    }
    let Ok(last) = last.cast::<PyTuple>() else {
        return Err(PyRuntimeError::new_err(
            "A previous evaluate() execution was not found, please call `validate` or `evaluate` once \
             before `re_evaluate`",
        ));
    };
    let expression = last.get_item(0)?;
    let (out, order, casting) = (last.get_item(1)?, last.get_item(2)?, last.get_item(3)?);
    // A weak reference, which is None by now if nobody has the array any more.
    let out = if out.is_none() { None } else { Some(out.call0()?).filter(|out| !out.is_none()) };
    let (order, casting): (String, String) = (order.extract()?, casting.extract()?);
    run(expression.cast()?, &Giving { out: out.as_ref(), order: &order, casting: &casting })
}

/// Refuses a rule of casting that there is not, whether it is needed or not.
#[inline]
fn check_casting(casting: &str) -> PyResult<()> {
    match casting {
        "same_kind" | "safe" | "no" | "equiv" | "unsafe" => Ok(()),
        _ => Err(PyValueError::new_err(format!(
            "casting must be one of 'no', 'equiv', 'safe', 'same_kind', or 'unsafe' (got '{casting}')"
        ))),
    }
}

/// The most threads that an evaluation uses; returns what it was.
#[pyfunction]
pub(crate) fn set_threads(threads: usize) -> usize {
    THREADS.swap(threads.max(1), Ordering::Relaxed)
}

/// The expression of a text, read if it was not seen before.
#[inline]
fn expression<'py>(
    py: Python<'py>,
    text: &Bound<'py, PyAny>,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, Expression>> {
    let known = EXPRESSIONS.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    if request.context.is_none()
        && !request.disable_cache
        && text.is_exact_instance_of::<PyString>()
        && let Some(expression) = known.get_item(text)?
    {
        return Ok(expression.cast_into()?);
    }
    read(py, text, request, known)
}

/// Reads an expression, or finds one that was read with keyword arguments.
fn read<'py>(
    py: Python<'py>,
    text: &Bound<'py, PyAny>,
    request: &Request<'_, 'py>,
    known: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, Expression>> {
    if !text.is_instance_of::<PyString>() {
        return Err(PyValueError::new_err("must specify expression as a string"));
    }
    let translate = py.import(intern!(py, "kiln.numexpr._translate"))?;
    let mut key = text.clone();
    let mut optimization = None;
    if let Some(context) = request.context {
        let named = translate.call_method1(intern!(py, "check_context"), (context,))?;
        if named.to_string() != "aggressive" {
            key = PyTuple::new(py, [text, &named])?.into_any();
        }
        optimization = Some(named);
    }
    if !request.disable_cache
        && let Some(expression) = known.get_item(&key)?
    {
        return Ok(expression.cast_into()?);
    }
    let parse = translate.getattr(intern!(py, "parse"))?;
    let parsed = match optimization {
        None => parse.call1((text, request.sanitize))?,
        Some(optimization) => parse.call1((text, request.sanitize, optimization))?,
    };
    let expression = py.get_type::<Expression>().call1((parsed,))?.cast_into::<Expression>()?;
    if !request.disable_cache {
        if known.len() >= MOST_EXPRESSIONS {
            for oldest in known.keys().iter().take(MOST_EXPRESSIONS / 10) {
                known.del_item(oldest)?;
            }
        }
        known.set_item(key, &expression)?;
    }
    Ok(expression)
}

/// What the names of an expression stand for.
#[inline]
fn objects<'py>(
    py: Python<'py>,
    expression: &Expression,
    local_dict: Option<&Bound<'py, PyAny>>,
    global_dict: Option<&Bound<'py, PyAny>>,
    depth: usize,
) -> PyResult<SmallVec<[Bound<'py, PyAny>; 8]>> {
    // The caller's frame is the one that runs, for a function in Rust has none.
    let scope = Scope::new(py, local_dict, global_dict, depth.saturating_sub(3))?;
    expression.names.iter().map(|name| scope.get(name.bind(py))).collect()
}

/// Has `re_evaluate` find what was evaluated.
#[inline]
fn remember<'py>(
    py: Python<'py>,
    expression: &Bound<'py, Expression>,
    giving: &Giving<'_, 'py>,
) -> PyResult<()> {
    let last = last(py)?;
    let set = intern!(py, "set");
    if giving.out.is_none() && giving.order == "K" && giving.casting == "same_kind" {
        last.call_method1(set, (expression,))?;
        return Ok(());
    }
    let out = match giving.out {
        None => py.None().into_bound(py),
        Some(out) => py.import(intern!(py, "weakref"))?.getattr("ref")?.call1((out,))?,
    };
    last.call_method1(set, ((expression, out, giving.order, giving.casting),))?;
    Ok(())
}

fn last(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let last = LAST.get_or_try_init(py, || {
        let variable = py.import("contextvars")?.getattr("ContextVar")?;
        variable.call1(("kiln.numexpr.last",)).map(Bound::unbind)
    })?;
    Ok(last.bind(py))
}
