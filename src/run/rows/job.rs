//! A row kernel on some operands, tile by tile.
//!
//! A tile is some neighbouring rows, or a part of them, in one of two ways. Where the elements of a row lie
//! nearer to one another than rows do, a call of code takes rows, and a number of a row is repeated for
//! it. Else neighbouring rows lie *side by side*: a call takes the first elements of all, then the second
//! ones, and the numbers of rows are an array like any other. [Short] rows one after the other may be one row.
//!
//! [Short]: super::short

use super::Program;
use super::Stage;
use super::grid::Direction;
use super::narrow;
use super::setup::{Access, Setup};
use super::short;
use super::stage::{Cursors, SPLATS};
use super::strips;
use crate::run::call::{Call, Pads};
use crate::run::pack::{self, Scratch};
use kiln_jit::emit::{MAX_VECTOR, fence};
use kiln_reduce::{BLOCK, Blocks, Rows, count};
use smallvec::SmallVec;

/// A row kernel on some operands.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) program: Program<'a>,
    pub(super) setup: &'a Setup,
    /// The first element of each operand.
    pub(super) bases: &'a [*mut u8],
    /// Memory of slots that all tiles share; null if each worker has its own, and none at all if that is
    /// so for all.
    pub(super) shared: &'a [*mut u8],
}

/// Rows of a run, by the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) run: usize,
    pub(super) row: usize,
}

/// Some rows of a run, or elements of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub(super) run: usize,
    pub(super) row: usize,
    pub(super) rows: usize,
    /// The first element of each row.
    pub(super) start: usize,
    pub(super) len: usize,
}

/// What blocks of a row become, and bytes of each.
pub(super) type Folded = SmallVec<[(Blocks, usize); 2]>;

