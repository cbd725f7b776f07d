//! Checks what every stage takes for granted of a graph.

use crate::body::{Body, foreign};
use crate::declaration::{RESERVED, is_name};
use crate::dtype::DType;
use crate::graph::{Graph, Node, NodeId};
use crate::number::Scalar;
use crate::shape::{Open, Shape, check_rank};
use std::collections::HashSet;

/// Checks the invariants of a graph. The error says which node breaks which.
///
/// Graphs made through the methods of [`Graph`] keep most of them by construction. It runs between
/// stages in tests and debug builds: a failure is a mistake of the compiler, not of its user.
///
/// - Inputs have distinct names that text can write; a node comes after those that it reads, and
///   no node exists twice.
/// - Types are those of the op table, shapes those of broadcasting, constants values of their type.
/// - The body of a fused kernel has elementwise ops, reductions and at most one matrix product of its
///   inputs, which have the types and shapes of the arguments.
/// - A fused kernel is read through items only, and items exist.
pub fn verify(graph: &Graph) -> Result<(), String> {
    let _env = kiln_fenv::hold_default();
    let types = inputs(graph)?;
    nodes(graph, &types)
}

/// Checks everything but the declarations of inputs, which give inputs these types and shapes.
fn nodes(graph: &Graph, inputs: &[(DType, Shape)]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (id, node) in graph.iter() {
        let fail = |reason: String| Err(format!("node {} ({node:?}): {reason}", id.index()));
        if let Some(late) = node.operands().iter().find(|operand| **operand >= id) {
            return fail(format!("reads node {}, which does not come before it", late.index()));
        }
        if !matches!(node, Node::Item { .. })
            && let Some(kernel) = node.operands().iter().find(|&&id| is_kernel(graph, id))
        {
            return fail(format!("reads kernel {} without an item", kernel.index()));
        }
        if !seen.insert((node, graph.dtype(id))) {
            return fail("exists twice".into());
        }
        if let Err(reason) = one(graph, inputs, id, node) {
            return fail(reason);
        }
    }
    if graph.outputs().is_empty() {
        return Err("the graph has no output".into());
    }
    for output in graph.outputs() {
        if output.index() >= graph.nodes().len() {
            return Err(format!("output {} is no node", output.index()));
        }
        if is_kernel(graph, *output) {
            return Err(format!("output {} is a kernel without an item", output.index()));
        }
    }
    Ok(())
}

/// Checks the declarations of inputs; the types and shapes that they say.
fn inputs(graph: &Graph) -> Result<Vec<(DType, Shape)>, String> {
    let mut names = HashSet::new();
    let mut types = Vec::new();
    for (input, index) in graph.inputs().iter().zip(0..) {
        if !is_name(&input.name) || RESERVED.contains(&&*input.name) {
            return Err(format!("input {:?}: text cannot write this name", input.name));
        }
        if !names.insert(&input.name) {
            return Err(format!("input {}: the name exists twice", input.name));
        }
        let rank = input.dims.as_ref().map_or(0, Vec::len);
        check_rank(rank).map_err(|reason| format!("input {}: {reason}", input.name))?;
        let open = || Shape::open(Open::Input(index));
        types.push((input.dtype, input.dims.clone().map_or_else(open, Shape::new)));
    }
    Ok(types)
}

fn is_kernel(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id), Node::Fused { .. })
}

