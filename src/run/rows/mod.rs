//! Row kernels: stages over rows, tile by tile.
//!
//! A tile is some rows whose elements stay in a cache: every stage runs on all of it before the next
//! one does. Threads take tiles. Rows that are too long, or too few for the threads, are cut instead, and
//! every stage runs on all of a row first ([`long`]). A reduction by itself is a row kernel of one
//! stage. What is computed does not depend on any of this.

mod grid;
mod job;
mod long;
mod stage;

use super::call::Pads;
use super::exec::{PER_BYTE, stream_above, threads_for};
use super::layout::{OPERANDS, broadcasts_to};
use super::pack::Vector;
use super::queue::{Queue, Shared};
use super::reduce::BLOCK;
use super::team::{self, share};
use super::view::Layout;
use crate::lower::rows::{Operand, Per, RowProgram, Slot, Stage};
use grid::Grid;
use job::{Access, Job, Program, Tile, Worker};
use kiln_ir::{Dims, Reduce, Reduction, broadcast};
use kiln_jit::emit::Code;
use kiln_jit::vir::Routine;
use smallvec::SmallVec;

/// Nanoseconds for an element of a fold in cache.
const FOLD: f64 = 0.02;
/// Bytes of a tile.
const TILE: usize = 160 << 10;
/// The same where nothing but folds is done, and nothing is read twice.
const FOLD_TILE: usize = 64 << 10;
/// Bytes of a tile of rows side by side.
const SIDE_BY_SIDE: usize = 512 << 10;
/// Bytes from element to element from which on those of rows side by side are packed.
const SCATTERED: usize = 1 << 10;
/// Rows up to this length lie side by side even where that takes a transposition.
const SHORT: usize = 16;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Most bytes from element to element of rows side by side: a page.
const WIDE: usize = 4 << 10;
/// Bytes that a worker's tile may take.
const ROOM: usize = 1 << 20;
/// Portions of work for each thread.
const PORTIONS: usize = 8;

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

    /// Runs on `operands`, the inputs and then the outputs. Returns whether it can; if not, nothing is
    /// written.
    ///
    /// # Safety
    ///
    /// The operands must have the types of the program's body, outputs the shapes that follow of the
    /// inputs'. Inputs must be readable. Outputs must be writable and overlap nothing, except that one may
    /// be exactly an input.
    pub(in crate::run) unsafe fn run(&self, operands: &[&Layout], threads: Option<usize>) -> bool {
        let RowProgram { axes, slots, inputs, outputs, stages, operands: reduced } = &self.program;
        let (inputs, outputs) = (*inputs, *outputs);
        let Some(domain) = domain(reduced, operands) else { return false };
        let Ok(is_reduced) = axes.of_rank(domain.len()) else { return false };
        let row: Dims<usize> = match axes.are_all() {
            true => Dims::new(),
            false => {
                let size = |(&size, &reduced): (&usize, &bool)| if reduced { 1 } else { size };
                domain.iter().zip(&is_reduced).map(size).collect()
            }
        };
        // Operands of other reductions, and results, are as large as the first one's operand.
        let fits = |(operand, slot): (&&Layout, &Slot)| match slot.per {
            Per::Element => operand.shape == domain,
            Per::Row => operand.shape == row,
        };
        let broadcasts = |(operand, slot): (&&Layout, &Slot)| match slot.per {
            Per::Element => broadcasts_to(&operand.shape, &domain),
            Per::Row => broadcasts_to(&operand.shape, &row),
        };
        let covers = |operand: &Operand| {
            let inputs = || operand.inputs.iter().map(|&input| &operands[input].shape);
            inputs().any(|shape| *shape == domain) || {
                let mut shapes: SmallVec<[&[usize]; OPERANDS]> = SmallVec::new();
                inputs().for_each(|shape| shapes.push(shape));
                if operand.has_reductions {
                    shapes.push(&row);
                }
                broadcast(&shapes).is_ok_and(|shape| shape == domain)
            }
        };
        if !operands[..inputs].iter().zip(slots).all(broadcasts)
            || !operands[inputs..].iter().zip(&slots[inputs..]).all(fits)
            || !reduced.iter().all(covers)
        {
            return false;
        }
        let program = Program { slots, inputs, outputs, stages };
        // SAFETY: required of the caller.
        unsafe { execute(program, &domain, &is_reduced, operands, threads) }
    }
}

