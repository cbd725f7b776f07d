//! Why kernels are not one: asked for by who wants it explained, never by a compilation.
//!
//! The answers are those that fusion acts on: what is legal, and what the cost model says of the
//! program chosen and of the one in which two kernels are merged.

use super::absorb::{Absorber, Policy};
use super::cost::{cost, cost_of_call, is_smaller};
use super::legal::{Apart, Legal};
use super::products::{self, Far, Products};
use super::reason::{Costs, Reason, Separation};
use super::region::Region;
use super::rows::Rows;
use super::siblings::{self, Domains};
use super::ways::RegionNode;
use super::{MAX_REGION, Sweep};
use crate::fuse::cost_model::CostModel;
use kiln_ir::{Call, Graph, Node, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Why the kernels that [`merge`](super::merge) makes are not fewer.
///
/// Of each kernel, why it is not one with those whose results it loads; of one that loads none, why
/// it is not one with the nearest before it.
pub(in crate::fuse) fn separations(
    graph: &Graph,
    domains: &Domains,
    model: &CostModel,
) -> Vec<Separation> {
    let mut sweep =
        Sweep::new(graph, model, Legal::new(graph, MAX_REGION, Rows::of(graph), Products::Chained));
    sweep.join_siblings(domains);
    sweep.fill();
    let roots = graph.outputs().iter().map(|&id| sweep.class(id)).collect();
    let mut steps = Vec::new();
    for (_, node, _) in sweep.ways.extract(roots) {
        match node {
            RegionNode::Region(region) => steps.push(Step::of_region(region.clone(), graph, model)),
            // A view is no step.
            RegionNode::Call(_, call) if call.is_free() => {}
            RegionNode::Call(id, _) => steps.push(Step::of_call(*id, graph)),
            RegionNode::Input(_) | RegionNode::Item(_) => {}
        }
    }
    let fused = super::merge(graph, domains, model);
    for (&output, &stored) in graph.outputs().iter().zip(fused.outputs()) {
        if is_copy(&fused, stored) && matches!(graph.node(output), Node::Call(Call::View(_), _)) {
            steps.push(Step::of_copy(output));
        }
    }
    let mut program = Program { graph, domains, model, absorber: sweep.absorber, steps };
    (0..program.steps.len()).flat_map(|step| program.reasons(step)).collect()
}

/// Whether a kernel that stores an output only copies it.
fn is_copy(fused: &Graph, output: NodeId) -> bool {
    let kernel = match fused.node(output) {
        Node::Item { of, .. } => fused.node(*of),
        node => node,
    };
    matches!(kernel, Node::Fused { body, .. } if body.nodes().len() == 1)
}

/// A kernel or a call.
struct Step {
    /// The region of a kernel.
    region: Option<Region>,
    loads: Vec<NodeId>,
    stores: Vec<NodeId>,
    cost: u64,
}

impl Step {
    fn of_region(region: Region, graph: &Graph, model: &CostModel) -> Step {
        Step {
            loads: region.operands(graph),
            stores: region.outputs.clone(),
            cost: cost(&region, graph, model),
            region: Some(region),
        }
    }

    /// The copy of a view that is an output.
    fn of_copy(output: NodeId) -> Step {
        Step { region: None, loads: vec![output], stores: vec![], cost: 0 }
    }

    fn of_call(id: NodeId, graph: &Graph) -> Step {
        Step {
            region: None,
            loads: graph.node(id).operands(),
            stores: vec![id],
            cost: cost_of_call(graph, id),
        }
    }
}

/// What fusion chose.
struct Program<'a> {
    graph: &'a Graph,
    domains: &'a Domains,
    model: &'a CostModel,
    absorber: Absorber<'a>,
    steps: Vec<Step>,
}

