//! What the values of a fused body can be, so that expansions leave out what cannot happen.
//!
//! Leaving out a clamp that clamps nothing, or a special case that does not occur, changes no bit:
//! a body and its ops one by one still agree.

use kiln_ir::{DType, Flags, Graph, Node, NodeId, Op};

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

    /// Wider by more than any op errs. An exact 0 stays: no op gets the sign of its result wrong.
    fn widened(self, dtype: DType) -> Range {
        let (relative, absolute) = match dtype {
            DType::F64 => (1e-14, 1e-322),
            DType::F32 => (1e-6, 1e-44),
            // Rounded to eleven digits or fewer.
            _ => (1e-2, 1e-6),
        };
        let slack = |end: f64| if end == 0.0 { 0.0 } else { end.abs() * relative + absolute };
        let finite = |end: f64, moved: f64| if end.is_finite() { moved } else { end };
        Range {
            low: finite(self.low, self.low - slack(self.low)),
            high: finite(self.high, self.high + slack(self.high)),
        }
    }
}

/// The range of every node of an elementwise body.
pub(crate) fn ranges(body: &Graph) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::with_capacity(body.nodes().len());
    for (id, node) in body.iter() {
        ranges.push(match node {
            // They wrap around, and nobody asks.
            _ if body.dtype(id).is_integer() => Range::ANY,
            Node::Const(bits) => {
                let value = body.dtype(id).round(f64::from_bits(*bits));
                Range::around([value])
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
fn of_op(op: Op, dtype: DType, operands: &[Range], one: bool) -> Range {
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    let range = match op {
        Op::Neg => Range { low: -x.high, high: -x.low },
        Op::Abs => Range { low: x.low.max(-x.high).max(0.0), high: x.high.max(-x.low) },
        Op::Add => Range::around([x.low + y.low, x.high + y.high]),
        Op::Sub => Range::around([x.low - y.high, x.high - y.low]),
        Op::Mul => {
            let square = one.then_some(0.0);
            let corners = [(x.low, y.low), (x.low, y.high), (x.high, y.low), (x.high, y.high)];
            // Of 0 and infinity comes a NaN, and of what lies between nothing beyond 0.
            let product = |(a, b): (f64, f64)| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
            let range = Range::around(corners.map(product));
            Range { low: square.map_or(range.low, |zero| range.low.max(zero)), ..range }
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
            return Range { low: y.low.min(z.low), high: y.high.max(z.high) };
        }
        _ if operands.len() == 1 && op.has(Flags::MONOTONE) => {
            let ends = [x.low, x.high].map(|end| op.eval(dtype, &[end]));
            // Outside of its domain an op gives NaN, and the other end is one of the range.
            let (low, high) = op.info().range;
            let end = |value: f64, instead: f64| if value.is_nan() { instead } else { value };
            Range { low: end(ends[0], low), high: end(ends[1], high) }
        }
        _ => Range::ANY,
    };
    let (low, high) = op.info().range;
    let range = range.widened(dtype);
    Range { low: range.low.max(low), high: range.high.min(high) }
}

#[cfg(test)]
mod tests {
    use super::{Range, of_op};
    use crate::lower::{Tier, compute, lower_op, storage};
    use crate::vir::{Builder, interp};
    use kiln_ir::{DType, Op, Typing};

    #[test]
    fn results_lie_within() {
        let points = [
            f64::NEG_INFINITY,
            -1e30,
            -104.5,
            -2.0,
            -1.0,
            -0.3,
            -1e-40,
            -0.0,
            0.0,
            1e-40,
            0.25,
            1.0,
            1.5,
            2.0,
            87.0,
            1e30,
            f64::INFINITY,
        ];
        let float = |op: &&Op| {
            matches!(op.info().typing, Typing::Float | Typing::Number) && op.arity() <= 2
        };
        for dtype in [DType::F32, DType::F64] {
            let points = points.map(|v| dtype.round(v));
            for &op in Op::ALL.iter().filter(float) {
                check(op, dtype, &points);
            }
        }
    }

    /// Every interval between points, and all points in it.
    fn check(op: Op, dtype: DType, points: &[f64]) {
        let others: &[f64] = if op.arity() == 1 { &[0.0] } else { &[-1.0, -0.0, 0.0, 0.5, 2.0] };
        let y = Range { low: -1.0, high: 2.0 };
        let result =
            |&a: &f64| others.iter().map(move |&b| compute(op, dtype, &[a, b][..op.arity()]));
        let results: Vec<Vec<f64>> = points.iter().map(|a| result(a).collect()).collect();
        for (at, &low) in points.iter().enumerate() {
            for (end, &high) in points.iter().enumerate().skip(at) {
                let x = Range { low, high };
                let range = of_op(op, dtype, &[x, y][..op.arity()], false);
                for result in results[at..=end].iter().flatten() {
                    let fits = result.is_nan() || (range.low..=range.high).contains(result);
                    assert!(fits, "{} of {x:?} gave {result:e} in {dtype}, {range:?}", op.name());
                }
            }
        }
    }

    #[test]
    fn what_ranges_leave_out_changes_no_bit() {
        let ends = [
            f64::NEG_INFINITY,
            -700.0,
            -80.0,
            -1.0,
            -0.2,
            -0.0,
            0.0,
            0.4,
            1.0,
            80.0,
            700.0,
            1e30,
            f64::INFINITY,
        ];
        for dtype in [DType::F32, DType::F64] {
            for op in [
                Op::Exp,
                Op::Exp2,
                Op::Exp10,
                Op::Expm1,
                Op::Log,
                Op::Log1p,
                Op::Sigmoid,
                Op::Normcdf,
            ] {
                for (at, &low) in ends.iter().enumerate() {
                    for &high in &ends[at..] {
                        check_bits(op, dtype, Range { low, high });
                    }
                }
            }
        }
    }

    fn check_bits(op: Op, dtype: DType, within: Range) {
        let program = |within: Range| {
            let mut b = Builder::new();
            let x = b.input(storage(dtype));
            let result = lower_op(&mut b, Tier::Default, op, dtype, &[x], within);
            b.output(result, storage(dtype));
            b.finish()
        };
        let (low, high) = (within.low.max(-1e35), within.high.min(1e35));
        let steps = (0..=200).map(|i| f64::from(i) / 200.0);
        let between =
            steps.flat_map(|t| [low + (high - low) * t, (low + (high - low) * t) * t * t]);
        let all =
            between.chain([within.low, within.high, 0.0, -0.0, 1e-40, 0.5, 0.49999997, 0.41421357]);
        let inputs = all.map(|v| dtype.round(v)).filter(|v| within.low <= *v && *v <= within.high);
        let bits = |v: f64| match dtype {
            DType::F64 => v.to_bits(),
            _ => u64::from((v as f32).to_bits()),
        };
        let mut column: Vec<u64> = inputs.map(bits).collect();
        column.push(bits(f64::NAN));
        let run = |within| interp::run(&program(within), &[&column], column.len()).swap_remove(0);
        let (known, unknown) = (run(within), run(Range::ANY));
        let last = column.len() - 1;
        assert_eq!(known[..last], unknown[..last], "{} in {dtype} within {within:?}", op.name());
        let nan = |v: u64| match dtype {
            DType::F64 => f64::from_bits(v).is_nan(),
            _ => f32::from_bits(v as u32).is_nan(),
        };
        assert!(nan(known[last]), "{} of NaN in {dtype} within {within:?}", op.name());
    }
}
