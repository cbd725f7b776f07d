//! Elements that are picked by their places along an axis.
//!
//! Places below 0 count from the end, as in NumPy.

use super::view::place;
use super::within::common;
use super::{Call, CallInfo};
use crate::array::{Array, Data};
use crate::shape::{Dims, Extent, MAX_RANK, Shape};
use crate::typing::Typing;

/// What is picked along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gather {
    /// Whether each element of the result has a place of its own, as in NumPy's `take_along_axis`.
    /// Otherwise all that has a place along the axis is picked together, as in `take`.
    pub along: bool,
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
}

impl Gather {
    /// Its axis among those of an array of this rank.
    pub fn place(self, rank: usize) -> Result<usize, String> {
        place(self.axis, rank)
    }

    /// For each axis of the result, which axis of the array and which of the places it follows, for an
    /// array and places of these ranks.
    pub fn axes(self, rank: usize, places: usize) -> Result<Vec<[Option<usize>; 2]>, String> {
        let axis = self.place(rank)?;
        if self.along {
            return Ok((0..rank).map(|at| [(at != axis).then_some(at), Some(at)]).collect());
        }
        let before = (0..axis).map(|at| [Some(at), None]);
        let picked = (0..places).map(|at| [None, Some(at)]);
        Ok(before.chain(picked).chain((axis + 1..rank).map(|at| [Some(at), None])).collect())
    }
}

/// Where along an axis of this size a place is; `None` beyond its ends.
pub fn index_at(place: i64, size: usize) -> Option<usize> {
    let from_end = |place: i64| size.checked_sub(usize::try_from(place.unsigned_abs()).ok()?);
    let index = if place < 0 { from_end(place) } else { usize::try_from(place).ok() };
    index.filter(|&index| index < size)
}

pub(super) fn info(gather: Gather) -> &'static CallInfo {
    const fn row(name: &'static str, noun: &'static str, doc: &'static str) -> CallInfo {
        CallInfo { name, noun, arity: 2, typing: Typing::Pick, doc }
    }
    const TAKE: CallInfo = row(
        "take",
        "a take",
        "What has these places along an axis, as in `take[0](x, i)`; those below 0 count from the end",
    );
    const ALONG: CallInfo = row(
        "take_along",
        "a take along an axis",
        "Of each row along an axis the elements in its places, as in `take_along[-1](x, i)`; those below 0 count from the end",
    );
    if gather.along { &ALONG } else { &TAKE }
}

pub(super) const ALL: &[Call] = &[
    Call::Gather(Gather { along: false, axis: -1 }),
    Call::Gather(Gather { along: true, axis: -1 }),
];

pub(super) fn infer<E: Extent>(gather: Gather, operands: &[&[E]]) -> Result<Dims<E>, String> {
    let (shape, places) = (operands[0], operands[1]);
    let axis = gather.place(shape.len())?;
    if !gather.along {
        if shape.len() + places.len() > MAX_RANK {
            return Err("the result would have over 64 axes; squeeze those of size 1 first".into());
        }
        let (before, after) = (&shape[..axis], &shape[axis + 1..]);
        return Ok(before.iter().chain(places).chain(after).cloned().collect());
    }
    if shape.len() != places.len() {
        let hint = "add axes to the places by `unsqueeze[-1]`";
        return Err(format!("both must have the same number of axes; {hint}"));
    }
    let mut others: Dims<E> = shape.iter().cloned().collect();
    others[axis] = E::ONE;
    common(&[&others, places])
}

/// What fits is known once the ranks are.
pub(super) fn check(_: Gather, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

/// Why an element of the places is none.
pub(super) fn check_elements(gather: Gather, operands: &[&Array]) -> Result<(), String> {
    let axis = gather.place(operands[0].shape().len())?;
    let size = operands[0].shape()[axis];
    match operands[1].integers().iter().find(|&&place| index_at(place, size).is_none()) {
        Some(place) => Err(Call::Gather(gather).no_place(*place, axis, size)),
        None => Ok(()),
    }
}

pub(super) fn eval(gather: Gather, operands: &[&Array], shape: Vec<usize>) -> Array {
    let (array, places) = (operands[0], operands[1]);
    let (rank, axis) = (array.shape().len(), gather.place(array.shape().len()).expect("inferred"));
    let axes = gather.axes(rank, places.shape().len()).expect("the shape was inferred");
    let strides = |shape: &[usize]| {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        strides
    };
    let own = [array, places].map(|operand| (operand.shape(), strides(operand.shape())));
    let at = |index: usize| {
        let (mut rest, mut offsets) = (index, [0; 2]);
        for (from, size) in axes.iter().zip(&shape).rev() {
            let at = rest % size;
            rest /= size;
            for ((offset, from), (shape, strides)) in offsets.iter_mut().zip(from).zip(&own) {
                // An axis of size 1 repeats.
                *offset +=
                    from.filter(|&from| shape[from] != 1).map_or(0, |from| at * strides[from]);
            }
        }
        let place = places.integers()[offsets[1]];
        let place = index_at(place, array.shape()[axis]).expect("places were checked");
        array.data.at(offsets[0] + place * own[0].1[axis])
    };
    let data = Data::collect(array.dtype(), (0..shape.iter().product()).map(at));
    Array { dtype: array.dtype(), shape, data }
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: Gather, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}
