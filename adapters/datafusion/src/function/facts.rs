//! What the planner may know of a kernel without running it: bounds of its results, and their order.

use super::Resolved;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use kiln::ir::{Node, NodeId, Op, Range};
use kiln::{DType, Graph, Mode};

/// The interval of the results, by Kiln's interval analysis.
///
/// As DataFusion's own functions do, it speaks of numbers: of NaNs that arguments bring it says nothing. If
/// numbers can make one, nothing is known, and neither is of what [`Mode::Fast`] makes of an expression.
pub(super) fn bounds(resolved: &Resolved, inputs: &[&Interval]) -> Result<Interval> {
    let unbounded = || Interval::make_unbounded(&resolved.column);
    let graph = &resolved.graph;
    if resolved.mode > Mode::Precise {
        return unbounded();
    }
    let mut ranges: Vec<Range> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let dtype = graph.dtype(id);
        let range = match node {
            Node::Input(index) => match inputs.get(*index as usize) {
                Some(interval) => range_of(dtype, interval),
                None => return unbounded(),
            },
            Node::Const(_) => match graph.constant_value(id) {
                Some(value) if dtype.is_float() => Range::number(value),
                _ => Range::any(dtype),
            },
            Node::Op(op, args) => {
                let operands: Vec<Range> = args.iter().map(|arg| ranges[arg.index()]).collect();
                let one = args.windows(2).all(|pair| pair[0] == pair[1]);
                let range = Range::of_op(*op, dtype, &operands, one);
                match resolved.mode {
                    Mode::Strict => range,
                    // What overflows as it is written may be repaired.
                    _ if range.may_overflow => return unbounded(),
                    _ => loosened(*op, dtype, &operands, range),
                }
            }
            _ => return unbounded(),
        };
        ranges.push(range);
    }
    let &[output] = graph.outputs() else { return unbounded() };
    let range = ranges[output.index()];
    if range.may_be_nan || range.low > range.high {
        return unbounded();
    }
    let number = |value: f64| match resolved.column {
        DataType::Float32 if value.is_finite() => ScalarValue::Float32(Some(value as f32)),
        DataType::Float64 if value.is_finite() => ScalarValue::Float64(Some(value)),
        DataType::Float32 => ScalarValue::Float32(None),
        _ => ScalarValue::Float64(None),
    };
    match resolved.column {
        DataType::Float32 | DataType::Float64 => {
            Interval::try_new(number(range.low), number(range.high))
        }
        _ => unbounded(),
    }
}

/// A range of results that may be rounded otherwise than as written: by a few ULP of the result, of a sum by as
/// many of what it adds. Signs that are sure stay so.
fn loosened(op: Op, dtype: DType, operands: &[Range], range: Range) -> Range {
    const ULP: f64 = 8.0;
    let (epsilon, least) = match dtype {
        DType::F32 => (f64::from(f32::EPSILON), f64::from(f32::from_bits(8))),
        DType::F64 => (f64::EPSILON, f64::from_bits(8)),
        _ => return range,
    };
    if op.max_ulp(dtype) == 0.0 {
        return range;
    }
    let size = |range: &Range| range.low.abs().max(range.high.abs());
    let added = match op {
        Op::Add | Op::Sub => operands.iter().map(size).fold(0.0, f64::max),
        Op::Fma => size(&operands[2]).max(size(&operands[0]) * size(&operands[1])),
        _ => 0.0,
    };
    let is_positive = |range: &Range| range.low >= 0.0;
    let is_negative = |range: &Range| range.high <= 0.0;
    let has_sign = match (op, operands) {
        (Op::Add, [a, b]) => is_positive(a) && is_positive(b) || is_negative(a) && is_negative(b),
        (Op::Sub, [a, b]) => is_positive(a) && is_negative(b) || is_negative(a) && is_positive(b),
        (Op::Fma, _) => false,
        _ => true,
    };
    let slack = |end: f64| ULP * epsilon * added.max(end.abs()) + least;
    let (low, high) = (range.low - slack(range.low), range.high + slack(range.high));
    Range {
        low: if has_sign && range.low >= 0.0 { low.max(0.0) } else { low },
        high: if has_sign && range.high <= 0.0 { high.min(0.0) } else { high },
        ..range
    }
}

fn range_of(dtype: DType, interval: &Interval) -> Range {
    let any = Range { may_be_nan: false, ..Range::any(dtype) };
    let end = |value: &ScalarValue| match *value {
        ScalarValue::Float32(Some(value)) if !value.is_nan() => Some(f64::from(value)),
        ScalarValue::Float64(Some(value)) if !value.is_nan() => Some(value),
        _ => None,
    };
    Range {
        low: end(interval.lower()).unwrap_or(any.low),
        high: end(interval.upper()).unwrap_or(any.high),
        ..any
    }
}

/// The order of the results, given that of the arguments.
///
/// It is kept by ops that round correctly and rise with one operand, the others being constants: what is
/// right within an ULP may fall by one. NaNs must stay where the order has them, positive ones at one end and
/// negative ones at the other, so an op may neither make one nor turn the order around. A change of sign turns them,
/// too, but beside arithmetic it may become a part of that, as in `1 - x`, which leaves the sign of a NaN: so it
/// must be all there is. `min` and `max` make a NaN of their own.
pub(super) fn ordering(graph: &Graph, inputs: &[ExprProperties]) -> SortProperties {
    let mut orders: Vec<SortProperties> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let order = match node {
            Node::Input(index) => {
                let given = inputs.get(*index as usize);
                given.map_or(SortProperties::Unordered, |input| input.sort_properties)
            }
            Node::Const(_) => SortProperties::Singleton,
            Node::Op(op, args) => of_op(graph, *op, args, id, &orders),
            _ => SortProperties::Unordered,
        };
        orders.push(order);
    }
    match graph.outputs() {
        &[output] => orders[output.index()],
        _ => SortProperties::Unordered,
    }
}

fn of_op(
    graph: &Graph,
    op: Op,
    args: &[NodeId],
    id: NodeId,
    orders: &[SortProperties],
) -> SortProperties {
    let order = |arg: NodeId| orders[arg.index()];
    if args.iter().all(|&arg| order(arg) == SortProperties::Singleton) {
        return SortProperties::Singleton;
    }
    if !graph.dtype(id).is_float() {
        return SortProperties::Unordered;
    }
    let is_input = |arg: NodeId| matches!(graph.node(arg), Node::Input(_));
    let constant = |arg: NodeId| graph.constant_value(arg).filter(|value| value.is_finite());
    match (op, args) {
        (Op::Neg, &[x]) if is_input(x) && graph.outputs() == [id] => -order(x),
        (Op::Floor | Op::Ceil | Op::Round | Op::Trunc, &[x]) => order(x),
        (Op::ToF32 | Op::ToF64, &[x]) if graph.dtype(x).is_float() => order(x),
        (Op::Add, &[x, c]) if constant(c).is_some() => order(x),
        (Op::Add, &[c, x]) if constant(c).is_some() => order(x),
        (Op::Sub, &[x, c]) if constant(c).is_some() => order(x),
        (Op::Mul | Op::Div, &[x, c]) if constant(c).is_some_and(|c| c > 0.0) => order(x),
        (Op::Mul, &[c, x]) if constant(c).is_some_and(|c| c > 0.0) => order(x),
        _ => SortProperties::Unordered,
    }
}
