//! Rows: what is computed along axes is one kernel, whoever wrote it and however.

use common::Rng;
use kiln::internals::fuse;
use kiln::{CompileOptions, DType, Kernel, Mode, Tensor, View, compile_with};
use kiln_ir::{Graph, Node, parse};
use ndarray::{ArrayD, IxDyn};

/// A function and its spellings, over declared shapes.
const FUNCTIONS: &[(&str, &[&str])] = &[
    (
        "softmax(x: f32[n, d])",
        &[
            "softmax[-1](x)",
            "let e = exp(x - max[-1](x)); e / sum[-1](e)",
            "exp(x - max[1](x)) / sum[1](exp(x - max[1](x)))",
            "let m = amax[-1](x); let e = exp(x - m); e * (1 / sum[-1](e))",
        ],
    ),
    (
        "log_softmax(x: f32[n, d])",
        &[
            "log_softmax[-1](x)",
            "let o = x - max[-1](x); o - log(sum[-1](exp(o)))",
            "let m = max[-1](x); x - (m + log(sum[-1](exp(x - m))))",
            "x - logsumexp[-1](x)",
        ],
    ),
    (
        "masked(s: f32[n, d], scale: f32[], mask: f32[d])",
        &[
            "softmax[-1](s * scale + mask)",
            "let t = s * scale + mask; let e = exp(t - max[-1](t)); e / sum[-1](e)",
            "softmax_or_zero[-1](s * scale + mask)",
            "let t = fma(s, scale, mask); exp(t - logsumexp[-1](t))",
        ],
    ),
    (
        "layer_norm(x: f32[n, d], g: f32[d], b: f32[d])",
        &[
            "layer_norm[-1](x) * g + b",
            "let o = x - mean[-1](x); o * rsqrt(mean[-1](o * o) + 1e-5) * g + b",
            "(x - mean[-1](x)) / sqrt(var[-1](x) + 1e-5) * g + b",
            "g * ((x - mean[-1](x)) / (std[-1](x) + 1e-5)) + b",
        ],
    ),
    (
        "rms_norm(x: f32[n, d], g: f32[d])",
        &[
            "rms_norm[-1](x) * g",
            "x * rsqrt(mean[-1](x * x) + 1e-6) * g",
            "g * x / sqrt(sum[-1](x^2) / count[-1](x) + 1e-6)",
        ],
    ),
    (
        "normalized(x: f32[n, d])",
        &["x / norm[-1](x)", "x * rsqrt(sum[-1](x * x))", "x / max(sqrt(sum[-1](x^2)), 1e-12)"],
    ),
    ("norm(x: f32[n, d])", &["norm[-1](x)", "sqrt(sum[-1](x * x))", "sum[-1](abs(x)^2)^0.5"]),
    (
        "loss(x: f32[n, d], p: f32[n, d])",
        &[
            "cross_entropy[-1](x, p)",
            "-sum[-1](p * log_softmax[-1](x))",
            "sum[-1](p * (logsumexp[-1](x) - x))",
            "let o = x - max[-1](x); sum[-1](p * (log(sum[-1](exp(o))) - o))",
        ],
    ),
    (
        "moments(x: f32[n, d])",
        &[
            "(mean[-1](x), var[-1](x))",
            "let m = mean[-1](x); let o = x - m; (m, mean[-1](o * o))",
            "let m = sum[-1](x) / count[-1](x); (m, sum[-1]((x - m)^2) / count[-1](x))",
            "(mean[-1](x), std[-1](x)^2)",
        ],
    ),
    (
        "fused_sum(x: f32[n, d], y: f32[n, d])",
        &["sum[-1](exp(x) * y)", "sum(tanh(x * y))", "max[-1](abs(x - y))", "mean[..]((x - y)^2)"],
    ),
    (
        "with_statistics(x: f32[n, d])",
        &[
            "(softmax[-1](x), logsumexp[-1](x))",
            "let m = max[-1](x); let e = exp(x - m); let s = sum[-1](e); (e / s, m + log(s))",
            "let l = logsumexp[-1](x); (exp(x - l), l)",
            "(exp(log_softmax[-1](x)), max[-1](x) + log(sum[-1](exp(x - max[-1](x)))))",
            "let m = mean[-1](x); let r = rsqrt(var[-1](x) + 1e-5); ((x - m) * r, m, r)",
            "(sum[-1](x), argmax[-1](x))",
            "(x * 2, softmax[-1](x * 2))",
        ],
    ),
];

