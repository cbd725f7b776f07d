//! What may run in one region. What may but need not is a matter of policy (`absorb`).

use super::cuts;
use super::products::{self, Products};
use super::region::Region;
use super::rows::{Rows, RowsId};
use super::siblings::{DomainId, Domains};
use kiln_ir::{Call, DType, Graph, Node, NodeId};
use std::collections::BTreeSet;

/// Why a value is not computed in the region of an op that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// It is not part of any region but an input, a number, or the result of a call.
    NotElementwise,
    /// It crosses a cut: it is computed once, whatever loading it costs.
    Cut,
    /// It is computed of a product that some reader's region cannot hold.
    Product,
}

/// What outputs of one region have in common: the level of calls, the stretch and the domain.
pub(super) type Group = (u32, u32, Domain);

/// What a region that stores a value loops over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Domain {
    /// The elements of an array.
    Elements(DomainId),
    /// Rows, of which it has reductions.
    Rows(RowsId),
    /// The elements of this product.
    Product(NodeId),
}

/// What is legal in one graph.
pub(super) struct Legal<'a> {
    graph: &'a Graph,
    pub(super) rows: Rows,
    products: Products,
    /// Which stretch between two cuts each node is in.
    stretches: Vec<u32>,
    /// Why some values are never computed where they are read.
    apart: Vec<Option<Apart>>,
    levels: Vec<Level>,
    /// Values that must be in memory: outputs, operands of calls, and what is computed apart.
    stored: BTreeSet<NodeId>,
}

