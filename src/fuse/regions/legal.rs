//! What may run in one region. What may but need not is a matter of policy (`absorb`).

use super::cuts;
use super::rows::{Rows, RowsId};
use super::siblings::{DomainId, Domains};
use kiln_ir::{Graph, Node, NodeId};
use std::collections::BTreeSet;

/// Why a value is not computed in the region of an op that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// It is not part of any region but an input, a number, or the result of a call.
    NotElementwise,
    /// It crosses a cut: it is computed once, whatever loading it costs.
    Cut,
}

/// What outputs of one region have in common: the level of calls, the stretch and the domain.
pub(super) type Group = (u32, u32, Domain);

/// What a region that stores a value loops over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Domain {
    /// The elements of an array.
    Elements(DomainId),
    /// Rows, of which it has reductions.
    Rows(RowsId),
}

/// What is legal in one graph.
pub(super) struct Legal<'a> {
    graph: &'a Graph,
    pub(super) rows: Rows,
    /// Which stretch between two cuts each node is in.
    stretches: Vec<u32>,
    /// Which values cross a cut.
    crosses: Vec<bool>,
    levels: Vec<Level>,
    /// Values that must be in memory: outputs, operands of calls, and what crosses a cut.
    stored: BTreeSet<NodeId>,
}

impl<'a> Legal<'a> {
    /// With at most `most` ops in one region, and reductions along these rows.
    pub(super) fn new(graph: &'a Graph, most: usize, rows: Rows) -> Legal<'a> {
        let fuses = |id: NodeId| fuses(graph, &rows, id);
        let stretches = cuts::stretches(graph, most, fuses);
        let mut crosses = vec![false; graph.nodes().len()];
        let mut stored: BTreeSet<NodeId> = graph.outputs().iter().copied().collect();
        for (id, node) in graph.iter() {
            match node {
                _ if fuses(id) => {
                    let is_cut = |arg: &NodeId| stretches[arg.index()] != stretches[id.index()];
                    for arg in node.operands().into_iter().filter(|&arg| fuses(arg)).filter(is_cut)
                    {
                        crosses[arg.index()] = true;
                        stored.insert(arg);
                    }
                }
                // What is looked at alone need not be there, but what has its shape does.
                Node::Call(call, args) => {
                    let (read, looked_at) = args.split_at(call.read_count(args.len()));
                    stored.extend(read);
                    stored.extend(looked_at.iter().filter(|&&arg| fuses(arg)));
                }
                _ => {}
            }
        }
        let levels = levels(graph, &rows);
        Legal { graph, rows, stretches, crosses, levels, stored }
    }

    /// Whether a value may be computed in the regions that read it.
    pub(super) fn join(&self, producer: NodeId) -> Result<(), Apart> {
        if !fuses(self.graph, &self.rows, producer) {
            return Err(Apart::NotElementwise);
        }
        if self.crosses[producer.index()] { Err(Apart::Cut) } else { Ok(()) }
    }

    /// What an output shares with those that one region may store along with it.
    ///
    /// Values of one level cannot depend on each other through a call, and a stretch loads only
    /// from earlier ones, so the joint region never waits for itself.
    pub(super) fn group(&self, output: NodeId, domains: &Domains) -> Result<Group, Apart> {
        if !fuses(self.graph, &self.rows, output) {
            return Err(Apart::NotElementwise);
        }
        let at = output.index();
        let Level { calls, rows } = self.levels[at];
        let rows = rows.or_else(|| self.rows.of_shape(self.graph.shape(output)));
        let domain = match rows {
            Some(rows) => Domain::Rows(rows),
            None => Domain::Elements(domains.of_node(output)),
        };
        Ok((calls, self.stretches[at], domain))
    }

    /// The rows of the reductions that a value is computed of.
    pub(super) fn rows_of(&self, id: NodeId) -> Option<RowsId> {
        self.levels[id.index()].rows
    }

    /// What must be in memory, whatever policies say.
    pub(super) fn stored(&self) -> &BTreeSet<NodeId> {
        &self.stored
    }
}

/// Whether a node may be part of a region.
fn fuses(graph: &Graph, rows: &Rows, id: NodeId) -> bool {
    matches!(graph.node(id), Node::Op(..)) || rows.of_reduction(id).is_some()
}

/// Where a value stands among the calls of its graph.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// The largest number of calls on a path to it, not counting reductions of the rows that it is
    /// computed of.
    calls: u32,
    /// The rows of the reductions on paths from the last of those calls.
    rows: Option<RowsId>,
}

