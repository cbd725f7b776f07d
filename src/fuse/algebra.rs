//! Phase A: algebra. Saturates a graph with the rules of a mode and extracts the cheapest program.

use super::avoided::Avoided;
use super::context::{Needs, Written};
use super::cost_model::CostModel;
use super::extract::{Alternative, Choice, NONE, Problem, mix};
use super::facts::FactAnalysis;
use super::pass::{AlgebraReport, PassContext};
use super::proof;
use super::rewrite::Floats;
use super::rounds::{self, Budget, Ended};
use super::ruleset::RuleSet;
use super::term::{Head, Term};
use crate::mode::Mode;
use egg::{EGraph, Id, Language};
use kiln_ir::{DType, Graph, Node, NodeId, Op};
use std::collections::{HashMap, HashSet};

/// More than any program costs: a form to avoid is chosen only if there is no other.
const AVOIDED: u64 = 1 << 40;

/// A saturated e-graph and the classes of the graph's nodes in it.
struct Saturated {
    egraph: EGraph<Term, FactAnalysis>,
    /// The class of each node of the graph.
    ids: Vec<Id>,
    /// The ops and calls of the graph.
    written: Written,
    ended: Ended,
}

/// The pass `algebra`: turns a graph without fused nodes into the cheapest equal program.
pub(crate) fn simplify(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let prove = context.prove && proof::is_small_enough(graph);
    let mut run = saturate(graph, context.mode, context.model, prove);
    kiln_ir::span!(DEBUG, "extract");
    let indexed = index(graph, &run, context.model);
    let choice = choose(&run, &indexed);
    let cost = |choice: &Choice| indexed.problem.cost(choice).unwrap_or(u64::MAX) % AVOIDED;
    context.algebra = Some(AlgebraReport {
        saturated: run.ended.saturated,
        iterations: run.ended.rounds,
        work: run.ended.work,
        nodes: run.egraph.total_size(),
        cost_before: cost(&indexed.input),
        cost_after: cost(&choice),
        ops_before: cost_of_ops(&indexed, &indexed.input),
        ops_after: cost_of_ops(&indexed, &choice),
    });
    if prove {
        let chosen = chosen_terms(&run, &indexed, &choice);
        let mut proof = proof::prove(graph, &mut run.egraph, &run.ids, chosen);
        proof.steps.splice(..0, context.repairs.drain(..));
        context.proof = Some(proof);
    }
    rebuild(graph, &indexed, &choice)
}

/// What the ops of a choice cost.
fn cost_of_ops(indexed: &Indexed, choice: &Choice) -> u64 {
    let classes = indexed.problem.order(choice).unwrap_or_default().into_iter();
    let at = |class: usize| (class, choice[class] as usize);
    let is_op =
        |&(class, at): &(usize, usize)| !matches!(indexed.terms[class][at].head(), Head::Call(_));
    let cost = |(class, at): (usize, usize)| indexed.problem.classes[class][at].cost % AVOIDED;
    classes.map(at).filter(is_op).map(cost).sum()
}

/// Runs the rules of `mode` until nothing changes or a limit is reached.
fn saturate(graph: &Graph, mode: Mode, model: &CostModel, explain: bool) -> Saturated {
    kiln_ir::span!(DEBUG, "saturate", nodes = graph.nodes().len());
    // egg reads a clock. Its first use in a process calibrates for up to 200 ms, and no result may
    // depend on it, so egg gets a clock that stands still.
    let (clock, _) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        let inputs = graph.iter().filter(|(_, node)| matches!(node, Node::Input(_)));
        let inputs = inputs.map(|(id, _)| (graph.dtype(id), graph.shape(id).clone())).collect();
        let mut egraph = EGraph::new(FactAnalysis::new(mode, model, inputs));
        if explain {
            egraph = egraph.with_explanations_enabled();
        }
        let mut ids = Vec::with_capacity(graph.nodes().len());
        for (id, node) in graph.iter() {
            let term = term_of(graph, id, node, &ids);
            // Uncanonical ids keep the user's own terms for the proof.
            ids.push(egraph.add_uncanonical(term));
        }
        egraph.rebuild();
        let ops = graph.iter().filter(|(_, node)| matches!(node, Node::Op(..) | Node::Call(..)));
        let term = |(id, node): (NodeId, &Node)| (ids[id.index()], term_of(graph, id, node, &ids));
        let written = Written { ops: ops.map(term).collect() };
        let rules = RuleSet::of(mode, floats(graph));
        let ended = rounds::run(&mut egraph, rules, budget(ids.len()), |egraph| {
            // Fast mode does not care where values flow, and strict mode changes no values.
            if mode == Mode::Precise {
                written.update_contexts(egraph);
            }
        });
        Saturated { egraph, ids, written, ended }
    })
}

