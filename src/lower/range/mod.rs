//! What the values of a fused body can be, so that expansions leave out what cannot happen.
//!
//! Leaving out a clamp that clamps nothing, or a special case that does not occur, changes no bit:
//! a body and its ops one by one still agree.

use kiln_ir::{Graph, Node, NodeId};
use smallvec::SmallVec;

/// Every value is a NaN or lies within; either zero counts as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    /// Nothing is known.
    pub(crate) const ANY: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// Whether every number is within `low..=high`.
    pub(crate) fn inside(self, low: f64, high: f64) -> bool {
        low <= self.low && self.high <= high
    }
}

impl From<kiln_ir::Range> for Range {
    fn from(range: kiln_ir::Range) -> Range {
        Range { low: range.low, high: range.high }
    }
}

/// The range of every node of an elementwise body.
pub(crate) fn ranges(body: &Graph) -> Vec<kiln_ir::Range> {
    let mut ranges = Vec::with_capacity(body.nodes().len());
    for (id, node) in body.iter() {
        let dtype = body.dtype(id);
        ranges.push(match node {
            Node::Const(bits) if dtype.is_float() => {
                kiln_ir::Range::number(dtype.round(f64::from_bits(*bits)))
            }
            Node::Op(op, args) => {
                let operands: SmallVec<[kiln_ir::Range; 3]> =
                    args.iter().map(|arg| ranges[arg.index()]).collect();
                let one = args.windows(2).all(|pair: &[NodeId]| pair[0] == pair[1]);
                kiln_ir::Range::of_op(*op, dtype, &operands, one)
            }
            _ => kiln_ir::Range::any(dtype),
        });
    }
    ranges
}

#[cfg(test)]
mod tests;
