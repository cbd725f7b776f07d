//! The house itself: which module imports which, and that documents say what the op table says.

mod document;
mod layering;
mod readme;
