//! A row kernel as one call: the loop over rows is inside its code.

use super::Stage;
use super::deferred::Deferred;
use super::job::{self, At, Job};
use super::late::{self, Lag};
use super::realigned::Realigned;
use super::setup::{Access, Setup};
use super::stage::Cursors;
use super::{LINE, Program, ROOM};
use crate::lower::rows::{Per, RowSweep};
use crate::run::layout::OPERANDS;
use crate::run::pack::Scratch;
use crate::run::stream;
use kiln_ir::Reduction;
use kiln_jit::emit::{Code, Cursor, EmitterKind, MOST_ROWS, Tile, fence, many_rows};
use kiln_jit::vir::{STRIPE_BYTES, Sweep};

use kiln_reduce::count;
use smallvec::SmallVec;
use std::ptr;

/// Bytes of the number of elements of a row.
pub(super) const COUNT: usize = 8;
/// Bytes of one operand's rows that are worked on at a time: while one waits for its numbers, the next one
/// is computed, but all stay in L1.
const BYTES_AT_A_TIME: usize = 8 << 10;
/// The same for rows, up to twice as long as these, whose numbers take longer to wait for than it takes to read more
/// of them: layer norm of (16384, 256) took .22 ns an element on a Zen 4, and .19 with twice as many; softmax .308 and
/// .294, of (32768, 128) .320 and .311, of (600, 128) .296 and .299.
const MORE_AT_A_TIME: usize = 16 << 10;
pub(super) const WAITING: usize = 512;
/// The same where rows come from afar and results go there through the caches: the sooner steps take turns, the less
/// memory waits for one that asks it for nothing. On a Xeon 6, of (65536, 64) softmax takes .37 ns an element with 8 KiB
/// and .33 so, layer norm .33 and .30; of (16384, 256) .36 and .29, .32 and .29 (with 16 KiB and so).
const LESS_AT_A_TIME: usize = 4 << 10;
/// Rows at a time where these are not [many](many_rows): layer norm of (32768, 128) takes .284 ns an element with 4 and
/// .319 with 8, softmax .292 and .298.
const ONE_BY_ONE: usize = 4;

/// Rows that begin between lines of memory are computed elsewhere and copied past the caches, if at least so
/// many are worked on at a time: else the first elements of each row are stored by themselves.
const FEW: usize = 4;
/// Vectors that a loop takes at a time, at most in most.
const MOST_VECTORS: usize = 4;
/// Tiles that follow one another from which on rows are realigned: the first goes through the caches.
pub(super) const LEAST_TILES: usize = 8;

/// When a sweep is what runs a row kernel. No choice changes a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweeps {
    WhereItPays,
    /// For tests.
    Always,
    /// The same, and [late](super::late) where it can be.
    Late,
    Never,
}

/// How results are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stores {
    /// Through the caches.
    Through,
    /// Past them.
    Past,
    /// Past them, in lines of memory that rows need not begin at.
    Realigned,
    /// Elsewhere, and copied past them.
    Copied,
}

/// The call of a sweep, as far as it is the same for all rows.
#[derive(Clone, Debug)]
pub(super) struct Sweeping {
    /// Cursors without their bases.
    pub(super) cursors: SmallVec<[Cursor; OPERANDS]>,
    /// The slot of each that is an operand.
    slots: SmallVec<[Option<usize>; OPERANDS]>,
    /// Whether results bypass the caches, where they lie so that they can.
    pub(super) streams: bool,
    /// Whether they may be computed elsewhere, and copied past the caches: rows are one after the other.
    pub(super) can_copy: bool,
    /// Whether they may be realigned: the same, and what waits is of one row.
    pub(super) can_realign: bool,
    /// Whether rows end in elements that are fewer than a loop may take at a time: these go through the caches, next to
    /// lines that do not, which takes long. Softmax of (4096, 1008) takes .35 ns an element so on a Zen 4.
    pub(super) has_rest: bool,
    /// How many rows at a time. The memory of the next ones is asked for, wherever it is: of (512, 1024), which the
    /// third-level cache holds, layer norm takes .94 of the time on a Zen 4.
    pub(super) tile: Tile,
    /// Whether rows are finished late.
    pub(super) is_late: bool,
}

