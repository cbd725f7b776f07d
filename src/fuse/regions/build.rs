//! The chosen regions as a graph.

use super::region::Region;
use super::ways::RegionNode;
use crate::fuse::extract::ClassId;
use kiln_ir::{Call, Graph, Node, NodeId, View};
use std::collections::HashMap;

/// Chosen classes, children first, as a graph; `roots` are those of the outputs.
pub(super) fn build<'w>(
    graph: &Graph,
    roots: &[ClassId],
    chosen: impl Iterator<Item = (ClassId, &'w RegionNode, &'w [ClassId])>,
) -> Graph {
    let mut result = Graph::with_inputs(graph.name(), graph.inputs());
    let mut built: HashMap<ClassId, NodeId> = HashMap::new();
    for (class, node, children) in chosen {
        let children: Vec<NodeId> = children.iter().map(|child| built[child]).collect();
        let id = match node {
            RegionNode::Input(id) => copy(&mut result, graph, *id, &[]),
            RegionNode::Call(_, call) => {
                result.call(*call, &children).expect("shapes were valid before")
            }
            RegionNode::Item(index) => item(&mut result, children[0], *index),
            RegionNode::Region(region) => {
                let fused = add_fused(graph, region, children, &mut result);
                match region.outputs.len() {
                    1 => item(&mut result, fused, 0),
                    _ => fused,
                }
            }
        };
        built.insert(class, id);
    }
    let mut used: HashMap<NodeId, usize> = HashMap::new();
    let read = result.nodes().iter().flat_map(Node::operands);
    let given = roots.iter().map(|class| built[class]);
    for id in read.chain(given) {
        *used.entry(id).or_default() += 1;
    }
    let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
    for (&output, class) in graph.outputs().iter().zip(roots) {
        let mut id = built[class];
        // An output that is an input, or a view of one, or places along an axis, is copied by a kernel of no ops.
        let is_free = match graph.node(output) {
            Node::Call(call, _) => call.is_free(),
            node => matches!(node, Node::Input(_)),
        };
        if is_free && !is_written_through(&result, id, &used) {
            let fused = add_fused(graph, &Region::of_no_ops(output), vec![id], &mut result);
            id = item(&mut result, fused, 0);
        }
        // Every output is an array of its own: a value that is an output twice is copied from the
        // one before.
        let last = copies.get(&id).map_or(id, |&last| add_copy(last, &mut result));
        copies.insert(id, last);
        result.output(last);
    }
    result
}

/// Whether an output is the elements of what a kernel or a call gives, each once, and nothing else reads that: so it
/// is written where the output has them.
///
/// Tiles of products are stored in any order, but rows are not: softmax of (1024, 1024) that is stored by columns takes
/// three times as long as one that is copied so, on a Xeon 6, and a product .94 of it.
fn is_written_through(graph: &Graph, output: NodeId, used: &HashMap<NodeId, usize>) -> bool {
    let (mut id, mut keeps_rows, mut is_dense) = (output, true, true);
    while used.get(&id) == Some(&1) {
        match graph.node(id) {
            // Of what lies in another order, strides may not say where the elements of a reshape are.
            Node::Call(Call::View(View::Reshape(_)), _) if !is_dense => return false,
            Node::Call(Call::View(view), args) if view.is_one_to_one() => {
                keeps_rows &= view.keeps_rows();
                is_dense &=
                    matches!(view, View::Squeeze(_) | View::Unsqueeze(_) | View::Reshape(_));
                id = args[0];
            }
            Node::Call(Call::Concat(_) | Call::Pad(_), _) => return false,
            // What is left of rows is little.
            Node::Call(Call::Reduce(_), _) => return true,
            Node::Call(call, _) => return !call.is_free() && (keeps_rows || call.multiplies()),
            Node::Item { of, .. } => return keeps_rows || is_product(graph.node(*of)),
            node => return matches!(node, Node::Fused { .. }) && (keeps_rows || is_product(node)),
        }
    }
    false
}

/// Whether a kernel stores tiles of a product.
fn is_product(node: &Node) -> bool {
    match node {
        Node::Fused { body, .. } => body.product().is_some() && body.reductions().next().is_none(),
        _ => false,
    }
}

/// A node of a valid graph, over operands like its own.
fn copy(result: &mut Graph, graph: &Graph, id: NodeId, operands: &[NodeId]) -> NodeId {
    let copied = result.copy_node(graph, id, operands);
    copied.unwrap_or_else(|fault| panic!("fusion broke a valid graph: {fault}"))
}

/// A copy, by a kernel, of what `result` has at `id`.
fn add_copy(id: NodeId, result: &mut Graph) -> NodeId {
    let mut body = Graph::unbounded("body");
    let copied = add_parameter(&mut body, result, id);
    body.output(copied);
    let fused = result.fused(body, vec![id]).expect("a copy is a valid kernel");
    item(result, fused, 0)
}

fn item(result: &mut Graph, kernel: NodeId, index: usize) -> NodeId {
    result.item(kernel, index).expect("the kernel has this output")
}

/// Adds the parameter of a body that a node of `result` will be bound to. Text gives it its name.
fn add_parameter(body: &mut Graph, result: &Graph, arg: NodeId) -> NodeId {
    let added = body.parameter("", result.dtype(arg), result.shape(arg).clone());
    added.expect("a body of a pass may have any number")
}

/// A fused node: its body has one parameter for each operand.
fn add_fused(graph: &Graph, region: &Region, args: Vec<NodeId>, result: &mut Graph) -> NodeId {
    let mut body = Graph::unbounded("body");
    let mut inner: HashMap<NodeId, NodeId> = HashMap::new();
    for (id, &arg) in region.operands(graph).into_iter().zip(&args) {
        inner.insert(id, add_parameter(&mut body, result, arg));
    }
    for &op in &region.ops {
        let operands = graph.node(op).operands();
        let operands = operands.into_iter().map(|id| value(&mut body, &mut inner, graph, id));
        let operands: Vec<NodeId> = operands.collect();
        inner.insert(op, copy(&mut body, graph, op, &operands));
    }
    for &output in &region.outputs {
        let id = value(&mut body, &mut inner, graph, output);
        body.output(id);
    }
    let fused = result.fused(body, args);
    fused.unwrap_or_else(|fault| panic!("fusion broke a valid graph: {fault}"))
}

/// What a node is in a body: a value it has computed or loaded already, or else a number.
fn value(
    body: &mut Graph,
    inner: &mut HashMap<NodeId, NodeId>,
    graph: &Graph,
    id: NodeId,
) -> NodeId {
    *inner.entry(id).or_insert_with(|| copy(body, graph, id, &[]))
}
