#![doc = include_str!("../README.md")]

pub mod cache;
pub mod cpu;
pub mod emit;
pub mod error;
pub mod explain;
pub mod fuse;
pub mod lower;
mod mode;
mod options;
pub mod pipeline;
pub mod run;
mod traffic;
pub mod vir;

#[doc = include_str!("../docs/modes.md")]
pub mod modes {}

pub use cache::KernelCache;
pub use emit::EmitterKind;
pub use error::RunError;
pub use explain::Stage;
pub use kiln_ir::{self as ir, DType, Expr, Graph, GraphError, TextError, derived};
pub use mode::Mode;
pub use options::CompileOptions;
pub use pipeline::{CompileError, compile, compile_text, compile_with};
pub use run::{Element, Kernel, Tensor, View, ViewMut};
