//! Compilations, counted: a process of its own, for the count is the process's.

mod common;

use common::{contexts, rows};
use kiln_datafusion::{KernelFunction, KilnFunction, compile_count};

/// However many batches, plans and names: one compilation for a kernel, and none for one that is only
/// planned.
#[tokio::test]
async fn a_kernel_is_compiled_once() {
    let [stock, fused] = contexts();
    stock.register_udf(KilnFunction::default().into());
    stock.register_udf(KernelFunction::new("again", "x*7.125 + exp(x)").unwrap().into());
    assert_eq!(compile_count(), 0);
    for _ in 0..3 {
        rows(&stock, "SELECT kiln('x*7.125 + exp(x)', x) FROM t").await.unwrap();
        rows(&stock, "SELECT again(x) FROM t").await.unwrap();
    }
    assert_eq!(compile_count(), 1);
    common::plan(&fused, "SELECT x*7.25 + y FROM t").await;
    assert_eq!(compile_count(), 1);
    for _ in 0..3 {
        rows(&fused, "SELECT x*7.25 + y FROM t").await.unwrap();
    }
    assert_eq!(compile_count(), 2);
}
