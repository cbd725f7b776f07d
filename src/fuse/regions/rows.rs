//! Rows: what the reductions and scans of one region have in common.
//!
//! A region with such calls runs as stages over the rows of its domain, so all of them go along the
//! same axes of arrays that are as large as the domain. Where ranks are unknown, arrays are taken to
//! be: a call in which they are not runs the region's body pass by pass.
//!
//! What a scan gives has an element for each of a row, so a region with a product holds none: it has blocks of
//! rows, or some of them at a time, and keeps none of what it stores.

use super::products;
use kiln_ir::{Axes, Call, Graph, Node, NodeId, Shape};
use std::collections::HashMap;

/// A kind of rows in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RowsId(u32);

/// Axes of a domain; `None` is one of unknown rank.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    axes: Axes,
    domain: Option<Shape>,
}

/// The kinds of rows in a graph.
pub(super) struct Rows {
    keys: Vec<Key>,
    /// For each kind, the shapes that are reduced.
    reduced: Vec<Vec<Shape>>,
    /// The kind of each reduction and of each scan.
    of: HashMap<NodeId, RowsId>,
}

impl Rows {
    pub(super) fn of(graph: &Graph) -> Rows {
        let mut rows = Rows { keys: Vec::new(), reduced: Vec::new(), of: HashMap::new() };
        for (id, node) in graph.iter() {
            let (axes, args) = match node {
                Node::Call(Call::Reduce(reduce), args) => (reduce.axes, args),
                Node::Call(Call::Scan(scan), args) => match scan.axes() {
                    Ok(axes) => (axes, args),
                    Err(_) => continue,
                },
                _ => continue,
            };
            let shape = graph.shape(args[0]);
            let axes = match shape.dims() {
                Some(dims) => axes.from_last(dims.len()),
                None => axes,
            };
            let domain = shape.dims().map(|_| shape.clone());
            let kind = rows.add(Key { axes, domain });
            let reduced = &mut rows.reduced[kind.0 as usize];
            if !reduced.contains(shape) {
                reduced.push(shape.clone());
            }
            rows.of.insert(id, kind);
        }
        rows
    }

    /// No reduction and no scan is part of any region.
    pub(super) fn none() -> Rows {
        Rows { keys: Vec::new(), reduced: Vec::new(), of: HashMap::new() }
    }

    fn add(&mut self, key: Key) -> RowsId {
        let known = self.keys.iter().position(|known| *known == key);
        let index = known.unwrap_or_else(|| {
            self.keys.push(key);
            self.reduced.push(Vec::new());
            self.keys.len() - 1
        });
        RowsId(index as u32)
    }

    /// The rows that a reduction or a scan goes along, if it may be part of a region.
    pub(super) fn of_call(&self, id: NodeId) -> Option<RowsId> {
        self.of.get(&id).copied()
    }

    /// Whether a value of this shape has a place in a region of such rows.
    pub(super) fn admit(&self, rows: RowsId, shape: &Shape) -> bool {
        let rows = rows.0 as usize;
        let fits = |reduced: &Shape| reduced.fits(shape);
        let covers = match &self.keys[rows].domain {
            Some(domain) => shape.dims().is_none() || domain.covers(shape),
            None => true,
        };
        covers && self.reduced[rows].iter().all(fits)
    }

    /// Whether they are the rows of a product, and short enough for its region to fold.
    pub(super) fn are_of(&self, rows: RowsId, graph: &Graph, product: NodeId) -> bool {
        // Of a matrix and a vector, the rows are the product's columns.
        let is_turned = graph
            .shape(graph.node(product).operands()[1])
            .dims()
            .is_some_and(|dims| dims.len() == 1);
        self.are_whole(rows, graph.shape(product))
            && !is_turned
            && !products::is_long(graph, product)
    }

    /// Whether they are those of an array of this shape, along its last axis.
    pub(super) fn are_whole(&self, rows: RowsId, shape: &Shape) -> bool {
        let Key { axes, domain } = &self.keys[rows.0 as usize];
        let fits = |domain: &Shape| shape.dims().is_none() || domain == shape;
        *axes == Axes::LAST && domain.as_ref().is_none_or(fits)
    }

    /// The only kind of rows in which arrays of this shape are reduced.
    pub(super) fn of_shape(&self, shape: &Shape) -> Option<RowsId> {
        let mut kinds = (0..self.keys.len()).filter(|&kind| self.reduced[kind].contains(shape));
        let kind = kinds.next()?;
        kinds.next().is_none().then_some(RowsId(kind as u32))
    }
}
