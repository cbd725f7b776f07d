use super::{goes_on, interruptible, is_watched};
use crate::run::{Kernel, RunError};
use crate::{CompileOptions, DType, Tensor, compile_with};
use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// Asks on and on, until the first yes: then `work` must be over.
fn end(work: impl Fn() -> Result<(), RunError>) {
    let begun = Instant::now();
    let is_late = || begun.elapsed() > Duration::from_millis(20);
    let done: Result<(), RunError> = interruptible(&is_late, || {
        loop {
            work()?;
        }
    });
    assert_eq!(done, Err(RunError::Interrupted));
    assert!(goes_on() && !is_watched(), "nothing is left of it");
}

fn kernel(text: &str, threads: usize) -> Kernel {
    let graph = text.parse::<crate::Graph>().unwrap();
    compile_with(&graph, CompileOptions::default().threads(threads)).unwrap()
}

/// Each kind of step, on one thread and several, and in a pool: calls end, and later ones are whole.
#[test]
fn every_kind_of_step_ends() {
    let x = Tensor::zeros(DType::F32, &[300, 500]).unwrap();
    let wide = Tensor::zeros(DType::F32, &[4, 200_000]).unwrap();
    let places = Tensor::zeros(DType::I64, &[700]).unwrap();
    let cases: [(&str, Vec<&Tensor>); 8] = [
        ("|x: f32| exp(x) * 2", vec![&x]),
        ("|x: f32[n, m]| slice[1, 1:499:3](x) + 1", vec![&x]),
        ("|x: f32[n, m]| softmax[-1](x)", vec![&x]),
        ("|x: f32[n, m]| softmax[-1](x)", vec![&wide]),
        ("|x: f32[n, m]| sum[0](x)", vec![&x]),
        ("|x: f32[n, m]| cumsum[1](x)", vec![&x]),
        ("|x: f32[n, m], i: i64[k]| take[0](x, i)", vec![&x, &places]),
        ("|x: f32[n, m], y: f32[k, m]| x @ y^T", vec![&x, &x]),
    ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for (text, inputs) in cases {
        let text = text.replace("y^T", "transpose(y)");
        for threads in [1, 2] {
            let kernel = kernel(&text, threads);
            let views: Vec<_> = inputs.iter().map(|tensor| tensor.view()).collect();
            let run = || kernel.run(&views).map(drop);
            let expected = kernel.run(&views).unwrap();
            end(run);
            pool.install(|| end(run));
            assert_eq!(format!("{:?}", kernel.run(&views).unwrap()), format!("{expected:?}"));
        }
    }
}

#[test]
fn a_long_product_ends_in_the_middle() {
    let x = Tensor::zeros(DType::F64, &[1600, 1600]).unwrap();
    for threads in [1, 2] {
        let kernel = kernel("|x: f64[n, k], y: f64[k, m]| x @ y", threads);
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            true
        };
        // One call is long enough to be asked in, and if it is not, a few are.
        let done: Result<(), RunError> = interruptible(&ask, || {
            loop {
                kernel.run(&[x.view(), x.view()])?;
            }
        });
        assert_eq!((done, asked.get()), (Err(RunError::Interrupted), 1));
    }
}

#[test]
fn who_is_asked_may_call_kernels() {
    let kernel = kernel("|x: f32| exp(x) + 1", 2);
    let x = Tensor::zeros(DType::F32, &[100_000]).unwrap();
    let ask = || kernel.run(&[x.view()]).is_ok_and(|_| !is_watched());
    let done: Result<(), RunError> = interruptible(&ask, || {
        loop {
            kernel.run(&[x.view()])?;
        }
    });
    assert_eq!(done, Err(RunError::Interrupted));
}

#[test]
fn what_is_not_ended_gives_what_it_gives() {
    let kernel = kernel("|x: f32| x + 1", 2);
    let x = Tensor::zeros(DType::F32, &[1000]).unwrap();
    let done = interruptible(&|| false, || kernel.run(&[x.view()]));
    assert_eq!(done.unwrap()[0].shape(), [1000]);
    let failed: Result<(), RunError> = interruptible(&|| false, || kernel.run(&[]).map(drop));
    assert!(matches!(failed, Err(RunError::InputCount { .. })));
    // Other threads are under no watch of this one.
    let other: Result<bool, RunError> =
        interruptible(&|| true, || Ok(thread::spawn(is_watched).join().unwrap()));
    assert_eq!(other, Ok(false));
}
