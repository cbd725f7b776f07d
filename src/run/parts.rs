//! Arrays that are made of parts: put together, or made longer.

use super::copy::copy_layout;
use super::view::Layout;
use kiln_ir::{Concat, Pad};

/// Part of an array, `len` elements from `start` on along an axis.
pub(super) fn part(of: &Layout, axis: usize, start: usize, len: usize) -> Layout {
    let mut part = of.clone();
    part.shape[axis] = len;
    // Where there is nothing, no distance matters.
    let start = if len == 0 { 0 } else { start };
    part.base = part.base.wrapping_offset(part.strides[axis].wrapping_mul(start as isize));
    part
}

/// Puts arrays together.
///
/// # Safety
///
/// Operands must have the types and shapes of the call, and be readable, and `output` writable and
/// apart, but for operands that lie where they are to be put.
pub(super) unsafe fn concat(
    concat: Concat,
    operands: &[&Layout],
    output: &Layout,
    threads: Option<usize>,
) {
    let axis = concat.place(output.shape.len()).expect("the shape was inferred");
    let mut start = 0;
    for &operand in operands {
        let len = operand.shape[axis];
        // SAFETY: required of the caller; the part has the operand's shape.
        unsafe { put(operand, &part(output, axis, start, len), threads) };
        start += len;
    }
}

/// Writes an array, and a number before and after each row.
///
/// # Safety
///
/// As for [`concat`].
pub(super) unsafe fn pad(
    pad: Pad,
    array: &Layout,
    number: &Layout,
    output: &Layout,
    threads: Option<usize>,
) {
    let axis = pad.place(output.shape.len()).expect("the shape was inferred");
    let (before, len, after) = (pad.before as usize, array.shape[axis], pad.after as usize);
    for (start, len) in [(0, before), (before + len, after)] {
        let to = part(output, axis, start, len);
        let mut number = number.clone();
        number.strides = to.strides.iter().map(|_| 0).collect();
        number.shape.clone_from(&to.shape);
        // SAFETY: required of the caller; the number repeats in the part's shape.
        unsafe { copy_layout(&number, &to, threads) };
    }
    // SAFETY: required of the caller; the part has the array's shape.
    unsafe { put(array, &part(output, axis, before, len), threads) };
}

/// Copies an array to where it belongs, unless it was computed there.
///
/// # Safety
///
/// As for [`copy_layout`].
unsafe fn put(from: &Layout, to: &Layout, threads: Option<usize>) {
    if from.base != to.base || from.strides != to.strides {
        // SAFETY: required of the caller.
        unsafe { copy_layout(from, to, threads) };
    }
}
