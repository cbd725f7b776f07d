//! Random cases: a typed graph, and inputs for it.

use crate::array::{Elements, bits_of};
use crate::fragments::Fragments;
use crate::idioms::FAMILIES;
use crate::numbers;
use crate::rng::Rng;
use kiln::ir::{Array, Call, DERIVED, Derived, Dim, Input, Node, NodeId, Op, Scalar, Typing, eval};
use kiln::{DType, Expr, Graph};
use std::collections::HashMap;

/// A graph with inputs that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) graph: Graph,
    pub(crate) inputs: Vec<Elements>,
}

impl Case {
    /// Whether a number in it is NaN.
    pub(crate) fn has_nan(&self) -> bool {
        let is_nan = |value: Scalar| value.to_f64().is_nan();
        let constants = self.graph.iter().filter_map(|(id, _)| self.graph.scalar(id));
        let elements = self.inputs.iter().flat_map(|i| (0..i.bits.len()).map(|at| i.value(at)));
        constants.chain(elements).any(is_nan)
    }

    pub(crate) fn has_matmul(&self) -> bool {
        self.graph.nodes().iter().any(|node| matches!(node, Node::Call(..)))
    }
}

/// The case of a seed.
pub(crate) fn draw(fragments: &mut Fragments, seed: u64) -> Case {
    let mut rng = Rng::new(seed);
    let usual = rng.pick(&[DType::F32, DType::F32, DType::F32, DType::F64, DType::F64]);
    let sizes = match rng.below(400) {
        0 if rng.one_in(5) => [3, 6_000],
        0..=40 => [1, 1],
        41..=80 => [rng.pick(&[0, 1, 2]), rng.below(3)],
        _ => [1 + rng.below(4), rng.pick(&[1, 2, 3, 7, 15, 16, 17, 31, 33, 48, 67])],
    };
    let mut drawing = Drawing {
        graph: Graph::new("random"),
        nodes: HashMap::new(),
        made: Vec::new(),
        usual,
        typed_shapes: rng.one_in(2),
        sizes,
        products: rng.one_in(10),
        rng,
    };
    drawing.new_input(usual);
    let steps = match drawing.rng.below(10) {
        0..=4 => 1 + drawing.rng.below(3),
        5..=8 => 1 + drawing.rng.below(7),
        _ => 1 + drawing.rng.below(24),
    };
    for _ in 0..steps {
        drawing.step(fragments);
    }
    drawing.finish()
}

/// How an input gets its elements.
enum Made {
    /// By chance.
    Drawn,
    /// Those of a node, each moved by at most this many ULP, so that a difference cancels.
    Near(NodeId, i64),
}

struct Drawing {
    graph: Graph,
    /// What later steps may read, by type.
    nodes: HashMap<DType, Vec<NodeId>>,
    /// For each input, its shape and where its elements come from.
    made: Vec<(Vec<usize>, Made)>,
    usual: DType,
    typed_shapes: bool,
    /// The largest domain.
    sizes: [usize; 2],
    products: bool,
    rng: Rng,
}

impl Drawing {
    fn push(&mut self, id: NodeId) {
        let known = self.nodes.entry(self.graph.dtype(id)).or_default();
        known.push(id);
    }

    fn new_input(&mut self, dtype: DType) -> NodeId {
        let [m, n] = self.sizes;
        let symbol = |name: &str| Dim::Symbol(name.into());
        let (shape, mut dims) = match self.rng.below(10) {
            0..=3 => (vec![m, n], vec![symbol("m"), symbol("n")]),
            4..=6 => (vec![n], vec![symbol("n")]),
            7 => (vec![m, 1], vec![symbol("m"), Dim::Size(1)]),
            8 => (vec![1], vec![Dim::Size(1)]),
            _ => (vec![], vec![]),
        };
        if self.rng.one_in(4) {
            dims = shape.iter().map(|&size| Dim::Size(size)).collect();
        }
        let dims = self.typed_shapes.then_some(dims);
        self.declare(dtype, dims, shape, Made::Drawn)
    }

    fn declare(
        &mut self,
        dtype: DType,
        dims: Option<Vec<Dim>>,
        shape: Vec<usize>,
        made: Made,
    ) -> NodeId {
        let name = format!("x{}", self.made.len());
        let id = self.graph.input(Input { name, dtype, dims }).expect("names differ");
        self.made.push((shape, made));
        self.push(id);
        id
    }

