//! Places along an axis: 0, 1, 2, ..

use super::small_axis;
use super::view::place;
use super::within::common;
use super::{Call, CallInfo};
use crate::array::{Array, Data};
use crate::dtype::DType;
use crate::number::Scalar;
use crate::shape::{Dims, Extent, Shape};
use crate::typing::Typing;
use std::fmt;

/// The places along an axis of what arrays broadcast to. Its other axes are there with size 1, so that
/// places broadcast with the array, and with places along others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iota {
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
    /// How many places, where it is not the size of that axis.
    pub size: Option<u32>,
    /// Whether they are `i32`, of which vectors hold twice as many as of `i64`.
    pub short: bool,
}

impl Iota {
    /// Fails for what is no axis, and for what is no size.
    pub fn new(axis: i64, size: Option<i64>) -> Result<Iota, String> {
        let is_size = |size: i64| {
            let no_size = |_| format!("{size} is no size: sizes go from 0 to {}", u32::MAX);
            u32::try_from(size).map_err(no_size)
        };
        Ok(Iota { axis: small_axis(axis)?, size: size.map(is_size).transpose()?, short: false })
    }

    /// The same places as `i32`.
    pub fn short(self) -> Iota {
        Iota { short: true, ..self }
    }

    /// Its axis among those of an array of this rank.
    pub fn place(self, rank: usize) -> Result<usize, String> {
        place(self.axis, rank)
    }
}

/// `-1`; `-1, 10`.
impl fmt::Display for Iota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.axis)?;
        self.size.map_or(Ok(()), |size| write!(f, ", {size}"))
    }
}

const INFO: CallInfo = CallInfo {
    name: "iota",
    noun: "an iota",
    arity: 1,
    typing: Typing::Place,
    doc: "The places 0, 1, 2, .. along an axis of an array, or of what several broadcast to, as in `iota[-1](x)`; `iota[-1, 10](x)` has ten. Its other axes have size 1",
};

const SHORT: CallInfo = CallInfo {
    name: "iota32",
    typing: Typing::Cast(DType::I32),
    doc: "As `iota`, of type `i32`: `iota32[-1](x)`",
    ..INFO
};

pub(super) fn info(iota: Iota) -> &'static CallInfo {
    if iota.short { &SHORT } else { &INFO }
}

pub(super) const ALL: &[Call] = &[
    Call::Iota(Iota { axis: -1, size: None, short: false }),
    Call::Iota(Iota { axis: -1, size: None, short: true }),
];

pub(super) fn infer<E: Extent>(iota: Iota, operands: &[&[E]]) -> Result<Dims<E>, String> {
    let shape = common(operands)?;
    let axis = iota.place(shape.len())?;
    let along = |size: &E| iota.size.map_or_else(|| size.clone(), |size| E::of(size as usize));
    let size = |(at, size): (usize, &E)| if at == axis { along(size) } else { E::ONE };
    if iota.short && along(&shape[axis]).known().is_some_and(|size| size > i32::MAX as usize) {
        return Err(format!("axis {axis} has more places than an i32 counts; count by `iota`"));
    }
    Ok(shape.iter().enumerate().map(size).collect())
}

/// What fits is known once the ranks are.
pub(super) fn check(_: Iota, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

pub(super) fn eval(iota: Iota, _: &[&Array], shape: Vec<usize>) -> Array {
    let dtype = if iota.short { DType::I32 } else { DType::I64 };
    let count: usize = shape.iter().product();
    let data = Data::collect(dtype, (0..count).map(|place| Scalar::Integer(place as i64)));
    Array { dtype, shape, data }
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: Iota, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}
