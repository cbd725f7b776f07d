//! A row kernel on some operands: how each value reaches its stages, and tiles of rows on which they run.
//!
//! A tile is some neighbouring rows, or a part of them, in one of two ways. Where the elements of a row lie
//! nearer to one another than rows do, a call of code takes rows, and a number of a row is repeated for
//! it. Else neighbouring rows lie *side by side*: a call takes the first elements of all, then the second
//! ones, and the numbers of rows are an array like any other.

use super::grid::{Direction, Grid};
use super::stage::SPLATS;
use crate::lower::rows::{Apart, Map, Per, Slot, Stage};
use crate::run::call::{Call, Pads};
use crate::run::layout::OPERANDS;
use crate::run::pack::{self, Scratch};
use crate::run::reduce::{BLOCK, Blocks, Rows, count, folder};
use kiln_ir::Reduction;
use kiln_jit::emit::{Code, Cursor};
use smallvec::SmallVec;

/// Bytes between packed rows. Where rows are a power of two apart, a column has only one set of a cache.
const GAP: usize = 64;

/// What a row kernel does, its slots being inputs, outputs and others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'a> {
    pub(super) slots: &'a [Slot],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) stages: &'a [Stage<Code>],
}

impl<'a> Program<'a> {
    pub(super) fn operands(&self) -> usize {
        self.inputs + self.outputs
    }

    /// The slots that a stage reads, and those that it writes.
    pub(super) fn reads_and_writes(stage: &'a Stage<Code>) -> (&'a [usize], &'a [usize]) {
        use std::slice::from_ref;
        match stage {
            Stage::Each(map) | Stage::Once(map) => (&map.inputs, &map.outputs),
            Stage::Fold { from, to, .. } => (from_ref(from), from_ref(to)),
            Stage::Count { to } => (&[], from_ref(to)),
        }
    }
}

/// How the elements of a slot reach the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Where they lie.
    Direct,
    /// One for a row, which is repeated. It reaches a tile of rows side by side only if it is one for all.
    Splat,
    /// Packed, tile by tile.
    Packed,
    /// Nowhere else than in a tile.
    Kept,
    /// One number for each row of a tile.
    Row,
}

/// A row kernel on some operands.
pub(super) struct Job<'a> {
    pub(super) program: Program<'a>,
    pub(super) grid: Grid,
    /// Whether rows are side by side in a tile.
    pub(super) side_by_side: bool,
    pub(super) access: SmallVec<[Access; OPERANDS]>,
    /// Whose memory each slot uses.
    pub(super) home: SmallVec<[usize; OPERANDS]>,
    /// Rows of a tile, and elements of each.
    pub(super) tile: [usize; 2],
    /// Memory of slots that all tiles share; null if each worker has its own.
    pub(super) shared: SmallVec<[*mut u8; OPERANDS]>,
    /// Whether results bypass the caches.
    pub(super) streams: bool,
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

impl Job<'_> {
    pub(super) fn size(&self, slot: usize) -> usize {
        self.program.slots[slot].dtype.size()
    }

    fn is_packed_once(&self, slot: usize) -> bool {
        self.access[slot] == Access::Packed
            && slot < self.program.inputs
            && self.grid.repeats_rows(slot)
            && self.tile[1] == self.grid.len
    }

    /// Bytes from one row of a tile in memory to the next; if they are side by side, from one element to
    /// the next.
    fn pitch(&self, slot: usize) -> usize {
        let [rows, len] = self.tile;
        match self.side_by_side {
            true => rows * self.size(slot),
            false if rows == 1 => len * self.size(slot),
            false => (len * self.size(slot)).next_multiple_of(GAP) + GAP,
        }
    }

    /// Bytes of a slot in a tile.
    pub(super) fn bytes(&self, slot: usize) -> usize {
        let [rows, len] = self.tile;
        match self.access[slot] {
            _ if self.home[slot] != slot || !self.shared[slot].is_null() => 0,
            Access::Direct | Access::Splat => 0,
            Access::Row => rows * self.size(slot),
            Access::Packed | Access::Kept => match self.side_by_side {
                true => len * self.pitch(slot),
                false => rows * self.pitch(slot),
            },
        }
    }

    /// Bytes of what blocks become: of a row or several, `blocks` of each.
    pub(super) fn block_bytes(&self, stage: &Stage<Code>, blocks: usize) -> usize {
        match stage {
            Stage::Fold { by, from, .. } => {
                folder(*by, self.program.slots[*from].dtype).block_size * blocks * self.tile[0]
            }
            _ => 0,
        }
    }
}

