//! Random graphs, drawn from a list of numbers so that proptest can shrink them.

use kiln_ir::{Call, DType, Dim, Graph, Input, Node, NodeId, Op, Scalar};

/// Numbers that decide what is drawn; zeros when they run out.
pub(crate) struct Choices<'c> {
    numbers: std::slice::Iter<'c, u32>,
}

impl<'c> Choices<'c> {
    pub(crate) fn new(numbers: &'c [u32]) -> Choices<'c> {
        Choices { numbers: numbers.iter() }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.numbers.next().map_or(0, |&number| number as usize % limit)
    }

    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

/// A valid graph: all ops and types, broadcasting, products, fused kernels, several outputs.
pub(crate) fn graph(choices: &mut Choices, nodes: usize) -> Graph {
    // Names that could be taken for something else.
    let names = ["x", "t0", "exp", "pi", "t3", "f32", "kernel1", "_"];
    let shapes = ["..", "", "n", "3", "n, d", "n, 1", "d, n", "2, n, d", "1"];
    let mut graph = Graph::new(["k", "two words", "kernel", "7"][choices.below(4)]);
    let mut values = Vec::new();
    for name in &names[..choices.below(6)] {
        let dtype = match choices.below(3) {
            0 => DType::F32,
            _ => choices.of(&DType::ALL),
        };
        let dims = match choices.of(&shapes) {
            ".." => None,
            "" => Some(vec![]),
            dims => Some(dims.split(", ").map(dim).collect()),
        };
        values.push(graph.input(Input { name: name.to_string(), dtype, dims }).unwrap());
    }
    for _ in 0..nodes {
        match choices.below(12) {
            0 => {
                let operands =
                    [draw(choices, &mut graph, &values), draw(choices, &mut graph, &values)];
                let operands = operands.map(|operand| as_it_lies(&graph, operand));
                values.extend(graph.call(Call::Matmul, &operands));
            }
            1 => values.extend(fused(choices, &mut graph, &values)),
            _ => values.extend(op(choices, &mut graph, &values)),
        }
    }
    for _ in 0..=choices.below(3) {
        let output = draw(choices, &mut graph, &values);
        graph.output(output);
    }
    graph
}

/// A factor as a product of text reads it: a half that was widened stays one.
fn as_it_lies(graph: &Graph, operand: NodeId) -> NodeId {
    match graph.node(operand) {
        Node::Op(Op::ToF32, args) if matches!(graph.dtype(args[0]), DType::F16 | DType::BF16) => {
            args[0]
        }
        _ => operand,
    }
}

fn dim(text: &str) -> Dim {
    text.parse().map_or_else(|_| Dim::Symbol(text.into()), Dim::Size)
}

/// A node that exists, or a number; late nodes more often, so that graphs are deep.
fn draw(choices: &mut Choices, graph: &mut Graph, values: &[NodeId]) -> NodeId {
    let place = choices.below(12);
    if values.is_empty() || place >= 10 {
        let dtype = choices.of(&DType::ALL);
        if dtype.is_integer() {
            let special = [0, 1, -1, 2, 7, 8, 31, 33, 255, i32::MIN.into(), i64::MIN, i64::MAX];
            let value = match choices.below(3) {
                0 => (choices.below(1 << 31) as i64).wrapping_mul(0x1_2345_6789),
                _ => choices.of(&special),
            };
            return graph.constant(dtype, Scalar::from(value).cast(dtype)).unwrap();
        }
        let special = [0.0, -0.0, 1.0, -1.0, 2.0, 3.0, 8.0, 9.0, 0.1, 1e-30, 1e16, -2.5, 1e300];
        let value = match choices.below(20) {
            bits @ 0..=2 => f64::from_bits(0x7ff8_0000_2000_0000 + ((bits as u64) << 63)),
            3 => f64::INFINITY,
            4 => f64::NEG_INFINITY,
            5 => f64::NAN,
            6 => f64::from(f32::from_bits(choices.below(1 << 31) as u32)),
            7 => f64::from_bits((choices.below(1 << 31) as u64) << 32 | 12345),
            _ => choices.of(&special),
        };
        return graph.constant(dtype, Scalar::from(value).cast(dtype)).unwrap();
    }
    match place {
        0..6 => values[values.len() - 1 - choices.below(values.len().min(4))],
        _ => choices.of(values),
    }
}

/// An op on operands that fit, if some were found.
fn op(choices: &mut Choices, graph: &mut Graph, values: &[NodeId]) -> Option<NodeId> {
    let op = choices.of(Op::ALL);
    (0..8).find_map(|_| {
        let operands: Vec<NodeId> = (0..op.arity()).map(|_| draw(choices, graph, values)).collect();
        graph.op(op, &operands).ok()
    })
}

/// The values of a fused kernel, if its arguments broadcast.
fn fused(choices: &mut Choices, graph: &mut Graph, values: &[NodeId]) -> Vec<NodeId> {
    let mut body = Graph::new("body");
    let mut args: Vec<NodeId> = Vec::new();
    let mut inner = Vec::new();
    let names = ["x", "t0", "t1", "exp", "w"];
    for name in &names[..choices.below(5)] {
        let arg = draw(choices, graph, values);
        // Named like what it is bound to, where that has a name.
        let name = match graph.node(arg) {
            Node::Input(index) => graph.inputs()[*index as usize].name.clone(),
            _ => name.to_string(),
        };
        if body.inputs().iter().all(|input| input.name != name) {
            let dims = graph.shape(arg).dims().map(<[Dim]>::to_vec);
            inner.push(body.input(Input { name, dtype: graph.dtype(arg), dims }).unwrap());
            args.push(arg);
        }
    }
    for _ in 0..choices.below(8) {
        inner.extend(op(choices, &mut body, &inner));
    }
    let count = 1 + choices.below(3);
    for _ in 0..count {
        let output = draw(choices, &mut body, &inner);
        body.output(output);
    }
    match graph.fused(body, args) {
        Ok(kernel) => (0..count).map(|index| graph.item(kernel, index).unwrap()).collect(),
        Err(_) => Vec::new(),
    }
}
