//! From expressions to a graph: typing of numbers, promotion, hash-consing.

use crate::declaration::parse_declaration;
use crate::dtype::DType;
use crate::error::{Fault, GraphError};
use crate::expr::{Expr, Kind};
use crate::graph::{Graph, Input, MAX_OUTPUTS, NodeId};
use crate::number::Number;
use crate::ops::{Op, Typing};
use crate::shape::Dim;
use std::collections::HashMap;
use std::sync::Arc;

/// The type of a number that meets nothing but other numbers and bools.
const DEFAULT_FLOAT: DType = DType::F32;

/// Builds the graph of a kernel with these outputs.
///
/// Inputs are numbered in order of first appearance. Arithmetic among numbers alone is done in
/// `f64` and rounded once, where the number meets an array. Fails with the first fault found,
/// with the line it was written on.
pub fn build(name: &str, outputs: &[Expr]) -> Result<Graph, GraphError> {
    build_with_inputs(name, &[], outputs)
}

/// Builds a graph whose first inputs are given, in this order, used or not.
///
/// A name in `inputs` gives its type to every bare use of that name. Nodes are in the order of
/// [`Graph::normalized`].
pub fn build_with_inputs(
    name: &str,
    inputs: &[Input],
    outputs: &[Expr],
) -> Result<Graph, GraphError> {
    let _env = kiln_fenv::hold_default();
    let mut builder = GraphBuilder { graph: Graph::new(name), built: HashMap::new() };
    for input in inputs {
        builder.graph.input(input.clone()).map_err(|fault| fault.at(None))?;
    }
    if outputs.is_empty() {
        return Err(Fault::NoOutputs.at(None));
    }
    if outputs.len() > MAX_OUTPUTS {
        return Err(Fault::TooManyOutputs { limit: MAX_OUTPUTS }.at(None));
    }
    for expr in outputs {
        let value = builder.visit(expr)?;
        let id =
            builder.materialize(value, DEFAULT_FLOAT).map_err(|f| f.at(Some(expr.origin())))?;
        builder.graph.output(id);
    }
    Ok(builder.graph.normalized())
}

/// What an expression came to.
#[derive(Clone, Copy)]
enum Built {
    /// A number that has no type yet.
    Number(Number),
    Node(NodeId),
}

struct GraphBuilder {
    graph: Graph,
    built: HashMap<usize, Built>,
}

impl GraphBuilder {
    /// Builds `root` and all it reads, without recursion: chains may be long.
    fn visit(&mut self, root: &Expr) -> Result<Built, GraphError> {
        let mut stack = vec![(root, false)];
        while let Some((expr, operands_done)) = stack.pop() {
            if self.built.contains_key(&expr.address()) {
                continue;
            }
            let operands = expr.kind().operands();
            if operands_done || operands.is_empty() {
                let built = self.combine(expr).map_err(|error| error.or_at(expr.origin()))?;
                self.built.insert(expr.address(), built);
            } else {
                stack.push((expr, true));
                stack.extend(operands.into_iter().rev().map(|operand| (operand, false)));
            }
        }
        Ok(self.built[&root.address()])
    }

    fn combine(&mut self, expr: &Expr) -> Result<Built, GraphError> {
        let operands = expr.kind().operands();
        let operands: Vec<Built> = operands.iter().map(|e| self.built[&e.address()]).collect();
        if let Kind::Fused { parameters, body, .. } = expr.kind() {
            return self.fused(parameters, &operands, body);
        }
        self.node(expr.kind(), &operands).map_err(|fault| fault.at(None))
    }

    fn node(&mut self, kind: &Kind, operands: &[Built]) -> Result<Built, Fault> {
        match kind {
            Kind::Input(declaration) => self.input(declaration).map(Built::Node),
            Kind::Number(value) => Ok(Built::Number(*value)),
            Kind::Typed(dtype, value) => self.graph.constant(*dtype, *value).map(Built::Node),
            Kind::Op(op, _) => self.op(*op, operands),
            Kind::Matmul(..) => {
                let dtype = self.common_number(operands);
                let nodes = self.promoted(operands, dtype)?;
                self.graph.matmul(nodes[0], nodes[1]).map(Built::Node)
            }
            Kind::Fused { .. } => unreachable!("combined above, where it keeps its body's origin"),
            Kind::Item(_, index) => match operands[0] {
                Built::Node(of) => self.graph.item(of, *index).map(Built::Node),
                Built::Number(_) => Err(Fault::NoOutputs),
            },
        }
    }

