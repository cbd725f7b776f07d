//! A linear layer twice: three plain loops, and a product with Kiln. What each takes, and what is saved.
//!
//! `cargo run --release --example profiler`

use kiln::fuse;
use kiln::profile::{Counts, Flops, Race, profile_fn, try_profile_fn};
use ndarray::{Array1, Array2};

const ROWS: usize = 32;
const INPUTS: usize = 128;
const OUTPUTS: usize = 64;

/// `y = x w + b`, as one would write it first.
fn linear(x: &Array2<f32>, w: &Array2<f32>, b: &Array1<f32>, y: &mut Array2<f32>) {
    for row in 0..ROWS {
        for column in 0..OUTPUTS {
            let mut sum = 0.0;
            for inner in 0..INPUTS {
                sum += x[[row, inner]] * w[[inner, column]];
            }
            y[[row, column]] = sum + b[column];
        }
    }
}

/// What the loops do, counted by hand; of the kernel, its plan tells.
fn counts_of_loops() -> Counts {
    let [m, k, n] = [ROWS, INPUTS, OUTPUTS].map(|size| size as u64);
    let flops = Flops { multiplies: m * k * n, adds: m * k * n + m * n, ..Flops::default() };
    let (loaded, stored) = (4 * (m * k + k * n + n), 4 * m * n);
    Counts { elements: m * n, flops, loaded, stored, memory: loaded + stored }
}

fn main() -> kiln::Result<()> {
    let noise = |i: usize, j: usize| ((i * 31 + j * 17) % 101) as f32 / 101.0 - 0.5;
    let x = Array2::from_shape_fn((ROWS, INPUTS), |(i, j)| noise(i, j));
    let w = Array2::from_shape_fn((INPUTS, OUTPUTS), |(i, j)| noise(j, i));
    let b = Array1::from_shape_fn(OUTPUTS, |i| noise(i, 7));
    let (mut plain, mut y) = (Array2::zeros((ROWS, OUTPUTS)), Array2::zeros((ROWS, OUTPUTS)));

    let layer = fuse!(|x: f32[m, k], w: f32[k, n], b: f32[n]| x.matmul(w) + b)?;
    let counts = Counts::of(layer.kernel(), &[(&x).into(), (&w).into(), (&b).into()])?;

    let mut race = Race::new();
    let loops = profile_fn("three loops", counts_of_loops(), || linear(&x, &w, &b, &mut plain));
    let product = try_profile_fn("product", counts, || layer.call_into((&x, &w, &b), &mut y));
    let (loops, product) = (race.add(loops), race.add(product));
    let profiles = race.run(5, 50)?;
    drop(race);

    println!("a linear layer, {ROWS} x {INPUTS} by {INPUTS} x {OUTPUTS}\n");
    profiles.iter().for_each(|profile| println!("{profile}"));
    println!("{profiles}\n{}", profiles.compare(product, loops));
    let [slow, fast] = [loops, product].map(|entrant| profiles[entrant].gflops());
    println!(
        "Both do the same {} FLOP. The loops get {:.0} % of the throughput that the product gets.",
        counts.flops.total(),
        100.0 * slow / fast
    );

    assert_eq!(counts.flops.total(), counts_of_loops().flops.total());
    let difference = (&y - &plain).fold(0f32, |most, difference| most.max(difference.abs()));
    assert!(difference < 1e-4, "{difference:e}");
    Ok(())
}
