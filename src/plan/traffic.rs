//! Counts of what a fused graph does.

use kiln_ir::{Graph, Node};

/// Passes over memory.
pub(crate) fn passes(graph: &Graph) -> usize {
    let pass = |node: &&Node| matches!(node, Node::Fused { .. } | Node::Matmul(..));
    graph.nodes().iter().filter(pass).count()
}

/// Ops that run for an element, with what several kernels compute counted for each.
pub(crate) fn ops(graph: &Graph) -> usize {
    let count = |node: &Node| match node {
        Node::Fused { body, .. } => body.op_count(),
        Node::Matmul(..) => 1,
        _ => 0,
    };
    graph.nodes().iter().map(count).sum()
}

/// Bytes that the fused kernels of `graph` load and store for an element, if every operand is a
/// full array.
pub fn bytes_per_element(graph: &Graph) -> usize {
    let bytes = |node: &Node| match node {
        Node::Fused { body, .. } => {
            let loads: usize = body.inputs().iter().map(|input| input.dtype.size()).sum();
            let stores: usize = body.outputs().iter().map(|&o| body.dtype(o).size()).sum();
            loads + stores
        }
        _ => 0,
    };
    graph.nodes().iter().map(bytes).sum()
}
