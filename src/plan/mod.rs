//! The plan: the steps of a fused graph, and where every value lives.

use super::exec::dtype;
use super::gemm::matmul_shape;
use super::layout::{Dims, OPERANDS, broadcast_dims};
use super::view::View;
use crate::error::RunError;
use kiln_ir::{DType, Graph, Node, NodeId};
use kiln_jit::emit::Code;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// Passes over memory, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) steps: Vec<Step>,
    /// For each output, the step that writes it.
    pub(super) written: Vec<usize>,
    /// For each input, the last step that reads it.
    pub(super) read: Vec<usize>,
    /// For each slot, the step that writes it.
    slots: Vec<usize>,
}

/// One pass over memory.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    /// What it reads.
    pub(super) args: Vec<Source>,
    /// Where its results go.
    pub(super) results: Vec<Target>,
    /// Slots whose values nobody reads after this step.
    pub(super) dead: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Action {
    /// Compiled code over every element; `names` are those of its operands.
    Map {
        code: Box<Code>,
        names: Vec<String>,
    },
    Matmul,
}

/// Where a value is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Input(usize),
    Output(usize),
    Slot(usize),
}

/// Where a value is written: an output or a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) place: Source,
    pub(super) dtype: DType,
}

impl Plan {
    /// Plans a fused graph, whose outputs are distinct results of its kernels and products; `compile`
    /// makes the code of a fused body. Unless `reuse`, every intermediate has memory of its own.
    pub(crate) fn new<E>(
        graph: &Graph,
        reuse: bool,
        mut compile: impl FnMut(&Graph) -> Result<Code, E>,
    ) -> Result<Plan, E> {
        let distinct: HashSet<NodeId> = graph.outputs().iter().copied().collect();
        assert_eq!(distinct.len(), graph.outputs().len(), "a step writes each output: {graph}");
        let mut planner = Planner::new(graph);
        let mut steps = Vec::new();
        for (id, node) in graph.iter() {
            let action = match node {
                Node::Fused { body, .. } => {
                    let code = compile(body)?;
                    let names = body.inputs().iter().map(|input| input.name.clone()).collect();
                    let args = node.operands();
                    let dtypes = args.iter().map(|&arg| graph.dtype(arg));
                    assert!(dtypes.eq(code.inputs().iter().map(|&s| dtype(s))), "types: {graph}");
                    let results = body.outputs().iter().map(|&output| body.dtype(output));
                    assert!(results.eq(code.outputs().iter().map(|&s| dtype(s))), "types: {graph}");
                    Action::Map { code: Box::new(code), names }
                }
                Node::Matmul(..) => Action::Matmul,
                Node::Input(_) | Node::Item { .. } => continue,
                Node::Const(_) | Node::Op(..) => panic!("a fused graph has no bare ops: {graph}"),
            };
            let args = node.operands().into_iter().map(|arg| planner.places[&arg]).collect();
            steps.push(Step { action, args, results: planner.results(id), dead: Vec::new() });
        }
        let mut last_use: HashMap<Source, usize> = HashMap::new();
        let mut written = vec![None; graph.outputs().len()];
        for (index, step) in steps.iter().enumerate() {
            for result in &step.results {
                last_use.insert(result.place, index);
                if let Source::Output(output) = result.place {
                    written[output] = Some(index);
                }
            }
            last_use.extend(step.args.iter().map(|&arg| (arg, index)));
        }
        // What no step wrote would be returned as it was allocated.
        let written = written.into_iter().map(|step| step.expect("a step writes each output"));
        let written = written.collect();
        let mut read = vec![0; graph.inputs().len()];
        for (source, step) in last_use {
            match source {
                Source::Slot(slot) if reuse => steps[step].dead.push(slot),
                Source::Slot(_) => {}
                Source::Input(input) => read[input] = step,
                Source::Output(_) => {}
            }
        }
        for step in &mut steps {
            step.dead.sort_unstable();
        }
        let mut slots = vec![0; planner.next_slot];
        for (index, step) in steps.iter().enumerate() {
            for result in &step.results {
                if let Source::Slot(slot) = result.place {
                    slots[slot] = index;
                }
            }
        }
        Ok(Plan { steps, written, read, slots })
    }

    /// The shape of what each step computes.
    pub(super) fn step_shapes(&self, inputs: &[View<'_>]) -> Result<SmallVec<[Dims; 2]>, RunError> {
        let mut shapes: SmallVec<[Dims; 2]> = SmallVec::new();
        for step in &self.steps {
            let shape_of = |source: &Source| match *source {
                Source::Input(input) => inputs[input].shape(),
                Source::Output(output) => &shapes[self.written[output]],
                Source::Slot(slot) => &shapes[self.slots[slot]],
            };
            let mut args: SmallVec<[&[usize]; OPERANDS]> = SmallVec::new();
            step.args.iter().for_each(|arg| args.push(shape_of(arg)));
            let shape = match &step.action {
                Action::Matmul => Dims::from_vec(matmul_shape(args[0], args[1])?),
                Action::Map { names, .. } => common_shape(names, &args)?,
            };
            drop(args);
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// The number of slots: of intermediates that need memory.
    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }
}

/// The shape that operands of a fused kernel broadcast to.
fn common_shape(names: &[String], args: &[&[usize]]) -> Result<Dims, RunError> {
    match args {
        [first, rest @ ..] if rest.iter().all(|shape| shape == first) => Ok((*first).into()),
        _ => broadcast_dims(args).map_err(|_| {
            let named = names.iter().zip(args);
            let operands = named.map(|(name, shape)| format!("{name} {shape:?}")).collect();
            RunError::Shapes { operands }
        }),
    }
}

/// Assigns every value of a graph a place.
struct Planner<'g> {
    graph: &'g Graph,
    next_slot: usize,
    places: HashMap<NodeId, Source>,
}

impl<'g> Planner<'g> {
    fn new(graph: &'g Graph) -> Planner<'g> {
        let mut places = HashMap::new();
        for (id, node) in graph.iter() {
            if let Node::Input(index) = node {
                places.insert(id, Source::Input(*index as usize));
            }
        }
        Planner { graph, next_slot: 0, places }
    }

    /// Places for the values that a fused kernel or a matmul computes.
    fn results(&mut self, id: NodeId) -> Vec<Target> {
        let values: Vec<(Option<NodeId>, DType)> = match self.graph.node(id) {
            Node::Fused { body, .. } if body.outputs().len() > 1 => {
                let outputs = body.outputs().iter().enumerate();
                outputs.map(|(item, output)| (self.item(id, item), body.dtype(*output))).collect()
            }
            _ => vec![(Some(id), self.graph.dtype(id))],
        };
        values
            .into_iter()
            .map(|(value, dtype)| Target { place: self.place(value), dtype })
            .collect()
    }

    /// An output's place where the value is one, else a new slot.
    fn place(&mut self, value: Option<NodeId>) -> Source {
        let outputs = self.graph.outputs();
        let output = value.and_then(|value| outputs.iter().position(|output| *output == value));
        let place = match output {
            Some(output) => Source::Output(output),
            None => {
                self.next_slot += 1;
                Source::Slot(self.next_slot - 1)
            }
        };
        self.places.extend(value.map(|value| (value, place)));
        place
    }

    /// The node of one output of a fused kernel, where anything reads it.
    fn item(&self, of: NodeId, item: usize) -> Option<NodeId> {
        let node = Node::Item { of, index: item as u32 };
        self.graph.iter().find(|(_, known)| **known == node).map(|(id, _)| id)
    }
}
