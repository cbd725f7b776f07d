//! Finds the smallest case that still fails in the same way.

use crate::array::{Elements, Layout, bits_of};
use crate::check::{Failure, Plan, check};
use crate::draw::Case;
use kiln::ir::{Input, Node, NodeId, Scalar};
use kiln::{CompileOptions, DType, EmitterKind, Graph, View, compile_with};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What takes the place of a node.
#[derive(Clone, Copy)]
enum Put {
    Node(NodeId),
    Number(f64),
    /// An input with the node's own value.
    Value,
}

/// Tries smaller cases as long as one fails in the same way.
pub(crate) fn shrink(case: &Case, plan: &Plan, failure: Failure) -> (Case, Plan, Failure) {
    let mut least = (case.clone(), plan.clone(), failure);
    let mut tries = 0;
    // Fewer elements first: they make every later trial quicker.
    attempt(&mut least, one_element);
    attempt(&mut least, |(case, plan, _)| {
        let layouts = vec![Layout::Contiguous; case.inputs.len()];
        Some((case.clone(), Plan { layouts, threads: 1, ..plan.clone() }))
    });
    for kept in (0..least.1.runs.len()).rev() {
        attempt(&mut least, |(case, plan, _)| {
            let runs = vec![*plan.runs.get(kept)?];
            Some((case.clone(), Plan { runs, ..plan.clone() }))
        });
    }
    loop {
        let before = size(&least.0);
        for output in (0..least.0.graph.outputs().len()).rev() {
            attempt(&mut least, |(case, plan, _)| Some((only_output(case, output)?, plan.clone())));
            attempt(&mut least, |(case, plan, _)| Some((less_output(case, output)?, plan.clone())));
        }
        let mut at = least.0.graph.nodes().len();
        while at > 0 && tries < 600 {
            at = at.min(least.0.graph.nodes().len());
            if at == 0 {
                break;
            }
            at -= 1;
            let id = NodeId::new(at);
            let mut puts: Vec<Put> =
                least.0.graph.node(id).operands().into_iter().map(Put::Node).collect();
            match least.0.graph.node(id) {
                Node::Input(_) => puts.clear(),
                Node::Const(_) => puts = [1.0, 2.0, 0.5].map(Put::Number).to_vec(),
                _ => {
                    puts.push(Put::Value);
                    puts.extend([1.0, 2.0].map(Put::Number));
                }
            }
            for put in puts {
                tries += 1;
                if attempt(&mut least, |(case, plan, _)| replaced(case, plan, id, put)) {
                    break;
                }
            }
        }
        for input in (0..least.0.inputs.len()).rev() {
            attempt(&mut least, |(case, plan, _)| without_input(case, plan, input));
            for value in [0.0, 1.0, 2.0, 0.5] {
                if attempt(&mut least, |(case, plan, _)| {
                    Some((with_value(case, input, value)?, plan.clone()))
                }) {
                    break;
                }
            }
        }
        if size(&least.0) >= before || tries >= 600 {
            return least;
        }
    }
}

fn size(case: &Case) -> usize {
    case.graph.nodes().len() * 4 + case.graph.outputs().len() + case.inputs.len()
}

type Least = (Case, Plan, Failure);

/// Takes the smaller case if it fails in the same way.
fn attempt(least: &mut Least, smaller: impl FnOnce(&Least) -> Option<(Case, Plan)>) -> bool {
    let made = catch_unwind(AssertUnwindSafe(|| smaller(least)));
    let Ok(Some((case, plan))) = made else { return false };
    if case.graph == least.0.graph
        && case.inputs == least.0.inputs
        && plan.runs == least.1.runs
        && plan.layouts == least.1.layouts
    {
        return false;
    }
    match check(&case, &plan) {
        Some(failure) if failure.kind.is_like(&least.2.kind) => {
            *least = (case, plan, failure);
            true
        }
        _ => false,
    }
}

/// The element that failed, as arrays of one element and no declared shape.
fn one_element((case, plan, failure): &Least) -> Option<(Case, Plan)> {
    let (_, index) = failure.place.unwrap_or((0, 0));
    if case.has_matmul() {
        return None;
    }
    let inputs: Vec<Elements> = case
        .inputs
        .iter()
        .map(|input| {
            let at = input.index_in(&failure.shape, index).min(input.bits.len().saturating_sub(1));
            let bits = input.bits.get(at).copied().unwrap_or(0);
            Elements { dtype: input.dtype, shape: vec![1], bits: vec![bits] }
        })
        .collect();
    let open = |input: &Input| Some(Input { dims: None, ..input.clone() });
    let declared: Vec<Option<Input>> = case.graph.inputs().iter().map(open).collect();
    let graph = rebuilt(&case.graph, &declared, None, case.graph.outputs())?;
    Some((Case { graph, inputs }, plan.clone()))
}

