//! Products: which of them a region may hold, and what runs on their results.
//!
//! A region has at most one product. What it computes of the result runs on each block of it while a cache
//! holds that, so every value has the product's shape, or broadcasts to it. Where ranks are unknown,
//! arrays are taken to do so: a call in which they do not runs the region's body pass by pass.
//!
//! Only a product of what is computed of whole rows, as attention has one, may follow in the same region, and
//! elementwise ops on that. Without a first product, rows may be computed of anything while they are multiplied, as
//! in `layer_norm(x) @ w`.
//!
//! Reductions along the last axis run on whole rows of the result, some at a time, which a cache must hold.

use kiln_ir::{Dim, Graph, Node, NodeId, Shape};

/// Most bytes of a row that is folded where it is computed: a cache holds 16 of these, and for fewer the
/// right operand would be read too often.
const LONGEST: usize = 64 << 10;

/// Whether products may be part of regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Products {
    /// Each is a pass by itself.
    Apart,
    /// With what is computed of its result.
    Held,
    /// So, and with a second product of that, where it was computed of whole rows.
    Chained,
}

impl Products {
    /// Whether a node is a product that may be part of a region.
    pub(super) fn hold(self, graph: &Graph, id: NodeId) -> bool {
        let is_product = |node: &Node| matches!(node, Node::Call(call, _) if call.multiplies());
        self != Products::Apart && is_product(graph.node(id))
    }
}

/// Whether the rows of a product are too long to be folded where they are computed.
pub(super) fn is_long(graph: &Graph, product: NodeId) -> bool {
    let last = graph.shape(product).dims().and_then(<[Dim]>::last);
    let most = LONGEST / graph.dtype(product).size();
    matches!(last, Some(&Dim::Size(size)) if size > most)
}

/// Most bytes of a row that is computed where it is multiplied: for few of them the right operand is read too often.
const LONGEST_LEFT: usize = 16 << 10;
/// Most bytes of a right operand that is read for some rows at a time: a part of a last-level cache.
const NEAR: usize = 8 << 20;

/// What keeps the left operand of a product from being computed some rows at a time, while they are multiplied.
pub(super) fn is_far(graph: &Graph, product: NodeId) -> Option<Far> {
    let operands = graph.node(product).operands();
    let size = graph.dtype(product).size();
    let last = |id: NodeId| match graph.shape(id).dims()?.last()? {
        Dim::Size(size) => Some(*size),
        Dim::Symbol(_) => None,
    };
    let [k, n] = [last(operands[0]), last(operands[1])];
    if k.is_some_and(|k| k > LONGEST_LEFT / size) {
        return Some(Far::Rows);
    }
    let right = k.zip(n).map(|(k, n)| k.saturating_mul(n).saturating_mul(size));
    right.is_some_and(|bytes| bytes > NEAR).then_some(Far::Right)
}

/// What of a product's operands is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Far {
    /// Rows of the left one.
    Rows,
    /// The right one.
    Right,
}

/// Whether arrays of this shape are matrices, as far as it is known.
pub(super) fn is_matrix(shape: &Shape) -> bool {
    shape.dims().is_none_or(|dims| dims.len() > 1)
}

/// Whether a value of this shape has a place in a region with a product of that one.
pub(super) fn admits(product: &Shape, shape: &Shape) -> bool {
    match (product.dims(), shape.dims()) {
        (Some(_), Some(_)) => product.covers(shape),
        _ => true,
    }
}
