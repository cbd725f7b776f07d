//! The kernel: a fused graph with its code, planned into steps over arrays.

use super::arena::{Arena, Buffer};
use super::exec::{Work, execute};
use super::gemm::{matmul, matmul_shape};
use super::layout::broadcast_shape;
use super::overlap;
use super::tensor::Tensor;
use super::view::{View, ViewMut};
use crate::emit::{Code, EmitterKind};
use crate::error::{Operand, RunError};
use kiln_ir::{DType, Dim, Graph, Input, Node, NodeId};
use std::collections::HashMap;
use std::sync::Mutex;

/// Nanoseconds that an op costing as much as an `add` takes on one element, about.
///
/// Measured: tanh-GELU, some 30 adds by the cost table, takes 0.8 ns at 128 bits.
const NANOSECONDS_PER_ADD: f64 = 0.025;

/// A compiled expression, ready to run on arrays. It can be shared between threads.
#[derive(Debug)]
pub struct Kernel {
    graph: Graph,
    steps: Vec<Step>,
    /// For each output, the step that writes it.
    written: Vec<usize>,
    /// For each input, the last step that reads it.
    read: Vec<usize>,
    threads: Option<usize>,
    /// Buffers of intermediates, kept between calls.
    arena: Mutex<Arena>,
}

/// One pass over memory.
#[derive(Debug)]
struct Step {
    action: Action,
    /// What it reads.
    args: Vec<Source>,
    /// Where its results go.
    results: Vec<Target>,
    /// Slots whose values nobody reads after this step.
    dead: Vec<usize>,
}

#[derive(Debug)]
enum Action {
    /// Compiled code over every element; `names` are those of its operands.
    Map {
        code: Box<Code>,
        names: Vec<String>,
        nanoseconds: f64,
    },
    Matmul,
}

/// Where a value is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Input(usize),
    Output(usize),
    Slot(usize),
}

/// Where a value is written: an output or a slot.
#[derive(Clone, Copy, Debug)]
struct Target {
    place: Source,
    dtype: DType,
}

impl Kernel {
    /// Plans a fused graph; `compile` makes the code of a fused body and estimates its cost for an
    /// element, in adds. Unless `reuse`, every intermediate has memory of its own.
    pub(crate) fn new<E>(
        graph: Graph,
        threads: Option<usize>,
        reuse: bool,
        mut compile: impl FnMut(&Graph) -> Result<(Code, f64), E>,
    ) -> Result<Kernel, E> {
        let mut planner = Planner::new(&graph);
        let mut steps = Vec::new();
        for (id, node) in graph.iter() {
            let action = match node {
                Node::Fused { body, .. } => {
                    let (code, adds) = compile(body)?;
                    let names = body.inputs().iter().map(|input| input.name.clone()).collect();
                    Action::Map {
                        code: Box::new(code),
                        names,
                        nanoseconds: adds * NANOSECONDS_PER_ADD,
                    }
                }
                Node::Matmul(..) => Action::Matmul,
                Node::Input(_) | Node::Item { .. } => continue,
                Node::Const(_) | Node::Op(..) => panic!("a fused graph has no bare ops: {graph}"),
            };
            let args = node.operands().into_iter().map(|arg| planner.places[&arg]).collect();
            steps.push(Step { action, args, results: planner.results(id), dead: Vec::new() });
        }
        let mut last_use: HashMap<Source, usize> = HashMap::new();
        let mut written = vec![0; graph.outputs().len()];
        for (index, step) in steps.iter().enumerate() {
            for result in &step.results {
                last_use.insert(result.place, index);
                if let Source::Output(output) = result.place {
                    written[output] = index;
                }
            }
            last_use.extend(step.args.iter().map(|&arg| (arg, index)));
        }
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
        Ok(Kernel { graph, steps, written, read, threads, arena: Mutex::default() })
    }

