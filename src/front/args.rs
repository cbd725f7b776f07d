//! What a typed call takes: arrays, slices and numbers, each of the element type of its input.

use crate::run::{Element, Operand, OperandMut};
use ndarray::{
    ArrayBase, ArrayRef, ArrayView, ArrayView1, ArrayViewMut, ArrayViewMut1, Data, DataMut, DimMax,
    Dimension, Ix0, Ix1,
};

/// An argument for an input of element type `T`.
///
/// Arrays are passed by reference or as views; a number is an array of no axes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no argument for an input of `{T}`",
    label = "an array or a number of `{T}` is wanted here",
    note = "pass an `ndarray` array of `{T}` by reference (`&x`), a view, a slice `&[{T}]`, or a number of type `{T}`"
)]
pub trait Arg<T: Element> {
    /// The number of its axes.
    type Rank: Rank;
    /// What it is during a call.
    #[doc(hidden)]
    type Held;
    #[doc(hidden)]
    fn hold(self) -> Self::Held;
    #[doc(hidden)]
    fn operand(held: &Self::Held) -> Operand<'_>;
}

/// An array of element type `T` that a call writes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take a result of `{T}`",
    label = "an array of `{T}` that can be written is wanted here",
    note = "pass an `ndarray` array of `{T}` by mutable reference (`&mut y`), a mutable view, or a slice `&mut [{T}]`"
)]
pub trait ArgMut<T: Element> {
    #[doc(hidden)]
    type Held;
    #[doc(hidden)]
    fn hold(self) -> Self::Held;
    #[doc(hidden)]
    fn operand(held: &mut Self::Held) -> OperandMut<'_>;
}

impl<'a, T, S, D> Arg<T> for &'a ArrayBase<S, D>
where
    T: Element + Takes<S::Elem>,
    S: Data<Elem: Element>,
    D: Dimension,
{
    type Rank = D;
    type Held = &'a ArrayRef<S::Elem, D>;

    #[inline]
    fn hold(self) -> &'a ArrayRef<S::Elem, D> {
        self
    }

    #[inline]
    fn operand<'h>(held: &'h &'a ArrayRef<S::Elem, D>) -> Operand<'h> {
        Operand::array(held)
    }
}

impl<'a, T: Element, D: Dimension> Arg<T> for &'a ArrayRef<T, D> {
    type Rank = D;
    type Held = &'a ArrayRef<T, D>;

    #[inline]
    fn hold(self) -> &'a ArrayRef<T, D> {
        self
    }

    #[inline]
    fn operand<'h>(held: &'h &'a ArrayRef<T, D>) -> Operand<'h> {
        Operand::array(held)
    }
}

impl<'a, T: Element, D: Dimension> Arg<T> for ArrayView<'a, T, D> {
    type Rank = D;
    type Held = ArrayView<'a, T, D>;

    #[inline]
    fn hold(self) -> ArrayView<'a, T, D> {
        self
    }

    #[inline]
    fn operand<'h>(held: &'h ArrayView<'a, T, D>) -> Operand<'h> {
        Operand::array(held)
    }
}

/// Slices, by way of views.
macro_rules! slice_args {
    ($($({$($generics:tt)*})? $slice:ty, $slice_mut:ty;)*) => {$(
        impl<'a, T: Element $(, $($generics)*)?> Arg<T> for &'a $slice {
            type Rank = Ix1;
            type Held = ArrayView1<'a, T>;

            #[inline]
            fn hold(self) -> ArrayView1<'a, T> {
                ArrayView1::from(&self[..])
            }

            #[inline]
            fn operand<'h>(held: &'h ArrayView1<'a, T>) -> Operand<'h> {
                Operand::array(held)
            }
        }

        impl<'a, T: Element $(, $($generics)*)?> ArgMut<T> for &'a mut $slice_mut {
            type Held = ArrayViewMut1<'a, T>;

            #[inline]
            fn hold(self) -> ArrayViewMut1<'a, T> {
                ArrayViewMut1::from(&mut self[..])
            }

            #[inline]
            fn operand<'h>(held: &'h mut ArrayViewMut1<'a, T>) -> OperandMut<'h> {
                OperandMut::array(held)
            }
        }
    )*};
}

slice_args! { [T], [T]; Vec<T>, Vec<T>; {const N: usize} [T; N], [T; N]; }

impl<T: Element> Arg<T> for T {
    type Rank = Single;
    type Held = T;

    #[inline]
    fn hold(self) -> T {
        self
    }

    #[inline]
    fn operand(held: &T) -> Operand<'_> {
        Operand::scalar(held)
    }
}

impl<'a, T: Element, S: DataMut<Elem = T>, D: Dimension> ArgMut<T> for &'a mut ArrayBase<S, D> {
    type Held = &'a mut ArrayRef<T, D>;

    #[inline]
    fn hold(self) -> &'a mut ArrayRef<T, D> {
        self
    }

    #[inline]
    fn operand<'h>(held: &'h mut &'a mut ArrayRef<T, D>) -> OperandMut<'h> {
        OperandMut::array(held)
    }
}

impl<'a, T: Element, D: Dimension> ArgMut<T> for &'a mut ArrayRef<T, D> {
    type Held = &'a mut ArrayRef<T, D>;

    #[inline]
    fn hold(self) -> &'a mut ArrayRef<T, D> {
        self
    }

    #[inline]
    fn operand<'h>(held: &'h mut &'a mut ArrayRef<T, D>) -> OperandMut<'h> {
        OperandMut::array(held)
    }
}

impl<'a, T: Element, D: Dimension> ArgMut<T> for ArrayViewMut<'a, T, D> {
    type Held = ArrayViewMut<'a, T, D>;

    #[inline]
    fn hold(self) -> ArrayViewMut<'a, T, D> {
        self
    }

    #[inline]
    fn operand<'h>(held: &'h mut ArrayViewMut<'a, T, D>) -> OperandMut<'h> {
        OperandMut::array(held)
    }
}

/// An input of this element type takes arrays of the element type `E`: its own, and no other.
#[diagnostic::on_unimplemented(
    message = "an array of `{E}` is passed for an input of `{Self}`",
    label = "this needs an array of `{Self}`",
    note = "give the parameter that type, as in `|x: {E}|`, or convert the array, as in `x.mapv(|x| x as {Self})`"
)]
pub trait Takes<E> {}

impl<T: Element> Takes<T> for T {}

/// The number of axes of an argument: one of `ndarray`'s dimensions, or [`Single`].
pub trait Rank {
    /// The axes of an array that has as many.
    type Dim: Dimension;
}

/// The rank of a number. It meets every rank, also one that generic code does not know.
#[derive(Clone, Copy, Debug)]
pub enum Single {}

impl Rank for Single {
    type Dim = Ix0;
}

impl<D: Dimension> Rank for D {
    type Dim = D;
}

/// The rank of two arguments broadcast together.
pub trait Join<Other: Rank>: Rank {
    /// The higher of the two.
    type Rank: Rank;
}

impl<D: Dimension + DimMax<E>, E: Dimension> Join<E> for D {
    type Rank = <D as DimMax<E>>::Output;
}

impl<D: Dimension> Join<Single> for D {
    type Rank = D;
}

impl<D: Dimension> Join<D> for Single {
    type Rank = D;
}

impl Join<Single> for Single {
    type Rank = Single;
}
