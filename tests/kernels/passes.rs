//! What every pass must keep: inputs, the types and shapes of outputs, and their values.

use common::graphs;
use kiln::explain::{Stage, explain};
use kiln::internals::{CostModel, PASSES, Pass, PassContext, UNFUSED, merge_for_sizes, run_passes};
use kiln::{
    CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, Tensor, View, compile_with, derived,
};
use kiln_ir::{Array, eval, parse, same_signature, verify};
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::RngSeed;

/// Every op costs the same, and is what the reference says.
fn model() -> CostModel {
    CostModel::new(|_, _| 60, |op, dtype, operands| op.eval(dtype, operands))
}

/// What each pass makes of a graph, by name, with the graph that it must agree with.
fn passes(graph: &Graph, mode: Mode) -> Vec<(&'static str, Graph)> {
    let mut made = Vec::new();
    for passes in [PASSES, UNFUSED] {
        for (index, pass) in passes.iter().enumerate() {
            made.push((pass.name, after(&passes[..=index], graph, mode)));
        }
    }
    made
}

fn after(passes: &[Pass], graph: &Graph, mode: Mode) -> Graph {
    run_passes(passes, graph, &mut PassContext::new(mode, &model()))
}

/// Shapes, and the bits of elements; any NaN is one NaN.
fn contents(arrays: &[Array]) -> Vec<(Vec<usize>, Vec<u64>)> {
    let bits = |v: &f64| if v.is_nan() { 1 } else { v.to_bits() };
    arrays.iter().map(|a| (a.shape().to_vec(), a.data().iter().map(bits).collect())).collect()
}

fn config() -> ProptestConfig {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    ProptestConfig {
        max_shrink_iters: 2_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed.unwrap_or(1)),
        ..ProptestConfig::with_cases(600)
    }
}

proptest! {
    #![proptest_config(config())]

    /// Graphs with products and fused kernels of text: every pass keeps the signature in every mode,
    /// and in strict mode every bit, of the reference interpreter.
    #[test]
    fn passes_keep_what_is_written(open: bool, steps in graphs::steps(24)) {
        let graph = graphs::shaped::graph(open, &steps);
        prop_assert_eq!(verify(&graph), Ok(()));
        let inputs = graphs::shaped::arrays(7);
        // Open shapes may not broadcast, once they are bound.
        let expected = eval(&graph, &inputs).ok();
        for mode in Mode::ALL {
            for (pass, made) in passes(&graph, mode) {
                prop_assert_eq!(same_signature(&graph, &made), Ok(()), "{} {}\n{}", pass, mode, graph);
                let Some(expected) = &expected else { continue };
                let got = eval(&made, &inputs).unwrap();
                let shapes = |arrays: &[Array]| arrays.iter().map(|a| a.shape().to_vec()).collect::<Vec<_>>();
                prop_assert_eq!(shapes(&got), shapes(expected), "{} {}\n{}{}", pass, mode, graph, made);
                if mode == Mode::Strict {
                    prop_assert_eq!(contents(&got), contents(expected), "{}\n{}{}", pass, graph, made);
                }
            }
        }
    }

    /// What is merged for sizes of a call computes the same.
    #[test]
    fn variants_for_sizes_keep_it_too(steps in graphs::steps(16), small in 0..128u8) {
        let graph = graphs::shaped::graph(true, &steps);
        let simplified = after(&PASSES[..PASSES.len() - 1], &graph, Mode::Strict);
        let has_products = simplified.nodes().iter().any(|node| matches!(node, kiln_ir::Node::Call(..)));
        if !has_products {
            let small: Vec<bool> = (0..simplified.inputs().len()).map(|i| small >> i & 1 == 1).collect();
            let merged = merge_for_sizes(&simplified, &small, false, &model());
            prop_assert!(merged.outputs().len() == graph.outputs().len());
            prop_assert_eq!(verify(&merged), Ok(()));
        }
    }
}

