//! Fusion for the sizes of a call, where the text leaves shapes open.
//!
//! `x * exp(w)` is one kernel when nothing is known about shapes. Called with a small `w`, that
//! kernel computes `exp(w)` once for every element of `x`, which can be slower than two kernels. So
//! a graph in which that could happen is merged anew for the sizes of a call.

use super::cost_model::CostModel;
use super::inline::{of_inputs, with_inputs};
use super::pass::{PassContext, Unmerged, checked};
use super::picks::picks;
use super::regions::{self, Domains, HOIST_COST, Separation};
use super::views::sink;
use crate::mode::Mode;
use kiln_ir::{Dim, Graph, GraphError, Input, Node, NodeId};
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeSet;

/// The pass `regions`: merges ops into as few kernels as pay off.
pub(crate) fn merge(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    context.unmerged = unmerged(graph, context.model);
    regions::merge(graph, &Domains::of(graph), context.model)
}

/// Why the kernels that the pass makes of a simplified graph are not fewer.
pub(crate) fn separations(graph: &Graph, model: &CostModel) -> Vec<Separation> {
    regions::separations(graph, &Domains::of(graph), model)
}

/// A copy of the graph, if the sizes of a call could change how its ops are best merged: no shape is
/// declared, and some dear part of it depends on only some of the inputs, or the shapes of outputs
/// could differ, or it has calls, which know more of shapes than elementwise ops.
fn unmerged(graph: &Graph, model: &CostModel) -> Option<Unmerged> {
    let open = graph.inputs().iter().all(|input| input.dims.is_none());
    if !open {
        return None;
    }
    if graph.nodes().iter().any(|node| matches!(node, Node::Call(..))) {
        let dear = Some(dear_inputs(graph, model));
        return Some(Unmerged {
            graph: graph.clone(),
            for_small: false,
            for_one_shape: false,
            dear,
        });
    }
    let shape = |output: &NodeId| graph.shape(*output);
    let is_dear_part = |(id, _): (NodeId, &Node)| {
        let whole = graph.outputs().iter().any(|output| shape(output) == graph.shape(id));
        !whole && cost_below(graph, id, model) >= HOIST_COST
    };
    let for_small = graph.iter().any(is_dear_part);
    let for_one_shape =
        graph.outputs().iter().any(|output| shape(output) != shape(&graph.outputs()[0]));
    (for_small || for_one_shape).then(|| Unmerged {
        graph: graph.clone(),
        for_small,
        for_one_shape,
        dear: None,
    })
}

/// Sets of inputs, not of all, that a dear part of a graph depends on alone: a reduction, a scan or a product, or many
/// ops. None holds another.
fn dear_inputs(graph: &Graph, model: &CostModel) -> Vec<Vec<usize>> {
    let count = graph.inputs().len();
    let mut sets: Vec<Set> = Vec::new();
    // Of each node, what it depends on, and what it costs with all that it reads, counted as often as it is read.
    let mut below: Vec<(Set, u64)> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let is_call = matches!(node, Node::Call(call, _) if call.fuses() && call.reads());
        let mut cost = if is_call { HOIST_COST } else { model.cost_of_node(graph, id) };
        let mut inputs: Set = smallvec![0; count.div_ceil(64)];
        if let Node::Input(index) = node {
            inputs[*index as usize / 64] |= 1 << (index % 64);
        }
        for operand in node.operands() {
            let (known, more) = &below[operand.index()];
            inputs.iter_mut().zip(known).for_each(|(all, known)| *all |= known);
            cost = cost.saturating_add(*more);
        }
        let members: u32 = inputs.iter().map(|word| word.count_ones()).sum();
        if cost >= HOIST_COST && (1..count).contains(&(members as usize)) {
            let holds = |set: &Set, other: &Set| set.iter().zip(other).all(|(a, b)| a & b == *b);
            if !sets.iter().any(|set| holds(&inputs, set)) {
                sets.retain(|set| !holds(set, &inputs));
                sets.push(inputs.clone());
            }
        }
        below.push((inputs, cost));
    }
    let members = |set: Set| (0..count).filter(|at| set[at / 64] >> (at % 64) & 1 == 1).collect();
    sets.into_iter().map(members).collect()
}

/// Inputs, a bit for each.
type Set = SmallVec<[u64; 1]>;

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
/// the others; if all have `one_shape`, those are single elements, and the others have that shape.
/// Shapes in the result are stand-ins.
pub fn merge_for_sizes(graph: &Graph, small: &[bool], one_shape: bool, model: &CostModel) -> Graph {
    let sized = |(input, &small): (&Input, &bool)| {
        let dims = if small { vec![] } else { vec![Dim::Symbol("large".into())] };
        Input { dims: Some(dims), ..input.clone() }
    };
    let inputs: Vec<Input> = graph.inputs().iter().zip(small).map(sized).collect();
    let sized = with_inputs(graph, &inputs);
    // Two large inputs need not have the same shape, nor two small ones.
    let domains = Domains::of(if one_shape { &sized } else { graph });
    let merged = regions::merge(&sized, &domains, model);
    checked("merging for sizes", &sized, merged)
}

/// Merges a simplified graph for calls whose inputs have shapes of which `dims` are the pattern. Shapes in the result are
/// stand-ins. Fails where no call has such shapes.
pub(crate) fn merge_for_shapes(
    graph: &Graph,
    dims: impl Iterator<Item = Vec<Dim>>,
    model: &CostModel,
) -> Result<Graph, GraphError> {
    let shaped = |(input, dims): (&Input, Vec<Dim>)| Input { dims: Some(dims), ..input.clone() };
    let inputs: Vec<Input> = graph.inputs().iter().zip(dims).map(shaped).collect();
    // Where axes are known to be equal, more is picked early and read where it lies, by the same ops.
    let mut context = PassContext::new(Mode::Strict, model);
    let shaped = sink(&picks(&of_inputs(graph, &inputs)?, &mut context), &mut context);
    let merged = regions::merge(&shaped, &Domains::of(&shaped), model);
    Ok(checked("merging for shapes", &shaped, merged))
}
