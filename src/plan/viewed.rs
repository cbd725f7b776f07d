//! Values as steps read them: in another order or shape, counted out, or checked; and outputs as steps write them.

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

/// An output that is views of what a step gives.
#[derive(Clone, Debug)]
pub(crate) struct Through {
    /// Which output it is.
    pub(crate) output: usize,
    /// The views, each of what those before it give. They leave out no element.
    pub(crate) chain: Vec<View>,
    /// Which of the shapes of a call has what the step gives.
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
    /// The views that an output is of what a step gives.
    pub(crate) fn chain_of(&self, place: Place) -> &[View] {
        let is_it = |through: &&Through| place == Place::Output(through.output);
        self.through.iter().find(is_it).map_or(&[][..], |through| &through.chain)
    }

    /// What a step writes, by its name; an output that is a view of what the step gives is told to be that.
    pub(crate) fn through_text(&self, place: Place, name: String) -> String {
        let chain = self.chain_of(place).iter();
        let view = chain.fold("..".to_string(), |of, &view| Call::View(view).expression(&[&of]));
        if view == ".." { name } else { format!("{name} as {view}") }
    }

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

/// What an output is of what a step gives, and what that is where the step writes it.
pub(super) fn written_through(graph: &Graph, output: NodeId) -> (NodeId, Vec<View>) {
    let (id, chain, checks) = viewed(graph, output);
    assert!(checks.is_empty() && chain.iter().all(|view| view.is_one_to_one()), "{graph}");
    (id, chain)
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
