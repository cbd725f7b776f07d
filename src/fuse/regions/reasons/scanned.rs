//! Scans and products that are not one kernel.

use super::{Program, Reason, Step};
use crate::fuse::regions::legal::is_scan;
use kiln_ir::NodeId;

impl Program<'_> {
    /// Why a kernel that loads a value is not one with what stores it, if one has a product and the other a scan.
    pub(super) fn scanned(&self, from: usize, value: NodeId, at: usize) -> Option<Reason> {
        let reason =
            |step: usize, scan| Reason::Scanned { step: step + 1, noun: self.noun_of(scan) };
        let region = self.steps[at].region.as_ref()?;
        if self.product_of(from).is_some() || self.multiplies(from) {
            let mut ops = region.ops.iter().copied();
            return Some(reason(at, ops.find(|&id| is_scan(self.graph.node(id)))?));
        }
        let is_held = self.product(region).is_some() && !self.factors(region).contains(&value);
        (is_held && is_scan(self.graph.node(value))).then(|| reason(from, value))
    }

    /// Whether a step is a product, a pass by itself.
    pub(super) fn multiplies(&self, step: usize) -> bool {
        let Step { region, stores, .. } = &self.steps[step];
        let is_product = |&id: &NodeId| self.absorber.legal.holds_product(id);
        region.is_none() && stores.first().is_some_and(is_product)
    }
}
