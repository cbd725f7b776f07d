//! The analysis of the algebra e-graph: type, shape, constant, and what a value can be.
//!
//! Facts only ever get stronger, and their lattice has finite height (interval ends are snapped
//! to [`THRESHOLDS`]): otherwise an equality such as `s = s * 0.99999994` would shrink an interval
//! by one ulp a step and `rebuild` would not end.
//!
//! They are facts about floats and bools. Of integers nothing is known but type and shape: no number
//! is folded, and no rule matches them.

use super::context::{Context, Needs};
use super::cost_model::CostModel;
use super::term::{Head, Term};
use crate::mode::Mode;
use egg::{Analysis, DidMerge, EGraph, Id};
use kiln_ir::{Call, CallShapes, DType, Flags, Op, Scalar, Shape};
use std::collections::{HashMap, HashSet};

/// Where intervals may end, besides their negatives and infinities.
const THRESHOLDS: [f64; 9] = [0.0, 1.2e-38, 6e-8, 0.5, 1.0, 2.0, 16.0, 88.0, 1e18];

/// The largest threshold. An `f32` this large is half an ULP of none near the largest.
const LARGE: f64 = 1e18;

/// What is known of an e-class.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) dtype: DType,
    /// Index into the analysis's shapes.
    shape: u32,
    /// Its value, where it is a number.
    pub(crate) constant: Option<f64>,
    /// Below every value that is not NaN.
    pub(crate) low: f64,
    /// Above every value that is not NaN.
    pub(crate) high: f64,
    pub(crate) may_be_nan: bool,
    pub(crate) may_be_minus_zero: bool,
    /// Whether an infinity among its values may be the overflow of a number, here or before. What
    /// is given to a kernel as infinite *is* infinite.
    pub(crate) may_overflow: bool,
}

impl Facts {
    /// Whether no value is negative, -0 included.
    pub(crate) fn never_negative(&self) -> bool {
        self.low >= 0.0 && !self.may_be_minus_zero
    }

    /// Whether no value is infinite, nor near the largest number.
    fn is_bounded(&self) -> bool {
        self.low >= -LARGE && self.high <= LARGE
    }

    /// The facts of a product of two operands, which may be one.
    pub(crate) fn of_product(a: &Facts, b: &Facts, is_square: bool) -> Facts {
        transfer(Op::Mul, a.dtype, a.shape, &[a, b], is_square)
    }

    /// Whether all facts are equal, numbers compared by bits (NaN equals itself).
    fn same(&self, other: &Facts) -> bool {
        let bits = |facts: &Facts| facts.constant.map(f64::to_bits);
        let may_be =
            |facts: &Facts| (facts.may_be_nan, facts.may_be_minus_zero, facts.may_overflow);
        let rest = |facts: &Facts| (facts.low, facts.high, may_be(facts));
        bits(self) == bits(other) && rest(self) == rest(other)
    }

    /// Whether both e-classes have one type and one iteration domain.
    pub(crate) fn same_domain(&self, other: &Facts) -> bool {
        self.dtype == other.dtype && self.shape == other.shape
    }
}

/// The analysis: input types, interned shapes, and how numbers are folded.
pub(crate) struct FactAnalysis {
    fold: fn(Op, DType, &[f64]) -> f64,
    inputs: Vec<(DType, Shape)>,
    shapes: Vec<Shape>,
    shape_ids: HashMap<Shape, u32>,
    calls: CallShapes,
    /// Classes, and the terms by which they should not be computed: they lose digits there.
    pub(crate) replaced: HashSet<(Id, Term)>,
    /// Classes, and the terms that do not.
    pub(crate) repaired: HashSet<(Id, Term)>,
    /// Where the values of each class flow, as it was before this round of rules.
    pub(crate) contexts: HashMap<Id, Context>,
    /// Classes in which rules relied on that, and what they needed.
    pub(crate) relied: HashSet<(Id, Needs)>,
    /// Classes that are new or hold more than before, or of which more is known.
    pub(crate) touched: Vec<Id>,
    /// An interval came out empty: a rule is unsound. The run is thrown away.
    pub(crate) contradiction: bool,
}

impl FactAnalysis {
    pub(crate) fn new(mode: Mode, model: &CostModel, inputs: Vec<(DType, Shape)>) -> FactAnalysis {
        // The bits that the kernel would compute. Fast: more accurately than it would.
        let fold = if mode == Mode::Fast { Op::eval } else { model.compute };
        FactAnalysis {
            fold,
            inputs,
            shapes: Vec::new(),
            shape_ids: HashMap::new(),
            calls: CallShapes::default(),
            replaced: HashSet::new(),
            repaired: HashSet::new(),
            contexts: HashMap::new(),
            relied: HashSet::new(),
            touched: Vec::new(),
            contradiction: false,
        }
    }

