//! What the compiler knows of a call: the traits behind [`Function`](crate::Function), for code that
//! is generic over arguments or results.
//!
//! A function has element types of inputs, [`Elements`], and of outputs, [`Outputs`]. A call takes
//! [`Args`], a tuple of [`Arg`], or [`Targets`], of [`ArgMut`], to write; it gives [`FromResults`].
//! Their ranks [`Join`] to that of the results. In place, inputs are [`Stateful`]. What a closure of
//! [`fuse!`](crate::fuse!) returns is [`Returned`].

pub use crate::front::{
    Arg, ArgMut, Args, Elements, Join, Outputs, Rank, Returned, ReturnedAs, Single, Stateful,
    Takes, Targets,
};
pub use crate::run::{FromResult, FromResults};
