//! Where the values of a program go: where a change of their last digits can be seen.
//!
//! In: the program as written, and what the e-graph knows about its values. Out: for each class,
//! where its values flow. `sqrt(q - m*m)` is 0 where `q` is `m*m` rounded. Contracted, the
//! difference is the error of that rounding, and where it is negative its root is NaN. So a rule
//! that rounds differently must not touch what flows into `sqrt`, unless `sqrt` is known to be far
//! from its edge. A rule states what it [`Needs`].
//!
//! Edges are found by asking the op table: an op has one where its scalar meaning makes NaN or an
//! infinity of a number that the operand may be.

use super::avoided::Avoided;
use super::facts::{FactAnalysis, Facts};
use super::term::{Head, Term};
use egg::{EGraph, Id, Language};
use kiln_ir::{Call, DType, Flags, Op, Reduce, Reduction, Running, Scan, Typing};
use std::collections::HashMap;

/// What a rule needs of the context of the values it computes differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Needs {
    /// Nothing: no bit changes, or all may.
    Nothing,
    /// That a change of the last digits stays small: the rule rounds differently.
    Smooth,
    /// The same, but a divisor may change: the rule rounds once instead of twice. `a*b + c` rounded
    /// once is 0 only where it is 0 rounded twice, and otherwise has the same sign, because two
    /// floats that differ do so by more than the rounding of one of them.
    NoEdge,
    /// That a value nearer to the exact one makes no NaN where the exact one makes none: the rule
    /// repairs. Where an op is defined on one side of 0, its operand may be repaired, since the
    /// accurate form has the right sign. But a summand of that operand may not: the other summands
    /// may have been rounded as the unrepaired form was.
    NoCliff,
    /// The same, and that no factor beside it is a number that has become infinite. What was
    /// written is 0 in a tail that the rule repairs, and 0 times infinity is NaN, which is better
    /// than a false infinity.
    NoCliffNorOverflow,
}

impl Needs {
    /// Whether a rule with this need has the more accurate right side.
    pub(crate) fn is_of_repair(self) -> bool {
        matches!(self, Needs::NoCliff | Needs::NoCliffNorOverflow)
    }
}

/// Where the values of a class flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    flows: u8,
    partner: Partner,
}

/// The values that a class's values are multiplied with or added to, where an infinity among those
/// may be the overflow of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Partner {
    #[default]
    None,
    One(Id),
    Many,
}

/// Into an op that may have an edge or a step there: digits matter.
const EDGE: u8 = 1;
/// Into a divisor, which may be 0.
const DIVISOR: u8 = 2;
/// Into the operand, up to factors, of an op that is defined on one side of 0, or not at 0.
const SIDE: u8 = 4;
/// Through sums, or a function that does not keep signs, into an op that is not defined everywhere;
/// or into one that sees the sign of a zero.
const CLIFF: u8 = 8;
/// Into a product with the partner, or a quotient of the two.
const FACTOR: u8 = 16;
/// Into a sum with the partner, which may have the other sign.
const SUMMAND: u8 = 32;

impl Context {
    fn of(flows: u8) -> Context {
        Context { flows, partner: Partner::None }
    }

    fn beside(flows: u8, partner: Id) -> Context {
        Context { flows, partner: Partner::One(partner) }
    }

    /// Beside elements at other places, of which nothing is known.
    fn beside_others(flows: u8) -> Context {
        Context { flows, partner: Partner::Many }
    }

    fn has(self, flows: u8) -> bool {
        self.flows & flows != 0
    }

    fn and(self, other: Context) -> Context {
        let partner = match (self.partner, other.partner) {
            (Partner::None, partner) | (partner, Partner::None) => partner,
            (Partner::One(a), Partner::One(b)) if a == b => self.partner,
            _ => Partner::Many,
        };
        Context { flows: self.flows | other.flows, partner }
    }

