//! What a graph gives in real numbers: every op exact to 200 bits, nothing overflows or underflows.
//!
//! Special values are IEEE 754's. What 200 bits or the range of `Big` cannot say is
//! [`Real::Unknown`]; it judges nothing.

use crate::array::Elements;
use crate::real::Real::{self, Bool, Finite, Infinite, Integer, Nan, Unknown, Zero};
use crate::rng::Rng;
use kiln::ir::{Node, Op, Scalar, Typing};
use kiln::{DType, Graph};
use kiln_accuracy::{Big, apply_big};
use std::cmp::Ordering;

/// Results beyond `e^±10000` are held there: they are above, or below, all that a type has.
const EXTREME: f64 = 10_000.0;
/// Exponents of two from which 200 bits say nothing of a sine.
const PERIODIC: isize = 1_200;

/// How a graph is evaluated.
pub(crate) enum Way<'a> {
    /// Without any bound.
    Exact,
    /// What is beyond the largest number of its type is infinite.
    Bounded,
    /// Every result is moved by what its op may err in its type, up or down: what an evaluation of
    /// this program may come to.
    Shaken(&'a mut Rng),
}

/// Why a zero, an infinity or a NaN may not be the true one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Doubt {
    /// A term was too small for 200 bits to see it beside another.
    pub(crate) absorbed: bool,
    /// A difference is far smaller than what it is of: whether it is zero, rounding decides.
    pub(crate) cancels: bool,
    /// A NaN came of infinities or zeros, such as `inf - inf`: a limit may be a number.
    pub(crate) indeterminate: bool,
}

/// The outputs of an elementwise graph at one element, whose inputs are these.
pub(crate) fn evaluate(graph: &Graph, inputs: &[Scalar], mut way: Way<'_>) -> (Vec<Real>, Doubt) {
    let mut doubt = Doubt::default();
    let mut values: Vec<Real> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let dtype = graph.dtype(id);
        let value = match node {
            Node::Input(index) => Real::of_scalar(dtype, inputs[*index as usize]),
            Node::Const(bits) => Real::of_scalar(dtype, Scalar::from_bits(dtype, *bits)),
            Node::Op(op, args) => {
                let operands: Vec<Real> = args.iter().map(|a| values[a.index()].clone()).collect();
                let result = apply(&mut doubt, *op, dtype, &operands);
                match &mut way {
                    Way::Exact => result,
                    Way::Bounded => bounded(dtype, result),
                    Way::Shaken(rng) => shaken(*op, dtype, result, rng),
                }
            }
            _ => Unknown,
        };
        values.push(value);
    }
    (graph.outputs().iter().map(|id| values[id.index()].clone()).collect(), doubt)
}

/// The largest number of a type.
pub(crate) fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        DType::F32 => f32::MAX.into(),
        DType::BF16 => 3.389_531_389_251_535_5e38,
        _ => f64::MAX,
    }
}

fn bounded(dtype: DType, value: Real) -> Real {
    match value {
        Finite(value) if value.abs() > Big::from_f64(largest(dtype)) => {
            Infinite(value.is_negative())
        }
        other => other,
    }
}

fn shaken(op: Op, dtype: DType, value: Real, rng: &mut Rng) -> Real {
    let rounds = match op.info().typing {
        Typing::Cast(_) => dtype.is_float(),
        _ => dtype.is_float() && op.max_ulp(dtype) > 0.0,
    };
    let Finite(exact) = value else { return value };
    if !rounds {
        return Finite(exact);
    }
    let (digits, least) = match dtype {
        DType::F16 => (10, -24),
        DType::BF16 => (7, -133),
        DType::F32 => (23, -149),
        _ => (52, -1074),
    };
    let error = op.max_ulp(dtype).max(0.5) * if rng.one_in(2) { 1.0 } else { -1.0 };
    let relative = exact.abs().shifted(-digits) * Big::from_f64(error);
    let absolute = if exact.exponent() < least as isize + 54 {
        Big::from_f64(error).shifted(least)
    } else {
        Big::from_f64(0.0)
    };
    Real::of_big(exact + relative + absolute)
}

