//! A region: a set of ops that runs as one kernel.

use kiln_ir::{Graph, Node, NodeId};
use std::collections::HashSet;

/// What a region computes: ops in topological order, and which of their values are stored.
///
/// An output may also be an input or a number: such a kernel copies or fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) ops: Vec<NodeId>,
    pub(super) outputs: Vec<NodeId>,
}

impl Region {
    /// A region that only copies or fills.
    pub(super) fn of_no_ops(output: NodeId) -> Region {
        Region { ops: vec![], outputs: vec![output] }
    }

    /// What it loads, in order of first use.
    pub(super) fn operands(&self, graph: &Graph) -> Vec<NodeId> {
        let inside: HashSet<NodeId> = self.ops.iter().copied().collect();
        let mut seen = HashSet::new();
        let mut operands = Vec::new();
        let read = self.ops.iter().flat_map(|&op| graph.node(op).operands());
        let copied = self.outputs.iter().copied().filter(|output| !inside.contains(output));
        for id in read.chain(copied) {
            let loaded = !inside.contains(&id) && !matches!(graph.node(id), Node::Const(_));
            if loaded && seen.insert(id) {
                operands.push(id);
            }
        }
        operands
    }
}