    /// Whether a rule with this need may be applied to what flows here. `follows` says whether the
    /// rule's variables are infinite or NaN wherever a partner is infinite.
    pub(crate) fn allows(self, needs: Needs, follows: &dyn Fn(Id) -> bool) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Smooth => !self.has(EDGE | DIVISOR),
            Needs::NoEdge => !self.has(EDGE),
            Needs::NoCliff => !self.has(CLIFF),
            Needs::NoCliffNorOverflow => !self.has(CLIFF) && !self.meets(FACTOR, follows),
        }
    }

    /// Whether these are added to numbers that may have become infinite. What was written is
    /// infinite where the rule repairs it, and the difference of two infinities is NaN, which is
    /// better than a false infinity.
    pub(crate) fn is_summand(self, follows: &dyn Fn(Id) -> bool) -> bool {
        self.meets(SUMMAND, follows)
    }

    /// What remains of it where its op is computed in an accurate form instead. That form has edges
    /// too, but where its operands are nearer to their exact values, so is its result.
    fn of_repaired(self) -> Context {
        Context::of(self.flows & (EDGE | DIVISOR))
    }

    fn meets(self, flow: u8, follows: &dyn Fn(Id) -> bool) -> bool {
        self.has(flow)
            && match self.partner {
                Partner::None => false,
                Partner::One(partner) => !follows(partner),
                Partner::Many => true,
            }
    }

    /// The context of an operand of `op`, whose result has this context.
    fn through(self, op: Op) -> Context {
        let mut flows = self.flows & (CLIFF | FACTOR | SUMMAND);
        if self.has(EDGE | DIVISOR) {
            flows |= EDGE;
        }
        if self.has(SIDE) {
            let keeps_sign = op.has(Flags::ODD) || SAME_SIDE.contains(&op);
            flows |= if keeps_sign { SIDE } else { CLIFF };
        }
        Context { flows, partner: self.partner }
    }
}

/// Ops whose result has the sign of an operand, or the product of their operands' signs.
const SAME_SIDE: [Op; 8] =
    [Op::Abs, Op::Mul, Op::Div, Op::Sqrt, Op::Min, Op::Max, Op::Select, Op::Expm1];

/// Numbers at or beyond which ops of the table have their edges.
const PROBES: [f64; 7] = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0];

/// What the op itself adds to the context of its operand `index`.
fn own(op: Op, ids: &[Id], operands: &[&Facts], index: usize) -> Context {
    let facts = operands[index];
    if !facts.dtype.is_float() {
        return Context::default();
    }
    let jumps = match op.info().typing {
        Typing::Compare | Typing::Cast(DType::Bool) => true,
        Typing::Cast(to) => to.is_integer(),
        _ => op.has(Flags::STEP),
    };
    if jumps {
        // A repair may also change the sign of a zero.
        let sees_zeros = matches!(op, Op::Atan2 | Op::CopySign);
        return Context::of(if sees_zeros { EDGE | CLIFF } else { EDGE });
    }
    match (op, index) {
        (Op::Add | Op::Sub, _) => summand(op, ids, operands, 1 - index),
        (Op::Mul, _) => factor(ids, operands, 1 - index),
        (Op::Div, 1) => {
            let divisor = Context::of(divisor(facts));
            let overflows = operands[0].range.may_overflow;
            if overflows { divisor.and(Context::beside(FACTOR, ids[0])) } else { divisor }
        }
        (Op::Recip, 0) => Context::of(divisor(facts)),
        (Op::Fma, 0 | 1) => {
            let factor = factor(ids, operands, 1 - index);
            factor.and(addend(operands[2].range.may_overflow, ids[2]))
        }
        (Op::Fma, 2) => {
            let product = Facts::of_product(operands[0], operands[1], ids[0] == ids[1]);
            addend(product.may_overflow, ids[0]).and(addend(product.may_overflow, ids[1]))
        }
        (Op::Pow, _) => power(operands, index),
        _ if op.arity() == 1 => edges(op, facts),
        _ => Context::default(),
    }
}

/// What a call itself adds to the context of an operand. One that gives places steps from one to another
/// where elements change their order. Others may add or multiply elements of all places.
fn of_call(call: Call, operands: &[&Facts], index: usize) -> Context {
    let facts = operands[index];
    if !facts.dtype.is_float() {
        return Context::default();
    }
    let is_of_both_signs = facts.range.low < 0.0 && facts.range.high > 0.0;
    let multiplies = Context::beside_others(FACTOR | SUMMAND);
    match (call.info().typing, call) {
        (Typing::Index, _) => Context::of(EDGE),
        (Typing::Product, _) if operands.iter().any(|facts| facts.range.may_overflow) => multiplies,
        (_, Call::Reduce(Reduce { by: Reduction::Prod, .. }))
        | (_, Call::Scan(Scan { by: Running::Product, .. }))
            if facts.range.may_overflow =>
        {
            multiplies
        }
        (_, Call::Reduce(Reduce { by: Reduction::Sum, .. }))
        | (_, Call::Scan(Scan { by: Running::Sum, .. }))
            if facts.range.may_overflow && is_of_both_signs =>
        {
            Context::beside_others(SUMMAND)
        }
        _ => Context::default(),
    }
}

/// The context of a divisor.
fn divisor(facts: &Facts) -> u8 {
    if facts.range.contains(0.0) { DIVISOR | SIDE } else { 0 }
}

/// The context of a value multiplied by operand `other`.
fn factor(ids: &[Id], operands: &[&Facts], other: usize) -> Context {
    if operands[other].range.may_overflow {
        Context::beside(FACTOR, ids[other])
    } else {
        Context::default()
    }
}

