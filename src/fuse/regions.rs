//! Phase B: fusion. Merges one-op kernels into as few passes over memory as pay.
//!
//! A *region* is a set of ops that run as one kernel: it loads what it reads from outside, and
//! stores its outputs. At the start every op is a region of its own. The rule
//!
//! > `store ∘ load` between two regions of one iteration domain is nothing
//!
//! absorbs producers into their consumers, bottom up and everything legal at once, so each class
//! gains one region for each policy instead of one for each subset (which explodes: a tree of 31
//! ops has more than 400,000). Regions are interned as sets, so producers that two paths absorb
//! are shared. A pure elementwise graph thus ends as one region by construction, and extraction
//! decides by bytes moved, passes and recomputation where that is not the best.

use super::extract::{Alternative, Choice, NONE, Problem, mix};
use super::machine::Machine;
use egg::{
    Analysis, Applier, DidMerge, EGraph, Id, Language, PatternAst, Rewrite, Runner, SearchMatches,
    Searcher, SimpleScheduler, Subst, Symbol, Var,
};
use kiln_ir::{Dim, Graph, Input, Node, NodeId, Scalar, Shape};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Ops in one kernel, at most: beyond it, compile time and spills cost more than memory traffic.
const MAX_REGION: usize = 512;
/// A byte moved between memory and registers, in the unit of [`Machine`] (tenths of an `add`): a
/// store and a load of an `f32` cost about as much as eight vector ops.
const BYTE_COST: u64 = 10;
/// Starting a pass over memory, in the same unit: about a microsecond.
const PASS_COST: u64 = 20_000;
/// What an axis of unknown size counts for.
const SYMBOL_SIZE: u64 = 1 << 10;
/// What an array of unknown rank counts for.
const OPEN_SIZE: u64 = 1 << 20;
/// The largest size that enters a cost, so that sums of products fit.
const MAX_SIZE: u64 = 1 << 32;
/// A producer over a smaller domain is worth a pass of its own from this cost an element on (half a
/// transcendental function): below, computing it again for every element is hidden behind memory.
pub(super) const HOIST_COST: u64 = 100;

/// Merges ops into kernels. The result has inputs, matmuls, fused kernels and their items only.
///
/// `domains` is the same graph with shapes that are equal only where iteration domains are: `graph`
/// itself, unless its shapes are stand-ins.
pub(super) fn merge(graph: &Graph, domains: &Graph, machine: &Machine) -> Graph {
    debug_assert_eq!(graph.nodes(), domains.nodes());
    let (clock, _) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        let (egraph, ids) = seed(graph, machine);
        let rules = Policy::ALL.map(|policy| {
            let rule = FuseMap { policy };
            Rewrite::new(policy.rule_name(), AnyKernel, rule).expect("the rule has no variables")
        });
        // The runner's own e-graph is replaced at once; it gets nothing to hold.
        let nothing = Regions::new(&Graph::default(), machine);
        let runner: Runner<Region, Regions> = Runner::new(nothing)
            .with_egraph(egraph)
            .with_iter_limit(graph.nodes().len() + 2)
            .with_node_limit(usize::MAX)
            .with_time_limit(Duration::MAX)
            .with_scheduler(SimpleScheduler)
            .run(&rules);
        let mut egraph = runner.egraph;
        let siblings = fuse_siblings(domains, &mut egraph, &ids);
        egraph.rebuild();
        let indexed = index(graph, &egraph, &ids, &siblings);
        let choice = indexed.problem.extract(&indexed.start);
        build(graph, &egraph, &indexed, &choice)
    })
}

/// One kernel for each op.
pub(super) fn split(graph: &Graph, machine: &Machine) -> Graph {
    let (egraph, ids) = seed(graph, machine);
    let indexed = index(graph, &egraph, &ids, &[]);
    build(graph, &egraph, &indexed, &vec![0; indexed.problem.classes.len()])
}

