//! Rules as egg rewrites: both sides as patterns, and an applier that checks conditions.

use super::condition::{DEPTH, When, follows, variable};
use super::context::Needs;
use super::facts::FactAnalysis;
use super::rules::{Licence, Repairs, Rule};
use super::term::{Head, Term};
use egg::{
    Applier, EGraph, ENodeOrVar, Id, Language, Pattern, PatternAst, Rewrite, Subst, Symbol, Var,
};
use kiln_ir::{DType, Flags, Graph, Node, Op, Scalar, Typing, parse_with};

/// Multiplied by this and divided again, a value becomes infinite if it is within 2^60 of the
/// type's limit, and otherwise stays the same. Only a summand that large can bring an overflowed
/// number back below the limit. Such a summand becomes infinite itself, so the sum is NaN, as
/// written, and not an infinity in place of a number.
const LIMIT: f64 = (1u64 << 60) as f64;

/// A rewrite of the algebra e-graph.
pub(crate) type TermRewrite = Rewrite<Term, FactAnalysis>;

/// The float types that the values of a graph have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floats {
    pub(crate) f32: bool,
    pub(crate) f64: bool,
}

/// One rewrite for each float type that the rule's numbers can have; just one if it has no numbers.
pub(super) fn compile_rule(rule: &Rule, licence: Licence, floats: Floats) -> Vec<TermRewrite> {
    let avoids = match rule.repairs {
        Repairs::Never => false,
        Repairs::UnlessFast => licence < Licence::Fast,
        Repairs::Always => true,
    };
    let sides = |dtype| (side(rule.left, dtype), side(rule.right, dtype));
    let narrow = sides(DType::F32);
    let is_const = |node: &Node| matches!(node, Node::Const(_));
    let has_numbers =
        rule.grows || [&narrow.0, &narrow.1].iter().any(|side| side.nodes().iter().any(is_const));
    let dtypes: &[DType] = match (has_numbers, floats) {
        (false, _) => &[DType::F32],
        (true, Floats { f32: true, f64: true }) => &[DType::F32, DType::F64],
        (true, Floats { f64: true, .. }) => &[DType::F64],
        (true, _) => &[DType::F32],
    };
    dtypes
        .iter()
        .map(|&dtype| {
            let wide = (dtype != DType::F32).then(|| sides(dtype));
            let (left, right) = wide.as_ref().unwrap_or(&narrow);
            let left_ast = pattern(left);
            let fast = licence == Licence::Fast;
            let applier = GuardedApplier {
                left: avoids.then(|| left_ast.clone()),
                right: pattern(right),
                beside_overflow: (rule.grows && !fast).then(|| {
                    let limited = format!("(({}) * {LIMIT}) * {}", rule.right, 1.0 / LIMIT);
                    pattern(&side(&limited, dtype))
                }),
                needs: if fast { Needs::Nothing } else { rule.needs },
                numbers: variables(left)
                    .into_iter()
                    .filter(|name| is_number(name))
                    .map(variable)
                    .collect(),
                when: rule
                    .when
                    .iter()
                    .copied()
                    .filter(|when| !fast || !when.is_careful())
                    .collect(),
                dtype: has_numbers.then_some(dtype),
                floats: variables(left)
                    .into_iter()
                    .filter(|name| !is_bool(name))
                    .map(variable)
                    .collect(),
                variables: variables(left).into_iter().map(variable).collect(),
            };
            // egg wants distinct names; a proof names the rule, without the type.
            let name =
                if dtypes.len() > 1 { format!("{}/{dtype}", rule.name) } else { rule.name.into() };
            Rewrite::new(name, Pattern::new(left_ast), applier)
                .unwrap_or_else(|fault| panic!("rule {}: {fault}", rule.name))
        })
        .collect()
}

/// The ops that the op table calls odd or even.
pub(super) fn symmetric() -> impl Iterator<Item = Op> {
    let symmetric = |op: &Op| op.arity() == 1 && (op.has(Flags::ODD) || op.has(Flags::EVEN));
    let is_cast = |op: Op| matches!(op.info().typing, Typing::Cast(_));
    let excluded = move |op: &Op| matches!(op, Op::Neg | Op::Abs) || is_cast(*op);
    Op::ALL.iter().copied().filter(symmetric).filter(move |op| !excluded(op))
}

/// `f(-a) = -f(a)` for an odd op, `f(-a) = f(a)` for an even one.
pub(super) fn compile_symmetry(op: Op) -> TermRewrite {
    let (left, right) = symmetry(op);
    let name = format!("{}-{}", if op.has(Flags::ODD) { "odd" } else { "even" }, op.name());
    let (left, right) = (pattern(&side(&left, DType::F32)), pattern(&side(&right, DType::F32)));
    Rewrite::new(name, Pattern::new(left), GuardedApplier::plain(right, variable("a")))
        .unwrap_or_else(|fault| panic!("symmetry of {}: {fault}", op.name()))
}

