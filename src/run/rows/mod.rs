//! Row kernels: stages over rows, tile by tile.
//!
//! A tile is some rows whose elements stay in a cache: every stage runs on all of it before the next
//! one does. Threads take tiles. Rows that are too long, or too few for the threads, are cut instead, and
//! every stage runs on all of a row first ([`long`]); scans go along with the stages around them ([`scans`]). A reduction by itself is a row kernel of one
//! stage ([`reduction`]). What is computed does not depend on any of this.

mod apart;
mod codes;
mod deferred;
mod grid;
mod job;
mod late;
mod launch;
mod long;
mod narrow;
mod operands;
mod panel;
mod realigned;
mod reduction;
mod runs;
mod scans;
mod setup;
mod short;
mod spread;
mod stage;
mod streams;
mod strips;
mod sweep;
mod tile_size;

use super::call::Pads;
use super::exec::{PER_BYTE, threads_for};
use super::interrupt::goes_on;
use super::layout::{OPERANDS, broadcasts_to};
use super::pack::Vector;
use super::queue::{Queue, Shared};
use super::scan::PER_ELEMENT;
use super::team::{self, share};
use super::view::Layout;
use crate::lower::rows::{self, Operand, Per, RowProgram, RowSweep, Slot};
use deferred::Deferred;
use job::{Job, Tile, Worker};
use kiln_ir::{Dims, broadcast};
use kiln_jit::cpu::second_level_cache;
use kiln_jit::emit::{Code, EmitterKind};
use kiln_jit::vir::{Routine, Sweep};
use operands::{in_place, is_aligned, written_early};
pub(in crate::run) use panel::PanelSetup;
pub(crate) use reduction::Reduction;
use setup::Setup;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex};
use sweep::{LEAST_TILES, Stores, Sweeper, Sweeps};

/// Nanoseconds for an element of a fold in cache.
const FOLD: f64 = 0.02;
/// Bytes of a tile.
const TILE: usize = 160 << 10;
/// The same where nothing but folds is done, and nothing is read twice.
const FOLD_TILE: usize = 256 << 10;
/// Ways of half of an L2, at least in most: what lies a way apart shares a line of it.
const WAYS: usize = 4;
/// Rows up to this length that are not [taken as one](short) lie side by side even where that takes a
/// transposition: softmax of (2^18, 16) took 1.30 ns an element that way on a Zen 4, and 1.08 row by row; of
/// (2^19, 8) 1.37 and 2.7. Between these nothing was measured.
const SHORT: usize = 12;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Most bytes from element to element of rows side by side: a page.
const WIDE: usize = 4 << 10;
/// The same where nothing but folds is done, where elements lie.
const FOLD_WIDE: usize = 64 << 10;
/// Bytes that a worker's tile may take.
const ROOM: usize = 1 << 20;
/// Bytes of the rows that a thread takes at a time in a sweep.
const PORTION: usize = 64 << 10;
/// The same where there is one thread: the work can end between them.
const LONG_PORTION: usize = 16 << 20;
/// Portions of work for each thread.
const PORTIONS: usize = 8;

/// A stage, and one of code.
type Stage = rows::Stage<Code, Deferred<Routine>>;
type Map = rows::Map<Code, Deferred<Routine>>;

/// A compiled row kernel.
#[derive(Debug)]
pub(crate) struct RowCode {
    program: RowProgram<Code, Deferred<Routine>>,
    /// All stages as one, if they can be.
    sweep: Option<RowSweep<Code, Deferred<Sweep>>>,
    /// When that is what runs.
    sweeps: Sweeps,
    /// Bytes of elements that L2 holds.
    near: usize,
    /// Estimated nanoseconds for an element.
    cost: f64,
    /// What the last call worked out of its operands: most calls are like the one before.
    last: Mutex<Option<Arc<Known>>>,
}

/// What is known of operands that lie so.
#[derive(Debug)]
struct Known {
    /// Shape and strides of each.
    layouts: SmallVec<[(Dims<usize>, Dims<isize>); OPERANDS]>,
    /// How far into a line of the caches the outputs begin.
    offsets: SmallVec<[usize; 2]>,
    /// Which outputs are the memory of inputs.
    in_place: SmallVec<[bool; 2]>,
    /// None where stages cannot run them, or should not.
    setup: Option<Setup>,
}