/// The shape that rows are cut from: that of the first reduction's operand.
fn domain(reduced: &[Operand], operands: &[&Layout]) -> Option<Dims<usize>> {
    let first = reduced.iter().find(|operand| !operand.has_reductions)?;
    let mut shapes = first.inputs.iter().map(|&input| &operands[input].shape);
    let one = shapes.next()?;
    if shapes.clone().all(|shape| broadcasts_to(shape, one)) {
        return Some(one.clone());
    }
    let shapes: SmallVec<[&[usize]; OPERANDS]> =
        first.inputs.iter().map(|&input| &operands[input].shape[..]).collect();
    broadcast(&shapes).ok()
}

/// The estimated nanoseconds per element on one thread where memory is no limit.
fn nanoseconds(stages: &[Stage<Code>]) -> f64 {
    let cost = |stage: &Stage<Code>| match stage {
        Stage::Each(map) => map.kernel.nanoseconds(),
        Stage::Fold { .. } => FOLD,
        Stage::Once(_) | Stage::Count { .. } => 0.0,
    };
    stages.iter().map(cost).sum()
}

/// Reduces `input` to `output`, on at most `threads` threads.
///
/// # Safety
///
/// The operands must have the types and shapes of such a reduction. `input` must be readable, and
/// `output` writable and used by nothing else.
pub(super) unsafe fn reduce(
    reduce: Reduce,
    input: &Layout,
    output: &Layout,
    threads: Option<usize>,
) {
    let reads = reduce.by.reads();
    let slots = [(input.dtype, Per::Element, reads), (output.dtype, Per::Row, false)].map(
        |(dtype, per, is_folded)| Slot {
            dtype,
            per,
            shares: None,
            reads: usize::from(is_folded),
            is_folded,
        },
    );
    let stage = match reads {
        true => Stage::Fold { by: reduce.by, from: 0, to: 1 },
        false => Stage::Count { to: 1 },
    };
    let program = Program { slots: &slots, inputs: 1, outputs: 1, stages: &[stage] };
    let is_reduced = reduce.axes.of_rank(input.shape.len()).expect("the shape was inferred");
    // SAFETY: required of the caller.
    let done = unsafe { execute(program, &input.shape, &is_reduced, &[input, output], threads) };
    assert!(done, "a reduction keeps no elements");
}

/// Runs a program on operands that fit. Returns whether it can.
///
/// # Safety
///
/// As for [`RowCode::run`].
unsafe fn execute(
    program: Program<'_>,
    domain: &[usize],
    is_reduced: &[bool],
    operands: &[&Layout],
    threads: Option<usize>,
) -> bool {
    let grid = Grid::new(domain, is_reduced, operands, lead(program, domain, operands));
    let (run, runs) = grid.runs();
    let elements = run as f64 * runs as f64 * grid.len as f64;
    let moved = moved(program, &grid);
    let mut job = Job::new(program, grid, elements * moved as f64 > stream_above() as f64);
    if run == 0 || runs == 0 {
        return true;
    }
    let reads = program.stages.iter().any(|stage| !matches!(stage, Stage::Count { .. }));
    let cost = nanoseconds(program.stages).max(moved as f64 * PER_BYTE);
    let most = if reads { threads.unwrap_or(usize::MAX) } else { 1 };
    let threads = threads_for(elements * cost, most);
    // SAFETY: required of the caller.
    let done = unsafe { job.execute(threads.count) };
    if threads.are_worth_it {
        team::ended();
    }
    done
}

/// Bytes of an element that are read from memory and written to it.
fn moved(program: Program<'_>, grid: &Grid) -> usize {
    let is_moved = |&op: &usize| {
        let repeats = !grid.kept.is_empty() && grid.repeats_rows(op);
        program.slots[op].per == Per::Element && !repeats
    };
    (0..program.operands()).filter(is_moved).map(|op| grid.sizes[op]).sum()
}

