//! Sums of exponentials, which overflow as they are written.
//!
//! A value is taken apart into what does not overflow and a power of the base, the *shift*, which is one
//! for each row: `exp(a)` is `exp(a - m)` times e to the power of `m`, with `m` the largest element of `a`.
//! Sums, numbers and counts are factors that leave the shift as it is; a quotient is rid of it, and a
//! logarithm has it as a summand. All spellings follow from that, in the bases e, 2 and 10:
//!
//! ```text
//! exp(a) / sum(exp(a))        =>  exp(a - m) / sum(exp(a - m))
//! sum(exp(a) * w) / sum(exp(a))  =>  sum(exp(a - m) * w) / sum(exp(a - m))
//! (exp(a) @ w) / sum(exp(a))  =>  (exp(a - m) / sum(exp(a - m))) @ w
//! log(mean(exp(a)))           =>  m + log(mean(exp(a - m)))
//! log(exp(a) / sum(exp(a)))   =>  (a - m) - log(sum(exp(a - m)))
//! s - (m + log(sum(..)))      =>  (s - m) - log(sum(..))
//! exp((a - m) - log(sum(..))) =>  exp(a - m) / sum(exp(a - m))
//! ```
//!
//! The second and the third are for Fast. Once it is without the shift, a power may be nothing or have few digits left,
//! and its weight be infinite, or so large that the digits count. Weights may be above alone: a sum with weights may be
//! anything, and what is divided by it. What divides a product divides its rows before, as in the usual spelling of
//! attention, and so where they are `exp(a - m)` already: then nothing of all rows need be stored.
//!
//! In the one before the last, `m` was added where it is taken off again: that rounds to the digits of `m`, whatever the
//! difference is. The logarithm is at least 0 and at most that of the number of elements, so it does not
//! matter what `s` is.

use super::sums::{
    Along, Base, DEPTH, Masked, and_number, and_shifted_number, element, inverse, is_pick,
    is_power, is_shifted, is_weighted, log_and_shift, masked, shift_of_sum, summed, summed_of,
    weights, without_factor,
};
use crate::mode::Mode;
use kiln_ir::{Call, DType, Graph, Node, NodeId, Op, Reduce, Reduction, Scalar};

/// A value without the power of a base that is one for each row.
#[derive(Clone, Copy)]
struct Scaled {
    rest: NodeId,
    base: Base,
    /// What the base is raised to; `None` is 0.
    shift: Option<NodeId>,
    /// Where `rest` is a power of the base itself: what the base is raised to.
    exponent: Option<NodeId>,
}

/// What a node becomes, and by which rule, if it loses digits or overflows. Nodes are added to its graph.
pub(super) fn repair(graph: &mut Graph, id: NodeId, mode: Mode) -> Option<(&'static str, NodeId)> {
    let &Node::Op(op, args) = graph.node(id) else { return None };
    if let Some(base) = Base::of_logarithm(op) {
        return log_sum(graph, op, base, args[0])
            .or_else(|| log_quotient(graph, op, base, args[0]));
    }
    let negated = |id: NodeId| match graph.node(id) {
        Node::Op(Op::Neg, args) => Some(args[0]),
        _ => None,
    };
    match op {
        Op::Log1p => log_sum_and_one(graph, args[0]),
        Op::Div | Op::Mul => softmax(graph, id, mode),
        Op::Sub => difference(graph, args[0], args[1]),
        Op::Add => match (negated(args[0]), negated(args[1])) {
            (Some(off), _) => difference(graph, args[1], off),
            (None, Some(off)) => difference(graph, args[0], off),
            (None, None) => None,
        },
        Op::Exp | Op::Exp2 | Op::Exp10 => power_of_logarithm(graph, op, args[0]),
        _ => None,
    }
}

fn softmax(graph: &mut Graph, id: NodeId, mode: Mode) -> Option<(&'static str, NodeId)> {
    let (above, below) = quotient(graph, id, false, mode == Mode::Fast)?;
    let rule = if above.shift.is_some() { "stable-softmax" } else { "softmax-product" };
    let inverse = graph.op(Op::Recip, &[below.rest]).ok()?;
    if let &Node::Call(call, ref args) = graph.node(above.rest)
        && call.multiplies()
    {
        let (left, right) = (args[0], args[1]);
        let left = graph.op(Op::Mul, &[left, inverse]).ok()?;
        let product = graph.call(call, &[left, right]).ok()?;
        // Of open shapes nobody can say so.
        if graph.shape(product) == graph.shape(id) {
            return Some((rule, product));
        }
    }
    above.shift?;
    Some((rule, graph.op(Op::Mul, &[above.rest, inverse]).ok()?))
}

