//! Computations along rows that lose digits or overflow as they are written become what does not.
//!
//! [`powers`] has sums of exponentials, [`centred`] what is without its mean. The algebra sees calls as
//! opaque, so these are a pass before it. Strict mode does not repair.

mod centred;
mod powers;
mod step;
mod sums;

pub(super) use step::step;

use super::pass::PassContext;
use crate::mode::Mode;
use kiln_ir::{Call, Graph, Node, NodeId, Reduction};

/// What becomes of a node.
enum New {
    /// The same, over what its operands have become.
    Copied,
    /// Another node, that computes what was written.
    Kept(NodeId),
    /// What a rule makes of it.
    Repaired(&'static str, NodeId),
}

/// The pass `stable`: the same program, which neither overflows nor cancels where it need not.
pub(crate) fn stabilize(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let sums =
        |node: &Node| matches!(node, Node::Call(Call::Reduce(by), _) if by.by == Reduction::Sum);
    if context.mode == Mode::Strict || !graph.nodes().iter().any(sums) {
        return graph.clone();
    }
    let mode = context.mode;
    let powers = rewritten(graph, context, |made, id| {
        let copied = made.copied(id);
        let repaired = powers::repair(&mut made.graph, copied, mode);
        repaired.map_or(New::Kept(copied), |(rule, new)| New::Repaired(rule, new))
    });
    let graph = powers.as_ref().unwrap_or(graph);
    let centred = centred::Centred::of(graph);
    let centred = match centred.is_empty() {
        true => None,
        false => rewritten(graph, context, |made, id| centred.repair(made, id)),
    };
    centred.unwrap_or_else(|| graph.clone())
}

/// A graph that is made of another one, node by node.
struct Made<'g> {
    from: &'g Graph,
    graph: Graph,
    /// Where the nodes of the other one are.
    ids: Vec<NodeId>,
}

impl Made<'_> {
    /// What a node of the other graph has become.
    fn of(&self, id: NodeId) -> NodeId {
        self.ids[id.index()]
    }

    /// A node of the other graph, over what its operands have become.
    fn copied(&mut self, id: NodeId) -> NodeId {
        let operands = self.from.node(id).operands();
        let operands: Vec<NodeId> = operands.into_iter().map(|id| self.of(id)).collect();
        let copied = self.graph.copy_node(self.from, id, &operands);
        copied.unwrap_or_else(|fault| panic!("repairs broke a valid graph: {fault}"))
    }
}

