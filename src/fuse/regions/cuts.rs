//! Where a program too long for one kernel is cut.
//!
//! Ops are in the order of a walk from the outputs, operands first, so what is computed together
//! stands together. That list is cut into stretches. No kernel crosses a cut, and a value that does
//! is stored. So no op runs in two stretches, whatever reads it, and a cut costs what crosses it.

use super::cost::traffic;
use kiln_ir::{Graph, NodeId};

/// The stretch of each node. A stretch has at most `most` ops, which are what `fuses`, and all but
/// the last have at least half as many. Within that, cuts go where the least traffic crosses.
pub(super) fn stretches(
    graph: &Graph,
    most: usize,
    fuses: impl Fn(NodeId) -> bool + Copy,
) -> Vec<u32> {
    let ops: Vec<NodeId> = graph.iter().map(|(id, _)| id).filter(|&id| fuses(id)).collect();
    let mut stretches = vec![0; graph.nodes().len()];
    if ops.len() <= most {
        return stretches;
    }
    let crossing = crossing(graph, &ops, fuses);
    let (mut start, mut number) = (0, 0);
    while start < ops.len() {
        let rest = ops.len() - start;
        let end = match rest <= most {
            true => ops.len(),
            // Of equal places, the last one.
            false => (start + most / 2..=start + most)
                .rev()
                .min_by_key(|&at| crossing[at])
                .expect("there are places to cut"),
        };
        ops[start..end].iter().for_each(|op| stretches[op.index()] = number);
        number += 1;
        start = end;
    }
    stretches
}

/// For each op, the traffic of the values computed before it and read from there on.
fn crossing(graph: &Graph, ops: &[NodeId], fuses: impl Fn(NodeId) -> bool) -> Vec<u64> {
    let mut position = vec![0; graph.nodes().len()];
    ops.iter().enumerate().for_each(|(at, op)| position[op.index()] = at);
    let mut last_read = vec![0; ops.len()];
    for (at, &op) in ops.iter().enumerate() {
        for operand in graph.node(op).operands() {
            if fuses(operand) {
                last_read[position[operand.index()]] = at;
            }
        }
    }
    // From the op after the value's own to the last one that reads it.
    let mut changes = vec![0i128; ops.len() + 1];
    for (at, &last) in last_read.iter().enumerate().filter(|&(at, &last)| last > at) {
        let traffic = i128::from(traffic(graph, ops[at]));
        changes[at + 1] += traffic;
        changes[last + 1] -= traffic;
    }
    let mut sum = 0i128;
    let crossing = changes.into_iter().map(|change| {
        sum += change;
        u64::try_from(sum).unwrap_or(u64::MAX)
    });
    crossing.collect()
}

#[cfg(test)]
mod tests {
    use super::stretches;
    use kiln_ir::{Node, NodeId, parse};

    #[test]
    fn cuts_are_where_little_crosses() {
        // Ten terms of four ops. Between two terms one sum crosses, within them more.
        let terms: Vec<String> = (1..=10).map(|i| format!("(x*{i}.5)*sin(x*{i}.25)")).collect();
        let graph = parse(&terms.join(" + ")).unwrap();
        let is_op = |id: NodeId| matches!(graph.node(id), Node::Op(..));
        let stretches = stretches(&graph, 16, is_op);
        let counts: Vec<usize> = (0..=*stretches.iter().max().unwrap())
            .map(|number| {
                let ids = graph.iter().map(|(id, _)| id);
                ids.filter(|&id| is_op(id) && stretches[id.index()] == number).count()
            })
            .collect();
        assert_eq!(counts, [14, 15, 15, 5]);
    }
}
