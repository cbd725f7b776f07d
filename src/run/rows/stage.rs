//! A stage of code on a tile: its calls.

use super::Stage;
use super::job::{self, Folded, Worker};
use super::launch::Launch;
use super::narrow;
use super::short;
use crate::run::call::Call;
use crate::run::layout::OPERANDS;
use crate::run::pack;
use kiln_jit::emit::{Code, Cursor, Tile};
use kiln_reduce::{BLOCK, Blocks};
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

/// Cursors of a call.
pub(super) type Cursors = SmallVec<[Cursor; OPERANDS]>;

impl Worker<'_> {
    /// A stage on the elements of a tile, the current one, and its folds, which leave blocks.
    ///
    /// # Safety
    ///
    /// As for [`run`](Worker::run); there must be room for the blocks.
    pub(super) unsafe fn each(&self, stage: usize, tile: job::Tile, folded: &Folded) {
        let setup = self.job.setup;
        let Stage::Each(map) = &self.job.program.stages[stage] else { return };
        let (code, launch) = (setup.code_of(map).0, &setup.launches[stage]);
        let (rows, n) = match setup.side_by_side {
            true => (tile.len, tile.rows),
            false => (tile.rows, tile.len),
        };
        if rows == 0 || n == 0 {
            return;
        }
        let mut cursors = Cursors::new();
        self.add_cursors(launch, &mut cursors);
        if setup.side_by_side && !folded.is_empty() {
            // SAFETY: required of the caller.
            return unsafe { self.strips(stage, launch, cursors, [rows, n], folded) };
        }
        if setup.is_flat {
            for &index in &launch.splats {
                let room = self.scratch.of(self.job.program.slots.len() + 1 + index);
                let Cursor { base, row, .. } = cursors[index];
                // SAFETY: there is a number for each row, and room for a tile of elements.
                unsafe {
                    short::expand(base, row, room, [rows, n, launch.sizes[index]], setup.beside);
                }
                cursors[index].base = room;
            }
            let all = Part { first: 0, count: 1, len: rows * n };
            // SAFETY: every operand has these elements one after the other.
            return unsafe { self.call(code, launch, &mut cursors, all, folded) };
        }
        // Rows of which nothing is one for all, and which follow one another, are one: `sum[0](exp(x) * y)` of
        // (2000, 64) by AVX2 takes less time than what is not fused, and took 1.17 times as long on a Zen 4.
        let inputs = code.inputs().len();
        let follows = |(index, (cursor, size)): (usize, (&Cursor, &usize))| {
            // One number for a row may lie as far from the next as rows do.
            let is_number = index < inputs && cursor.step == 0;
            !is_number && cursor.row == (n * size) as isize
        };
        if folded.is_empty() && cursors.iter().zip(&launch.sizes).enumerate().all(follows) {
            let all = Part { first: 0, count: 1, len: rows * n };
            // SAFETY: every operand has these rows one after the other.
            return unsafe { self.call(code, launch, &mut cursors, all, folded) };
        }
        let Some(group) = setup.group else {
            // SAFETY: every operand has these rows.
            return unsafe { self.rows(code, launch, &mut cursors, [rows, n], folded) };
        };
        let group = group.min(rows);
        let room = |index| self.scratch.of(self.job.program.slots.len() + 1 + index);
        // SAFETY: elements lie one after the other where rows are few; a group has as many as fit the room.
        unsafe { narrow::widen(&mut cursors, &launch.sizes, [n, group], room) };
        let (groups, rest) = (rows / group, rows % group);
        let mut left = cursors.clone();
        advance(&mut left, groups);
        // SAFETY: every operand has these groups, and what is left.
        unsafe {
            self.rows(code, launch, &mut cursors, [groups, n * group], folded);
            if rest > 0 {
                self.rows(code, launch, &mut left, [1, n * rest], folded);
            }
        }
    }

    /// Calls code on rows of `n` elements, whose numbers are repeated first where it wants them so.
    ///
    /// # Safety
    ///
    /// Every operand must have these rows, or a number for each.
    #[inline(always)]
    unsafe fn rows(
        &self,
        code: &Code,
        launch: &Launch,
        cursors: &mut Cursors,
        [rows, n]: [usize; 2],
        folded: &Folded,
    ) {
        let setup = self.job.setup;
        if launch.splats.is_empty() {
            let rows = Part { first: 0, count: rows, len: n };
            // SAFETY: required of the caller.
            return unsafe { self.call(code, launch, cursors, rows, folded) };
        }
        let largest = launch.sizes.iter().copied().max().unwrap_or(1);
        let most = match setup.side_by_side {
            true => rows,
            false => (SPLATS / (code.copies() * largest)).max(1),
        };
        let mut done = 0;
        while done < rows {
            let count = most.min(rows - done);
            let mut part = cursors.clone();
            advance(&mut part, done);
            for &index in &launch.splats {
                let room = self.scratch.of(self.job.program.slots.len() + 1 + index);
                let form = [code.copies(), launch.sizes[index]];
                // SAFETY: there is a number for each row, or one for all.
                part[index] = unsafe { repeat(part[index], room, form, count) };
            }
            let rows = Part { first: done, count, len: n };
            // SAFETY: every operand has these rows, or repeats a number for each.
            unsafe { self.call(code, launch, &mut part, rows, folded) };
            done += count;
        }
    }

    /// Adds the cursors of a call on the current tile. To return them would be to copy them.
    #[inline(always)]
    pub(super) fn add_cursors(&self, launch: &Launch, cursors: &mut Cursors) {
        for (cursor, &slot) in launch.cursors.iter().zip(&launch.slots) {
            cursors.push(Cursor { base: self.places[slot], ..*cursor });
        }
    }

    /// Calls code on some rows.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`], but rows may be of any length.
    #[inline(always)]
    unsafe fn call(
        &self,
        code: &Code,
        launch: &Launch,
        cursors: &mut [Cursor],
        rows: Part,
        folded: &Folded,
    ) {
        // SAFETY: required of the caller.
        unsafe {
            let ahead = self.job.setup.ahead();
            if !folded.is_empty() {
                call_by_blocks(code, &launch.sizes, cursors, folded, rows, ahead);
            } else if !launch.streams && code.takes_any_count() {
                code.call_tiles(rows.count, Tile { ahead, ..Tile::ONE }, rows.len, cursors);
            } else {
                let (sizes, pads, streams) = (&launch.sizes[..], self.pads, launch.streams);
                let call = Call { code, sizes, cursors, pads, streams };
                match streams {
                    true => call.rows_streaming(rows.count, rows.len, ahead),
                    false => call.rows(rows.count, rows.len),
                }
            }
        }
    }
}