fn apply(doubt: &mut Doubt, op: Op, dtype: DType, x: &[Real]) -> Real {
    if op == Op::Select {
        return match x[0] {
            Bool(true) => x[1].clone(),
            Bool(false) => x[2].clone(),
            _ => Unknown,
        };
    }
    if x.iter().any(|value| matches!(value, Unknown)) {
        return Unknown;
    }
    if let Typing::Cast(to) = op.info().typing {
        return cast(to, &x[0]);
    }
    if let Op::IsNan | Op::IsInf | Op::IsFinite = op {
        return match &x[0] {
            // What a type cannot hold may be infinite by rounding, or have made a NaN.
            Finite(value) if value.exponent() > 120 => Unknown,
            value => Bool(match op {
                Op::IsNan => matches!(value, Nan),
                Op::IsInf => matches!(value, Infinite(_)),
                _ => !matches!(value, Nan | Infinite(_)),
            }),
        };
    }
    if let Typing::Compare = op.info().typing {
        let order = x[0].order(&x[1]);
        // Rounding decides between two that nearly meet.
        if let (Finite(a), Finite(b)) = (&x[0], &x[1]) {
            let apart = (a.clone() - b.clone()).abs().shifted(20);
            doubt.absorbed |= apart < a.abs();
        }
        return Bool(match op {
            Op::Lt => order == Some(Ordering::Less),
            Op::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Op::Gt => order == Some(Ordering::Greater),
            Op::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Op::Eq => order == Some(Ordering::Equal),
            _ => order != Some(Ordering::Equal),
        });
    }
    if let Bool(a) = x[0] {
        let b = matches!(x.get(1), Some(Bool(true)));
        return Bool(match op {
            Op::Not => !a,
            Op::And => a && b,
            Op::Or => a || b,
            _ => a != b,
        });
    }
    if dtype.is_integer() {
        let integer = |value: &Real| if let Integer(value) = value { *value } else { 0 };
        let operands: Vec<i64> = x.iter().map(integer).collect();
        return op.eval_integers(dtype, &operands).map_or(Unknown, Integer);
    }
    if x.iter().any(|value| matches!(value, Nan)) {
        // 1 to any power, and any to the power 0, is 1.
        let one = op == Op::Pow && op.eval(DType::F64, &[x[0].stand_in(), x[1].stand_in()]) == 1.0;
        return if one { Real::of_f64(1.0) } else { Nan };
    }
    let result = function(doubt, op, x);
    let special = |value: &Real| matches!(value, Infinite(_) | Zero(_));
    doubt.indeterminate |= matches!(result, Nan) && x.iter().any(special);
    result
}

fn cast(to: DType, x: &Real) -> Real {
    match (to, x) {
        (DType::Bool, Zero(_) | Integer(0) | Bool(false)) => Bool(false),
        (DType::Bool, _) => Bool(true),
        (_, Bool(value)) if to.is_float() => Real::of_f64(f64::from(*value)),
        (_, Bool(value)) => Integer((*value).into()),
        (_, Integer(value)) if to.is_float() => {
            let low = value & 0xffff_ffff;
            let high = Big::from_f64((value - low) as f64);
            Real::of_big(high + Big::from_f64(low as f64))
        }
        (_, Integer(_)) => Unknown,
        (_, float) if to.is_float() => float.clone(),
        (_, Finite(value)) => {
            let cut = if value.is_negative() { -(-value.clone()).floor() } else { value.floor() };
            integer_of(to, cut.to_f64())
        }
        (_, other) => integer_of(to, other.stand_in()),
    }
}

fn integer_of(to: DType, value: f64) -> Real {
    match Scalar::Float(value).cast(to) {
        Scalar::Integer(value) => Integer(value),
        Scalar::Float(_) => Unknown,
    }
}

/// An op on floats without a NaN.
fn function(doubt: &mut Doubt, op: Op, x: &[Real]) -> Real {
    match op {
        Op::Neg => return x[0].clone().negated(),
        Op::Abs => return if x[0].is_negative() { x[0].clone().negated() } else { x[0].clone() },
        Op::Sign => {
            return match &x[0] {
                Zero(_) => x[0].clone(),
                value => Real::of_f64(if value.is_negative() { -1.0 } else { 1.0 }),
            };
        }
        Op::CopySign => {
            let flip = x[0].is_negative() != x[1].is_negative();
            return if flip { x[0].clone().negated() } else { x[0].clone() };
        }
        Op::Min => return lesser(&x[0], &x[1]),
        Op::Max => return lesser(&x[0].clone().negated(), &x[1].clone().negated()).negated(),
        Op::Clamp => {
            let above = function(doubt, Op::Max, &x[..2]);
            return function(doubt, Op::Min, &[above, x[2].clone()]);
        }
        Op::Fma => {
            let product = function(doubt, Op::Mul, &x[..2]);
            return sum(doubt, &product, &x[2]);
        }
        Op::Add => return sum(doubt, &x[0], &x[1]),
        Op::Sub => return sum(doubt, &x[0], &x[1].clone().negated()),
        Op::Recip => return function(doubt, Op::Div, &[Real::of_f64(1.0), x[0].clone()]),
        _ => {}
    }
    let reals: Option<Vec<Big>> =
        x.iter().map(|v| if let Finite(v) = v { Some(v.clone()) } else { None }).collect();
    let Some(big) = reals else { return special(doubt, op, x) };
    match op {
        Op::Mul if x[0].is_lossy() && x[1].is_lossy() => Unknown,
        Op::Div if x[0].is_lossy() && x[1].is_lossy() => Unknown,
        Op::Mul | Op::Div => Finite(apply_big(op, &big)),
        Op::Rem => remainder(&big[0], &big[1]),
        Op::Pow => power(&big),
        _ => unary(doubt, op, &big, x),
    }
}

