//! What is printed reads back as the same graph.

use crate::random::{self, Choices};
use kiln_ir::{Graph, parse, verify};
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
