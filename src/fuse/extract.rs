//! Extraction by exact DAG cost: what is shared is paid for once.
//!
//! Tree cost, which egg's extractor minimises, can make code worse than the input (the backward of
//! sigmoid nearly doubles). This one climbs from two starts, the cheapest tree and the input
//! program, one change at a time, so it is never worse than the input. Ties go to the smaller
//! structural hash, never to an id: the result depends on the terms alone.
//!
//! The cost of a change is found by counting readers: a class that gets its first reader is paid
//! for, one that loses its last is not, and nothing else is looked at.

use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A class of equal alternatives.
pub(crate) type ClassId = usize;

/// One way to compute a class.
pub(crate) struct Alternative {
    /// Cost without children.
    pub(crate) cost: u64,
    /// Hash of what it is, without children.
    pub(crate) label: u64,
    /// How many of the first children may be reordered.
    pub(crate) unordered: usize,
    /// What it reads.
    pub(crate) children: SmallVec<[ClassId; 3]>,
}

/// A choice of one alternative for each class (an index, or [`NONE`]).
pub(crate) type Choice = Vec<u32>;

/// No alternative.
pub(crate) const NONE: u32 = u32::MAX;

/// The classes of an e-graph, and the classes that are wanted.
#[derive(Default)]
pub(crate) struct Problem {
    /// Alternatives of each class.
    pub(crate) classes: Vec<Vec<Alternative>>,
    /// What must be computed.
    pub(crate) roots: Vec<ClassId>,
}

/// Cost, then structure: the order in which choices get better.
type Score = (u64, u64);

/// The most classes a climb looks at: some 20 ms. Kernels of 30 ops take a hundredth of it.
const MAX_WORK: usize = 1_000_000;

impl Problem {
    /// The best choice found; `input` is the choice of the input program, where it makes one.
    pub(crate) fn extract(&self, input: &Choice) -> Choice {
        let trees = self.cheapest_trees();
        let mut from_input = trees.clone();
        for (class, &alternative) in input.iter().enumerate() {
            if alternative != NONE {
                from_input[class] = alternative;
            }
        }
        let starts = if from_input == trees { vec![trees] } else { vec![trees, from_input] };
        let climbed = starts.into_iter().filter_map(|start| self.climb(start));
        climbed.min_by_key(|(score, _)| *score).map_or_else(|| input.clone(), |(_, best)| best)
    }

    /// The total cost of a choice, or `None` where it is cyclic or incomplete.
    pub(crate) fn cost(&self, choice: &Choice) -> Option<u64> {
        let order = self.order(choice)?;
        Some(order.iter().map(|&class| self.alternative(choice, class).cost).sum())
    }

    /// The classes that `choice` reaches, children first; `None` where it is cyclic.
    pub(crate) fn order(&self, choice: &Choice) -> Option<Vec<ClassId>> {
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut state = vec![0u8; self.classes.len()];
        let mut order = Vec::new();
        let mut stack: Vec<(ClassId, usize)> = Vec::new();
        for &root in &self.roots {
            if state[root] == 0 {
                state[root] = OPEN;
                stack.push((root, 0));
            }
            while let Some(&mut (class, ref mut next)) = stack.last_mut() {
                let alternative = self.classes[class].get(choice[class] as usize)?;
                match alternative.children.get(*next) {
                    None => {
                        state[class] = DONE;
                        order.push(class);
                        stack.pop();
                    }
                    Some(&child) => {
                        *next += 1;
                        match state[child] {
                            0 => {
                                state[child] = OPEN;
                                stack.push((child, 0));
                            }
                            OPEN => return None,
                            _ => {}
                        }
                    }
                }
            }
        }
        Some(order)
    }

    fn alternative(&self, choice: &Choice, class: ClassId) -> &Alternative {
        &self.classes[class][choice[class] as usize]
    }

