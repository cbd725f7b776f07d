//! What a left operand is computed of, in the kernel of its product: some rows at a time.

use common::Rng;
use kiln::explain::{Stage, explain};
use kiln::{CompileOptions, EmitterKind, Kernel, Mode, Tensor, View, compile_text, compile_with};
use kiln_ir::parse;
use ndarray::{ArrayD, Axis, IxDyn, Slice};

#[test]
fn kernels_are_counted() {
    for (count, text) in [
        (1, "relu(x) @ w"),
        (1, "(x * s) @ w"),
        (1, "gelu_tanh(x + b) @ w + c"),
        (1, "relu(x) @ transpose(w)"),
        (1, "(layer_norm[-1](x) * g + b) @ w"),
        (1, "relu(rms_norm[-1](x) @ w + c) * y"),
        (1, "softmax[-1](x) @ v"),
        (1, "let p = relu(x) @ w + b; (p, exp(p), p > 0)"),
        (1, "|x: f16[m, k], w: f16[k, n]| relu(x) @ w"),
        (1, "|x: f32[b, m, k], w: f32[k, n]| relu(x) @ w"),
        (1, "|x: f32[b, m, k], w: f32[b, k, n]| relu(x) @ w"),
        // The first one's epilogue, and each product has what it multiplies.
        (2, "gelu_tanh(x @ w1 + b1) @ w2 + b2 + x"),
        (2, "(relu(x) @ w, relu(x) @ v)"),
        // What else is stored is loaded, and what is dear is computed once.
        (2, "let h = relu(x); (h, h @ w)"),
        (2, "let h = layer_norm[-1](x); h @ w + h"),
        (2, "|x: f32[m, 512], g: f32[512], w: f32[512, n]| (x * exp(sin(g))) @ w"),
        // Right operands, vectors, columns of numbers, halves, and what no cache holds.
        (2, "x @ relu(w)"),
        (2, "|x: f32[k], w: f32[k, n]| relu(x) @ w"),
        (2, "|x: f32[m, k], w: f32[k]| relu(x) @ w"),
        (2, "|x: f32[m, k], w: f32[1, n]| max[-1](x) @ w"),
        (2, "|x: f32[m, 5000], w: f32[5000, n]| relu(x) @ w"),
        (2, "|x: f32[m, 2048], w: f32[2048, 2048]| relu(x) @ w"),
        (1, "|x: f32[64, 64], w: f32[64, 64]| relu(x) @ w"),
        (2, "softmax[0](x) @ w"),
    ] {
        let kernel = compile_text(text);
        let Ok(kernel) = kernel else { panic!("{text}: {kernel:?}") };
        let fused = kiln::internals::fuse(&parse(text).unwrap(), Mode::Precise).graph;
        assert_eq!(kernel.pass_count(), count, "{text}\n{fused}");
    }
}

