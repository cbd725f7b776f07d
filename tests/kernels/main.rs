//! Kernels: how graphs become them, and what they do with arrays, threads and memory.

mod activations;
mod attention;
mod bad_shapes;
mod block;
mod bound;
mod cache;
mod calls;
mod compile_cost;
mod epilogues;
mod factors;
mod fuse;
#[cfg(unix)]
mod guard;
mod kernel;
mod labels;
mod language;
mod memory;
mod memory_model;
mod misaligned;
mod mlp;
mod parts;
mod passes;
mod picks;
mod plans;
mod products;
mod profile;
mod prologues;
mod random;
mod random_mixed;
mod random_precise;
mod random_products;
mod random_rows;
mod random_scans;
mod reductions;
mod row_errors;
mod rows;
mod run;
mod scans;
mod spans;
mod strides;
#[cfg(target_os = "linux")]
mod system;
mod through;
mod views;
mod windows;