    /// The cheapest tree of each class, found in order of cost: a tree costs more than its
    /// children.
    fn cheapest_trees(&self) -> Choice {
        let mut choice = vec![NONE; self.classes.len()];
        let mut best = vec![0u64; self.classes.len()];
        // Which alternatives read a class, and how many of its children each one waits for.
        let mut readers: Vec<SmallVec<[(u32, u32); 4]>> = vec![SmallVec::new(); choice.len()];
        let mut waiting: Vec<SmallVec<[u32; 4]>> = Vec::with_capacity(choice.len());
        let mut heap = BinaryHeap::new();
        let tree = |alternative: &Alternative, best: &[u64]| {
            let own = alternative.cost.saturating_add(1);
            alternative.children.iter().fold(own, |sum, &child| sum.saturating_add(best[child]))
        };
        for (class, alternatives) in self.classes.iter().enumerate() {
            waiting.push(alternatives.iter().map(|a| a.children.len() as u32).collect());
            for (index, alternative) in alternatives.iter().enumerate() {
                for &child in &alternative.children {
                    readers[child].push((class as u32, index as u32));
                }
                if alternative.children.is_empty() {
                    heap.push(Reverse((tree(alternative, &best), class as u32, index as u32)));
                }
            }
        }
        while let Some(Reverse((cost, class, index))) = heap.pop() {
            let class = class as usize;
            if choice[class] != NONE {
                continue;
            }
            (choice[class], best[class]) = (index, cost);
            for &(reader, index) in &readers[class] {
                let left = &mut waiting[reader as usize][index as usize];
                *left -= 1;
                if *left == 0 {
                    let alternative = &self.classes[reader as usize][index as usize];
                    heap.push(Reverse((tree(alternative, &best), reader, index)));
                }
            }
        }
        choice
    }

    /// Changes single choices as long as that is an improvement.
    fn climb(&self, start: Choice) -> Option<(Score, Choice)> {
        let mut climber = Climber::new(self, start)?;
        while climber.work > 0 && climber.improve() {}
        Some(((climber.cost, climber.structure()), climber.choice))
    }

    /// A hash of the chosen program that does not depend on ids.
    fn structure(&self, hashes: &[u64]) -> u64 {
        self.roots.iter().fold(0, |hash, &root| mix(hash ^ hashes[root]))
    }
}

/// The hash of a program, from those of its children.
fn hash(alternative: &Alternative, hashes: &[u64]) -> u64 {
    let mut children: SmallVec<[u64; 3]> =
        alternative.children.iter().map(|&child| hashes[child]).collect();
    children[..alternative.unordered].sort_unstable();
    let own = mix(alternative.label);
    children.into_iter().fold(own, |hash, child| mix(hash ^ child.rotate_left(17)))
}

/// A choice that is being improved.
struct Climber<'a> {
    problem: &'a Problem,
    choice: Choice,
    cost: u64,
    /// The reached classes, children first.
    order: Vec<ClassId>,
    /// How many choices and roots read a class; 0 if it is not reached.
    readers: Vec<u32>,
    /// No reached class reads one with a greater position.
    positions: Vec<u32>,
    /// A hash of the program of each reached class.
    hashes: Vec<u64>,
    /// What is left of [`MAX_WORK`].
    work: usize,
    /// The last walk that met a class, and whether it is still below that class.
    met: Vec<(u32, bool)>,
    walk: u32,
}

/// A change of one choice: the cost it leads to, and the hash of the class's program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    cost: u64,
    hash: u64,
    class: ClassId,
    index: u32,
}

