//! Views of what is reduced, or of a product, go where results go: `squeeze[-1](sum[-1](x)) * y` becomes
//! `squeeze[-1](sum[-1](x) * unsqueeze[-1](y))`.
//!
//! So what is computed of it is one kernel with it, and an output is written where a view has its elements.

use super::{Broadcast, Sink, broadcast};
use kiln_ir::{Call, Node, NodeId, Op, Shape, View};

impl Sink {
    /// The view of an op that is, element by element, the op of a view; `None` where none of its operands is a view
    /// of what would be one kernel with it.
    pub(super) fn risen(&mut self, op: Op, operands: &[NodeId]) -> Option<NodeId> {
        let (view, of, inner) = operands.iter().find_map(|&id| {
            let (view, inner) = self.view_of_reduced(id)?;
            // Rows are not stored by columns, as tiles of products are.
            let is_result = view.keeps_rows() || self.products.contains(&inner);
            let is_stored = [id, inner].iter().any(|id| self.stored.contains(id));
            (view.is_one_to_one() && is_result && !is_stored).then_some((view, id, inner))
        })?;
        let whole = self.graph.shape(of).clone();
        let mut below = Vec::with_capacity(operands.len());
        for &operand in operands {
            below.push(match self.view_of_reduced(operand) {
                Some((other, inner)) if other == view && *self.graph.shape(operand) == whole => {
                    inner
                }
                Some(_) => return None,
                None if self.graph.shape(operand).is_scalar() => operand,
                None if self.reduced.contains(&operand) => return None,
                None => self.below(view.inverse()?, operand, &whole)?,
            });
        }
        let below = self.graph.op(op, &below).ok()?;
        let fits = self.graph.shape(below) == self.graph.shape(inner);
        let above = self.call(view, below);
        let kept = self.graph.op(op, operands).ok()?;
        if !fits || self.graph.shape(above) != self.graph.shape(kept) {
            return None;
        }
        self.reduced.insert(below);
        if self.products.contains(&inner) {
            self.products.insert(below);
        }
        Some(above)
    }

    /// The view that a value is, and what of, where that is one kernel with what is computed of it.
    fn view_of_reduced(&self, id: NodeId) -> Option<(View, NodeId)> {
        match self.graph.node(id) {
            Node::Call(Call::View(view), args) if self.reduced.contains(&args[0]) => {
                Some((*view, args[0]))
            }
            _ => None,
        }
    }

    /// What stands for an operand below a view whose inverse is `undo`; the operand broadcasts to `whole` above it.
    fn below(&mut self, undo: View, operand: NodeId, whole: &Shape) -> Option<NodeId> {
        let own = self.graph.shape(operand).clone();
        if own == *whole {
            return Some(self.view(undo, operand));
        }
        Some(match broadcast(undo, own.dims()?, whole.dims()?)? {
            Broadcast::View(None) => operand,
            Broadcast::View(Some(view)) => self.view(view, operand),
            Broadcast::Aligned(added) => {
                let aligned = self.call(View::Unsqueeze(added), operand);
                self.view(undo, aligned)
            }
        })
    }
}
