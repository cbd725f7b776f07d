//! What each level of a body with reductions and scans has to store.

use super::{Operand, Per};
use crate::lower::{Tier, op_program_in};
use kiln_ir::{Axes, Call, Dim, Graph, Node, NodeId, Op, Reduction, Running};
use kiln_jit::emit::cost::weight;
use std::collections::BTreeSet;

/// What a value must cost, in tenths of an addition, to be kept for a later stage and not computed again:
/// to store it and load it twice.
const WORTH_KEEPING: u64 = 25;

/// What of a body is stored, and when.
pub(super) struct Needs {
    /// Those of every reduction and scan.
    pub(super) axes: Axes,
    /// Reductions of elements.
    pub(super) folds: Vec<Reduced>,
    /// Scans.
    pub(super) scans: Vec<Scanned>,
    /// Reductions that only count.
    pub(super) counts: Vec<NodeId>,
    /// What the shape of each reduction's and scan's operand comes of.
    pub(super) operands: Vec<Operand>,
    /// Elements to be stored at each [place](Needs::at).
    stored: Vec<Vec<NodeId>>,
    /// Numbers of rows that something reads from memory, ascending.
    pub(super) row_values: Vec<NodeId>,
    /// The last level of elements.
    pub(super) last: usize,
    /// Elements that later stages read.
    kept: BTreeSet<NodeId>,
    kinds: Vec<Kind>,
    levels: Vec<usize>,
}

/// A reduction of elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduced {
    pub(super) id: NodeId,
    pub(super) by: Reduction,
    pub(super) operand: NodeId,
}

/// A scan, and the level at the beginning of which it is done: the first that needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanned {
    pub(super) id: NodeId,
    pub(super) by: Running,
    pub(super) operand: NodeId,
    pub(super) level: usize,
}

/// A part of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Before its scans, which read what is stored.
    Before,
    /// After them.
    After,
}

/// A call along rows.
struct Along {
    id: NodeId,
    axes: Axes,
    /// The same from the last one, if the rank is known.
    counted: Axes,
    by: By,
    operand: NodeId,
}

#[derive(Clone, Copy)]
enum By {
    Reduction(Reduction),
    Scan(Running),
}

/// What a value has one of, as far as one can tell from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One for all.
    Constant,
    Row,
    Element,
}

impl Needs {
    pub(super) fn new(body: &Graph, tier: Tier) -> Option<Needs> {
        let is_live = live(body);
        let calls = calls(body, &is_live);
        let &Along { axes, counted, operand: domain, .. } = calls.first()?;
        let is_reduced = body.shape(domain).dims().and_then(|dims| axes.of_rank(dims.len()).ok());
        let (kinds, levels) = classify(body, &is_live, is_reduced.as_deref())?;
        let kind = |id: NodeId| kinds[id.index()];
        let fits = |call: &Along| {
            let reads = !matches!(call.by, By::Reduction(by) if !by.reads());
            let are_same = call.axes == axes || call.counted == counted;
            are_same && (kind(call.operand) == Kind::Element || !reads)
        };
        let outputs_fit = body.outputs().iter().all(|&output| kind(output) != Kind::Constant);
        if !outputs_fit || !calls.iter().all(fits) {
            return None;
        }
        let operands = calls.iter().map(|call| shape_of(body, call.operand)).collect();
        let level = |id: NodeId| levels[id.index()];
        let mut folds = Vec::new();
        let mut counts = Vec::new();
        for &Along { id, by, operand, .. } in &calls {
            match by {
                By::Reduction(by) if by.reads() => folds.push(Reduced { id, by, operand }),
                By::Reduction(_) => counts.push(id),
                By::Scan(_) => {}
            }
        }
        let elements = body.outputs().iter().filter(|&&output| kind(output) == Kind::Element);
        let folded = folds.iter().map(|fold| &fold.operand);
        let last = elements.chain(folded).map(|&id| level(id)).max().unwrap_or(0);
        let scans = calls.iter().filter_map(|&Along { id, by, operand, .. }| {
            let By::Scan(by) = by else { return None };
            Some(Scanned { id, by, operand, level: scan_level(body, &is_live, &levels, id, last) })
        });
        let mut needs = Needs {
            axes,
            scans: scans.collect(),
            folds,
            counts,
            operands,
            stored: vec![Vec::new(); 2 * (last + 1)],
            row_values: Vec::new(),
            kept: BTreeSet::new(),
            last,
            kinds,
            levels,
        };
        needs.store(body, tier);
        Some(needs)
    }

    pub(super) fn per(&self, id: NodeId) -> Per {
        match self.kinds[id.index()] {
            Kind::Row => Per::Row,
            Kind::Constant | Kind::Element => Per::Element,
        }
    }