    /// Where the values of a class flow.
    pub(crate) fn context(&self, class: Id) -> Context {
        self.contexts.get(&class).copied().unwrap_or_default()
    }

    /// The value of an op on numbers, as this mode folds it.
    pub(crate) fn fold(&self, op: Op, dtype: DType, values: &[f64]) -> f64 {
        (self.fold)(op, dtype, values)
    }

    fn intern(&mut self, shape: Shape) -> u32 {
        let next = self.shapes.len() as u32;
        let id = *self.shape_ids.entry(shape.clone()).or_insert(next);
        if id == next {
            self.shapes.push(shape);
        }
        id
    }

    /// The common shape of operands that are known to broadcast.
    fn broadcast(&mut self, operands: &[&Facts]) -> u32 {
        let first = operands[0].shape;
        if operands.iter().all(|facts| facts.shape == first) {
            return first;
        }
        let shapes = operands.iter().map(|facts| &self.shapes[facts.shape as usize]);
        let common = shapes.fold(Shape::scalar(), |sum, shape| {
            sum.broadcast(shape).unwrap_or_else(|_| panic!("rules keep shapes compatible"))
        });
        self.intern(common)
    }
}

impl FactAnalysis {
    /// The shape of a call: a function of its operands' shapes, so that equal calls have one.
    fn call(&mut self, call: Call, operands: &[u32]) -> u32 {
        let operands: Vec<&Shape> = operands.iter().map(|&id| &self.shapes[id as usize]).collect();
        let shape = self.calls.shape(call, &operands);
        self.intern(shape.unwrap_or_else(|_| panic!("rules keep shapes compatible")))
    }
}

impl Analysis<Term> for FactAnalysis {
    type Data = Facts;

    fn make(egraph: &mut EGraph<Term, Self>, term: &Term, _id: Id) -> Facts {
        match term.head() {
            Head::Input(index) => {
                let (dtype, shape) = egraph.analysis.inputs[index as usize].clone();
                let shape = egraph.analysis.intern(shape);
                anything(dtype, shape)
            }
            Head::Const(dtype, bits) => {
                let shape = egraph.analysis.intern(Shape::scalar());
                match Scalar::from_bits(dtype, bits) {
                    Scalar::Float(value) => constant(dtype, shape, value),
                    Scalar::Integer(_) => anything(dtype, shape),
                }
            }
            Head::Call(call) => {
                let operands = operand_facts(egraph, term);
                let dtypes: Vec<DType> = operands.iter().map(|facts| facts.dtype).collect();
                let shapes: Vec<u32> = operands.iter().map(|facts| facts.shape).collect();
                let dtype = call.info().typing.result_type(&dtypes).expect("rules keep types");
                let shape = egraph.analysis.call(call, &shapes);
                anything(dtype, shape)
            }
            Head::Op(op) => {
                let operands: Vec<Facts> =
                    operand_facts(egraph, term).into_iter().cloned().collect();
                let refs: Vec<&Facts> = operands.iter().collect();
                let shape = egraph.analysis.broadcast(&refs);
                let dtypes: Vec<DType> = refs.iter().map(|facts| facts.dtype).collect();
                let dtype = op.result_type(&dtypes).unwrap_or_else(|| {
                    panic!("a rule built {} of {dtypes:?}", op.name());
                });
                if dtype.is_integer() {
                    return anything(dtype, shape);
                }
                let squares = term.children_are_one();
                let mut facts = transfer(op, dtype, shape, &refs, squares);
                if let Some(value) = fold(egraph.analysis.fold, op, &refs) {
                    facts = constant(dtype, shape, value);
                }
                facts
            }
        }
    }

    fn merge(&mut self, a: &mut Facts, b: Facts) -> DidMerge {
        assert_eq!((a.dtype, a.shape), (b.dtype, b.shape), "a union changed a type or a shape");
        let before = a.clone();
        a.constant = a.constant.or(b.constant);
        a.low = a.low.max(b.low);
        a.high = a.high.min(b.high);
        a.may_be_nan &= b.may_be_nan;
        a.may_be_minus_zero &= b.may_be_minus_zero;
        a.may_overflow &= b.may_overflow;
        if a.low > a.high && !a.may_be_nan {
            self.contradiction = true;
        }
        DidMerge(!a.same(&before), !a.same(&b))
    }

    /// A class of a known value needs no node but the number: pruning stops families such as
    /// `x = (2x)/2 = (4x)/4 = ...` from growing.
    fn modify(egraph: &mut EGraph<Term, Self>, id: Id) {
        egraph.analysis.touched.push(id);
        let facts = &egraph[id].data;
        let Some(value) = facts.constant else { return };
        if !egraph.analysis.shapes[facts.shape as usize].is_scalar() {
            return;
        }
        let number = egraph.add(Term::constant(facts.dtype, value));
        if egraph.are_explanations_enabled() {
            egraph.union_trusted(id, number, "fold-constants");
        } else {
            egraph.union(id, number);
        }
        let id = egraph.find(id);
        egraph[id].nodes.retain(egg::Language::is_leaf);
    }
}

