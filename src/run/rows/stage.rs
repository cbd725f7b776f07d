//! A stage of code on a tile: its calls.

use super::job::{Access, Tile, Worker};
use crate::lower::rows::Map;
use crate::run::call::Call;
use crate::run::layout::OPERANDS;
use crate::run::pack;
use crate::run::reduce::{BLOCK, Blocks};
use kiln_jit::emit::{Code, Cursor};
use smallvec::SmallVec;

/// Bytes of repeated numbers, for each operand, that one call reads. They stay in L1.
pub(super) const SPLATS: usize = 8 << 10;

/// Some rows of a tile, in a call.
#[derive(Clone, Copy)]
struct Part {
    /// The first of them.
    first: usize,
    count: usize,
    /// Elements of each.
    len: usize,
}

impl Worker<'_> {
    /// A stage on the elements of a tile, and its folds, which leave `blocks`, of so many bytes each.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run); there must be room for the blocks.
    pub(super) unsafe fn each(&mut self, map: &Map<Code>, tile: Tile, blocks: &[(Blocks, usize)]) {
        let job = self.job;
        let (code, inputs, outputs) = match job.apart(map) {
            Some(apart) => (&apart.kernel, &apart.inputs, &apart.outputs),
            None => (&map.kernel, &map.inputs, &map.outputs),
        };
        let (rows, n) = match job.side_by_side {
            true => (tile.len, tile.rows),
            false => (tile.rows, tile.len),
        };
        if rows == 0 || n == 0 {
            return;
        }
        let splats = job.program.slots.len() + 1;
        let mut sizes: SmallVec<[usize; OPERANDS]> = SmallVec::new();
        inputs.iter().chain(outputs).for_each(|&slot| sizes.push(job.size(slot)));
        let largest = sizes.iter().copied().max().unwrap_or(1);
        let is_splat = |(index, &slot): (usize, &usize)| {
            let access = job.access[job.home[slot]];
            matches!(access, Access::Row | Access::Splat) && !code.is_scalar(index)
        };
        let most = match !job.side_by_side && inputs.iter().enumerate().any(is_splat) {
            true => (SPLATS / (code.copies() * largest)).max(1),
            false => rows,
        };
        let mut done = 0;
        let mut first: SmallVec<[Cursor; OPERANDS]> = SmallVec::new();
        while done < rows {
            let count = most.min(rows - done);
            first.clear();
            for (index, &slot) in inputs.iter().enumerate() {
                let size = sizes[index];
                // Where the number of the first row is, and bytes to the next.
                let (from, step) = match job.access[job.home[slot]] {
                    Access::Row if job.side_by_side => {
                        let (base, step) = (self.memory(slot), code.lanes() * size);
                        first.push(Cursor { base, step, row: 0 });
                        continue;
                    }
                    Access::Row => (self.memory(slot), size as isize),
                    Access::Splat => {
                        let step = if job.side_by_side { 0 } else { job.grid.row_step(slot) };
                        (job.grid.row(slot, tile.run, tile.row), step)
                    }
                    _ => {
                        let (base, row) = self.place(slot, tile);
                        let base = base.wrapping_offset(done as isize * row);
                        first.push(Cursor { base, step: code.lanes() * size, row });
                        continue;
                    }
                };
                if code.is_scalar(index) {
                    let base = from.wrapping_offset(done as isize * step);
                    first.push(Cursor { base, step: 0, row: step });
                    continue;
                }
                let (base, pitch) = (self.scratch.of(splats + index), code.copies() * size);
                let different = if step == 0 { 1 } else { count };
                for row in 0..different {
                    let from = from.wrapping_offset((done + row) as isize * step);
                    // SAFETY: the number of a row, and room for the copies of those of a call.
                    unsafe {
                        pack::fill(base.wrapping_add(row * pitch), from, code.copies(), size)
                    };
                }
                let row = if step == 0 { 0 } else { pitch as isize };
                first.push(Cursor { base, step: 0, row });
            }
            for &slot in outputs {
                let (base, row) = self.place(slot, tile);
                let base = base.wrapping_offset(done as isize * row);
                first.push(Cursor { base, step: 0, row });
            }
            let rows = Part { first: done, count, len: n };
            // SAFETY: every operand has these rows, or repeats a number for each.
            unsafe {
                match blocks {
                    [] => self.call(code, map, &sizes, &mut first, rows),
                    _ => self.call_by_blocks(code, &sizes, &first, blocks, rows),
                }
            }
            done += count;
        }
    }

    /// One call for some rows.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`], but rows may be of any length.
    unsafe fn call(
        &self,
        code: &Code,
        map: &Map<Code>,
        sizes: &[usize],
        cursors: &mut [Cursor],
        rows: Part,
    ) {
        let streams = self.job.streams && map.is_final && self.streams(map, rows.len);
        let call = Call { code, sizes, cursors, pads: self.pads, streams };
        // SAFETY: required of the caller.
        unsafe {
            match streams {
                true => call.rows_streaming(rows.count, rows.len),
                false => call.rows(rows.count, rows.len),
            }
        }
    }

    /// A call for each block of some rows. Of one row, or of each where all have several, one call is
    /// for all blocks that are full: memory is read in order.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`]; the code must take any number of elements.
    unsafe fn call_by_blocks(
        &self,
        code: &Code,
        sizes: &[usize],
        first: &[Cursor],
        blocks: &[(Blocks, usize)],
        rows: Part,
    ) {
        let mut cursors: SmallVec<[Cursor; OPERANDS]> = SmallVec::new();
        if rows.count > 1 && rows.len >= 2 * BLOCK {
            for row in 0..rows.count {
                cursors.clear();
                cursors.extend(first.iter().map(|cursor| {
                    let base = cursor.base.wrapping_offset(row as isize * cursor.row);
                    Cursor { base, ..*cursor }
                }));
                let part = Part { first: rows.first + row, count: 1, len: rows.len };
                // SAFETY: required of the caller.
                unsafe { self.call_by_blocks(code, sizes, &cursors, blocks, part) };
            }
            return;
        }
        let inputs = code.inputs().len();
        let mut at = 0;
        while at < rows.len {
            let as_rows = rows.count == 1 && rows.len - at >= BLOCK;
            let (count, len) = match as_rows {
                true => ((rows.len - at) / BLOCK, BLOCK),
                false => (rows.count, (rows.len - at).min(BLOCK)),
            };
            cursors.clear();
            for (index, (cursor, size)) in first.iter().zip(sizes).enumerate() {
                let repeats = index < inputs && cursor.step == 0;
                let (before, next) = match repeats {
                    true => (0, 0),
                    false => (at * size, (BLOCK * size) as isize),
                };
                let row = if as_rows { next } else { cursor.row };
                cursors.push(Cursor { base: cursor.base.wrapping_add(before), row, ..*cursor });
            }
            for &(Blocks { base, row, block }, size) in blocks {
                let place = rows.first * row + at / BLOCK * block;
                let step = if as_rows { block } else { row };
                let base = base.wrapping_add(place * size);
                cursors.push(Cursor { base, step: 0, row: (step * size) as isize });
            }
            // SAFETY: required of the caller.
            unsafe { code.call(count, len, &mut cursors) };
            at += if as_rows { count * len } else { len };
        }
    }

    /// Whether what a stage stores goes to memory, in rows that are worth a call each.
    fn streams(&self, map: &Map<Code>, n: usize) -> bool {
        const WORTH_A_CALL: usize = 2048;
        let is_direct = |&slot: &usize| self.job.access[self.job.home[slot]] == Access::Direct;
        let size = map.outputs.iter().map(|&slot| self.job.size(slot)).min().unwrap_or(0);
        map.outputs.iter().all(is_direct) && n * size >= WORTH_A_CALL
    }
}
