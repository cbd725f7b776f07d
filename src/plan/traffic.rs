//! Counts of what a plan does: passes, ops and bytes moved.

use super::{Access, Action, Dims, Plan, Step};
use kiln_ir::{Node, NodeId};

/// What a call, or a step of it, does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Ops on elements; a product takes a multiplication and an addition for each term.
    pub ops: usize,
    /// Bytes of the arrays that are read, counted once for every step that reads them.
    pub loaded: usize,
    /// Bytes of the arrays that are written.
    pub stored: usize,
}

impl Traffic {
    /// Bytes read and written.
    pub fn bytes(&self) -> usize {
        self.loaded.saturating_add(self.stored)
    }
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Traffic>>(steps: I) -> Traffic {
        steps.fold(Traffic::default(), |sum, step| Traffic {
            ops: sum.ops.saturating_add(step.ops),
            loaded: sum.loaded.saturating_add(step.loaded),
            stored: sum.stored.saturating_add(step.stored),
        })
    }
}

impl<K> Plan<K> {
    /// What each step does, for inputs of these shapes and a call of those.
    pub(crate) fn traffic<'a>(
        &self,
        shapes: &'a [Dims],
        input: &impl Fn(usize) -> &'a [usize],
    ) -> Vec<Traffic> {
        let in_parts = self.computes_parts(shapes);
        let of = |step: &Step<K>| {
            let shape = |access: &Access| self.shape_of(access, shapes, input);
            // A product of an array with itself reads it once.
            let first = |&at: &usize| {
                let is_same = |other: &Access| {
                    (other.place, other.view) == (step.args[at].place, step.args[at].view)
                };
                !step.args[..at].iter().any(is_same)
            };
            let reads = !matches!(&step.action, Action::Call(call) if !call.reads());
            // Parts that were computed in their place are left there.
            let (there, moved): (Vec<&Access>, Vec<&Access>) = (0..step.args.len())
                .filter(|at| reads && first(at))
                .map(|at| &step.args[at])
                .partition(|arg| in_parts && self.is_part(step, arg));
            let of_all = |accesses: &[&Access]| {
                let all = accesses.iter().map(|access| bytes(shape(access), access));
                all.fold(0, usize::saturating_add)
            };
            let results: Vec<&Access> = step.results.iter().collect();
            let ops_each = match &step.action {
                Action::Map { body, .. } => body.op_count(),
                Action::Call(call) => {
                    let args: Vec<&[usize]> = step.args.iter().map(shape).collect();
                    call.ops(&args)
                }
            };
            let ops = self.elements(step, shapes).saturating_mul(ops_each);
            Traffic {
                ops: ops.saturating_add(self.product_ops(step, shapes, input)),
                loaded: of_all(&moved),
                stored: of_all(&results).saturating_sub(of_all(&there)),
            }
        };
        self.steps.iter().map(of).collect()
    }

    /// The FLOP of the products that a fused kernel has.
    pub(crate) fn product_ops<'a>(
        &self,
        step: &Step<K>,
        shapes: &'a [Dims],
        input: &impl Fn(usize) -> &'a [usize],
    ) -> usize {
        let Action::Map { body, .. } = &step.action else { return 0 };
        let shape = |at: usize| self.shape_of(&step.args[at], shapes, input);
        let product = |id: NodeId, operands: [&[usize]; 2]| -> (Dims, usize) {
            let Node::Call(call, _) = body.node(id) else { unreachable!("a product is a call") };
            let result = call.infer(&operands).expect("they are those of the plan");
            let ops = count(&result).saturating_mul(call.ops(&operands));
            (result, ops)
        };
        let first = body.product().map(|(id, operands)| product(id, operands.map(shape)));
        let second = body.second_product().map_or(0, |(id, left, right)| {
            let args: Vec<&[usize]> = (0..step.args.len()).map(shape).collect();
            let shapes = body.shapes(&args).expect("they are those of the plan");
            product(id, [&shapes[left.index()], args[right]]).1
        });
        first.map_or(0, |(_, ops)| ops).saturating_add(second)
    }

    /// How many elements a step of a call loops over.
    pub(crate) fn elements(&self, step: &Step<K>, shapes: &[Dims]) -> usize {
        count(&shapes[step.domain])
    }

    /// What fused kernels do per element, if every operand is a full array; a product counts as one
    /// op and moves nothing.
    pub(crate) fn per_element(&self) -> Traffic {
        let bytes = |accesses: &[Access]| accesses.iter().map(|access| access.dtype.size()).sum();
        let of = |step: &Step<K>| match &step.action {
            Action::Map { body, .. } => {
                let mut domain = body.domain();
                domain.extend(body.second_domain());
                domain.sort_unstable();
                domain.dedup();
                let read = domain.iter().filter_map(|&id| match body.node(id) {
                    Node::Input(index) => Some(step.args[*index as usize].dtype.size()),
                    _ => None,
                });
                Traffic {
                    ops: body.op_count()
                        + usize::from(body.product().is_some())
                        + usize::from(body.second_product().is_some()),
                    loaded: read.sum(),
                    stored: bytes(&step.results),
                }
            }
            Action::Call(_) => Traffic { ops: 1, ..Traffic::default() },
        };
        self.steps.iter().map(of).sum()
    }
}

/// Elements of an array. A view that repeats one element can have more than any memory holds.
fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |count, &size| count.saturating_mul(size))
}

fn bytes(shape: &[usize], access: &Access) -> usize {
    count(shape).saturating_mul(access.dtype.size())
}
