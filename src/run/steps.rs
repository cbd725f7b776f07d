//! Running the steps of a plan, one after the other.

use super::arena::Arena;
use super::bound::Bound;
use super::compiled::Compiled;
use super::error::RunError;
use super::exec::{Work, execute_checked};
use super::gather;
use super::interrupt;
use super::layout::OPERANDS;
use super::numbers::Numbers as AllNumbers;
use super::parts::{self, part};
use super::product::multiply;
use super::scan::scan;
use super::strided;
use super::view::Layout;
use crate::plan::{Access, Action, Check, Dims, Numbers, Place, Plan, Step, Viewed};
use kiln_ir::{Call, DType};
use smallvec::SmallVec;
use std::sync::{Arc, Mutex};

/// The arrays of a call, by number.
pub(super) struct Arrays<I, O> {
    pub(super) inputs: I,
    pub(super) outputs: O,
}

/// Runs plans; between calls it keeps the memory of their intermediates.
#[derive(Debug, Default)]
pub(super) struct Runner {
    arena: Mutex<Arena>,
    numbers: AllNumbers<i64>,
    short_numbers: AllNumbers<i32>,
}

impl Runner {
    /// Runs a plan, whose steps have these shapes.
    ///
    /// # Safety
    ///
    /// Arrays must have the types and shapes of the plan. Inputs must be readable. Outputs must be
    /// writable and overlap nothing, except that one may be exactly an input which no step reads
    /// after the one that writes the output, and which that one, if it reads it, reads as a fused
    /// body.
    // Inlined, as are its parts: a call of one small step is as long as what is around it.
    #[inline(always)]
    pub(super) unsafe fn run<'a>(
        &self,
        plan: &Plan<Compiled>,
        arrays: &Arrays<impl Fn(usize) -> &'a Layout, impl Fn(usize) -> &'a Layout>,
        shapes: &[Dims],
        threads: Option<usize>,
        bound: &Bound,
    ) -> Result<(), RunError> {
        let numbers = match plan.numbers.is_empty() {
            true => Counted::default(),
            false => self.count(plan, shapes)?,
        };
        if plan.buffers.is_empty() {
            // SAFETY: required of the caller.
            return unsafe { run_steps(plan, arrays, &[], &numbers.arrays, threads, bound) };
        }
        // Two calls at once do not wait for each other: the second starts with no memory.
        let kept = self.arena.try_lock().map(|mut kept| std::mem::take(&mut *kept));
        let mut arena = kept.unwrap_or_default();
        let in_parts = plan.computes_parts(shapes) && !is_in_place(plan, arrays);
        let buffers = arena.arrays(plan, shapes, in_parts);
        // SAFETY: required of the caller; the buffers that are live at once lie apart.
        let done = buffers.and_then(|mut buffers| unsafe {
            if in_parts {
                place_parts(plan, arrays, shapes, &mut buffers);
            }
            run_steps(plan, arrays, &buffers, &numbers.arrays, threads, bound)
        });
        // Another call may have put back a larger one meanwhile.
        if let Ok(mut kept) = self.arena.try_lock()
            && kept.room() <= arena.room()
        {
            *kept = arena;
        }
        done
    }

    /// The places along axes that a call reads.
    #[cold]
    fn count(&self, plan: &Plan<Compiled>, shapes: &[Dims]) -> Result<Counted, RunError> {
        let (long, short) = (
            self.numbers.up_to(longest(plan, shapes, false))?,
            self.short_numbers.up_to(longest(plan, shapes, true))?,
        );
        let array = |of: &Numbers| {
            let base = if of.iota.short { short.as_ptr().cast() } else { long.as_ptr().cast() };
            numbers(of, shapes, <*const u8>::cast_mut(base))
        };
        let arrays = plan.numbers.iter().map(array).collect();
        Ok(Counted { arrays, _long: Some(long), _short: Some(short) })
    }
}

/// The places along axes that a call reads, and the numbers that they are.
#[derive(Default)]
struct Counted {
    arrays: SmallVec<[Layout; 2]>,
    _long: Option<Arc<[i64]>>,
    _short: Option<Arc<[i32]>>,
}

/// How many places along an axis a call reads at most, of those that are short numbers or of the others.
pub(super) fn longest(plan: &Plan<Compiled>, shapes: &[Dims], short: bool) -> usize {
    let numbers = plan.numbers.iter().filter(|numbers| numbers.iota.short == short);
    // All axes but one have size 1.
    numbers.flat_map(|numbers| shapes[numbers.shape].iter().copied()).max().unwrap_or(0)
}

