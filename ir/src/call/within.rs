//! Labels: places that must be along an axis.

use super::view::place;
use super::{Call, CallInfo};
use crate::array::Array;
use crate::shape::{Dims, Extent, Shape, broadcast};
use crate::typing::Typing;

/// For each row along an axis of what other arrays broadcast to, a place along it: an array of integers
/// as it is, of size 1 along the axis. They count from 0: a label of -1, of old for what has none, is no
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Within {
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
}

impl Within {
    /// Its axis among those of an array of this rank.
    pub fn place(self, rank: usize) -> Result<usize, String> {
        place(self.axis, rank)
    }

    /// Whether a label is a place along an axis of this size.
    pub fn is_place(label: i64, size: usize) -> bool {
        usize::try_from(label).is_ok_and(|label| label < size)
    }

    /// The axis, and its size, of what arrays of these shapes broadcast to.
    pub fn size<E: Extent>(self, shapes: &[&[E]]) -> Result<(usize, E), String> {
        let shape = common(shapes)?;
        let axis = self.place(shape.len())?;
        Ok((axis, shape[axis].clone()))
    }
}

/// What to say where sizes differ.
const SIZES: &str = "sizes must be equal, or one of them 1";

/// What arrays of these shapes broadcast to.
pub(super) fn common<E: Extent>(shapes: &[&[E]]) -> Result<Dims<E>, String> {
    broadcast(shapes).map_err(|misfit| {
        let (axis, left, right) = (misfit.axis, misfit.left, misfit.right);
        format!("axis -{axis} is {left} in one and {right} in the other; {SIZES}")
    })
}

const INFO: CallInfo = CallInfo {
    name: "labels",
    noun: "a check of labels",
    arity: 2,
    typing: Typing::Count,
    doc: "Integers as they are, one for each row along an axis, which must be places along it, counted from 0, as in `labels[-1](y, x)`",
};

pub(super) fn info(_: Within) -> &'static CallInfo {
    &INFO
}

pub(super) const ALL: &[Call] = &[Call::Within(Within { axis: -1 })];

pub(super) fn infer<E: Extent>(within: Within, operands: &[&[E]]) -> Result<Dims<E>, String> {
    let (places, others) = (operands[0], &operands[1..]);
    let shape = common(others)?;
    if shape.len() != places.len() {
        let hint = "labels keep the axis, with size 1: add it by `unsqueeze[-1]`";
        return Err(format!("both must have the same number of axes; {hint}"));
    }
    let axis = within.place(shape.len())?;
    let fits = |at: usize| places[at] == E::ONE || at != axis && places[at] == shape[at];
    match (0..shape.len()).find(|&at| !fits(at)) {
        Some(at) if at == axis => {
            let (size, hint) = (&places[at], "labels are numbers, not one-hot rows");
            Err(format!("there is one label for each row, but axis {at} has size {size}; {hint}"))
        }
        Some(at) => {
            let (left, right) = (&places[at], &shape[at]);
            Err(format!("axis {at} is {left} in one and {right} in the other; {SIZES}"))
        }
        None => Ok(places.iter().cloned().collect()),
    }
}

/// What fits is known once the ranks are.
pub(super) fn check(_: Within, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

/// Why an element is no place.
pub(super) fn check_elements(within: Within, operands: &[&Array]) -> Result<(), String> {
    let shapes: Vec<&[usize]> = operands[1..].iter().map(|operand| operand.shape()).collect();
    let (axis, size) = within.size(&shapes)?;
    match operands[0].integers().iter().find(|&&label| !Within::is_place(label, size)) {
        Some(label) => Err(Call::Within(within).no_place(*label, axis, size)),
        None => Ok(()),
    }
}

pub(super) fn eval(_: Within, operands: &[&Array], _: Vec<usize>) -> Array {
    operands[0].clone()
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: Within, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}
