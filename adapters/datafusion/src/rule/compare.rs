//! Comparisons of floats in Arrow's order, where a NaN is a number like others: positive ones are above
//! infinity, negative ones below its opposite. Zeros are equal, as DataFusion has it.
//!
//! Of a NaN that arithmetic makes, neither Rust nor Kiln promises the sign, and so neither does its place.

use datafusion::logical_expr::Operator;
use kiln::Graph;
use kiln::ir::{Fault, Node, NodeId, Op};

/// `left operator right`; none for an operator that does not compare.
pub(super) fn compare(
    graph: &mut Graph,
    operator: Operator,
    left: NodeId,
    right: NodeId,
) -> Result<Option<NodeId>, Fault> {
    let not = |graph: &mut Graph, node| graph.op(Op::Not, &[node]);
    Ok(Some(match operator {
        Operator::Lt => less(graph, left, right)?,
        Operator::Gt => less(graph, right, left)?,
        Operator::LtEq => {
            let greater = less(graph, right, left)?;
            not(graph, greater)?
        }
        Operator::GtEq => {
            let less = less(graph, left, right)?;
            not(graph, less)?
        }
        Operator::Eq => equal(graph, left, right)?,
        Operator::NotEq => {
            let equal = equal(graph, left, right)?;
            not(graph, equal)?
        }
        _ => return Ok(None),
    }))
}

/// Numbers by their order. If there is a NaN, no number is less, and a negative NaN on the left or a positive
/// one on the right is, unless the other side is one of that sign, too.
fn less(graph: &mut Graph, left: NodeId, right: NodeId) -> Result<NodeId, Fault> {
    let numbers = graph.op(Op::Lt, &[left, right])?;
    let nans = match (is_number(graph, left), is_number(graph, right)) {
        (true, true) => return Ok(numbers),
        (false, true) => nan_of_sign(graph, Op::Lt, left)?,
        (true, false) => nan_of_sign(graph, Op::Gt, right)?,
        (false, false) => {
            let (left, right) = (rank(graph, left)?, rank(graph, right)?);
            graph.op(Op::Lt, &[left, right])?
        }
    };
    graph.op(Op::Or, &[numbers, nans])
}

/// Equal numbers, or NaNs of one sign.
fn equal(graph: &mut Graph, left: NodeId, right: NodeId) -> Result<NodeId, Fault> {
    let numbers = graph.op(Op::Eq, &[left, right])?;
    if is_number(graph, left) || is_number(graph, right) {
        return Ok(numbers);
    }
    let nan = graph.op(Op::IsNan, &[left])?;
    let (left, right) = (rank(graph, left)?, rank(graph, right)?);
    let ranks = graph.op(Op::Eq, &[left, right])?;
    let nans = graph.op(Op::And, &[nan, ranks])?;
    graph.op(Op::Or, &[numbers, nans])
}

/// Whether a value is never a NaN: a literal is none, nor is what was an integer.
fn is_number(graph: &Graph, node: NodeId) -> bool {
    match graph.node(node) {
        Node::Op(Op::ToF32 | Op::ToF64, args) => graph.dtype(args[0]).is_integer(),
        _ => graph.constant_value(node).is_some_and(|value| !value.is_nan()),
    }
}

/// A number's sign, or a NaN's.
fn sign(graph: &mut Graph, node: NodeId) -> Result<NodeId, Fault> {
    let one = graph.constant(graph.dtype(node), 1.0)?;
    graph.op(Op::CopySign, &[one, node])
}

/// Whether it is a NaN whose sign is on this side of 0.
fn nan_of_sign(graph: &mut Graph, side: Op, node: NodeId) -> Result<NodeId, Fault> {
    let nan = graph.op(Op::IsNan, &[node])?;
    let sign = sign(graph, node)?;
    let zero = graph.constant(graph.dtype(node), 0.0)?;
    let fits = graph.op(side, &[sign, zero])?;
    graph.op(Op::And, &[nan, fits])
}

/// 1 for a positive NaN, -1 for a negative one, 0 for a number.
fn rank(graph: &mut Graph, node: NodeId) -> Result<NodeId, Fault> {
    let nan = graph.op(Op::IsNan, &[node])?;
    let sign = sign(graph, node)?;
    let zero = graph.constant(graph.dtype(node), 0.0)?;
    graph.op(Op::Select, &[nan, sign, zero])
}
