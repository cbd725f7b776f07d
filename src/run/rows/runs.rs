//! Reductions of short rows side by side, from elements to results: runs of a few of them, many runs at a time, and
//! however many rows of a few elements.

use super::Stage;
use super::job::Job;
use super::setup::{Access, Setup};
use super::{PORTION, PORTIONS, Program};
use crate::run::interrupt::goes_on;
use crate::run::queue::{Queue, Shared};
use crate::run::team::share;
use kiln_reduce::Runs;

/// Elements of a run, more than which are worth what begins a tile: `kiln_reduce` has the
/// measurements.
const WORTH_A_TILE: usize = 8 << 10;

/// Elements of a row, more than which are worth a tile.
const FEW: usize = 8;

/// Rows of a part of a run begin where lines of memory do, if the first one does.
const STEP: usize = 64;

impl Setup {
    /// Whether nothing is done but to reduce short runs of rows to results where they lie.
    pub(super) fn is_of_runs(&self, program: Program<'_>) -> bool {
        let (run, runs) = self.grid.runs();
        let is_one_fold = matches!(program.stages, [Stage::Fold { from: 0, to: 1, .. }]);
        is_one_fold
            && self.only_folds_where_elements_lie(program)
            && self.access[1] == Access::Direct
            && (1..=2).contains(&self.grid.kept.len())
            && self.grid.reduced.len() == 1
            && (1..=self.folder(0).longest_of_runs).contains(&self.grid.len)
            && match self.grid.len {
                // Results are a good part of what is moved.
                ..=FEW => true,
                len => runs > 1 && run.saturating_mul(len) <= WORTH_A_TILE,
            }
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
        let (base, results) = (self.bases[0], self.bases[1]);
        // There is no next run where there is one.
        let next = |operand: usize| match &grid.kept[..] {
            [runs, _] => runs.steps[operand],
            _ => 0,
        };
        let all = Runs {
            base,
            runs,
            rows,
            len: grid.len,
            step: grid.element_step(0).unwrap_or(0),
            next: next(0),
            are_near: self.setup.is_near(0),
            results,
            next_results: next(1),
        };
        let folder = *self.setup.folder(0);
        let [size, result] = [0, 1].map(|operand| grid.sizes[operand]);
        // Parts are some runs, or some rows of one.
        let most = (PORTION / (grid.len * size)).max(1);
        let rows_of_part = if rows <= most { rows } else { most.next_multiple_of(STEP).min(rows) };
        let (runs_of_part, parts_of_run) = ((most / rows).max(1), rows.div_ceil(rows_of_part));
        let shared = Shared(move |part: usize| {
            let run = part / parts_of_run * runs_of_part;
            let row = part % parts_of_run * rows_of_part;
            let place = |base: *mut u8, next: isize, size: usize| {
                base.wrapping_offset(run as isize * next).wrapping_add(row * size)
            };
            let base = place(base, all.next, size);
            let results = place(results, all.next_results, result);
            let runs = runs_of_part.min(runs - run);
            let rows = rows_of_part.min(rows - row);
            // SAFETY: required of the caller; nobody else has these rows.
            unsafe { folder.fold_runs(&Runs { base, results, runs, rows, ..all }) };
        });
        let parts = runs.div_ceil(runs_of_part) * parts_of_run;
        let queue = Queue::new(parts, parts.div_ceil(threads * PORTIONS));
        let work = || {
            let parts = std::iter::from_fn(|| queue.take()).flatten().take_while(|_| goes_on());
            parts.for_each(|part| shared.get()(part));
        };
        match threads < 2 || parts < 2 {
            true => work(),
            false => share(threads, &work),
        }
    }
}
