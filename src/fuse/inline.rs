//! Takes fused kernels apart again, so that fusion can start from any graph, fused text included.

use super::pass::PassContext;
use kiln_ir::{Fault, Graph, Input, Node, NodeId};

/// The pass `inline`: the same program without fused nodes.
pub(crate) fn inline(graph: &Graph, _: &mut PassContext<'_>) -> Graph {
    match graph.nodes().iter().any(|node| matches!(node, Node::Fused { .. })) {
        true => with_inputs(graph, graph.inputs()),
        false => graph.clone(),
    }
}

/// The same program without fused nodes, over inputs of other shapes, which fit.
pub(super) fn with_inputs(graph: &Graph, inputs: &[Input]) -> Graph {
    let result = of_inputs(graph, inputs);
    result.unwrap_or_else(|fault| panic!("inlining broke a valid graph: {fault}"))
}

/// The same. Fails where the shapes do not fit.
pub(super) fn of_inputs(graph: &Graph, inputs: &[Input]) -> Result<Graph, Fault> {
    let mut result = Graph::with_inputs(graph.name(), inputs);
    // A fused kernel becomes the values of its outputs.
    let mut values: Vec<Vec<NodeId>> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> =
            node.operands().iter().map(|operand| values[operand.index()][0]).collect();
        values.push(match node {
            Node::Item { of, index } => vec![values[of.index()][*index as usize]],
            Node::Fused { body, .. } => result.copy_graph(body, &operands)?,
            _ => vec![result.copy_node(graph, id, &operands)?],
        });
    }
    for output in graph.outputs() {
        result.output(values[output.index()][0]);
    }
    Ok(result)
}
