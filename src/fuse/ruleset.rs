//! The rules of a mode, each compiled when a graph first has the ops that it is about.
//!
//! A rule is a text, and reading all of them took half of the time of the first kernel of a process.

use super::Mode;
use super::rules::{
    Floats, Licence, RULES, Repairs, Rule, TermRewrite, compile_rule, compile_symmetry, is_number,
    symmetric, symmetry,
};
use super::term::{Head, Term};
use egg::{ENodeOrVar, Id, Language, PatternAst, Var};
use kiln_ir::Op;
use std::sync::OnceLock;

/// A set of ops, and of what else a class may hold, as bits.
pub(super) type Set = u128;

/// The bit of a number in a [`Set`].
pub(super) const NUMBER: Set = 1 << 127;

const _: () = assert!(Op::ALL.len() < 127);

/// The bit of an op in a [`Set`].
pub(super) fn bit(op: Op) -> Set {
    1 << op as usize
}

/// The rules that a mode licences for graphs of some types, in table order.
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
    /// Ops of the left side: it matches nothing in a graph that lacks one.
    needed: Set,
    made: OnceLock<Vec<Matcher>>,
}

/// A compiled rule, and what a class must have to match it.
pub(super) struct Matcher {
    pub(super) rewrite: TermRewrite,
    /// The op of the left side's root.
    pub(super) root: Op,
    /// What each operand of the root must have: its op, or that it is a number.
    operands: [Set; 3],
    /// How far below a class changes may make it match.
    pub(super) depth: u8,
    /// Whether the left side is avoided for the right one's sake.
    pub(super) repairs: bool,
}

impl RuleSet {
    /// The rules of a mode. Made once.
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

    /// The rules that may match where there are these ops.
    pub(super) fn about(&self, present: Set) -> impl Iterator<Item = &Matcher> {
        let rules = self.rules.iter().filter(move |rule| rule.needed & !present == 0);
        rules.flat_map(LazyRule::matchers)
    }
}

impl LazyRule {
    fn matchers(&self) -> &[Matcher] {
        self.made.get_or_init(|| match self.row {
            Row::Rule(rule, licence, floats) => {
                let repairs = match rule.repairs {
                    Repairs::Never => false,
                    Repairs::UnlessFast => licence < Licence::Fast,
                    Repairs::Always => true,
                };
                let looks = !rule.when.is_empty();
                let made = compile_rule(rule, licence, floats).into_iter();
                made.map(|rewrite| Matcher::new(rewrite, looks, repairs)).collect()
            }
            Row::Symmetry(op) => vec![Matcher::new(compile_symmetry(op), false, false)],
        })
    }
}

impl Matcher {
    /// `looks` if conditions look at what variables stand for.
    fn new(rewrite: TermRewrite, looks: bool, repairs: bool) -> Matcher {
        let left = rewrite.searcher.get_pattern_ast().expect("rules search for patterns");
        let root = left.root();
        let ENodeOrVar::ENode(term) = &left[root] else { unreachable!("checked when compiled") };
        let Head::Op(op) = term.head() else { unreachable!("checked when compiled") };
        let mut operands = [0; 3];
        for (operand, &child) in operands.iter_mut().zip(term.children()) {
            *operand = must_have(&left[child]);
        }
        let below = term.children().iter().map(|&child| depth(left, child, looks));
        let depth = below.max().unwrap_or(0);
        Matcher { rewrite, root: op, operands, depth, repairs }
    }

    /// Whether a term may be the root of a match, as far as the sets of its operands tell.
    pub(super) fn may_match(&self, term: &Term, set: impl Fn(Id) -> Set) -> bool {
        let has = |(needed, &child): (&Set, &Id)| *needed == 0 || set(child) & needed != 0;
        term.head() == Head::Op(self.root) && self.operands.iter().zip(term.children()).all(has)
    }
}

fn stands_for_number(var: Var) -> bool {
    var.to_string().strip_prefix('?').is_some_and(is_number)
}

fn must_have(node: &ENodeOrVar<Term>) -> Set {
    match node {
        ENodeOrVar::Var(var) => {
            if stands_for_number(*var) {
                NUMBER
            } else {
                0
            }
        }
        ENodeOrVar::ENode(term) => match term.head() {
            Head::Op(op) => bit(op),
            _ => NUMBER,
        },
    }
}

/// How many levels down from the one above it a part of a match can change.
fn depth(pattern: &PatternAst<Term>, at: Id, looks: bool) -> u8 {
    match &pattern[at] {
        ENodeOrVar::Var(var) => {
            let is_same = |node: &&ENodeOrVar<Term>| **node == pattern[at];
            let depends =
                looks || stands_for_number(*var) || pattern.iter().filter(is_same).count() > 1;
            // Compacted, a variable is one node, however often it is read.
            let reads = pattern.iter().flat_map(|node| node.children()).filter(|&&id| id == at);
            if depends || reads.count() > 1 { 1 } else { 0 }
        }
        ENodeOrVar::ENode(term) => {
            let below = term.children().iter().map(|&child| depth(pattern, child, looks));
            1 + below.max().unwrap_or(0)
        }
    }
}

/// Ops that the text of a left side certainly has: by name, or by a symbol that means one op.
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
    use super::super::rules::{RULES, side, symmetric, symmetry};
    use super::{bit, named};
    use kiln_ir::{DType, Node};

    /// What is not in a graph, and so not compiled for it, matches nothing in it.
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
            // Few would be compiled in vain: of the symbols, `-` alone has two meanings.
            assert!((has & !named(&left)).count_ones() <= 3, "{left}");
        }
    }
}