// SAFETY: cursors have no bases.
unsafe impl Send for Sweeping {}
// SAFETY: as above.
unsafe impl Sync for Sweeping {}

impl Sweeping {
    /// The call of a program's sweep on operands that lie as `setup` says, if it can be.
    pub(super) fn new(program: Program<'_>, setup: &Setup) -> Option<Sweeping> {
        let RowSweep { kernel: code, inputs, outputs, left, .. } = program.sweep?;
        let is_direct = |&slot: &usize| {
            let is_element = program.slots[slot].per == Per::Element;
            !is_element || setup.access[slot] == Access::Direct
        };
        let kept = || code.kept().iter().map(|storage| storage.size());
        let kept_bytes: usize = kept().sum();
        let fits = !setup.side_by_side
            && !setup.is_flat
            && setup.grid.len > 0
            && pays(program, setup, setup.is_large)
            && setup.grid.len.saturating_mul(kept_bytes) <= ROOM
            && inputs.iter().filter(|&&slot| slot < program.inputs).all(is_direct)
            && outputs.iter().all(is_direct);
        if !fits {
            return None;
        }
        let row = row_bytes(setup).max(1);
        let bytes = match row {
            _ if setup.is_large && !setup.bypasses => LESS_AT_A_TIME,
            WAITING.. if row <= 2 * WAITING => MORE_AT_A_TIME,
            _ => BYTES_AT_A_TIME,
        };
        let most = match (bytes / row).clamp(1, MOST_ROWS) {
            few if bytes == LESS_AT_A_TIME && few < many_rows(code.lanes()) => few.min(ONE_BY_ONE),
            most => most,
        };
        let is_dense = |&slot: &usize| {
            setup.grid.row_step(slot) == (setup.grid.len * setup.sizes[slot]) as isize
        };
        let writes = setup.bypasses && !outputs.is_empty();
        let is_dense = writes && outputs.iter().all(is_dense);
        let can_copy = is_dense && most >= FEW;
        let can_realign = is_dense
            && program.sweep.is_some_and(|sweep| sweep.realigned.is_some())
            && code.emitter() == EmitterKind::Avx512
            && outputs.iter().all(|&slot| setup.grid.len * setup.sizes[slot] >= LINE)
            && setup.grid.runs().0 >= LEAST_TILES * most;
        let comes_with_rows = writes && !setup.streams && !can_copy && !can_realign;
        // One by one, short rows take longer than stage by stage.
        if comes_with_rows && most >= FEW && program.sweeps == Sweeps::WhereItPays {
            return None;
        }
        // Lines of results that come through the caches come with their rows.
        let rows = if comes_with_rows { 1 } else { most };
        let mut sweeping = Sweeping {
            cursors: SmallVec::new(),
            slots: SmallVec::new(),
            streams: setup.streams,
            can_copy,
            can_realign,
            has_rest: !setup.grid.len.is_multiple_of(code.lanes() * MOST_VECTORS),
            tile: Tile { rows, ahead: rows, results: setup.is_large },
            is_late: late::pays(program, setup, rows),
        };
        for (index, &slot) in inputs.iter().enumerate() {
            let vector = code.lanes() * setup.sizes[slot];
            let step = if code.is_scalar(index) { 0 } else { vector };
            let slot = Some(slot).filter(|&slot| slot < program.inputs);
            sweeping.push(setup, slot, step);
        }
        for &slot in outputs.iter().chain(left) {
            sweeping.push(setup, Some(slot), 0);
        }
        for size in kept() {
            sweeping.push(setup, None, code.lanes() * size);
            let row = pitch(setup.grid.len, size) as isize;
            sweeping.cursors.last_mut().expect("it was pushed").row = row;
        }
        Some(sweeping)
    }

