//! How functions of ours travel in a plan: as text, which each machine verifies and compiles for itself.

mod payload;
mod wrapper;

pub use wrapper::KilnCodec;
