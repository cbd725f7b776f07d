//! An element that is picked of each row that is read anyway, such as that of a label.
//!
//! `take_along` is a pass of its own, whose operand is in memory: for `take_along[-1](log_softmax[-1](x), i)`
//! all logarithms would be written for one of each row. Where rows of that size are reduced along the same
//! axis, the element is a sum of it and of zeros instead, which they fold as they are read:
//!
//! ```text
//! take_along[-1](x, i)           =>  sum[-1](select(iota[-1](x) == i, x, 0))
//! take_along[-1](log(x / s), i)  =>  log(take_along[-1](x, i) / s),  where s is one of each row
//! ```
//!
//! Places stay what they are: those below 0 count from the end, and one that is out of bounds is the same
//! error. What is picked is the same but for a -0, which a sum makes 0: so Strict mode does not do it.

use super::pass::PassContext;
use super::stable::step;
use crate::mode::Mode;
use kiln_ir::{
    Axes, Call, DType, Dim, Gather, Graph, Iota, Node, NodeId, Op, Reduce, Reduction, Scalar,
    Within,
};
use std::collections::HashSet;

/// The pass `picks`: the same program, in which rows that are read have their elements picked.
pub(crate) fn picks(graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let picks = |node: &Node| matches!(node, Node::Call(Call::Gather(by), _) if by.along);
    if context.mode == Mode::Strict || !graph.nodes().iter().any(picks) {
        return graph.clone();
    }
    let mut result = Graph::with_inputs(graph.name(), graph.inputs());
    let mut ids: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> = node.operands().iter().map(|id| ids[id.index()]).collect();
        let copied = result.copy_node(graph, id, &operands);
        let copied = copied.unwrap_or_else(|fault| panic!("picks broke a valid graph: {fault}"));
        let folded = match node {
            Node::Call(Call::Gather(by), args) if is_of_read_rows(graph, *by, args) => {
                picked(&mut result, *by, [operands[0], operands[1]])
            }
            _ => None,
        };
        let folded = folded.filter(|&new| {
            result.shape(new) == result.shape(copied) && result.dtype(new) == result.dtype(copied)
        });
        if let (Some(new), true) = (folded, context.prove) {
            let step = step(graph, id, "pick-by-fold", &result, [copied, new]);
            context.repairs.extend(step);
        }
        ids.push(folded.unwrap_or(copied));
    }
    graph.outputs().iter().for_each(|output| result.output(ids[output.index()]));
    result.normalized()
}

/// Whether one element is picked of each row, and the rows are reduced along the axis, too, or what they are
/// computed of is. All axes must be known: of others it could be that there are no such rows.
fn is_of_read_rows(graph: &Graph, by: Gather, args: &[NodeId]) -> bool {
    let [shape, places] = [args[0], args[1]].map(|id| graph.shape(id).dims());
    let (Some(dims), Some(places)) = (shape, places) else { return false };
    let Ok(axis) = by.place(dims.len()) else { return false };
    let axes = |axes: Axes| {
        axes.of_rank(dims.len()).is_ok_and(|along| {
            along.iter().enumerate().all(|(at, &is_reduced)| is_reduced == (at == axis))
        })
    };
    let rows = rows_of(graph, args[0]);
    let reduces = |node: &Node| match node {
        Node::Call(Call::Reduce(reduce), of) => {
            reduce.by.reads()
                && graph.shape(of[0]) == graph.shape(args[0])
                && axes(reduce.axes)
                && !rows.is_disjoint(&rows_of(graph, of[0]))
        }
        _ => false,
    };
    places.get(axis) == Some(&Dim::Size(1))
        && graph.dtype(args[0]).is_float()
        && graph.nodes().iter().any(reduces)
        && is_elementwise(graph, args[1])
}

/// What a value is computed of element by element, and what that is, as far as it has as many elements.
fn rows_of(graph: &Graph, id: NodeId) -> HashSet<NodeId> {
    let mut open = vec![id];
    let mut rows = HashSet::new();
    while let Some(at) = open.pop() {
        if graph.shape(at) == graph.shape(id)
            && rows.insert(at)
            && let Node::Op(_, args) = graph.node(at)
        {
            open.extend(args.iter());
        }
    }
    rows
}