/// Runs stages on tiles, on one thread.
pub(super) struct Worker<'a> {
    pub(super) job: Job<'a>,
    /// A tile for each slot that needs one, then blocks, then repeated numbers for each input of a stage, then stripes.
    pub(super) scratch: Scratch,
    /// Which part of it stripes have.
    pub(super) stripes: usize,
    pub(super) pads: Pads,
    /// The first element of each slot in the current tile.
    pub(super) places: SmallVec<[*mut u8; 12]>,
    has_packed_once: bool,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: Job<'a>, pads: Pads) -> Worker<'a> {
        let splats = job.program.stages.iter().map(|stage| match stage {
            Stage::Each(map) => job.setup.code_of(map).1.len(),
            _ => 0,
        });
        let splats = splats.max().unwrap_or(0);
        // At least the repeated numbers of one row.
        let splat = match job.setup.group {
            _ if job.setup.is_flat => short::TILE,
            Some(_) => narrow::ROOM.max(MAX_VECTOR),
            None => SPLATS.max(MAX_VECTOR),
        };
        let room = job.setup.room.iter().copied();
        let stripes = room.len() + splats;
        let room = room.chain((0..splats).map(|_| splat));
        let scratch = Scratch::new(room.chain([strips::room(job.program, job.setup)]));
        let places = SmallVec::new();
        let mut worker = Worker { job, scratch, stripes, pads, places, has_packed_once: false };
        let memory = |slot| worker.memory(slot);
        worker.places = (0..job.program.slots.len()).map(memory).collect();
        worker
    }

    /// Makes a tile the current one.
    pub(super) fn seek(&mut self, tile: Tile) {
        let Job { setup, bases, .. } = self.job;
        let grid = &setup.grid;
        for &slot in &setup.moving {
            self.places[slot] = match setup.access[slot] {
                Access::Kept => {
                    let size = setup.sizes[slot];
                    let step = if setup.side_by_side { setup.pitch(size) } else { size };
                    self.memory(slot).wrapping_add(tile.start * step)
                }
                _ => {
                    let element =
                        if tile.start == 0 { 0 } else { grid.element_step(slot).unwrap_or(0) };
                    let before = grid.before(slot, tile.run, tile.row);
                    bases[slot].wrapping_offset(before + tile.start as isize * element)
                }
            };
        }
    }

    /// Where the current tile of a slot begins.
    pub(super) fn place(&self, slot: usize) -> *mut u8 {
        self.places[self.job.setup.home[slot]]
    }

    /// All stages on a tile of whole rows.
    ///
    /// # Safety
    ///
    /// The tile must be one of the job's, and nothing else may use its elements of outputs.
    pub(super) unsafe fn run(&mut self, tile: Tile) {
        let Job { program, setup, .. } = self.job;
        self.seek(tile);
        // SAFETY: required of the caller.
        unsafe {
            for &slot in setup.packed.iter().take_while(|&&slot| slot < program.inputs) {
                if !(self.has_packed_once && setup.is_packed_once(program, slot)) {
                    self.copy(slot, tile, Direction::Gather);
                }
            }
            self.has_packed_once = true;
            let base = self.scratch.of(program.slots.len());
            let mut at = 0;
            while at < program.stages.len() {
                let end = at + 1;
                at = match &program.stages[at] {
                    Stage::Each(_) => {
                        let folds = end..end + setup.launches[at].folds;
                        let folded = self.job.folded(folds.clone(), base, tile);
                        self.each(at, tile, &folded);
                        for (stage, (blocks, _)) in folds.clone().zip(&folded) {
                            self.finish(stage, blocks, tile.rows);
                        }
                        folds.end
                    }
                    Stage::Once(_) => {
                        self.once(at, tile.rows);
                        end
                    }
                    Stage::Fold { .. } => {
                        self.reduce(at, tile, &self.job.blocks(base, tile));
                        end
                    }
                    Stage::Scan { .. } => {
                        self.scan(at, tile, None);
                        end
                    }
                    Stage::Count { to } => {
                        self.count(*to, tile.rows);
                        end
                    }
                };
            }
            for &slot in setup.packed.iter().filter(|&&slot| slot >= program.inputs) {
                self.copy(slot, tile, Direction::Scatter);
            }
        }
    }

    /// Packs a tile of an operand, or unpacks it, if that is how it is reached.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run).
    pub(super) unsafe fn copy(&self, slot: usize, tile: Tile, direction: Direction) {
        let Job { program, setup, bases, .. } = self.job;
        if tile.rows == 0 || !matches!(setup.access[slot], Access::Packed | Access::Row) {
            return;
        }
        let grid = &setup.grid;
        let row = bases[slot].wrapping_offset(grid.before(slot, tile.run, tile.row));
        let (size, memory) = (setup.sizes[slot], self.memory(slot));
        // SAFETY: required of the caller; the memory has room for a tile.
        unsafe {
            if setup.access[slot] == Access::Row {
                let (near, far) = ([0, size as isize], [0, grid.row_step(slot)]);
                return match direction {
                    Direction::Gather => pack::copy(size, memory, near, row, far, [1, tile.rows]),
                    Direction::Scatter => pack::copy(size, row, far, memory, near, [1, tile.rows]),
                };
            }
            let repeats = slot < program.inputs && grid.repeats_rows(slot);
            let pitch = setup.pitch(size);
            let (steps, rows) = match setup.side_by_side {
                // As many as any tile has.
                true if repeats => ([size, pitch], setup.tile[0]),
                true => ([size, pitch], tile.rows),
                false if setup.is_flat && repeats => ([pitch, size], setup.tile[0]),
                false => ([pitch, size], if repeats { 1 } else { tile.rows }),
            };
            let elements = [tile.start, tile.len, rows];
            grid.copy(slot, row, elements, memory, steps, direction);
        }
    }

    /// The memory of a slot that is not where it lies.
    pub(super) fn memory(&self, slot: usize) -> *mut u8 {
        let home = self.job.setup.home[slot];
        if self.job.is_shared(home) { self.job.shared[home] } else { self.scratch.of(home) }
    }

    /// A stage on the numbers of rows.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run).
    pub(super) unsafe fn once(&self, stage: usize, rows: usize) {
        let Stage::Once(map) = &self.job.program.stages[stage] else { return };
        let launch = &self.job.setup.launches[stage];
        let mut cursors = Cursors::new();
        self.add_cursors(launch, &mut cursors);
        let (code, sizes, pads) = (&map.kernel, &launch.sizes[..], self.pads);
        // SAFETY: there is a number for each row.
        unsafe {
            match code.takes_any_count() {
                true => code.call(1, rows, &mut cursors),
                false => {
                    Call { code, sizes, cursors: &mut cursors, pads, streams: false }.run(rows);
                }
            }
        }
    }

    /// Folds the elements of a tile, and joins what they become.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run); there must be room for the blocks.
    unsafe fn reduce(&self, stage: usize, tile: Tile, blocks: &Blocks) {
        let Job { program, setup, .. } = self.job;
        let Stage::Fold { from, to, .. } = program.stages[stage] else { return };
        // SAFETY: required of the caller.
        unsafe {
            if !setup.side_by_side && setup.beside == 1 && (1..=BLOCK).contains(&tile.len) {
                let rows = self.rows_of(from, tile);
                return setup.folder(stage).fold_whole(&rows, blocks, self.place(to));
            }
            self.fold(stage, tile, blocks);
            self.finish(stage, blocks, tile.rows);
        }
    }

    /// The elements of a tile of a slot.
    fn rows_of(&self, slot: usize, tile: Tile) -> Rows {
        let Job { program, setup, .. } = self.job;
        Rows {
            base: self.place(slot),
            rows: tile.rows,
            len: tile.len,
            first: tile.start,
            side_by_side: setup.side_by_side,
            is_near: setup.is_near(slot),
            step: setup.step(program, slot),
        }
    }

    /// Folds the elements of a tile.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run); there must be room for the blocks.
    pub(super) unsafe fn fold(&self, stage: usize, tile: Tile, blocks: &Blocks) {
        let Job { program, setup, .. } = self.job;
        let Stage::Fold { from, .. } = program.stages[stage] else { return };
        if tile.len == 0 {
            return;
        }
        let rows = self.rows_of(from, tile);
        if setup.beside > 1 {
            let step = (setup.beside * setup.sizes[from]) as isize;
            let run = Rows { rows: setup.beside, side_by_side: true, step, ..rows };
            for first in (0..tile.rows).step_by(setup.beside) {
                let base = rows.base.wrapping_offset(first as isize * rows.step);
                let at = blocks.base.wrapping_add(first * setup.block_size(stage));
                // SAFETY: required of the caller: a run of them, each of which is one block.
                unsafe {
                    setup.folder(stage).fold(&Rows { base, ..run }, &Blocks { base: at, ..*blocks })
                };
            }
            return;
        }
        // SAFETY: required of the caller.
        unsafe { setup.folder(stage).fold(&rows, blocks) };
    }

    /// What rows become, of all their blocks.
    ///
    /// # Safety
    ///
    /// The blocks must be there.
    pub(super) unsafe fn finish(&self, stage: usize, blocks: &Blocks, rows: usize) {
        let Job { program, setup, .. } = self.job;
        let Stage::Fold { to, .. } = program.stages[stage] else { return };
        // SAFETY: required of the caller; there is room for a number of each row.
        unsafe { setup.folder(stage).finish(blocks, rows, setup.grid.len, self.place(to)) };
    }

    /// The number of elements of each row.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run).
    pub(super) unsafe fn count(&self, to: usize, rows: usize) {
        let Job { program, setup, .. } = self.job;
        // SAFETY: there is room for a number of each row.
        unsafe { count(program.slots[to].dtype, setup.grid.len, rows, self.place(to)) };
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if self.job.setup.streams {
            fence();
        }
    }
}