/// The context of a value added to `partner`, which may have any sign.
fn addend(may_overflow: bool, partner: Id) -> Context {
    if may_overflow { Context::beside(SUMMAND, partner) } else { Context::default() }
}

/// The context of a value added to operand `other` of a sum or difference.
fn summand(op: Op, ids: &[Id], operands: &[&Facts], other: usize) -> Context {
    let (partner, own) = (operands[other].range, operands[1 - other].range);
    let rises = own.high > 0.0 && partner.high > 0.0 || own.low < 0.0 && partner.low < 0.0;
    let falls = own.high > 0.0 && partner.low < 0.0 || own.low < 0.0 && partner.high > 0.0;
    let opposite = if op == Op::Sub { rises } else { falls };
    addend(partner.may_overflow && opposite, ids[other])
}

/// The edges of a unary op, as far as its operand may reach them.
fn edges(op: Op, facts: &Facts) -> Context {
    let wrong = |&value: &f64| !op.eval(DType::F64, &[value]).is_finite();
    let reached = PROBES.iter().copied().filter(|&probe| facts.range.contains(probe));
    let reached: Vec<f64> = reached.filter(wrong).collect();
    if reached.is_empty() {
        return Context::default();
    }
    let undefined = |value: &f64| op.eval(DType::F64, &[*value]).is_nan();
    let by_sign = PROBES.iter().all(|probe| wrong(probe) == (*probe < 0.0) || *probe == 0.0);
    let at_zero = reached == [0.0];
    Context::of(match (reached.iter().any(undefined), by_sign || at_zero) {
        (_, true) => EDGE | SIDE,
        (false, false) => EDGE,
        (true, false) => EDGE | CLIFF,
    })
}

/// `a^b` is defined for positive `a`, and for other `a` where `b` is a whole number.
fn power(operands: &[&Facts], index: usize) -> Context {
    let (base, exponent) = (operands[0], operands[1]);
    let whole = exponent.constant.filter(|value| value.fract() == 0.0);
    Context::of(match (index, whole) {
        _ if base.range.low > 0.0 => 0,
        (0, Some(value)) if value >= 0.0 => 0,
        (0, _) => EDGE | SIDE,
        _ => EDGE | CLIFF,
    })
}

/// The ops and calls of a program as written: the classes of the results, and the terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) ops: Vec<(Id, Term)>,
}

impl Written {
    /// Notes the context of every class, and marks those whose context has changed as known better.
    pub(crate) fn update_contexts(&self, egraph: &mut EGraph<Term, FactAnalysis>) {
        let contexts = self.contexts(egraph);
        let before = std::mem::replace(&mut egraph.analysis.contexts, contexts);
        let analysis = &mut egraph.analysis;
        let known = |id: &Id| analysis.contexts.get(id) == before.get(id);
        let ids = analysis.contexts.keys().chain(before.keys());
        let mut changed: Vec<Id> = ids.filter(|id| !known(id)).copied().collect();
        changed.sort_unstable();
        analysis.touched.extend(changed);
    }

    /// The context of every class whose values flow anywhere that matters.
    pub(crate) fn contexts(&self, egraph: &EGraph<Term, FactAnalysis>) -> HashMap<Id, Context> {
        let mut contexts: HashMap<Id, Context> = HashMap::new();
        let mut open: Vec<Id> = Vec::new();
        let add = |contexts: &mut HashMap<Id, Context>, open: &mut Vec<Id>, id, context| {
            let known = contexts.entry(id).or_default();
            if known.and(context) != *known {
                *known = known.and(context);
                open.push(id);
            }
        };
        let avoided = Avoided::of(egraph);
        for (class, term) in &self.ops {
            let ids: Vec<Id> = term.children().iter().map(|&id| egraph.find(id)).collect();
            let facts: Vec<&Facts> = ids.iter().map(|&id| &egraph[id].data).collect();
            let is_repaired = avoided.contains(egraph, egraph.find(*class), term);
            for (index, &id) in ids.iter().enumerate() {
                let own = match term.head() {
                    Head::Op(op) => own(op, &ids, &facts, index),
                    Head::Call(call) => of_call(call, &facts, index),
                    _ => Context::default(),
                };
                let own = if is_repaired { own.of_repaired() } else { own };
                add(&mut contexts, &mut open, id, own);
            }
        }
        while let Some(id) = open.pop() {
            let context = contexts[&id];
            for term in &egraph[id].nodes {
                let context = match avoided.contains(egraph, id, term) {
                    true => context.of_repaired(),
                    false => context,
                };
                let through = match term.head() {
                    Head::Op(op) => context.through(op),
                    // A sum of products.
                    _ => context.through(Op::Add),
                };
                for &child in term.children() {
                    add(&mut contexts, &mut open, egraph.find(child), through);
                }
            }
        }
        contexts
    }
}
