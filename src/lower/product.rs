//! A fused body with a product: what it multiplies, and what it computes of the result.

use super::mask::{Mask, mask};
use kiln_ir::{Body, DType, Graph, Node, NodeId};
use std::collections::HashMap;

/// A body in two parts, or three if it has a second product; or its rest, and a product of that.
#[derive(Clone, Debug)]
pub(crate) struct Product<R, C = Graph> {
    /// The parameters that are multiplied; none where what the rest computes is multiplied alone.
    pub(crate) operands: Option<[usize; 2]>,
    /// What the rest reads, input by input: the product, or a parameter of the body.
    pub(crate) inputs: Vec<Source>,
    /// What is computed of the result, with the outputs of the body, or the left operand of its second
    /// product. Where that has a mask, there may be one output more, not 0 for rows that may leave out what is masked.
    pub(crate) rest: R,
    /// What is done with that operand, if there is a second product.
    pub(crate) then: Option<Then<C>>,
    /// Which elements of the first product the second one needs, if not all. It reads parameters of the body.
    pub(crate) mask: Option<Mask<C>>,
}

/// A second product.
#[derive(Clone, Debug)]
pub(crate) struct Then<C> {
    /// The type of its left operand.
    pub(crate) left: DType,
    /// The parameter that is its right operand.
    pub(crate) right: usize,
    /// What is computed of its elements, with the outputs of the body, if that is not the product alone.
    pub(crate) tail: Option<Tail<C>>,
}

/// Elementwise ops on a second product.
#[derive(Clone, Debug)]
pub(crate) struct Tail<C> {
    /// What it reads, input by input: the product, or a parameter of the body.
    pub(crate) inputs: Vec<Source>,
    /// What it computes.
    pub(crate) program: C,
}

/// What an input of a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The product.
    Product,
    /// A parameter of the body.
    Parameter(usize),
}

impl<R, C> Product<R, C> {
    /// The same with what was made of its programs.
    pub(crate) fn try_map<S, D, E>(
        self,
        rest: S,
        mut change: impl FnMut(C) -> Result<D, E>,
    ) -> Result<Product<S, D>, E> {
        let Product { operands, inputs, then, mask, .. } = self;
        let mask = match mask {
            Some(Mask { needed, inputs }) => Some(Mask { needed: change(needed)?, inputs }),
            None => None,
        };
        let then = match then {
            Some(Then { left, right, tail }) => {
                let tail = match tail {
                    Some(Tail { inputs, program }) => {
                        Some(Tail { inputs, program: change(program)? })
                    }
                    None => None,
                };
                Some(Then { left, right, tail })
            }
            None => None,
        };
        Ok(Product { operands, inputs, rest, then, mask })
    }
}

/// Takes a body apart at its products, if it has one.
pub(crate) fn product(body: &Body) -> Option<Product<Graph>> {
    let (first, second) = (body.product(), body.second_product());
    if first.is_none() && second.is_none() {
        return None;
    }
    let product = first.map(|(product, _)| product);
    let (inputs, rest, ids) = match second {
        None => part(body, product, body.domain(), body.outputs()),
        Some((_, left, _)) => part(body, product, body.domain(), &[left]),
    };
    let mask = product.filter(|_| second.is_some()).and_then(|id| mask(&rest, ids[&id]));
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
    let then = second.map(|(second, left, right)| {
        let tail = (body.outputs() != [second]).then(|| {
            let (inputs, program, _) =
                part(body, Some(second), body.second_domain(), body.outputs());
            Tail { inputs, program }
        });
        Then { left: body.dtype(left), right, tail }
    });
    let operands = first.map(|(_, operands)| operands);
    Some(Product { operands, inputs, rest, then, mask })
}

/// What is computed of a product and of parameters, which `domain` are, as a graph: what its inputs are, and what
/// each value is there.
fn part(
    body: &Body,
    product: Option<NodeId>,
    domain: Vec<NodeId>,
    outputs: &[NodeId],
) -> (Vec<Source>, Graph, HashMap<NodeId, NodeId>) {
    let mut part = Graph::unbounded("rest");
    let mut ids: HashMap<NodeId, NodeId> = HashMap::new();
    let mut inputs = Vec::new();
    for id in domain {
        inputs.push(match body.node(id) {
            Node::Input(index) => Source::Parameter(*index as usize),
            _ => Source::Product,
        });
        let parameter = part.parameter("", body.dtype(id), body.shape(id).clone());
        ids.insert(id, parameter.expect("an unbounded graph has room"));
    }
    let read = body.below(outputs, product);
    for (id, node) in body.iter().filter(|(id, _)| read.contains(id)) {
        if ids.contains_key(&id) {
            continue;
        }
        let operands: Vec<NodeId> = node.operands().iter().map(|operand| ids[operand]).collect();
        let copied = part.copy_node(body, id, &operands).expect("it was valid in the body");
        ids.insert(id, copied);
    }
    outputs.iter().for_each(|output| part.output(ids[output]));
    (inputs, part, ids)
}