/// What a region computes: ops in topological order, and which of their values are stored.
///
/// An output may also be an input or a number: a kernel that copies or fills.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kernel {
    ops: Vec<NodeId>,
    outputs: Vec<NodeId>,
}

impl Kernel {
    /// What it loads, in order of first use.
    fn operands(&self, graph: &Graph) -> Vec<NodeId> {
        let inside: BTreeSet<NodeId> = self.ops.iter().copied().collect();
        let mut operands = Vec::new();
        let read = self.ops.iter().flat_map(|&op| graph.node(op).operands());
        let copied = self.outputs.iter().copied().filter(|output| !inside.contains(output));
        for id in read.chain(copied) {
            let loaded = !inside.contains(&id) && !matches!(graph.node(id), Node::Const(_));
            if loaded && !operands.contains(&id) {
                operands.push(id);
            }
        }
        operands
    }

    /// Bytes moved, passes and ops, each weighted by the size of what it is done for.
    fn cost(&self, graph: &Graph, machine: &Machine) -> u64 {
        let domain = self.outputs.iter().map(|&id| size(graph.shape(id))).max().unwrap_or(1);
        let ops: u64 = self.ops.iter().map(|&op| machine.cost_of_node(graph, op)).sum();
        let traffic =
            |id: NodeId| BYTE_COST * graph.dtype(id).size() as u64 * size(graph.shape(id));
        let loads: u64 = self.operands(graph).into_iter().map(traffic).sum();
        let stores: u64 = self.outputs.iter().copied().map(traffic).sum();
        PASS_COST + loads + stores + ops * domain
    }
}

/// The number of elements that a shape counts for.
fn size(shape: &Shape) -> u64 {
    let Some(dims) = shape.dims() else { return OPEN_SIZE };
    let sizes = dims.iter().map(|dim| match dim {
        Dim::Size(size) => *size as u64,
        Dim::Symbol(_) => SYMBOL_SIZE,
    });
    sizes.fold(1u64, |product, size| product.saturating_mul(size).min(MAX_SIZE))
}

