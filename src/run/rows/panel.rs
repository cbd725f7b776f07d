//! Stages on rows that something else has just computed, some at a time: a panel.

use super::RowCode;
use super::job::Job;
use super::setup::Setup;
use crate::lower::rows::Per;
use crate::run::view::Layout;

/// What stages need to know of panels of so many rows whose operands lie so.
pub(in crate::run) struct PanelSetup(Setup);

impl RowCode {
    /// How many results there are.
    pub(in crate::run) fn outputs(&self) -> usize {
        self.program.outputs
    }

    /// Estimated nanoseconds for an element.
    pub(in crate::run) fn nanoseconds(&self) -> f64 {
        self.cost
    }

    /// Whether stages can run on rows along the last axis of arrays of this shape, for these operands.
    pub(in crate::run) fn folds_rows_of(&self, shape: &[usize], operands: &[&Layout]) -> bool {
        let Some((domain, is_reduced)) = self.domain(operands) else { return false };
        let is_last =
            is_reduced.split_last().is_some_and(|(last, others)| *last && !others.contains(&true));
        is_last && domain[..] == *shape
    }

    /// Whether an operand has one number for each row.
    pub(in crate::run) fn is_of_rows(&self, operand: usize) -> bool {
        self.program.slots[operand].per == Per::Row
    }

    /// What panels of rows by elements need. Operands have that shape, or a single column where they have
    /// one number for each row.
    pub(in crate::run) fn panel(&self, shape: [usize; 2], operands: &[&Layout]) -> PanelSetup {
        PanelSetup(Setup::new(self.program(), &shape, &[false, true], operands))
    }

    /// Runs all stages on a panel, on this thread.
    ///
    /// # Safety
    ///
    /// The operands must lie as `setup` says, from these bases on. Inputs must be readable. Outputs must be
    /// writable and overlap nothing, except that one may be exactly an input.
    pub(in crate::run) unsafe fn run_on_panel(&self, setup: &PanelSetup, bases: &[*mut u8]) {
        let (program, setup) = (self.program(), &setup.0);
        // SAFETY: required of the caller.
        unsafe { Job { program, setup, bases, shared: &[] }.execute_tiles(1) };
    }
}