impl<'a> Legal<'a> {
    /// With at most `most` ops in one region, and reductions along these rows.
    pub(super) fn new(graph: &'a Graph, most: usize, rows: Rows, products: Products) -> Legal<'a> {
        let fuses = |id: NodeId| fuses(graph, &rows, products, id);
        let stretches = cuts::stretches(graph, most, fuses);
        let levels = levels(graph, &rows, products);
        let mut apart = vec![None; graph.nodes().len()];
        let mut stored: BTreeSet<NodeId> = graph.outputs().iter().copied().collect();
        for (id, node) in graph.iter() {
            if let Node::Call(call, args) = node
                && (products.hold(graph, id) || !fuses(id))
            {
                // What is looked at alone need not be there, but what has its shape does.
                let (read, looked_at) = args.split_at(call.read_count(args.len()));
                stored.extend(read);
                stored.extend(looked_at.iter().filter(|&&arg| fuses(arg)));
                continue;
            }
            for arg in node.operands().into_iter().filter(|&arg| fuses(arg)) {
                let of = levels[arg.index()].product;
                if stretches[arg.index()] != stretches[id.index()] {
                    apart[arg.index()] = Some(Apart::Cut);
                } else if of.is_some() && of != levels[id.index()].product {
                    apart[arg.index()] = Some(Apart::Product);
                } else {
                    continue;
                }
                stored.insert(arg);
            }
        }
        Legal { graph, rows, products, stretches, apart, levels, stored }
    }

    /// The same with each call as a pass by itself.
    pub(super) fn apart(graph: &'a Graph, most: usize) -> Legal<'a> {
        Legal::new(graph, most, Rows::none(), Products::Apart)
    }

    /// Whether a value may be computed in the regions that read it.
    pub(super) fn join(&self, producer: NodeId) -> Result<(), Apart> {
        if !fuses(self.graph, &self.rows, self.products, producer) {
            return Err(Apart::NotElementwise);
        }
        self.apart[producer.index()].map_or(Ok(()), Err)
    }

    /// What an output shares with those that one region may store along with it.
    ///
    /// Values of one level cannot depend on each other through a call, and a stretch loads only
    /// from earlier ones, so the joint region never waits for itself.
    pub(super) fn group(&self, output: NodeId, domains: &Domains) -> Result<Group, Apart> {
        if !fuses(self.graph, &self.rows, self.products, output) {
            return Err(Apart::NotElementwise);
        }
        let at = output.index();
        let Level { calls, rows, product } = self.levels[at];
        if let Some(product) = product {
            return Ok((calls, self.stretches[at], Domain::Product(product)));
        }
        let rows = rows.or_else(|| self.rows.of_shape(self.graph.shape(output)));
        let domain = match rows {
            Some(rows) => Domain::Rows(rows),
            None => Domain::Elements(domains.of_node(output)),
        };
        Ok((calls, self.stretches[at], domain))
    }

    /// The rows of the reductions and scans that a value is computed of.
    pub(super) fn rows_of(&self, id: NodeId) -> Option<RowsId> {
        self.levels[id.index()].rows
    }

    /// The product that a region which stores a value may hold.
    pub(super) fn product_of(&self, id: NodeId) -> Option<NodeId> {
        self.levels[id.index()].product
    }

    /// What a product has on its left, if that is computed of whole rows of another product: one region may
    /// hold both.
    pub(super) fn chained(&self, id: NodeId) -> Option<NodeId> {
        let Node::Call(call, args) = self.graph.node(id) else { return None };
        let [left, right] = args[..] else { return None };
        if self.products != Products::Chained || !call.multiplies() {
            return None;
        }
        let first = self.levels[left.index()].product?;
        let (shape, of) = (self.graph.shape(left), self.graph.shape(first));
        let fits = self.levels[left.index()].rows.is_some()
            && products::is_matrix(self.graph.shape(right))
            && self.graph.dtype(left) == self.graph.dtype(first)
            && (shape == of || shape.dims().is_none() || of.dims().is_none())
            && matches!(self.graph.node(left), Node::Op(..))
            && self.stretches[left.index()] == self.stretches[id.index()];
        fits.then_some(left)
    }

    /// What a product has on its left, if that is computed of no product and its rows may be multiplied where they
    /// are computed: one region may hold both.
    pub(super) fn headed(&self, id: NodeId) -> Option<NodeId> {
        let Node::Call(call, args) = self.graph.node(id) else { return None };
        let [left, right] = args[..] else { return None };
        if self.products != Products::Chained || !call.multiplies() {
            return None;
        }
        let Level { rows, product, .. } = self.levels[left.index()];
        let are_rows = |rows| self.rows.are_whole(rows, self.graph.shape(left));
        let dtype = self.graph.dtype(left);
        let fits = matches!(self.graph.node(left), Node::Op(..))
            && product.is_none()
            && rows.is_none_or(are_rows)
            && dtype == self.graph.dtype(id)
            && [DType::F32, DType::F64].contains(&dtype)
            && [left, right].iter().all(|&id| products::is_matrix(self.graph.shape(id)))
            && self.join(left) != Err(Apart::Cut)
            && self.stretches[left.index()] == self.stretches[id.index()];
        (fits && products::is_far(self.graph, id).is_none()).then_some(left)
    }

    /// Whether a node is a product that a region may hold.
    pub(super) fn holds_product(&self, id: NodeId) -> bool {
        self.products.hold(self.graph, id)
    }

    /// Whether a region holds reductions, scans or products, which say what it loops over.
    pub(super) fn has_calls(&self, region: &Region) -> bool {
        region.ops.iter().any(|&id| self.rows.of_call(id).is_some() || self.holds_product(id))
    }

    /// What must be in memory, whatever policies say.
    pub(super) fn stored(&self) -> &BTreeSet<NodeId> {
        &self.stored
    }
}

/// Whether a node is a running sum or product.
pub(super) fn is_scan(node: &Node) -> bool {
    matches!(node, Node::Call(Call::Scan(_), _))
}

/// Whether a node may be part of a region.
fn fuses(graph: &Graph, rows: &Rows, products: Products, id: NodeId) -> bool {
    matches!(graph.node(id), Node::Op(..)) || rows.of_call(id).is_some() || products.hold(graph, id)
}

/// Where a value stands among the calls of its graph.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// The largest number of calls on a path to it, not counting reductions and scans of the rows that it is
    /// computed of.
    calls: u32,
    /// The rows of the reductions and scans on paths from the last of those calls.
    rows: Option<RowsId>,
    /// The product that its region may hold.
    product: Option<NodeId>,
}

fn levels(graph: &Graph, rows: &Rows, products: Products) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let operands: Vec<Level> = node.operands().iter().map(|id| levels[id.index()]).collect();
        let calls = operands.iter().map(|level| level.calls).max().unwrap_or(0);
        let below = operands.iter().filter(|level| level.calls == calls);
        let below_rows = below.clone().find_map(|level| level.rows);
        let product = below.clone().find_map(|level| level.product);
        let agree = |level: &Level| {
            (level.rows.is_none() || level.rows == below_rows)
                && (level.product.is_none() || level.product == product)
        };
        let are_of_product = |along: Option<RowsId>| match (along, product) {
            (Some(along), Some(product)) => rows.are_of(along, graph, product),
            _ => true,
        };
        // One region cannot hold all that they are computed of, so it loads some.
        let agree = below.clone().all(agree) && are_of_product(below_rows);
        let next = Level { calls: calls + 1, ..Level::default() };
        levels.push(match (node, rows.of_call(id)) {
            (_, Some(own))
                if agree
                    && are_of_product(Some(own))
                    && (product.is_none() || !is_scan(node))
                    && below_rows.is_none_or(|below| below == own) =>
            {
                Level { calls, rows: Some(own), product }
            }
            (_, Some(own)) => Level { rows: Some(own), ..next },
            // What it is of stands in memory.
            (Node::Call(call, args), None)
                if call.is_free() && !args.iter().any(|&arg| fuses(graph, rows, products, arg)) =>
            {
                Level { calls, rows: below_rows, product: None }
            }
            (Node::Call(..), None) => {
                Level { product: products.hold(graph, id).then_some(id), ..next }
            }
            _ => match product {
                // What is larger than the rows that it is computed of loads what they become.
                None if agree
                    && below_rows.is_none_or(|below| rows.admit(below, graph.shape(id))) =>
                {
                    Level { calls, rows: below_rows, product }
                }
                None => next,
                Some(of) => {
                    let is_admitted = products::admits(graph.shape(of), graph.shape(id));
                    let product = product.filter(|_| is_admitted);
                    match agree && is_admitted {
                        true => Level { calls, rows: below_rows, product },
                        false => Level { product, ..next },
                    }
                }
            },
        });
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::{Apart, Domain, Legal};
    use crate::fuse::regions::products::Products;
    use crate::fuse::regions::rows::Rows;
    use crate::fuse::regions::siblings::Domains;
    use kiln_ir::{Node, NodeId, Op, parse};