/// Whether a value is known before anything is reduced: else its rows would be read once more.
fn is_elementwise(graph: &Graph, id: NodeId) -> bool {
    let mut open = vec![id];
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        match graph.node(id) {
            Node::Call(call, _) if !call.is_free() => return false,
            node => open.extend(node.operands()),
        }
    }
    true
}

/// The element at its place of each row: what is computed of it and of numbers of the row is computed of the
/// one alone.
fn picked(graph: &mut Graph, by: Gather, [of, places]: [NodeId; 2]) -> Option<NodeId> {
    let rank = graph.shape(of).dims()?.len();
    let from_end = rank - by.place(rank).ok()?;
    let is_of_rows = |graph: &Graph, id: NodeId| match graph.shape(id).dims() {
        Some(dims) if dims.len() >= from_end => dims[dims.len() - from_end] != Dim::Size(1),
        Some(_) => false,
        None => true,
    };
    // The ops on the way down, and which operands are of elements.
    let (mut ops, mut inner) = (Vec::new(), of);
    while let &Node::Op(op, args) = graph.node(inner) {
        let mut elements = args.iter().copied().filter(|&id| is_of_rows(graph, id));
        let Some(element) = elements.next() else { break };
        if elements.any(|other| other != element) || graph.shape(element) != graph.shape(of) {
            break;
        }
        ops.push((op, args, element));
        inner = element;
    }
    let mut new = folded(graph, by, [inner, places])?;
    for (op, args, element) in ops.into_iter().rev() {
        let operands: Vec<NodeId> =
            args.iter().map(|&id| if id == element { new } else { id }).collect();
        new = graph.op(op, &operands).ok()?;
    }
    Some(new)
}

/// The sum of the picked element and of zeros; `None` where places repeat along other axes.
fn folded(graph: &mut Graph, by: Gather, [of, places]: [NodeId; 2]) -> Option<NodeId> {
    let axis = by.axis;
    let axes = Axes::some(&[axis.into()]).ok()?;
    let within = Call::Within(Within { axis, from_end: true });
    let mut place = graph.call(within, &[places, of]).ok()?;
    if graph.dtype(place) != DType::I64 {
        place = graph.op(Op::ToI64, &[place]).ok()?;
    }
    // Met by a reduction, which changes nothing, a place is a value of its row, as a label is.
    let wide = match graph.dtype(of) {
        DType::F64 => of,
        _ => graph.op(Op::ToF64, &[of]).ok()?,
    };
    let count = graph.call(Call::Reduce(Reduce { by: Reduction::Count, axes }), &[wide]).ok()?;
    let count = graph.op(Op::ToI64, &[count]).ok()?;
    let one = graph.constant(DType::I64, Scalar::Integer(1)).ok()?;
    let last = graph.op(Op::Sub, &[count, one]).ok()?;
    let place = graph.op(Op::Min, &[place, last]).ok()?;
    let zero = graph.constant(DType::I64, Scalar::Integer(0)).ok()?;
    let is_from_end = graph.op(Op::Lt, &[place, zero]).ok()?;
    let from_end = graph.op(Op::Add, &[place, count]).ok()?;
    let place = graph.op(Op::Select, &[is_from_end, from_end, place]).ok()?;
    let place = graph.op(Op::ToI32, &[place]).ok()?;
    let all = graph.call(Call::Iota(Iota { axis, size: None, short: true }), &[of]).ok()?;
    let is_it = graph.op(Op::Eq, &[all, place]).ok()?;
    graph.dtype(of).is_float().then_some(())?;
    let nothing = graph.constant(graph.dtype(of), Scalar::Float(0.0)).ok()?;
    let chosen = graph.op(Op::Select, &[is_it, of, nothing]).ok()?;
    graph.call(Call::Reduce(Reduce { by: Reduction::Sum, axes }), &[chosen]).ok()
}
