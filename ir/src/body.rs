//! Fused kernels: their bodies, what they are called with, and their outputs.

use crate::call::{Call, Reduce};
use crate::error::Fault;
use crate::graph::{Graph, Node, NodeId};
use crate::shape::{Dims, Extent, Misfit, Shape, broadcast};
use smallvec::SmallVec;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// What a fused kernel computes: elementwise ops on its parameters, reductions of them, and at most one
/// matrix product, whose operands are parameters. A second one may follow, of what is computed of the first, or of
/// parameters where there is none, by a parameter. Then outputs are elementwise ops on that and on parameters.
///
/// Parameters go by position: input `i` of the body is bound to argument `i`. It has that argument's
/// type and shape as they are in the graph around, so what a shape says in a body, it says there. Its
/// name is a label, which may be empty: [`Graph::parameter_names`] gives the one that text shows.
///
/// Equal bodies compute the same of the same arguments. So labels do not count, nor do shapes.
#[derive(Clone, Debug)]
pub struct Body(pub(crate) Graph);

impl Deref for Body {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.0
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        self.inputs().len() == other.inputs().len() && self.has_nodes_of(other)
    }
}

impl Eq for Body {}

impl Hash for Body {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.nodes(), self.outputs()).hash(state);
    }
}

impl Body {
    /// The shape of each node for arguments of these shapes. Fails where operands do not fit.
    pub fn shapes<E: Extent>(&self, args: &[&[E]]) -> Result<Vec<Dims<E>>, BodyMisfit<E>> {
        let mut shapes: Vec<Dims<E>> = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            let ids: &[NodeId] = match node {
                Node::Op(_, args) => args,
                Node::Call(_, args) | Node::Fused { args, .. } => args,
                Node::Item { of, .. } => std::slice::from_ref(of),
                Node::Input(_) | Node::Const(_) => &[],
            };
            let operands: SmallVec<[&[E]; 3]> =
                ids.iter().map(|id| &shapes[id.index()][..]).collect();
            let shape = match node {
                Node::Input(index) => args[*index as usize].iter().cloned().collect(),
                Node::Call(call, _) => call.infer(&operands).map_err(|reason| {
                    let operands = operands.iter().map(|operand| operand.to_vec()).collect();
                    BodyMisfit::Call { call: *call, operands, reason }
                })?,
                _ => common(&operands).map_err(|_| BodyMisfit::Broadcast)?,
            };
            drop(operands);
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// The product of parameters in it, if it has one, and those.
    pub fn product(&self) -> Option<(NodeId, [usize; 2])> {
        let (product, operands) = product(self)?;
        let position = |id: NodeId| match self.node(id) {
            Node::Input(index) => *index as usize,
            _ => unreachable!("a product in a body is of parameters"),
        };
        Some((product, operands.map(position)))
    }

    /// The product of what is computed, of the first one or of parameters, if there is one: what its left operand
    /// is, and the parameter that is its right one.
    pub fn second_product(&self) -> Option<(NodeId, NodeId, usize)> {
        let (id, [left, right]) = second_product(self)?;
        match self.node(right) {
            Node::Input(index) => Some((id, left, *index as usize)),
            _ => unreachable!("the right operand of a product in a body is a parameter"),
        }
    }

    /// The values whose shapes broadcast to what it loops over: its first product, and its parameters but
    /// for those that nothing else reads than a product, or what follows the second one.
    pub fn domain(&self) -> Vec<NodeId> {
        domain(self)
    }

    /// The same of what follows its second product, if it has one: that product, and the parameters that are
    /// read there.
    pub fn second_domain(&self) -> Vec<NodeId> {
        let Some((second, _)) = second_product(self) else { return Vec::new() };
        let read = below(self, self.outputs(), Some(second));
        std::iter::once(second).chain(parameters(self).filter(|id| read.contains(id))).collect()
    }

    /// These values and what they are computed of; but what `end` is computed of only where something else is,
    /// too.
    pub fn below(&self, values: &[NodeId], end: Option<NodeId>) -> HashSet<NodeId> {
        below(self, values, end)
    }

    /// Whether it goes along rows: it has reductions, or scans.
    pub fn has_rows(&self) -> bool {
        self.reductions().next().is_some() || self.has_scans()
    }

    /// Whether it has running sums or products.
    pub fn has_scans(&self) -> bool {
        self.nodes().iter().any(|node| matches!(node, Node::Call(Call::Scan(_), _)))
    }

    /// The reductions in it; an elementwise body has none.
    pub fn reductions(&self) -> impl Iterator<Item = (NodeId, Reduce)> {
        self.iter().filter_map(|(id, node)| match node {
            Node::Call(Call::Reduce(reduce), _) => Some((id, *reduce)),
            _ => None,
        })
    }
}

/// The first product of a body, and its operands.
fn product(body: &Graph) -> Option<(NodeId, [NodeId; 2])> {
    products(body).next().filter(|(_, [left, _])| is_parameter(body, *left))
}

/// The product of what a body computes, and its operands.
fn second_product(body: &Graph) -> Option<(NodeId, [NodeId; 2])> {
    products(body).last().filter(|(_, [left, _])| !is_parameter(body, *left))
}

fn is_parameter(body: &Graph, id: NodeId) -> bool {
    matches!(body.node(id), Node::Input(_))
}

fn products(body: &Graph) -> impl Iterator<Item = (NodeId, [NodeId; 2])> {
    body.iter().filter_map(|(id, node)| match node {
        Node::Call(call, args) if call.multiplies() => Some((id, [args[0], args[1]])),
        _ => None,
    })
}

/// As [`Body::domain`], of a graph that is to be one.
pub(crate) fn domain(body: &Graph) -> Vec<NodeId> {
    let first = product(body);
    let (product, operands) = (first.map(|(id, _)| id), first.map(|(_, operands)| operands));
    let (read, apart) = match second_product(body) {
        None if first.is_none() => return parameters(body).collect(),
        None => (below(body, body.outputs(), product), operands.into_iter().flatten().collect()),
        Some((second, [left, right])) => {
            let mut apart = below(body, body.outputs(), Some(second));
            apart.extend(operands.into_iter().flatten().chain([right]));
            (below(body, &[left], product), apart)
        }
    };
    let counts = |id: &NodeId| read.contains(id) || !apart.contains(id);
    product.into_iter().chain(parameters(body).filter(counts)).collect()
}

fn parameters(body: &Graph) -> impl Iterator<Item = NodeId> {
    (0..body.inputs().len()).map(|index| body.input_node(index))
}

/// As [`Body::below`], of a graph that is to be one.
fn below(body: &Graph, values: &[NodeId], end: Option<NodeId>) -> HashSet<NodeId> {
    let mut below = HashSet::new();
    let mut pending = values.to_vec();
    while let Some(id) = pending.pop() {
        if below.insert(id) && Some(id) != end {
            pending.extend(body.node(id).operands());
        }
    }
    below
}

/// What stands in a graph that cannot be in a body.
pub(crate) fn foreign(body: &Graph) -> Option<&'static str> {
    let (first, second) = (product(body), second_product(body));
    let foreign = body.iter().find_map(|(id, node)| match node {
        Node::Input(_) | Node::Const(_) | Node::Op(..) => None,
        Node::Call(call, args) if call.multiplies() => {
            let is = |product: Option<(NodeId, _)>| product.is_some_and(|(known, _)| known == id);
            match (is(first) || is(second), is_parameter(body, args[1])) {
                (true, true) => None,
                (true, false) => Some("a matmul by what the body computes"),
                (false, _) => Some("a second matmul"),
            }
        }
        Node::Call(call, _) if call.fuses() => None,
        Node::Call(call, _) => Some(call.info().noun),
        Node::Fused { .. } | Node::Item { .. } => Some("a fused kernel"),
    });
    foreign.or_else(|| {
        let (second, [left, _]) = second?;
        let tail = below(body, body.outputs(), Some(second));
        let ends = |&output: &NodeId| below(body, &[output], Some(second)).contains(&second);
        let goes_on = |(first, _): (NodeId, _)| {
            below(body, &[left], None).contains(&first) && !tail.contains(&first)
        };
        let is_chain = first.is_none_or(goes_on) && body.outputs().iter().all(ends);
        let is_call = |&&id: &&NodeId| id != second && matches!(body.node(id), Node::Call(..));
        match tail.iter().find(is_call) {
            _ if !is_chain => Some("a second matmul"),
            Some(_) => Some("a reduction beside a second matmul"),
            None => None,
        }
    })
}

