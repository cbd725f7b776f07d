//! The terms that repairs have replaced: no program is computed by them where there is another way.

use super::facts::FactAnalysis;
use super::term::{Head, Term};
use egg::{EGraph, Id, Language};
use kiln_ir::{Flags, Op};
use std::collections::HashSet;

/// Terms to avoid, by class, in today's ids and one order of operands.
pub(super) struct Avoided(HashSet<(Id, Term)>);

impl Avoided {
    /// Of an e-graph as it is now.
    pub(super) fn of(egraph: &EGraph<Term, FactAnalysis>) -> Avoided {
        let noted = egraph.analysis.avoided().iter();
        Avoided(noted.map(|(id, term)| (egraph.find(*id), in_order(egraph, term))).collect())
    }

    /// Whether a class should not be computed so: by a term that was repaired, or by one that
    /// differs from such a term in one rounding.
    pub(super) fn contains(
        &self,
        egraph: &EGraph<Term, FactAnalysis>,
        class: Id,
        term: &Term,
    ) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let known = |term: &Term| self.0.contains(&(class, in_order(egraph, term)));
        if known(term) {
            return true;
        }
        let (Head::Op(Op::Fma), &[a, b, c]) = (term.head(), term.children()) else { return false };
        let lookup = |op, operands: &[Id]| egraph.lookup(Term::new(Head::Op(op), operands));
        let negated = |id: Id| {
            let class = &egraph[id];
            if let Some(value) = class.data.constant {
                return egraph.lookup(Term::constant(class.data.dtype, -value));
            }
            let operand = class.nodes.iter().find(|term| term.head() == Head::Op(Op::Neg));
            lookup(Op::Neg, &[id]).or_else(|| operand.map(|term| term.children()[0]))
        };
        let product = lookup(Op::Mul, &[a, b]);
        let opposites = [
            negated(a).and_then(|a| lookup(Op::Mul, &[a, b])),
            negated(b).and_then(|b| lookup(Op::Mul, &[a, b])),
            product.and_then(negated),
        ];
        let is = |op, a: Option<Id>, b: Option<Id>| {
            a.zip(b).is_some_and(|(a, b)| known(&Term::new(Head::Op(op), &[a, b])))
        };
        is(Op::Add, product, Some(c))
            || is(Op::Sub, product, negated(c))
            || opposites.into_iter().any(|opposite| is(Op::Sub, Some(c), opposite))
    }
}

/// The term in today's ids and, if its operands may be swapped, these sorted.
fn in_order(egraph: &EGraph<Term, FactAnalysis>, term: &Term) -> Term {
    let mut term = term.clone().map_children(|child| egraph.find(child));
    if let Head::Op(op) = term.head()
        && swaps(op, term.len())
    {
        term.children_mut()[..2].sort_unstable();
    }
    term
}

/// Whether an op's first two operands may be swapped.
pub(super) fn swaps(op: Op, len: usize) -> bool {
    op == Op::Fma || (op.has(Flags::COMMUTATIVE) && len == 2)
}