/// What the rounds may cost, for a graph with this number of nodes.
///
/// No op of `DERIVED`, nor its gradient, comes near: the dearest takes 120 units of work a node, 8
/// e-nodes a node and 12 a class. Families of equal terms do (`x*k*k..`, sums of multiples). The
/// more nodes there are, the fewer each may have, so that time grows with the text.
fn budget(nodes: usize) -> Budget {
    Budget { rounds: 24, nodes: 2_000 + 4 * nodes, class: 24, work: 20_000 + 80 * nodes }
}

fn floats(graph: &Graph) -> Floats {
    let has = |dtype| graph.iter().any(|(id, _)| graph.dtype(id) == dtype);
    Floats { f32: has(DType::F32), f64: has(DType::F64) }
}

fn term_of(graph: &Graph, id: NodeId, node: &Node, ids: &[Id]) -> Term {
    let children = |args: &[NodeId]| args.iter().map(|arg| ids[arg.index()]).collect::<Vec<Id>>();
    match node {
        Node::Input(index) => Term::new(Head::Input(*index), &[]),
        Node::Const(bits) => Term::new(Head::Const(graph.dtype(id), *bits), &[]),
        Node::Op(op, args) => Term::new(Head::Op(*op), &children(args)),
        Node::Call(call, args) => Term::new(Head::Call(*call), &children(args)),
        Node::Fused { .. } | Node::Item { .. } => panic!("fused nodes are inlined before phase A"),
    }
}

/// The e-graph as an extraction problem; class `i` of the problem is `classes[i]` of the e-graph.
struct Indexed {
    problem: Problem,
    /// The terms behind each class's alternatives.
    terms: Vec<Vec<Term>>,
    index: HashMap<Id, usize>,
    /// The choice that the input program makes.
    input: Choice,
}

fn index(graph: &Graph, run: &Saturated, model: &CostModel) -> Indexed {
    let egraph = &run.egraph;
    let mut ids: Vec<Id> = egraph.classes().map(|class| class.id).collect();
    ids.sort_unstable();
    let index: HashMap<Id, usize> = ids.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let avoided = Avoided::of(egraph);
    let as_written = graph.iter().map(|(id, node)| {
        let term = term_of(graph, id, node, &run.ids).map_children(|child| egraph.find(child));
        (egraph.find(run.ids[id.index()]), term)
    });
    let as_written: Vec<(Id, Term)> = as_written.collect();
    let written: HashSet<(Id, Term)> = as_written.iter().cloned().collect();
    let kept = kept(run, &written, &avoided);
    let mut terms: Vec<Vec<Term>> = Vec::with_capacity(ids.len());
    let mut classes = Vec::with_capacity(ids.len());
    for &id in &ids {
        let nodes = egraph[id].nodes.clone();
        let alternatives = nodes.iter().map(|term| {
            let is_other = || kept.contains(&id) && !written.contains(&(id, term.clone()));
            let avoid = avoided.contains(egraph, id, term) || is_other();
            let operand = term.children().last().unwrap_or(&id);
            let cost = model.cost_of_term(term, egraph[*operand].data.dtype);
            Alternative {
                cost: cost + if avoid { AVOIDED } else { 0 },
                label: label(term),
                unordered: term.unordered(),
                children: term.children().iter().map(|&c| index[&egraph.find(c)]).collect(),
            }
        });
        classes.push(alternatives.collect());
        terms.push(nodes);
    }
    let mut input = vec![NONE; ids.len()];
    for (id, term) in as_written {
        let class = index[&id];
        if let Some(position) = terms[class].iter().position(|known| *known == term) {
            input[class] = position as u32;
        } else if !terms[class].is_empty() {
            // Pruned: the class is a number.
            input[class] = 0;
        }
    }
    let roots = graph.outputs().iter().map(|o| index[&egraph.find(run.ids[o.index()])]).collect();
    Indexed { problem: Problem { classes, roots }, terms, index, input }
}

/// The classes in which a rule relied on where values flow, and which flow elsewhere since they
/// merged with another class. There, what was written stays unless it was repaired.
fn kept(run: &Saturated, written: &HashSet<(Id, Term)>, avoided: &Avoided) -> HashSet<Id> {
    let (egraph, relied) = (&run.egraph, &run.egraph.analysis.relied);
    if relied.is_empty() {
        return HashSet::new();
    }
    let contexts = run.written.contexts(egraph);
    let context = |id: Id| contexts.get(&id).copied().unwrap_or_default();
    let relied = relied.iter().map(|(id, needs)| (egraph.find(*id), *needs));
    // What a rule found about its variables still holds: they are the same classes.
    let fails = |(id, needs): &(Id, Needs)| !context(*id).allows(*needs, &|_| true);
    let wrong: HashSet<Id> = relied.filter(fails).map(|(id, _)| id).collect();
    let stays =
        |(id, term): &&(Id, Term)| wrong.contains(id) && !avoided.contains(egraph, *id, term);
    written.iter().filter(stays).map(|(id, _)| *id).collect()
}

