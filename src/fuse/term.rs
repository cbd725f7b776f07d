//! The language of the algebra e-graph: one node type, generic over the op table.
//!
//! A pointwise tensor op *is* its scalar op here, so rewrites see across op borders. Inputs go by
//! index and constants by bits, so that nothing depends on names or on hash order.

use egg::{Id, Language};
use kiln_ir::{Call, DType, Fault, Flags, Graph, NodeId, Op, Scalar};
use smallvec::SmallVec;
use std::fmt;

/// What a [`Term`] is, apart from its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Head {
    /// An input of the graph, by index.
    Input(u32),
    /// A number: its type and its bits, as [`Scalar::bits`].
    Const(DType, u64),
    /// An op of the table.
    Op(Op),
    /// A call; no rule looks through it.
    Call(Call),
}

/// An e-node. They are cloned a lot, so only calls of more than three operands are in the heap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Term {
    head: Head,
    children: SmallVec<[Id; 3]>,
}

impl Term {
    pub(crate) fn new(head: Head, children: &[Id]) -> Term {
        Term { head, children: children.into() }
    }

    pub(crate) fn constant(dtype: DType, value: f64) -> Term {
        Term::new(Head::Const(dtype, dtype.round(value).to_bits()), &[])
    }

    /// Adds it to a graph over the same inputs.
    pub(crate) fn add_to(&self, graph: &mut Graph, children: &[NodeId]) -> Result<NodeId, Fault> {
        match self.head {
            Head::Input(index) => Ok(graph.input_node(index as usize)),
            Head::Const(dtype, bits) => graph.constant(dtype, Scalar::from_bits(dtype, bits)),
            Head::Op(op) => graph.op(op, children),
            Head::Call(call) => graph.call(call, children),
        }
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// How many of the first children may be put in any order.
    pub(crate) fn unordered(&self) -> usize {
        match self.head {
            Head::Op(Op::Fma) => 2,
            Head::Op(op) if op.has(Flags::COMMUTATIVE) && self.children.len() == 2 => 2,
            _ => 0,
        }
    }
}

/// Groups terms for matching: all constants are one group, and so are all inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    Input,
    Const,
    Op(Op),
    Call(Call),
}

impl Language for Term {
    type Discriminant = Group;

    fn discriminant(&self) -> Group {
        match self.head {
            Head::Input(_) => Group::Input,
            Head::Const(..) => Group::Const,
            Head::Op(op) => Group::Op(op),
            Head::Call(call) => Group::Call(call),
        }
    }

    fn matches(&self, other: &Term) -> bool {
        self.head == other.head && self.children.len() == other.children.len()
    }

    fn children(&self) -> &[Id] {
        &self.children
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.head {
            Head::Input(index) => write!(f, "in{index}"),
            Head::Const(dtype, bits) => match Scalar::from_bits(dtype, bits) {
                Scalar::Float(value) => write!(f, "{value:?}"),
                Scalar::Integer(value) => write!(f, "{value}"),
            },
            Head::Op(op) => f.write_str(op.name()),
            Head::Call(call) => f.write_str(call.info().name),
        }
    }
}
