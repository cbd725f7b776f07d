//! What compilation costs and what it makes, in counts: they are the same on every machine.

use common::texts::FAMILIES;
use kiln::internals::{PASSES, PassContext, cost_model, fuse, programs, run_passes};
use kiln::{DType, Graph, Mode};
use kiln_ir::{Input, Node, NodeId, Op, parse};

/// Ops that run for an element.
fn ops_that_run(graph: &Graph) -> usize {
    let count = |node: &Node| match node {
        Node::Fused { body, .. } => body.op_count(),
        _ => 0,
    };
    graph.nodes().iter().map(count).sum()
}

/// A graph of `count` ops of each kind: a chain, a tree, and some in which values are shared.
fn shapes(count: usize) -> Vec<(&'static str, Graph)> {
    let chain = |_: usize, at: usize| [at - 1, at - 1];
    let fibonacci = |_: usize, at: usize| [at - 1, at - 2];
    let near = |step: usize, at: usize| [at - 1, at - 1 - (step * 7919 + 13) % at.min(40)];
    let far = |step: usize, at: usize| [at - 1, (step * 7919 + 13) % at];
    // Leaves come in pairs, and then the sums of what was not summed yet.
    let tree = move |step: usize, at: usize| match step {
        step if step < count / 2 => [0, 1 + step % 2],
        step => {
            let first = 3 + 2 * (step - count / 2);
            [first.min(at - 1), (first + 1).min(at - 1)]
        }
    };
    // Sums of products, each of all before.
    let wide = |step: usize, at: usize| match step % 2 {
        0 => [0, at - 1],
        _ => [at - 1, at / 2],
    };
    vec![
        ("chain", built(count, 1, chain)),
        ("fibonacci", built(count, 1, fibonacci)),
        ("near", built(count, 1, near)),
        ("far", built(count, 1, far)),
        ("tree", built(count, 1, tree)),
        ("wide", built(count, 1, wide)),
        ("near, outputs", built(count, 20, near)),
        ("far, outputs", built(count, 20, far)),
    ]
}

/// `reads` gives the operands of each step, by position.
fn built(count: usize, outputs: usize, reads: impl Fn(usize, usize) -> [usize; 2]) -> Graph {
    let mut graph = Graph::new("shape");
    let input = |name: &str| Input { name: name.into(), dtype: DType::F32, dims: None };
    // One domain: each op reads one value that is over all inputs, so that no cut is dearer.
    let mut values: Vec<NodeId> = vec![graph.input(input("x")).unwrap()];
    for number in [1.5, 2.5] {
        values.push(graph.constant(DType::F32, number).unwrap());
    }
    for step in 0..count {
        let [a, b] = reads(step, values.len());
        let op = [Op::Add, Op::Mul, Op::Sub, Op::Max, Op::Div][step % 5];
        let operands = if a == 1 || a == 2 { [0, b] } else { [a, b] };
        values.push(graph.op(op, &operands.map(|at| values[at])).unwrap());
    }
    let last = values.len();
    let mut stored: Vec<NodeId> =
        (0..outputs.min(count)).map(|i| values[last - 1 - i * (count / outputs).max(1)]).collect();
    // What is an output twice is copied, which is a pass of its own.
    stored.sort_unstable();
    stored.dedup();
    stored.into_iter().for_each(|value| graph.output(value));
    graph
}

/// No op runs twice, wherever a program is cut.
fn check(count: usize, mode: Mode) {
    for (shape, graph) in shapes(count) {
        let mut context = PassContext::new(mode, cost_model(mode));
        let (last, others) = PASSES.split_last().unwrap();
        let simplified = run_passes(others, &graph, &mut context);
        let fused = run_passes(std::slice::from_ref(last), &simplified, &mut context);
        let (run, written) = (ops_that_run(&fused), simplified.op_count());
        assert!(run <= written, "{shape} of {count}, {mode}: {run} ops run for {written}");
        // Stretches are half full at least, and a pass is no more than a stretch; what is an output
        // twice is copied.
        let computes =
            |node: &&Node| matches!(node, Node::Fused { body, .. } if body.op_count() > 0);
        let passes = fused.nodes().iter().filter(computes).count();
        assert!(passes <= 1 + written / 256, "{shape} of {count}, {mode}: {passes} passes");
    }
}