    /// An input whose elements are those of an existing node, or nearly so.
    fn near_input(&mut self, dtype: DType) -> Option<NodeId> {
        if !dtype.is_arithmetic() || self.typed_shapes {
            return None;
        }
        let near = self.recent(dtype)?;
        let ulps = self.rng.pick(&[0, 0, 1, 3]);
        Some(self.declare(dtype, None, Vec::new(), Made::Near(near, ulps)))
    }

    /// A node of this type, more often a late one.
    fn recent(&mut self, dtype: DType) -> Option<NodeId> {
        let known = self.nodes.get(&dtype)?;
        let back = self.rng.below(known.len()).min(self.rng.below(known.len()));
        Some(known[known.len() - 1 - back])
    }

    /// An operand of this type.
    fn operand(&mut self, dtype: DType) -> NodeId {
        match self.rng.below(20) {
            0..=2 => self.constant(dtype),
            3 => self.new_input(dtype),
            4 => match self.near_input(dtype) {
                Some(id) => id,
                None => self.operand(dtype),
            },
            _ => match self.recent(dtype) {
                Some(id) => id,
                None if self.rng.one_in(2) => self.new_input(dtype),
                None => {
                    let from = if self.usual == dtype { DType::I32 } else { self.usual };
                    let value = self.recent(from).unwrap_or_else(|| self.new_input(from));
                    self.op(Op::cast_to(dtype), &[value]).expect("every type can be cast")
                }
            },
        }
    }

    fn constant(&mut self, dtype: DType) -> NodeId {
        let value = numbers::constant(&mut self.rng, dtype).cast(dtype);
        self.graph.constant(dtype, value).expect("room for a number")
    }

    /// Adds a node, unless shapes or types do not fit.
    fn op(&mut self, op: Op, operands: &[NodeId]) -> Option<NodeId> {
        let operands = match op {
            // The sign of a NaN that arithmetic made is unspecified, and this op alone sees it.
            Op::CopySign => {
                let sign = operands[1];
                let one = self.graph.constant(self.graph.dtype(sign), 1.0).ok()?;
                let ordered = self.graph.op(Op::Eq, &[sign, sign]).ok()?;
                let clean = self.graph.op(Op::Select, &[ordered, sign, one]).ok()?;
                vec![operands[0], clean]
            }
            _ => operands.to_vec(),
        };
        let id = self.graph.op(op, &operands).ok()?;
        self.push(id);
        Some(id)
    }

    fn step(&mut self, fragments: &mut Fragments) {
        let float = match self.rng.below(8) {
            0 => {
                if self.usual == DType::F32 {
                    DType::F64
                } else {
                    DType::F32
                }
            }
            _ => self.usual,
        };
        match self.rng.below(20) {
            0..=4 => self.any_op(float),
            5..=7 => self.spellings(fragments, float),
            8..=16 => {
                let index = self.rng.below(fragments.first_spelling);
                if let Some(fragment) = fragments.graph(index, float) {
                    let fragment = fragment.clone();
                    self.fragment(&fragment, float, &[]);
                }
            }
            17 => {
                let row: &Derived = &DERIVED[self.rng.below(DERIVED.len())];
                let names = ["a", "k", "l"];
                let count = row.parameters.len();
                let args: Vec<Expr> = names[..count]
                    .iter()
                    .map(|name| Expr::input(format!("{name}: {float}")))
                    .collect();
                let graph = kiln::ir::build("derived", &[row.apply(&args)]);
                self.fragment(&graph.expect("floats of any shape"), float, &[]);
            }
            18 if self.products => self.product(float),
            18 => self.fused(fragments, float),
            _ => self.half_step(float),
        }
    }

    /// Any op of the table.
    fn any_op(&mut self, float: DType) {
        let op = self.rng.pick(Op::ALL);
        let integer = self.rng.pick(&[DType::U8, DType::I32, DType::I64]);
        let number = if self.rng.one_in(4) { integer } else { float };
        let types = match op.info().typing {
            Typing::Float => vec![float; op.arity()],
            Typing::Number | Typing::Compare => vec![number; op.arity()],
            Typing::Integer => vec![integer; op.arity()],
            Typing::Logic if self.rng.one_in(3) => vec![integer; op.arity()],
            Typing::Logic => vec![DType::Bool; op.arity()],
            Typing::Select => {
                let of = self.rng.pick(&[number, number, float, DType::Bool, DType::F16]);
                vec![DType::Bool, of, of]
            }
            Typing::Cast(_) => vec![self.rng.pick(&DType::ALL)],
            Typing::Truth
            | Typing::Index
            | Typing::Same
            | Typing::Pick
            | Typing::Count
            | Typing::Place
            | Typing::Product => {
                unreachable!("of calls, which are no ops")
            }
        };
        let operands: Vec<NodeId> = types.into_iter().map(|dtype| self.operand(dtype)).collect();
        self.op(op, &operands);
    }

