//! What is without its mean, by hand.
//!
//! A mean is rounded, and of a row that is far from 0 that is as much as `x - mean(x)` may be. What was
//! rounded away is the mean of the differences, and is to be had in the sweep that sums their squares:
//!
//! ```text
//! d = x - mean(x)           =>  d - mean(d)
//! sum(d * d)                =>  max(sum(d * d) - sum(d) * mean(d), 0)
//! mean(x * y) - mean(x) * mean(y)  =>  (sum(d * e) - sum(d) * mean(e)) / count,  where e = y - mean(y)
//! ```
//!
//! In the first two only where the squares of `d` are summed, as for a deviation: else it would be a sweep
//! more for what nothing says must be small beside `x`. The third cancels all digits but those that a
//! squared mean leaves, and so costs a sweep. What `var` and `layer_norm` are made of is so already, and
//! stays. A correction that is not finite, of a row with infinities, is none.

use super::{Made, New};
use kiln_ir::{Axes, Call, Dim, Graph, Node, NodeId, Op, Reduce, Reduction, Scalar};
use std::collections::HashMap;

/// What is without its mean in a graph, where its squares are summed.
pub(super) struct Centred {
    differences: HashMap<NodeId, Mean>,
    kinds: HashMap<NodeId, Kind>,
}

/// A mean.
#[derive(Clone, Copy, PartialEq)]
struct Mean {
    of: NodeId,
    axes: Axes,
    count: NodeId,
    /// The mean itself.
    id: NodeId,
}

/// What a node is.
#[derive(Clone, Copy)]
enum Kind {
    /// `x - mean(x)` that is read as it is.
    Difference,
    /// The sum of products of such ones.
    Products([NodeId; 2]),
    /// The sum of one, or what else goes back to the difference as it was.
    Left,
    /// `d - mean(d)`, as it should be.
    Corrected(NodeId),
    /// `mean(d * d) - mean(d) * mean(d)`, as it should be.
    Variance(NodeId),
    /// `mean(x * y) - mean(x) * mean(y)`.
    OnePass([Mean; 2]),
}

impl Centred {
    pub(super) fn of(graph: &Graph) -> Centred {
        let mut found = Centred { differences: HashMap::new(), kinds: HashMap::new() };
        let mut differences: HashMap<NodeId, Mean> = HashMap::new();
        for (id, _) in graph.iter() {
            if let Some(mean) = difference(graph, id)
                && !differences.contains_key(&mean.of)
            {
                differences.insert(id, mean);
            }
        }
        // Which have squares that are summed.
        for (id, _) in graph.iter() {
            if let Some((axes, [left, right])) = sum_of_products(graph, id)
                && left == right
                && let Some(mean) = differences.get(&left)
                && mean.axes == axes
            {
                found.differences.insert(left, *mean);
            }
            if let Some(means) = one_pass(graph, id)
                && !means.iter().any(|mean| differences.contains_key(&mean.of))
            {
                found.kinds.insert(id, Kind::OnePass(means));
                let is_of = |mean: &&Mean| means.contains(mean);
                let of = differences.iter().filter(|(_, mean)| is_of(mean));
                found.differences.extend(of.map(|(id, mean)| (*id, *mean)));
            }
        }
        if !found.differences.is_empty() {
            found.find_kinds(graph);
        }
        found
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_change =
            |kind: &Kind| matches!(kind, Kind::Difference | Kind::Products(_) | Kind::OnePass(_));
        !self.kinds.values().any(is_change)
    }