impl Term {
    fn children_are_one(&self) -> bool {
        egg::Language::children(self).windows(2).all(|pair| pair[0] == pair[1])
    }
}

fn operand_facts<'a>(egraph: &'a EGraph<Term, FactAnalysis>, term: &Term) -> Vec<&'a Facts> {
    egg::Language::children(term).iter().map(|&child| &egraph[child].data).collect()
}

/// The value of an op on numbers. Which NaN it is, where it is one, is nowhere specified.
fn fold(compute: fn(Op, DType, &[f64]) -> f64, op: Op, operands: &[&Facts]) -> Option<f64> {
    let values: Vec<f64> = operands.iter().map(|facts| facts.constant).collect::<Option<_>>()?;
    Some(compute(op, operands.last()?.dtype, &values))
}

/// The facts of an `f32` that has one known value, as a number or as a variable, whose infinities
/// may be numbers that have become too large.
#[cfg(test)]
pub(crate) fn facts_of(value: f64, is_number: bool, may_overflow: bool) -> Facts {
    let facts = constant(DType::F32, 0, value);
    if is_number { facts } else { Facts { constant: None, may_overflow, ..facts } }
}

fn anything(dtype: DType, shape: u32) -> Facts {
    Facts {
        dtype,
        shape,
        constant: None,
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        may_be_nan: dtype.is_float(),
        may_be_minus_zero: dtype.is_float(),
        may_overflow: false,
    }
}

fn constant(dtype: DType, shape: u32, value: f64) -> Facts {
    let (low, high) = if value.is_nan() {
        (f64::NEG_INFINITY, f64::INFINITY)
    } else {
        (snap_down(value), snap_up(value))
    };
    Facts {
        dtype,
        shape,
        constant: Some(value),
        low,
        high,
        may_be_nan: value.is_nan(),
        may_be_minus_zero: value == 0.0 && value.is_sign_negative(),
        // Numbers too large for their type fold to it.
        may_overflow: value.is_infinite(),
    }
}

/// What an op's result can be, given its operands. Where nothing is said, anything in its range.
fn transfer(op: Op, dtype: DType, shape: u32, operands: &[&Facts], all_one: bool) -> Facts {
    let mut facts = anything(dtype, shape);
    let any_nan = operands.iter().any(|facts| facts.may_be_nan);
    let (low, high) = interval(op, dtype, operands, all_one);
    // Ends of which nothing is known: inf - inf.
    let known = |end: f64, unknown: f64| if end.is_nan() { unknown } else { end };
    let (least, most) = op.info().range;
    facts.low = snap_down(known(low, least).max(least));
    facts.high = snap_up(known(high, most).min(most));
    if !dtype.is_float() {
        (facts.may_be_nan, facts.may_be_minus_zero) = (false, false);
        return facts;
    }
    let a = operands[0];
    let b = operands.get(1).copied().unwrap_or(a);
    match op {
        Op::Abs | Op::Exp | Op::Exp2 | Op::Sigmoid | Op::Cosh | Op::Erfc | Op::Normcdf => {
            (facts.may_be_nan, facts.may_be_minus_zero) = (any_nan, false);
        }
        Op::Tanh | Op::Erf | Op::Asinh | Op::Atan | Op::Expm1 | Op::Neg | Op::Max | Op::Min => {
            facts.may_be_nan = any_nan;
        }
        Op::Sqrt => facts.may_be_nan = any_nan || a.low < 0.0,
        Op::Mul if all_one => (facts.may_be_nan, facts.may_be_minus_zero) = (any_nan, false),
        Op::Add => {
            let cancels =
                |x: &Facts, y: &Facts| x.high == f64::INFINITY && y.low == f64::NEG_INFINITY;
            facts.may_be_nan = any_nan || cancels(a, b) || cancels(b, a);
            facts.may_be_minus_zero = a.may_be_minus_zero && b.may_be_minus_zero;
        }
        Op::Select => {
            let c = operands[2];
            facts.may_be_nan = b.may_be_nan || c.may_be_nan;
            facts.may_be_minus_zero = b.may_be_minus_zero || c.may_be_minus_zero;
        }
        _ => {}
    }
    facts.may_overflow = !facts.is_bounded() && may_overflow(op, operands);
    facts
}

