//! Bytes of arrays, as far as their shapes are known.

use kiln::Graph;
use kiln::ir::{Call, Dim, Node, NodeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Sizes that stand for those of an array of unknown rank.
const STAND_IN: [usize; 2] = [1009, 1013];

/// What is known of how many elements values have.
pub(crate) struct Elements(HashMap<NodeId, usize>);

impl Elements {
    /// Those of all values that could be found if arrays of unknown rank were alike.
    pub(crate) fn of(graph: &Graph) -> Elements {
        let mut shapes: HashMap<NodeId, Vec<Vec<usize>>> = HashMap::new();
        for (id, node) in graph.iter() {
            let operands = node.operands().into_iter();
            let operands: Option<Vec<&[usize]>> =
                operands.map(|operand| Some(&shapes.get(&operand)?.first()?[..])).collect();
            let made = match (node, operands) {
                (Node::Input(index), _) => {
                    let size = |dim: &Dim| match dim {
                        Dim::Size(size) => *size,
                        Dim::Symbol(_) => STAND_IN[1],
                    };
                    let dims = graph.inputs()[*index as usize].dims.as_ref();
                    let dims = dims.map(|dims| dims.iter().map(size).collect());
                    Some(vec![dims.unwrap_or_else(|| STAND_IN.to_vec())])
                }
                (Node::Fused { body, .. }, Some(args)) => body.shapes(&args).ok().map(|all| {
                    body.outputs().iter().map(|output| all[output.index()].to_vec()).collect()
                }),
                (Node::Call(call, _), Some(args)) => {
                    call.infer(&args).ok().map(|dims| vec![dims.to_vec()])
                }
                (Node::Item { of, index }, _) => {
                    shapes.get(of).and_then(|all| Some(vec![all.get(*index as usize)?.clone()]))
                }
                _ => None,
            };
            if let Some(made) = made {
                shapes.insert(id, made);
            }
        }
        let count = |all: &Vec<Vec<usize>>| all.first().map_or(0, |shape| shape.iter().product());
        Elements(shapes.iter().map(|(id, all)| (*id, count(all))).collect())
    }
}

/// A sum of sizes of arrays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    known: u64,
    /// Of arrays of unknown rank, for each element.
    each: u64,
    /// Of what reductions make of those, for each row.
    row: u64,
    /// What symbols are multiplied by, by their names: `4` of `n·d`.
    symbolic: BTreeMap<String, u64>,
}

impl Bytes {
    /// Those of a value.
    pub(crate) fn of(graph: &Graph, elements: &Elements, id: NodeId) -> Bytes {
        let size = graph.dtype(id).size() as u64;
        let mut bytes = Bytes::default();
        // Places along an axis are counted, not read.
        if matches!(graph.node(id), Node::Call(Call::Iota(_), _)) {
            return bytes;
        }
        let Some(dims) = graph.shape(id).dims() else {
            return match elements.0.get(&id) {
                Some(1) => Bytes { known: size, ..bytes },
                Some(&count) if count < STAND_IN.iter().product() => Bytes { row: size, ..bytes },
                _ => Bytes { each: size, ..bytes },
            };
        };
        let (mut known, mut names) = (size, Vec::new());
        for dim in dims {
            match dim {
                Dim::Size(size) => known = known.saturating_mul(*size as u64),
                Dim::Symbol(name) => names.push(&**name),
            }
        }
        names.sort_unstable();
        match names.is_empty() {
            true => bytes.known = known,
            false => {
                bytes.symbolic.insert(names.join("·"), known);
            }
        }
        bytes
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(all: I) -> Bytes {
        all.fold(Bytes::default(), |mut sum, bytes| {
            sum.known = sum.known.saturating_add(bytes.known);
            sum.each = sum.each.saturating_add(bytes.each);
            sum.row = sum.row.saturating_add(bytes.row);
            for (names, known) in bytes.symbolic {
                let all = sum.symbolic.entry(names).or_default();
                *all = all.saturating_add(known);
            }
            sum
        })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.each > 0 {
            parts.push(format!("{} B an element", self.each));
        }
        if self.row > 0 {
            parts.push(format!("{} B a row", self.row));
        }
        let terms: Vec<String> =
            self.symbolic.iter().map(|(names, known)| format!("{known}·{names}")).collect();
        if !terms.is_empty() {
            parts.push(format!("{} B", terms.join(" + ")));
        }
        if self.known > 0 || parts.is_empty() {
            parts.push(readable(self.known));
        }
        f.write_str(&parts.join(" + "))
    }
}

/// `512 B`, `4.0 KiB`, `16.0 MiB`.
fn readable(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= 4 * unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}
