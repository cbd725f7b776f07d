//! Rows that are cut: every stage runs on all of a row, by several threads, before the next one does.

use super::Stage;
use super::grid::Direction;
use super::job::{Folded, Job, Tile, Worker};
use super::scans::Turns;
use super::setup::{Access, Setup};
use super::{PORTIONS, Padding, Program, ROOM, make_room, written_early};
use crate::run::interrupt::goes_on;
use crate::run::layout::OPERANDS;
use crate::run::pack::Vector;
use crate::run::queue::{Queue, Shared};
use crate::run::scan::{FEW, LANES, PER_ELEMENT};
use crate::run::team::{pool_size, share};
use kiln_reduce::{BLOCK, Blocks};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes that are kept of a value of rows that are scanned side by side, where fewer rows can be.
const MOST_KEPT: usize = 16 << 20;

/// Elements of a part of a row.
const CHUNK: usize = 16 * BLOCK;

/// Bytes of a part of rows side by side. Each element of theirs is then a page that is read in order: in parts of
/// 512 KiB, `sum[0](exp(x))` of (4096, 1024) took three times as long.
const PART: usize = 2 << 20;
/// The same of rows so few that an element of theirs is less than a page: with it, and with scratch memory that is
/// kept, the norm of (2000, 64) along its columns took 21 µs on a Zen 4, and 42 before.
const NARROW_PART: usize = 256 << 10;
/// The same where nothing but folds is done, where elements lie: what a part takes by itself, some half a
/// microsecond, was 15 % of the sum of (65536, 64) along its columns in parts of a block.
const FOLD_PART: usize = 1 << 20;
const PAGE: usize = 4 << 10;
/// Tiles of rows side by side that have fewer bytes of an element are narrow: rows are done in parts instead, in
/// the order of memory. Softmax of (4096, 1024) along its columns took 8.8 ms on a Zen 4 in tiles and 3.4 in
/// parts, what is not the largest of its column 2.9 and 1.9.
const NARROW: usize = 1 << 10;

/// The end of the stages that go over the elements of rows together, part by part, from one of them on: folds of what
/// others compute, or of inputs; and scans with what they read and what reads them.
pub(super) fn end_of_pass(stages: &[Stage], at: usize) -> usize {
    let goes_on = |stage: &&Stage| matches!(stage, Stage::Each(_) | Stage::Scan { .. });
    let is_fold = |stage: &&Stage| matches!(stage, Stage::Fold { .. });
    let end = at + stages[at..].iter().take_while(goes_on).count();
    end + stages[end..].iter().take_while(is_fold).count()
}

/// Whether the stages that read or write a slot are all of one pass.
fn is_confined(program: Program<'_>, slot: usize) -> bool {
    let mut pass = None;
    let mut at = 0;
    while at < program.stages.len() {
        let end = end_of_pass(program.stages, at).max(at + 1);
        let uses = |stage: &Stage| {
            let (reads, writes) = Program::reads_and_writes(stage);
            reads.contains(&slot) || writes.contains(&slot)
        };
        if program.stages[at..end].iter().any(uses) && pass.replace(at).is_some() {
            return false;
        }
        at = end;
    }
    true
}

/// Whether what is kept is read by nothing but the pass that computes it: then each part has done with its own.
fn is_passing(program: Program<'_>, setup: &Setup, slot: usize) -> bool {
    let home = setup.home[slot];
    let is_its = |&other: &usize| setup.home[other] == home;
    setup.access[home] == Access::Kept
        && (0..setup.home.len()).filter(is_its).all(|other| is_confined(program, other))
}

/// What rows that are cut need to know, of operands that lie so.
#[derive(Clone, Debug)]
pub(super) struct Long {
    /// Its tiles are parts.
    setup: Setup,
    /// Bytes of each slot whose memory all threads share.
    slots: SmallVec<[usize; OPERANDS]>,
    /// Bytes of the blocks of each stage.
    blocks: SmallVec<[usize; OPERANDS]>,
    /// Elements of a part where nothing is folded but something is scanned: less than what folds have.
    chunk_of_scans: usize,
}