/// What a row kernel does, its slots being inputs, outputs and others.
#[derive(Clone, Copy, Debug)]
struct Program<'a> {
    slots: &'a [Slot],
    inputs: usize,
    outputs: usize,
    stages: &'a [Stage],
    sweep: Option<&'a RowSweep<Code, Deferred<Sweep>>>,
    sweeps: Sweeps,
    /// Bytes of elements that L2 holds.
    near: usize,
    /// Estimated nanoseconds for an element.
    cost: f64,
}

impl<'a> Program<'a> {
    fn operands(&self) -> usize {
        self.inputs + self.outputs
    }

    /// Whether it has running sums or products.
    fn has_scans(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Scan { .. }))
    }

    /// The slots that a stage reads, and those that it writes.
    fn reads_and_writes(stage: &'a Stage) -> (&'a [usize], &'a [usize]) {
        use std::slice::from_ref;
        match stage {
            Stage::Each(map) | Stage::Once(map) => (&map.inputs, &map.outputs),
            Stage::Fold { from, to, .. } | Stage::Scan { from, to, .. } => {
                (from_ref(from), from_ref(to))
            }
            Stage::Count { to } => (&[], from_ref(to)),
        }
    }
}

impl RowCode {
    /// Compiles each stage, and all as one if `compile_sweep` can by the emitter of those.
    pub(crate) fn compile<E>(
        mut program: RowProgram,
        mut compile: impl FnMut(&Routine) -> Result<Code, E>,
        compile_sweep: impl FnOnce(&Sweep, EmitterKind) -> Result<Option<Code>, E>,
    ) -> Result<RowCode, E> {
        let sweep = program.sweep.take();
        let defer = |routine, beside: &Code| Deferred::new(routine, beside.emitter());
        let program = program.try_map(|routine| compile(&routine), defer)?;
        let cost = nanoseconds(&program.stages);
        let mut code = RowCode {
            program,
            sweep: None,
            sweeps: Sweeps::WhereItPays,
            near: second_level_cache() / 2,
            cost,
            last: Mutex::new(None),
        };
        let emitter = code.codes().next().map(Code::emitter);
        if let (Some(sweep), Some(emitter)) = (sweep, emitter) {
            let defer = |kernel| Deferred::new(kernel, emitter);
            code.sweep = sweep.try_map(|kernel| compile_sweep(&kernel, emitter), defer)?;
        }
        Ok(code)
    }

    fn program(&self) -> Program<'_> {
        let RowProgram { slots, inputs, outputs, stages, .. } = &self.program;
        let (sweep, sweeps) = (self.sweep.as_ref(), self.sweeps);
        let (inputs, outputs) = (*inputs, *outputs);
        let (near, cost) = (self.near, self.cost);
        Program { slots, inputs, outputs, stages, sweep, sweeps, near, cost }
    }

    /// The code of each stage that has some.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &Code> {
        self.program.stages.iter().filter_map(|stage| match stage {
            Stage::Each(map) | Stage::Once(map) => Some(&map.kernel),
            Stage::Fold { .. } | Stage::Scan { .. } | Stage::Count { .. } => None,
        })
    }

    /// Whether it runs calls on operands of such shapes and strides.
    pub(in crate::run) fn can_run(&self, operands: &[&Layout]) -> bool {
        self.setup(self.program(), operands).is_some()
    }

    /// Whether it could, if slowly.
    pub(in crate::run) fn fits(&self, operands: &[&Layout]) -> bool {
        self.domain(operands).is_some()
    }

    /// Bytes of the elements that a call on such operands keeps of whole rows, by at most so many threads, where no
    /// result has room for it.
    pub(in crate::run) fn kept(&self, operands: &[&Layout], threads: usize) -> usize {
        let program = self.program();
        let setup = self.setup(program, operands);
        // No rows are none to cut.
        let has_rows = |setup: &Setup| !matches!(setup.grid.runs(), (0, _) | (_, 0));
        let Some(setup) = setup.filter(has_rows) else { return 0 };
        let job = Job { program, setup: &setup, bases: &[], shared: &[] };
        let is_cut = [1, threads].into_iter().any(|threads| job.is_cut(threads));
        match &setup.sweeping {
            _ if is_cut => job.kept(threads),
            Some(sweeping) if sweeping.is_late => {
                threads.saturating_mul(late::room(program, &setup, sweeping.tile.rows))
            }
            _ => 0,
        }
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
        let known = self.known(operands);
        let Some(setup) = &known.setup else { return false };
        // SAFETY: required of the caller.
        unsafe { execute(self.program(), setup, operands, threads) }
    }

    /// What is known of such operands, from the last call or from now on.
    fn known(&self, operands: &[&Layout]) -> Arc<Known> {
        let inputs = self.program.inputs;
        let last = self.last.try_lock().ok().and_then(|last| last.clone());
        if let Some(known) = last.filter(|known| known.fits(operands, inputs)) {
            return known;
        }
        let layout = |operand: &&Layout| (operand.shape.clone(), operand.strides.clone());
        let known = Arc::new(Known {
            layouts: operands.iter().map(layout).collect(),
            offsets: operands[inputs..].iter().map(|output| offset(output)).collect(),
            in_place: in_place(operands, inputs).collect(),
            setup: self.setup(self.program(), operands),
        });
        if operands.iter().all(|operand| is_aligned(operand))
            && let Ok(mut last) = self.last.try_lock()
        {
            *last = Some(Arc::clone(&known));
        }
        known
    }

    /// What a call on such operands needs to know, if stages can run it.
    fn setup(&self, program: Program<'_>, operands: &[&Layout]) -> Option<Setup> {
        let (domain, is_reduced) = self.domain(operands)?;
        let setup = Setup::new(program, &domain, &is_reduced, operands);
        (!apart::take_less(program, &setup)).then_some(setup)
    }

    /// The shape that rows are cut from and which of its axes they lie along, for operands that fit.
    fn domain(&self, operands: &[&Layout]) -> Option<(Dims<usize>, Dims<bool>)> {
        let RowProgram { axes, slots, inputs, operands: reduced, .. } = &self.program;
        let inputs = *inputs;
        let domain = domain(reduced, operands)?;
        let is_reduced = axes.of_rank(domain.len()).ok()?;
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
        let is_able = operands[..inputs].iter().zip(slots).all(broadcasts)
            && operands[inputs..].iter().zip(&slots[inputs..]).all(fits)
            && reduced.iter().all(covers);
        is_able.then_some((domain, is_reduced))
    }
}

