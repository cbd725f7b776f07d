//! The order of folds, and their errors.

use super::{BLOCK, Fold, Product, Sum};
use crate::extreme::{Extreme, Place};
use crate::simd::Plain;

fn fold<F: Fold>(row: &[F::Element]) -> F::Result {
    let mut state = F::start();
    for (index, block) in row.chunks(BLOCK).enumerate() {
        F::join(&mut state, F::whole::<Plain>(index * BLOCK, block));
    }
    F::finish(state, row.len())
}

/// The order, element by element.
#[test]
fn sums_have_their_order() {
    let mut random = fastrand::Rng::with_seed(7);
    for len in [1, 2, 63, 64, 65, 511, 512, 513, 1500] {
        let row: Vec<f32> = (0..len).map(|_| random.f32() * 2.0 - 1.0).collect();
        let mut sum = -0.0f64;
        for block in row.chunks(512) {
            let mut stripes: Vec<f32> = (0..64)
                .map(|s| block.iter().skip(s).step_by(64).fold(-0.0, |a, b| a + b))
                .collect();
            while stripes.len() > 1 {
                let upper = stripes.split_off(stripes.len() / 2);
                stripes.iter_mut().zip(upper).for_each(|(a, b)| *a += b);
            }
            sum += f64::from(stripes[0]);
        }
        assert_eq!(fold::<Sum<f32>>(&row).to_bits(), (sum as f32).to_bits(), "{len}");
    }
}

/// The error that the module states, against a sum that is exact.
#[test]
fn sums_are_near() {
    let mut random = fastrand::Rng::with_seed(8);
    let draws: [fn(&mut fastrand::Rng) -> f32; 3] = [
        |_| 0.1,
        |random| random.f32(),
        |random| (random.f32() - 0.5) * (random.f32() * 60.0 - 30.0).exp2(),
    ];
    for draw in draws {
        for len in [1000, 100_000, 1_000_000] {
            let row: Vec<f32> = (0..len).map(|_| draw(&mut random)).collect();
            let exact = fold::<Sum<f64>>(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
            let magnitudes: f64 = row.iter().map(|&x| f64::from(x.abs())).sum();
            let error = (f64::from(fold::<Sum<f32>>(&row)) - exact).abs();
            assert!(error <= 14.0 * magnitudes * 2f64.powi(-24), "{len}: {error:e}");
        }
    }
}

#[test]
fn compensated_sums_lose_little() {
    let row: Vec<f64> = (0..3000).map(|i| if i < 1024 { 1e16 } else { 1.0 }).collect();
    assert_eq!(fold::<Sum<f64>>(&row), 1024.0 * 1e16 + 1976.0);
    let zeros = vec![-0.0f64; 600];
    assert_eq!(fold::<Sum<f64>>(&zeros).to_bits(), (-0.0f64).to_bits());
    let infinite = vec![f64::INFINITY; 600];
    assert_eq!(fold::<Sum<f64>>(&infinite), f64::INFINITY);
}

/// Of what leaves the range of `f32` on the way, a product leaves nothing out.
#[test]
fn products_have_room() {
    let row = [1e30f32, 1e-30, 1e30, 1e-30];
    assert!((fold::<Product<f32>>(&row) - 1.0).abs() < 1e-6);
    // One NaN, whatever it came of.
    let infinities = [f32::INFINITY, f32::NEG_INFINITY];
    assert_eq!(fold::<Sum<f32>>(&infinities).to_bits(), f32::NAN.to_bits());
}

/// At every position of vector and tail.
#[test]
fn a_nan_wins_wherever_it_is() {
    for len in [1, 7, 64, 65, 513, 1100] {
        for at in [0, len / 2, len - 1] {
            let mut row: Vec<f32> = (0..len).map(|i| i as f32).collect();
            row[at] = f32::NAN;
            assert!(fold::<Extreme<f32, true>>(&row).is_nan(), "{at} of {len}");
            assert_eq!(fold::<Place<f32, true>>(&row), at as i64);
            row[at] = 1e9;
            assert_eq!(fold::<Extreme<f32, true>>(&row), 1e9);
            assert_eq!(fold::<Place<f32, true>>(&row), at as i64);
        }
    }
}
