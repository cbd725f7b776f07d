//! Random graphs and random texts, and every message.

mod errors;
mod faults;
mod fuzz;
mod meaning;
mod random;
mod roundtrip;
