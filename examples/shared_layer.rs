//! One layer, compiled once, called from several threads; and a kernel that lives in a static.
//!
//! `cargo run --release --example shared_layer`

use kiln::{CompileError, CompileOptions, Function, fuse};
use ndarray::{Array1, Array2, s};
use std::sync::LazyLock;
use std::thread;

/// Weights, and the kernel that they go through.
struct Layer {
    scale: Array1<f32>,
    bias: Array1<f32>,
    kernel: Function<(f32, f32, f32), (f32,)>,
}

impl Layer {
    fn new(width: usize) -> Result<Layer, CompileError> {
        Ok(Layer {
            scale: Array1::linspace(0.5, 1.5, width),
            bias: Array1::linspace(-1.0, 1.0, width),
            // Each call stays on its thread: the threads are ours.
            kernel: fuse!(CompileOptions::new().threads(1), |x, w, b| (x * w + b).silu())?,
        })
    }
}

static RELU: LazyLock<Function<(f32,), (f32,)>> =
    LazyLock::new(|| fuse!(|x| x.relu()).expect("it compiles"));

fn main() -> kiln::Result<()> {
    let (rows, width, threads) = (1000, 64, 4);
    let layer = Layer::new(width)?;
    let x = Array2::from_shape_fn((rows, width), |(i, j)| ((i * 7 + j) % 13) as f32 - 6.0);

    // Calls take the layer by shared reference. Each thread writes rows of its own.
    let mut y = Array2::zeros((rows, width));
    let chunk = rows / threads;
    thread::scope(|scope| {
        let parts = x.axis_chunks_iter(ndarray::Axis(0), chunk);
        let targets = y.axis_chunks_iter_mut(ndarray::Axis(0), chunk);
        let calls: Vec<_> = parts
            .zip(targets)
            .map(|(x, y)| {
                let Layer { scale, bias, kernel } = &layer;
                scope.spawn(move || kernel.call_into((x, scale, bias), y))
            })
            .collect();
        calls.into_iter().try_for_each(|call| call.join().expect("no call panics"))
    })?;

    let at_once = layer.kernel.call((&x, &layer.scale, &layer.bias))?;
    assert_eq!(y, at_once, "the same bits, whoever computes them");
    let plain = (&x * &layer.scale + &layer.bias).mapv(|u| u / (1.0 + (-u).exp()));
    assert!((&y - &plain).iter().all(|difference| difference.abs() < 1e-5));
    println!("{threads} threads, {rows} rows:\n{}", y.slice(s![..2, ..4]));

    let negative = x.mapv(|x| -x.abs());
    assert_eq!(RELU.call(&negative)?.sum(), 0.0);
    // Clones share the kernel, and can move to other threads.
    let relu = RELU.clone();
    thread::spawn(move || assert_eq!(relu.call(2.0).expect("it fits").into_scalar(), 2.0))
        .join()
        .expect("relu of 2 is 2");
    Ok(())
}