/// The two sides of an op's symmetry, as text.
pub(crate) fn symmetry(op: Op) -> (String, String) {
    let name = op.name();
    let sign = if op.has(Flags::ODD) { "-" } else { "" };
    (format!("{name}(-a)"), format!("{sign}{name}(a)"))
}

/// A side of a rule as a graph; its float variables have type `dtype`.
pub(crate) fn side(text: &str, dtype: DType) -> Graph {
    let typed = |name: &str| Some((if is_bool(name) { DType::Bool } else { dtype }, None));
    parse_with(text, typed).unwrap_or_else(|fault| panic!("rule side {text:?}: {fault}"))
}

pub(crate) fn is_number(name: &str) -> bool {
    matches!(name, "k" | "l" | "m")
}

fn is_bool(name: &str) -> bool {
    matches!(name, "p" | "q")
}

fn variables(side: &Graph) -> Vec<&str> {
    side.inputs().iter().map(|input| input.name.as_str()).collect()
}

pub(crate) fn pattern(side: &Graph) -> PatternAst<Term> {
    let mut ast = PatternAst::default();
    let mut ids: Vec<Id> = Vec::new();
    for (id, node) in side.iter() {
        let at = |node: &kiln_ir::NodeId| ids[node.index()];
        let added = match node {
            Node::Input(index) => ENodeOrVar::Var(variable(&side.inputs()[*index as usize].name)),
            Node::Const(bits) => {
                ENodeOrVar::ENode(Term::new(Head::Const(side.dtype(id), *bits), &[]))
            }
            Node::Op(op, args) => {
                let children: Vec<Id> = args.iter().map(at).collect();
                ENodeOrVar::ENode(Term::new(Head::Op(*op), &children))
            }
            _ => panic!("rules are about elementwise ops"),
        };
        ids.push(ast.add(added));
    }
    // The root of a pattern is its last node.
    if let Some(&root) = side.outputs().first()
        && root.index() + 1 != side.nodes().len()
    {
        let bare = ast[ids[root.index()]].clone();
        ast.add(bare);
    }
    ast
}

/// Builds the right side if the conditions hold and type and shape stay the same.
struct GuardedApplier {
    /// The left side, if it is to be avoided.
    left: Option<PatternAst<Term>>,
    right: PatternAst<Term>,
    /// The right side where it is added to numbers that may have overflowed, if that differs.
    beside_overflow: Option<PatternAst<Term>>,
    needs: Needs,
    numbers: Vec<Var>,
    when: Vec<When>,
    /// The type of the rule's own numbers, which the variables must have too.
    dtype: Option<DType>,
    floats: Vec<Var>,
    /// All variables of the left side.
    variables: Vec<Var>,
}

impl GuardedApplier {
    /// For a rule about one variable.
    fn plain(right: PatternAst<Term>, variable: Var) -> GuardedApplier {
        GuardedApplier {
            left: None,
            right,
            beside_overflow: None,
            needs: Needs::Nothing,
            numbers: vec![],
            when: vec![],
            dtype: None,
            floats: vec![],
            variables: vec![variable],
        }
    }

    fn holds(&self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let typed =
            |var: &Var| self.dtype.is_none_or(|dtype| egraph[subst[*var]].data.dtype == dtype);
        let no_integer = |var: &Var| !egraph[subst[*var]].data.dtype.is_integer();
        self.floats.first().is_none_or(typed)
            && self.variables.iter().all(no_integer)
            && self.numbers.iter().all(|var| egraph[subst[*var]].data.constant.is_some())
            && self.when.iter().all(|when| when.holds(egraph, subst))
            && self.keeps_numbers(egraph, subst)
    }

    /// Notes that the class should not be computed by what was matched, if this is a repair.
    fn avoid_left(&self, egraph: &mut EGraph<Term, FactAnalysis>, class: Id, subst: &Subst) {
        if let Some(term) = self.left.as_ref().and_then(|left| matched(left, egraph, subst)) {
            egraph.analysis.replaced.insert((class, term));
        }
    }

    /// Whether every number that the right side folds is ordinary, unless one of its operands was
    /// not: `(x*k)*l` is not `x*(k*l)` where `k*l` is infinite, 0 or has lost digits.
    fn keeps_numbers(&self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let fold = |op, dtype, values: &[f64]| egraph.analysis.fold(op, dtype, values);
        let number = |var: Var| {
            let facts = &egraph[subst[var]].data;
            facts.constant.map(|value| (facts.dtype, value))
        };
        numbers_stay_ordinary(&self.right, &number, &fold)
    }
}

