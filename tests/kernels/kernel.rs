//! Kernels from end to end: values, layouts, in place, and every error that a user can meet.

use kiln::{
    CompileOptions, DType, EmitterKind, Expr, Kernel, Mode, Tensor, View, ViewMut, compile,
    compile_text, compile_with,
};
use kiln_ir::{Array, DERIVED, build, eval};
use ndarray::{Array1, Array2, Array3, ArrayView, ShapeBuilder, array, s};

fn text_kernel(text: &str) -> Kernel {
    compile_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run_f32(kernel: &Kernel, inputs: &[View<'_>]) -> ndarray::ArrayD<f32> {
    kernel.run(inputs).unwrap().remove(0).into_f32().unwrap()
}

/// Every derived op, in every mode, against the reference interpreter in `f64`.
#[test]
fn derived_ops_compute_what_they_say() {
    let grid: Vec<f32> = (-400..=400).map(|i| i as f32 / 20.0).collect();
    let x = Array1::from(grid.clone());
    for row in DERIVED {
        let count = row.parameters.iter().filter(|p| p.default.is_none()).count();
        // Parameters after the first are given as 0.75 everywhere.
        let other = Array1::from_elem(x.len(), 0.75f32);
        let graph = |dtype: &str| {
            let required = row.parameters.iter().take(count);
            let args: Vec<Expr> =
                required.map(|p| Expr::input(format!("{}: {dtype}", p.name))).collect();
            build(row.name, &[row.apply(&args)]).unwrap()
        };
        let wide: Vec<f64> = grid.iter().map(|&v| f64::from(v)).collect();
        let mut exact_inputs =
            vec![Array::new(DType::F64, vec![wide.len()], wide.clone()).unwrap()];
        exact_inputs.resize(
            count,
            Array::new(DType::F64, vec![wide.len()], vec![0.75; wide.len()]).unwrap(),
        );
        let exact = eval(&graph("f64"), &exact_inputs).unwrap().remove(0);
        for mode in Mode::ALL {
            let kernel = compile_with(&graph("f32"), CompileOptions::new().mode(mode)).unwrap();
            let mut inputs = vec![View::from(&x)];
            inputs.resize_with(count, || View::from(&other));
            for (index, got) in run_f32(&kernel, &inputs).iter().enumerate() {
                let (got, exact) = (f64::from(*got), exact.data()[index]);
                let allowed = 2e-7 * exact.abs().max(grid[index].abs().into()) + 1e-7;
                assert!(
                    (got - exact).abs() <= allowed,
                    "{mode} {} at {}: {got}, exact {exact}",
                    row.name,
                    grid[index]
                );
            }
        }
    }
}

#[test]
fn any_layout_gives_the_same_bits() {
    let kernel = text_kernel("x * w + tanh(b) / (1 + abs(x))");
    let x = Array2::from_shape_fn((37, 21), |(i, j)| (i as f32 - 18.0) * 0.3 + j as f32 * 0.07);
    let w = Array1::from_shape_fn(21, |j| j as f32 * 0.1 - 1.0);
    let b = array![[0.5f32]];
    let expected = run_f32(&kernel, &[View::from(&x), View::from(&w), View::from(&b)]);
    // Transposed storage, a step of two, a reversed axis, and every operand written out in full.
    let columns = x.t().as_standard_layout().into_owned();
    let mut spread = Array2::zeros((74, 42));
    spread.slice_mut(s![..;2, ..;2]).assign(&x);
    let mut flipped = x.clone();
    flipped.invert_axis(ndarray::Axis(0));
    let full = w.broadcast((37, 21)).unwrap().to_owned();
    assert_eq!(run_f32(&kernel, &[columns.t().into(), View::from(&w), View::from(&b)]), expected);
    let spread = spread.slice(s![..;2, ..;2]);
    assert_eq!(run_f32(&kernel, &[spread.into(), View::from(&full), View::from(&b)]), expected);
    let turned = run_f32(&kernel, &[View::from(&flipped), View::from(&w), View::from(&b)]);
    assert_eq!(turned.slice(s![..;-1, ..]), expected.slice(s![.., ..]));
    // Nothing in, nothing out.
    let none = Array2::<f32>::zeros((0, 21));
    let empty = run_f32(&kernel, &[View::from(&none), View::from(&w), View::from(&b)]);
    assert_eq!(empty.shape(), [0, 21]);
}

#[test]
fn in_place_overwrites_the_first_input() {
    let kernel = text_kernel("x * sigmoid(x) + y");
    let (x, y) = (Array1::linspace(-5.0f32, 5.0, 1001), Array1::linspace(0.0f32, 1.0, 1001));
    let expected = run_f32(&kernel, &[View::from(&x), View::from(&y)]);
    let mut inout = x.clone();
    kernel.run_in_place(&mut inout, &[View::from(&y)]).unwrap();
    assert_eq!(inout.into_dyn(), expected);
}

#[test]
fn a_kernel_is_shared_between_threads() {
    let kernel = compile(&[Expr::input("x").matmul(Expr::input("w")).exp()]).unwrap();
    let x = Array2::from_shape_fn((16, 8), |(i, j)| (i * j) as f32 / 64.0);
    let w = Array2::from_shape_fn((8, 5), |(i, j)| (i + j) as f32 / 16.0);
    let expected = run_f32(&kernel, &[View::from(&x), View::from(&w)]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(run_f32(&kernel, &[View::from(&x), View::from(&w)]), expected);
                }
            });
        }
    });
}

