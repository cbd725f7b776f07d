//! GELU built in code, fused and unfused: what each does, how long it takes, and that both agree.
//!
//! `cargo run --release --example fused_vs_unfused [elements]`

use kiln::profile::{Counts, Race, try_profile_fn};
use kiln::{CompileError, CompileOptions, Function, fuse};
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
    println!("compiled in {cold:.1?} the first time, {warm:.1?} the second\n");

    let x: Array1<f32> = Array1::linspace(-6.0, 6.0, elements);
    let (mut y, mut y_unfused) = (Array1::zeros(elements), Array1::zeros(elements));
    let counts = |gelu: &Unary| Counts::of(gelu.kernel(), &[(&x).into()]);
    let (few, many) = (counts(&fused)?, counts(&unfused)?);
    let mut race = Race::new();
    let slow = race.add(try_profile_fn("unfused", many, || unfused.call_into(&x, &mut y_unfused)));
    let fast = race.add(try_profile_fn("fused", few, || fused.call_into(&x, &mut y)));
    let profiles = race.run(1, 10)?;
    drop(race);

    println!("{elements} elements of f32 ({:.1} MB), one thread", elements as f64 * 4.0 / 1e6);
    println!("{profiles}");
    for (name, gelu, counts) in [("unfused", &unfused, many), ("fused", &fused, few)] {
        // A memory operation is an element that is read or written.
        let operations = |bytes: u64| bytes / 4 / counts.elements.max(1);
        println!(
            "{name:8} passes: {:2}; {:2} memory operations an element ({:2} reads, {:2} writes), {:.3} FLOP/byte",
            gelu.kernel().pass_count(),
            operations(counts.bytes()),
            operations(counts.loaded),
            operations(counts.stored),
            counts.intensity(),
        );
    }

    let difference = (&y - &y_unfused).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
    println!("largest difference {difference:e}\n");
    println!("{}", profiles.compare(fast, slow));
    println!(
        "Fusion moves {:.1} times fewer bytes, and the call takes {:.1} times less.",
        many.bytes() as f64 / few.bytes() as f64,
        profiles.ratio(slow, fast)
    );
    if difference > 1e-6 {
        return Err(format!("fused and unfused differ by {difference:e}").into());
    }
    Ok(())
}
