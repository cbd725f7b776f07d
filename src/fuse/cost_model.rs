//! What fusion must know about the machine code: what ops cost, and what they make of numbers.
//!
//! The pipeline fills it in from what `lower` really makes, so a new op has both as soon as it can
//! be lowered. Costs are integers: extraction never depends on rounding.

use super::term::{Head, Term};
use kiln_ir::{DType, Graph, Node, NodeId, Op};
use std::sync::OnceLock;

/// The cost of each op on one element, in tenths of an `add`, and the arithmetic of kernels.
#[derive(Debug)]
pub struct CostModel {
    cost: fn(Op, DType) -> u64,
    /// The costs of ops on `f32`, and of those on `f64`: an approximation for the wider type is
    /// another program, and of two ops the cheaper one may be the other. An op is lowered to learn
    /// its cost, so only those that come up are.
    costs: [Vec<OnceLock<u64>>; 2],
    /// An op on numbers of a type, with the bits that a kernel would compute.
    pub(super) compute: fn(Op, DType, &[f64]) -> f64,
}

impl CostModel {
    /// A model from the cost of each op, on `f32` and on `f64`, and from its arithmetic.
    pub fn new(cost: fn(Op, DType) -> u64, compute: fn(Op, DType, &[f64]) -> f64) -> CostModel {
        let costs = [(); 2].map(|()| vec![OnceLock::new(); Op::ALL.len()]);
        CostModel { cost, costs, compute }
    }

    fn cost_of_op(&self, op: Op, operand: DType) -> u64 {
        let dtype = if operand == DType::F64 { DType::F64 } else { DType::F32 };
        let known = &self.costs[usize::from(dtype == DType::F64)][op as usize];
        *known.get_or_init(|| (self.cost)(op, dtype))
    }

    /// The cost of a node by itself.
    pub(super) fn cost_of_node(&self, graph: &Graph, node: NodeId) -> u64 {
        match graph.node(node) {
            Node::Op(op, args) => self.cost_of_op(*op, graph.dtype(args[args.len() - 1])),
            _ => 0,
        }
    }

    /// The cost of a term by itself, without its children; the last of them has this type.
    pub(super) fn cost_of_term(&self, term: &Term, operand: DType) -> u64 {
        match term.head() {
            // Nearly free, but not quite: among equal programs, the one with fewer numbers wins.
            Head::Input(_) => 0,
            Head::Const(..) => 1,
            Head::Op(op) => self.cost_of_op(op, operand),
            Head::Call(_) => 100_000,
        }
    }
}
