//! Attention as it is written: one kernel, without memory for what all keys are to all queries.

use common::Rng;
use kiln::explain::{Stage, explain};
use kiln::{CompileOptions, Kernel, Mode, Tensor, View, compile_text, compile_with};
use kiln_ir::{Node, parse};
use ndarray::{ArrayD, IxDyn};

const HEADS: &str = "q: f32[b, h, t, d], k: f32[b, h, s, d], v: f32[b, h, s, e]";

#[test]
fn kernels_are_counted() {
    let masked = format!(
        "|{HEADS}, m: bool[t, s]| \
         softmax[-1](select(m, q @ swapaxes[-1, -2](k) * 0.125, -inf)) @ v"
    );
    let causal = format!(
        "|{HEADS}| let s = q @ swapaxes[-1, -2](k) * 0.125; \
         softmax[-1](select(iota[-2](s) >= iota[-1](s), s, -inf)) @ v"
    );
    let scaled = format!("|{HEADS}| softmax[-1](q @ swapaxes[-1, -2](k) * 0.125) @ v");
    for (count, text) in [
        (1, "softmax[-1](q @ kt) @ v"),
        (1, "softmax[-1](q @ kt * 0.125 + m) @ v"),
        (
            1,
            "|q: f32[t, d], kt: f32[d, s], v: f32[s, d], m: f32[t, s]| softmax[-1](q @ kt * 0.125 + m) @ v",
        ),
        (1, &scaled),
        (1, &masked),
        (1, &causal),
        (1, "layer_norm[-1](x @ w) @ v"),
        // Elements of the second product are computed with.
        (1, "relu(softmax[-1](q @ kt) @ v)"),
        (1, "gelu_tanh(softmax[-1](q @ kt * s + m) @ v * s + x)"),
        (2, "softmax[-1](exp(q) @ kt) @ v + exp(q)"),
        (1, "let o = softmax[-1](q @ kt) @ v; (o, relu(o) + x, o > 0)"),
        (
            1,
            "|q: f32[t, d], kt: f32[d, s], v: f32[s, e], g: f32[e], x: f32[t, e]| \
             softmax[-1](q @ kt) @ v * g + x",
        ),
        // What is stored anyway is loaded, and what reduces the second product is a kernel of its own.
        (2, "softmax[-1](softmax[-1](q @ kt) @ v + x)"),
        (2, "let p = softmax[-1](q @ kt); p @ v + p"),
        (2, "let p = softmax[-1](q @ kt); (p, p @ v)"),
        (2, "gelu_tanh(x @ w1) @ w2"),
        (2, "let h = x @ w; softmax[-1](h) @ h"),
        (2, "|q: f32[t, d], k: f32[d, s], v: f32[s]| softmax[-1](q @ k) @ v"),
        (2, "|q: f32[t, d], k: f32[d, s], v: f32[1, d]| max[-1](q @ k) @ v"),
    ] {
        let graph = parse(text).unwrap();
        let fused = kiln::internals::fuse(&graph, Mode::Precise).graph;
        let kernel = compile_text(text).unwrap();
        assert_eq!(kernel.pass_count(), count, "{text}\n{fused}");
        assert!(fused.nodes().iter().any(|node| matches!(node, Node::Fused { .. })), "{text}");
    }
}

