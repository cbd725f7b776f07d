//! Scans: of each element along an axis, what it and those before it come to.

use super::view::place;
use super::{Axes, Call, CallInfo};
use crate::array::{Array, Data};
use crate::number::Scalar;
use crate::shape::{Dims, Extent, Shape};
use crate::typing::Typing;

/// What a scan makes of the elements so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Running {
    /// Their sum.
    Sum,
    /// Their product.
    Product,
}

/// A scan of an array along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scan {
    /// What becomes of the elements so far.
    pub by: Running,
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
}

const SUM: CallInfo = CallInfo {
    name: "cumsum",
    noun: "a running sum",
    arity: 1,
    typing: Typing::Number,
    doc: "The sum of each element and those before it along one axis, as in `cumsum[-1](x)`. Of bools and `i32` it is `i64`",
};

const PRODUCT: CallInfo = CallInfo {
    name: "cumprod",
    noun: "a running product",
    arity: 1,
    typing: Typing::Number,
    doc: "The product of each element and those before it along one axis, as in `cumprod[-1](x)`. Of bools and `i32` it is `i64`",
};

pub(super) fn info(scan: Scan) -> &'static CallInfo {
    match scan.by {
        Running::Sum => &SUM,
        Running::Product => &PRODUCT,
    }
}

pub(super) const ALL: &[Call] = &[
    Call::Scan(Scan { by: Running::Sum, axis: -1 }),
    Call::Scan(Scan { by: Running::Product, axis: -1 }),
];

impl Scan {
    /// The axes that it goes along: one. Fails for one that no array has.
    pub fn axes(self) -> Result<Axes, String> {
        Axes::some(&[self.axis.into()])
    }

    /// Which axis of an array of this rank it goes along; an error says that there is none.
    pub fn place(self, rank: usize) -> Result<usize, String> {
        place(self.axis, rank)
    }
}

pub(super) fn infer<E: Extent>(scan: Scan, operands: &[&[E]]) -> Result<Dims<E>, String> {
    scan.place(operands[0].len())?;
    Ok(operands[0].iter().cloned().collect())
}

/// What fits is known once the rank is.
pub(super) fn check(_: Scan, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

/// Sums and products are carried in `f64`, and rounded for each element.
pub(super) fn eval(scan: Scan, operands: &[&Array], shape: Vec<usize>) -> Array {
    let operand = operands[0];
    let dtype = operand.dtype();
    let axis = scan.place(shape.len()).expect("the shape was inferred");
    let step: usize = shape[axis + 1..].iter().product();
    // Each element's predecessor comes before it in row-major order.
    let mut carried: Vec<Scalar> = Vec::with_capacity(shape.iter().product());
    for index in 0..shape.iter().product() {
        let element = operand.data.at(index);
        let is_first = (index / step).is_multiple_of(shape[axis]);
        carried.push(match is_first {
            true => element,
            false => merge(scan.by, carried[index - step], element),
        });
    }
    let data = Data::collect(dtype, carried.into_iter().map(|value| value.cast(dtype)));
    Array { dtype, shape, data }
}

fn merge(by: Running, before: Scalar, element: Scalar) -> Scalar {
    match (by, before, element) {
        (Running::Sum, Scalar::Integer(a), Scalar::Integer(b)) => {
            Scalar::Integer(a.wrapping_add(b))
        }
        (Running::Product, Scalar::Integer(a), Scalar::Integer(b)) => {
            Scalar::Integer(a.wrapping_mul(b))
        }
        (Running::Sum, a, b) => Scalar::Float(a.to_f64() + b.to_f64()),
        (Running::Product, a, b) => Scalar::Float(a.to_f64() * b.to_f64()),
    }
}

/// One for each element.
pub(super) fn terms<E: Extent>(_: Scan, _: &[&[E]]) -> (usize, Dims<E>) {
    (1, Dims::new())
}