/// A node of the region e-graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Region {
    head: Head,
    children: Box<[Id]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Head {
    /// An input.
    Leaf(NodeId),
    Matmul,
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

/// The analysis: interned kernels, and what each policy has absorbed for each class so far.
struct Regions {
    graph: Arc<Graph>,
    machine: Machine,
    kernels: Vec<Kernel>,
    kernel_ids: HashMap<Kernel, u32>,
    /// The e-class of each node of the graph.
    classes: Vec<Id>,
    /// Nodes whose value must be in memory anyway: outputs and matmul operands.
    materialized: BTreeSet<NodeId>,
    /// For each policy, the ops absorbed into the region of a node.
    absorbed: HashMap<(Policy, NodeId), Arc<Vec<NodeId>>>,
}

impl Regions {
    fn new(graph: &Graph, machine: &Machine) -> Regions {
        Regions {
            graph: Arc::new(graph.clone()),
            machine: machine.clone(),
            kernels: Vec::new(),
            kernel_ids: HashMap::new(),
            classes: Vec::new(),
            materialized: materialized(graph),
            absorbed: HashMap::new(),
        }
    }

    fn intern(&mut self, kernel: Kernel) -> u32 {
        if let Some(&id) = self.kernel_ids.get(&kernel) {
            return id;
        }
        let id = self.kernels.len() as u32;
        self.kernels.push(kernel.clone());
        self.kernel_ids.insert(kernel, id);
        id
    }
}

impl Analysis<Region> for Regions {
    /// The node of the graph whose value the class is.
    type Data = Option<NodeId>;

    fn make(egraph: &mut EGraph<Region, Self>, region: &Region, _id: Id) -> Option<NodeId> {
        match region.head {
            Head::Leaf(id) => Some(id),
            Head::Kernel(kernel) => {
                let kernel = &egraph.analysis.kernels[kernel as usize];
                (kernel.outputs.len() == 1).then(|| kernel.outputs[0])
            }
            Head::Matmul | Head::Item(_) => None,
        }
    }

    fn merge(&mut self, a: &mut Option<NodeId>, b: Option<NodeId>) -> DidMerge {
        let before = *a;
        *a = a.or(b);
        DidMerge(*a != before, *a != b)
    }
}

fn materialized(graph: &Graph) -> BTreeSet<NodeId> {
    let mut set: BTreeSet<NodeId> = graph.outputs().iter().copied().collect();
    for node in graph.nodes() {
        if let Node::Matmul(a, b) = node {
            set.extend([*a, *b]);
        }
    }
    set
}

/// Every op as a region of its own, and the class of each node of the graph.
fn seed(graph: &Graph, machine: &Machine) -> (EGraph<Region, Regions>, Vec<Id>) {
    let mut egraph = EGraph::new(Regions::new(graph, machine));
    for (id, node) in graph.iter() {
        let class = match node {
            Node::Matmul(a, b) => {
                let classes = &egraph.analysis.classes;
                let children = [classes[a.index()], classes[b.index()]].into();
                egraph.add(Region { head: Head::Matmul, children })
            }
            Node::Op(..) => add_kernel(&mut egraph, Kernel { ops: vec![id], outputs: vec![id] }),
            // A number that must be in memory is filled in by a kernel of no ops.
            Node::Const(_) if egraph.analysis.materialized.contains(&id) => {
                add_kernel(&mut egraph, Kernel { ops: vec![], outputs: vec![id] })
            }
            _ => egraph.add(Region { head: Head::Leaf(id), children: [].into() }),
        };
        egraph.analysis.classes.push(class);
    }
    egraph.rebuild();
    let classes = egraph.analysis.classes.clone();
    (egraph, classes)
}

fn add_kernel(egraph: &mut EGraph<Region, Regions>, kernel: Kernel) -> Id {
    let operands = kernel.operands(&egraph.analysis.graph);
    let classes = &egraph.analysis.classes;
    let children = operands.iter().map(|id| classes[id.index()]).collect();
    let head = Head::Kernel(egraph.analysis.intern(kernel));
    egraph.add(Region { head, children })
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
    const ALL: [Policy; 4] =
        [Policy::All, Policy::LoadStored, Policy::Hoist, Policy::HoistAndLoadStored];

    fn rule_name(self) -> &'static str {
        match self {
            Policy::All => "fuse-map",
            Policy::LoadStored => "fuse-map-load-stored",
            Policy::Hoist => "fuse-map-hoist",
            Policy::HoistAndLoadStored => "fuse-map-hoist-load-stored",
        }
    }

    fn absorbs(self, regions: &Regions, producer: NodeId, consumer: NodeId) -> bool {
        let graph = &regions.graph;
        if !matches!(graph.node(producer), Node::Op(..)) {
            return false;
        }
        let loads_stored = matches!(self, Policy::LoadStored | Policy::HoistAndLoadStored);
        if loads_stored && regions.materialized.contains(&producer) {
            return false;
        }
        let hoists = matches!(self, Policy::Hoist | Policy::HoistAndLoadStored);
        let smaller = 16 * size(graph.shape(producer)) <= size(graph.shape(consumer));
        let ops = &regions.absorbed[&(self, producer)];
        let cost: u64 = ops.iter().map(|&op| regions.machine.cost_of_node(graph, op)).sum();
        !(hoists && smaller && cost >= HOIST_COST)
    }
}

/// Finds every class that a kernel computes.
struct AnyKernel;