#[test]
fn matmul_batches_broadcast_and_feed_kernels() {
    let kernel = text_kernel("relu(x @ w + b) @ v");
    let x = Array3::from_shape_fn((3, 4, 5), |(b, i, j)| (b + i * j) as f32 / 10.0 - 0.7);
    let w = Array2::from_shape_fn((5, 6), |(i, j)| (i as f32 - j as f32) / 7.0);
    let b = Array1::from_elem(6, 0.1f32);
    let v = Array1::from_shape_fn(6, |i| i as f32 - 2.0);
    let y = run_f32(&kernel, &[View::from(&x), View::from(&w), View::from(&b), View::from(&v)]);
    assert_eq!(y.shape(), [3, 4]);
    for batch in 0..3 {
        let rows: Array2<f32> = x.slice(s![batch, .., ..]).to_owned();
        let hidden: Array2<f32> = rows.dot(&w) + &b;
        let expected: Array1<f32> = hidden.mapv(|h| h.max(0.0)).dot(&v);
        for (got, expected) in y.slice(s![batch, ..]).iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }
}

#[test]
fn mixed_types_promote_and_bools_come_out() {
    let kernel = text_kernel("kernel k(x: f32, y: f64, m: bool) { (select(m, x, y), x < y) }");
    let (x, y, m) = (array![1.0f32, 2.0, 3.0], array![1.5f64, 1.5, 1.5], array![true, false, true]);
    let outputs = kernel.run(&[View::from(&x), View::from(&y), View::from(&m)]).unwrap();
    assert_eq!(outputs[0], Tensor::from(array![1.0f64, 1.5, 3.0]));
    assert_eq!(outputs[1], Tensor::from(array![true, false, false]));
}

