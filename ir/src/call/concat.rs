//! Arrays put together along an axis.

use super::view::place;
use super::{Call, CallInfo};
use crate::array::{Array, Data};
use crate::shape::{Dim, Dims, Extent, Shape};
use crate::typing::Typing;

/// One array after another along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Concat {
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
}

impl Concat {
    /// Its axis among those of an array of this rank.
    pub fn place(self, rank: usize) -> Result<usize, String> {
        place(self.axis, rank)
    }
}

const INFO: CallInfo = CallInfo {
    name: "concat",
    noun: "a concatenation",
    arity: 2,
    typing: Typing::Same,
    doc: "Arrays, one or more, one after another along an axis, as in `concat[-1](a, b)`",
};

pub(super) fn info(_: Concat) -> &'static CallInfo {
    &INFO
}

pub(super) const ALL: &[Call] = &[Call::Concat(Concat { axis: -1 })];

/// The sizes; `None` for one that no symbol says.
fn sizes<E: Extent>(concat: Concat, operands: &[&[E]]) -> Result<Option<Dims<E>>, String> {
    let mut sizes: Dims<E> = operands[0].iter().cloned().collect();
    let mut is_known = true;
    let axis = concat.place(sizes.len())?;
    for right in &operands[1..] {
        if sizes.len() != right.len() {
            return Err("all must have the same number of axes; add some by `unsqueeze`".into());
        }
        if let Some(at) = (0..sizes.len()).find(|&at| at != axis && sizes[at] != right[at]) {
            let (left, right) = (&sizes[at], &right[at]);
            let hint = "only the axis that they are joined along may differ";
            return Err(format!("axis {at} is {left} in one and {right} in the other; {hint}"));
        }
        match (sizes[axis].known(), right[axis].known()) {
            (Some(left), Some(right)) => {
                let sum = left.checked_add(right);
                sizes[axis] = E::of(sum.ok_or("it would have more elements than can be counted")?);
            }
            (_, Some(0)) => {}
            (Some(0), _) => sizes[axis] = right[axis].clone(),
            _ => is_known = false,
        }
    }
    Ok(is_known.then_some(sizes))
}

pub(super) fn infer<E: Extent>(concat: Concat, operands: &[&[E]]) -> Result<Dims<E>, String> {
    sizes(concat, operands)?.ok_or_else(|| "its size is known only at a call".to_string())
}

/// As [`infer`]; `None` where symbols do not say all sizes.
pub(super) fn infer_symbolic(
    concat: Concat,
    operands: &[&[Dim]],
) -> Result<Option<Dims<Dim>>, String> {
    sizes(concat, operands)
}

/// What fits is known once the ranks are.
pub(super) fn check(_: Concat, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

pub(super) fn eval(concat: Concat, operands: &[&Array], shape: Vec<usize>) -> Array {
    let axis = concat.place(shape.len()).expect("the shape was inferred");
    let row = |operand: &Array| operand.shape()[axis..].iter().product::<usize>();
    let rows: usize = shape[..axis].iter().product();
    let of = |at: usize| {
        let parts = operands.iter().map(move |operand| (*operand, row(operand)));
        parts.flat_map(move |(operand, len)| {
            (at * len..(at + 1) * len).map(|at| operand.data.at(at))
        })
    };
    let data = Data::collect(operands[0].dtype(), (0..rows).flat_map(of));
    Array { dtype: operands[0].dtype(), shape, data }
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: Concat, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}
