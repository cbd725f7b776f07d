//! A linear layer: a matmul, bias and GELU as one kernel, on blocks that are still in the cache.
//!
//! `cargo run --release --example linear_layer`

use kiln::{CompileOptions, Function, RunError, fuse};
use ndarray::{Array1, Array2, ArrayView2, s};
use std::time::Instant;

type Layer = Function<(f32, f32, f32), (f32,)>;

fn layer(options: CompileOptions) -> Result<Layer, kiln::CompileError> {
    fuse!(options, |x: f32[n, k], w: f32[k, m], b: f32[m]| (x.matmul(w) + b).gelu_tanh())
}

fn main() -> kiln::Result<()> {
    let fused = layer(CompileOptions::new())?;
    let unfused = layer(CompileOptions::unfused())?;
    println!("{}", fused.kernel().graph());

    let (n, k, m) = (256, 256, 1024);
    let noise = |i: usize, j: usize| ((i * 31 + j * 17) % 101) as f32 / 101.0 - 0.5;
    let x = Array2::from_shape_fn((n, k), |(i, j)| noise(i, j));
    // The weights are stored transposed, as many frameworks do: no copy is made of them.
    let w = Array2::from_shape_fn((m, k), |(i, j)| noise(j, i) / 8.0);
    let b = Array1::from_shape_fn(m, |i| noise(i, 7));

    let y = fused.call((&x, w.t(), &b))?;
    let plain = (x.dot(&w.t()) + &b)
        .mapv(|u| 0.5 * u * (1.0 + (0.797_884_6 * (u + 0.044_715 * u.powi(3))).tanh()));
    let difference = (&y - &plain).fold(0f32, |most, difference| most.max(difference.abs()));
    println!("y has shape {:?}; largest difference from ndarray {difference:e}", y.shape());
    assert!(difference < 1e-4);

    for (name, layer) in [("fused", &fused), ("unfused", &unfused)] {
        let (passes, ms) = (layer.kernel().pass_count(), best_ms(layer, &x, w.t(), &b)?);
        println!("{name:7} {passes:2} passes, {ms:.2} ms");
    }

    // For few rows, what a product does with its weights counts: bound, they are packed once.
    let bound = fused.kernel().bind_constant("w", w.t())?.bind_constant("b", &b)?;
    let bound = bound.function::<(f32,), (f32,)>()?;
    let few = x.slice(s![..8, ..]);
    assert_eq!(bound.call(few)?, fused.call((few, w.t(), &b))?);
    println!("weights take {} bytes, packed too", bound.kernel().memory(&[few.into()])?.bound());

    // What does not fit says so, with both shapes and a hint: when it is compiled, or when called.
    if let Err(error) = fuse!(|x: f32[n, 3], w: f32[4, m]| x.matmul(w)) {
        println!("\na mistake reads:\n{error}");
    }
    if let Err(error) = fused.call((&x, &w, &b)) {
        println!("\nand in a call:\n{error}");
    }
    Ok(())
}

fn best_ms(
    layer: &Layer,
    x: &Array2<f32>,
    w: ArrayView2<'_, f32>,
    b: &Array1<f32>,
) -> Result<f64, RunError> {
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let started = Instant::now();
        layer.call((x, w, b))?;
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}
