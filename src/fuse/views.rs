//! Views go where the data come from: `transpose(exp(x) + b)` becomes `exp(transpose(x)) + transpose(b)`.
//!
//! There they cost nothing, and no view stands between ops that could be one kernel. The algebra sees
//! one as a call, which no rule looks into.

mod rise;

use super::pass::PassContext;
use kiln_ir::{Axes, Call, DType, Dim, Graph, Iota, Node, NodeId, Op, Shape, Typing, View, Within};
use std::collections::{HashMap, HashSet};

/// A value of which more views than this are read is computed once: each would compute it again.
const MOST_VIEWS: usize = 4;

/// The pass `views`: the same program with views of what is stored.
pub(crate) fn sink(graph: &Graph, _: &mut PassContext<'_>) -> Graph {
    let sinks = |node: &Node| match node {
        Node::Call(call, _) => call.is_free() || matches!(call, Call::Concat(_)),
        _ => false,
    };
    if !graph.nodes().iter().any(sinks) {
        return graph.clone();
    }
    let mut sink = Sink {
        graph: Graph::with_inputs(graph.name(), graph.inputs()),
        stored: HashSet::new(),
        reduced: HashSet::new(),
        products: HashSet::new(),
        views: HashMap::new(),
        sunk: HashMap::new(),
    };
    let outputs: HashSet<NodeId> = graph.outputs().iter().copied().collect();
    let mut ids: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> = node.operands().iter().map(|id| ids[id.index()]).collect();
        let operands = match node {
            Node::Call(call, _) if call.multiplies() => sink.halves(operands),
            _ => sink.shortened(node, operands),
        };
        let new = match node {
            Node::Call(Call::View(view), _) => sink.view(*view, operands[0]),
            Node::Call(call @ Call::Concat(_), _) => sink.flat(*call, &operands),
            Node::Call(call @ (Call::Iota(_) | Call::Within(_)), _) => {
                sink.of_shapes(*call, &operands)
            }
            Node::Op(op, _) if let Some(risen) = sink.risen(*op, &operands) => risen,
            _ => {
                let copied = sink.graph.copy_node(graph, id, &operands);
                copied.unwrap_or_else(|fault| panic!("sinking views broke a valid graph: {fault}"))
            }
        };
        if outputs.contains(&id) {
            sink.stored.insert(new);
        }
        match node {
            Node::Call(Call::View(_), _) => {}
            Node::Call(call, _) if call.fuses() => {
                sink.reduced.insert(new);
                if call.multiplies() {
                    sink.stored.extend(operands);
                    sink.products.insert(new);
                }
            }
            Node::Call(call, _) => sink.stored.extend(&operands[..call.read_count(operands.len())]),
            _ if operands.iter().any(|id| sink.reduced.contains(id)) => {
                sink.reduced.insert(new);
                if operands.iter().any(|id| sink.products.contains(id)) {
                    sink.products.insert(new);
                }
            }
            _ => {}
        }
        ids.push(new);
    }
    for output in graph.outputs() {
        sink.graph.output(ids[output.index()]);
    }
    sink.graph.normalized()
}

/// An operand, and what view of it is read, if any.
type Viewed = (Option<View>, NodeId);

struct Sink {
    graph: Graph,
    /// What is in memory in any case.
    stored: HashSet<NodeId>,
    /// What is computed of reductions and products: these are one kernel with them as they stand.
    reduced: HashSet<NodeId>,
    /// Those that are products, or computed of one element by element.
    products: HashSet<NodeId>,
    /// How many views of a value were asked for.
    views: HashMap<NodeId, usize>,
    /// What became of each view of each value.
    sunk: HashMap<(View, NodeId), NodeId>,
}

impl Sink {
    /// A view of a value. Chains may be long, so what waits is on a stack.
    fn view(&mut self, view: View, id: NodeId) -> NodeId {
        *self.views.entry(id).or_default() += 1;
        let mut stack = vec![(view, id)];
        while let Some(&(view, id)) = stack.last() {
            if self.sunk.contains_key(&(view, id)) {
                stack.pop();
                continue;
            }
            let Some((op, operands)) = self.through(view, id) else {
                let kept = self.undone(view, id).unwrap_or_else(|| self.call(view, id));
                self.sunk.insert((view, id), kept);
                continue;
            };
            let mut done = Vec::with_capacity(operands.len());
            let depth = stack.len();
            for (view, operand) in operands {
                match view.map(|view| (view, self.sunk.get(&(view, operand)))) {
                    None => done.push(operand),
                    Some((_, Some(&sunk))) => done.push(sunk),
                    Some((view, None)) => stack.push((view, operand)),
                }
            }
            if stack.len() > depth {
                continue;
            }
            let kept = self.call(view, id);
            let sunk = self.graph.op(op, &done);
            // Operands that broadcast may say less of the shape than the op does.
            let sunk = sunk.ok().filter(|&sunk| self.graph.shape(sunk) == self.graph.shape(kept));
            self.sunk.insert((view, id), sunk.unwrap_or(kept));
        }
        self.sunk[&(view, id)]
    }

