//! From expressions to a graph: typing of numbers, promotion, hash-consing.

mod argument;
mod promote;

use crate::call::{Call, Reduction};
use crate::declaration::parse_declaration;
use crate::dtype::DType;
use crate::error::{Fault, GraphError};
use crate::expr::{Expr, Kind};
use crate::fold::{Folded, fold, power};
use crate::graph::{Graph, Input, MAX_OUTPUTS, NodeId};
use crate::note::Note;
use crate::number::Number;
use crate::ops::Op;
use crate::typing::Typing;
use promote::{is_count, numbers_only};
use std::collections::HashMap;

/// The type of a number that meets only other numbers, and of a float that meets bools.
const DEFAULT_FLOAT: DType = DType::F32;

/// The type of bools in arithmetic.
const COUNT: DType = DType::I32;

/// Builds the graph of a kernel with these outputs.
///
/// Inputs are numbered in order of first appearance. Arithmetic among numbers alone is done in
/// `f64`, among integers in `i64`, and rounded once, where the number meets an array; a quotient of
/// numbers is a float. Fails with the first fault found, with the line it was written on.
pub fn build(name: &str, outputs: &[Expr]) -> Result<Graph, GraphError> {
    build_with_inputs(name, &[], outputs).map(Graph::with_found_inputs)
}

/// Builds the graph of a kernel with these parameters, each an [`Expr::input`], and these outputs.
///
/// The graph's inputs are the parameters, in this order, used or not. An input that is not among
/// them is a fault.
pub fn build_function(
    name: &str,
    parameters: &[Expr],
    outputs: &[Expr],
) -> Result<Graph, GraphError> {
    let declared = parameters.iter().map(|parameter| {
        let Kind::Input(declaration) = parameter.kind() else {
            let reason = "a parameter is an input, not computed".into();
            return Err(Fault::Declaration { text: format!("{parameter:?}"), reason })
                .map_err(|fault| fault.at(Some(parameter.origin())));
        };
        parse_declaration(declaration).map_err(|fault| fault.at(Some(parameter.origin())))
    });
    let inputs: Vec<Input> = declared.collect::<Result<_, _>>()?;
    let graph = build_with_inputs(name, &inputs, outputs)?;
    match graph.inputs().get(inputs.len()) {
        Some(other) => Err(Fault::NoParameter { name: other.name.clone() }.at(None)),
        None => Ok(graph),
    }
}

/// Builds a graph whose first inputs are given, in this order, used or not.
///
/// A name in `inputs` gives its type to every bare use of that name. Nodes are in the order of
/// [`Graph::normalized`].
pub(crate) fn build_with_inputs(
    name: &str,
    inputs: &[Input],
    outputs: &[Expr],
) -> Result<Graph, GraphError> {
    let mut graph = Graph::new(name);
    for input in inputs {
        graph.input(input.clone()).map_err(|fault| fault.at(None))?;
    }
    build_in(graph, outputs)
}

/// Builds a graph from one that has inputs only, used or not.
fn build_in(graph: Graph, outputs: &[Expr]) -> Result<Graph, GraphError> {
    let _env = kiln_fenv::hold_default();
    let mut builder = GraphBuilder { graph, built: HashMap::new(), choices: Vec::new() };
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
        builder.graph.place_notes(expr.origin());
        builder.graph.output(id);
    }
    Ok(builder.graph.normalized())
}

/// What an expression came to.
#[derive(Clone, Copy)]
enum Built {
    /// A number that has no type yet.
    Number(Number),
    /// Computed from bools and integer literals alone: an `i32` that takes the type of what it meets.
    Count(NodeId),
    /// One of two numbers, by index: it has no type yet either.
    Choice(usize),
    Node(NodeId),
}

impl Built {
    fn number(&self) -> Option<Number> {
        match self {
            Built::Number(number) => Some(*number),
            Built::Count(_) | Built::Choice(_) | Built::Node(_) => None,
        }
    }
}

/// A mask, and a number where it is true and where not.
#[derive(Clone, Copy)]
struct Choice {
    mask: NodeId,
    numbers: [Number; 2],
}

