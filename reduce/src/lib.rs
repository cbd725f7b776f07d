//! Reductions of rows of elements, with the same bits on every machine: the order in which elements are folded is
//! the definition of what they come to, for any width of vectors, any layout and any number of threads.
//!
//! Rows lie one after the other, or side by side. [`folder`] gives the [`Folder`] of a reduction, which folds blocks of
//! [`BLOCK`] elements and joins them: so threads may each fold some blocks of a long row. Part of
//! [Kiln](https://docs.rs/kiln), which makes everything else into kernels: callers see to it that memory is there.
//!
//! `fold` says what becomes of a block, and how blocks join; `wide` folds many rows, and `strips` those that lie side by
//! side, but for sums of floats, which are `trees`; `runs` folds many short runs of such, in
//! `halves`; `simd` has the vectors.

mod extreme;
mod fold;
mod folder;
mod halves;
mod room;
mod runs;
mod simd;
mod strips;
mod trees;
mod wide;

#[cfg(test)]
mod tests;

pub use fold::BLOCK;
pub use folder::{Blocks, Folder, Rows, count, folder};
pub use runs::Runs;
