//! Fusion for the sizes of a call, where the text leaves shapes open.
//!
//! `x * exp(w)` is one kernel when nothing is known about shapes. Called with a small `w`, that
//! kernel computes `exp(w)` once for every element of `x`, which can be slower than two kernels. So
//! a graph in which that could happen is merged anew for the sizes of a call.

use super::cost_model::CostModel;
use super::inline::with_inputs;
use super::pass::{PassContext, checked};
use super::regions::{self, Domains, HOIST_COST};
use kiln_ir::{Dim, Graph, Input, Node, NodeId};
use std::collections::BTreeSet;

/// The pass `regions`: merges ops into as few kernels as pay off.
pub(crate) fn merge(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    if sizes_matter(graph, context.model) {
        context.unmerged = Some(graph.clone());
    }
    regions::merge(graph, &Domains::of(graph), context.model)
}

/// Whether sizes could change how the ops of `graph` are best merged: some dear part of it depends
/// on only some of the inputs, and no shape is declared.
fn sizes_matter(graph: &Graph, model: &CostModel) -> bool {
    let open = graph.inputs().iter().all(|input| input.dims.is_none());
    let mapped = !graph.nodes().iter().any(|node| matches!(node, Node::Call(..)));
    let part = |(id, _): (NodeId, &Node)| {
        let whole = graph.outputs().iter().any(|&output| graph.shape(output) == graph.shape(id));
        !whole && cost_below(graph, id, model) >= HOIST_COST
    };
    open && mapped && graph.iter().any(part)
}

/// The cost of a node and of everything it reads.
fn cost_below(graph: &Graph, id: NodeId, model: &CostModel) -> u64 {
    let mut seen = BTreeSet::from([id]);
    let mut pending = vec![id];
    let mut cost = 0;
    while let Some(id) = pending.pop() {
        cost += model.cost_of_node(graph, id);
        pending
            .extend(graph.node(id).operands().into_iter().filter(|&operand| seen.insert(operand)));
    }
    cost
}

/// Merges a simplified graph for calls in which the inputs marked `small` are much smaller than
/// the others. Shapes in the result are stand-ins.
pub fn merge_for_sizes(graph: &Graph, small: &[bool], model: &CostModel) -> Graph {
    let sized = |(input, &small): (&Input, &bool)| {
        let dims = if small { vec![] } else { vec![Dim::Symbol("large".into())] };
        Input { dims: Some(dims), ..input.clone() }
    };
    let inputs: Vec<Input> = graph.inputs().iter().zip(small).map(sized).collect();
    let sized = with_inputs(graph, &inputs);
    // Two large inputs need not have the same shape, nor two small ones.
    let merged = regions::merge(&sized, &Domains::of(graph), model);
    checked("merging for sizes", &sized, merged)
}