/// How the places along an axis lie, of which the first is there.
pub(super) fn numbers(of: &Numbers, shapes: &[Dims], base: *mut u8) -> Layout {
    let shape = &shapes[of.shape];
    let axis = of.iota.place(shape.len()).expect("the shape was inferred");
    let dtype = if of.iota.short { DType::I32 } else { DType::I64 };
    let step = |at: usize| if at == axis { dtype.size() as isize } else { 0 };
    let strides = (0..shape.len()).map(step).collect();
    Layout { base, dtype, shape: shape.clone(), strides }
}

/// Packs what products of a plan read of constants, so that the first call need not.
pub(super) fn pack(plan: &Plan<Compiled>, bound: &Bound) -> Result<(), RunError> {
    for step in &plan.steps {
        let right = match &step.action {
            Action::Call(Call::Matmul) => 1,
            Action::Map { body, .. } => match (body.product(), body.second_product()) {
                (Some((_, [_, right])), _) | (None, Some((.., right))) => right,
                (None, None) => continue,
            },
            Action::Call(_) => continue,
        };
        let right = &step.args[right];
        let Place::Input(input) = right.place else { continue };
        let Some(array) = bound.array(input) else { continue };
        let chain = right.view.map_or(&[][..], |view| &plan.views[view].chain);
        // What does not fit, the first call will tell.
        let whole = Dims::from_slice(array.shape());
        let shape = chain.iter().try_fold(whole, |of, &view| Call::View(view).infer(&[&of[..]]));
        if shape.is_err() {
            continue;
        }
        let mut copies = SmallVec::new();
        // SAFETY: a constant is readable.
        bound.packed(&unsafe { strided::viewed(&array.layout, chain, &mut copies)? });
    }
    Ok(())
}

/// Whether an output is an input, too: such a one is written only after that was read.
fn is_in_place<'a>(
    plan: &Plan<Compiled>,
    arrays: &Arrays<impl Fn(usize) -> &'a Layout, impl Fn(usize) -> &'a Layout>,
) -> bool {
    let is_input = |output: usize| {
        let base = (arrays.outputs)(output).base;
        (0..plan.read.len()).any(|input| (arrays.inputs)(input).base == base)
    };
    (0..plan.written.len()).any(is_input)
}

/// Places intermediates that are parts of others, or of outputs.
pub(super) fn place_parts<'a>(
    plan: &Plan<Compiled>,
    arrays: &Arrays<impl Fn(usize) -> &'a Layout, impl Fn(usize) -> &'a Layout>,
    shapes: &[Dims],
    buffers: &mut [Layout],
) {
    // What they are parts of is written later, and may be a part itself.
    for (index, buffer) in plan.buffers.iter().enumerate().rev() {
        let Some(of) = buffer.part else { continue };
        let within = plan.within(of, shapes, &|input| &(arrays.inputs)(input).shape[..]);
        let whole = match within.of {
            Place::Output(output) => (arrays.outputs)(output),
            Place::Buffer(buffer) => &buffers[buffer],
            place => unreachable!("no step writes {place:?}"),
        };
        let len = shapes[buffer.written.shape][within.axis];
        buffers[index] = part(whole, within.axis, within.start, len);
    }
}

/// # Safety
///
/// As for [`Runner::run`]; buffers that are live at once must not overlap.
#[inline(always)]
unsafe fn run_steps<'a>(
    plan: &Plan<Compiled>,
    arrays: &Arrays<impl Fn(usize) -> &'a Layout, impl Fn(usize) -> &'a Layout>,
    buffers: &[Layout],
    numbers: &[Layout],
    threads: Option<usize>,
    bound: &Bound,
) -> Result<(), RunError> {
    let place = |place: Place| match place {
        Place::Input(index) => (arrays.inputs)(index),
        Place::Output(index) => (arrays.outputs)(index),
        Place::Buffer(index) => &buffers[index],
        Place::Numbers(index) => &numbers[index],
    };
    for (index, step) in plan.steps.iter().enumerate() {
        for check in plan.checks.iter().filter(|check| check.step == index) {
            // SAFETY: required of the caller; what is read was written before.
            unsafe { check_places(plan, check, &place)? };
        }
        let mut copies = SmallVec::new();
        let mut viewed: SmallVec<[Layout; 2]> = SmallVec::new();
        // Pushed, not collected, as shapes are: see `Plan::shapes`.
        let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        for view in step.args.iter().filter_map(|arg| arg.view) {
            let Viewed { place: of, chain, .. } = &plan.views[view];
            // SAFETY: required of the caller.
            viewed.push(unsafe { strided::viewed(place(*of), chain, &mut copies)? });
        }
        let mut views = viewed.iter();
        step.args.iter().for_each(|arg| match arg.view {
            Some(_) => operands.push(views.next().expect("made above")),
            None => operands.push(place(arg.place)),
        });
        step.results.iter().for_each(|result| operands.push(place(result.place)));
        // SAFETY: required of the caller. A step's results are distinct outputs and buffers, and it
        // reads none of them: the graph is acyclic, and whatever is live during a step lies apart.
        unsafe { run_step(step, &operands, threads, bound)? };
        // What an ended step has not written, no other one reads.
        interrupt::check()?;
    }
    Ok(())
}