    fn input(&mut self, declaration: &str) -> Result<NodeId, Fault> {
        let known = self.graph.inputs().iter().find(|input| input.name == declaration.trim());
        let input = match known {
            Some(input) => input.clone(),
            None => parse_declaration(declaration)?,
        };
        self.graph.input(input)
    }

    fn op(&mut self, op: Op, operands: &[Built]) -> Result<Built, Fault> {
        if operands.len() != op.arity() {
            let (expected, found) = (op.arity(), operands.len());
            return Err(Fault::Arity { op: op.name().into(), expected, found });
        }
        let typing = op.info().typing;
        let numbers: Option<Vec<Number>> = operands
            .iter()
            .map(|built| match built {
                Built::Number(value) => Some(*value),
                Built::Node(_) => None,
            })
            .collect();
        if let (Some(&[number]), Op::Neg) = (numbers.as_deref(), op) {
            return Ok(Built::Number(-number));
        }
        // Among numbers alone: computed now, in f64, as a programming language would.
        if let (Some(values), Typing::Float | Typing::Number) = (&numbers, typing) {
            let values: Vec<f64> = values.iter().map(|number| number.value).collect();
            return Ok(Built::Number(op.eval(DType::F64, &values).into()));
        }
        if let (Some(values), Typing::Cast(to)) = (&numbers, typing) {
            return self.graph.constant(to, values[0].cast(to)).map(Built::Node);
        }
        let (mask, values) = operands.split_at(usize::from(typing == Typing::Select));
        let mut nodes = Vec::with_capacity(operands.len());
        for &operand in mask {
            nodes.push(self.materialize(operand, DType::Bool)?);
        }
        let common = self.common_type(values);
        let dtype = match typing {
            Typing::Float | Typing::Number | Typing::Compare => self.common_number(values),
            Typing::Logic if !common.is_integer() => DType::Bool,
            Typing::Integer | Typing::Logic | Typing::Select | Typing::Cast(_) => common,
        };
        let promotes = match typing {
            Typing::Cast(_) => false,
            Typing::Logic => dtype.is_integer(),
            Typing::Select => true,
            // Bools alone do no arithmetic: the graph tells the user so.
            _ => common != DType::Bool,
        };
        nodes.extend(match promotes {
            true => self.promoted(values, dtype)?,
            false => self.materialized(values, dtype)?,
        });
        self.graph.op(op, &nodes).map(Built::Node)
    }

    fn fused(
        &mut self,
        parameters: &[String],
        args: &[Built],
        body: &[Expr],
    ) -> Result<Built, GraphError> {
        let mut nodes = Vec::new();
        let mut inputs = Vec::new();
        for (name, &arg) in parameters.iter().zip(args) {
            let node = self.materialize(arg, DEFAULT_FLOAT)?;
            let dims = self.graph.shape(node).dims().map(<[Dim]>::to_vec);
            inputs.push(Input { name: name.clone(), dtype: self.graph.dtype(node), dims });
            nodes.push(node);
        }
        let body = build_with_inputs("body", &inputs, body)?;
        Ok(Built::Node(self.graph.fused(Arc::new(body), nodes)?))
    }

    /// The type that operands of arithmetic promote to.
    fn common_number(&self, operands: &[Built]) -> DType {
        let common = self.common_type(operands);
        if common.is_arithmetic() || common.is_integer() { common } else { DEFAULT_FLOAT }
    }

    /// The highest type among operands. A number takes an integer type that it meets, and counts
    /// as a float of the lowest type else.
    fn common_type(&self, operands: &[Built]) -> DType {
        let dtype = |built: &Built| match built {
            Built::Number(_) => None,
            Built::Node(id) => Some(self.graph.dtype(*id)),
        };
        let highest = operands.iter().filter_map(dtype).max();
        match highest {
            Some(dtype) if dtype.is_integer() => dtype,
            _ if operands.iter().any(|built| dtype(built).is_none()) => {
                highest.map_or(DEFAULT_FLOAT, |dtype| dtype.max(DEFAULT_FLOAT))
            }
            _ => highest.unwrap_or(DEFAULT_FLOAT),
        }
    }

