//! Sums of exponentials, which overflow as they are written.
//!
//! A value is taken apart into what does not overflow and a power of the base, the *shift*, which is one
//! for each row: `exp(a)` is `exp(a - m)` times e to the power of `m`, with `m` the largest element of `a`.
//! Sums, numbers and counts are factors that leave the shift as it is; a quotient is rid of it, and a
//! logarithm has it as a summand. All spellings follow from that, in the bases e, 2 and 10:
//!
//! ```text
//! exp(a) / sum(exp(a))        =>  exp(a - m) / sum(exp(a - m))
//! log(mean(exp(a)))           =>  m + log(mean(exp(a - m)))
//! log(exp(a) / sum(exp(a)))   =>  (a - m) - log(sum(exp(a - m)))
//! s - (m + log(sum(..)))      =>  (s - m) - log(sum(..))
//! exp((a - m) - log(sum(..))) =>  exp(a - m) / sum(exp(a - m))
//! ```
//!
//! In the fourth, `m` was added where it is taken off again: that rounds to the digits of `m`, whatever the
//! difference is. The logarithm is at least 0 and at most that of the number of elements, so it does not
//! matter what `s` is.

use kiln_ir::{Axes, Call, DType, Graph, Node, NodeId, Op, Reduce, Reduction, Scalar};
use std::f64::consts::{LN_2, LN_10};

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

/// What is raised to powers.
#[derive(Clone, Copy, PartialEq)]
enum Base {
    E,
    Two,
    Ten,
}

impl Base {
    fn of_power(op: Op) -> Option<Base> {
        match op {
            Op::Exp => Some(Base::E),
            Op::Exp2 => Some(Base::Two),
            Op::Exp10 => Some(Base::Ten),
            _ => None,
        }
    }

    fn of_logarithm(op: Op) -> Option<Base> {
        match op {
            Op::Log => Some(Base::E),
            Op::Log2 => Some(Base::Two),
            Op::Log10 => Some(Base::Ten),
            _ => None,
        }
    }

    fn power(self) -> Op {
        match self {
            Base::E => Op::Exp,
            Base::Two => Op::Exp2,
            Base::Ten => Op::Exp10,
        }
    }

    fn ln(self) -> f64 {
        match self {
            Base::E => 1.0,
            Base::Two => LN_2,
            Base::Ten => LN_10,
        }
    }
}

/// How many factors and choices are between a sum and its exponential, at most.
const DEPTH: usize = 6;

/// What a node becomes, and by which rule, if it loses digits or overflows. Nodes are added to its graph.
pub(super) fn repair(graph: &mut Graph, id: NodeId) -> Option<(&'static str, NodeId)> {
    let &Node::Op(op, args) = graph.node(id) else { return None };
    if let Some(base) = Base::of_logarithm(op) {
        return log_sum(graph, op, base, args[0])
            .or_else(|| log_quotient(graph, op, base, args[0]));
    }
    match op {
        Op::Div | Op::Mul => softmax(graph, id),
        Op::Sub => difference(graph, args[0], args[1]),
        Op::Exp | Op::Exp2 | Op::Exp10 => power_of_logarithm(graph, op, args[0]),
        _ => None,
    }
}

fn softmax(graph: &mut Graph, id: NodeId) -> Option<(&'static str, NodeId)> {
    let (above, below) = quotient(graph, id, false)?;
    above.shift?;
    let inverse = graph.op(Op::Recip, &[below.rest]).ok()?;
    Some(("stable-softmax", graph.op(Op::Mul, &[above.rest, inverse]).ok()?))
}

fn log_sum(graph: &mut Graph, log: Op, base: Base, of: NodeId) -> Option<(&'static str, NodeId)> {
    let axes = summed(graph, of, DEPTH)?;
    let of = scaled(graph, of, axes, DEPTH)?;
    let shift = of.shift?;
    let shift = changed(graph, shift, of.base, base)?;
    let log = graph.op(log, &[of.rest]).ok()?;
    Some(("stable-log-sum", graph.op(Op::Add, &[log, shift]).ok()?))
}