fn log_sum(graph: &mut Graph, log: Op, base: Base, of: NodeId) -> Option<(&'static str, NodeId)> {
    if let (Op::Log, Some((sum, number))) = (log, and_number(graph, of))
        && number == 1.0
    {
        return log_sum_and_one(graph, sum);
    }
    let along = summed(graph, of, DEPTH)?;
    let of = scaled(graph, of, along, DEPTH)?;
    let shift = of.shift?;
    let shift = changed(graph, shift, of.base, base)?;
    let log = graph.op(log, &[of.rest]).ok()?;
    Some(("stable-log-sum", graph.op(Op::Add, &[log, shift]).ok()?))
}

/// `log(1 + sum(exp(a)))`, which has all its digits where the sum is small. Of powers alone: that sum is at
/// least 1 once it is without its shift, unless the shift is 0.
fn log_sum_and_one(graph: &mut Graph, sum: NodeId) -> Option<(&'static str, NodeId)> {
    let Node::Call(Call::Reduce(_), args) = graph.node(sum) else { return None };
    let of = masked(graph, args[0]).map_or(args[0], |masked| masked.of);
    element(graph, of, Base::E)?;
    let along = Along { with_number: true, ..summed(graph, sum, DEPTH)? };
    let of = scaled(graph, sum, along, DEPTH)?;
    let shift = of.shift?;
    let less = graph.op(Op::Neg, &[shift]).ok()?;
    let less = graph.op(Op::Expm1, &[less]).ok()?;
    let rest = graph.op(Op::Add, &[of.rest, less]).ok()?;
    let log = graph.op(Op::Log1p, &[rest]).ok()?;
    Some(("stable-log-sum", graph.op(Op::Add, &[log, shift]).ok()?))
}

fn log_quotient(
    graph: &mut Graph,
    log: Op,
    base: Base,
    of: NodeId,
) -> Option<(&'static str, NodeId)> {
    let (above, below) = quotient(graph, of, true, false)?;
    let exponent = changed(graph, above.exponent?, above.base, base)?;
    let log = graph.op(log, &[below.rest]).ok()?;
    Some(("log-softmax", graph.op(Op::Sub, &[exponent, log]).ok()?))
}

/// `s - (m + log(sum(exp(a - m))))`, and the other way around.
fn difference(graph: &mut Graph, from: NodeId, off: NodeId) -> Option<(&'static str, NodeId)> {
    let new = match (log_and_shift(graph, off), log_and_shift(graph, from)) {
        (Some((log, shift)), _) => {
            let off = graph.op(Op::Sub, &[from, shift]).ok()?;
            graph.op(Op::Sub, &[off, log])
        }
        (None, Some((log, shift))) => {
            let off = graph.op(Op::Sub, &[off, shift]).ok()?;
            graph.op(Op::Sub, &[log, off])
        }
        (None, None) => return None,
    };
    Some(("log-sum-less", new.ok()?))
}

/// `exp(log(softmax(a)))`, which has the power at hand.
fn power_of_logarithm(graph: &mut Graph, op: Op, of: NodeId) -> Option<(&'static str, NodeId)> {
    let &Node::Op(Op::Sub, args) = graph.node(of) else { return None };
    let &Node::Op(log, sum) = graph.node(args[1]) else { return None };
    (Base::of_logarithm(log)? == Base::of_power(op)?).then_some(())?;
    let Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, .. }), powers) = graph.node(sum[0])
    else {
        return None;
    };
    let power = powers[0];
    match graph.node(power) {
        Node::Op(of, exponent) if *of == op && exponent[0] == args[0] => {}
        _ => return None,
    }
    shift_of_sum(graph, sum[0], DEPTH)?;
    // Beside an infinity nothing was taken off, and a power that overflows is still nothing of an infinite sum.
    let largest = match graph.dtype(power) {
        DType::F32 => f64::from(f32::MAX),
        DType::F64 => f64::MAX,
        _ => return None,
    };
    let largest = graph.constant(graph.dtype(power), Scalar::Float(largest)).ok()?;
    let power = graph.op(Op::Min, &[power, largest]).ok()?;
    let inverse = graph.op(Op::Recip, &[sum[0]]).ok()?;
    Some(("exp-log-softmax", graph.op(Op::Mul, &[power, inverse]).ok()?))
}

