//! A kernel as a scalar function.

mod facts;
mod layer;
mod program;
mod sql;
mod values;

pub use layer::{Layer, LayerFunction};
pub use program::KernelFunction;
pub use sql::KilnFunction;

pub(crate) use program::Resolved;
pub(crate) use sql::one_line;