fn log_quotient(
    graph: &mut Graph,
    log: Op,
    base: Base,
    of: NodeId,
) -> Option<(&'static str, NodeId)> {
    let (above, below) = quotient(graph, of, true)?;
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

/// The parts of `m + log(sum(exp(a - m)))`.
fn log_and_shift(graph: &Graph, id: NodeId) -> Option<(NodeId, NodeId)> {
    let &Node::Op(Op::Add, args) = graph.node(id) else { return None };
    let parts = |log: NodeId, shift: NodeId| {
        let &Node::Op(op, of) = graph.node(log) else { return None };
        Base::of_logarithm(op)?;
        let by = shift_of_sum(graph, of[0], DEPTH)?;
        let is_multiple = match graph.node(shift) {
            Node::Op(Op::Mul, args) => args[0] == by && graph.scalar(args[1]).is_some(),
            _ => false,
        };
        (shift == by || is_multiple).then_some((log, shift))
    };
    parts(args[0], args[1]).or_else(|| parts(args[1], args[0]))
}

/// `m`, of a sum of `exp(a - m)`.
fn shift_of_sum(graph: &Graph, id: NodeId, depth: usize) -> Option<NodeId> {
    let depth = depth.checked_sub(1)?;
    match graph.node(id) {
        Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, axes }), args) => {
            let &Node::Op(op, power) = graph.node(args[0]) else { return None };
            Base::of_power(op)?;
            let &Node::Op(Op::Sub, of) = graph.node(power[0]) else { return None };
            is_largest(graph, of[1], of[0], *axes).then_some(of[1])
        }
        Node::Op(op @ (Op::Mul | Op::Div), args) => {
            let (of, _) = without_factor(graph, *op, args)?;
            shift_of_sum(graph, of, depth)
        }
        _ => None,
    }
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
/// that is picked of the row, or of `any` value: a logarithm of it does not overflow.
fn quotient(graph: &mut Graph, id: NodeId, any: bool) -> Option<(Scaled, Scaled)> {
    let &Node::Op(op, args) = graph.node(id) else { return None };
    let candidates = match op {
        Op::Div => [Some((args[0], args[1])), None],
        Op::Mul => [(0, 1), (1, 0)].map(|(a, b)| Some((args[a], inverse(graph, args[b])?))),
        _ => return None,
    };
    let mut parts = |(above, below): (NodeId, NodeId)| {
        let axes = summed(graph, below, DEPTH)?;
        is_power(graph, above, DEPTH).then_some(())?;
        let sum = below;
        let below = scaled(graph, below, axes, DEPTH)?;
        let of_sum = element(graph, above, below.base).and_then(|exponent| {
            let alone = any || is_pick(graph, exponent, summed_of(graph, sum, DEPTH)?);
            alone.then_some(exponent)
        });
        if let Some(exponent) = of_sum
            && (below.shift.is_some() || shift_of_sum(graph, sum, DEPTH).is_some())
        {
            return Some((less(graph, exponent, below)?, below));
        }
        let above = scaled(graph, above, axes, DEPTH)?;
        let fits = above.shift == below.shift && above.base == below.base;
        fits.then_some((above, below))
    };
    candidates.into_iter().flatten().find_map(&mut parts)
}

/// What a base is raised to.
fn element(graph: &Graph, id: NodeId, base: Base) -> Option<NodeId> {
    match graph.node(id) {
        Node::Op(op, args) if *op == base.power() => Some(args[0]),
        _ => None,
    }
}

/// What is raised to powers that are summed.
fn summed_of(graph: &Graph, id: NodeId, depth: usize) -> Option<NodeId> {
    let depth = depth.checked_sub(1)?;
    match graph.node(id) {
        Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, .. }), args) => {
            match graph.node(args[0]) {
                Node::Op(op, args) if Base::of_power(*op).is_some() => Some(args[0]),
                _ => None,
            }
        }
        Node::Op(op @ (Op::Mul | Op::Div), args) => {
            summed_of(graph, without_factor(graph, *op, args)?.0, depth)
        }
        _ => None,
    }
}

