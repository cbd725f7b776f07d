//! Strips of rows that lie side by side: what code computes of them is added to stripes right away.
//!
//! Stage by stage, what is only summed would be stored and read again, through L2. In a strip of a few vectors'
//! width the stripes of a fold are in L1, one row of them for each, and a call adds the elements of a row to the
//! next of them, from the first stripe to the last; then the fold takes stripes for elements.

use super::job::{Folded, Job, Worker};
use super::launch::Launch;
use super::setup::Setup;
use super::stage::{Cursors, repeat};
use super::{Map, Program, Stage};
use kiln_jit::emit::{Code, Cursor, Tile};
use kiln_jit::vir::STRIPE_BYTES;
use kiln_reduce::{BLOCK, Blocks, Rows};
use smallvec::SmallVec;

/// Fewest rows of a strip.
const FEW: usize = 32;
/// Nanoseconds for a vector and a fold of code that takes little longer than to store what it computes.
const CHEAP: f64 = 0.8;
/// How many elements later memory is asked for, where L2 does not have all of them. The sum of `exp(x)` of (1024, 4096)
/// along its columns took .33 ns an element on a Xeon 6 without it, .25 with 2, and .19 with 8.
const AHEAD: usize = 8;

/// How many rows a strip has.
fn width(code: &Code) -> usize {
    FEW.next_multiple_of(code.copies())
}

/// Elements of the shortest rows that are worth it. On a Xeon 6, of 64, 128 and 512 elements of 200 or 256 rows: the
/// variance takes 1.1, .73 and .53 of the time of stages one by one, the sum of `exp(x)` 1.2, 1.08 and .97.
pub(super) fn shortest(code: &Code, folds: &[usize]) -> usize {
    let of_vector = code.nanoseconds() * code.lanes() as f64;
    let stripes = folds.iter().copied().max().unwrap_or(1);
    if of_vector < CHEAP * folds.len() as f64 { 2 * stripes } else { 4 * stripes }
}

/// Bytes that the stripes of a stage take, and for each fold as many zeros as there are in a strip.
fn room_of(setup: &Setup, map: &Map) -> usize {
    let Some((code, beside)) = setup.beside(map) else { return 0 };
    let width = width(code);
    beside.folds.iter().map(|&stripes| (stripes + 1) * pitch(width, stripes)).sum()
}

/// Bytes from stripe to stripe of a fold.
fn pitch(width: usize, stripes: usize) -> usize {
    width * STRIPE_BYTES / stripes
}

/// Bytes that stripes take in a worker's memory.
pub(super) fn room(program: Program<'_>, setup: &Setup) -> usize {
    let bytes = program.stages.iter().map(|stage| match stage {
        Stage::Each(map) => room_of(setup, map),
        _ => 0,
    });
    bytes.max().unwrap_or(0)
}

