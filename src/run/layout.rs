//! Iteration spaces: operands of any shape and strides as few nested loops over one index.
//!
//! In: views that broadcast to the shape of the outputs. Out: a [`Space`]. Its dimensions are
//! ordered so that the last has the smallest step in the first output, the steps of that output are
//! positive, and dimensions are merged wherever every operand allows it. If all arrays are
//! contiguous, one dimension is left.

use super::error::{Argument, RunError};
use super::view::Layout;
use kiln_ir::{Dims, SMALL_RANK, broadcast};
use smallvec::SmallVec;

/// Up to this many operands need no allocation.
pub(super) const OPERANDS: usize = 8;

/// The shape that `shapes` broadcast to, by NumPy's rules.
pub fn broadcast_shape(shapes: &[&[usize]]) -> Result<Vec<usize>, RunError> {
    let shape = broadcast(shapes).map_err(|misfit| {
        let operands = shapes.iter().enumerate();
        let operands =
            operands.map(|(index, shape)| format!("{} {shape:?}", Argument::input(index)));
        let (axis, sizes) = (misfit.axis, [misfit.left, misfit.right]);
        let operands = operands.collect();
        RunError::Broadcast { operands, axis, sizes, function: None, place: None }
    })?;
    Ok(shape.into_vec())
}

/// Whether an array of `shape` can be read as one of `target`.
pub(super) fn broadcasts_to(shape: &[usize], target: &[usize]) -> bool {
    let fits = |(&size, &wanted): (&usize, &usize)| size == wanted || size == 1;
    shape.len() <= target.len() && shape.iter().rev().zip(target.iter().rev()).all(fits)
}

/// How an operand lies along a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// Element after element.
    Contiguous,
    /// One repeated element.
    Splat,
    /// Anything else.
    Strided,
}

/// Nested loops over operands. Operands are the inputs, then the outputs.
#[derive(Debug)]
pub(super) struct Space {
    /// Size of each dimension, outermost first; none for a single element. Never 0.
    pub(super) extents: Dims<usize>,
    /// `strides[dim * operands + operand]`, in bytes.
    strides: SmallVec<[isize; SMALL_RANK * OPERANDS]>,
    /// First element of each operand.
    pub(super) bases: SmallVec<[*mut u8; OPERANDS]>,
    /// Element size of each operand.
    pub(super) sizes: SmallVec<[usize; OPERANDS]>,
}

impl Space {
    /// The space of `operands` broadcast to `shape`, which has no size of 0. Dimensions are ordered
    /// by the operand `lead`.
    // Inlined, so that it is built in place.
    #[inline(always)]
    pub(super) fn new(shape: &[usize], operands: &[&Layout], lead: usize) -> Space {
        let count = operands.len();
        let mut space = Space {
            extents: SmallVec::new(),
            strides: SmallVec::new(),
            bases: SmallVec::new(),
            sizes: SmallVec::new(),
        };
        // Pushed, not collected: see `Kernel::run_steps`.
        operands.iter().for_each(|op| space.bases.push(op.base));
        operands.iter().for_each(|op| space.sizes.push(op.dtype.size()));
        for (dim, &extent) in shape.iter().enumerate() {
            if extent == 1 {
                continue;
            }
            space.extents.push(extent);
            for operand in operands {
                // Shapes align at the end; a dimension that is missing or of size 1 repeats.
                let own = (dim + operand.shape.len()).checked_sub(shape.len());
                let own = own.filter(|&own| operand.shape[own] != 1);
                space.strides.push(own.map_or(0, |own| operand.strides[own]));
            }
        }
        if space.extents.len() > 1 {
            space.sort(lead, count);
        }
        space.face_forward(lead, count);
        space.merge(count);
        space
    }

    /// Number of operands.
    pub(super) fn operands(&self) -> usize {
        self.bases.len()
    }

    /// Size of the innermost dimension.
    pub(super) fn inner(&self) -> usize {
        self.extents.last().copied().unwrap_or(1)
    }

    /// Number of rows, that is, of runs of the innermost dimension.
    pub(super) fn rows(&self) -> usize {
        self.extents.iter().rev().skip(1).product()
    }

    /// Rows that are evenly spaced: the size of the next to innermost dimension.
    pub(super) fn run(&self) -> usize {
        self.extents.iter().rev().nth(1).copied().unwrap_or(1)
    }

    /// Step of an operand from row to row of a run, in bytes.
    pub(super) fn row_step(&self, operand: usize) -> isize {
        self.extents.len().checked_sub(2).map_or(0, |dim| self.stride(dim, operand))
    }

