//! Arrays made longer by one number.

use super::small_axis;
use super::view::place;
use super::{Call, CallInfo};
use crate::array::{Array, Data};
use crate::shape::{Dim, Dims, Extent, Shape};
use crate::typing::Typing;
use std::fmt;

/// A number before and after each row along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pad {
    /// The axis, counted from the last, which is -1, or the first, which is 0.
    pub axis: i8,
    /// How often it stands before each row.
    pub before: u32,
    /// How often it stands after each row.
    pub after: u32,
}

impl Pad {
    /// Fails for what is no axis, and for counts that are none.
    pub fn new(axis: i64, before: i64, after: i64) -> Result<Pad, String> {
        let count = |count: i64| {
            let hint = if count < 0 { "; fewer elements are a `slice`" } else { "" };
            let no_count =
                |_| format!("{count} is no count: counts go from 0 to {}{hint}", u32::MAX);
            u32::try_from(count).map_err(no_count)
        };
        Ok(Pad { axis: small_axis(axis)?, before: count(before)?, after: count(after)? })
    }

    /// Its axis among those of an array of this rank.
    pub fn place(self, rank: usize) -> Result<usize, String> {
        place(self.axis, rank)
    }
}

/// `-1, 0, 2`.
impl fmt::Display for Pad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.axis, self.before, self.after)
    }
}

const INFO: CallInfo = CallInfo {
    name: "pad",
    noun: "a padding",
    arity: 2,
    typing: Typing::Same,
    doc: "A number before and after each row along an axis, as in `pad[-1, 0, 2](x, 0)`",
};

pub(super) fn info(_: Pad) -> &'static CallInfo {
    &INFO
}

pub(super) const ALL: &[Call] = &[Call::Pad(Pad { axis: -1, before: 0, after: 0 })];

/// The sizes; `None` for one that no symbol says.
fn sizes<E: Extent>(pad: Pad, operands: &[&[E]]) -> Result<Option<Dims<E>>, String> {
    let (shape, number) = (operands[0], operands[1]);
    if !number.is_empty() {
        return Err("what it pads with is a single number".into());
    }
    let axis = pad.place(shape.len())?;
    let mut sizes: Dims<E> = shape.iter().cloned().collect();
    let added = pad.before as usize + pad.after as usize;
    match shape[axis].known() {
        Some(size) => {
            let sum = size.checked_add(added);
            sizes[axis] = E::of(sum.ok_or("it would have more elements than can be counted")?);
        }
        None if added == 0 => {}
        None => return Ok(None),
    }
    Ok(Some(sizes))
}

pub(super) fn infer<E: Extent>(pad: Pad, operands: &[&[E]]) -> Result<Dims<E>, String> {
    sizes(pad, operands)?.ok_or_else(|| "its size is known only at a call".to_string())
}

/// As [`infer`]; `None` where symbols do not say all sizes.
pub(super) fn infer_symbolic(pad: Pad, operands: &[&[Dim]]) -> Result<Option<Dims<Dim>>, String> {
    sizes(pad, operands)
}

/// What fits is known once the rank is.
pub(super) fn check(_: Pad, _: &[&Shape]) -> Result<(), String> {
    Ok(())
}

pub(super) fn eval(pad: Pad, operands: &[&Array], shape: Vec<usize>) -> Array {
    let (array, number) = (operands[0], operands[1].data.at(0));
    let axis = pad.place(shape.len()).expect("the shape was inferred");
    let inner: usize = shape[axis + 1..].iter().product();
    let (len, before) = (array.shape()[axis], pad.before as usize);
    let at = |index: usize| {
        let (row, rest) = (index / (shape[axis] * inner), index % (shape[axis] * inner));
        match (rest / inner).checked_sub(before).filter(|&at| at < len) {
            Some(at) => array.data.at((row * len + at) * inner + rest % inner),
            None => number,
        }
    };
    let data = Data::collect(array.dtype(), (0..shape.iter().product()).map(at));
    Array { dtype: array.dtype(), shape, data }
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: Pad, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}
