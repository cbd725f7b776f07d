//! Which types ops and calls take, and which they return.

use crate::dtype::DType;

/// How the result type follows from the operand types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// Floats of one type give that type.
    Float,
    /// Floats or integers of one type give that type.
    Number,
    /// Integers of one type give that type.
    Integer,
    /// Floats or integers of one type, one or two, give `bool`.
    Compare,
    /// Bools give `bool`; integers of one type give that type.
    Logic,
    /// A bool and two operands of one type give that type.
    Select,
    /// Anything gives this type.
    Cast(DType),
    /// Bools give `bool`.
    Truth,
    /// Floats or integers of one type give `i64`.
    Index,
    /// Anything of one type gives that type.
    Same,
    /// Anything, and integers that count in it, give its type.
    Pick,
    /// Integers that count in anything give their type.
    Count,
    /// Anything gives `i64`.
    Place,
    /// Two floats, of which each that is no `f64` is computed with as an `f32`, as it is or widened, give
    /// that type.
    Product,
}

impl Typing {
    /// The result type for operands of these types, of the right number; `None` where they do not
    /// fit.
    pub fn result_type(self, operands: &[DType]) -> Option<DType> {
        let same = operands.windows(2).all(|pair| pair[0] == pair[1]);
        let (first, integer) = (operands[0], operands[0].is_integer());
        let number = integer || first.is_arithmetic();
        match self {
            Typing::Float => (same && first.is_arithmetic()).then_some(first),
            Typing::Number => (same && number).then_some(first),
            Typing::Integer => (same && integer).then_some(first),
            Typing::Compare => (same && number).then_some(DType::Bool),
            Typing::Logic => (same && (integer || first == DType::Bool)).then_some(first),
            Typing::Select => {
                (operands[0] == DType::Bool && operands[1] == operands[2]).then_some(operands[1])
            }
            Typing::Cast(to) => Some(to),
            Typing::Truth => (same && first == DType::Bool).then_some(first),
            Typing::Index => (same && number).then_some(DType::I64),
            Typing::Same => same.then_some(first),
            Typing::Pick => matches!(operands[1], DType::I32 | DType::I64).then_some(first),
            Typing::Count => matches!(first, DType::I32 | DType::I64).then_some(first),
            Typing::Place => Some(DType::I64),
            Typing::Product => {
                let widened = |dtype: &DType| dtype.is_float().then(|| (*dtype).max(DType::F32));
                let (left, right) = (widened(&operands[0])?, widened(&operands[1])?);
                (left == right).then_some(left)
            }
        }
    }

    /// What to say where operands have these types, which do not fit.
    pub(crate) fn hint(self, operands: &[DType]) -> &'static str {
        let has = |is: fn(DType) -> bool| operands.iter().any(|&dtype| is(dtype));
        match self {
            Typing::Number | Typing::Compare | Typing::Index | Typing::Select
                if has(DType::is_integer) && has(DType::is_float) =>
            {
                "integers and floats do not mix; convert one of them, as in f32(x) or i32(x)"
            }
            Typing::Logic => {
                "it takes bools, or integers of one type; make bools by a comparison or by bool(x)"
            }
            Typing::Integer => "it takes integers of one type; convert with i32(x) or i64(x)",
            Typing::Select => "it takes a bool, then two operands of one type",
            Typing::Truth => "it takes bools; make them by a comparison or by bool(x)",
            Typing::Number | Typing::Compare | Typing::Index => {
                "it takes numbers of one type; convert with f32(x) or i32(x)"
            }
            Typing::Same => "it takes operands of one type; convert with f32(x) or i32(x)",
            Typing::Pick | Typing::Count => "places are counted in i32 or i64; convert with i64(x)",
            Typing::Float | Typing::Product | Typing::Cast(_) | Typing::Place => {
                "it takes floats of one type; convert with f32(x) or f64(x)"
            }
        }
    }
}
