//! The kernels of this process: each compiled once, whatever plan, task or partition asks for it.
//!
//! An executor decodes a plan for every task, so what is decoded cannot own what is compiled.

use crate::error::KernelError;
use kiln::{CompileOptions, Graph, Kernel, KernelCache, Mode};
use std::sync::{Arc, LazyLock};

/// More than a busy server's plans have at once; what was not used for longest goes.
const CAPACITY: usize = 4096;

static KERNELS: LazyLock<KernelCache> = LazyLock::new(|| KernelCache::new(CAPACITY));

/// The kernel of a graph. It stays on its thread: DataFusion runs partitions side by side.
pub(crate) fn kernel(graph: &Graph, mode: Mode) -> Result<Arc<Kernel>, KernelError> {
    let options = CompileOptions::new().mode(mode).threads(1);
    Ok(KERNELS.get_or_compile(graph, options)?)
}

/// How many kernels this process has compiled for DataFusion so far.
pub fn compile_count() -> usize {
    KERNELS.compile_count()
}
