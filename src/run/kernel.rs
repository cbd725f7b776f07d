//! The kernel: a fused graph with its code, planned into steps over arrays.

use super::arena::{Arena, Buffer};
use super::exec::{Work, execute_checked};
use super::gemm::multiply;
use super::layout::{Dims, OPERANDS};
use super::overlap;
use super::plan::{Action, Plan, Source};
use super::tensor::{Tensor, Unfilled};
use super::view::{Layout, View, ViewMut};
use crate::error::{Operand, RunError};
use kiln_ir::{DType, Dim, Graph, Input};
use kiln_jit::emit::{Code, EmitterKind};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// An input with so many times fewer elements than the largest is small: what is computed from
/// small inputs alone may be worth a pass of its own.
const SMALL: usize = 16;

/// A compiled expression, ready to run on arrays. It can be shared between threads, and used after a
/// panic: no call changes it but to add plans and to lend buffers.
#[derive(Debug)]
pub struct Kernel {
    graph: Graph,
    plan: Plan,
    /// Other plans, where it can pay to compute small operands apart.
    variants: Option<Variants>,
    threads: Option<usize>,
    /// Buffers of intermediates, kept between calls.
    arena: Mutex<Arena>,
}

/// Makes the plan for calls in which these inputs are much smaller than the largest, if it differs.
pub(crate) type MakePlan =
    Box<dyn Fn(&[bool]) -> Option<Plan> + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// A plan once it is made; none where the usual one does as well.
type MadePlan = OnceLock<Option<Plan>>;

/// Plans for inputs of very different sizes, each made when it is first needed.
struct Variants {
    make: MakePlan,
    /// By which inputs are small. Locked to find a cell only: who needs a plan that is being made
    /// waits for that plan, and nobody else waits.
    made: RwLock<HashMap<Vec<bool>, Arc<MadePlan>>>,
}

impl Variants {
    /// The cell of the plan for calls with these inputs small.
    fn cell(&self, small: &[bool]) -> Arc<MadePlan> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = made.get(small) {
            return cell.clone();
        }
        drop(made);
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        made.entry(small.to_vec()).or_default().clone()
    }
}

impl fmt::Debug for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variants").finish_non_exhaustive()
    }
}

impl Kernel {
    /// A kernel that runs `plan`, the plan of `graph`.
    pub(crate) fn new(graph: Graph, plan: Plan, threads: Option<usize>) -> Kernel {
        let arena = Mutex::default();
        Kernel { graph, plan, threads, variants: None, arena }
    }

    /// The same kernel, with plans of its own for calls whose inputs differ much in size.
    pub(crate) fn with_variants(self, make: MakePlan) -> Kernel {
        let variants = Some(Variants { make, made: RwLock::default() });
        Kernel { variants, ..self }
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
        self.plan.steps.len()
    }

