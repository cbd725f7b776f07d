//! Kernels as text: read, compiled, run; and what a mistake looks like.
//!
//! `cargo run --release --example text_kernel`

use kiln::{View, compile_text};
use ndarray::{Array1, Array2};

const BIAS_GELU: &str = "\
kernel bias_gelu(x: f32[n, d], w: f32[d], b: f32[d]) -> f32[n, d] {
    let u = x * w + b;
    0.5 * u * (1 + tanh(0.7978845608 * (u + 0.044715 * u^3)))
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kernel = compile_text(BIAS_GELU)?;
    println!("{}", kernel.graph());
    let x = Array2::from_shape_fn((3, 4), |(i, j)| (i as f32 - 1.0) * 2.0 + j as f32 * 0.5);
    let w = Array1::from_elem(4, 0.5f32);
    let b = Array1::from_elem(4, 0.25f32);
    let y = kernel.run(&[View::from(&x), View::from(&w), View::from(&b)])?.remove(0);
    println!("{}\n", y.into_f32()?);

    for mistake in ["0.5 * x * (1 + tahn(x))", "x + (y * 2"] {
        if let Err(error) = compile_text(mistake) {
            println!("{error}\n");
        }
    }
    // Shapes are checked against the declaration when the kernel is called.
    let short = Array1::from_elem(3, 0.5f32);
    if let Err(error) = kernel.run(&[View::from(&x), View::from(&short), View::from(&b)]) {
        println!("{error}");
    }
    Ok(())
}
