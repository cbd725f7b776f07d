//! The analysis of the algebra e-graph: type, shape, constant, and what a value can be ([`Range`],
//! by the op table).
//!
//! Facts only get stronger, and their lattice has finite height because interval ends are snapped
//! to [`THRESHOLDS`]. Otherwise an equality such as `s = s * 0.99999994` would shrink an interval
//! by one ulp a step, and `rebuild` would never end.
//!
//! These are facts about floats and bools. Of integers only type and shape are known: no number is
//! folded, and no rule matches them.

use super::context::{Context, Needs};
use super::cost_model::CostModel;
use super::term::{Head, Term};
use crate::mode::Mode;
use egg::{Analysis, DidMerge, EGraph, Id};
use kiln_ir::{Call, CallShapes, DType, LARGE, Op, Range, Reduction, Scalar, Shape, Typing};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// Where intervals may end, besides their negatives and infinities. They are `f32` numbers, which
/// rounding does not move.
const THRESHOLDS: [f64; 9] =
    [0.0, 1.2e-38f32 as f64, 6e-8f32 as f64, 0.5, 1.0, 2.0, 16.0, 88.0, LARGE];

/// What is known about an e-class.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) dtype: DType,
    /// Index into the analysis's shapes.
    shape: u32,
    /// Its value, if it is a number.
    pub(crate) constant: Option<f64>,
    /// What it may be, with ends among the thresholds.
    pub(crate) range: Range,
}

impl Facts {
    /// The range of a product of two operands, which may be the same.
    pub(crate) fn of_product(a: &Facts, b: &Facts, is_square: bool) -> Range {
        Range::of_op(Op::Mul, a.dtype, &[a.range, b.range], is_square)
    }

    /// Whether all facts are equal. Numbers are compared by bits (NaN equals itself).
    fn same(&self, other: &Facts) -> bool {
        let bits = |facts: &Facts| facts.constant.map(f64::to_bits);
        bits(self) == bits(other) && self.range == other.range
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
    /// Classes, and the terms that should not compute them: these lose digits there.
    pub(crate) replaced: HashSet<(Id, Term)>,
    /// Classes, and the terms that repairs gave them: these lose none.
    pub(crate) repaired: HashSet<(Id, Term)>,
    /// Where the values of each class flow, as of the start of this round of rules.
    pub(crate) contexts: HashMap<Id, Context>,
    /// Classes in which rules relied on that, and what they needed.
    pub(crate) relied: HashSet<(Id, Needs)>,
    /// Classes that are new, hold more than before, or are known better.
    pub(crate) touched: Vec<Id>,
    /// An interval came out empty: a rule is unsound. The run is thrown away.
    pub(crate) contradiction: bool,
}

impl FactAnalysis {
    pub(crate) fn new(mode: Mode, model: &CostModel, inputs: Vec<(DType, Shape)>) -> FactAnalysis {
        // The bits that the kernel would compute. In fast mode, more accurate ones.
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
    fn broadcast(&mut self, operands: &[u32]) -> u32 {
        if operands.iter().all(|&shape| shape == operands[0]) {
            return operands[0];
        }
        let shapes = operands.iter().map(|&shape| &self.shapes[shape as usize]);
        let common = shapes.fold(Shape::scalar(), |sum, shape| {
            sum.broadcast(shape).unwrap_or_else(|_| panic!("rules keep shapes compatible"))
        });
        self.intern(common)
    }
}

impl FactAnalysis {
    /// The shape of a call: a function of its operands' shapes, so equal calls have the same one.
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
                let overflows = operands.iter().any(|facts| facts.range.may_overflow);
                let shape = egraph.analysis.call(call, &shapes);
                let adds = match call {
                    Call::Reduce(reduce) => matches!(reduce.by, Reduction::Sum | Reduction::Prod),
                    _ => matches!(call, Call::Scan(_)) || call.info().typing == Typing::Product,
                };
                let may_overflow = dtype.is_float() && (adds || overflows);
                let facts = anything(dtype, shape);
                Facts { range: Range { may_overflow, ..facts.range }, ..facts }
            }
            Head::Op(op) => {
                let operands = operand_facts(egraph, term);
                let dtypes: SmallVec<[DType; 3]> = operands.iter().map(|f| f.dtype).collect();
                let ranges: SmallVec<[Range; 3]> = operands.iter().map(|f| f.range).collect();
                let dtype = op.result_type(&dtypes).unwrap_or_else(|| {
                    panic!("a rule built {} of {dtypes:?}", op.name());
                });
                let folded = match dtype.is_integer() {
                    true => None,
                    false => fold(egraph.analysis.fold, op, &operands),
                };
                let shapes: SmallVec<[u32; 3]> = operands.iter().map(|f| f.shape).collect();
                let shape = egraph.analysis.broadcast(&shapes);
                match folded {
                    Some(value) => constant(dtype, shape, value),
                    None => {
                        let range = Range::of_op(op, dtype, &ranges, term.children_are_one());
                        Facts { dtype, shape, constant: None, range: snapped(range) }
                    }
                }
            }
        }
    }

    fn merge(&mut self, a: &mut Facts, b: Facts) -> DidMerge {
        assert_eq!((a.dtype, a.shape), (b.dtype, b.shape), "a union changed a type or a shape");
        let before = a.clone();
        a.constant = a.constant.or(b.constant);
        a.range = a.range.and(b.range);
        if a.range.is_empty() {
            self.contradiction = true;
        }
        DidMerge(!a.same(&before), !a.same(&b))
    }

    /// A class with a known value needs no node but the number. Pruning the rest stops families
    /// such as `x = (2x)/2 = (4x)/4 = ...` from growing.
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

/// The value of an op on numbers. If it is NaN, which NaN is not specified.
fn fold(compute: fn(Op, DType, &[f64]) -> f64, op: Op, operands: &[&Facts]) -> Option<f64> {
    let values: Vec<f64> = operands.iter().map(|facts| facts.constant).collect::<Option<_>>()?;
    Some(compute(op, operands.last()?.dtype, &values))
}

/// The facts of an `f32` with one known value, as a number, or as a variable whose infinities may
/// be overflowed numbers.
#[cfg(test)]
pub(crate) fn facts_of(value: f64, is_number: bool, may_overflow: bool) -> Facts {
    let facts = constant(DType::F32, 0, value);
    if is_number {
        return facts;
    }
    Facts { constant: None, range: Range { may_overflow, ..facts.range }, ..facts }
}

fn anything(dtype: DType, shape: u32) -> Facts {
    Facts { dtype, shape, constant: None, range: snapped(Range::any(dtype)) }
}

fn constant(dtype: DType, shape: u32, value: f64) -> Facts {
    Facts { dtype, shape, constant: Some(value), range: snapped(Range::number(value)) }
}

/// A range whose ends are thresholds.
fn snapped(range: Range) -> Range {
    Range { low: snap_down(range.low), high: snap_up(range.high), ..range }
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
