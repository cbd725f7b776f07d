//! Phase B: fusion. Merges one-op kernels into as few passes over memory as pay.
//!
//! A *region* is a set of ops that run as one kernel: it loads what it reads from outside, and
//! stores its outputs. The rule
//!
//! > `store ∘ load` between two regions of one iteration domain is nothing
//!
//! absorbs producers into their consumers, everything legal at once, so each class gains one region
//! for each policy instead of one for each subset (which explodes: a tree of 31 ops has more than
//! 400,000). Only values that some region stores get regions. Regions are interned as sets, so
//! producers that two paths absorb are shared. A pure elementwise graph thus ends as one region by
//! construction, and extraction decides by bytes moved, passes and recomputation where that is not
//! the best.

mod build;
mod cuts;
mod region;

use super::cost_model::CostModel;
use super::extract::{Alternative, Choice, NONE, Problem, mix};
use super::pass::PassContext;
use egg::{EGraph, Id, Language};
use region::{Kernel, size};
use kiln_ir::{Call, Graph, Node, NodeId, Shape};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Ops in one kernel, at most: beyond it, compile time and spills cost more than memory traffic.
const MAX_REGION: usize = 512;
/// A producer over a smaller domain is worth a pass of its own from this cost an element on (half a
/// transcendental function): below, computing it again for every element is hidden behind memory.
pub(super) const HOIST_COST: u64 = 100;

/// Merges ops into kernels. The result has inputs, calls, fused kernels and their items only.
///
/// `domains` is the same graph with shapes that are equal only where iteration domains are: `graph`
/// itself, unless its shapes are stand-ins.
pub(super) fn merge(graph: &Graph, domains: &Graph, model: &CostModel) -> Graph {
    debug_assert_eq!(graph.nodes(), domains.nodes());
    let (clock, _) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        let mut regions = Regions::new(graph, model, MAX_REGION);
        let siblings = regions.fuse_siblings(domains);
        regions.fuse_all();
        regions.extract(&siblings)
    })
}

/// The pass `split`: one kernel for each op, as written, which is what fusion is compared with.
pub fn split(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let (clock, _) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        let mut regions = Regions::new(graph, context.model, usize::MAX);
        for (id, node) in graph.iter() {
            if matches!(node, Node::Op(..)) {
                regions.add(id, Kernel { ops: vec![id], outputs: vec![id] });
            }
        }
        regions.extract(&[])
    })
}

/// A node of the region e-graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Region {
    head: Head,
    children: Box<[Id]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Head {
    /// The value of a node, however it is computed: an input, or what its class's regions store.
    Value(NodeId),
    /// A call, which is no part of a kernel.
    Call(Call),
    /// An interned kernel; children are what it loads.
    Kernel(u32),
    /// One output of a kernel that has several.
    Item(u32),
}

impl Language for Region {
    type Discriminant = Head;

    fn discriminant(&self) -> Head {
        self.head
    }

    fn matches(&self, other: &Region) -> bool {
        self.head == other.head && self.children.len() == other.children.len()
    }

    fn children(&self) -> &[Id] {
        &self.children
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}

/// Which producers a region absorbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Policy {
    /// All of them.
    All,
    /// Not those that are stored anyway: they are loaded instead of computed again.
    LoadStored,
    /// Not dear ones over a smaller domain: they are computed once, not for every element.
    Hoist,
    /// Neither.
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

/// Regions in the making.
struct Regions<'a> {
    graph: &'a Graph,
    model: &'a CostModel,
    egraph: EGraph<Region, ()>,
    kernels: Vec<Kernel>,
    kernel_ids: HashMap<Kernel, u32>,
    /// The class of each node's value, where it has one.
    classes: Vec<Option<Id>>,
    /// Ops whose value must be in memory: outputs, operands of calls, and what crosses a cut.
    stored: BTreeSet<NodeId>,
    /// Which stretch between two cuts each node is in.
    stretches: Vec<u32>,
    /// Which values cross a cut. They are computed once, whatever it costs to load them.
    crosses: Vec<bool>,
    /// Ops whose value some region loads, and that have no region yet.
    wanted: Vec<NodeId>,
    /// Which regions are known to be worth a pass of their own, or not to be.
    dear: HashMap<(Policy, NodeId), bool>,
}

