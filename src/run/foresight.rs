//! What a call will find, before it runs: how the operands of its steps will lie, and the memory that it takes.
//!
//! Whether a kernel runs as one pass depends on how its operands lie. So they are placed as a call places them, but
//! nothing is there: what is made here is never read.

use super::compiled::Compiled;
use super::error::RunError;
use super::steps::{Arrays, longest, numbers, place_parts};
use super::strided;
use super::team::pool_size;
use super::through::Seen;
use super::unfit::Unfit;
use super::view::Layout;
use crate::plan::{Access, Dims, Memory, Place, Plan, Traffic};
use kiln_ir::DType;

/// Of a call whose outputs are dense, and apart from all else.
pub(super) struct Foresight {
    pub(super) steps: Vec<Foreseen>,
    pub(super) memory: Memory,
}

/// Of a step.
pub(super) struct Foreseen {
    /// Why it goes pass by pass, if it does.
    pub(super) unfit: Option<Unfit>,
    /// How many passes over memory it is, with the copies.
    pub(super) passes: usize,
    /// What is read of copies, and how many bytes each has.
    pub(super) copies: Vec<(Access, usize)>,
    /// That of all passes.
    pub(super) traffic: Traffic,
}

impl Foresight {
    /// Of a call on inputs that lie so, whose steps have these shapes, by so many threads. Fails where intermediates
    /// are larger than any memory.
    pub(super) fn new(
        plan: &Plan<Compiled>,
        inputs: &[&Layout],
        shapes: &[Dims],
        threads: Option<usize>,
    ) -> Result<Foresight, RunError> {
        // Apart from each other, and from all that is there.
        let mut free = usize::MAX / 4 + 1;
        let mut dense = |dtype: DType, shape: &[usize]| {
            let base = std::ptr::without_provenance_mut(free);
            let (layout, room) = match is_addressable(dtype, shape) {
                true => {
                    let layout = Layout::row_major(base, dtype, shape);
                    let room = bytes(&layout);
                    (layout, room)
                }
                false => (Layout::new(base, dtype, shape, &vec![0; shape.len()]), dtype.size()),
            };
            free = free.wrapping_add((room | 1).next_multiple_of(1 << 12));
            layout
        };
        let mut memory = plan.memory(shapes)?;
        let buffers = plan.buffers.iter();
        let mut buffers: Vec<Layout> =
            buffers.map(|buffer| dense(buffer.dtype, &shapes[buffer.written.shape])).collect();
        let outputs = plan.written.iter().enumerate().map(|(output, written)| {
            let mut results = plan.steps[written.step].results.iter();
            let result = results.find(|result| result.place == Place::Output(output));
            dense(result.expect("the step writes it").dtype, &shapes[written.shape])
        });
        let outputs: Vec<Layout> = outputs.collect();
        let whole = |index: usize| &outputs[index];
        let seen = Seen::new(plan, shapes, std::iter::empty(), whole)?;
        let output = |index: usize| seen.of(index).unwrap_or(&outputs[index]);
        let arrays = Arrays { inputs: |index: usize| inputs[index], outputs: output };
        if plan.computes_parts(shapes) {
            place_parts(plan, &arrays, shapes, &mut buffers);
        }
        let counted = plan.numbers.iter();
        let counted: Vec<Layout> =
            counted.map(|of| numbers(of, shapes, dense(DType::I64, &[]).base)).collect();
        for (is_short, size) in [(false, 8), (true, 4)] {
            let longest = longest(plan, shapes, is_short);
            memory = memory.and(Memory::of_one(longest.saturating_mul(size)));
        }
        let place = |place: Place| match place {
            Place::Input(index) => inputs[index],
            Place::Output(index) => output(index),
            Place::Buffer(index) => &buffers[index],
            Place::Numbers(index) => &counted[index],
        };
        let (mut steps, mut most) = (Vec::new(), 0);
        let traffic = plan.traffic(shapes, &|input| &inputs[input].shape[..]);
        for ((index, step), own) in plan.steps.iter().enumerate().zip(traffic) {
            let mut copies = Vec::new();
            let mut lies = |access: &Access| {
                let chain = access.view.map_or(&[][..], |view| &plan.views[view].chain);
                strided::follow(place(access.place), chain, |layout| {
                    copies.push((*access, bytes(layout)));
                    Ok(dense(layout.dtype, &layout.shape))
                })
            };
            for check in plan.checks.iter().filter(|check| check.step == index) {
                check.of.iter().chain([&check.places]).try_for_each(|of| lies(of).map(drop))?;
            }
            let operands = step.args.iter().chain(&step.results).map(lies);
            let operands = operands.collect::<Result<Vec<Layout>, RunError>>()?;
            let operands: Vec<&Layout> = operands.iter().collect();
            // No call has arrays that cannot be addressed.
            let can_be =
                operands.iter().all(|operand| is_addressable(operand.dtype, &operand.shape));
            let kernel = step.kernel().filter(|_| can_be);
            let passes = kernel.and_then(|kernel| kernel.passes(&operands, threads));
            let copied = copies.iter().fold(0, |sum: usize, (_, bytes)| sum.saturating_add(*bytes));
            let mut seen = Foreseen { unfit: None, passes: 1, copies, traffic: own };
            let mut beside = copied;
            match (passes, kernel) {
                (Some((passes, unfit)), _) => {
                    let inner = passes.foresee(&operands, threads)?;
                    seen.unfit = Some(unfit);
                    seen.passes = inner.steps.iter().map(|step| step.passes).sum();
                    let all: Traffic = inner.steps.iter().map(|step| step.traffic).sum();
                    seen.traffic = Traffic { ops: own.ops, ..all };
                    memory = memory.and(inner.memory);
                }
                (None, Some(Compiled::Rows(kernel))) => {
                    let kept = kernel.kept(&operands, threads.unwrap_or_else(pool_size));
                    beside = beside.saturating_add(kept);
                }
                _ => {}
            }
            // A copy is read, written, and read by the step.
            seen.passes += seen.copies.len();
            seen.traffic.loaded = seen.traffic.loaded.saturating_add(copied);
            seen.traffic.stored = seen.traffic.stored.saturating_add(copied);
            most = beside.max(most);
            steps.push(seen);
        }
        Ok(Foresight { steps, memory: memory.and(Memory::of_one(most)) })
    }
}

/// Whether there can be such an array that repeats no element.
fn is_addressable(dtype: DType, shape: &[usize]) -> bool {
    let mut sizes = shape.iter().filter(|&&size| size != 0);
    let bytes = sizes.try_fold(dtype.size(), |bytes, &size| bytes.checked_mul(size));
    bytes.is_some_and(|bytes| bytes <= isize::MAX as usize)
}

/// Bytes of a copy.
fn bytes(of: &Layout) -> usize {
    of.shape.iter().fold(of.dtype.size(), |bytes, &size| bytes.saturating_mul(size))
}
