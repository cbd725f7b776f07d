//! The tensor IR of Kiln.

mod dtype;
mod ops;
mod scalar;

pub use dtype::DType;
pub use ops::{Flags, Op, OpInfo, Reference, Typing};
