//! Takes fused kernels apart again, so that fusion can start from any graph, fused text included.

use super::pass::PassContext;
use kiln_ir::{DType, Graph, Input, Node, NodeId, Op};

/// The pass `inline`: the same program without fused nodes.
pub(crate) fn inline(graph: &Graph, _: &mut PassContext<'_>) -> Graph {
    with_inputs(graph, graph.inputs())
}

/// The same program without fused nodes, over inputs of other shapes.
pub(super) fn with_inputs(graph: &Graph, inputs: &[Input]) -> Graph {
    let mut result = Graph::with_inputs(graph.name(), inputs);
    // A fused kernel becomes the values of its outputs.
    let mut values: Vec<Vec<NodeId>> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> =
            node.operands().iter().map(|operand| values[operand.index()][0]).collect();
        let copied = match node {
            Node::Item { of, index } => Ok(vec![values[of.index()][*index as usize]]),
            Node::Fused { body, .. } => result.copy_graph(body, &operands).map(|outputs| {
                outputs.into_iter().map(|value| repeat(&mut result, value, &operands)).collect()
            }),
            _ => result.copy_node(graph, id, &operands).map(|copied| vec![copied]),
        };
        values.push(copied.unwrap_or_else(|fault| panic!("inlining broke a valid graph: {fault}")));
    }
    for output in graph.outputs() {
        result.output(values[output.index()][0]);
    }
    result
}

/// A value repeated over the domain of a kernel, which is the domain of all its arguments, whether
/// the value depends on them or not.
///
/// `select(p, a, a)` is `a`, bit for bit, over the domain of both; lowering computes nothing more.
fn repeat(result: &mut Graph, value: NodeId, args: &[NodeId]) -> NodeId {
    args.iter().fold(value, |value, &arg| {
        if result.shape(value).covers(result.shape(arg)) {
            return value;
        }
        let mask = match result.dtype(arg) {
            DType::Bool => arg,
            _ => result.op(Op::ToBool, &[arg]).expect("every type can be cast"),
        };
        result.op(Op::Select, &[mask, value, value]).expect("arguments broadcast")
    })
}
