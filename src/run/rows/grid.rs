//! Where the rows of operands lie.

use crate::run::layout::OPERANDS;
use crate::run::pack;
use crate::run::view::Layout;
use smallvec::{SmallVec, smallvec};

/// An axis that is longer than one element, or empty, and the bytes from one element to the next, for
/// each operand.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) size: usize,
    pub(super) steps: SmallVec<[isize; OPERANDS]>,
}

/// Rows of elements, and where they are in each operand.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// From row to row; neighbours are along the last.
    pub(super) kept: SmallVec<[Axis; 3]>,
    /// Along a row, in logical order: the last is the fastest.
    pub(super) reduced: SmallVec<[Axis; 2]>,
    /// Bytes of an element of each.
    pub(super) sizes: SmallVec<[usize; OPERANDS]>,
    /// Elements of a row.
    pub(super) len: usize,
}

impl Grid {
    /// The rows of `domain`, whose axes are reduced or kept; operands broadcast to it, or have one element
    /// along the reduced axes. Rows that are near to one another in the operand `lead` are neighbours.
    pub(super) fn new(
        domain: &[usize],
        is_reduced: &[bool],
        operands: &[&Layout],
        lead: usize,
    ) -> Grid {
        let mut grid = Grid {
            kept: SmallVec::new(),
            reduced: SmallVec::new(),
            sizes: operands.iter().map(|operand| operand.dtype.size()).collect(),
            len: 1,
        };
        for (dim, (&size, &is_reduced)) in domain.iter().zip(is_reduced).enumerate() {
            if is_reduced {
                // A view that repeats elements may have more than can be counted; nobody waits for those.
                grid.len = grid.len.saturating_mul(size);
            }
            if size == 1 {
                continue;
            }
            // Shapes align at the end; an axis that is missing or of size 1 repeats.
            let step = |operand: &&Layout| {
                let own = (dim + operand.shape.len()).checked_sub(domain.len());
                let own = own.filter(|&own| operand.shape[own] != 1);
                own.map_or(0, |own| operand.strides[own])
            };
            let axis = Axis { size, steps: operands.iter().map(step).collect() };
            match is_reduced {
                true => push(&mut grid.reduced, axis),
                false => grid.kept.push(axis),
            }
        }
        // Rows come in any order, so in that of memory.
        grid.kept.sort_by_key(|axis| std::cmp::Reverse(axis.steps[lead].unsigned_abs()));
        let kept = std::mem::take(&mut grid.kept);
        kept.into_iter().for_each(|axis| push(&mut grid.kept, axis));
        grid
    }

    /// The same with rows one after the other, for runs of rows side by side that follow one another with
    /// nothing between them; and how many rows a run has. Only whole runs lie where this grid says: in
    /// each, the elements of its rows take turns.
    pub(super) fn untangled(&self) -> Option<(Grid, usize)> {
        let (beside, outer) = self.kept.split_last()?;
        let [along] = &self.reduced[..] else { return None };
        let outer = match outer {
            [] => None,
            [outer] => Some(outer),
            _ => return None,
        };
        let rows = beside.size.checked_mul(outer.map_or(1, |axis| axis.size))?;
        if beside.size < 2 {
            return None;
        }
        let mut kept = Axis { size: rows, steps: SmallVec::new() };
        let mut reduced = Axis { size: along.size, steps: SmallVec::new() };
        for (op, &size) in self.sizes.iter().enumerate() {
            let [row, element] = [beside.steps[op], along.steps[op]];
            let [width, len, size] = [beside.size, along.size, size].map(|size| size as isize);
            let [next, long] = [width.checked_mul(size)?, len.checked_mul(size)?];
            let follows = |run: isize| outer.is_none_or(|axis| axis.steps[op] == run);
            let is_dense = row == size && element == next && follows(width.checked_mul(long)?);
            let is_number = element == 0 && follows(width.checked_mul(row)?);
            if !is_dense && !is_number {
                return None;
            }
            kept.steps.push(if is_dense { long } else { row });
            reduced.steps.push(if is_dense { size } else { 0 });
        }
        let (kept, reduced) = (smallvec![kept], smallvec![reduced]);
        Some((Grid { kept, reduced, sizes: self.sizes.clone(), len: self.len }, beside.size))
    }

