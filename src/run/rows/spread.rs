//! Operands that are the same for each run of rows, spread over several runs.
//!
//! Rows side by side are runs of as many as lie one after another in all operands. One that repeats, such as a bias of the
//! last axis beside a softmax along the first, ends a run where its own ends, and each run is a call of every stage.
//! Spread over some of them, a copy lies as the others do, and they are one run: log-softmax along the first axis of
//! (8, 600, 32), with a bias, takes 1.46 ns an element by runs of 32 on a Xeon 6, and .41 so; of (2, 4800, 16) 8.4 and .56.

use super::Program;
use super::grid::{Axis, Grid};
use crate::run::layout::OPERANDS;
use crate::run::pack::{self, Vector};
use smallvec::SmallVec;

/// Rows of a run that are enough.
const WIDE: usize = 1024;
/// The same where nothing is spread.
const ENOUGH: usize = 512;
/// Most bytes of what is spread.
const MOST: usize = 256 << 10;

/// What is spread.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    parts: SmallVec<[Part; 2]>,
    /// Runs that are one.
    runs: usize,
    /// Rows of each.
    rows: usize,
}

/// An operand that is.
#[derive(Clone, Debug)]
struct Part {
    operand: usize,
    size: usize,
    /// Bytes from row to row.
    step: isize,
    /// Axes along a row on which it differs: sizes, and bytes from one to the next.
    along: SmallVec<[(usize, isize); 2]>,
    /// Bytes of the copy.
    bytes: usize,
}

impl Spread {
    /// Makes runs longer, where operands that repeat from run to run are all that ends them.
    pub(super) fn of(program: Program<'_>, grid: &mut Grid) -> Option<Spread> {
        let [others @ .., outer, inner] = &grid.kept[..] else { return None };
        if inner.size >= ENOUGH || outer.size < 2 {
            return None;
        }
        let whole = inner.size as isize;
        let follows = |op: &usize| inner.steps[*op].checked_mul(whole) == Some(outer.steps[*op]);
        let ends: SmallVec<[usize; OPERANDS]> =
            (0..program.operands()).filter(|op| !follows(op)).collect();
        let repeats = |&op: &usize| {
            let is_same = |axis: &Axis| axis.steps[op] == 0;
            op < program.inputs && is_same(outer) && others.iter().all(is_same)
        };
        if ends.is_empty() || ends.len() == program.operands() || !ends.iter().all(repeats) {
            return None;
        }
        let along = |op: usize| -> SmallVec<[(usize, isize); 2]> {
            let axes = grid.reduced.iter().map(|axis| (axis.size, axis.steps[op]));
            axes.filter(|(_, step)| *step != 0).collect()
        };
        let of_run = |op: usize| {
            let elements =
                along(op).iter().fold(inner.size, |n, (size, _)| n.saturating_mul(*size));
            elements.saturating_mul(grid.sizes[op])
        };
        let most = MOST / ends.iter().map(|&op| of_run(op)).max()?.max(1);
        let divides = |runs: &usize| outer.size.is_multiple_of(*runs);
        let mut few = (2..=most.min(outer.size)).filter(divides);
        let enough = few.clone().find(|runs| runs * inner.size >= WIDE);
        let runs = enough.or_else(|| few.next_back())?;
        let part = |&operand: &usize| Part {
            operand,
            size: grid.sizes[operand],
            step: inner.steps[operand],
            along: along(operand),
            bytes: of_run(operand) * runs,
        };
        let parts: SmallVec<[Part; 2]> = ends.iter().map(part).collect();
        let spread = Spread { parts, runs, rows: inner.size };
        spread.lengthen(grid);
        Some(spread)
    }

    /// Makes runs of a grid as long as they are with the copies.
    fn lengthen(&self, grid: &mut Grid) {
        let inner = grid.kept.last_mut().expect("there are two");
        inner.size *= self.runs;
        for part in &self.parts {
            inner.steps[part.operand] = part.size as isize;
        }
        let at = grid.kept.len() - 2;
        let outer = &mut grid.kept[at];
        outer.size /= self.runs;
        outer.steps.iter_mut().for_each(|step| *step *= self.runs as isize);
        if outer.size == 1 {
            grid.kept.remove(at);
        }
        for part in &self.parts {
            let mut step = (self.runs * self.rows * part.size) as isize;
            for axis in grid.reduced.iter_mut().rev().filter(|axis| axis.steps[part.operand] != 0) {
                axis.steps[part.operand] = step;
                step *= axis.size as isize;
            }
        }
    }

    /// Spreads what operands have that begin at `bases`, which then begin in the copies. None if there is no memory.
    ///
    /// # Safety
    ///
    /// The operands must lie as they did when this was made, and be readable.
    pub(super) unsafe fn spread(&self, bases: &mut [*mut u8]) -> Option<Vec<Vec<Vector>>> {
        let copy = |part: &Part| {
            let mut room: Vec<Vector> = Vec::new();
            room.try_reserve_exact(part.bytes.div_ceil(size_of::<Vector>())).ok()?;
            let to: *mut u8 = room.as_mut_ptr().cast();
            let of_run = self.rows * part.size;
            let count: usize = part.along.iter().map(|(size, _)| size).product();
            for index in 0..count {
                let (mut rest, mut from) = (index, bases[part.operand].cast_const());
                for (size, step) in part.along.iter().rev() {
                    from = from.wrapping_offset((rest % size) as isize * step);
                    rest /= size;
                }
                let (to, sizes) =
                    (to.wrapping_add(index * self.runs * of_run), [self.runs, self.rows]);
                let (steps, own) = ([of_run as isize, part.size as isize], [0, part.step]);
                // SAFETY: required of the caller, and there is room for all runs.
                unsafe { pack::copy(part.size, to, steps, from.cast_mut(), own, sizes) };
            }
            Some(room)
        };
        let rooms: Vec<Vec<Vector>> = self.parts.iter().map(copy).collect::<Option<_>>()?;
        for (part, room) in self.parts.iter().zip(&rooms) {
            bases[part.operand] = room.as_ptr().cast_mut().cast();
        }
        Some(rooms)
    }
}
