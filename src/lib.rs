//! Kiln.

pub mod cpu;
pub mod emit;
pub mod fuse;
pub mod lower;
pub mod vir;
