//! Random graphs and inputs, shared by the tests that compare stages.

#![expect(unreachable_pub, reason = "a module of test binaries")]

use kiln::{DType, Graph};
use kiln_ir::{Input, NodeId, Op, Typing};
use proptest::prelude::{Strategy, any, prop};

/// A step of a graph under construction: an op, and which earlier nodes it reads.
pub type Step = (usize, usize, usize, usize);

/// Up to `most` steps; shrinking drops and simplifies them.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let index = any::<u16>().prop_map(usize::from);
    prop::collection::vec((index.clone(), index.clone(), index.clone(), index), 1..=most)
}

/// Numbers that graphs contain, special values among them.
const NUMBERS: &[f64] = &[
    0.5,
    1.0,
    2.0,
    -1.0,
    0.0,
    -0.0,
    0.044715,
    -2.0,
    0.25,
    3.0,
    1e-3,
    1e30,
    f64::INFINITY,
    f64::NAN,
];

/// Builds an elementwise graph from steps over the inputs `x`, `y` and `z` of type `dtype`; the
/// last node is the output. Steps whose operands cannot fit are skipped.
pub fn graph(dtype: DType, ops: &[Op], steps: &[Step]) -> Graph {
    let mut graph = Graph::new("random");
    let mut floats: Vec<NodeId> = Vec::new();
    let mut bools: Vec<NodeId> = Vec::new();
    for name in ["x", "y", "z"] {
        let input = Input { name: name.into(), dtype, dims: None };
        floats.push(graph.input(input).unwrap());
    }
    for &(op, a, b, c) in steps {
        let op = ops[op % ops.len()];
        let float = |index: usize, graph: &mut Graph, floats: &[NodeId]| {
            // Now and then a number; else recent nodes more often than old ones.
            if index % 7 == 6 {
                graph.constant(dtype, NUMBERS[index / 7 % NUMBERS.len()]).unwrap()
            } else {
                floats[floats.len() - 1 - index % floats.len()]
            }
        };
        let bool = |index: usize| (!bools.is_empty()).then(|| bools[index % bools.len()]);
        let operands = match (op.info().typing, op.arity()) {
            (Typing::Logic, 1) => bool(a).map(|a| vec![a]),
            (Typing::Logic, _) => bool(a).zip(bool(b)).map(|(a, b)| vec![a, b]),
            (Typing::Select, _) => bool(a).map(|mask| {
                vec![mask, float(b, &mut graph, &floats), float(c, &mut graph, &floats)]
            }),
            (Typing::Cast(_) | Typing::Integer, _) => None,
            (_, arity) => {
                let picks = [a, b, c];
                Some(picks[..arity].iter().map(|&p| float(p, &mut graph, &floats)).collect())
            }
        };
        let Some(operands) = operands else { continue };
        let id = graph.op(op, &operands).unwrap();
        match graph.dtype(id) {
            DType::Bool => bools.push(id),
            _ => floats.push(id),
        }
    }
    graph.output(*floats.last().unwrap());
    if let Some(&mask) = bools.last() {
        graph.output(mask);
    }
    graph
}

/// Values that try every corner, then ordinary ones; `salt` makes columns differ.
pub fn values(count: usize, salt: u64) -> Vec<f64> {
    const CORNERS: &[f64] = &[
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        1e-40,
        -1e-40,
        1e-20,
        88.0,
        -88.0,
        104.0,
        1e10,
        -1e30,
        3e38,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        20.0,
        -20.0,
        2.5,
    ];
    let mut state = salt;
    let mut next = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 33
    };
    let value = |index: usize, random: u64| match index % 3 {
        0 => CORNERS[random as usize % CORNERS.len()],
        _ => (random as f64 / f64::from(1u32 << 31) - 0.5) * 12.0,
    };
    (0..count).map(|index| value(index, next())).collect()
}
