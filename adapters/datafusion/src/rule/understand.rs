//! Which expressions of DataFusion an op of Kiln means, exactly.

use crate::types::dtype_of;
use datafusion::arrow::datatypes::Schema;
use datafusion::functions::math;
use datafusion::logical_expr::{Operator, ScalarUDF};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NegativeExpr,
    NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use kiln::DType;
use kiln::ir::Op;
use std::sync::{Arc, LazyLock};

pub(super) type Expression = Arc<dyn PhysicalExpr>;

/// What an expression does to its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// An op of Kiln, that has one meaning.
    Op(Op),
    /// A comparison of floats, in Arrow's total order.
    TotalOrder(Operator),
    /// Conditions and values in turn, and what is left.
    Case,
}

/// What an expression means, and its operands, if a kernel can compute it with the same results, nulls and
/// (no) errors whatever the operands are.
pub(super) fn understand<'a>(
    expression: &'a Expression,
    schema: &Schema,
) -> Option<(Meaning, Vec<&'a Expression>)> {
    let dtype = |operand: &Expression| operand.data_type(schema).ok().as_ref().and_then(dtype_of);
    if let Some(binary) = expression.downcast_ref::<BinaryExpr>() {
        let operands = vec![binary.left(), binary.right()];
        let of = dtype(operands[0]).filter(|&of| dtype(operands[1]) == Some(of))?;
        let meaning = match of {
            DType::Bool => logical(*binary.op(), &operands, schema)?,
            of if of.is_float() => of_floats(*binary.op(), &operands, schema)?,
            _ => of_integers(binary)?,
        };
        return Some((meaning, operands));
    }
    if let Some(negative) = expression.downcast_ref::<NegativeExpr>() {
        // Of a number alone DataFusion checks it, of a column it wraps.
        let of = dtype(negative.arg())?;
        let fits = of.is_float() || of != DType::U8 && !is_constant(negative.arg());
        return fits.then(|| (Meaning::Op(Op::Neg), vec![negative.arg()]));
    }
    if let Some(not) = expression.downcast_ref::<NotExpr>() {
        return (dtype(not.arg())? == DType::Bool).then(|| (Meaning::Op(Op::Not), vec![not.arg()]));
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        let (from, to) = (dtype(cast.expr())?, dtype_of(cast.cast_type())?);
        let is_wider = match (from, to) {
            (DType::U8, DType::I32 | DType::I64) | (DType::I32, DType::I64) => true,
            (from, to) if from.is_integer() => to.is_float(),
            (from, to) => (from, to) == (DType::F32, DType::F64),
        };
        return is_wider.then(|| (Meaning::Op(Op::cast_to(to)), vec![cast.expr()]));
    }
    if let Some(case) = expression.downcast_ref::<CaseExpr>() {
        return of_case(case, schema, dtype);
    }
    if let Some(call) = expression.downcast_ref::<ScalarFunctionExpr>() {
        let op = FUNCTIONS.iter().find(|(function, _)| **function == *call.fun())?.1;
        let operands: Vec<&Expression> = call.args().iter().collect();
        let of = dtype(operands.first()?)?;
        let fits = of.is_float() && operands.iter().all(|operand| dtype(operand) == Some(of));
        return fits.then_some((Meaning::Op(op), operands));
    }
    None
}

/// The functions that compute the same as an op, up to its stated error, and refuse nothing. Not those
/// that Rust computes by formulas of its own: its `acosh` is infinite for large numbers.
static FUNCTIONS: LazyLock<Vec<(Arc<ScalarUDF>, Op)>> = LazyLock::new(|| {
    vec![
        (math::abs(), Op::Abs),
        (math::acos(), Op::Acos),
        (math::asin(), Op::Asin),
        (math::atan(), Op::Atan),
        (math::atan2(), Op::Atan2),
        (math::cbrt(), Op::Cbrt),
        (math::ceil(), Op::Ceil),
        (math::cos(), Op::Cos),
        (math::cosh(), Op::Cosh),
        (math::exp(), Op::Exp),
        (math::floor(), Op::Floor),
        (math::isnan(), Op::IsNan),
        (math::ln(), Op::Log),
        (math::log10(), Op::Log10),
        (math::log2(), Op::Log2),
        (math::sin(), Op::Sin),
        (math::sinh(), Op::Sinh),
        (math::tan(), Op::Tan),
        (math::tanh(), Op::Tanh),
    ]
});

