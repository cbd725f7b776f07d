//! Moving elements between arrays and the scratch that kernels read and write.

use super::layout::{OPERANDS, Space};
use super::transpose::transpose;
use kiln_jit::emit::MAX_VECTOR;
use smallvec::SmallVec;
use std::cell::Cell;
use std::ops::Range;

/// Room for one vector of any emitter.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Vector(
    #[expect(dead_code, reason = "read and written through pointers only")] [u8; MAX_VECTOR],
);

impl Vector {
    pub(super) const ZERO: Vector = Vector([0; MAX_VECTOR]);
}

/// A tile per operand that needs one.
pub(super) struct Scratch {
    /// Owns the memory. Used only through `base`, so that pointers into it stay valid.
    lines: Vec<Vector>,
    base: *mut Vector,
    /// First line of each operand, and the end.
    starts: SmallVec<[usize; OPERANDS]>,
}

impl Scratch {
    /// Room for this many bytes per operand. Allocates nothing if one that this thread had was as large.
    pub(super) fn new(bytes: impl Iterator<Item = usize>) -> Scratch {
        let mut end = 0;
        let mut starts = SmallVec::new();
        starts.push(0);
        for bytes in bytes {
            end += bytes.div_ceil(size_of::<Vector>());
            starts.push(end);
        }
        let mut lines = match end {
            0 => Vec::new(),
            _ => KEPT.try_with(take).unwrap_or_default(),
        };
        if lines.len() < end {
            lines.resize(end, Vector::ZERO);
        }
        Scratch { base: lines.as_mut_ptr(), lines, starts }
    }

    /// How many operands there is room for.
    pub(super) fn operands(&self) -> usize {
        self.starts.len() - 1
    }

    /// An operand's first byte.
    pub(super) fn of(&self, operand: usize) -> *mut u8 {
        self.base.wrapping_add(self.starts[operand]).cast()
    }
}

thread_local! {
    /// The lines of scratches that this thread had, the larger ones last: one may be in use while another is
    /// made, as by the parts of long rows.
    static KEPT: Cell<[Vec<Vector>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// Takes the larger ones.
fn take(kept: &Cell<[Vec<Vector>; 2]>) -> Vec<Vector> {
    let [smaller, larger] = kept.take();
    kept.set([Vec::new(), smaller]);
    larger
}

/// Keeps these, and the larger of the others.
fn keep(kept: &Cell<[Vec<Vector>; 2]>, lines: Vec<Vector>) {
    let [_, larger] = kept.take();
    kept.set(if larger.len() > lines.len() { [lines, larger] } else { [larger, lines] });
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.lines.is_empty() {
            // The slot is gone once the thread ends.
            let _ = KEPT.try_with(|kept| keep(kept, std::mem::take(&mut self.lines)));
        }
    }
}

/// Some rows and columns of a space; columns are along its innermost dimension.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// Bytes between rows where the block is packed.
    pub(super) gap: usize,
}

impl Block {
    /// Bytes from row to row where elements of `size` bytes are packed.
    pub(super) fn pitch(&self, size: usize) -> usize {
        self.columns.len() * size + self.gap
    }
}

/// Calls a function with the unsigned integer type of `$size` bytes.
macro_rules! by_size {
    ($size:expr, $function:ident($($argument:expr),*)) => {
        match $size {
            2 => $function::<u16>($($argument),*),
            1 => $function::<u8>($($argument),*),
            4 => $function::<u32>($($argument),*),
            8 => $function::<u64>($($argument),*),
            size => unreachable!("no element has {size} bytes"),
        }
    };
}

/// Packs a block of an operand, row after row.
///
/// # Safety
///
/// The block must be one of the space, and `to` must have room for its elements.
pub(super) unsafe fn gather(to: *mut u8, space: &Space, operand: usize, block: &Block) {
    for_each_run(space, operand, block, |packed, array, [rows, columns], steps| {
        let (size, to) = (space.sizes[operand], to.wrapping_add(packed));
        let packed_steps = [block.pitch(size) as isize, size as isize];
        let sizes = [rows, columns];
        // SAFETY: required of the caller.
        unsafe { by_size!(size, copy_as(to, packed_steps, array, steps, sizes)) }
    });
}