/// Runs stages on tiles, on one thread.
pub(super) struct Worker<'a> {
    pub(super) job: &'a Job<'a>,
    /// A tile for each slot that needs one, then blocks, then repeated numbers for each input of a stage.
    pub(super) scratch: Scratch,
    pub(super) pads: Pads,
    has_packed_once: bool,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: &'a Job<'a>, pads: Pads) -> Worker<'a> {
        let blocks = job.tile[1].div_ceil(BLOCK);
        let of_stages = job.program.stages.iter().map(|stage| job.block_bytes(stage, blocks));
        let slots = (0..job.program.slots.len()).map(|slot| job.bytes(slot));
        let splats = job.program.stages.iter().map(|stage| match stage {
            Stage::Each(map) => map.inputs.len(),
            _ => 0,
        });
        let splats = splats.max().unwrap_or(0);
        // At least the repeated numbers of one row.
        let splat = SPLATS.max(kiln_jit::emit::MAX_VECTOR);
        // Folds of one stage are done at once.
        let blocks = std::iter::once(of_stages.map(|bytes| bytes.next_multiple_of(8)).sum());
        let scratch = Scratch::new(slots.chain(blocks).chain((0..splats).map(|_| splat)));
        Worker { job, scratch, pads, has_packed_once: false }
    }

    /// All stages on a tile of whole rows.
    ///
    /// # Safety
    ///
    /// The tile must be one of the job's, and nothing else may use its elements of outputs.
    pub(super) unsafe fn run(&mut self, tile: Tile) {
        let program = self.job.program;
        // SAFETY: required of the caller.
        unsafe {
            for slot in 0..program.inputs {
                if !(self.has_packed_once && self.job.is_packed_once(slot)) {
                    self.copy(slot, tile, Direction::Gather);
                }
            }
            self.has_packed_once = true;
            let mut stages = program.stages;
            while let [stage, rest @ ..] = stages {
                stages = rest;
                match stage {
                    Stage::Each(map) => {
                        let folds = self.job.folds_of(map);
                        let base = self.scratch.of(program.slots.len());
                        let blocks = self.job.blocks_of(&rest[..folds], base, tile);
                        self.each(map, tile, &blocks);
                        for (stage, (blocks, _)) in rest[..folds].iter().zip(&blocks) {
                            if let Stage::Fold { by, from, to } = stage {
                                self.job.finish(*by, *from, blocks, tile.rows, self.memory(*to));
                            }
                        }
                        stages = &rest[folds..];
                    }
                    Stage::Once(map) => self.once(map, tile.rows),
                    Stage::Fold { by, from, to } => {
                        let blocks = self.scratch.of(program.slots.len());
                        let blocks = self.job.blocks(blocks, tile);
                        self.fold(*by, *from, tile, &blocks);
                        self.job.finish(*by, *from, &blocks, tile.rows, self.memory(*to));
                    }
                    Stage::Count { to } => self.job.count(*to, tile.rows, self.memory(*to)),
                }
            }
            for slot in program.inputs..program.operands() {
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
        let job = self.job;
        if tile.rows == 0 || !matches!(job.access[slot], Access::Packed | Access::Row) {
            return;
        }
        let (row, size) = (job.grid.row(slot, tile.run, tile.row), job.size(slot));
        let memory = self.memory(slot);
        // SAFETY: required of the caller; the memory has room for a tile.
        unsafe {
            if job.access[slot] == Access::Row {
                let (near, far) = ([0, size as isize], [0, job.grid.row_step(slot)]);
                return match direction {
                    Direction::Gather => pack::copy(size, memory, near, row, far, [1, tile.rows]),
                    Direction::Scatter => pack::copy(size, row, far, memory, near, [1, tile.rows]),
                };
            }
            let repeats = slot < job.program.inputs && job.grid.repeats_rows(slot);
            let (steps, rows) = match job.side_by_side {
                // As many as any tile has.
                true if repeats => ([size, job.pitch(slot)], job.tile[0]),
                true => ([size, job.pitch(slot)], tile.rows),
                false => ([job.pitch(slot), size], if repeats { 1 } else { tile.rows }),
            };
            let elements = [tile.start, tile.len, rows];
            job.grid.copy(slot, row, elements, memory, steps, direction);
        }
    }

    /// The memory of a slot that is not where it lies.
    pub(super) fn memory(&self, slot: usize) -> *mut u8 {
        let home = self.job.home[slot];
        let shared = self.job.shared[home];
        if shared.is_null() { self.scratch.of(home) } else { shared }
    }

    /// Where the elements of a slot are, and bytes from row to row; if rows are side by side, from element
    /// to element.
    pub(super) fn place(&self, slot: usize, tile: Tile) -> (*mut u8, isize) {
        let (job, home) = (self.job, self.job.home[slot]);
        let (size, pitch) = (job.size(home), job.pitch(home) as isize);
        match job.access[home] {
            Access::Direct => {
                let base = job.grid.row(home, tile.run, tile.row);
                let (row, element) = (
                    job.grid.row_step(home),
                    job.grid.element_step(home).expect("elements are evenly spaced"),
                );
                let step = if job.side_by_side { element } else { row };
                (base.wrapping_offset(tile.start as isize * element), step)
            }
            Access::Kept if !job.shared[home].is_null() => {
                let step = if job.side_by_side { pitch } else { size as isize };
                (job.shared[home].wrapping_offset(tile.start as isize * step), pitch)
            }
            Access::Packed if job.is_repeated(home) => (self.memory(home), 0),
            _ => (self.memory(home), pitch),
        }
    }

    /// A stage on the numbers of rows.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run).
    pub(super) unsafe fn once(&self, map: &Map<Code>, rows: usize) {
        let (job, code) = (self.job, &map.kernel);
        let operands = || map.inputs.iter().chain(&map.outputs);
        let sizes: SmallVec<[usize; OPERANDS]> = operands().map(|&slot| job.size(slot)).collect();
        let cursor = |(&slot, &size): (&usize, &usize)| Cursor {
            base: self.memory(slot),
            step: code.lanes() * size,
            row: 0,
        };
        let mut cursors: SmallVec<[Cursor; OPERANDS]> =
            operands().zip(&sizes).map(cursor).collect();
        let pads = self.pads;
        let mut call = Call { code, sizes: &sizes, cursors: &mut cursors, pads, streams: false };
        // SAFETY: there is a number for each row.
        unsafe { call.run(rows) };
    }

    /// Folds the elements of a tile.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run); there must be room for the blocks.
    pub(super) unsafe fn fold(&self, by: Reduction, from: usize, tile: Tile, blocks: &Blocks) {
        if tile.len == 0 {
            return;
        }
        let (base, step) = self.place(from, tile);
        let rows = Rows {
            base,
            rows: tile.rows,
            len: tile.len,
            first: tile.start,
            side_by_side: self.job.side_by_side,
            step,
        };
        // SAFETY: required of the caller.
        unsafe { folder(by, self.job.program.slots[from].dtype).fold(&rows, blocks) };
    }
}

impl Job<'_> {
    /// How many of the stages after one are folds that its code does.
    pub(super) fn folds_of(&self, map: &Map<Code>) -> usize {
        self.apart(map).map_or(0, |apart| apart.folds)
    }

    /// What runs a stage on rows that lie apart, if that is not what runs it on any.
    pub(super) fn apart<'m>(&self, map: &'m Map<Code>) -> Option<&'m Apart<Code>> {
        let apart = map.apart.as_ref().filter(|_| !self.side_by_side);
        apart.filter(|apart| apart.kernel.takes_any_count())
    }

    /// The blocks of folds, one after the other, and bytes of each block.
    pub(super) fn blocks_of(
        &self,
        folds: &[Stage<Code>],
        base: *mut u8,
        tile: Tile,
    ) -> SmallVec<[(Blocks, usize); 2]> {
        let mut base = base;
        let mut all = SmallVec::new();
        for fold in folds {
            let bytes = self.block_bytes(fold, self.grid.len.div_ceil(BLOCK));
            let size = self.block_bytes(fold, 1) / self.tile[0];
            all.push((self.blocks(base, tile), size));
            base = base.wrapping_add(bytes.next_multiple_of(8));
        }
        all
    }

    fn is_repeated(&self, slot: usize) -> bool {
        !self.side_by_side && slot < self.program.inputs && self.grid.repeats_rows(slot)
    }

    /// The blocks of a tile in memory that has room for those of whole rows.
    pub(super) fn blocks(&self, base: *mut u8, tile: Tile) -> Blocks {
        match self.side_by_side {
            true => Blocks { base, row: 1, block: tile.rows },
            false => Blocks { base, row: self.grid.len.div_ceil(BLOCK), block: 1 },
        }
    }

    /// What rows become, of all their blocks.
    ///
    /// # Safety
    ///
    /// The blocks must be there, and room for the numbers of `rows`.
    pub(super) unsafe fn finish(
        &self,
        by: Reduction,
        from: usize,
        blocks: &Blocks,
        rows: usize,
        to: *mut u8,
    ) {
        let dtype = self.program.slots[from].dtype;
        // SAFETY: required of the caller.
        unsafe { folder(by, dtype).finish(blocks, rows, self.grid.len, to) };
    }

    /// The number of elements of each row.
    ///
    /// # Safety
    ///
    /// There must be room for the numbers of `rows`.
    pub(super) unsafe fn count(&self, to: usize, rows: usize, memory: *mut u8) {
        // SAFETY: required of the caller.
        unsafe { count(self.program.slots[to].dtype, self.grid.len, rows, memory) };
    }

    /// How a value reaches the stages.
    pub(super) fn access_of(&self, slot: usize) -> Access {
        let (program, grid) = (&self.program, &self.grid);
        let is_used = program.stages.iter().map(Program::reads_and_writes);
        let is_used = is_used.into_iter().any(|(r, w)| r.contains(&slot) || w.contains(&slot));
        match program.slots[slot].per {
            Per::Row => return Access::Row,
            // Nobody looks at what is only counted.
            Per::Element if !is_used => return Access::Direct,
            Per::Element => {}
        }
        if slot >= program.operands() {
            return Access::Kept;
        }
        let size = self.size(slot) as isize;
        let (row, element) = (grid.row_step(slot), grid.element_step(slot));
        let is_aligned = grid.bases[slot].addr().is_multiple_of(size as usize)
            && grid.kept.iter().chain(&grid.reduced).all(|axis| axis.steps[slot] % size == 0);
        let repeats = !grid.reduced.is_empty() && element == Some(0);
        let is_folded = program
            .stages
            .iter()
            .any(|stage| matches!(stage, Stage::Fold { from, .. } if *from == slot));
        let is_one = if self.side_by_side { repeats && row == 0 } else { repeats };
        if is_one && slot < program.inputs && !is_folded {
            return Access::Splat;
        }
        let fits = match self.side_by_side {
            true => row == size && element.is_some(),
            false => element == Some(size),
        };
        if fits && is_aligned { Access::Direct } else { Access::Packed }
    }
}