    /// The fused graph: what runs, as readable text by `Display`.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The inputs, in the order of a call.
    pub fn inputs(&self) -> &[Input] {
        self.graph.inputs()
    }

    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.graph.outputs().len()
    }

    /// The element type of an output.
    ///
    /// # Panics
    ///
    /// If there is no such output.
    pub fn output_dtype(&self, index: usize) -> DType {
        self.graph.dtype(self.graph.outputs()[index])
    }

    /// Passes over memory that a call makes: fused kernels and matmuls.
    pub fn pass_count(&self) -> usize {
        self.steps.len()
    }

    /// The compiled code of each fused kernel, in the order they run.
    pub fn codes(&self) -> impl Iterator<Item = &Code> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Map { code, .. } => Some(&**code),
            Action::Matmul => None,
        })
    }

    /// The emitter and the vector width in bits of the compiled code; `None` where only matmuls
    /// run.
    pub fn emitter(&self) -> Option<(EmitterKind, u32)> {
        self.codes().next().map(|code| (code.emitter(), code.bits()))
    }

    /// Runs on `inputs`, one view for each, and returns the outputs.
    ///
    /// Any rank, layout and stride will do; nothing is copied but tiles that fit the L1 cache.
    /// Shapes broadcast as in NumPy. Fails, having done nothing, where the number, the types or
    /// the shapes of the inputs are wrong, or memory cannot be had.
    pub fn run(&self, inputs: &[View<'_>]) -> Result<Vec<Tensor>, RunError> {
        let shapes = self.output_shapes(inputs)?;
        let zeros =
            |(index, shape): (usize, &Vec<usize>)| Tensor::zeros(self.output_dtype(index), shape);
        let mut outputs: Vec<Tensor> =
            shapes.iter().enumerate().map(zeros).collect::<Result<_, _>>()?;
        let mut views: Vec<ViewMut<'_>> = outputs.iter_mut().map(Tensor::view_mut).collect();
        self.run_into(inputs, &mut views)?;
        drop(views);
        Ok(outputs)
    }

    /// The shape of each output for these inputs. Fails where [`run`](Kernel::run) does.
    pub fn output_shapes(&self, inputs: &[View<'_>]) -> Result<Vec<Vec<usize>>, RunError> {
        self.check_inputs(inputs)?;
        let shapes = self.step_shapes(inputs)?;
        Ok(self.written.iter().map(|&step| shapes[step].clone()).collect())
    }

    /// Runs on `inputs` and writes into the caller's arrays.
    ///
    /// An output may be exactly an input's memory where nothing reads that input later (always so
    /// for a kernel of one pass); any other overlap of an output is an error. Nothing is written
    /// where the arrays do not fit.
    pub fn run_into(
        &self,
        inputs: &[View<'_>],
        outputs: &mut [ViewMut<'_>],
    ) -> Result<(), RunError> {
        self.check_inputs(inputs)?;
        let shapes = self.step_shapes(inputs)?;
        self.check_outputs(inputs, outputs, &shapes)?;
        // Two calls at once do not wait for each other: the second one starts with no buffers.
        let kept = self.arena.try_lock().map(|mut kept| std::mem::take(&mut *kept));
        let mut arena = kept.unwrap_or_default();
        let done = self.run_steps(inputs, outputs, &shapes, &mut arena);
        if let Ok(mut kept) = self.arena.try_lock() {
            *kept = arena;
        }
        done
    }

    /// Runs with the first input's array as the output's: `array` is read and overwritten.
    ///
    /// `others` are the inputs after the first. For kernels of one output; its shape and type must
    /// be those of the first input.
    pub fn run_in_place<'a>(
        &self,
        array: impl Into<ViewMut<'a>>,
        others: &[View<'_>],
    ) -> Result<(), RunError> {
        let array = array.into();
        let mut inputs = vec![array.view()];
        inputs.extend_from_slice(others);
        // SAFETY: `run_into` allows an output to be exactly an input, and writes an element only
        // after reading it; the array is borrowed mutably, so nobody else looks.
        let output = unsafe { array.write_again() };
        self.run_into(&inputs, &mut [output])
    }

    fn run_steps(
        &self,
        inputs: &[View<'_>],
        outputs: &mut [ViewMut<'_>],
        shapes: &[Vec<usize>],
        arena: &mut Arena,
    ) -> Result<(), RunError> {
        let mut slots: HashMap<usize, Buffer> = HashMap::new();
        for (step, shape) in self.steps.iter().zip(shapes) {
            for result in &step.results {
                if let Source::Slot(slot) = result.place {
                    slots.insert(slot, arena.take(result.dtype, shape)?);
                }
            }
            let args: Vec<View<'_>> = step
                .args
                .iter()
                .map(|arg| match arg {
                    Source::Input(index) => inputs[*index].clone(),
                    Source::Output(index) => outputs[*index].view(),
                    Source::Slot(slot) => slots[slot].view(),
                })
                .collect();
            let mut results: Vec<ViewMut<'_>> = step
                .results
                .iter()
                .map(|result| match result.place {
                    // SAFETY: a step's results are distinct outputs and slots, and it reads none
                    // of them: the graph is acyclic. What it reads is not used after the step.
                    Source::Output(index) => unsafe { outputs[index].write_again() },
                    // SAFETY: as above.
                    Source::Slot(slot) => unsafe { slots[&slot].view_mut() },
                    Source::Input(_) => panic!("no step writes an input"),
                })
                .collect();
            match &step.action {
                Action::Map { code, nanoseconds, .. } => {
                    let work = Work { threads: self.threads, cost: *nanoseconds };
                    execute(code, &args, &mut results, work)?;
                }
                Action::Matmul => matmul(&args[0], &args[1], &mut results[0], self.threads)?,
            }
            for slot in &step.dead {
                if let Some(buffer) = slots.remove(slot) {
                    arena.give(buffer);
                }
            }
        }
        slots.into_values().for_each(|buffer| arena.give(buffer));
        Ok(())
    }

    /// Checks number, types and declared shapes of inputs.
    fn check_inputs(&self, views: &[View<'_>]) -> Result<(), RunError> {
        let inputs = self.inputs();
        if views.len() != inputs.len() {
            let names = inputs.iter().map(Input::to_string).collect();
            return Err(RunError::Inputs { found: views.len(), names });
        }
        // The size of each symbolic axis, and the input that bound it.
        let mut sizes: HashMap<&str, (usize, &str)> = HashMap::new();
        for (input, view) in inputs.iter().zip(views) {
            if view.dtype() != input.dtype {
                let (expected, found) = (input.dtype, view.dtype());
                return Err(RunError::InputDType { name: input.name.clone(), expected, found });
            }
            let Some(dims) = &input.dims else { continue };
            let mismatch = |reason: String| RunError::InputShape {
                input: input.to_string(),
                found: view.shape().to_vec(),
                reason,
            };
            if dims.len() != view.shape().len() {
                return Err(mismatch(format!("it must have {} axes", dims.len())));
            }
            for (axis, (dim, &size)) in dims.iter().zip(view.shape()).enumerate() {
                match dim {
                    Dim::Size(expected) if *expected != size => {
                        return Err(mismatch(format!("axis {axis} must be {expected}")));
                    }
                    Dim::Size(_) => {}
                    Dim::Symbol(symbol) => {
                        let (bound, by) = *sizes.entry(symbol).or_insert((size, &input.name));
                        if bound != size {
                            let reason = format!("axis {axis}, {symbol}, is {bound} in input {by}");
                            return Err(mismatch(reason));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The shape of what each step computes.
    fn step_shapes(&self, inputs: &[View<'_>]) -> Result<Vec<Vec<usize>>, RunError> {
        let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(self.steps.len());
        let mut computed_by: HashMap<Source, usize> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            let shape_of = |source: &Source| match source {
                Source::Input(input) => inputs[*input].shape(),
                computed => &shapes[computed_by[computed]],
            };
            let args: Vec<&[usize]> = step.args.iter().map(shape_of).collect();
            let shape = match &step.action {
                Action::Matmul => matmul_shape(args[0], args[1])?,
                Action::Map { names, .. } => broadcast_shape(&args).map_err(|_| {
                    let named = names.iter().zip(&args);
                    RunError::Shapes {
                        operands: named.map(|(name, shape)| format!("{name} {shape:?}")).collect(),
                    }
                })?,
            };
            computed_by.extend(step.results.iter().map(|result| (result.place, index)));
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// Checks outputs before anything is written: number, types, shapes and overlaps.
    fn check_outputs(
        &self,
        inputs: &[View<'_>],
        outputs: &[ViewMut<'_>],
        shapes: &[Vec<usize>],
    ) -> Result<(), RunError> {
        let (expected, found) = (self.output_count(), outputs.len());
        if expected != found {
            return Err(RunError::OutputCount { expected, found });
        }
        for (index, output) in outputs.iter().enumerate() {
            let operand = Operand::Output(index);
            let (expected, found) = (self.output_dtype(index), output.dtype());
            if expected != found {
                return Err(RunError::DType { operand, expected, found });
            }
            let step = self.written[index];
            if shapes[step] != output.shape() {
                let (expected, found) = (shapes[step].clone(), output.shape().to_vec());
                return Err(RunError::OutputShape { index, expected, found });
            }
            for (other, earlier) in outputs[..index].iter().enumerate() {
                if overlap::overlap(&output.layout, &earlier.layout) {
                    return Err(RunError::Overlap {
                        output: operand,
                        other: Operand::Output(other),
                    });
                }
            }
            let mapped = matches!(self.steps[step].action, Action::Map { .. });
            for (other_index, input) in inputs.iter().enumerate() {
                // In place is fine in the pass that reads an input last, if both are the same
                // array. A matmul reads its operands again and again.
                if !overlap::overlap(&output.layout, &input.layout) {
                    continue;
                }
                let other = Operand::Input(other_index);
                if !overlap::same(&output.layout, &input.layout) {
                    return Err(RunError::Overlap { output: operand, other });
                }
                let read = self.read[other_index];
                if read > step || (read == step && !mapped) {
                    return Err(RunError::InPlace { output: operand, other });
                }
            }
        }
        Ok(())
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
        let place = output.map_or(Source::Slot(self.next_slot), Source::Output);
        self.next_slot += 1;
        self.places.extend(value.map(|value| (value, place)));
        place
    }

    /// The node of one output of a fused kernel, where anything reads it.
    fn item(&self, of: NodeId, item: usize) -> Option<NodeId> {
        let node = Node::Item { of, index: item as u32 };
        self.graph.iter().find(|(_, known)| **known == node).map(|(id, _)| id)
    }
}
