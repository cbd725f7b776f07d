//! Products of matrices whose bits do not depend on the machine.
//!
//! An element of a product is one chain of fused multiply-adds, from 0 on, in the order of the inner
//! dimension:
//!
//! ```text
//! c = 0;  for l in 0..k { c = fma(a[i][l], b[l][j], c) }
//! ```
//!
//! Blocks of the inner dimension go on with the sum that the block before left, so nothing depends on
//! how a product is blocked, on the width of vectors, on strides, or on which rows and columns are
//! computed at once. A caller may cut a product into any blocks of rows and columns.
//!
//! The loops are those of BLIS: panels of both operands are packed so that a kernel, which keeps a tile
//! of the result in registers, reads them element after element.
//!
//! | file | |
//! |---|---|
//! | `simd.rs` | vectors: AVX-512, AVX2 with FMA, and plain arrays for other machines |
//! | `tile.rs` | the kernel of one tile |
//! | `pack.rs` | panels of operands |
//! | `blocked.rs` | the loops around them |
//! | `row.rs` | products of a single row |

mod blocked;
mod matrix;
mod pack;
mod row;
mod simd;
mod tile;

pub use blocked::{Number, multiply, multiply_with};
pub use matrix::{Matrix, MatrixMut};
