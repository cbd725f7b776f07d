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
use super::view::Layout;
use crate::plan::{Access, Dims, Memory, Place, Plan};
use kiln_ir::DType;

/// Of a call whose outputs are dense, and apart from all else.
pub(super) struct Foresight {
    /// For each step, whether it is one pass: each but a fused body that cannot run so.
    pub(super) are_one_pass: Vec<bool>,
    pub(super) memory: Memory,
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
        let mut pages = 1usize..;
        let mut dense = |dtype: DType, shape: &[usize]| {
            let page = pages.next().expect("there are more than arrays");
            let base = std::ptr::without_provenance_mut(page << 12);
            match is_addressable(dtype, shape) {
                true => Layout::row_major(base, dtype, shape),
                false => Layout::new(base, dtype, shape, &vec![0; shape.len()]),
            }
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
        let (mut are_one_pass, mut most) = (Vec::new(), 0);
        for (index, step) in plan.steps.iter().enumerate() {
            let mut copies = 0usize;
            let mut lies = |access: &Access| {
                let chain = access.view.map_or(&[][..], |view| &plan.views[view].chain);
                strided::follow(place(access.place), chain, |layout| {
                    copies = copies.saturating_add(bytes(layout));
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
            let passes = kernel.and_then(|kernel| kernel.passes(&operands));
            are_one_pass.push(passes.is_none());
            match (passes, kernel) {
                (Some(passes), _) => memory = memory.and(passes.memory(&operands, threads)?),
                (None, Some(Compiled::Rows(kernel))) => {
                    let kept = kernel.kept(&operands, threads.unwrap_or_else(pool_size));
                    copies = copies.saturating_add(kept);
                }
                _ => {}
            }
            most = copies.max(most);
        }
        Ok(Foresight { are_one_pass, memory: memory.and(Memory::of_one(most)) })
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
