//! The shapes of a body's outputs, from those of its arguments, in as few steps as there are shapes.

use crate::body::{Body, BodyMisfit};
use crate::call::Call;
use crate::graph::{Node, NodeId};
use crate::shape::{Dims, Extent, Shape, broadcast};
use smallvec::SmallVec;
use std::collections::HashMap;

/// How the shapes of a body's outputs follow from those of its arguments.
///
/// Nodes whose shapes are the same before a call have the same in every call, so most need no rule.
/// Calls do: they may not take what they are given.
#[derive(Clone, Debug)]
pub struct ShapeRules {
    rules: Vec<Rule>,
    /// For each output, the rule that gives its shape.
    outputs: Vec<usize>,
    /// Rules whose shapes broadcast to what the body loops over.
    domain: Vec<usize>,
}

/// What gives a shape; numbers are those of earlier rules.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Input(u32),
    Broadcast(SmallVec<[usize; 3]>),
    Call(Call, SmallVec<[usize; 3]>),
}

impl ShapeRules {
    /// The rules of a body.
    pub fn of(body: &Body) -> ShapeRules {
        let mut rules: Vec<Rule> = Vec::new();
        let mut known: HashMap<&Shape, usize> = HashMap::new();
        let mut of_node: Vec<usize> = Vec::with_capacity(body.nodes().len());
        for (id, node) in body.iter() {
            let operands = node.operands();
            let operands = operands.iter().map(|id: &NodeId| of_node[id.index()]).collect();
            let rule = match node {
                Node::Input(index) => Rule::Input(*index),
                Node::Call(call, _) => Rule::Call(*call, operands),
                _ => match known.get(body.shape(id)) {
                    Some(&rule) => {
                        of_node.push(rule);
                        continue;
                    }
                    None => Rule::Broadcast(operands),
                },
            };
            let at = rules.iter().position(|known| *known == rule).unwrap_or_else(|| {
                rules.push(rule);
                rules.len() - 1
            });
            of_node.push(*known.entry(body.shape(id)).or_insert(at));
        }
        let outputs = body.outputs().iter().map(|output| of_node[output.index()]).collect();
        let domain = body.domain().into_iter().map(|id| of_node[id.index()]).collect();
        ShapeRules { rules, outputs, domain }
    }

    /// The shape of each output for arguments of these shapes. Fails where operands do not fit.
    pub fn outputs<E: Extent>(
        &self,
        args: &[&[E]],
    ) -> Result<SmallVec<[Dims<E>; 2]>, BodyMisfit<E>> {
        let shapes = self.shapes(args)?;
        Ok(self.outputs.iter().map(|&at| shapes[at].clone()).collect())
    }

    /// Whether the body has a product.
    pub fn has_product(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Call(call, _) if call.multiplies()))
    }

    /// The shape that the body loops over, for arguments of these shapes. Fails where operands do not fit.
    pub fn domain<E: Extent>(&self, args: &[&[E]]) -> Result<Dims<E>, BodyMisfit<E>> {
        let shapes = self.shapes(args)?;
        let shapes: SmallVec<[&[E]; 8]> = self.domain.iter().map(|&at| &shapes[at][..]).collect();
        broadcast(&shapes).map_err(|_| BodyMisfit::Broadcast)
    }

    /// What each rule gives.
    fn shapes<E: Extent>(&self, args: &[&[E]]) -> Result<SmallVec<[Dims<E>; 8]>, BodyMisfit<E>> {
        let mut shapes: SmallVec<[Dims<E>; 8]> = SmallVec::new();
        for rule in &self.rules {
            let shape = match rule {
                Rule::Input(index) => args[*index as usize].iter().cloned().collect(),
                Rule::Broadcast(operands) => {
                    let operands: SmallVec<[&[E]; 3]> =
                        operands.iter().map(|&at| &shapes[at][..]).collect();
                    broadcast(&operands).map_err(|_| BodyMisfit::Broadcast)?
                }
                Rule::Call(call, operands) => {
                    let operands: SmallVec<[&[E]; 3]> =
                        operands.iter().map(|&at| &shapes[at][..]).collect();
                    call.infer(&operands).map_err(|reason| BodyMisfit::Call {
                        call: *call,
                        operands: operands.iter().map(|operand| operand.to_vec()).collect(),
                        reason,
                    })?
                }
            };
            shapes.push(shape);
        }
        Ok(shapes)
    }
}

#[cfg(test)]
mod tests {
    use super::ShapeRules;
    use crate::graph::Node;
    use crate::shape::Dims;
    use crate::text::parse;

    #[test]
    fn rules_give_the_shapes_of_nodes() {
        for text in [
            "fused(x, g, b) { layer_norm[-1](x) * g + b }",
            "let (u, v, w) = fused(x, g, b) { (x * 2, sum[-1](x * g), b + max[0](x)) }; u + v + w",
            "let (u, v) = fused(x, g, b) { (sum(x), mean[-1](g) + 1) }; u + v",
        ] {
            let graph = parse(&format!("kernel k(x, g, b) {{ {text} }}")).unwrap();
            let body = graph.nodes().iter().find_map(|node| match node {
                Node::Fused { body, .. } => Some(body),
                _ => None,
            });
            let body = body.unwrap();
            let rules = ShapeRules::of(body);
            assert!(rules.rules.len() < body.nodes().len(), "{rules:?}");
            for args in [
                [&[5, 70][..], &[70], &[70]],
                [&[5, 70], &[1], &[3, 5, 70]],
                [&[5, 0], &[1, 1], &[2]],
                [&[2], &[3], &[4]],
                [&[], &[], &[]],
            ] {
                let each = body.shapes(&args);
                let outputs = |shapes: Vec<Dims<usize>>| {
                    body.outputs().iter().map(|id| shapes[id.index()].clone()).collect::<Vec<_>>()
                };
                assert_eq!(
                    rules.outputs(&args).map(|all| all.into_vec()),
                    each.map(outputs),
                    "{text} of {args:?}"
                );
            }
        }
    }
}
