//! The front door: functions made of closures, called with arrays and numbers as they are.
//!
//! In: a closure over expressions, or a kernel of text. Out: a [`Function`], which knows its number
//! of inputs and all element types, so that the compiler checks a call.

mod args;
mod array_ext;
mod function;
mod macros;
mod named;
mod outputs;
mod signature;
mod tuples;

pub use args::{Arg, ArgMut, Join, Rank, Single, Takes};
pub use array_ext::ArrayExt;
pub use function::Function;
#[doc(hidden)]
pub use macros::{cached, cached_as, fuse, fuse_as, parameter};
pub use named::NamedCall;
pub use outputs::{Elements, Outputs, Returned, ReturnedAs};
pub use tuples::{Args, Stateful, Targets};
