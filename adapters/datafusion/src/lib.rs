//! Kiln's fused kernels in Apache DataFusion.
//!
//! | to | |
//! |---|---|
//! | call a kernel by a name | [`KernelFunction`], registered by `register_udf` |
//! | write it where it is used | [`KilnFunction`]: `kiln('gelu(x*w + b)', x, w, b)` |
//! | fuse what queries compute, unchanged | [`FuseKernels`], an optimiser rule |
//! | score vectors | [`LayerFunction`] of a [`Layer`] |
//! | ship plans to other machines | [`KilnCodec`] around their codec |
//!
//! Columns are read where they lie, nulls follow from the bitmaps, and each kernel is compiled once in a
//! process ([`compile_count`]).
#![forbid(unsafe_code)]

mod codec;
mod error;
mod function;
mod kernels;
mod rule;
mod types;

pub use codec::KilnCodec;
pub use error::KernelError;
pub use function::{KernelFunction, KilnFunction, Layer, LayerFunction};
pub use kernels::compile_count;
pub use rule::FuseKernels;
