//! The tensor IR of Kiln: the op table, expressions, graphs.
//!
//! Ops come in three tiers. *Derived* ops are plain functions over [`Expr`] (`derived`); *ops* are
//! rows of the table in `ops.rs`; *primitives* are what emitters see, in `kiln::vir`.

mod build;
mod declaration;
pub mod derived;
mod dtype;
mod error;
mod eval;
mod expr;
mod graph;
mod ops;
mod scalar;
mod shape;
pub mod text;
mod verify;

pub use build::{build, build_with_inputs};
pub use declaration::{ArrayType, parse_declaration};
pub use derived::{DERIVED, Derived, Parameter};
pub use dtype::DType;
pub use error::{Fault, GraphError, Origin};
pub use eval::{Array, EvalError, eval, eval_scalar};
pub use expr::Expr;
pub use graph::{Args, Graph, Input, MAX_INPUTS, MAX_NODES, Node, NodeId};
pub use ops::{Flags, Op, OpInfo, Reference, Typing};
pub use shape::{BroadcastError, Dim, MAX_RANK, Shape};
pub use text::{FreeInput, MAX_DEPTH, MAX_TEXT, TextError, free_inputs, parse, parse_with};
pub use verify::verify;