/// Unpacks a block of an operand, row after row.
///
/// # Safety
///
/// The block must be one of the space, and `from` must hold its elements.
pub(super) unsafe fn scatter(space: &Space, operand: usize, block: &Block, from: *const u8) {
    for_each_run(space, operand, block, |packed, array, [rows, columns], steps| {
        let (size, from) = (space.sizes[operand], from.wrapping_add(packed));
        let packed_steps = [block.pitch(size) as isize, size as isize];
        let sizes = [rows, columns];
        // SAFETY: required of the caller.
        unsafe { by_size!(size, copy_as(array, steps, from, packed_steps, sizes)) }
    });
}

/// Repeats the element at `from` `n` times.
///
/// # Safety
///
/// `from` must hold an element of `size` bytes, `to` must have room for `n`.
pub(super) unsafe fn fill(to: *mut u8, from: *const u8, n: usize, size: usize) {
    unsafe fn fill_as<T: Copy>(to: *mut u8, from: *const u8, n: usize) {
        // SAFETY: required of the caller.
        unsafe {
            let element = from.cast::<T>().read_unaligned();
            (0..n).for_each(|i| to.cast::<T>().add(i).write_unaligned(element));
        }
    }
    // SAFETY: required of the caller.
    unsafe { by_size!(size, fill_as(to, from, n)) }
}

/// Repeats the `period` bytes at `from` to fill `bytes`.
///
/// # Safety
///
/// `from` must hold `period` bytes, `to` must have room for `bytes`.
pub(super) unsafe fn repeat(to: *mut u8, from: *const u8, period: usize, bytes: usize) {
    let mut done = period.min(bytes);
    // SAFETY: required of the caller; every copy but the last is a whole number of periods.
    unsafe {
        to.copy_from_nonoverlapping(from, done);
        while done < bytes {
            let more = done.min(bytes - done);
            to.add(done).copy_from_nonoverlapping(to, more);
            done += more;
        }
    }
}

/// Cuts a block into runs along the next to innermost dimension; within a run, rows are evenly
/// spaced. `visit` gets a run's place in the packed block in bytes, its place in the array, its
/// rows and columns, and the array's steps of both.
fn for_each_run(
    space: &Space,
    operand: usize,
    block: &Block,
    mut visit: impl FnMut(usize, *mut u8, [usize; 2], [isize; 2]),
) {
    let (run, row_step) = (space.run(), space.row_step(operand));
    let column_step = space.inner_stride(operand);
    let (columns, pitch) = (block.columns.len(), block.pitch(space.sizes[operand]));
    let base = space.bases[operand].wrapping_offset(block.columns.start as isize * column_step);
    let mut row = block.rows.start;
    while row < block.rows.end {
        let rows = (run - row % run).min(block.rows.end - row);
        let packed = (row - block.rows.start) * pitch;
        let array = base.wrapping_offset(space.row_offset(row, operand));
        visit(packed, array, [rows, columns], [row_step, column_step]);
        row += rows;
    }
}

/// Copies rows and columns of elements of `size` bytes; steps, of rows and of columns, are in bytes.
///
/// # Safety
///
/// The elements must be there, and `to` have room for them, apart from them.
pub(super) unsafe fn copy(
    size: usize,
    to: *mut u8,
    to_steps: [isize; 2],
    from: *const u8,
    from_steps: [isize; 2],
    sizes: [usize; 2],
) {
    // SAFETY: required of the caller.
    unsafe { by_size!(size, copy_as(to, to_steps, from, from_steps, sizes)) }
}