    fn push(&mut self, setup: &Setup, slot: Option<usize>, step: usize) {
        let row = slot.map_or(0, |slot| setup.grid.row_step(slot));
        self.cursors.push(Cursor { base: ptr::null_mut(), step, row });
        self.slots.push(slot);
    }

    /// Whether it runs on operands that begin here.
    pub(super) fn fits(&self, program: Program<'_>, bases: &[*mut u8]) -> bool {
        !self.streams || self.can_copy || self.can_realign || self.are_even(program, bases)
    }

    /// Whether all rows of results begin as far from a line of memory: only vectors that lie in one bypass the
    /// caches.
    fn are_even(&self, program: Program<'_>, bases: &[*mut u8]) -> bool {
        let mut first = None;
        self.results(program).all(|(slot, cursor)| {
            let offset = bases[slot].addr() % LINE / program.slots[slot].dtype.size();
            *first.get_or_insert(offset) == offset && cursor.row.unsigned_abs().is_multiple_of(LINE)
        })
    }

    /// How results of such operands are stored. Only rows that begin where lines do can bypass the caches as they are.
    pub(super) fn stores(&self, program: Program<'_>, bases: &[*mut u8]) -> Stores {
        let is_aligned = |(slot, _): (usize, &Cursor)| bases[slot].addr().is_multiple_of(LINE);
        let is_whole = |(slot, _): (usize, &Cursor)| {
            bases[slot].addr().is_multiple_of(program.slots[slot].dtype.size())
        };
        let is_direct =
            self.streams && self.are_even(program, bases) && self.results(program).all(is_aligned);
        match self.streams {
            _ if is_direct && !(self.can_realign && self.has_rest) => Stores::Past,
            _ if self.can_realign && self.results(program).all(is_whole) => Stores::Realigned,
            _ if self.can_copy => Stores::Copied,
            true => Stores::Past,
            false => Stores::Through,
        }
    }

    /// The slot of each result that has elements, with its cursor.
    fn results(&self, program: Program<'_>) -> impl Iterator<Item = (usize, &Cursor)> {
        let slots = self.slots.iter().zip(&self.cursors);
        let is_result =
            move |slot: usize| slot >= program.inputs && program.slots[slot].per == Per::Element;
        slots
            .filter_map(|(slot, cursor)| slot.map(|slot| (slot, cursor)))
            .filter(move |(slot, _)| is_result(*slot))
    }
}

/// Bytes from one row that is kept to the next. Where rows are a power of two apart, a column has only one
/// set of a cache.
pub(super) fn pitch(len: usize, size: usize) -> usize {
    (len * size).next_multiple_of(LINE) + LINE
}

