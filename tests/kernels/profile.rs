//! What a profile counts, against counts by hand, and what it refuses.

use kiln::ir::{Dim, Input, Op, Typing};
use kiln::profile::{
    Counts, Flops, Latency, ProfileError, Profiler, Race, profile_fn, try_profile_fn,
};
use kiln::{CompileOptions, DType, Graph, Kernel, RunError, compile_with, ir};
use ndarray::{Array1, Array2};
use std::time::Duration;

fn kernel(text: &str, options: CompileOptions) -> Kernel {
    compile_with(&ir::parse(text).unwrap(), options).unwrap()
}

fn counts(text: &str, shapes: &[&[usize]]) -> Counts {
    Counts::at(&kernel(text, CompileOptions::new()), shapes).unwrap()
}

fn unfused(text: &str, shapes: &[&[usize]]) -> Counts {
    Counts::at(&kernel(text, CompileOptions::unfused()), shapes).unwrap()
}

#[test]
fn elementwise_kernels_count_as_by_hand() {
    let n = 1000;
    let add = counts("|a, b| a + b", &[&[1000], &[1000]]);
    let expected = Counts {
        elements: n,
        flops: Flops { adds: n, ..Flops::default() },
        loaded: 2 * 4 * n,
        stored: 4 * n,
        memory: 3 * 4 * n,
    };
    assert_eq!(add, expected);
    assert_eq!(add.intensity(), 1.0 / 12.0);

    let multiply = counts("|a: f64[n], b: f64[n]| a * b", &[&[1000], &[1000]]);
    let expected = Counts {
        elements: n,
        flops: Flops { multiplies: n, ..Flops::default() },
        loaded: 2 * 8 * n,
        stored: 8 * n,
        memory: 3 * 8 * n,
    };
    assert_eq!(multiply, expected);

    // A bias is read once, however often it repeats.
    let bias = counts("|x: f32[m, n], b: f32[n]| x + b", &[&[10, 1000], &[1000]]);
    assert_eq!((bias.loaded, bias.stored), (4 * (10_000 + 1000), 4 * 10_000));
    assert_eq!(bias.flops.total(), 10_000);

    // Comparisons are no FLOPs, although `max` adds to get the sign of zero right.
    let kinds = counts("|x, y| max(x, y) + relu(sqrt(x) / y) - abs(clamp(x, 0, 6))", &[&[1], &[1]]);
    let expected =
        Flops { adds: 2, divisions: 1, roots: 1, comparisons: 3, others: 1, ..Flops::default() };
    assert_eq!((kinds.flops, kinds.flops.total()), (expected, 4));

    // Nor are integers, which divide as floats, and conversions, which round by adding.
    let integers = counts("|i: i32[n], j: i32[n]| i / j + 1", &[&[10], &[10]]);
    assert_eq!((integers.flops.total(), integers.flops.others), (0, 20));
    assert_eq!(integers.intensity(), 0.0);
    for dtype in ["f16", "bf16"] {
        let stored = counts(&format!("|x: {dtype}[n]| x + x"), &[&[10]]);
        assert_eq!((stored.flops.total(), stored.loaded, stored.stored), (10, 20, 40));
        let rounded = counts(&format!("|x| f32({dtype}(x * x)) + x"), &[&[10]]);
        assert_eq!((rounded.flops.total(), rounded.flops.others), (20, 20));
    }
}

