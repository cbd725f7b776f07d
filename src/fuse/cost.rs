//! What ops cost: integers, so that extraction never depends on rounding.

use super::term::{Head, Term};
use kiln_ir::{Graph, Node, Op};

/// The cost of each op on one element, in tenths of an `add`.
///
/// The pipeline makes it from what `lower` really emits, so a new op has a cost as soon as it can
/// be lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpCosts(Vec<u64>);

impl OpCosts {
    /// A table from a function of the op.
    pub fn from_fn(cost: impl Fn(Op) -> u64) -> OpCosts {
        OpCosts(Op::ALL.iter().map(|&op| cost(op)).collect())
    }

    /// The cost of an op.
    pub fn of(&self, op: Op) -> u64 {
        self.0[op as usize]
    }

    /// The cost of all ops of a graph, outside of fused bodies.
    pub fn of_graph(&self, graph: &Graph) -> u64 {
        graph.nodes().iter().map(|node| self.of_node(node)).sum()
    }

    /// The cost of a node by itself.
    pub(super) fn of_node(&self, node: &Node) -> u64 {
        match node {
            Node::Op(op, _) => self.of(*op),
            _ => 0,
        }
    }

    /// The cost of a term by itself, without its children.
    pub(super) fn of_term(&self, term: &Term) -> u64 {
        match term.head() {
            // Nearly free, but not quite: of equal programs the one with fewer numbers wins.
            Head::Input(_) => 0,
            Head::Const(..) => 1,
            Head::Op(op) => self.of(op),
            Head::Matmul => 100_000,
        }
    }
}