/// The shape that operands broadcast to. Most have one shape, or are single numbers.
fn common<E: Extent>(operands: &[&[E]]) -> Result<Dims<E>, Misfit<E>> {
    let largest = operands.iter().max_by_key(|shape| shape.len());
    match largest {
        Some(largest) if operands.iter().all(|shape| shape == largest || shape.is_empty()) => {
            Ok(largest.iter().cloned().collect())
        }
        _ => broadcast(operands),
    }
}

/// Broadcasts a shape to another argument of a fused kernel.
fn widen(common: &mut Shape, shape: &Shape) -> Result<(), Fault> {
    *common = common.broadcast(shape).map_err(|axis| Fault::Broadcast {
        op: "fused",
        left: common.clone(),
        right: shape.clone(),
        axis,
    })?;
    Ok(())
}

/// What does not fit in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyMisfit<E> {
    /// Operands of an elementwise op that do not broadcast.
    Broadcast,
    /// Operands that a call does not take.
    Call {
        /// The call.
        call: Call,
        /// The shapes of its operands.
        operands: Vec<Vec<E>>,
        /// Why they do not fit.
        reason: String,
    },
}

impl Graph {
    /// A fused kernel: one pass over the shape that its arguments broadcast to.
    ///
    /// The body is as [`Body`] says, and its inputs have the types of `args`. One made for other shapes is made anew for theirs. Arguments must broadcast
    /// together as far as their shapes are known here, whether or not an output reads them. A call asks it
    /// only of what an output reads. In place of the operands of a product, what it gives counts.
    pub fn fused(&mut self, body: Graph, args: Vec<NodeId>) -> Result<NodeId, Fault> {
        if body.inputs().len() != args.len() {
            let (taken, found) = (body.inputs().len(), args.len());
            return Err(Fault::Arity { op: "fused".into(), expected: taken..=taken, found });
        }
        let Some(&first) = body.outputs().first() else { return Err(Fault::NoOutputs) };
        let foreign = foreign(&body);
        if let Some(what) = foreign {
            return Err(Fault::Body { what });
        }
        let dtype = body.dtype(first);
        let counted = domain(&body);
        let mut common = Shape::scalar();
        // Calls of unknown shapes are told apart by numbers, which are those of this graph.
        let mut fits = !body.nodes().iter().any(|node| matches!(node, Node::Call(..)));
        for (index, &arg) in args.iter().enumerate() {
            let parameter = body.input_node(index);
            if body.dtype(parameter) != self.dtype(arg) {
                let operands = vec![body.dtype(parameter), self.dtype(arg)];
                let hint = "a fused body's parameter has the type of its argument";
                return Err(Fault::Types { op: "fused", operands, hint });
            }
            let shape = self.shape(arg);
            fits &= body.shape(parameter) == shape;
            if counted.contains(&parameter) {
                widen(&mut common, shape)?;
            }
        }
        let body = match fits {
            true => body,
            false => {
                let shapes = args.iter().map(|&arg| self.shape(arg));
                let body = body.over(shapes, self.calls.clone())?;
                self.calls.clone_from(&body.calls);
                body
            }
        };
        if let Some((product, _)) = product(&body) {
            widen(&mut common, body.shape(product))?;
        }
        self.push(Node::Fused { body: Arc::new(Body(body)), args: args.into() }, dtype, common)
    }