/// Moves cursors on by some rows.
fn advance(cursors: &mut [Cursor], rows: usize) {
    let next = |cursor: &mut Cursor| {
        cursor.base = cursor.base.wrapping_offset(rows as isize * cursor.row);
    };
    cursors.iter_mut().for_each(next);
}

/// Repeats the number of each of some rows as often as code reads it: `copies` times `size` bytes.
///
/// # Safety
///
/// The cursor must be at the number of the first row, and there must be room.
pub(super) unsafe fn repeat(
    cursor: Cursor,
    room: *mut u8,
    [copies, size]: [usize; 2],
    count: usize,
) -> Cursor {
    let pitch = copies * size;
    let different = if cursor.row == 0 { 1 } else { count };
    for row in 0..different {
        let from = cursor.base.wrapping_offset(row as isize * cursor.row);
        // SAFETY: the number of a row, and room for the copies of those of a call.
        unsafe { pack::fill(room.wrapping_add(row * pitch), from, copies, size) };
    }
    let row = if cursor.row == 0 { 0 } else { pitch as isize };
    Cursor { base: room, step: 0, row }
}

/// A call for each block of some rows. Of one row, or of each where all have several, one call is
/// for all blocks that are full: memory is read in order.
///
/// # Safety
///
/// As for [`Code::call`]; the code must take any number of elements.
unsafe fn call_by_blocks(
    code: &Code,
    sizes: &[usize],
    first: &[Cursor],
    folded: &Folded,
    rows: Part,
    ahead: usize,
) {
    let mut cursors = Cursors::new();
    let inputs = code.inputs().len();
    // SAFETY: required of the caller; blocks have places.
    let mut call = |row: usize, at: usize, count: usize, len: usize, is_one_row: bool| unsafe {
        cursors.clear();
        for (index, (cursor, size)) in first.iter().zip(sizes).enumerate() {
            let repeats = index < inputs && cursor.step == 0;
            let before = if repeats { 0 } else { (at * size) as isize };
            let base = cursor.base.wrapping_offset(row as isize * cursor.row + before);
            let row = match is_one_row {
                true if repeats => 0,
                true => (BLOCK * size) as isize,
                false => cursor.row,
            };
            cursors.push(Cursor { base, row, ..*cursor });
        }
        for &(Blocks { base, row: next, block }, size) in folded {
            let place = (rows.first + row) * next + at / BLOCK * block;
            let step = if is_one_row { block } else { next };
            let base = base.wrapping_add(place * size);
            cursors.push(Cursor { base, step: 0, row: (step * size) as isize });
        }
        let ahead = match is_one_row {
            true if rows.len.is_multiple_of(BLOCK) => ahead * (rows.len / BLOCK),
            true => 0,
            false => ahead,
        };
        code.call_tiles(count, Tile { ahead, ..Tile::ONE }, len, &mut cursors);
    };
    if rows.count > 1 && rows.len < 2 * BLOCK {
        for at in (0..rows.len).step_by(BLOCK) {
            call(0, at, rows.count, BLOCK.min(rows.len - at), false);
        }
        return;
    }
    let (blocks, rest) = (rows.len / BLOCK, rows.len % BLOCK);
    for row in 0..rows.count {
        if blocks > 0 {
            call(row, 0, blocks, BLOCK, true);
        }
        if rest > 0 {
            call(row, rows.len - rest, 1, rest, true);
        }
    }
}
