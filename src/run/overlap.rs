//! Whether arrays share memory.

use super::error::{Argument, RunError};
use super::view::{Layout, View, ViewMut};

/// Refuses outputs that overlap an input (unless they are that input), another output, or
/// themselves. Conservative: it may refuse arrays that interleave in an odd way.
pub(super) fn check(inputs: &[View<'_>], outputs: &[ViewMut<'_>]) -> Result<(), RunError> {
    for (j, output) in outputs.iter().enumerate() {
        let (named, output) = (|| Argument::output(j), &output.layout);
        check_itself(output, named)?;
        for (i, other) in outputs[..j].iter().enumerate() {
            if overlap(output, &other.layout) {
                return Err(RunError::Overlap { output: named(), other: Argument::output(i) });
            }
        }
        for (i, input) in inputs.iter().enumerate() {
            if overlap(output, &input.layout) && !same(output, &input.layout) {
                return Err(RunError::Overlap { output: named(), other: Argument::input(i) });
            }
        }
    }
    Ok(())
}

/// Refuses an output of which two elements share memory.
pub(super) fn check_itself(
    output: &Layout,
    argument: impl FnOnce() -> Argument,
) -> Result<(), RunError> {
    if overlaps_itself(output) {
        let shape = output.shape.to_vec();
        return Err(RunError::SelfOverlap { output: argument(), shape });
    }
    Ok(())
}

/// Dimensions that reach more than one element, with their strides.
fn steps(layout: &Layout) -> impl Iterator<Item = (usize, isize)> {
    layout.shape.iter().copied().zip(layout.strides.iter().copied()).filter(|&(size, _)| size > 1)
}

/// The address of the first byte, and the one after the last.
fn range(layout: &Layout) -> (usize, usize) {
    let base = layout.base as usize;
    let (mut low, mut high) = (base, base.wrapping_add(layout.dtype.size()));
    for (size, stride) in steps(layout) {
        let reach = stride.wrapping_mul(size as isize - 1);
        match reach < 0 {
            true => low = low.wrapping_add_signed(reach),
            false => high = high.wrapping_add_signed(reach),
        }
    }
    (low, high)
}

/// Whether both have the same elements in the same order. Dimensions of size 1 do not matter.
pub(super) fn same(a: &Layout, b: &Layout) -> bool {
    a.base == b.base && a.dtype == b.dtype && steps(a).eq(steps(b))
}

/// Whether two arrays may share a byte.
pub(super) fn overlap(a: &Layout, b: &Layout) -> bool {
    if a.shape.contains(&0) || b.shape.contains(&0) {
        return false;
    }
    let ((a_low, a_high), (b_low, b_high)) = (range(a), range(b));
    if a_high <= b_low || b_high <= a_low {
        return false;
    }
    // Interleaved, like two columns of a matrix: where all steps are multiples of one distance,
    // every element lies at the same place within that distance.
    let strides = steps(a).chain(steps(b)).map(|(_, stride)| stride.unsigned_abs());
    let distance = strides.fold(0, gcd);
    if distance == 0 {
        return true;
    }
    let shift = (b.base as isize).wrapping_sub(a.base as isize).rem_euclid(distance as isize);
    let shift = shift as usize;
    shift < a.dtype.size() || shift + b.dtype.size() > distance
}

/// Whether two elements of an array may share a byte.
fn overlaps_itself(layout: &Layout) -> bool {
    if layout.shape.contains(&0) || layout.is_row_major() {
        return false;
    }
    // From the smallest step up, each must go beyond everything that the smaller ones reach.
    let mut reach = layout.dtype.size();
    let mut last = 0;
    let larger = |last: usize| {
        steps(layout)
            .filter(move |&(_, s)| s.unsigned_abs() > last)
            .map(|(_, s)| s.unsigned_abs())
            .min()
    };
    let mut dims = 0;
    while let Some(step) = larger(last) {
        let mut with_step = steps(layout).filter(|&(_, s)| s.unsigned_abs() == step);
        let (size, _) = with_step.next().unwrap_or((1, 0));
        if step < reach || with_step.next().is_some() {
            return true;
        }
        reach += step * (size - 1);
        last = step;
        dims += 1;
    }
    // A step of 0 is never larger.
    dims < steps(layout).count()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
