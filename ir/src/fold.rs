//! Constant folding: ops on numbers alone are computed while a graph is built.
//!
//! Integers are computed exactly, all else in `f64`. A quotient is a float.

use crate::dtype::DType;
use crate::error::Fault;
use crate::note::Note;
use crate::number::{Number, Scalar};
use crate::ops::Op;
use crate::typing::Typing;

/// The result.
pub(crate) enum Folded {
    /// A number, and a note about it.
    Number(Number, Option<Note>),
    Truth(bool),
}

/// An op on numbers; `None` if it must wait for a type. It is an error if finite numbers give infinity
/// where the op has no pole, and there is a note if numbers other than 0 underflow to 0.
pub(crate) fn fold(op: Op, numbers: &[Number]) -> Result<Option<Folded>, Fault> {
    let typing = op.info().typing;
    let integers: Option<Vec<i64>> = numbers.iter().map(|number| number.integer()).collect();
    let values: Vec<f64> = numbers.iter().map(|number| number.value()).collect();
    let exact = |number: Number| Ok(Some(Folded::Number(number, None)));
    match (typing, integers) {
        (Typing::Cast(_) | Typing::Select, _) => Ok(None),
        (Typing::Compare, Some(integers)) => {
            let integers: Vec<Scalar> = integers.into_iter().map(Scalar::Integer).collect();
            Ok(Some(Folded::Truth(op.eval_scalars(DType::I64, &integers).is_true())))
        }
        (Typing::Compare, None) => Ok(Some(Folded::Truth(op.eval(DType::F64, &values) != 0.0))),
        _ if op == Op::Neg => exact(-numbers[0]),
        (Typing::Number | Typing::Integer | Typing::Logic, Some(integers))
            if op != Op::Div && !may_leave_i64(op, &integers) =>
        {
            match op.eval_integers(DType::I64, &integers) {
                Some(integer) => exact(Number::from(integer)),
                None => Ok(None),
            }
        }
        _ if let Some(integer) = wide(op, numbers) => exact(Number::from(integer)),
        (Typing::Float | Typing::Number, _) => {
            let value = op.eval(DType::F64, &values);
            let note = check(op, numbers, value)?;
            let is_float = typing == Typing::Float
                || op == Op::Div
                || numbers.iter().any(|number| number.is_float());
            let number = if is_float { Number::Float(value) } else { Number::inexact(value) };
            Ok(Some(Folded::Number(number, note)))
        }
        (
            Typing::Integer
            | Typing::Logic
            | Typing::Truth
            | Typing::Index
            | Typing::Same
            | Typing::Pick
            | Typing::Count
            | Typing::Place
            | Typing::Product,
            _,
        ) => Ok(None),
    }
}

/// An integer power.
pub(crate) fn power(base: Number, exponent: i64) -> Result<(Number, Option<Note>), Fault> {
    let exact = base.exact().zip(u32::try_from(exponent).ok());
    if let Some(value) = exact.and_then(|(base, exponent)| base.checked_pow(exponent)) {
        return Ok((Number::from(value), None));
    }
    let value = Op::Pow.eval(DType::F64, &[base.value(), exponent as f64]);
    let note = check(Op::Pow, &[base, Number::from(exponent)], value)?;
    let is_float = base.is_float() || exponent < 0;
    Ok((if is_float { Number::Float(value) } else { Number::inexact(value) }, note))
}

/// Checks that a result is neither an overflow, which is an error, nor an underflow, which is noted.
fn check(op: Op, numbers: &[Number], value: f64) -> Result<Option<Note>, Fault> {
    let operands = || numbers.iter().map(|number| number.to_string()).collect::<Vec<_>>();
    let parts: Vec<f64> = numbers.iter().map(|number| number.value()).collect();
    if !parts.iter().all(|part| part.is_finite()) {
        return Ok(None);
    }
    if value.is_infinite() && !has_pole(op, &parts) {
        return Err(Fault::Overflow { op: op.name(), operands: operands() });
    }
    let vanishes = value == 0.0 && has_no_root(op, &parts);
    Ok(vanishes.then(|| {
        let s = if numbers.len() == 1 { "" } else { "s" };
        let numbers = operands().join(" and ");
        Note::new(format!("{} of the number{s} {numbers} is 0 in f64", op.name()), "write 0")
    }))
}

/// Whether an op on integers may give a result that `i64` does not hold.
fn may_leave_i64(op: Op, integers: &[i64]) -> bool {
    match (op, integers) {
        (Op::Add | Op::Sub | Op::Mul | Op::Abs, _) => true,
        (Op::FloorDiv, &[a, b]) => (a, b) == (i64::MIN, -1),
        (Op::Shl, &[a, by]) => !(0..64).contains(&by) || (a << by) >> by != a,
        (Op::Shr, &[_, by]) => !(0..64).contains(&by),
        _ => false,
    }
}

/// The exact result of an op on integers that leaves `i64`, if `i128` has it.
fn wide(op: Op, numbers: &[Number]) -> Option<i128> {
    let exact: Vec<i128> = numbers.iter().map(|number| number.exact()).collect::<Option<_>>()?;
    match (op, &exact[..]) {
        (Op::Add, &[a, b]) => a.checked_add(b),
        (Op::Sub, &[a, b]) => a.checked_sub(b),
        (Op::Mul, &[a, b]) => a.checked_mul(b),
        (Op::Abs, &[a]) => a.checked_abs(),
        _ => None,
    }
}

/// Whether an op is infinite at these finite numbers because it has a pole there.
fn has_pole(op: Op, at: &[f64]) -> bool {
    match op {
        Op::Div | Op::FloorDiv => at[1] == 0.0,
        Op::Recip | Op::Rsqrt | Op::Log | Op::Log2 | Op::Log10 | Op::Pow => at[0] == 0.0,
        Op::Log1p => at[0] == -1.0,
        Op::Atanh => at[0].abs() == 1.0,
        _ => false,
    }
}

/// Whether an op gives 0 at these finite numbers only because it underflows.
fn has_no_root(op: Op, at: &[f64]) -> bool {
    match op {
        Op::Mul => at[0] != 0.0 && at[1] != 0.0,
        Op::Div | Op::Pow => at[0] != 0.0,
        Op::Exp | Op::Exp2 | Op::Exp10 | Op::Erfc | Op::Normcdf | Op::Sigmoid => true,
        _ => false,
    }
}
