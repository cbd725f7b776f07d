//! The steps of a proof that repairs are.

use crate::fuse::proof::Step;
use kiln_ir::{Graph, NodeId};

/// The step that made the second of two nodes of the first, which stand for a node of what was written.
pub(in crate::fuse) fn step(
    written: &Graph,
    id: NodeId,
    rule: &str,
    made: &Graph,
    [before, after]: [NodeId; 2],
) -> Option<Step> {
    let alone = |node: NodeId| {
        let mut graph = Graph::with_inputs("step", made.inputs());
        let copied = copies(made, &mut graph, None)?;
        graph.output(copied[node.index()]);
        Some(graph.normalized())
    };
    let (before, after) = (alone(before)?, alone(after)?);
    let mut around = Graph::with_inputs("step", written.inputs());
    let mut name = "part".to_string();
    while written.inputs().iter().any(|input| input.name == name) {
        name.push('_');
    }
    let hole = around.parameter(name, written.dtype(id), written.shape(id).clone()).ok()?;
    let copied = copies(written, &mut around, Some((id, hole)))?;
    let mut needs = vec![false; written.nodes().len()];
    for (at, node) in written.iter() {
        needs[at.index()] = at == id || node.operands().iter().any(|id| needs[id.index()]);
    }
    let output = written.outputs().iter().find(|output| needs[output.index()])?;
    around.output(copied[output.index()]);
    Some(Step { rule: rule.into(), reversed: false, before, after, around: around.normalized() })
}

/// Copies all nodes; one may have another in its place.
fn copies(graph: &Graph, to: &mut Graph, part: Option<(NodeId, NodeId)>) -> Option<Vec<NodeId>> {
    let mut copied: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> = node.operands().iter().map(|id| copied[id.index()]).collect();
        copied.push(match part {
            Some((hole, with)) if hole == id => with,
            _ => to.copy_node(graph, id, &operands).ok()?,
        });
    }
    Some(copied)
}
