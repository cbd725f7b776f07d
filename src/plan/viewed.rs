//! Values as steps read them: in another order or shape.

use super::Place;
use kiln_ir::{Call, Graph, Node, NodeId, View};

/// A value as a step reads it.
#[derive(Clone, Debug)]
pub(crate) struct Viewed {
    /// The value.
    pub(crate) place: Place,
    /// The views of it, each of what those before it give.
    pub(crate) chain: Vec<View>,
    /// Which of the shapes of a call it has.
    pub(crate) shape: usize,
}

/// What a node is a view of, and the views, the innermost first; the node itself, where it is none.
pub(super) fn viewed(graph: &Graph, mut id: NodeId) -> (NodeId, Vec<View>) {
    let mut chain = Vec::new();
    while let Node::Call(Call::View(view), args) = graph.node(id) {
        chain.push(*view);
        id = args[0];
    }
    chain.reverse();
    (id, chain)
}