impl Searcher<Region, Regions> for AnyKernel {
    fn search_eclass_with_limit(
        &self,
        egraph: &EGraph<Region, Regions>,
        class: Id,
        _limit: usize,
    ) -> Option<SearchMatches<'_, Region>> {
        let computed =
            egraph[class].nodes.iter().any(|region| matches!(region.head, Head::Kernel(_)));
        computed.then(|| SearchMatches { eclass: class, substs: vec![Subst::default()], ast: None })
    }

    fn vars(&self) -> Vec<Var> {
        Vec::new()
    }
}

/// `region g (.., region f (..), ..) => region (g ∘ f) (..)`, for everything that a policy absorbs.
struct FuseMap {
    policy: Policy,
}

impl Applier<Region, Regions> for FuseMap {
    fn apply_matches(
        &self,
        egraph: &mut EGraph<Region, Regions>,
        matches: &[SearchMatches<'_, Region>],
        name: Symbol,
    ) -> Vec<Id> {
        // Producers first: one round then absorbs whole chains.
        let computed = |found: &SearchMatches<'_, Region>| {
            egraph[found.eclass].data.map(|node| (node, found.eclass))
        };
        let mut order: Vec<(NodeId, Id)> = matches.iter().filter_map(computed).collect();
        order.sort_unstable();
        let apply = |(_, class)| self.apply_one(egraph, class, &Subst::default(), None, name);
        order.into_iter().flat_map(apply).collect()
    }

    fn apply_one(
        &self,
        egraph: &mut EGraph<Region, Regions>,
        class: Id,
        _subst: &Subst,
        _ast: Option<&PatternAst<Region>>,
        _name: Symbol,
    ) -> Vec<Id> {
        let Some(node) = egraph[class].data else { return Vec::new() };
        let regions = &egraph.analysis;
        if !matches!(regions.graph.node(node), Node::Op(..)) {
            return Vec::new();
        }
        let mut ops = BTreeSet::from([node]);
        for producer in regions.graph.node(node).operands() {
            if !matches!(regions.graph.node(producer), Node::Op(..)) {
                continue;
            }
            let grown = &regions.absorbed[&(self.policy, producer)];
            let fits = ops.len() + grown.len() <= MAX_REGION;
            if fits && self.policy.absorbs(regions, producer, node) {
                ops.extend(grown.iter().copied());
            }
        }
        let ops: Vec<NodeId> = ops.into_iter().collect();
        egraph.analysis.absorbed.insert((self.policy, node), Arc::new(ops.clone()));
        let fused = add_kernel(egraph, Kernel { ops, outputs: vec![node] });
        if egraph.union(class, fused) { vec![class] } else { Vec::new() }
    }
}

/// Kernels that compute several stored values over one domain, in one pass.
///
/// Values of one matmul level cannot depend on each other through a matmul, so the joint kernel
/// never waits for itself. Returns, for each such node, its class's sibling alternative.
fn fuse_siblings(
    graph: &Graph,
    egraph: &mut EGraph<Region, Regions>,
    ids: &[Id],
) -> Vec<(NodeId, Region)> {
    let levels = matmul_levels(graph);
    let mut groups: BTreeMap<(u32, Shape), Vec<NodeId>> = BTreeMap::new();
    for &id in &egraph.analysis.materialized {
        if matches!(graph.node(id), Node::Op(..)) {
            let key = (levels[id.index()], graph.shape(id).clone());
            groups.entry(key).or_default().push(id);
        }
    }
    let mut siblings = Vec::new();
    for group in groups.into_values().filter(|group| group.len() > 1) {
        for policy in [Policy::All, Policy::Hoist] {
            let mut ops = BTreeSet::new();
            for &id in &group {
                ops.extend(egraph.analysis.absorbed[&(policy, id)].iter().copied());
            }
            if ops.len() > MAX_REGION {
                continue;
            }
            let kernel = Kernel { ops: ops.into_iter().collect(), outputs: group.clone() };
            let joint = add_kernel(egraph, kernel);
            for (index, &id) in group.iter().enumerate() {
                let item = Region { head: Head::Item(index as u32), children: [joint].into() };
                let class = egraph.add(item.clone());
                egraph.union(ids[id.index()], class);
                siblings.push((id, item));
            }
        }
    }
    siblings
}

