//! The terms that repairs have replaced: no program uses them where there is another way.

use super::facts::FactAnalysis;
use super::term::{Head, Term};
use egg::{EGraph, Id, Language};
use kiln_ir::Op;
use std::collections::HashSet;

/// Terms to avoid, by class, with current ids and operands in one order.
pub(super) struct Avoided {
    replaced: HashSet<(Id, Term)>,
    /// The terms that repairs put in their place.
    repaired: HashSet<(Id, Term)>,
    /// Classes in which a sum was replaced.
    of_sums: HashSet<Id>,
}

impl Avoided {
    /// For an e-graph as it is now.
    pub(super) fn of(egraph: &EGraph<Term, FactAnalysis>) -> Avoided {
        let today = |noted: &HashSet<(Id, Term)>| -> HashSet<(Id, Term)> {
            noted.iter().map(|(id, term)| (egraph.find(*id), in_order(egraph, term))).collect()
        };
        let replaced = today(&egraph.analysis.replaced);
        let sums = replaced.iter().filter(|(_, term)| is_sum(term)).map(|(id, _)| *id);
        let of_sums = sums.collect();
        Avoided { repaired: today(&egraph.analysis.repaired), replaced, of_sums }
    }

    /// Whether a class should not be computed by this term: one that was replaced or, where a sum
    /// was replaced, any other sum that no repair made. Such sums differ from it in signs, or in
    /// one rounding.
    pub(super) fn contains(
        &self,
        egraph: &EGraph<Term, FactAnalysis>,
        class: Id,
        term: &Term,
    ) -> bool {
        if self.replaced.is_empty() {
            return false;
        }
        let noted = (class, in_order(egraph, term));
        let is_other_sum =
            || is_sum(term) && self.of_sums.contains(&class) && !self.repaired.contains(&noted);
        self.replaced.contains(&noted) || is_other_sum()
    }
}

fn is_sum(term: &Term) -> bool {
    matches!(term.head(), Head::Op(Op::Add | Op::Sub | Op::Fma))
}

/// The term with current ids and, if its operands may be swapped, with these sorted.
fn in_order(egraph: &EGraph<Term, FactAnalysis>, term: &Term) -> Term {
    let mut term = term.clone().map_children(|child| egraph.find(child));
    let unordered = term.unordered();
    term.children_mut()[..unordered].sort_unstable();
    term
}
