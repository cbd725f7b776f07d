//! Values that one region may store together: equal domains, and no path from one to another.

use super::legal::{Group, Legal};
use kiln_ir::{Graph, NodeId, Shape};
use std::collections::{BTreeMap, HashMap};

/// An iteration domain of a graph.
pub(super) type DomainId = u32;

/// Which nodes are known to have one iteration domain.
pub(in crate::fuse) struct Domains(Vec<DomainId>);

impl Domains {
    /// The domains of a graph: nodes of equal shape share one.
    pub(in crate::fuse) fn of(graph: &Graph) -> Domains {
        let mut ids: HashMap<&Shape, DomainId> = HashMap::new();
        let domain = |(id, _)| {
            let next = ids.len() as DomainId;
            *ids.entry(graph.shape(id)).or_insert(next)
        };
        Domains(graph.iter().map(domain).collect())
    }

    pub(super) fn of_node(&self, id: NodeId) -> DomainId {
        self.0[id.index()]
    }
}

/// The stored values that may share a region, two or more each.
pub(super) fn groups(legal: &Legal<'_>, domains: &Domains) -> Vec<Vec<NodeId>> {
    let mut groups: BTreeMap<Group, Vec<NodeId>> = BTreeMap::new();
    for &id in legal.stored() {
        if let Ok(group) = legal.group(id, domains) {
            groups.entry(group).or_default().push(id);
        }
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}