/// With a zero or an infinity among the operands: IEEE 754's, and multiples of a right angle.
fn special(doubt: &mut Doubt, op: Op, x: &[Real]) -> Real {
    if op == Op::Rem && matches!(x[0], Finite(_)) && matches!(x[1], Infinite(_)) {
        return x[0].clone();
    }
    if op == Op::Hypot {
        let finite = x.iter().find(|value| matches!(value, Finite(_)));
        if let (Some(value), true) = (finite, x.iter().any(|v| matches!(v, Zero(_)))) {
            return function(doubt, Op::Abs, std::slice::from_ref(value));
        }
    }
    let operands: Vec<f64> = x.iter().map(Real::stand_in).collect();
    let result = op.eval(DType::F64, &operands);
    let turns = result / std::f64::consts::FRAC_PI_4;
    let is_angle = matches!(op, Op::Atan | Op::Atan2 | Op::Acos) && turns.fract() == 0.0;
    match is_angle && turns != 0.0 {
        true => Finite(Big::pi() * Big::from_f64(turns).shifted(-2)),
        false => Real::of_f64(result),
    }
}

fn sum(doubt: &mut Doubt, a: &Real, b: &Real) -> Real {
    match (a, b) {
        (Unknown, _) | (_, Unknown) => Unknown,
        (Finite(x), Finite(y)) => {
            let (huge, flips) = (a.is_lossy() && b.is_lossy(), x.is_negative() != y.is_negative());
            doubt.absorbed |= (x.exponent() - y.exponent()).abs() > 180;
            if huge && flips && x.exponent() > 0 {
                Unknown
            } else {
                let total = Real::of_big(x.clone() + y.clone());
                let large = x.exponent().max(y.exponent());
                doubt.cancels |= matches!(&total, Finite(t) if t.exponent() + 20 < large);
                total
            }
        }
        (Finite(_), Zero(_)) => a.clone(),
        (Zero(_), Finite(_)) => b.clone(),
        _ => Real::of_f64(a.stand_in() + b.stand_in()),
    }
}

/// IEEE 754's `minimum` of two that are no NaN.
fn lesser(a: &Real, b: &Real) -> Real {
    match a.order(b) {
        Some(Ordering::Less) => a.clone(),
        Some(Ordering::Greater) => b.clone(),
        _ if a.is_negative() => a.clone(),
        _ => b.clone(),
    }
}

fn remainder(a: &Big, b: &Big) -> Real {
    let quotient = (a.clone() / b.clone()).abs();
    if quotient.exponent() > 130 {
        return Unknown;
    }
    let rest = a.abs() - quotient.floor() * b.abs();
    if rest.is_zero() {
        return Zero(a.is_negative());
    }
    Finite(if a.is_negative() { -rest } else { rest })
}

fn held(negative: bool, huge: bool) -> Real {
    let value = apply_big(Op::Exp, &[Big::from_f64(if huge { EXTREME } else { -EXTREME })]);
    Finite(if negative { -value } else { value })
}

fn power(big: &[Big]) -> Real {
    let (base, exponent) = (&big[0], &big[1]);
    let whole = exponent.floor() == *exponent;
    if base.is_negative() && !whole {
        return Nan;
    }
    let half = exponent.shifted_copy(-1);
    let negative = base.is_negative() && half.floor() != half;
    let log = apply_big(Op::Log, &[base.abs()]);
    if log.is_zero() {
        return Real::of_f64(if negative { -1.0 } else { 1.0 });
    }
    let size = (log * exponent.clone()).to_f64();
    if size.abs() > EXTREME {
        return held(negative, size > 0.0);
    }
    let value = apply_big(Op::Pow, &[base.abs(), exponent.clone()]);
    Finite(if negative { -value } else { value })
}

