//! A fused body with a product: what it multiplies, and what it computes of the result.

use super::mask::{Mask, mask};
use kiln_ir::{Body, Graph, Node, NodeId};
use std::collections::HashMap;

/// A body in two parts.
#[derive(Clone, Debug)]
pub(crate) struct Product<R, M = Graph> {
    /// The parameters that are multiplied.
    pub(crate) operands: [usize; 2],
    /// What the rest reads, input by input: the product, or a parameter of the body.
    pub(crate) inputs: Vec<Source>,
    /// What is computed of the result, with the outputs of the body, or the left operand of its second
    /// product. Where that has a mask, there may be one output more: whether rows may leave out what is masked.
    pub(crate) rest: R,
    /// The parameter that the second product multiplies that by, if there is one.
    pub(crate) then: Option<usize>,
    /// Which elements of the first product the second one needs, if not all. It reads parameters of the body.
    pub(crate) mask: Option<Mask<M>>,
}

/// What an input of the rest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The product.
    Product,
    /// A parameter of the body.
    Parameter(usize),
}

impl<R, M> Product<R, M> {
    /// The same with what was made of its programs.
    pub(crate) fn with<S, N>(self, rest: S, mask: Option<Mask<N>>) -> Product<S, N> {
        let Product { operands, inputs, then, .. } = self;
        Product { operands, inputs, rest, then, mask }
    }
}

/// Takes a body apart at its product, if it has one.
pub(crate) fn product(body: &Body) -> Option<Product<Graph>> {
    let (product, operands) = body.product()?;
    let second = body.second_product();
    let is_second = |id: NodeId| second.is_some_and(|(second, ..)| second == id);
    let mut rest = Graph::unbounded("rest");
    let mut ids: HashMap<NodeId, NodeId> = HashMap::new();
    let mut inputs = Vec::new();
    for id in body.domain() {
        inputs.push(match body.node(id) {
            Node::Input(index) => Source::Parameter(*index as usize),
            _ => Source::Product,
        });
        let parameter = rest.parameter("", body.dtype(id), body.shape(id).clone());
        ids.insert(id, parameter.expect("an unbounded graph has room"));
    }
    let is_rest = |id: NodeId, node: &Node| {
        id != product && !is_second(id) && !matches!(node, Node::Input(_))
    };
    for (id, node) in body.iter().filter(|&(id, node)| is_rest(id, node)) {
        let operands: Vec<NodeId> = node.operands().iter().map(|operand| ids[operand]).collect();
        let copied = rest.copy_node(body, id, &operands).expect("it was valid in the body");
        ids.insert(id, copied);
    }
    match second {
        Some((_, left, _)) => rest.output(ids[&left]),
        None => body.outputs().iter().for_each(|output| rest.output(ids[output])),
    }
    let then = second.map(|(.., right)| right);
    let mask = then.and_then(|_| mask(&rest, ids[&product]));
    let (mask, rest) = match mask {
        Some((Mask { needed, inputs: read }, rest)) => {
            let parameter = |input: usize| match inputs[input] {
                Source::Parameter(at) => at,
                Source::Product => unreachable!("a mask is known before the product"),
            };
            let inputs = read.into_iter().map(parameter).collect();
            (Some(Mask { needed, inputs }), rest)
        }
        None => (None, rest),
    };
    Some(Product { operands, inputs, rest, then, mask })
}