/// Whether a sweep takes less time than stage by stage, for operands larger than the caches or others.
/// Nanoseconds for an `f32` of one and the other, on a Zen 4 with AVX-512:
///
/// | | softmax | layer norm | RMS norm |
/// |---|---|---|---|
/// | past the caches, (131072, 32) | .74 .73 | .78 .68 | .39 .46 |
/// | (65536, 64) | .34 .39 | .27 .30 | .16 .19 |
/// | (43690, 96) | .49 .55 | .39 .34 | .24 .25 |
/// | (32768, 128) | .37 .54 | .27 .30 | .18 .21 |
/// | (16384, 256) | .33 .37 | .24 .26 | .15 .18 |
/// | (4096, 1024) | .28 .38 | .18 .27 | .14 .19 |
/// | (1024, 4096) | .31 .40 | .18 .28 | .14 .19 |
/// | (256, 16384) | .38 .41 | | |
/// | (64, 65536) | .41 .39 | .26 .27 | .19 .21 |
/// | in them, (30, 64) | .46 .59 | .41 .58 | .28 .35 |
/// | (256, 64) | .34 .34 | .27 .29 | .16 .16 |
/// | (600, 128) | .34 .33 | .25 .25 | .15 .14 |
/// | (2000, 256) | .33 .30 | .23 .23 | .14 .14 |
/// | (600, 768) | .32 .32 | .20 .23 | .12 .15 |
/// | (100, 4096) | .33 .31 | .18 .22 | .10 .14 |
/// | (4, 1024) | .35 .43 | .26 .33 | .18 .23 |
///
/// Of kernels that leave nothing but numbers, whose stages find in L2 what the one before read:
///
/// | | log-sum-exp | variance |
/// |---|---|---|
/// | (131072, 32) | .69 .59 | .62 .50 |
/// | (65536, 64) | .28 .30 | .16 .19 |
/// | (43690, 96) | .43 .41 | .29 .25 |
/// | (262144, 128) | .32 .32 | .22 .22 |
/// | (2000, 256) | .28 .26 | .16 .14 |
/// | (4096, 1024) | .25 .28 | .12 .12 |
/// | (1024, 4096) | .26 .27 | .13 .13 |
/// | (64, 65536) | .26 .27 | .13 .13 |
/// | (4, 1024) | .30 .44 | .18 .32 |
///
/// Where results go to a cache that is far, on a Xeon 6:
///
/// | | softmax | log-softmax | layer norm | RMS norm |
/// |---|---|---|---|---|
/// | (52428, 80) | .42 .44 | | .45 .42 | .29 .39 |
/// | (43690, 96) | .39 .43 | .47 .46 | .42 .40 | .29 .38 |
/// | (41943, 100) | .49 .50 | .55 .53 | .49 .46 | .29 .41 |
/// | (33288, 126) | .42 .48 | | .45 .44 | |
///
/// With AVX2, of which rows of 64 are one iteration in layer norm only, (65536, 64) is .51 .56 and .25 .30,
/// (32768, 128) .48 .53 and .31 .33. A row waits for its own numbers, and few have little to do meanwhile. Rows
/// that are kept and leave L2 are read as often either way.
pub(super) fn pays(program: Program<'_>, setup: &Setup, is_large: bool) -> bool {
    const FEW: f64 = 2048.0;
    const FEW_TILES: f64 = 16384.0;
    let is_extreme =
        |stage: &Stage| matches!(stage, Stage::Fold { by, .. } if *by != Reduction::Sum);
    let folds = program.stages.iter().filter(|stage| matches!(stage, Stage::Fold { .. })).count();
    let has_extremes = program.stages.iter().any(is_extreme);
    let (elements, row) = (setup.elements(), row_bytes(setup));
    let keeps = program.sweep.is_some_and(|sweep| !sweep.kernel.kept().is_empty());
    let only_numbers = program.sweep.is_some_and(|sweep| sweep.outputs.is_empty());
    match is_large {
        _ if setup.side_by_side || setup.is_flat || program.sweep.is_none() => false,
        _ if program.sweeps != Sweeps::WhereItPays => {
            [Sweeps::Always, Sweeps::Late].contains(&program.sweeps)
        }
        _ if elements <= FEW => true,
        // Code has a loop of its own for these.
        _ if row == STRIPE_BYTES => is_large || only_numbers || elements <= FEW_TILES,
        _ if only_numbers => row >= 2 << 10,
        // Stage by stage, results wait for one another on their way to a cache that is far.
        true if row < WAITING => {
            let is_far = setup.is_large && !setup.bypasses;
            let is_long = row >= STRIPE_BYTES + LINE;
            is_far && is_long && (folds == 1 || late::pays(program, setup, 1))
        }
        true if keeps && !late::pays(program, setup, 1) => (512..=64 << 10).contains(&row),
        true => (512..=256 << 10).contains(&row),
        false if late::pays(program, setup, 1) => row >= 1 << 10,
        false => row >= 2 << 10 && (!has_extremes || elements <= FEW_TILES),
    }
}