    /// Step of an operand along a dimension, in bytes.
    pub(super) fn stride(&self, dim: usize, operand: usize) -> isize {
        self.strides[dim * self.operands() + operand]
    }

    /// Step of an operand along the innermost dimension, in bytes.
    pub(super) fn inner_stride(&self, operand: usize) -> isize {
        match self.extents.len() {
            0 => self.sizes[operand] as isize,
            rank => self.stride(rank - 1, operand),
        }
    }

    /// How an operand lies along the innermost dimension.
    pub(super) fn inner_class(&self, operand: usize) -> Inner {
        match self.inner_stride(operand) {
            0 => Inner::Splat,
            stride if stride == self.sizes[operand] as isize => Inner::Contiguous,
            _ => Inner::Strided,
        }
    }

    /// Whether an operand is one contiguous array over the whole space.
    pub(super) fn is_flat(&self, operand: usize) -> bool {
        let mut expected = self.sizes[operand] as isize;
        for dim in (0..self.extents.len()).rev() {
            if self.stride(dim, operand) != expected {
                return false;
            }
            expected *= self.extents[dim] as isize;
        }
        true
    }

    /// Whether every row (every run of the innermost dimension) is the same memory.
    pub(super) fn repeats_rows(&self, operand: usize) -> bool {
        (0..self.extents.len().saturating_sub(1)).all(|dim| self.stride(dim, operand) == 0)
    }

    /// Distance in bytes from the first row to row `row`, for an operand.
    pub(super) fn row_offset(&self, mut row: usize, operand: usize) -> isize {
        let mut offset = 0;
        for dim in (0..self.extents.len().saturating_sub(1)).rev() {
            // The outermost index needs no division.
            let index = if dim == 0 { row } else { row % self.extents[dim] };
            row = if dim == 0 { 0 } else { row / self.extents[dim] };
            offset += index as isize * self.stride(dim, operand);
        }
        offset
    }

    /// Puts the largest steps of `lead` outermost; equal ones stay in order.
    fn sort(&mut self, lead: usize, count: usize) {
        for end in 1..self.extents.len() {
            let mut dim = end;
            let step = |space: &Space, dim| space.stride(dim, lead).unsigned_abs();
            while dim > 0 && step(self, dim - 1) < step(self, dim) {
                self.extents.swap(dim - 1, dim);
                for operand in 0..count {
                    self.strides.swap((dim - 1) * count + operand, dim * count + operand);
                }
                dim -= 1;
            }
        }
    }

    /// Walks every dimension in the direction in which addresses of `lead` grow.
    fn face_forward(&mut self, lead: usize, count: usize) {
        for dim in 0..self.extents.len() {
            if self.stride(dim, lead) >= 0 {
                continue;
            }
            for operand in 0..count {
                let stride = &mut self.strides[dim * count + operand];
                let last = *stride * (self.extents[dim] as isize - 1);
                *stride = -*stride;
                self.bases[operand] = self.bases[operand].wrapping_offset(last);
            }
        }
    }

    /// Merges neighbours that form one run in every operand.
    fn merge(&mut self, count: usize) {
        let mut kept = 0;
        for dim in 1..self.extents.len() {
            let outer = kept * count..(kept + 1) * count;
            let inner = dim * count;
            let one_run = outer.clone().zip(inner..).all(|(outer, inner)| {
                self.strides[outer] == self.strides[inner] * self.extents[dim] as isize
            });
            if one_run {
                self.extents[kept] *= self.extents[dim];
            } else {
                kept += 1;
                self.extents[kept] = self.extents[dim];
            }
            for operand in 0..count {
                self.strides[kept * count + operand] = self.strides[inner + operand];
            }
        }
        let rank = self.extents.len().min(kept + 1);
        self.extents.truncate(rank);
        self.strides.truncate(rank * count);
    }
}

#[cfg(test)]
mod tests {
    use super::broadcast_shape;

    #[test]
    fn shapes_broadcast_as_in_numpy() {
        assert_eq!(broadcast_shape(&[&[3, 1], &[4], &[]]).unwrap(), [3, 4]);
        assert_eq!(broadcast_shape(&[&[0, 1], &[1, 5]]).unwrap(), [0, 5]);
        assert!(broadcast_shape(&[]).unwrap().is_empty());
        let error = broadcast_shape(&[&[2, 3, 4], &[3, 1], &[5]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "shapes input 0 [2, 3, 4], input 1 [3, 1], input 2 [5] do not broadcast: axis -1 is 4 in \
             one and 5 in another; sizes must be equal, or one of them 1"
        );
    }
}