/// Whether a value is an element of each row of another: the sum of it and of zeros.
fn is_pick(graph: &Graph, id: NodeId, of: NodeId) -> bool {
    let Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, .. }), args) = graph.node(id) else {
        return false;
    };
    match graph.node(args[0]) {
        Node::Op(Op::Select, choices) => {
            let is_place = |id: NodeId| matches!(graph.node(id), Node::Call(Call::Iota(_), _));
            let is_one = match graph.node(choices[0]) {
                Node::Op(Op::Eq, sides) => sides.iter().any(|&side| is_place(side)),
                _ => false,
            };
            is_one && choices[1] == of && graph.scalar(choices[2]).map(Scalar::to_f64) == Some(0.0)
        }
        _ => false,
    }
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

/// What one is divided by.
fn inverse(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match graph.node(id) {
        Node::Op(Op::Recip, args) => Some(args[0]),
        Node::Op(Op::Div, args) if graph.scalar(args[0]).map(Scalar::to_f64) == Some(1.0) => {
            Some(args[1])
        }
        _ => None,
    }
}

/// The axes along which exponentials are summed, if a node is a sum of them, up to a factor.
fn summed(graph: &Graph, id: NodeId, depth: usize) -> Option<Axes> {
    let depth = depth.checked_sub(1)?;
    match graph.node(id) {
        Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, axes }), args) => {
            is_power(graph, args[0], depth).then_some(*axes)
        }
        Node::Op(op @ (Op::Mul | Op::Div), args) => {
            summed(graph, without_factor(graph, *op, args)?.0, depth)
        }
        _ => None,
    }
}

/// Whether a node is an exponential, up to what [`scaled`] knows.
fn is_power(graph: &Graph, id: NodeId, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let &Node::Op(op, args) = graph.node(id) else { return false };
    if Base::of_power(op).is_some() {
        return true;
    }
    match (masked(graph, id), op) {
        (Some(masked), _) => is_power(graph, masked.of, depth),
        (None, Op::Mul | Op::Div) => {
            without_factor(graph, op, &args).is_some_and(|(of, _)| is_power(graph, of, depth))
        }
        _ => false,
    }
}

/// Takes a node apart, which goes along axes or is summed along them.
fn scaled(graph: &mut Graph, id: NodeId, axes: Axes, depth: usize) -> Option<Scaled> {
    let depth = depth.checked_sub(1)?;
    match graph.node(id).clone() {
        Node::Call(call @ Call::Reduce(reduce), args) if reduce.by == Reduction::Sum => {
            (reduce.axes == axes).then_some(())?;
            let of = scaled(graph, args[0], axes, depth)?;
            let rest = graph.call(call, &[of.rest]).ok()?;
            Some(Scaled { rest, exponent: None, ..of })
        }
        Node::Op(op, args) if let Some(base) = Base::of_power(op) => {
            power(graph, base, args[0], axes)
        }
        Node::Op(op, args) => {
            if let Some(masked) = masked(graph, id) {
                return masked.scaled(graph, axes);
            }
            let (of, at) = without_factor(graph, op, &args)?;
            let of = scaled(graph, of, axes, depth)?;
            let factor = counted(graph, args[1 - at]);
            let operands = if at == 0 { [of.rest, factor] } else { [factor, of.rest] };
            Some(Scaled { rest: graph.op(op, &operands).ok()?, exponent: None, ..of })
        }
        _ => None,
    }
}

/// A power of `base`, without its largest element along axes.
fn power(graph: &mut Graph, base: Base, of: NodeId, axes: Axes) -> Option<Scaled> {
    let (off, shift) = match is_shifted(graph, of, axes) {
        true => (of, None),
        false => {
            // Of nothing there is no `max`, but a sum.
            let sup = Call::Reduce(Reduce { by: Reduction::Sup, axes });
            let sup = graph.call(sup, &[of]).ok()?;
            let zero = graph.constant(graph.dtype(of), Scalar::Float(0.0)).ok()?;
            let is_finite = graph.op(Op::IsFinite, &[sup]).ok()?;
            let largest = graph.op(Op::Select, &[is_finite, sup, zero]).ok()?;
            (graph.op(Op::Sub, &[of, largest]).ok()?, Some(largest))
        }
    };
    let rest = graph.op(base.power(), &[off]).ok()?;
    Some(Scaled { rest, base, shift, exponent: Some(off) })
}

