//! Products: which of them a region may hold, and what runs on their results.
//!
//! A region has at most one product. What it computes of the result runs on each block of it while a cache
//! holds that, so every value has the product's shape, or broadcasts to it. Where ranks are unknown,
//! arrays are taken to do so: a call in which they do not runs the region's body pass by pass.
//!
//! Only a product of what is computed of whole rows, as attention has one, may follow in the same region, and
//! elementwise ops on that.
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

/// Whether a value of this shape has a place in a region with a product of that one.
pub(super) fn admits(product: &Shape, shape: &Shape) -> bool {
    match (product.dims(), shape.dims()) {
        (Some(_), Some(_)) => product.covers(shape),
        _ => true,
    }
}