    fn find_kinds(&mut self, graph: &Graph) {
        let mut readers: Vec<Vec<NodeId>> = vec![Vec::new(); graph.nodes().len()];
        for (id, node) in graph.iter() {
            node.operands().iter().for_each(|operand| readers[operand.index()].push(id));
        }
        for (id, node) in graph.iter() {
            let kind = match node {
                Node::Op(Op::Sub, args) => self.less_what_is_left(graph, args),
                Node::Call(Call::Reduce(reduce), args) => {
                    self.reduction(graph, id, *reduce, args[0])
                }
                _ => None,
            };
            if let Some(kind) = kind {
                self.kinds.entry(id).or_insert(kind);
            }
        }
        // Nothing is repaired for what is as it should be alone.
        let outputs = graph.outputs();
        let is_read = |found: &Centred, id: NodeId, by: &dyn Fn(&Centred, NodeId) -> bool| {
            outputs.contains(&id) || readers[id.index()].iter().any(|&reader| by(found, reader))
        };
        let by_others = |found: &Centred, reader: NodeId| {
            !matches!(found.kinds.get(&reader), Some(Kind::Variance(_) | Kind::OnePass(_)))
        };
        let sums: Vec<NodeId> = self.kinds.keys().copied().collect();
        for id in sums {
            let Some(Kind::Products(_)) = self.kinds.get(&id) else { continue };
            let divided = |found: &Centred, reader: NodeId| {
                !matches!(graph.node(reader), Node::Op(Op::Div, args) if args[0] == id)
                    || is_read(found, reader, &by_others)
            };
            if !is_read(self, id, &divided) {
                self.kinds.insert(id, Kind::Left);
            }
        }
        let differences: Vec<NodeId> = self.differences.keys().copied().collect();
        for id in differences {
            let by_itself = |found: &Centred, reader: NodeId| match found.kinds.get(&reader) {
                Some(Kind::Left | Kind::Corrected(_)) => false,
                Some(_) => true,
                None => {
                    // Squares and products that are but summed.
                    products(graph, reader).is_none()
                        || is_read(found, reader, &|found, sum| {
                            !matches!(found.kinds.get(&sum), Some(Kind::Products(_) | Kind::Left))
                        })
                }
            };
            if is_read(self, id, &by_itself) {
                self.kinds.insert(id, Kind::Difference);
            }
        }
    }

    /// Of a difference, or of the mean of its squares, what is without its mean again: right as it is.
    fn less_what_is_left(&self, graph: &Graph, args: &[NodeId]) -> Option<Kind> {
        // Whatever the sum is divided by, it stays.
        let of_mean = |id: NodeId| match graph.node(id) {
            Node::Op(Op::Div, args) => match graph.node(args[0]) {
                Node::Call(Call::Reduce(Reduce { by: Reduction::Sum, axes }), of) => {
                    let mean = self.differences.get(&of[0])?;
                    (mean.axes == *axes).then_some(of[0])
                }
                _ => None,
            },
            _ => None,
        };
        if of_mean(args[1]) == Some(args[0]) {
            return Some(Kind::Corrected(args[0]));
        }
        let &Node::Op(Op::Div, whole) = graph.node(args[0]) else { return None };
        let (axes, [d, same]) = sum_of_products(graph, whole[0])?;
        let [a, b] = products(graph, args[1])?;
        let is_variance = d == same
            && [a, b].map(of_mean) == [Some(d); 2]
            && self.differences.get(&d).is_some_and(|mean| mean.axes == axes);
        is_variance.then_some(Kind::Variance(d))
    }

    /// A reduction of a difference, or of a product of such.
    fn reduction(&self, graph: &Graph, id: NodeId, by: Reduce, of: NodeId) -> Option<Kind> {
        let along = |id: &NodeId| self.differences.get(id).map(|mean| mean.axes);
        if let Some(axes) = along(&of) {
            let stays = by.by == Reduction::Count || by.by == Reduction::Sum && by.axes == axes;
            return stays.then_some(Kind::Left);
        }
        let factors = products(graph, of)?;
        let fits = |axes| factors.iter().all(|id| along(id).is_some_and(|a| a == axes));
        match sum_of_products(graph, id) {
            Some((axes, _)) => fits(axes).then_some(Kind::Products(factors)),
            None => {
                let are = factors.iter().all(|id| along(id).is_some());
                (are && by.by == Reduction::Count).then_some(Kind::Left)
            }
        }
    }

