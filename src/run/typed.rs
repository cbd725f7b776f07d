//! Calls with operands borrowed where they lie: the short way where it can be taken, else the
//! general one. What the operands' types are was checked when the function was made.

use super::copy::copy;
use super::direct::{Alike, Fit};
use super::element::Element;
use super::error::RunError;
use super::interrupt::is_watched;
use super::kernel::Kernel;
use super::layout::OPERANDS;
use super::operand::{Operand, OperandMut, Operands, OperandsMut};
use super::tensor::{Tensor, room};
use super::view::{View, ViewMut};
use kiln_ir::HasDType;
use ndarray::{Array, Dimension, Ix0, ShapeBuilder};
use smallvec::SmallVec;

/// What a result becomes: an array, or a single element.
pub trait FromResult<T: Element>: Sized {
    /// Takes it out of a tensor.
    fn from_tensor(tensor: Tensor) -> Result<Self, RunError>;

    /// Takes elements that lie as those of `alike`, as many.
    fn from_elements(elements: Vec<T>, alike: &Alike<'_>) -> Result<Self, RunError>;
}

impl<T: Element, D: Dimension> FromResult<T> for Array<T, D> {
    fn from_tensor(tensor: Tensor) -> Result<Array<T, D>, RunError> {
        tensor.try_into()
    }

    #[inline]
    fn from_elements(elements: Vec<T>, alike: &Alike<'_>) -> Result<Array<T, D>, RunError> {
        let shape = alike.shape();
        if let Some(expected) = D::NDIM.filter(|&expected| expected != shape.len()) {
            return Err(RunError::TensorRank { expected, found: shape.to_vec() });
        }
        let mut dim = D::zeros(shape.len());
        dim.slice_mut().copy_from_slice(shape);
        let array = Array::from_shape_vec(dim.set_f(alike.is_column_major), elements);
        Ok(array.expect("as many elements as the shape has"))
    }
}

/// Results of a call: one, or a tuple.
pub trait FromResults<O>: Sized {
    /// Takes them out of tensors.
    fn from_tensors(tensors: Vec<Tensor>) -> Result<Self, RunError>;

