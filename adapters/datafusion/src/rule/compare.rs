//! Comparisons of floats in Arrow's order, where a NaN is a number like others: positive ones are above
//! infinity, negative ones below its opposite. Zeros are equal, as DataFusion has it.
//!
//! Of a NaN that arithmetic makes, neither Rust nor Kiln promises the sign, and so neither does its place.

use datafusion::logical_expr::Operator;
use kiln::ir::{Fault, NodeId, Op};
use kiln::{DType, Graph};

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

/// Numbers by their order; if there is a NaN, no numbers are less, and ranks decide.
fn less(graph: &mut Graph, left: NodeId, right: NodeId) -> Result<NodeId, Fault> {
    let numbers = graph.op(Op::Lt, &[left, right])?;
    let (left, right) = (rank(graph, left)?, rank(graph, right)?);
    let ranks = graph.op(Op::Lt, &[left, right])?;
    graph.op(Op::Or, &[numbers, ranks])
}

/// Equal numbers, or NaNs of one sign.
fn equal(graph: &mut Graph, left: NodeId, right: NodeId) -> Result<NodeId, Fault> {
    let numbers = graph.op(Op::Eq, &[left, right])?;
    // No literal is a NaN here, and then the other side need not be asked.
    if is_number(graph, left) || is_number(graph, right) {
        return Ok(numbers);
    }
    let nan = graph.op(Op::IsNan, &[left])?;
    let (left, right) = (rank(graph, left)?, rank(graph, right)?);
    let ranks = graph.op(Op::Eq, &[left, right])?;
    let nans = graph.op(Op::And, &[nan, ranks])?;
    graph.op(Op::Or, &[numbers, nans])
}

fn is_number(graph: &Graph, node: NodeId) -> bool {
    graph.constant_value(node).is_some_and(|value| !value.is_nan())
}

/// 1 for a positive NaN, -1 for a negative one, 0 for a number.
fn rank(graph: &mut Graph, node: NodeId) -> Result<NodeId, Fault> {
    let dtype: DType = graph.dtype(node);
    let zero = graph.constant(dtype, 0.0)?;
    if is_number(graph, node) {
        return Ok(zero);
    }
    let one = graph.constant(dtype, 1.0)?;
    let nan = graph.op(Op::IsNan, &[node])?;
    let sign = graph.op(Op::CopySign, &[one, node])?;
    graph.op(Op::Select, &[nan, sign, zero])
}
