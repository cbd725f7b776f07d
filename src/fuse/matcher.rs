//! A compiled rule, and the classes that match its left side.
//!
//! egg has its own matcher. This one knows what a class holds before it looks into it, which ends
//! most searches at the first operand. It allocates nothing but the matches.

use super::facts::FactAnalysis;
use super::rewrite::{TermRewrite, is_number};
use super::term::{Head, Term};
use egg::{EGraph, ENodeOrVar, Id, Language, PatternAst, SearchMatches, Subst, Var};
use kiln_ir::Op;
use smallvec::SmallVec;
use std::borrow::Cow;

/// A set of ops, and of whatever else a class may hold, as bits.
pub(super) type Set = u128;

/// The bit of a number in a [`Set`].
pub(super) const NUMBER: Set = 1 << 127;

const _: () = assert!(Op::ALL.len() < 127);

/// The bit of an op in a [`Set`].
pub(super) fn bit(op: Op) -> Set {
    1 << op as usize
}

/// A compiled rule.
pub(super) struct Matcher {
    pub(super) rewrite: TermRewrite,
    /// The op of the left side's root.
    pub(super) root: Op,
    /// The left side, operands first, the root last.
    parts: Vec<Part>,
    vars: Vec<Var>,
    /// What the root's operands must hold.
    pub(super) below: Set,
    /// Whether it depends on what variables stand for.
    pub(super) looks: bool,
    /// How far below a class changes may make it match.
    pub(super) depth: u8,
    /// Whether the left side is to be avoided in favour of the right one.
    pub(super) repairs: bool,
}

/// A part of a left side.
#[derive(Clone, Copy)]
enum Part {
    /// The variable with this number, and what the class it stands for must hold.
    Variable(usize, Set),
    /// A number.
    Number(Head),
    /// An op over parts.
    Op { op: Op, operands: [usize; 3], len: usize },
}

/// What is matched so far, and what is still to be matched.
struct Search<'s> {
    egraph: &'s EGraph<Term, FactAnalysis>,
    /// What each class holds, by id.
    sets: &'s [Set],
    pending: SmallVec<[(usize, Id); 12]>,
    bound: SmallVec<[Option<Id>; 6]>,
    found: Vec<Subst>,
}

impl Matcher {
    /// `looks` says whether conditions look at what variables stand for.
    pub(super) fn new(rewrite: TermRewrite, looks: bool, repairs: bool) -> Matcher {
        let left = rewrite.searcher.get_pattern_ast().expect("rules search for patterns");
        let vars = rewrite.searcher.vars();
        let parts: Vec<Part> = left.iter().map(|node| part(node, &vars)).collect();
        let Some(&Part::Op { op: root, operands, len }) = parts.last() else {
            panic!("rule {} has no op on its left", rewrite.name)
        };
        let looks = looks || vars.iter().any(|&var| stands_for_number(var));
        let below = operands[..len].iter().map(|&at| depth(left, Id::from(at), looks));
        let depth = below.max().unwrap_or(0);
        let mut matcher = Matcher { root, parts, vars, below: 0, looks, depth, repairs, rewrite };
        let needed = operands[..len].iter().map(|&at| matcher.needed(at));
        matcher.below = needed.fold(0, |below, needed| below | needed);
        matcher
    }