/// Bytes of a row of the largest elements.
pub(super) fn row_bytes(setup: &Setup) -> usize {
    let largest = setup.sizes.iter().copied().max().unwrap_or(1);
    setup.grid.len.saturating_mul(largest)
}

/// Runs a sweep, on one thread.
pub(super) struct Sweeper<'a> {
    job: Job<'a>,
    code: &'a Code,
    sweeping: &'a Sweeping,
    /// How results are stored.
    stores: Stores,
    /// The number of elements of a row, then each row that is kept, then results that are copied.
    scratch: Scratch,
    /// What stores results that are realigned.
    realigned: Option<Realigned<'a>>,
    /// What finishes rows late, if that is how it is done.
    lag: Option<Lag<'a>>,
}

impl<'a> Sweeper<'a> {
    pub(super) fn new(
        job: Job<'a>,
        sweep: &'a RowSweep<Code, Deferred<Sweep>>,
        sweeping: &'a Sweeping,
    ) -> Sweeper<'a> {
        let len = job.setup.grid.len;
        let kept = sweep.kernel.kept().iter();
        let kept = kept.map(|storage| sweeping.tile.rows * pitch(len, storage.size()));
        let counts = sweep.inputs.iter().filter(|&&slot| slot >= job.program.inputs);
        let realigned = || sweep.realigned.as_ref().and_then(Deferred::code);
        let (stores, realigned) = match sweeping.stores(job.program, job.bases) {
            Stores::Realigned => match realigned() {
                None => (Stores::Through, None),
                code => (Stores::Realigned, code),
            },
            stores => (stores, None),
        };
        let results = sweep.outputs.iter().filter(|_| stores == Stores::Copied);
        let results = results.map(|&slot| sweeping.tile.rows * len * job.setup.sizes[slot]);
        let room = counts.clone().map(|_| COUNT).chain(kept).chain(results);
        let scratch = Scratch::new(room);
        for (index, &slot) in counts.enumerate() {
            // SAFETY: there is room for a number of any type.
            unsafe { count(job.program.slots[slot].dtype, len, 1, scratch.of(index)) };
        }
        let realigned = realigned.map(|code| Realigned::new(job, code, &sweep.outputs));
        let lag = Lag::new(job, sweep, sweeping, stores);
        Sweeper { job, code: &sweep.kernel, sweeping, stores, scratch, realigned, lag }
    }

    /// All steps on the rows of a tile, which are whole, but for what is left to [`finish`](Sweeper::finish).
    ///
    /// # Safety
    ///
    /// The tile must be one of the job's, and nothing else may use its elements of outputs.
    pub(super) unsafe fn run(&mut self, tile: job::Tile) {
        let rest = tile.rows % self.sweeping.tile.rows;
        let whole = job::Tile { rows: tile.rows - rest, ..tile };
        let last = job::Tile { row: tile.row + whole.rows, rows: rest, ..tile };
        // SAFETY: required of the caller.
        unsafe {
            let begins = self.lag.as_mut().is_some_and(|lag| lag.begin(whole));
            self.run_at_once(if begins { last } else { tile });
        }
    }

    /// Finishes rows that were left.
    ///
    /// # Safety
    ///
    /// As for [`run`](Sweeper::run).
    pub(super) unsafe fn finish(&mut self) {
        if let Some(lag) = &mut self.lag {
            // SAFETY: required of the caller.
            unsafe { lag.finish() };
        }
        if let Some(realigned) = &mut self.realigned {
            // SAFETY: as above.
            unsafe { realigned.finish() };
        }
    }

    /// All steps on the rows of a tile.
    ///
    /// # Safety
    ///
    /// As for [`run`](Sweeper::run).
    unsafe fn run_at_once(&mut self, tile: job::Tile) {
        if tile.rows == 0 {
            return;
        }
        let at = At { run: tile.run, row: tile.row };
        let mut own = 0..;
        let mut cursors = Cursors::new();
        for (cursor, slot) in self.sweeping.cursors.iter().zip(&self.sweeping.slots) {
            let base = match *slot {
                Some(slot) => self.job.place(slot, at),
                None => self.scratch.of(own.next().expect("there is no end")),
            };
            cursors.push(Cursor { base, ..*cursor });
        }
        let (job::Tile { rows, len, .. }, at_a_time) = (tile, self.sweeping.tile);
        // SAFETY: required of the caller; what is kept has room for the rows at a time.
        unsafe {
            match self.stores {
                Stores::Copied => self.run_and_copy(rows, len, &cursors),
                Stores::Realigned => self.run_realigned(rows, at, &mut cursors),
                Stores::Past => self.code.call_tiles_streaming(rows, at_a_time, len, &mut cursors),
                Stores::Through => self.code.call_tiles(rows, at_a_time, len, &mut cursors),
            }
        }
    }

    /// All steps on rows whose results are realigned, but for the first ones if they do not follow others.
    ///
    /// # Safety
    ///
    /// As for [`run`](Sweeper::run); the cursors must be at these rows.
    unsafe fn run_realigned(&mut self, rows: usize, at: At, cursors: &mut [Cursor]) {
        let (tile, len) = (self.sweeping.tile, self.job.setup.grid.len);
        let Some(realigned) = &mut self.realigned else { unreachable!("there is code for it") };
        let first = if realigned.is_at(at) { 0 } else { rows.min(tile.rows) };
        // SAFETY: required of the caller.
        unsafe {
            if first > 0 {
                let mut cursors = Cursors::from_slice(cursors);
                self.code.call_tiles(first, tile, len, &mut cursors);
                realigned.go_on(At { row: at.row + first, ..at });
            }
            let kept = cursors.len() - self.code.kept().len();
            for cursor in &mut cursors[..kept] {
                cursor.base = cursor.base.wrapping_offset(first as isize * cursor.row);
            }
            realigned.call(rows - first, tile, cursors);
        }
    }

    /// All steps on rows whose results are copied, as many as are worked on at a time in each call.
    ///
    /// # Safety
    ///
    /// As for [`run`](Sweeper::run); the cursors must be at these rows.
    unsafe fn run_and_copy(&self, rows: usize, len: usize, at: &[Cursor]) {
        // Where they are computed is in a cache.
        let at_a_time = Tile { results: false, ..self.sweeping.tile };
        let (inputs, outputs) = (self.code.inputs().len(), self.code.outputs().len());
        let results = inputs..inputs + outputs;
        let numbers = results.end..results.end + self.code.folds().len();
        let first_result = self.scratch.operands() - outputs;
        for first in (0..rows).step_by(at_a_time.rows) {
            let here = at_a_time.rows.min(rows - first);
            let later = |cursor: &Cursor| cursor.base.wrapping_offset(first as isize * cursor.row);
            let place = |(index, cursor): (usize, &Cursor)| {
                let base = match index {
                    _ if index < inputs || numbers.contains(&index) => later(cursor),
                    _ if results.contains(&index) => self.scratch.of(first_result + index - inputs),
                    _ => cursor.base,
                };
                Cursor { base, ..*cursor }
            };
            let mut cursors: Cursors = at.iter().enumerate().map(place).collect();
            // SAFETY: required of the caller; results have room for the rows at a time, one after the other
            // as where they go.
            unsafe {
                self.code.call_tiles(here, at_a_time, len, &mut cursors);
                for (index, cursor) in results.clone().zip(&at[results.clone()]) {
                    let from = self.scratch.of(first_result + index - inputs);
                    stream::copy(later(cursor), from, here * cursor.row.unsigned_abs());
                }
            }
        }
    }
}

impl Drop for Sweeper<'_> {
    fn drop(&mut self) {
        if self.stores != Stores::Through {
            fence();
        }
    }
}