    /// Elements to be stored in a part of a level.
    pub(super) fn stored(&self, level: usize, when: When) -> &[NodeId] {
        &self.stored[Needs::at(level, when)]
    }

    /// Where a part of a level is among all of them.
    fn at(level: usize, when: When) -> usize {
        2 * level + usize::from(when == When::After)
    }

    /// Reductions and scans below it on any path.
    pub(super) fn level(&self, id: NodeId) -> usize {
        self.levels[id.index()]
    }

    /// Whether a stage after the first that computes it reads it.
    pub(super) fn is_kept(&self, id: NodeId) -> bool {
        self.kept.contains(&id)
    }

    fn is_fold_operand(&self, id: NodeId) -> bool {
        self.folds.iter().any(|fold| fold.operand == id)
    }

    /// Finds what is stored: operands of folds, outputs, and what is worth keeping.
    fn store(&mut self, body: &Graph, tier: Tier) {
        let is_element = |needs: &Needs, id: NodeId| needs.kinds[id.index()] == Kind::Element;
        let is_computed = |id: NodeId| matches!(body.node(id), Node::Op(..));
        for index in 0..self.folds.len() {
            let operand = self.folds[index].operand;
            let at = Needs::at(self.level(operand), When::After);
            if is_computed(operand) && !self.stored[at].contains(&operand) {
                self.stored[at].push(operand);
            }
        }
        for Scanned { operand, level, .. } in self.scans.clone() {
            let at = Needs::at(level, When::Before);
            if is_computed(operand) && !self.stored[at].contains(&operand) {
                self.stored[at].push(operand);
            }
        }
        let mut read_rows: BTreeSet<NodeId> = BTreeSet::new();
        for &output in body.outputs() {
            if !is_element(self, output) {
                read_rows.insert(output);
                continue;
            }
            let of_scan = self.scans.iter().filter(|scan| scan.operand == output);
            let at = match of_scan.map(|scan| scan.level).min() {
                _ if self.is_fold_operand(output) => Needs::at(self.level(output), When::After),
                Some(level) if is_computed(output) => Needs::at(level, When::Before),
                _ => Needs::at(self.last, When::After),
            };
            if !self.stored[at].contains(&output) {
                self.stored[at].push(output);
            }
        }
        // The stage that first computes each.
        let mut first: Vec<Option<usize>> = vec![None; body.nodes().len()];
        for at in 0..self.stored.len() {
            let mut open = self.stored[at].clone();
            let mut seen = BTreeSet::new();
            while let Some(id) = open.pop() {
                let is_op = matches!(body.node(id), Node::Op(..));
                match self.kinds[id.index()] {
                    Kind::Row => _ = read_rows.insert(id),
                    Kind::Element if is_op && seen.insert(id) => {
                        let known = first[id.index()].filter(|&known| known < at);
                        if let Some(known) = known {
                            let is_stored = self.stored[known].contains(&id);
                            let is_output = is_stored && body.outputs().contains(&id);
                            if is_output || self.cost(body, tier, id) > WORTH_KEEPING {
                                self.kept.insert(id);
                                if !is_stored {
                                    self.stored[known].push(id);
                                }
                                continue;
                            }
                        }
                        first[id.index()].get_or_insert(at);
                        open.extend(body.node(id).operands());
                    }
                    Kind::Element | Kind::Constant => {}
                }
            }
        }
        self.stored.iter_mut().for_each(|stored| stored.sort());
        // A stage over the numbers of rows reads those of lower levels.
        let mut readers: Vec<NodeId> = read_rows.iter().copied().collect();
        while let Some(reader) = readers.pop() {
            let mut open = vec![reader];
            while let Some(id) = open.pop() {
                match body.node(id) {
                    _ if self.kinds[id.index()] != Kind::Row => {}
                    _ if self.level(id) < self.level(reader) => {
                        readers.extend(read_rows.insert(id).then_some(id));
                    }
                    Node::Op(_, args) => open.extend(args.iter()),
                    _ => {}
                }
            }
        }
        self.row_values = read_rows.into_iter().collect();
    }

    /// The cost of computing an element of what elements and numbers of rows of its level give.
    fn cost(&self, body: &Graph, tier: Tier, id: NodeId) -> u64 {
        let (mut cost, mut open, mut seen) = (0, vec![id], BTreeSet::new());
        while let Some(id) = open.pop() {
            if self.kinds[id.index()] == Kind::Element
                && let Node::Op(op, args) = body.node(id)
                && seen.insert(id)
            {
                cost += op_cost(*op, body, args, tier);
                open.extend(args.iter());
            }
        }
        cost
    }
}

fn op_cost(op: Op, body: &Graph, args: &[NodeId], tier: Tier) -> u64 {
    weight(&op_program_in(tier, op, body.dtype(args[args.len() - 1])))
}

