//! A set of ops that runs as one kernel: what it loads, and what it costs.

use crate::fuse::cost_model::CostModel;
use kiln_ir::{Dim, Graph, Node, NodeId, Shape};
use std::collections::HashSet;

/// A byte moved between memory and registers, in the unit of [`CostModel`] (tenths of an `add`): a
/// store and a load of an `f32` cost about as much as eight vector ops.
const BYTE_COST: u64 = 10;
/// Starting a pass over memory, in the same unit: about a microsecond.
const PASS_COST: u64 = 20_000;
/// What an axis of unknown size counts for.
const SYMBOL_SIZE: u64 = 1 << 10;
/// What an array of unknown rank counts for.
const OPEN_SIZE: u64 = 1 << 20;
/// The largest size that enters a cost, so that sums of products fit.
const MAX_SIZE: u64 = 1 << 32;

/// What a region computes: ops in topological order, and which of their values are stored.
///
/// An output may also be an input or a number: a kernel that copies or fills.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kernel {
    pub(super) ops: Vec<NodeId>,
    pub(super) outputs: Vec<NodeId>,
}

impl Kernel {
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

    /// Bytes moved, passes and ops, each weighted by the size of what it is done for.
    pub(super) fn cost(&self, graph: &Graph, model: &CostModel) -> u64 {
        let domain = self.outputs.iter().map(|&id| size(graph.shape(id))).max().unwrap_or(1);
        let ops: u64 = self.ops.iter().map(|&op| model.cost_of_node(graph, op)).sum();
        let loads: u64 = self.operands(graph).into_iter().map(|id| traffic(graph, id)).sum();
        let stores: u64 = self.outputs.iter().map(|&id| traffic(graph, id)).sum();
        PASS_COST + loads + stores + ops * domain
    }
}

/// What it costs to load or to store a value.
pub(super) fn traffic(graph: &Graph, id: NodeId) -> u64 {
    BYTE_COST * graph.dtype(id).size() as u64 * size(graph.shape(id))
}

/// The number of elements that a shape counts for.
pub(super) fn size(shape: &Shape) -> u64 {
    let Some(dims) = shape.dims() else { return OPEN_SIZE };
    let sizes = dims.iter().map(|dim| match dim {
        Dim::Size(size) => *size as u64,
        Dim::Symbol(_) => SYMBOL_SIZE,
    });
    sizes.fold(1u64, |product, size| product.saturating_mul(size).min(MAX_SIZE))
}