/// An array as a caller has it.
fn tensor(array: &Array) -> Tensor {
    let elements = ArrayD::from_shape_vec(IxDyn(array.shape()), array.data().to_vec()).unwrap();
    match array.dtype() {
        DType::F32 => elements.mapv(|v| v as f32).into(),
        DType::F64 => elements.into(),
        DType::Bool => elements.mapv(|v| v != 0.0).into(),
        dtype => unreachable!("no input is {dtype}"),
    }
}

/// Shapes, and the bits of elements; any NaN is one NaN.
fn outputs(kernel: &Kernel, inputs: &[Tensor]) -> Vec<(Vec<usize>, Vec<u64>)> {
    let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
    let bits = |tensor: &Tensor| match tensor {
        Tensor::F32(a) => {
            a.iter().map(|v| if v.is_nan() { 1 } else { v.to_bits().into() }).collect()
        }
        Tensor::F64(a) => a.iter().map(|v| if v.is_nan() { 1 } else { v.to_bits() }).collect(),
        Tensor::Bool(a) => a.iter().map(|v| u64::from(*v)).collect(),
        _ => unreachable!("these graphs have no other types"),
    };
    let outputs = kernel.run(&views).unwrap();
    outputs.iter().map(|tensor| (tensor.shape().to_vec(), bits(tensor))).collect()
}

proptest! {
    #![proptest_config(config())]

    /// With products between kernels, a strictly fused program has the bits of one kernel per op.
    #[test]
    fn strict_fusion_changes_no_bit_around_products(open: bool, steps in graphs::steps(24)) {
        let graph = graphs::shaped::graph(open, &steps);
        let arrays = graphs::shaped::arrays(3);
        if eval(&graph, &arrays).is_ok() {
            let inputs: Vec<Tensor> = arrays.iter().map(tensor).collect();
            let compiled = |options: CompileOptions| {
                compile_with(&graph, options.emitter(EmitterKind::Interp)).unwrap()
            };
            let unfused = outputs(&compiled(CompileOptions::unfused()), &inputs);
            for mode in Mode::ALL {
                let fused = outputs(&compiled(CompileOptions::new().mode(mode)), &inputs);
                let shapes = |outputs: &[(Vec<usize>, Vec<u64>)]| outputs.iter().map(|o| o.0.clone()).collect::<Vec<_>>();
                prop_assert_eq!(shapes(&fused), shapes(&unfused), "{}\n{}", mode, graph);
                if mode == Mode::Strict {
                    prop_assert_eq!(&fused, &unfused, "{}", graph);
                }
            }
        }
    }
}

/// The shape and the elements of the first output, compiled with these options.
fn run(graph: &Graph, options: CompileOptions, inputs: &[ArrayD<f32>]) -> (Vec<usize>, Vec<f32>) {
    let kernel = compile_with(graph, options).unwrap();
    let views: Vec<View<'_>> = inputs.iter().map(View::from).collect();
    let output: Tensor = kernel.run(&views).unwrap().remove(0);
    let output = output.into_f32().unwrap();
    (output.shape().to_vec(), output.iter().copied().collect())
}