    /// The compiled code of each fused kernel, in the order they run.
    pub fn codes(&self) -> impl Iterator<Item = &Code> {
        self.plan.steps.iter().filter_map(|step| match &step.action {
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
        let room =
            |(index, shape): (usize, &Vec<usize>)| Unfilled::new(self.output_dtype(index), shape);
        let mut outputs: Vec<Unfilled> =
            shapes.iter().enumerate().map(room).collect::<Result<_, _>>()?;
        let mut views: Vec<ViewMut<'_>> = outputs.iter_mut().map(Unfilled::view_mut).collect();
        self.run_into(inputs, &mut views)?;
        drop(views);
        // SAFETY: a call that succeeds writes every element of every output.
        Ok(outputs.into_iter().map(|output| unsafe { output.filled() }).collect())
    }

    /// The shape of each output for these inputs. Fails where [`run`](Kernel::run) does.
    pub fn output_shapes(&self, inputs: &[View<'_>]) -> Result<Vec<Vec<usize>>, RunError> {
        self.check_inputs(inputs)?;
        let shapes = self.plan.step_shapes(inputs)?;
        Ok(self.plan.written.iter().map(|&step| shapes[step].to_vec()).collect())
    }

    /// Runs on `inputs` and writes into the caller's arrays.
    ///
    /// An output may be exactly an input's memory where nothing reads that input later (always so
    /// for a kernel of one pass); any other overlap of an output is an error. Nothing is written
    /// where the arrays do not fit. Once warm, elementwise kernels of up to 8 operands, and arrays of
    /// up to 6 axes, need no allocation but that of a message to each helping thread.
    pub fn run_into(
        &self,
        inputs: &[View<'_>],
        outputs: &mut [ViewMut<'_>],
    ) -> Result<(), RunError> {
        let _env = kiln_fenv::hold_default();
        self.check_inputs(inputs)?;
        let variant = self.variant(inputs);
        let variant = variant.as_ref().and_then(|made| made.get()?.as_ref());
        let plan = variant.unwrap_or(&self.plan);
        let shapes = plan.step_shapes(inputs)?;
        self.check_outputs(plan, inputs, outputs, &shapes)?;
        if plan.slot_count() == 0 {
            return self.run_steps(plan, inputs, outputs, &shapes, &mut Arena::default());
        }
        // Two calls at once do not wait for each other: the second one starts with no buffers.
        let kept = self.arena.try_lock().map(|mut kept| std::mem::take(&mut *kept));
        let mut arena = kept.unwrap_or_default();
        let done = self.run_steps(plan, inputs, outputs, &shapes, &mut arena);
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

    /// The plan for inputs of these sizes; none in it means the usual one.
    fn variant(&self, inputs: &[View<'_>]) -> Option<Arc<MadePlan>> {
        let variants = self.variants.as_ref()?;
        let largest = inputs.iter().map(View::len).max()?;
        let is_small = |view: &View<'_>| SMALL.saturating_mul(view.len()) <= largest;
        if !inputs.iter().any(is_small) {
            return None;
        }
        let small: SmallVec<[bool; OPERANDS]> = inputs.iter().map(is_small).collect();
        let cell = variants.cell(&small);
        cell.get_or_init(|| (variants.make)(&small));
        Some(cell)
    }

    fn run_steps(
        &self,
        plan: &Plan,
        inputs: &[View<'_>],
        outputs: &[ViewMut<'_>],
        shapes: &[Dims],
        arena: &mut Arena,
    ) -> Result<(), RunError> {
        let mut slots: SmallVec<[Option<Buffer>; 2]> = SmallVec::new();
        slots.resize_with(plan.slot_count(), || None);
        for (step, shape) in plan.steps.iter().zip(shapes) {
            for result in &step.results {
                if let Source::Slot(slot) = result.place {
                    slots[slot] = Some(arena.take(result.dtype, shape)?);
                }
            }
            let layout = |place: Source| match place {
                Source::Input(index) => &inputs[index].layout,
                Source::Output(index) => &outputs[index].layout,
                Source::Slot(slot) => {
                    &slots[slot].as_ref().expect("a slot is filled before it is read").layout
                }
            };
            // Pushed, not collected, as the shapes are: `relu` of 16 takes 101 ns instead of 140.
            let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
            step.args.iter().for_each(|&arg| operands.push(layout(arg)));
            step.results.iter().for_each(|result| operands.push(layout(result.place)));
            match &step.action {
                Action::Map { code, .. } => {
                    let work = Work::new(self.threads, code.nanoseconds());
                    // SAFETY: `Plan::new` and `check_inputs` checked types; shapes and overlaps were checked, and
                    // `outputs` are borrowed mutably. A step's results are distinct outputs and
                    // slots, and it reads none of them: the graph is acyclic.
                    unsafe { execute_checked(code, &operands, work) };
                }
                Action::Matmul => {
                    let [left, right, output] = operands[..] else {
                        panic!("a product has two operands and a result");
                    };
                    // SAFETY: as above.
                    unsafe { multiply(left, right, output, self.threads)? };
                }
            }
            drop(operands);
            for &slot in &step.dead {
                arena.give_all(&mut slots[slot..=slot]);
            }
        }
        arena.give_all(&mut slots);
        Ok(())
    }

    /// Checks number, types and declared shapes of inputs.
    fn check_inputs(&self, views: &[View<'_>]) -> Result<(), RunError> {
        let inputs = self.inputs();
        if views.len() != inputs.len() {
            let names = inputs.iter().map(Input::to_string).collect();
            return Err(RunError::Inputs { found: views.len(), names });
        }
        // Each symbolic axis, its size, and the input that bound it.
        let mut sizes: SmallVec<[(&str, usize, &str); OPERANDS]> = SmallVec::new();
        for (index, (input, view)) in inputs.iter().zip(views).enumerate() {
            view.layout.check_rank(Operand::Input(index))?;
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
                        let known = sizes.iter().find(|(name, ..)| *name == &**symbol);
                        let Some(&(_, bound, by)) = known else {
                            sizes.push((symbol, size, &input.name));
                            continue;
                        };
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

    /// Checks outputs before anything is written: number, types, shapes and overlaps.
    fn check_outputs(
        &self,
        plan: &Plan,
        inputs: &[View<'_>],
        outputs: &[ViewMut<'_>],
        shapes: &[Dims],
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
            let step = plan.written[index];
            if shapes[step][..] != *output.shape() {
                let (expected, found) = (shapes[step].to_vec(), output.shape().to_vec());
                return Err(RunError::OutputShape { index, expected, found });
            }
            overlap::check_itself(index, &output.layout)?;
            for (other, earlier) in outputs[..index].iter().enumerate() {
                if overlap::overlap(&output.layout, &earlier.layout) {
                    return Err(RunError::Overlap {
                        output: operand,
                        other: Operand::Output(other),
                    });
                }
            }
            let mapped = matches!(plan.steps[step].action, Action::Map { .. });
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
                let read = plan.read[other_index];
                if read > step || (read == step && !mapped) {
                    return Err(RunError::InPlace { output: operand, other });
                }
            }
        }
        Ok(())
    }
}
