//! What the values of a fused body can be, so that expansions leave out what cannot happen.
//!
//! Leaving out a clamp that clamps nothing, or a special case that does not occur, changes no bit:
//! a body still agrees with its ops run one by one.

use kiln_ir::{Call, Graph, Node, NodeId, Op, Range, Reduction};
use kiln_jit::math;
use smallvec::SmallVec;

/// The range of every node of an elementwise body, by the op table.
pub(crate) fn ranges(body: &Graph) -> Vec<Range> {
    let mut ranges = Vec::with_capacity(body.nodes().len());
    for (id, node) in body.iter() {
        let dtype = body.dtype(id);
        ranges.push(match node {
            Node::Const(bits) if dtype.is_float() => {
                Range::number(dtype.round(f64::from_bits(*bits)))
            }
            Node::Op(op, args) => {
                let operands: SmallVec<[Range; 3]> =
                    args.iter().map(|arg| ranges[arg.index()]).collect();
                let one = args.windows(2).all(|pair: &[NodeId]| pair[0] == pair[1]);
                let range = Range::of_op(*op, dtype, &operands, one);
                // Nothing is above the largest.
                match is_off_largest(body, *op, args) {
                    true => Range { high: range.high.min(0.0), ..range },
                    false => range,
                }
            }
            _ => Range::any(dtype),
        });
    }
    ranges
}

/// Whether it is an element without the largest one of its row.
fn is_off_largest(body: &Graph, op: Op, args: &[NodeId]) -> bool {
    op == Op::Sub
        && matches!(
            body.node(args[1]),
            Node::Call(Call::Reduce(reduce), of)
                if matches!(reduce.by, Reduction::Max | Reduction::Sup) && of[0] == args[0]
        )
}

/// What expansions ask for: the least and the largest number.
pub(crate) fn within(range: Range) -> math::Range {
    math::Range { low: range.low, high: range.high }
}

#[cfg(test)]
mod tests;
