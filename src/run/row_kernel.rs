//! Kernels over rows: fused bodies that have reductions.
//!
//! Where stages over rows can run a call, they do. Other calls go pass by pass, each reduction
//! apart, which gives the same bits: the order of a reduction does not depend on what computes it.

use super::bound::Bound;
use super::error::RunError;
use super::passes::Passes;
use super::rows::RowCode;
use super::unfit::Unfit;
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

    /// What runs a call on operands of such shapes and strides, if stages do not, and why they do not.
    pub(super) fn passes(&self, operands: &[&Layout]) -> Option<(&Passes, Unfit)> {
        let unfit = match &self.stages {
            Some(stages) if stages.can_run(operands) => return None,
            Some(stages) if stages.fits(operands) => Unfit::Apart,
            Some(_) => Unfit::Operands,
            None => Unfit::NoCode,
        };
        Some((&self.passes, unfit))
    }

    /// Bytes of the elements that such a call keeps of whole rows.
    pub(super) fn kept(&self, operands: &[&Layout], threads: usize) -> usize {
        self.stages.as_ref().map_or(0, |stages| stages.kept(operands, threads))
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
        unsafe { self.passes.run(operands, threads, Bound::NONE) }
    }
}
