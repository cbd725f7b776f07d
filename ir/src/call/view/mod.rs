//! Views: the elements of an array in another order or shape. None computes anything, and all but some
//! reshapes only say how far apart elements lie.

mod attributes;

pub(super) use attributes::place;
pub(crate) use attributes::small_axis;
pub use attributes::{IntoSizes, Permutation, Sizes, Slice};

use super::{Axes, Call, CallInfo};
use crate::array::{Array, Data};
use crate::shape::{Dims, Extent, Shape};
use crate::typing::Typing;
use smallvec::SmallVec;

/// What becomes of the axes of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// All axes in reverse, as NumPy's `transpose` without axes.
    Transpose,
    /// The axes in another order.
    Permute(Permutation),
    /// Two axes change places, each counted from the last, which is -1, or the first, which is 0.
    Swap(i8, i8),
    /// Some of the elements along an axis.
    Slice(Slice),
    /// The elements along these axes in reverse.
    Flip(Axes),
    /// These axes, of size 1, are dropped.
    Squeeze(Axes),
    /// New axes of size 1, which the result has in these places.
    Unsqueeze(Axes),
    /// Axes of size 1 repeat, and new ones may come before them.
    Expand(Sizes),
    /// The same elements, the last axis fastest, in another shape.
    Reshape(Sizes),
}

/// Where an axis of a view comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewAxis {
    /// How many elements there are along it.
    pub size: usize,
    /// The axis of the operand; a new axis has none.
    pub from: Option<usize>,
    /// The first of its elements.
    pub first: usize,
    /// The distance from one of its elements to the next; 0 where one repeats.
    pub step: isize,
}

/// The axes of a view whose sizes may be symbols: `None` is what no symbol says.
struct Axis<E> {
    size: Option<E>,
    from: Option<usize>,
    first: usize,
    step: isize,
}

impl<E: Extent> Axis<E> {
    fn whole(from: usize, shape: &[E]) -> Axis<E> {
        Axis { size: Some(shape[from].clone()), from: Some(from), first: 0, step: 1 }
    }

    fn new(size: E) -> Axis<E> {
        Axis { size: Some(size), from: None, first: 0, step: 0 }
    }
}

impl View {
    /// Two axes change places.
    pub fn swap(a: i64, b: i64) -> Result<View, String> {
        Ok(View::Swap(small_axis(a)?, small_axis(b)?))
    }

    /// Where each axis of the result comes from, for an operand of this shape. `None` for a
    /// [`Reshape`](View::Reshape), of which only the order of elements says that. Fails where the
    /// shape does not fit.
    pub fn axes_of(self, shape: &[usize]) -> Result<Option<SmallVec<[ViewAxis; 6]>>, String> {
        let Some(axes) = self.axes(shape)? else { return Ok(None) };
        let axis = |axis: Axis<usize>| ViewAxis {
            size: axis.size.expect("actual sizes are known"),
            from: axis.from,
            first: axis.first,
            step: axis.step,
        };
        Ok(Some(axes.into_iter().map(axis).collect()))
    }

    /// Whether the result has each element once: the same elements in another order or shape.
    pub fn is_one_to_one(self) -> bool {
        !matches!(self, View::Slice(_) | View::Expand(_))
    }

    /// Whether neighbours along the last axis are neighbours in the result, for arrays of any rank: `false` if it may
    /// not be so.
    pub fn keeps_rows(self) -> bool {
        match self {
            View::Transpose | View::Expand(_) => false,
            View::Permute(order) => {
                order.iter().last().is_none_or(|last| last + 1 == usize::from(order.rank))
            }
            View::Swap(a, b) => a < -1 && b < -1,
            View::Slice(_) | View::Flip(_) => true,
            View::Squeeze(_) | View::Unsqueeze(_) | View::Reshape(_) => true,
        }
    }