    fn materialize(&mut self, built: Built, dtype: DType) -> Result<NodeId, Fault> {
        match built {
            Built::Node(id) => Ok(id),
            Built::Number(number) => {
                let misfit = || Fault::Number { value: number.value.to_string(), dtype };
                self.graph.constant(dtype, number.of(dtype).ok_or_else(misfit)?)
            }
        }
    }

    fn materialized(&mut self, operands: &[Built], dtype: DType) -> Result<Vec<NodeId>, Fault> {
        operands.iter().map(|&operand| self.materialize(operand, dtype)).collect()
    }

    /// Operands as nodes of type `dtype`. An integer never becomes a float by itself: where they
    /// meet, both stay what they are, and the graph tells the user so.
    fn promoted(&mut self, operands: &[Built], dtype: DType) -> Result<Vec<NodeId>, Fault> {
        let mut nodes = self.materialized(operands, dtype)?;
        let has_integer = nodes.iter().any(|&id| self.graph.dtype(id).is_integer());
        if dtype.is_integer() || !has_integer {
            for id in &mut nodes {
                *id = self.convert(*id, dtype)?;
            }
        }
        Ok(nodes)
    }

    fn convert(&mut self, id: NodeId, dtype: DType) -> Result<NodeId, Fault> {
        if self.graph.dtype(id) == dtype {
            return Ok(id);
        }
        match self.graph.scalar(id) {
            Some(value) => self.graph.constant(dtype, value),
            None => self.graph.op(Op::cast_to(dtype), &[id]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::build;
    use crate::dtype::DType;
    use crate::expr::Expr;
    use crate::graph::Node;
    use crate::ops::Op;

    #[test]
    fn what_is_written_twice_exists_once() {
        let x = Expr::input("x");
        let graph = build("k", &[x.exp() * x.exp()]).unwrap();
        assert_eq!(graph.op_count(), 2);
    }

    #[test]
    fn numbers_take_the_type_they_meet() {
        let x = Expr::input("x: f64");
        let third = Expr::number(1.0) / 3.0;
        let graph = build("k", &[&x * third]).unwrap();
        let constant = graph.iter().find_map(|(id, _)| graph.constant_value(id)).unwrap();
        assert_eq!(constant, 1.0 / 3.0);
        let graph = build("k", &[Expr::input("x") * 0.1]).unwrap();
        let constant = graph.iter().find_map(|(id, _)| graph.constant_value(id)).unwrap();
        assert_eq!(constant, f64::from(0.1f32));
    }

    #[test]
    fn minus_zero_is_not_zero() {
        let x = Expr::input("x");
        let graph = build("k", &[(&x + 0.0) * (&x + -0.0)]).unwrap();
        assert_eq!(graph.op_count(), 3);
    }

    #[test]
    fn mixed_floats_promote() {
        let graph = build("k", &[Expr::input("x: f32") + Expr::input("y: f64")]).unwrap();
        let output = graph.outputs()[0];
        assert_eq!(graph.dtype(output), DType::F64);
        assert!(graph.nodes().iter().any(|n| matches!(n, Node::Op(Op::ToF64, _))));
    }

    #[test]
    fn faults_name_the_line() {
        let sum = Expr::input("x: f32[n, 3]") + Expr::input("y: f32[4]");
        let error = build("k", &[sum]).unwrap_err().to_string();
        assert!(error.contains("add: shapes [n, 3] and [4]"), "{error}");
        assert!(error.contains("build.rs:"), "{error}");
        let logic = Expr::input("x").lt(1.0) + Expr::input("y").lt(1.0);
        let error = build("k", &[logic]).unwrap_err().to_string();
        assert!(error.contains("add: operands are bool and bool"), "{error}");
    }

    #[test]
    fn long_chains_neither_build_nor_drop_recursively() {
        let mut x = Expr::input("x");
        for _ in 0..100_000 {
            x = x + 1.0;
        }
        assert!(build("k", &[x]).unwrap_err().to_string().contains("20000 nodes"));
    }

    #[test]
    fn shared_graphs_are_printed_node_by_node() {
        let shared = (0..100).fold(Expr::input("x"), |x, _| &x * &x);
        assert_eq!(format!("{shared:?}"), r#"Expr("mul", ..)"#);
        assert_eq!(format!("{:?}", Expr::input("x: f64")), r#"Expr("x: f64", ..)"#);
    }
}
