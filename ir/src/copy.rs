//! Graphs made of the nodes of others.

use crate::call::CallShapes;
use crate::error::Fault;
use crate::graph::{Graph, Input, Node, NodeId};
use crate::number::Scalar;
use crate::shape::Shape;
use std::collections::HashMap;

impl Graph {
    /// An [unbounded](Graph::unbounded) graph with this name and these inputs, which are valid in another
    /// graph. A pass starts with it.
    pub fn with_inputs(name: impl Into<String>, inputs: &[Input]) -> Graph {
        let mut graph = Graph::unbounded(name);
        for input in inputs {
            graph.input(input.clone()).expect("inputs were valid before");
        }
        graph
    }

    /// The same graph in canonical order: all inputs, then what the outputs need, depth first.
    ///
    /// Nodes that no output needs are dropped. Two graphs that print alike are equal in this order,
    /// and it is the order in which [`build`](crate::build) and the parser number nodes.
    ///
    /// # Panics
    ///
    /// If the graph is not valid (see [`verify`](crate::verify)).
    pub fn normalized(&self) -> Graph {
        let inputs = (0..self.inputs().len()).map(|index| self.shape(self.input_node(index)));
        self.over(inputs, CallShapes::default()).expect("the graph is valid")
    }

    /// The same in canonical order, over inputs of other shapes, one for each, which may be those of
    /// these calls.
    ///
    /// Fails where they do not fit.
    pub(crate) fn over<'s>(
        &self,
        shapes: impl Iterator<Item = &'s Shape>,
        calls: CallShapes,
    ) -> Result<Graph, Fault> {
        let mut graph = Graph::unbounded(self.name());
        graph.calls = calls;
        let mut new_ids: HashMap<NodeId, NodeId> = HashMap::new();
        for (index, (input, shape)) in self.inputs().iter().zip(shapes).enumerate() {
            let id = graph.parameter(input.name.clone(), input.dtype, shape.clone())?;
            new_ids.insert(self.input_node(index), id);
        }
        let mut stack: Vec<_> = self.outputs().iter().rev().map(|&id| (id, false)).collect();
        while let Some((id, operands_done)) = stack.pop() {
            if new_ids.contains_key(&id) {
                continue;
            }
            let operands = self.node(id).operands();
            if operands_done || operands.is_empty() {
                let operands: Vec<NodeId> = operands.iter().map(|old| new_ids[old]).collect();
                let first = graph.nodes().len();
                new_ids.insert(id, graph.copy_node(self, id, &operands)?);
                graph.place_nodes(first, self.written(id));
            } else {
                stack.push((id, true));
                stack.extend(operands.into_iter().rev().map(|operand| (operand, false)));
            }
        }
        self.outputs().iter().for_each(|old| graph.output(new_ids[old]));
        graph.unbounded = self.unbounded;
        Ok(graph.with_notes_of(self).in_text_of(self))
    }

    /// Adds node `id` of another graph, reading `operands` of this one. The other copiers of nodes are
    /// made of it, so that a kind of node is copied in one place.
    ///
    /// An input becomes the one of that name, whatever its axes; where there is none, it is declared.
    /// A fused body comes in canonical order, for the shapes of its operands here. Fails where the
    /// operands do not fit.
    pub fn copy_node(
        &mut self,
        from: &Graph,
        id: NodeId,
        operands: &[NodeId],
    ) -> Result<NodeId, Fault> {
        match from.node(id) {
            Node::Input(index) => {
                let input = &from.inputs()[*index as usize];
                match self.inputs().iter().position(|known| known.name == input.name) {
                    Some(known) => Ok(self.input_node(known)),
                    None => self.input(input.clone()),
                }
            }
            Node::Const(bits) => {
                let dtype = from.dtype(id);
                self.constant(dtype, Scalar::from_bits(dtype, *bits))
            }
            Node::Op(op, _) => self.op(*op, operands),
            Node::Call(call, _) => self.call(*call, operands),
            Node::Fused { body, .. } => self.fused(body.normalized(), operands.to_vec()),
            Node::Item { index, .. } => self.item(operands[0], *index as usize),
        }
    }

    /// Copies what a graph computes of its inputs, `inputs` of this one standing for them, and gives
    /// its outputs.
    pub fn copy_graph(&mut self, from: &Graph, inputs: &[NodeId]) -> Result<Vec<NodeId>, Fault> {
        let mut copies: Vec<NodeId> = Vec::with_capacity(from.nodes().len());
        for (id, node) in from.iter() {
            let copied = match node {
                Node::Input(index) => inputs[*index as usize],
                _ => {
                    let operands = node.operands();
                    let operands: Vec<NodeId> =
                        operands.iter().map(|operand| copies[operand.index()]).collect();
                    self.copy_node(from, id, &operands)?
                }
            };
            copies.push(copied);
        }
        Ok(from.outputs().iter().map(|output| copies[output.index()]).collect())
    }
}