/// Ends of the results of an op that are not NaN, before they are snapped; NaN where unknown.
///
/// They are computed in `f64`, but what a type cannot hold is infinite in it, and so is what comes
/// near its largest number.
fn interval(op: Op, dtype: DType, operands: &[&Facts], all_one: bool) -> (f64, f64) {
    let (a, c) = (operands[0], operands[operands.len() - 1]);
    let b = operands.get(1).copied().unwrap_or(a);
    match op {
        Op::Abs => (a.low.max(-a.high).max(0.0), a.high.max(-a.low)),
        Op::Neg => (-a.high, -a.low),
        Op::Add => (a.low + b.low, a.high + b.high),
        Op::Sub => (a.low - b.high, a.high - b.low),
        Op::Mul => {
            // Of 0 and infinity comes a NaN, and of what lies between nothing beyond 0.
            let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
            let corners = [(a.low, b.low), (a.low, b.high), (a.high, b.low), (a.high, b.high)];
            let corners = corners.map(|(a, b)| product(a, b));
            let low = corners.into_iter().fold(f64::INFINITY, f64::min);
            let high = corners.into_iter().fold(f64::NEG_INFINITY, f64::max);
            (if all_one { low.max(0.0) } else { low }, high)
        }
        Op::Div if b.low >= 0.0 && a.low >= 0.0 => (0.0, f64::INFINITY),
        Op::Max => (a.low.max(b.low), a.high.max(b.high)),
        Op::Min => (a.low.min(b.low), a.high.min(b.high)),
        Op::Clamp => (a.low.max(b.low).min(c.low), a.high.max(b.high).min(c.high)),
        Op::Select => (b.low.min(c.low), b.high.max(c.high)),
        // They are not above 1 by an error either.
        Op::Exp | Op::Exp2 if a.high <= 0.0 => (0.0, 1.0),
        _ if operands.len() == 1 && op.has(Flags::MONOTONE) => {
            // A result may lie an error beyond that of its end. 0 is never missed.
            let beyond = |end: f64, by: f64| if end == 0.0 { 0.0 } else { end + by * end.abs() };
            let of = |end: f64| op.eval(dtype, &[end]);
            (beyond(of(a.low), -1e-6), beyond(of(a.high), 1e-6))
        }
        _ => (f64::NAN, f64::NAN),
    }
}

/// Whether an infinite result may be the overflow of a number.
fn may_overflow(op: Op, operands: &[&Facts]) -> bool {
    let floats = operands.iter().filter(|facts| facts.dtype.is_float());
    let any = floats.clone().any(|facts| facts.may_overflow);
    let within = |facts: &Facts, bound: f64| -bound <= facts.low && facts.high <= bound;
    let (a, b) = (operands[0], operands[operands.len() - 1]);
    match op {
        // No larger than an operand, or far smaller.
        Op::Neg | Op::Abs | Op::Sign | Op::Floor | Op::Ceil | Op::Round | Op::Trunc => any,
        Op::Min | Op::Max | Op::Clamp | Op::Select | Op::CopySign | Op::Rem => any,
        Op::Sqrt | Op::Cbrt | Op::Asinh | Op::Tanhshrink | Op::ToF64 => any,
        // Of two numbers within 1e18 neither the sum nor the product is beyond the largest.
        Op::Add | Op::Sub if within(a, LARGE) || within(b, LARGE) => any,
        Op::Mul if within(a, 1.0) || within(b, 1.0) => any,
        Op::Mul if within(a, LARGE) && within(b, LARGE) => any,
        Op::Div if b.low >= 1.0 || b.high <= -1.0 => any,
        Op::Log | Op::Log2 | Op::Log10 if a.low > 0.0 => any,
        _ => true,
    }
}

/// The largest threshold not above `value`.
fn snap_down(value: f64) -> f64 {
    if value >= 0.0 {
        THRESHOLDS.into_iter().rev().find(|&t| t <= value).unwrap_or(0.0)
    } else {
        THRESHOLDS.into_iter().find(|&t| -t <= value).map_or(f64::NEG_INFINITY, |t| -t)
    }
}

/// The smallest threshold not below `value`.
fn snap_up(value: f64) -> f64 {
    -snap_down(-value)
}

#[cfg(test)]
mod tests {
    use super::{snap_down, snap_up};

    #[test]
    fn intervals_snap_outward() {
        assert_eq!((snap_down(0.7), snap_up(0.7)), (0.5, 1.0));
        assert_eq!((snap_down(-0.7), snap_up(-0.7)), (-1.0, -0.5));
        assert_eq!((snap_down(0.0), snap_up(0.0)), (0.0, -0.0));
        assert_eq!((snap_down(1e30), snap_up(1e30)), (1e18, f64::INFINITY));
        assert_eq!((snap_down(-1e30), snap_up(-1e30)), (f64::NEG_INFINITY, -1e18));
    }
}
