//! The analysis of the algebra e-graph: type, shape, constant, and what a value can be.
//!
//! Facts only ever get stronger, and their lattice has finite height (interval ends are snapped
//! to [`THRESHOLDS`]): otherwise an equality such as `s = s * 0.99999994` would shrink an interval
//! by one ulp a step and `rebuild` would not end.
//!
//! They are facts about floats and bools. Of integers nothing is known but type and shape: no number
//! is folded, and no rule matches them.

use super::Mode;
use super::machine::Machine;
use super::term::{Head, Term};
use egg::{Analysis, DidMerge, EGraph, Id};
use kiln_ir::{DType, Op, ProductShapes, Scalar, Shape};
use std::collections::HashMap;

/// Where intervals may end, besides their negatives and infinities.
const THRESHOLDS: [f64; 9] = [0.0, 1.2e-38, 6e-8, 0.5, 1.0, 2.0, 16.0, 88.0, 1e18];

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
}

impl Facts {
    /// Whether no value is negative, -0 included.
    pub(crate) fn never_negative(&self) -> bool {
        self.low >= 0.0 && !self.may_be_minus_zero
    }

    /// Whether all facts are equal, numbers compared by bits (NaN equals itself).
    fn same(&self, other: &Facts) -> bool {
        let bits = |facts: &Facts| facts.constant.map(f64::to_bits);
        let rest =
            |facts: &Facts| (facts.low, facts.high, facts.may_be_nan, facts.may_be_minus_zero);
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
    products: ProductShapes,
    /// Classes, and the op by which they should not be computed: it loses digits there.
    avoided: Vec<(Id, Op)>,
    /// Classes that are new or hold more than before, or of which more is known.
    pub(crate) touched: Vec<Id>,
    /// An interval came out empty: a rule is unsound. The run is thrown away.
    pub(crate) contradiction: bool,
}

impl FactAnalysis {
    pub(crate) fn new(mode: Mode, machine: &Machine, inputs: Vec<(DType, Shape)>) -> FactAnalysis {
        // Strict: the bits that the kernel would compute. Else: more accurately than it would.
        let fold = if mode == Mode::Strict { machine.compute } else { Op::eval };
        FactAnalysis {
            fold,
            inputs,
            shapes: Vec::new(),
            shape_ids: HashMap::new(),
            products: ProductShapes::default(),
            avoided: Vec::new(),
            touched: Vec::new(),
            contradiction: false,
        }
    }

    /// Notes that `class` should be computed otherwise than by `op`.
    pub(crate) fn avoid(&mut self, class: Id, op: Op) {
        if !self.avoided.contains(&(class, op)) {
            self.avoided.push((class, op));
        }
    }

    /// What [`avoid`](FactAnalysis::avoid) noted.
    pub(crate) fn avoided(&self) -> &[(Id, Op)] {
        &self.avoided
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
    /// The shape of a product: a function of its operands' shapes, so that equal products have one.
    fn product(&mut self, left: u32, right: u32) -> u32 {
        let [left, right] = [left, right].map(|shape| &self.shapes[shape as usize]);
        let shape = self.products.shape(left, right);
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
            Head::Matmul => {
                let operands = operand_facts(egraph, term);
                let dtype = operands[0].dtype;
                let [left, right] = [0, 1].map(|i| operands[i].shape);
                let shape = egraph.analysis.product(left, right);
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

/// The facts of an `f32` that has one known value, as a number or as a variable.
#[cfg(test)]
pub(crate) fn facts_of(value: f64, is_number: bool) -> Facts {
    let facts = constant(DType::F32, 0, value);
    if is_number { facts } else { Facts { constant: None, ..facts } }
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
    }
}

/// What an op's result can be, given its operands. Where nothing is said, anything in its range.
fn transfer(op: Op, dtype: DType, shape: u32, operands: &[&Facts], all_one: bool) -> Facts {
    let (low, high) = op.info().range;
    let any_nan = operands.iter().any(|facts| facts.may_be_nan);
    let mut facts = Facts { low, high, ..anything(dtype, shape) };
    let a = operands[0];
    let b = operands.get(1).copied().unwrap_or(a);
    match op {
        Op::Abs => {
            (facts.may_be_nan, facts.may_be_minus_zero) = (any_nan, false);
            facts.high = a.high.max(-a.low);
        }
        Op::Exp | Op::Exp2 | Op::Sigmoid | Op::Cosh | Op::Erfc | Op::Normcdf => {
            (facts.may_be_nan, facts.may_be_minus_zero) = (any_nan, false);
            if matches!(op, Op::Exp | Op::Exp2) && a.high <= 0.0 {
                facts.high = 1.0;
            }
        }
        Op::Tanh | Op::Erf | Op::Asinh | Op::Atan | Op::Expm1 => facts.may_be_nan = any_nan,
        Op::Neg => {
            (facts.low, facts.high) = (-a.high, -a.low);
            facts.may_be_nan = any_nan;
        }
        Op::Sqrt => facts.may_be_nan = any_nan || a.low < 0.0,
        Op::Mul if all_one => {
            (facts.low, facts.may_be_nan, facts.may_be_minus_zero) = (0.0, any_nan, false);
        }
        Op::Add => {
            (facts.low, facts.high) = (a.low + b.low, a.high + b.high);
            let cancels =
                |x: &Facts, y: &Facts| x.high == f64::INFINITY && y.low == f64::NEG_INFINITY;
            facts.may_be_nan = any_nan || cancels(a, b) || cancels(b, a);
            facts.may_be_minus_zero = a.may_be_minus_zero && b.may_be_minus_zero;
        }
        Op::Max => {
            (facts.low, facts.high) = (a.low.max(b.low), a.high.max(b.high));
            facts.may_be_nan = any_nan;
        }
        Op::Min => {
            (facts.low, facts.high) = (a.low.min(b.low), a.high.min(b.high));
            facts.may_be_nan = any_nan;
        }
        Op::Select => {
            let c = operands[2];
            (facts.low, facts.high) = (b.low.min(c.low), b.high.max(c.high));
            facts.may_be_nan = b.may_be_nan || c.may_be_nan;
            facts.may_be_minus_zero = b.may_be_minus_zero || c.may_be_minus_zero;
        }
        _ => {}
    }
    if !dtype.is_float() {
        (facts.may_be_nan, facts.may_be_minus_zero) = (false, false);
    }
    // inf - inf among interval ends says nothing.
    if facts.low.is_nan() || facts.high.is_nan() {
        (facts.low, facts.high) = (f64::NEG_INFINITY, f64::INFINITY);
    }
    (facts.low, facts.high) = (snap_down(facts.low), snap_up(facts.high));
    facts
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