impl Long {
    /// For a call on several threads, or on one.
    fn new(program: Program<'_>, whole: &Setup, is_shared: bool) -> Long {
        let threads = if is_shared { pool_size() } else { 1 };
        let mut setup = whole.clone();
        if !setup.is_in_place {
            // All of what is kept is in memory, so it may as well be where results will be; but not what a part has done
            // with, if it is not folded alone.
            let is_output = |slot: usize| (program.inputs..program.operands()).contains(&slot);
            let has_scans = program.has_scans();
            for (slot, about) in program.slots.iter().enumerate() {
                let is_apart =
                    |&of: &usize| !(has_scans && is_output(of) && is_confined(program, slot));
                setup.home[slot] = about.shares.filter(is_apart).unwrap_or(slot);
            }
            let shares =
                |(slot, &home): (usize, &usize)| home != slot && (!has_scans || is_output(home));
            setup.streams &= !setup.home.iter().enumerate().any(shares);
        }
        let (len, (run, _)) = (setup.grid.len, setup.grid.runs());
        let largest = setup.sizes.iter().copied().max().unwrap_or(1);
        // What is kept is so for all elements; numbers of rows are for all threads.
        setup.whole = (0..program.slots.len())
            .map(|slot| setup.access[slot] == Access::Kept && !is_passing(program, &setup, slot))
            .collect();
        let (rows, chunk) = match setup.side_by_side {
            true if program.has_scans() => {
                let [rows, _] = setup.part_of_scans(program, threads);
                (rows, (PART / largest / rows).next_multiple_of(BLOCK))
            }
            false if program.has_scans() => {
                let [rows, _] = setup.part_of_scans(program, threads);
                let is_much = len.saturating_mul(largest * rows) > MOST_KEPT;
                let rows = match is_much && setup.whole.contains(&true) {
                    true => rows.min(FEW),
                    false => rows,
                };
                (rows, (CHUNK / rows).next_multiple_of(BLOCK))
            }
            true if setup.only_folds_where_elements_lie(program) => {
                let chunk = FOLD_PART / largest / setup.tile[0];
                (setup.tile[0], chunk.next_multiple_of(BLOCK).max(BLOCK))
            }
            true => {
                let rows = (PART / BLOCK / largest).min(run);
                let part = if rows * largest < PAGE { NARROW_PART } else { PART };
                (rows, (part / largest / rows).next_multiple_of(BLOCK))
            }
            false => (1, CHUNK),
        };
        setup.tile = [rows, len];
        let bytes = |slot: usize| {
            let is_there = match setup.access[slot] {
                Access::Row => true,
                Access::Kept => !is_passing(program, &setup, slot),
                _ => false,
            };
            if is_there && setup.home[slot] == slot { setup.bytes(slot) } else { 0 }
        };
        let slots: SmallVec<[usize; OPERANDS]> = (0..program.slots.len()).map(bytes).collect();
        let blocks = (0..program.stages.len())
            .map(|stage| setup.block_bytes(stage, len.div_ceil(BLOCK)))
            .collect();
        setup.tile = [rows, chunk];
        setup.prepare(program, chunk.div_ceil(BLOCK), |slot| slots[slot] > 0);
        let chunk_of_scans = match program.has_scans() {
            true => setup.part_of_scans(program, threads)[1].min(chunk),
            false => chunk,
        };
        Long { setup, slots, blocks, chunk_of_scans }
    }

    /// How many threads have rows of their own, of so many: if one, all of them have parts of the same rows. Parts that
    /// are scanned wait for one another.
    fn teams(&self, program: Program<'_>, threads: usize) -> usize {
        let (run, runs) = self.setup.grid.runs();
        let groups = run.div_ceil(self.setup.tile[0]).saturating_mul(runs);
        let is_scan = |stage: &&Stage| matches!(stage, Stage::Scan { .. });
        let scans = program.stages.iter().filter(is_scan).count() as f64 * PER_ELEMENT;
        let alone = program.cost / groups.min(threads) as f64;
        let together = scans.max(program.cost / threads as f64);
        match scans > 0.0 && alone <= together {
            true => groups.min(threads).max(1),
            false => 1,
        }
    }
}

/// Memory that all threads use.
pub(super) struct Rooms(SmallVec<[Vec<Vector>; OPERANDS]>);

impl Rooms {
    /// Room for so many bytes each.
    pub(super) fn new(bytes: &[usize]) -> Option<Rooms> {
        let room = |bytes: &usize| {
            let mut room = Vec::new();
            room.try_reserve_exact(bytes.div_ceil(size_of::<Vector>())).ok()?;
            Some(room)
        };
        bytes.iter().map(room).collect::<Option<_>>().map(Rooms)
    }

    /// Where each begins; null where there is none.
    pub(super) fn bases(&mut self) -> SmallVec<[*mut u8; OPERANDS]> {
        let base = |room: &mut Vec<Vector>| match room.capacity() {
            0 => std::ptr::null_mut(),
            _ => room.as_mut_ptr().cast(),
        };
        self.0.iter_mut().map(base).collect()
    }
}