/// The reductions and scans of a body.
fn calls(body: &Graph, is_live: &[bool]) -> Vec<Along> {
    let call = |(id, node): (NodeId, &Node)| {
        let (axes, by, operand) = match node {
            Node::Call(Call::Reduce(reduce), args) => {
                (reduce.axes, By::Reduction(reduce.by), args[0])
            }
            Node::Call(Call::Scan(scan), args) => (scan.axes().ok()?, By::Scan(scan.by), args[0]),
            _ => return None,
        };
        let rank = body.shape(operand).dims().map(<[Dim]>::len);
        let counted = rank.map_or(axes, |rank| axes.from_last(rank));
        Some(Along { id, axes, counted, by, operand })
    };
    body.iter().filter(|(id, _)| is_live[id.index()]).filter_map(call).collect()
}

/// The first level that needs what a scan gives: what reads it too early would have to wait for it, and what it
/// gives would have to be kept.
fn scan_level(body: &Graph, is_live: &[bool], levels: &[usize], id: NodeId, last: usize) -> usize {
    let own = levels[id.index()];
    let reads =
        |(reader, node): &(NodeId, &Node)| is_live[reader.index()] && node.operands().contains(&id);
    let level = |(reader, node): (NodeId, &Node)| match node {
        Node::Op(..) => levels[reader.index()],
        // It is read right after it is there.
        _ => own,
    };
    body.iter().filter(reads).map(level).min().unwrap_or(last)
}

/// What outputs are made of. A count looks at no element.
fn live(body: &Graph) -> Vec<bool> {
    let mut is_live = vec![false; body.nodes().len()];
    let mut open = body.outputs().to_vec();
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut is_live[id.index()], true) {
            continue;
        }
        match body.node(id) {
            Node::Call(Call::Reduce(reduce), _) if !reduce.by.reads() => {}
            node => open.extend(node.operands()),
        }
    }
    is_live
}

/// What each value has one of, and its level. `None` if something is neither elementwise nor a reduction nor a scan.
fn classify(
    body: &Graph,
    is_live: &[bool],
    is_reduced: Option<&[bool]>,
) -> Option<(Vec<Kind>, Vec<usize>)> {
    let (mut kinds, mut levels) = (Vec::new(), Vec::new());
    for (id, node) in body.iter() {
        let level = |id: &NodeId| levels[id.index()];
        let (kind, level) = match node {
            Node::Input(_) => (of_input(body, id, is_reduced), 0),
            Node::Const(_) => (Kind::Constant, 0),
            Node::Op(_, args) => {
                let kinds = args.iter().map(|arg: &NodeId| kinds[arg.index()]);
                let kind = kinds.reduce(|a: Kind, b| match (a, b) {
                    (Kind::Element, _) | (_, Kind::Element) => Kind::Element,
                    (Kind::Row, _) | (_, Kind::Row) => Kind::Row,
                    _ => Kind::Constant,
                });
                (kind?, args.iter().map(level).max()?)
            }
            Node::Call(Call::Reduce(reduce), _) if !reduce.by.reads() => (Kind::Row, 0),
            Node::Call(Call::Reduce(_), args) => (Kind::Row, level(&args[0]) + 1),
            Node::Call(Call::Scan(_), args) => (Kind::Element, level(&args[0]) + 1),
            _ if is_live[id.index()] => return None,
            _ => (Kind::Constant, 0),
        };
        kinds.push(kind);
        levels.push(level);
    }
    Some((kinds, levels))
}

/// An input has one number for a row if it is known to have one element along the axes of rows.
fn of_input(body: &Graph, id: NodeId, is_reduced: Option<&[bool]>) -> Kind {
    let one = Dim::Size(1);
    let Some(dims) = body.shape(id).dims() else { return Kind::Element };
    let is_row = match is_reduced {
        _ if dims.iter().all(|dim| *dim == one) => true,
        // Shapes align at the end.
        Some(reduced) => {
            dims.iter()
                .rev()
                .zip(reduced.iter().rev())
                .all(|(dim, reduced)| !reduced || *dim == one)
                && dims.len() <= reduced.len()
        }
        None => false,
    };
    if is_row { Kind::Row } else { Kind::Element }
}

fn shape_of(body: &Graph, operand: NodeId) -> Operand {
    let mut found = Operand { inputs: Vec::new(), has_reductions: false };
    let (mut open, mut seen) = (vec![operand], BTreeSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        match body.node(id) {
            Node::Input(index) => found.inputs.push(*index as usize),
            Node::Call(Call::Reduce(_), _) => found.has_reductions = true,
            node => open.extend(node.operands()),
        }
    }
    found.inputs.sort_unstable();
    found
}
