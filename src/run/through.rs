//! Outputs that are views of what steps give, as the steps see them.

use super::copy::copy_layout;
use super::error::RunError;
use super::overlap::overlap;
use super::strided;
use super::tensor::Tensor;
use super::view::Layout;
use crate::plan::{Dims, Plan, Through};
use smallvec::SmallVec;

/// Where steps write such outputs.
#[derive(Default)]
pub(super) struct Seen {
    outputs: SmallVec<[(usize, Layout); 2]>,
    /// Outputs that are copied at last, and what from.
    copies: SmallVec<[(usize, Tensor); 1]>,
}

impl Seen {
    /// For a call on these arrays, whose steps have these shapes. What cannot be written where an output has it, or
    /// where an input lies, which a step may read in another order, is copied at last.
    pub(super) fn new<'a, K>(
        plan: &Plan<K>,
        shapes: &[Dims],
        inputs: impl Iterator<Item = &'a Layout> + Clone,
        output: impl Fn(usize) -> &'a Layout,
    ) -> Result<Seen, RunError> {
        let mut seen = Seen::default();
        for Through { output: index, chain, shape } in &plan.through {
            let layout = output(*index);
            let is_input = inputs.clone().any(|input| overlap(layout, input));
            let there = match is_input {
                true => None,
                false => strided::undone(layout, chain, &shapes[*shape]),
            };
            let there = match there {
                Some(there) => there,
                None => {
                    let mut copy = Tensor::zeros(layout.dtype, &shapes[*shape])?;
                    let there = copy.view_mut().layout;
                    seen.copies.push((*index, copy));
                    there
                }
            };
            seen.outputs.push((*index, there));
        }
        Ok(seen)
    }

    /// Where steps write an output; `None` where that is the output as it is.
    #[inline(always)]
    pub(super) fn of(&self, output: usize) -> Option<&Layout> {
        self.outputs.iter().find(|(index, _)| *index == output).map(|(_, layout)| layout)
    }

    /// Copies what was not written where it belongs.
    ///
    /// # Safety
    ///
    /// The steps must have run; the outputs must be writable.
    pub(super) unsafe fn finish<'a, K>(
        &self,
        plan: &Plan<K>,
        output: impl Fn(usize) -> &'a Layout,
        threads: Option<usize>,
    ) -> Result<(), RunError> {
        for (index, _) in &self.copies {
            let (to, from) = (output(*index), self.of(*index).expect("it is seen"));
            let through = plan.through.iter().find(|through| through.output == *index);
            let chain = &through.expect("it is one of the plan's").chain;
            let mut copies = SmallVec::new();
            // SAFETY: the copy is readable, and apart from all outputs.
            unsafe { copy_layout(&strided::viewed(from, chain, &mut copies)?, to, threads) };
        }
        Ok(())
    }
}
