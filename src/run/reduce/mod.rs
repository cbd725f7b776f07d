//! What becomes of rows of elements: the order in which they are folded, for any width of vectors.
//!
//! [`fold`] says what becomes of a block, and how blocks join; [`wide`] folds many rows, and
//! [`strips`] those that lie side by side, but for sums of floats, which are [`trees`]; [`runs`]
//! folds many short runs of such.

mod extreme;
mod fold;
mod room;
mod runs;
mod simd;
mod strips;
mod trees;
mod wide;

pub(super) use fold::BLOCK;
pub(super) use runs::Runs;
pub(super) use wide::{Blocks, Folder, Rows, count, folder};
