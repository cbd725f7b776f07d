//! Several sessions of one process at once: kernels are shared, functions are not. A process of its own, for
//! compilations are counted.

mod common;

use common::{batch, contexts, rows};
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::prelude::SessionContext;
use kiln_datafusion::{KernelFunction, KilnFunction, compile_count};
use std::sync::Barrier;
use std::thread;

/// Runs queries in a session of a thread's own, as many times.
fn run(context: &SessionContext, query: &str, times: usize) -> RecordBatch {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let once = || runtime.block_on(rows(context, query)).unwrap();
    let first = once();
    for _ in 1..times {
        assert_eq!(once().num_rows(), first.num_rows());
    }
    first
}

fn with_function(text: &str) -> SessionContext {
    let context = SessionContext::new();
    context.register_batch("t", batch(1003, 7)).unwrap();
    context.register_udf(KernelFunction::new("f", text).unwrap().into());
    context.register_udf(KilnFunction::default().into());
    context
}

/// The results of `f(x)` and of what it should be.
fn of_f(batch: &RecordBatch) -> [ArrayRef; 2] {
    [0, 1].map(|index| batch.column(index).clone())
}

#[test]
fn sessions_share_kernels_and_not_functions() {
    const THREADS: usize = 8;
    // All at once, each in a session of its own: one compilation, whoever comes first.
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let context = with_function("|x| x*3.5 + tanh(x)");
                barrier.wait();
                run(&context, "SELECT f(x), kiln('|x| x*3.5 + tanh(x)', x) FROM t", 3);
            });
        }
    });
    assert_eq!(compile_count(), 1);

    // Functions of one name in different sessions are their own.
    let texts = ["|x| x*2.0 + 1.0", "|x| x*4.0 - 3.0", "|x| x*0.5 + 7.0", "|x| x*x - 2.0"];
    let contexts_of_texts = texts.map(with_function);
    thread::scope(|scope| {
        for (text, context) in texts.iter().zip(&contexts_of_texts) {
            for _ in 0..2 {
                scope.spawn(move || {
                    let sql = text.trim_start_matches("|x| ");
                    let query = format!("SELECT f(x) AS r, {sql} AS s FROM t WHERE NOT isnan(x)");
                    let [found, expected] = of_f(&run(context, &query, 5));
                    let [found, expected] = [found, expected]
                        .map(|column| column.as_primitive::<Float64Type>().clone());
                    for (found, expected) in found.iter().zip(expected.iter()) {
                        let near = match (found, expected) {
                            (Some(a), Some(b)) => {
                                a == b || (a - b).abs() <= 1e-14 * (1.0 + b.abs())
                            }
                            (a, b) => a == b,
                        };
                        assert!(near, "{text}: {found:?} and {expected:?}");
                    }
                });
            }
        }
    });
    assert_eq!(compile_count(), 1 + texts.len());

    // The rule in some sessions does not reach others, and its kernels are shared, too.
    let pairs = [contexts(), contexts(), contexts()];
    let barrier = Barrier::new(2 * pairs.len());
    let query = "SELECT x*5.5 + y*\"Z\" - 1.25 AS r FROM t";
    let results: Vec<RecordBatch> = thread::scope(|scope| {
        let barrier = &barrier;
        let start = |context: &'_ SessionContext| {
            let context = context.clone();
            scope.spawn(move || {
                barrier.wait();
                run(&context, query, 3)
            })
        };
        let threads: Vec<_> = pairs.iter().flatten().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(compile_count(), 2 + texts.len());
    for result in &results[1..] {
        common::assert_same(query, [&results[0], result], 0);
    }
}
