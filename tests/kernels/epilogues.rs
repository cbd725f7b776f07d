//! Products with what is computed of them: one kernel, where that can be.

use common::Rng;
use kiln::explain::{Stage, explain};
use kiln::profile::Counts;
use kiln::{CompileOptions, DType, Kernel, Mode, Tensor, View, compile_text, compile_with};
use kiln_ir::{Node, parse};
use ndarray::{Array2, ArrayD, IxDyn};

/// How many passes a text is.
fn passes(text: &str) -> usize {
    compile_text(text).unwrap().pass_count()
}

#[test]
fn kernels_are_counted() {
    for (count, text) in [
        (1, "gelu_tanh(x @ w + b)"),
        (1, "|x: f32[m, k], w: f32[k, n], b: f32[n]| gelu(x @ w + b)"),
        (2, "gelu_tanh(x @ w1 + b1) @ w2 + b2 + x"),
        (1, "|x: f32[m, k], w: f32[k, n], b: f32[n], r: f32[m, n]| silu(x @ w + b) * r"),
        (1, "let h = x @ w; (h, relu(h))"),
        (1, "|x: f32[m, k], w: f32[k, n]| let h = x @ w; (tanh(h), exp(h), h > 0)"),
        (1, "x @ transpose(w) * 2"),
        (1, "x @ x + x"),
        // One kernel has one product.
        (2, "silu(x @ w) * (x @ v)"),
        (2, "(relu(x @ w), relu(x @ v))"),
        (3, "(relu(x @ w), relu(x @ v), relu(x @ u))"),
        // What is read later is stored, and the product is not computed again.
        (2, "let h = x @ w; relu(h) @ w + h"),
        // What is computed of whole rows runs on some of them at a time.
        (1, "softmax[-1](x @ w * 0.125 + m)"),
        (1, "log_softmax[-1](x @ w)"),
        (1, "layer_norm[-1](x @ w + b)"),
        (1, "|x: f32[m, k], w: f32[k, n], g: f32[n]| rms_norm[-1](x @ w) * g"),
        (1, "let h = x @ w; (max[-1](h), sum[-1](h), h)"),
        (1, "let h = x @ w; (h - mean[-1](h), mean[-1](h) > 0)"),
        (
            1,
            "|x: f32[b, h, t, d], y: f32[b, h, s, d]| softmax[-1](x @ swapaxes[-1, -2](y) * 0.125)",
        ),
        (1, "|x: f32[m, k], w: f32[k, n], y: f32[m, n]| (x @ w) * sum[-1](y)"),
        // Along other axes, of other rows, of rows too long to be held.
        (2, "softmax[0](x @ w)"),
        (2, "|x: f32[m, k], w: f32[k, n]| softmax[0](x @ w)"),
        (2, "|x: f32[m, k], w: f32[k, n], y: f32[m, k]| (x @ w) * sum[-1](y)"),
        (2, "|x: f32[m, k], w: f32[k, 20000]| softmax[-1](x @ w)"),
        (2, "|x: f32[m, k], w: f32[k]| softmax[-1](x @ w)"),
        (1, "relu(transpose(x @ w))"),
        (2, "relu(slice[0, 1:](x @ w))"),
    ] {
        let graph = parse(text).unwrap();
        let fused = kiln::internals::fuse(&graph, Mode::Precise).graph;
        assert_eq!(passes(text), count, "{text}\n{fused}");
        let products = |node: &Node| match node {
            Node::Call(kiln_ir::Call::Matmul, _) => true,
            Node::Fused { body, .. } => body.product().is_some(),
            _ => false,
        };
        let products = fused.nodes().iter().filter(|node| products(node)).count();
        assert_eq!(products, text.matches('@').count(), "{text}\n{fused}");
    }
}

