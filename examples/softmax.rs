//! Softmax over the rows of a matrix, fused and unfused, beside a copy: what one pass over memory buys.
//!
//! `cargo run --release --example softmax [rows [columns]]`

use kiln::profile::{Counts, Race, profile_fn, try_profile_fn};
use kiln::{CompileError, CompileOptions, Function, Kernel, compile_with, ir};
use ndarray::Array2;
use std::sync::Arc;

type Softmax = Function<(f32,), (f32,)>;

/// As it is written in papers. One thread, so that only fusion differs.
fn softmax(options: CompileOptions) -> Result<(Softmax, Arc<Kernel>), Box<dyn std::error::Error>> {
    let text = "|x| let e = exp(x - max[-1](x)); e / sum[-1](e)";
    let kernel: Result<Kernel, CompileError> = compile_with(&ir::parse(text)?, options.threads(1));
    let kernel = Arc::new(kernel?);
    Ok((Function::new(kernel.clone())?, kernel))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse::<usize>());
    let rows = sizes.next().transpose()?.unwrap_or(4096);
    let columns = sizes.next().transpose()?.unwrap_or(1024);
    let (fused, fused_kernel) = softmax(CompileOptions::new())?;
    let (unfused, unfused_kernel) = softmax(CompileOptions::unfused())?;
    println!("{}", fused_kernel.graph());

    // From -4 to 4, up and down.
    let x = Array2::from_shape_fn((rows, columns), |(i, j)| {
        ((i * 31 + j * 17) % 801) as f32 / 100.0 - 4.0
    });
    let (mut y, mut y_unfused, mut copied) = (x.clone(), x.clone(), x.clone());
    let counts = |kernel: &Kernel| Counts::of(kernel, &[(&x).into()]);
    let (few, many) = (counts(&fused_kernel)?, counts(&unfused_kernel)?);
    let mut race = Race::new();
    let slow = race.add(try_profile_fn("unfused", many, || unfused.call_into(&x, &mut y_unfused)));
    let fast = race.add(try_profile_fn("fused", few, || fused.call_into(&x, &mut y)));
    let copy = Counts {
        elements: few.elements,
        loaded: few.loaded,
        stored: few.stored,
        ..Counts::default()
    };
    let copy = race.add(profile_fn("copy", copy, || copied.assign(&x)));
    let profiles = race.run(1, 20)?;
    drop(race);

    println!("{rows} rows of {columns} elements of f32, one thread");
    println!("{profiles}");
    for (name, kernel, counts) in
        [("unfused", &unfused_kernel, many), ("fused", &fused_kernel, few)]
    {
        println!(
            "{name:8} passes: {}; {:.1} MB read, {:.1} MB written, {:.3} FLOP/byte",
            kernel.pass_count(),
            counts.loaded as f64 / 1e6,
            counts.stored as f64 / 1e6,
            counts.intensity(),
        );
    }
    let sums = y.rows().into_iter().map(|row| (row.sum() - 1.0).abs()).fold(0f32, f32::max);
    let difference = (&y - &y_unfused).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
    println!("largest difference {difference:e}; sums of rows are 1 to within {sums:.1e}\n");
    println!("{}", profiles.compare(fast, slow));
    println!(
        "Fusion moves {:.1} times fewer bytes, and the call takes {:.1} times less: {:.1} times a copy.",
        many.bytes() as f64 / few.bytes() as f64,
        profiles.ratio(slow, fast),
        profiles.ratio(fast, copy),
    );
    if difference > 1e-6 || sums > 1e-5 {
        return Err("fused and unfused differ, or rows do not add up to 1".into());
    }
    Ok(())
}