/// `0.5 * x * (1 + tanh(0.7978846 * (x + 0.044715 * x³)))`, fused into
/// `x * sigmoid(x * fma(0.0713, x * x, 1.5957))`.
#[test]
fn gelu_counts_as_by_hand() {
    let n = 4096;
    let fused = counts("gelu_tanh(x)", &[&[4096]]);
    let Flops { expanded, .. } = fused.flops;
    let expected =
        Flops { multiplies: 3 * n, fmas: n, transcendentals: n, expanded, ..Flops::default() };
    assert_eq!(fused.flops, expected);
    assert_eq!(fused.flops.arithmetic(), 5 * n);
    // The sigmoid: a polynomial and a quotient.
    assert_eq!(expanded % n, 0);
    assert!((10..40).contains(&(expanded / n)), "{}", expanded / n);
    assert_eq!((fused.loaded, fused.stored, fused.memory), (4 * n, 4 * n, 8 * n));

    // As written: 6 products and 2 sums, each of which writes what the next one reads. Every op reads
    // x or a temporary, or two of them; constants are not read from memory.
    let unfused = unfused("gelu_tanh(x)", &[&[4096]]);
    assert_eq!((unfused.flops.multiplies, unfused.flops.adds), (6 * n, 2 * n));
    assert_eq!((unfused.flops.arithmetic(), unfused.flops.transcendentals), (8 * n, n));
    assert_eq!(unfused.stored, 9 * 4 * n);
    // x*x, (x*x)*x, x + .., and (0.5*x) * (..) read two arrays.
    let two = 3;
    assert_eq!(unfused.loaded, (9 + two) * 4 * n);
    assert_eq!(unfused.memory, (2 + 8) * 4 * n);
}

#[test]
fn products_and_layers_count_as_by_hand() {
    let (m, k, n) = (32u64, 128u64, 64u64);
    let product = counts("|a: f32[m, k], b: f32[k, n]| a @ b", &[&[32, 128], &[128, 64]]);
    let expected = Counts {
        elements: m * n,
        flops: Flops { products: 2 * m * n * k, ..Flops::default() },
        loaded: 4 * (m * k + k * n),
        stored: 4 * m * n,
        memory: 4 * (m * k + k * n + m * n),
    };
    assert_eq!(product, expected);
    // An array that is multiplied by itself is read once.
    let square = counts("|a: f32[n, n]| a @ a", &[&[64, 64]]);
    assert_eq!((square.loaded, square.stored), (4 * 64 * 64, 4 * 64 * 64));

    let linear = "|x: f32[m, k], w: f32[k, n], b: f32[n]| x @ w + b";
    let linear = counts(linear, &[&[32, 128], &[128, 64], &[64]]);
    let flops = Flops { products: 2 * m * n * k, adds: m * n, ..Flops::default() };
    assert_eq!(linear.flops, flops);
    // The bias is added to the product where it lies.
    assert_eq!(linear.loaded, 4 * (m * k + k * n + n));
    assert_eq!(linear.stored, 4 * m * n);
    assert_eq!(linear.memory, 4 * (m * k + k * n + n + m * n));

    let mlp = "|x: f32[m, k], w: f32[k, h], b: f32[h], v: f32[h, n], c: f32[n]|
        relu(x @ w + b) @ v + c";
    let h = 256;
    let mlp = counts(mlp, &[&[32, 128], &[128, 256], &[256], &[256, 64], &[64]]);
    let flops = Flops {
        products: 2 * m * h * k + 2 * m * n * h,
        adds: m * h + m * n,
        comparisons: m * h,
        ..Flops::default()
    };
    assert_eq!(mlp.flops, flops);
    assert_eq!(mlp.loaded, 4 * (m * k + k * h + h + (m * h + h * n) + n));
    assert_eq!(mlp.stored, 4 * (m * h + m * n));
}

/// Every op is of one kind, on operands of every type, and only arithmetic has FLOPs.
#[test]
fn every_op_is_counted_once() {
    let mut counted = 0;
    for (&op, dtype) in Op::ALL.iter().flat_map(|op| DType::ALL.map(|dtype| (op, dtype))) {
        let mut graph = Graph::new("one");
        let operand = |index: usize| match op.info().typing {
            Typing::Select if index == 0 => DType::Bool,
            _ => dtype,
        };
        let inputs = (0..op.arity()).map(|index| Input {
            name: format!("x{index}"),
            dtype: operand(index),
            dims: Some(vec![Dim::Size(10)]),
        });
        let inputs: Vec<_> = inputs.map(|input| graph.input(input).unwrap()).collect();
        let Ok(result) = graph.op(op, &inputs) else { continue };
        graph.output(result);
        let kernel = compile_with(&graph, CompileOptions::unfused()).unwrap();
        let flops = Counts::at(&kernel, &vec![[10]; op.arity()]).unwrap().flops;
        let Flops { adds, multiplies, fmas, divisions, roots, .. } = flops;
        let Flops { transcendentals, comparisons, others, .. } = flops;
        let kinds =
            [adds, multiplies, fmas, divisions, roots, transcendentals, comparisons, others];
        assert_eq!(kinds.iter().sum::<u64>(), 10, "{} of {dtype}: {flops:?}", op.name());
        let cast = matches!(op.info().typing, Typing::Cast(_));
        if comparisons > 0 || cast || !dtype.is_float() {
            assert_eq!(flops.total(), 0, "{} of {dtype}: {flops:?}", op.name());
        }
        if transcendentals > 0 {
            assert!(flops.expanded >= 20, "{} of {dtype}: {flops:?}", op.name());
        }
        counted += 1;
    }
    assert!(counted > 200, "{counted}");
}

