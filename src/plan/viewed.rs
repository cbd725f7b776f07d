//! Values as steps read them: in another order or shape, counted out, or checked.

use super::{Access, Place, Plan};
use kiln_ir::{Call, Graph, Iota, Node, NodeId, View, Within};

/// A value as a step reads it.
#[derive(Clone, Debug)]
pub(crate) struct Viewed {
    /// The value.
    pub(crate) place: Place,
    /// The views of it, each of what those before it give.
    pub(crate) chain: Vec<View>,
    /// Which of the shapes of a call it has.
    pub(crate) shape: usize,
}

/// Places along an axis. They take no step: one array of numbers serves all that read some.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) iota: Iota,
    /// The values whose shapes say how many there are.
    pub(crate) of: Vec<Access>,
    /// Which of the shapes of a call they have.
    pub(crate) shape: usize,
}

/// Places that must be along an axis.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) within: Within,
    pub(crate) places: Access,
    /// The values whose shapes say which places there are.
    pub(crate) of: Vec<Access>,
    /// The step before which they are checked.
    pub(crate) step: usize,
}

impl<K> Plan<K> {
    /// What a step reads or writes, as text; `named` names what has memory of its own.
    pub(crate) fn text_of(&self, access: &Access, named: &impl Fn(Place) -> String) -> String {
        let name = match access.place {
            Place::Numbers(index) => {
                let Numbers { iota, of, .. } = &self.numbers[index];
                let of: Vec<String> = of.iter().map(|of| self.text_of(of, named)).collect();
                let of: Vec<&str> = of.iter().map(String::as_str).collect();
                Call::Iota(*iota).expression(&of)
            }
            place => named(place),
        };
        let chain = access.view.map_or(&[][..], |view| &self.views[view].chain);
        chain.iter().fold(name, |of, &view| Call::View(view).expression(&[&of]))
    }
}

/// What is read where a node is: a value, views of it, the innermost first, and the checks on the way.
pub(super) fn viewed(graph: &Graph, mut id: NodeId) -> (NodeId, Vec<View>, Vec<(Within, NodeId)>) {
    let (mut chain, mut checks) = (Vec::new(), Vec::new());
    while let Node::Call(call, args) = graph.node(id) {
        match call {
            Call::View(view) => chain.push(*view),
            Call::Within(within) => checks.push((*within, id)),
            _ => break,
        }
        id = args[0];
    }
    chain.reverse();
    (id, chain, checks)
}
