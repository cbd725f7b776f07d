//! Causal attention with several heads: reshapes and transposes move nothing, the mask is made of places
//! and never an array, and all of it but the last copy is one kernel, without memory for scores.
//!
//! `cargo run --release --example attention`

use kiln::{Expr, fuse};
use ndarray::{Array2, Axis, s};

const TOKENS: usize = 128;
const HEADS: usize = 4;
const SIZE: usize = 16;
const WIDTH: usize = HEADS * SIZE;

/// `[n, heads * size]` as `[heads, n, size]`.
fn heads(x: &Expr) -> Expr {
    x.reshape([-1, HEADS as i32, SIZE as i32]).swapaxes(0, 1)
}

fn main() -> kiln::Result<()> {
    let attention = fuse!(|q: f32[n, 64], k: f32[n, 64], v: f32[n, 64]| {
        let scores = heads(q).matmul(heads(k).swapaxes(-2, -1)) * 0.25;
        let mask = scores.iota(-2).ge(scores.iota(-1));
        let weights = mask.select(scores, f64::NEG_INFINITY).softmax(-1);
        weights.matmul(heads(v)).swapaxes(0, 1).reshape([-1, WIDTH as i32])
    })?;
    println!("{}", attention.kernel().graph());

    let wave = |seed: usize| {
        Array2::from_shape_fn((TOKENS, WIDTH), |(i, j)| ((i * 7 + j * 13 + seed) as f32).sin())
    };
    let (q, k, v) = (wave(0), wave(1), wave(2));
    let found: Array2<f32> = attention.call((&q, &k, &v))?;

    // Token by token, head by head.
    let mut largest = 0f32;
    for head in 0..HEADS {
        let part = s![.., head * SIZE..(head + 1) * SIZE];
        let (q, k, v) = (q.slice(part), k.slice(part), v.slice(part));
        for token in 0..TOKENS {
            let seen = s![..=token, ..];
            let powers = (k.slice(seen).dot(&q.row(token)) * 0.25).mapv(f32::exp);
            let weights = &powers / powers.sum();
            let expected = (&v.slice(seen) * &weights.insert_axis(Axis(1))).sum_axis(Axis(0));
            let off = &found.slice(part).row(token) - &expected;
            largest = off.iter().fold(largest, |largest, off| largest.max(off.abs()));
        }
    }
    println!("largest difference from plain loops: {largest:e}");
    assert!(largest < 1e-4);
    Ok(())
}
