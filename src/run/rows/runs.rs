//! Reductions of short runs of rows side by side, many runs at a time.

use super::job::Job;
use super::setup::{Access, Setup};
use super::{PORTION, PORTIONS, Program};
use crate::lower::rows::Stage;
use crate::run::interrupt::goes_on;
use crate::run::queue::{Queue, Shared};
use crate::run::reduce::Runs;
use crate::run::team::share;
use std::ops::Range;

/// Elements of a run, more than which are worth what begins a tile: [`reduce::runs`](crate::run::reduce) has the
/// measurements.
const WORTH_A_TILE: usize = 8 << 10;

impl Setup {
    /// Whether nothing is done but to reduce short runs of rows to results where they lie.
    pub(super) fn is_of_runs(&self, program: Program<'_>) -> bool {
        let (run, runs) = self.grid.runs();
        let is_one_fold = matches!(program.stages, [Stage::Fold { from: 0, to: 1, .. }]);
        is_one_fold
            && self.only_folds_where_elements_lie(program)
            && self.access[1] == Access::Direct
            && self.grid.kept.len() == 2
            && runs > 1
            && (1..=self.folder(0).longest_of_runs).contains(&self.grid.len)
            && run.saturating_mul(self.grid.len) <= WORTH_A_TILE
    }
}

impl Job<'_> {
    /// Reduces short runs, by so many threads.
    ///
    /// # Safety
    ///
    /// As for [`RowCode::run`](super::RowCode::run); the setup must be [of runs](Setup::is_of_runs).
    pub(super) unsafe fn execute_runs(self, threads: usize) {
        let grid = &self.setup.grid;
        let (rows, runs) = grid.runs();
        let steps = &grid.kept[0].steps;
        let all = Runs {
            base: self.bases[0],
            runs,
            rows,
            len: grid.len,
            step: grid.element_step(0).unwrap_or(0),
            next: steps[0],
            results: self.bases[1],
            next_results: steps[1],
        };
        let folder = *self.setup.folder(0);
        let shared = Shared(move |runs: Range<usize>| {
            let before = |step: isize| runs.start as isize * step;
            let base = all.base.wrapping_offset(before(all.next));
            let results = all.results.wrapping_offset(before(all.next_results));
            // SAFETY: required of the caller; nobody else has these runs.
            unsafe { folder.fold_runs(&Runs { base, results, runs: runs.len(), ..all }) };
        });
        let portion = (PORTION / (rows * grid.len * grid.sizes[0])).max(1);
        let portions = runs.div_ceil(portion);
        let queue = Queue::new(portions, portions.div_ceil(threads * PORTIONS));
        let work = || {
            let portions = std::iter::from_fn(|| queue.take()).flatten().take_while(|_| goes_on());
            portions.for_each(|at| shared.get()(at * portion..runs.min((at + 1) * portion)));
        };
        match threads < 2 || portions < 2 {
            true => work(),
            false => share(threads, &work),
        }
    }
}
