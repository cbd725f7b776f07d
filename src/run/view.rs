//! Views: arrays with their element type erased.

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(feature = "faer")]
mod faer;
#[cfg(feature = "nalgebra")]
mod nalgebra;

use super::element::Element;
use super::error::{Argument, RunError};
use kiln_ir::{DType, Dims, MAX_RANK};
use ndarray::{
    ArrayBase, ArrayRef, ArrayView, ArrayView1, ArrayViewMut, ArrayViewMut1, Data, DataMut,
    Dimension,
};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::sync::Arc;

/// Where the elements of an array lie.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The element at index 0.
    pub(super) base: *mut u8,
    pub(super) dtype: DType,
    pub(super) shape: Dims<usize>,
    /// In bytes; they may be zero or negative.
    pub(super) strides: Dims<isize>,
}

impl Layout {
    fn of<T: Element>(base: *mut T, shape: &[usize], strides: &[isize]) -> Layout {
        Layout::new(base.cast(), T::DTYPE, shape, strides)
    }

    /// Strides are in elements.
    pub(super) fn new(base: *mut u8, dtype: DType, shape: &[usize], strides: &[isize]) -> Layout {
        let size = dtype.size() as isize;
        // For an axis no longer than one element, `ndarray` allows any stride.
        let strides = strides.iter().map(|stride| stride.wrapping_mul(size)).collect();
        Layout { base, dtype, shape: shape.into(), strides }
    }

    /// An array whose elements lie one after another, the last dimension fastest.
    pub(super) fn row_major(base: *mut u8, dtype: DType, shape: &[usize]) -> Layout {
        let mut strides = SmallVec::from_elem(0, shape.len());
        let mut bytes = dtype.size() as isize;
        for (stride, &size) in strides.iter_mut().zip(shape).rev() {
            *stride = bytes;
            bytes *= size.max(1) as isize;
        }
        Layout { base, dtype, shape: shape.into(), strides }
    }

    /// Refuses more axes than a kernel takes.
    pub(super) fn check_rank(&self, argument: impl FnOnce() -> Argument) -> Result<(), RunError> {
        match self.shape.len() {
            found if found > MAX_RANK => Err(RunError::Rank { argument: argument(), found }),
            _ => Ok(()),
        }
    }

    /// Whether elements lie one after another, the last dimension fastest.
    pub(super) fn is_row_major(&self) -> bool {
        let mut expected = self.dtype.size() as isize;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected = expected.wrapping_mul(size as isize);
        }
        true
    }
}

/// A read-only view of an array of any element type, shape and strides.
///
/// Made by `From` from `ndarray`'s arrays and views, from slices, and from single elements, which
/// are arrays of no axes. With the features of these names also from matrices of `nalgebra` and `faer`, and by
/// `TryFrom` from arrays of `arrow`, which may have nulls:
///
#[cfg_attr(feature = "nalgebra", doc = "```")]
#[cfg_attr(not(feature = "nalgebra"), doc = "```ignore")]
/// use nalgebra::DMatrix;
///
/// let x = DMatrix::from_row_slice(2, 2, &[1.0f32, -2.0, 3.0, -4.0]);
/// let mut y = DMatrix::<f32>::zeros(2, 2);
/// let kernel = kiln::compile_text("relu(x) + 1")?;
/// kernel.run_into(&[(&x).into()], &mut [(&mut y).into()])?;
/// assert_eq!(y, DMatrix::from_row_slice(2, 2, &[2.0, 1.0, 4.0, 1.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub(super) layout: Layout,
    /// The memory of a single element that was given by value.
    #[expect(dead_code, reason = "it is held, and reached through the layout")]
    element: Option<Arc<u64>>,
    lifetime: PhantomData<&'a u8>,
}

/// A view of an array that can be written.
#[derive(Debug)]
pub struct ViewMut<'a> {
    pub(super) layout: Layout,
    lifetime: PhantomData<&'a mut u8>,
}

