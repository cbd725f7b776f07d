//! Which producers a region absorbs: everything legal, except what a policy leaves out.

use super::cost::{is_dear, is_smaller};
use super::legal::{Legal, is_scan};
use super::region::Region;
use super::rows::RowsId;
use crate::fuse::cost_model::CostModel;
use kiln_ir::{Graph, Node, NodeId};
use std::collections::{HashMap, HashSet};

/// Which producers a region leaves out, of those that it may absorb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Policy {
    /// Those stored anyway: these are loaded instead of computed again.
    pub(super) loads_stored: bool,
    /// Dear ones over a smaller domain: these are computed once, not for every element. And what is
    /// computed of reductions that the region cannot hold, and scans.
    pub(super) hoists: bool,
    /// The product: it is a pass of its own.
    pub(super) loads_product: bool,
}

impl Policy {
    /// None of them.
    pub(super) const ALL: Policy =
        Policy { loads_stored: false, hoists: false, loads_product: false };

    /// The other policies that make a difference, where a region that absorbs all met this.
    pub(super) fn others(met: &Met) -> impl Iterator<Item = Policy> {
        let either = |is_met: bool| if is_met { &[false, true][..] } else { &[false] };
        let [stored, dear, product] = [met.stored, met.dear, met.product].map(either);
        let policies = product.iter().flat_map(move |&loads_product| {
            dear.iter().flat_map(move |&hoists| {
                let policy =
                    move |&loads_stored: &bool| Policy { loads_stored, hoists, loads_product };
                stored.iter().map(policy)
            })
        });
        policies.skip(1)
    }
}

