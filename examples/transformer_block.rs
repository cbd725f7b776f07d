//! A block of a transformer: a layer norm, causal attention with several heads, and an MLP, each added to
//! what it read. One graph from end to end, fused and unfused: kernels, times and memory.
//!
//! `cargo run --release --example transformer_block`

use kiln::profile::{Counts, Race, try_profile_fn};
use kiln::{CompileOptions, Expr, Function, Graph, compile_with, ir};
use ndarray::{Array2, ArrayD, s};

const TOKENS: usize = 512;
const WIDTH: usize = 256;
const HEADS: usize = 4;
const SIZE: usize = WIDTH / HEADS;
const HIDDEN: usize = 4 * WIDTH;

/// Weights and their shapes.
const WEIGHTS: [(&str, &[usize]); 11] = [
    ("scale_1", &[WIDTH]),
    ("shift_1", &[WIDTH]),
    ("qkv", &[WIDTH, 3 * WIDTH]),
    ("out", &[WIDTH, WIDTH]),
    ("out_bias", &[WIDTH]),
    ("scale_2", &[WIDTH]),
    ("shift_2", &[WIDTH]),
    ("up", &[WIDTH, HIDDEN]),
    ("up_bias", &[HIDDEN]),
    ("down", &[HIDDEN, WIDTH]),
    ("down_bias", &[WIDTH]),
];

/// A weight in the graph.
fn weight(name: &str) -> Expr {
    let (_, shape) = WEIGHTS.iter().find(|(known, _)| *known == name).expect("it is in the table");
    Expr::input(format!("{name}: f32{shape:?}"))
}

/// Each token sees itself and those before it. Heads are views, and the mask is made of places.
fn attention(x: &Expr) -> Expr {
    let projected = x.matmul(weight("qkv"));
    // A third of `[n, 3 * heads * size]`, as `[heads, n, size]`.
    let heads = |third: usize| {
        let [from, to] = [third, third + 1].map(|third| (third * WIDTH) as i64);
        let part = projected.slice(-1, from..to);
        part.reshape([-1, HEADS as i32, SIZE as i32]).swapaxes(0, 1)
    };
    let (q, k, v) = (heads(0), heads(1), heads(2));
    let scores = q.matmul(k.swapaxes(-2, -1)) * (SIZE as f64).sqrt().recip();
    let mask = scores.iota(-2).ge(scores.iota(-1));
    let shares = mask.select(scores, f64::NEG_INFINITY).softmax(-1);
    let joined = shares.matmul(v).swapaxes(0, 1).reshape([-1, WIDTH as i32]);
    joined.matmul(weight("out")) + weight("out_bias")
}

fn mlp(x: &Expr) -> Expr {
    let hidden = (x.matmul(weight("up")) + weight("up_bias")).gelu_tanh();
    hidden.matmul(weight("down")) + weight("down_bias")
}

fn block() -> Result<Graph, kiln::GraphError> {
    let x = Expr::input(format!("x: f32[n, {WIDTH}]"));
    let norm = |x: &Expr, scale, shift| x.layer_norm(-1, 1e-5) * weight(scale) + weight(shift);
    let seen = &x + attention(&norm(&x, "scale_1", "shift_1"));
    let thought = &seen + mlp(&norm(&seen, "scale_2", "shift_2"));
    let parameters: Vec<Expr> =
        [x].into_iter().chain(WEIGHTS.map(|(name, _)| weight(name))).collect();
    ir::build_function("block", &parameters, &[thought])
}

type Block = Function<(f32,), (f32,)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let graph = block()?;
    let noise = |place: usize| ((place * 7919 + 13) % 10_007) as f32 / 5003.0 - 1.0;
    // Of a size that keeps the variance, as weights are when training begins.
    let weights = WEIGHTS.map(|(name, shape)| {
        let mut place = 1000 * name.len();
        let scale = (3.0 / shape[0] as f32).sqrt();
        let array = ArrayD::from_shape_simple_fn(shape, || {
            place += 1;
            scale * noise(place)
        });
        (name, if name.starts_with("scale") { array + 1.0 } else { array })
    });
    let x = Array2::from_shape_fn((TOKENS, WIDTH), |(i, j)| noise(i * 31 + j * j));

    // One thread, so that only fusion differs.
    let compiled = |options: CompileOptions| -> kiln::Result<Block> {
        let mut kernel = compile_with(&graph, options.threads(1))?;
        for (name, array) in &weights {
            kernel = kernel.bind_constant(name, array)?;
        }
        Ok(kernel.function()?)
    };
    let (fused, unfused) = (compiled(CompileOptions::new())?, compiled(CompileOptions::unfused())?);
    println!("{}", fused.kernel().graph());

    let (y, y_unfused) = (fused.call(&x)?, unfused.call(&x)?);
    let largest = |a: &Array2<f32>, b: &Array2<f32>| {
        (a - b).iter().fold(0f32, |largest, off| largest.max(off.abs()))
    };
    let apart = largest(&y, &y_unfused);

    // By the reference interpreter, of the first tokens: no later one changes what becomes of them.
    let few = s![..48, ..];
    let array = |a: ndarray::ArrayViewD<f32>| {
        let data = a.iter().map(|&x| f64::from(x)).collect();
        ir::Array::new(kiln::DType::F32, a.shape().to_vec(), data)
    };
    let given = graph.inputs().iter().map(|input| {
        let weight = weights.iter().find(|(name, _)| *name == input.name);
        array(weight.map_or(x.slice(few).into_dyn(), |(_, weight)| weight.view()))
    });
    let expected = ir::eval(&graph, &given.collect::<Result<Vec<_>, _>>()?)?.remove(0);
    let expected = expected.data().iter().map(|&x| x as f32).collect();
    let expected = Array2::from_shape_vec(y.slice(few).dim(), expected)?;
    let off = largest(&y.slice(few).to_owned(), &expected);
    let most = y.iter().fold(0f32, |most, y| most.max(y.abs()));
    println!(
        "largest element {most:.2}; largest difference: unfused {apart:e}, the reference {off:e}"
    );
    // Some roundings of sums of up to 1024 terms.
    assert!((1.0..10.0).contains(&most) && apart < 2e-5 && off < 2e-5);

    let (mut out, mut out_unfused) = (y.clone(), y_unfused);
    let counts = |block: &Block| Counts::of(block.kernel(), &[(&x).into()]);
    let mut race = Race::new();
    let fast = race.add(try_profile_fn("fused", counts(&fused)?, || fused.call_into(&x, &mut out)));
    let slow = race.add(try_profile_fn("unfused", counts(&unfused)?, || {
        unfused.call_into(&x, &mut out_unfused)
    }));
    let profiles = race.run(2, 15)?;
    drop(race);
    println!("\n{TOKENS} tokens of {WIDTH} elements, {HEADS} heads, one thread\n{profiles}");
    for (name, block) in [("unfused", &unfused), ("fused", &fused)] {
        let memory = block.kernel().memory(&[(&x).into()])?;
        println!(
            "{name:8} {:2} kernels, {:.1} MB moved, {:.1} MB for intermediates",
            block.kernel().pass_count(),
            counts(block)?.bytes() as f64 / 1e6,
            memory.peak() as f64 / 1e6,
        );
    }
    println!("\n{}", profiles.compare(fast, slow));
    assert!(fused.kernel().pass_count() < unfused.kernel().pass_count());
    assert!(counts(&fused)?.bytes() < counts(&unfused)?.bytes());
    assert_eq!(out, y, "the same bits in every call");
    Ok(())
}
