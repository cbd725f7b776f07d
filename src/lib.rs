//! Kiln.

pub mod cpu;
pub mod emit;
pub mod lower;
pub mod vir;
