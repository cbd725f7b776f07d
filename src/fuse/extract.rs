//! Extraction by exact DAG cost: what is shared is paid for once.
//!
//! Tree cost, which egg's extractor minimises, can make code worse than the input (the backward of
//! sigmoid nearly doubles). This one climbs from two starts, the cheapest tree and the input
//! program, one changed choice at a time, and so is never worse than the input. Ties fall to the
//! smaller structural hash, never to an id: the result depends on the terms alone.

/// A class of equal alternatives.
pub(crate) type ClassId = usize;

/// One way to compute a class.
pub(crate) struct Alternative {
    /// Cost without children.
    pub(crate) cost: u64,
    /// Hash of what it is, without children.
    pub(crate) label: u64,
    /// Whether the order of children is immaterial.
    pub(crate) commutes: bool,
    /// What it reads.
    pub(crate) children: Vec<ClassId>,
}

/// A choice of one alternative for each class (an index, or [`NONE`]).
pub(crate) type Choice = Vec<u32>;

/// No alternative.
pub(crate) const NONE: u32 = u32::MAX;

/// The classes of an e-graph, and the classes that are wanted.
pub(crate) struct Problem {
    /// Alternatives of each class.
    pub(crate) classes: Vec<Vec<Alternative>>,
    /// What must be computed.
    pub(crate) roots: Vec<ClassId>,
}

/// Cost, then structure: the order in which choices are better.
type Score = (u64, u64);

impl Problem {
    /// The best choice found; `input` is the choice that the input program makes, where it makes
    /// one.
    pub(crate) fn extract(&self, input: &Choice) -> Choice {
        let trees = self.cheapest_trees();
        let mut from_input = trees.clone();
        for (class, &alternative) in input.iter().enumerate() {
            if alternative != NONE {
                from_input[class] = alternative;
            }
        }
        let a = self.climb(trees);
        let b = self.climb(from_input);
        match (a, b) {
            (Some(a), Some(b)) => {
                if b.0 < a.0 {
                    b.1
                } else {
                    a.1
                }
            }
            (Some(a), None) => a.1,
            (None, Some(b)) => b.1,
            (None, None) => input.clone(),
        }
    }

    /// The total cost of a choice, or `None` where it is cyclic or incomplete.
    pub(crate) fn cost(&self, choice: &Choice) -> Option<u64> {
        self.order(choice).map(|order| self.cost_of(choice, &order))
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

    fn cost_of(&self, choice: &Choice, order: &[ClassId]) -> u64 {
        order.iter().map(|&class| self.alternative(choice, class).cost).sum()
    }

    /// A hash of the chosen program that does not depend on ids.
    fn structure(&self, choice: &Choice, order: &[ClassId]) -> u64 {
        let mut hashes = vec![0u64; self.classes.len()];
        for &class in order {
            let alternative = self.alternative(choice, class);
            let mut children: Vec<u64> = alternative.children.iter().map(|&c| hashes[c]).collect();
            if alternative.commutes {
                children.sort_unstable();
            }
            hashes[class] = children
                .into_iter()
                .fold(mix(alternative.label), |h, child| mix(h ^ child.rotate_left(17)));
        }
        self.roots.iter().fold(0, |hash, &root| mix(hash ^ hashes[root]))
    }

    fn score(&self, choice: &Choice) -> Option<Score> {
        let order = self.order(choice)?;
        Some((self.cost_of(choice, &order), self.structure(choice, &order)))
    }

    /// The cheapest tree of each class: a fixpoint, acyclic because every step costs something.
    fn cheapest_trees(&self) -> Choice {
        let mut best: Vec<Option<(u64, u64)>> = vec![None; self.classes.len()];
        let mut choice = vec![NONE; self.classes.len()];
        loop {
            let mut changed = false;
            for (class, alternatives) in self.classes.iter().enumerate() {
                for (index, alternative) in alternatives.iter().enumerate() {
                    let total = alternative.children.iter().try_fold(
                        (alternative.cost.saturating_add(1), mix(alternative.label)),
                        |(sum, hash), &child| {
                            let (cost, label) = best[child]?;
                            Some((sum.saturating_add(cost), mix(hash ^ label)))
                        },
                    );
                    let Some(total) = total else { continue };
                    // Strictly cheaper only: a cost never grows, so the fixpoint is reached.
                    if best[class].is_none_or(|known| total.0 < known.0) {
                        best[class] = Some(total);
                        choice[class] = index as u32;
                        changed = true;
                    }
                }
            }
            if !changed {
                return choice;
            }
        }
    }

    /// Takes the best single change as long as one is an improvement.
    fn climb(&self, mut choice: Choice) -> Option<(Score, Choice)> {
        // Each round costs classes × alternatives × size; big graphs get fewer rounds.
        let rounds = if self.classes.len() > 2_000 { 1 } else { 64 };
        let mut score = self.score(&choice)?;
        for _ in 0..rounds {
            let order = self.order(&choice)?;
            let mut best: Option<(Score, ClassId, u32)> = None;
            for &class in &order {
                let chosen = choice[class];
                for index in 0..self.classes[class].len() as u32 {
                    if index == chosen {
                        continue;
                    }
                    choice[class] = index;
                    let candidate = match self.cost(&choice) {
                        // The structure is dear to compute and matters only among equals.
                        Some(cost) if cost <= best.map_or(score.0, |b| b.0.0) => {
                            self.score(&choice)
                        }
                        _ => None,
                    };
                    if let Some(candidate) = candidate
                        && candidate < best.map_or(score, |b| b.0)
                    {
                        best = Some((candidate, class, index));
                    }
                }
                choice[class] = chosen;
            }
            let Some((better, class, index)) = best else { break };
            choice[class] = index;
            score = better;
        }
        Some((score, choice))
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
        Alternative { cost, label, commutes: false, children: children.to_vec() }
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
