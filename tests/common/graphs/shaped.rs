//! Random graphs over inputs of several shapes, with matrix products, reductions and fused kernels as text can
//! write them: bodies that leave out arguments, and outputs smaller than their domain.

use super::Step;
use kiln::{DType, Graph};
use kiln_ir::{Array, Axes, Call, Dim, Input, NodeId, Op, Reduce, Reduction};

/// Ops of which kernels and the reference give the same bits.
const EXACT: &[Op] = &[
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Neg,
    Op::Abs,
    Op::Max,
    Op::Min,
    Op::Floor,
    Op::Lt,
    Op::Ge,
    Op::Select,
    Op::And,
    Op::Fma,
    Op::Add,
    Op::Mul,
];

const M: usize = 3;
const N: usize = 4;

/// The inputs: name, type, axes.
const INPUTS: &[(&str, DType, &[&str])] = &[
    ("x", DType::F32, &["n"]),
    ("y", DType::F32, &["m", "n"]),
    ("w", DType::F32, &["n", "n"]),
    ("s", DType::F32, &[]),
    ("c", DType::F32, &["m", "1"]),
    ("p", DType::Bool, &["n"]),
    ("d", DType::F64, &["n"]),
];

fn declared(open: bool) -> impl Iterator<Item = Input> {
    let dim = |name: &&str| name.parse().map_or_else(|_| Dim::Symbol((*name).into()), Dim::Size);
    INPUTS.iter().map(move |(name, dtype, axes)| Input {
        name: (*name).into(),
        dtype: *dtype,
        dims: (!open).then(|| axes.iter().map(dim).collect()),
    })
}

/// A graph of these steps; with `open` shapes no input says its axes.
pub fn graph(open: bool, steps: &[Step]) -> Graph {
    let mut graph = Graph::new("shaped");
    let mut values: Vec<NodeId> = declared(open).map(|input| graph.input(input).unwrap()).collect();
    for number in [0.0, -0.0, 1.0, 2.5] {
        values.push(graph.constant(DType::F32, number).unwrap());
    }
    for &(kind, a, b, c) in steps {
        let at = |index: usize| values[values.len() - 1 - index % values.len()];
        let operands = [at(a), at(b), at(c)];
        let made: Vec<NodeId> = match kind % 8 {
            0 => product(&mut graph, open, operands[0], operands[1]).into_iter().collect(),
            3 => reduction(&mut graph, [a, b, c], operands[0]).into_iter().collect(),
            1 | 2 => fused(&mut graph, kind, &operands[..1 + c % 3], [a, b, c]),
            _ => op(&mut graph, EXACT[kind / 8 % EXACT.len()], operands).into_iter().collect(),
        };
        values.extend(made);
    }
    let count = 1 + steps.len() % 3;
    values.iter().rev().take(count).for_each(|&value| graph.output(value));
    graph
}

/// What a graph of declared shapes multiplies. Of open ones only what fits whatever is bound.
fn product(graph: &mut Graph, open: bool, a: NodeId, b: NodeId) -> Option<NodeId> {
    let w = graph.input(declared(open).nth(2).expect("the third")).ok()?;
    let (a, b) = if open { (w, w) } else { (a, b) };
    graph.call(Call::Matmul, &[a, b]).ok()
}

/// A reduction that is exact, along one axis or all, if the operand has them.
fn reduction(graph: &mut Graph, [a, b, _]: [usize; 3], operand: NodeId) -> Option<NodeId> {
    let by = [Reduction::Max, Reduction::Min, Reduction::Count][a / 7 % 3];
    let axes = match b / 5 % 4 {
        0 => Axes::ALL,
        1 => Axes::some(&[-1]).ok()?,
        2 => Axes::some(&[-2]).ok()?,
        _ => Axes::some(&[0]).ok()?,
    };
    // Of open shapes, only what fits whatever is bound.
    let fits = graph.shape(operand).dims().is_some() || axes.are_all();
    fits.then(|| graph.call(Call::Reduce(Reduce { by, axes }), &[operand]).ok()).flatten()
}

/// An op, if types and shapes allow it.
fn op(graph: &mut Graph, op: Op, operands: [NodeId; 3]) -> Option<NodeId> {
    // Open axes broadcast or not by what is bound: `w` has another first axis than `y`.
    graph.op(op, &operands[..op.arity()]).ok()
}

/// A fused kernel whose body has a few ops, and up to three outputs of any of its values.
fn fused(graph: &mut Graph, kind: usize, args: &[NodeId], picks: [usize; 3]) -> Vec<NodeId> {
    let mut args = args.to_vec();
    args.dedup();
    let mut body = Graph::new("body");
    let mut values = Vec::new();
    for (index, &arg) in args.iter().enumerate() {
        let dims = graph.shape(arg).dims().map(<[Dim]>::to_vec);
        let input = Input { name: format!("v{index}"), dtype: graph.dtype(arg), dims };
        values.push(body.input(input).unwrap());
    }
    values.push(body.constant(DType::F32, 2.0).unwrap());
    for step in 0..kind / 8 % 4 {
        let at = |pick: usize| values[(pick / (step + 1)) % values.len()];
        let made = op(&mut body, EXACT[(kind / 32 + step) % EXACT.len()], picks.map(at));
        values.extend(made);
    }
    for output in 0..1 + kind / 16 % 3 {
        body.output(values[(picks[0] + output * 3) % values.len()]);
    }
    let outputs = body.outputs().len();
    let Ok(of) = graph.fused(body, args) else { return Vec::new() };
    (0..outputs).map(|index| graph.item(of, index).unwrap()).collect()
}

/// Arrays for the inputs, small integers among them.
pub fn arrays(salt: u64) -> Vec<Array> {
    let size = |name: &&str| match *name {
        "m" => M,
        "n" => N,
        _ => 1,
    };
    let array = |(index, (_, dtype, axes)): (usize, &(&str, DType, &[&str]))| {
        let shape: Vec<usize> = axes.iter().map(size).collect();
        let values = super::values(shape.iter().product(), salt + index as u64);
        let value = |v: f64| match dtype {
            DType::Bool => f64::from(v > 0.0),
            _ => dtype.round(v),
        };
        Array::new(*dtype, shape, values.into_iter().map(value).collect()).unwrap()
    };
    INPUTS.iter().enumerate().map(array).collect()
}
