//! What ops cost: integers, so that extraction never depends on rounding.

use super::term::{Head, Term};
use kiln_ir::Op;

/// The cost of one op on one element, in tenths of an `add`.
///
/// Counted in primitives of the expansions (`lower`), a division or square root as five. A test
/// compares this table with what `lower` really emits.
pub(crate) fn op_cost(op: Op) -> u64 {
    match op {
        Op::Neg | Op::Not | Op::Abs | Op::And | Op::Or => 8,
        Op::Add | Op::Sub | Op::Mul | Op::Fma => 10,
        Op::CopySign | Op::Select | Op::Floor | Op::Ceil | Op::Round | Op::Trunc => 12,
        Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Eq | Op::Ne => 10,
        Op::ToF32 | Op::ToF64 | Op::ToBool => 15,
        Op::Min | Op::Max => 25,
        Op::Clamp | Op::Sign => 35,
        Op::Div | Op::Recip | Op::Sqrt => 50,
        Op::Rsqrt => 100,
        Op::Exp | Op::Exp2 => 200,
        Op::Expm1 | Op::Sigmoid => 260,
        Op::Log | Op::Log2 | Op::Log10 => 280,
        Op::Log1p | Op::Erf => 350,
        Op::Tanh => 380,
        Op::Cbrt | Op::Rem | Op::Hypot => 300,
        Op::Sin | Op::Cos | Op::Asin | Op::Acos | Op::Atan => 350,
        Op::Sinh | Op::Cosh | Op::Tan => 400,
        Op::Asinh | Op::Acosh | Op::Atanh | Op::Atan2 => 500,
        Op::Erfc => 600,
        Op::Pow => 900,
    }
}

/// The cost of a term by itself, without its children.
pub(crate) fn term_cost(term: &Term) -> u64 {
    match term.head() {
        // Nearly free, but not quite: of equal programs the one with fewer numbers wins.
        Head::Input(_) => 0,
        Head::Const(..) => 1,
        Head::Op(op) => op_cost(op),
        Head::Matmul => 100_000,
    }
}
