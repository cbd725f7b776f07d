//! The two interpreters agree, and what is printed means the same.

use crate::random::{self, Choices};
use kiln_ir::{Array, Dim, Graph, Node, eval, eval_scalar, parse};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

/// An array for each input, all of whose elements are the input's value.
fn arrays(graph: &Graph, values: &[f64]) -> Vec<Array> {
    let size = |dim: &Dim| match dim {
        Dim::Size(size) => *size,
        Dim::Symbol(name) => name.len() + 1,
    };
    let array = |(input, &value): (&kiln_ir::Input, &f64)| {
        let shape: Vec<usize> = input.dims.iter().flatten().map(size).collect();
        let count = shape.iter().product();
        Array::new(input.dtype, shape, vec![value; count]).unwrap()
    };
    graph.inputs().iter().zip(values).map(array).collect()
}

fn has_call(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| matches!(node, Node::Call(..)))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn interpreters_agree(numbers in proptest::collection::vec(any::<u32>(), 0..400)) {
        let graph = random::graph(&mut Choices::new(&numbers), 25);
        if !has_call(&graph) {
            let values = &[0.75, -2.5, 1e30, 0.0, f64::NAN][..graph.inputs().len()];
            let bits = |value: &f64| value.to_bits();
            let scalars = eval_scalar(&graph, values);
            let outputs = eval(&graph, &arrays(&graph, values)).unwrap();
            for (output, scalar) in outputs.iter().zip(&scalars) {
                let elements: Vec<u64> = match output.dtype().is_integer() {
                    true => output.integers().iter().map(|&value| bits(&(value as f64))).collect(),
                    false => output.data().iter().map(bits).collect(),
                };
                prop_assert_eq!(elements.iter().copied().min(), Some(bits(scalar)));
                prop_assert_eq!(elements.iter().copied().max(), Some(bits(scalar)));
            }
            let again = eval_scalar(&parse(&graph.to_string()).unwrap(), values);
            let all_bits = |values: &[f64]| values.iter().map(bits).collect::<Vec<u64>>();
            prop_assert_eq!(all_bits(&again), all_bits(&scalars));
        }
    }
}
