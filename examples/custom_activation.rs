//! An activation that nobody has named, from ordinary operators to one kernel, with the proof of
//! every rewrite.
//!
//! `cargo run --release --example custom_activation`

use kiln::explain::prove;
use kiln::{CompileOptions, Expr, Mode, View, compile_with};
use ndarray::array;

/// A swish whose gate leaks: a little of the input always passes.
fn leaky_swish(x: &Expr, leak: f64) -> Expr {
    let gate = 1.0 / (1.0 + (-1.5 * x).exp());
    x * (leak + (1.0 - leak) * gate)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let graph = kiln::ir::build("leaky_swish", &[leaky_swish(&Expr::input("x"), 0.1)])?;
    println!("written:\n{graph}");
    if let Some(proof) = prove(&graph, Mode::Precise) {
        println!("proof:\n{proof}");
    }
    let kernel = compile_with(&graph, CompileOptions::new())?;
    println!("runs:\n{}", kernel.graph());

    // Any layout will do: here the transpose of a 2-d array, with values that try the tails.
    let x = array![[0.0f32, -0.0, 1.0], [-100.0, f32::INFINITY, f32::NAN]];
    let y = kernel.run(&[View::from(&x.t())])?.remove(0).into_f32()?;
    println!("x^T =\n{}\ny =\n{y}", x.t());
    Ok(())
}
