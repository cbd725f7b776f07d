//! Scans between the stages of rows.
//!
//! A tile of whole rows is scanned where it lies, in a worker's memory or where results are. Rows that are cut are scanned
//! part by part: what a part begins with is what the one before it left, so each waits for its turn. What is computed
//! before and after a scan does not, so threads that have parts of the same rows do that side by side.

use super::Stage;
use super::job::{Tile, Worker};
use super::long::end_of_pass;
use super::setup::{Access, Setup};
use super::{LINE, Program};
use crate::run::interrupt::goes_on;
use crate::run::scan::{LANES, NEIGHBOURS, State, Strip};
use kiln_reduce::BLOCK;
use smallvec::SmallVec;
use std::cell::UnsafeCell;
use std::hint;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Bytes of all elements of a part: half of an L2 that is small.
const PART: usize = 256 << 10;

/// Most bytes of an element of rows side by side: a page, which is read in order.
const PAGE: usize = 4 << 10;

/// How often a thread looks whether it is its turn before it lets others run.
const LOOKS: usize = 1 << 10;

impl Setup {
    /// Rows of a part of rows that are cut and scanned, by so many threads; and elements of each, if nothing is folded
    /// along with them.
    pub(super) fn part_of_scans(&self, program: Program<'_>, threads: usize) -> [usize; 2] {
        let (run, runs) = self.grid.runs();
        // Each thread should have some.
        let share = runs.saturating_mul(run) / threads;
        let is_element = |&slot: &usize| {
            self.home[slot] == slot && !matches!(self.access[slot], Access::Row | Access::Splat)
        };
        let sizes = (0..program.slots.len()).filter(is_element).map(|slot| self.sizes[slot]);
        let bytes = sizes.sum::<usize>().max(1);
        let largest = self.sizes.iter().copied().max().unwrap_or(1);
        let rows = match self.side_by_side {
            // Folds have blocks, however wide they are.
            true if folds_with_scans(program.stages) => {
                (2 * PART / bytes / BLOCK).clamp(LINE, PAGE / largest)
            }
            true => (PAGE / largest).min(share.next_multiple_of(LINE).max(LINE)),
            false => LANES.min(share.max(1)),
        };
        let rows = rows.min(run).max(1);
        [rows, (PART / bytes / rows).next_multiple_of(LINE)]
    }
}

/// Whether folds go over the elements of rows together with scans.
fn folds_with_scans(stages: &[Stage]) -> bool {
    let mut at = 0;
    while at < stages.len() {
        let end = end_of_pass(stages, at).max(at + 1);
        let is_fold = |stage: &Stage| matches!(stage, Stage::Fold { .. });
        let is_scan = |stage: &Stage| matches!(stage, Stage::Scan { .. });
        if stages[at..end].iter().any(is_fold) && stages[at..end].iter().any(is_scan) {
            return true;
        }
        at = end;
    }
    false
}

impl Worker<'_> {
    /// Scans the elements of a tile, the current one, of whose rows these are the states; without them, whole rows.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run); states must be those that the scan of the elements before it left.
    pub(super) unsafe fn scan(&self, stage: usize, tile: Tile, mut states: Option<&mut [State]>) {
        let (program, setup) = (self.job.program, self.job.setup);
        let Stage::Scan { from, to, .. } = program.stages[stage] else { return };
        if tile.len == 0 {
            return;
        }
        let size = setup.sizes[from] as isize;
        let (bases, far) = (
            [from, to].map(|slot| self.place(slot)),
            [from, to].map(|slot| setup.step(program, slot)),
        );
        // Rows that are neighbours, and how far from them the next ones are.
        let (beside, nearby, steps) = match () {
            _ if setup.beside > 1 => (setup.beside, [size; 2], [size * setup.beside as isize; 2]),
            _ if setup.side_by_side => (NEIGHBOURS, [size; 2], far),
            _ => (NEIGHBOURS, far, [size; 2]),
        };
        let between = if setup.side_by_side { [size; 2] } else { far };
        let mut first = 0;
        while first < tile.rows {
            let rows = beside.min(tile.rows - first);
            let bases = [0, 1].map(|of| bases[of].wrapping_offset(first as isize * between[of]));
            let strip = Strip { bases, rows, len: tile.len, nearby, steps };
            // SAFETY: required of the caller.
            unsafe {
                match &mut states {
                    Some(states) => {
                        setup.scanner(stage).go_on(&strip, &mut states[first..first + rows]);
                    }
                    None => setup.scanner(stage).whole(&strip),
                }
            }
            first += rows;
        }
    }
}

/// Whose turn it is to scan, for each scan of a pass over parts of rows.
pub(super) struct Turns {
    scans: SmallVec<[Turn; 1]>,
    /// Whether a thread ended before its part was done.
    is_broken: AtomicBool,
}

struct Turn {
    stage: usize,
    /// The part whose turn it is.
    part: AtomicUsize,
    /// What rows have come to. The thread whose turn it is has them.
    states: UnsafeCell<Vec<State>>,
}

// SAFETY: states are used by the thread whose turn it is, and it passes on the turn after that.
unsafe impl Sync for Turn {}

/// A part that a thread works on. Others do not wait for it any more if it is dropped before it is done.
pub(super) struct Part<'a>(&'a AtomicBool);

impl Part<'_> {
    pub(super) fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Turns {
    /// For the scans among some stages, of so many rows.
    pub(super) fn new(setup: &Setup, stages: Range<usize>, rows: usize) -> Turns {
        let scans = stages.filter(|&stage| setup.scanners.get(stage).is_some_and(Option::is_some));
        let turn = |stage| {
            let mut states = vec![State::NONE; rows];
            setup.scanner(stage).start(&mut states);
            Turn { stage, part: AtomicUsize::new(0), states: UnsafeCell::new(states) }
        };
        Turns { scans: scans.map(turn).collect(), is_broken: AtomicBool::new(false) }
    }

    /// Begins a part.
    pub(super) fn begin(&self) -> Part<'_> {
        Part(&self.is_broken)
    }

    /// Whether there are no scans.
    pub(super) fn are_none(&self) -> bool {
        self.scans.is_empty()
    }

    /// Scans a part once those before it were, unless the work is over before.
    pub(super) fn take(&self, stage: usize, part: usize, scan: impl FnOnce(&mut [State])) {
        let turn = self.scans.iter().find(|turn| turn.stage == stage);
        let turn = turn.expect("the stage is a scan of the pass");
        let mut looks = 0;
        while turn.part.load(Ordering::Acquire) != part {
            // A part before this one may never be done then.
            if self.is_broken.load(Ordering::Relaxed) || !goes_on() {
                return;
            }
            looks += 1;
            match looks % LOOKS {
                0 => thread::yield_now(),
                _ => hint::spin_loop(),
            }
        }
        // SAFETY: it is this part's turn, so no other thread has them, and what others did before is seen.
        scan(unsafe { &mut *turn.states.get() });
        turn.part.store(part + 1, Ordering::Release);
    }
}
