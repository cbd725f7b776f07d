//! The native part of the Python package `kiln`: kernels that are called with NumPy arrays.
//!
//! ```text
//! text ── Variants ── kiln::Kernel        compiled once for each list of element types
//! args ── Bindings ── Call ── Views ── run ── results ── NumPy arrays
//!
//! text ── kiln.numexpr ── Expression ── kiln::Kernel         what numexpr's functions evaluate
//! names ── Scope ── promoted ── Views ── run ── results
//! ```

mod arguments;
mod array;
mod arrow;
mod dispatch;
mod dtype;
mod error;
mod evaluate;
mod expression;
mod html;
mod kernel;
mod look;
mod options;
mod promote;
mod recent;
mod results;
mod run;
mod scope;
mod signals;
mod traits;
mod variants;

use kiln::explain::Stage;
use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _kiln {
    #[pymodule_export]
    use crate::array::py_as_array;
    #[pymodule_export]
    use crate::dispatch::Dispatch;
    #[pymodule_export]
    use crate::evaluate::{evaluate, re_evaluate, set_threads, validate};
    #[pymodule_export]
    use crate::expression::Expression;
    #[pymodule_export]
    use crate::kernel::{PyKernel, compile_text, restore};
    #[pymodule_export]
    use crate::look::{Memory, Profile, Roofline, roofline};
    #[pymodule_export]
    use crate::stages;
}

/// The stages that `Kernel.explain` shows, each with what it is. Cranelift's is not built where Kiln's own
/// emitters serve.
#[pyfunction]
fn stages() -> Vec<(String, &'static str)> {
    let is_built =
        |stage: &Stage| !matches!(stage, Stage::Clif) || cfg!(not(target_arch = "x86_64"));
    let stages = Stage::all().into_iter().filter(|(stage, _)| is_built(stage));
    stages.map(|(stage, shows)| (stage.to_string(), shows)).collect()
}