impl<'a> Regions<'a> {
    fn new(graph: &'a Graph, model: &'a CostModel, most: usize) -> Regions<'a> {
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
        let mut regions = Regions {
            graph,
            model,
            egraph: EGraph::new(()),
            kernels: Vec::new(),
            kernel_ids: HashMap::new(),
            classes: vec![None; graph.nodes().len()],
            stored,
            stretches,
            crosses,
            wanted: Vec::new(),
            dear: HashMap::new(),
        };
        for &id in &regions.stored.clone() {
            regions.class(id);
        }
        regions
    }

    /// The class of a node's value.
    fn class(&mut self, id: NodeId) -> Id {
        if let Some(class) = self.classes[id.index()] {
            return class;
        }
        let graph = self.graph;
        let class = match graph.node(id) {
            Node::Call(call, args) => {
                let children = args.iter().map(|&arg| self.class(arg)).collect();
                self.egraph.add(Region { head: Head::Call(*call), children })
            }
            _ => self.egraph.add(Region { head: Head::Value(id), children: [].into() }),
        };
        self.classes[id.index()] = Some(class);
        match self.graph.node(id) {
            Node::Op(..) => self.wanted.push(id),
            // A number that must be in memory is filled in by a kernel of no ops.
            Node::Const(_) => self.add(id, Kernel { ops: vec![], outputs: vec![id] }),
            _ => {}
        }
        class
    }

    /// Adds a way to compute the value of a node.
    fn add(&mut self, id: NodeId, kernel: Kernel) {
        let class = self.class(id);
        let region = self.region(kernel);
        let computed = self.egraph.add(region);
        self.egraph.union(class, computed);
    }

    /// A kernel over the classes of what it loads.
    fn region(&mut self, kernel: Kernel) -> Region {
        let operands = kernel.operands(self.graph);
        let children = operands.into_iter().map(|id| self.class(id)).collect();
        let next = self.kernels.len() as u32;
        let index = *self.kernel_ids.entry(kernel.clone()).or_insert(next);
        if index == next {
            self.kernels.push(kernel);
        }
        Region { head: Head::Kernel(index), children }
    }

    /// Regions of one output each, for every value that is wanted.
    fn fuse_all(&mut self) {
        while let Some(id) = self.wanted.pop() {
            let (all, met) = self.absorb(Policy::All, &[id]);
            self.add(id, all);
            for (policy, differs) in [
                (Policy::LoadStored, met.stored),
                (Policy::Hoist, met.dear),
                (Policy::HoistAndLoadStored, met.stored && met.dear),
            ] {
                if differs {
                    let (kernel, _) = self.absorb(policy, &[id]);
                    self.add(id, kernel);
                }
            }
        }
    }

    /// Kernels that compute several stored values over one domain, in one pass.
    ///
    /// Values of one level of calls cannot depend on each other through a call, and what a stretch
    /// loads of another comes from an earlier one, so the joint kernel never waits for itself.
    /// Returns, for each such node, its alternative as an item.
    fn fuse_siblings(&mut self, domains: &Graph) -> Vec<(NodeId, Region)> {
        let levels = call_levels(self.graph);
        let mut groups: BTreeMap<(u32, u32, Shape), Vec<NodeId>> = BTreeMap::new();
        for &id in &self.stored {
            if matches!(self.graph.node(id), Node::Op(..)) {
                let (level, stretch) = (levels[id.index()], self.stretches[id.index()]);
                let key = (level, stretch, domains.shape(id).clone());
                groups.entry(key).or_default().push(id);
            }
        }
        let mut siblings = Vec::new();
        for group in groups.into_values().filter(|group| group.len() > 1) {
            let (all, met) = self.absorb(Policy::All, &group);
            let hoisted = met.dear.then(|| self.absorb(Policy::Hoist, &group).0);
            for kernel in [Some(all), hoisted].into_iter().flatten() {
                let region = self.region(kernel);
                let joint = self.egraph.add(region);
                for (index, &id) in group.iter().enumerate() {
                    let item = Region { head: Head::Item(index as u32), children: [joint].into() };
                    let computed = self.egraph.add(item.clone());
                    let class = self.class(id);
                    self.egraph.union(class, computed);
                    siblings.push((id, item));
                }
            }
        }
        siblings
    }

    /// The kernel of these outputs that absorbs what a policy lets it, and what it met.
    fn absorb(&mut self, policy: Policy, outputs: &[NodeId]) -> (Kernel, Met) {
        let mut inside: HashSet<NodeId> = outputs.iter().copied().collect();
        let mut pending = outputs.to_vec();
        let mut ops = Vec::new();
        let mut met = Met { stored: false, dear: false };
        while let Some(consumer) = pending.pop() {
            ops.push(consumer);
            for producer in self.graph.node(consumer).operands() {
                let is_op = matches!(self.graph.node(producer), Node::Op(..));
                if !is_op || self.crosses[producer.index()] || inside.contains(&producer) {
                    continue;
                }
                let stored = self.stored.contains(&producer);
                let dear = self.is_smaller(producer, consumer) && self.is_dear(policy, producer);
                met.stored |= stored;
                met.dear |= dear;
                if !(policy.loads_stored() && stored || policy.hoists() && dear) {
                    inside.insert(producer);
                    pending.push(producer);
                }
            }
        }
        ops.sort_unstable();
        (Kernel { ops, outputs: outputs.to_vec() }, met)
    }

    /// Whether a producer has much fewer elements than what reads it.
    fn is_smaller(&self, producer: NodeId, consumer: NodeId) -> bool {
        16 * size(self.graph.shape(producer)) <= size(self.graph.shape(consumer))
    }

    /// Whether the region of a node is worth a pass of its own.
    fn is_dear(&mut self, policy: Policy, id: NodeId) -> bool {
        if let Some(&known) = self.dear.get(&(policy, id)) {
            return known;
        }
        let (kernel, _) = self.absorb(policy, &[id]);
        let costs = kernel.ops.iter().map(|&op| self.model.cost_of_node(self.graph, op));
        let dear = costs.sum::<u64>() >= HOIST_COST;
        self.dear.insert((policy, id), dear);
        dear
    }

    /// The best choice of regions, as a graph.
    fn extract(mut self, siblings: &[(NodeId, Region)]) -> Graph {
        self.egraph.rebuild();
        let indexed = index(&self, siblings);
        let choice = indexed.problem.extract(&indexed.start);
        build::build(&self, &indexed, &choice)
    }
}

