//! The MLP of a transformer, end to end: reshape, product, GELU, product, reshape.

use common::Rng;
use kiln::{CompileOptions, Function, fuse};
use ndarray::{Array1, Array2, Array3, Axis, stack};

const BATCH: usize = 16;
const SEQUENCE: usize = 64;
const WIDTH: usize = 256;
const HIDDEN: usize = 4 * WIDTH;

type Mlp = Function<(f32, f32, f32, f32, f32), (f32,)>;

struct Weights {
    up: Array2<f32>,
    b: Array1<f32>,
    down: Array2<f32>,
    c: Array1<f32>,
}

fn mlp(options: CompileOptions) -> Mlp {
    fuse!(options, |x: f32[n, d], up: f32[d, h], b: f32[h], down: f32[h, d], c: f32[d]| {
        (x.matmul(up) + b).gelu_tanh().matmul(down) + c
    })
    .unwrap()
}

fn data() -> (Array3<f32>, Weights) {
    let mut rng = Rng::new(11);
    let mut noise = || rng.below(20_001) as f32 / 10_000.0 - 1.0;
    let x = Array3::from_shape_simple_fn((BATCH, SEQUENCE, WIDTH), &mut noise);
    let mut weights = |from: usize, to: usize| {
        Array2::from_shape_simple_fn((from, to), || noise() / (from as f32).sqrt())
    };
    let (up, down) = (weights(WIDTH, HIDDEN), weights(HIDDEN, WIDTH));
    let b = Array1::from_shape_simple_fn(HIDDEN, &mut noise);
    let c = Array1::from_shape_simple_fn(WIDTH, &mut noise);
    (x, Weights { up, b, down, c })
}

fn call(mlp: &Mlp, x: &Array3<f32>, weights: &Weights) -> Array3<f32> {
    let Weights { up, b, down, c } = weights;
    let rows = x.to_shape((BATCH * SEQUENCE, WIDTH)).unwrap();
    let y = mlp.call((&rows, up, b, down, c)).unwrap();
    y.into_shape_with_order((BATCH, SEQUENCE, WIDTH)).unwrap()
}

#[test]
fn a_transformer_mlp_is_what_its_formula_says() {
    let (x, weights) = data();
    let fused = call(&mlp(CompileOptions::new()), &x, &weights);
    assert_eq!(fused.shape(), x.shape());
    assert!(fused.iter().all(|y| y.is_finite()));

    // In f64, some rows of it.
    let wide = |a: &Array2<f32>| a.mapv(f64::from);
    let (up, down) = (wide(&weights.up), wide(&weights.down));
    let (b, c) = (weights.b.mapv(f64::from), weights.c.mapv(f64::from));
    let gelu =
        |u: f64| 0.5 * u * (1.0 + (0.797_884_560_802_865_4 * (u + 0.044_715 * u.powi(3))).tanh());
    for (batch, position) in [(0, 0), (7, 31), (15, 63)] {
        let row = x.index_axis(Axis(0), batch).row(position).mapv(f64::from);
        let expected = (row.dot(&up) + &b).mapv(gelu).dot(&down) + &c;
        let found = fused.index_axis(Axis(0), batch).row(position).mapv(f64::from);
        let difference = (expected - found).mapv(f64::abs).fold(0.0, |a: f64, &b| a.max(b));
        assert!(difference < 1e-5, "{difference:e}");
    }

    // Unfused, the same up to rounding; and a batch is its sequences, one by one.
    let unfused = call(&mlp(CompileOptions::unfused()), &x, &weights);
    let difference = (&fused - &unfused).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
    assert!(difference < 1e-5, "{difference:e}");
    let layer = mlp(CompileOptions::new());
    let Weights { up, b, down, c } = &weights;
    let sequences = x.outer_iter().map(|rows| layer.call((rows, up, b, down, c)).unwrap());
    let sequences: Vec<Array2<f32>> = sequences.collect();
    let views: Vec<_> = sequences.iter().map(|rows| rows.view()).collect();
    let difference = (stack(Axis(0), &views).unwrap() - &fused).mapv(f32::abs);
    assert!(difference.iter().all(|&d| d < 1e-5));
}