    /// A concatenation; parts of parts are put together with the others.
    fn flat(&mut self, call: Call, operands: &[NodeId]) -> NodeId {
        let kept = self.graph.call(call, operands).expect("it is as it was");
        let parts: Vec<NodeId> = operands
            .iter()
            .flat_map(|&id| match self.graph.node(id) {
                Node::Call(inner, parts) if *inner == call && !self.stored.contains(&id) => {
                    parts.to_vec()
                }
                _ => vec![id],
            })
            .collect();
        let flat = self.graph.call(call, &parts).ok();
        let flat = flat.filter(|&flat| self.graph.shape(flat) == self.graph.shape(kept));
        flat.unwrap_or(kept)
    }

    /// A call that looks at the shapes of some operands alone: nothing need be computed for those, so
    /// what they are computed of takes their place.
    fn of_shapes(&mut self, call: Call, operands: &[NodeId]) -> NodeId {
        let kept = self.graph.call(call, operands).expect("it is as it was");
        let (read, looked_at) = operands.split_at(call.read_count(operands.len()));
        let (axis, factor) = match (call, looked_at) {
            (Call::Iota(iota), &[value]) => (iota.axis, self.factor(iota, value)),
            (Call::Iota(Iota { axis, .. }) | Call::Within(Within { axis }), _) => (axis, None),
            _ => unreachable!("it looks at no shape"),
        };
        if let Some(factor) = factor {
            let new = self.graph.call(call, &[read, &[factor]].concat()).ok();
            let new = new.filter(|&new| self.graph.shape(new) == self.graph.shape(kept));
            return new.unwrap_or(kept);
        }
        let leaves = self.leaves(looked_at, axis);
        self.graph.call(call, &[read, &leaves].concat()).unwrap_or(kept)
    }

    /// Operands of a node; where it compares places along axes, they compare alike in the shorter type.
    fn shortened(&mut self, node: &Node, operands: Vec<NodeId>) -> Vec<NodeId> {
        let compares = matches!(node, Node::Op(op, _) if op.info().typing == Typing::Compare);
        let mut short = |&id: &NodeId| match self.graph.node(id).clone() {
            Node::Call(Call::Iota(iota), args) if compares => {
                self.graph.call(Call::Iota(iota.short()), &args).ok()
            }
            _ => None,
        };
        operands.iter().map(&mut short).collect::<Option<Vec<NodeId>>>().unwrap_or(operands)
    }

    /// Operands of a product, which widens numbers of 16 bits while it packs them.
    fn halves(&self, operands: Vec<NodeId>) -> Vec<NodeId> {
        let is_half = |id: NodeId| matches!(self.graph.dtype(id), DType::F16 | DType::BF16);
        let half = |id: NodeId| match self.graph.node(id) {
            Node::Op(Op::ToF32, args) if is_half(args[0]) => args[0],
            _ => id,
        };
        operands.into_iter().map(half).collect()
    }

    /// The operand of a product that has this axis of its result, where a value is computed of one and has its
    /// shape: places along queries and keys, which mask scores, need no scores.
    fn factor(&self, iota: Iota, value: NodeId) -> Option<NodeId> {
        let graph = &self.graph;
        let shape = graph.shape(value);
        let rank = shape.dims()?.len();
        let axis = iota.place(rank).ok()?;
        let mut id = value;
        loop {
            match graph.node(id) {
                Node::Op(_, args) => id = *args.iter().find(|&&arg| graph.shape(arg) == shape)?,
                Node::Call(call, args) if call.multiplies() => {
                    let side = rank - 1 - axis;
                    let factor = args[usize::from(side == 0)];
                    let is_whole = graph.shape(factor).dims()?.len() == rank;
                    return (side < 2 && is_whole).then_some(factor);
                }
                _ => return None,
            }
        }
    }

