//! Phase B: fusion. Merges elementwise ops and reductions into as few passes over memory as pay off.
//!
//! A *region* is a set of ops that run as one kernel: it loads what it reads from outside, and
//! stores its outputs. It may hold reductions ([`rows`]) or a product ([`products`]). The rule
//!
//! > `store ∘ load` between two regions of one iteration domain is nothing
//!
//! absorbs producers into their consumers, everything legal at once (`legal`). So each value gains
//! one region for each policy (`absorb`), not one for each subset (which explodes: a tree of 31 ops
//! has more than 400,000). A pure elementwise graph thus ends as one region by construction. Where
//! that is not the best, extraction decides by bytes moved, passes and recomputation (`cost`).
//!
//! What saturates what: the rules of the algebra saturate an e-graph of all chains of the program,
//! and what is extracted from it comes here. Here there is one rule, whose matches are known
//! beforehand: every value that some region loads, once for each policy. So a matcher has nothing
//! to find, and a plain loop runs until the rule has nothing left to add. The classes that it fills
//! (`ways`) are those of an e-graph, and one extractor serves both.

mod absorb;
mod build;
mod cost;
mod cuts;
mod legal;
mod products;
mod reason;
mod reasons;
mod region;
mod rows;
mod siblings;
mod ways;

use super::cost_model::CostModel;
use super::extract::ClassId;
use super::pass::{PassContext, checked};
use absorb::{Absorber, Policy};
use kiln_ir::{Body, Graph, Input, Node, NodeId};
use legal::Legal;
use products::Products;
use region::Region;
use rows::Rows;
use ways::{RegionNode, Ways};

pub(super) use cost::HOIST_COST;
pub use reason::{Costs, Reason, Separation};
pub(super) use reasons::separations;
pub(super) use siblings::Domains;

/// Most ops in one kernel: beyond it, compile time and spills cost more than memory traffic.
const MAX_REGION: usize = 512;

/// Merges ops into kernels. The result has only inputs, calls, fused kernels and their items.
///
/// One region stores only values of the same domain in `domains`: shapes of `graph` may be
/// stand-ins.
pub(super) fn merge(graph: &Graph, domains: &Domains, model: &CostModel) -> Graph {
    kiln_ir::span!(DEBUG, "merge");
    let mut sweep =
        Sweep::new(graph, model, Legal::new(graph, MAX_REGION, Rows::of(graph), Products::Chained));
    sweep.join_siblings(domains);
    sweep.fill();
    sweep.extract()
}

/// A fused body as a graph in which its last product is a pass by itself; of one without products, each reduction
/// is.
pub(crate) fn apart(body: &Body, model: &CostModel) -> Graph {
    let name = |index: usize| format!("v{index}");
    let input =
        |(index, input): (usize, &Input)| Input { name: name(index), dims: None, ..input.clone() };
    let inputs: Vec<Input> = body.inputs().iter().enumerate().map(input).collect();
    let mut graph = Graph::with_inputs("apart", &inputs);
    let ids: Vec<NodeId> = (0..inputs.len()).map(|index| graph.input_node(index)).collect();
    let outputs = graph.copy_graph(body, &ids).expect("a body is valid for any shapes");
    outputs.into_iter().for_each(|output| graph.output(output));
    let legal = match (body.product(), body.second_product()) {
        (None, None) => Legal::apart(&graph, MAX_REGION),
        (Some(_), None) => Legal::new(&graph, MAX_REGION, Rows::of(&graph), Products::Apart),
        (_, Some(_)) => Legal::new(&graph, MAX_REGION, Rows::of(&graph), Products::Held),
    };
    let mut sweep = Sweep::new(&graph, model, legal);
    sweep.join_siblings(&Domains::of(&graph));
    sweep.fill();
    checked("apart", &graph, sweep.extract())
}

/// The pass `split`: one kernel for each op, as written. Fusion is compared with it.
pub(crate) fn split(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let mut sweep = Sweep::new(graph, context.model, Legal::apart(graph, usize::MAX));
    for (id, node) in graph.iter() {
        if matches!(node, Node::Op(..)) {
            let class = sweep.class(id);
            sweep.add(class, Region { ops: vec![id], outputs: vec![id] });
        }
    }
    sweep.extract()
}