impl Job<'_> {
    /// Where a slot begins at rows.
    pub(super) fn place(&self, slot: usize, at: At) -> *mut u8 {
        self.bases[slot].wrapping_offset(self.setup.grid.before(slot, at.run, at.row))
    }

    /// Whether all tiles use one memory of a slot.
    pub(super) fn is_shared(&self, slot: usize) -> bool {
        self.shared.get(slot).is_some_and(|memory| !memory.is_null())
    }

    /// The blocks of folds, one after the other, and bytes of each block.
    #[inline(always)]
    fn folded(&self, folds: std::ops::Range<usize>, base: *mut u8, tile: Tile) -> Folded {
        let mut base = base;
        let mut all = SmallVec::new();
        for fold in folds {
            all.push((self.blocks(base, tile), self.setup.block_size(fold)));
            let bytes = self.setup.block_bytes(fold, self.setup.blocks);
            base = base.wrapping_add(bytes.next_multiple_of(8));
        }
        all
    }

    /// The blocks of a tile in memory that has room for those of whole rows.
    pub(super) fn blocks(&self, base: *mut u8, tile: Tile) -> Blocks {
        match self.setup.side_by_side {
            true => Blocks { base, row: 1, block: tile.rows },
            false => Blocks { base, row: self.setup.blocks, block: 1 },
        }
    }
}
