//! Takes fused kernels apart again, so that fusion can start from any graph, fused text included.

use super::pass::PassContext;
use kiln_ir::{DType, Graph, Input, Node, NodeId, Op, Scalar};
use std::collections::HashMap;

/// The pass `inline`: the same program without fused nodes.
pub fn inline(graph: &Graph, _: &mut PassContext<'_>) -> Graph {
    with_inputs(graph, graph.inputs())
}

/// The same program without fused nodes, over inputs of other shapes.
pub(super) fn with_inputs(graph: &Graph, inputs: &[Input]) -> Graph {
    let mut result = Graph::unbounded(graph.name());
    for input in inputs {
        result.input(input.clone()).expect("inputs were valid before");
    }
    let mut values: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for (id, _) in graph.iter() {
        let built = copy(graph, inputs, id, &values, &mut result);
        values.insert(id, built);
    }
    for output in graph.outputs() {
        result.output(values[output][0]);
    }
    result
}

/// Copies one node; a fused kernel becomes the values of its outputs.
fn copy(
    graph: &Graph,
    inputs: &[Input],
    id: NodeId,
    values: &HashMap<NodeId, Vec<NodeId>>,
    result: &mut Graph,
) -> Vec<NodeId> {
    let at = |id: &NodeId| values[id][0];
    let copied = match graph.node(id) {
        Node::Input(index) => result.input(inputs[*index as usize].clone()),
        Node::Const(bits) => {
            let dtype = graph.dtype(id);
            result.constant(dtype, Scalar::from_bits(dtype, *bits))
        }
        Node::Op(op, args) => {
            let operands: Vec<NodeId> = args.iter().map(at).collect();
            result.op(*op, &operands)
        }
        Node::Matmul(a, b) => result.matmul(at(a), at(b)),
        Node::Item { of, index } => Ok(values[of][*index as usize]),
        Node::Fused { body, args } => {
            let mut inner: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
            for (node_id, node) in body.iter() {
                let built = match node {
                    Node::Input(index) => vec![at(&args[*index as usize])],
                    _ => copy(body, inputs, node_id, &inner, result),
                };
                inner.insert(node_id, built);
            }
            let args: Vec<NodeId> = args.iter().map(at).collect();
            let outputs = body.outputs().iter();
            return outputs.map(|output| repeat(result, inner[output][0], &args)).collect();
        }
    };
    vec![copied.unwrap_or_else(|fault| panic!("inlining broke a valid graph: {fault}"))]
}

/// A value repeated over the domain of a kernel, which is that of all its arguments, whether the
/// value depends on them or not.
///
/// `select(p, a, a)` is `a`, bit for bit, over the domain of both; lowering computes no more.
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