// SAFETY: a `View` gives what `&[T]` gives, to elements that are `Sync`.
unsafe impl Send for View<'_> {}
// SAFETY: as above.
unsafe impl Sync for View<'_> {}
// SAFETY: a `ViewMut` gives what `&mut [T]` gives, to elements that are `Send` and `Sync`.
unsafe impl Send for ViewMut<'_> {}
// SAFETY: as above; nothing is written through a shared `ViewMut`.
unsafe impl Sync for ViewMut<'_> {}

impl<'a> View<'a> {
    fn over(layout: Layout) -> View<'a> {
        View { layout, element: None, lifetime: PhantomData }
    }

    /// A view of what a layout reaches.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](View::from_raw).
    pub(super) unsafe fn of_layout(layout: Layout) -> View<'a> {
        View::over(layout)
    }

    /// A view of raw memory; `strides` are in bytes.
    ///
    /// # Safety
    ///
    /// Every element that `shape` and `strides` reach from `base` must be a valid `dtype` and
    /// readable for `'a`. Meanwhile only a kernel that has this view as an input may write it,
    /// under the rules of [`Kernel::run_into`](super::Kernel::run_into).
    pub unsafe fn from_raw(
        base: *const u8,
        dtype: DType,
        shape: &[usize],
        strides: &[isize],
    ) -> View<'a> {
        assert_eq!(shape.len(), strides.len(), "one stride per dimension");
        let (shape, strides) = (shape.into(), strides.into());
        let layout = Layout { base: base.cast_mut(), dtype, shape, strides };
        View::over(layout)
    }

    /// An array of this shape, all zeros, of which one is in memory: for what looks at shapes only.
    pub(crate) fn zeros(dtype: DType, shape: &[usize]) -> View<'static> {
        static ZERO: u64 = 0;
        let base = (&raw const ZERO).cast_mut().cast();
        View::over(Layout::new(base, dtype, shape, &vec![0; shape.len()]))
    }

    fn of_element<T: Element>(value: T) -> View<'a> {
        let mut element = Arc::new(0u64);
        let base = (&raw mut *Arc::make_mut(&mut element)).cast::<T>();
        // SAFETY: eight aligned bytes, room for any element, which nothing else can reach.
        unsafe { base.write(value) };
        let layout = Layout::of(base, &[], &[]);
        View { layout, element: Some(element), lifetime: PhantomData }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.layout.dtype
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The step of each dimension in bytes.
    pub fn strides(&self) -> &[isize] {
        &self.layout.strides
    }

    /// Number of elements; `usize::MAX` if it is larger, as it can be for a view that repeats.
    pub fn len(&self) -> usize {
        match self.is_empty() {
            true => 0,
            false => self.shape().iter().fold(1, |len: usize, &size| len.saturating_mul(size)),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }
}

impl<'a> ViewMut<'a> {
    fn over(layout: Layout) -> ViewMut<'a> {
        ViewMut { layout, lifetime: PhantomData }
    }

    /// A view of what a layout reaches.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](ViewMut::from_raw).
    pub(super) unsafe fn of_layout(layout: Layout) -> ViewMut<'a> {
        ViewMut::over(layout)
    }

    /// A view of room for an array, to be written; `strides` are in elements, in row-major order
    /// if there are none.
    ///
    /// # Safety
    ///
    /// There must be room for every element that `shape` and `strides` reach from `base`.
    pub(super) unsafe fn of_room<T: Element>(
        base: *mut T,
        shape: &[usize],
        strides: Option<&[isize]>,
    ) -> ViewMut<'a> {
        let layout = match strides {
            None => Layout::row_major(base.cast(), T::DTYPE, shape),
            Some(strides) => Layout::of(base, shape, strides),
        };
        ViewMut::over(layout)
    }

    /// A view of raw memory; `strides` are in bytes.
    ///
    /// # Safety
    ///
    /// Every element that `shape` and `strides` reach from `base` must be a valid `dtype`, readable
    /// and writable for `'a`. Meanwhile only a kernel that has this view as an output may use it,
    /// under the rules of [`Kernel::run_into`](super::Kernel::run_into).
    pub unsafe fn from_raw(
        base: *mut u8,
        dtype: DType,
        shape: &[usize],
        strides: &[isize],
    ) -> ViewMut<'a> {
        assert_eq!(shape.len(), strides.len(), "one stride per dimension");
        let layout = Layout { base, dtype, shape: shape.into(), strides: strides.into() };
        ViewMut::over(layout)
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.layout.dtype
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The step of each dimension in bytes.
    pub fn strides(&self) -> &[isize] {
        &self.layout.strides
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut::over(self.layout.clone())
    }

    /// The same array once more, to be written.
    ///
    /// # Safety
    ///
    /// While one of the two is used for writing, the other may not be used at all.
    pub(super) unsafe fn write_again(&self) -> ViewMut<'_> {
        ViewMut::over(self.layout.clone())
    }

    /// The same array, read-only for as long as `self` is borrowed.
    pub fn view(&self) -> View<'_> {
        View::over(self.layout.clone())
    }
}