    /// The matches in a class, if any; `sets` says what each class holds.
    pub(super) fn search(
        &self,
        egraph: &EGraph<Term, FactAnalysis>,
        sets: &[Set],
        class: Id,
    ) -> Option<SearchMatches<'_, Term>> {
        if !egraph[class].nodes.iter().any(|term| self.may_match(term, sets)) {
            return None;
        }
        let mut search = Search {
            egraph,
            sets,
            pending: SmallVec::from_slice(&[(self.parts.len() - 1, class)]),
            bound: SmallVec::from_elem(None, self.vars.len()),
            found: Vec::new(),
        };
        self.go_on(&mut search);
        let ast = self.rewrite.searcher.get_pattern_ast().map(Cow::Borrowed);
        Some(SearchMatches { eclass: class, substs: search.found, ast })
    }

    /// Whether a term may be the root of a match, judging by its operands.
    fn may_match(&self, term: &Term, sets: &[Set]) -> bool {
        let Some(Part::Op { op, operands, .. }) = self.parts.last() else { return false };
        term.head() == Head::Op(*op) && self.have_what_is_needed(operands, term.children(), sets)
    }

    fn have_what_is_needed(&self, parts: &[usize], classes: &[Id], sets: &[Set]) -> bool {
        parts.iter().zip(classes).all(|(&part, &class)| {
            let needed = self.needed(part);
            sets[usize::from(class)] & needed == needed
        })
    }

    /// Matches the last pending part, and then the rest.
    fn go_on(&self, search: &mut Search<'_>) {
        let Some((part, class)) = search.pending.pop() else {
            let mut subst = Subst::with_capacity(self.vars.len());
            for (&var, id) in self.vars.iter().zip(&search.bound) {
                subst.insert(var, id.expect("every variable is in the pattern"));
            }
            search.found.push(subst);
            return;
        };
        match self.parts[part] {
            Part::Variable(number, needed) => match search.bound[number] {
                Some(bound) if bound == class => self.go_on(search),
                Some(_) => {}
                None if search.sets[usize::from(class)] & needed != needed => {}
                None => {
                    search.bound[number] = Some(class);
                    self.go_on(search);
                    search.bound[number] = None;
                }
            },
            Part::Number(number) => {
                if search.egraph[class].nodes.iter().any(|term| term.head() == number) {
                    self.go_on(search);
                }
            }
            Part::Op { op, operands, len } => {
                let (egraph, pending) = (search.egraph, search.pending.len());
                let parts = &operands[..len];
                for term in egraph[class].nodes.iter().filter(|term| term.head() == Head::Op(op)) {
                    let children = term.children();
                    if self.have_what_is_needed(parts, children, search.sets) {
                        let operands = parts.iter().copied().zip(children.iter().copied());
                        search.pending.extend(operands);
                        self.go_on(search);
                        search.pending.truncate(pending);
                    }
                }
            }
        }
        search.pending.push((part, class));
    }

    /// What a class must hold to match a part.
    fn needed(&self, part: usize) -> Set {
        match self.parts[part] {
            Part::Variable(_, needed) => needed,
            Part::Number(_) => NUMBER,
            Part::Op { op, .. } => bit(op),
        }
    }

    /// What the variables stand for in a match.
    pub(super) fn bound<'s>(&'s self, subst: &'s Subst) -> impl Iterator<Item = Id> + 's {
        self.vars.iter().map(|&var| subst[var])
    }
}

fn part(node: &ENodeOrVar<Term>, vars: &[Var]) -> Part {
    match node {
        ENodeOrVar::Var(var) => {
            let number = vars.iter().position(|known| known == var).expect("it is one of these");
            Part::Variable(number, if stands_for_number(*var) { NUMBER } else { 0 })
        }
        ENodeOrVar::ENode(term) => match term.head() {
            Head::Op(op) => {
                let mut operands = [0; 3];
                for (at, &child) in operands.iter_mut().zip(term.children()) {
                    *at = usize::from(child);
                }
                Part::Op { op, operands, len: term.len() }
            }
            number => Part::Number(number),
        },
    }
}

fn stands_for_number(var: Var) -> bool {
    var.to_string().strip_prefix('?').is_some_and(is_number)
}

/// How many levels below the one above it a part of a match can change.
fn depth(pattern: &PatternAst<Term>, at: Id, looks: bool) -> u8 {
    match &pattern[at] {
        ENodeOrVar::Var(var) => {
            // Compacted, a variable is one node, however often it is read.
            let reads = pattern.iter().flat_map(|node| node.children()).filter(|&&id| id == at);
            u8::from(looks || stands_for_number(*var) || reads.count() > 1)
        }
        ENodeOrVar::ENode(term) => {
            let below = term.children().iter().map(|&child| depth(pattern, child, looks));
            1 + below.max().unwrap_or(0)
        }
    }
}