    /// What a node becomes.
    pub(super) fn repair(&self, made: &mut Made<'_>, id: NodeId) -> New {
        let repaired = |rule: &'static str, new: Option<NodeId>| match new {
            Some(new) => New::Repaired(rule, new),
            None => New::Copied,
        };
        let kept = |new: Option<NodeId>| new.map_or(New::Copied, New::Kept);
        match self.kinds.get(&id) {
            None => New::Copied,
            Some(Kind::Difference) => repaired("centre", self.difference(made, id)),
            Some(Kind::Products(of)) => repaired("centred-sum", self.products(made, id, *of)),
            Some(Kind::OnePass(means)) => {
                repaired("one-pass-variance", one_pass_made(made, id, *means))
            }
            Some(Kind::Left) => kept(self.left(made, id)),
            Some(Kind::Corrected(of)) => {
                let operands = made.from.node(id).operands();
                let new = self.as_written(made, *of).and_then(|of| {
                    let left = made.of(operands[1]);
                    made.graph.op(Op::Sub, &[of, left]).ok()
                });
                kept(new)
            }
            Some(Kind::Variance(of)) => kept(self.variance(made, id, *of)),
        }
    }

    /// `x - mean(x)` as it was written.
    fn as_written(&self, made: &mut Made<'_>, id: NodeId) -> Option<NodeId> {
        let mean = self.differences.get(&id)?;
        let (of, mean) = (made.of(mean.of), made.of(mean.id));
        made.graph.op(Op::Sub, &[of, mean]).ok()
    }

    fn difference(&self, made: &mut Made<'_>, id: NodeId) -> Option<NodeId> {
        let mean = self.differences.get(&id)?;
        let (d, count) = (self.as_written(made, id)?, made.of(mean.count));
        let left = mean_of(&mut made.graph, d, mean.axes, count)?;
        let left = finite(&mut made.graph, left)?;
        made.graph.op(Op::Sub, &[d, left]).ok()
    }

    fn products(&self, made: &mut Made<'_>, id: NodeId, of: [NodeId; 2]) -> Option<NodeId> {
        let mean = self.differences.get(&of[1])?;
        let [left, right] = [self.as_written(made, of[0])?, self.as_written(made, of[1])?];
        let count = made.of(mean.count);
        let operand = made.from.node(id).operands()[0];
        let product = self.product(made, operand, [left, right])?;
        corrected(&mut made.graph, product, [left, right], mean.axes, count)
    }

    /// A product of two values, spelled as another one is.
    fn product(&self, made: &mut Made<'_>, as_in: NodeId, of: [NodeId; 2]) -> Option<NodeId> {
        match made.from.node(as_in) {
            Node::Op(Op::Pow, args) => {
                let two = made.of(args[1]);
                made.graph.op(Op::Pow, &[of[0], two]).ok()
            }
            _ => made.graph.op(Op::Mul, &of).ok(),
        }
    }

    /// A reduction over differences, or over their squares, as these were.
    fn left(&self, made: &mut Made<'_>, id: NodeId) -> Option<NodeId> {
        let Node::Call(call, args) = made.from.node(id) else { return None };
        let (call, of) = (*call, args[0]);
        let operand = match products(made.from, of) {
            Some(pair) if !self.differences.contains_key(&of) => {
                let pair = [self.as_written(made, pair[0])?, self.as_written(made, pair[1])?];
                self.product(made, of, pair)?
            }
            _ => self.as_written(made, of)?,
        };
        made.graph.call(call, &[operand]).ok()
    }

    fn variance(&self, made: &mut Made<'_>, id: NodeId, of: NodeId) -> Option<NodeId> {
        let operands = made.from.node(id).operands();
        let &Node::Op(Op::Div, args) = made.from.node(operands[0]) else { return None };
        let Node::Call(sum, squares) = made.from.node(args[0]) else { return None };
        let (sum, squares) = (*sum, squares[0]);
        let d = self.as_written(made, of)?;
        let squares = self.product(made, squares, [d, d])?;
        let sum = made.graph.call(sum, &[squares]).ok()?;
        let count = made.of(args[1]);
        let mean = made.graph.op(Op::Div, &[sum, count]).ok()?;
        let left = made.of(operands[1]);
        made.graph.op(Op::Sub, &[mean, left]).ok()
    }
}

fn one_pass_made(made: &mut Made<'_>, id: NodeId, means: [Mean; 2]) -> Option<NodeId> {
    let mut differences = [means[0].id; 2];
    for (difference, mean) in differences.iter_mut().zip(&means) {
        let (of, mean) = (made.of(mean.of), made.of(mean.id));
        *difference = made.graph.op(Op::Sub, &[of, mean]).ok()?;
    }
    let count = made.of(means[1].count);
    let axes = means[1].axes;
    let is_variance = differences[0] == differences[1];
    // Of two arrays, products of differences may overflow where those of elements do not.
    let written = if is_variance { None } else { Some(made.copied(id)) };
    let means = means.map(|mean| made.of(mean.id));
    let graph = &mut made.graph;
    let product = graph.op(Op::Mul, &differences).ok()?;
    let sum = corrected(graph, product, differences, axes, count)?;
    let new = graph.op(Op::Div, &[sum, count]).ok()?;
    if let Some(written) = written {
        let is_finite = graph.op(Op::IsFinite, &[new]).ok()?;
        return graph.op(Op::Select, &[is_finite, new, written]).ok();
    }
    // Where that has overflowed, what was written is the difference of two infinities.
    let off = graph.op(Op::Mul, &means).ok()?;
    let is_finite = graph.op(Op::IsFinite, &[off]).ok()?;
    let nan = graph.constant(graph.dtype(new), Scalar::Float(f64::NAN)).ok()?;
    graph.op(Op::Select, &[is_finite, new, nan]).ok()
}

