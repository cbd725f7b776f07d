//! The shapes of a call, by NumPy's rules.

use super::{Action, Place, Plan};
use kiln_ir::Graph;
use smallvec::SmallVec;

/// Ranks up to this need no allocation.
pub(crate) const RANK: usize = 6;

/// The shape of an array.
pub(crate) type Dims = SmallVec<[usize; RANK]>;

/// Shapes that a step cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShapeError {
    /// Operands of a fused kernel that do not broadcast: each one's name and shape.
    Broadcast { operands: Vec<String> },
    /// Operands that cannot be multiplied, and why.
    Matmul { left: Vec<usize>, right: Vec<usize>, reason: String },
}

/// The first shape that does not broadcast with those before it.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) index: usize,
    /// What those before it broadcast to.
    pub(crate) other: Vec<usize>,
    /// The first dimension that fails, counted from the last, which is 1.
    pub(crate) axis: usize,
}

impl<K> Plan<K> {
    /// The shape of what each step computes, for inputs of these shapes.
    // Shapes are pushed, not collected: `relu` of 16 takes 101 ns instead of 140.
    #[inline]
    pub(crate) fn shapes<'a>(
        &self,
        input: impl Fn(usize) -> &'a [usize],
    ) -> Result<SmallVec<[Dims; 2]>, ShapeError> {
        let mut shapes: SmallVec<[Dims; 2]> = SmallVec::new();
        for step in &self.steps {
            let mut args: SmallVec<[&[usize]; 8]> = SmallVec::new();
            step.args.iter().for_each(|arg| args.push(self.shape_of(arg.place, &shapes, &input)));
            let shape = match &step.action {
                Action::Matmul => matmul(args[0], args[1])?,
                Action::Map { body, .. } => domain(body, &args)?,
            };
            drop(args);
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// The shape of what is at a place, given those of inputs and of steps.
    pub(crate) fn shape_of<'s, 'i: 's>(
        &self,
        place: Place,
        steps: &'s [Dims],
        input: &impl Fn(usize) -> &'i [usize],
    ) -> &'s [usize] {
        match place {
            Place::Input(index) => input(index),
            Place::Output(output) => &steps[self.written[output]],
            Place::Buffer(buffer) => &steps[self.buffers[buffer].written],
        }
    }
}

/// The shape that operands of a fused body broadcast to.
fn domain(body: &Graph, args: &[&[usize]]) -> Result<Dims, ShapeError> {
    match args {
        [first, rest @ ..] if rest.iter().all(|shape| shape == first) => Ok((*first).into()),
        _ => broadcast(args).map_err(|_| {
            let named = body.inputs().iter().zip(args);
            let operands = named.map(|(input, shape)| format!("{} {shape:?}", input.name));
            ShapeError::Broadcast { operands: operands.collect() }
        }),
    }
}

/// The shape that `shapes` broadcast to.
pub(crate) fn broadcast(shapes: &[&[usize]]) -> Result<Dims, Misfit> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = Dims::from_elem(1, rank);
    let mut so_far = 0;
    for (index, shape) in shapes.iter().enumerate() {
        so_far = shape.len().max(so_far);
        for (axis, &size) in shape.iter().rev().enumerate() {
            let known = &mut result[rank - 1 - axis];
            match (*known, size) {
                (_, 1) => {}
                (1, _) => *known = size,
                (known, size) if known == size => {}
                _ => {
                    let other = result[rank - so_far..].to_vec();
                    return Err(Misfit { index, other, axis: axis + 1 });
                }
            }
        }
    }
    Ok(result)
}

/// The shape of a product: vectors are promoted to matrices and the dimension added is dropped
/// again; dimensions before the last two broadcast.
pub(crate) fn matmul(left: &[usize], right: &[usize]) -> Result<Dims, ShapeError> {
    let refuse =
        |reason| Err(ShapeError::Matmul { left: left.to_vec(), right: right.to_vec(), reason });
    let (left_batch, left_matrix) = left.split_at(left.len().saturating_sub(2));
    let (right_batch, right_matrix) = right.split_at(right.len().saturating_sub(2));
    let (m, k) = match *left_matrix {
        [m, k] => (Some(m), k),
        [k] => (None, k),
        _ => return refuse("the left operand is a scalar: use `*`".into()),
    };
    let (right_k, n) = match *right_matrix {
        [k, n] => (k, Some(n)),
        [k] => (k, None),
        _ => return refuse("the right operand is a scalar: use `*`".into()),
    };
    if k != right_k {
        return refuse(mismatch(left, right));
    }
    match broadcast(&[left_batch, right_batch]) {
        Ok(mut shape) => {
            shape.extend(m.into_iter().chain(n));
            Ok(shape)
        }
        Err(_) => refuse(format!(
            "batch dimensions {left_batch:?} and {right_batch:?} do not broadcast: sizes must be \
             equal, or one of them 1"
        )),
    }
}

/// What to say where the inner sizes of a product differ.
fn mismatch(left: &[usize], right: &[usize]) -> String {
    let (left_axis, right_axis) = (left.len() - 1, right.len().saturating_sub(2));
    let (k, right_k) = (left[left_axis], right[right_axis]);
    let mut reason = format!(
        "dimension {left_axis} of the left operand is {k}, dimension {right_axis} of the right \
         operand is {right_k}; they must be equal"
    );
    if right.len() >= 2 && right.last() == Some(&k) {
        reason += " (transpose the right operand?)";
    } else if left.len() >= 2 && left[left_axis - 1] == right_k {
        reason += " (transpose the left operand?)";
    }
    reason
}
