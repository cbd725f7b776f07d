//! The network of a fused graph.

use super::bytes::{Bytes, Elements};
use super::network::{End, Item, Kind, Network};
use kiln::Graph;
use kiln::ir::{Body, Input, Node, NodeId, Op};
use std::collections::{BTreeMap, HashMap};

/// The most ops that a picture shows one by one. Of more, it shows how many there are of each.
pub(crate) const MOST_OPS: usize = 250;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Passes are boxes, with nothing said of them.
    Passes,
    /// Kernels are boxes with what they move; their ops are inside.
    Kernels,
}

/// The steps of a graph whose every op is in a fused kernel.
pub(crate) fn network(graph: &Graph, detail: Detail) -> Network {
    let steps = graph.nodes().iter().filter(|node| is_step(node)).count();
    if steps > MOST_OPS {
        return summary(graph);
    }
    let is_large = op_count(graph) > MOST_OPS;
    let arrays = Arrays::of(graph);
    let elements = Elements::of(graph);
    let mut network = Network::default();
    let mut ends: HashMap<NodeId, End> = HashMap::new();
    let mut numbers = 1..;
    for (id, node) in graph.iter() {
        let mut item = match node {
            Node::Input(index) => {
                Item::new(Kind::Input, graph.inputs()[*index as usize].to_string())
            }
            Node::Fused { body, args } => kernel(body, &arrays.names_of(args), is_large),
            Node::Call(call, args) => {
                // What is free is read as it says by what comes after it.
                let kind = if call.is_free() { Kind::Op } else { Kind::Pass };
                Item::new(kind, call.expression(&vec![HOLE; args.len()]))
            }
            Node::Item { of, index } => {
                let End { item, .. } = ends[of];
                ends.insert(id, End { item, port: *index as usize });
                continue;
            }
            Node::Const(_) | Node::Op(..) => panic!("a fused graph has no bare ops: {graph}"),
        };
        if detail == Detail::Kernels && is_step(node) {
            let number = numbers.next().expect("there are enough");
            item.label = format!("{number}. {}", item.label);
            let bytes = |ids: &[NodeId]| {
                ids.iter().map(|&id| Bytes::of(graph, &elements, id)).sum::<Bytes>()
            };
            item.notes.push(format!("in {}", bytes(&node.operands())));
            item.notes.push(format!("out {}", bytes(&arrays.results[&id])));
        }
        let mut operands: Vec<End> = node.operands().iter().map(|operand| ends[operand]).collect();
        if is_large {
            // One wire stands for all from a kernel to another.
            operands.iter_mut().for_each(|end| end.port = 0);
            operands.sort_unstable();
            operands.dedup();
        }
        let at = network.add(item, operands);
        ends.insert(id, End { item: at, port: 0 });
    }
    add_outputs(graph, &mut network, |id| ends[&id]);
    network
}

/// What steps write, and what it is called: as `kiln explain --stage why` says it.
struct Arrays {
    /// The results of each step that something reads.
    results: HashMap<NodeId, Vec<NodeId>>,
    names: HashMap<NodeId, String>,
}

impl Arrays {
    fn of(graph: &Graph) -> Arrays {
        let mut arrays = Arrays { results: HashMap::new(), names: HashMap::new() };
        let mut buffers = 0;
        for (id, node) in graph.iter() {
            let step = match node {
                Node::Input(index) => {
                    arrays.names.insert(id, graph.inputs()[*index as usize].name.clone());
                    continue;
                }
                Node::Item { of, .. } => *of,
                Node::Call(call, args) if call.is_free() => {
                    let name = call.expression(&arrays.names_of(args));
                    arrays.names.insert(id, name);
                    continue;
                }
                Node::Call(..) => id,
                Node::Fused { .. } | Node::Const(_) | Node::Op(..) => continue,
            };
            arrays.results.entry(step).or_default().push(id);
            let output = graph.outputs().iter().position(|output| *output == id);
            let name = match output {
                Some(index) => output_name(graph, index),
                None => format!("t{buffers}"),
            };
            buffers += usize::from(output.is_none());
            arrays.names.insert(id, name);
        }
        arrays
    }

    fn names_of(&self, ids: &[NodeId]) -> Vec<&str> {
        ids.iter().map(|id| self.names.get(id).map_or("", String::as_str)).collect()
    }
}

/// What the text calls an output, or its number.
fn output_name(graph: &Graph, index: usize) -> String {
    graph.output_name(index).map_or_else(|| format!("output {index}"), str::to_string)
}

/// Whether a node is a pass over memory.
pub(crate) fn is_step(node: &Node) -> bool {
    match node {
        Node::Fused { .. } => true,
        Node::Call(call, _) => !call.is_free(),
        _ => false,
    }
}

/// The ops of all fused kernels.
pub(crate) fn op_count(graph: &Graph) -> usize {
    let bodies = graph.nodes().iter().map(|node| match node {
        Node::Fused { body, .. } => body.op_count(),
        _ => 0,
    });
    bodies.sum()
}

fn add_outputs(graph: &Graph, network: &mut Network, end: impl Fn(NodeId) -> End) {
    for (index, &output) in graph.outputs().iter().enumerate() {
        let array = format!("{}{}", graph.dtype(output), graph.shape(output));
        let is_only = graph.outputs().len() == 1 && graph.output_name(index).is_none();
        let label = match is_only {
            true => array,
            false => format!("{}: {array}", output_name(graph, index)),
        };
        network.add(Item::new(Kind::Output, label), [end(output)]);
    }
}