    /// Values that broadcast to the same shape, as far as possible from being computed. What is reduced of them
    /// along the axis adds nothing, and what lacks that axis is an error all the same.
    fn leaves(&self, values: &[NodeId], axis: i8) -> Vec<NodeId> {
        let graph = &self.graph;
        let of = |shape: &Shape| graph.absorbed(shape.clone(), axis);
        let shapes = values.iter().map(|&id| graph.shape(id));
        let whole = shapes.fold(Shape::scalar(), |whole, shape| {
            whole.broadcast(shape).expect("the operands fit")
        });
        let whole = of(&whole);
        let (mut open, mut seen) = (values.to_vec(), HashSet::new());
        let mut leaves = Vec::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) || graph.shape(id).is_scalar() {
                continue;
            }
            match graph.node(id) {
                Node::Op(_, args) => open.extend(args.iter()),
                // If what is reduced has the shape, too, the axes that are left add nothing.
                Node::Call(call, args) if call.fuses() => open.extend(args.iter()),
                _ if *graph.shape(id) == whole => return vec![id],
                _ => leaves.push(id),
            }
        }
        let mut shapes = leaves.iter().map(|&id| graph.shape(id));
        let found = shapes.try_fold(Shape::scalar(), |all, shape| all.broadcast(shape));
        let fits = !leaves.is_empty() && found.is_ok_and(|found| of(&found) == whole);
        if fits { leaves } else { values.to_vec() }
    }

    /// What a view gives of one that it undoes.
    fn undone(&mut self, view: View, id: NodeId) -> Option<NodeId> {
        let Node::Call(Call::View(before), args) = self.graph.node(id) else { return None };
        let (undoes, inner) = (before.inverse() == Some(view), args[0]);
        let kept = self.call(view, id);
        // What is dropped may have any size, which is told at the call.
        (undoes && self.graph.shape(kept) == self.graph.shape(inner)).then_some(inner)
    }

    fn call(&mut self, view: View, id: NodeId) -> NodeId {
        self.graph.call(Call::View(view), &[id]).expect("the view fits the value")
    }

    /// The op that a view goes through, and what view of each operand, if any, stands for it; `None`
    /// where the view stays.
    fn through(&mut self, view: View, id: NodeId) -> Option<(Op, Vec<Viewed>)> {
        let Node::Op(op, args) = self.graph.node(id) else { return None };
        let (op, args) = (*op, args.to_vec());
        let often = self.views.get(&id).is_some_and(|&views| views > MOST_VIEWS);
        if often || self.stored.contains(&id) || self.reduced.contains(&id) {
            return None;
        }
        // Each repeated element would be computed again.
        if matches!(view, View::Expand(_)) {
            return None;
        }
        let shape = self.graph.shape(id).clone();
        let mut operands = Vec::with_capacity(args.len());
        for arg in args {
            let own = self.graph.shape(arg);
            operands.push(if *own == shape {
                (Some(view), arg)
            } else if own.is_scalar() {
                (None, arg)
            } else {
                let (own, whole) = (own.dims()?.to_vec(), shape.dims()?);
                match broadcast(view, &own, whole)? {
                    Broadcast::View(view) => (view, arg),
                    Broadcast::Aligned(added) => {
                        (Some(view), self.call(View::Unsqueeze(added), arg))
                    }
                }
            });
        }
        Some((op, operands))
    }
}

/// What stands for a view of an array of which an operand is repeated.
enum Broadcast {
    /// A view of the operand, or the operand itself.
    View(Option<View>),
    /// The same view, once the operand has these axes.
    Aligned(Axes),
}

/// What stands for a view of an array of shape `whole` to which an operand of shape `own` is broadcast. Nothing does where it
/// has more axes, and the array is broadcast to it.
fn broadcast(view: View, own: &[Dim], whole: &[Dim]) -> Option<Broadcast> {
    let added = whole.len().checked_sub(own.len())?;
    // Those of the axes, counted from the last, along which the operand does not repeat.
    let varies = |&axis: &i64| {
        let place = (whole.len() as i64 + axis) as usize;
        place.checked_sub(added).is_some_and(|own_place| own[own_place] == whole[place])
    };
    let set = |axes: Vec<i64>| match axes.is_empty() {
        true => None,
        false => Some(Axes::some(&axes).expect("they are some of a set")),
    };
    Some(Broadcast::View(match view {
        View::Transpose | View::Permute(_) | View::Swap(..) if added > 0 => {
            let leading: Vec<i64> = (0..added as i64).collect();
            return Some(Broadcast::Aligned(set(leading)?));
        }
        View::Transpose | View::Permute(_) | View::Swap(..) => Some(view),
        View::Slice(slice) => {
            let slice = slice.from_last(whole.len());
            varies(&slice.axis()).then_some(View::Slice(slice))
        }
        View::Flip(axes) => {
            let axes = places(axes, whole.len());
            set(axes.into_iter().filter(varies).collect()).map(View::Flip)
        }
        View::Squeeze(axes) => {
            let axes = places(axes, whole.len()).into_iter();
            set(axes.filter(|&axis| -axis <= own.len() as i64).collect()).map(View::Squeeze)
        }
        View::Unsqueeze(axes) => {
            let is_new = axes.of_rank(whole.len() + axes.count()).ok()?;
            let (mut old, mut new) = (0, Vec::new());
            for (&is_new, axis) in is_new.iter().rev().zip(1..) {
                match is_new {
                    false => old += 1,
                    // Before its first axis there is nothing to keep apart.
                    true if old < own.len() => new.push(axis),
                    true => {}
                }
            }
            // Counted from the last, which is where operands align.
            set(new.into_iter().map(|axis: i64| -axis).collect()).map(View::Unsqueeze)
        }
        View::Reshape(_) | View::Expand(_) => return None,
    }))
}

