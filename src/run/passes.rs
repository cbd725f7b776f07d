//! A fused body pass by pass, for calls that its kernel cannot run as one.

use super::bound::Bound;
use super::compiled::Compiled;
use super::copy::copy;
use super::error::RunError;
use super::foresight::Foresight;
use super::overlap::overlap;
use super::steps::{Arrays, Runner};
use super::tensor::Tensor;
use super::view::{Layout, ViewMut};
use crate::plan::{Plan, Shapes};
use smallvec::SmallVec;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

/// Makes the plan of a body's passes.
type MakePlan = Box<dyn Fn() -> Plan<Compiled> + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// A body pass by pass, planned when first needed.
pub(crate) struct Passes {
    plan: OnceLock<Plan<Compiled>>,
    make: MakePlan,
    runner: Runner,
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passes").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Passes {
    /// `make` makes the plan of the body with each call apart. Its inputs are the body's parameters, and
    /// its outputs the body's.
    pub(crate) fn new(make: MakePlan) -> Passes {
        Passes { plan: OnceLock::new(), make, runner: Runner::default() }
    }

    /// Whether a call went this way.
    #[cfg(test)]
    pub(super) fn were_needed(&self) -> bool {
        self.plan.get().is_some()
    }

    /// What a call will find on operands that lie so, none of which overlap.
    pub(super) fn foresee(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
    ) -> Result<Foresight, RunError> {
        let plan = self.plan();
        let inputs = &operands[..plan.read.len()];
        Foresight::new(plan, inputs, &shapes(plan, inputs)?, threads)
    }

    fn plan(&self) -> &Plan<Compiled> {
        self.plan.get_or_init(|| (self.make)())
    }

    /// Runs on `operands`: what the body reads, then what it writes.
    ///
    /// # Safety
    ///
    /// Operands must have the types and shapes of the body. Inputs must be readable, and outputs
    /// writable; an output must overlap nothing, unless it is exactly an input.
    pub(super) unsafe fn run(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
        bound: &Bound,
    ) -> Result<(), RunError> {
        let plan = self.plan();
        let (inputs, outputs) = operands.split_at(plan.read.len());
        let shapes = shapes(plan, inputs)?;
        // One pass may write what a later one reads.
        let shares = |output: &Layout| inputs.iter().any(|input| overlap(output, input));
        let mut apart: Vec<Option<Tensor>> = outputs
            .iter()
            .map(|output| match shares(output) {
                true => Tensor::zeros(output.dtype, &output.shape).map(Some),
                false => Ok(None),
            })
            .collect::<Result<_, RunError>>()?;
        let layouts: SmallVec<[Layout; 2]> = outputs
            .iter()
            .zip(&mut apart)
            .map(|(output, apart)| match apart {
                Some(tensor) => tensor.view_mut().layout,
                None => (*output).clone(),
            })
            .collect();
        let arrays = Arrays {
            inputs: |index: usize| inputs[index],
            outputs: |index: usize| &layouts[index],
        };
        // SAFETY: required of the caller; what an output shared with an input is apart now.
        unsafe { self.runner.run(plan, &arrays, &shapes, threads, bound)? };
        for (tensor, output) in apart.iter().zip(outputs) {
            if let Some(tensor) = tensor {
                // SAFETY: the output is writable, and no input is read any more.
                let mut output = unsafe { ViewMut::of_layout((*output).clone()) };
                copy(&tensor.view(), &mut output);
            }
        }
        Ok(())
    }
}

/// The shapes of what passes compute of such inputs.
fn shapes(plan: &Plan<Compiled>, inputs: &[&Layout]) -> Result<Shapes, RunError> {
    let mut shapes = Shapes::new();
    plan.add_shapes(|input| &inputs[input].shape, &mut shapes)?;
    Ok(shapes)
}