/// Fills in the ways to compute each value.
struct Sweep<'a> {
    graph: &'a Graph,
    model: &'a CostModel,
    absorber: Absorber<'a>,
    ways: Ways,
    /// The class of each node's value, if it has one.
    classes: Vec<Option<ClassId>>,
    /// What some region loads and has no region yet.
    wanted: Vec<(NodeId, ClassId)>,
}

impl<'a> Sweep<'a> {
    fn new(graph: &'a Graph, model: &'a CostModel, legal: Legal<'a>) -> Sweep<'a> {
        let mut sweep = Sweep {
            graph,
            model,
            absorber: Absorber::new(graph, model, legal),
            ways: Ways::default(),
            classes: vec![None; graph.nodes().len()],
            wanted: Vec::new(),
        };
        for id in sweep.absorber.legal.stored().clone() {
            sweep.class(id);
        }
        sweep
    }

    /// The class of a node's value.
    fn class(&mut self, id: NodeId) -> ClassId {
        if let Some(class) = self.classes[id.index()] {
            return class;
        }
        let class = self.ways.add_class();
        self.classes[id.index()] = Some(class);
        match self.graph.node(id) {
            Node::Op(..) => self.wanted.push((id, class)),
            // A number that must be in memory is filled in by a kernel of no ops.
            Node::Const(_) => self.add(class, Region::of_no_ops(id)),
            Node::Call(call, args) => {
                let children: Vec<ClassId> = args.iter().map(|&arg| self.class(arg)).collect();
                self.add_node(class, RegionNode::Call(id, *call), &children);
                if self.absorber.legal.join(id).is_ok() {
                    self.wanted.push((id, class));
                }
            }
            _ => {
                self.add_node(class, RegionNode::Input(id), &[]);
            }
        }
        class
    }

    /// Adds a region as a way to compute a class.
    fn add(&mut self, class: ClassId, region: Region) {
        let operands = region.operands(self.graph);
        let children: Vec<ClassId> = operands.into_iter().map(|id| self.class(id)).collect();
        self.add_node(class, RegionNode::Region(region), &children);
    }

    fn add_node(&mut self, class: ClassId, node: RegionNode, children: &[ClassId]) -> u32 {
        self.ways.add(class, node, children, (self.graph, self.model))
    }

    /// Regions of one output each, for every value that is wanted.
    fn fill(&mut self) {
        while let Some((id, class)) = self.wanted.pop() {
            if let Some(region) = self.absorber.chain(&[id]) {
                self.add(class, region);
            }
            let (all, met) = self.absorber.absorb(Policy::ALL, &[id]);
            // Nothing is gained for a call that absorbs nothing.
            if matches!(self.graph.node(id), Node::Call(..)) && all.ops.len() == 1 {
                continue;
            }
            self.add(class, all);
            for policy in Policy::others(&met) {
                let (region, _) = self.absorber.absorb(policy, &[id]);
                self.add(class, region);
            }
        }
    }

    /// Regions that compute several stored values over one domain, in one pass.
    fn join_siblings(&mut self, domains: &Domains) {
        for group in siblings::groups(&self.absorber.legal, domains) {
            let (all, met) = self.absorber.absorb(Policy::ALL, &group);
            let hoist = Policy { hoists: true, ..Policy::ALL };
            let hoisted = met.dear.then(|| self.absorber.absorb(hoist, &group).0);
            let hoisted = hoisted.filter(|hoisted| *hoisted != all);
            let chain = self.absorber.chain(&group);
            let domain = domains.of_node(group[0]);
            let have_one = group.iter().all(|&id| domains.of_node(id) == domain);
            for region in [Some(all), hoisted, chain].into_iter().flatten() {
                // What nothing in it says to have one domain with the rest may have another.
                if !have_one && !self.absorber.legal.has_calls(&region) {
                    continue;
                }
                let joint = self.ways.add_class();
                self.add(joint, region);
                for (item, &id) in group.iter().enumerate() {
                    let class = self.class(id);
                    let way = self.add_node(class, RegionNode::Item(item), &[joint]);
                    self.ways.begin_with(class, way);
                }
            }
        }
    }

    /// The best choice of regions, as a graph.
    fn extract(mut self) -> Graph {
        let outputs: Vec<NodeId> = self.graph.outputs().to_vec();
        let roots: Vec<ClassId> = outputs.into_iter().map(|id| self.class(id)).collect();
        build::build(self.graph, &roots, self.ways.extract(roots.clone()))
    }
}
