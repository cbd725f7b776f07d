//! Scans: running sums and products along an axis, in an order that is the definition of the result.
//!
//! Elements are merged from the first to the last. What is carried is an `f64` for floats, and rounded
//! for each element; a sum of `f64` carries besides what its additions lost, by Knuth's two-sum.
//!
//! The error of a running sum of `f32` after `n` elements: half a unit in the last place of the result,
//! and `n` times 2^-53 of the sum of magnitudes so far. Of `f64`: one unit of the result, and `n^2`
//! times 2^-106 of that sum. Of a product: `n` times 2^-53, relative, and of `f32` half a unit more.

mod carry;
mod strips;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod turned;

use super::exec::{PER_BYTE, threads_for};
use super::layout::Space;
use super::queue::{Queue, Shared};
use super::team::{self, share};
use super::view::Layout;
use kiln_ir::Scan;
pub(super) use strips::{FEW, LANES, NEIGHBOURS, Scanner, State, Strip};

/// Nanoseconds for an element, roughly.
pub(super) const PER_ELEMENT: f64 = 0.5;

/// Scans an array into `output`.
///
/// # Safety
///
/// Both must have the type and the shape of the call, `input` be readable, and `output` writable and
/// apart.
pub(super) unsafe fn scan(by: Scan, input: &Layout, output: &Layout, threads: Option<usize>) {
    let axis = by.place(input.shape.len()).expect("the shape was inferred");
    // SAFETY: required of the caller.
    unsafe { rows(&Scanner::new(by.by, input.dtype), axis, input, output, threads) };
}

/// Scans every row along `axis`.
///
/// # Safety
///
/// As for [`scan`]; elements must be of the scanner's type.
unsafe fn rows(
    scanner: &Scanner,
    axis: usize,
    input: &Layout,
    output: &Layout,
    threads: Option<usize>,
) {
    let elements: usize = output.shape.iter().product();
    if elements == 0 {
        return;
    }
    let len = input.shape[axis];
    let steps = [input.strides[axis], output.strides[axis]];
    let (input, output) = (without(input, axis), without(output, axis));
    let space = Space::new(&output.shape, &[&input, &output], 1);
    let nearby = [space.inner_stride(0), space.inner_stride(1)];
    let lanes = if nearby == [scanner.size() as isize; 2] { NEIGHBOURS } else { LANES };
    let groups = space.inner().div_ceil(lanes);
    let queue = Queue::new(space.rows() * groups, 1);
    let work = Shared(|group: usize| {
        let (row, first) = (group / groups, group % groups * lanes);
        let start = |operand: usize| {
            let offset = first as isize * space.inner_stride(operand);
            space.bases[operand].wrapping_offset(space.row_offset(row, operand) + offset)
        };
        let (bases, rows) = ([start(0), start(1)], lanes.min(space.inner() - first));
        // SAFETY: elements of both arrays, which are apart; no other group has these rows.
        unsafe { scanner.whole(&Strip { bases, rows, len, nearby, steps }) };
    });
    let cost = PER_ELEMENT.max(2.0 * scanner.size() as f64 * PER_BYTE);
    let threads = threads_for(elements as f64 * cost, threads.unwrap_or(usize::MAX));
    let run = work.get();
    let all = Shared(|()| {
        while let Some(groups) = queue.take() {
            groups.for_each(run);
        }
    });
    match threads.count {
        1 => all.get()(()),
        count => share(count, &|| all.get()(())),
    }
    if threads.are_worth_it {
        team::ended();
    }
}

/// The array of the first element of each row.
fn without(layout: &Layout, axis: usize) -> Layout {
    let mut rest = layout.clone();
    rest.shape.remove(axis);
    rest.strides.remove(axis);
    rest
}