impl Job<'_> {
    /// Whether rows are cut, for so many threads: too long for tiles, or too few.
    pub(super) fn is_cut(&self, threads: usize) -> bool {
        let Job { program, setup, .. } = *self;
        let (run, runs) = setup.grid.runs();
        let [rows, len] = setup.tile;
        let tiles = runs.saturating_mul(run.div_ceil(rows));
        let room = setup.room[..program.slots.len()].iter().copied();
        let is_scarce = tiles < 2 * threads
            && match threads > 1 && setup.only_folds_where_elements_lie(program) {
                true => len >= 2 * BLOCK * threads,
                false => len >= 2 * CHUNK * threads,
            };
        let is_large = room.fold(0, usize::saturating_add) > ROOM;
        // Few rows wait for each addition of a scan.
        let is_alone =
            program.has_scans() && !setup.side_by_side && !setup.is_flat && rows < LANES.min(run);
        (len > BLOCK && (is_large || is_scarce || is_alone)) || self.is_wider_in_parts()
    }

    /// Bytes of the elements that so many threads keep of whole rows, which are cut.
    pub(super) fn kept(&self, threads: usize) -> usize {
        let long = Long::new(self.program, self.setup, threads > 1);
        let elements =
            long.slots.iter().zip(&long.setup.access).filter(|(_, way)| **way == Access::Kept);
        let each = elements.fold(0, |all: usize, (&bytes, _)| all.saturating_add(bytes));
        each.saturating_mul(long.teams(self.program, threads))
    }

    /// Whether rows side by side are so long that tiles of them would be narrow, and parts of rows wider.
    fn is_wider_in_parts(&self) -> bool {
        let Job { program, setup, .. } = *self;
        let largest = setup.sizes.iter().copied().max().unwrap_or(1);
        let (tile, all) = (setup.tile[0], setup.grid.runs().0);
        if setup.side_by_side && tile * largest < NARROW && tile < all {
            return !setup.is_in_place || written_early(program).is_empty();
        }
        let is_free =
            |slot: usize| setup.access[slot] != Access::Kept || is_passing(program, setup, slot);
        setup.side_by_side
            && setup.grid.len >= 2 * BLOCK
            && tile < (PART / BLOCK / largest).min(all)
            && (0..program.slots.len()).all(is_free)
    }

    /// Runs the stages on long rows. Returns whether it can.
    ///
    /// # Safety
    ///
    /// As for [`RowCode::run`](super::RowCode::run).
    pub(super) unsafe fn execute_long(self, threads: usize) -> bool {
        let program = self.program;
        if self.setup.is_in_place && !written_early(program).is_empty() {
            return false;
        }
        let long = self.setup.long[usize::from(threads > 1)]
            .get_or_init(|| Box::new(Long::new(program, self.setup, threads > 1)));
        let Long { setup, slots, blocks, chunk_of_scans } = &**long;
        let teams = long.teams(program, threads);
        let room = |_| Some((Rooms::new(slots)?, Rooms::new(blocks)?));
        let Some(mut rooms) = (0..teams).map(room).collect::<Option<Vec<(Rooms, Rooms)>>>() else {
            return false;
        };
        let bases: Vec<_> =
            rooms.iter_mut().map(|(slots, blocks)| (slots.bases(), blocks.bases())).collect();
        let (run, runs) = setup.grid.runs();
        let ([rows, chunk], len) = (setup.tile, setup.grid.len);
        let chunks = [chunk, *chunk_of_scans];
        let groups = run.div_ceil(rows);
        let tile = |index: usize| {
            let row = index % groups * rows;
            Tile { run: index / groups, row, rows: rows.min(run - row), start: 0, len }
        };
        let all = groups.saturating_mul(runs);
        if teams < 2 {
            let (shared, blocks) = &bases[0];
            let job = Job { setup, shared, ..self };
            // SAFETY: required of the caller.
            (0..all).for_each(|index| unsafe { job.stages(tile(index), chunks, blocks, threads) });
            return true;
        }
        let (queue, next) = (Queue::new(all, 1), AtomicUsize::new(0));
        let work = Shared(|()| {
            let (shared, blocks) = &bases[next.fetch_add(1, Ordering::Relaxed)];
            let job = Job { setup, shared, ..self };
            while let Some(indices) = queue.take() {
                // SAFETY: as above; no other thread has these rows, or this memory.
                indices.for_each(|index| unsafe { job.stages(tile(index), chunks, blocks, 1) });
            }
        });
        let run_all = work.get();
        let shared = Shared(run_all);
        share(teams, &|| shared.get()(()));
        true
    }

    /// All stages on whole rows.
    ///
    /// # Safety
    ///
    /// As for [`execute_long`](Job::execute_long).
    unsafe fn stages(&self, tile: Tile, chunks: [usize; 2], blocks: &[*mut u8], threads: usize) {
        let program = self.program;
        let mut pads = Padding::new();
        let pads = make_room(&mut pads, self);
        let mut worker = Worker::new(*self, pads);
        worker.seek(tile);
        let rows = |slot: &usize| self.setup.access[*slot] == Access::Row;
        // SAFETY: required of the caller.
        unsafe {
            for slot in (0..program.inputs).filter(rows) {
                worker.copy(slot, tile, Direction::Gather);
            }
            let mut at = 0;
            while at < program.stages.len() {
                match &program.stages[at] {
                    Stage::Once(_) => worker.once(at, tile.rows),
                    Stage::Count { to } => worker.count(*to, tile.rows),
                    Stage::Each(_) | Stage::Fold { .. } | Stage::Scan { .. } => {
                        let end = end_of_pass(program.stages, at);
                        let is_fold = |stage: &Stage| matches!(stage, Stage::Fold { .. });
                        let chunk =
                            chunks[usize::from(!program.stages[at..end].iter().any(is_fold))];
                        self.pass(at..end, tile, chunk, blocks, threads);
                        for (stage, &base) in (at..end).zip(&blocks[at..end]) {
                            worker.finish(stage, &self.blocks(base, tile), tile.rows);
                        }
                        at = end;
                        continue;
                    }
                }
                at += 1;
            }
            for slot in (program.inputs..program.operands()).filter(rows) {
                worker.copy(slot, tile, Direction::Scatter);
            }
        }
    }

    /// Some stages on the elements of whole rows, part by part.
    ///
    /// # Safety
    ///
    /// As for [`execute_long`](Job::execute_long).
    unsafe fn pass(
        &self,
        stages: std::ops::Range<usize>,
        tile: Tile,
        chunk: usize,
        blocks: &[*mut u8],
        threads: usize,
    ) {
        let program = self.program;
        let setup = self.setup;
        let is_packed = |slot: &usize| setup.access[*slot] == Access::Packed;
        let (mut read, mut written): (SmallVec<[usize; OPERANDS]>, SmallVec<[usize; OPERANDS]>) =
            (SmallVec::new(), SmallVec::new());
        for stage in &program.stages[stages.clone()] {
            let (reads, writes) = Program::reads_and_writes(stage);
            let homes = |slots: &[usize]| -> SmallVec<[usize; OPERANDS]> {
                slots.iter().map(|&slot| setup.home[slot]).filter(is_packed).collect()
            };
            // What a stage of this pass computes is there.
            read.extend(homes(reads).into_iter().filter(|slot| !written.contains(slot)));
            written.extend(homes(writes));
        }
        let turns = Turns::new(setup, stages.clone(), tile.rows);
        let this = Shared((self, blocks));
        let part = |worker: &mut Worker<'_>, index: usize| {
            let (job, blocks) = *this.get();
            let start = index * chunk;
            let part = Tile { start, len: chunk.min(tile.len - start), ..tile };
            let blocks_of = |stage: usize| {
                let Blocks { base, row, block } = job.blocks(blocks[stage], tile);
                let size = job.setup.block_size(stage);
                let base = base.wrapping_add(start / BLOCK * block * size);
                (Blocks { base, row, block }, size)
            };
            worker.seek(part);
            let begun = turns.begin();
            // SAFETY: parts are disjoint, and each packs what it needs; the caller vouches for the rest.
            unsafe {
                read.iter().for_each(|&slot| worker.copy(slot, part, Direction::Gather));
                let mut folded = stages.start;
                for stage in stages.clone() {
                    match &program.stages[stage] {
                        Stage::Each(_) => {
                            folded = stage + 1 + job.setup.launches[stage].folds;
                            let blocks: Folded = (stage + 1..folded).map(blocks_of).collect();
                            worker.each(stage, part, &blocks);
                        }
                        Stage::Fold { .. } if stage < folded => {}
                        Stage::Fold { .. } => worker.fold(stage, part, &blocks_of(stage).0),
                        Stage::Scan { .. } => turns.take(stage, index, |states| {
                            worker.scan(stage, part, Some(states));
                        }),
                        Stage::Once(_) | Stage::Count { .. } => {}
                    }
                }
                written.iter().for_each(|&slot| worker.copy(slot, part, Direction::Scatter));
            }
            begun.done();
        };
        let parts = tile.len.div_ceil(chunk);
        let work = |take: &mut dyn FnMut() -> Option<std::ops::Range<usize>>| {
            let (job, _) = *this.get();
            let mut pads = Padding::new();
            let pads = make_room(&mut pads, job);
            let mut worker = Worker::new(*job, pads);
            while let Some(parts) = take() {
                parts.take_while(|_| goes_on()).for_each(|index| part(&mut worker, index));
            }
        };
        if threads < 2 || parts < 2 {
            let mut all = Some(0..parts);
            work(&mut || all.take());
        } else {
            // Parts that are scanned wait for one another.
            let portion = if turns.are_none() { parts.div_ceil(threads * PORTIONS) } else { 1 };
            let queue = Queue::new(parts, portion);
            share(threads, &|| work(&mut || queue.take()));
        }
    }
}
