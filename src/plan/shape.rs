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
    /// Operands of a fused kernel that do not broadcast: the name and shape of each.
    Broadcast { operands: Vec<String> },
    /// Operands that a call does not accept, and why.
    Call { call: Call, operands: Vec<Vec<usize>>, reason: String },
    /// An intermediate that would bring the bytes above what can be addressed.
    TooLarge { shape: Vec<usize>, dtype: DType },
}

impl ShapeError {
    /// The error of a call that does not accept operands of these shapes.
    #[cold]
    pub(crate) fn of_call(call: Call, operands: &[&[usize]], reason: String) -> ShapeError {
        let operands = operands.iter().map(|shape| shape.to_vec()).collect();
        ShapeError::Call { call, operands, reason }
    }
}

impl<K> Plan<K> {
    /// Adds to the empty `shapes` the shape of what each step computes, for inputs of these shapes.
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

    /// The shape of the value at a place, given the shapes of inputs and of steps.
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

/// Puts the shape that operands of a fused body broadcast to into `shape`, which is empty.
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
