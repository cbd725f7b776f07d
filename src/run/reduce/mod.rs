//! What becomes of rows of elements: the order in which they are folded, for any width of vectors.
//!
//! [`fold`] says what becomes of a block, and how blocks join; [`wide`] folds many rows.

mod extreme;
mod fold;
mod simd;
mod wide;

pub(super) use fold::BLOCK;
pub(super) use wide::{Blocks, Folder, Rows, count, folder};