/// Whether folding a pattern makes an infinity, NaN, zero or subnormal only from such numbers.
pub(crate) fn numbers_stay_ordinary(
    pattern: &PatternAst<Term>,
    number: &dyn Fn(Var) -> Option<(DType, f64)>,
    fold: &dyn Fn(Op, DType, &[f64]) -> f64,
) -> bool {
    let mut numbers: Vec<Option<(DType, f64)>> = Vec::with_capacity(pattern.len());
    for node in pattern.iter() {
        let made = match node {
            ENodeOrVar::Var(var) => number(*var),
            ENodeOrVar::ENode(term) => match term.head() {
                Head::Const(dtype, bits) => match Scalar::from_bits(dtype, bits) {
                    Scalar::Float(value) => Some((dtype, value)),
                    Scalar::Integer(_) => None,
                },
                Head::Op(op) => {
                    let parts = term.children().iter().map(|child| numbers[usize::from(*child)]);
                    match parts.collect::<Option<Vec<(DType, f64)>>>() {
                        Some(parts) => {
                            let (dtype, _) = parts[parts.len() - 1];
                            let values: Vec<f64> = parts.iter().map(|part| part.1).collect();
                            let value = fold(op, dtype, &values);
                            let ordinary =
                                |&(dtype, value): &(DType, f64)| is_ordinary(dtype, value);
                            if dtype.is_float()
                                && !is_ordinary(dtype, value)
                                && parts.iter().all(ordinary)
                            {
                                return false;
                            }
                            Some((dtype, value))
                        }
                        None => None,
                    }
                }
                _ => None,
            },
        };
        numbers.push(made);
    }
    true
}

/// Whether a number of this type is finite and has all its digits.
fn is_ordinary(dtype: DType, value: f64) -> bool {
    let least = if dtype == DType::F64 { f64::MIN_POSITIVE } else { f32::MIN_POSITIVE.into() };
    value.is_finite() && value.abs() >= least
}

impl Applier<Term, FactAnalysis> for GuardedApplier {
    fn apply_one(
        &self,
        egraph: &mut EGraph<Term, FactAnalysis>,
        class: Id,
        subst: &Subst,
        left: Option<&PatternAst<Term>>,
        name: Symbol,
    ) -> Vec<Id> {
        let context = egraph.analysis.context(class);
        let follows = |partner: Id| {
            self.variables.iter().any(|var| follows(egraph, partner, subst[*var], DEPTH))
        };
        if !self.holds(egraph, subst) {
            return Vec::new();
        }
        if !context.allows(self.needs, &follows) {
            // If the class holds the right side anyway, the worse left side is to be avoided.
            let right = matched(&self.right, egraph, subst);
            if right.is_some_and(|right| egraph.lookup(right) == Some(egraph.find(class))) {
                self.avoid_left(egraph, class, subst);
            }
            return Vec::new();
        }
        let pattern = match &self.beside_overflow {
            Some(pattern) if context.is_summand(&follows) => pattern,
            _ => &self.right,
        };
        let right = egraph.add_instantiation(pattern, subst);
        // `select(p, a, a) => a` drops an operand, and perhaps an axis with it.
        if !egraph[right].data.same_domain(&egraph[class].data) {
            return Vec::new();
        }
        self.avoid_left(egraph, class, subst);
        if self.left.is_some()
            && let Some(term) = matched(pattern, egraph, subst)
        {
            egraph.analysis.repaired.insert((class, term));
        }
        let changed = match left {
            Some(left) => egraph.union_instantiations(left, pattern, subst, name).1,
            None => egraph.union(class, right),
        };
        if changed && self.needs != Needs::Nothing {
            egraph.analysis.relied.insert((class, self.needs));
        }
        if changed { vec![class] } else { Vec::new() }
    }

    fn vars(&self) -> Vec<Var> {
        let vars = self.right.iter().filter_map(|node| match node {
            ENodeOrVar::Var(var) => Some(*var),
            ENodeOrVar::ENode(_) => None,
        });
        vars.collect()
    }
}

/// The e-graph's term for the root of a matched pattern.
fn matched(
    pattern: &PatternAst<Term>,
    egraph: &EGraph<Term, FactAnalysis>,
    subst: &Subst,
) -> Option<Term> {
    let mut ids: Vec<Id> = Vec::with_capacity(pattern.len());
    let mut root = None;
    for node in pattern.iter() {
        let id = match node {
            ENodeOrVar::Var(var) => egraph.find(subst[*var]),
            ENodeOrVar::ENode(term) => {
                let term = term.clone().map_children(|child| ids[usize::from(child)]);
                let id = egraph.lookup(term.clone())?;
                root = Some(term);
                id
            }
        };
        ids.push(id);
    }
    root
}