impl<'a> Climber<'a> {
    fn new(problem: &'a Problem, choice: Choice) -> Option<Climber<'a>> {
        let order = problem.order(&choice)?;
        let count = problem.classes.len();
        let mut readers = vec![0; count];
        let read = order.iter().flat_map(|&class| &problem.alternative(&choice, class).children);
        read.chain(&problem.roots).for_each(|&class| readers[class] += 1);
        let mut climber = Climber {
            problem,
            cost: order.iter().map(|&class| problem.alternative(&choice, class).cost).sum(),
            choice,
            order,
            readers,
            positions: vec![0; count],
            hashes: vec![0; count],
            work: MAX_WORK,
            met: vec![(0, false); count],
            walk: 0,
        };
        climber.arrange();
        Some(climber)
    }

    /// Brings order, positions and hashes up to date.
    fn arrange(&mut self) {
        self.order = self.problem.order(&self.choice).expect("no change makes a cycle");
        self.work = self.work.saturating_sub(self.order.len());
        for (position, &class) in self.order.iter().enumerate() {
            self.positions[class] = position as u32;
            let alternative = self.problem.alternative(&self.choice, class);
            self.hashes[class] = hash(alternative, &self.hashes);
        }
    }

    fn structure(&self) -> u64 {
        self.problem.structure(&self.hashes)
    }

    /// Makes every change that lowers the cost, the best first. If there is none, makes the one
    /// that leads to the smallest hash at equal cost.
    fn improve(&mut self) -> bool {
        let changes = self.changes();
        let Some(best) = changes.first() else { return false };
        if best.cost == self.cost {
            return self.break_tie(&changes);
        }
        let cost = self.cost;
        for change in changes.iter().take_while(|change| change.cost < cost) {
            let Change { class, index, .. } = *change;
            // An earlier change may have made it useless.
            if self.readers[class] > 0
                && self.evaluate(class, index).is_some_and(|(cost, _)| cost < self.cost)
            {
                self.change(class, index);
                let read = &self.problem.classes[class][index as usize].children;
                if read.iter().any(|&child| self.positions[child] > self.positions[class]) {
                    self.arrange();
                }
            }
        }
        self.arrange();
        true
    }

    /// Every change that does not raise the cost, the best first.
    fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for class in self.order.clone() {
            let chosen = self.choice[class];
            for index in (0..self.problem.classes[class].len() as u32).filter(|&i| i != chosen) {
                if self.work > 0
                    && let Some((cost, hash)) = self.evaluate(class, index)
                    && (cost < self.cost || (cost == self.cost && hash != self.hashes[class]))
                {
                    changes.push(Change { cost, hash, class, index });
                }
            }
        }
        changes.sort_unstable();
        changes
    }

    /// Among changes that keep the cost, makes the one that leads to the smallest hash.
    fn break_tie(&mut self, changes: &[Change]) -> bool {
        let mut best = (self.structure(), None);
        for change in changes {
            if self.work == 0 {
                break;
            }
            let chosen = std::mem::replace(&mut self.choice[change.class], change.index);
            let order = self.problem.order(&self.choice).expect("it was no cycle before");
            self.work = self.work.saturating_sub(2 * order.len());
            let mut hashes = self.hashes.clone();
            for class in order {
                hashes[class] = hash(self.problem.alternative(&self.choice, class), &hashes);
            }
            let structure = self.problem.structure(&hashes);
            if structure < best.0 {
                best = (structure, Some(*change));
            }
            self.choice[change.class] = chosen;
        }
        let Some(Change { class, index, .. }) = best.1 else { return false };
        self.change(class, index);
        self.arrange();
        true
    }

    /// The cost, and the hash of the class's program, if this alternative computed a reached class;
    /// `None` if it would read itself.
    fn evaluate(&mut self, class: ClassId, index: u32) -> Option<(u64, u64)> {
        let alternative = &self.problem.classes[class][index as usize];
        self.walk += 1;
        if !alternative.children.iter().all(|&child| self.is_apart(child, class)) {
            return None;
        }
        let chosen = self.choice[class];
        self.change(class, index);
        let cost = self.cost;
        self.change(class, chosen);
        Some((cost, hash(alternative, &self.hashes)))
    }

