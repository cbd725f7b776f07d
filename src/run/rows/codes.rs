//! Which code runs a stage, by how rows lie, and what it leaves to others.

use super::deferred::Deferred;
use super::setup::Setup;
use super::strips;
use super::{Map, Program, Stage};
use crate::lower::rows::{Apart, Beside};
use kiln_jit::emit::Code;
use kiln_jit::vir::Routine;

impl Setup {
    /// How many of the stages after one are folds that its code does.
    pub(super) fn folds_of(&self, map: &Map) -> usize {
        let beside = || self.beside(map).map(|(_, beside)| beside.folds.len());
        self.apart(map).map(|apart| apart.folds).or_else(beside).unwrap_or(0)
    }

    /// The code of a stage, what it loads and what it stores.
    pub(super) fn code_of<'m>(&self, map: &'m Map) -> (&'m Code, &'m [usize], &'m [usize]) {
        if let Some((code, beside)) = self.beside(map) {
            return (code, &beside.inputs, &beside.outputs);
        }
        match self.apart(map) {
            Some(apart) => (&apart.kernel, &apart.inputs, &apart.outputs),
            None => (&map.kernel, &map.inputs, &map.outputs),
        }
    }

    /// What runs a stage on [strips](super::strips) of rows side by side, if that is not what runs it on any.
    pub(super) fn beside<'m>(
        &self,
        map: &'m Map,
    ) -> Option<(&'m Code, &'m Beside<Deferred<Routine>>)> {
        let beside = map.beside.as_ref().filter(|_| self.side_by_side && self.group.is_none())?;
        let code = beside.kernel.code().filter(|code| code.takes_any_count())?;
        let is_long = self.grid.len >= strips::shortest(code, &beside.folds);
        (is_long && self.grid.runs().0 >= code.copies()).then_some((code, beside))
    }

    /// What runs a stage on rows that lie apart, if that is not what runs it on any.
    fn apart<'m>(&self, map: &'m Map) -> Option<&'m Apart<Code>> {
        let apart = map.apart.as_ref().filter(|_| !self.side_by_side && !self.is_flat);
        apart.filter(|apart| apart.kernel.takes_any_count())
    }

    /// Whether a stage reads a slot or writes it. What code adds up itself it does not store for a fold.
    pub(super) fn is_used(&self, program: Program<'_>, slot: usize) -> bool {
        let mut folded = 0;
        program.stages.iter().any(|stage| {
            if let Stage::Each(map) = stage
                && let Some((_, beside)) = self.beside(map)
            {
                folded = beside.folds.len();
                return beside.inputs.contains(&slot) || beside.outputs.contains(&slot);
            }
            if matches!(stage, Stage::Fold { .. }) && folded > 0 {
                folded -= 1;
                return false;
            }
            let (reads, writes) = Program::reads_and_writes(stage);
            reads.contains(&slot) || writes.contains(&slot)
        })
    }
}
