//! What a region costs: bytes moved, passes over memory and ops.

use super::legal::is_scan;
use super::region::Region;
use crate::fuse::cost_model::CostModel;
use kiln_ir::{Call, Dim, Graph, Node, NodeId, Shape};

/// From this cost an element on, a producer over a smaller domain is worth a pass of its own (half
/// a transcendental function). Below it, computing it again for every element is hidden behind
/// memory.
pub(in crate::fuse) const HOIST_COST: u64 = 100;
/// A byte moved between memory and registers, in the unit of [`CostModel`] (tenths of an `add`): a
/// store and a load of an `f32` cost about as much as eight vector ops.
const BYTE_COST: u64 = 10;
/// Starting a pass over memory, in the same unit: about a microsecond.
const PASS_COST: u64 = 20_000;
/// To compute the left operand of a product some rows at a time: of what else saves as much, more is gained.
const PROLOGUE_COST: u64 = 1_000;
/// What an axis of unknown size counts as.
const SYMBOL_SIZE: u64 = 1 << 10;
/// What an array of unknown rank counts as.
const OPEN_SIZE: u64 = 1 << 20;
/// The largest size that enters a cost, so that sums of products fit.
const MAX_SIZE: u64 = 1 << 32;

/// A term of a product, in tenths of an `add`.
const TERM_COST: u64 = 10;
/// The largest number of terms that enters a cost.
const MAX_TERMS: u64 = 1 << 12;
/// Merging an element into what a reduction has so far, in tenths of an `add`.
const MERGE_COST: u64 = 10;
/// Adding an element to what a scan has so far, in tenths of an `add`: each waits for the one before. On a Xeon 6 it takes
/// some .4 ns, what reading and writing an element takes in memory.
const SCAN_COST: u64 = 150;

/// Bytes moved, passes and ops, each weighted by the size it is done for: that of the largest array, or of a
/// second product.
pub(super) fn cost(region: &Region, graph: &Graph, model: &CostModel) -> u64 {
    let (before, after) = parts(region, graph);
    let reduced = region.ops.iter().filter_map(|&id| match graph.node(id) {
        Node::Call(Call::Reduce(_) | Call::Scan(_), args) => Some(args[0]),
        _ => None,
    });
    let outputs = region.outputs.iter().copied().filter(|output| !after.contains(output));
    let sizes = outputs.chain(reduced).map(|id| size(graph.shape(id)));
    let second = after.first().copied();
    // What a product has on its left, if that is computed here.
    let left = second.map(|second| size(graph.shape(graph.node(second).operands()[0])));
    let domain = sizes.chain(left).max().unwrap_or(1);
    let loads: u64 = region.operands(graph).into_iter().map(|id| traffic(graph, id)).sum();
    let stores: u64 = region.outputs.iter().map(|&id| traffic(graph, id)).sum();
    let products = region.ops.iter().map(|&id| cost_of_product(graph, id));
    let of_second = second.map_or(0, |second| size(graph.shape(second)));
    let has_first = before.iter().any(|&id| cost_of_terms(graph, id) > 0);
    let prologue = if second.is_some() && !has_first { PROLOGUE_COST } else { 0 };
    PASS_COST
        + loads
        + stores
        + prologue
        + cost_before(&before, domain, graph, model)
        + cost_of_ops(&after, graph, model) * of_second
        + products.sum::<u64>()
}

/// What ops cost in all: each for every element of the domain, but for those on what rows become, which are done once
/// for a row.
fn cost_before(ops: &[NodeId], domain: u64, graph: &Graph, model: &CostModel) -> u64 {
    let mut of_rows: Vec<NodeId> = Vec::new();
    let cost = |&op: &NodeId| {
        let (node, own) = (graph.node(op), size(graph.shape(op)));
        let is_reduction = matches!(node, Node::Call(Call::Reduce(_), _));
        let is_of_rows = !is_reduction
            && own < domain
            && node.operands().iter().any(|operand| of_rows.contains(operand));
        if is_reduction || is_of_rows {
            of_rows.push(op);
        }
        cost_of_ops(&[op], graph, model) * if is_of_rows { own } else { domain }
    };
    ops.iter().map(cost).sum()
}

