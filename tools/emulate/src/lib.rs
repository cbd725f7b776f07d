//! A processor of software: it executes the machine code that Kiln's x86 emitters make, on any
//! machine, so that tests can run what theirs lacks.
//!
//! It knows the instructions that these emitters use, and refuses every other by name. Memory is
//! regions, with nothing between them: an access beyond an array is a [`Fault`] that says which
//! instruction made it. So are a misaligned one where the machine wants alignment, a jump by a flag
//! that is not defined, and a register of the caller's that is lost.

mod decoded;
mod float;
mod general;
mod kernel;
mod mask;
mod memory;
mod processor;
mod shuffle;
mod vector;

pub use decoded::Decoded;
pub use kernel::{Array, Call, Operand};
pub use memory::{Access, Handle, Memory};
pub use processor::{Fault, Flags, Processor, Vector};