    /// The view that undoes it, if that is one for arrays of any shape: the sizes that a reshape had, and what a slice
    /// left out, nobody knows.
    pub fn inverse(self) -> Option<View> {
        match self {
            View::Transpose | View::Swap(..) | View::Flip(_) => Some(self),
            View::Permute(order) => Some(View::Permute(order.inverse())),
            View::Squeeze(axes) => Some(View::Unsqueeze(axes)),
            View::Unsqueeze(axes) => Some(View::Squeeze(axes)),
            View::Slice(_) | View::Expand(_) | View::Reshape(_) => None,
        }
    }

    /// Itself, if it may fit any array.
    pub(crate) fn checked(self) -> Result<View, String> {
        self.check().map(|()| self)
    }

    /// Why it fits no array.
    fn check(self) -> Result<(), String> {
        match self {
            View::Squeeze(Axes::ALL) => {
                Err("name the axes that are dropped, as in `squeeze[-1](x)`".into())
            }
            View::Unsqueeze(Axes::ALL) => Err("name the new axes, as in `unsqueeze[-1](x)`".into()),
            View::Reshape(sizes) if sizes.iter().filter(Option::is_none).count() > 1 => {
                Err("at most one size can be found out; write the others, and -1 once".into())
            }
            _ => Ok(()),
        }
    }

    fn axes<E: Extent>(self, shape: &[E]) -> Result<Option<Vec<Axis<E>>>, String> {
        let rank = shape.len();
        let whole = |from: usize| Axis::whole(from, shape);
        let mut axes: Vec<Axis<E>> = (0..rank).map(whole).collect();
        match self {
            View::Transpose => axes.reverse(),
            View::Permute(order) => {
                if usize::from(order.rank) != rank {
                    let found = usize::from(order.rank);
                    let hint = "name each axis once";
                    return Err(format!(
                        "{found} axes are in order, but the array has {rank}; {hint}"
                    ));
                }
                axes = order.iter().map(whole).collect();
            }
            View::Swap(a, b) => axes.swap(place(a, rank)?, place(b, rank)?),
            View::Slice(slice) => {
                let axis = &mut axes[place(slice.axis, rank)?];
                match axis.size.as_ref().and_then(E::known) {
                    Some(len) => {
                        let (first, count) = slice.range(len);
                        (axis.first, axis.size) = (first, Some(E::of(count)));
                    }
                    None if slice.is_whole() => {}
                    None => axis.size = None,
                }
                axis.step = isize::try_from(slice.step).unwrap_or(isize::MAX);
            }
            View::Flip(named) => {
                let flip = |(axis, named): (&mut Axis<E>, bool)| {
                    if named {
                        let len = axis.size.as_ref().and_then(E::known).unwrap_or(0);
                        (axis.first, axis.step) = (len.saturating_sub(1), -1);
                    }
                };
                axes.iter_mut().zip(named.of_rank(rank)?).for_each(flip);
            }
            View::Squeeze(named) => {
                let named = named.of_rank(rank)?;
                let wide = |(size, named): (&E, &bool)| {
                    *named && size.known().is_some_and(|size| size != 1)
                };
                if let Some(axis) = shape.iter().zip(&named).position(wide) {
                    let size = &shape[axis];
                    let hint = "slice it to one place first, or reduce it";
                    return Err(format!(
                        "axis {axis} has size {size}: only a 1 can be dropped; {hint}"
                    ));
                }
                axes.retain(|axis| !axis.from.is_some_and(|from| named[from]));
            }
            View::Unsqueeze(new) => {
                let mut old = axes.into_iter();
                let is_new = new.among(rank + new.count(), "the result")?;
                let axis = |is_new: bool| match is_new {
                    true => Axis::new(E::ONE),
                    false => old.next().expect("the others are old"),
                };
                axes = is_new.into_iter().map(axis).collect();
            }
            View::Expand(sizes) => {
                let added = sizes.iter().len().checked_sub(rank);
                let Some(added) = added else {
                    let hint = "write a size for each, or -1 to leave one as it is";
                    return Err(format!("the array has {rank} axes, and must keep them; {hint}"));
                };
                let expanded = sizes.iter().enumerate().map(|(at, size)| {
                    match (size, at.checked_sub(added)) {
                        (None, None) => {
                            Err("a new axis needs a size; -1 stands for one that is there".into())
                        }
                        (Some(size), None) => Ok(Axis::new(E::of(size))),
                        (None, Some(from)) => Ok(whole(from)),
                        (Some(size), Some(from)) => match shape[from].known() {
                            Some(known) if known != size && known != 1 => {
                                let hint = "repeat others by `take` or `concat`";
                                Err(format!(
                                    "axis {from} has size {known}: only a 1 repeats; {hint}"
                                ))
                            }
                            Some(known) if known != size => {
                                Ok(Axis { size: Some(E::of(size)), step: 0, ..whole(from) })
                            }
                            _ => Ok(Axis { size: Some(E::of(size)), ..whole(from) }),
                        },
                    }
                });
                axes = expanded.collect::<Result<_, String>>()?;
            }
            View::Reshape(_) => return Ok(None),
        }
        Ok(Some(axes))
    }