/// An output of a user's kernel has the shape of what its body gives, whatever else it loads.
#[test]
fn a_small_output_of_a_body_stays_small() {
    let x = ArrayD::from_shape_vec(IxDyn(&[3]), vec![1f32, -0.0, f32::NAN]).unwrap();
    let y =
        ArrayD::from_shape_vec(IxDyn(&[2, 3]), vec![0f32, f32::INFINITY, 5.0, f32::NAN, -1.0, 0.0])
            .unwrap();
    let twice = [2f32, -0.0, f32::NAN];
    for (declaration, body, shape, expected) in [
        ("x: f32[n], y: f32[m, n]", "fused(x, y) { x * 2 }", &[3][..], &twice[..]),
        ("x: f32[..], y: f32[..]", "fused(x, y) { x * 2 }", &[3], &twice),
        ("x: f32[3], y: f32[m, 3]", "let (a, b) = fused(x, y) { (x * 2, y) }; a", &[3], &twice),
        ("x: f32[n], y: f32[m, n]", "fused(x, q = y > 0) { x * 2 }", &[3], &twice),
        ("x: f32[n], y: f32[m, n]", "fused(x, y) { 1 } + 0", &[], &[1.0]),
        ("x: f32[n], y: f32[m, n]", "let a = fused(x, y) { x }; fused(a) { a * 2 }", &[3], &twice),
    ] {
        let graph = parse(&format!("kernel f({declaration}) {{ {body} }}")).unwrap();
        for options in Mode::ALL
            .map(|mode| CompileOptions::new().mode(mode))
            .into_iter()
            .chain([CompileOptions::unfused()])
        {
            for emitter in [EmitterKind::Auto, EmitterKind::Interp] {
                let (found, got) = run(&graph, options.emitter(emitter), &[x.clone(), y.clone()]);
                assert_eq!(found, shape, "{body} {options:?}");
                let same =
                    |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
                assert!(got.iter().zip(expected.iter()).all(same), "{body} {options:?}: {got:?}");
            }
        }
    }
}

/// Arguments must broadcast where that is known. A call asks it only of what an output reads.
#[test]
fn arguments_that_outputs_do_not_read_together_need_not_fit() {
    let declared = "kernel f(x: f32[3], y: f32[2]) { fused(x, y) { x * 2 } }";
    assert!(parse(declared).unwrap_err().to_string().contains("fused: shapes [3] and [2]"));
    let array = |n: usize| Array::new(DType::F32, vec![n], vec![1.0; n]).unwrap();
    for text in [
        "kernel f(x, y) { fused(x, y) { x * 2 } }",
        "kernel f(x, y) { let (a, b) = fused(x, y) { (x * 2, y * 3) }; (a, b) }",
    ] {
        let graph = parse(text).unwrap();
        let expected = eval(&graph, &[array(3), array(2)]).unwrap();
        let kernel = compile_with(&graph, CompileOptions::new()).unwrap();
        let (x, y) = (ArrayD::from_elem(IxDyn(&[3]), 1f32), ArrayD::from_elem(IxDyn(&[2]), 1f32));
        let outputs = kernel.run(&[(&x).into(), (&y).into()]).unwrap();
        let shapes = outputs.iter().map(Tensor::shape);
        assert!(shapes.eq(expected.iter().map(Array::shape)), "{text}");
    }
}

/// Products that algebra proves equal have equal facts, and are one product.
#[test]
fn equal_products_become_one() {
    let a = ArrayD::from_shape_fn(IxDyn(&[2, 3]), |i| (i[0] * 3 + i[1]) as f32 * 0.25);
    let b = ArrayD::from_shape_fn(IxDyn(&[2, 3]), |i| 1.0 - i[1] as f32 * 0.5);
    let w = ArrayD::from_shape_fn(IxDyn(&[3, 3]), |i| (i[0] as f32 - i[1] as f32) * 0.5);
    let product = |x: &ArrayD<f32>| {
        let at = |i: usize, j: usize| (0..3).map(|k| x[[i, k]] * w[[k, j]]).sum::<f32>();
        ArrayD::from_shape_fn(IxDyn(&[2, 3]), |i| at(i[0], i[1]))
    };
    let sum = product(&(&a + &b));
    let cases: [(&str, ArrayD<f32>, Option<usize>); 7] = [
        ("(a+b)@w + (b+a)@w", &sum * 2.0, Some(1)),
        ("(a/1)@w + a@w + 0*b", product(&a) * 2.0, Some(1)),
        ("abs(a)@w + abs(-a)@w + 0*b", product(&a) * 2.0, Some(1)),
        ("exp(a@(w*2)) + exp(a@(w+w)) + 0*b", product(&a).mapv(|v| 2.0 * (2.0 * v).exp()), Some(1)),
        ("(a@w)@w + ((a/1)@w)@(w*1) + 0*b", product(&product(&a)) * 2.0, Some(2)),
        ("(--a)@w - (a*1)@w + 0*b", product(&a) * 0.0, Some(1)),
        ("max(a@w, (a+-0.0)@w) + b@w", product(&a) + product(&b), Some(2)),
    ];
    for (text, expected, products) in cases {
        for declaration in ["a, b, w", "a: f32[m, k], b: f32[m, k], w: f32[k, k]"] {
            let graph = parse(&format!("kernel f({declaration}) {{ {text} }}")).unwrap();
            for mode in Mode::ALL {
                let inputs = [a.clone(), b.clone(), w.clone()];
                let (shape, got) = run(&graph, CompileOptions::new().mode(mode), &inputs);
                assert_eq!(shape, [2, 3]);
                let near = |(got, expected): (&f32, &f32)| {
                    (got - expected).abs() <= 1e-4 * expected.abs().max(1.0)
                };
                assert!(
                    got.iter().zip(&expected).all(near),
                    "{text} {mode}: {got:?}, not {expected:?}"
                );
                let fused = kiln::internals::fuse(&graph, mode).graph;
                let count = fused.nodes().iter().filter(|node| match node {
                    kiln_ir::Node::Call(..) => true,
                    kiln_ir::Node::Fused { body, .. } => {
                        body.product().is_some() || body.second_product().is_some()
                    }
                    _ => false,
                });
                assert_eq!(Some(count.count()), products, "{text} {mode}\n{fused}");
            }
        }
    }
}