/// The plan of the call is what counts: a small `w` has a pass of its own.
#[test]
fn counts_follow_the_plan_of_the_call() {
    let alike = counts("x * exp(sin(w))", &[&[1000, 8], &[1000, 8]]);
    let small = counts("x * exp(sin(w))", &[&[1000, 8], &[8]]);
    assert_eq!((alike.flops.multiplies, alike.flops.transcendentals), (8000, 16_000));
    assert_eq!((small.flops.multiplies, small.flops.transcendentals), (8000, 16));
}

#[test]
fn what_cannot_be_counted_says_so() {
    let product = kernel("|a: f32[m, k], b: f32[k, n]| a @ b", CompileOptions::new());
    let add = kernel("a + b", CompileOptions::new());
    let error = |kernel: &Kernel, shapes: &[&[usize]]| Counts::at(kernel, shapes).unwrap_err();
    assert!(matches!(error(&product, &[&[2, 3]]), ProfileError::Run(RunError::InputCount { .. })));
    let lacking = error(&product, &[&[2, 3], &[3]]);
    assert!(matches!(lacking, ProfileError::Run(RunError::InputShape { .. })), "{lacking}");
    let differ = error(&add, &[&[2], &[3]]);
    assert!(matches!(differ, ProfileError::Run(RunError::Broadcast { .. })), "{differ}");
    let large = 1usize << 40;
    for absurd in [
        error(&add, &[&[large, large], &[large, large]]),
        error(&product, &[&[1 << 24, 1 << 24], &[1 << 24, 1 << 24]]),
        error(&product, &[&[0, large], &[large, large]]),
    ] {
        assert!(matches!(absurd, ProfileError::Overflow { .. }), "{absurd}");
    }
    // Nothing to do is no fault.
    let empty = Counts::at(&add, &[[0], [1]]).unwrap();
    assert_eq!((empty.elements, empty.flops.total(), empty.intensity()), (0, 0, 0.0));
}

#[test]
fn what_cannot_be_measured_says_so() {
    let kernel = kernel("x + 1", CompileOptions::new());
    let x = Array1::<f32>::zeros(10);
    let inputs = [(&x).into()];
    let mut profiler = Profiler::new("add", &kernel, &inputs).unwrap();
    assert_eq!(profiler.measure_latency(3, 0), Err(ProfileError::NoIterations));
    assert_eq!(Race::new().run(1, 1), Err(ProfileError::NoEntrants));
    assert_eq!(Race::new().run_for(Duration::ZERO), Err(ProfileError::NoEntrants));
    let wrong = [(&x).into(), (&x).into()];
    assert!(matches!(Profiler::new("add", &kernel, &wrong), Err(ProfileError::Run(_))));
    // A call that fails ends the measurement.
    let square = kiln::fuse!(|a: f32[n, n]| a.matmul(a)).unwrap();
    let a = Array2::<f32>::zeros((2, 3));
    let counts = Counts::default();
    let failed = try_profile_fn("square", counts, || square.call(&a)).measure_latency(0, 1);
    assert!(matches!(failed, Err(ProfileError::Run(RunError::InputShape { .. }))));
}