/// A function at finite operands that are not zero.
fn unary(doubt: &mut Doubt, op: Op, big: &[Big], x: &[Real]) -> Real {
    let a = &big[0];
    let one = Big::from_f64(1.0);
    let size = a.abs();
    let negative = a.is_negative();
    let loses = matches!(
        op,
        Op::Log
            | Op::Log2
            | Op::Log10
            | Op::Log1p
            | Op::Sqrt
            | Op::Rsqrt
            | Op::Cbrt
            | Op::Asinh
            | Op::Acosh
            | Op::Atan2
            | Op::Hypot
            | Op::Tanhshrink
    );
    if loses && x.iter().any(Real::is_lossy) {
        return Unknown;
    }
    let beyond = size > Big::from_f64(EXTREME);
    // They come so near to their limit that 200 bits do not tell.
    let flattens = match op {
        Op::Tanh | Op::Sigmoid | Op::Expm1 => 60.0,
        Op::Erf | Op::Erfc | Op::Normcdf => 11.0,
        _ => f64::INFINITY,
    };
    doubt.absorbed |= flattens.is_finite() && size > Big::from_f64(flattens);
    // Of what is tiny they are a constant, or it itself, to 200 bits.
    let starts = !loses && !matches!(op, Op::Floor | Op::Ceil | Op::Trunc | Op::Round)
        || matches!(op, Op::Log1p | Op::Asinh | Op::Tanhshrink);
    doubt.absorbed |= starts && a.exponent() < -90;
    match op {
        Op::Floor => rounded(a.floor(), negative),
        Op::Ceil => rounded(-(-a.clone()).floor(), negative),
        Op::Trunc => rounded(size.floor(), false).with_sign(negative),
        Op::Round => {
            let below = size.floor();
            let rest = size - below.clone();
            let half = Big::from_f64(0.5);
            let odd = below.shifted_copy(-1).floor() != below.shifted_copy(-1);
            let up = rest > half || (rest == half && odd);
            let nearest = if up { below + one } else { below };
            rounded(nearest, false).with_sign(negative)
        }
        Op::Sqrt | Op::Rsqrt | Op::Log | Op::Log2 | Op::Log10 if negative => Nan,
        Op::Log | Op::Log2 | Op::Log10 if *a == one => Zero(false),
        Op::Log1p if *a < -one.clone() => Nan,
        Op::Log1p if *a == -one.clone() => Infinite(true),
        Op::Asin | Op::Acos | Op::Atanh if size > one => Nan,
        Op::Acos if *a == one => Zero(false),
        Op::Acos if *a == -one.clone() => Finite(Big::pi()),
        Op::Atanh if size == one => Infinite(negative),
        Op::Acosh if *a < one => Nan,
        Op::Acosh if *a == one => Zero(false),
        Op::Exp | Op::Exp2 | Op::Exp10 if beyond => held(false, !negative),
        Op::Expm1 if beyond && negative => Finite(-one),
        Op::Expm1 | Op::Cosh if beyond => held(false, true),
        Op::Sinh if beyond => held(negative, true),
        Op::Sigmoid if beyond && negative => held(false, false),
        Op::Sigmoid if beyond => Finite(one),
        Op::Erfc | Op::Normcdf
            if size > Big::from_f64(100.0) && negative == (op == Op::Normcdf) =>
        {
            held(false, false)
        }
        Op::Erf | Op::Erfc | Op::Normcdf if size > Big::from_f64(100.0) => {
            let limit = if op == Op::Erfc { Big::from_f64(2.0) } else { one };
            Finite(if op == Op::Erf && negative { -limit } else { limit })
        }
        // 1 - 2 e^(-2 |a|) / (1 + e^(-2 |a|)); beyond 100 it is 1 to 288 bits.
        Op::Tanh if size > Big::from_f64(100.0) => Finite(if negative { -one } else { one }),
        Op::Tanhshrink if size > Big::from_f64(100.0) => {
            Real::of_big(if negative { a.clone() + one } else { a.clone() - one })
        }
        Op::Sin | Op::Cos | Op::Tan if a.exponent() > PERIODIC => Unknown,
        _ => Real::of_big(apply_big(op, big)),
    }
}

/// A whole number; a zero has the sign of what was rounded.
fn rounded(value: Big, negative: bool) -> Real {
    if value.is_zero() { Zero(negative) } else { Finite(value) }
}

trait ShiftedCopy {
    fn shifted_copy(&self, exponent: i32) -> Big;
}

impl ShiftedCopy for Big {
    fn shifted_copy(&self, exponent: i32) -> Big {
        self.clone().shifted(exponent)
    }
}

/// The scalars of each input at element `index` of an output of this shape.
pub(crate) fn point(inputs: &[Elements], shape: &[usize], index: usize) -> Vec<Scalar> {
    inputs.iter().map(|input| input.value(input.index_in(shape, index))).collect()
}
