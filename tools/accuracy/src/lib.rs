//! How wrong every op and composite of Kiln is, at worst.
//!
//! ```text
//! cargo run --release -p kiln-accuracy -- --all                 all of it, then ACCURACY.md
//! cargo run --release -p kiln-accuracy -- --ops exp,gelu        some, printed
//! cargo run --release -p kiln-accuracy -- --ops exp --stride 64 a sample of all f32
//! cargo run --release -p kiln-accuracy -- --products            products of matrices, printed
//! cargo run --release -p kiln-accuracy -- --rows                softmax, norms and losses, printed
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
mod graph;
mod measure;
mod points;
mod products;
mod program;
mod published;
mod real;
mod record;
mod report;
mod rows;
mod scan;
mod speed;
mod sweep;
mod ulp;
mod worst;

pub use big::{Big, apply as apply_big};
pub use cli::Cli;
pub use graph::exact;
pub use points::{Random, neighbour};
pub use real::correctly_rounded;
pub use worst::worst_cases;

use function::Function;
use kiln::DType;
use kiln::ir::Op;
use points::{few_special_points, random_point};
use ulp::{Verdict, judge};

/// The error of `got` as the result of `op` on `operands`, values of `dtype`, in ULP of the exact value,
/// good to a millionth. Infinite where it is wrong in kind: NaN or infinite or of another sign, that
/// of zero included. A correctly rounded `f64` counts as 0.5, where it is not always exact.
///
/// ```
/// use kiln::{DType, ir::Op};
///
/// let next = std::f64::consts::E.next_up();
/// let error = kiln_accuracy::error(Op::Exp, DType::F64, &[1.0], next);
/// assert!((0.5..1.5).contains(&error));
/// assert_eq!(kiln_accuracy::error(Op::Sin, DType::F32, &[-0.0], 0.0), f64::INFINITY);
/// ```
pub fn error(op: Op, dtype: DType, operands: &[f64], got: f64) -> f64 {
    let nearest = correctly_rounded(op, operands);
    let Verdict::Ulp { error, .. } = judge(dtype, got, nearest) else { return f64::INFINITY };
    let function = Function::Op(op);
    if dtype == DType::F32 || function.is_exact() || !nearest.is_finite() || nearest == 0.0 {
        return error;
    }
    if error == 0.0 {
        return 0.5;
    }
    let near = double::ulp_error(op, operands, nearest, got);
    let exact = || function.big(operands).map(|exact| exact.ulp_error(dtype, got));
    near.or_else(exact).unwrap_or(error)
}

/// Where to try an op in `dtype`: at limits, plain numbers, borders of its expansion's branches and
/// [`worst_cases`], which of two operands are paired, and at `random` random points.
pub fn cases(op: Op, dtype: DType, random: u64) -> Vec<Vec<f64>> {
    let function = Function::Op(op);
    let special = few_special_points(&function, dtype).into_iter();
    let points = special.chain((0..random).map(|index| random_point(&function, dtype, index)));
    points.map(|point| point[..op.arity()].to_vec()).collect()
}
