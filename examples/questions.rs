//! Three questions about performance, answered by counting: what no machine's speed changes.
//!
//! `cargo run --release --example questions`

use kiln::profile::{Counts, ProfileError, Workload};
use kiln::{CompileOptions, Kernel, compile_text, compile_with, ir};

const SIZE: usize = 1024;

fn unfused(text: &str) -> Result<Kernel, Box<dyn std::error::Error>> {
    Ok(compile_with(&ir::parse(text)?, CompileOptions::unfused())?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    intensity()?;
    accesses()?;
    edge()
}

/// How much arithmetic is there for each byte?
fn intensity() -> Result<(), Box<dyn std::error::Error>> {
    println!("1. The arithmetic intensity of a product of {SIZE} x {SIZE}, and of a sum");
    let of = |text: &str| -> Result<Counts, Box<dyn std::error::Error>> {
        Ok(Counts::at(&compile_text(text)?, &[[SIZE, SIZE], [SIZE, SIZE]])?)
    };
    let (product, sum) = (of("|a: f32[n, n], b: f32[n, n]| a @ b")?, of("a + b")?);
    for (name, counts) in [("product", product), ("sum", sum)] {
        let (flops, bytes) = (counts.flops.total(), counts.bytes());
        println!(
            "   {name:8}{flops:>11} FLOP {bytes:>9} bytes {:>8.3} FLOP/byte",
            counts.intensity()
        );
    }
    let ratio = product.intensity() / sum.intensity();
    println!("   The product does {ratio:.0} times as much with each byte: 2n.\n");
    assert_eq!(product.intensity(), SIZE as f64 / 6.0); // 2n³ / 12n²
    assert_eq!(sum.intensity(), 1.0 / 12.0);
    assert_eq!(ratio.round() as usize, 2 * SIZE);
    Ok(())
}

/// How often does GELU go to memory?
fn accesses() -> Result<(), Box<dyn std::error::Error>> {
    const GELU: &str = "0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x^3)))";
    println!("2. The memory accesses of GELU, {GELU}");
    let kernels = [unfused(GELU)?, compile_text(GELU)?];
    let counts = kernels.each_ref().map(|kernel| Counts::at(kernel, &[[1 << 20]]));
    let [many, few] = counts;
    let (many, few) = (many?, few?);
    for ((name, counts), kernel) in [("unfused", many), ("fused", few)].iter().zip(&kernels) {
        let each = |bytes: u64| bytes / 4 / counts.elements;
        println!(
            "   {name:8} passes: {}; an element is read {:>2} times and written {}",
            kernel.pass_count(),
            each(counts.loaded),
            each(counts.stored)
        );
    }
    let left = few.bytes() as f64 / many.bytes() as f64;
    println!(
        "   Fusion leaves {:.0} % of the accesses, {:.1} times fewer.\n",
        100.0 * left,
        1.0 / left
    );
    assert_eq!(few.bytes(), 8 << 20);
    Ok(())
}

/// What comes first where memory is small and every byte costs energy?
fn edge() -> Result<(), Box<dyn std::error::Error>> {
    println!("3. Priorities for an edge device");
    let edge = Workload::ALL.iter().find(|workload| workload.name == "edge").ok_or("no edge")?;
    let ranked: Vec<String> = edge
        .ranked()
        .iter()
        .map(|(technique, score)| format!("{} ({:+})", technique.name, score.total()))
        .collect();
    println!("   By benefit, risk, cost and variety of machines: {}", ranked.join(", "));
    println!("   By what an MLP of 256, 1024 and 256 moves, one row at a time:");
    let mlp = |dtype: &str| {
        format!(
            "|x: {dtype}[m, d], w: {dtype}[d, h], b: {dtype}[h], v: {dtype}[h, d], c: {dtype}[d]|
                gelu_tanh(x @ w + b) @ v + c"
        )
    };
    let count = |kernel: Kernel, rows: usize| -> Result<Counts, ProfileError> {
        let [x, b, c] = [vec![rows, 256], vec![1024], vec![256]];
        Counts::at(&kernel, &[x, vec![256, 1024], b, vec![1024, 256], c])
    };
    let plain = count(unfused(&mlp("f32"))?, 1)?;
    let fused = count(compile_text(&mlp("f32"))?, 1)?;
    let batched = count(compile_text(&mlp("f32"))?, 8)?;
    let narrow = count(compile_text(&mlp("bf16"))?, 1)?;
    let (bytes, memory) = (plain.bytes() as f64, plain.memory as f64);
    let left = |counts: Counts, rows: f64| {
        (counts.bytes() as f64 / rows / bytes, counts.memory as f64 / memory)
    };
    let mut techniques = [
        ("fusion", left(fused, 1.0)),
        ("fusion, storage in bf16", left(narrow, 1.0)),
        ("fusion, 8 rows at a time", left(batched, 8.0)),
    ];
    techniques.sort_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
    println!("   {:26}{:>13}{:>14}", "of one kernel for each op", "bytes a row", "peak memory");
    for (name, (bytes, memory)) in techniques {
        let verdict = match bytes {
            ..0.5 => "first",
            ..1.0 => "then",
            _ => "not here",
        };
        let [bytes, memory] = [bytes, memory].map(|part| 100.0 * part);
        println!("   {name:26}{bytes:>11.1} %{memory:>12.1} %  {verdict}");
    }
    assert_eq!(edge.ranked()[0].0.name, "fusion");
    // Two matrices, read once for every call.
    let weights = (2 * 4 * 256 * 1024) as f64 / fused.bytes() as f64;
    println!(
        "   Weights are {:.0} % of what a fused call moves: rows that share them count most, and weights \
         stored in half as many bytes, which products widen as they read them.",
        100.0 * weights
    );
    assert!(weights > 0.9 && 2 * narrow.bytes() < fused.bytes() + fused.bytes() / 50);
    Ok(())
}
