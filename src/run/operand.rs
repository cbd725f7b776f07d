//! Operands: arrays and single elements as a typed call passes them, borrowed where they lie.

use super::element::Element;
use super::layout::OPERANDS;
use super::view::{Layout, View, ViewMut};
use kiln_ir::DType;
use ndarray::{ArrayRef, Dimension};
use smallvec::SmallVec;
use std::marker::PhantomData;

/// What a call reads. It borrows even the shape, so it costs nothing to make.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    pub(super) base: *mut u8,
    pub(super) dtype: DType,
    pub(super) shape: &'a [usize],
    /// In elements.
    pub(super) strides: &'a [isize],
}

/// What a call writes.
#[derive(Debug)]
pub struct OperandMut<'a> {
    pub(super) to: Operand<'a>,
    borrow: PhantomData<&'a mut u8>,
}

/// Operands of a call.
pub(super) type Operands<'a> = SmallVec<[Operand<'a>; OPERANDS]>;

/// Operands that a call writes.
pub(super) type OperandsMut<'a> = SmallVec<[OperandMut<'a>; 2]>;

impl<'a> Operand<'a> {
    /// An array.
    #[inline]
    pub fn array<T: Element, D: Dimension>(array: &'a ArrayRef<T, D>) -> Operand<'a> {
        let base = array.as_ptr().cast_mut().cast();
        Operand { base, dtype: T::DTYPE, shape: array.shape(), strides: array.strides() }
    }

    /// A single element, an array of no axes.
    #[inline]
    pub fn scalar<T: Element>(value: &'a T) -> Operand<'a> {
        let base = (&raw const *value).cast_mut().cast();
        Operand { base, dtype: T::DTYPE, shape: &[], strides: &[] }
    }

    pub(super) fn view(&self) -> View<'a> {
        // SAFETY: an array, or an element, that is borrowed for `'a`.
        unsafe { View::of_layout(self.layout()) }
    }

    fn layout(&self) -> Layout {
        Layout::new(self.base, self.dtype, self.shape, self.strides)
    }
}

impl<'a> OperandMut<'a> {
    /// An array.
    #[inline]
    pub fn array<T: Element, D: Dimension>(array: &'a mut ArrayRef<T, D>) -> OperandMut<'a> {
        let base = array.as_mut_ptr().cast();
        let (shape, strides) = (array.shape(), array.strides());
        let to = Operand { base, dtype: T::DTYPE, shape, strides };
        OperandMut { to, borrow: PhantomData }
    }

    /// Room for an array that lies as `like` does.
    ///
    /// # Safety
    ///
    /// There must be room at `base` for as many elements, for as long as this lives.
    pub(super) unsafe fn room(base: *mut u8, dtype: DType, like: &Operand<'a>) -> OperandMut<'a> {
        let to = Operand { base, dtype, ..*like };
        OperandMut { to, borrow: PhantomData }
    }

    pub(super) fn view_mut(&self) -> ViewMut<'_> {
        // SAFETY: an array that is borrowed mutably for longer.
        unsafe { ViewMut::of_layout(self.to.layout()) }
    }
}
