//! How wrong every op and composite of Kiln is, at worst.
//!
//! ```text
//! cargo run --release -p kiln-accuracy -- --all                 all of it, then ACCURACY.md
//! cargo run --release -p kiln-accuracy -- --ops exp,gelu        some, printed
//! cargo run --release -p kiln-accuracy -- --ops exp --stride 64 a sample of all f32
//! ```
//!
//! Functions of one `f32` are tried on all 2^32 inputs (`exhaustive`), the others on dense and
//! random samples (`sweep`); an error is what `ulp` says. What was measured is kept in a state
//! file, range by range: a run that is broken off goes on where it was, and a function whose code
//! did not change is not measured again.

mod big;
mod cli;
mod double;
mod exhaustive;
mod formulas;
mod function;
mod measure;
mod points;
mod program;
mod published;
mod real;
mod record;
mod report;
mod scan;
mod speed;
mod sweep;
mod ulp;
mod worst;

pub use cli::Cli;
pub use real::correctly_rounded;
pub use worst::worst_cases;

use function::Function;
use kiln::DType;
use kiln::ir::Op;

/// The error of `got`, a finite result of type `dtype`, in ULP of the exact value, good to a millionth
/// of an ULP.
///
/// `None` where an `f64` can hold the exact result (it is exact, zero, infinite or NaN).
///
/// ```
/// use kiln::{DType, ir::Op};
///
/// let error = kiln_accuracy::error(Op::Exp, DType::F64, &[1.0], std::f64::consts::E).unwrap();
/// assert!(error < 0.5);
/// ```
pub fn error(op: Op, dtype: DType, operands: &[f64], got: f64) -> Option<f64> {
    let function = Function::Op(op);
    if !got.is_finite() || function.is_exact() {
        return None;
    }
    let near = || double::ulp_error(op, operands, correctly_rounded(op, operands), got);
    let quick = if dtype == DType::F64 { near() } else { None };
    quick.or_else(|| Some(function.big(operands)?.ulp_error(dtype, got)))
}