/// The ops of a region, and those of a product of what they compute: that, and what is computed of it.
fn parts(region: &Region, graph: &Graph) -> (Vec<NodeId>, Vec<NodeId>) {
    let is_product =
        |id: NodeId| matches!(graph.node(id), Node::Call(call, _) if call.multiplies());
    let is_computed = |id: NodeId| region.ops.contains(&graph.node(id).operands()[0]);
    let second = region.ops.iter().copied().find(|&id| is_product(id) && is_computed(id));
    let mut after: Vec<NodeId> = Vec::new();
    let is_after = |&id: &NodeId| {
        let is_after = second == Some(id)
            || !after.is_empty() && graph.node(id).operands().iter().any(|id| after.contains(id));
        if is_after {
            after.push(id);
        }
        !is_after
    };
    let before = region.ops.iter().copied().filter(is_after).collect();
    (before, after)
}

/// Whether a region is worth a pass of its own if it has far fewer elements than its consumer.
pub(super) fn is_dear(region: &Region, graph: &Graph, model: &CostModel) -> bool {
    let terms = region.ops.iter().map(|&id| cost_of_terms(graph, id)).sum::<u64>();
    cost_of_ops(&region.ops, graph, model) + terms >= HOIST_COST
}

/// Whether a producer has far fewer elements than what reads it.
pub(super) fn is_smaller(graph: &Graph, producer: NodeId, consumer: NodeId) -> bool {
    16 * size(graph.shape(producer)) <= size(graph.shape(consumer))
}

/// What it costs to load or store a value.
pub(super) fn traffic(graph: &Graph, id: NodeId) -> u64 {
    BYTE_COST * graph.dtype(id).size() as u64 * size(graph.shape(id))
}

/// What a call costs that is a pass by itself.
pub(super) fn cost_of_call(graph: &Graph, id: NodeId) -> u64 {
    let operands = graph.node(id).operands();
    if matches!(graph.node(id), Node::Call(call, _) if call.is_free()) {
        return 0;
    }
    let moved = traffic(graph, id) + operands.iter().map(|&id| traffic(graph, id)).sum::<u64>();
    let scanned = match graph.node(id) {
        node if is_scan(node) => SCAN_COST * size(graph.shape(id)),
        _ => 0,
    };
    PASS_COST + moved + scanned + cost_of_product(graph, id)
}

/// What all elements of a product cost; nothing for other calls.
fn cost_of_product(graph: &Graph, id: NodeId) -> u64 {
    cost_of_terms(graph, id) * size(graph.shape(id))
}

/// What an element of a product costs; nothing for other calls.
fn cost_of_terms(graph: &Graph, id: NodeId) -> u64 {
    let Node::Call(call, args) = graph.node(id) else { return 0 };
    if !call.multiplies() {
        return 0;
    }
    let inner = graph.shape(args[0]).dims().and_then(|dims| dims.last());
    TERM_COST * inner.map_or(SYMBOL_SIZE, size_of).min(MAX_TERMS)
}

fn cost_of_ops(ops: &[NodeId], graph: &Graph, model: &CostModel) -> u64 {
    let cost = |&op: &NodeId| match graph.node(op) {
        Node::Call(call, _) if call.multiplies() => 0,
        Node::Call(Call::Scan(_), _) => SCAN_COST,
        Node::Call(..) => MERGE_COST,
        _ => model.cost_of_node(graph, op),
    };
    ops.iter().map(cost).sum()
}

/// The number of elements that a shape counts as.
fn size(shape: &Shape) -> u64 {
    let Some(dims) = shape.dims() else { return OPEN_SIZE };
    let sizes = dims.iter().map(size_of);
    sizes.fold(1u64, |product, size| product.saturating_mul(size).min(MAX_SIZE))
}

fn size_of(dim: &Dim) -> u64 {
    match dim {
        Dim::Size(size) => *size as u64,
        Dim::Symbol(_) => SYMBOL_SIZE,
    }
}
