//! What a call runs, in readable form.

use super::compiled::Compiled;
use super::foresight::{Foreseen, Foresight};
use super::unfit::Unfit;
use super::view::View;
use crate::plan::{Access, Action, Chosen, Dims, Memory, Place, SizeClass, Step, Traffic};
use kiln_ir::{Body, Call, DType, Dim, Graph, Input, NodeId};
use kiln_jit::emit::EmitterKind;
use kiln_jit::emit::cost::Tally;
use std::fmt;
use std::sync::Arc;

/// What a call runs: passes over memory in order, and the memory of intermediates.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// Which plan it is, and why.
    choice: String,
    specialized: bool,
    steps: Vec<CallStep>,
    memory: Memory,
}

/// One pass over memory, or what could be one and goes [pass by pass](CallStep::passes) in this call.
#[derive(Clone, Debug)]
pub struct CallStep {
    /// What it computes, from which arrays.
    text: String,
    emitter: Option<(EmitterKind, u32)>,
    /// Why it is not one pass, if it is a fused kernel and goes pass by pass.
    unfit: Option<Unfit>,
    passes: usize,
    /// What it reads copies of, and their bytes.
    copies: Vec<(String, usize)>,
    traffic: Traffic,
    fused: Option<FusedStep>,
    /// What it is if it is no fused kernel, and the type of its operands.
    call: Option<(Call, DType)>,
}

/// What a pass that is a fused kernel computes.
#[derive(Clone, Debug)]
pub(crate) struct FusedStep {
    pub(crate) body: Arc<Body>,
    pub(crate) tally: Tally,
    /// How many elements it loops over: more than an address space holds are `usize::MAX`.
    pub(crate) elements: usize,
    /// If not all that it computes has one size, as where it folds rows or computes some of two products, how many
    /// elements each node of its body has; else nothing.
    pub(crate) sizes: Vec<usize>,
    /// If it has a product, the FLOP of that.
    pub(crate) product: usize,
}

impl CallPlan {
    pub(super) fn new(
        graph: &Graph,
        plan: &Chosen<'_, Compiled>,
        class: Option<&SizeClass>,
        inputs: &[View<'_>],
        shapes: &[Dims],
        foresight: Foresight,
    ) -> CallPlan {
        let Foresight { steps: foreseen, memory } = foresight;
        let shape = |input: usize| inputs[input].shape();
        let of = |access: &Access| plan.shape_of(access, shapes, &shape);
        let array = |access: &Access| {
            let name = plan.text_of(access, &|place| place.name(graph));
            (name, format!("{}{:?}", access.dtype, of(access)))
        };
        let in_parts = plan.computes_parts(shapes);
        let result = |access: &Access| {
            let (name, array) = array(access);
            let named = |place: Place| place.name(graph);
            let within = || plan.within_text(access.place, shapes, &shape, &named);
            match in_parts.then(within).flatten() {
                Some(within) => format!("{name} = {within}: {array}"),
                None => format!("{}: {array}", plan.through_text(access.place, name)),
            }
        };
        let step = |(step, foreseen): (&Step<Compiled>, Foreseen)| {
            let Foreseen { unfit, passes, copies, traffic } = foreseen;
            let results: Vec<String> = step.results.iter().map(&result).collect();
            let args: Vec<(String, String)> = step.args.iter().map(&array).collect();
            let call = match step.action {
                Action::Call(call) => Some((call, step.args[0].dtype)),
                Action::Map { .. } => None,
            };
            let (reads, computes, fused) = match &step.action {
                Action::Map { body, names, kernel, .. } => {
                    // A parameter is shown only if its name differs from what is bound to it.
                    let read = |((name, array), parameter): (&(String, String), &String)| match name
                        == parameter
                    {
                        true => format!("{name}: {array}"),
                        false => format!("{parameter} = {name}: {array}"),
                    };
                    let reads: Vec<String> = args.iter().zip(names).map(read).collect();
                    let elements = plan.elements(step, shapes);
                    let (body, tally) = (body.clone(), kernel.tally());
                    let computes = body.expression_of(names.clone());
                    let emitter = kernel.emitter().filter(|_| unfit.is_none());
                    let sizes = match has_one_size(&body) {
                        true => Vec::new(),
                        false => sizes(&body, &step.args, &of),
                    };
                    let product = plan.product_ops(step, shapes, &shape);
                    let fused = FusedStep { body, tally, elements, sizes, product };
                    (reads, computes, Some((emitter, fused)))
                }
                Action::Call(call) => {
                    let reads = args.iter().map(|(name, array)| format!("{name}: {array}"));
                    let names: Vec<&str> = args.iter().map(|(name, _)| &**name).collect();
                    (reads.collect(), call.expression(&names), None)
                }
            };
            let text = format!("({}) -> ({})\n{computes}", reads.join(", "), results.join(", "));
            let (emitter, fused) = fused.unzip();
            let emitter = emitter.flatten();
            let copies = copies.iter().map(|(access, bytes)| (array(access).0, *bytes)).collect();
            CallStep { text, emitter, unfit, passes, copies, traffic, fused, call }
        };
        let steps = plan.steps.iter().zip(foreseen).map(step).collect();
        let sizes = |class: &SizeClass| match class {
            SizeClass::Shapes(pattern) => {
                let shape = |(input, dims): (&Input, Vec<Dim>)| {
                    let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
                    format!("{}[{}]", input.name, dims.join(", "))
                };
                let shapes = graph.inputs().iter().zip(pattern.dims()).map(shape);
                shapes.collect::<Vec<String>>().join(", ")
            }
            SizeClass::Lens { small, one_shape } => {
                let small = graph.inputs().iter().zip(small).filter(|(_, small)| **small);
                let names: Vec<&str> = small.map(|(input, _)| input.name.as_str()).collect();
                match (one_shape, names.is_empty()) {
                    (false, _) => format!("small {}", names.join(", ")),
                    (true, true) => "arrays of one shape".to_string(),
                    (true, false) => {
                        format!("arrays of one shape, and single {}", names.join(", "))
                    }
                }
            }
        };
        let is_special = plan.is_special();
        let choice = match (class.map(sizes), &is_special) {
            (None, _) => "the usual plan".to_string(),
            (Some(sizes), Ok(true)) => format!("a plan for {sizes}"),
            (Some(sizes), Ok(false)) => format!("the usual plan, which does as well for {sizes}"),
            (Some(sizes), Err(failure)) => {
                format!("the usual plan, for none could be made for {sizes}: {failure}")
            }
        };
        CallPlan { choice, specialized: matches!(is_special, Ok(true)), steps, memory }
    }

    /// Whether the plan was made for calls whose inputs differ in size as these do.
    pub fn is_specialized(&self) -> bool {
        self.specialized
    }

    /// The kernels and calls that run, in order: each is one pass over memory but for what
    /// [`CallStep::passes`] says.
    pub fn steps(&self) -> &[CallStep] {
        &self.steps
    }

    /// The memory of the intermediates.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// How many passes over memory its steps are.
    pub fn passes(&self) -> usize {
        self.steps.iter().map(CallStep::passes).sum()
    }

    /// Ops and bytes of all passes.
    pub fn traffic(&self) -> Traffic {
        self.steps.iter().map(|step| step.traffic).sum()
    }
}

/// Whether all ops of a body are of as many elements.
fn has_one_size(body: &Body) -> bool {
    let is_all = |(second, ..): (NodeId, NodeId, usize)| *body.outputs() == [second];
    !body.has_rows() && body.second_product().is_none_or(is_all)
}

/// How many elements each node of a body has.
fn sizes<'s>(body: &Body, args: &[Access], shape: &impl Fn(&Access) -> &'s [usize]) -> Vec<usize> {
    let args: Vec<&[usize]> = args.iter().map(shape).collect();
    let shapes = body.shapes(&args).expect("they are those of the plan");
    let count =
        |shape: &Dims| shape.iter().fold(1, |count: usize, &size| count.saturating_mul(size));
    shapes.iter().map(count).collect()
}

