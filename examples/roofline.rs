//! Which roof is over add, multiply, GELU and a product of matrices, on this machine.
//!
//! `cargo run --release --example roofline`

use kiln::profile::{Placed, Profiler, Race, Resources, Roof, Roofline};
use kiln::{View, compile_text};
use ndarray::{Array1, Array2};
use std::time::Duration;

/// Elements of the arrays: more than caches hold.
const N: usize = 1 << 24;
/// Rows and columns of the matrices.
const M: usize = 1024;

fn main() -> kiln::Result<()> {
    let roofline = Roofline::measure()?;
    println!("{roofline}");

    let flat = [(); 2].map(|()| Array1::<f32>::linspace(-3.0, 3.0, N));
    let square = [(); 2].map(|()| Array2::<f32>::from_elem((M, M), 0.5));
    let kernels = [
        ("add", compile_text("x + y")?),
        ("multiply", compile_text("x * y")?),
        ("gelu_tanh", compile_text("gelu_tanh(x)")?),
        ("matmul", compile_text("|a: f32[m, k], b: f32[k, n]| a @ b")?),
    ];
    // Each input has an array of its own: one that is read twice moves once.
    let (flat, square) = (flat.each_ref().map(View::from), square.each_ref().map(View::from));
    let inputs = [&flat[..], &flat, &flat[..1], &square];
    let mut race = Race::new();
    for ((name, kernel), inputs) in kernels.iter().zip(inputs) {
        race.add(Profiler::new(*name, kernel, inputs)?);
    }
    let profiles = race.run_for(Duration::from_secs(2))?;

    println!(
        "{:<10} {:>12} {:>12} {:>9} {:>10} {:>9} {:>8}",
        "", "FLOP", "bytes", "FLOP/byte", "GFLOP/s", "at most", "reached"
    );
    let mut placed = Vec::new();
    for ((_, kernel), profile) in kernels.iter().zip(&profiles) {
        let place = roofline.place(profile, Resources::of(kernel, roofline.threads()));
        println!(
            "{:<10} {:>12} {:>12} {:>9.3} {:>10.2} {:>9.2} {:>7.0}%",
            place.name,
            profile.counts().flops.total(),
            profile.counts().bytes(),
            place.intensity,
            place.gflops,
            place.attainable_gflops(),
            100.0 * place.part,
        );
        placed.push(place);
    }
    println!();
    placed.iter().for_each(|place| println!("{place}"));
    println!("\n{}", conclusion(&placed));
    Ok(())
}

/// What follows for whoever wants these faster.
fn conclusion(placed: &[Placed]) -> String {
    let names = |is_bandwidth: bool| {
        let of = |place: &&Placed| matches!(place.roof, Roof::Bandwidth { .. }) == is_bandwidth;
        placed.iter().filter(of).map(|place| &place.name[..]).collect::<Vec<_>>().join(", ")
    };
    let (moved, computed) = (names(true), names(false));
    let mut text = String::new();
    if !moved.is_empty() {
        text += &format!("Bound by bytes: {moved}. Fuse them with what comes before and after.\n");
    }
    if !computed.is_empty() {
        text += &format!("Bound by arithmetic: {computed}. Use wide vectors and all threads.\n");
    }
    let most = placed.iter().max_by(|a, b| a.intensity.total_cmp(&b.intensity));
    let least = placed.iter().min_by(|a, b| a.intensity.total_cmp(&b.intensity));
    if let (Some(most), Some(least)) = (most, least) {
        let ratio = most.intensity / least.intensity;
        text += &format!(
            "{} does {ratio:.0} times as many FLOPs for a byte as {}.",
            most.name, least.name
        );
    }
    text
}
