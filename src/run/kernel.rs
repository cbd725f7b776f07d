//! The kernel: a fused graph with its code, planned into steps over arrays.

use super::bound::Bound;
use super::call_plan::CallPlan;
use super::check;
use super::compiled::Compiled;
use super::direct::Direct;
use super::error::RunError;
use super::exec::dtype;
use super::foresight::Foresight;
use super::gather;
use super::rows::Reduction;
use super::steps::{self, Arrays, Runner};
use super::tensor::{Tensor, Unfilled};
use super::through::Seen;
use super::view::{Layout, View, ViewMut};
use crate::plan::{
    Access, Action, Chosen, Dims, Memory, Place, Plan, Plans, ShapeError, Shapes, Written,
};
use kiln_ir::{Body, Call, DType, Graph, Input};
use kiln_jit::emit::{Code, EmitterKind};
use std::fmt;
use std::sync::Arc;

/// A compiled expression, ready to run on arrays. It can be shared between threads and used after a
/// panic: a call changes nothing in it except to add plans and to lend buffers.
pub struct Kernel {
    graph: Graph,
    /// The graph that was compiled, for messages.
    written: Arc<Graph>,
    pub(super) plans: Arc<Plans<Compiled>>,
    pub(super) threads: Option<usize>,
    /// The short way of a call, where there is one.
    pub(super) direct: Option<Direct>,
    runner: Runner,
    bound: Bound,
}

/// In one line: what it takes and gives, its passes, and what made its code.
impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<String> = self.inputs().iter().map(Input::to_string).collect();
        let outputs = self.graph.outputs().iter();
        let outputs: Vec<String> = outputs
            .map(|&output| format!("{}{}", self.graph.dtype(output), self.graph.shape(output)))
            .collect();
        let (passes, s) = (self.pass_count(), if self.pass_count() == 1 { "" } else { "es" });
        write!(f, "Kernel({}: |{}| -> ", self.graph.name(), inputs.join(", "))?;
        write!(f, "({}), {passes} pass{s}", outputs.join(", "))?;
        match self.emitter() {
            Some((emitter, _)) => write!(f, ", {emitter})"),
            None => f.write_str(")"),
        }
    }
}

/// Plans a fused graph; `compile` makes what runs a fused body. Without `reuse`, every intermediate
/// has memory of its own.
pub(crate) fn plan<E>(
    graph: &Graph,
    reuse: bool,
    compile: impl FnMut(&Body) -> Result<Compiled, E>,
) -> Result<Plan<Compiled>, E> {
    let mut plan = Plan::new(graph, reuse, compile)?;
    for step in &mut plan.steps {
        if let Action::Call(Call::Reduce(by)) = step.action {
            let types = [step.args[0].dtype, step.results[0].dtype];
            step.call = Some(Compiled::Reduction(Reduction::new(by, types)));
        }
        if let Action::Map { kernel: Compiled::Map(code), .. } = &step.action {
            let fit = |accesses: &[Access], storages: &[_]| {
                accesses.iter().map(|access| access.dtype).eq(storages.iter().map(|&s| dtype(s)))
            };
            let fits = fit(&step.args, code.inputs()) && fit(&step.results, code.outputs());
            assert!(fits, "code has the types of what it is for: {graph}");
            assert!(step.fills_domain(), "code stores each result for every element: {graph}");
        }
    }
    Ok(plan)
}

/// The compiled code of each fused kernel of a kernel's graph, in the order they run.
pub fn codes(kernel: &Kernel) -> impl Iterator<Item = &Code> {
    let bodies = kernel.plans.usual().steps.iter().filter_map(|step| match &step.action {
        Action::Map { kernel, .. } => Some(kernel),
        Action::Call(_) => None,
    });
    bodies.flat_map(Compiled::codes)
}

impl Kernel {
    /// A kernel that runs plans of `graph`, made by [`plan`] of what was written.
    pub(crate) fn new(
        graph: Graph,
        written: &Graph,
        plans: Plans<Compiled>,
        threads: Option<usize>,
    ) -> Kernel {
        let direct = Direct::new(&plans, graph.inputs());
        let (plans, bound) = (Arc::new(plans), Bound::default());
        let written = Arc::new(written.clone());
        Kernel { graph, written, plans, threads, direct, runner: Runner::default(), bound }
    }

    /// The fused graph, which `Display` shows as text. Calls whose inputs differ much in size may
    /// run another one: see [`plan_for`](Kernel::plan_for).
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The inputs, in the order a call takes them: those of [its graph](Kernel::graph) that are not
    /// [bound](Kernel::bind_constant).
    pub fn inputs(&self) -> &[Input] {
        self.bound.inputs(self.graph.inputs())
    }