#[test]
fn no_op_runs_twice() {
    for count in [1, 2, 3, 100, 511, 512, 513, 600, 769, 1024, 1300, 2000] {
        check(count, Mode::Strict);
    }
    for count in [100, 550] {
        check(count, Mode::Precise);
        check(count, Mode::Fast);
    }
}

/// Every size, some twenty minutes: `cargo nextest run --run-ignored only no_op_runs_twice`.
#[test]
#[ignore = "takes long"]
fn no_op_runs_twice_at_any_size() {
    (1..=2000).for_each(|count| check(count, Mode::Strict));
}

/// What compiling a text costs: work of the algebra, and primitives to make code of.
fn cost(text: &str, mode: Mode) -> [usize; 2] {
    let graph = parse(text).unwrap();
    let primitives = programs(&graph, mode).map(|program| program.body().insts.len());
    [fuse(&graph, mode).algebra.work, primitives.sum()]
}

/// Twice the terms cost about twice as much, whatever the text is of.
#[test]
fn cost_grows_with_the_text() {
    for family in FAMILIES {
        // The language limits some to short texts; of others a quarter shows what all would.
        let most = family.most.min(120);
        for mode in [Mode::Precise, Mode::Fast] {
            let [half, whole] = [most / 2, most].map(|terms| cost(&(family.text)(terms), mode));
            for (what, (half, whole)) in ["work", "primitives"].iter().zip(half.iter().zip(whole)) {
                assert!(
                    whole as f64 <= 2.3 * *half as f64 + 500.0,
                    "{}, {mode}: {what} of {most} terms {whole}, of half {half}",
                    family.name
                );
            }
        }
    }
}

/// Rows of rows, of unknown rank: what is asked of a pair of stages must cost little, for there are many. While it made
/// shapes, 40 of these took 1.8 s, and 60 took 9.1, of a release build.
#[test]
fn many_stages_in_a_row_are_kernels() {
    let steps: String =
        (1..150).map(|at| format!("let t{at} = softmax[-1](t{}); ", at - 1)).collect();
    let graph = parse(&format!("|x: f32[..]| let t0 = 1.5 * x; {steps}t149")).unwrap();
    let mode = Mode::Precise;
    let fused = run_passes(PASSES, &graph, &mut PassContext::new(mode, cost_model(mode)));
    let kernels = fused.nodes().iter().filter(|node| matches!(node, Node::Fused { .. })).count();
    assert!((1..150).contains(&kernels), "{kernels}");
}

/// What stands in documents and benchmarks saturates with room to spare.
#[test]
fn small_kernels_stay_far_from_the_budget() {
    for text in [
        "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x*x*x)))",
        "gelu(x)",
        "mish(x)",
        "x/(1+exp(-x))",
        "log(1+exp(x))",
        "kernel k(x, g) { let c = 0.7978845608; let t = tanh(c*(x+0.044715*x^3)); g*(0.5*(1+t) + 0.5*x*(1-t*t)*c*(1+3*0.044715*x*x)) }",
        "kernel k(p, g, m, v) { let m1 = 0.9*m + 0.1*g; let v1 = 0.999*v + 0.001*g*g; (p - 0.001*(m1/0.9)/(sqrt(v1/0.99)+1e-8), m1, v1) }",
    ] {
        for mode in Mode::ALL {
            let algebra = fuse(&parse(text).unwrap(), mode).algebra;
            assert!(algebra.saturated, "{text} {mode}");
            assert!(algebra.work <= 10_000, "{text} {mode}: {} of 20,000", algebra.work);
        }
    }
}
