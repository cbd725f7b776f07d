//! Products of matrices whose bits do not depend on the machine.
//!
//! An element of a product is one chain of fused multiply-adds, from 0 on, in the order of the inner
//! dimension:
//!
//! ```text
//! c = 0;  for l in 0..k { c = fma(a[i][l], b[l][j], c) }
//! ```
//!
//! Elements are `f32` or `f64`. Operands of `f32` may be stored as `f16` or `bf16`, each as it likes: they are
//! widened, which is exact, and the product is that of the numbers.
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
//! | `turn.rs` | rows turned into columns, in registers |
//! | `tile.rs` | the kernel of one tile; `turning.rs`: of one that turns columns meanwhile |
//! | `pack.rs` | panels of operands; `left.rs`: left ones that are read as they lie |
//! | `blocked.rs` | the loops around them; `low.rs` those of few rows, `swapped.rs` where operands change places |
//! | `observer.rs` | who is told what is finished, and may end a product |
//! | `packed.rs` | right operands that are packed once, as weights are |
//! | `row.rs` | products of a single row; `halves.rs` those whose right operand has 16 bits |
//! | `operand.rs` | operands, also of 16 bits, which `widen.rs` makes wider while they are packed |
//! | `pages.rs` | memory that is read again and again |
//! | `caches.rs` | how large caches are |
//! | `vectors.rs` | which kernels a machine runs |

mod blocked;
mod caches;
mod halves;
mod left;
mod low;
mod matrix;
mod observer;
mod operand;
mod pack;
mod packed;
mod pages;
mod row;
mod simd;
mod swapped;
mod tile;
#[cfg(target_arch = "x86_64")]
mod turn;
mod turning;
mod vectors;
mod widen;

#[doc(hidden)]
pub use blocked::multiply_by;
pub use blocked::{Number, multiply, multiply_with};
pub use low::gains_by_packing;
pub use matrix::{Matrix, MatrixMut};
pub use observer::Observer;
pub use operand::Operand;
pub use packed::{Packed, multiply_packed};
#[doc(hidden)]
pub use pages::ask_for_huge_pages;
#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
pub use turn::{square_f32x8, square_f32x16, square_f64x4, square_f64x8};
#[doc(hidden)]
pub use vectors::Vectors;

#[cfg(test)]
mod tests;