    /// Whether the program of `start` has no cycles and does not read `class`. Classes that are not
    /// reached get their position and hash on the way.
    fn is_apart(&mut self, start: ClassId, class: ClassId) -> bool {
        let mut stack: SmallVec<[(ClassId, usize); 16]> = SmallVec::new();
        let mut next = start;
        loop {
            let (walk, below) = self.met[next];
            let reached = self.readers[next] > 0;
            if next == class || (walk == self.walk && below) {
                return false;
            }
            let is_lower = reached && self.positions[next] < self.positions[class];
            if walk != self.walk && !is_lower {
                if self.choice[next] == NONE {
                    return false;
                }
                self.work = self.work.saturating_sub(1);
                self.met[next] = (self.walk, true);
                stack.push((next, 0));
            }
            // Up to the last class that reads one more.
            loop {
                let Some((top, position)) = stack.last_mut() else { return true };
                let alternative = self.problem.alternative(&self.choice, *top);
                if let Some(&child) = alternative.children.get(*position) {
                    *position += 1;
                    next = child;
                    break;
                }
                let top = *top;
                self.met[top].1 = false;
                if self.readers[top] == 0 {
                    let positions = alternative.children.iter().map(|&c| self.positions[c]);
                    self.positions[top] = positions.max().unwrap_or(0);
                    self.hashes[top] = hash(alternative, &self.hashes);
                }
                stack.pop();
            }
        }
    }

    /// Switches `class` to another alternative.
    fn change(&mut self, class: ClassId, index: u32) {
        let (old, new) = (self.choice[class], &self.problem.classes[class][index as usize]);
        let old = &self.problem.classes[class][old as usize];
        self.choice[class] = index;
        self.cost = self.cost + new.cost - old.cost;
        // First what is added, so that what both read stays.
        new.children.iter().for_each(|&child| self.count_reader(child, true));
        old.children.iter().for_each(|&child| self.count_reader(child, false));
    }

    /// Notes that `class` gained or lost a reader, and updates the cost.
    fn count_reader(&mut self, class: ClassId, more: bool) {
        let mut stack: SmallVec<[ClassId; 16]> = SmallVec::from_slice(&[class]);
        while let Some(class) = stack.pop() {
            self.work = self.work.saturating_sub(1);
            let readers = &mut self.readers[class];
            *readers = if more { *readers + 1 } else { *readers - 1 };
            if *readers == u32::from(more) {
                let alternative = self.problem.alternative(&self.choice, class);
                self.cost = match more {
                    true => self.cost + alternative.cost,
                    false => self.cost - alternative.cost,
                };
                stack.extend(alternative.children.iter().copied());
            }
        }
    }
}

/// SplitMix64's finalizer.
pub(crate) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Alternative, NONE, Problem};

    fn alternative(cost: u64, label: u64, children: &[usize]) -> Alternative {
        Alternative { cost, label, unordered: 0, children: children.into() }
    }

    /// `s(1-s)` against `s * sigmoid(-x)`: the tree is dearer where the DAG is cheaper.
    #[test]
    fn sharing_is_paid_once() {
        let problem = Problem {
            classes: vec![
                vec![alternative(0, 1, &[])],
                vec![alternative(260, 2, &[0])],
                // 1 - s, or sigmoid of the negated input.
                vec![alternative(30, 3, &[1]), alternative(250, 4, &[0])],
                vec![alternative(10, 5, &[1, 2])],
            ],
            roots: vec![3],
        };
        let input = vec![0, 0, 0, 0];
        let choice = problem.extract(&input);
        assert_eq!(choice[2], 0);
        assert_eq!(problem.cost(&choice), Some(300));
    }

    #[test]
    fn cycles_are_not_chosen() {
        let problem = Problem {
            classes: vec![
                vec![alternative(1, 1, &[1]), alternative(50, 2, &[])],
                vec![alternative(1, 3, &[0]), alternative(60, 4, &[])],
            ],
            roots: vec![0],
        };
        let choice = problem.extract(&vec![NONE, NONE]);
        assert_eq!(problem.cost(&choice), Some(50));
    }
}