#[test]
fn it_is_explained() {
    let text =
        "|q: f32[t, d], kt: f32[d, s], v: f32[s, d], m: f32[t, s]| softmax[-1](q @ kt + m) @ v";
    let explained = |stage| explain(&parse(text).unwrap(), Mode::Strict, stage).unwrap();
    insta::assert_snapshot!(explained(Stage::Fused), @r"
    kernel kernel(q: f32[t, d], kt: f32[d, s], v: f32[s, d], m: f32[t, s]) -> f32[t, d] {
        fused(q, kt, m, v) {
            let t0 = m + q @ kt;
            let t1 = exp(t0 - sup[-1](t0));
            t1 * recip(sum[-1](t1)) @ v
        }
    }
    ");
    insta::assert_snapshot!(explained(Stage::Why), @r"
    1 kernel
      1. output 0 = let t0 = m + q @ kt; let t1 = exp(t0 - sup[-1](t0)); t1 * recip(sum[-1..
    ");
    let vir = explained(Stage::Vir);
    assert!(vir.starts_with("on some rows of q @ kt at a time:\n"), "{vir}");
    assert!(vir.ends_with("then the product of that and v\n"), "{vir}");
}

/// One kernel computes the bits of a pass for each op.
#[test]
fn attention_changes_no_bit() {
    let mut rng = Rng::new(3);
    let mut draw = |shape: &[usize]| {
        let mut element = || rng.below(2001) as f32 / 1000.0 - 1.0;
        ArrayD::from_shape_simple_fn(IxDyn(shape), &mut element)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    let texts = [
        ("softmax[-1](q @ swapaxes[-1, -2](k) * 0.125 + m) @ v", 1),
        ("softmax[-1](select(m > 0, q @ swapaxes[-1, -2](k), -inf)) @ v", 1),
        (
            "|q: f32[t, d], k: f32[s, d], v: f32[s, e]| let s = q @ swapaxes[-1, -2](k); \
          softmax[-1](select(iota[-2](s) >= iota[-1](s), s, -inf)) @ v",
            1,
        ),
        ("layer_norm[-1](q @ swapaxes[-1, -2](k)) @ v + m", 1),
        ("let o = softmax[-1](q @ swapaxes[-1, -2](k)) @ v; (o, gelu_tanh(o * m) + o, o > m)", 1),
        ("let o = f64(softmax[-1](q @ swapaxes[-1, -2](k)) @ v); (relu(o) - f64(m), o * 2)", 1),
        ("softmax[-1](f64(q) @ swapaxes[-1, -2](f64(k)) + m) @ f64(v)", 4),
        ("softmax[-1](f16(q) @ swapaxes[-1, -2](bf16(k)) + m) @ f16(v)", 4),
        ("softmax[-1](q @ swapaxes[-1, -2](f32(bf16(k))) + m) @ v", 2),
    ];
    // Those of `q`, `k`, `v` and `m`.
    let sizes: [[&[usize]; 4]; 19] = [
        [&[1, 8], &[40, 8], &[40, 8], &[1]],
        [&[65, 8], &[65, 8], &[65, 9], &[65, 1]],
        [&[300, 5], &[700, 5], &[700, 1], &[1]],
        [&[700, 4], &[1500, 4], &[1500, 6], &[1]],
        [&[200, 64], &[200, 64], &[200, 64], &[1]],
        // Rows as long as a set of L1 is apart, and such among longer ones.
        [&[40, 8], &[1024, 8], &[1024, 5], &[1]],
        [&[1030, 4], &[1030, 4], &[1030, 3], &[1]],
        [&[33, 0], &[20, 0], &[20, 7], &[1]],
        [&[33, 4], &[0, 4], &[0, 7], &[1]],
        [&[0, 4], &[20, 4], &[20, 7], &[1]],
        [&[33, 4], &[20, 4], &[20, 0], &[1]],
        [&[2, 3, 70, 16], &[2, 3, 90, 16], &[2, 3, 90, 16], &[2, 1, 1, 1]],
        // Heads of keys and values that several heads of queries share, and what is not one batch.
        [&[2, 2, 3, 70, 16], &[2, 2, 1, 90, 16], &[2, 2, 1, 90, 16], &[1]],
        [&[70, 16], &[90, 16], &[3, 90, 16], &[1]],
        // Several blocks of rows for each matrix that threads pack, and for one that heads share.
        [&[5, 300, 4], &[5, 600, 4], &[5, 600, 3], &[1]],
        [&[2, 3, 150, 4], &[2, 1, 1500, 4], &[2, 1, 1500, 5], &[1]],
        // No heads: nothing is read.
        [&[0, 33, 4], &[0, 20, 4], &[0, 20, 7], &[1]],
        [&[65, 16], &[0, 65, 16], &[0, 65, 2], &[1]],
        [&[1, 0, 12], &[0, 51, 12], &[0, 51, 6], &[1]],
    ];
    for (text, passes) in texts {
        let graph = parse(text).unwrap();
        let strict = CompileOptions::new().mode(Mode::Strict);
        let fused = compile_with(&graph, strict).unwrap();
        assert_eq!(fused.pass_count(), passes, "{text}");
        let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
        // A mask of places needs ranks that are known.
        let is_declared = text.starts_with('|');
        for shapes in sizes {
            if is_declared && shapes[..3].iter().any(|shape| shape.len() > 2) {
                continue;
            }
            let arrays = shapes.map(&mut draw);
            let inputs: Vec<View<'_>> = ["q", "k", "v", "m"]
                .map(|name| &arrays["qkvm".find(name).unwrap()])
                .map(View::from)
                .into();
            let names: Vec<usize> =
                fused.inputs().iter().map(|input| "qkvm".find(&input.name).unwrap()).collect();
            let inputs: Vec<View<'_>> = names.iter().map(|&at| inputs[at].clone()).collect();
            let run = |kernel: &Kernel, inputs: &[View<'_>]| {
                kernel.run(inputs).map_err(|error| error.to_string())
            };
            // There is no largest element of none.
            let expected = run(&apart, &inputs);
            let is_same = |found: &Result<Vec<Tensor>, String>| match (found, &expected) {
                (Ok(found), Ok(expected)) => {
                    found.iter().zip(expected).all(|(one, other)| same(one, other))
                }
                (found, expected) => found == expected,
            };
            for threads in [1, 2, 7] {
                let kernel = compile_with(&graph, strict.threads(threads)).unwrap();
                let found = pool.install(|| run(&kernel, &inputs));
                assert!(is_same(&found), "{text} {shapes:?} {threads}");
            }
            let bound = fused.bind_constant("v", &arrays[2]).unwrap();
            let rest: Vec<View<'_>> = names
                .iter()
                .zip(&inputs)
                .filter(|(at, _)| **at != 2)
                .map(|(_, v)| v.clone())
                .collect();
            assert!(is_same(&run(&bound, &rest)), "{text} {shapes:?}, bound");
        }
    }
}

/// Whether numbers have the same bits, or are both NaN: rows that are masked whole.
fn same(one: &Tensor, other: &Tensor) -> bool {
    let is_same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    match (one, other) {
        (Tensor::F32(one), Tensor::F32(other)) => {
            one.shape() == other.shape()
                && one.iter().zip(other).all(|(a, b)| is_same((*a).into(), (*b).into()))
        }
        (Tensor::F64(one), Tensor::F64(other)) => {
            one.shape() == other.shape() && one.iter().zip(other).all(|(a, b)| is_same(*a, *b))
        }
        _ => one == other,
    }
}

/// A call keeps no scores: what it takes does not grow with queries times keys.
#[test]
fn scores_take_no_memory() {
    let text = "softmax[-1](q @ kt) @ v";
    let kernel = compile_text(text).unwrap();
    let [q, kt, v] =
        [[512, 4], [4, 512], [512, 4]].map(|shape| ArrayD::<f32>::zeros(IxDyn(&shape)));
    let memory = kernel.memory(&[(&q).into(), (&kt).into(), (&v).into()]).unwrap();
    assert_eq!(memory.peak(), 0);
}

/// Masks that are known beforehand, of any kind, and of whole rows: nothing of what they hide leaks, and whatever
/// they leave is as it was.
#[test]
fn masked_scores_change_no_bit() {
    let head = "|q: f32[h, t, d], k: f32[G, s, d], v: f32[G, s, e], m: bool[G, t, s], p: bool[G, 1, s]| \
                let s = q @ swapaxes[-1, -2](k); let i = iota[-2](s); let j = iota[-1](s);";
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    let mut rng = Rng::new(5);
    for text in [
        "softmax[-1](select(i >= j, s, -inf)) @ v",
        "softmax[-1](select(i < j + 40, -inf, s)) @ v",
        "softmax[-1](select(i >= j & p, s, -1e9)) @ v",
        "softmax_or_zero[-1](select(m, select(i >= j, s * 2, -inf), -inf)) @ v",
        "select(i >= j, softmax[-1](select(i >= j, s, 3)), 0) @ v",
        "exp(select(p, s, -inf) - max[-1](select(p, s, 1))) @ v",
    ] {
        for ([heads, groups, t, s], dtype) in [
            ([2, 2, 100, 100], "f32"),
            ([1, 1, 150, 700], "f32"),
            ([3, 1, 130, 129], "f32"),
            ([2, 2, 1, 70], "f32"),
            ([1, 1, 97, 1], "f32"),
            ([2, 2, 110, 90], "f64"),
        ] {
            let size = if groups == 1 { "1" } else { "h" };
            let text = format!("{head} {text}").replace('G', size).replace("f32", dtype);
            let graph = parse(&text).unwrap();
            let strict = CompileOptions::new().mode(Mode::Strict);
            let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
            let kernels =
                [1, 2, 7].map(|threads| compile_with(&graph, strict.threads(threads)).unwrap());
            for spoilt in [1.0, f32::INFINITY, f32::NAN] {
                let mut draw = |shape: [usize; 3], spoilt: f32| {
                    let last = shape[1] * 2 / 3;
                    ArrayD::from_shape_fn(IxDyn(&shape), |at| match rng.below(2001) {
                        0 if at[1] >= last => spoilt,
                        drawn => drawn as f32 / 500.0 - 2.0,
                    })
                };
                let q = draw([heads, t, 16], 1.0);
                let (k, v) = (draw([groups, s, 16], spoilt), draw([groups, s, 5], spoilt));
                let mut mask = |rows: usize| {
                    let kept = s / 2 + 1;
                    ArrayD::from_shape_fn(IxDyn(&[groups, rows, s]), |at| {
                        at[1] % 50 != 7 && at[2] < kept && rng.below(4) > 0
                    })
                };
                let (m, p) = (mask(t), mask(1));
                let narrow = [&q, &k, &v];
                let wide = narrow.map(|array| array.mapv(f64::from));
                let [q, k, v]: [View<'_>; 3] = match dtype {
                    "f64" => wide.each_ref().map(View::from),
                    _ => narrow.map(View::from),
                };
                let names: [(&str, View<'_>); 5] =
                    [("q", q), ("k", k), ("v", v), ("m", (&m).into()), ("p", (&p).into())];
                let run = |kernel: &Kernel| {
                    let view = |name: &str| {
                        names.iter().find(|(known, _)| *known == name).unwrap().1.clone()
                    };
                    let inputs: Vec<View<'_>> =
                        kernel.inputs().iter().map(|input| view(&input.name)).collect();
                    kernel.run(&inputs).unwrap().swap_remove(0)
                };
                let expected = run(&apart);
                for kernel in &kernels {
                    assert_eq!(kernel.pass_count(), 1, "{text}");
                    let found = pool.install(|| run(kernel));
                    let about = format!("{text} {:?} {spoilt}", [heads, groups, t, s]);
                    assert!(same(&found, &expected), "{about}");
                }
            }
        }
    }
}

/// What is masked is left out only where that changes no bit: an infinity times 0 is not 0, and -0.0 that is
/// left of numbers which vanish becomes 0.0 by adding 0.0.
#[test]
fn masked_values_leave_their_bits() {
    let text = "|q: f32[t, d], k: f32[t, d], v: f32[t, e]| let s = q @ swapaxes[-1, -2](k); \
                softmax[-1](select(iota[-2](s) >= iota[-1](s), s, -inf)) @ v";
    let graph = parse(text).unwrap();
    let fused = compile_with(&graph, CompileOptions::new().mode(Mode::Strict)).unwrap();
    let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
    assert_eq!(fused.pass_count(), 1);
    let q = ArrayD::<f32>::from_shape_fn(IxDyn(&[600, 4]), |i| (i[0] % 7) as f32 * 0.1);
    for last in [1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, -0.0] {
        for first in [-1e-45, 1.0] {
            let v = ArrayD::<f32>::from_shape_fn(IxDyn(&[600, 5]), |i| match i[0] {
                0..300 => first,
                _ => last,
            });
            let inputs = [(&q).into(), (&q).into(), (&v).into()];
            let (found, expected) = (fused.run(&inputs).unwrap(), apart.run(&inputs).unwrap());
            assert!(same(&found[0], &expected[0]), "{first} {last}");
        }
    }
}
