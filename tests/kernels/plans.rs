//! What a kernel tells of a call before it is made.

use kiln::{CompileOptions, DType, Tensor, View, compile_text, compile_with, ir};
use ndarray::{Array2, ArrayView2, ShapeBuilder};

#[test]
fn plans_can_be_read() {
    let kernel = compile_text("x * exp(sin(w))").unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    let (x, w) = (zeros(&[64, 8]), zeros(&[8]));
    let plan = kernel.plan_for(&[x.view(), w.view()]).unwrap();
    let text = plan.to_string();
    assert!(plan.is_specialized() && plan.steps().len() == 2, "{text}");
    for part in [
        "a plan for small w, of 2 passes\n\n1. (w: f32[8]) -> (t0: f32[8])\n   exp(sin(w))\n",
        "; 16 ops; 32 bytes loaded, 32 stored\n\n2. (x: f32[64, 8], v1 = t0: f32[8]) -> \
         (output 0: f32[64, 8])\n   x * v1\n",
        "\nin all: 528 ops, 4192 bytes moved; 64 bytes for 1 intermediate\n",
    ] {
        assert!(text.contains(part), "{part}\n is not in\n{text}");
    }
    let plan = kernel.plan_for(&[x.view(), x.view()]).unwrap();
    assert!(plan.to_string().starts_with("the usual plan, of 1 pass\n"), "{plan}");
    let plan = kernel.plan_for(&[w.view(), x.view()]).unwrap();
    let expected = "the usual plan, which does as well for small x, of 1 pass\n";
    assert!(plan.to_string().starts_with(expected), "{plan}");
    assert!(kernel.plan_for(&[x.view()]).is_err());
}

/// A kernel that a call of these shapes does not run in one pass says so.
#[test]
fn what_goes_pass_by_pass_is_told() {
    let layer = "|x: f32[b, n, k], w: f32[b, k, m]| relu(x @ w)";
    let zeros = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    for (text, shapes, is_told) in [
        ("argmax[1](x * 2 + y)", &[&[65536, 4][..], &[65536, 4]][..], true),
        ("argmax[0](x * 2 + y)", &[&[65536, 4], &[65536, 4]], false),
        ("x + sum[0](x)", &[&[100_000, 3]], false),
        ("softmax[-1](x)", &[&[100, 3]], false),
        (layer, &[&[8, 4, 4], &[8, 4, 4]], true),
        (layer, &[&[8, 100, 64], &[8, 64, 100]], false),
    ] {
        let kernel = compile_text(text).unwrap();
        let arrays: Vec<Tensor> = shapes.iter().map(|shape| zeros(shape)).collect();
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        let plan = kernel.plan_for(&views).unwrap();
        assert_eq!(plan.to_string().contains("pass by pass"), is_told, "{shapes:?}: {plan}");
        assert_eq!(plan.steps().iter().all(|step| step.emitter().is_some()), !is_told);
    }
}

/// What is computed as a part of what it is put together to says where; where parts are copied, because they are
/// small, it does not, and bytes are counted.
#[test]
fn what_is_computed_in_its_place_is_told() {
    let text = "kernel k(x: f32[n, d], y: f32[m, d], c: f32[]) {
        pad[1, 1, 2](concat[0](x * 2, exp(y)), c)
    }";
    let kernel = compile_text(text).unwrap();
    let plan = |n: usize, m: usize, d: usize| {
        let zeros = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
        let (x, y, c) = (zeros(&[n, d]), zeros(&[m, d]), zeros(&[]));
        kernel.plan_for(&[x.view(), y.view(), c.view()]).unwrap()
    };
    let large = plan(300, 200, 64);
    let text = large.to_string();
    for result in [
        "-> (t0 = slice[0, 0:300](t2): f32[300, 64])",
        "-> (t1 = slice[0, 300:500](t2): f32[200, 64])",
        "-> (t2 = slice[1, 1:65](output 0): f32[500, 64])",
        "-> (output 0: f32[500, 67])",
        "; no intermediate",
    ] {
        assert!(text.contains(result), "{result}\n is not in\n{text}");
    }
    let moved = |plan: &kiln::CallPlan| {
        plan.steps().iter().map(|step| step.traffic().bytes()).collect::<Vec<_>>()
    };
    // The last one writes what is around the parts.
    assert_eq!(moved(&large), [2 * 76_800, 2 * 51_200, 0, 500 * 3 * 4 + 4], "{text}");
    let small = plan(3, 2, 4);
    let text = small.to_string();
    assert!(!text.contains("slice") && text.contains("for 3 intermediates"), "{text}");
    assert_eq!(moved(&small), [2 * 48, 2 * 32, 2 * 80, 80 + 4 + 5 * 7 * 4], "{text}");
}