/// A graph with its nodes repaired, if any was.
fn rewritten(
    graph: &Graph,
    context: &mut PassContext<'_>,
    repair: impl Fn(&mut Made<'_>, NodeId) -> New,
) -> Option<Graph> {
    let made = Graph::with_inputs(graph.name(), graph.inputs());
    let mut made = Made { from: graph, graph: made, ids: Vec::with_capacity(graph.nodes().len()) };
    let mut is_same = true;
    for (id, _) in graph.iter() {
        let new = match repair(&mut made, id) {
            New::Repaired(rule, new) => {
                is_same = false;
                if context.prove {
                    let copied = made.copied(id);
                    context.repairs.extend(step(graph, id, rule, &made.graph, [copied, new]));
                }
                new
            }
            New::Kept(new) => new,
            New::Copied => made.copied(id),
        };
        made.ids.push(new);
    }
    if is_same {
        return None;
    }
    graph.outputs().iter().for_each(|&output| made.graph.output(made.ids[output.index()]));
    Some(made.graph.normalized())
}

#[cfg(test)]
mod tests {
    use crate::explain::prove;
    use crate::internals::fuse;
    use crate::mode::Mode;
    use crate::{CompileOptions, Tensor, compile_with};
    use kiln_ir::{Node, parse};
    use ndarray::Array2;

    const RULES: [&str; 9] = [
        "stable-softmax",
        "softmax-product",
        "stable-log-sum",
        "log-softmax",
        "log-sum-less",
        "exp-log-softmax",
        "centre",
        "centred-sum",
        "one-pass-variance",
    ];

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
            ("exp2(x) / sum[-1](exp2(x))", "stable-softmax"),
            ("exp(x) / mean[-1](exp(x))", "stable-softmax"),
            ("let e = select(x > 0, exp(x), 0); e / sum[-1](e)", "stable-softmax"),
            ("let e = exp(x) * f32(x > 0); e / sum[-1](e)", "stable-softmax"),
            ("log(mean[-1](exp(x)))", "stable-log-sum"),
            ("log10(sum[-1](exp10(x)))", "stable-log-sum"),
            ("log2(softmax[-1](x))", "log-softmax"),
            ("x - logsumexp[-1](x)", "log-sum-less"),
            ("log(sum[-1](exp(x))) - x", "log-sum-less"),
            ("-x + logsumexp[-1](x)", "log-sum-less"),
            ("log(1 + sum[-1](exp(x)))", "stable-log-sum"),
            ("exp(x) / (1 + sum[-1](exp(x)))", "stable-softmax"),
            ("|x: f32[n, 8]| (x - sum[-1](x) / 8)^2 / sum[-1]((x - sum[-1](x) / 8)^2)", "centre"),
            ("|x, p| logsumexp[-1](x) - sum[-1](x * p)", "log-sum-less"),
            ("exp(x - logsumexp[-1](x))", "exp-log-softmax"),
            ("(x - mean[-1](x)) / std[-1](x)", "centre"),
            ("let o = x - mean[-1](x); o * rsqrt(mean[-1](o * o) + 1e-5)", "centred-sum"),
            ("mean[-1](x * x) - mean[-1](x)^2", "one-pass-variance"),
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
            let steps = prove(&parse(text).unwrap(), Mode::Strict).unwrap().steps;
            assert!(steps.iter().all(|step| !RULES.contains(&&*step.rule)), "{text}: {steps:?}");
        }
    }

    /// In Fast alone. Attention whose rows are divided last is one kernel as well.
    #[test]
    fn sums_with_weights_are_repaired() {
        let scores = "|q: f32[n, d], k: f32[t, d], v: f32[t, e]| let s = q @ transpose(k) * 0.125;";
        let product = "|x: f32[n, k], w: f32[k, m]|";
        for (text, rule) in [
            ("sum[-1](exp(x) * w) / sum[-1](exp(x))", "stable-softmax"),
            ("mean[-1](w * exp(x)) / mean[-1](exp(x))", "stable-softmax"),
            ("sum(exp(x) / w) * (1 / sum(exp(x)))", "stable-softmax"),
            (
                "|x: f32[n, m], w: f32[n, m]| sum[0](w * exp2(x)) / sum[0](exp2(x))",
                "stable-softmax",
            ),
            (&format!("{product} (exp(x) @ w) / sum[-1](exp(x))"), "stable-softmax"),
            (
                &format!("{product} let e = select(x > 0, exp(x), 0); (e @ w) * (1 / sum[-1](e))"),
                "stable-softmax",
            ),
            (&format!("{scores} (exp(s) @ v) / sum[-1](exp(s))"), "stable-softmax"),
            (
                &format!("{scores} let e = exp(s - max[-1](s)); (e @ v) / sum[-1](e)"),
                "softmax-product",
            ),
        ] {
            let steps = |mode| prove(&parse(text).unwrap(), mode).unwrap().steps;
            let fast = steps(Mode::Fast);
            assert!(fast.iter().any(|step| step.rule == rule), "{text}: {fast:?}");
            assert!(steps(Mode::Precise).iter().all(|step| !RULES.contains(&&*step.rule)));
            let kernel = fused(text, Mode::Fast);
            assert_eq!(kernel.matches("fused(").count(), 1, "{kernel}");
        }
        for text in [
            "sum[-1](exp(x) * w) / sum[-1](exp(y))",
            "sum[-1](exp(x) * w) / sum[-1](exp(x) * w)",
            "sum[-2](exp(x) * w) / sum[-1](exp(x))",
            "sum[0](w * exp(x)) / sum[0](exp(x))",
            "(exp(x) @ w) / sum[-2](exp(x))",
        ] {
            let steps = prove(&parse(text).unwrap(), Mode::Fast).unwrap().steps;
            assert!(steps.iter().all(|step| !RULES.contains(&&*step.rule)), "{text}: {steps:?}");
        }
    }

    #[test]
    fn sums_with_weights_do_not_overflow() {
        let x = Array2::from_shape_fn((5, 300), |(i, j)| 1e3 + ((i * 31 + j * 17) % 97) as f32);
        let w = Array2::from_shape_fn((5, 300), |(i, j)| ((i * 7 + j * 5) % 11) as f32 - 5.0);
        let v = Array2::from_shape_fn((300, 4), |(i, j)| ((i * 3 + j) % 13) as f32);
        let run = |text: &str, mode: Mode, w: &Array2<f32>| {
            let [rows, columns] = [w.nrows(), w.ncols()];
            let head = format!("|x: f32[5, 300], w: f32[{rows}, {columns}]|");
            let graph = parse(&format!("{head} {text}")).unwrap();
            let kernel = compile_with(&graph, CompileOptions::new().mode(mode)).unwrap();
            let inputs = [&x, w].map(|array| Tensor::from(array.clone()));
            kernel.run(&inputs.each_ref().map(Tensor::view)).unwrap().remove(0).into_f32().unwrap()
        };
        for (written, stable, w) in [
            ("sum[-1](exp(x) * w) / sum[-1](exp(x))", "sum[-1](softmax[-1](x) * w)", &w),
            ("(exp(x) @ w) / sum[-1](exp(x))", "softmax[-1](x) @ w", &v),
        ] {
            let (found, expected) = (run(written, Mode::Fast, w), run(stable, Mode::Precise, w));
            let mut pairs = found.iter().zip(&expected);
            assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-4), "{found} {expected}");
            assert!(run(written, Mode::Precise, w).iter().all(|x| x.is_nan()));
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
            "exp(x) / sum[-1](exp(x) * y)",
            "label_cross_entropy[-1](x, argmax[-1](x))",
            "cross_entropy[-1](x, y)",
            "(mean[-1](x), var[-1](x), layer_norm[-1](x), std[-1](x))",
            "x - mean[-1](x)",
            "let o = x - mean[-1](x); sum[0](o * o)",
            "let o = x - sum[-1](x) / count[-1](y); o * o / sum[-1](o * o)",
            "mean[-1](x * x) - mean[-1](y)^2",
        ] {
            let steps = prove(&parse(text).unwrap(), Mode::Precise).unwrap().steps;
            assert!(steps.iter().all(|step| !RULES.contains(&&*step.rule)), "{text}: {steps:?}");
        }
    }
}
