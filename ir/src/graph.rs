//! The graph: a hash-consed arena of nodes in topological order.

use crate::body::Body;
use crate::call::{Call, CallInfo, CallShapes, absorbed};
use crate::dtype::DType;
use crate::error::{Fault, Origin};
use crate::note::Note;
use crate::number::Scalar;
use crate::ops::Op;
use crate::shape::{Dim, Open, Shape, check_rank};
use crate::written::Record;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The most nodes that a graph may have, including those of fused bodies.
///
/// Far above any kernel that a person writes, and low enough that hostile text cannot exhaust
/// memory or time.
pub const MAX_NODES: usize = 20_000;

/// The most inputs that a graph may have.
///
/// An open shape lists the inputs that it broadcasts over: many inputs make every node large.
pub const MAX_INPUTS: usize = 1_000;

/// The most outputs that a kernel may have; each is an array of the caller's.
pub const MAX_OUTPUTS: usize = 1_000;

/// A node of a [`Graph`], by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The node at this index.
    pub fn new(index: usize) -> NodeId {
        NodeId(u32::try_from(index).expect("a graph has at most MAX_NODES nodes"))
    }

    /// Its index in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The one to three operands of an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Args {
    len: u8,
    ids: [NodeId; 3],
}

impl Args {
    /// # Panics
    ///
    /// If there are none, or more than three.
    pub fn new(ids: &[NodeId]) -> Args {
        let mut all = [ids[0]; 3];
        all[..ids.len()].copy_from_slice(ids);
        Args { len: ids.len() as u8, ids: all }
    }
}

impl Deref for Args {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.ids[..self.len as usize]
    }
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// An input, by index.
    Input(u32),
    /// A number that its type can hold, as [`Scalar::bits`]: those of an `f64`, or of an integer.
    Const(u64),
    /// An elementwise op; operands broadcast.
    Op(Op, Args),
    /// An operation that is not elementwise.
    Call(Call, Box<[NodeId]>),
    /// A fused kernel: one pass over memory that loads `args`, evaluates `body` and stores each of
    /// its outputs. It has no value itself: its outputs are items.
    Fused {
        /// Elementwise ops only; parameter `i` is bound to `args[i]`.
        body: Arc<Body>,
        /// What is loaded.
        args: Box<[NodeId]>,
    },
    /// Output `index` of a fused kernel.
    Item {
        /// The kernel.
        of: NodeId,
        /// Which output.
        index: u32,
    },
}

impl Node {
    /// The nodes that this one reads, in order.
    pub fn operands(&self) -> Vec<NodeId> {
        match self {
            Node::Input(_) | Node::Const(_) => Vec::new(),
            Node::Op(_, args) => args.to_vec(),
            Node::Call(_, args) | Node::Fused { args, .. } => args.to_vec(),
            Node::Item { of, .. } => vec![*of],
        }
    }
}

/// An input of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its axes; `None` is any rank (`[..]`).
    pub dims: Option<Vec<Dim>>,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.dtype)?;
        match &self.dims {
            None => f.write_str("[..]"),
            Some(dims) => write!(f, "{}", Shape::new(dims.clone())),
        }
    }
}

/// A tensor program: inputs, nodes in topological order, outputs.
///
/// Equal nodes are one node, constants compared by bits. Every node has a type and a shape.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    name: String,
    inputs: Vec<Input>,
    nodes: Vec<Node>,
    types: Vec<(DType, Shape)>,
    outputs: Vec<NodeId>,
    known: HashMap<(Node, DType), NodeId>,
    pub(crate) calls: CallShapes,
    /// Nodes of fused bodies.
    inside: usize,
    pub(crate) unbounded: bool,
    /// Whether its inputs come in the order in which expressions first read them.
    found_inputs: bool,
    /// The names that its text gives to outputs; shorter than `outputs`, or empty, where it gives none.
    output_names: Vec<Option<String>>,
    notes: Vec<Note>,
    pub(crate) record: Record,
}

/// Names of inputs count. Those of the graph and of outputs, notes, and whether inputs are ordered do
/// not.
impl PartialEq for Graph {
    fn eq(&self, other: &Graph) -> bool {
        self.inputs == other.inputs && self.has_nodes_of(other)
    }
}

