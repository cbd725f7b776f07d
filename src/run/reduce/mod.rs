//! What becomes of rows of elements: the order in which they are folded, for any width of vectors.
//!
//! [`fold`] says what becomes of a block, and how blocks join; [`wide`] folds many rows, and
//! [`strips`] those that lie side by side.

mod extreme;
mod fold;
mod simd;
mod strips;
mod wide;

pub(super) use fold::BLOCK;
pub(super) use wide::{Blocks, Folder, Rows, count, folder};
