//! The shapes of a call, by NumPy's rules.

use super::{Access, Action, Numbers, Place, Plan, Step, Through, Viewed};
use kiln_ir::{Body, BodyMisfit, Call, DType, Node, NodeId, View, broadcast};
use smallvec::SmallVec;
use std::sync::Mutex;

/// The shape of an array.
pub(crate) type Dims = kiln_ir::Dims<usize>;

/// The shapes of a call: of what each step loops over, and of results that are smaller.
pub(crate) type Shapes = SmallVec<[Dims; 2]>;

/// Shapes that a step cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShapeError {
    /// Operands of a fused kernel that do not broadcast: the name and shape of each, the axis that
    /// differs, counted from the last, and two sizes that it has.
    Broadcast { operands: Vec<String>, axis: usize, sizes: [usize; 2] },
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

/// The error of a fused body that does not take its arguments, whose common shape this is.
#[cold]
fn of_body(misfit: BodyMisfit<usize>, common: Result<(), ShapeError>) -> ShapeError {
    match (misfit, common) {
        (BodyMisfit::Call { call, operands, reason }, _) => {
            ShapeError::Call { call, operands, reason }
        }
        (BodyMisfit::Broadcast, Err(error)) => error,
        (BodyMisfit::Broadcast, Ok(())) => {
            unreachable!("arguments broadcast, and so do some of them")
        }
    }
}

/// The error of a body with a product, where something does not fit the result.
#[cold]
fn of_product(
    misfit: BodyMisfit<usize>,
    body: &Body,
    names: &[String],
    args: &[&[usize]],
) -> ShapeError {
    let common = || {
        // What is computed of parameters alone may come first, so what is multiplied may not fit either.
        let multiplied = |product: NodeId, texts: [&str; 2], shapes: [&[usize]; 2]| {
            let Node::Call(call, _) = body.node(product) else {
                unreachable!("a product is a call")
            };
            match call.infer(&shapes) {
                Ok(shape) => Ok((call.expression(&texts), shape)),
                Err(reason) => Err(ShapeError::of_call(*call, &shapes, reason)),
            }
        };
        let all = |product: Option<(String, Dims)>, ids: Vec<NodeId>| {
            let (names, shapes): (Vec<String>, Vec<Dims>) = ids
                .into_iter()
                .map(|id| match body.node(id) {
                    Node::Input(index) => {
                        let index = *index as usize;
                        (names[index].clone(), args[index].into())
                    }
                    _ => product.clone().expect("what is no parameter is a product"),
                })
                .unzip();
            let shapes: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).collect();
            let mut common = Dims::new();
            domain(&names, &shapes, &mut common).map(|()| common)
        };
        let of_first = |(first, factors): (NodeId, [usize; 2])| {
            let texts = factors.map(|at| names[at].as_str());
            multiplied(first, texts, factors.map(|at| args[at]))
        };
        let product = body.product().map(of_first).transpose()?;
        let left = all(product.clone(), body.domain())?;
        let Some((second, _, right)) = body.second_product() else { return Ok(()) };
        let text = product.map_or("(..)".into(), |(text, _)| format!("({text} ..)"));
        let result = multiplied(second, [&text, names[right].as_str()], [&left, args[right]])?;
        all(Some(result), body.second_domain()).map(|_| ())
    };
    let common = match misfit {
        BodyMisfit::Broadcast => common(),
        BodyMisfit::Call { .. } => Ok(()),
    };
    of_body(misfit, common)
}

/// The shapes of the last call, for most calls are like the one before. What only broadcasts is inferred in
/// less time than it takes to look here.
#[derive(Debug)]
pub(crate) struct LastCall(Mutex<Option<(SmallVec<[Dims; 4]>, Shapes)>>);

