//! Matrix products from 64 to 2048: how arithmetic outgrows memory, and where it stops to pay.
//!
//! `cargo run --release --example matmul_scaling`

use kiln::profile::{Counts, Peak, Profile, try_profile_fn};
use kiln::{CompileOptions, DType, fuse};
use ndarray::Array2;

const SIZES: [usize; 6] = [64, 128, 256, 512, 1024, 2048];

/// Of the fastest sample, as the peak is that of the fastest.
fn gflops(profile: &Profile) -> f64 {
    profile.counts().flops.total() as f64 / profile.latency().minimum()
}

fn main() -> kiln::Result<()> {
    // One thread, so that sizes differ in nothing else.
    let product =
        fuse!(CompileOptions::new().threads(1), |a: f32[m, k], b: f32[k, n]| a.matmul(b))?;
    let mut profiles: Vec<Profile> = Vec::new();
    for n in SIZES {
        let noise = |i: usize, j: usize| ((i * 31 + j * 17) % 101) as f32 / 101.0 - 0.5;
        let a = Array2::from_shape_fn((n, n), |(i, j)| noise(i, j));
        let b = Array2::from_shape_fn((n, n), |(i, j)| noise(j, i + 1));
        let mut c = Array2::zeros((n, n));
        let counts = Counts::of(product.kernel(), &[(&a).into(), (&b).into()])?;
        assert_eq!(counts.flops.total(), 2 * (n as u64).pow(3));
        let call = || product.call_into((&a, &b), &mut c);
        profiles.push(try_profile_fn(n.to_string(), counts, call).profile(1, 5)?);
        // A row times a column, in f64.
        let (i, j) = (n / 3, n / 2);
        let terms = a.row(i).to_vec().into_iter().zip(b.column(j).to_vec());
        let exact: f64 = terms.map(|(a, b)| f64::from(a) * f64::from(b)).sum();
        assert!((f64::from(c[[i, j]]) - exact).abs() < 1e-3, "{} is {exact}", c[[i, j]]);
    }

    let peaks = Peak::measure()?.iter();
    let peaks = peaks.filter(|peak| (peak.dtype, peak.threads) == (DType::F32, 1));
    let peak = peaks.map(|peak| peak.gflops).fold(0.0, f64::max);
    println!("n x n by n x n of f32, one thread; its peak is {peak:.1} GFLOP/s\n");
    println!(
        "{:>5} {:>12} {:>9} {:>12} {:>9} {:>11}",
        "n", "fastest", "GFLOP/s", "of the peak", "GB/s", "FLOP/byte"
    );
    for profile in &profiles {
        println!(
            "{:>5} {:>9.3} ms {:>9.1} {:>10.0} % {:>9.2} {:>11.1}",
            profile.name(),
            profile.latency().minimum() / 1e6,
            gflops(profile),
            100.0 * gflops(profile) / peak,
            profile.counts().bytes() as f64 / profile.latency().minimum(),
            profile.counts().intensity()
        );
    }

    let [first, last] = [&profiles[0], &profiles[SIZES.len() - 1]];
    let times = |of: fn(&Profile) -> f64| of(last) / of(first);
    println!(
        "\nFrom {} to {} there are {:.0} times as many FLOP, {:.0} times as many bytes, and it takes {:.0} \
         times as long.",
        first.name(),
        last.name(),
        times(|profile| profile.counts().flops.total() as f64),
        times(|profile| profile.counts().bytes() as f64),
        times(|profile| profile.latency().minimum())
    );
    let best = profiles.iter().map(gflops).fold(0.0, f64::max);
    let of_peak = 100.0 * best / peak;
    let slower = profiles.iter().rposition(|profile| gflops(profile) < 0.9 * best);
    match profiles.get(slower.map_or(0, |last| last + 1)) {
        Some(enough) => println!(
            "From {} on it comes within a tenth of its best, {best:.1} GFLOP/s: {of_peak:.0} % of the peak.",
            enough.name()
        ),
        None => println!(
            "Its best is {best:.1} GFLOP/s, {of_peak:.0} % of the peak; {} stays more than a tenth below.",
            last.name()
        ),
    }
    Ok(())
}