    /// Output `index` of a fused kernel, with the type and shape that it has in the body.
    ///
    /// # Panics
    ///
    /// If `of` is no fused kernel or has no such output.
    pub fn item(&mut self, of: NodeId, index: usize) -> Result<NodeId, Fault> {
        let Node::Fused { body, .. } = self.node(of) else { panic!("item of no fused kernel") };
        let output = body.outputs()[index];
        let (dtype, shape) = (body.dtype(output), body.shape(output).clone());
        self.push(Node::Item { of, index: index as u32 }, dtype, shape)
    }

    /// The names of a body's parameters where `args` are bound to them, all distinct: their labels,
    /// else the names of the inputs bound to them, else `v0`, `v1`, .. by position.
    pub fn parameter_names(&self, body: &Body, args: &[NodeId]) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(args.len());
        for (parameter, &arg) in body.inputs().iter().zip(args) {
            let (mut name, is_made) = match (&*parameter.name, self.node(arg)) {
                ("", Node::Input(index)) => (self.inputs()[*index as usize].name.clone(), false),
                ("", _) => (format!("v{}", names.len()), true),
                (label, _) => (label.to_string(), false),
            };
            let is_input = |name: &str| self.inputs().iter().any(|input| input.name == name);
            while names.contains(&name) || is_made && is_input(&name) {
                name.push('_');
            }
            names.push(name);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use crate::text::parse;

    /// What a body may hold of products, and what follows them.
    #[test]
    fn bodies_hold_what_they_may() {
        for (body, expected) in [
            ("x @ w", None),
            ("relu(x @ w) + y", None),
            ("softmax[-1](x @ w) @ v", None),
            ("gelu_tanh(relu(x @ w) @ v * y) + exp(y)", None),
            ("let t = exp(y); relu(x @ w + t) @ v + t", None),
            ("exp(x) @ w", None),
            ("relu(layer_norm[-1](x) * y @ w + exp(y))", None),
            ("relu(x) @ w + relu(x)", None),
            ("x @ exp(w)", Some("a matmul by what the body computes")),
            ("exp(x) @ exp(w)", Some("a matmul by what the body computes")),
            ("x @ w + y @ v", Some("a second matmul")),
            ("exp(x) @ w + y @ v", Some("a second matmul")),
            ("relu(x) @ w @ v", Some("a second matmul")),
            ("relu(x @ w) @ exp(v)", Some("a matmul by what the body computes")),
            ("softmax[-1](exp(x) @ w)", Some("a reduction beside a second matmul")),
            ("relu(x @ w) @ v @ v", Some("a second matmul")),
            ("let p = relu(x @ w); p @ v + p", Some("a second matmul")),
            ("relu(x @ w) @ v + sum[-1](y)", Some("a reduction beside a second matmul")),
            ("max[-1](relu(x @ w) @ v)", Some("a reduction beside a second matmul")),
            ("transpose(x)", Some("a transpose")),
        ] {
            let head = "kernel k(x, w, v, y)";
            let text = format!("{head} {{ fused(x, w, v, y) {{ {body} }} }}");
            match (parse(&text), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(what)) => assert!(error.to_string().contains(what), "{error}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
        let several = "kernel k(x, w, v, y) { let (a, b) = fused(x, w, v, y) { \
                       let q = relu(x @ w) @ v; (q + y, OTHER) }; a + b }";
        assert!(parse(&several.replace("OTHER", "q")).is_ok());
        for other in ["y", "exp(y)", "relu(x @ w)"] {
            let error = parse(&several.replace("OTHER", other)).unwrap_err().to_string();
            assert!(error.contains("a second matmul"), "{other}: {error}");
        }
    }
}
