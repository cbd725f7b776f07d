//! Internals for tests, benchmarks and tools. Not part of the public surface: anything here may
//! change with every release.

pub use crate::fuse::{
    CostModel, Pass, PassContext, merge_for_sizes, repairs, rules, run as run_passes,
};
pub use crate::lower::{Tier, lower, max_ulp, op_program, op_program_in};
pub use crate::pipeline::{Fusion, PASSES, UNFUSED, cost_model, fuse, programs, unfuse};
pub use crate::run::{Work, broadcast_shape, codes, dtype, execute, matmul, matmul_shape};
pub use kiln_jit::{cpu, emit, vir};
