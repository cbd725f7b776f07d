//! Rounds of rewriting: the rules of a mode, matched where something changed, within a budget.
//!
//! egg's own runner matches every rule with every class in every round. From the second round on,
//! though, only a small part has changed, and a match found before leads to nothing new. So a round
//! looks only at the classes that changed and at those above, as far as a rule can see.

use super::extract::mix;
use super::facts::FactAnalysis;
use super::matcher::{Matcher, NUMBER, Set, bit};
use super::ruleset::RuleSet;
use super::term::{Head, Term};
use egg::{EGraph, Id, Language, SearchMatches};
use kiln_ir::Op;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// The most that rounds may cost. In counts, never in time, so that results are the same
/// everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Rounds.
    pub(super) rounds: usize,
    /// E-nodes.
    pub(super) nodes: usize,
    /// From this many e-nodes on, only repairs are looked for in a class.
    pub(super) class: usize,
    /// Classes matched against a rule, and matches found.
    pub(super) work: usize,
}

/// How rounds ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Whether no rule had anything left to add.
    pub(super) saturated: bool,
    pub(super) rounds: usize,
    pub(super) work: usize,
}

/// Rounds that look for repairs alone, after all others: one repair follows from another.
const REPAIR_ROUNDS: usize = 4;

/// Applies rules until nothing changes or the budget is used up, and then those that repair lost
/// digits. Calls `before` ahead of each round.
pub(super) fn run(
    egraph: &mut EGraph<Term, FactAnalysis>,
    rules: &'static RuleSet,
    budget: Budget,
    mut before: impl FnMut(&mut EGraph<Term, FactAnalysis>),
) -> Ended {
    let mut surroundings = Surroundings::default();
    let mut ended = Ended { saturated: false, rounds: 0, work: 0 };
    egraph.rebuild();
    // The rounds left for repairs alone, once the budget is used up.
    let mut repairs: Option<usize> = None;
    loop {
        before(egraph);
        let touched = std::mem::take(&mut egraph.analysis.touched);
        if touched.is_empty() {
            ended.saturated = repairs.is_none();
            return ended;
        }
        let spent = ended.rounds >= budget.rounds || ended.work >= budget.work;
        if spent || egraph.total_size() > budget.nodes {
            repairs = Some(repairs.map_or(REPAIR_ROUNDS, |left| left - 1));
        }
        if repairs == Some(0) {
            return ended;
        }
        ended.rounds += 1;
        surroundings.update(egraph, &touched);
        let found: Vec<(&Matcher, Vec<SearchMatches<'_, Term>>)> = rules
            .about(surroundings.present)
            .filter(|(_, rule)| rule.repairs || repairs.is_none())
            .filter_map(|(index, rule)| {
                let found = surroundings.search(egraph, index, rule, budget, &mut ended.work);
                (!found.is_empty()).then_some((rule, found))
            })
            .collect();
        for (rule, matches) in found {
            if rule.repairs || egraph.total_size() <= budget.nodes {
                rule.rewrite.applier.apply_matches(egraph, &matches, rule.rewrite.name);
            }
        }
        egraph.rebuild();
    }
}

/// No rule sees a change from further above: this is deeper than any rule.
const FAR: u8 = 16;

/// What a round knows of each class, by id.
#[derive(Default)]
struct Surroundings {
    /// What terms it holds.
    sets: Vec<Set>,
    /// For classes near a change: the terms held by the classes that its terms read.
    below: Vec<Set>,
    /// How far above a change it is, at most [`FAR`].
    above: Vec<u8>,
    /// The classes nearer than [`FAR`].
    near: Vec<Id>,
    /// The classes that hold a term of each op.
    of_op: Vec<Vec<Id>>,
    /// Ops present in the e-graph.
    present: Set,
    /// Matches of earlier rounds, as hashes.
    seen: HashSet<u64, BuildHasherDefault<Mixed>>,
}

impl Surroundings {
    fn update(&mut self, egraph: &EGraph<Term, FactAnalysis>, touched: &[Id]) {
        for id in self.near.drain(..) {
            self.above[usize::from(id)] = FAR;
        }
        let count = egraph.nodes().len();
        self.sets.resize(count, 0);
        self.above.resize(count, FAR);
        for &id in touched {
            let id = egraph.find(id);
            if self.above[usize::from(id)] == FAR {
                self.above[usize::from(id)] = 0;
                self.near.push(id);
                let set = set_of(egraph, id);
                self.sets[usize::from(id)] = set;
                self.present |= set;
            }
        }
        let mut at = 0;
        while let Some(&id) = self.near.get(at) {
            at += 1;
            let above = self.above[usize::from(id)] + 1;
            for parent in egraph[id].parents() {
                let parent = egraph.find(parent);
                if above < self.above[usize::from(parent)] {
                    self.above[usize::from(parent)] = above;
                    self.near.push(parent);
                }
            }
        }
        self.near.sort_unstable();
        self.below.resize(count, 0);
        for &id in &self.near {
            let children = egraph[id].nodes.iter().flat_map(|term| term.children());
            let below = children.fold(0, |below, &child| below | self.sets[usize::from(child)]);
            self.below[usize::from(id)] = below;
        }
        self.of_op.resize(Op::ALL.len(), Vec::new());
        self.of_op.iter_mut().for_each(Vec::clear);
        for &id in &self.near {
            let mut ops = self.sets[usize::from(id)] & !NUMBER;
            while ops != 0 {
                self.of_op[ops.trailing_zeros() as usize].push(id);
                ops &= ops - 1;
            }
        }
    }

    /// New matches of a rule, the one numbered `index`.
    fn search(
        &mut self,
        egraph: &EGraph<Term, FactAnalysis>,
        index: usize,
        rule: &'static Matcher,
        budget: Budget,
        work: &mut usize,
    ) -> Vec<SearchMatches<'static, Term>> {
        let mut found = Vec::new();
        for &class in &self.of_op[rule.root as usize] {
            let is_near = self.above[usize::from(class)] <= rule.depth;
            if !is_near || rule.below & !self.below[usize::from(class)] != 0 {
                continue;
            }
            if !rule.repairs && egraph[class].nodes.len() >= budget.class {
                continue;
            }
            let Some(mut matches) = rule.search(egraph, &self.sets, class) else { continue };
            *work += 1 + matches.substs.len();
            // What was found before leads to nothing new, unless more is known about it now.
            matches.substs.retain(|subst| {
                let start = mix(index as u64) ^ usize::from(class) as u64;
                let mut changed = rule.looks && self.above[usize::from(class)] == 0;
                let key = rule.bound(subst).fold(start, |key, id| {
                    let id = usize::from(id);
                    changed |= rule.looks && self.above[id] < FAR;
                    mix(key) ^ id as u64
                });
                self.seen.insert(mix(key)) || changed
            });
            if !matches.substs.is_empty() {
                found.push(matches);
            }
        }
        found
    }
}

/// Passes on what is already a hash.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("hashes are u64")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What terms a class holds.
fn set_of(egraph: &EGraph<Term, FactAnalysis>, id: Id) -> Set {
    let number = if egraph[id].data.constant.is_some() { NUMBER } else { 0 };
    egraph[id].nodes.iter().fold(number, |set, term| match term.head() {
        Head::Op(op) => set | bit(op),
        Head::Const(..) => set | NUMBER,
        Head::Input(_) | Head::Call(_) => set,
    })
}
