//! Exponentials that are summed: what is written so that it overflows becomes what does not.
//!
//! With `m` the largest element of `a`, or 0 where that is not finite:
//!
//! ```text
//! exp(a) / sum(exp(a))  =>  exp(a - m) / sum(exp(a - m))
//! log(sum(exp(a)))      =>  m + log(sum(exp(a - m)))
//! log(softmax(a))       =>  a - m - log(sum(exp(a - m)))
//! ```
//!
//! Where all elements are finite these are what was meant, for any size of them. Where one is not, `m`
//! is 0 and what was written is computed. The difference `a - m` is rounded: where `exp(a)` would not
//! have overflowed, an element costs up to half as many ULP as its logarithm is below that of the
//! largest. That is how softmax is computed everywhere.
//!
//! The algebra sees calls as opaque, so this is a pass before it. Strict mode does not repair.

use super::pass::PassContext;
use super::proof::Step;
use crate::mode::Mode;
use kiln_ir::{Call, Graph, Node, NodeId, Op, Reduce, Reduction, Scalar};

/// The pass `stable`: the same program, which does not overflow where it need not.
pub(crate) fn stabilize(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let sums =
        |node: &Node| matches!(node, Node::Call(Call::Reduce(by), _) if by.by == Reduction::Sum);
    if context.mode == Mode::Strict || !graph.nodes().iter().any(sums) {
        return graph.clone();
    }
    let mut result = Graph::with_inputs(graph.name(), graph.inputs());
    let mut ids: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let repaired = find(graph, id).and_then(|found| {
            if context.prove {
                context.repairs.extend(step(graph, id, &found));
            }
            found.add_to(graph, &mut result, |id| ids[id.index()])
        });
        let new = repaired.unwrap_or_else(|| {
            let operands: Vec<NodeId> = node.operands().iter().map(|id| ids[id.index()]).collect();
            let copied = result.copy_node(graph, id, &operands);
            copied.unwrap_or_else(|fault| panic!("repairs broke a valid graph: {fault}"))
        });
        ids.push(new);
    }
    graph.outputs().iter().for_each(|output| result.output(ids[output.index()]));
    result
}

/// What is repaired.
struct Found {
    kind: Kind,
    /// What is exponentiated.
    of: NodeId,
    /// How it is summed.
    sum: Reduce,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Softmax,
    LogSumExp,
    LogSoftmax,
}

/// What a node is, if it is one of those that overflow.
fn find(graph: &Graph, id: NodeId) -> Option<Found> {
    let Node::Op(op, args) = graph.node(id) else { return None };
    let found = |kind, (of, sum)| Found { kind, of, sum };
    match op {
        Op::Log => match summed(graph, args[0]) {
            Some(of_sum) => Some(found(Kind::LogSumExp, of_sum)),
            None => quotient(graph, args[0]).map(|of_sum| found(Kind::LogSoftmax, of_sum)),
        },
        _ => quotient(graph, id).map(|of_sum| found(Kind::Softmax, of_sum)),
    }
    .filter(|found| found.kind == Kind::LogSoftmax || !is_shifted(graph, found.of))
}

/// `a` and the sum, where a node is `exp(a)` by the sum of the same.
fn quotient(graph: &Graph, id: NodeId) -> Option<(NodeId, Reduce)> {
    let Node::Op(op, args) = graph.node(id) else { return None };
    let by = |exponential: NodeId, sum: NodeId| {
        let (of, by) = summed(graph, sum)?;
        (exponent(graph, exponential)? == of).then_some((of, by))
    };
    // One by the sum.
    let inverse = |id: NodeId| match graph.node(id) {
        Node::Op(Op::Recip, args) => Some(args[0]),
        Node::Op(Op::Div, args) if graph.scalar(args[0]).map(Scalar::to_f64) == Some(1.0) => {
            Some(args[1])
        }
        _ => None,
    };
    match op {
        Op::Div => by(args[0], args[1]),
        Op::Mul => {
            let product = |left, right| by(left, inverse(right)?);
            product(args[0], args[1]).or_else(|| product(args[1], args[0]))
        }
        _ => None,
    }
}

/// `a` and the sum, where a node is `sum(exp(a))`.
fn summed(graph: &Graph, id: NodeId) -> Option<(NodeId, Reduce)> {
    let Node::Call(Call::Reduce(reduce), args) = graph.node(id) else { return None };
    let of = exponent(graph, args[0]).filter(|_| reduce.by == Reduction::Sum)?;
    Some((of, *reduce))
}

fn exponent(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match graph.node(id) {
        Node::Op(Op::Exp, args) => Some(args[0]),
        _ => None,
    }
}

/// Whether a value is without its largest element already: `a - max(a)`, or less a choice that has it.
fn is_shifted(graph: &Graph, id: NodeId) -> bool {
    let Node::Op(Op::Sub, args) = graph.node(id) else { return false };
    let is_largest = |id: &NodeId| {
        matches!(graph.node(*id), Node::Call(Call::Reduce(reduce), of)
            if matches!(reduce.by, Reduction::Max | Reduction::Sup) && of[0] == args[0])
    };
    match graph.node(args[1]) {
        Node::Op(Op::Select, choices) => choices.iter().any(is_largest),
        _ => is_largest(&args[1]),
    }
}

