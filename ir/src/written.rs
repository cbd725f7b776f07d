//! Where the nodes of a graph were written: for messages on inputs of a call that do not fit together.

use crate::body::BodyMisfit;
use crate::error::{Fault, GraphError, Origin};
use crate::graph::{Graph, Node, NodeId};
use crate::shape::{Dims, broadcast};
use std::sync::Arc;

/// The function that made something, if it is one of several ops, and where it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) function: Option<&'static str>,
    pub(crate) origin: Origin,
}

/// What is known of where the nodes of a graph were written: of the first ones, by index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    nodes: Vec<Option<Written>>,
    /// The text that the nodes were written in.
    text: Option<Arc<str>>,
}

/// The most characters of a text that a message shows.
const SHOWN: usize = 60;

/// Operands that do not fit, and where they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct WrittenMisfit {
    /// What does not fit.
    pub misfit: BodyMisfit<usize>,
    /// The function that it is a part of, as its caller names it: `softmax`.
    pub function: Option<&'static str>,
    /// A line of code, or a place in a text and what is there.
    pub place: Option<String>,
}

impl Graph {
    /// Notes where the nodes from the `first` on were written.
    pub(crate) fn place_nodes(&mut self, first: usize, written: Option<Written>) {
        let count = self.nodes().len();
        let nodes = &mut self.record.nodes;
        nodes.resize(first.max(nodes.len()), None);
        nodes.resize(count.max(nodes.len()), written);
    }

    pub(crate) fn written(&self, id: NodeId) -> Option<Written> {
        self.record.nodes.get(id.index()).copied().flatten()
    }

    /// Takes over the text of another graph, whose nodes these are.
    pub(crate) fn in_text_of(mut self, other: &Graph) -> Graph {
        self.record.text.clone_from(&other.record.text);
        self
    }

    /// The same, written in this text.
    pub(crate) fn in_text(mut self, text: &str) -> Graph {
        self.record.text = Some(text.into());
        self
    }

    /// The first node whose operands do not fit, for inputs of these shapes, one for each.
    #[doc(hidden)]
    pub fn misfit(&self, inputs: &[&[usize]]) -> Option<WrittenMisfit> {
        // A fused kernel has the shapes of its outputs.
        let mut shapes: Vec<Vec<Dims<usize>>> = Vec::with_capacity(self.nodes().len());
        for (id, node) in self.iter() {
            let of = |id: &NodeId| &shapes[id.index()][0][..];
            let found = match node {
                Node::Input(index) => Ok(vec![inputs[*index as usize].into()]),
                Node::Const(_) => Ok(vec![Dims::new()]),
                Node::Op(_, args) => {
                    let operands: Vec<&[usize]> = args.iter().map(of).collect();
                    broadcast(&operands).map(|shape| vec![shape]).map_err(|_| BodyMisfit::Broadcast)
                }
                Node::Call(call, args) => {
                    let operands: Vec<&[usize]> = args.iter().map(of).collect();
                    call.infer(&operands).map(|shape| vec![shape]).map_err(|reason| {
                        let operands = operands.iter().map(|shape| shape.to_vec()).collect();
                        BodyMisfit::Call { call: *call, operands, reason }
                    })
                }
                Node::Fused { body, args } => {
                    let args: Vec<&[usize]> = args.iter().map(of).collect();
                    let outputs = |shapes: Vec<Dims<usize>>| {
                        body.outputs().iter().map(|id| shapes[id.index()].clone()).collect()
                    };
                    body.shapes(&args).map(outputs)
                }
                Node::Item { of, index } => Ok(vec![shapes[of.index()][*index as usize].clone()]),
            };
            match found {
                Ok(found) => shapes.push(found),
                Err(misfit) => {
                    let written = self.written(id);
                    let function = written.and_then(|written| written.function);
                    let place = written.map(|written| self.record.shown(written.origin));
                    return Some(WrittenMisfit { misfit, function, place });
                }
            }
        }
        None
    }
}

impl Record {
    /// A place as a message names it.
    fn shown(&self, origin: Origin) -> String {
        match (origin, &self.text) {
            (Origin::Code(location), _) => location.to_string(),
            (Origin::Text { start, end }, Some(text)) => {
                let line = text[..start].matches('\n').count() + 1;
                let column = text[..start].chars().rev().take_while(|c| *c != '\n').count() + 1;
                let words: Vec<&str> = text[start..end].split_whitespace().collect();
                let words = words.join(" ");
                match words.char_indices().nth(SHOWN) {
                    Some((cut, _)) => format!("{line}:{column}, `{}..`", &words[..cut]),
                    None => format!("{line}:{column}, `{words}`"),
                }
            }
            (Origin::Text { start, .. }, None) => format!("byte {start}"),
        }
    }
}

impl GraphError {
    /// What is wrong, without where: a fault of what a function is made of names the function.
    pub(crate) fn told(&self) -> String {
        match (self.function, &self.fault) {
            (Some(function), Fault::Call { operands, reason, .. }) => {
                let call = function;
                Fault::Call { call, operands: operands.clone(), reason: reason.clone() }.to_string()
            }
            (Some(function), fault) => {
                let text = fault.to_string();
                let is_named = text.strip_prefix(function).is_some_and(|rest| {
                    rest.starts_with(':') || rest.starts_with(" of the number")
                });
                if is_named { text } else { format!("{function}: {text}") }
            }
            (None, fault) => fault.to_string(),
        }
    }
}
