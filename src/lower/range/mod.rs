//! What the values of a fused body can be, so that expansions leave out what cannot happen.
//!
//! Leaving out a clamp that clamps nothing, or a special case that does not occur, changes no bit:
//! a body and its ops one by one still agree.

use kiln_ir::{DType, Flags, Graph, Node, NodeId, Op};
use kiln_jit::math::Range;

/// The smallest range of all these values; a NaN among them stands for nothing known.
fn around(values: impl IntoIterator<Item = f64>) -> Range {
    let mut range = Range { low: f64::INFINITY, high: f64::NEG_INFINITY };
    for value in values {
        if value.is_nan() {
            return Range::ANY;
        }
        range = Range { low: range.low.min(value), high: range.high.max(value) };
    }
    range
}

/// Wider by more than any op errs, in steps from float to float of `dtype`: above the largest
/// number comes infinity, and below infinity that number. An end keeps its sign, zeros too, for
/// no op gets the sign of its result wrong.
fn widened(range: Range, dtype: DType) -> Range {
    // Four ULP, twice that where the value is in the next binade, and what the reference errs.
    const STEPS: usize = 16;
    let moved = |end: f64, next: fn(f64) -> f64, next_f32: fn(f32) -> f32| match dtype {
        DType::F64 => (0..STEPS).fold(end, |end, _| next(end)),
        _ => f64::from((0..STEPS).fold(end as f32, |end, _| next_f32(end))),
    };
    let low = moved(range.low, f64::next_down, f32::next_down);
    let high = moved(range.high, f64::next_up, f32::next_up);
    Range {
        low: if range.low.is_sign_positive() { low.max(0.0) } else { low },
        high: if range.high.is_sign_negative() { high.min(-0.0) } else { high },
    }
}

/// The range of every node of an elementwise body.
pub(crate) fn ranges(body: &Graph) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::with_capacity(body.nodes().len());
    for (id, node) in body.iter() {
        ranges.push(match node {
            // They wrap around, and no expansion asks.
            _ if body.dtype(id).is_integer() => Range::ANY,
            Node::Const(bits) => {
                let value = body.dtype(id).round(f64::from_bits(*bits));
                around([value])
            }
            Node::Op(op, args) => {
                let operands: Vec<Range> = args.iter().map(|arg| ranges[arg.index()]).collect();
                let one = args.windows(2).all(|pair: &[NodeId]| pair[0] == pair[1]);
                of_op(*op, body.dtype(id), &operands, one)
            }
            _ => Range::ANY,
        });
    }
    ranges
}

/// The range of an op's results, of type `dtype`; `one` if all operands are one value.
///
/// Ends are computed as results are, rounded to `dtype`. Rounding keeps order, so where an op rounds
/// correctly its results lie between its ends, infinite ones included.
fn of_op(op: Op, dtype: DType, operands: &[Range], one: bool) -> Range {
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    let range = match op {
        Op::Neg => Range { low: -x.high, high: -x.low },
        Op::Abs => Range { low: x.low.max(-x.high).max(0.0), high: x.high.max(-x.low) },
        Op::Add | Op::Sub => {
            let (least, most) = if op == Op::Add { (y.low, y.high) } else { (y.high, y.low) };
            around([[x.low, least], [x.high, most]].map(|ends| op.eval(dtype, &ends)))
        }
        Op::Mul => {
            let corners = [[x.low, y.low], [x.low, y.high], [x.high, y.low], [x.high, y.high]];
            // Of 0 and infinity comes a NaN, and of what lies between nothing beyond 0.
            let product = |ends: [f64; 2]| match ends.contains(&0.0) {
                true => 0.0,
                false => op.eval(dtype, &ends),
            };
            let range = around(corners.map(product));
            // No square is negative.
            Range { low: if one { range.low.max(0.0) } else { range.low }, ..range }
        }
        Op::Min => Range { low: x.low.min(y.low), high: x.high.min(y.high) },
        Op::Max => Range { low: x.low.max(y.low), high: x.high.max(y.high) },
        Op::Clamp => {
            let most = operands[2];
            let low = x.low.max(y.low).min(most.low);
            Range { low, high: x.high.max(y.high).min(most.high) }
        }
        Op::Select => {
            let z = operands[2];
            Range { low: y.low.min(z.low), high: y.high.max(z.high) }
        }
        _ if operands.len() == 1 && op.has(Flags::MONOTONE) => {
            let ends = [x.low, x.high].map(|end| op.eval(dtype, &[end]));
            // Outside of its domain an op gives NaN, and the other end is one of the range.
            let (low, high) = op.info().range;
            let end = |value: f64, instead: f64| if value.is_nan() { instead } else { value };
            let range = Range { low: end(ends[0], low), high: end(ends[1], high) };
            if op.max_ulp(dtype) > 0.5 { widened(range, dtype) } else { range }
        }
        _ => Range::ANY,
    };
    let (low, high) = op.info().range;
    Range { low: range.low.max(low), high: range.high.min(high) }
}

#[cfg(test)]
mod tests;
