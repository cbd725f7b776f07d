//! Kiln.

pub mod cpu;
pub mod emit;
pub mod error;
pub mod fuse;
pub mod lower;
pub mod run;
pub mod vir;