/// A hash of a term without its children. It is the same in every process, and uses names, so that
/// a new row of the op table changes no tie-break.
fn label(term: &Term) -> u64 {
    let named = |name: &str| name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    let seed = match term.head() {
        Head::Input(index) => mix(1) ^ u64::from(index),
        Head::Const(dtype, bits) => mix(2) ^ named(dtype.name()) ^ bits,
        Head::Op(op) => mix(10) ^ named(op.name()),
        Head::Call(call) => mix(11) ^ named(call.info().name),
    };
    mix(seed)
}

/// The extracted program.
fn choose(run: &Saturated, indexed: &Indexed) -> Choice {
    let cost = |choice: &Choice| indexed.problem.cost(choice).unwrap_or(u64::MAX);
    let choice = indexed.problem.extract(&indexed.input);
    // A contradiction among facts means an unsound rule: nothing from this run can be trusted.
    let distrusted = run.egraph.analysis.contradiction;
    if distrusted || cost(&choice) > cost(&indexed.input) { indexed.input.clone() } else { choice }
}

/// The chosen program as terms whose children are positions in the list, and its outputs.
fn chosen_terms(run: &Saturated, indexed: &Indexed, choice: &Choice) -> (Vec<Term>, Vec<usize>) {
    let order = indexed.problem.order(choice).expect("extraction yields an acyclic choice");
    let mut positions = HashMap::new();
    let mut terms = Vec::with_capacity(order.len());
    for class in order {
        let term = indexed.terms[class][choice[class] as usize].clone();
        let position = |child: Id| Id::from(positions[&indexed.index[&run.egraph.find(child)]]);
        let term = term.map_children(position);
        positions.insert(class, terms.len());
        terms.push(term);
    }
    let roots = indexed.problem.roots.iter().map(|root| positions[root]).collect();
    (terms, roots)
}

/// The chosen program as a graph over the same inputs, with operands of commutative ops in a fixed
/// order.
fn rebuild(graph: &Graph, indexed: &Indexed, choice: &Choice) -> Graph {
    let order = indexed.problem.order(choice).expect("extraction yields an acyclic choice");
    let mut result = Graph::with_inputs(graph.name(), graph.inputs());
    let mut nodes: HashMap<usize, NodeId> = HashMap::new();
    let mut ranks: HashMap<NodeId, Rank> = HashMap::new();
    for class in order {
        let term = &indexed.terms[class][choice[class] as usize];
        let child = |index: usize| {
            let id = indexed.problem.classes[class][choice[class] as usize].children[index];
            nodes[&id]
        };
        let mut children: Vec<NodeId> = (0..term.len()).map(child).collect();
        if let (Head::Op(op), 2..) = (term.head(), term.unordered()) {
            order_operands(op, &mut children[..2], &ranks);
        }
        let id = term.add_to(&mut result, &children);
        let id = id.unwrap_or_else(|fault| panic!("extraction broke {term}: {fault}"));
        let hash = children.iter().fold(label(term), |h, child| mix(h ^ ranks[child].hash));
        let kind = match term.head() {
            Head::Const(..) => 0,
            Head::Input(_) => 1,
            _ => 2,
        };
        let size = children.iter().fold(1u64, |sum, child| sum.saturating_add(ranks[child].size));
        let below = children.iter().map(|child| ranks[child].input).min();
        let input = match term.head() {
            Head::Input(index) => index,
            _ => below.unwrap_or(u32::MAX),
        };
        ranks.insert(id, Rank { kind, size, input, hash });
        nodes.insert(class, id);
    }
    for &root in &indexed.problem.roots {
        result.output(nodes[&root]);
    }
    result
}

/// The order of operands in text: numbers, then inputs, then ops, small ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    kind: u8,
    /// Number of nodes, as a tree.
    size: u64,
    /// The first input it reads.
    input: u32,
    hash: u64,
}

/// Orders operands that may be swapped by their ranks; in a sum the number goes last.
fn order_operands(op: Op, pair: &mut [NodeId], ranks: &HashMap<NodeId, Rank>) {
    pair.sort_by_key(|id| ranks[id]);
    let number_last = matches!(op, Op::Add | Op::Max | Op::Min) && ranks[&pair[0]].kind == 0;
    if number_last {
        pair.swap(0, 1);
    }
}