fn graph(head: &str, text: &str) -> Graph {
    parse(&format!("kernel {head} {{ {text} }}")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// How many kernels and calls a graph has.
fn passes(graph: &Graph) -> usize {
    let is_pass = |node: &&Node| matches!(node, Node::Fused { .. } | Node::Call(..));
    graph.nodes().iter().filter(is_pass).count()
}

#[test]
fn every_spelling_is_one_kernel() {
    for (head, texts) in FUNCTIONS {
        for text in *texts {
            let declared = graph(head, text);
            let open =
                graph(&head.replace("f32[n, d]", "f32[..]").replace("f32[d]", "f32[..]"), text);
            for (graph, mode) in
                [&declared, &open].into_iter().flat_map(|g| Mode::ALL.map(|m| (g, m)))
            {
                let fused = fuse(graph, mode).graph;
                assert_eq!(passes(&fused), 1, "{mode}: {graph}{fused}");
                assert_eq!(parse(&fused.to_string()).unwrap(), fused.normalized(), "{fused}");
            }
        }
    }
}

#[test]
fn kernels_are_pinned() {
    let text = |(head, texts): &(&str, &[&str])| {
        fuse(&graph(head, texts[0]), Mode::Precise).graph.to_string()
    };
    insta::assert_snapshot!(FUNCTIONS.iter().map(text).collect::<Vec<_>>().join("\n"));
}

/// What is over other rows is another kernel, and what runs over them too.
#[test]
fn rows_of_two_kinds_are_two_kernels() {
    for (text, expected) in [
        ("sum[0](softmax[-1](x))", 2),
        ("softmax[0](softmax[-1](x))", 2),
        ("x / (sum[-1](x) * sum[0](x))", 2),
        ("softmax[-1](x) + w", 1),
        ("x + sum[-1](w)", 2),
        ("x + softmax[-1](w)", 2),
        ("(sum[-1](w), x + sum[-1](w))", 2),
    ] {
        let graph = parse(&format!("kernel k(x: f32[n, d], w: f32[d]) {{ {text} }}")).unwrap();
        let fused = fuse(&graph, Mode::Strict).graph;
        assert_eq!(passes(&fused), expected, "{graph}{fused}");
    }
}

fn array(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Rng::new(seed);
    let mut element = || rng.below(1 << 20) as f32 / (1 << 17) as f32 - 4.0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), &mut element).into()
}

/// Any NaN is one NaN.
fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    let bits = |tensor: &Tensor| -> Vec<u32> {
        let Tensor::F32(array) = tensor else { unreachable!("they are f32") };
        array.iter().map(|x| if x.is_nan() { 1 } else { x.to_bits() }).collect()
    };
    bits(a) == bits(b)
}

fn run(kernel: &Kernel, inputs: &[Tensor]) -> Vec<Tensor> {
    kernel.run(&inputs.iter().map(Tensor::view).collect::<Vec<View<'_>>>()).unwrap()
}

/// Open shapes are merged as if arrays were of one shape. Where they are not, results are right all
/// the same.
#[test]
fn shapes_that_nobody_expected() {
    for (text, shapes) in [
        ("softmax[-1](x) + y", &[&[3, 70][..], &[2, 3, 70]][..]),
        ("softmax[-1](x) + y", &[&[70], &[3, 70]]),
        ("softmax[-1](x) + y", &[&[3, 1], &[3, 70]]),
        ("softmax[-1](x) * sum[-1](y)", &[&[3, 70], &[3, 5]]),
        ("softmax[-1](x) * sum[-1](y)", &[&[3, 70], &[4]]),
        ("softmax[0](x) + y", &[&[70], &[3, 70]]),
        ("softmax[0](x) + y", &[&[3, 70], &[5, 3, 70]]),
        ("y * mean[..](x) + x", &[&[3, 70], &[2, 1, 1]]),
        ("(sum[-1](x), y + max[-1](x))", &[&[3, 70], &[3, 70]]),
        ("(sum[-1](x), y + max[-1](x))", &[&[3, 70], &[2, 3, 1]]),
        ("layer_norm[-1](x) * y", &[&[0, 70], &[70]]),
        ("sum[-1](x * y)", &[&[3, 0], &[1]]),
    ] {
        let graph = parse(text).unwrap();
        let inputs: Vec<Tensor> =
            (1..).zip(shapes).map(|(seed, shape)| array(shape, seed)).collect();
        let compiled = |options: CompileOptions| compile_with(&graph, options).unwrap();
        let expected = run(&compiled(CompileOptions::unfused()), &inputs);
        let found = run(&compiled(CompileOptions::new().mode(Mode::Strict)), &inputs);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.shape(), expected.shape(), "{text} of {shapes:?}");
            assert!(same_bits(found, expected), "{text} of {shapes:?}: {found}, not {expected}");
        }
    }
}