/// `NULL AND false` is false, so a null operand may leave a result: where that matters, no operand may be
/// null. The right operand is computed for some rows only, so both must be safe for all.
fn logical(operator: Operator, operands: &[&Expression], schema: &Schema) -> Option<Meaning> {
    let op = match operator {
        Operator::And => Op::And,
        Operator::Or => Op::Or,
        _ => return None,
    };
    let safe = |operand: &&Expression| {
        operand.nullable(schema).is_ok_and(|null| !null) && is_certain(operand, schema)
    };
    operands.iter().all(safe).then_some(Meaning::Op(op))
}

fn of_floats(operator: Operator, operands: &[&Expression], schema: &Schema) -> Option<Meaning> {
    Some(Meaning::Op(match operator {
        Operator::Plus => Op::Add,
        Operator::Minus => Op::Sub,
        Operator::Multiply => Op::Mul,
        Operator::Divide => Op::Div,
        Operator::Modulo => Op::Rem,
        // Two NaNs that come as they are, are compared by their payloads, which no op sees.
        _ if operands.iter().all(|operand| comes_as_it_is(operand, schema)) => return None,
        operator => {
            comparison(operator)?;
            return Some(Meaning::TotalOrder(operator));
        }
    }))
}

/// Whether it is computed of literals alone, as a single value then.
fn is_constant(expression: &Expression) -> bool {
    let children = expression.children();
    match children.is_empty() {
        true => expression.downcast_ref::<Literal>().is_some(),
        false => children.into_iter().all(is_constant),
    }
}

/// A column, or what a kernel takes as one.
fn comes_as_it_is(expression: &Expression, schema: &Schema) -> bool {
    expression.downcast_ref::<Literal>().is_none() && understand(expression, schema).is_none()
}

fn of_integers(binary: &BinaryExpr) -> Option<Meaning> {
    let wraps = || {
        let (left, right) = (binary.left().clone(), binary.right().clone());
        *binary == BinaryExpr::new(left, *binary.op(), right)
    };
    let op = match binary.op() {
        Operator::Plus => Op::Add,
        Operator::Minus => Op::Sub,
        Operator::Multiply => Op::Mul,
        Operator::BitwiseAnd => Op::And,
        Operator::BitwiseOr => Op::Or,
        Operator::BitwiseXor => Op::Xor,
        operator => comparison(*operator)?,
    };
    wraps().then_some(Meaning::Op(op))
}

pub(super) fn comparison(operator: Operator) -> Option<Op> {
    Some(match operator {
        Operator::Lt => Op::Lt,
        Operator::LtEq => Op::Le,
        Operator::Gt => Op::Gt,
        Operator::GtEq => Op::Ge,
        Operator::Eq => Op::Eq,
        Operator::NotEq => Op::Ne,
        _ => return None,
    })
}

/// A choice, of which a kernel computes all values: they must be safe to compute, and never null.
fn of_case<'a>(
    case: &'a CaseExpr,
    schema: &Schema,
    dtype: impl Fn(&Expression) -> Option<DType>,
) -> Option<(Meaning, Vec<&'a Expression>)> {
    let last = case.else_expr().filter(|_| case.expr().is_none())?;
    let of = dtype(last)?;
    let mut operands = Vec::new();
    for (condition, value) in case.when_then_expr() {
        if dtype(condition)? != DType::Bool || dtype(value)? != of {
            return None;
        }
        operands.extend([condition, value]);
    }
    operands.push(last);
    let safe = |operand: &&Expression| {
        operand.nullable(schema).is_ok_and(|null| !null) && is_certain(operand, schema)
    };
    operands.iter().all(safe).then_some((Meaning::Case, operands))
}

/// Whether it can be computed for any row without an error. (Ops that look at this of their operands are known by
/// their kind alone, or each level of a nest would double the work.)
pub(super) fn is_certain(expression: &Expression, schema: &Schema) -> bool {
    if expression.downcast_ref::<Column>().is_some()
        || expression.downcast_ref::<Literal>().is_some()
    {
        return true;
    }
    let tests_null = expression.downcast_ref::<IsNullExpr>().is_some()
        || expression.downcast_ref::<IsNotNullExpr>().is_some();
    let compares = expression.downcast_ref::<BinaryExpr>().is_some_and(|binary| {
        matches!(binary.op(), Operator::And | Operator::Or) || comparison(*binary.op()).is_some()
    });
    let chooses = expression.downcast_ref::<CaseExpr>().is_some();
    let known = || understand(expression, schema).is_some();
    (tests_null || compares || chooses || known())
        && expression.children().into_iter().all(|child| is_certain(child, schema))
}
