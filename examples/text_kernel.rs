//! Kernels as text: read, compiled, called by position and by name; and what a mistake looks like.
//!
//! `cargo run --release --example text_kernel`

use kiln::{Function, compile_text};
use ndarray::{Array1, Array2, array};

const BIAS_GELU: &str = "\
kernel bias_gelu(x: f32[n, d], w: f32[d], b: f32[d]) -> f32[n, d] {
    let u = x * w + b;
    0.5 * u * (1 + tanh(0.7978845608 * (u + 0.044715 * u^3)))
}
";

fn main() -> kiln::Result<()> {
    // By position. The types are checked once, here.
    let bias_gelu: Function<(f32, f32, f32), (f32,)> = compile_text(BIAS_GELU)?.function()?;
    println!("{}", bias_gelu.kernel().graph());
    let x = Array2::from_shape_fn((3, 4), |(i, j)| (i as f32 - 1.0) * 2.0 + j as f32 * 0.5);
    let (w, b) = (Array1::from_elem(4, 0.5), Array1::from_elem(4, 0.25));
    let y = bias_gelu.call((&x, &w, &b))?;
    println!("{y}\n");
    let plain = (&x * &w + &b)
        .mapv(|u| 0.5 * u * (1.0 + (0.797_884_6 * (u + 0.044_715 * u.powi(3))).tanh()));
    assert!((&y - &plain).iter().all(|difference| difference.abs() < 1e-6));

    // The short form names its parameters, too.
    let sgd: Function<(f32, f32, f32), (f32,)> = compile_text("|p, lr, g| p - lr*g")?.function()?;
    assert_eq!(sgd.call((&array![1.0, 2.0], 0.5, &array![2.0, 4.0]))?, array![0.0, 0.0]);

    // A bare expression does not say the order of its inputs: they are given by name.
    let kernel = compile_text("p - lr*g")?;
    let (p, g) = (array![1f32, 2.0], array![2f32, 4.0]);
    let mut out = Array1::<f32>::zeros(2);
    let call = kernel.bind().input("lr", 0.5f32).input("p", &p).input("g", &g);
    call.run_into(&mut [(&mut out).into()])?;
    assert_eq!(out, array![0.0, 0.0]);

    for mistake in ["0.5 * x * (1 + tahn(x))", "x + (y * 2", "x > 0 ? x : 0"] {
        if let Err(error) = compile_text(mistake) {
            println!("{error}\n");
        }
    }
    // Shapes are checked against the declaration when the kernel is called.
    if let Err(error) = bias_gelu.call((&x, &Array1::zeros(3), &b)) {
        println!("{error}");
    }
    Ok(())
}
