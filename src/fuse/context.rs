//! What becomes of the values of a program: where a change of their last digits can be told.
//!
//! In: the program as written, and what the e-graph knows of its values. Out: for each class, where
//! its values flow. `sqrt(q - m*m)` is 0 where `q` is `m*m` rounded; contracted, the difference is
//! the error of that rounding, and where it is negative its root is NaN. So a rule that rounds
//! otherwise has no business in what flows into `sqrt`, unless `sqrt` is known to be far from its
//! edge: it asks [`Context::is_smooth`].
//!
//! Edges are found by asking the op table: an op has one where its scalar meaning makes NaN or an
//! infinity of a number that the operand may be.

use super::facts::{FactAnalysis, Facts};
use super::term::{Head, Term};
use egg::{EGraph, Id, Language};
use kiln_ir::{DType, Flags, Op, Typing};
use std::collections::HashMap;

/// What a rule needs of the context of the values that it computes otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Needs {
    /// Nothing: no bit changes, or all may.
    Nothing,
    /// That a change of the last digits stays one: the rule rounds otherwise.
    Smooth,
    /// The same, but that a divisor may change: the rule rounds once instead of twice. `a*b + c`
    /// rounded once is 0 only where it is 0 rounded twice, and else has the same sign, for two
    /// floats that differ do so by more than one of them was rounded by.
    NoEdge,
    /// That a value nearer to the exact one makes no NaN where the exact one makes none: the rule
    /// repairs. Where an op is defined on one side of 0, what it takes may be repaired, for the
    /// accurate form has the right sign; but not what it takes the sum of, with other values that
    /// may have been rounded as the unrepaired form was.
    NoCliff,
}

/// Where the values of a class flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context(u8);

impl Context {
    /// Into an op with an edge or a step where they may be: digits matter there.
    const EDGE: Context = Context(1);
    /// They are divided by, and may be 0.
    const DIVISOR: Context = Context(2);
    /// They are what an op takes that is defined on one side of 0, up to factors.
    const SIDE: Context = Context(4);
    /// Through sums, or a function that keeps no signs, into an op that is not defined everywhere.
    const CLIFF: Context = Context(8);

    fn has(self, other: Context) -> bool {
        self.0 & other.0 != 0
    }

    fn and(self, other: Context) -> Context {
        Context(self.0 | other.0)
    }

    /// Whether a rule that needs this may be applied to what flows here.
    pub(crate) fn allows(self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Smooth => !self.has(Context::EDGE.and(Context::DIVISOR)),
            Needs::NoEdge => !self.has(Context::EDGE),
            Needs::NoCliff => !self.has(Context::CLIFF),
        }
    }

    /// The context of an operand of `op`, whose result has this one.
    fn through(self, op: Op) -> Context {
        let mut below = Context::default();
        if self.has(Context::EDGE.and(Context::DIVISOR)) {
            below = below.and(Context::EDGE);
        }
        if self.has(Context::CLIFF) {
            below = below.and(Context::CLIFF);
        }
        if self.has(Context::SIDE) {
            let keeps_sign = op.has(Flags::ODD) || SAME_SIDE.contains(&op);
            below = below.and(if keeps_sign { Context::SIDE } else { Context::CLIFF });
        }
        below
    }
}

/// Ops whose result has the sign of an operand, or of the product of their operands' signs.
const SAME_SIDE: [Op; 8] =
    [Op::Abs, Op::Mul, Op::Div, Op::Sqrt, Op::Min, Op::Max, Op::Select, Op::Expm1];

/// Numbers at or beyond which the ops of the table have their edges.
const PROBES: [f64; 7] = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0];

/// What the op itself makes of the context of its operand `index`.
fn own(op: Op, operands: &[&Facts], index: usize) -> Context {
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
        return Context::EDGE;
    }
    let divisor = if may_be(facts, 0.0) { Context::DIVISOR } else { Context::default() };
    match (op, index) {
        (Op::Div, 1) | (Op::Recip, 0) => divisor,
        (Op::Pow, _) => power(operands, index),
        _ if op.arity() == 1 => edges(op, facts),
        _ => Context::default(),
    }
}

fn may_be(facts: &Facts, value: f64) -> bool {
    facts.low <= value && value <= facts.high
}

/// The edges of an op of one operand, as far as the operand may reach them.
fn edges(op: Op, facts: &Facts) -> Context {
    let wrong = |&value: &f64| !op.eval(DType::F64, &[value]).is_finite();
    let reached = PROBES.iter().copied().filter(|&probe| may_be(facts, probe));
    let reached: Vec<f64> = reached.filter(wrong).collect();
    if reached.is_empty() {
        return Context::default();
    }
    let undefined = |value: &f64| op.eval(DType::F64, &[*value]).is_nan();
    let by_sign = PROBES.iter().all(|probe| wrong(probe) == (*probe < 0.0) || *probe == 0.0);
    match (reached.iter().any(undefined), by_sign) {
        (false, _) => Context::EDGE,
        (true, true) => Context::EDGE.and(Context::SIDE),
        (true, false) => Context::EDGE.and(Context::CLIFF),
    }
}

/// `a^b` is defined for positive `a`, and for others where `b` is a whole number.
fn power(operands: &[&Facts], index: usize) -> Context {
    let (base, exponent) = (operands[0], operands[1]);
    let whole = exponent.constant.filter(|value| value.fract() == 0.0);
    match (index, whole) {
        _ if base.low > 0.0 => Context::default(),
        (0, Some(value)) if value >= 0.0 => Context::default(),
        (0, Some(_)) => Context::EDGE,
        (0, None) if base.low >= 0.0 => Context::EDGE,
        (0, None) => Context::EDGE.and(Context::SIDE),
        _ => Context::EDGE.and(Context::CLIFF),
    }
}

/// The ops of a program as written, by the classes of their results and operands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) ops: Vec<(Op, Vec<Id>)>,
    /// Classes that an earlier run found in a worse context than its rules had thought.
    pub(crate) known: Vec<(Id, Context)>,
}

impl Written {
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
        for (op, operands) in &self.ops {
            let facts: Vec<&Facts> = operands.iter().map(|id| &egraph[*id].data).collect();
            for (index, id) in operands.iter().enumerate() {
                add(&mut contexts, &mut open, egraph.find(*id), own(*op, &facts, index));
            }
        }
        for (id, context) in &self.known {
            add(&mut contexts, &mut open, egraph.find(*id), *context);
        }
        while let Some(id) = open.pop() {
            let context = contexts[&id];
            for term in &egraph[id].nodes {
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