impl LastCall {
    /// Of a plan with such steps.
    pub(super) fn of<K>(steps: &[Step<K>]) -> Option<LastCall> {
        let is_slow = |step: &Step<K>| match &step.action {
            Action::Call(_) => true,
            Action::Map { body, shapes, .. } => shapes.has_product() || body.has_rows(),
        };
        steps.iter().any(is_slow).then(|| LastCall(Mutex::new(None)))
    }
}

impl<K> Plan<K> {
    /// Adds to the empty `shapes` those of a call with inputs of these shapes.
    #[inline(always)]
    pub(crate) fn add_shapes<'a>(
        &self,
        input: impl Fn(usize) -> &'a [usize],
        shapes: &mut Shapes,
    ) -> Result<(), ShapeError> {
        match &self.last {
            None => self.infer_shapes(input, shapes),
            Some(last) => self.recall_shapes(last, &input, shapes),
        }
    }

    /// [`infer_shapes`](Plan::infer_shapes), unless the last call had the same inputs.
    #[inline(never)]
    fn recall_shapes<'a>(
        &self,
        LastCall(last): &LastCall,
        input: &impl Fn(usize) -> &'a [usize],
        shapes: &mut Shapes,
    ) -> Result<(), ShapeError> {
        let inputs = || (0..self.read.len()).map(input);
        // Another thread may be looking; nobody waits.
        if let Ok(last) = last.try_lock()
            && let Some((known, of_known)) = &*last
            && inputs().eq(known.iter().map(|dims| &dims[..]))
        {
            shapes.clone_from(of_known);
            return Ok(());
        }
        self.infer_shapes(input, shapes)?;
        if let Ok(mut last) = last.try_lock() {
            *last = Some((inputs().map(Dims::from).collect(), shapes.clone()));
        }
        Ok(())
    }

    // Shapes are made where they stay: a copy waits until each part of what it copies is written.
    #[inline(always)]
    fn infer_shapes<'a>(
        &self,
        input: impl Fn(usize) -> &'a [usize],
        shapes: &mut Shapes,
    ) -> Result<(), ShapeError> {
        (0..self.shapes).for_each(|_| shapes.push(Dims::new()));
        for (index, step) in self.steps.iter().enumerate() {
            for arg in &step.args {
                if arg.view.is_some() || matches!(arg.place, Place::Numbers(_)) {
                    self.add_shape_of(arg, shapes, &input)?;
                }
            }
            for check in self.checks.iter().filter(|check| check.step == index) {
                let of = std::iter::once(&check.places).chain(&check.of);
                self.infer(Call::Within(check.within), of, shapes, &input)?;
            }
            let (before, shape) = shapes.split_at_mut(step.domain);
            let mut args: SmallVec<[&[usize]; 8]> = SmallVec::new();
            step.args.iter().for_each(|arg| args.push(self.shape_of(arg, before, &input)));
            match &step.action {
                Action::Call(call) => {
                    let inferred = call.infer(&args);
                    shape[0] =
                        inferred.map_err(|reason| ShapeError::of_call(*call, &args, reason))?;
                }
                Action::Map { body, names, shapes: rules, .. } => {
                    let has_rows = body.has_rows();
                    let common = match rules.has_product() {
                        false => domain(names, &args, &mut shape[0]),
                        true => match rules.domain(&args) {
                            Ok(domain) => {
                                shape[0] = domain;
                                Ok(())
                            }
                            Err(BodyMisfit::Broadcast) if has_rows => {
                                Err(of_product(BodyMisfit::Broadcast, body, names, &args))
                            }
                            Err(misfit) => {
                                return Err(of_product(misfit, body, names, &args));
                            }
                        },
                    };
                    // What reductions make of arrays may fit together though the arrays do not.
                    if !has_rows {
                        common.as_ref().map_err(Clone::clone)?;
                    }
                    if has_rows || !step.smaller.is_empty() {
                        let outputs = rules.outputs(&args);
                        let outputs = outputs.map_err(|misfit| of_body(misfit, common))?;
                        let smaller = step.smaller.iter().map(|&at| outputs[at].clone());
                        smaller.zip(&mut shape[1..]).for_each(|(dims, shape)| *shape = dims);
                    }
                }
            }
        }
        for Through { output, chain, shape } in &self.through {
            shapes[self.written[*output].shape] = viewed(chain, shapes[*shape].clone())?;
        }
        Ok(())
    }

    /// Adds the shape of a value as a step reads it, where that takes no step.
    fn add_shape_of<'a>(
        &self,
        access: &Access,
        shapes: &mut Shapes,
        input: &impl Fn(usize) -> &'a [usize],
    ) -> Result<(), ShapeError> {
        if let Place::Numbers(index) = access.place {
            let Numbers { iota, of, shape } = &self.numbers[index];
            shapes[*shape] = self.infer(Call::Iota(*iota), of.iter(), shapes, input)?;
        }
        let Some(view) = access.view else { return Ok(()) };
        let Viewed { place, chain, shape } = &self.views[view];
        shapes[*shape] = viewed(chain, self.shape_of_value(*place, shapes, input).into())?;
        Ok(())
    }

    /// The shape of a call that is no step, and of what it reads.
    fn infer<'p, 'a>(
        &self,
        call: Call,
        of: impl Iterator<Item = &'p Access> + Clone,
        shapes: &mut Shapes,
        input: &impl Fn(usize) -> &'a [usize],
    ) -> Result<Dims, ShapeError> {
        for access in of.clone() {
            self.add_shape_of(access, shapes, input)?;
        }
        let of: SmallVec<[&[usize]; 8]> =
            of.map(|access| self.shape_of(access, shapes, input)).collect();
        call.infer(&of).map_err(|reason| ShapeError::of_call(call, &of, reason))
    }

    /// The shape of a value as a step reads or writes it, given the shapes of inputs and of the call.
    #[inline(always)]
    pub(crate) fn shape_of<'s, 'i: 's>(
        &self,
        access: &Access,
        shapes: &'s [Dims],
        input: &impl Fn(usize) -> &'i [usize],
    ) -> &'s [usize] {
        match access.view {
            Some(view) => &shapes[self.views[view].shape],
            None => self.shape_of_value(access.place, shapes, input),
        }
    }

    #[inline(always)]
    fn shape_of_value<'s, 'i: 's>(
        &self,
        place: Place,
        shapes: &'s [Dims],
        input: &impl Fn(usize) -> &'i [usize],
    ) -> &'s [usize] {
        match place {
            Place::Input(index) => input(index),
            Place::Output(output) => &shapes[self.written[output].shape],
            Place::Buffer(buffer) => &shapes[self.buffers[buffer].written.shape],
            Place::Numbers(index) => &shapes[self.numbers[index].shape],
        }
    }
}

/// The shape that views make of one, each of what those before it give.
fn viewed(chain: &[View], whole: Dims) -> Result<Dims, ShapeError> {
    chain.iter().try_fold(whole, |dims, &view| {
        let (call, of) = (Call::View(view), [&dims[..]]);
        call.infer(&of).map_err(|reason| ShapeError::of_call(call, &of, reason))
    })
}

/// Puts the shape that operands of these names broadcast to into `shape`, which is empty.
#[inline(always)]
fn domain(names: &[String], args: &[&[usize]], shape: &mut Dims) -> Result<(), ShapeError> {
    if let [first, rest @ ..] = args
        && rest.iter().all(|shape| shape == first)
    {
        shape.extend_from_slice(first);
        return Ok(());
    }
    *shape = broadcast(args).map_err(|misfit| {
        let operands = names.iter().zip(args).map(|(name, shape)| format!("{name} {shape:?}"));
        let (axis, sizes) = (misfit.axis, [misfit.left, misfit.right]);
        ShapeError::Broadcast { operands: operands.collect(), axis, sizes }
    })?;
    Ok(())
}