    /// The sizes of the result, of which symbols may not say all.
    fn sizes<E: Extent>(self, shape: &[E]) -> Result<Option<Dims<E>>, String> {
        self.check()?;
        if let View::Reshape(sizes) = self {
            return reshaped(&sizes, shape);
        }
        let axes = self.axes(shape)?.expect("all but a reshape have axes");
        let sizes: Option<Dims<E>> = axes.into_iter().map(|axis| axis.size).collect();
        let known = sizes.iter().flatten().filter_map(E::known);
        if product(known).is_none() {
            return Err(TOO_MANY.into());
        }
        Ok(sizes)
    }

    /// What it writes in brackets; nothing where there are none.
    pub(crate) fn attributes(self) -> Option<String> {
        Some(match self {
            View::Transpose => return None,
            View::Permute(order) => {
                let axes: Vec<String> = order.iter().map(|axis| axis.to_string()).collect();
                format!("[{}]", axes.join(", "))
            }
            View::Swap(a, b) => format!("[{a}, {b}]"),
            View::Slice(slice) => format!("[{slice}]"),
            View::Flip(axes) | View::Squeeze(axes) | View::Unsqueeze(axes) => axes.to_string(),
            View::Expand(sizes) | View::Reshape(sizes) => format!("[{sizes}]"),
        })
    }
}

/// What to say of a result without a number of elements.
const TOO_MANY: &str = "it would have more elements than can be counted";

/// How many elements these sizes make, if they can be counted.
fn product(sizes: impl Iterator<Item = usize>) -> Option<usize> {
    let sizes: SmallVec<[usize; 6]> = sizes.collect();
    match sizes.contains(&0) {
        true => Some(0),
        false => sizes.into_iter().try_fold(1, usize::checked_mul),
    }
}

/// The sizes of a reshape.
fn reshaped<E: Extent>(sizes: &Sizes, shape: &[E]) -> Result<Option<Dims<E>>, String> {
    let named = product(sizes.iter().flatten()).ok_or(TOO_MANY)?;
    let known = product(shape.iter().filter_map(E::known)).ok_or(TOO_MANY)?;
    let mut symbols = shape.iter().filter(|size| size.known().is_none());
    let found = match (symbols.next(), symbols.next()) {
        // Whatever its size, there is nothing.
        (None, _) | (Some(_), _) if known == 0 && named == 0 => {
            match sizes.iter().all(|size| size.is_some()) {
                true => Some(E::ZERO),
                false => {
                    let hint = "write its size instead of -1";
                    return Err(format!("an axis beside one of size 0 may have any size; {hint}"));
                }
            }
        }
        (None, _) => {
            let finds = sizes.iter().any(|size| size.is_none());
            let fits = if finds { named != 0 && known % named == 0 } else { known == named };
            if !fits {
                let into = if finds { "do not divide into" } else { "are not" };
                let hint = "write sizes whose product is that number, with -1 for one of them";
                return Err(format!(
                    "its {known} elements {into} the {named} of [{sizes}]; {hint}"
                ));
            }
            Some(E::of(known / named.max(1)))
        }
        (Some(symbol), None) if known == named => Some(symbol.clone()),
        _ => None,
    };
    let size = |size: Option<usize>| size.map_or_else(|| found.clone(), |size| Some(E::of(size)));
    Ok(sizes.iter().map(size).collect())
}

