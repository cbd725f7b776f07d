//! Kernels over rows: fused bodies that have reductions.
//!
//! Where stages over rows can run a call, they do. Other calls go pass by pass, each reduction
//! apart, which gives the same bits: the order of a reduction does not depend on what computes it.

<<<<<<< HEAD
=======
use super::bound::Bound;
use super::compiled::Compiled;
use super::copy::copy;
>>>>>>> main
use super::error::RunError;
use super::passes::Passes;
use super::rows::RowCode;
use super::view::Layout;
use kiln_jit::emit::Code;

/// What runs a fused body that has reductions.
#[derive(Debug)]
pub(crate) struct RowKernel {
    /// What runs most calls, if the body has stages.
    stages: Option<RowCode>,
    passes: Passes,
}

impl RowKernel {
    /// `stages` run what they can, and `passes` everything else.
    pub(crate) fn new(stages: Option<RowCode>, passes: Passes) -> RowKernel {
        RowKernel { stages, passes }
    }

    /// The code of its stages.
    pub(super) fn codes(&self) -> Box<dyn Iterator<Item = &Code> + '_> {
        Box::new(self.stages.iter().flat_map(RowCode::codes))
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
    ) -> Result<(), RunError> {
        if let Some(stages) = &self.stages {
            // SAFETY: required of the caller.
            if unsafe { stages.run(operands, threads) } {
                return Ok(());
            }
        }
        // SAFETY: required of the caller; nothing was written.
        unsafe { self.passes.run(operands, threads) }
    }
}
<<<<<<< HEAD
=======

impl Passes {
    /// # Safety
    ///
    /// As for [`RowKernel::run`].
    unsafe fn run(&self, operands: &[&Layout], threads: Option<usize>) -> Result<(), RunError> {
        let plan = self.plan.get_or_init(|| (self.make)());
        let (inputs, outputs) = operands.split_at(plan.read.len());
        let mut shapes = Shapes::new();
        plan.add_shapes(|input| &inputs[input].shape, &mut shapes)?;
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
        unsafe { self.runner.run(plan, &arrays, &shapes, threads, Bound::NONE)? };
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
>>>>>>> main