impl<'a, T: Element, S: Data<Elem = T>, D: Dimension> From<&'a ArrayBase<S, D>> for View<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> View<'a> {
        let layout = Layout::of(array.as_ptr().cast_mut(), array.shape(), array.strides());
        View::over(layout)
    }
}

impl<'a, T: Element, D: Dimension> From<&'a ArrayRef<T, D>> for View<'a> {
    fn from(array: &'a ArrayRef<T, D>) -> View<'a> {
        let layout = Layout::of(array.as_ptr().cast_mut(), array.shape(), array.strides());
        View::over(layout)
    }
}

impl<'a, T: Element, D: Dimension> From<ArrayView<'a, T, D>> for View<'a> {
    fn from(array: ArrayView<'a, T, D>) -> View<'a> {
        let layout = Layout::of(array.as_ptr().cast_mut(), array.shape(), array.strides());
        View::over(layout)
    }
}

impl<'a, T, S, D> From<&'a mut ArrayBase<S, D>> for ViewMut<'a>
where
    T: Element,
    S: DataMut<Elem = T>,
    D: Dimension,
{
    fn from(array: &'a mut ArrayBase<S, D>) -> ViewMut<'a> {
        let base = array.as_mut_ptr();
        let layout = Layout::of(base, array.shape(), array.strides());
        ViewMut::over(layout)
    }
}

impl<'a, T: Element, D: Dimension> From<&'a mut ArrayRef<T, D>> for ViewMut<'a> {
    fn from(array: &'a mut ArrayRef<T, D>) -> ViewMut<'a> {
        let base = array.as_mut_ptr();
        let layout = Layout::of(base, array.shape(), array.strides());
        ViewMut::over(layout)
    }
}

impl<'a, T: Element, D: Dimension> From<ArrayViewMut<'a, T, D>> for ViewMut<'a> {
    fn from(mut array: ArrayViewMut<'a, T, D>) -> ViewMut<'a> {
        let base = array.as_mut_ptr();
        let layout = Layout::of(base, array.shape(), array.strides());
        ViewMut::over(layout)
    }
}

impl<'a, T: Element> From<&'a [T]> for View<'a> {
    fn from(elements: &'a [T]) -> View<'a> {
        View::from(ArrayView1::from(elements))
    }
}

impl<'a, T: Element> From<&'a Vec<T>> for View<'a> {
    fn from(elements: &'a Vec<T>) -> View<'a> {
        View::from(&elements[..])
    }
}

impl<'a, T: Element, const N: usize> From<&'a [T; N]> for View<'a> {
    fn from(elements: &'a [T; N]) -> View<'a> {
        View::from(&elements[..])
    }
}

impl<'a, T: Element> From<&'a mut [T]> for ViewMut<'a> {
    fn from(elements: &'a mut [T]) -> ViewMut<'a> {
        ViewMut::from(ArrayViewMut1::from(elements))
    }
}

impl<'a, T: Element> From<&'a mut Vec<T>> for ViewMut<'a> {
    fn from(elements: &'a mut Vec<T>) -> ViewMut<'a> {
        ViewMut::from(&mut elements[..])
    }
}

impl<'a, T: Element, const N: usize> From<&'a mut [T; N]> for ViewMut<'a> {
    fn from(elements: &'a mut [T; N]) -> ViewMut<'a> {
        ViewMut::from(&mut elements[..])
    }
}

impl<'a, T: Element> From<T> for View<'a> {
    fn from(value: T) -> View<'a> {
        View::of_element(value)
    }
}