/// Makes the table from rows: `pattern "name" "noun", "doc";`.
macro_rules! define_views {
    ($($pattern:pat => $example:expr, $name:literal $noun:literal, $doc:literal;)*) => {
        pub(super) fn info(view: View) -> &'static CallInfo {
            match view {
                $($pattern => &CallInfo {
                    name: $name,
                    noun: $noun,
                    arity: 1,
                    typing: Typing::Same,
                    doc: $doc,
                },)*
            }
        }

        /// One of each.
        pub(super) const ALL: &[Call] = &[$(Call::View($example)),*];
    };
}

define_views! {
    View::Transpose => View::Transpose,
        "transpose" "a transpose", "The axes in reverse";
    View::Permute(_) => View::Permute(Permutation::OF_TWO),
        "permute" "a permutation", "The axes in this order, as in `permute[1, 0](x)`";
    View::Swap(..) => View::Swap(-2, -1),
        "swapaxes" "a swap of axes", "Two axes change places, as in `swapaxes[-2, -1](x)`";
    View::Slice(_) => View::Slice(Slice::WHOLE),
        "slice" "a slice", "Elements along an axis, as in `slice[0, 1:10:2](x)`; bounds are NumPy's";
    View::Flip(_) => View::Flip(Axes::LAST),
        "flip" "a flip", "The elements along axes in reverse, as in `flip[-1](x)`";
    View::Squeeze(_) => View::Squeeze(Axes::LAST),
        "squeeze" "a squeeze", "Axes of size 1 are dropped, as in `squeeze[-1](x)`";
    View::Unsqueeze(_) => View::Unsqueeze(Axes::LAST),
        "unsqueeze" "an unsqueeze", "New axes of size 1, in these places of the result, as in `unsqueeze[-1](x)`";
    View::Expand(_) => View::Expand(Sizes::OF_ALL),
        "expand" "an expansion", "Axes of size 1 repeat, as in `expand[3, -1](x)`; -1 keeps a size";
    View::Reshape(_) => View::Reshape(Sizes::OF_ALL),
        "reshape" "a reshape", "The same elements in another shape, as in `reshape[-1, 3](x)`; -1 is what fits";
}

pub(super) fn infer<E: Extent>(view: View, operands: &[&[E]]) -> Result<Dims<E>, String> {
    let sizes = view.sizes(operands[0])?;
    sizes.ok_or_else(|| "its sizes are known only at a call".to_string())
}

/// As [`infer`]; `None` where symbols do not say all sizes.
pub(super) fn infer_symbolic<E: Extent>(
    view: View,
    operand: &[E],
) -> Result<Option<Dims<E>>, String> {
    view.sizes(operand)
}

/// What fits is known once the rank is.
pub(super) fn check(view: View, _: &[&Shape]) -> Result<(), String> {
    view.check()
}

pub(super) fn eval(view: View, operands: &[&Array], shape: Vec<usize>) -> Array {
    let operand = operands[0];
    let axes = view.axes_of(operand.shape()).expect("the shape was inferred");
    let data = match axes {
        None => operand.data.clone(),
        Some(axes) => {
            let mut strides = vec![1isize; operand.shape().len()];
            for axis in (1..strides.len()).rev() {
                strides[axis - 1] = strides[axis] * operand.shape()[axis] as isize;
            }
            let count = shape.iter().product();
            let at = |index: usize| {
                let (mut rest, mut place) = (index, 0);
                for axis in axes.iter().rev() {
                    let at = (rest % axis.size) as isize;
                    rest /= axis.size;
                    let own = |from: usize| strides[from] * (axis.first as isize + at * axis.step);
                    place += axis.from.map_or(0, own);
                }
                operand.data.at(place as usize)
            };
            Data::collect(operand.dtype(), (0..count).map(at))
        }
    };
    Array { dtype: operand.dtype(), shape, data }
}

/// It computes nothing.
pub(super) fn terms<E: Extent>(_: View, _: &[&[E]]) -> (usize, Dims<E>) {
    (0, Dims::new())
}

#[cfg(test)]
mod tests;