/// An intermediate without elements takes no memory for its other axes.
#[test]
fn empty_intermediates_take_no_memory() {
    let kernel = compile_text("kernel k(x: f32[n, k], w: f32[k, m]) { (x + 1) @ w }").unwrap();
    let (x, one) = (Array2::<f32>::zeros((0, 1 << 40)), Array2::<f32>::zeros((1, 1)));
    let w = one.broadcast((1 << 40, 3)).unwrap();
    let inputs = [View::from(&x), View::from(&w)];
    assert!(kernel.memory(&inputs).unwrap().peak() <= 64);
    assert_eq!(kernel.run(&inputs).unwrap()[0].shape(), [0, 3]);
}

/// No rows are none to keep, also where they would lie side by side.
#[test]
fn no_rows_take_no_memory() {
    let x = ArrayView2::<f32>::from_shape((1000, 0).strides((40, 1)), &[0.0; 40_000]).unwrap();
    assert_eq!(x.strides(), [40, 1]);
    for text in ["softmax[0](x)", "layer_norm[0](x)", "x - max[0](x)", "sum[0](x)"] {
        let kernel = compile_text(text).unwrap();
        assert_eq!(kernel.memory(&[View::from(&x)]).unwrap().peak(), 0, "{text}");
        kernel.plan_for(&[View::from(&x)]).unwrap();
    }
}

/// Short rows that would be transposed, two operands of them, go pass by pass; the same that lie side by side do
/// not.
#[test]
fn plans_tell_of_layouts() {
    let kernel = compile_text("argmax[1](x * 2 + y)").unwrap();
    let rows = Array2::<f32>::zeros((65536, 4));
    let columns = Array2::<f32>::zeros((65536, 4).f());
    let told = |x: &Array2<f32>| kernel.plan_for(&[x.into(), x.into()]).unwrap().to_string();
    assert!(told(&rows).contains("pass by pass"), "{}", told(&rows));
    assert!(!told(&columns).contains("pass by pass"), "{}", told(&columns));
}

/// Where a kernel goes pass by pass, its plan says why and in how many, and counts what these move: the
/// intermediates between them are written and read.
#[test]
fn passes_are_counted_where_a_kernel_is_several() {
    let layer = "|x: f32[n, k], w: f32[k, m]| layer_norm[-1](x) @ w";
    let batch = "|x: f32[b, n, k], w: f32[b, k, m]| relu(x) @ w";
    for (text, shapes, why, moved) in [
        (
            layer,
            [&[300, 6000][..], &[6000, 64]],
            "its rows are too long, of 24000 bytes",
            300 * 6000,
        ),
        (layer, [&[3000, 64], &[64, 4]], "its product is too small", 3000 * 64),
        (batch, [&[2000, 2, 64], &[2000, 64, 64]], "its product is too small", 4000 * 64),
    ] {
        let kernel = compile_text(text).unwrap();
        let zeros = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
        let arrays = shapes.map(zeros);
        let views = arrays.each_ref().map(Tensor::view);
        let plan = kernel.plan_for(&views).unwrap();
        let told = plan.to_string();
        assert!(told.contains(&format!("pass by pass, in 2: {why}")), "{told}");
        assert!(told.starts_with("the usual plan, of 2 passes"), "{told}");
        assert_eq!((plan.steps().len(), plan.passes()), (1, 2), "{told}");
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let result = size(kernel.output_shapes(&views).unwrap()[0].as_slice());
        let ends = size(shapes[0]) + size(shapes[1]) + result;
        assert_eq!(plan.traffic().bytes(), 4 * (ends + 2 * moved), "{told}");
        assert_eq!(plan.memory().peak(), 4 * moved, "{told}");
    }
}

/// A copy that a reshape needs is a pass, which reads and writes what it copies.
#[test]
fn copies_are_told_and_counted() {
    let heads = "|q: f32[h, n, d], w: f32[k, m]| reshape[-1, 256](swapaxes[0, 1](q)) @ w";
    let kernel = compile_text(heads).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    let (q, w) = (zeros(&[4, 512, 64]), zeros(&[256, 256]));
    let plan = kernel.plan_for(&[q.view(), w.view()]).unwrap();
    let told = plan.to_string();
    let line = "before it, a copy for reshape[-1, 256](swapaxes[0, 1](q)): 524288 bytes";
    assert!(told.contains(line), "{told}");
    assert!(told.starts_with("the usual plan, of 2 passes"), "{told}");
    assert_eq!(plan.traffic().bytes(), 4 * (3 * 512 * 256 + 256 * 256 + 512 * 256), "{told}");
    assert_eq!(plan.memory().peak(), 524_288, "{told}");
    // One head lies as it is to be read.
    let (q, w) = (zeros(&[1, 512, 256]), zeros(&[256, 256]));
    let plan = kernel.plan_for(&[q.view(), w.view()]).unwrap();
    assert_eq!((plan.passes(), plan.memory().peak()), (1, 0), "{plan}");
}

