//! The house itself: which module imports which, what is public, and that documents say what the op
//! table says.

mod document;
mod layering;
mod misuse;
mod readme;
mod surface;
