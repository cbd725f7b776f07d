#![doc = include_str!("../README.md")]

pub mod cache;
pub mod cpu;
pub mod emit;
pub mod error;
pub mod fuse;
pub mod lower;
mod mode;
pub mod pipeline;
pub mod run;
pub mod vir;

#[doc = include_str!("../docs/modes.md")]
pub mod modes {}

pub use cache::KernelCache;
pub use emit::EmitterKind;
pub use error::RunError;
pub use kiln_ir::{self as ir, DType, Expr, Graph, GraphError, TextError, derived};
pub use mode::Mode;
pub use pipeline::{CompileError, CompileOptions, Stage, compile, compile_text, compile_with};
pub use run::{Element, Kernel, Tensor, View, ViewMut};
