#![doc = include_str!("links.md")]
#![doc = include_str!("../docs/start.md")]
//!
//! # What there is
//!
//! | to | |
//! |---|---|
//! | write | [`Expr`] and [`derived`] in Rust; text through [`compile_text`] or [`ir::parse`]; either becomes a [`Graph`] of [`DType`]s |
//! | compile | [`compile`], [`compile_text`], [`compile_with`] and [`CompileOptions`]: a [`Mode`] ([`guide::modes`] tells what each promises) and an [`EmitterKind`]; [`KernelCache`] keeps what was compiled |
//! | call | [`fuse!`] makes a [`Function`], as [`Kernel::function`] does; [`ArrayExt`] has methods of arrays; [`calls`] has the traits |
//! | run | [`Kernel`] on [`View`]s, which are made from arrays of an [`Element`] type; into [`Tensor`]s or [`ViewMut`]s |
//! | look | [`explain`] shows every stage; [`CallPlan`] and its [`CallStep`]s what a call runs, [`Traffic`] what it moves, [`Memory`] what it takes; [`release_memory`] gives back what is kept |
//! | measure | [`profile`]: times, FLOPs, bytes and what follows of them |
//! | go wrong | [`GraphError`], [`TextError`], [`EmitError`], and [`CompileError`], which is one of them; [`RunError`], of an [`Argument`], and where that cannot be written in place, a [`Reread`]; [`Error`], which is any of these, and its [`Result`]; [`UnknownMode`] and [`UnknownEmitter`] for names |
//!
//! [`ir`] is the whole of `kiln-ir`: ops, graphs, text, and the interpreter that is the reference.
// Tests pin what is public by reading this file: it alone says so, and names each item.
// Without the feature, nothing reaches what only `internals` shows.
#![cfg_attr(
    not(feature = "internals"),
    allow(dead_code, unreachable_pub, unused_imports, reason = "shown by `internals` only")
)]

mod cache;
pub mod calls;
mod cost;
mod error;
pub mod explain;
mod front;
mod fuse;
pub mod guide;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod lower;
mod mode;
mod options;
mod pipeline;
mod plan;
pub mod profile;
mod run;

/// The README's example runs, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What [`fuse!`] expands to.
#[doc(hidden)]
pub mod __private {
    pub use crate::front::{cached, cached_as, fuse, fuse_as, parameter};
}

pub use cache::KernelCache;
pub use error::{CompileError, Error, Result, SignatureError};
pub use front::{ArrayExt, Function, NamedCall};
pub use kiln_ir::{self as ir, DType, Expr, Graph, GraphError, TextError, derived};
pub use kiln_jit::emit::{EmitError, EmitterKind, UnknownEmitter};
pub use mode::{Mode, UnknownMode};
pub use options::CompileOptions;
pub use pipeline::{compile, compile_text, compile_with};
pub use plan::{Memory, Traffic};
pub use run::{
    Argument, CallPlan, CallStep, Element, Float, Kernel, Reread, RunError, Tensor, View, ViewMut,
    interruptible, release_memory,
};