    /// A copy of a fragment over existing nodes.
    fn fragment(&mut self, fragment: &Graph, float: DType, given: &[NodeId]) -> Option<NodeId> {
        let repeat = self.rng.one_in(6);
        let mut bound: Vec<NodeId> = Vec::new();
        for (index, input) in fragment.inputs().iter().enumerate() {
            let operand = match input.name.as_str() {
                _ if index < given.len() => given[index],
                "k" | "l" | "m" => match self.rng.below(12) {
                    0 => self.operand(float),
                    _ => self.constant(float),
                },
                _ if repeat && !bound.is_empty() && input.dtype == float => bound[0],
                _ => self.operand(input.dtype),
            };
            bound.push(operand);
        }
        let mut ids: Vec<Option<NodeId>> = Vec::new();
        for (id, node) in fragment.iter() {
            let copied = match node {
                Node::Input(index) => Some(bound[*index as usize]),
                Node::Const(_) => self.graph.copy_node(fragment, id, &[]).ok(),
                Node::Op(op, args) => {
                    let args: Option<Vec<NodeId>> = args.iter().map(|a| ids[a.index()]).collect();
                    let pushed = self.nodes.clone();
                    let made = args.and_then(|args| self.op(*op, &args));
                    // Inner values are read again now and then.
                    if !self.rng.one_in(8) {
                        self.nodes = pushed;
                    }
                    made
                }
                _ => None,
            };
            ids.push(copied);
        }
        let result = ids[fragment.outputs()[0].index()];
        if let Some(id) = result {
            self.push(id);
        }
        result
    }

    /// Two spellings of one function: of one operand, or one of the other.
    fn spellings(&mut self, fragments: &mut Fragments, float: DType) {
        let family = self.rng.below(FAMILIES.len());
        let before: usize = FAMILIES[..family].iter().map(|family| family.len()).sum();
        let first = fragments.first_spelling + before;
        let mut operands: Vec<NodeId> = (0..2).map(|_| self.operand(float)).collect();
        let mut results = Vec::new();
        for _ in 0..2 {
            let index = first + self.rng.below(FAMILIES[family].len());
            let Some(spelling) = fragments.graph(index, float).cloned() else { return };
            results.extend(self.fragment(&spelling, float, &operands));
            if self.rng.one_in(4) {
                operands[0] = results.last().copied().unwrap_or(operands[0]);
            }
        }
        if let [a, b] = results[..] {
            let op = self.rng.pick(&[Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Max]);
            self.op(op, &[a, b]);
        }
    }

    /// A fragment as a fused kernel of its own.
    fn fused(&mut self, fragments: &mut Fragments, float: DType) {
        let index = self.rng.below(fragments.texts.len());
        let Some(body) = fragments.graph(index, float).cloned() else { return };
        let args: Vec<NodeId> =
            body.inputs().iter().map(|input| self.operand(input.dtype)).collect();
        let Ok(kernel) = self.graph.fused(body.normalized(), args) else { return };
        let item = self.graph.item(kernel, 0).expect("a kernel has an output");
        self.push(item);
    }

    /// Storage types: into one and out again.
    fn half_step(&mut self, float: DType) {
        let half = self.rng.pick(&[DType::F16, DType::BF16]);
        let value = self.operand(float);
        if let Some(narrow) = self.op(Op::cast_to(half), &[value]) {
            self.op(Op::cast_to(float), &[narrow]);
        }
    }