/// The operand by whose memory rows are ordered: the first one with elements of its own everywhere.
fn lead(program: Program<'_>, domain: &[usize], operands: &[&Layout]) -> usize {
    let is_element = |op: usize| program.slots[op].per == Per::Element;
    let is_whole = |op: usize| {
        let operand = operands[op];
        let own = operand.shape.len() == domain.len();
        own && (0..domain.len())
            .all(|dim| domain[dim] == 1 || (operand.shape[dim] != 1 && operand.strides[dim] != 0))
    };
    let found = (0..operands.len()).find(|&op| is_element(op) && is_whole(op));
    found.or_else(|| (0..operands.len()).find(|&op| is_element(op))).unwrap_or(0)
}

impl<'a> Job<'a> {
    /// `is_large` if it moves more than caches hold.
    fn new(program: Program<'a>, grid: Grid, is_large: bool) -> Job<'a> {
        let mut job = Job {
            program,
            grid,
            side_by_side: false,
            access: SmallVec::new(),
            home: SmallVec::new(),
            tile: [1, 1],
            shared: SmallVec::from_elem(std::ptr::null_mut(), program.slots.len()),
            streams: false,
        };
        job.side_by_side = job.rows_are_nearer();
        let in_place = job.is_in_place();
        job.streams = is_large && !in_place;
        for (slot, about) in program.slots.iter().enumerate() {
            let is_apart = |&other: &usize| {
                let is_output = other < program.operands();
                // What is stored past the caches should not be in them.
                !is_output || !(in_place || job.streams || job.is_scattered(other))
            };
            let home = about.shares.filter(is_apart);
            job.home.push(home.unwrap_or(slot));
            let access = match job.access_of(slot) {
                Access::Direct if about.reads > 1 && job.is_scattered(slot) => Access::Packed,
                access => access,
            };
            job.access.push(access);
        }
        if in_place {
            // An input that is the same memory is read until the last stage.
            for slot in job.written_early() {
                job.access[slot] = Access::Packed;
            }
        }
        job
    }

    /// Whether neighbouring rows lie nearer to one another than the elements of one, or rows are short.
    fn rows_are_nearer(&self) -> bool {
        let is_element = |op: &usize| self.program.slots[*op].per == Per::Element;
        let grid = &self.grid;
        let operands = (0..self.program.operands()).filter(is_element);
        let Some(kept) = grid.kept.last() else { return false };
        let Some(reduced) = grid.reduced.last() else { return true };
        if grid.len <= SHORT && !self.only_folds_floats() {
            return true;
        }
        // Of the first operand in which they differ.
        let mut steps = operands
            .map(|op| [kept.steps[op].unsigned_abs(), reduced.steps[op].unsigned_abs()])
            .filter(|[kept, reduced]| *kept != 0 && *reduced != 0);
        steps.next().is_some_and(|[kept, reduced]| kept < reduced)
    }

    /// Whether the elements of a row side by side with others lie so far apart that a cache may have no
    /// room for all: where they are a power of two apart, they share lines of it.
    fn is_scattered(&self, operand: usize) -> bool {
        let step = self.grid.element_step(operand).unwrap_or(0);
        self.side_by_side && step.unsigned_abs() >= SCATTERED
    }

    fn is_in_place(&self) -> bool {
        let (inputs, outputs) =
            self.grid.bases[..self.program.operands()].split_at(self.program.inputs);
        outputs.iter().any(|output| inputs.contains(output))
    }

    /// Outputs of elements that are written before the last stage over elements.
    fn written_early(&self) -> SmallVec<[usize; OPERANDS]> {
        let program = self.program;
        let reads = |stage: &Stage<Code>| matches!(stage, Stage::Each(_) | Stage::Fold { .. });
        let last = program.stages.iter().rposition(reads);
        let early = &program.stages[..last.unwrap_or(0)];
        let is_early = |slot: &usize| {
            program.slots[*slot].per == Per::Element
                && early.iter().any(|stage| Program::reads_and_writes(stage).1.contains(slot))
        };
        (program.inputs..program.operands()).filter(is_early).collect()
    }

    /// Whether nothing is done but to fold floats, which are as fast where they lie, however short rows are.
    fn only_folds_floats(&self) -> bool {
        let is_fast = |stage: &Stage<Code>| match stage {
            Stage::Fold { by, from, .. } => {
                let by_vectors =
                    matches!(by, Reduction::Sum | Reduction::Max | Reduction::Sup | Reduction::Min);
                by_vectors && self.program.slots[*from].dtype.is_float()
            }
            _ => false,
        };
        self.program.stages.iter().all(is_fast)
    }

    /// Cuts the rows into tiles and runs the stages on each.
    ///
    /// # Safety
    ///
    /// As for [`RowCode::run`].
    unsafe fn execute(&mut self, threads: usize) -> bool {
        let (run, runs) = self.grid.runs();
        let rows = self.rows_of_tile(run);
        self.tile = [rows, self.grid.len];
        let tiles_of_run = run.div_ceil(rows);
        let tiles = runs.saturating_mul(tiles_of_run);
        let room: usize = (0..self.program.slots.len())
            .map(|slot| self.bytes(slot))
            .fold(0, usize::saturating_add);
        let is_scarce = tiles < 2 * threads && self.grid.len >= 2 * long::CHUNK * threads;
        if self.grid.len > BLOCK && (room > ROOM || is_scarce) {
            // SAFETY: required of the caller.
            return unsafe { self.execute_long(threads) };
        }
        let tile = |index: usize| {
            let (run_index, row) = (index / tiles_of_run, index % tiles_of_run * rows);
            Tile { run: run_index, row, rows: rows.min(run - row), start: 0, len: self.grid.len }
        };
        let job = Shared(&*self);
        let work = |take: &mut dyn FnMut() -> Option<std::ops::Range<usize>>| {
            let mut pads = Padding::new();
            let pads = make_room(&mut pads, job.get());
            let mut worker = Worker::new(job.get(), pads);
            while let Some(tiles) = take() {
                // SAFETY: tiles are disjoint; the caller vouches for the rest.
                tiles.for_each(|index| unsafe { worker.run(tile(index)) });
            }
        };
        if threads < 2 || tiles < 2 {
            let mut all = Some(0..tiles);
            work(&mut || all.take());
        } else {
            let queue = Queue::new(tiles, tiles.div_ceil(threads * PORTIONS));
            share(threads, &|| work(&mut || queue.take()));
        }
        true
    }

    /// Neighbouring rows that are worked on at a time.
    fn rows_of_tile(&self, run: usize) -> usize {
        let program = self.program;
        let is_whole = |slot: &usize| {
            let is_there = match self.access[*slot] {
                Access::Packed | Access::Kept => true,
                Access::Direct => !self.is_scattered(*slot),
                Access::Row | Access::Splat => false,
            };
            is_there && self.home[*slot] == *slot
        };
        let sizes = (0..program.slots.len()).filter(is_whole);
        let sizes = sizes.map(|slot| program.slots[slot].dtype.size());
        let (bytes, largest) = sizes.fold((0, 1), |(sum, most), size| (sum + size, size.max(most)));
        let row = self.grid.len.saturating_mul(bytes).max(1);
        let only_folds = program.stages.iter().all(|stage| matches!(stage, Stage::Fold { .. }));
        if !self.side_by_side {
            let tile = if only_folds { FOLD_TILE } else { TILE };
            return (tile / row).clamp(1, run);
        }
        let line = LINE / largest;
        let is_direct =
            self.access[..program.inputs].iter().all(|&access| access == Access::Direct);
        let rows = match only_folds && is_direct {
            true => WIDE / largest,
            // If not even a line of each element fits, all goes through memory anyway.
            false if SIDE_BY_SIDE / row < line => WIDE / largest,
            false => (SIDE_BY_SIDE / row).min(WIDE / largest) / line * line,
        };
        rows.max(line).min(run)
    }
}

/// Room for padded vectors, one for each operand of a stage.
type Padding = SmallVec<[Vector; OPERANDS]>;

/// Makes room for those of code that needs them. They are large, and not to be moved.
fn make_room(pads: &mut Padding, job: &Job<'_>) -> Pads {
    for stage in job.program.stages {
        if let Stage::Each(map) | Stage::Once(map) = stage
            && (job.streams || !map.kernel.takes_any_count())
        {
            pads.reserve(map.inputs.len() + map.outputs.len());
        }
    }
    Pads(pads.as_mut_ptr())
}

#[cfg(test)]
mod tests;