impl Program<'_> {
    /// Why a step is not one with steps before it.
    fn reasons(&mut self, at: usize) -> Vec<Separation> {
        let separation = |other: usize, reason| Separation { steps: [other + 1, at + 1], reason };
        let mut reasons: BTreeMap<usize, Reason> = BTreeMap::new();
        let loads = self.steps[at].loads.clone();
        for from in loads.iter().filter_map(|&value| self.storing(value)) {
            reasons.extend(self.rows(from, at).map(|reason| (from, reason)));
            reasons.extend(self.multiplied(from, at).map(|reason| (from, reason)));
        }
        let Some(region) = self.steps[at].region.clone() else {
            for from in loads.iter().filter_map(|&value| self.storing(value)) {
                if let (None, Some(reason)) = (reasons.get(&from), self.of_call(from, at)) {
                    reasons.insert(from, reason);
                }
            }
            return reasons.into_iter().map(|(other, reason)| separation(other, reason)).collect();
        };
        let held = self.product(&region);
        let factors = self.factors(&region);
        for &value in &loads {
            let Some(from) = self.storing(value) else { continue };
            if let Some(reason) = self.scanned(from, value, at) {
                reasons.insert(from, reason);
                continue;
            }
            if let Some(reason) = self.unheld(value, held, &region) {
                reasons.insert(from, reason);
                continue;
            }
            if let (Some(product), true) = (held, factors.contains(&value))
                && self.steps[from].region.is_some()
            {
                reasons.insert(from, self.operand(product, value, at));
                continue;
            }
            if self.ends(from) {
                reasons.insert(from, Reason::Ends);
                continue;
            }
            match self.graph.node(value) {
                Node::Call(call, operands) => {
                    let noun = call.info().noun;
                    if self.is_pass(from) {
                        let noun = self.noun(from);
                        reasons.entry(from).or_insert(Reason::Pass { step: from + 1, noun });
                    }
                    for before in operands.iter().filter_map(|&operand| self.storing(operand)) {
                        if self.steps[before].region.is_some() {
                            reasons.entry(before).or_insert(Reason::Call { step: from + 1, noun });
                        }
                    }
                }
                _ if reasons.contains_key(&from) => {}
                _ => {
                    let reason = self.load(value, &region);
                    reasons.insert(from, reason);
                }
            }
        }
        reasons.extend(loads.iter().filter_map(|&value| self.places(value)));
        // Not of what another kernel loads: that one says why.
        let stored = self.absorber.legal.stored();
        let is_final = region.outputs.iter().any(|output| stored.contains(output));
        if reasons.is_empty() && is_final && !self.is_number(at) {
            let is_kernel = |&before: &usize| {
                let step = &self.steps[before];
                step.region.is_some()
                    && !self.is_number(before)
                    && step.stores.iter().any(|value| stored.contains(value))
            };
            // One that loads the same gains most.
            let shares = |before: &usize| {
                let loads = &self.steps[*before].loads;
                loads.iter().any(|value| self.steps[at].loads.contains(value))
            };
            let before: Vec<usize> = (0..at).rev().filter(is_kernel).collect();
            let nearest = before.iter().find(|before| shares(before)).or(before.first());
            if let Some(&nearest) = nearest {
                reasons.insert(nearest, self.beside(nearest, at));
            }
        }
        reasons.into_iter().map(|(other, reason)| separation(other, reason)).collect()
    }

    /// Why a kernel that loads places along axes of a product is not one with that, which is this step.
    fn places(&self, value: NodeId) -> Option<(usize, Reason)> {
        let Node::Call(Call::Iota(_), operands) = self.graph.node(value) else { return None };
        let is_product =
            |id: NodeId| matches!(self.graph.node(id), Node::Call(call, _) if call.multiplies());
        let product = operands.iter().copied().find(|&id| is_product(id))?;
        Some((self.storing(product)?, Reason::Places(self.array(product))))
    }

    /// Whether a step is a call that no kernel has.
    fn is_pass(&self, step: usize) -> bool {
        let step = &self.steps[step];
        let is_apart = |&id: &NodeId| match self.graph.node(id) {
            Node::Call(call, _) => !call.fuses(),
            _ => false,
        };
        step.region.is_none() && step.stores.first().is_some_and(is_apart)
    }

    /// Whether a step writes a number for a call that reads it, such as a padding: beside whatever else.
    fn is_number(&self, step: usize) -> bool {
        let is_const = |&id: &NodeId| matches!(self.graph.node(id), Node::Const(_));
        self.steps[step].stores.iter().all(is_const) && !self.steps[step].stores.is_empty()
    }

    /// The product that a region has.
    fn product(&self, region: &Region) -> Option<NodeId> {
        region.ops.iter().copied().find(|&id| self.absorber.legal.holds_product(id))
    }

    /// Why a kernel is not one with a product, a pass by itself, that has its result on a side.
    fn multiplied(&self, from: usize, at: usize) -> Option<Reason> {
        let (from, product) = (&self.steps[from], &self.steps[at]);
        let &id = product.stores.first()?;
        let Node::Call(call, _) = self.graph.node(id) else { return None };
        let is_pass = from.region.is_some() && product.region.is_none() && call.multiplies();
        is_pass.then(|| self.operand(id, from.stores[0], at))
    }

    /// Why a call, a pass by itself, or the copy of a view is not one with what it reads.
    fn of_call(&self, from: usize, at: usize) -> Option<Reason> {
        let Some(&id) = self.steps[at].stores.first() else {
            let Node::Call(view, _) = self.graph.node(self.steps[at].loads[0]) else { return None };
            return Some(Reason::Copied(view.info().noun));
        };
        let Node::Call(call, operands) = self.graph.node(id) else { return None };
        match call {
            Call::Reduce(_) => {
                let region = Region { ops: vec![id], outputs: vec![id] };
                self.unheld(operands[0], None, &region)
            }
            Call::Scan(_) if self.product_of(from).is_some() || self.multiplies(from) => {
                Some(Reason::Scanned { step: at + 1, noun: call.info().noun })
            }
            // What is put together is written there.
            Call::Concat(_) | Call::Pad(_) => None,
            _ if self.steps[from].region.is_none() => {
                let noun = self.noun(from);
                Some(Reason::Pass { step: from + 1, noun })
            }
            _ => Some(Reason::Operand { step: at + 1, noun: call.info().noun }),
        }
    }

    /// Why a product has an operand in memory that a kernel before it computes.
    fn operand(&self, product: NodeId, value: NodeId, at: usize) -> Reason {
        let (step, noun) = (at + 1, self.noun_of(product));
        let operands = self.graph.node(product).operands();
        match products::is_far(self.graph, product) {
            Some(far) if operands[0] == value && operands[1] != value => {
                let (operand, why) = match far {
                    Far::Rows => (0, "has rows that are too long to be computed some at a time"),
                    Far::Right => (1, "is too large to be read for some rows at a time"),
                };
                Reason::Size { step, noun, array: self.array(operands[operand]), why }
            }
            _ if operands[0] == value && self.reduces(at) => Reason::Reduced { step, noun },
            _ => Reason::Operand { step, noun },
        }
    }

    /// Whether a step is a kernel with reductions.
    fn reduces(&self, step: usize) -> bool {
        let mut ops = self.steps[step].region.iter().flat_map(|region| &region.ops);
        ops.any(|&op| self.absorber.legal.rows.of_call(op).is_some())
    }

    /// Whether a step is a kernel with a product of what it computes.
    fn ends(&self, step: usize) -> bool {
        let region = self.steps[step].region.iter();
        let mut ops = region.clone().flat_map(|region| &region.ops);
        let is_computed = |id: NodeId| region.clone().any(|region| region.ops.contains(&id));
        ops.any(|&op| {
            let legal = &self.absorber.legal;
            legal.holds_product(op) && is_computed(self.graph.node(op).operands()[0])
        })
    }

    /// What its products multiply.
    fn factors(&self, region: &Region) -> Vec<NodeId> {
        let products = region.ops.iter().filter(|&&id| self.absorber.legal.holds_product(id));
        products.flat_map(|&product| self.graph.node(product).operands()).collect()
    }

    /// The product that a step has.
    fn product_of(&self, step: usize) -> Option<NodeId> {
        self.steps[step].region.as_ref().and_then(|region| self.product(region))
    }

    /// Why a region, which has this product, does not have the one that a value is computed of; `None` if
    /// that is not what keeps it from computing the value.
    fn unheld(&self, value: NodeId, held: Option<NodeId>, region: &Region) -> Option<Reason> {
        let legal = &self.absorber.legal;
        let mut of = value;
        while let Node::Call(Call::View(_), args) = self.graph.node(of) {
            of = args[0];
        }
        let product = legal.product_of(of)?;
        if self.factors(region).contains(&value) {
            return None;
        }
        if let Node::Call(view @ Call::View(_), _) = self.graph.node(value) {
            return Some(Reason::View(view.info().noun));
        }
        if held.is_some_and(|held| held != product) {
            return Some(Reason::Products);
        }
        let shape = self.graph.shape(product);
        let is_apart = |&&id: &&NodeId| {
            legal.rows.of_call(id).is_some_and(|rows| !legal.rows.are_of(rows, self.graph, product))
        };
        if let Some(&reduction) = region.ops.iter().find(is_apart) {
            return Some(match products::is_long(self.graph, product) {
                true => Reason::Long(self.array(product)),
                false => Reason::Reductions(self.reduction_name(reduction)),
            });
        }
        let reads = |op: &&NodeId| self.graph.node(**op).operands().contains(&value);
        let mut readers = region.ops.iter().filter(reads);
        let larger = |id: NodeId| self.graph.shape(id);
        let larger = readers.find(|&&id| !products::admits(shape, larger(id)))?;
        Some(Reason::Larger([self.array(product), self.array(*larger)]))
    }

    /// The step that stores a value.
    fn storing(&self, mut value: NodeId) -> Option<usize> {
        while let Node::Call(Call::View(_) | Call::Within(_), args) = self.graph.node(value) {
            value = args[0];
        }
        self.steps.iter().position(|step| step.stores.contains(&value))
    }

    /// Why a kernel loads a value that another one computes.
    fn load(&mut self, value: NodeId, region: &Region) -> Reason {
        if self.absorber.legal.join(value) == Err(Apart::Cut) {
            return self.cut();
        }
        let (all, _) = self.absorber.absorb(Policy::ALL, &region.outputs);
        let costs = self.costs(all);
        let reads = |op: &&NodeId| self.graph.node(**op).operands().contains(&value);
        let mut readers = region.ops.iter().filter(reads);
        let larger = readers.find(|&&reader| is_smaller(self.graph, value, reader));
        match larger {
            Some(&reader) => {
                Reason::Smaller { arrays: [self.array(value), self.array(reader)], costs }
            }
            None if self.absorber.legal.stored().contains(&value) => {
                Reason::Stored { array: self.array(value), costs }
            }
            None => Reason::Cost(costs),
        }
    }

    /// Why two kernels of which neither loads from the other are not one.
    fn beside(&mut self, first: usize, second: usize) -> Reason {
        if let Some(reason) = self.rows(first, second) {
            return reason;
        }
        let calls = [first, second].map(|step| self.calls_before(step));
        let feeds = |&&call: &&usize| self.needed(&self.steps[call].loads, None).contains(&first);
        if let Some(&call) = calls[1].iter().find(feeds) {
            return Reason::Call { step: call + 1, noun: self.noun(call) };
        }
        let output = |program: &Program<'_>, step: usize| {
            let stored = program.absorber.legal.stored();
            let mut outputs = program.steps[step].stores.iter();
            *outputs.find(|value| stored.contains(value)).expect("a kernel stores something")
        };
        let outputs = [output(self, first), output(self, second)];
        let legal = &self.absorber.legal;
        let [Ok(one), Ok(other)] = outputs.map(|output| legal.group(output, self.domains)) else {
            // A kernel that copies or fills stores what is no op.
            return Reason::Shapes(outputs.map(|output| self.array(output)));
        };
        let ((level, stretch, domain), (other_level, other_stretch, other_domain)) = (one, other);
        if stretch != other_stretch {
            return self.cut();
        }
        match [first, second].map(|step| self.product_of(step).is_some()) {
            [true, true] => return Reason::Products,
            [false, false] => {}
            _ => return Reason::Unrelated,
        }
        if level != other_level {
            let (waiting, deep, shallow) = match level > other_level {
                true => (first, &calls[0], &calls[1]),
                false => (second, &calls[1], &calls[0]),
            };
            let Some(&call) = deep.difference(shallow).last() else {
                // What one waits for is a kernel of other rows.
                return Reason::Shapes(
                    [first, second].map(|step| self.array(self.steps[step].stores[0])),
                );
            };
            return Reason::Level { waiting: waiting + 1, step: call + 1, noun: self.noun(call) };
        }
        if domain != other_domain {
            return Reason::Shapes(outputs.map(|output| self.array(output)));
        }
        let groups = siblings::groups(&self.absorber.legal, self.domains);
        let group = groups.into_iter().find(|group| group.contains(&outputs[0]));
        let (joint, _) = self.absorber.absorb(Policy::ALL, &group.unwrap_or(outputs.to_vec()));
        Reason::Cost(self.costs(joint))
    }

    /// Whether two steps have reductions over different rows.
    fn rows(&self, first: usize, second: usize) -> Option<Reason> {
        let reductions = [self.reduction(first)?, self.reduction(second)?];
        let [one, other] = reductions.map(|id| self.absorber.legal.rows.of_call(id));
        (one != other).then(|| Reason::Rows(reductions.map(|id| self.reduction_name(id))))
    }

    /// What a reduction is: `max[-1] of f32[8, 8]`.
    fn reduction_name(&self, id: NodeId) -> String {
        match self.graph.node(id) {
            Node::Call(call, args) => {
                let call = call.expression(&[""]);
                format!("{} of {}", call.trim_end_matches("()"), self.array(args[0]))
            }
            _ => unreachable!("reductions are calls"),
        }
    }

    /// A reduction of a step, if it has any.
    fn reduction(&self, step: usize) -> Option<NodeId> {
        let Step { region, stores, .. } = &self.steps[step];
        let ops = region.as_ref().map_or(stores, |region| &region.ops);
        ops.iter().copied().find(|&id| self.absorber.legal.rows.of_call(id).is_some())
    }

    fn cut(&self) -> Reason {
        Reason::Cut { ops: self.graph.op_count(), most: MAX_REGION }
    }

    /// The calls that a step waits for.
    fn calls_before(&self, step: usize) -> BTreeSet<usize> {
        let needed = self.needed(&self.steps[step].loads, None);
        needed.into_iter().filter(|&step| self.steps[step].region.is_none()).collect()
    }

    /// What a call is.
    fn noun(&self, step: usize) -> &'static str {
        self.noun_of(self.steps[step].stores[0])
    }

    fn noun_of(&self, id: NodeId) -> &'static str {
        match self.graph.node(id) {
            Node::Call(call, _) => call.info().noun,
            _ => panic!("an op is no call"),
        }
    }

    /// What a region in place of the kernels that store the same costs, and what these do.
    fn costs(&self, region: Region) -> Costs {
        let merged = Step::of_region(region, self.graph, self.model);
        let before = self.needed(self.graph.outputs(), None);
        let after = self.needed(self.graph.outputs(), Some(&merged));
        let cost = |step: &usize| self.steps.get(*step).map_or(merged.cost, |step| step.cost);
        Costs {
            apart: before.difference(&after).map(cost).sum(),
            fused: after.difference(&before).map(cost).sum(),
        }
    }

    /// The steps that values need; `merged`, whose number is the next one, stores some of them.
    fn needed(&self, values: &[NodeId], merged: Option<&Step>) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut pending = values.to_vec();
        while let Some(value) = pending.pop() {
            let (at, step) = match merged {
                Some(merged) if merged.stores.contains(&value) => (self.steps.len(), merged),
                _ => match self.storing(value) {
                    Some(at) => (at, &self.steps[at]),
                    None => continue,
                },
            };
            if needed.insert(at) {
                pending.extend(&step.loads);
            }
        }
        needed
    }

    /// What a value is: `exp, f32[8]`.
    fn array(&self, id: NodeId) -> String {
        let (dtype, shape) = (self.graph.dtype(id), self.graph.shape(id));
        match self.graph.node(id) {
            Node::Op(op, _) => format!("{} ({dtype}{shape})", op.name()),
            _ => format!("{dtype}{shape}"),
        }
    }
}

mod scanned;

#[cfg(test)]
mod tests;