/// The logarithm to base `to` of a power of `from`.
fn changed(graph: &mut Graph, exponent: NodeId, from: Base, to: Base) -> Option<NodeId> {
    if from == to {
        return Some(exponent);
    }
    let dtype = graph.dtype(exponent);
    let factor = graph.constant(dtype, Scalar::Float(dtype.round(from.ln() / to.ln()))).ok()?;
    graph.op(Op::Mul, &[exponent, factor]).ok()
}

/// What is divided by what, where both have the same shift. What is above may be the power of an element
/// that is picked of the row, or of `any` value: a logarithm of it does not overflow. It may be a sum with weights.
fn quotient(
    graph: &mut Graph,
    id: NodeId,
    any: bool,
    with_weights: bool,
) -> Option<(Scaled, Scaled)> {
    let &Node::Op(op, args) = graph.node(id) else { return None };
    let candidates = match op {
        Op::Div => [Some((args[0], args[1])), None],
        Op::Mul => [(0, 1), (1, 0)].map(|(a, b)| Some((args[a], inverse(graph, args[b])?))),
        _ => return None,
    };
    let mut parts = |(above, below): (NodeId, NodeId)| {
        let along = summed(graph, below, DEPTH)?;
        let is_weighted = with_weights && is_weighted(graph, above, along.axes, DEPTH);
        (is_weighted || is_power(graph, above, DEPTH)).then_some(())?;
        let sum = below;
        let below = scaled(graph, below, along, DEPTH)?;
        let of_sum = element(graph, above, below.base).and_then(|exponent| {
            let alone = any || is_pick(graph, exponent, summed_of(graph, sum, DEPTH)?, along.axes);
            alone.then_some(exponent)
        });
        if let Some(exponent) = of_sum
            && (below.shift.is_some() || shift_of_sum(graph, sum, DEPTH).is_some())
        {
            return Some((less(graph, exponent, below)?, below));
        }
        let above = match is_weighted {
            true => weighted(graph, above, &below, along, DEPTH)?,
            false => scaled(graph, above, along, DEPTH)?,
        };
        let fits = above.shift == below.shift && above.base == below.base;
        fits.then_some((above, below))
    };
    candidates.into_iter().flatten().find_map(&mut parts)
}

/// A power without the shift of a sum.
fn less(graph: &mut Graph, exponent: NodeId, of: Scaled) -> Option<Scaled> {
    let off = match of.shift {
        Some(shift) => graph.op(Op::Sub, &[exponent, shift]).ok()?,
        None => exponent,
    };
    let rest = graph.op(of.base.power(), &[off]).ok()?;
    Some(Scaled { rest, exponent: Some(off), ..of })
}

/// Takes a node apart, which goes along axes or is summed along them.
fn scaled(graph: &mut Graph, id: NodeId, along: Along, depth: usize) -> Option<Scaled> {
    let depth = depth.checked_sub(1)?;
    match graph.node(id).clone() {
        Node::Call(call @ Call::Reduce(reduce), args) if reduce.by == Reduction::Sum => {
            (reduce.axes == along.axes).then_some(())?;
            let of = scaled(graph, args[0], along, depth)?;
            let rest = graph.call(call, &[of.rest]).ok()?;
            Some(Scaled { rest, exponent: None, ..of })
        }
        Node::Op(op, args) if let Some(base) = Base::of_power(op) => {
            power(graph, base, args[0], along)
        }
        Node::Op(Op::Add, _) if let Some(of) = and_shifted_number(graph, id) => {
            let of = scaled(graph, of, along, depth)?;
            of.shift.is_none().then_some(Scaled { rest: id, exponent: None, ..of })
        }
        Node::Op(Op::Add, _) => {
            let (of, number) = and_number(graph, id)?;
            let of = scaled(graph, of, along, depth)?;
            let less = graph.op(Op::Neg, &[of.shift?]).ok()?;
            let power = graph.op(of.base.power(), &[less]).ok()?;
            let number = graph.constant(graph.dtype(power), Scalar::Float(number)).ok()?;
            let number = graph.op(Op::Mul, &[power, number]).ok()?;
            let rest = graph.op(Op::Add, &[of.rest, number]).ok()?;
            Some(Scaled { rest, exponent: None, ..of })
        }
        Node::Op(op, args) => {
            if let Some(masked) = masked(graph, id) {
                return masked.scaled(graph, along);
            }
            let (of, at) = without_factor(graph, op, &args)?;
            let of = scaled(graph, of, along, depth)?;
            let factor = counted(graph, args[1 - at]);
            let operands = if at == 0 { [of.rest, factor] } else { [factor, of.rest] };
            Some(Scaled { rest: graph.op(op, &operands).ok()?, exponent: None, ..of })
        }
        _ => None,
    }
}

