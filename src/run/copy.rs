//! Copying an array into another of the same shape and type.

use super::exec::{PER_BYTE, threads_for};
use super::layout::Space;
use super::pack;
use super::queue::{Queue, Shared};
use super::team::{self, share};
use super::view::{Layout, View, ViewMut};

/// Bytes that are copied at once where both arrays have them one after another.
const RUN: usize = 256 << 10;

/// Rows and columns that are copied at once where they do not: a tile of each stays in a cache.
const TILE: usize = 128;

/// Copies every element, on this thread.
///
/// # Panics
///
/// If shapes or types differ.
pub(super) fn copy(from: &View<'_>, to: &mut ViewMut<'_>) {
    // SAFETY: one can be read, and the other is borrowed mutably, so they are apart.
    unsafe { copy_layout(&from.layout, &to.layout, Some(1)) }
}

/// Copies every element, on at most `threads` threads.
///
/// # Safety
///
/// `from` must be readable, and `to` writable and apart.
///
/// # Panics
///
/// If shapes or types differ.
pub(super) unsafe fn copy_layout(from: &Layout, to: &Layout, threads: Option<usize>) {
    assert_eq!((&from.shape, from.dtype), (&to.shape, to.dtype), "arrays that are alike");
    if to.shape.contains(&0) {
        return;
    }
    let space = Space::new(&to.shape, &[from, to], 1);
    let (size, inner, run) = (to.dtype.size(), space.inner(), space.run());
    let together = [0, 1].iter().all(|&operand| space.inner_stride(operand) == size as isize);
    let (rows, columns) = match (together, inner * size) {
        (true, bytes) => ((RUN / bytes).max(1), RUN / size),
        (false, _) => (TILE, TILE),
    };
    let (tall, wide) = (run.div_ceil(rows), inner.div_ceil(columns));
    let queue = Queue::new(space.rows() / run * tall * wide, 1);
    let work = Shared(|tile: usize| {
        let (across, rest) = (tile % wide * columns, tile / wide);
        let (down, runs) = (rest % tall * rows, rest / tall);
        let count = [rows.min(run - down), columns.min(inner - across)];
        let place = |operand: usize| {
            let row = space.row_offset(runs * run + down, operand);
            let column = space.inner_stride(operand).wrapping_mul(across as isize);
            space.bases[operand].wrapping_offset(row.wrapping_add(column))
        };
        let steps = |operand: usize| [space.row_step(operand), space.inner_stride(operand)];
        // SAFETY: elements of both arrays, which are apart; no other tile has these.
        unsafe { copy_tile(size, [place(0), place(1)], [steps(0), steps(1)], count) };
    });
    let bytes = 2.0 * size as f64 * (space.rows() as f64 * inner as f64);
    let threads = threads_for(bytes * PER_BYTE, threads.unwrap_or(usize::MAX));
    let copy = work.get();
    let all = Shared(|()| {
        while let Some(tiles) = queue.take() {
            tiles.for_each(copy);
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

/// Copies rows and columns of elements of `size` bytes from the first place to the second.
///
/// # Safety
///
/// They must be there, readable and writable, and apart.
unsafe fn copy_tile(
    size: usize,
    [from, to]: [*mut u8; 2],
    [from_steps, to_steps]: [[isize; 2]; 2],
    [rows, columns]: [usize; 2],
) {
    let is_run = |steps: [isize; 2]| columns == 1 || steps[1] == size as isize;
    let row = |base: *mut u8, steps: [isize; 2], row: usize| {
        base.wrapping_offset(steps[0].wrapping_mul(row as isize))
    };
    // SAFETY: required of the caller.
    unsafe {
        match (is_run(from_steps), is_run(to_steps)) {
            (true, true) if columns > 1 => (0..rows).for_each(|at| {
                let from = row(from, from_steps, at);
                from.copy_to_nonoverlapping(row(to, to_steps, at), columns * size);
            }),
            (_, true) if from_steps[1] == 0 => (0..rows).for_each(|at| {
                pack::fill(row(to, to_steps, at), row(from, from_steps, at), columns, size);
            }),
            _ => pack::copy(size, to, to_steps, from, from_steps, [rows, columns]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{copy, copy_layout};
    use crate::run::{View, ViewMut};
    use ndarray::{Array, Array3, s};

    /// Large enough for several tiles and threads, in all layouts.
    #[test]
    fn tiles_and_threads() {
        let from = Array::from_iter(0..3 * 301 * 523i32).into_shape_with_order((3, 301, 523));
        let from = from.unwrap();
        for threads in [Some(1), Some(3), None] {
            let copied = |from: View<'_>, to: ViewMut<'_>| {
                // SAFETY: both are borrowed.
                unsafe { copy_layout(&from.layout, &to.layout, threads) }
            };
            let mut same = Array3::<i32>::zeros((3, 301, 523));
            copied(View::from(&from), ViewMut::from(&mut same));
            assert_eq!(same, from);
            let mut turned = Array3::<i32>::zeros((523, 301, 3));
            copied(View::from(&from), ViewMut::from(turned.view_mut().reversed_axes()));
            assert_eq!(turned.view().reversed_axes(), from);
            let mut wide = Array3::<i32>::zeros((3, 301, 600));
            copied(View::from(&from), ViewMut::from(wide.slice_mut(s![.., .., 7..530])));
            assert_eq!(wide.slice(s![.., .., 7..530]), from);
            let one = Array::from_elem((1, 1, 1), 5i32);
            let many = one.broadcast((3, 301, 523)).unwrap();
            copied(View::from(many), ViewMut::from(&mut same));
            assert!(same.iter().all(|&x| x == 5));
        }
    }

    #[test]
    fn every_element_is_copied() {
        let from = Array::from_iter(0..24i32).into_shape_with_order((2, 3, 4)).unwrap();
        let mut wide = Array3::<i32>::zeros((2, 3, 8));
        copy(&View::from(&from), &mut ViewMut::from(wide.slice_mut(s![.., .., ..;2])));
        assert_eq!(wide.slice(s![.., .., ..;2]), from);
        assert_eq!(wide.slice(s![.., .., 1..;2]).sum(), 0);
        let mut turned = Array3::<i32>::zeros((4, 3, 2));
        let target = turned.view_mut().reversed_axes();
        copy(&View::from(&from), &mut ViewMut::from(target.slice_move(s![.., ..;-1, ..])));
        assert_eq!(turned.view().reversed_axes().slice(s![.., ..;-1, ..]), from);
        let mut same = Array3::<i32>::zeros((2, 3, 4));
        copy(&View::from(&from), &mut ViewMut::from(&mut same));
        assert_eq!(same, from);
        let mut element = [7f32];
        copy(&View::from(3f32), &mut ViewMut::from(Array::from_elem((), 0f32).view_mut()));
        copy(&View::from(&[1f32]), &mut ViewMut::from(&mut element));
        assert_eq!(element, [1.0]);
    }
}
