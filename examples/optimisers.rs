//! SGD and Adam in place: parameters and their moments are replaced where they lie.
//!
//! `cargo run --release --example optimisers`

use kiln::{Expr, fuse};
use ndarray::{Array1, Zip};

fn main() -> kiln::Result<()> {
    // The states come first, and each output replaces the state at its position.
    let sgd = fuse!(|p, lr, g| p - lr * g)?;
    let adam = fuse!(|p, m, v, g, lr, step| {
        let m = 0.9 * m + 0.1 * g;
        let v = 0.999 * v + 0.001 * g * g;
        let mean = &m / (1.0 - Expr::number(0.9).pow(step));
        let deviation = (&v / (1.0 - Expr::number(0.999).pow(step))).sqrt();
        (p - lr * mean / (deviation + 1e-8), m, v)
    })?;

    // The least of |p - target|^2, whose gradient is 2 (p - target).
    let target = Array1::<f32>::linspace(-1.0, 1.0, 1000);
    let gradient = fuse!(|p, target| 2.0 * (p - target))?;
    let distance = |p: &Array1<f32>| (p - &target).mapv(|d| d * d).sum();

    let mut p = Array1::zeros(1000);
    let mut plain = p.clone();
    let mut g = Array1::zeros(1000);
    for _ in 0..100 {
        gradient.call_into((&p, &target), &mut g)?;
        sgd.call_in_place(&mut p, (0.1, &g))?;
        Zip::from(&mut plain).and(&target).for_each(|p, t| *p -= 0.1 * 2.0 * (*p - t));
    }
    println!("SGD:  distance {:e} after 100 steps", distance(&p));
    assert!(p.iter().zip(&plain).all(|(p, plain)| (p - plain).abs() < 1e-6));

    let [mut p, mut m, mut v] = [(); 3].map(|()| Array1::zeros(1000));
    let [mut plain, mut plain_m, mut plain_v] = [(); 3].map(|()| Array1::<f32>::zeros(1000));
    for step in 1..=300 {
        let step = step as f32;
        gradient.call_into((&p, &target), &mut g)?;
        adam.call_in_place((&mut p, &mut m, &mut v), (&g, 0.01, step))?;

        Zip::from(&mut plain).and(&mut plain_m).and(&mut plain_v).and(&target).for_each(
            |p, m, v, t| {
                let g = 2.0 * (*p - t);
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (mean, square) =
                    (*m / (1.0 - 0.9f32.powf(step)), *v / (1.0 - 0.999f32.powf(step)));
                *p -= 0.01 * mean / (square.sqrt() + 1e-8);
            },
        );
    }
    println!("Adam: distance {:e} after 300 steps", distance(&p));
    assert!(p.iter().zip(&plain).all(|(p, plain)| (p - plain).abs() < 1e-3));
    Ok(())
}
