//! The MLP of a transformer block as two kernels: a batch of sequences becomes rows, which a wide layer
//! with GELU and a narrow one transform, and then sequences again. Neither product is read back for what
//! is added to it or computed of it.
//!
//! `cargo run --release --example transformer_mlp`

use kiln::fuse;
use kiln::profile::{Counts, Race, try_profile_fn};
use ndarray::{Array1, Array2, Array3};

const BATCH: usize = 16;
const SEQUENCE: usize = 64;
const WIDTH: usize = 256;
const HIDDEN: usize = 4 * WIDTH;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wave = |i: usize, j: usize| ((i * 7 + j * 13) as f32 * 0.37).sin();
    let x = Array3::from_shape_fn((BATCH, SEQUENCE, WIDTH), |(i, j, k)| wave(i * SEQUENCE + j, k));
    // Weights of a size that keeps the variance, as they are when training begins.
    let weights = |from: usize, to: usize| {
        Array2::from_shape_fn((from, to), |(i, j)| wave(j, i * i) / (from as f32).sqrt())
    };
    let (up, down) = (weights(WIDTH, HIDDEN), weights(HIDDEN, WIDTH));
    let (b, c) = (Array1::from_elem(HIDDEN, 0.1), Array1::from_elem(WIDTH, -0.1));

    let mlp = fuse!(|x: f32[n, d], up: f32[d, h], b: f32[h], down: f32[h, d], c: f32[d]| {
        (x.matmul(up) + b).gelu_tanh().matmul(down) + c
    })?;
    println!("{}", mlp.kernel().graph());
    assert_eq!(mlp.kernel().pass_count(), 2);

    // Reshape, product, GELU, product, reshape. Neither reshape moves an element.
    let rows = x.to_shape((BATCH * SEQUENCE, WIDTH))?;
    let y = mlp.call((&rows, &up, &b, &down, &c))?;
    let y = y.into_shape_with_order((BATCH, SEQUENCE, WIDTH))?;
    let magnitude = y.mapv(f32::abs).mean().ok_or("there are elements")?;
    println!("in {:?}, out {:?}, mean magnitude {magnitude:.4}\n", x.shape(), y.shape());
    assert_eq!(y.shape(), x.shape());
    assert!(y.iter().all(|y| y.is_finite()));
    assert!((0.01..10.0).contains(&magnitude));

    // Its parts, each a kernel of its own, take turns with the whole.
    let product = fuse!(|x: f32[n, d], w: f32[d, m]| x.matmul(w))?;
    let activate = fuse!(|u: f32[n, h], b: f32[h]| (u + b).gelu_tanh())?;
    let shift = fuse!(|u: f32[n, d], c: f32[d]| u + c)?;
    let rows = rows.to_owned();
    let wide = product.call((&rows, &up))?;
    let active = activate.call((&wide, &b))?;
    let narrow = product.call((&active, &down))?;
    let in_parts = shift.call((&narrow, &c))?.into_shape_with_order(y.raw_dim())?;
    assert_eq!(in_parts, y, "parts give the bits of the whole");

    let [mut to_wide, mut to_active] = [(); 2].map(|()| Array2::zeros(wide.dim()));
    let [mut to_narrow, mut to_shifted, mut to_whole] = [(); 3].map(|()| Array2::zeros(rows.dim()));
    let whole = Counts::of(
        mlp.kernel(),
        &[(&rows).into(), (&up).into(), (&b).into(), (&down).into(), (&c).into()],
    )?;
    let counts_of_product =
        |x: &Array2<f32>, w: &Array2<f32>| Counts::of(product.kernel(), &[x.into(), w.into()]);
    let parts = [
        counts_of_product(&rows, &up)?,
        Counts::of(activate.kernel(), &[(&wide).into(), (&b).into()])?,
        counts_of_product(&active, &down)?,
        Counts::of(shift.kernel(), &[(&narrow).into(), (&c).into()])?,
    ];

    let mut race = Race::new();
    race.add(try_profile_fn("the whole", whole, || {
        mlp.call_into((&rows, &up, &b, &down, &c), &mut to_whole)
    }));
    race.add(try_profile_fn("product up", parts[0], || {
        product.call_into((&rows, &up), &mut to_wide)
    }));
    race.add(try_profile_fn("bias and GELU", parts[1], || {
        activate.call_into((&wide, &b), &mut to_active)
    }));
    race.add(try_profile_fn("product down", parts[2], || {
        product.call_into((&active, &down), &mut to_narrow)
    }));
    race.add(try_profile_fn("bias", parts[3], || shift.call_into((&narrow, &c), &mut to_shifted)));
    let profiles = race.run(1, 9)?;
    drop(race);

    println!("{profiles}");
    let all = &profiles[0];
    let of_parts: f64 = (1..=4).map(|part| profiles.ratio(part, 0)).sum();
    let share = |part: usize| profiles.ratio(part, 0) / of_parts;
    println!(
        "Products are {:.1} % of the FLOPs and {:.0} % of the parts' time; GELU, fused with its bias, is {:.0} %.",
        100.0 * whole.flops.products as f64 / whole.flops.total() as f64,
        100.0 * (share(1) + share(3)),
        100.0 * share(2)
    );
    println!("The whole runs at {:.1} GFLOP/s.", all.gflops());
    let flops: u64 = parts.iter().map(|part| part.flops.total()).sum();
    assert_eq!(flops, whole.flops.total());
    // Alone, each product is stored, and read again.
    let bytes: u64 = parts.iter().map(Counts::bytes).sum();
    let products = 4 * (wide.len() + narrow.len()) as u64;
    assert_eq!(bytes, whole.bytes() + 2 * products);
    println!(
        "Fused, {:.1} of {:.1} MB need not move.",
        2e-6 * products as f64,
        1e-6 * bytes as f64
    );
    Ok(())
}
