//! The shapes of calls, some of which are known only when a kernel is called.

use super::{Call, Iota, Reduce};
use crate::error::Fault;
use crate::shape::{Dim, Open, Shape};
use std::collections::HashMap;

/// The shapes of a graph's calls.
///
/// If the rank of an operand is unknown, so is the rank of the result; it is taken for unknown, too, where
/// a size has no symbol, as that of a slice may. The result's shape still follows
/// from the operands' shapes and is identified by them: equal calls of equal shapes have one shape.
#[derive(Clone, Debug, Default)]
pub struct CallShapes {
    /// Each call whose shape is [`Open::Call`], by number, with its operands' shapes.
    open: Vec<(Call, Vec<Shape>)>,
    known: HashMap<(Call, Vec<Shape>), u32>,
}

impl CallShapes {
    /// The shape of a call of operands of these shapes.
    ///
    /// Fails where they do not fit.
    pub fn shape(&mut self, call: Call, operands: &[&Shape]) -> Result<Shape, Fault> {
        if let Some(shape) = infer(call, operands)? {
            return Ok(shape);
        }
        let key = looked_at(call, operands);
        let next = self.open.len() as u32;
        let number = *self.known.entry(key).or_insert_with_key(|key| {
            self.open.push(key.clone());
            next
        });
        Ok(Shape::open(Open::Call(number)))
    }

    /// What [`shape`](CallShapes::shape) gave for these; `None` if it never did.
    pub(crate) fn known(&self, call: Call, operands: &[&Shape]) -> Result<Option<Shape>, Fault> {
        let key = looked_at(call, operands);
        let open = || self.known.get(&key).map(|&number| Shape::open(Open::Call(number)));
        Ok(infer(call, operands)?.or_else(open))
    }

    /// The calls of unknown rank by number, each after those that it reads.
    pub(crate) fn open(&self) -> &[(Call, Vec<Shape>)] {
        &self.open
    }
}

/// A shape without those of reductions of what it has, where these are such: they broadcast to it.
pub(crate) fn absorbed(
    mut shape: Shape,
    known: &[(Call, Vec<Shape>)],
    is_such: impl Fn(&Reduce) -> bool,
) -> Shape {
    // Reductions come after those that they are of.
    for (number, (call, operands)) in known.iter().enumerate().rev() {
        let rest = shape.without(Open::Call(number as u32));
        if matches!(call, Call::Reduce(reduce) if is_such(reduce)) && rest.covers(&operands[0]) {
            shape = rest;
        }
    }
    shape
}

/// What the shape of a call follows from: of places along an axis, what their arrays broadcast to.
fn looked_at(call: Call, operands: &[&Shape]) -> (Call, Vec<Shape>) {
    let operands = operands.iter().map(|&shape| shape.clone());
    match call {
        Call::Iota(iota) => {
            let common = operands.clone().try_fold(Shape::scalar(), |all, of| all.broadcast(&of));
            let looked_at = common.map_or_else(|_| operands.collect(), |common| vec![common]);
            (Call::Iota(Iota { short: false, ..iota }), looked_at)
        }
        _ => (call, operands.collect()),
    }
}

/// The shape of a call; `None` where a rank is unknown, or a size that has no symbol.
fn infer(call: Call, operands: &[&Shape]) -> Result<Option<Shape>, Fault> {
    let dims: Option<Vec<&[Dim]>> = operands.iter().map(|shape| shape.dims()).collect();
    let inferred = match dims {
        Some(dims) => {
            let dims = call.infer_symbolic(&dims);
            dims.map(|dims| dims.map(|dims| Shape::new(dims.into_vec())))
        }
        // It is one of its operands.
        None if matches!(call, Call::Within(_)) => Ok(Some(operands[0].clone())),
        None => call.check(operands).map(|()| None),
    };
    inferred.map_err(|reason| Fault::Call {
        call: call.info().name,
        operands: operands.iter().map(|&shape| shape.clone()).collect(),
        reason,
    })
}
