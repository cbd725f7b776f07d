//! The rules of a mode, each compiled when a graph first has the ops that it is about.
//!
//! A rule is text, and reading all of them took half the time of a process's first kernel.

use super::context::Needs;
use super::matcher::{Matcher, Set, bit};
use super::rewrite::{Floats, compile_rule, compile_symmetry, symmetric, symmetry};
use super::rules::{Licence, RULES, Repairs, Rule};
use crate::mode::Mode;
use kiln_ir::Op;
use std::sync::OnceLock;

/// The rules that a mode licences for graphs of certain types, in table order.
pub(super) struct RuleSet {
    rules: Vec<LazyRule>,
}

/// A rule of the table, or the symmetry of an op.
#[derive(Clone, Copy)]
enum Row {
    Rule(&'static Rule, Licence, Floats),
    Symmetry(Op),
}

struct LazyRule {
    row: Row,
    /// Ops of the left side: it matches nothing in a graph that lacks one of them.
    needed: Set,
    made: OnceLock<Vec<Matcher>>,
}

impl RuleSet {
    /// The rules of a mode, made once.
    pub(super) fn of(mode: Mode, floats: Floats) -> &'static RuleSet {
        static MADE: [[OnceLock<RuleSet>; 4]; 3] = [const { [const { OnceLock::new() }; 4] }; 3];
        let (row, licence) = match mode {
            Mode::Strict => (0, Licence::Exact),
            Mode::Precise => (1, Licence::Precise),
            Mode::Fast => (2, Licence::Fast),
        };
        let column = usize::from(floats.f32) + 2 * usize::from(floats.f64);
        MADE[row][column].get_or_init(|| RuleSet::new(licence, floats))
    }

    fn new(licence: Licence, floats: Floats) -> RuleSet {
        let table = RULES.iter().filter(|rule| rule.licence <= licence);
        let table = table.map(|rule| (Row::Rule(rule, licence, floats), named(rule.left)));
        let symmetries = symmetric().map(|op| (Row::Symmetry(op), named(&symmetry(op).0)));
        let lazy = |(row, needed)| LazyRule { row, needed, made: OnceLock::new() };
        RuleSet { rules: table.chain(symmetries).map(lazy).collect() }
    }

    /// The rules that may match where these ops are present, numbered.
    pub(super) fn about(&self, present: Set) -> impl Iterator<Item = (usize, &Matcher)> {
        let rules = self.rules.iter().enumerate();
        let about = rules.filter(move |(_, rule)| rule.needed & !present == 0);
        // A rule makes at most two, one for each type.
        about.flat_map(|(i, rule)| (2 * i..).zip(rule.matchers()))
    }
}

impl LazyRule {
    fn matchers(&self) -> &[Matcher] {
        self.made.get_or_init(|| self.compile())
    }

    fn compile(&self) -> Vec<Matcher> {
        kiln_ir::span!(DEBUG, "rule");
        match self.row {
            Row::Rule(rule, licence, floats) => {
                let repairs = match rule.repairs {
                    Repairs::Never => false,
                    Repairs::UnlessFast => licence < Licence::Fast,
                    Repairs::Always => true,
                };
                let looks = !rule.when.is_empty() || rule.needs != Needs::Nothing;
                let made = compile_rule(rule, licence, floats).into_iter();
                made.map(|rewrite| Matcher::new(rewrite, looks, repairs)).collect()
            }
            Row::Symmetry(op) => vec![Matcher::new(compile_symmetry(op), false, false)],
        }
    }
}

/// Ops that the text of a left side certainly has: by name, or by a symbol with only one meaning.
fn named(text: &str) -> Set {
    let mut set = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()).max(1);
        let (head, tail) = rest.split_at(word);
        let op = match first {
            '+' => Some(Op::Add),
            '*' => Some(Op::Mul),
            '/' => Some(Op::Div),
            _ if tail.starts_with('(') => Op::from_name(head),
            _ => None,
        };
        set |= op.map_or(0, bit);
        rest = tail;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::super::matcher::bit;
    use super::super::rewrite::{side, symmetric, symmetry};
    use super::super::rules::RULES;
    use super::named;
    use kiln_ir::{DType, Node};

    /// A rule not compiled because a graph lacks its ops would match nothing in it.
    #[test]
    fn named_ops_are_in_the_rule() {
        let symmetries = symmetric().map(|op| symmetry(op).0);
        for left in RULES.iter().map(|rule| rule.left.to_string()).chain(symmetries) {
            let graph = side(&left, DType::F32);
            let has = graph.nodes().iter().fold(0, |set, node| match node {
                Node::Op(op, _) => set | bit(*op),
                _ => set,
            });
            assert_eq!(named(&left) & !has, 0, "{left}");
            // Few are compiled in vain: of the symbols, only `-` has two meanings.
            assert!((has & !named(&left)).count_ones() <= 3, "{left}");
        }
    }
}