#[test]
fn entrants_take_turns() {
    let order = std::cell::RefCell::new(Vec::new());
    let slow = |name: char| {
        let order = &order;
        let call = move || {
            order.borrow_mut().push(name);
            std::thread::sleep(Duration::from_millis(11));
        };
        profile_fn(name, Counts { elements: 2, ..Counts::default() }, call)
    };
    let mut race = Race::new();
    assert_eq!((race.add(slow('a')), race.add(slow('b'))), (0, 1));
    let profiles = race.run(1, 2).unwrap();
    // Two calls to see how long they take; then, each round, one off the clock and one on it.
    assert_eq!(order.borrow().iter().collect::<String>(), "aabb".to_string() + &"aabb".repeat(3));
    assert_eq!(profiles.rounds(), 2);
    for profile in &profiles {
        assert_eq!((profile.latency().calls(), profile.latency().samples().len()), (1, 2));
        assert!(profile.latency().minimum() >= 11e6);
        assert_eq!(profile.per_element(), profile.latency().median() / 2.0);
    }
    let comparison = profiles.compare(0, 1);
    assert_eq!(comparison.speed_up(), profiles.ratio(1, 0));
    assert!((comparison.saved_part() - (1.0 - 1.0 / comparison.speed_up())).abs() < 1e-12);
}

/// A call of nanoseconds is repeated until the clock can tell.
#[test]
fn short_calls_are_batched() {
    let latency: Latency =
        profile_fn("nothing", Counts::default(), || 1).measure_latency(0, 3).unwrap();
    assert!(latency.calls() > 100, "{}", latency.calls());
    assert_eq!(latency.samples().len(), 3);
}

/// A reduction reads its operand once, and does one operation for each element; a count reads nothing.
#[test]
fn reductions_by_hand() {
    let counts = |text: &str| {
        let kernel = kiln::compile_text(text).unwrap();
        Counts::at(&kernel, &[[8, 100]]).unwrap()
    };
    let sum = counts("sum[-1](x)");
    assert_eq!((sum.flops.adds, sum.flops.total()), (800, 800));
    assert_eq!((sum.loaded, sum.stored), (3200, 32));
    let largest = counts("max[0](x)");
    assert_eq!((largest.flops.comparisons, largest.flops.total()), (800, 0));
    let mean = counts("mean[-1](x)");
    assert_eq!((mean.flops.adds, mean.flops.divisions), (800, 8));
    assert_eq!((mean.loaded, mean.stored), (3200, 32));
    let softmax = counts("softmax[-1](x)");
    assert_eq!((softmax.flops.adds, softmax.flops.comparisons), (1600, 800));
    assert_eq!((softmax.flops.transcendentals, softmax.loaded, softmax.stored), (800, 3200, 3200));
}

/// What is done to the rows of a product, or of what is multiplied, is what is done to those of an array.
#[test]
fn row_kernels_on_products_count_as_on_arrays() {
    for [m, k, n] in [[100, 100, 100], [4, 8, 2000], [3, 2, 5], [300, 6000, 64]] {
        let product = |flops: Flops| Flops { products: 2 * (m * k * n) as u64, ..flops };
        for row in ["sum[-1](#)", "softmax[-1](#)", "layer_norm[-1](#)", "max[-1](exp(# * 2))"] {
            let found = counts(
                &format!("|x: f32[m, k], w: f32[k, n]| {}", row.replace('#', "(x @ w)")),
                &[&[m, k], &[k, n]],
            );
            let expected = counts(&format!("|x: f32[m, n]| {}", row.replace('#', "x")), &[&[m, n]]);
            assert_eq!(found.flops, product(expected.flops), "{row} {m} {k} {n}");
            assert_eq!(found.elements, (m * n) as u64, "{row} {m} {k} {n}");
        }
        // Before a product, and something after it.
        for row in ["softmax[-1](x)", "layer_norm[-1](x)", "exp(x)"] {
            let found = counts(
                &format!("|x: f32[m, k], w: f32[k, n]| relu({row} @ w)"),
                &[&[m, k], &[k, n]],
            );
            let mut expected = counts(&format!("|x: f32[m, k]| {row}"), &[&[m, k]]).flops;
            expected.comparisons += (m * n) as u64;
            assert_eq!(found.flops, product(expected), "{row} {m} {k} {n}");
        }
    }
}
