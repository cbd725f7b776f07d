//! A reduction by itself: a row kernel of one stage, which calls no code.

use super::Stage;
use super::{RowCode, Sweeps, nanoseconds};
use crate::lower::rows::{Operand, Per, RowProgram, Slot};
use crate::run::error::RunError;
use crate::run::view::Layout;
use kiln_ir::{DType, Reduce};
use kiln_jit::cpu::second_level_cache;
use std::sync::Mutex;

/// What runs a reduction.
#[derive(Debug)]
pub(crate) struct Reduction(pub(super) RowCode);

impl Reduction {
    /// Of elements of the first type, to results of the other.
    pub(in crate::run) fn new(reduce: Reduce, [elements, result]: [DType; 2]) -> Reduction {
        let reads = reduce.by.reads();
        let slots = [(elements, Per::Element, reads), (result, Per::Row, false)];
        let slots = slots.map(|(dtype, per, is_folded)| Slot {
            dtype,
            per,
            shares: None,
            reads: usize::from(is_folded),
            is_folded,
        });
        let stage = match reads {
            true => Stage::Fold { by: reduce.by, from: 0, to: 1 },
            false => Stage::Count { to: 1 },
        };
        let stages = vec![stage];
        let cost = nanoseconds(&stages);
        let program = RowProgram {
            axes: reduce.axes,
            slots: slots.to_vec(),
            inputs: 1,
            outputs: 1,
            stages,
            operands: vec![Operand { inputs: vec![0], has_reductions: false }],
            sweep: None,
        };
        let (near, last) = (second_level_cache() / 2, Mutex::new(None));
        Reduction(RowCode { program, sweep: None, sweeps: Sweeps::Never, near, cost, last })
    }

    /// Reduces the first operand to the other, on at most `threads` threads. Fails where there is no memory for the
    /// blocks of rows, of which a view that repeats elements may have more than any memory holds.
    ///
    /// # Safety
    ///
    /// The operands must have the types and shapes of the reduction. The first must be readable, and
    /// the other writable and used by nothing else.
    pub(in crate::run) unsafe fn run(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
    ) -> Result<(), RunError> {
        // SAFETY: required of the caller.
        if unsafe { self.0.run(operands, threads) } {
            return Ok(());
        }
        // It keeps no elements, so it can, if there is room for what blocks become.
        let known = self.0.known(operands);
        let room = known.setup.iter().flat_map(|setup| setup.room.iter().copied());
        Err(RunError::OutOfMemory { bytes: room.fold(0, usize::saturating_add), array: None })
    }
}