    /// This kernel with an input bound to a constant, which calls then do not give: for weights.
    ///
    /// The value is copied. What products read as their right operand, as it is or as a view of it, is
    /// packed once, as their kernels read it. That is worth most where the left operand has few rows:
    /// packing, or reading what is not packed, takes as long as multiplying. No bit of a result changes.
    /// Threads, and kernels that are made of this one by binding more, share both;
    /// [`memory`](Kernel::memory) says how many bytes they take. Nothing is compiled again.
    ///
    /// Fails where the kernel has no such input, or it is bound already, and where the type or the
    /// declared shape do not fit.
    ///
    /// ```
    /// use ndarray::{Array2, array};
    ///
    /// let layer = kiln::compile_text("|x: f32[n, k], w: f32[k, m], b: f32[m]| relu(x @ w + b)")?;
    /// let (w, b) = (Array2::<f32>::eye(3), array![0f32, -1.0, -2.0]);
    /// let layer = layer.bind_constant("w", &w)?.bind_constant("b", &b)?;
    /// let outputs = layer.run(&[(&array![[1f32, 1.0, 3.0]]).into()])?;
    /// let [y] = outputs.try_into().expect("one output");
    /// assert_eq!(Array2::<f32>::try_from(y)?, array![[1.0, 0.0, 1.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind_constant<'v>(
        &self,
        name: &str,
        value: impl Into<View<'v>>,
    ) -> Result<Kernel, RunError> {
        let bound = self.bound.with(self.graph.inputs(), name, &value.into())?;
        steps::pack(self.plans.usual(), &bound)?;
        Ok(Kernel {
            graph: self.graph.clone(),
            written: self.written.clone(),
            plans: self.plans.clone(),
            threads: self.threads,
            direct: None,
            runner: Runner::default(),
            bound,
        })
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

    /// Passes over memory of [its graph](Kernel::graph): fused kernels and calls such as products.
    pub fn pass_count(&self) -> usize {
        self.plans.usual().steps.len()
    }

    /// The emitter and the vector width in bits of the compiled code; `None` where only matmuls
    /// run.
    pub fn emitter(&self) -> Option<(EmitterKind, u32)> {
        codes(self).next().map(|code| (code.emitter(), code.bits()))
    }

    /// Runs on `inputs`, one view for each, and returns the outputs.
    ///
    /// Any rank, layout and stride will do; only tiles that fit the L1 cache are copied. Shapes
    /// broadcast as in NumPy. Fails, having written nothing, where the number, types or shapes of the
    /// inputs are wrong, or where there is not enough memory.
    pub fn run(&self, inputs: &[View<'_>]) -> Result<Vec<Tensor>, RunError> {
        let _env = kiln_fenv::hold_default();
        kiln_ir::span!(TRACE, "run");
        let inputs = &*self.bound.arguments(self.graph.inputs(), inputs)?;
        let plan = self.choose(inputs);
        let mut shapes = Shapes::new();
        self.add_shapes(&plan, inputs, &mut shapes)?;
        let room = |(index, written): (usize, &Written)| {
            Unfilled::new(self.output_dtype(index), &shapes[written.shape], inputs)
        };
        let mut outputs: Vec<Unfilled> =
            plan.written.iter().enumerate().map(room).collect::<Result<_, _>>()?;
        let views: Vec<ViewMut<'_>> = outputs.iter_mut().map(Unfilled::view_mut).collect();
        self.run_plan(&plan, inputs, &views, &shapes)?;
        drop(views);
        // SAFETY: a call that succeeds writes every element of every output.
        Ok(outputs.into_iter().map(|output| unsafe { output.filled() }).collect())
    }

    /// The shape of each output for these inputs. Fails where [`run`](Kernel::run) does.
    pub fn output_shapes(&self, inputs: &[View<'_>]) -> Result<Vec<Vec<usize>>, RunError> {
        let inputs = &*self.bound.arguments(self.graph.inputs(), inputs)?;
        let plan = self.plans.usual();
        let mut shapes = Shapes::new();
        self.add_shapes(plan, inputs, &mut shapes)?;
        Ok(plan.written.iter().map(|written| shapes[written.shape].to_vec()).collect())
    }

    /// Runs on `inputs` and writes into the caller's arrays.
    ///
    /// An output may be exactly an input's memory if nothing reads that input later (always so for
    /// a kernel of one pass); any other overlap of an output is an error. Nothing is written if the
    /// arrays do not fit. Once warm, elementwise kernels of up to 8 operands and arrays of up to 6
    /// axes allocate nothing except a message to each helping thread.
    pub fn run_into(
        &self,
        inputs: &[View<'_>],
        outputs: &mut [ViewMut<'_>],
    ) -> Result<(), RunError> {
        let _env = kiln_fenv::hold_default();
        kiln_ir::span!(TRACE, "run");
        let inputs = &*self.bound.arguments(self.graph.inputs(), inputs)?;
        let plan = self.choose(inputs);
        let mut shapes = Shapes::new();
        self.add_shapes(&plan, inputs, &mut shapes)?;
        match check::outputs(&plan, &self.graph, inputs, outputs, &shapes) {
            Ok(()) => self.run_plan(&plan, inputs, outputs, &shapes),
            // A plan of more passes may read an input again after another was written there.
            Err(RunError::InPlace { .. }) if matches!(plan.is_special(), Ok(true)) => {
                let plan = Chosen::usual(&self.plans);
                let mut shapes = Shapes::new();
                self.add_shapes(&plan, inputs, &mut shapes)?;
                check::outputs(&plan, &self.graph, inputs, outputs, &shapes)?;
                self.run_plan(&plan, inputs, outputs, &shapes)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs with the first input's array as the output: `array` is read and overwritten.
    ///
    /// `others` are the inputs after the first. Only for kernels with one output, which must have
    /// the shape and type of the first input.
    pub fn run_in_place<'a>(
        &self,
        array: impl Into<ViewMut<'a>>,
        others: &[View<'_>],
    ) -> Result<(), RunError> {
        let array = array.into();
        let mut inputs = vec![array.view()];
        inputs.extend_from_slice(others);
        // SAFETY: `run_into` allows an output to be exactly an input, and writes an element only
        // after reading it. The array is borrowed mutably, so nothing else looks at it.
        let output = unsafe { array.write_again() };
        self.run_into(&inputs, &mut [output])
    }

    /// What a call with these inputs runs, which `Display` shows as text. Types, shapes and layouts of
    /// the inputs count, and outputs are taken to be dense. It may compile, as the first call of its kind does. Fails where
    /// [`run`](Kernel::run) does.
    ///
    /// ```
    /// use kiln::{Tensor, View, compile_text, DType};
    ///
    /// let kernel = compile_text("x * exp(sin(w))")?;
    /// let x = Tensor::zeros(DType::F32, &[1000, 8])?;
    /// let w = Tensor::zeros(DType::F32, &[8])?;
    /// let plan = kernel.plan_for(&[x.view(), w.view()])?;
    /// assert_eq!((kernel.pass_count(), plan.steps().len()), (1, 2));
    /// assert!(plan.to_string().starts_with("a plan for small w, of 2 passes"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plan_for(&self, inputs: &[View<'_>]) -> Result<CallPlan, RunError> {
        let inputs = &*self.bound.arguments(self.graph.inputs(), inputs)?;
        let plan = self.choose(inputs);
        let mut shapes = Shapes::new();
        self.add_shapes(&plan, inputs, &mut shapes)?;
        let class = self.plans.class(inputs.iter().map(View::shape));
        let foresight = self.foresee(&plan, inputs, &shapes)?;
        Ok(CallPlan::new(&self.graph, &plan, class.as_ref(), inputs, &shapes, foresight))
    }

    /// The memory that a call with these inputs takes for intermediates: arrays between passes, those of a fused
    /// kernel too that such a call runs pass by pass, which are kept for later calls; numbers of places along axes;
    /// copies of what is read in an order that no strides say; and what is kept of rows that are too long for a
    /// tile. Outputs are taken to be dense, and to overlap no
    /// input. What products pack operands into is not counted, but for [constants](Kernel::bind_constant), nor is
    /// the scratch of threads. It may compile, as [`plan_for`](Kernel::plan_for) does. Fails where
    /// [`run`](Kernel::run) does.
    pub fn memory(&self, inputs: &[View<'_>]) -> Result<Memory, RunError> {
        let inputs = &*self.bound.arguments(self.graph.inputs(), inputs)?;
        let plan = self.choose(inputs);
        let mut shapes = Shapes::new();
        self.add_shapes(&plan, inputs, &mut shapes)?;
        Ok(self.foresee(&plan, inputs, &shapes)?.memory)
    }

    fn foresee(
        &self,
        plan: &Plan<Compiled>,
        inputs: &[View<'_>],
        shapes: &[Dims],
    ) -> Result<Foresight, RunError> {
        let layouts: Vec<&Layout> = inputs.iter().map(|input| &input.layout).collect();
        let mut foresight = Foresight::new(plan, &layouts, shapes, self.threads)?;
        foresight.memory = foresight.memory.beside(self.bound.bytes());
        Ok(foresight)
    }

    /// The plan of a call.
    #[inline(always)]
    fn choose(&self, inputs: &[View<'_>]) -> Chosen<'_, Compiled> {
        self.plans.choose(inputs.iter().map(View::shape))
    }

    /// Adds the shape of what each step of a plan computes.
    #[inline(always)]
    fn add_shapes(
        &self,
        plan: &Plan<Compiled>,
        inputs: &[View<'_>],
        shapes: &mut Shapes,
    ) -> Result<(), RunError> {
        plan.add_shapes(|input| inputs[input].shape(), shapes)
            .map_err(|error| self.misfit(error, inputs))
    }

    /// Why inputs do not fit a plan, with the names of the usual plan, which are the graph's, and as it was
    /// written.
    #[cold]
    fn misfit(&self, error: ShapeError, inputs: &[View<'_>]) -> RunError {
        let mut shapes = Shapes::new();
        let usual = self.plans.usual().add_shapes(|input| inputs[input].shape(), &mut shapes);
        let error = RunError::from(usual.err().unwrap_or(error));
        let shapes: Vec<&[usize]> = inputs.iter().map(View::shape).collect();
        match self.written.misfit(&shapes) {
            Some(found) => error.written(found),
            None => error,
        }
    }

    /// Runs a plan on arguments that fit; its steps have these shapes.
    fn run_plan(
        &self,
        plan: &Plan<Compiled>,
        inputs: &[View<'_>],
        outputs: &[ViewMut<'_>],
        shapes: &[Dims],
    ) -> Result<(), RunError> {
        self.check_places(plan, inputs, shapes)?;
        let inputs = |index: usize| &inputs[index].layout;
        let outputs = |index: usize| &outputs[index].layout;
        // SAFETY: `plan` and `check` checked types, shapes and overlaps. `outputs` are borrowed
        // mutably, or made for this call.
        unsafe {
            if !plan.through.is_empty() {
                return self.run_through(plan, inputs, outputs, shapes);
            }
            let arrays = Arrays { inputs, outputs };
            self.runner.run(plan, &arrays, shapes, self.threads, &self.bound)
        }
    }

    /// The same where outputs are views of what steps give.
    ///
    /// # Safety
    ///
    /// As for [`Runner::run`].
    #[inline(never)]
    unsafe fn run_through<'a>(
        &self,
        plan: &Plan<Compiled>,
        inputs: impl Fn(usize) -> &'a Layout,
        outputs: impl Fn(usize) -> &'a Layout,
        shapes: &[Dims],
    ) -> Result<(), RunError> {
        let all_inputs = (0..plan.read.len()).map(&inputs);
        let seen = Seen::new(plan, shapes, all_inputs, &outputs)?;
        let seen_as = |index: usize| seen.of(index).unwrap_or_else(|| outputs(index));
        let arrays = Arrays { inputs: |index: usize| inputs(index), outputs: seen_as };
        // SAFETY: required of the caller; what is seen as an output has its elements, or is a copy.
        unsafe {
            self.runner.run(plan, &arrays, shapes, self.threads, &self.bound)?;
            seen.finish(plan, &outputs, self.threads)
        }
    }

    /// Refuses inputs that are places along an axis which has no such place, where steps before would
    /// have written something.
    #[inline(always)]
    fn check_places(
        &self,
        plan: &Plan<Compiled>,
        inputs: &[View<'_>],
        shapes: &[Dims],
    ) -> Result<(), RunError> {
        for step in plan.steps.iter().skip(1) {
            let Action::Call(Call::Gather(gather)) = step.action else { continue };
            let [array, Access { place: Place::Input(places), view: None, .. }] = step.args[..]
            else {
                continue;
            };
            let array = plan.shape_of(&array, shapes, &|input| inputs[input].shape());
            let axis = gather.place(array.len()).expect("the shape was inferred");
            let call = Call::Gather(gather);
            // SAFETY: an input is readable.
            unsafe { gather::check(call, axis, array[axis], &inputs[places].layout)? };
        }
        for check in plan.checks.iter().filter(|check| check.step > 0) {
            let Access { place: Place::Input(places), view: None, .. } = check.places else {
                continue;
            };
            let shape = |of| plan.shape_of(of, shapes, &|input| inputs[input].shape());
            let of: Vec<&[usize]> = check.of.iter().map(shape).collect();
            let (axis, size) = check.within.size(&of).expect("the shape was inferred");
            let call = Call::Within(check.within);
            // SAFETY: an input is readable.
            unsafe { gather::check(call, axis, size, &inputs[places].layout)? };
        }
        Ok(())
    }
}
