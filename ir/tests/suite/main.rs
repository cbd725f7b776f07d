//! Random graphs and random texts, and every message.

mod fuzz;
mod literals;
mod meaning;
mod messages;
mod random;
mod roundtrip;
