//! Rows that are finished late: together with those after them.

use super::deferred::Deferred;
use super::job::{At, Job, Tile};
use super::realigned::Realigned;
use super::setup::Setup;
use super::stage::Cursors;
use super::sweep::{COUNT, Stores, Sweeping, Sweeps, pitch, row_bytes};
use super::{LINE, Program};
use crate::lower::rows::{Earlier, Late, RowSweep};
use crate::run::pack::Scratch;
use kiln_jit::emit::{Code, Cursor};
use kiln_jit::vir::Sweep;
use kiln_reduce::count;
use std::ptr;

/// Tiles from which on it pays: the last one of each thread is computed twice.
const FEW_TILES: f64 = 32.0;

/// Tiles of a call. Their numbers lie one after the other.
const TILES: usize = 32;

/// Instructions of the step that finishes rows from which on it pays for rows of any length, and bytes of a row from
/// which on it pays for all.
const MUCH: usize = 16;
const LONG: usize = 64 << 10;

/// Whether a sweep finishes rows late, so many at a time. They may lie where an input does, which is read until they are
/// finished; but numbers that are left there would be written before the last step reads what was.
///
/// Nanoseconds for an `f32` on a Zen 4 with AVX-512, at once and late:
///
/// | | softmax | log-softmax | layer norm | RMS norm |
/// |---|---|---|---|---|
/// | past the caches, (32768, 128) | .32 .27 | | .23 .22 | .149 .165 |
/// | (16384, 256) | .32 .25 | .29 .25 | .185 .188 | .148 .158 |
/// | (4096, 1024) | .27 .24 | .27 .25 | .166 .162 | .144 .150 |
/// | (1024, 4096) | .27 .23 | | .164 .171 | .142 .144 |
/// | (256, 16384) | | | .24 .20 | |
/// | (64, 65536) | .35 .24 | .35 .24 | .26 .20 | .19 .16 |
/// | in them, (300, 512) | .28 .24 | .31 .25 | | |
/// | (100, 4096) | .28 .24 | .32 .24 | | |
///
/// With AVX2, softmax of (4096, 1024) takes .38 and .37, of (64, 65536) .45 and .37.
pub(super) fn pays(program: Program<'_>, setup: &Setup, rows: usize) -> bool {
    let (run, runs) = setup.grid.runs();
    let Some(late) = program.sweep.and_then(|sweep| sweep.late.as_ref()) else { return false };
    let tiles = run as f64 * runs as f64 / rows as f64;
    let row = row_bytes(setup);
    let pays = tiles >= FEW_TILES && (late.work >= MUCH || row >= LONG);
    // What is read of rows, and of those before and after them, must stay in L2: layer norm with two weights of
    // (64, 65536) took .36 ns an element, and takes .26 at once.
    let kernel = late.kernel.kernel();
    let is_element = |&input: &usize| !kernel.is_scalar(input);
    let elements = (0..kernel.inputs.len()).filter(is_element).count();
    let near = 1 + elements + kernel.kept.len();
    let pays = pays && row.saturating_mul(near) / 3 <= program.near / 2;
    let is_told = program.sweeps == Sweeps::Late;
    let may = is_told || (pays && program.sweeps == Sweeps::WhereItPays);
    may && !setup.numbers_are_in_place && run >= rows
}

/// Bytes that a thread needs for whole rows that are long: those that are kept, and results of no rows.
pub(super) fn room(program: Program<'_>, setup: &Setup, rows: usize) -> usize {
    let Some(sweep) = program.sweep.filter(|_| row_bytes(setup) >= LONG) else { return 0 };
    let kept = sweep.kernel.kept().iter().map(|storage| storage.size());
    let sizes = kept.chain(sweep.outputs.iter().map(|&slot| setup.sizes[slot]));
    sizes.map(|size| rows * pitch(setup.grid.len, size)).sum()
}

