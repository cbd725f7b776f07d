//! Bytes of arrays, as far as their shapes are known.

use kiln::Graph;
use kiln::ir::{Dim, NodeId};
use std::collections::BTreeMap;
use std::fmt;

/// A sum of sizes of arrays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    known: u64,
    /// Of arrays of unknown rank, for each element.
    each: u64,
    /// What symbols are multiplied by, by their names: `4` of `n·d`.
    symbolic: BTreeMap<String, u64>,
}

impl Bytes {
    /// Those of a value.
    pub(crate) fn of(graph: &Graph, id: NodeId) -> Bytes {
        let size = graph.dtype(id).size() as u64;
        let mut bytes = Bytes::default();
        let Some(dims) = graph.shape(id).dims() else { return Bytes { each: size, ..bytes } };
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
