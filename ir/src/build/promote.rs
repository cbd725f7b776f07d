//! Which types operands promote to, and what numbers become when they meet one.

use super::{Built, COUNT, Choice, DEFAULT_FLOAT, GraphBuilder};
use crate::dtype::DType;
use crate::error::Fault;
use crate::graph::{Graph, Node, NodeId};
use crate::number::Number;
use crate::ops::Op;

impl GraphBuilder {
    /// Whether its type is settled, and an integer type.
    pub(super) fn is_integer(&self, built: Built) -> bool {
        matches!(built, Built::Node(id) if self.graph.dtype(id).is_integer())
    }

    /// The type that operands of a float op promote to. If that is not a float type, the graph refuses
    /// it with a message.
    pub(super) fn common_float(&self, operands: &[Built]) -> DType {
        match self.common_type(operands) {
            // A number is not meant as a bool here.
            COUNT if !operands.iter().any(|&built| is_count(built) || self.is_integer(built)) => {
                DEFAULT_FLOAT
            }
            dtype => dtype,
        }
    }

    /// Whether it is a float that has no type yet.
    fn is_float_number(&self, built: Built) -> bool {
        match built {
            Built::Number(number) => number.is_float(),
            Built::Choice(index) => self.choices[index].numbers.iter().any(|n| n.is_float()),
            Built::Count(_) | Built::Node(_) => false,
        }
    }

    /// The type that operands of arithmetic promote to: the highest among them, halves being
    /// computed with as the default. A number takes what it meets; bools, and what was counted from
    /// them, are integers where they meet no floats.
    pub(super) fn common_type(&self, operands: &[Built]) -> DType {
        let dtype = |built: &Built| match built {
            Built::Number(_) | Built::Choice(_) => None,
            Built::Count(_) => Some(DType::Bool),
            Built::Node(id) => Some(self.graph.dtype(*id)),
        };
        let counts = operands.iter().any(|&built| is_count(built));
        match operands.iter().filter_map(dtype).reduce(DType::promote) {
            None => DEFAULT_FLOAT,
            Some(dtype) if dtype.is_float() => dtype.max(DEFAULT_FLOAT),
            Some(dtype) if dtype.is_integer() => {
                if counts {
                    dtype.max(COUNT)
                } else {
                    dtype
                }
            }
            Some(_) => match operands.iter().any(|&built| self.is_float_number(built)) {
                true => DEFAULT_FLOAT,
                false => COUNT,
            },
        }
    }

    pub(super) fn materialize(&mut self, built: Built, dtype: DType) -> Result<NodeId, Fault> {
        match built {
            Built::Node(id) | Built::Count(id) => Ok(id),
            Built::Number(number) => self.number(number, dtype),
            Built::Choice(index) => {
                let Choice { mask, numbers } = self.choices[index];
                let (a, b) = (self.number(numbers[0], dtype)?, self.number(numbers[1], dtype)?);
                self.graph.op(Op::Select, &[mask, a, b])
            }
        }
    }

    fn number(&mut self, number: Number, dtype: DType) -> Result<NodeId, Fault> {
        let misfit = || Fault::Number { value: number.to_string(), dtype };
        self.graph.constant(dtype, number.of(dtype).ok_or_else(misfit)?)
    }

    /// Operands of one type, which stays what it is where they have it: halves are not made wider, nor
    /// bools numbers.
    pub(super) fn alike(&mut self, operands: &[Built]) -> Result<Vec<NodeId>, Fault> {
        let dtypes = operands.iter().filter_map(|built| match built {
            Built::Node(id) => Some(self.graph.dtype(*id)),
            _ => None,
        });
        match dtypes.reduce(DType::promote) {
            Some(dtype) if !operands.iter().any(|&built| is_count(built)) => {
                let nodes = self.materialized(operands, dtype)?;
                let wider = |&id: &NodeId| self.graph.dtype(id).is_float() == dtype.is_float();
                match nodes.iter().all(wider) {
                    true => nodes.into_iter().map(|id| self.convert(id, dtype)).collect(),
                    false => Ok(nodes),
                }
            }
            _ => self.promoted(operands, self.common_type(operands)),
        }
    }

    pub(super) fn materialized(
        &mut self,
        operands: &[Built],
        dtype: DType,
    ) -> Result<Vec<NodeId>, Fault> {
        operands.iter().map(|&operand| self.materialize(operand, dtype)).collect()
    }

    /// Operands as nodes of type `dtype`. An integer never becomes a float by itself, unless it was
    /// counted from bools: where the two meet, all stay as they are, and the graph refuses them with a
    /// message.
    pub(super) fn promoted(
        &mut self,
        operands: &[Built],
        dtype: DType,
    ) -> Result<Vec<NodeId>, Fault> {
        let mut nodes = self.materialized(operands, dtype)?;
        let has_integer = operands.iter().any(|&built| self.is_integer(built));
        if !dtype.is_float() || !has_integer {
            for id in &mut nodes {
                *id = self.convert(*id, dtype)?;
            }
        }
        Ok(nodes)
    }

    /// Operands of a product, which reads halves as they are: none is made an `f32` for it, nor stays one
    /// that was made so.
    pub(super) fn factors(&mut self, operands: &[Built]) -> Result<Vec<NodeId>, Fault> {
        let dtype = self.common_float(operands);
        let nodes = self.materialized(operands, dtype)?;
        if dtype != DType::F32 {
            return self.promoted(operands, dtype);
        }
        let has_integer = operands.iter().any(|&built| self.is_integer(built));
        let is_half = |graph: &Graph, id| matches!(graph.dtype(id), DType::F16 | DType::BF16);
        let factor = |id: NodeId| match *self.graph.node(id) {
            Node::Op(Op::ToF32, ref args) if is_half(&self.graph, args[0]) => Ok(args[0]),
            _ if has_integer || is_half(&self.graph, id) => Ok(id),
            _ => self.convert(id, dtype),
        };
        nodes.into_iter().map(factor).collect()
    }

    fn convert(&mut self, id: NodeId, dtype: DType) -> Result<NodeId, Fault> {
        if self.graph.dtype(id) == dtype {
            return Ok(id);
        }
        match self.graph.scalar(id) {
            Some(value) => self.graph.constant(dtype, value.cast(dtype)),
            None => self.graph.op(Op::cast_to(dtype), &[id]),
        }
    }
}

pub(super) fn is_count(built: Built) -> bool {
    matches!(built, Built::Count(_))
}

pub(super) fn numbers_only(operands: &[Built]) -> bool {
    operands.iter().all(|built| built.number().is_some())
}