/// What `kiln explain` shows after each pass is kernel text that means the same; the last one's is
/// what runs.
#[test]
fn every_pass_can_be_shown() {
    let texts = [
        "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))",
        "kernel k(x: f32[n, d], w: f32[d, d]) { let (a, b) = fused(x) { (x*2, exp(x)) }; (a@w, b+a) }",
    ];
    let mut seen = 0;
    for (stage, help) in Stage::all() {
        assert!(!help.is_empty());
        assert_eq!(stage.to_string().parse(), Ok(stage));
        if !matches!(stage, Stage::After(_)) {
            continue;
        }
        seen += 1;
        for graph in texts.map(|text| parse(text).unwrap()) {
            let shown = explain(&graph, Mode::Precise, stage).unwrap();
            let read = parse(&shown).unwrap();
            assert_eq!(same_signature(&graph, &read), Ok(()), "{stage}");
            assert_eq!(read.to_string(), shown, "{stage}");
        }
    }
    assert_eq!(seen, PASSES.len() + UNFUSED.len() - 1, "both lists begin with the same pass");
    let graph = parse(texts[1]).unwrap();
    let shown = |name: &str| explain(&graph, Mode::Precise, name.parse().unwrap()).unwrap();
    assert_eq!(shown("after:regions"), shown("fused"));
    assert_ne!(shown("after:inline"), shown("ir"));
    assert_ne!(shown("after:split"), shown("fused"));
    let fault = "after:nothing".parse::<Stage>().unwrap_err();
    let names: Vec<String> = Stage::all().iter().map(|(stage, _)| stage.to_string()).collect();
    assert!(names.contains(&"after:algebra".to_string()));
    let expected = format!("no stage is named \"after:nothing\"; use {}", names.join(", "));
    assert_eq!(fault.to_string(), expected);
}

/// A proof changes nothing of what is proved.
#[test]
fn proofs_are_of_what_runs() {
    for op in derived::DERIVED {
        let inputs: Vec<&str> = op.parameters.iter().map(|parameter| parameter.name).collect();
        let graph = parse(&format!("{}({})", op.name, inputs.join(", "))).unwrap();
        for mode in Mode::ALL {
            let model = model();
            let mut context = PassContext { prove: true, ..PassContext::new(mode, &model) };
            let proved = run_passes(PASSES, &graph, &mut context);
            assert!(context.proof.is_some());
            assert_eq!(proved, after(PASSES, &graph, mode), "{} {mode}", op.name);
        }
    }
}
