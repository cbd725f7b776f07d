//! The proof of phase A: named rules from what the user wrote to what runs.

use super::facts::FactAnalysis;
use super::term::Term;
use egg::{EGraph, FlatTerm, Id, Language};
use kiln_ir::{Graph, NodeId};
use std::fmt;

/// The largest program, written out as a tree, that is proved. Proofs are about trees, so what is
/// shared many times would be written out as many times.
const MAX_TREE: u64 = 2_000;

/// One application of a rule.
#[derive(Clone, Debug)]
pub struct Step {
    /// The rule's name.
    pub rule: String,
    /// Whether the rule was used from right to left.
    pub reversed: bool,
    /// The part that was rewritten, as a graph over the kernel's inputs.
    pub before: Graph,
    /// What it became.
    pub after: Graph,
    /// The output that the part is in, over the kernel's inputs and one more, the last, which stands
    /// for the part.
    pub around: Graph,
}

/// The chain of rewrites from what was written to what was extracted, output by output.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.reversed { "<=" } else { "=>" };
        write!(
            f,
            "{:<16} {} {arrow} {}",
            self.rule,
            self.before.expression(),
            self.after.expression()
        )
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return writeln!(f, "no rewrite: what was written is what runs");
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Whether the program is small enough, as a tree, to be proved.
pub(super) fn is_small_enough(graph: &Graph) -> bool {
    tree_size(graph) <= MAX_TREE
}

/// Proves what the algebra did to `graph`. `written` maps nodes of the graph to classes of the
/// e-graph; `chosen` are the terms of the extracted program, and its outputs.
pub(super) fn prove(
    graph: &Graph,
    egraph: &mut EGraph<Term, FactAnalysis>,
    written: &[Id],
    (terms, roots): (Vec<Term>, Vec<usize>),
) -> Proof {
    kiln_ir::span!(DEBUG, "prove");
    let mut ids: Vec<Id> = Vec::with_capacity(terms.len());
    for term in terms {
        let term = term.map_children(|child| ids[usize::from(child)]);
        ids.push(egraph.add_uncanonical(term));
    }
    let mut steps = Vec::new();
    let (clock, _) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        for (output, &root) in graph.outputs().iter().zip(&roots) {
            steps.extend(prove_equal(graph, egraph, written[output.index()], ids[root]));
        }
    });
    Proof { steps }
}

fn prove_equal(
    graph: &Graph,
    egraph: &mut EGraph<Term, FactAnalysis>,
    written: Id,
    chosen: Id,
) -> Vec<Step> {
    let mut explanation = egraph.explain_id_equivalence(written, chosen);
    let chain = explanation.make_flat_explanation();
    let steps = chain.windows(2).filter_map(|pair| {
        let mut path = Vec::new();
        let (before, after) = rewritten(&pair[0], &pair[1], &mut path)?;
        let reversed = after.backward_rule.is_some();
        let rule = after.forward_rule.or(after.backward_rule)?;
        let (before, after) = (to_graph(graph, before), to_graph(graph, after));
        let around = around(graph, &pair[0], &path, &before);
        let rule = rule.as_str().split('/').next().unwrap_or_default().to_string();
        Some(Step { rule, reversed, before, after, around })
    });
    // Which operand comes first does not interest a reader.
    steps.filter(|step| !step.rule.starts_with("commute-")).collect()
}

/// The places, in a term and the next one, where a rule was applied; `path` becomes the way there,
/// child by child.
fn rewritten<'a>(
    before: &'a FlatTerm<Term>,
    after: &'a FlatTerm<Term>,
    path: &mut Vec<usize>,
) -> Option<(&'a FlatTerm<Term>, &'a FlatTerm<Term>)> {
    if after.forward_rule.is_some() || after.backward_rule.is_some() {
        return Some((before, after));
    }
    let children = before.children.iter().zip(&after.children);
    for (place, (before, after)) in children.enumerate() {
        path.push(place);
        if let Some(found) = rewritten(before, after, path) {
            return Some(found);
        }
        path.pop();
    }
    None
}

/// A term in which an input stands for the part at the end of a path.
fn around(graph: &Graph, term: &FlatTerm<Term>, path: &[usize], part: &Graph) -> Graph {
    let mut result = Graph::with_inputs("step", graph.inputs());
    let mut name = "part".to_string();
    while graph.inputs().iter().any(|input| input.name == name) {
        name.push('_');
    }
    let output = part.outputs()[0];
    let hole = result.parameter(name, part.dtype(output), part.shape(output).clone());
    let hole = hole.expect("one more input of a type that there is");
    let root = add_term(term, &mut result, Some((path, hole)));
    result.output(root);
    result
}

fn to_graph(graph: &Graph, term: &FlatTerm<Term>) -> Graph {
    let mut result = Graph::with_inputs("step", graph.inputs());
    let root = add_term(term, &mut result, None);
    result.output(root);
    result
}

/// Adds a term; of a part there is but a node, at the end of its path.
fn add_term(term: &FlatTerm<Term>, result: &mut Graph, part: Option<(&[usize], NodeId)>) -> NodeId {
    if let Some(([], hole)) = part {
        return hole;
    }
    let mut children = Vec::with_capacity(term.children.len());
    for (place, child) in term.children.iter().enumerate() {
        let within = part.and_then(|(path, hole)| {
            let (first, rest) = path.split_first()?;
            (*first == place).then_some((rest, hole))
        });
        children.push(add_term(child, result, within));
    }
    let added = term.node.add_to(result, &children);
    added.unwrap_or_else(|fault| panic!("a proof step is not well typed: {fault}"))
}

/// The number of nodes of the program as a tree.
fn tree_size(graph: &Graph) -> u64 {
    let mut sizes: Vec<u64> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let below =
            node.operands().iter().fold(1u64, |sum, id| sum.saturating_add(sizes[id.index()]));
        sizes.push(below);
    }
    graph.outputs().iter().fold(0, |sum, id| sum.saturating_add(sizes[id.index()]))
}

#[cfg(test)]
mod tests {
    use crate::explain::prove;
    use crate::mode::Mode;
    use kiln_ir::{Graph, NodeId, parse};

    /// A step's program with `part` in its place.
    fn with(around: &Graph, part: &Graph) -> Graph {
        let mut result = Graph::with_inputs("kernel", part.inputs());
        let mut inputs: Vec<NodeId> =
            (0..part.inputs().len()).map(|index| result.input_node(index)).collect();
        let copied = result.copy_graph(part, &inputs).unwrap();
        inputs.push(copied[0]);
        let outputs = result.copy_graph(around, &inputs).unwrap();
        result.output(outputs[0]);
        result.normalized()
    }

    #[test]
    fn a_step_knows_what_is_around_its_part() {
        let written = parse("kernel k(part, y) { exp(part * 1 / y) + 2 }").unwrap();
        let proof = prove(&written, Mode::Strict).unwrap();
        let [step] = &proof.steps[..] else { panic!("{proof}") };
        assert_eq!(step.around.expression(), "exp(part_ / y) + 2");
        assert_eq!(with(&step.around, &step.before), written.normalized());
        let after = parse("kernel k(part, y) { exp(part / y) + 2 }").unwrap();
        assert_eq!(with(&step.around, &step.after), after.normalized());
    }
}