impl Found {
    /// Adds what it becomes; `new` has the operands there. `None` where something does not fit.
    fn add_to(
        &self,
        graph: &Graph,
        result: &mut Graph,
        new: impl Fn(NodeId) -> NodeId,
    ) -> Option<NodeId> {
        let of = new(self.of);
        let (off, largest) = match is_shifted(graph, self.of) {
            true => (of, None),
            false => {
                // Of nothing there is no `max`, but a sum.
                let sup = Call::Reduce(Reduce { by: Reduction::Sup, axes: self.sum.axes });
                let sup = result.call(sup, &[of]).ok()?;
                let zero = result.constant(result.dtype(of), Scalar::Float(0.0)).ok()?;
                let is_finite = result.op(Op::IsFinite, &[sup]).ok()?;
                let largest = result.op(Op::Select, &[is_finite, sup, zero]).ok()?;
                (result.op(Op::Sub, &[of, largest]).ok()?, Some(largest))
            }
        };
        let exponential = result.op(Op::Exp, &[off]).ok()?;
        let sum = result.call(Call::Reduce(self.sum), &[exponential]).ok()?;
        let inverse = |result: &mut Graph| result.op(Op::Recip, &[sum]);
        match self.kind {
            Kind::Softmax => {
                let inverse = inverse(result).ok()?;
                result.op(Op::Mul, &[exponential, inverse]).ok()
            }
            Kind::LogSumExp => {
                let log = result.op(Op::Log, &[sum]).ok()?;
                result.op(Op::Add, &[log, largest?]).ok()
            }
            Kind::LogSoftmax => {
                let log = result.op(Op::Log, &[sum]).ok()?;
                result.op(Op::Sub, &[off, log]).ok()
            }
        }
    }

    fn rule(&self) -> &'static str {
        match self.kind {
            Kind::Softmax => "stable-softmax",
            Kind::LogSumExp => "stable-log-sum",
            Kind::LogSoftmax => "log-softmax",
        }
    }
}

/// The step of a proof.
fn step(graph: &Graph, id: NodeId, found: &Found) -> Option<Step> {
    let mut after = Graph::with_inputs("step", graph.inputs());
    let copied = copies(graph, &mut after, None)?;
    let output = found.add_to(graph, &mut after, |id| copied[id.index()])?;
    after.output(output);
    let mut before = Graph::with_inputs("step", graph.inputs());
    let copied = copies(graph, &mut before, None)?;
    before.output(copied[id.index()]);
    let mut around = Graph::with_inputs("step", graph.inputs());
    let mut name = "part".to_string();
    while graph.inputs().iter().any(|input| input.name == name) {
        name.push('_');
    }
    let hole = around.parameter(name, graph.dtype(id), graph.shape(id).clone()).ok()?;
    let copied = copies(graph, &mut around, Some((id, hole)))?;
    let mut needs = vec![false; graph.nodes().len()];
    for (at, node) in graph.iter() {
        needs[at.index()] = at == id || node.operands().iter().any(|id| needs[id.index()]);
    }
    let output = graph.outputs().iter().find(|output| needs[output.index()])?;
    around.output(copied[output.index()]);
    let [before, after, around] = [before, after, around].map(|graph| graph.normalized());
    Some(Step { rule: found.rule().into(), reversed: false, before, after, around })
}

/// Copies all nodes; one may have another in its place.
fn copies(graph: &Graph, to: &mut Graph, part: Option<(NodeId, NodeId)>) -> Option<Vec<NodeId>> {
    let mut copied: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> = node.operands().iter().map(|id| copied[id.index()]).collect();
        copied.push(match part {
            Some((hole, with)) if hole == id => with,
            _ => to.copy_node(graph, id, &operands).ok()?,
        });
    }
    Some(copied)
}

#[cfg(test)]
mod tests {
    use crate::explain::prove;
    use crate::internals::fuse;
    use crate::mode::Mode;
    use kiln_ir::{Node, parse};

    fn fused(text: &str, mode: Mode) -> String {
        fuse(&parse(text).unwrap(), mode).graph.to_string()
    }

    #[test]
    fn what_overflows_is_repaired() {
        for (text, rule) in [
            ("exp(x) / sum[-1](exp(x))", "stable-softmax"),
            ("exp(2 * x) * (1 / sum[-1](exp(2 * x)))", "stable-softmax"),
            ("recip(sum(exp(x))) * exp(x)", "stable-softmax"),
            ("log(sum[-1](exp(x)))", "stable-log-sum"),
            ("x - log(sum[..](exp(x)))", "stable-log-sum"),
            ("log(softmax[-1](x))", "log-softmax"),
            ("log(exp(x) / sum[0](exp(x)))", "log-softmax"),
        ] {
            for mode in [Mode::Precise, Mode::Fast] {
                let proof = prove(&parse(text).unwrap(), mode).unwrap();
                assert!(proof.steps.iter().any(|step| step.rule == rule), "{text}: {proof}");
                let kernel = fused(text, mode);
                let graph = parse(&kernel).unwrap();
                let passes = graph.nodes().iter();
                let passes =
                    passes.filter(|node| matches!(node, Node::Fused { .. } | Node::Call(..)));
                assert_eq!(passes.count(), 1, "{kernel}");
            }
            assert!(!fused(text, Mode::Strict).contains("is_finite"), "{text}");
        }
    }

    #[test]
    fn what_is_stable_stays() {
        for text in [
            "softmax[-1](x)",
            "logsumexp[-1](x)",
            "softmax_or_zero[-1](x)",
            "log_softmax[-1](x)",
            "exp(x) / sum[-1](exp(y))",
            "exp(x) / sum[-1](x)",
            "sum[-1](exp(x))",
        ] {
            assert!(!fused(text, Mode::Precise).contains("is_finite"), "{text}");
        }
    }
}
