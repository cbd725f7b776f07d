//! The shapes of a call, by NumPy's rules.

use super::{Action, Place, Plan};
use kiln_ir::{Call, DType, Graph, broadcast};
use smallvec::SmallVec;

/// The shape of an array.
pub(crate) type Dims = kiln_ir::Dims<usize>;

/// The shape of what each step of a plan computes.
pub(crate) type Shapes = SmallVec<[Dims; 2]>;

/// Shapes that a step cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShapeError {
    /// Operands of a fused kernel that do not broadcast: each one's name and shape.
    Broadcast { operands: Vec<String> },
    /// Operands that a call does not take, and why.
    Call { call: Call, operands: Vec<Vec<usize>>, reason: String },
    /// An intermediate, with which there would be more bytes than can be addressed.
    TooLarge { shape: Vec<usize>, dtype: DType },
}

impl ShapeError {
    /// Operands of these shapes are none that a call takes.
    #[cold]
    pub(crate) fn of_call(call: Call, operands: &[&[usize]], reason: String) -> ShapeError {
        let operands = operands.iter().map(|shape| shape.to_vec()).collect();
        ShapeError::Call { call, operands, reason }
    }
}

impl<K> Plan<K> {
    /// Adds the shape of what each step computes, for inputs of these shapes, to `shapes`, which has
    /// none.
    // Shapes are made where they stay: a copy waits until each part of what it copies is written.
    #[inline(always)]
    pub(crate) fn add_shapes<'a>(
        &self,
        input: impl Fn(usize) -> &'a [usize],
        shapes: &mut Shapes,
    ) -> Result<(), ShapeError> {
        self.steps.iter().for_each(|_| shapes.push(Dims::new()));
        for (index, step) in self.steps.iter().enumerate() {
            let (before, shape) = shapes.split_at_mut(index);
            let mut args: SmallVec<[&[usize]; 8]> = SmallVec::new();
            step.args.iter().for_each(|arg| args.push(self.shape_of(arg.place, before, &input)));
            match &step.action {
                Action::Call(call) => {
                    let inferred = call.infer(&args);
                    shape[0] =
                        inferred.map_err(|reason| ShapeError::of_call(*call, &args, reason))?;
                }
                Action::Map { body, .. } => domain(body, &args, &mut shape[0])?,
            }
        }
        Ok(())
    }

    /// The shape of what is at a place, given those of inputs and of steps.
    #[inline(always)]
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

/// The shape that operands of a fused body broadcast to, in `shape`, which is empty.
#[inline(always)]
fn domain(body: &Graph, args: &[&[usize]], shape: &mut Dims) -> Result<(), ShapeError> {
    if let [first, rest @ ..] = args
        && rest.iter().all(|shape| shape == first)
    {
        shape.extend_from_slice(first);
        return Ok(());
    }
    *shape = broadcast(args).map_err(|_| {
        let named = body.inputs().iter().zip(args);
        let operands = named.map(|(input, shape)| format!("{} {shape:?}", input.name));
        ShapeError::Broadcast { operands: operands.collect() }
    })?;
    Ok(())
}