impl Worker<'_> {
    /// A stage of code on `len` elements of `rows` rows side by side, from the first one of a block on, and its folds.
    ///
    /// # Safety
    ///
    /// The cursors must be at the first element of each operand; there must be room for the blocks.
    pub(super) unsafe fn strips(
        &self,
        stage: usize,
        launch: &Launch,
        mut cursors: Cursors,
        [len, rows]: [usize; 2],
        folded: &Folded,
    ) {
        let Job { program, setup, .. } = self.job;
        let Stage::Each(map) = &program.stages[stage] else { return };
        let Some((code, beside)) = setup.beside(map) else { return };
        let (inputs, width) = (beside.inputs.len(), width(code));
        for &index in &launch.splats {
            let form = [code.copies(), launch.sizes[index]];
            let room = self.scratch.of(program.slots.len() + 1 + index);
            // SAFETY: there is one number for all.
            cursors[index] = unsafe { repeat(cursors[index], room, form, 1) };
        }
        let mut at = self.scratch.of(self.stripes);
        let stripes = beside.folds.iter().map(|&count| {
            let (base, pitch) = (at, pitch(width, count));
            at = base.wrapping_add((count + 1) * pitch);
            Stripes { base, count, pitch, size: pitch / width }
        });
        let stripes: SmallVec<[Stripes; 2]> = stripes.collect();
        for stripes in &stripes {
            // SAFETY: there is room for them.
            unsafe { stripes.make_zeros(width) };
        }
        let is_near = setup.elements() * setup.moved(program) as f64 <= program.near as f64;
        let ahead = if is_near { 0 } else { AHEAD };
        let turn = beside.folds.iter().copied().min().unwrap_or(BLOCK);
        // SAFETY: a part of what the caller has.
        unsafe {
            for block in (0..len).step_by(BLOCK) {
                let of_block = BLOCK.min(len - block);
                for first in (0..rows).step_by(width) {
                    let here = width.min(rows - first);
                    for at in (0..of_block).step_by(turn) {
                        let place = |(index, cursor): (usize, &Cursor)| {
                            let repeats = index < inputs && cursor.step == 0;
                            let before = if repeats { 0 } else { first * launch.sizes[index] };
                            let before = (block + at) as isize * cursor.row + before as isize;
                            Cursor { base: cursor.base.wrapping_offset(before), ..*cursor }
                        };
                        let (from, to) = cursors.split_at(inputs);
                        let mut call = Cursors::new();
                        call.extend(from.iter().enumerate().map(place));
                        call.extend(stripes.iter().map(|stripes| stripes.read(at, code.lanes())));
                        let to = to.iter().enumerate().map(|(at, cursor)| (inputs + at, cursor));
                        call.extend(to.map(place));
                        call.extend(stripes.iter().map(|stripes| stripes.written(at)));
                        let elements = turn.min(of_block - at);
                        code.call_tiles(elements, Tile { ahead, ..Tile::ONE }, here, &mut call);
                    }
                    for (index, (stripes, &(blocks, size))) in
                        stripes.iter().zip(folded).enumerate()
                    {
                        let before = first + block / BLOCK * blocks.block;
                        let base = blocks.base.wrapping_add(before * size);
                        let elements = stripes.as_rows(here, of_block);
                        setup.folder(stage + 1 + index).fold(&elements, &Blocks { base, ..blocks });
                    }
                }
            }
        }
    }
}

/// The stripes of a fold: a row of each, and zeros after them.
struct Stripes {
    base: *mut u8,
    count: usize,
    /// Bytes from one to the next, and of an element.
    pitch: usize,
    size: usize,
}

impl Stripes {
    /// -0, which changes no sum.
    unsafe fn make_zeros(&self, width: usize) {
        let zeros = self.base.wrapping_add(self.count * self.pitch);
        // SAFETY: required of the caller; a float of either size has its sign at its end.
        unsafe {
            zeros.write_bytes(0, self.pitch);
            (1..=width).for_each(|end| zeros.add(end * self.size - 1).write(0x80));
        }
    }

    /// What element `at` of a block, and the next ones, are added to.
    fn read(&self, at: usize, lanes: usize) -> Cursor {
        let step = lanes * self.size;
        match at < self.count {
            true => Cursor { base: self.base.wrapping_add(self.count * self.pitch), step, row: 0 },
            false => Cursor { step, ..self.written(at) },
        }
    }

    /// Where their sums go.
    fn written(&self, at: usize) -> Cursor {
        let base = self.base.wrapping_add(at % self.count * self.pitch);
        Cursor { base, step: 0, row: self.pitch as isize }
    }

    /// The sums of a block of so many elements, as elements.
    fn as_rows(&self, rows: usize, elements: usize) -> Rows {
        Rows {
            base: self.base,
            rows,
            len: elements.min(self.count),
            first: 0,
            side_by_side: true,
            is_near: true,
            step: self.pitch as isize,
        }
    }
}
