//! Kiln.

pub mod lower;
pub mod vir;