/// The largest number of matmuls on a path to each node.
fn matmul_levels(graph: &Graph) -> Vec<u32> {
    let mut levels: Vec<u32> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let below = node.operands().iter().map(|id| levels[id.index()]).max().unwrap_or(0);
        levels.push(below + u32::from(matches!(node, Node::Matmul(..))));
    }
    levels
}

/// The region e-graph as an extraction problem.
struct Indexed {
    problem: Problem,
    regions: Vec<Vec<Region>>,
    index: HashMap<Id, usize>,
    /// The class of each node of the graph.
    of_node: Vec<usize>,
    /// Siblings together: from single kernels, climbing would have to move several at once.
    start: Choice,
}

fn index(
    graph: &Graph,
    egraph: &EGraph<Region, Regions>,
    ids: &[Id],
    siblings: &[(NodeId, Region)],
) -> Indexed {
    let mut classes: Vec<Id> = egraph.classes().map(|class| class.id).collect();
    classes.sort_unstable();
    let index: HashMap<Id, usize> = classes.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let mut alternatives = Vec::with_capacity(classes.len());
    let mut regions = Vec::with_capacity(classes.len());
    for &class in &classes {
        let nodes = egraph[class].nodes.clone();
        let alternative = |region: &Region| {
            let (cost, label) = match region.head {
                Head::Leaf(id) => (0, id.index() as u64),
                Head::Matmul => (0, 1 << 40),
                Head::Item(item) => (0, (1 << 41) + u64::from(item)),
                Head::Kernel(kernel) => {
                    let kernel = &egraph.analysis.kernels[kernel as usize];
                    let hash = |h, id: &NodeId| mix(h ^ id.index() as u64);
                    let label = kernel.ops.iter().chain(&kernel.outputs).fold(1 << 42, hash);
                    (kernel.cost(graph, &egraph.analysis.machine), label)
                }
            };
            let children = region.children.iter().map(|&c| index[&egraph.find(c)]).collect();
            Alternative { cost, label, commutes: false, children }
        };
        alternatives.push(nodes.iter().map(alternative).collect());
        regions.push(nodes);
    }
    let of_node: Vec<usize> = ids.iter().map(|&id| index[&egraph.find(id)]).collect();
    let mut start = vec![NONE; classes.len()];
    for (id, item) in siblings {
        let class = of_node[id.index()];
        let item = item.clone().map_children(|child| egraph.find(child));
        if let Some(position) = regions[class].iter().position(|known| *known == item) {
            start[class] = position as u32;
        }
    }
    let roots = graph.outputs().iter().map(|output| of_node[output.index()]).collect();
    let problem = Problem { classes: alternatives, roots };
    Indexed { problem, regions, index, of_node, start }
}

/// The chosen kernels as a graph.
fn build(
    graph: &Graph,
    egraph: &EGraph<Region, Regions>,
    indexed: &Indexed,
    choice: &Choice,
) -> Graph {
    let mut result = Graph::unbounded(graph.name());
    for input in graph.inputs() {
        result.input(input.clone()).expect("inputs were valid before");
    }
    let order = indexed.problem.order(choice).expect("extraction yields an acyclic choice");
    let mut built: HashMap<usize, NodeId> = HashMap::new();
    for class in order {
        let region = &indexed.regions[class][choice[class] as usize];
        let child = |index: usize| built[&indexed.index[&egraph.find(region.children[index])]];
        let id = match region.head {
            Head::Leaf(id) => copy_leaf(graph, id, &mut result),
            Head::Matmul => result.matmul(child(0), child(1)).expect("shapes were valid before"),
            Head::Item(index) => {
                result.item(child(0), index as usize).expect("the kernel has this output")
            }
            Head::Kernel(kernel) => {
                let kernel = &egraph.analysis.kernels[kernel as usize];
                let args: Vec<NodeId> = (0..region.children.len()).map(child).collect();
                add_fused(graph, kernel, args, &mut result)
            }
        };
        built.insert(class, id);
    }
    let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
    for &output in graph.outputs() {
        let mut id = built[&indexed.of_node[output.index()]];
        // An input that is an output is copied by a kernel of no ops.
        if matches!(graph.node(output), Node::Input(_)) {
            let kernel = Kernel { ops: vec![], outputs: vec![output] };
            id = add_fused(graph, &kernel, vec![id], &mut result);
        }
        // Every output is an array of its own: what is an output twice is copied from there.
        let last = copies.get(&id).map_or(id, |&last| add_copy(graph, last, &mut result));
        copies.insert(id, last);
        result.output(last);
    }
    result
}

