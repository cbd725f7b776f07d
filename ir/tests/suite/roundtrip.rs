//! What is printed reads back as the same graph.

use crate::random::{self, Choices};
use kiln_ir::{Call, DType, Dim, Graph, Node, NodeId, Op, parse, same_signature, verify};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn graphs_print_and_parse(numbers in proptest::collection::vec(any::<u32>(), 0..600)) {
        let graph = random::graph(&mut Choices::new(&numbers), 40);
        prop_assert_eq!(verify(&graph), Ok(()));
        let text = graph.to_string();
        let again: Graph = text.parse().unwrap_or_else(|error| panic!("{text}\n{error}"));
        prop_assert_eq!(&again, &graph.normalized(), "{}", text);
        prop_assert_eq!(verify(&again), Ok(()));
        prop_assert_eq!(again.to_string(), graph.normalized().to_string());
    }
}

#[test]
fn every_derived_op_prints_and_parses() {
    for derived in kiln_ir::DERIVED {
        let args = ["x", "y", "z"][..*derived.arity().start()].join(", ");
        let graph = parse(&format!("{}({args})", derived.name)).unwrap();
        assert_eq!(parse(&graph.to_string()).unwrap(), graph);
        assert_eq!(verify(&graph), Ok(()));
    }
}

/// Copied node by node, a graph is the same, and inputs stay what a copy declares them to be.
#[test]
fn every_kind_of_node_is_copied() {
    let text = "kernel f(x: f32[n, k], w: f32[k, d]) {
        let (a, b) = fused(h = x @ w, two = 2) { (exp(h) * two, h > 1) };
        (a, b, select(b, a, 3), fused(a) { a * 2 } + 1)
    }";
    let graph = kiln_ir::parse(text).unwrap();
    let copy = |mut copy: Graph| {
        let mut ids: Vec<NodeId> = Vec::new();
        for (id, node) in graph.iter() {
            let operands: Vec<NodeId> = node.operands().iter().map(|id| ids[id.index()]).collect();
            ids.push(copy.copy_node(&graph, id, &operands).unwrap());
        }
        graph.outputs().iter().for_each(|output| copy.output(ids[output.index()]));
        copy
    };
    assert_eq!(copy(Graph::new("f")), graph);
    let mut inputs = graph.inputs().to_vec();
    inputs[0].dims = Some(vec![Dim::Size(3), Dim::Symbol("k".into())]);
    let other = copy(Graph::with_inputs("f", &inputs));
    assert_eq!(other.shape(other.outputs()[0]).to_string(), "[3, d]");
}

/// Parameters go by position. What text calls them survives, and equal bodies may differ in it.
#[test]
fn parameters_are_labelled() {
    let text = |label: &str| {
        let argument = if label == "x" { "x".to_string() } else { format!("{label} = x") };
        format!(
            "kernel f(x: f32[n], v1: f32[n]) -> f32[n] {{
    fused({argument}, b = x * v1) {{
        {label} + b
    }}
}}
"
        )
    };
    let [graph, other] = ["y", "x"].map(|label| parse(&text(label)).unwrap());
    assert_eq!([graph.to_string(), other.to_string()], ["y", "x"].map(text));
    assert_eq!(graph, other);
    // Without labels, names are made: of inputs, and of positions where no input is called so.
    let mut bare = Graph::with_inputs("f", graph.inputs());
    let [x, v] = [0, 1].map(|index| bare.input_node(index));
    let product = bare.op(Op::Mul, &[x, v]).unwrap();
    let mut body = Graph::new("body");
    let shape = bare.shape(x).clone();
    let [a, b] = [0; 2].map(|_| body.parameter("", DType::F32, shape.clone()).unwrap());
    let sum = body.op(Op::Add, &[a, b]).unwrap();
    body.output(sum);
    let kernel = bare.fused(body, vec![x, product]).unwrap();
    let item = bare.item(kernel, 0).unwrap();
    bare.output(item);
    assert_eq!(verify(&bare), Ok(()));
    assert_eq!(bare, graph);
    let named = text("x").replace("b = x", "v1_ = x").replace("+ b", "+ v1_");
    assert_eq!(bare.to_string(), named);
}

/// A body is made for the shapes of its arguments, wherever its kernel is copied to.
#[test]
fn bodies_have_the_shapes_of_arguments() {
    let graph = parse(
        "kernel f(a, b, x) {
            let (c, d) = fused(x, q = a @ b) { (x + 1, q + x) };
            (c, d, b @ a)
        }",
    )
    .unwrap();
    let mut copy = Graph::with_inputs("f", graph.inputs());
    // Another product of unknown rank comes first here.
    let [a, b] = [0, 1].map(|index| copy.input_node(index));
    copy.call(Call::Matmul, &[b, a]).unwrap();
    let mut ids: Vec<NodeId> = Vec::new();
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> = node.operands().iter().map(|id| ids[id.index()]).collect();
        ids.push(copy.copy_node(&graph, id, &operands).unwrap());
    }
    graph.outputs().iter().for_each(|output| copy.output(ids[output.index()]));
    assert_eq!(verify(&copy), Ok(()));
    assert_eq!(same_signature(&graph, &copy), Ok(()));
    let [x, sum, _] = copy.outputs() else { panic!("{copy}") };
    assert_eq!(copy.shape(*x), copy.shape(copy.input_node(2)));
    assert!(copy.shape(*sum) != copy.shape(*x) && copy.shape(*sum).covers(copy.shape(*x)));
}

/// A kernel has no value, not even where it has one output.
#[test]
fn outputs_of_kernels_are_items() {
    let graph = parse("kernel f(x: f32[n, 1], y: f64[d]) { fused(x, y) { f64(x) > y } }").unwrap();
    let [output] = *graph.outputs() else { panic!("it has one output") };
    let Node::Item { of, index: 0 } = *graph.node(output) else { panic!("{graph}") };
    assert!(matches!(graph.node(of), Node::Fused { .. }));
    assert_eq!(format!("{}{}", graph.dtype(output), graph.shape(output)), "bool[n, d]");
    let mut bare = graph.clone();
    bare.output(of);
    assert_eq!(verify(&bare), Err(format!("output {} is a kernel without an item", of.index())));
}
