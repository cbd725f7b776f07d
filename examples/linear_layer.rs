//! A linear layer: matmul by a blocked GEMM, then bias and GELU as one fused kernel.
//!
//! `cargo run --release --example linear_layer`

use kiln::{CompileOptions, Expr, Kernel, View, compile, compile_with, derived};
use ndarray::{Array1, Array2};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [x, w, b] = ["x: f32[n, k]", "w: f32[k, m]", "b: f32[m]"].map(Expr::input);
    let layer = derived::gelu_tanh(x.matmul(&w) + &b);
    let graph = kiln::ir::build("linear_layer", &[layer])?;
    let fused = compile_with(&graph, CompileOptions::new())?;
    let unfused = compile_with(&graph, CompileOptions::unfused())?;
    println!("{}", fused.graph());

    let (n, k, m) = (512, 512, 2048);
    let noise = |i: usize, j: usize| ((i * 31 + j * 17) % 101) as f32 / 101.0 - 0.5;
    let x = Array2::from_shape_fn((n, k), |(i, j)| noise(i, j));
    // The weights are stored transposed, as many frameworks do: no copy is made of them.
    let w = Array2::from_shape_fn((m, k), |(i, j)| noise(j, i) / 8.0);
    let b = Array1::from_shape_fn(m, |i| noise(i, 7));
    let w = w.t();
    let inputs = [View::from(&x), View::from(&w), View::from(&b)];

    let y = fused.run(&inputs)?.remove(0).into_f32()?;
    let z = unfused.run(&inputs)?.remove(0).into_f32()?;
    let difference = (&y - &z).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
    println!("y has shape {:?}; largest difference from unfused {difference:e}", y.shape());
    println!("fused   {:2} passes, {:.2} ms", fused.pass_count(), best_ms(&fused, &inputs)?);
    println!("unfused {:2} passes, {:.2} ms", unfused.pass_count(), best_ms(&unfused, &inputs)?);

    // What does not fit says so, with both shapes and a hint.
    let wrong = Expr::input("x: f32[n, 3]").matmul(Expr::input("w: f32[4, m]"));
    if let Err(error) = compile(&[wrong]) {
        println!("\na mistake reads:\n{error}");
    }
    Ok(())
}

fn best_ms(kernel: &Kernel, inputs: &[View<'_>]) -> Result<f64, kiln::RunError> {
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let started = Instant::now();
        kernel.run(inputs)?;
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}
