//! Row kernels: stages over rows, group by group.

use super::view::Layout;
use crate::lower::rows::{RowProgram, Stage};
use kiln_jit::emit::Code;
use kiln_jit::vir::Routine;

/// Nanoseconds for an element of a fold in cache.
const FOLD: f64 = 0.03;

/// A compiled row kernel.
#[derive(Debug)]
pub(crate) struct RowCode {
    program: RowProgram<Code>,
}

impl RowCode {
    /// Compiles each stage.
    pub(crate) fn compile<E>(
        program: RowProgram,
        mut compile: impl FnMut(&Routine) -> Result<Code, E>,
    ) -> Result<RowCode, E> {
        Ok(RowCode { program: program.try_map(|routine| compile(&routine))? })
    }

    /// The code of each stage that has some.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &Code> {
        self.program.stages.iter().filter_map(|stage| match stage {
            Stage::Each(map) | Stage::Once(map) => Some(&map.kernel),
            Stage::Fold { .. } | Stage::Count { .. } => None,
        })
    }

    /// The estimated nanoseconds per element on one thread where memory is no limit.
    pub(crate) fn nanoseconds(&self) -> f64 {
        let cost = |stage: &Stage<Code>| match stage {
            Stage::Each(map) => map.kernel.nanoseconds(),
            Stage::Fold { .. } => FOLD,
            Stage::Once(_) | Stage::Count { .. } => 0.0,
        };
        self.program.stages.iter().map(cost).sum()
    }

    /// Runs on `operands`, the inputs and then the outputs. Returns whether it can; if not, nothing is
    /// written.
    ///
    /// # Safety
    ///
    /// The operands must have the types of the program's body, outputs the shapes that follow of the
    /// inputs'. Inputs must be readable. Outputs must be writable and overlap nothing, except that one may
    /// be exactly an input.
    pub(super) unsafe fn run(&self, operands: &[&Layout], threads: Option<usize>) -> bool {
        let _ = (operands, threads);
        false
    }
}