/// What cannot be is told as it is of a reduction by itself.
#[test]
fn what_cannot_be_is_told() {
    for (text, shape, message) in [
        (
            "x - max[-1](x)",
            &[3, 0][..],
            "max: the shape [3, 0] does not fit: axis 1 has no elements to choose from",
        ),
        ("softmax[2](x)", &[3, 4], "there is no axis 2"),
        ("(x - max[-1](x)) * 2", &[0][..], "no elements to choose from"),
    ] {
        let kernel = kiln::compile_text(text).unwrap();
        let error = kernel.run(&[array(shape, 1).view()]).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

/// What is folded after another result is written over it has been read before.
#[test]
fn one_of_two_results_in_place() {
    let kernel = kiln::compile_text("(x - x, argmax[-1](x))").unwrap();
    for backwards in [false, true] {
        let Tensor::F32(x) = &array(&[70, 1023], 5) else { unreachable!("they are f32") };
        let mut x = x.clone();
        if backwards {
            x.invert_axis(ndarray::Axis(0));
            x.invert_axis(ndarray::Axis(1));
        }
        let expected = kernel.run(&[(&x).into()]).unwrap().remove(1);
        let mut places = ArrayD::<i64>::zeros(IxDyn(&[70, 1]));
        let strides: Vec<isize> = x.strides().iter().map(|stride| stride * 4).collect();
        // SAFETY: the array outlives the call.
        let input = unsafe { View::from_raw(x.as_ptr().cast(), DType::F32, x.shape(), &strides) };
        kernel.run_into(&[input], &mut [(&mut x).into(), (&mut places).into()]).unwrap();
        assert_eq!(Tensor::from(places), expected);
    }
}

/// A kernel of one pass may write what it reads.
#[test]
fn in_place() {
    for text in ["softmax[-1](x)", "layer_norm[-1](x)", "x * sum[-1](x)", "softmax[-1](x) * x"] {
        let kernel = kiln::compile_text(text).unwrap();
        for shape in [&[5, 70][..], &[3, 1000], &[1, 5000]] {
            let mut x = array(shape, 3);
            let expected = run(&kernel, std::slice::from_ref(&x)).remove(0);
            kernel.run_in_place(x.view_mut(), &[]).unwrap();
            assert!(same_bits(&x, &expected), "{text} of {shape:?}");
        }
    }
}

/// Naive spellings do not overflow; where an element is not finite they are what was written.
#[test]
fn naive_spellings_are_stable() {
    let inf = f32::INFINITY;
    let softmax = "exp(x) / sum[-1](exp(x))";
    let log_sum = "log(sum[-1](exp(x)))";
    for (text, row, expected) in [
        (softmax, &[1000.0, 1000.0][..], &[0.5, 0.5][..]),
        (softmax, &[-1000.0, -1000.0], &[0.5, 0.5]),
        (softmax, &[inf, 0.0], &[f32::NAN, 0.0]),
        (softmax, &[-inf, -inf], &[f32::NAN, f32::NAN]),
        (softmax, &[-inf, 3.0], &[0.0, 1.0]),
        (softmax, &[f32::NAN, 3.0], &[f32::NAN, f32::NAN]),
        (softmax, &[], &[]),
        (log_sum, &[1000.0], &[1000.0]),
        (log_sum, &[-1000.0], &[-1000.0]),
        (log_sum, &[inf, 1.0], &[inf]),
        (log_sum, &[-inf, -inf], &[-inf]),
        (log_sum, &[], &[-inf]),
        ("log(softmax[-1](x))", &[0.0, -200.0], &[0.0, -200.0]),
    ] {
        let x = ArrayD::from_shape_vec(IxDyn(&[1, row.len()]), row.to_vec()).unwrap();
        for mode in [Mode::Precise, Mode::Fast] {
            let graph = parse(text).unwrap();
            let kernel = compile_with(&graph, CompileOptions::new().mode(mode)).unwrap();
            let outputs = run(&kernel, &[x.clone().into()]);
            let Tensor::F32(found) = &outputs[0] else { unreachable!("they are f32") };
            let found: Vec<f32> = found.iter().copied().collect();
            let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
            assert!(found.iter().zip(expected).all(same), "{text} of {row:?}: {found:?}");
            assert_eq!(found.len(), expected.len());
        }
    }
}