/// What a walk that absorbs came upon.
struct Met {
    /// A value that is stored anyway.
    stored: bool,
    /// A dear one over a smaller domain.
    dear: bool,
}

/// The largest number of calls on a path to each node.
fn call_levels(graph: &Graph) -> Vec<u32> {
    let mut levels: Vec<u32> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let below = node.operands().iter().map(|id| levels[id.index()]).max().unwrap_or(0);
        levels.push(below + u32::from(matches!(node, Node::Call(..))));
    }
    levels
}

/// The region e-graph as an extraction problem.
struct Indexed {
    problem: Problem,
    regions: Vec<Vec<Region>>,
    /// The class of each node's value, where it has one.
    of_node: Vec<usize>,
    /// Siblings together: from single kernels, climbing would have to move several at once.
    start: Choice,
}

fn index(regions: &Regions<'_>, siblings: &[(NodeId, Region)]) -> Indexed {
    let Regions { graph, model, egraph, kernels, .. } = regions;
    let mut classes: Vec<Id> = egraph.classes().map(|class| class.id).collect();
    classes.sort_unstable();
    let index: HashMap<Id, usize> = classes.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let at = |id: Id| index[&egraph.find(id)];
    // The value of an op is what its regions compute, no way to compute it.
    let is_way = |region: &&Region| match region.head {
        Head::Value(id) => matches!(graph.node(id), Node::Input(_)),
        Head::Call(_) | Head::Kernel(_) | Head::Item(_) => true,
    };
    let ways = classes.iter().map(|&class| egraph[class].nodes.iter().filter(is_way).cloned());
    let ways: Vec<Vec<Region>> = ways.map(Iterator::collect).collect();
    let alternative = |region: &Region| {
        let (cost, label) = match region.head {
            Head::Value(id) => (0, id.index() as u64),
            Head::Call(_) => (0, 1 << 40),
            Head::Item(item) => (0, (1 << 41) + u64::from(item)),
            Head::Kernel(kernel) => {
                let kernel = &kernels[kernel as usize];
                let hash = |h, id: &NodeId| mix(h ^ id.index() as u64);
                let label = kernel.ops.iter().chain(&kernel.outputs).fold(1 << 42, hash);
                (kernel.cost(graph, model), label)
            }
        };
        let children = region.children.iter().map(|&child| at(child)).collect();
        Alternative { cost, label, unordered: 0, children }
    };
    let alternatives = ways.iter().map(|ways| ways.iter().map(alternative).collect()).collect();
    let of_node = regions.classes.iter().map(|class| class.map_or(usize::MAX, at)).collect();
    let mut indexed = Indexed {
        problem: Problem { classes: alternatives, roots: Vec::new() },
        start: vec![NONE; classes.len()],
        regions: ways,
        of_node,
    };
    for (id, item) in siblings {
        let class = indexed.of_node[id.index()];
        let item = item.clone().map_children(|child| egraph.find(child));
        if let Some(position) = indexed.regions[class].iter().position(|known| *known == item) {
            indexed.start[class] = position as u32;
        }
    }
    let roots = graph.outputs().iter().map(|output| indexed.of_node[output.index()]);
    indexed.problem.roots = roots.collect();
    indexed
}
