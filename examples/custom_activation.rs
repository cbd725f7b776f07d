//! Activations that nobody has named, from ordinary operators to one kernel, with the proof of every
//! rewrite.
//!
//! `cargo run --release --example custom_activation`

use kiln::explain::prove;
use kiln::{ArrayExt, CompileOptions, Expr, Mode, fuse};
use ndarray::{Array2, array};

/// A swish whose gate leaks: a little of the input always passes. Functions of expressions are
/// how kernels share parts.
fn leaky_swish(x: &Expr, leak: f64) -> Expr {
    let gate = 1.0 / (1.0 + (-1.5 * x).exp());
    x * (leak + (1.0 - leak) * gate)
}

fn main() -> kiln::Result<()> {
    let activation = fuse!(|x| leaky_swish(x, 0.1))?;
    let x: Array2<f32> = Array2::from_shape_fn((3, 5), |(i, j)| (i * 5 + j) as f32 - 7.0);
    // Any layout will do. Here it is a transpose, and the result lies as it does.
    let y = x.t().fused(&activation)?;
    println!("x^T =\n{}\ny =\n{y}\n", x.t());
    let plain = x.t().mapv(|x| x * (0.1 + 0.9 / (1.0 + (-1.5 * x).exp())));
    assert!((&y - &plain).iter().all(|difference| difference.abs() < 1e-6));

    // What is infinite or no number stays so.
    let edges = array![0.0, -0.0, f32::INFINITY, f32::NAN].fused(&activation)?;
    println!("of 0, -0, inf and nan: {edges}\n");
    assert!(edges[1].is_sign_negative() && edges[2] == f32::INFINITY && edges[3].is_nan());

    // What is compiled, and why that is the same function.
    let graph = kiln::ir::build("leaky_swish", &[leaky_swish(&Expr::input("x"), 0.1)])?;
    println!("written:\n{graph}");
    if let Some(proof) = prove(&graph, Mode::Precise) {
        println!("proof:\n{proof}");
    }
    println!("runs:\n{}", activation.kernel().graph());

    // Strict mode keeps every bit of what was written.
    let strict = fuse!(CompileOptions::new().mode(Mode::Strict), |x| leaky_swish(x, 0.1))?;
    println!("runs in strict mode:\n{}", strict.kernel().graph());
    assert_eq!(strict.kernel().pass_count(), 1);
    Ok(())
}
