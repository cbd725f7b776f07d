//! Copying an array into another of the same shape and type.

use super::layout::Space;
use super::view::{View, ViewMut};

/// Copies every element.
///
/// # Panics
///
/// If shapes or types differ.
pub(super) fn copy(from: &View<'_>, to: &mut ViewMut<'_>) {
    let (from, to) = (&from.layout, &to.layout);
    assert_eq!((&from.shape, from.dtype), (&to.shape, to.dtype), "arrays that are alike");
    if to.shape.contains(&0) {
        return;
    }
    let space = Space::new(&to.shape, &[from, to], 1);
    let size = to.dtype.size();
    let inner = space.inner();
    let last = space.extents.len().saturating_sub(1);
    let step = |operand| if last < space.extents.len() { space.stride(last, operand) } else { 0 };
    let is_run = inner == 1 || [0, 1].iter().all(|&operand| step(operand) == size as isize);
    let mut index = vec![0; last];
    for _ in 0..space.rows() {
        let place = |operand: usize| {
            let offset = |(dim, &at): (usize, &usize)| space.stride(dim, operand) * at as isize;
            let offset: isize = index.iter().enumerate().map(offset).sum();
            space.bases[operand].wrapping_offset(offset)
        };
        let (source, target) = (place(0), place(1));
        let runs = if is_run { 1 } else { inner };
        let bytes = if is_run { inner * size } else { size };
        for run in 0..runs as isize {
            let source = source.wrapping_offset(run * step(0));
            let target = target.wrapping_offset(run * step(1));
            // SAFETY: elements within both arrays; one is borrowed mutably, so they are apart.
            unsafe { source.copy_to_nonoverlapping(target, bytes) };
        }
        for (at, &extent) in index.iter_mut().zip(&space.extents).rev() {
            *at += 1;
            if *at < extent {
                break;
            }
            *at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::copy;
    use crate::run::{View, ViewMut};
    use ndarray::{Array, Array3, s};

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