#[test]
fn it_is_explained() {
    let explained =
        |text: &str, stage| explain(&parse(text).unwrap(), Mode::Precise, stage).unwrap();
    let layer = "|x: f32[m, k], w: f32[k, n], b: f32[n]| relu(x @ w + b)";
    insta::assert_snapshot!(explained(layer, Stage::Fused), @r"
    kernel kernel(x: f32[m, k], w: f32[k, n], b: f32[n]) -> f32[m, n] {
        fused(x, w, b) {
            max(b + x @ w, 0)
        }
    }
    ");
    insta::assert_snapshot!(explained(layer, Stage::Vir), @r"
    on each block of x @ w, of the product, b:
    v0: f32 = load 0
    v1: f32 = load 1
    v2: f32 = add v1 v0
    v3: f32 = const 0.0
    v4: f32 = max v3 v2
    v5: f32 = add v4 v3
    store 0 v5
    ");
    insta::assert_snapshot!(explained(layer, Stage::Counts), @r"
                 unfused    fused
    passes             3        1
    ops                3        3
    bytes/elem        20        8
    cost/elem        8.3      8.3  (in adds, estimated, without calls)
    a matmul of f32[m, k] and f32[k, n]: 2*k*m*n FLOP, 4*(m*k + k*n) bytes
    ");
    let why = [
        "exp(x @ tanh(w))",
        "gelu_tanh(x) @ w",
        "|x: f32[8, 5000], w: f32[5000, 8]| relu(x) @ w",
        "relu(softmax[-1](x @ w) @ v)",
        "relu(slice[0, 1:](x @ w))",
        "silu(x @ w) * (x @ v)",
        "softmax[-1](x @ w)",
        "softmax[0](x @ w)",
        "|x: f32[8, 8], w: f32[8, 50000]| softmax[-1](x @ w)",
        "|x: f32[m, k], w: f32[k, n], y: f32[b, m, n]| x @ w + y",
    ];
    let why: Vec<String> =
        why.iter().map(|text| format!("{text}\n{}", explained(text, Stage::Why))).collect();
    insta::assert_snapshot!(why.join("\n"), @r"
    exp(x @ tanh(w))
    2 kernels
      1. t0 = tanh(w)
      2. output 0 = exp(x @ t0)
    because
      1 and 2: 2 has a matmul of it, whose operands must be in memory

    gelu_tanh(x) @ w
    1 kernel
      1. output 0 = x * sigmoid(x * fma(0.071354814, x * x, 1.5957692)) @ w

    |x: f32[8, 5000], w: f32[5000, 8]| relu(x) @ w
    1 kernel and 1 call
      1. t0 = max(x, 0)
      2. output 0 = t0 @ w
    because
      1 and 2: 2 has a matmul of it, and max (f32[8, 5000]) has rows that are too long to be computed some at a time

    relu(softmax[-1](x @ w) @ v)
    1 kernel
      1. output 0 = let t0 = x @ w; let t1 = exp(t0 - sup[-1](t0)); max(t1 * recip(sum[-1]..

    relu(slice[0, 1:](x @ w))
    1 kernel and 1 call
      1. t0 = x @ w
      2. output 0 = max(slice[0, 1:](t0), 0)
    because
      1 and 2: it is read as a slice, not element by element as a product is computed

    silu(x @ w) * (x @ v)
    2 kernels
      1. t0 = let t0 = x @ w; t0 * sigmoid(t0)
      2. output 0 = x @ v * t0
    because
      1 and 2: a kernel has one product at most, and each has one

    softmax[-1](x @ w)
    1 kernel
      1. output 0 = let t0 = x @ w; let t1 = exp(t0 - sup[-1](t0)); t1 * recip(sum[-1](t1)..

    softmax[0](x @ w)
    1 kernel and 1 call
      1. t0 = x @ w
      2. output 0 = let t1 = exp(t0 - sup[0](t0)); t1 * recip(sum[0](t1))
    because
      1 and 2: sup[0] of f32[..] is not along the rows of the product, some of which are held

    |x: f32[8, 8], w: f32[8, 50000]| softmax[-1](x @ w)
    1 kernel and 1 call
      1. t0 = x @ w
      2. output 0 = let t1 = exp(t0 - sup[-1](t0)); t1 * recip(sum[-1](t1))
    because
      1 and 2: the rows of the product (f32[8, 50000]) are too long to be held and reduced

    |x: f32[m, k], w: f32[k, n], y: f32[b, m, n]| x @ w + y
    1 kernel and 1 call
      1. t0 = x @ w
      2. output 0 = y + t0
    because
      1 and 2: add (f32[b, m, n]) has more elements than the product (f32[m, n])
    ");
    let kernel = compile_text(layer).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    let [x, w, b] = [zeros(&[3, 4]), zeros(&[4, 5]), zeros(&[5])];
    let plan = kernel.plan_for(&[x.view(), w.view(), b.view()]).unwrap().to_string();
    let plan = plan.lines().filter(|line| !line.contains("bits;")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(plan, @r"
    the usual plan, of 2 passes

    1. (x: f32[3, 4], w: f32[4, 5], b: f32[5]) -> (output 0: f32[3, 5])
       max(b + x @ w, 0)
       pass by pass, in 2: its product is too small; 150 ops; 208 bytes loaded, 120 stored

    in all: 150 ops, 328 bytes moved; 64 bytes for 1 intermediate
    ");
    let counts = Counts::of(&kernel, &[x.view(), w.view(), b.view()]).unwrap();
    assert_eq!(counts.flops.products, 2 * 3 * 4 * 5);
    assert_eq!((counts.flops.adds, counts.flops.comparisons), (15, 15));
    // What the product gives is written and read.
    assert_eq!(counts.bytes(), 4 * (12 + 20 + 5 + 15 + 2 * 15));
}

/// A residual is no pass of its own: a call reads each array once, and writes its result once.
#[test]
fn a_residual_is_read_once() {
    for text in ["gelu_tanh(x @ w + b) + r", "r + x @ w + b * r", "layer_norm[-1](x @ w + b + r)"] {
        let kernel = compile_text(text).unwrap();
        assert_eq!(kernel.pass_count(), 1, "{text}");
        let shapes = |name: &str| match name {
            "x" => vec![30, 40],
            "w" => vec![40, 50],
            "b" => vec![50],
            _ => vec![30, 50],
        };
        let arrays: Vec<Tensor> = kernel
            .inputs()
            .iter()
            .map(|input| Tensor::zeros(DType::F32, &shapes(&input.name)).unwrap())
            .collect();
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        let counts = Counts::of(&kernel, &views).unwrap();
        assert_eq!(counts.bytes(), 4 * (1200 + 2000 + 50 + 1500 + 1500), "{text}");
    }
}

#[test]
fn errors_name_the_op_and_the_shapes() {
    let error = |text: &str, shapes: &[&[usize]]| {
        let inputs: Vec<Tensor> =
            shapes.iter().map(|shape| Tensor::zeros(DType::F32, shape).unwrap()).collect();
        let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
        compile_text(text).unwrap().run(&views).unwrap_err().to_string()
    };
    insta::assert_snapshot!(error("relu(x @ w + b)", &[&[2, 3], &[4, 3], &[3]]), @r"matmul: shapes [2, 3] and [4, 3] do not fit: the last axis of the left is 3, but the second-last axis of the right is 4; they must be equal (is the right operand transposed?) (written at 1:6, `x @ w`)");
    insta::assert_snapshot!(error("relu(x @ w + b)", &[&[2, 3], &[3, 4], &[3]]), @r"shapes x @ w [2, 4], b [3] do not broadcast: axis -1 is 4 in one and 3 in another; sizes must be equal, or one of them 1 (written at 1:6, `x @ w + b`)");
    insta::assert_snapshot!(error("relu(x @ w + b)", &[&[], &[3, 4], &[3]]), @r"matmul: shapes [] and [3, 4] do not fit: each needs at least one axis; multiply by a number with `*` (written at 1:6, `x @ w`)");
    // Nor do the other operands fit together, which are met first.
    for text in [
        "|a, b, x, w| max(a, b) > (x @ w)",
        "|a, b, x, w| softmax[-1](max(a, b) + (x @ w))",
        "|a, b, x, w| softmax[-1](max(a, b) + (x @ w)) @ w",
        "|a, b, x, w| max(a, b) + softmax[-1](x @ x) @ w",
    ] {
        let told = error(text, &[&[3, 4], &[2, 4], &[8, 9], &[3, 8]]);
        assert!(told.contains("[8, 9]") || told.contains("[3, 4]"), "{text}: {told}");
        let told = error(text, &[&[3, 4], &[2, 4], &[8, 8], &[3, 8]]);
        assert!(told.contains("[3, 8]") || told.contains("[3, 4]"), "{text}: {told}");
    }
}

/// Results of other types, and several, in every size about those of blocks and of the scratch.
#[test]
fn results_of_any_type() {
    let mut rng = Rng::new(5);
    let mut draw = |shape: [usize; 2]| {
        Array2::from_shape_simple_fn(shape, || rng.below(2001) as f32 / 1000.0 - 1.0)
    };
    for text in [
        "f16(x @ w * s)",
        "bf16(tanh(x @ w) + s)",
        "(x @ w > s, i32(x @ w * 100), f64(x @ w))",
        "(f64(x @ w), relu(x @ w + s))",
        "x @ w > 0",
    ] {
        let head = "x: f32[m, k], w: f32[k, n], s: f32[m, 1]";
        let graph = parse(&format!("kernel k({head}) {{ {text} }}")).unwrap();
        let strict = CompileOptions::new().mode(Mode::Strict);
        let fused = compile_with(&graph, strict).unwrap();
        let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
        assert_eq!(fused.pass_count(), 1, "{text}");
        for [m, k, n] in [[1, 9, 700], [7, 400, 33], [600, 20, 900], [13, 3, 40_000], [2000, 5, 2]]
        {
            let [x, w, s] = [draw([m, k]), draw([k, n]), draw([m, 1])];
            let inputs = [(&x).into(), (&w).into(), (&s).into()];
            let found = fused.run(&inputs).unwrap();
            assert_eq!(found, apart.run(&inputs).unwrap(), "{text} {m} {k} {n}");
        }
    }
}

/// A result may be written over an operand of the product, and over what is added to it.
#[test]
fn results_in_place() {
    let graph = parse("|x: f32[n, n], w: f32[n, n], b: f32[n]| tanh(x @ w + b) + x").unwrap();
    let kernel = compile_with(&graph, CompileOptions::new()).unwrap();
    assert_eq!(kernel.pass_count(), 1);
    let residual = compile_text("|r: f32[n, n], x: f32[n, n], w: f32[n, n]| r + x @ w").unwrap();
    for n in [1, 6, 33, 300] {
        let array = |from: usize| {
            ArrayD::from_shape_fn(IxDyn(&[n, n]), |i| {
                ((i[0] * 7 + i[1] * 3 + from) % 11) as f32 * 0.1
            })
        };
        let (x, w, b) = (array(1), array(2), ndarray::Array1::<f32>::ones(n));
        let expected = kernel.run(&[(&x).into(), (&w).into(), (&b).into()]).unwrap();
        let mut state = x.clone();
        kernel.run_in_place(&mut state, &[(&w).into(), (&b).into()]).unwrap();
        assert_eq!(Tensor::F32(state), expected[0]);
        let expected = residual.run(&[
            (&b.broadcast((n, n)).unwrap().to_owned()).into(),
            (&x).into(),
            (&w).into(),
        ]);
        let mut state = ArrayD::<f32>::ones(IxDyn(&[n, n]));
        residual.run_in_place(&mut state, &[(&x).into(), (&w).into()]).unwrap();
        assert_eq!(Tensor::F32(state), expected.unwrap()[0]);
    }
}

/// What folds rows of a product computes the bits of a product, then of a pass for each op, whatever its size,
/// type and batch, on any number of threads.
#[test]
fn folded_rows_change_no_bit() {
    let mut rng = Rng::new(11);
    let mut draw = |shape: &[usize]| {
        let mut element = || rng.below(2001) as f32 / 1000.0 - 1.0;
        ArrayD::from_shape_simple_fn(IxDyn(shape), &mut element)
    };
    // Both operands of the last two are narrowed or widened first.
    let texts = [
        ("softmax[-1](x @ w * 0.125 + s)", 1),
        ("let h = x @ w; (h, sum[-1](h), f16(h - max[-1](h)), logsumexp[-1](h * s))", 1),
        ("f64(layer_norm[-1](f16(x) @ bf16(w) + s))", 3),
        ("max[-1](f64(x) @ f64(w)) > s", 3),
    ];
    let sizes: [([&[usize]; 2], usize); 9] = [
        ([&[1, 9], &[9, 700]], 1),
        ([&[7, 400], &[400, 33]], 1),
        ([&[300, 0], &[0, 40]], 1),
        ([&[130, 20], &[20, 1]], 1),
        ([&[33, 3], &[3, 20_000]], 1),
        ([&[5, 3], &[3, 0]], 1),
        ([&[40], &[40, 90]], 1),
        ([&[2, 65, 24], &[1, 24, 600]], 1),
        ([&[2, 1, 50, 24], &[3, 24, 100]], 1),
    ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    for (text, passes) in texts {
        let graph = parse(text).unwrap();
        let strict = CompileOptions::new().mode(Mode::Strict);
        let fused = compile_with(&graph, strict).unwrap();
        assert_eq!(fused.pass_count(), passes, "{text}");
        let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
        for ([left, right], s) in sizes {
            let [x, w, s] = [draw(left), draw(right), draw(&[s])];
            let inputs = [(&x).into(), (&w).into(), (&s).into()];
            // There is no largest element of none.
            let expected = apart.run(&inputs).map_err(|error| error.to_string());
            let run = |kernel: &Kernel, inputs: &[View<'_>]| {
                kernel.run(inputs).map_err(|error| error.to_string())
            };
            for threads in [1, 2, 3, 7] {
                let kernel = compile_with(&graph, strict.threads(threads)).unwrap();
                let found = pool.install(|| run(&kernel, &inputs));
                assert!(found == expected, "{text} {left:?} {right:?} {threads}");
            }
            let bound = fused.bind_constant("w", &w).unwrap();
            let found = run(&bound, &[(&x).into(), (&s).into()]);
            assert!(found == expected, "{text} {left:?} {right:?}, bound");
        }
    }
}

/// Results of whole rows may be written over what is added to the product.
#[test]
fn folded_rows_in_place() {
    let text = "|r: f32[m, n], x: f32[m, n], w: f32[n, n]| layer_norm[-1](x @ w + r) + r";
    let kernel = compile_text(text).unwrap();
    assert_eq!(kernel.pass_count(), 1);
    for shape @ [m, n] in [[1, 5], [70, 33], [300, 600]] {
        let array = |shape: [usize; 2], from: usize| {
            ArrayD::from_shape_fn(IxDyn(&shape), |i| {
                ((i[0] * 7 + i[1] * 3 + from) % 11) as f32 * 0.1
            })
        };
        let (mut r, mut x, w) = (array(shape, 1), array([m, n], 2), array([n, n], 3));
        let expected = kernel.run(&[(&r).into(), (&x).into(), (&w).into()]).unwrap();
        let state = r.clone();
        kernel.run_in_place(&mut r, &[(&x).into(), (&w).into()]).unwrap();
        assert_eq!(Tensor::F32(r), expected[0]);
        // Not over what is multiplied, which is read again.
        let result = x.view_mut();
        let text = "|x: f32[m, n], r: f32[m, n], w: f32[n, n]| layer_norm[-1](x @ w + r) + r";
        let kernel = compile_text(text).unwrap();
        kernel.run_in_place(result, &[(&state).into(), (&w).into()]).unwrap();
        assert_eq!(Tensor::F32(x), expected[0]);
    }
}

/// Numbers of rows fit what the product does not.
#[test]
fn folded_rows_with_other_arrays() {
    for text in ["max[-1](x @ w) * y", "x @ w + sum[-1](y)", "let h = x @ w; (h, sum[-1](h) - y)"] {
        let graph = parse(text).unwrap();
        let strict = CompileOptions::new().mode(Mode::Strict);
        let fused = compile_with(&graph, strict).unwrap();
        let apart = compile_with(&graph, CompileOptions::unfused()).unwrap();
        let [x, w, y] = [[5, 4], [4, 9], [5, 7]].map(|shape| {
            Array2::from_shape_fn(shape, |(i, j)| ((i * 5 + j * 3) % 7) as f32 * 0.5 - 1.0)
        });
        let inputs = [(&x).into(), (&w).into(), (&y).into()];
        assert_eq!(fused.run(&inputs).unwrap(), apart.run(&inputs).unwrap(), "{text}");
    }
}