impl CallStep {
    /// The emitter of its code and the width of its vectors in bits; `None` for a call, and for a kernel that a
    /// call of these shapes runs pass by pass.
    pub fn emitter(&self) -> Option<(EmitterKind, u32)> {
        self.emitter
    }

    /// How many passes over memory it is: one, and more where what could be one pass goes pass by pass in this call,
    /// or where it reads copies, each of which is a pass. What is copied is reshapes of arrays that lie in an order
    /// which no strides say in the new shape.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// Its ops and bytes, those of all its [passes](CallStep::passes).
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// What it is if it is no fused kernel, and the type of its operands.
    pub(crate) fn call(&self) -> Option<(Call, DType)> {
        self.call
    }

    /// What it computes; `None` for a call such as a product.
    pub(crate) fn fused(&self) -> Option<&FusedStep> {
        self.fused.as_ref()
    }
}

impl fmt::Display for CallPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passes = self.passes();
        writeln!(f, "{}, of {passes} pass{}", self.choice, if passes == 1 { "" } else { "es" })?;
        for (step, number) in self.steps.iter().zip(1..) {
            write!(f, "\n{number}. {step}")?;
        }
        let all = self.traffic();
        write!(f, "\nin all: {} ops, {} bytes moved; {}\n", all.ops, all.bytes(), self.memory)
    }
}

impl fmt::Display for CallStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text.replace('\n', "\n   "))?;
        let Traffic { ops, loaded, stored } = self.traffic;
        match (self.emitter, self.call) {
            (Some((emitter, bits)), _) => write!(f, "   {emitter}, {bits} bits; {ops} ops")?,
            (None, None) => {
                let passes = self.passes - self.copies.len();
                write!(f, "   pass by pass, in {passes}")?;
                self.unfit.iter().try_for_each(|unfit| write!(f, ": {unfit}"))?;
                write!(f, "; {ops} ops")?
            }
            (None, Some((Call::Reduce(_), _))) => write!(f, "   a reduction; {ops} ops")?,
            (None, Some((call, _))) if call.moves() || matches!(call, Call::Scan(_)) => {
                write!(f, "   {}; {ops} ops", call.info().noun)?
            }
            (None, _) => write!(f, "   a product; {ops} FLOP")?,
        }
        writeln!(f, "; {loaded} bytes loaded, {stored} stored")?;
        let mut copies = self.copies.iter();
        copies
            .try_for_each(|(of, bytes)| writeln!(f, "   before it, a copy for {of}: {bytes} bytes"))
    }
}