fn levels(graph: &Graph, rows: &Rows) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<Level> = node.operands().iter().map(|id| levels[id.index()]).collect();
        let calls = operands.iter().map(|level| level.calls).max().unwrap_or(0);
        let mut below = operands.iter().filter(|level| level.calls == calls);
        let below_rows = below.clone().find_map(|level| level.rows);
        let agree = below.all(|level| level.rows.is_none() || level.rows == below_rows);
        levels.push(match (node, rows.of_reduction(id)) {
            (_, Some(own)) if agree && below_rows.is_none_or(|below| below == own) => {
                Level { calls, rows: Some(own) }
            }
            (_, Some(own)) => Level { calls: calls + 1, rows: Some(own) },
            // What it is of stands in memory.
            (Node::Call(call, args), None)
                if call.is_free() && !args.iter().any(|&arg| fuses(graph, rows, arg)) =>
            {
                Level { calls, rows: below_rows }
            }
            (Node::Call(..), None) => Level { calls: calls + 1, rows: None },
            _ if agree => Level { calls, rows: below_rows },
            // One region cannot hold them all, so it loads some.
            _ => Level { calls: calls + 1, rows: None },
        });
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::{Apart, Domain, Legal};
    use crate::fuse::regions::rows::Rows;
    use crate::fuse::regions::siblings::Domains;
    use kiln_ir::{Node, NodeId, Op, parse};

    #[test]
    fn reasons_are_given() {
        let graph = parse("exp(a @ b) * 2 + tanh(a @ b)").unwrap();
        let find = |wanted: fn(&Node) -> bool| -> Vec<NodeId> {
            graph.iter().filter(|(_, node)| wanted(node)).map(|(id, _)| id).collect()
        };
        let whole = Legal::new(&graph, 512, Rows::of(&graph));
        let product = find(|node| matches!(node, Node::Call(..)))[0];
        assert_eq!(whole.join(product), Err(Apart::NotElementwise));
        let exp = find(|node| matches!(node, Node::Op(Op::Exp, _)))[0];
        assert_eq!(whole.join(exp), Ok(()));
        let domains = Domains::of(&graph);
        assert_eq!(whole.group(product, &domains), Err(Apart::NotElementwise));
        assert_eq!(whole.group(exp, &domains).unwrap().0, 1);
        // Two ops a region: the cut comes after the product by 2.
        let scaled = find(|node| matches!(node, Node::Op(Op::Mul, _)))[0];
        assert_eq!(Legal::new(&graph, 2, Rows::of(&graph)).join(scaled), Err(Apart::Cut));
    }

    /// Reductions along the same axes of arrays of one shape join; others are calls between levels.
    #[test]
    fn rows_are_levels() {
        let text = "kernel k(x: f32[n, d]) {
            let e = exp(x - max[-1](x));
            let s = e / sum[1](e);
            (s, sum[0](s), x * 2, any[-1](x > 0))
        }";
        let graph = parse(text).unwrap();
        let legal = Legal::new(&graph, 512, Rows::of(&graph));
        let domains = Domains::of(&graph);
        let groups: Vec<_> =
            graph.outputs().iter().map(|&output| legal.group(output, &domains).unwrap()).collect();
        assert_eq!(groups[0], groups[3]);
        assert!(matches!(groups[0], (0, 0, Domain::Rows(_))));
        assert!(matches!(groups[1], (1, 0, Domain::Rows(_))) && groups[1].2 != groups[0].2);
        // Its shape is reduced along rows of two kinds.
        assert!(matches!(groups[2], (0, 0, Domain::Elements(_))));
        let calls = Legal::new(&graph, 512, Rows::none());
        assert_eq!(calls.join(graph.outputs()[1]), Err(Apart::NotElementwise));
    }
}