/// Takes a sum of powers with weights apart, where `below` has the same shift.
fn weighted(
    graph: &mut Graph,
    id: NodeId,
    below: &Scaled,
    along: Along,
    depth: usize,
) -> Option<Scaled> {
    let depth = depth.checked_sub(1)?;
    let same = |graph: &mut Graph, of: NodeId| {
        let is_same = |of: &Scaled| of.shift == below.shift && of.base == below.base;
        scaled(graph, of, along, depth).filter(is_same)
    };
    let (of, rest) = match graph.node(id).clone() {
        Node::Call(call @ Call::Reduce(_), args) => {
            let (op, factors) = weights(graph, args[0], along.axes, depth)?;
            let (of, at) = factors.into_iter().find_map(|(of, at)| Some((same(graph, of)?, at)))?;
            let mut operands = graph.node(args[0]).operands();
            operands[at] = of.rest;
            let term = graph.op(op, &operands).ok()?;
            (of, graph.call(call, &[term]).ok()?)
        }
        Node::Call(call, args) => {
            call.multiplies().then_some(())?;
            let of = same(graph, args[0])?;
            (of, graph.call(call, &[of.rest, args[1]]).ok()?)
        }
        Node::Op(op, args) => {
            let (of, at) = without_factor(graph, op, &args)?;
            let of = weighted(graph, of, below, along, depth)?;
            let factor = counted(graph, args[1 - at]);
            let operands = if at == 0 { [of.rest, factor] } else { [factor, of.rest] };
            (of, graph.op(op, &operands).ok()?)
        }
        _ => return None,
    };
    Some(Scaled { rest, exponent: None, ..of })
}

/// A power of `base`, without its largest element along axes; that is at least 0 where a number is added.
fn power(graph: &mut Graph, base: Base, of: NodeId, along: Along) -> Option<Scaled> {
    let Along { axes, with_number } = along;
    let (off, shift) = match is_shifted(graph, of, axes) {
        true => (of, None),
        false => {
            // Of nothing there is no `max`, but a sum.
            let sup = Call::Reduce(Reduce { by: Reduction::Sup, axes });
            let sup = graph.call(sup, &[of]).ok()?;
            let zero = graph.constant(graph.dtype(of), Scalar::Float(0.0)).ok()?;
            let is_finite = graph.op(Op::IsFinite, &[sup]).ok()?;
            let mut largest = graph.op(Op::Select, &[is_finite, sup, zero]).ok()?;
            if with_number {
                largest = graph.op(Op::Max, &[largest, zero]).ok()?;
            }
            (graph.op(Op::Sub, &[of, largest]).ok()?, Some(largest))
        }
    };
    let rest = graph.op(base.power(), &[off]).ok()?;
    Some(Scaled { rest, base, shift, exponent: Some(off) })
}

impl Masked {
    /// What is 0 is a power of minus infinity: it does not count for the largest.
    fn scaled(&self, graph: &mut Graph, along: Along) -> Option<Scaled> {
        let &Node::Op(op, args) = graph.node(self.of) else { return None };
        let base = Base::of_power(op)?;
        let none = graph.constant(graph.dtype(args[0]), Scalar::Float(f64::NEG_INFINITY)).ok()?;
        let choices = match self.negated {
            true => [self.mask, none, args[0]],
            false => [self.mask, args[0], none],
        };
        if is_shifted(graph, args[0], along.axes) {
            return None;
        }
        let of = graph.op(Op::Select, &choices).ok()?;
        power(graph, base, of, along)
    }
}

/// A factor; where it counts what is computed of one array, it counts that: nothing need be computed.
fn counted(graph: &mut Graph, factor: NodeId) -> NodeId {
    let &Node::Call(call @ Call::Reduce(_), ref args) = graph.node(factor) else { return factor };
    let mut of = args[0];
    while let Node::Op(op, args) = graph.node(of)
        && op.arity() == 1
        && graph.dtype(args[0]) == graph.dtype(of)
    {
        of = args[0];
    }
    graph.call(call, &[of]).unwrap_or(factor)
}