/// Checks the type and shape of one node, whose operands are checked.
fn one(graph: &Graph, inputs: &[(DType, Shape)], id: NodeId, node: &Node) -> Result<(), String> {
    let (dtype, shape) = match node {
        Node::Input(index) => inputs.get(*index as usize).ok_or("there is no such input")?.clone(),
        Node::Const(bits) => {
            let dtype = graph.dtype(id);
            let value = Scalar::from_bits(dtype, *bits);
            if value.cast(dtype).bits() != *bits {
                return Err(format!("{value:?} is no value of {dtype}"));
            }
            (dtype, Shape::scalar())
        }
        Node::Op(op, args) => {
            let dtypes: Vec<_> = args.iter().map(|&id| graph.dtype(id)).collect();
            let dtype = op.result_type(&dtypes);
            (dtype.ok_or(format!("operands are {dtypes:?}"))?, broadcast(graph, args)?)
        }
        Node::Call(call, args) => {
            if !call.arity().contains(&args.len()) {
                return Err(format!("has {} operands", args.len()));
            }
            let dtypes: Vec<_> = args.iter().map(|&id| graph.dtype(id)).collect();
            let dtype = call.info().typing.result_type(&dtypes);
            let shapes: Vec<&Shape> = args.iter().map(|&id| graph.shape(id)).collect();
            let shape = graph.calls.known(*call, &shapes);
            let shape = shape.map_err(|fault| fault.to_string())?;
            let shape = shape.ok_or("no call on such shapes was ever made")?;
            (dtype.ok_or(format!("operands are {dtypes:?}"))?, shape)
        }
        Node::Fused { body, args } => {
            fused(graph, body, args)?;
            (body.dtype(body.outputs()[0]), broadcast(body, &body.domain())?)
        }
        Node::Item { of, index } => {
            let Node::Fused { body, .. } = graph.node(*of) else {
                return Err("is an item of no kernel".into());
            };
            let output = body.outputs().get(*index as usize).ok_or("there is no such item")?;
            (body.dtype(*output), body.shape(*output).clone())
        }
    };
    if graph.dtype(id) != dtype || *graph.shape(id) != shape {
        let (found, found_shape) = (graph.dtype(id), graph.shape(id));
        return Err(format!("is {found}{found_shape}, but should be {dtype}{shape}"));
    }
    Ok(())
}

fn fused(graph: &Graph, body: &Body, args: &[NodeId]) -> Result<(), String> {
    if let Some(what) = foreign(body) {
        return Err(format!("its body has {what}, which is no part of one"));
    }
    let is_label = |name: &str| name.is_empty() || is_name(name) && !RESERVED.contains(&name);
    if let Some(input) = body.inputs().iter().find(|input| !is_label(&input.name)) {
        return Err(format!("parameter {:?}: text cannot write this name", input.name));
    }
    let types = |&arg: &NodeId| (graph.dtype(arg), graph.shape(arg).clone());
    let types: Vec<(DType, Shape)> = args.iter().map(types).collect();
    nodes(body, &types).map_err(|reason| format!("its body: {reason}"))?;
    if body.inputs().len() != types.len() {
        return Err(format!("has {} arguments, its body {}", types.len(), body.inputs().len()));
    }
    Ok(())
}

fn broadcast(graph: &Graph, operands: &[NodeId]) -> Result<Shape, String> {
    let mut common = Shape::scalar();
    for &operand in operands {
        let shape = graph.shape(operand);
        common = common
            .broadcast(shape)
            .map_err(|_| format!("shapes {common} and {shape} do not broadcast"))?;
    }
    Ok(common)
}

#[cfg(test)]
mod tests {
    use super::verify;
    use crate::body::Body;
    use crate::call::Call;
    use crate::dtype::DType;
    use crate::graph::{Args, Graph, Node, NodeId};
    use crate::ops::Op;
    use crate::shape::{Dim, Open, Shape};
    use crate::text::parse;
    use std::sync::Arc;