/// What stands for an operand that a wire brings.
const HOLE: &str = "·";

/// A fused kernel: a box for a single op, else a box around its ops.
fn kernel(body: &Body, names: &[&str], is_large: bool) -> Item {
    match body.op_count() {
        count if body.has_rows() => {
            let mut item = Item::new(Kind::Pass, format!("kernel of {count} ops over rows"));
            match is_large {
                true => item.notes.extend(tally(body.nodes())),
                false => item.inside = Some(inside(body, names)),
            }
            item
        }
        0 if !names.is_empty() => Item::new(Kind::Pass, "copy"),
        0 | 1 if body.outputs().len() == 1 => {
            let holes = vec![HOLE.to_string(); body.inputs().len()];
            Item::new(Kind::Pass, body.expression_of(holes))
        }
        count if is_large => {
            let mut item = Item::new(Kind::Pass, format!("kernel of {count} ops"));
            item.notes.extend(tally(body.nodes()));
            item
        }
        count => {
            let mut item = Item::new(Kind::Pass, format!("kernel of {count} ops"));
            item.inside = Some(inside(body, names));
            item
        }
    }
}

/// The ops of a fused kernel, its loads and its stores.
fn inside(body: &Body, names: &[&str]) -> Network {
    let mut network = Network::default();
    let mut ends: HashMap<NodeId, End> = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        let item = network.add(Item::new(Kind::Load, format!("load {name}")), []);
        ends.insert(body.input_node(index), End { item, port: 0 });
    }
    for (id, node) in body.iter() {
        let (label, args) = match node {
            Node::Op(op, args) => (label(body, *op, args), &args[..]),
            Node::Call(call, args) => (call.expression(&vec![HOLE; args.len()]), &args[..]),
            _ => continue,
        };
        let operands: Vec<End> = args.iter().filter_map(|arg| ends.get(arg).copied()).collect();
        let item = network.add(Item::new(Kind::Op, label), operands);
        ends.insert(id, End { item, port: 0 });
    }
    for output in body.outputs() {
        let end = ends.get(output).copied();
        // Else it stores a number.
        let end = end.unwrap_or_else(|| {
            let item = Item::new(Kind::Op, number(body, *output));
            End { item: network.add(item, []), port: 0 }
        });
        network.add(Item::new(Kind::Store, "store"), [end]);
    }
    network
}

/// An op as text, numbers among its operands and holes for the others: `fma(·, ·, 1)`.
fn label(body: &Graph, op: Op, args: &[NodeId]) -> String {
    let mut alone = Graph::unbounded("op");
    let mut holes = Vec::new();
    let mut operand = |arg: NodeId, alone: &mut Graph| match body.scalar(arg) {
        Some(number) => alone.constant(body.dtype(arg), number),
        None => {
            holes.push(HOLE.to_string());
            let (name, dims) = (format!("v{}", holes.len()), Some(Vec::new()));
            alone.input(Input { name, dtype: body.dtype(arg), dims })
        }
    };
    let operands: Result<Vec<NodeId>, _> =
        args.iter().map(|&arg| operand(arg, &mut alone)).collect();
    match operands.and_then(|operands| alone.op(op, &operands)) {
        Ok(result) => {
            alone.output(result);
            alone.expression_of(holes)
        }
        Err(_) => op.name().to_string(),
    }
}

/// A constant as text.
fn number(body: &Graph, id: NodeId) -> String {
    let mut alone = Graph::unbounded("number");
    let copied = alone.copy_node(body, id, &[]);
    copied.map_or_else(
        |_| "constant".into(),
        |id| {
            alone.output(id);
            alone.expression()
        },
    )
}

/// One box for a program with more steps than one can look at.
fn summary(graph: &Graph) -> Network {
    let mut network = Network::default();
    let (inputs, outputs) = (graph.inputs().len(), graph.outputs().len());
    let inputs = network.add(Item::new(Kind::Input, format!("inputs: {inputs}")), []);
    let steps = graph.nodes().iter().filter(|node| is_step(node)).count();
    let mut all = Item::new(Kind::Pass, format!("{steps} passes"));
    let bodies = graph.nodes().iter().flat_map(|node| match node {
        Node::Fused { body, .. } => body.nodes(),
        node => std::slice::from_ref(node),
    });
    all.notes.extend(tally(bodies));
    let all = network.add(all, [End { item: inputs, port: 0 }]);
    let outputs = Item::new(Kind::Output, format!("outputs: {outputs}"));
    network.add(outputs, [End { item: all, port: 0 }]);
    network
}

/// How many there are of each op, the most frequent ones first, a few to a line.
fn tally<'g>(nodes: impl IntoIterator<Item = &'g Node>) -> Vec<String> {
    const LINES: usize = 6;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        let name = match node {
            Node::Op(op, _) => op.name(),
            Node::Call(call, _) => call.info().name,
            _ => continue,
        };
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let mut lines: Vec<String> = words.chunks(3).map(|words| words.join(", ")).collect();
    if lines.len() > LINES {
        lines.truncate(LINES);
        lines.push("..".into());
    }
    lines
}