struct GraphBuilder {
    graph: Graph,
    built: HashMap<usize, Built>,
    choices: Vec<Choice>,
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
                let first = self.graph.nodes().len();
                let built = self.combine(expr).map_err(|error| error.or_at(expr.written()))?;
                self.graph.place_nodes(first, Some(expr.written()));
                self.graph.place_notes(expr.origin());
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
        if let Kind::Fused(fused) = expr.kind() {
            return self.fused(&fused.parameters, &operands, &fused.body);
        }
        self.node(expr.kind(), &operands).map_err(|fault| fault.at(None))
    }

    fn node(&mut self, kind: &Kind, operands: &[Built]) -> Result<Built, Fault> {
        match kind {
            Kind::Input(declaration) => self.input(declaration).map(Built::Node),
            Kind::Number(value) => Ok(Built::Number(*value)),
            Kind::Typed(dtype, value) => self.graph.constant(*dtype, *value).map(Built::Node),
            Kind::Op(op, _) => self.op(*op, operands),
            Kind::Power(_, exponent) => self.power(operands[0], *exponent),
            Kind::Logical(op, _) => self.logical(*op, operands),
            Kind::Call(Call::Reduce(reduce), _) => {
                let operand = self.reduced(reduce.by, operands[0])?;
                self.graph.call(Call::Reduce(*reduce), &[operand]).map(Built::Node)
            }
            Kind::Call(call @ Call::Scan(_), _) => {
                let operand = self.reduced(Reduction::Sum, operands[0])?;
                self.graph.call(*call, &[operand]).map(Built::Node)
            }
            Kind::Call(call @ (Call::Concat(_) | Call::Pad(_)), _) => {
                let nodes = self.alike(operands)?;
                self.graph.call(*call, &nodes).map(Built::Node)
            }
            Kind::Call(call @ Call::Gather(_), _) => {
                let array = self.materialize(operands[0], DEFAULT_FLOAT)?;
                let places = self.materialize(operands[1], DType::I64)?;
                self.graph.call(*call, &[array, places]).map(Built::Node)
            }
            Kind::Call(call @ Call::Within(_), _) => {
                let places = self.materialize(operands[0], DType::I64)?;
                let nodes = self.materialized(&operands[1..], DEFAULT_FLOAT)?;
                self.graph.call(*call, &[&[places], &nodes[..]].concat()).map(Built::Node)
            }
            Kind::Call(call @ (Call::View(_) | Call::Iota(_)), _) => {
                let nodes = self.materialized(operands, DEFAULT_FLOAT)?;
                self.graph.call(*call, &nodes).map(Built::Node)
            }
            Kind::Call(call, _) => {
                let nodes = self.factors(operands)?;
                self.graph.call(*call, &nodes).map(Built::Node)
            }
            Kind::Argument(_, function, index) => self.argument(function, *index, operands[0]),
            Kind::Wrong(fault) => Err((**fault).clone()),
            Kind::Fused(_) => unreachable!("combined above, where it keeps its body's origin"),
            Kind::Item(_, index) => match operands[0] {
                Built::Node(of) => self.graph.item(of, *index).map(Built::Node),
                _ => unreachable!("items are of fused kernels, which are nodes"),
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
            let (arity, found) = (op.arity(), operands.len());
            return Err(Fault::Arity { op: op.name().into(), expected: arity..=arity, found });
        }
        let typing = op.info().typing;
        let numbers: Option<Vec<Number>> = operands.iter().map(Built::number).collect();
        if let Some(numbers) = numbers
            && let Some(folded) = self.fold(op, &numbers)?
        {
            return Ok(folded);
        }
        if let (Op::Pow, Some(exponent)) = (op, operands[1..].first().and_then(Built::number))
            && let Some(exponent) = exponent.integer()
            && (self.is_integer(operands[0]) || is_count(operands[0]))
        {
            return self.power(operands[0], exponent);
        }
        let (mask, values) = operands.split_at(usize::from(typing == Typing::Select));
        let mut nodes = Vec::with_capacity(operands.len());
        for &operand in mask {
            nodes.push(self.materialize(operand, DType::Bool)?);
        }
        if let (Typing::Select, [Built::Number(a), Built::Number(b)]) = (typing, values)
            && self.graph.dtype(nodes[0]) == DType::Bool
        {
            self.choices.push(Choice { mask: nodes[0], numbers: [*a, *b] });
            return Ok(Built::Choice(self.choices.len() - 1));
        }
        let is_bool = |built: &Built| match built {
            Built::Node(id) => self.graph.dtype(*id) == DType::Bool,
            _ => false,
        };
        let keeps_bools = values.iter().any(is_bool)
            && values.iter().all(|built| is_bool(built) || built.number().is_some());
        let dtype = match typing {
            Typing::Cast(_) => self.common_type(values),
            Typing::Float => self.common_float(values),
            Typing::Logic if keeps_bools || numbers_only(values) => DType::Bool,
            // A choice computes nothing, so halves stay halves and bools stay bools.
            Typing::Select if values.iter().all(|built| matches!(built, Built::Node(_))) => {
                let dtypes = values.iter().filter_map(|built| match built {
                    Built::Node(id) => Some(self.graph.dtype(*id)),
                    _ => None,
                });
                dtypes.reduce(DType::promote).unwrap_or(DEFAULT_FLOAT)
            }
            _ => self.common_type(values),
        };
        let promotes = match typing {
            Typing::Cast(_) => false,
            Typing::Logic => dtype.is_integer(),
            // Bools alone are not promoted: the graph refuses them with a message.
            Typing::Float => !values.iter().all(is_bool),
            _ => true,
        };
        nodes.extend(match promotes {
            true => self.promoted(values, dtype)?,
            false => self.materialized(values, dtype)?,
        });
        let is_count =
            matches!(typing, Typing::Number | Typing::Integer | Typing::Logic | Typing::Select)
                && dtype == COUNT
                && !numbers_only(values)
                && !values.iter().any(|&built| self.is_integer(built));
        let node = self.graph.op(op, &nodes)?;
        Ok(if is_count { Built::Count(node) } else { Built::Node(node) })
    }

    /// An op on numbers alone, computed now; `None` where it must wait for a type.
    fn fold(&mut self, op: Op, numbers: &[Number]) -> Result<Option<Built>, Fault> {
        if let Typing::Cast(to) = op.info().typing {
            // The graph rounds floats, and reports those that become infinite or 0.
            let scalar = numbers[0].scalar();
            let value = if to.is_float() { scalar } else { scalar.cast(to) };
            return self.graph.constant(to, value).map(|id| Some(Built::Node(id)));
        }
        Ok(match fold(op, numbers)? {
            Some(Folded::Number(number, note)) => Some(self.folded(number, note)),
            Some(Folded::Truth(truth)) => {
                Some(Built::Node(self.graph.constant(DType::Bool, f64::from(truth))?))
            }
            None => None,
        })
    }

    fn folded(&mut self, number: Number, note: Option<Note>) -> Built {
        note.into_iter().for_each(|note| self.graph.note(note));
        Built::Number(number)
    }

    /// An integer power: a few products, or for other exponents of a float the op `pow`.
    fn power(&mut self, base: Built, exponent: i64) -> Result<Built, Fault> {
        if let Some(number) = base.number() {
            let (number, note) = power(number, exponent)?;
            return Ok(self.folded(number, note));
        }
        let node = self.promoted(&[base], self.common_type(&[base]))?[0];
        let (dtype, is_count) = (self.graph.dtype(node), !self.is_integer(base));
        if !dtype.is_integer() {
            return match exponent {
                1 => Ok(base),
                2..=8 => self.product(node, exponent).map(Built::Node),
                -1 => self.op(Op::Recip, &[base]),
                _ => self.op(Op::Pow, &[base, Built::Number(Number::from(exponent))]),
            };
        }
        let power = match exponent {
            ..0 => {
                let hint = "integers have no negative powers; convert with f32(x)";
                return Err(Fault::Types { op: "pow", operands: vec![dtype], hint });
            }
            // 1, in the shape of the base.
            0 => {
                let (zero, one) =
                    (self.graph.constant(dtype, 0i64)?, self.graph.constant(dtype, 1i64)?);
                let zeros = self.graph.op(Op::Mul, &[node, zero])?;
                self.graph.op(Op::Add, &[zeros, one])?
            }
            _ => self.product(node, exponent)?,
        };
        Ok(if is_count { Built::Count(power) } else { Built::Node(power) })
    }

    /// A power by repeated squaring, the highest square first.
    fn product(&mut self, base: NodeId, exponent: i64) -> Result<NodeId, Fault> {
        let mut squares = vec![base];
        for _ in 0..exponent.ilog2() {
            let last = squares[squares.len() - 1];
            squares.push(self.graph.op(Op::Mul, &[last, last])?);
        }
        let needed = (0..squares.len()).rev().filter(|bit| exponent >> bit & 1 == 1);
        let mut factors = needed.map(|bit| squares[bit]);
        let first = factors.next().expect("the exponent is not 0");
        factors.try_fold(first, |product, factor| self.graph.op(Op::Mul, &[product, factor]))
    }

    /// Logic on truth values, numbers being "not zero".
    fn logical(&mut self, op: Op, operands: &[Built]) -> Result<Built, Fault> {
        let truths = operands.iter().map(|&operand| match operand {
            Built::Number(number) => {
                self.graph.constant(DType::Bool, f64::from(number.value() != 0.0))
            }
            operand => match self.materialize(operand, DEFAULT_FLOAT)? {
                id if self.graph.dtype(id) == DType::Bool => Ok(id),
                id => self.graph.op(Op::ToBool, &[id]),
            },
        });
        let truths: Vec<NodeId> = truths.collect::<Result<_, _>>()?;
        self.graph.op(op, &truths).map(Built::Node)
    }

    /// What a reduction is made of: of truth values where it asks for them; sums, products and counts
    /// of bools and short integers are `i64`.
    fn reduced(&mut self, by: Reduction, operand: Built) -> Result<NodeId, Fault> {
        let node = match by.info().typing {
            Typing::Truth => {
                let node = self.materialize(operand, DEFAULT_FLOAT)?;
                return match self.graph.dtype(node) {
                    DType::Bool => Ok(node),
                    _ => self.graph.op(Op::ToBool, &[node]),
                };
            }
            _ => self.promoted(&[operand], self.common_type(&[operand]))?[0],
        };
        let widens = matches!(by, Reduction::Sum | Reduction::Prod | Reduction::Count);
        match self.graph.dtype(node) {
            DType::U8 | DType::I32 if widens => self.graph.op(Op::ToI64, &[node]),
            _ => Ok(node),
        }
    }

    fn fused(
        &mut self,
        parameters: &[String],
        args: &[Built],
        body: &[Expr],
    ) -> Result<Built, GraphError> {
        let mut nodes = Vec::new();
        let mut inner = Graph::new("body");
        for (name, &arg) in parameters.iter().zip(args) {
            let node = self.materialize(arg, DEFAULT_FLOAT)?;
            inner.parameter(name, self.graph.dtype(node), self.graph.shape(node).clone())?;
            nodes.push(node);
        }
        let body = build_in(inner, body)?;
        body.notes().iter().for_each(|note| self.graph.note(note.clone()));
        Ok(Built::Node(self.graph.fused(body, nodes)?))
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

    /// Neither half holds the other: a choice and a concatenation of both are `f32`, as their sum is.
    #[test]
    fn halves_of_both_kinds_promote_to_f32() {
        let text = "|c: bool[n], x: f16[n], y: bf16[n]| \
                    (select(c, x, y), concat[0](y, x), x + y, select(c, x, x), concat[0](y, y))";
        let graph = crate::parse(text).unwrap();
        let dtypes: Vec<DType> = graph.outputs().iter().map(|&id| graph.dtype(id)).collect();
        let (f16, bf16, f32) = (DType::F16, DType::BF16, DType::F32);
        assert_eq!(dtypes, [f32, f32, f32, f16, bf16]);
    }

    #[test]
    fn faults_name_the_line() {
        let sum = Expr::input("x: f32[n, 3]") + Expr::input("y: f32[4]");
        let error = build("k", &[sum]).unwrap_err().to_string();
        assert!(error.contains("add: shapes [n, 3] and [4]"), "{error}");
        assert!(error.contains("mod.rs:"), "{error}");
        let logic = Expr::input("x").lt(1.0).exp();
        let error = build("k", &[logic]).unwrap_err().to_string();
        assert!(error.contains("exp: operands are bool"), "{error}");
    }

    #[test]
    fn long_chains_neither_build_nor_drop_recursively() {
        let mut x = Expr::input("x");
        for _ in 0..100_000 {
            x += 1.0;
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