fn copy_leaf(graph: &Graph, id: NodeId, result: &mut Graph) -> NodeId {
    let copied = match graph.node(id) {
        Node::Input(index) => result.input(graph.inputs()[*index as usize].clone()),
        Node::Const(bits) => {
            let dtype = graph.dtype(id);
            result.constant(dtype, Scalar::from_bits(dtype, *bits))
        }
        _ => panic!("only inputs and numbers are leaves"),
    };
    copied.expect("leaves were valid before")
}

/// A kernel that copies what `result` has at `id`.
fn add_copy(graph: &Graph, id: NodeId, result: &mut Graph) -> NodeId {
    let mut body = Graph::unbounded("body");
    let dims = result.shape(id).dims().map(<[Dim]>::to_vec);
    let input = Input { name: parameter_name(graph, 0), dtype: result.dtype(id), dims };
    let copied = body.input(input).expect("it is the only parameter");
    body.output(copied);
    result.fused(Arc::new(body), vec![id]).expect("a copy is a valid kernel")
}

/// A fused node: its body has one parameter for each operand, named like the argument.
fn add_fused(graph: &Graph, kernel: &Kernel, args: Vec<NodeId>, result: &mut Graph) -> NodeId {
    let mut body = Graph::unbounded("body");
    let mut inner: HashMap<NodeId, NodeId> = HashMap::new();
    for (id, &arg) in kernel.operands(graph).into_iter().zip(&args) {
        let name = match result.node(arg) {
            Node::Input(index) => result.inputs()[*index as usize].name.clone(),
            _ => parameter_name(graph, body.inputs().len()),
        };
        let dims = result.shape(arg).dims().map(<[Dim]>::to_vec);
        let input = Input { name, dtype: graph.dtype(id), dims };
        inner.insert(id, body.input(input).expect("parameter names are distinct"));
    }
    for &op in &kernel.ops {
        let Node::Op(kind, operands) = graph.node(op) else { panic!("regions hold ops only") };
        let operands: Vec<NodeId> = operands
            .iter()
            .map(|operand| {
                inner.get(operand).copied().unwrap_or_else(|| copy_leaf(graph, *operand, &mut body))
            })
            .collect();
        let id = body.op(*kind, &operands);
        inner.insert(op, id.unwrap_or_else(|fault| panic!("fusion broke a valid graph: {fault}")));
    }
    for output in &kernel.outputs {
        let id = inner.get(output).copied().unwrap_or_else(|| copy_leaf(graph, *output, &mut body));
        body.output(id);
    }
    let fused = result.fused(Arc::new(body), args);
    fused.unwrap_or_else(|fault| panic!("fusion broke a valid graph: {fault}"))
}

/// A name for an intermediate that a kernel loads, unlike the name of any input.
fn parameter_name(graph: &Graph, position: usize) -> String {
    let taken = |name: &str| graph.inputs().iter().any(|input| input.name == name);
    let mut name = format!("v{position}");
    while taken(&name) {
        name.push('_');
    }
    name
}
