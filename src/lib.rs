#![doc = include_str!("../README.md")]

pub mod cache;
mod cost;
pub mod explain;
pub mod fuse;
pub mod lower;
mod mode;
mod options;
pub mod pipeline;
mod plan;
pub mod run;

#[doc = include_str!("../docs/modes.md")]
pub mod modes {}

// For tests, benchmarks and tools.
#[doc(hidden)]
pub use kiln_jit::{cpu, emit, vir};

pub use cache::KernelCache;
pub use explain::Stage;
pub use kiln_ir::{self as ir, DType, Expr, Graph, GraphError, TextError, derived};
pub use kiln_jit::emit::EmitterKind;
pub use mode::Mode;
pub use options::CompileOptions;
pub use pipeline::{CompileError, compile, compile_text, compile_with};
pub use plan::{Memory, Traffic};
pub use run::{CallPlan, CallStep, Element, Kernel, RunError, Tensor, View, ViewMut};