#[test]
fn it_is_explained() {
    let text = "|x: f32[m, k], g: f32[k], w: f32[k, n], b: f32[n]| rms_norm[-1](x) * g @ w + b";
    let explained = |stage| explain(&parse(text).unwrap(), Mode::Strict, stage).unwrap();
    insta::assert_snapshot!(explained(Stage::Fused), @r"
    kernel kernel(x: f32[m, k], g: f32[k], w: f32[k, n], b: f32[n]) -> f32[m, n] {
        fused(x, g, w, b) {
            let t0 = x * x;
            b + g * (x * rsqrt(sum[-1](t0) / count[-1](t0) + 1e-6)) @ w
        }
    }
    ");
    let vir = explained(Stage::Vir);
    assert!(vir.starts_with("some rows at a time:\n"), "{vir}");
    assert!(
        vir.contains("then the product of that and w, on blocks of which, of the product, b:"),
        "{vir}"
    );
}

/// One kernel computes the bits of a pass for each op, whatever computes it, and however operands lie.
#[test]
fn prologues_change_no_bit() {
    let texts = [
        ("relu(x) @ w", 1),
        ("gelu_tanh(x * c + 1) @ w", 1),
        ("(layer_norm[-1](x) * c) @ w + y", 1),
        ("softmax[-1](x) @ transpose(transpose(w)) * c", 1),
        ("let p = (x - max[-1](x)) @ w; (p * y, p > 0)", 1),
        ("let p = f64(relu(x) @ w); (p * 3, p + f64(y))", 1),
        ("relu(f64(x)) @ f64(w)", 2),
        ("relu(x) @ bf16(w)", 2),
        ("f32(f16(x)) * c @ f16(w)", 2),
    ];
    let sizes: [[&[usize]; 3]; 19] = [
        [&[1, 8], &[8, 40], &[1]],
        [&[97, 40], &[40, 9], &[97, 1]],
        [&[250, 385], &[385, 70], &[250, 70]],
        [&[700, 64], &[64, 300], &[300]],
        [&[5000, 7], &[7, 40], &[5000, 1]],
        [&[25, 2000], &[2000, 33], &[33]],
        // Rows that are too long, a right operand that is too large, columns that are too few.
        [&[40, 6000], &[6000, 20], &[1]],
        [&[130, 1700], &[1700, 1300], &[1]],
        [&[1500, 30], &[30, 1], &[1500, 1]],
        [&[0, 30], &[30, 20], &[1]],
        [&[50, 0], &[0, 20], &[1]],
        [&[1500, 30], &[30, 0], &[1]],
        // One right operand for all, one for each, few rows of each, and many right operands.
        [&[2, 3, 200, 40], &[40, 50], &[2, 1, 200, 1]],
        [&[2, 3, 200, 40], &[40, 50], &[50]],
        [&[2, 3, 200, 40], &[2, 3, 40, 50], &[50]],
        [&[3, 200, 70], &[1, 70, 50], &[3, 200, 50]],
        [&[1100, 2, 16], &[1100, 16, 20], &[1]],
        [&[200, 200], &[3, 200, 50], &[1]],
        [&[700, 1, 64], &[64, 65], &[65]],
    ];
    let mut rng = Rng::new(11);
    let mut draw = |shape: &[usize]| {
        let mut element = || rng.below(2001) as f32 / 1000.0 - 1.0;
        ArrayD::from_shape_simple_fn(IxDyn(shape), &mut element)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    for (text, count) in texts {
        let graph = parse(text).unwrap();
        assert_eq!(compile_text(text).unwrap().pass_count(), count, "{text}");
        let strict = CompileOptions::new().mode(Mode::Strict);
        let with = |options: CompileOptions| compile_with(&graph, options).unwrap();
        let unfused = with(CompileOptions::unfused().mode(Mode::Strict));
        let kernels = [1, 2, 7].map(|threads| with(strict.threads(threads)));
        let interpreted = with(strict.emitter(EmitterKind::Interp));
        for shapes in sizes {
            let arrays = shapes.map(&mut draw);
            let c = draw(&[]);
            let turned = arrays.each_ref().map(turned);
            let run = |kernel: &Kernel, arrays: &[ArrayD<f32>; 3]| {
                let [x, w, y] = arrays;
                let named = [("x", x), ("w", w), ("y", y), ("c", &c)];
                let inputs: Vec<View<'_>> = kernel
                    .inputs()
                    .iter()
                    .map(|input| {
                        named.iter().find(|(name, _)| *name == input.name).unwrap().1.into()
                    })
                    .collect();
                pool.install(|| kernel.run(&inputs).map(|all| bits(&all)))
            };
            let expected = run(&unfused, &arrays);
            for (kernel, arrays) in
                kernels.iter().flat_map(|kernel| [(kernel, &arrays), (kernel, &turned)])
            {
                let found = run(kernel, arrays);
                assert_eq!(found.is_ok(), expected.is_ok(), "{text} {shapes:?} {found:?}");
                assert!(found.ok() == expected.as_ref().ok().cloned(), "{text} {shapes:?}");
            }
            assert!(run(&interpreted, &arrays).ok() == expected.ok(), "{text} {shapes:?}");
        }
    }
}

/// The same array, whose elements lie in another order, with gaps.
fn turned(array: &ArrayD<f32>) -> ArrayD<f32> {
    let mut shape: Vec<usize> = array.shape().iter().map(|size| 2 * size).collect();
    shape.reverse();
    let mut whole = ArrayD::zeros(IxDyn(&shape)).reversed_axes();
    for axis in 0..array.ndim() {
        whole.slice_axis_inplace(Axis(axis), Slice::new(0, None, 2));
    }
    whole.assign(array);
    whole
}

fn bits(results: &[Tensor]) -> Vec<Vec<u64>> {
    let of = |tensor: &Tensor| match tensor {
        Tensor::F32(array) => array.iter().map(|x| u64::from(x.to_bits())).collect(),
        Tensor::F64(array) => array.iter().map(|x| x.to_bits()).collect(),
        Tensor::Bool(array) => array.iter().map(|&x| x.into()).collect(),
        _ => panic!("another type"),
    };
    results.iter().map(of).collect()
}
