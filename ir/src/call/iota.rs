//! Places along an axis: 0, 1, 2, ..

use super::view::place;
use super::{Call, CallInfo};
use crate::array::{Array, Data};
use crate::dtype::DType;
use crate::number::Scalar;
use crate::shape::{Dims, Extent, Shape};
use crate::typing::Typing;

/// The places along an axis of an array. Its other axes are there with size 1, so that places broadcast
/// with the array, and with places along others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iota {
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
}

const INFO: CallInfo = CallInfo {
    name: "iota",
    noun: "an iota",
    arity: 1,
    typing: Typing::Place,
    doc: "The places 0, 1, 2, .. along an axis of an array, as in `iota[-1](x)`; its other axes have size 1",
};

pub(super) fn info(_: Iota) -> &'static CallInfo {
    &INFO
}

pub(super) const ALL: &[Call] = &[Call::Iota(Iota { axis: -1 })];

pub(super) fn infer<E: Extent>(iota: Iota, operands: &[&[E]]) -> Result<Dims<E>, String> {
    let axis = place(iota.axis, operands[0].len())?;
    let size = |(at, size): (usize, &E)| if at == axis { size.clone() } else { E::ONE };
    Ok(operands[0].iter().enumerate().map(size).collect())
}

/// What fits is known once the rank is.
pub(super) fn check(_: Iota, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

pub(super) fn eval(_: Iota, _: &[&Array], shape: Vec<usize>) -> Array {
    let dtype = DType::I64;
    let count: usize = shape.iter().product();
    let data = Data::collect(dtype, (0..count).map(|place| Scalar::Integer(place as i64)));
    Array { dtype, shape, data }
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: Iota, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}