/// Intermediates that are never live together share places, but where every op has a temporary of its own.
#[test]
fn temporaries_share_no_place() {
    let graph = ir::parse("|x: f32[n, n]| exp(x @ x) @ x @ x").unwrap();
    let x = Tensor::zeros(DType::F32, &[64, 64]).unwrap();
    let kernel = compile_with(&graph, CompileOptions::unfused()).unwrap();
    let memory = kernel.memory(&[x.view()]).unwrap();
    assert_eq!((memory.peak(), memory.total()), (3 * 16_384, 3 * 16_384), "{memory}");
    let text = "|x: f32[n, n]| cumsum[0](cumsum[1](cumsum[0](cumsum[1](x))))";
    let memory = compile_text(text).unwrap().memory(&[x.view()]).unwrap();
    assert_eq!((memory.peak(), memory.total()), (2 * 16_384, 3 * 16_384), "{memory}");
}

/// Of shapes that are left open, those of a call say what is computed of rows that many share, and what may be one kernel.
#[test]
fn calls_of_open_shapes_have_plans_of_their_own() {
    let causal = "|q, k, v| let s = q @ transpose(k); \
                  softmax[-1](select(iota[-1](s) <= iota[-2](s), s, -inf)) @ v";
    for (text, shapes, passes, begins) in [
        (
            "|x, b| layer_norm[-1](x) * softmax[-1](b)",
            &[&[40, 300][..], &[300][..]][..],
            [1, 2],
            "a plan for x[s1, s2], b[s2], of 2 passes",
        ),
        (
            "|x, b| layer_norm[-1](x) * softmax[-1](b)",
            &[&[40, 300], &[40, 300]],
            [1, 1],
            "the usual plan, of 1 pass",
        ),
        (
            "|x, g, b| layer_norm[-1](x) * g + b",
            &[&[40, 300], &[300], &[300]],
            [1, 1],
            "the usual plan, of 1 pass",
        ),
        (
            "|x, b| x * (b / sum[-1](b))",
            &[&[2, 300], &[1, 300]],
            [1, 2],
            "a plan for x[s1, s2], b[1, s2], of 2 passes",
        ),
        (
            causal,
            &[&[70, 16], &[70, 16], &[70, 16]],
            [2, 1],
            "a plan for q[s1, s2], k[s1, s2], v[s1, s2], of 1 pass",
        ),
    ] {
        let kernel = compile_text(text).unwrap();
        let graph = ir::parse(text).unwrap();
        let unfused = compile_with(&graph, CompileOptions::unfused()).unwrap();
        let strict = compile_with(&graph, CompileOptions::new().mode(kiln::Mode::Strict)).unwrap();
        let array = |(at, shape): (usize, &&[usize])| {
            let count: usize = shape.iter().product();
            let numbers = (0..count).map(|i| ((i * 37 + at * 11) % 101) as f32 / 50.0 - 0.9);
            Tensor::from(ndarray::ArrayD::from_shape_vec(*shape, numbers.collect()).unwrap())
        };
        let arrays: Vec<Tensor> = shapes.iter().enumerate().map(array).collect();
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        let plan = kernel.plan_for(&views).unwrap();
        assert!(plan.to_string().starts_with(begins), "{text}: {plan}");
        assert_eq!([kernel.pass_count(), plan.steps().len()], passes, "{text}: {plan}");
        let [found, expected] = [&strict, &unfused].map(|kernel| kernel.run(&views).unwrap());
        assert_eq!(found, expected, "{text} {shapes:?}");
        // Wrong shapes are errors of the kernel as it was written.
        let few = Tensor::zeros(DType::F32, &[7]).unwrap();
        let mut wrong = views.clone();
        wrong[1] = few.view();
        let told = kernel.run(&wrong).unwrap_err().to_string();
        assert!(told.contains("[7]") && told.contains("(written at 1:"), "{told}");
    }
}

#[test]
fn plans_of_their_own_run_in_place() {
    let kernel = compile_text("|x, b| layer_norm[-1](x) * softmax[-1](b)").unwrap();
    let mut x = Array2::from_shape_fn((20, 50), |(i, j)| (i * 3 + j) as f32 / 90.0);
    let b = Array2::from_shape_fn((1, 50), |(_, j)| j as f32 / 40.0);
    let views = [View::from(&x), View::from(&b)];
    let expected = kernel.run(&views).unwrap();
    assert!(kernel.plan_for(&views).unwrap().is_specialized());
    kernel.run_in_place(&mut x, &[(&b).into()]).unwrap();
    assert_eq!(Tensor::from(x), expected[0]);
}
