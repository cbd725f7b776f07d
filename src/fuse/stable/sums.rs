//! What sums of exponentials look like.

use kiln_ir::{Axes, Call, DType, Graph, Node, NodeId, Op, Reduce, Reduction, Scalar};
use smallvec::SmallVec;
use std::f64::consts::{LN_2, LN_10};

/// What is raised to powers.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Base {
    E,
    Two,
    Ten,
}

impl Base {
    pub(super) fn of_power(op: Op) -> Option<Base> {
        match op {
            Op::Exp => Some(Base::E),
            Op::Exp2 => Some(Base::Two),
            Op::Exp10 => Some(Base::Ten),
            _ => None,
        }
    }

    pub(super) fn of_logarithm(op: Op) -> Option<Base> {
        match op {
            Op::Log => Some(Base::E),
            Op::Log2 => Some(Base::Two),
            Op::Log10 => Some(Base::Ten),
            _ => None,
        }
    }

    pub(super) fn power(self) -> Op {
        match self {
            Base::E => Op::Exp,
            Base::Two => Op::Exp2,
            Base::Ten => Op::Exp10,
        }
    }

    pub(super) fn ln(self) -> f64 {
        match self {
            Base::E => 1.0,
            Base::Two => LN_2,
            Base::Ten => LN_10,
        }
    }
}

/// How many factors and choices are between a sum and its exponential, at most.
pub(super) const DEPTH: usize = 6;

/// The parts of `m + log(sum(exp(a - m)))`.
pub(super) fn log_and_shift(graph: &Graph, id: NodeId) -> Option<(NodeId, NodeId)> {
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
pub(super) fn shift_of_sum(graph: &Graph, id: NodeId, depth: usize) -> Option<NodeId> {
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

/// What a base is raised to.
pub(super) fn element(graph: &Graph, id: NodeId, base: Base) -> Option<NodeId> {
    match graph.node(id) {
        Node::Op(op, args) if *op == base.power() => Some(args[0]),
        _ => None,
    }
}

/// What is raised to powers that are summed.
pub(super) fn summed_of(graph: &Graph, id: NodeId, depth: usize) -> Option<NodeId> {
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

/// Whether a value is an element of each row of another that is picked along these axes.
pub(super) fn is_pick(graph: &Graph, id: NodeId, of: NodeId, along: Axes) -> bool {
    let Node::Call(Call::Gather(by), args) = graph.node(id) else { return false };
    let Some(rank) = graph.shape(of).dims().map(|dims| dims.len()) else { return false };
    let (Ok(axis), Ok(along)) = (by.place(rank), along.of_rank(rank)) else { return false };
    let is_along = along.iter().enumerate().all(|(at, is_along)| *is_along == (at == axis));
    by.along && args[0] == of && is_along
}

/// What one is divided by.
pub(super) fn inverse(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match graph.node(id) {
        Node::Op(Op::Recip, args) => Some(args[0]),
        Node::Op(Op::Div, args) if graph.scalar(args[0]).map(Scalar::to_f64) == Some(1.0) => {
            Some(args[1])
        }
        _ => None,
    }
}

/// How exponentials are summed.
#[derive(Clone, Copy)]
pub(super) struct Along {
    pub(super) axes: Axes,
    /// Whether a number is added, which is a power of 0 up to a factor.
    pub(super) with_number: bool,
}

/// How exponentials are summed, if a node is a sum of them, up to factors and what is added.
pub(super) fn summed(graph: &Graph, id: NodeId, depth: usize) -> Option<Along> {
    let depth = depth.checked_sub(1)?;
    match graph.node(id) {
        Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, axes }), args) => {
            is_power(graph, args[0], depth).then_some(Along { axes: *axes, with_number: false })
        }
        Node::Op(Op::Add, _) => {
            let sum = and_number(graph, id).map(|(of, _)| of);
            let along = summed(graph, sum.or_else(|| and_shifted_number(graph, id))?, depth)?;
            Some(Along { with_number: true, ..along })
        }
        Node::Op(op @ (Op::Mul | Op::Div), args) => {
            summed(graph, without_factor(graph, *op, args)?.0, depth)
        }
        _ => None,
    }
}