impl Eq for Graph {}

impl std::hash::Hash for Graph {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.inputs, &self.nodes, &self.outputs).hash(state);
    }
}

impl Graph {
    /// An empty graph; `name` appears in text.
    pub fn new(name: impl Into<String>) -> Graph {
        Graph { name: name.into(), ..Graph::default() }
    }

    /// An empty graph without limits on its size or its constants, for passes: they may make a graph
    /// larger, and compute numbers that nobody wrote.
    pub fn unbounded(name: impl Into<String>) -> Graph {
        Graph { unbounded: true, ..Graph::new(name) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its inputs, in the order of a call.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Its nodes; operands come before their users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Every node with its id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index as u32), node))
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// A node's element type. A fused kernel has none of its own; this is its first item's.
    pub fn dtype(&self, id: NodeId) -> DType {
        self.types[id.index()].0
    }

    /// A node's shape; for a fused kernel, the one that its arguments broadcast to.
    pub fn shape(&self, id: NodeId) -> &Shape {
        &self.types[id.index()].1
    }

    /// A shape without what reductions of it along an axis add: nothing, for they broadcast to it. Of
    /// `x - max[-1](x)` it is the shape of `x`, whatever its rank. It has such an axis wherever they do.
    pub fn absorbed(&self, shape: Shape, axis: i8) -> Shape {
        let known = self.calls.open();
        let of = |shape: &Shape| {
            absorbed(shape.clone(), known, |reduce| reduce.axes.only() == Some(axis))
        };
        let whole = of(&shape);
        let is_of_it = |(number, (_, operands)): (usize, &(Call, Vec<Shape>))| {
            let open = Open::Call(number as u32);
            !shape.has(open) || whole.has(open) || of(&operands[0]) == whole
        };
        if known.iter().enumerate().all(is_of_it) { whole } else { shape }
    }

    /// Whether it is equal to another graph but for the declarations of inputs.
    pub(crate) fn has_nodes_of(&self, other: &Graph) -> bool {
        // Constants of two types may have the same bits.
        let dtypes = self.types.iter().map(|(dtype, _)| dtype);
        self.nodes == other.nodes
            && self.outputs == other.outputs
            && dtypes.eq(other.types.iter().map(|(dtype, _)| dtype))
    }

    /// The outputs.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// The value of a constant node.
    pub fn scalar(&self, id: NodeId) -> Option<Scalar> {
        match self.nodes[id.index()] {
            Node::Const(bits) => Some(Scalar::from_bits(self.dtype(id), bits)),
            _ => None,
        }
    }

    /// The value of a constant node of a float type or `bool`.
    pub fn constant_value(&self, id: NodeId) -> Option<f64> {
        match self.scalar(id)? {
            Scalar::Float(value) => Some(value),
            Scalar::Integer(_) => None,
        }
    }

    /// What its author should know about it, in the order in which it was written.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub(crate) fn notes_mut(&mut self) -> &mut [Note] {
        &mut self.notes
    }

    /// Adds a note, once.
    pub(crate) fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Places the notes that have none yet.
    pub(crate) fn place_notes(&mut self, origin: Origin) {
        let unplaced = self.notes.iter().rposition(|note| note.origin.is_some());
        for note in &mut self.notes[unplaced.map_or(0, |last| last + 1)..] {
            note.origin = Some(origin);
        }
    }

    /// Whether the author chose the order of its inputs: there is at most one, or the text names them
    /// first. The inputs of the bare expression `p - lr * g` only come in the order in which it reads
    /// them, which changes when the expression does.
    ///
    /// Equal graphs may differ in this. Ask the graph that the user wrote, not one from a cache.
    ///
    /// ```
    /// let ordered = |text| kiln_ir::parse(text).unwrap().inputs_are_ordered();
    /// assert!(ordered("|p, lr, g| p - lr * g"));
    /// assert!(ordered("kernel sgd(p, lr, g) { p - lr * g }"));
    /// assert!(!ordered("p - lr * g"));
    /// ```
    pub fn inputs_are_ordered(&self) -> bool {
        self.inputs.len() < 2 || !self.found_inputs
    }

    /// Marks its inputs as found on the way.
    pub(crate) fn with_found_inputs(self) -> Graph {
        Graph { found_inputs: true, ..self }
    }

    /// What the text calls an output, for messages: `delta` of `let delta = ..; (price, delta)`.
    ///
    /// Equal graphs may differ in this, too, and what is printed has other names.
    pub fn output_name(&self, index: usize) -> Option<&str> {
        self.output_names.get(index)?.as_deref()
    }

    /// Names its outputs.
    pub(crate) fn with_output_names(self, output_names: Vec<Option<String>>) -> Graph {
        Graph { output_names, ..self }
    }

    /// Takes over what messages say of the graph that this one was made from: its notes, whether its
    /// inputs are ordered, and the names of its outputs.
    pub fn with_notes_of(mut self, other: &Graph) -> Graph {
        self.notes.clone_from(&other.notes);
        self.found_inputs = other.found_inputs;
        self.output_names.clone_from(&other.output_names);
        self
    }

    /// How many nodes are elementwise ops (outside of fused bodies).
    pub fn op_count(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node, Node::Op(..))).count()
    }

    /// Declares an input; the same name again must have the same type and shape.
    ///
    /// Fails where it has more than [`MAX_RANK`](crate::MAX_RANK) axes.
    pub fn input(&mut self, input: Input) -> Result<NodeId, Fault> {
        let rank = input.dims.as_ref().map_or(0, Vec::len);
        check_rank(rank).map_err(|reason| Fault::Declaration {
            text: format!("{}: {}[{rank} axes]", input.name, input.dtype),
            reason: reason.into(),
        })?;
        if let Some(index) = self.inputs.iter().position(|known| known.name == input.name) {
            let first = &self.inputs[index];
            if *first != input {
                return Err(Fault::InputTwice {
                    name: input.name.clone(),
                    first: first.to_string(),
                    second: input.to_string(),
                });
            }
            return Ok(self.input_node(index));
        }
        let index = self.inputs.len() as u32;
        let shape = input.dims.clone().map_or_else(|| Shape::open(Open::Input(index)), Shape::new);
        self.new_input(input, shape)
    }

    /// Adds an input by position: a parameter of a fused body. It has this very shape, which only the
    /// graph around may be able to tell; its name is a label, and may be empty.
    pub fn parameter(
        &mut self,
        label: impl Into<String>,
        dtype: DType,
        shape: Shape,
    ) -> Result<NodeId, Fault> {
        let dims = shape.dims().map(<[Dim]>::to_vec);
        self.new_input(Input { name: label.into(), dtype, dims }, shape)
    }

    fn new_input(&mut self, input: Input, shape: Shape) -> Result<NodeId, Fault> {
        if self.inputs.len() >= MAX_INPUTS && !self.unbounded {
            return Err(Fault::TooManyInputs { limit: MAX_INPUTS });
        }
        let (index, dtype) = (self.inputs.len() as u32, input.dtype);
        self.inputs.push(input);
        self.push(Node::Input(index), dtype, shape)
    }

    /// The node of an input.
    ///
    /// # Panics
    ///
    /// If there is no such input.
    pub fn input_node(&self, index: usize) -> NodeId {
        self.known[&(Node::Input(index as u32), self.inputs[index].dtype)]
    }

    /// A constant, an `f64` or an `i64`, rounded to `dtype`.
    ///
    /// Fails if the type cannot hold it: an integer type takes no fractions and nothing out of its range,
    /// and no finite number may become infinite. A number that becomes 0 is [noted](Graph::notes). A
    /// bool is "not zero".
    pub fn constant(&mut self, dtype: DType, value: impl Into<Scalar>) -> Result<NodeId, Fault> {
        let _env = kiln_fenv::hold_default();
        let written = value.into();
        let value = written.cast(dtype);
        if !self.unbounded {
            if !fits(written, value) {
                return Err(Fault::Number { value: written.to_string(), dtype });
            }
            if written.is_true() && !value.is_true() {
                self.note(Note::zero(written, dtype));
            }
        }
        self.push(Node::Const(value.bits()), dtype, Shape::scalar())
    }

    /// An elementwise op on operands whose types fit as they are.
    pub fn op(&mut self, op: Op, operands: &[NodeId]) -> Result<NodeId, Fault> {
        if operands.len() != op.arity() {
            let (arity, found) = (op.arity(), operands.len());
            return Err(Fault::Arity { op: op.name().into(), expected: arity..=arity, found });
        }
        let dtypes: Vec<DType> = operands.iter().map(|&id| self.dtype(id)).collect();
        let Some(dtype) = op.result_type(&dtypes) else {
            let hint = match op {
                Op::Pow if dtypes.iter().any(|dtype| dtype.is_integer()) => {
                    "a power of integers has a literal exponent, not negative, as in x^3; convert \
                     with f32(x) for others; exclusive or is xor(a, b)"
                }
                _ => op.info().typing.hint(&dtypes),
            };
            return Err(Fault::Types { op: op.name(), operands: dtypes, hint });
        };
        let mut shape = self.shape(operands[0]).clone();
        for &id in &operands[1..] {
            shape = shape.broadcast(self.shape(id)).map_err(|axis| Fault::Broadcast {
                op: op.name(),
                left: shape.clone(),
                right: self.shape(id).clone(),
                axis,
            })?;
        }
        self.push(Node::Op(op, Args::new(operands)), dtype, shape)
    }

    /// A call on operands whose types fit as they are.
    pub fn call(&mut self, call: Call, operands: &[NodeId]) -> Result<NodeId, Fault> {
        let CallInfo { name, typing, .. } = *call.info();
        let dtypes: Vec<DType> = operands.iter().map(|&id| self.dtype(id)).collect();
        if !call.arity().contains(&operands.len()) {
            let (expected, found) = (call.arity(), operands.len());
            return Err(Fault::Arity { op: name.into(), expected, found });
        }
        let Some(dtype) = typing.result_type(&dtypes) else {
            let hint = typing.hint(&dtypes);
            return Err(Fault::Types { op: name, operands: dtypes, hint });
        };
        let shapes: Vec<&Shape> = operands.iter().map(|id| &self.types[id.index()].1).collect();
        let shape = self.calls.shape(call, &shapes)?;
        self.push(Node::Call(call, operands.into()), dtype, shape)
    }

    /// Adds an output.
    pub fn output(&mut self, id: NodeId) {
        self.outputs.push(id);
    }

    /// Adds a node whose operands fit, unless it is there.
    pub(crate) fn push(&mut self, node: Node, dtype: DType, shape: Shape) -> Result<NodeId, Fault> {
        let key = (node, dtype);
        if let Some(&id) = self.known.get(&key) {
            return Ok(id);
        }
        let inside = match &key.0 {
            Node::Fused { body, .. } => body.nodes().len(),
            _ => 0,
        };
        if self.nodes.len() + self.inside + inside >= MAX_NODES && !self.unbounded {
            return Err(Fault::TooLarge { limit: MAX_NODES });
        }
        self.inside += inside;
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(key.0.clone());
        self.types.push((dtype, shape));
        self.known.insert(key, id);
        Ok(id)
    }
}

/// The parts of a graph, to be broken by tests of the verifier.
#[cfg(test)]
impl Graph {
    #[expect(clippy::type_complexity, reason = "for tests alone")]
    pub(crate) fn parts_mut(
        &mut self,
    ) -> (&mut Vec<Input>, &mut Vec<Node>, &mut Vec<(DType, Shape)>, &mut Vec<NodeId>) {
        (&mut self.inputs, &mut self.nodes, &mut self.types, &mut self.outputs)
    }
}

/// Whether a type can hold a number, apart from rounding; `value` is `written` converted to it.
fn fits(written: Scalar, value: Scalar) -> bool {
    match (written, value) {
        (Scalar::Float(written), Scalar::Float(value)) => {
            written.is_infinite() || value.is_finite() || written.is_nan()
        }
        (Scalar::Integer(_), Scalar::Float(value)) => value.is_finite(),
        // 2^63 saturates to the largest integer, which as a float is 2^63 again.
        (Scalar::Float(written), Scalar::Integer(value)) => {
            value as f64 == written && written < 2f64.powi(63)
        }
        (Scalar::Integer(written), Scalar::Integer(value)) => written == value,
    }
}
