//! Moving elements between arrays and the scratch that kernels read and write.

use super::layout::{OPERANDS, Space};
use super::view::RANK;
use smallvec::SmallVec;
use std::ops::Range;

/// Room for one vector of any emitter: 16 lanes of 8 bytes.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Vector(
    #[expect(dead_code, reason = "read and written through pointers only")] [u8; 128],
);

impl Vector {
    pub(super) const ZERO: Vector = Vector([0; 128]);
}

/// A tile per operand that needs one.
pub(super) struct Scratch {
    /// Owns the memory; used through `base` only, so that pointers into it stay good.
    _lines: Vec<Vector>,
    base: *mut Vector,
    /// First line of each operand, and the end.
    starts: SmallVec<[usize; OPERANDS]>,
}

impl Scratch {
    /// Room for so many bytes per operand. Allocates nothing where all are 0.
    pub(super) fn new(bytes: impl Iterator<Item = usize>) -> Scratch {
        let mut end = 0;
        let mut starts = SmallVec::new();
        starts.push(0);
        for bytes in bytes {
            end += bytes.div_ceil(size_of::<Vector>());
            starts.push(end);
        }
        let mut lines = vec![Vector::ZERO; end];
        Scratch { base: lines.as_mut_ptr(), _lines: lines, starts }
    }

    /// An operand's first byte.
    pub(super) fn of(&self, operand: usize) -> *mut u8 {
        self.base.wrapping_add(self.starts[operand]).cast()
    }

    /// An operand's room.
    pub(super) fn bytes(&self, operand: usize) -> usize {
        (self.starts[operand + 1] - self.starts[operand]) * size_of::<Vector>()
    }
}

/// Calls a function with the unsigned integer type of `$size` bytes.
macro_rules! by_size {
    ($size:expr, $function:ident($($argument:expr),*)) => {
        match $size {
            1 => $function::<u8>($($argument),*),
            4 => $function::<u32>($($argument),*),
            8 => $function::<u64>($($argument),*),
            size => unreachable!("no element has {size} bytes"),
        }
    };
}

/// Copies `n` elements that lie `stride` bytes apart to where they lie side by side.
///
/// # Safety
///
/// Both places must hold what is read and written there, and not overlap.
pub(super) unsafe fn gather(to: *mut u8, from: *const u8, stride: isize, n: usize, size: usize) {
    // SAFETY: required of the caller.
    unsafe { by_size!(size, gather_as(to.cast(), from, stride, n)) }
}

/// Copies `n` elements that lie side by side to where they lie `stride` bytes apart.
///
/// # Safety
///
/// As for [`gather`].
pub(super) unsafe fn scatter(to: *mut u8, stride: isize, from: *const u8, n: usize, size: usize) {
    // SAFETY: required of the caller.
    unsafe { by_size!(size, scatter_as(to, stride, from.cast(), n)) }
}

/// Packs rows of an operand, one after the other.
///
/// # Safety
///
/// The rows must be rows of the space, and `to` hold as many.
pub(super) unsafe fn gather_rows(to: *mut u8, space: &Space, operand: usize, rows: Range<usize>) {
    // SAFETY: required of the caller.
    unsafe { by_size!(space.sizes[operand], gather_rows_as(to.cast(), space, operand, rows)) }
}

/// Unpacks rows of an operand, one after the other.
///
/// # Safety
///
/// The rows must be rows of the space, and `from` hold as many.
pub(super) unsafe fn scatter_rows(
    space: &Space,
    operand: usize,
    rows: Range<usize>,
    from: *const u8,
) {
    // SAFETY: required of the caller.
    unsafe { by_size!(space.sizes[operand], scatter_rows_as(space, operand, rows, from.cast())) }
}

unsafe fn gather_as<T: Copy>(to: *mut T, from: *const u8, stride: isize, n: usize) {
    // SAFETY: required of the caller of `gather`.
    unsafe {
        if stride == size_of::<T>() as isize {
            return from.copy_to_nonoverlapping(to.cast(), n * size_of::<T>());
        }
        for i in 0..n {
            let element = from.offset(i as isize * stride).cast::<T>().read_unaligned();
            to.add(i).write_unaligned(element);
        }
    }
}

unsafe fn scatter_as<T: Copy>(to: *mut u8, stride: isize, from: *const T, n: usize) {
    // SAFETY: required of the caller of `scatter`.
    unsafe {
        if stride == size_of::<T>() as isize {
            return to.copy_from_nonoverlapping(from.cast(), n * size_of::<T>());
        }
        for i in 0..n {
            let element = from.add(i).read_unaligned();
            to.offset(i as isize * stride).cast::<T>().write_unaligned(element);
        }
    }
}

unsafe fn gather_rows_as<T: Copy>(to: *mut T, space: &Space, operand: usize, rows: Range<usize>) {
    let (row, stride) = (space.inner(), space.inner_stride(operand));
    let base = space.bases[operand];
    // SAFETY: required of the caller of `gather_rows`.
    let copy = |i: usize, offset| unsafe {
        gather_as(to.add(i * row), base.wrapping_offset(offset), stride, row);
    };
    each_row(space, operand, rows, copy);
}

unsafe fn scatter_rows_as<T: Copy>(
    space: &Space,
    operand: usize,
    rows: Range<usize>,
    from: *const T,
) {
    let (row, stride) = (space.inner(), space.inner_stride(operand));
    let base = space.bases[operand];
    // SAFETY: required of the caller of `scatter_rows`.
    let copy = |i: usize, offset| unsafe {
        scatter_as(base.wrapping_offset(offset), stride, from.add(i * row), row);
    };
    each_row(space, operand, rows, copy);
}

/// Calls `visit` with the number and the offset in bytes of each row, counting indices up rather
/// than dividing.
fn each_row(
    space: &Space,
    operand: usize,
    rows: Range<usize>,
    mut visit: impl FnMut(usize, isize),
) {
    let outer = space.extents.len() - 1;
    let mut index: SmallVec<[usize; RANK]> = SmallVec::from_elem(0, outer);
    let mut rest = rows.start;
    for dim in (0..outer).rev() {
        index[dim] = rest % space.extents[dim];
        rest /= space.extents[dim];
    }
    let mut offset = space.row_offset(rows.start, operand);
    for i in 0..rows.len() {
        visit(i, offset);
        for dim in (0..outer).rev() {
            index[dim] += 1;
            offset += space.stride(dim, operand);
            if index[dim] < space.extents[dim] {
                break;
            }
            offset -= space.stride(dim, operand) * space.extents[dim] as isize;
            index[dim] = 0;
        }
    }
}