/// Whether a node is an exponential, up to what [`scaled`] knows.
pub(super) fn is_power(graph: &Graph, id: NodeId, depth: usize) -> bool {
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

/// Whether a node is a sum of exponentials with weights along these axes, or a product of rows of them.
pub(super) fn is_weighted(graph: &Graph, id: NodeId, axes: Axes, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match graph.node(id) {
        Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, axes: found }), args) => {
            *found == axes && weights(graph, args[0], axes, depth).is_some()
        }
        Node::Call(call, args) => {
            call.multiplies() && axes == Axes::LAST && is_power(graph, args[0], depth)
        }
        Node::Op(op @ (Op::Mul | Op::Div), args) => without_factor(graph, *op, args)
            .is_some_and(|(of, _)| is_weighted(graph, of, axes, depth)),
        _ => false,
    }
}

/// Operands, each with its place.
pub(super) type Factors = SmallVec<[(NodeId, usize); 2]>;

/// What may be exponentials of an op that gives them weights.
pub(super) fn weights(
    graph: &Graph,
    id: NodeId,
    axes: Axes,
    depth: usize,
) -> Option<(Op, Factors)> {
    let &Node::Op(op @ (Op::Mul | Op::Div), args) = graph.node(id) else { return None };
    // Axes that are counted from the first are others where weights have more of them.
    let rank = |id: NodeId| graph.shape(id).dims().map(|dims| dims.len());
    let are_from_last = axes.from_last(0) == axes;
    let is_alike = |of: NodeId| are_from_last || rank(of).is_some() && rank(of) == rank(id);
    let last = if op == Op::Mul { 2 } else { 1 };
    let factors = (0..last).map(|at| (args[at], at));
    let factors: Factors =
        factors.filter(|&(of, _)| is_power(graph, of, depth) && is_alike(of)).collect();
    (!factors.is_empty()).then_some((op, factors))
}

/// An exponential where a mask is true, and 0 elsewhere.
pub(super) struct Masked {
    pub(super) mask: NodeId,
    pub(super) of: NodeId,
    /// Whether it is 0 where the mask is true instead.
    pub(super) negated: bool,
}

pub(super) fn masked(graph: &Graph, id: NodeId) -> Option<Masked> {
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

/// What a power of minus a shift is added to, up to a factor: what [`and_number`] has become.
pub(super) fn and_shifted_number(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let &Node::Op(Op::Add, args) = graph.node(id) else { return None };
    let is_number = |id: NodeId| {
        let Node::Op(Op::Mul, args) = graph.node(id) else { return false };
        let is_power = match graph.node(args[0]) {
            Node::Op(op, of) if Base::of_power(*op).is_some() => {
                matches!(graph.node(of[0]), Node::Op(Op::Neg, _))
            }
            _ => false,
        };
        is_power && graph.scalar(args[1]).is_some_and(|by| by.to_f64() > 0.0)
    };
    is_number(args[1]).then_some(args[0])
}

/// What a positive number is added to, and that number.
pub(super) fn and_number(graph: &Graph, id: NodeId) -> Option<(NodeId, f64)> {
    let &Node::Op(Op::Add, args) = graph.node(id) else { return None };
    let number = |id| graph.scalar(id).map(Scalar::to_f64).filter(|by| *by > 0.0 && *by <= 1e12);
    let with = |of, by| Some((of, number(by)?));
    with(args[0], args[1]).or_else(|| with(args[1], args[0]))
}

/// What is multiplied with a number of moderate size or with a count, or divided by one, and which operand
/// that is.
pub(super) fn without_factor(graph: &Graph, op: Op, args: &[NodeId]) -> Option<(NodeId, usize)> {
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

/// Whether a value is without its largest element already: `a - max(a)`, or less a choice that has it.
pub(super) fn is_shifted(graph: &Graph, id: NodeId, axes: Axes) -> bool {
    match graph.node(id) {
        Node::Op(Op::Sub, args) => is_largest(graph, args[1], args[0], axes),
        _ => false,
    }
}

/// Whether a node is the largest element of another along axes, or a choice that has it.
pub(super) fn is_largest(graph: &Graph, id: NodeId, of: NodeId, along: Axes) -> bool {
    let is_it = |id: &NodeId| {
        matches!(graph.node(*id), Node::Call(Call::Reduce(Reduce { by, axes }), args)
            if matches!(by, Reduction::Max | Reduction::Sup) && args[0] == of && *axes == along)
    };
    match graph.node(id) {
        Node::Op(Op::Select, choices) => choices.iter().any(is_it),
        // Beside a number that is added.
        Node::Op(Op::Max, args) if graph.scalar(args[1]).map(Scalar::to_f64) == Some(0.0) => {
            is_largest(graph, args[0], of, along)
        }
        _ => is_it(&id),
    }
}