    /// Neighbouring rows in a run, and how many runs there are.
    pub(super) fn runs(&self) -> (usize, usize) {
        let product =
            |axes: &[Axis]| axes.iter().fold(1, |n: usize, axis| n.saturating_mul(axis.size));
        match self.kept.split_last() {
            Some((last, others)) => (last.size, product(others)),
            None => (1, 1),
        }
    }

    /// Bytes from a row to its neighbour.
    pub(super) fn row_step(&self, operand: usize) -> isize {
        self.kept.last().map_or(0, |axis| axis.steps[operand])
    }

    /// Bytes from one element of a row to the next, if that is the same everywhere.
    pub(super) fn element_step(&self, operand: usize) -> Option<isize> {
        match &self.reduced[..] {
            [] => Some(self.sizes[operand] as isize),
            [axis] => Some(axis.steps[operand]),
            axes => axes.iter().all(|axis| axis.steps[operand] == 0).then_some(0),
        }
    }

    /// Whether all rows are the same memory.
    pub(super) fn repeats_rows(&self, operand: usize) -> bool {
        self.kept.iter().all(|axis| axis.steps[operand] == 0)
    }

    /// Bytes from the first element of an operand to that of row `row` of run `run`.
    pub(super) fn before(&self, operand: usize, run: usize, row: usize) -> isize {
        let mut bytes = (row as isize).wrapping_mul(self.row_step(operand));
        let mut rest = run;
        for axis in self.kept.iter().rev().skip(1) {
            bytes += (rest % axis.size) as isize * axis.steps[operand];
            rest /= axis.size;
        }
        bytes
    }

    /// Copies elements `start..start + len` of `rows` rows, the first of which begins at `row`, to or from
    /// where they are packed: `[row, element]` are the bytes from one to the next there.
    ///
    /// # Safety
    ///
    /// The elements must be there, and `packed` have room for them.
    pub(super) unsafe fn copy(
        &self,
        operand: usize,
        row: *mut u8,
        [start, len, rows]: [usize; 3],
        packed: *mut u8,
        packed_steps: [usize; 2],
        direction: Direction,
    ) {
        let (size, row_step) = (self.sizes[operand], self.row_step(operand));
        let packed_steps = packed_steps.map(|step| step as isize);
        let (run, step) = match self.reduced.last() {
            Some(axis) => (axis.size, axis.steps[operand]),
            None => (1, size as isize),
        };
        let mut done = 0;
        while done < len {
            let at = start + done;
            let count = (run - at % run).min(len - done);
            let mut place = row.wrapping_offset((at % run) as isize * step);
            let mut rest = at / run;
            for axis in self.reduced.iter().rev().skip(1) {
                place = place.wrapping_offset((rest % axis.size) as isize * axis.steps[operand]);
                rest /= axis.size;
            }
            let packed = packed.wrapping_offset(done as isize * packed_steps[1]);
            // What lies closer together goes inside.
            let (mut steps, mut from, mut sizes) = (packed_steps, [row_step, step], [rows, count]);
            if packed_steps[0] == size as isize {
                steps.reverse();
                from.reverse();
                sizes.reverse();
            }
            // SAFETY: required of the caller.
            unsafe {
                match direction {
                    Direction::Gather => pack::copy(size, packed, steps, place, from, sizes),
                    Direction::Scatter => pack::copy(size, place, from, packed, steps, sizes),
                }
            }
            done += count;
        }
    }
}

/// Which way elements are copied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Gather,
    Scatter,
}

/// Adds an axis, or lengthens the last one where all operands are walked in equal steps.
fn push<const N: usize>(axes: &mut SmallVec<[Axis; N]>, axis: Axis)
where
    [Axis; N]: smallvec::Array<Item = Axis>,
{
    if let Some(last) = axes.last_mut() {
        let whole = axis.size as isize;
        let follows = |(outer, inner): (&isize, &isize)| inner.checked_mul(whole) == Some(*outer);
        if last.steps.iter().zip(&axis.steps).all(follows)
            && let Some(size) = last.size.checked_mul(axis.size)
        {
            *last = Axis { size, ..axis };
            return;
        }
    }
    axes.push(axis);
}
