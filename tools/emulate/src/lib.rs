//! A software processor: it executes the machine code of Kiln's x86 emitters on any machine, so
//! that tests can run instructions that their machine lacks.
//!
//! It knows the instructions that these emitters use, and rejects all others by name. Memory is
//! separate regions with nothing between them: an access beyond an array is a [`Fault`] that names
//! the instruction. So is a misaligned access where the machine requires alignment, a jump on an
//! undefined flag, and a caller's register that is not restored.

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
