//! The text format as its users see it.

mod errors;
mod fuzz;
mod random;
mod roundtrip;