/// Refuses places that an axis does not have.
///
/// # Safety
///
/// What is in `place` must be readable.
unsafe fn check_places<'l>(
    plan: &Plan<Compiled>,
    check: &Check,
    place: &impl Fn(Place) -> &'l Layout,
) -> Result<(), RunError> {
    let mut copies = SmallVec::new();
    let mut array = |access: &Access| match access.view {
        Some(view) => {
            let Viewed { place: of, chain, .. } = &plan.views[view];
            // SAFETY: required of the caller.
            unsafe { strided::viewed(place(*of), chain, &mut copies) }
        }
        None => Ok(place(access.place).clone()),
    };
    let places = array(&check.places)?;
    let of = check.of.iter().map(array).collect::<Result<SmallVec<[Layout; 2]>, RunError>>()?;
    let of: SmallVec<[&[usize]; 2]> = of.iter().map(|layout| &layout.shape[..]).collect();
    let (axis, size) = check.within.size(&of).expect("the shape was inferred");
    // SAFETY: required of the caller.
    unsafe { gather::check(Call::Within(check.within), axis, size, &places) }
}

/// # Safety
///
/// Operands, what the step reads and then what it writes, must have its types and shapes, and be
/// readable, and writable and apart.
#[inline(always)]
unsafe fn run_step(
    step: &Step<Compiled>,
    operands: &[&Layout],
    threads: Option<usize>,
    bound: &Bound,
) -> Result<(), RunError> {
    match (step.kernel(), &step.action) {
        (Some(Compiled::Map(code)), _) => {
            let work = Work::new(threads, code.nanoseconds());
            // SAFETY: required of the caller.
            unsafe { execute_checked(code, operands, work) };
        }
        (Some(Compiled::Rows(kernel)), _) => {
            // SAFETY: required of the caller.
            unsafe { kernel.run(operands, threads)? };
        }
        (Some(Compiled::Product(kernel)), _) => {
            // SAFETY: required of the caller.
            unsafe { kernel.run(operands, threads, bound)? };
        }
        (Some(Compiled::Reduction(reduction)), _) => {
            // SAFETY: required of the caller.
            unsafe { reduction.run(operands, threads)? };
        }
        (None, Action::Call(Call::Matmul)) => {
            let [left, right, output] = operands[..] else {
                panic!("a product has two operands and a result");
            };
            // SAFETY: required of the caller.
            unsafe { multiply(left, right, output, threads, bound)? };
        }
        (None, Action::Call(Call::Scan(by))) => {
            let [input, output] = operands[..] else {
                panic!("a scan has an operand and a result");
            };
            // SAFETY: required of the caller.
            unsafe { scan(*by, input, output, threads) };
        }
        (None, Action::Call(call)) => {
            // SAFETY: required of the caller.
            unsafe { rearrange(*call, operands, threads)? };
        }
        (None, Action::Map { .. }) => unreachable!("a fused body has a kernel"),
    }
    Ok(())
}

/// Runs a call that moves elements and computes nothing.
///
/// # Safety
///
/// As for [`run_step`].
unsafe fn rearrange(
    call: Call,
    operands: &[&Layout],
    threads: Option<usize>,
) -> Result<(), RunError> {
    // SAFETY: required of the caller.
    unsafe {
        match (call, operands) {
            (Call::Gather(by), &[array, places, output]) => {
                let axis = by.place(array.shape.len()).expect("the shape was inferred");
                gather::check(call, axis, array.shape[axis], places)?;
                gather::pick(by, array, places, output, threads);
            }
            (Call::Concat(by), [arrays @ .., output]) => parts::concat(by, arrays, output, threads),
            (Call::Pad(by), &[array, number, output]) => {
                parts::pad(by, array, number, output, threads)
            }
            (call, _) => unreachable!("{} is no such call", call.info().noun),
        }
    }
    Ok(())
}
