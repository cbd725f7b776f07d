//! An expression of DataFusion as the text of a kernel, and the arguments of that.

use super::compare::compare;
use super::cost::{Cost, passes};
use super::understand::{Expression, Meaning, understand};
use crate::function::{KernelFunction, one_line};
use crate::types::dtype_of;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::{Column, Literal};
use kiln::ir::{Fault, Input, NodeId, Op, Scalar};
use kiln::{DType, Graph, Mode};

/// A kernel in place of an expression.
pub(super) struct Translated {
    pub(super) function: KernelFunction,
    /// What it is computed of.
    pub(super) leaves: Vec<Expression>,
}

/// What a kernel of an expression costs, and the expression without one.
pub(super) fn cost(expression: &Expression, schema: &Schema) -> Option<Cost> {
    let mut translation = Translation::new(schema, false);
    translation.value(expression, true).ok()?;
    Some(translation.cost)
}

/// The kernel of the conjunction of `terms`; of one, of that. None where nothing of it is arithmetic.
pub(super) fn translate(terms: &[Expression], schema: &Schema, mode: Mode) -> Option<Translated> {
    // Names of columns are for people; where a kernel cannot have one of them, it has none.
    [true, false].into_iter().find_map(|named| {
        let mut translation = Translation::new(schema, named);
        translation.conjunction(terms).ok()?.finish(mode)
    })
}

struct Translation<'a> {
    graph: Graph,
    schema: &'a Schema,
    named: bool,
    leaves: Vec<Expression>,
    cost: Cost,
}

impl<'a> Translation<'a> {
    fn new(schema: &'a Schema, named: bool) -> Translation<'a> {
        let graph = Graph::new("fused");
        Translation { graph, schema, named, leaves: Vec::new(), cost: Cost::default() }
    }

    /// All of them at once: a filter drops a row where one is null as where one is false.
    fn conjunction(&mut self, terms: &[Expression]) -> Result<&mut Self, Fault> {
        let mut all = None;
        for term in terms {
            let term = self.value(term, all.is_none())?;
            all = Some(match all {
                None => term,
                Some(all) => self.graph.op(Op::And, &[all, term])?,
            });
        }
        if let Some(all) = all {
            self.graph.output(all);
        }
        Ok(self)
    }

    /// The value of an expression; `always` unless DataFusion computes it for some rows only.
    fn value(&mut self, expression: &Expression, always: bool) -> Result<NodeId, Fault> {
        if let Some(constant) = expression.downcast_ref::<Literal>().and_then(literal) {
            return self.graph.constant(constant.0, constant.1);
        }
        let Some((meaning, operands)) = understand(expression, self.schema) else {
            return self.leaf(expression, always);
        };
        // What decides is computed first.
        let decides = meaning == Meaning::Case || is_logical(meaning, operands[0], self.schema);
        let operands: Vec<NodeId> = operands
            .into_iter()
            .enumerate()
            .map(|(index, operand)| self.value(operand, always && (index == 0 || !decides)))
            .collect::<Result<_, _>>()?;
        self.cost.add(passes(meaning, self.graph.dtype(operands[0])), always);
        match meaning {
            Meaning::Op(op) => self.graph.op(op, &operands),
            Meaning::TotalOrder(operator) => {
                match compare(&mut self.graph, operator, operands[0], operands[1])? {
                    Some(result) => Ok(result),
                    None => self.leaf(expression, always),
                }
            }
            Meaning::Case => {
                let (last, pairs) = operands.split_last().expect("a choice has a last value");
                let choose =
                    |rest, pair: &[NodeId]| self.graph.op(Op::Select, &[pair[0], pair[1], rest]);
                pairs.chunks_exact(2).rev().try_fold(*last, choose)
            }
        }
    }

    /// An input. A column is one however often it is read; of others, each may be another value.
    fn leaf(&mut self, expression: &Expression, always: bool) -> Result<NodeId, Fault> {
        let column = expression.downcast_ref::<Column>();
        let same = |leaf: &Expression| column.is_some() && leaf.downcast_ref::<Column>() == column;
        if let Some(index) = self.leaves.iter().position(same) {
            return Ok(self.graph.input_node(index));
        }
        let number = self.leaves.len();
        let taken = |name: &str| self.graph.inputs().iter().any(|input| input.name == name);
        let name = match column {
            Some(column) if self.named && is_plain(column.name()) && !taken(column.name()) => {
                column.name().to_owned()
            }
            _ => format!("v{number}"),
        };
        let dtype = expression.data_type(self.schema).ok().as_ref().and_then(dtype_of);
        let dtype = dtype.expect("operands of what is understood have types of ours");
        self.cost.read(column.map(Column::index), dtype, always);
        self.leaves.push(expression.clone());
        self.graph.input(Input { name, dtype, dims: None })
    }

    fn finish(&mut self, mode: Mode) -> Option<Translated> {
        if self.cost.is_nothing() || self.leaves.is_empty() {
            return None;
        }
        let text = self.graph.to_string();
        let body = text.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'))?.0;
        let name = format!("kiln[{}]", one_line(body));
        let function = KernelFunction::with_mode(name, text, mode).ok()?;
        Some(Translated { function, leaves: std::mem::take(&mut self.leaves) })
    }
}

fn is_plain(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// A number of a query; a NaN is an argument, for its sign counts.
fn literal(literal: &Literal) -> Option<(DType, Scalar)> {
    let float = |value: f64| (!value.is_nan()).then_some(Scalar::Float(value));
    Some(match *literal.value() {
        ScalarValue::UInt8(Some(value)) => (DType::U8, Scalar::Integer(value.into())),
        ScalarValue::Int32(Some(value)) => (DType::I32, Scalar::Integer(value.into())),
        ScalarValue::Int64(Some(value)) => (DType::I64, Scalar::Integer(value)),
        ScalarValue::Float32(Some(value)) => (DType::F32, float(value.into())?),
        ScalarValue::Float64(Some(value)) => (DType::F64, float(value)?),
        ScalarValue::Boolean(Some(value)) => (DType::Bool, Scalar::Float(value.into())),
        _ => return None,
    })
}

/// Whether it is `AND` or `OR` of bools.
fn is_logical(meaning: Meaning, operand: &Expression, schema: &Schema) -> bool {
    matches!(meaning, Meaning::Op(Op::And | Op::Or))
        && operand.data_type(schema).is_ok_and(|of| of == DataType::Boolean)
}