    /// Products of one left side and nearly one, or the same written otherwise.
    fn product(&mut self, float: DType) {
        let [m, n] = self.sizes.map(|size| size.clamp(1, 9));
        let k = 1 + self.rng.below(4);
        let mut dims = |rows: usize, columns: usize| {
            self.rng.one_in(2).then(|| vec![Dim::Size(rows), Dim::Size(columns)])
        };
        let (left, right) = (dims(m, k), dims(k, n));
        let a = self.declare(float, left, vec![m, k], Made::Drawn);
        let w = self.declare(float, right, vec![k, n], Made::Drawn);
        let b = self.declare(float, None, vec![m, k], Made::Drawn);
        let one = self.graph.constant(float, 1.0).expect("room");
        let two = self.graph.constant(float, 2.0).expect("room");
        let op = |graph: &mut Graph, op: Op, args: &[NodeId]| graph.op(op, args).ok();
        let graph = &mut self.graph;
        let pair = match self.rng.below(6) {
            0 => [op(graph, Op::Add, &[a, b]), op(graph, Op::Add, &[b, a])],
            1 => [op(graph, Op::Div, &[a, one]), Some(a)],
            2 => [op(graph, Op::Abs, &[a]), {
                let negated = op(graph, Op::Neg, &[a]);
                negated.and_then(|negated| op(graph, Op::Abs, &[negated]))
            }],
            3 => [op(graph, Op::Mul, &[a, two]), op(graph, Op::Add, &[a, a])],
            4 => [op(graph, Op::Exp, &[a]), op(graph, Op::Exp, &[b])],
            _ => [Some(a), Some(b)],
        };
        for left in pair.into_iter().flatten() {
            if let Ok(product) = self.graph.call(Call::Matmul, &[left, w]) {
                self.push(product);
            }
        }
        if let (Some(first), Some(second)) = (self.recent(float), self.recent(float)) {
            self.op(Op::Add, &[first, second]);
        }
    }

    /// Chooses outputs and makes the inputs.
    fn finish(mut self) -> Case {
        let base = self.graph.clone();
        let mut outputs: Vec<NodeId> = Vec::new();
        // The last node of the usual type is an output, and by chance that of another type.
        let mut types: Vec<DType> = self.nodes.keys().copied().collect();
        types.sort();
        for dtype in types {
            let known = &self.nodes[&dtype];
            if dtype == self.usual || self.rng.one_in(2) {
                outputs.push(known[known.len() - 1]);
            }
        }
        if self.rng.one_in(3) {
            outputs.push(self.recent(self.usual).expect("it has an input"));
        }
        for output in outputs {
            self.graph.output(output);
        }
        let mut inputs: Vec<Elements> = Vec::new();
        for (index, input) in base.inputs().iter().enumerate() {
            let (shape, made) = &self.made[index];
            let count = shape.iter().product();
            let drawn = |rng: &mut Rng, shape: &[usize]| {
                let bits = (0..count).map(|_| numbers::element(rng, input.dtype)).collect();
                Elements { dtype: input.dtype, shape: shape.to_vec(), bits }
            };
            let elements = match made {
                Made::Drawn => drawn(&mut self.rng, shape),
                Made::Near(node, ulps) => {
                    near(&base, *node, &inputs, &self.made, *ulps, &mut self.rng).unwrap_or_else(
                        || Elements { dtype: input.dtype, shape: vec![], bits: vec![0] },
                    )
                }
            };
            inputs.push(elements);
        }
        Case { graph: self.graph.normalized(), inputs }
    }
}

/// The elements of a node that reads earlier inputs only, each moved by a few ULP.
fn near(
    base: &Graph,
    node: NodeId,
    earlier: &[Elements],
    made: &[(Vec<usize>, Made)],
    ulps: i64,
    rng: &mut Rng,
) -> Option<Elements> {
    let mut graph = base.clone();
    graph.output(node);
    let arrays: Option<Vec<Array>> = graph
        .inputs()
        .iter()
        .enumerate()
        .map(|(index, input)| match earlier.get(index) {
            Some(elements) => array(elements),
            // Not read.
            None => {
                let shape = made[index].0.clone();
                let zeros = vec![0i64; shape.iter().product()];
                Array::new(input.dtype, shape, zeros).ok()
            }
        })
        .collect();
    let value = eval(&graph.normalized(), &arrays?).ok()?.remove(0);
    let dtype = value.dtype();
    let moved = |value: f64, rng: &mut Rng| match value.is_finite() && ulps > 0 {
        true => {
            let steps = rng.below(2 * ulps as usize + 1) as i64 - ulps;
            kiln_accuracy::neighbour(dtype, value, steps)
        }
        false => value,
    };
    let bits = value.data().iter().map(|&v| bits_of(dtype, Scalar::Float(moved(v, rng)))).collect();
    Some(Elements { dtype, shape: value.shape().to_vec(), bits })
}

/// The same array for the reference interpreter.
pub(crate) fn array(elements: &Elements) -> Option<Array> {
    let values: Vec<Scalar> = (0..elements.bits.len()).map(|index| elements.value(index)).collect();
    Array::new(elements.dtype, elements.shape.clone(), values).ok()
}
