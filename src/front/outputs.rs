//! What a function returns: what its closure makes, and what a call gives.

use crate::run::{Element, FromResults};
use kiln_ir::{DType, Expr};
use ndarray::{Array, Dimension};

/// The element types of a function's inputs or outputs: a tuple of [`Element`]s, and nothing else,
/// for calls trust it.
pub trait Elements: sealed::Sealed {
    /// Each of them.
    const DTYPES: &'static [DType];
    /// The first of them.
    type First: Element;
}

/// The element types of a function's outputs.
pub trait Outputs: Elements + Sized {
    /// What a call gives: an array of `D` axes for each output, in a tuple if there are several.
    type Arrays<D: Dimension>: FromResults<Self>;
}

/// What a closure returns: an expression for each output, in a tuple if there are several.
#[diagnostic::on_unimplemented(
    message = "a kernel's closure returns an expression, or a tuple of up to 6, not `{Self}`",
    label = "expressions of the parameters are wanted"
)]
pub trait Returned {
    /// As many element types, all of them `T`.
    type Of<T: Element>: Outputs;

    #[doc(hidden)]
    fn expressions(self) -> Vec<Expr>;
}

/// What a closure returns if its outputs have the element types `O`.
#[diagnostic::on_unimplemented(
    message = "the closure says that it returns `{O}`, but returns `{Self}`",
    label = "one expression for each element type is wanted"
)]
pub trait ReturnedAs<O>: Returned {}

impl Returned for Expr {
    type Of<T: Element> = (T,);

    fn expressions(self) -> Vec<Expr> {
        vec![self]
    }
}

impl Returned for &Expr {
    type Of<T: Element> = (T,);

    fn expressions(self) -> Vec<Expr> {
        vec![self.clone()]
    }
}

impl<T: Element> ReturnedAs<(T,)> for Expr {}

impl<T: Element> ReturnedAs<(T,)> for &Expr {}

pub(super) mod sealed {
    pub trait Sealed {}
}

macro_rules! impl_elements {
    ($($T:ident)+) => {
        impl<$($T: Element),+> sealed::Sealed for ($($T,)+) {}

        impl<$($T: Element),+> Elements for ($($T,)+) {
            const DTYPES: &'static [DType] = &[$($T::DTYPE),+];
            type First = T0;
        }
    };
}

macro_rules! impl_returned {
    ($($T:ident $E:ident)+) => {
        impl<$($E: Into<Expr>),+> Returned for ($($E,)+) {
            type Of<T: Element> = ($(impl_returned!(@replace $E T),)+);

            #[allow(non_snake_case, reason = "variables are named as their types")]
            fn expressions(self) -> Vec<Expr> {
                let ($($E,)+) = self;
                vec![$($E.into()),+]
            }
        }

        impl<$($T: Element, $E: Into<Expr>),+> ReturnedAs<($($T,)+)> for ($($E,)+) {}

        impl<$($T: Element),+> Outputs for ($($T,)+) {
            type Arrays<D: Dimension> = ($(Array<$T, D>,)+);
        }
    };
    (@replace $E:ident $T:ident) => { $T };
}

impl<T: Element> Outputs for (T,) {
    type Arrays<D: Dimension> = Array<T, D>;
}

macro_rules! for_tuples {
    ($macro:ident: $($done:ident)+;) => { $macro!($($done)+); };
    ($macro:ident: $($done:ident)+; $next:ident $($rest:ident)*) => {
        $macro!($($done)+);
        for_tuples!($macro: $($done)+ $next; $($rest)*);
    };
}

for_tuples! { impl_elements: T0; T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 }

impl_returned! { T0 E0 T1 E1 }
impl_returned! { T0 E0 T1 E1 T2 E2 }
impl_returned! { T0 E0 T1 E1 T2 E2 T3 E3 }
impl_returned! { T0 E0 T1 E1 T2 E2 T3 E3 T4 E4 }
impl_returned! { T0 E0 T1 E1 T2 E2 T3 E3 T4 E4 T5 E5 }
