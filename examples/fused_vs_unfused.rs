//! GELU built in code, fused and unfused: the fused IR, both timings, and that both agree.
//!
//! `cargo run --release --example fused_vs_unfused [elements]`

use kiln::{CompileError, CompileOptions, Function, RunError, fuse};
use ndarray::Array1;
use std::time::{Duration, Instant};

type Unary = Function<(f32,), (f32,)>;

/// GELU by its tanh approximation, as it is written in papers. One thread, so that only fusion
/// differs.
fn gelu(options: CompileOptions) -> Result<Unary, CompileError> {
    fuse!(options.threads(1), |x| {
        0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x.powi(3))).tanh())
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let elements = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 1 << 22,
    };
    let compile = |options: CompileOptions| -> Result<(Unary, Duration), CompileError> {
        let started = Instant::now();
        Ok((gelu(options)?, started.elapsed()))
    };
    let (_, cold) = compile(CompileOptions::new())?;
    let (fused, warm) = compile(CompileOptions::new())?;
    let (unfused, _) = compile(CompileOptions::unfused())?;
    println!("{}", fused.kernel().graph());
    println!("compiled in {cold:.1?} the first time, {warm:.1?} the second");

    let x: Array1<f32> = Array1::linspace(-6.0, 6.0, elements);
    let (mut y, mut y_unfused) = (Array1::zeros(elements), Array1::zeros(elements));
    let (mut best_fused, mut best_unfused) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        best_fused = best_fused.min(time(&fused, &x, &mut y)?);
        best_unfused = best_unfused.min(time(&unfused, &x, &mut y_unfused)?);
    }
    let per_element = |time: Duration| time.as_secs_f64() * 1e9 / elements as f64;
    let (fused_ns, unfused_ns) = (per_element(best_fused), per_element(best_unfused));
    println!("{elements} elements of f32, one thread, best of 10:");
    println!("  unfused {:2} passes {unfused_ns:7.3} ns/element", unfused.kernel().pass_count());
    println!("  fused   {:2} pass   {fused_ns:7.3} ns/element", fused.kernel().pass_count());
    println!("  speed-up {:.1}x", unfused_ns / fused_ns);

    let difference = (&y - &y_unfused).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
    println!("  largest difference {difference:e}");
    if difference > 1e-6 {
        return Err(format!("fused and unfused differ by {difference:e}").into());
    }
    Ok(())
}

fn time(gelu: &Unary, x: &Array1<f32>, y: &mut Array1<f32>) -> Result<Duration, RunError> {
    let started = Instant::now();
    gelu.call_into(x, y)?;
    Ok(started.elapsed())
}