/// The axes of an array of this rank, each counted from the last.
fn places(axes: Axes, rank: usize) -> Vec<i64> {
    let is_named = axes.of_rank(rank).unwrap_or_default();
    (0..rank).filter(|&place| is_named[place]).map(|place| place as i64 - rank as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::sink;
    use crate::fuse::CostModel;
    use crate::fuse::pass::PassContext;
    use crate::mode::Mode;
    use kiln_ir::{Array, DType, Graph, eval, parse, same_signature};

    fn sunk(graph: &Graph) -> Graph {
        let model = CostModel::new(|_, _| 10, |op, dtype, operands| op.eval(dtype, operands));
        sink(graph, &mut PassContext::new(Mode::Strict, &model))
    }

    /// Each text, and what it becomes.
    #[test]
    fn views_end_at_what_is_stored() {
        for (head, text, expected) in [
            ("x", "transpose(exp(x) * 2)", "exp(transpose(x)) * 2"),
            ("x, y", "transpose(x + y)", "transpose(x + y)"),
            (
                "x: f32[n, d], b: f32[d]",
                "transpose(x + b)",
                "transpose(x) + transpose(unsqueeze[0](b))",
            ),
            ("x: f32[n, d], b: f32[d]", "slice[0, ::-1](x + b)", "slice[0, ::-1](x) + b"),
            (
                "x: f32[n, d], b: f32[d]",
                "slice[1, ::-1](x + b)",
                "slice[1, ::-1](x) + slice[-1, ::-1](b)",
            ),
            ("x: f32[n, d], b: f32[n, 1]", "flip[..](x + b)", "flip[..](x) + flip[-2](b)"),
            ("x: f32[n, d], b: f32[d]", "unsqueeze[1](x + b)", "unsqueeze[1](x) + b"),
            (
                "x: f32[n, d], b: f32[d]",
                "unsqueeze[-1](x + b)",
                "unsqueeze[-1](x) + unsqueeze[-1](b)",
            ),
            ("x: f32[1, d], b: f32[d]", "squeeze[0](x + b)", "squeeze[0](x) + b"),
            ("x: f32[n, d], b: f32[d]", "reshape[-1](x + b)", "reshape[-1](x + b)"),
            ("x: f32[n, d]", "reshape[3, -1](exp(x) + 1)", "exp(reshape[3, -1](x)) + 1"),
            ("x: f32[n, 1]", "expand[-1, 3](exp(x))", "expand[-1, 3](exp(x))"),
            ("x: f32[n, d]", "transpose(softmax[-1](x))", ""),
            (
                "x: f32[n, 2], y: f32[n, 3]",
                "concat[-1](x, concat[-1](y, x, y), concat[-1](x, x))",
                "concat[-1](x, y, x, y, x, x)",
            ),
            ("x: f32[n, 2], y: f32[3, 2]", "concat[1](concat[0](y, y), concat[0](y, y))", ""),
            ("x: f32[n, d], b: f32[d]", "x + f32(iota[-1](exp(x) + b))", "x + f32(iota[-1](x))"),
            ("x: f32[n, 1], b: f32[d]", "iota[-1](exp(x) + b)", "iota[-1](b, x)"),
            ("x, y", "iota[-1](exp(x) + y)", "iota[-1](y, x)"),
            ("x: f32[n, d]", "iota[-1](x - max[-1](x))", "iota[-1](x)"),
            ("x", "iota[-1](x - max[-1](x) + min[-1](x))", "iota[-1](x)"),
            ("x", "iota[0](log_softmax[0](x))", "iota[0](x)"),
            ("x, y", "iota[-1](x * y - max[-1](x * y))", "iota[-1](y, x)"),
            // These may lack the axis, which is an error of the reduction.
            ("x", "iota[-1](x - max[1](x))", ""),
            ("x, y", "iota[-1](y - max[-1](x))", ""),
            ("x, y", "iota[-1](x * y - max[-1](x))", ""),
            ("x: f32[n, d]", "iota[0](x) < iota[1](x)", "iota32[0](x) < iota32[1](x)"),
            ("x: f32[n, d]", "iota[0](x) < 3", "iota[0](x) < 3"),
            ("a, b", "relu(transpose(a @ b))", "transpose(relu(a @ b))"),
            ("a, b: f32[n]", "transpose(a @ a) + b", "transpose(a @ a) + b"),
            (
                "a: f32[n, n], b: f32[n]",
                "transpose(a @ a) + b",
                "transpose(a @ a + transpose(unsqueeze[0](b)))",
            ),
            ("x", "squeeze[-1](sum[-1](x)) * 2", "squeeze[-1](sum[-1](x) * 2)"),
            (
                "x: f32[n, d], y: f32[n]",
                "y / squeeze[-1](sum[-1](x))",
                "squeeze[-1](unsqueeze[-1](y) / sum[-1](x))",
            ),
            // What has more axes repeats the other one.
            ("x: f32[n, d], y: f32[m, n]", "squeeze[-1](sum[-1](x)) + y", ""),
            ("x: f32[n, d], y: f32[m, n, n]", "transpose(x @ transpose(x)) + y", ""),
            ("x: f32[n, d]", "unsqueeze[-1](squeeze[-1](max[-1](x)))", "max[-1](x)"),
            ("x: f32[n, d]", "unsqueeze[-1](squeeze[-1](x))", "unsqueeze[-1](squeeze[-1](x))"),
            // Rows are not stored by columns.
            ("x", "transpose(softmax[-1](x)) * 2", ""),
            ("a, b: f16[..]", "a @ transpose(f32(b))", "a @ transpose(b)"),
            ("a, b: f64[..]", "a @ transpose(f32(b))", "a @ f32(transpose(b))"),
        ] {
            let graph = parse(&format!("kernel k({head}) {{ {text} }}")).unwrap();
            let wanted = match expected {
                "" => graph.clone(),
                expected => parse(&format!("kernel k({head}) {{ {expected} }}")).unwrap(),
            };
            let found = sunk(&graph);
            assert_eq!(found.to_string(), wanted.to_string(), "{text}");
            assert_eq!(same_signature(&graph, &found), Ok(()));
        }
    }

    /// Values stay what they are.
    #[test]
    fn elements_stay() {
        let array = |shape: &[usize]| {
            let data: Vec<f64> =
                (0..shape.iter().product()).map(|at: usize| at as f64 + 1.0).collect();
            Array::new(DType::F32, shape.to_vec(), data).unwrap()
        };
        for text in [
            "transpose(x + b)",
            "permute[1, 0](x * b + 1)",
            "slice[0, ::-2](x - b)",
            "slice[1, 1:](x - b) / c",
            "flip[..](x + b * c)",
            "unsqueeze[0, 2](x + b)",
            "unsqueeze[-1](x * c + b)",
            "squeeze[2](unsqueeze[2](x) + unsqueeze[-1](b))",
            "reshape[2, -1](transpose(x * 2 + b))",
            "transpose(select(x > b, x, c))",
            "(x + 1, transpose(x + 1), slice[0, 1:](x + 1))",
        ] {
            let head = "x: f32[3, 4], b: f32[4], c: f32[3, 1]";
            let Ok(graph) = parse(&format!("kernel k({head}) {{ {text} }}")) else {
                panic!("{text}");
            };
            let inputs = [array(&[3, 4]), array(&[4]), array(&[3, 1])];
            let found = sunk(&graph);
            assert_eq!(eval(&found, &inputs), eval(&graph, &inputs), "{found}");
        }
    }

    #[test]
    fn long_chains() {
        let mut graph = Graph::unbounded("k");
        let input = kiln_ir::Input { name: "x".into(), dtype: DType::F32, dims: None };
        let mut id = graph.input(input).unwrap();
        for _ in 0..100_000 {
            id = graph.op(kiln_ir::Op::Neg, &[id]).unwrap();
        }
        let view = kiln_ir::Call::View(kiln_ir::View::Transpose);
        id = graph.call(view, &[id]).unwrap();
        graph.output(id);
        let found = sunk(&graph);
        assert!(matches!(found.node(kiln_ir::NodeId::new(1)), kiln_ir::Node::Call(..)));
    }
}