    #[test]
    fn reasons_are_given() {
        let graph = parse("exp(a @ b) * 2 + tanh(a @ b)").unwrap();
        let find = |wanted: fn(&Node) -> bool| -> Vec<NodeId> {
            graph.iter().filter(|(_, node)| wanted(node)).map(|(id, _)| id).collect()
        };
        let whole = Legal::new(&graph, 512, Rows::of(&graph), Products::Held);
        let product = find(|node| matches!(node, Node::Call(..)))[0];
        assert_eq!(whole.join(product), Ok(()));
        assert_eq!(Legal::apart(&graph, 512).join(product), Err(Apart::NotElementwise));
        let exp = find(|node| matches!(node, Node::Op(Op::Exp, _)))[0];
        assert_eq!(whole.join(exp), Ok(()));
        let domains = Domains::of(&graph);
        let group = whole.group(product, &domains).unwrap();
        assert_eq!(group, (1, 0, Domain::Product(product)));
        assert_eq!(whole.group(exp, &domains), Ok(group));
        // Two ops a region: the cut comes after the product by 2.
        let scaled = find(|node| matches!(node, Node::Op(Op::Mul, _)))[0];
        assert_eq!(
            Legal::new(&graph, 2, Rows::of(&graph), Products::Held).join(scaled),
            Err(Apart::Cut)
        );
    }

    /// What another region reads of a product's elements is stored, so no product is computed twice.
    #[test]
    fn products_are_of_one_region() {
        let text = "kernel k(x: f32[n, n], w: f32[n, n], v: f32[2, n, n]) {
            let h = x @ w + 1;
            (exp(h) @ w + h, sum[0](h), h * v, silu(x @ v) * exp(w @ v), sum[-1](h))
        }";
        let graph = parse(text).unwrap();
        let legal = Legal::new(&graph, 512, Rows::of(&graph), Products::Held);
        let product = |id: NodeId| legal.product_of(id);
        let products: Vec<NodeId> =
            graph.iter().map(|(id, _)| id).filter(|&id| legal.holds_product(id)).collect();
        let of = |op: Op| {
            graph.iter().find(|(_, node)| matches!(node, Node::Op(found, _) if *found == op))
        };
        let h = of(Op::Add).unwrap().0;
        assert_eq!((product(h), legal.join(h)), (Some(products[0]), Err(Apart::Product)));
        let outputs = graph.outputs();
        // It reads `h`, and belongs to the second product; a sum of rows belongs to the first, one of columns
        // and a larger array to none.
        assert_eq!(product(outputs[0]), Some(products[1]));
        assert_eq!((product(outputs[1]), product(outputs[2])), (None, None));
        assert_eq!(product(outputs[4]), Some(products[0]));
        // One of both products is computed apart.
        assert_eq!(product(outputs[3]), Some(products[2]));
        assert!(legal.stored().contains(&graph.node(outputs[3]).operands()[1]));
    }

    /// Reductions along the same axes of arrays of one shape join; others are calls between levels.
    #[test]
    fn rows_are_levels() {
        let text = "kernel k(x: f32[n, d]) {
            let e = exp(x - max[-1](x));
            let s = e / sum[1](e);
            (s, sum[0](s), x * 2, any[-1](x > 0))
        }";
        let graph = parse(text).unwrap();
        let legal = Legal::new(&graph, 512, Rows::of(&graph), Products::Held);
        let domains = Domains::of(&graph);
        let groups: Vec<_> =
            graph.outputs().iter().map(|&output| legal.group(output, &domains).unwrap()).collect();
        assert_eq!(groups[0], groups[3]);
        assert!(matches!(groups[0], (0, 0, Domain::Rows(_))));
        assert!(matches!(groups[1], (1, 0, Domain::Rows(_))) && groups[1].2 != groups[0].2);
        // Its shape is reduced along rows of two kinds.
        assert!(matches!(groups[2], (0, 0, Domain::Elements(_))));
        let calls = Legal::apart(&graph, 512);
        assert_eq!(calls.join(graph.outputs()[1]), Err(Apart::NotElementwise));
    }
}
