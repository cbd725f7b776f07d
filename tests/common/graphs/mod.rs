//! Random graphs and inputs, shared by the tests that compare stages.

pub mod shaped;

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
/// last node is the output. Steps whose operands cannot fit are skipped. Casts lead to numbers of
/// other types: steps take up those that arithmetic is done in, one of the others is an output.
pub fn graph(dtype: DType, ops: &[Op], steps: &[Step]) -> Graph {
    let mut drawing = Drawing::new(dtype, ops, steps);
    let last = *drawing.numbers(dtype).last().unwrap();
    for output in [Some(last), drawing.bools.last().copied(), drawing.half].into_iter().flatten() {
        drawing.graph.output(output);
    }
    drawing.graph
}

/// The same steps, but every value lives to the end, the oldest longest: where there are many, no
/// machine has registers for them.
pub fn crowded(dtype: DType, ops: &[Op], steps: &[Step]) -> Graph {
    let mut drawing = Drawing::new(dtype, ops, steps);
    let numbers = drawing.numbers(dtype).clone();
    let graph = &mut drawing.graph;
    let mut end = *numbers.last().unwrap();
    for (&number, op) in numbers.iter().rev().zip([Op::Sub, Op::Add, Op::Mul].into_iter().cycle()) {
        end = graph.op(op, &[end, number]).unwrap();
    }
    for &mask in drawing.bools.iter().rev() {
        end = graph.op(Op::Select, &[mask, end, numbers[0]]).unwrap();
    }
    graph.output(end);
    drawing.graph
}

/// A graph under construction, and what later steps may read.
struct Drawing {
    graph: Graph,
    /// Of `f32` and of `f64`.
    floats: [Vec<NodeId>; 2],
    bools: Vec<NodeId>,
    /// The last number that was rounded to 16 bits.
    half: Option<NodeId>,
}

impl Drawing {
    fn new(dtype: DType, ops: &[Op], steps: &[Step]) -> Drawing {
        let graph = Graph::new("random");
        let mut drawing =
            Drawing { graph, floats: Default::default(), bools: Vec::new(), half: None };
        for name in ["x", "y", "z"] {
            let input = Input { name: name.into(), dtype, dims: None };
            let input = drawing.graph.input(input).unwrap();
            drawing.push(input);
        }
        let (usual, other) = match dtype {
            DType::F64 => (DType::F64, DType::F32),
            _ => (DType::F32, DType::F64),
        };
        for &(op, a, b, c) in steps {
            let both = !drawing.numbers(other).is_empty();
            let dtype = if both && c % 3 == 2 { other } else { usual };
            drawing.step(dtype, ops[op % ops.len()], [a, b, c]);
        }
        drawing
    }

    /// The numbers that are computed with as `dtype` is.
    fn numbers(&mut self, dtype: DType) -> &mut Vec<NodeId> {
        &mut self.floats[usize::from(dtype == DType::F64)]
    }

    /// Offers a value to later steps.
    fn push(&mut self, id: NodeId) {
        match self.graph.dtype(id) {
            DType::Bool => self.bools.push(id),
            DType::F16 | DType::BF16 => {
                self.half = Some(id);
                let wide = self.graph.op(Op::ToF32, &[id]).unwrap();
                self.numbers(DType::F32).push(wide);
            }
            dtype => self.numbers(dtype).push(id),
        }
    }

    /// Applies `op` to numbers of type `dtype`, or to bools, where there are some.
    fn step(&mut self, dtype: DType, op: Op, picks: [usize; 3]) {
        let [a, b, c] = picks;
        let bool =
            |index: usize| (!self.bools.is_empty()).then(|| self.bools[index % self.bools.len()]);
        let operands = match (op.info().typing, op.arity()) {
            (Typing::Logic, 1) => bool(a).map(|a| vec![a]),
            (Typing::Logic, _) => bool(a).zip(bool(b)).map(|(a, b)| vec![a, b]),
            (Typing::Select, _) => {
                let mask = bool(a);
                mask.map(|mask| vec![mask, self.number(dtype, b), self.number(dtype, c)])
            }
            (Typing::Integer, _) => None,
            (Typing::Cast(to), _) if to.is_integer() => None,
            (Typing::Cast(_), _) if b % 4 == 0 => bool(a).map(|a| vec![a]),
            (_, arity) => Some(picks[..arity].iter().map(|&p| self.number(dtype, p)).collect()),
        };
        let Some(operands) = operands else { return };
        let id = self.graph.op(op, &operands).unwrap();
        self.push(id);
    }

    /// Now and then a constant; else recent nodes more often than old ones.
    fn number(&mut self, dtype: DType, index: usize) -> NodeId {
        if index % 7 == 6 {
            return self.graph.constant(dtype, NUMBERS[index / 7 % NUMBERS.len()]).unwrap();
        }
        let numbers = self.numbers(dtype);
        numbers[numbers.len() - 1 - index % numbers.len()]
    }
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
