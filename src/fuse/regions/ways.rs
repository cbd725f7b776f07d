//! The ways to compute each value: an e-graph in the form that extraction takes, with no rules left
//! to match.

use super::cost::{cost, cost_of_call};
use super::region::Region;
use crate::fuse::cost_model::CostModel;
use crate::fuse::extract::{Alternative, Choice, ClassId, NONE, Problem, mix};
use kiln_ir::{Call, Graph, NodeId};

/// One way to compute what a class stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RegionNode {
    /// It is given.
    Input(NodeId),
    /// A pass by itself.
    Call(NodeId, Call),
    /// The kernel of a region, over what it loads.
    Region(Region),
    /// One output of a region that has several.
    Item(usize),
}

impl RegionNode {
    /// Cost and a structural hash, both without children.
    fn weigh(&self, graph: &Graph, model: &CostModel) -> (u64, u64) {
        match self {
            RegionNode::Input(id) => (0, id.index() as u64),
            RegionNode::Call(id, _) => (cost_of_call(graph, *id), 1 << 40),
            RegionNode::Item(item) => (0, (1 << 41) + *item as u64),
            RegionNode::Region(region) => {
                let hash = |h, id: &NodeId| mix(h ^ id.index() as u64);
                let label = region.ops.iter().chain(&region.outputs).fold(1 << 42, hash);
                (cost(region, graph, model), label)
            }
        }
    }
}

/// Classes of equal ways: for the values that are stored or loaded, and for regions with several
/// outputs.
#[derive(Default)]
pub(super) struct Ways {
    problem: Problem,
    /// What each alternative of the problem is.
    nodes: Vec<Vec<RegionNode>>,
    /// Siblings together: starting from single regions, a climb would have to move several at once.
    start: Choice,
}

impl Ways {
    /// A class with no known way yet.
    pub(super) fn add_class(&mut self) -> ClassId {
        self.problem.classes.push(Vec::new());
        self.nodes.push(Vec::new());
        self.start.push(NONE);
        self.nodes.len() - 1
    }

    /// Adds a way to compute a class, unless it is there already, and returns its index.
    pub(super) fn add(
        &mut self,
        class: ClassId,
        node: RegionNode,
        children: &[ClassId],
        (graph, model): (&Graph, &CostModel),
    ) -> u32 {
        let alternatives = &mut self.problem.classes[class];
        let known = self.nodes[class].iter().zip(&*alternatives);
        let mut known = known.map(|(known, way)| *known == node && way.children[..] == *children);
        if let Some(at) = known.position(|is_known| is_known) {
            return at as u32;
        }
        let (cost, label) = node.weigh(graph, model);
        alternatives.push(Alternative { cost, label, unordered: 0, children: children.into() });
        self.nodes[class].push(node);
        alternatives.len() as u32 - 1
    }

    /// Starts the search with this way.
    pub(super) fn begin_with(&mut self, class: ClassId, way: u32) {
        self.start[class] = way;
    }

    /// The cheapest ways found to compute `roots`, children first: each class, and what it reads.
    pub(super) fn extract(
        &mut self,
        roots: Vec<ClassId>,
    ) -> impl Iterator<Item = (ClassId, &RegionNode, &[ClassId])> {
        self.problem.roots = roots;
        let choice = self.problem.extract(&self.start);
        let order = self.problem.order(&choice).expect("extraction yields an acyclic choice");
        let (problem, nodes) = (&self.problem, &self.nodes);
        order.into_iter().map(move |class| {
            let chosen = choice[class] as usize;
            (class, &nodes[class][chosen], &problem.classes[class][chosen].children[..])
        })
    }
}
