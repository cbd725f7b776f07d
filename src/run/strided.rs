//! Views of arrays: where the elements of one lie, which strides can say of all but some reshapes.

use super::copy::copy;
use super::error::RunError;
use super::tensor::Tensor;
use super::view::{Layout, View as Array};
use kiln_ir::{Call, Dims, SMALL_RANK, View};
use smallvec::SmallVec;

impl Layout {
    /// The view of an array, which has this shape; `None` for a reshape that strides cannot say.
    fn apply(&self, view: View, shape: &[usize]) -> Option<Layout> {
        let axes = view.axes_of(&self.shape).expect("the shape was inferred");
        let Some(axes) = axes else {
            let strides = reshaped(self, shape)?;
            return Some(Layout {
                base: self.base,
                dtype: self.dtype,
                shape: shape.into(),
                strides,
            });
        };
        let mut layout = Layout {
            base: self.base,
            dtype: self.dtype,
            shape: SmallVec::new(),
            strides: SmallVec::new(),
        };
        for axis in &axes {
            let stride = axis.from.map_or(0, |from| self.strides[from]);
            layout.shape.push(axis.size);
            // Of an axis no longer than one element, the stride does not matter.
            layout.strides.push(stride.wrapping_mul(axis.step));
            layout.base = layout.base.wrapping_offset(stride.wrapping_mul(axis.first as isize));
        }
        Some(layout)
    }

    /// The array of this shape that it is a view of; `None` where strides cannot say how that lies.
    fn undo(&self, view: View, shape: &[usize]) -> Option<Layout> {
        let axes = view.axes_of(shape).expect("the shape was inferred");
        let Layout { mut base, dtype, .. } = *self;
        let Some(axes) = axes else {
            return Some(Layout {
                base,
                dtype,
                shape: shape.into(),
                strides: reshaped(self, shape)?,
            });
        };
        // An axis that is dropped has one element.
        let mut strides: Dims<isize> = SmallVec::from_elem(dtype.size() as isize, shape.len());
        for (axis, &stride) in axes.iter().zip(&self.strides) {
            let Some(from) = axis.from else { continue };
            strides[from] = stride.wrapping_mul(axis.step);
            base = base
                .wrapping_offset(strides[from].wrapping_mul(axis.first as isize).wrapping_neg());
        }
        Some(Layout { base, dtype, shape: shape.into(), strides })
    }
}

/// The array of this shape of which a chain of views is an array; `None` where strides cannot say where its elements
/// lie. The views must leave out and repeat nothing.
pub(super) fn undone(layout: &Layout, chain: &[View], shape: &[usize]) -> Option<Layout> {
    let mut shapes: SmallVec<[Dims<usize>; 4]> = SmallVec::new();
    for &view in chain {
        let of = shapes.last().map_or(shape, |shape| &shape[..]);
        let viewed = Call::View(view).infer(&[of]).expect("the shapes of the call were inferred");
        shapes.push(viewed);
    }
    let befores = std::iter::once(shape).chain(shapes.iter().map(|shape| &shape[..]));
    let steps: SmallVec<[(View, &[usize]); 4]> = chain.iter().copied().zip(befores).collect();
    let undo = |layout: Layout, &(view, shape): &(View, &[usize])| layout.undo(view, shape);
    steps.iter().rev().try_fold(layout.clone(), undo)
}

/// The strides of an array in another shape of as many elements.
pub(super) fn reshaped(layout: &Layout, shape: &[usize]) -> Option<Dims<isize>> {
    let size = layout.dtype.size() as isize;
    if shape.contains(&0) {
        return Some(SmallVec::from_elem(size, shape.len()));
    }
    // Old axes of which each is one run with the next: how many elements, and the last stride.
    let mut runs: SmallVec<[(usize, isize); SMALL_RANK]> = SmallVec::new();
    for (&size, &stride) in layout.shape.iter().zip(&layout.strides) {
        match runs.last_mut() {
            _ if size == 1 => {}
            Some((count, last)) if *last == stride.wrapping_mul(size as isize) => {
                (*count, *last) = (*count * size, stride);
            }
            _ => runs.push((size, stride)),
        }
    }
    let mut strides: Dims<isize> = SmallVec::from_elem(size, shape.len());
    let (mut run, mut left) = (runs.pop(), 1);
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        if size == 1 {
            continue;
        }
        let (count, last) = run?;
        if (count / left) % size != 0 {
            return None;
        }
        *stride = last.wrapping_mul(left as isize);
        left *= size;
        if left == count {
            (run, left) = (runs.pop(), 1);
        }
    }
    Some(strides)
}

/// The array that views make of one, each of what those before it give; what strides cannot say is
/// copied, and `copies` keeps the copy.
///
/// # Safety
///
/// The array must be readable.
pub(super) unsafe fn viewed(
    layout: &Layout,
    chain: &[View],
    copies: &mut SmallVec<[Tensor; 1]>,
) -> Result<Layout, RunError> {
    follow(layout, chain, |layout| {
        let mut whole = Tensor::zeros(layout.dtype, &layout.shape)?;
        // SAFETY: required of the caller, or a copy that is kept.
        let array = unsafe { Array::of_layout(layout.clone()) };
        copy(&array, &mut whole.view_mut());
        let array = whole.view_mut().layout;
        copies.push(whole);
        Ok(array)
    })
}

/// How an array lies that views make of one; `copy` makes copies, row by row, of what strides cannot say.
pub(super) fn follow(
    layout: &Layout,
    chain: &[View],
    mut copy: impl FnMut(&Layout) -> Result<Layout, RunError>,
) -> Result<Layout, RunError> {
    let mut layout = layout.clone();
    for &view in chain {
        let shape = Call::View(view).infer(&[&layout.shape[..]]);
        let shape = shape.expect("the shapes of the call were inferred");
        layout = match layout.apply(view, &shape) {
            Some(viewed) => viewed,
            None => {
                let rows = copy(&layout)?;
                rows.apply(view, &shape).expect("rows that lie one after another have any shape")
            }
        };
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::{Layout, reshaped};
    use kiln_ir::DType;

    /// The strides, in elements, of an array of these strides in another shape.
    fn strides(shape: &[usize], strides: &[isize], to: &[usize]) -> Option<Vec<isize>> {
        let mut elements = [0f32; 1];
        let base = elements.as_mut_ptr().cast();
        let found = reshaped(&Layout::new(base, DType::F32, shape, strides), to)?;
        Some(found.iter().map(|stride| stride / 4).collect())
    }

    #[test]
    fn reshapes_that_strides_can_say() {
        for (shape, of, to, expected) in [
            (&[2, 3][..], &[3, 1][..], &[6][..], Some(&[1][..])),
            (&[6], &[1], &[2, 3], Some(&[3, 1])),
            (&[6], &[-2], &[2, 3], Some(&[-6, -2])),
            (&[4, 6], &[100, 1], &[2, 2, 3, 2], Some(&[200, 100, 2, 1])),
            (&[4, 6], &[100, 1], &[24], None),
            (&[4, 6], &[1, 4], &[24], None),
            (&[4, 6], &[1, 4], &[2, 2, 6], Some(&[2, 1, 4])),
            (&[4, 1, 6], &[6, 77, 1], &[3, 8], Some(&[8, 1])),
            (&[2, 2], &[0, 0], &[4], Some(&[0])),
            // Halves of rows, which lie unevenly.
            (&[4, 6], &[100, 1], &[8, 3], None),
        ] {
            let found = strides(shape, of, to);
            assert_eq!(found.as_deref(), expected, "{shape:?} {of:?} as {to:?}");
        }
    }
}