    /// Has `write` fill room for results that lie as `alike` does.
    ///
    /// # Safety
    ///
    /// `write` must write every element of every operand that it is given.
    unsafe fn filled(
        alike: &Alike<'_>,
        write: impl FnOnce(&[OperandMut<'_>]),
    ) -> Result<Self, RunError>;
}

/// A result's room, and the operand that fills it.
macro_rules! with_rooms {
    ($alike:ident, $write:ident, $($room:ident: $element:ty),+) => {
        $(let mut $room = room::<$element>($alike.shape())?;)+
        let mut operands = OperandsMut::new();
        $(
            let base = $room.as_mut_ptr().cast();
            // SAFETY: there is room for an array of the shape, and nothing else uses it meanwhile.
            operands.push(unsafe { OperandMut::room(base, <$element as HasDType>::DTYPE, &$alike.model) });
        )+
        $write(&operands);
        // SAFETY: all of them have been written, which the caller vouches for.
        $(unsafe { $room.set_len($alike.len()) };)+
    };
}

impl<T: Element, D: Dimension> FromResults<(T,)> for Array<T, D> {
    fn from_tensors(tensors: Vec<Tensor>) -> Result<Array<T, D>, RunError> {
        <Array<T, D> as FromResult<T>>::from_tensor(only(tensors))
    }

    #[inline]
    unsafe fn filled(
        alike: &Alike<'_>,
        write: impl FnOnce(&[OperandMut<'_>]),
    ) -> Result<Array<T, D>, RunError> {
        with_rooms!(alike, write, room: T);
        Array::from_elements(room, alike)
    }
}

/// The only output of a kernel that has one.
fn only(tensors: Vec<Tensor>) -> Tensor {
    tensors.into_iter().next().expect("a function has as many outputs as its type")
}

/// Results of no axes, as single elements.
macro_rules! elements_from_results {
    ($($element:ty)*) => {$(
        impl FromResult<$element> for $element {
            fn from_tensor(tensor: Tensor) -> Result<$element, RunError> {
                let array = Array::<$element, Ix0>::try_from(tensor)?;
                Ok(array.into_scalar())
            }

            fn from_elements(elements: Vec<$element>, alike: &Alike<'_>) -> Result<$element, RunError> {
                Ok(Array::<$element, Ix0>::from_elements(elements, alike)?.into_scalar())
            }
        }

        impl FromResults<($element,)> for $element {
            fn from_tensors(tensors: Vec<Tensor>) -> Result<$element, RunError> {
                <$element>::from_tensor(only(tensors))
            }

            unsafe fn filled(
                alike: &Alike<'_>,
                write: impl FnOnce(&[OperandMut<'_>]),
            ) -> Result<$element, RunError> {
                with_rooms!(alike, write, room: $element);
                <$element>::from_elements(room, alike)
            }
        }
    )*};
}

elements_from_results! { half::f16 half::bf16 f32 f64 bool u8 i32 i64 }

macro_rules! tuples_from_results {
    ($($($element:ident $result:ident $room:ident),+;)*) => {$(
        impl<$($element: Element, $result: FromResult<$element>),+> FromResults<($($element,)+)>
            for ($($result,)+)
        {
            fn from_tensors(tensors: Vec<Tensor>) -> Result<($($result,)+), RunError> {
                let mut tensors = tensors.into_iter();
                let mut next = || tensors.next().expect("a function has as many outputs as its type");
                Ok(($($result::from_tensor(next())?,)+))
            }

            #[inline]
            unsafe fn filled(
                alike: &Alike<'_>,
                write: impl FnOnce(&[OperandMut<'_>]),
            ) -> Result<($($result,)+), RunError> {
                with_rooms!(alike, write, $($room: $element),+);
                Ok(($($result::from_elements($room, alike)?,)+))
            }
        }
    )*};
}

tuples_from_results! {
    T0 R0 r0, T1 R1 r1;
    T0 R0 r0, T1 R1 r1, T2 R2 r2;
    T0 R0 r0, T1 R1 r1, T2 R2 r2, T3 R3 r3;
    T0 R0 r0, T1 R1 r1, T2 R2 r2, T3 R3 r3, T4 R4 r4;
    T0 R0 r0, T1 R1 r1, T2 R2 r2, T3 R3 r3, T4 R4 r4, T5 R5 r5;
}

/// The types of what is called are the kernel's: a [function](crate::Function) has checked so.
impl Kernel {
    /// The short way, if this kernel and these inputs can take it.
    #[inline]
    fn fit<'k, 'a>(&'k self, inputs: &[Operand<'a>]) -> Option<Fit<'k, 'a>> {
        // It fails nowhere, and so cannot end early.
        let direct = self.direct.as_ref().filter(|_| !is_watched());
        direct?.fit(&self.plans, inputs)
    }

    /// As [`run`](Kernel::run).
    #[inline]
    pub(crate) fn call<O, R: FromResults<O>>(&self, inputs: &[Operand<'_>]) -> Result<R, RunError> {
        if let Some(fit) = self.fit(inputs) {
            let _env = kiln_fenv::hold_default();
            // SAFETY: `run` writes all elements of outputs that lie like the inputs. The inputs are
            // `alike`, and the types are the kernel's. The outputs are new.
            return unsafe {
                R::filled(&fit.alike, |outputs| {
                    let ran = fit.run(inputs, outputs, self.threads);
                    assert!(ran, "the outputs lie like the inputs");
                })
            };
        }
        R::from_tensors(self.run(&views(inputs))?)
    }

    /// As [`run_into`](Kernel::run_into).
    #[inline]
    pub(crate) fn call_into(
        &self,
        inputs: &[Operand<'_>],
        outputs: &[OperandMut<'_>],
    ) -> Result<(), RunError> {
        if let Some(fit) = self.fit(inputs) {
            let _env = kiln_fenv::hold_default();
            // SAFETY: the types are the kernel's. What is borrowed mutably overlaps nothing.
            if unsafe { fit.run(inputs, outputs, self.threads) } {
                return Ok(());
            }
        }
        self.run_into(&views(inputs), &mut views_mut(outputs))
    }

    /// Replaces each state, the first inputs, by the output of the same position. Where a state is
    /// still read after its output is written, the outputs are made apart and then copied.
    #[inline]
    pub(crate) fn call_in_place(
        &self,
        states: &[OperandMut<'_>],
        others: &[Operand<'_>],
    ) -> Result<(), RunError> {
        let inputs = states.iter().map(|state| state.to).chain(others.iter().copied());
        let inputs: Operands<'_> = inputs.collect();
        if let Some(fit) = self.fit(&inputs) {
            let _env = kiln_fenv::hold_default();
            // SAFETY: as above, and each output is exactly an input.
            if unsafe { fit.run(&inputs, states, self.threads) } {
                return Ok(());
            }
        }
        let (inputs, mut outputs) = (views(&inputs), views_mut(states));
        match self.run_into(&inputs, &mut outputs) {
            Err(RunError::InPlace { .. }) => self.run_apart(&inputs, &mut outputs),
            done => done,
        }
    }

    /// Runs into new memory, and copies.
    #[cold]
    fn run_apart(&self, inputs: &[View<'_>], outputs: &mut [ViewMut<'_>]) -> Result<(), RunError> {
        let results = self.run(inputs)?;
        for (result, output) in results.iter().zip(outputs) {
            copy(&result.view(), output);
        }
        Ok(())
    }
}

// On the stack, so that a call that writes into the caller's arrays allocates nothing.
fn views<'a>(operands: &[Operand<'a>]) -> SmallVec<[View<'a>; OPERANDS]> {
    operands.iter().map(Operand::view).collect()
}

fn views_mut<'a>(operands: &'a [OperandMut<'_>]) -> SmallVec<[ViewMut<'a>; 2]> {
    operands.iter().map(OperandMut::view_mut).collect()
}
