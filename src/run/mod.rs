//! Running kernels over arrays: views, layouts, threads, matrix products.
//!
//! In: compiled [`Code`](kiln_jit::emit::Code) and [`View`]s of arrays. Out: filled [`ViewMut`]s.
//! The results have the same bits whatever the layout, the position and the number of threads.

mod aligned;
mod arena;
mod bound;
mod buffers;
mod call;
mod call_plan;
mod chained;
mod check;
mod compiled;
mod copy;
mod dense;
mod direct;
mod element;
mod epilogue;
mod error;
mod exec;
mod factors;
mod flat;
mod gather;
mod interrupt;
mod kernel;
mod layout;
mod needed;
mod numbers;
mod operand;
mod order;
mod overlap;
mod pack;
mod panel_code;
mod parts;
mod passes;
mod product;
mod product_grid;
mod product_kernel;
mod prologue;
mod queue;
mod reduce;
mod row_kernel;
mod row_panels;
mod rows;
mod scan;
mod steps;
mod stream;
mod strided;
mod tasks;
#[cfg_attr(any(not(feature = "threads"), target_family = "wasm"), path = "team/absent.rs")]
mod team;
mod tensor;
mod transpose;
mod typed;
mod view;
mod walk;

pub use buffers::release_memory;
pub(crate) use call_plan::FusedStep;
pub use call_plan::{CallPlan, CallStep};
pub(crate) use compiled::Compiled;
pub use element::{Element, Float};
pub use error::{Argument, RunError};
pub use exec::{Work, dtype, execute};
pub use interrupt::interruptible;
pub(crate) use kernel::plan;
pub use kernel::{Kernel, codes};
pub use layout::broadcast_shape;
pub(crate) use operand::{Operand, OperandMut};
pub(crate) use passes::Passes;
pub use product::{matmul, matmul_shape};
pub(crate) use product_kernel::{ProductKernel, Rest};
pub(crate) use row_kernel::RowKernel;
pub(crate) use rows::RowCode;
pub(crate) use team::pool_size;
pub use tensor::Tensor;
pub use typed::{FromResult, FromResults};
pub use view::{View, ViewMut};
