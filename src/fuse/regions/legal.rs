//! What may run in one region. What may, but need not, is a matter of policy (`absorb`).

use super::cuts;
use super::siblings::{DomainId, Domains};
use kiln_ir::{Graph, Node, NodeId};
use std::collections::BTreeSet;

/// Why a value is not computed in the region of an op that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// It is no elementwise op: an input, a number, or what a call makes.
    NotElementwise,
    /// It crosses a cut: it is computed once, whatever it costs to load it.
    Cut,
}

/// What outputs of one region have in common: the level of calls, the stretch and the domain.
pub(super) type Group = (u32, u32, DomainId);

/// What is legal in one graph.
pub(super) struct Legal<'a> {
    graph: &'a Graph,
    /// Which stretch between two cuts each node is in.
    stretches: Vec<u32>,
    /// Which values cross a cut.
    crosses: Vec<bool>,
    /// The largest number of calls on a path to each node.
    levels: Vec<u32>,
    /// Ops whose value must be in memory: outputs, operands of calls, and what crosses a cut.
    stored: BTreeSet<NodeId>,
}

impl<'a> Legal<'a> {
    /// With at most `most` ops in one region.
    pub(super) fn new(graph: &'a Graph, most: usize) -> Legal<'a> {
        let stretches = cuts::stretches(graph, most);
        let mut crosses = vec![false; graph.nodes().len()];
        let mut stored: BTreeSet<NodeId> = graph.outputs().iter().copied().collect();
        for (id, node) in graph.iter() {
            match node {
                Node::Call(_, args) => stored.extend(args.iter().copied()),
                Node::Op(_, args) => {
                    let is_cut = |arg: &&NodeId| stretches[arg.index()] != stretches[id.index()];
                    let is_op = |arg: &&NodeId| matches!(graph.node(**arg), Node::Op(..));
                    for &arg in args.iter().filter(is_op).filter(is_cut) {
                        crosses[arg.index()] = true;
                        stored.insert(arg);
                    }
                }
                _ => {}
            }
        }
        Legal { graph, stretches, crosses, levels: levels(graph), stored }
    }

    /// Whether a value may be computed in the regions that read it.
    pub(super) fn join(&self, producer: NodeId) -> Result<(), Apart> {
        if !matches!(self.graph.node(producer), Node::Op(..)) {
            return Err(Apart::NotElementwise);
        }
        if self.crosses[producer.index()] { Err(Apart::Cut) } else { Ok(()) }
    }

    /// What an output has in common with those that one region may store beside it.
    ///
    /// Values of one level cannot depend on each other through a call, and what a stretch loads of
    /// another comes from an earlier one, so the joint region never waits for itself.
    pub(super) fn group(&self, output: NodeId, domains: &Domains) -> Result<Group, Apart> {
        if !matches!(self.graph.node(output), Node::Op(..)) {
            return Err(Apart::NotElementwise);
        }
        let at = output.index();
        Ok((self.levels[at], self.stretches[at], domains.of_node(output)))
    }

    /// What must be in memory, whatever policies say.
    pub(super) fn stored(&self) -> &BTreeSet<NodeId> {
        &self.stored
    }
}

fn levels(graph: &Graph) -> Vec<u32> {
    let mut levels: Vec<u32> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let below = node.operands().iter().map(|id| levels[id.index()]).max().unwrap_or(0);
        levels.push(below + u32::from(matches!(node, Node::Call(..))));
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::{Apart, Legal};
    use crate::fuse::regions::siblings::Domains;
    use kiln_ir::{Node, NodeId, Op, parse};

    #[test]
    fn reasons_are_given() {
        let graph = parse("exp(a @ b) * 2 + tanh(a @ b)").unwrap();
        let find = |wanted: fn(&Node) -> bool| -> Vec<NodeId> {
            graph.iter().filter(|(_, node)| wanted(node)).map(|(id, _)| id).collect()
        };
        let whole = Legal::new(&graph, 512);
        let product = find(|node| matches!(node, Node::Call(..)))[0];
        assert_eq!(whole.join(product), Err(Apart::NotElementwise));
        let exp = find(|node| matches!(node, Node::Op(Op::Exp, _)))[0];
        assert_eq!(whole.join(exp), Ok(()));
        let domains = Domains::of(&graph);
        assert_eq!(whole.group(product, &domains), Err(Apart::NotElementwise));
        assert_eq!(whole.group(exp, &domains).unwrap().0, 1);
        // Two ops a region: the cut is behind the product by 2.
        let scaled = find(|node| matches!(node, Node::Op(Op::Mul, _)))[0];
        assert_eq!(Legal::new(&graph, 2).join(scaled), Err(Apart::Cut));
    }
}