/// The same for elements of one size.
unsafe fn copy_as<T: Copy>(
    to: *mut u8,
    to_steps: [isize; 2],
    from: *const u8,
    from_steps: [isize; 2],
    sizes: [usize; 2],
) {
    let size = size_of::<T>() as isize;
    if to_steps[0] == size && to_steps[1] != size {
        let turned = |[a, b]: [isize; 2]| [b, a];
        let [rows, columns] = sizes;
        // SAFETY: the same elements, rows being called columns.
        unsafe {
            return copy_as::<T>(to, turned(to_steps), from, turned(from_steps), [columns, rows]);
        }
    }
    let [rows, columns] = sizes;
    // SAFETY: required of the caller.
    unsafe {
        let transposed = from_steps[0] == size && from_steps[1] != size && rows >= 4;
        if to_steps[1] == size && transposed && columns >= 4 {
            return transpose::<T>([to_steps[0], from_steps[1]], to, from, sizes);
        }
        if to_steps[1] == size && columns >= 16 {
            let row = |row: isize| (to.offset(row * to_steps[0]), from.offset(row * from_steps[0]));
            // Steps are compared, never divided: those of packed records need not be whole
            // elements.
            let copy_row = match from_steps[1] {
                step if step == size => copy_run::<T, 1>,
                step if step == 2 * size => copy_run::<T, 2>,
                step if step == -size => copy_backwards::<T>,
                _ => copy_any::<T>,
            };
            (0..rows as isize)
                .map(row)
                .for_each(|(to, from)| copy_row(to, from, columns, from_steps[1]));
            return;
        }
        // If rows are short, the longer loop goes inside; else the one with the smaller steps in
        // the array.
        let reach =
            |axis: usize| to_steps[axis].unsigned_abs().max(from_steps[axis].unsigned_abs());
        let down = if columns < 16 { rows > columns } else { reach(0) < reach(1) };
        let (outer, inner) = if down { (1, 0) } else { (0, 1) };
        for i in 0..sizes[outer] as isize {
            let to = to.offset(i * to_steps[outer]);
            let from = from.offset(i * from_steps[outer]);
            for j in 0..sizes[inner] as isize {
                let element = from.offset(j * from_steps[inner]).cast::<T>().read_unaligned();
                to.offset(j * to_steps[inner]).cast::<T>().write_unaligned(element);
            }
        }
    }
}

/// Copies elements that are `STEP` elements apart so that they lie one after another. The step is a
/// constant so that the compiler makes vector code.
unsafe fn copy_run<T: Copy, const STEP: isize>(to: *mut u8, from: *const u8, n: usize, _: isize) {
    let (to, from) = (to.cast::<T>(), from.cast::<T>());
    // SAFETY: required of the caller.
    unsafe {
        for i in 0..n as isize {
            to.offset(i).write_unaligned(from.offset(i * STEP).read_unaligned());
        }
    }
}

/// The same for a step of -1, from the last element on: where memory is read upwards, the processor
/// fetches ahead (`x + y`, `y` reversed, 4 Mi elements on one thread, ns each: `f32` 0.80 downwards
/// and 0.54 upwards, `f64` 1.6 and 1.15).
unsafe fn copy_backwards<T: Copy>(to: *mut u8, from: *const u8, n: usize, _: isize) {
    let (to, from) = (to.cast::<T>(), from.cast::<T>());
    // SAFETY: required of the caller.
    unsafe {
        for i in (0..n as isize).rev() {
            to.offset(i).write_unaligned(from.offset(-i).read_unaligned());
        }
    }
}

/// The same for any step in bytes.
unsafe fn copy_any<T: Copy>(to: *mut u8, from: *const u8, n: usize, step: isize) {
    // SAFETY: required of the caller.
    unsafe {
        for i in 0..n as isize {
            let element = from.offset(i * step).cast::<T>().read_unaligned();
            to.cast::<T>().offset(i).write_unaligned(element);
        }
    }
}