/// An exponential where a mask is true, and 0 elsewhere.
struct Masked {
    mask: NodeId,
    of: NodeId,
    /// Whether it is 0 where the mask is true instead.
    negated: bool,
}

fn masked(graph: &Graph, id: NodeId) -> Option<Masked> {
    let &Node::Op(op, args) = graph.node(id) else { return None };
    let is_zero = |id: NodeId| graph.scalar(id).map(Scalar::to_f64) == Some(0.0);
    match op {
        Op::Select if is_zero(args[2]) => {
            Some(Masked { mask: args[0], of: args[1], negated: false })
        }
        Op::Select if is_zero(args[1]) => {
            Some(Masked { mask: args[0], of: args[2], negated: true })
        }
        Op::Mul => {
            let truth = |id: NodeId| match graph.node(id) {
                Node::Op(Op::ToF32 | Op::ToF64, of) => {
                    (graph.dtype(of[0]) == DType::Bool).then_some(of[0])
                }
                _ => None,
            };
            let by = |mask, of| Some(Masked { mask: truth(mask)?, of, negated: false });
            by(args[1], args[0]).or_else(|| by(args[0], args[1]))
        }
        _ => None,
    }
}

impl Masked {
    /// What is 0 is a power of minus infinity: it does not count for the largest.
    fn scaled(&self, graph: &mut Graph, axes: Axes) -> Option<Scaled> {
        let &Node::Op(op, args) = graph.node(self.of) else { return None };
        let base = Base::of_power(op)?;
        let none = graph.constant(graph.dtype(args[0]), Scalar::Float(f64::NEG_INFINITY)).ok()?;
        let choices = match self.negated {
            true => [self.mask, none, args[0]],
            false => [self.mask, args[0], none],
        };
        if is_shifted(graph, args[0], axes) {
            return None;
        }
        let of = graph.op(Op::Select, &choices).ok()?;
        power(graph, base, of, axes)
    }
}

/// What is multiplied with a number of moderate size or with a count, or divided by one, and which operand
/// that is.
fn without_factor(graph: &Graph, op: Op, args: &[NodeId]) -> Option<(NodeId, usize)> {
    let is_factor = |id: NodeId| match graph.node(id) {
        Node::Call(Call::Reduce(reduce), _) => reduce.by == Reduction::Count,
        _ => graph.scalar(id).is_some_and(|by| (1e-12..=1e12).contains(&by.to_f64())),
    };
    match op {
        Op::Mul if is_factor(args[0]) => Some((args[1], 1)),
        Op::Mul | Op::Div if is_factor(args[1]) => Some((args[0], 0)),
        _ => None,
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

/// Whether a value is without its largest element already: `a - max(a)`, or less a choice that has it.
fn is_shifted(graph: &Graph, id: NodeId, axes: Axes) -> bool {
    match graph.node(id) {
        Node::Op(Op::Sub, args) => is_largest(graph, args[1], args[0], axes),
        _ => false,
    }
}

/// Whether a node is the largest element of another along axes, or a choice that has it.
fn is_largest(graph: &Graph, id: NodeId, of: NodeId, along: Axes) -> bool {
    let is_it = |id: &NodeId| {
        matches!(graph.node(*id), Node::Call(Call::Reduce(Reduce { by, axes }), args)
            if matches!(by, Reduction::Max | Reduction::Sup) && args[0] == of && *axes == along)
    };
    match graph.node(id) {
        Node::Op(Op::Select, choices) => choices.iter().any(is_it),
        _ => is_it(&id),
    }
}
