//! Which producers a region absorbs: everything legal, except what a policy leaves out.

use super::cost::{is_dear, is_smaller};
use super::legal::Legal;
use super::region::Region;
use super::rows::RowsId;
use crate::fuse::cost_model::CostModel;
use kiln_ir::{Graph, NodeId};
use std::collections::{HashMap, HashSet};

/// Which producers a region absorbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Policy {
    /// All of them.
    All,
    /// All except those stored anyway: these are loaded instead of computed again.
    LoadStored,
    /// All except dear ones over a smaller domain: these are computed once, not for every element.
    /// And except what is computed of reductions that the region cannot hold.
    Hoist,
    /// All except both of these.
    HoistAndLoadStored,
}

impl Policy {
    fn loads_stored(self) -> bool {
        matches!(self, Policy::LoadStored | Policy::HoistAndLoadStored)
    }

    fn hoists(self) -> bool {
        matches!(self, Policy::Hoist | Policy::HoistAndLoadStored)
    }
}

/// What an absorbing walk came upon.
pub(super) struct Met {
    /// A value that is stored anyway.
    pub(super) stored: bool,
    /// One that is better computed elsewhere.
    pub(super) dear: bool,
}

/// Makes regions.
pub(super) struct Absorber<'a> {
    graph: &'a Graph,
    model: &'a CostModel,
    pub(super) legal: Legal<'a>,
    /// Whose regions are known to be worth a pass of their own, or not to be.
    dear: HashMap<(Policy, NodeId), bool>,
}

impl<'a> Absorber<'a> {
    pub(super) fn new(graph: &'a Graph, model: &'a CostModel, legal: Legal<'a>) -> Absorber<'a> {
        Absorber { graph, model, legal, dear: HashMap::new() }
    }

    /// The region of these outputs that absorbs what a policy allows, and what it met.
    pub(super) fn absorb(&mut self, policy: Policy, outputs: &[NodeId]) -> (Region, Met) {
        let mut inside: HashSet<NodeId> = outputs.iter().copied().collect();
        let mut pending = outputs.to_vec();
        let mut ops = Vec::new();
        let mut met = Met { stored: false, dear: false };
        // The first reduction says what the rows of the region are.
        let mut rows = outputs.iter().find_map(|&output| self.legal.rows.of_reduction(output));
        while let Some(consumer) = pending.pop() {
            ops.push(consumer);
            for producer in self.graph.node(consumer).operands() {
                if inside.contains(&producer) || self.legal.join(producer).is_err() {
                    continue;
                }
                let along = self.legal.rows.of_reduction(producer);
                if let Some(along) = along
                    && !self.admits(rows, along, &inside)
                {
                    continue;
                }
                let stored = self.legal.stored().contains(&producer);
                // What is computed of reductions belongs to their region, which has it once a row.
                let dear = match self.legal.rows_of(producer) {
                    Some(of) => !self.admits(rows, of, &inside),
                    None => {
                        is_smaller(self.graph, producer, consumer) && self.is_dear(policy, producer)
                    }
                };
                met.stored |= stored;
                met.dear |= dear;
                if !(policy.loads_stored() && stored || policy.hoists() && dear) {
                    rows = rows.or(along);
                    inside.insert(producer);
                    pending.push(producer);
                }
            }
        }
        ops.sort_unstable();
        (Region { ops, outputs: outputs.to_vec() }, met)
    }

    /// Whether a region of these rows may hold a reduction along those, beside what it holds.
    fn admits(&self, rows: Option<RowsId>, along: RowsId, inside: &HashSet<NodeId>) -> bool {
        let admits = |&id: &NodeId| self.legal.rows.admit(along, self.graph.shape(id));
        rows.is_none_or(|rows| rows == along) && inside.iter().all(admits)
    }

    fn is_dear(&mut self, policy: Policy, id: NodeId) -> bool {
        if let Some(&known) = self.dear.get(&(policy, id)) {
            return known;
        }
        let (region, _) = self.absorb(policy, &[id]);
        let dear = is_dear(&region, self.graph, self.model);
        self.dear.insert((policy, id), dear);
        dear
    }
}
