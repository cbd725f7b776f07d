//! Black-Scholes: the price of a call option and its delta, two outputs of one kernel.
//!
//! `cargo run --release --example black_scholes`

use kiln::fuse;
use ndarray::{Array1, Zip};

fn main() -> kiln::Result<()> {
    let black_scholes = fuse!(|s: f64, k: f64, t: f64, r: f64, sigma: f64| {
        let spread = sigma * t.sqrt();
        let d1 = ((s / k).log() + (r + 0.5 * sigma * sigma) * t) / &spread;
        let delta = d1.normcdf();
        let price = s * &delta - k * (-r * t).exp() * (&d1 - spread).normcdf();
        (price, delta)
    })?;
    println!("{}", black_scholes.kernel().graph());

    // Numbers go where arrays do.
    let n = 100_000;
    let s = Array1::linspace(50.0, 150.0, n);
    let k = Array1::from_elem(n, 100.0);
    let t = Array1::linspace(0.1, 2.0, n);
    let (r, sigma) = (0.02, 0.3);
    let (price, delta) = black_scholes.call((&s, &k, &t, r, sigma))?;
    for i in [0, n / 2, n - 1] {
        println!("s = {:6.2}: price {:7.4}, delta {:.4}", s[i], price[i], delta[i]);
    }

    // Delta is the slope of the price: so says a difference of two prices.
    let h = 1e-4;
    let (above, _) = black_scholes.call((&(&s + h), &k, &t, r, sigma))?;
    let (below, _) = black_scholes.call((&(&s - h), &k, &t, r, sigma))?;
    Zip::from(&above).and(&below).and(&delta).for_each(|above, below, delta| {
        assert!(((above - below) / (2.0 * h) - delta).abs() < 1e-6);
    });

    // And the price is the expected gain, summed up over 4000 outcomes.
    let i = n / 2;
    let (drift, spread) = ((r - 0.5 * sigma * sigma) * t[i], sigma * f64::sqrt(t[i]));
    let z = Array1::linspace(-8.0, 8.0, 4001);
    let gains = z.mapv(|z: f64| (s[i] * (drift + spread * z).exp() - k[i]).max(0.0));
    let density = z.mapv(|z| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt());
    let expected = (gains * density).sum() * (z[1] - z[0]) * (-r * t[i]).exp();
    println!("by integration: {expected:.4}");
    assert!((expected - price[i]).abs() < 1e-3);
    Ok(())
}
