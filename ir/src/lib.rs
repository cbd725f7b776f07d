//! The tensor IR of Kiln: the op table, expressions, graphs, text and the reference interpreter.
//!
//! A kernel begins as expressions in Rust ([`Expr`]) or as text ([`parse`]) and becomes a
//! [`Graph`]: typed, shaped and hash-consed. Errors show the place where the fault was written.
//!
//! ```
//! use kiln_ir::{Array, DType, Expr, build, eval, parse};
//!
//! let (x, w) = (Expr::input("x: f32[n, d]"), Expr::input("w: f32[d]"));
//! let graph = build("swiglu", &[x.silu() * w]).unwrap();
//! assert_eq!(graph.to_string(), "\
//! kernel swiglu(x: f32[n, d], w: f32[d]) -> f32[n, d] {
//!     x * sigmoid(x) * w
//! }
//! ");
//! assert_eq!(graph, parse(&graph.to_string()).unwrap());
//!
//! let x = Array::new(DType::F32, vec![1, 2], vec![0.0, f64::INFINITY]).unwrap();
//! let w = Array::new(DType::F32, vec![2], vec![1.0, 2.0]).unwrap();
//! assert_eq!(eval(&graph, &[x, w]).unwrap()[0].data(), [0.0, f64::INFINITY]);
//! ```
//!
//! Ops come in three tiers. *Derived* ops are plain functions over [`Expr`] ([`derived`]); to add one,
//! write one function. *Ops* are rows of the table in `ops.rs` ([`Op`]). *Primitives* are what emitters
//! see; they belong to `kiln-jit`.
//!
//! Between the stages of the compiler, [`verify()`] checks a graph's invariants, and [`same_signature`]
//! that a stage kept the inputs and outputs. [`eval()`] is the reference that stages are tested against.

mod arrange;
mod array;
mod binding;
mod body;
mod build;
mod call;
mod copy;
mod declaration;
pub mod derived;
mod dtype;
mod error;
mod eval;
mod expr;
mod fold;
mod graph;
mod has_dtype;
mod note;
mod number;
mod ops;
mod range;
mod rowwise;
mod scalar;
mod shape;
mod shape_rules;
mod signature;
mod span;
pub mod text;
mod typing;
mod verify;
mod written;

#[cfg(feature = "tracing")]
#[doc(hidden)]
pub use tracing as __tracing;

pub use array::{Array, EvalError};
pub use binding::{BindError, Binding};
pub use body::{Body, BodyMisfit};
pub use build::{build, build_function};
pub use call::{
    Axes, Call, CallInfo, CallShapes, Concat, Gather, IntoAxes, IntoSizes, Iota, Pad, Permutation,
    Reduce, Reduction, Running, Scan, Sizes, Slice, View, ViewAxis, Within, index_at,
};
pub use declaration::ArrayType;
pub use derived::{DERIVED, Derived, Parameter};
pub use dtype::DType;
pub use error::{Fault, GraphError, Origin, misfit};
pub use eval::{eval, eval_scalar};
pub use expr::{Expr, IntoExpr};
pub use graph::{Args, Graph, Input, MAX_INPUTS, MAX_NODES, MAX_OUTPUTS, Node, NodeId};
pub use has_dtype::HasDType;
pub use note::Note;
pub use number::Scalar;
pub use ops::{Flags, IntegerReference, Op, OpInfo, Reference};
pub use range::{LARGE, Operands, Range, Transfer};
pub use rowwise::{ROWWISE, Rowwise};
pub use shape::{
    BroadcastError, Dim, Dims, Extent, MAX_RANK, Misfit, Open, SMALL_RANK, Shape, broadcast,
};
pub use shape_rules::ShapeRules;
pub use signature::same_signature;
pub use text::{FreeInput, MAX_DEPTH, MAX_TEXT, TextError, free_inputs, parse, parse_with};
pub use typing::Typing;
pub use verify::verify;
#[doc(hidden)]
pub use written::WrittenMisfit;