/// `sum(d * e) - sum(d) * mean(e)`; of squares at least 0.
fn corrected(
    graph: &mut Graph,
    product: NodeId,
    [d, e]: [NodeId; 2],
    axes: Axes,
    count: NodeId,
) -> Option<NodeId> {
    let sum = Call::Reduce(Reduce { by: Reduction::Sum, axes });
    let whole = graph.call(sum, &[product]).ok()?;
    let (left, mean) = (graph.call(sum, &[d]).ok()?, mean_of(graph, e, axes, count)?);
    let off = graph.op(Op::Mul, &[left, mean]).ok()?;
    let off = finite(graph, off)?;
    let rest = graph.op(Op::Sub, &[whole, off]).ok()?;
    if d != e {
        return Some(rest);
    }
    let zero = graph.constant(graph.dtype(rest), Scalar::Float(0.0)).ok()?;
    graph.op(Op::Max, &[rest, zero]).ok()
}

fn mean_of(graph: &mut Graph, of: NodeId, axes: Axes, count: NodeId) -> Option<NodeId> {
    let sum = graph.call(Call::Reduce(Reduce { by: Reduction::Sum, axes }), &[of]).ok()?;
    graph.op(Op::Div, &[sum, count]).ok()
}

/// A value, or 0 where it is not finite.
fn finite(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let is_finite = graph.op(Op::IsFinite, &[id]).ok()?;
    let zero = graph.constant(graph.dtype(id), Scalar::Float(0.0)).ok()?;
    graph.op(Op::Select, &[is_finite, id, zero]).ok()
}

/// The mean of what, if a node is one: a sum by the count of as many elements.
fn mean(graph: &Graph, id: NodeId) -> Option<Mean> {
    let &Node::Op(Op::Div, args) = graph.node(id) else { return None };
    let Node::Call(Call::Reduce(sum), of) = graph.node(args[0]) else { return None };
    let is_count = match graph.node(args[1]) {
        Node::Call(Call::Reduce(count), counted) => {
            count.by == Reduction::Count
                && sum.axes == count.axes
                && graph.shape(of[0]) == graph.shape(counted[0])
        }
        _ => size(graph, of[0], sum.axes)
            .is_some_and(|size| graph.scalar(args[1]).map(Scalar::to_f64) == Some(size as f64)),
    };
    let fits = sum.by == Reduction::Sum && is_count;
    fits.then_some(Mean { of: of[0], axes: sum.axes, count: args[1], id })
}

/// How many elements a value has along axes, if that is known.
fn size(graph: &Graph, id: NodeId, axes: Axes) -> Option<usize> {
    let dims = graph.shape(id).dims()?;
    let along = axes.of_rank(dims.len()).ok()?;
    let sizes = dims.iter().zip(along).filter(|(_, is_along)| *is_along);
    sizes
        .map(|(dim, _)| match dim {
            Dim::Size(size) => Some(*size),
            Dim::Symbol(_) => None,
        })
        .product()
}

/// `x - mean(x)`.
fn difference(graph: &Graph, id: NodeId) -> Option<Mean> {
    let &Node::Op(Op::Sub, args) = graph.node(id) else { return None };
    mean(graph, args[1]).filter(|mean| mean.of == args[0])
}

/// The factors of a product or square.
fn products(graph: &Graph, id: NodeId) -> Option<[NodeId; 2]> {
    match graph.node(id) {
        Node::Op(Op::Mul, args) => Some([args[0], args[1]]),
        Node::Op(Op::Pow, args) if graph.scalar(args[1]).map(Scalar::to_f64) == Some(2.0) => {
            Some([args[0], args[0]])
        }
        _ => None,
    }
}

fn sum_of_products(graph: &Graph, id: NodeId) -> Option<(Axes, [NodeId; 2])> {
    let Node::Call(Call::Reduce(reduce), of) = graph.node(id) else { return None };
    let factors = products(graph, of[0]).filter(|_| reduce.by == Reduction::Sum)?;
    Some((reduce.axes, factors))
}

/// The means of `x` and of `y` in `mean(x * y) - mean(x) * mean(y)`.
fn one_pass(graph: &Graph, id: NodeId) -> Option<[Mean; 2]> {
    let &Node::Op(Op::Sub, args) = graph.node(id) else { return None };
    let whole = mean(graph, args[0])?;
    let [x, y] = products(graph, whole.of)?;
    let [a, b] = products(graph, args[1])?;
    let means = [mean(graph, a)?, mean(graph, b)?];
    let fits = means.iter().all(|mean| mean.axes == whole.axes)
        && ([means[0].of, means[1].of] == [x, y] || [means[1].of, means[0].of] == [x, y])
        && graph.shape(x) == graph.shape(y);
    fits.then_some(means)
}