/// What every misuse says. Each message names the operand, what is there, and what to do.
#[test]
fn errors_read_well() {
    let mut messages = String::new();
    let mut say = |what: &str, message: String| messages += &format!("{what}\n    {message}\n\n");
    let kernel = text_kernel("kernel k(x: f32[n, d], w: f32[d]) -> f32[n, d] { x * w }");
    let open = text_kernel("x + y");
    let (x, w) = (Array2::<f32>::zeros((4, 3)), Array1::<f32>::zeros(3));
    let (wide, short, flat) =
        (x.mapv(f64::from), Array1::<f32>::zeros(2), Array1::<f32>::zeros(12));
    let error = |kernel: &Kernel, inputs: &[View<'_>]| kernel.run(inputs).unwrap_err().to_string();
    say("an input is missing", error(&kernel, &[View::from(&x)]));
    say("another type", error(&kernel, &[View::from(&wide), View::from(&w)]));
    say("another rank", error(&kernel, &[View::from(&flat), View::from(&w)]));
    say("a symbol with two sizes", error(&kernel, &[View::from(&x), View::from(&short)]));
    say("shapes that do not broadcast", error(&open, &[View::from(&x), View::from(&short)]));
    let product = text_kernel("x @ y");
    say("matmul at the call", error(&product, &[View::from(&x), View::from(&short)]));

    let into = |kernel: &Kernel, inputs: &[View<'_>], output: ViewMut<'_>| {
        kernel.run_into(inputs, &mut [output]).unwrap_err().to_string()
    };
    let both = [View::from(&x), View::from(&w)];
    let mut small = Array2::<f32>::zeros((4, 2));
    say("an output of another shape", into(&kernel, &both, ViewMut::from(&mut small)));
    let mut double = Array2::<f64>::zeros((4, 3));
    say("an output of another type", into(&kernel, &both, ViewMut::from(&mut double)));
    let named =
        text_kernel("|x: f32[n, d], w: f32[d]| { let y = x * w; let m = y > 1; (m, x, y) }");
    let mut three = Array2::<f32>::zeros((4, 3));
    let mut mask = Array2::from_elem((4, 3), false);
    let mut others = [ViewMut::from(&mut mask), (&mut three).into(), (&mut double).into()];
    say(
        "a named output of another type",
        named.run_into(&both, &mut others).unwrap_err().to_string(),
    );
    say("no output given", kernel.run_into(&both, &mut []).unwrap_err().to_string());

    // Overlap: a view of the same memory, one element further on, and a multi-pass kernel whose
    // input is read again after the output was written.
    let mut memory = Array1::<f32>::zeros(9);
    let base = memory.as_mut_ptr();
    // SAFETY: both views lie within `memory`, which outlives them; the kernel refuses to run.
    let (input, output) = unsafe {
        (
            View::from_raw(base.cast(), DType::F32, &[8], &[4]),
            ViewMut::from_raw(base.add(1).cast(), DType::F32, &[8], &[4]),
        )
    };
    let scale = text_kernel("2 * x");
    say("an output that overlaps an input", into(&scale, &[input], output));
    let square = Array2::<f32>::zeros((3, 3));
    let mut inout = square.clone();
    let passes = text_kernel("exp(x @ y) + x");
    let again = passes.run_in_place(&mut inout, &[View::from(&square)]);
    assert!(again.is_ok(), "the last pass reads an input last: in place is fine");
    let product = product.run_in_place(&mut inout, &[View::from(&square)]).unwrap_err();
    say("matmul in place", product.to_string());
    let scan = text_kernel("cumsum[-1](x)").run_in_place(&mut inout, &[]).unwrap_err();
    say("a scan in place", scan.to_string());

    // Sizes beyond memory, by broadcasting small arrays.
    let row = Array2::<f32>::zeros((1, 1 << 20));
    let tall = Array2::<f32>::zeros((1 << 20, 1));
    // SAFETY: a stride of 0 repeats one element, which is there.
    let absurd =
        unsafe { View::from_raw(row.as_ptr().cast(), DType::F32, &[1 << 44, 1, 1], &[0, 0, 0]) };
    say("sizes that overflow", error(&open, &[absurd, View::from(&row)]));
    let huge = text_kernel("kernel k(a, b, c) { a + b + c }");
    // SAFETY: as above.
    let deep = unsafe { View::from_raw(row.as_ptr().cast(), DType::F32, &[64, 1, 1], &[0, 0, 0]) };
    say("more than memory", error(&huge, &[View::from(&row), View::from(&tall), deep]));

    let compile_error = |outputs: &[Expr]| compile(outputs).unwrap_err().to_string();
    say("no outputs", compile_error(&[]));
    let known = Expr::input("x: f32[n, 3]");
    say("shapes at compile time", compile_error(&[&known + Expr::input("y: f32[4]")]));
    say("matmul at compile time", compile_error(&[known.matmul(Expr::input("w: f32[4, m]"))]));
    say("a function of bools", compile_error(&[known.gt(0.0).exp()]));
    say("a number beyond its type", compile_error(&[1e60 * &known]));
    say("a name with two types", compile_error(&[Expr::input("x: f32") + Expr::input("x: f64")]));
    say("a bad declaration", compile_error(&[Expr::input("x: i16[n]")]));
    say("an unknown function", compile_text("tahn(x)").unwrap_err().to_string());
    say("a tensor of another type", Tensor::from(w.clone()).into_f64().unwrap_err().to_string());
    insta::assert_snapshot!("errors", without_positions(&messages));
}

/// `kernel.rs:204:51` as `kernel.rs:LINE`: this file may grow.
fn without_positions(messages: &str) -> String {
    let mut parts = messages.split("kernel.rs:");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        text += "kernel.rs:LINE";
        text += rest;
    }
    text
}

/// Texts from strangers: an error or a kernel, never a panic or a hang.
#[test]
fn mutated_texts_end_as_errors_or_kernels() {
    const SEEDS: &[&str] = &[
        "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))",
        "kernel k(x: f32[n, d], w: f32[d]) -> f32[n, d] { let u = x * w; gelu(u) - select(u < 1, 2, u) }",
        "kernel m(x: f64[n, 4], w: f64[4]) { exp(x @ w) % 3 }",
        "fused(x, w = y * 2) { let t = x ^ w; (t, !(t > 0)) }",
        "log(1+exp(-abs(x))) + max(x, 0) / min(y, -0.0) - pow(x, 0.5)",
    ];
    const PIECES: &[&str] = &[
        "(", ")", "x", "y", "1e308", "-", "^", "/", "0", ",", "{", "}", "let ", "inf", "nan", "!",
        "exp(", "erf(x)", " < ", "@", "f64(", "bool(", "=", ";", "é", "\n", "3", ".", "select(",
    ];
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let options = CompileOptions::new().emitter(EmitterKind::Interp);
    let mut compiled = 0;
    for round in 0..20_000 {
        let mut text: Vec<char> = match round % 2 {
            0 => SEEDS[random(SEEDS.len())].chars().collect(),
            _ => Vec::new(),
        };
        for _ in 0..1 + random(if text.is_empty() { 20 } else { 3 }) {
            let at = random(text.len() + 1);
            let end = (at + random(4)).min(text.len());
            text.splice(at..end, PIECES[random(PIECES.len())].chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(graph) = kiln_ir::parse(&text) {
            compile_with(&graph, options).unwrap_or_else(|error| panic!("{text}: {error}"));
            compiled += 1;
        }
    }
    assert!(compiled > 300, "the mutations are too wild: {compiled} kernels");
}

/// With open shapes, a dear part of small operands alone is computed once a call, not once an
/// element, and the bits are the same.
#[test]
fn small_operands_have_passes_of_their_own() {
    let kernel = text_kernel("x * exp(sin(w)) + b");
    assert_eq!(kernel.pass_count(), 1);
    let x = Array2::from_shape_fn((64, 33), |(i, j)| i as f32 - j as f32);
    let (w, b) = (Array1::linspace(-2.0f32, 2.0, 33), array![0.5f32]);
    let full = w.broadcast((64, 33)).unwrap().to_owned();
    let same_sizes = run_f32(&kernel, &[View::from(&x), View::from(&full), View::from(&b)]);
    let small = run_f32(&kernel, &[View::from(&x), View::from(&w), View::from(&b)]);
    assert_eq!(small, same_sizes);
}

/// Outputs that read different inputs keep their shapes, though both inputs are small, or large.
#[test]
fn outputs_over_inputs_of_one_size_keep_their_shapes() {
    let kernel = text_kernel("(x * exp(w), tanh(y), -u, abs(v))");
    let (x, y) = (Array2::from_elem((64, 64), 2f32), Array2::from_elem((1, 2048), 1f32));
    let (w, u, v) = (array![0f32], array![[5f32], [6.0]], array![1f32, 2.0, 3.0]);
    let inputs = [View::from(&x), View::from(&w), View::from(&y), View::from(&u), View::from(&v)];
    let outputs = kernel.run(&inputs).unwrap();
    let shapes: Vec<&[usize]> = outputs.iter().map(Tensor::shape).collect();
    assert_eq!(shapes, [&[64, 64][..], &[1, 2048], &[2, 1], &[3]]);
}

/// An output that is written twice, or becomes another one by a rewrite, is an array each time.
#[test]
fn equal_outputs_are_all_written() {
    let x = array![1.5f32, -2.0, 3.0];
    for text in ["(x, x, x)", "(x + 1, y, 1 + x, x + 1)", "(2 * x, x + x, 1, 1)", "(x @ x, x @ x)"]
    {
        let graph = kiln_ir::parse(text).unwrap();
        let values: Vec<f64> = x.iter().map(|&value| value.into()).collect();
        let given = Array::new(DType::F32, vec![3], values).unwrap();
        let inputs = vec![given; graph.inputs().len()];
        let expected = eval(&graph, &inputs).unwrap();
        let views = vec![View::from(&x); inputs.len()];
        let modes = Mode::ALL.map(|mode| CompileOptions::new().mode(mode));
        for options in modes.into_iter().chain([CompileOptions::unfused()]) {
            let kernel = compile_with(&graph, options).unwrap();
            for (output, expected) in kernel.run(&views).unwrap().into_iter().zip(&expected) {
                let output = output.into_f32().unwrap();
                let found: Vec<f64> = output.iter().map(|&value| value.into()).collect();
                assert_eq!(found, expected.data(), "{text}\n{}", kernel.graph());
            }
        }
    }
}

/// An axis of one element may have any stride, even one that is no distance in memory.
#[test]
fn strides_of_single_elements_do_not_matter() {
    let kernel = text_kernel("x + 1");
    let one = [1f32];
    let x = ArrayView::from_shape((1, 1).strides((1 << 62, 1)), &one).unwrap();
    assert_eq!(run_f32(&kernel, &[x.into()]), array![[2f32]].into_dyn());
}

/// What a log or an assertion prints of a kernel is one line.
#[test]
fn a_kernel_is_shown_in_one_line() {
    let options = CompileOptions::new().emitter(EmitterKind::Interp);
    let graph = kiln_ir::parse("|x: f32[n, d], w| (x * w, x > w)").unwrap();
    let kernel = compile_with(&graph, options).unwrap();
    let expected =
        "Kernel(kernel: |x: f32[n, d], w: f32[..]| -> (f32[..], bool[..]), 1 pass, interp)";
    assert_eq!(format!("{kernel:?}"), expected);
}