/// The graph over other declarations, without inputs that nothing reads, a node of it replaced.
fn rebuilt(
    graph: &Graph,
    inputs: &[Option<Input>],
    put: Option<(NodeId, Put)>,
    outputs: &[NodeId],
) -> Option<Graph> {
    let mut result = Graph::new(graph.name());
    for input in inputs.iter().flatten() {
        result.input(input.clone()).ok()?;
    }
    let mut ids: Vec<Option<NodeId>> = Vec::new();
    for (id, node) in graph.iter() {
        let at = |id: &NodeId| ids[id.index()];
        let made = match (put, node) {
            (Some((replaced, put)), _) if replaced == id => match put {
                Put::Node(other) => Ok(at(&other)?),
                Put::Number(value) => result.constant(graph.dtype(id), value),
                Put::Value => result.input(inputs.last()?.clone()?),
            },
            (_, Node::Input(index)) if inputs[*index as usize].is_none() => {
                ids.push(None);
                continue;
            }
            _ => {
                let operands: Option<Vec<NodeId>> = node.operands().iter().map(at).collect();
                result.copy_node(graph, id, &operands?)
            }
        };
        ids.push(Some(made.ok()?));
    }
    for output in outputs {
        result.output(ids[output.index()]?);
    }
    Some(result.normalized())
}

fn declared(graph: &Graph) -> Vec<Option<Input>> {
    graph.inputs().iter().cloned().map(Some).collect()
}

fn replaced(case: &Case, plan: &Plan, id: NodeId, put: Put) -> Option<(Case, Plan)> {
    let graph = &case.graph;
    let dtype = graph.dtype(id);
    let mut inputs = declared(graph);
    let (mut elements, mut plan) = (case.inputs.clone(), plan.clone());
    match put {
        Put::Node(other) if graph.dtype(other) != dtype => return None,
        Put::Number(_) if dtype == DType::Bool => return None,
        Put::Value => {
            elements.push(value_of_node(case, id)?);
            let free = |name: &String| graph.inputs().iter().all(|input| input.name != *name);
            let name = (0..).map(|n| format!("v{n}")).find(free)?;
            inputs.push(Some(Input { name, dtype, dims: None }));
            plan.layouts.push(Layout::Contiguous);
        }
        _ => {}
    }
    let graph = rebuilt(graph, &inputs, Some((id, put)), graph.outputs())?;
    Some((Case { graph, inputs: elements }, plan))
}

/// What a node is as written.
fn value_of_node(case: &Case, id: NodeId) -> Option<Elements> {
    let mut graph = case.graph.clone();
    let before = graph.outputs().len();
    graph.output(id);
    let options = CompileOptions::unfused().emitter(EmitterKind::Interp);
    let kernel = compile_with(&graph, options).ok()?;
    let placed: Vec<_> = case
        .inputs
        .iter()
        .map(|input| crate::array::Placed::new(input, Layout::Contiguous))
        .collect();
    let views: Vec<View<'_>> = placed.iter().map(crate::array::Placed::view).collect();
    Some(Elements::of_tensor(kernel.run(&views).ok()?.get(before)?))
}

fn only_output(case: &Case, output: usize) -> Option<Case> {
    (case.graph.outputs().len() > 1).then_some(())?;
    outputs(case, &[case.graph.outputs()[output]])
}

fn less_output(case: &Case, output: usize) -> Option<Case> {
    let mut kept = case.graph.outputs().to_vec();
    (kept.len() > 2).then_some(())?;
    kept.remove(output);
    outputs(case, &kept)
}

fn outputs(case: &Case, kept: &[NodeId]) -> Option<Case> {
    let graph = rebuilt(&case.graph, &declared(&case.graph), None, kept)?;
    Some(Case { graph, inputs: case.inputs.clone() })
}

/// Drops an input that nothing reads.
fn without_input(case: &Case, plan: &Plan, input: usize) -> Option<(Case, Plan)> {
    let mut kept = declared(&case.graph);
    kept[input] = None;
    let graph = rebuilt(&case.graph, &kept, None, case.graph.outputs())?;
    let (mut inputs, mut plan) = (case.inputs.clone(), plan.clone());
    inputs.remove(input);
    plan.layouts.remove(input);
    Some((Case { graph, inputs }, plan))
}

fn with_value(case: &Case, input: usize, value: f64) -> Option<Case> {
    let mut inputs = case.inputs.clone();
    let elements = inputs.get_mut(input)?;
    let bits = bits_of(elements.dtype, Scalar::Float(value));
    elements.bits.iter_mut().for_each(|element| *element = bits);
    Some(Case { graph: case.graph.clone(), inputs })
}
