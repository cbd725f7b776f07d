//! What a mask makes alike: elements of a product that are not needed.
//!
//! In `softmax(select(mask, q @ kT, -inf))`, where the mask is known before the product, nothing is computed of
//! what is masked but numbers that are the same all along a row. One column stands for all that are masked in
//! every row: the largest of a row is as large, and a sum is the same if what is added is 0, which the rows
//! themselves say.

use kiln_ir::{Call, DType, Graph, Node, NodeId, Op, Reduction};
use std::collections::BTreeSet;

/// Where elements of a product are needed.
#[derive(Clone, Debug)]
pub(crate) struct Mask<M> {
    /// Whether an element is needed, computed of some of the inputs.
    pub(crate) needed: M,
    /// What it reads, input by input.
    pub(crate) inputs: Vec<usize>,
}

/// The mask of what is computed of a product's rows, if it has one, and the same with another output, where that
/// is needed: for each row, whether sums may leave out what is masked.
pub(super) fn mask(rest: &Graph, product: NodeId) -> Option<(Mask<Graph>, Graph)> {
    let of_product = above(rest, |id| id == product);
    let of_rows = above(rest, |id| id == product || matches!(rest.node(id), Node::Call(..)));
    let choices: Vec<Choice> = rest
        .iter()
        .filter_map(|(_, node)| match node {
            Node::Op(Op::Select, args) => {
                let [yes, no] = [1, 2].map(|at| of_product[args[at].index()]);
                let is_known = !of_rows[args[0].index()];
                (is_known && yes != no).then_some(Choice { condition: args[0], needs: yes })
            }
            _ => None,
        })
        .collect();
    choices.into_iter().rev().find_map(|choice| {
        let rest = alike(rest, choice, rest.dtype(product))?;
        Some((needed(&rest, choice), rest))
    })
}

/// What decides of elements whether something of the product is taken, and which way it does.
#[derive(Clone, Copy)]
struct Choice {
    condition: NodeId,
    needs: bool,
}

/// Which values are computed of some, or are some.
fn above(graph: &Graph, is_some: impl Fn(NodeId) -> bool) -> Vec<bool> {
    let mut above: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let is_above = node.operands().iter().any(|operand| above[operand.index()]);
        above.push(is_some(id) || is_above);
    }
    above
}

/// The graph with an output for what sums demand, if all that is masked so is alike in a row: a number of this type that is
/// not 0, as code that runs all stages at once leaves none that is narrower than what it computes with.
fn alike(rest: &Graph, choice: Choice, dtype: DType) -> Option<Graph> {
    let mut graph = rest.clone();
    // What each value is where it is masked, if it is the same all along a row, and whether that is computed
    // of what rows are reduced to.
    let mut masked: Vec<Option<(NodeId, bool)>> = Vec::with_capacity(rest.nodes().len());
    let mut demands: Vec<NodeId> = Vec::new();
    for (id, node) in rest.iter() {
        let of = |operand: NodeId| masked[operand.index()];
        let value = match node {
            _ if id == choice.condition => {
                Some((graph.constant(DType::Bool, i64::from(!choice.needs)).ok()?, false))
            }
            Node::Const(_) => Some((id, false)),
            Node::Op(Op::Select, args) if args[0] == choice.condition => {
                of(args[if choice.needs { 2 } else { 1 }])
            }
            Node::Op(op, args) => {
                let operands: Option<Vec<(NodeId, bool)>> =
                    args.iter().map(|&arg: &NodeId| of(arg)).collect();
                operands.and_then(|operands| {
                    let ids: Vec<NodeId> = operands.iter().map(|(id, _)| *id).collect();
                    let is_number = operands.iter().any(|(_, is_number)| *is_number);
                    Some((graph.op(*op, &ids).ok()?, is_number))
                })
            }
            Node::Call(Call::Reduce(reduce), args) => {
                let (operand, is_number) = of(args[0])?;
                match reduce.by {
                    Reduction::Max | Reduction::Sup | Reduction::Min => {}
                    Reduction::Sum if graph.constant_value(operand) == Some(0.0) => {}
                    Reduction::Sum if is_number => {
                        let zero = graph.constant(graph.dtype(operand), 0).ok()?;
                        demands.push(graph.op(Op::Eq, &[operand, zero]).ok()?);
                    }
                    _ => return None,
                }
                Some((id, true))
            }
            _ => None,
        };
        masked.push(value);
    }
    if rest.outputs().iter().any(|output| masked[output.index()].is_none()) {
        return None;
    }
    let all = demands.into_iter().try_fold(None, |all: Option<NodeId>, demand| match all {
        Some(all) => graph.op(Op::And, &[all, demand]).map(Some),
        None => Ok(Some(demand)),
    });
    if let Some(all) = all.ok()? {
        let [yes, no] = [1, 0].map(|number| graph.constant(dtype, number));
        let all = graph.op(Op::Select, &[all, yes.ok()?, no.ok()?]).ok()?;
        graph.output(all);
    }
    Some(graph)
}

/// The program of a choice.
fn needed(rest: &Graph, choice: Choice) -> Mask<Graph> {
    let mut is_read = BTreeSet::from([choice.condition]);
    for (id, node) in rest.iter().collect::<Vec<_>>().into_iter().rev() {
        if is_read.contains(&id) {
            is_read.extend(node.operands());
        }
    }
    let mut graph = Graph::unbounded("needed");
    let mut inputs = Vec::new();
    let mut ids: Vec<Option<NodeId>> = vec![None; rest.nodes().len()];
    for id in is_read {
        let node = rest.node(id);
        let copied = match node {
            Node::Input(index) => {
                inputs.push(*index as usize);
                graph.parameter("", rest.dtype(id), rest.shape(id).clone())
            }
            _ => {
                let operands: Vec<NodeId> =
                    node.operands().iter().filter_map(|operand| ids[operand.index()]).collect();
                graph.copy_node(rest, id, &operands)
            }
        };
        ids[id.index()] = Some(copied.expect("it was valid before"));
    }
    let condition = ids[choice.condition.index()].expect("it was copied");
    let output = match choice.needs {
        true => condition,
        false => graph.op(Op::Not, &[condition]).expect("a condition is a bool"),
    };
    graph.output(output);
    Mask { needed: graph, inputs }
}
