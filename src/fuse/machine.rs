//! What fusion must know of the machine code: what ops cost, and what they compute of numbers.
//!
//! The pipeline fills it in from what `lower` really makes, so that a new op has both as soon as
//! it can be lowered. Costs are integers: extraction never depends on rounding.

use super::term::{Head, Term};
use kiln_ir::{DType, Node, Op};

/// The cost of each op on one element, in tenths of an `add`, and the arithmetic of kernels.
#[derive(Clone, Debug)]
pub struct Machine {
    costs: Vec<u64>,
    /// An op on numbers of a type, with the bits that a kernel would compute.
    pub(super) compute: fn(Op, DType, &[f64]) -> f64,
}

impl Machine {
    /// A machine from the cost of each op and from its arithmetic.
    pub fn new(cost: impl Fn(Op) -> u64, compute: fn(Op, DType, &[f64]) -> f64) -> Machine {
        Machine { costs: Op::ALL.iter().map(|&op| cost(op)).collect(), compute }
    }

    /// The cost of a node by itself.
    pub(super) fn cost_of_node(&self, node: &Node) -> u64 {
        match node {
            Node::Op(op, _) => self.costs[*op as usize],
            _ => 0,
        }
    }

    /// The cost of a term by itself, without its children.
    pub(super) fn cost_of_term(&self, term: &Term) -> u64 {
        match term.head() {
            // Nearly free, but not quite: of equal programs the one with fewer numbers wins.
            Head::Input(_) => 0,
            Head::Const(..) => 1,
            Head::Op(op) => self.costs[op as usize],
            Head::Matmul => 100_000,
        }
    }
}