/// Runs a sweep that is late, on one thread.
pub(super) struct Lag<'a> {
    job: Job<'a>,
    late: &'a Late<Deferred<Sweep>>,
    code: &'a Code,
    sweep: &'a RowSweep<Code, Deferred<Sweep>>,
    sweeping: &'a Sweeping,
    /// The number of elements of a row for each input that is that, rows that are kept, numbers of the rows before
    /// and of those of a call, results of no rows, and numbers that are results already.
    scratch: Scratch,
    /// How results are stored.
    stores: Stores,
    /// What stores them so, if they are realigned.
    realigned: Option<Realigned<'a>>,
    /// The rows that are not finished.
    before: Option<At>,
}

impl<'a> Lag<'a> {
    /// For results that are stored so, if there is code for that.
    pub(super) fn new(
        job: Job<'a>,
        sweep: &'a RowSweep<Code, Deferred<Sweep>>,
        sweeping: &'a Sweeping,
        stores: Stores,
    ) -> Option<Lag<'a>> {
        let late = sweep.late.as_ref().filter(|_| sweeping.is_late && stores != Stores::Copied)?;
        let realigned = match stores {
            Stores::Realigned => {
                Some(Realigned::new(job, late.realigned.as_ref()?.code()?, &sweep.outputs))
            }
            _ => None,
        };
        let code = late.kernel.code()?;
        debug_assert_eq!(code.lanes(), sweep.kernel.lanes());
        let (rows, len) = (sweeping.tile.rows, job.setup.grid.len);
        let counts = sweep.inputs.iter().map(|_| COUNT);
        let kept = code.kept().iter().map(|storage| rows * pitch(len, storage.size()));
        let numbers = late.numbers.iter().map(|storage| rows * (1 + TILES) * storage.size());
        let results = sweep.outputs.iter().map(|&slot| rows * pitch(len, job.setup.sizes[slot]));
        let left = sweep.left.iter().map(|&slot| rows * job.setup.sizes[slot]);
        let room = counts.chain(kept).chain(numbers).chain(results).chain(left);
        let scratch = Scratch::new(room);
        for (index, &slot) in sweep.inputs.iter().enumerate() {
            if slot >= job.program.inputs {
                // SAFETY: there is room for a number of any type.
                unsafe { count(job.program.slots[slot].dtype, len, 1, scratch.of(index)) };
            }
        }
        let before = None;
        Some(Lag { job, late, code, sweep, sweeping, scratch, stores, realigned, before })
    }

    /// Begins the rows of a tile, as many as are worked on at a time or a multiple of that, and finishes those before
    /// the last of them. Returns whether it could: stores that bypass the caches need whole lines.
    ///
    /// # Safety
    ///
    /// The rows must be of the job's, and nothing else may use their elements of outputs before they are finished.
    pub(super) unsafe fn begin(&mut self, tile: Tile) -> bool {
        let mut outputs = self.sweep.outputs.iter();
        let first = At { run: tile.run, row: tile.row };
        if self.stores == Stores::Past && !outputs.all(|&slot| self.is_aligned(slot, first)) {
            return false;
        }
        let rows = self.sweeping.tile.rows;
        let mut done = 0;
        while done < tile.rows {
            let here = At { row: tile.row + done, ..first };
            let follows = self
                .before
                .is_some_and(|before| before.run == here.run && before.row + rows == here.row);
            let is_many = follows && self.goes_on();
            let count = if is_many { (tile.rows - done).min(rows * TILES) } else { rows };
            // SAFETY: required of the caller.
            unsafe { self.step(here, count, false) };
            done += count;
            self.before = Some(At { row: here.row + count - rows, ..here });
        }
        true
    }

    /// Finishes the rows before, if there are any.
    ///
    /// # Safety
    ///
    /// As for [`begin`](Lag::begin).
    pub(super) unsafe fn finish(&mut self) {
        if let Some(before) = self.before {
            // SAFETY: required of the caller. They are computed once more; where results lie over inputs, from some of
            // these, and so what they leave goes nowhere.
            unsafe { self.step(before, self.sweeping.tile.rows, true) };
            self.before = None;
        }
        if let Some(realigned) = &mut self.realigned {
            // SAFETY: required of the caller.
            unsafe { realigned.finish() };
        }
    }

    /// Whether the rows before may be stored as others were, and many after them.
    fn goes_on(&self) -> bool {
        let follows = |realigned: &Realigned<'_>| self.before.is_some_and(|at| realigned.is_at(at));
        self.realigned.as_ref().is_none_or(follows)
    }

    /// Computes rows, and finishes as many that begin with those before. Numbers that are results may be left already.
    ///
    /// # Safety
    ///
    /// As for [`begin`](Lag::begin).
    unsafe fn step(&mut self, here: At, count: usize, are_left: bool) {
        let (late, sweep, sweeping) = (self.late, self.sweep, self.sweeping);
        let (tile, len) = (sweeping.tile, self.job.setup.grid.len);
        let (before, goes_on) = (self.before.unwrap_or(here), self.goes_on());
        let of_results = &sweeping.cursors[sweep.inputs.len()..];
        let (outputs, of_numbers) = of_results.split_at(sweep.outputs.len());
        let (left, kept) = of_numbers.split_at(sweep.left.len());
        let mut room = (sweep.inputs.len()..).map(|index| self.scratch.of(index));
        let mut next = || room.next().expect("there is no end");
        let kept: Cursors = kept.iter().map(|kept| Cursor { base: next(), ..*kept }).collect();
        let number = |size: usize| Cursor { base: next(), step: 0, row: size as isize };
        let numbers: Cursors =
            late.numbers.iter().map(|storage| storage.size()).map(number).collect();
        let mut cursors = Cursors::new();
        cursors.extend((0..sweep.inputs.len()).map(|index| self.input(index, here)));
        cursors.extend(late.earlier.iter().map(|earlier| match *earlier {
            Earlier::Input(index) => self.input(index, before),
            Earlier::Number(index) => numbers[index],
        }));
        cursors.extend(outputs.iter().zip(&sweep.outputs).map(|(cursor, &slot)| {
            let nowhere = next();
            match self.before {
                Some(before) => Cursor { base: self.job.place(slot, before), ..*cursor },
                None => {
                    let row = pitch(len, self.job.setup.sizes[slot]) as isize;
                    Cursor { base: nowhere, row, ..*cursor }
                }
            }
        }));
        cursors.extend(left.iter().zip(&sweep.left).map(|(cursor, &slot)| {
            let nowhere = next();
            match are_left {
                false => Cursor { base: self.job.place(slot, here), ..*cursor },
                true => {
                    Cursor { base: nowhere, row: self.job.setup.sizes[slot] as isize, ..*cursor }
                }
            }
        }));
        cursors.extend(numbers.iter().map(|number| Cursor {
            base: number.base.wrapping_offset(tile.rows as isize * number.row),
            ..*number
        }));
        cursors.extend(kept);
        // SAFETY: required of the caller; there is room for what is kept, for numbers, and for results of the rows
        // before the first ones. Numbers of the last rows become those of the rows before.
        unsafe {
            match (&mut self.realigned, self.before) {
                (Some(realigned), Some(_)) if goes_on => realigned.call(count, tile, &mut cursors),
                (None, _) if self.stores == Stores::Past => {
                    self.code.call_tiles_streaming(count, tile, len, &mut cursors);
                }
                _ => self.code.call_tiles(count, tile, len, &mut cursors),
            }
            if let (Some(realigned), Some(at), false) = (&mut self.realigned, self.before, goes_on)
            {
                realigned.go_on(At { row: at.row + count, ..at });
            }
            for Cursor { base, row, .. } in numbers {
                let size = row.unsigned_abs();
                ptr::copy(base.wrapping_add(count * size), base, tile.rows * size);
            }
        }
    }

    /// An input of the sweep, at rows.
    fn input(&self, index: usize, at: At) -> Cursor {
        let slot = self.sweep.inputs[index];
        let base = match slot < self.job.program.inputs {
            true => self.job.place(slot, at),
            false => self.scratch.of(index),
        };
        Cursor { base, ..self.sweeping.cursors[index] }
    }

    /// Whether each row of a result begins where a line of memory does.
    fn is_aligned(&self, slot: usize, at: At) -> bool {
        let row = self.job.setup.grid.row_step(slot).unsigned_abs();
        self.job.place(slot, at).addr().is_multiple_of(LINE) && row.is_multiple_of(LINE)
    }
}