    const TEXT: &str = "kernel f(x: f32[n, k], w: f32[k, d]) {
        let (a, b) = fused(h = x @ w, two = 2) { (exp(h) * two, h > 1) };
        (a, b, select(b, a, 3))
    }";

    #[test]
    fn built_graphs_pass() {
        for text in [TEXT, "x + y", "fused(x) { x * 2 }", "1", "(a @ b) + f64(c)"] {
            let graph = parse(text).unwrap();
            assert_eq!(verify(&graph), Ok(()), "{graph}");
        }
    }

    /// The first node that `is` holds for.
    fn find(graph: &Graph, is: impl Fn(&Node) -> bool) -> NodeId {
        graph.iter().find(|(_, node)| is(node)).map(|(id, _)| id).expect("there is one")
    }

    /// What is said of `TEXT` after `corrupt`.
    #[track_caller]
    fn fails(reason: &str, corrupt: impl Fn(&mut Graph)) {
        let mut graph = parse(TEXT).unwrap();
        corrupt(&mut graph);
        let error = verify(&graph).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

    fn set(graph: &mut Graph, id: NodeId, node: Node) {
        graph.parts_mut().1[id.index()] = node;
    }

    #[test]
    fn corrupt_graphs_fail() {
        let fused = |graph: &Graph| find(graph, |node| matches!(node, Node::Fused { .. }));
        let item = |graph: &Graph| find(graph, |node| matches!(node, Node::Item { .. }));
        let select = |graph: &Graph| find(graph, |node| matches!(node, Node::Op(..)));
        let with_body = |graph: &mut Graph, body: Graph| {
            let id = fused(graph);
            let args = graph.node(id).operands().into();
            set(graph, id, Node::Fused { body: Arc::new(Body(body)), args });
        };
        fails("the name exists twice", |g| g.parts_mut().0[1].name = "x".into());
        fails("cannot write this name", |g| g.parts_mut().0[1].name = "two words".into());
        fails("cannot write this name", |g| g.parts_mut().0[1].name = "let".into());
        fails("over 64 axes", |g| g.parts_mut().0[1].dims = Some(vec![Dim::Size(1); 65]));
        fails("does not come before it", |g| {
            let id = select(g);
            set(g, id, Node::Op(Op::Exp, Args::new(&[id])));
        });
        fails("exists twice", |g| {
            let (id, node) = (item(g), Node::Input(0));
            set(g, id, node);
        });
        fails("no such input", |g| set(g, NodeId::new(0), Node::Input(7)));
        fails("should be f32[n, k]", |g| g.parts_mut().2[0].0 = DType::F64);
        fails("should be f32[n, k]", |g| g.parts_mut().2[0].1 = Shape::open(Open::Input(0)));
        fails("should be f32[n, d]", |g| {
            let id = select(g);
            g.parts_mut().2[id.index()].1 = Shape::scalar();
        });
        fails("is no value of f32", |g| {
            let id = find(g, |node| matches!(node, Node::Const(_)));
            set(g, id, Node::Const(0.1f64.to_bits()));
        });
        fails("operands are [Bool]", |g| {
            let id = select(g);
            let mask = g.node(id).operands()[0];
            set(g, id, Node::Op(Op::Exp, Args::new(&[mask])));
        });
        fails("do not fit", |g| {
            let id = find(g, |node| matches!(node, Node::Call(..)));
            set(g, id, Node::Call(Call::Matmul, [NodeId::new(0); 2].into()));
        });
        fails("do not broadcast", |g| {
            let id = select(g);
            let (mask, x) = (g.node(id).operands()[0], NodeId::new(0));
            set(g, id, Node::Op(Op::Select, Args::new(&[mask, x, x])));
        });
        fails("without an item", |g| {
            let (id, kernel) = (select(g), fused(g));
            set(g, id, Node::Op(Op::Exp, Args::new(&[kernel])));
        });
        fails("without an item", |g| {
            let kernel = fused(g);
            g.parts_mut().3.push(kernel);
        });
        fails("no such item", |g| {
            let (id, of) = (item(g), fused(g));
            set(g, id, Node::Item { of, index: 2 });
        });
        fails("item of no kernel", |g| {
            let id = item(g);
            set(g, id, Node::Item { of: NodeId::new(0), index: 0 });
        });
        fails("no such item", |g| {
            with_body(g, parse("kernel f(h: f32[n, d], two: f32[]) { h * two }").unwrap());
        });
        fails("its body: node 0 (Input(0)): is f32[d, n], but should be f32[n, d]", |g| {
            with_body(g, parse("kernel f(h: f32[d, n], two: f32[]) { (h * two, h > 1) }").unwrap());
        });
        fails("its body: node 1 (Input(1)): is f64[], but should be f32[]", |g| {
            with_body(g, parse("kernel f(h: f32[n, d], two: f64[]) { (h, h > two) }").unwrap());
        });
        fails("has 2 arguments, its body 1", |g| {
            with_body(g, parse("kernel f(h: f32[n, d]) { (h * 2, h > 2) }").unwrap());
        });
        fails("parameter \"two words\": text cannot write this name", |g| {
            let mut body =
                parse("kernel f(h: f32[n, d], two: f32[]) { (h * two, h > 1) }").unwrap();
            body.parts_mut().0[1].name = "two words".into();
            with_body(g, body);
        });
        fails("which is no part of one", |g| {
            with_body(g, parse("kernel f(h, two) { (exp(h) @ two, h) }").unwrap());
        });
        fails("its body: the graph has no output", |g| with_body(g, Graph::new("empty")));
        fails("no output", |g| g.parts_mut().3.clear());
        fails("is no node", |g| g.parts_mut().3.push(NodeId::new(99)));
    }
}