/// What an absorbing walk came upon.
#[derive(Default)]
pub(super) struct Met {
    /// A value that is stored anyway.
    pub(super) stored: bool,
    /// One that is better computed elsewhere.
    pub(super) dear: bool,
    /// The product that it may hold.
    pub(super) product: bool,
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
        let mut met = Met::default();
        let product = self.legal.product_of(outputs[0]);
        // The operands of a product must be in memory.
        let held = product.filter(|_| !policy.loads_product);
        let multiplied = held.map_or_else(Vec::new, |product| self.graph.node(product).operands());
        // The first reduction or scan says what the rows of the region are.
        let mut rows = outputs.iter().find_map(|&output| self.legal.rows.of_call(output));
        while let Some(consumer) = pending.pop() {
            ops.push(consumer);
            if held == Some(consumer) {
                continue;
            }
            for producer in self.graph.node(consumer).operands() {
                let is_apart = self.legal.join(producer).is_err() || multiplied.contains(&producer);
                if inside.contains(&producer) || is_apart {
                    continue;
                }
                if self.legal.holds_product(producer) {
                    if product == Some(producer) {
                        met.product = true;
                        if held.is_some() {
                            inside.insert(producer);
                            pending.push(producer);
                        }
                    }
                    continue;
                }
                let along = self.legal.rows.of_call(producer);
                let scans = is_scan(self.graph.node(producer));
                if let Some(along) = along
                    && (scans && held.is_some()
                        || !(self.admits(held, rows, along, &inside)
                            && self.is_beside(held, producer)))
                {
                    continue;
                }
                let stored = self.legal.stored().contains(&producer);
                // What is computed of reductions belongs to their region, which has it once a row.
                let dear = match self.legal.rows_of(producer) {
                    Some(of) => !self.admits(held, rows, of, &inside),
                    None => {
                        is_smaller(self.graph, producer, consumer) && self.is_dear(policy, producer)
                    }
                };
                // It takes longer than what it reads and writes, so it may be better done once.
                let dear = dear || scans;
                met.stored |= stored;
                met.dear |= dear;
                if !(policy.loads_stored && stored || policy.hoists && dear) {
                    rows = rows.or(along);
                    inside.insert(producer);
                    pending.push(producer);
                }
            }
        }
        ops.sort_unstable();
        (Region { ops, outputs: outputs.to_vec() }, met)
    }

    /// The region of a product with what is computed of it for these outputs, and what its left operand is
    /// computed of, be that another product or none, if one may hold all.
    pub(super) fn chain(&mut self, outputs: &[NodeId]) -> Option<Region> {
        let second = self.legal.product_of(outputs[0])?;
        match (self.legal.chained(second), self.legal.headed(second)) {
            (Some(left), _) => {
                let (Region { ops: first, .. }, _) = self.absorb(Policy::ALL, &[left]);
                let product = first.iter().copied().find(|&id| self.legal.holds_product(id))?;
                let has_rows = first.iter().any(|&id| self.legal.rows.of_call(id).is_some());
                let factors = self.graph.node(product).operands();
                if has_rows { self.ended(outputs, second, first, &factors) } else { None }
            }
            (None, Some(left)) => {
                let hoists = Policy { hoists: true, ..Policy::ALL };
                let (all, met) = self.absorb(Policy::ALL, &[left]);
                let first = if met.dear { self.absorb(hoists, &[left]).0 } else { all };
                // A scan is not done some rows at a time.
                let has_scans = first.ops.iter().any(|&id| is_scan(self.graph.node(id)));
                if has_scans { None } else { self.ended(outputs, second, first.ops, &[]) }
            }
            (None, None) => None,
        }
    }

    /// A region of these ops, a product of what they compute, and what follows it.
    fn ended(
        &mut self,
        outputs: &[NodeId],
        second: NodeId,
        first: Vec<NodeId>,
        factors: &[NodeId],
    ) -> Option<Region> {
        if first.contains(&self.graph.node(second).operands()[1]) {
            return None;
        }
        // What is stored may be what the first product multiplies.
        [Policy::ALL, Policy { loads_stored: true, ..Policy::ALL }].into_iter().find_map(|policy| {
            let (Region { ops: tail, .. }, _) = self.absorb(policy, outputs);
            let is_elementwise = |&id: &NodeId| {
                id == second
                    || !factors.contains(&id)
                        && matches!(self.graph.node(id), Node::Op(..))
                        && self.reads_none_of(id, &first, &tail)
            };
            if !tail.contains(&second) || !tail.iter().all(is_elementwise) {
                return None;
            }
            let mut ops: Vec<NodeId> = first.iter().copied().chain(tail).collect();
            ops.sort_unstable();
            ops.dedup();
            Some(Region { ops, outputs: outputs.to_vec() })
        })
    }

    /// Whether an op reads nothing that is computed only in `others`, apart from where it is.
    fn reads_none_of(&self, op: NodeId, others: &[NodeId], own: &[NodeId]) -> bool {
        let operands = self.graph.node(op).operands();
        operands.iter().all(|operand| own.contains(operand) || !others.contains(operand))
    }

    /// Whether a region of this product and these rows may hold a reduction along those, beside what it
    /// holds.
    fn admits(
        &self,
        product: Option<NodeId>,
        rows: Option<RowsId>,
        along: RowsId,
        inside: &HashSet<NodeId>,
    ) -> bool {
        let is_of = |product| self.legal.rows.are_of(along, self.graph, product);
        let admits = |&id: &NodeId| self.legal.rows.admit(along, self.graph.shape(id));
        product.is_none_or(is_of)
            && rows.is_none_or(|rows| rows == along)
            && inside.iter().all(admits)
    }

    /// Whether a reduction is known to be of arrays as large as a product: where ranks are unknown, only what
    /// is computed of the product is.
    fn is_beside(&self, product: Option<NodeId>, reduction: NodeId) -> bool {
        let has_rank = |id: &NodeId| self.graph.shape(*id).dims().is_some();
        let is_of_it = self.legal.product_of(reduction) == product;
        product.is_none() || is_of_it || self.graph.node(reduction).operands().iter().all(has_rank)
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