impl Known {
    /// Whether operands lie so.
    fn fits(&self, operands: &[&Layout], inputs: usize) -> bool {
        let fits = |(operand, (shape, strides)): (&&Layout, &(Dims<usize>, Dims<isize>))| {
            operand.shape == *shape && operand.strides == *strides && is_aligned(operand)
        };
        let written = &operands[inputs..];
        let begins = |(output, &before): (&&Layout, &usize)| offset(output) == before;
        operands.iter().zip(&self.layouts).all(fits)
            && written.iter().zip(&self.offsets).all(begins)
            && in_place(operands, inputs).eq(self.in_place.iter().copied())
    }
}

/// How far into a line of the caches an operand begins.
fn offset(operand: &Layout) -> usize {
    operand.base.addr() % LINE
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
fn nanoseconds(stages: &[Stage]) -> f64 {
    let cost = |stage: &Stage| match stage {
        Stage::Each(map) => map.kernel.nanoseconds(),
        Stage::Fold { .. } => FOLD,
        Stage::Scan { .. } => PER_ELEMENT,
        Stage::Once(_) | Stage::Count { .. } => 0.0,
    };
    stages.iter().map(cost).sum()
}

/// Runs a program on operands that lie so. Returns whether it can.
///
/// # Safety
///
/// As for [`RowCode::run`].
unsafe fn execute(
    program: Program<'_>,
    setup: &Setup,
    operands: &[&Layout],
    threads: Option<usize>,
) -> bool {
    let (run, runs) = setup.grid.runs();
    if run == 0 || runs == 0 {
        return true;
    }
    let mut bases: SmallVec<[*mut u8; OPERANDS]> =
        operands.iter().map(|operand| operand.base).collect();
    // SAFETY: required of the caller.
    let spread = setup.spread.as_ref().map(|spread| unsafe { spread.spread(&mut bases) });
    // Passes ask for less memory at once.
    let Some(_copies) = spread.unwrap_or_else(|| Some(Vec::new())) else { return false };
    let job = Job { program, setup, bases: &bases, shared: &[] };
    let cost = program.cost.max(setup.moved(program) as f64 * PER_BYTE);
    let reads = program.stages.iter().any(|stage| !matches!(stage, Stage::Count { .. }));
    let most = if reads { threads.unwrap_or(usize::MAX) } else { 1 };
    let threads = threads_for(setup.elements() * cost, most);
    // SAFETY: required of the caller.
    let done = unsafe { job.execute(threads.count) };
    if threads.are_worth_it {
        team::ended();
    }
    done
}

impl Job<'_> {
    /// Cuts the rows into tiles and runs the stages on each.
    ///
    /// # Safety
    ///
    /// As for [`RowCode::run`].
    unsafe fn execute(self, threads: usize) -> bool {
        if self.setup.is_of_runs(self.program) {
            // SAFETY: required of the caller.
            unsafe { self.execute_runs(threads) };
            return true;
        }
        if self.is_cut(threads) {
            // SAFETY: required of the caller.
            return unsafe { self.execute_long(threads) };
        }
        // SAFETY: required of the caller.
        unsafe { self.execute_tiles(threads) };
        true
    }

    /// Runs the stages tile by tile, however long rows are.
    ///
    /// # Safety
    ///
    /// As for [`RowCode::run`].
    unsafe fn execute_tiles(self, threads: usize) {
        let Job { program, setup, bases, .. } = self;
        let sweeping = setup.sweeping.as_ref().filter(|sweeping| sweeping.fits(program, bases));
        if let (Some(sweeping), Some(sweep)) = (sweeping, program.sweep) {
            // One call is for as many rows as there are, or as are worth the turns of threads.
            let row = setup.grid.len.saturating_mul(setup.moved(program)).max(1);
            let portion = if threads < 2 { LONG_PORTION } else { PORTION };
            let rows = (portion / row).max(1);
            // The first of rows that follow none go through the caches.
            let rows = match sweeping.stores(program, bases) {
                Stores::Realigned => rows.max(LEAST_TILES * sweeping.tile.rows),
                _ => rows,
            };
            return self.share(threads, rows, |job, tiles| {
                let mut sweeper = Sweeper::new(job, sweep, sweeping);
                // SAFETY: tiles are disjoint; the caller vouches for the rest.
                unsafe {
                    tiles.for_each(|tile| sweeper.run(tile));
                    sweeper.finish();
                }
            });
        }
        self.share(threads, setup.tile[0], |job, tiles| {
            let mut pads = Padding::new();
            let pads = make_room(&mut pads, &job);
            let mut worker = Worker::new(job, pads);
            // SAFETY: as above.
            tiles.for_each(|tile| unsafe { worker.run(tile) });
        });
    }

    /// Cuts the rows into tiles of at most so many, and has threads work on them.
    fn share(
        self,
        threads: usize,
        rows: usize,
        work: impl Fn(Job<'_>, &mut dyn Iterator<Item = Tile>),
    ) {
        let (run, runs) = self.setup.grid.runs();
        let len = self.setup.tile[1];
        // Rows side by side that are few enough for a tile may be enough for threads.
        let rows = match self.setup.side_by_side && threads > 1 && runs < 2 * threads {
            true => rows.min(run.div_ceil(2 * threads).next_multiple_of(LINE)),
            false => rows,
        };
        let rows = rows.min(run);
        let tiles_of_run = run.div_ceil(rows);
        let tiles = runs.saturating_mul(tiles_of_run);
        let tile = |index: usize| {
            let (run_index, row) = (index / tiles_of_run, index % tiles_of_run * rows);
            Tile { run: run_index, row, rows: rows.min(run - row), start: 0, len }
        };
        if threads < 2 || tiles < 2 {
            return work(self, &mut (0..tiles).take_while(|_| goes_on()).map(tile));
        }
        let queue = Queue::new(tiles, tiles.div_ceil(threads * PORTIONS));
        let shared = Shared((self, work));
        share(threads, &|| {
            let (job, work) = shared.get();
            let tiles = std::iter::from_fn(|| queue.take()).flatten();
            work(*job, &mut tiles.take_while(|_| goes_on()).map(tile));
        });
    }
}

/// Room for padded vectors, one for each operand of a stage.
type Padding = SmallVec<[Vector; OPERANDS]>;

/// Makes room for those of code that needs them. They are large, and not to be moved.
fn make_room(pads: &mut Padding, job: &Job<'_>) -> Pads {
    for stage in job.program.stages {
        if let Stage::Each(map) | Stage::Once(map) = stage
            && (job.setup.streams || !map.kernel.takes_any_count())
        {
            pads.reserve(map.inputs.len() + map.outputs.len());
        }
    }
    Pads(pads.as_mut_ptr())
}

#[cfg(test)]
mod tests;
