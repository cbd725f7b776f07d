//! The arguments of a call together: a tuple, or the only one as it is.

use super::args::{Arg, ArgMut, Join, Rank, Single, Takes};
use super::outputs::Elements;
use crate::run::{Element, Operand, OperandMut};
use ndarray::{ArrayBase, ArrayRef, ArrayView, ArrayViewMut, Data, DataMut, Dimension};

/// The arguments of a call, for inputs of the element types `I`: a tuple, or the only one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a function of inputs `{I}` takes",
    label = "one argument for each of `{I}` is wanted, in this order",
    note = "arrays go by reference, several arguments as a tuple: `f.call((&x, 0.5, &y))`; numbers have the type of their input, so `2.0` and not `2` for a float"
)]
pub trait Args<I> {
    /// The rank that they broadcast to.
    type Rank: Rank;
    #[doc(hidden)]
    fn with<R>(self, call: impl FnOnce(&[Operand<'_>]) -> R) -> R;
}

/// Arrays that a call writes, for outputs of the element types `O`: a tuple, or the only one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take the outputs `{O}` of a function",
    label = "one array to write for each of `{O}` is wanted, in this order",
    note = "arrays go by mutable reference, several as a tuple: `f.call_into(&x, (&mut y, &mut z))`"
)]
pub trait Targets<O> {
    #[doc(hidden)]
    fn with<R>(self, call: impl FnOnce(&[OperandMut<'_>]) -> R) -> R;
}

/// Inputs that begin with states of the types of the outputs `O`, which can replace them.
#[diagnostic::on_unimplemented(
    message = "a function of inputs `{Self}` and outputs `{O}` cannot run in place",
    label = "the first inputs must have the types of the outputs"
)]
pub trait Stateful<O>: Elements {
    /// The element types of the inputs after the states.
    type Others;
}

/// No arguments besides the states.
impl Args<()> for () {
    type Rank = Single;

    #[inline]
    fn with<R>(self, call: impl FnOnce(&[Operand<'_>]) -> R) -> R {
        call(&[])
    }
}

/// The only argument, as it is.
macro_rules! impl_single {
    ($([$($generics:tt)*] $arg:ty;)*) => {$(
        impl<$($generics)*> Args<(T,)> for $arg {
            type Rank = <$arg as Arg<T>>::Rank;

            #[inline]
            fn with<R>(self, call: impl FnOnce(&[Operand<'_>]) -> R) -> R {
                <($arg,) as Args<(T,)>>::with((self,), call)
            }
        }
    )*};
    (mut $([$($generics:tt)*] $arg:ty;)*) => {$(
        impl<$($generics)*> Targets<(T,)> for $arg {
            #[inline]
            fn with<R>(self, call: impl FnOnce(&[OperandMut<'_>]) -> R) -> R {
                (self,).with(call)
            }
        }
    )*};
}

impl_single! {
    ['a, T: Element + Takes<S::Elem>, S: Data<Elem: Element>, D: Dimension] &'a ArrayBase<S, D>;
    ['a, T: Element, D: Dimension] &'a ArrayRef<T, D>;
    ['a, T: Element, D: Dimension] ArrayView<'a, T, D>;
    ['a, T: Element] &'a [T];
    ['a, T: Element] &'a Vec<T>;
    ['a, T: Element, const N: usize] &'a [T; N];
    [T: Element] T;
}

impl_single! {
    mut
    ['a, T: Element, S: DataMut<Elem = T>, D: Dimension] &'a mut ArrayBase<S, D>;
    ['a, T: Element, D: Dimension] &'a mut ArrayRef<T, D>;
    ['a, T: Element, D: Dimension] ArrayViewMut<'a, T, D>;
    ['a, T: Element] &'a mut [T];
    ['a, T: Element] &'a mut Vec<T>;
    ['a, T: Element, const N: usize] &'a mut [T; N];
}

macro_rules! impl_args {
    ($($T:ident $A:ident)+) => {
        impl_args!(@join [$($T $A),+] $($A)+);
    };
    // Ranks are joined from left to right. In braces: what has been joined so far, and its bounds.
    (@join [$($all:tt)+] $A:ident $($rest:ident)*) => {
        impl_args!(@joined [$($all)+] {$A::Rank} {} $($rest)*);
    };
    (@joined [$($all:tt)+] {$joined:ty} {$($bounds:tt)*} $A:ident $($rest:ident)*) => {
        impl_args!(@joined [$($all)+]
            {<$joined as Join<$A::Rank>>::Rank} {$($bounds)* $joined: Join<$A::Rank>,} $($rest)*);
    };
    (@joined [$($T:ident $A:ident),+] {$joined:ty} {$($bounds:tt)*}) => {
        impl<$($T: Element, $A: Arg<$T>),+> Args<($($T,)+)> for ($($A,)+)
        where
            $($bounds)*
        {
            type Rank = $joined;

            #[inline]
            #[allow(non_snake_case, reason = "variables are named as their types")]
            fn with<R>(self, call: impl FnOnce(&[Operand<'_>]) -> R) -> R {
                let ($($A,)+) = self;
                $(let $T = $A.hold();)+
                call(&[$($A::operand(&$T)),+])
            }
        }
    };
}

macro_rules! impl_targets {
    ($($T:ident $A:ident)+) => {
        impl<$($T: Element, $A: ArgMut<$T>),+> Targets<($($T,)+)> for ($($A,)+) {
            #[inline]
            #[allow(non_snake_case, reason = "variables are named as their types")]
            fn with<R>(self, call: impl FnOnce(&[OperandMut<'_>]) -> R) -> R {
                let ($($A,)+) = self;
                $(let mut $T = $A.hold();)+
                call(&[$($A::operand(&mut $T)),+])
            }
        }

        impl_stateful!([$($T)+] []);
        impl_stateful!([$($T)+] [U0]);
        impl_stateful!([$($T)+] [U0 U1]);
        impl_stateful!([$($T)+] [U0 U1 U2]);
        impl_stateful!([$($T)+] [U0 U1 U2 U3]);
        impl_stateful!([$($T)+] [U0 U1 U2 U3 U4]);
        impl_stateful!([$($T)+] [U0 U1 U2 U3 U4 U5]);
    };
}

macro_rules! impl_stateful {
    ([$($T:ident)+] [$($U:ident)*]) => {
        impl<$($T: Element,)+ $($U: Element,)*> Stateful<($($T,)+)> for ($($T,)+ $($U,)*) {
            type Others = ($($U,)*);
        }
    };
}

/// Calls a macro with 1, 2, .. of these pairs of names.
macro_rules! for_tuples {
    ($macro:ident: $($done:ident $name:ident)+;) => { $macro!($($done $name)+); };
    ($macro:ident: $($done:ident $name:ident)+; $T:ident $A:ident $($rest:ident)*) => {
        $macro!($($done $name)+);
        for_tuples!($macro: $($done $name)+ $T $A; $($rest)*);
    };
}

for_tuples! { impl_args: T0 A0; T1 A1 T2 A2 T3 A3 T4 A4 T5 A5 T6 A6 T7 A7 T8 A8 T9 A9 T10 A10 T11 A11 }
for_tuples! { impl_targets: T0 A0; T1 A1 T2 A2 T3 A3 T4 A4 T5 A5 }
