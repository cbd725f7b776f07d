//! Views: the elements of an array in another order or shape. None computes anything, and all but some
//! reshapes only say how far apart elements lie.

use super::{Axes, Call, CallInfo};
use crate::array::{Array, Data};
use crate::shape::{Dims, Extent, Shape};
use crate::typing::Typing;
use smallvec::SmallVec;
use std::fmt;

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

/// An order of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permutation {
    rank: u8,
    /// Four bits for each axis.
    axes: u64,
}

impl Permutation {
    /// The most axes that one has.
    pub const MAX_RANK: usize = 16;

    /// Axis `i` of the result is `axes[i]` of the operand. Fails unless each axis is there once.
    pub fn new(axes: &[i64]) -> Result<Permutation, String> {
        let rank = axes.len();
        if rank > Permutation::MAX_RANK {
            return Err(format!("{rank} axes are too many: a permutation has up to 16"));
        }
        let set = Axes::some(axes).and_then(|set| set.of_rank(rank));
        if rank > 0
            && let Err(reason) = set
        {
            return Err(format!("{reason}; a permutation names each axis once"));
        }
        let place = |axis: i64| if axis < 0 { axis + rank as i64 } else { axis } as u64;
        let axes = axes.iter().enumerate();
        let axes = axes.fold(0, |bits, (at, &axis)| bits | place(axis) << (4 * at));
        Ok(Permutation { rank: rank as u8, axes })
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.rank).map(move |at| (self.axes >> (4 * at) & 15) as usize)
    }
}

/// Some of the elements along an axis, as NumPy counts them: bounds below 0 count from the end, and
/// bounds beyond the ends are the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slice {
    axis: i8,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
}

impl Slice {
    /// From `start` on by `step` until before `stop`. Fails where the step is 0, or where no array has
    /// such an axis.
    pub fn new(
        axis: i64,
        start: Option<i64>,
        stop: Option<i64>,
        step: i64,
    ) -> Result<Slice, String> {
        if step == 0 {
            return Err("a step of 0 never ends; write 1 for all, -1 for all in reverse".into());
        }
        Ok(Slice { axis: small_axis(axis)?, start, stop, step })
    }

    /// The axis.
    pub fn axis(self) -> i64 {
        self.axis.into()
    }

    /// The same of an array of this rank, its axis counted from the last.
    pub fn from_last(self, rank: usize) -> Slice {
        let axis = if self.axis < 0 { self.axis } else { self.axis - rank as i8 };
        Slice { axis, ..self }
    }

    /// The first of the elements that it takes of `len`, and how many it takes.
    fn range(self, len: usize) -> (usize, usize) {
        let len = len as i128;
        let (least, most) = if self.step > 0 { (0, len) } else { (-1, len - 1) };
        let bound = |bound: Option<i64>, open: i128| match bound.map(i128::from) {
            None => open,
            Some(bound) if bound < 0 => (bound + len).clamp(least, most.max(least)),
            Some(bound) => bound.clamp(least, most.max(least)),
        };
        let step = i128::from(self.step);
        let (open_start, open_stop) = if step > 0 { (least, most) } else { (most, least) };
        let (start, stop) = (bound(self.start, open_start), bound(self.stop, open_stop));
        let count = if step > 0 { stop - start } else { start - stop };
        let count = (count + step.abs() - 1).div_euclid(step.abs()).max(0);
        (if count > 0 { start as usize } else { 0 }, count as usize)
    }

    /// Whether it takes all elements, whatever their number.
    fn is_whole(self) -> bool {
        self.step.abs() == 1 && self.start.is_none() && self.stop.is_none()
    }
}

/// `0, 1:10:2`; `-1, ::-1`.
impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |bound: Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
        write!(f, "{}, {}:{}", self.axis, bound(self.start), bound(self.stop))?;
        if self.step != 1 { write!(f, ":{}", self.step) } else { Ok(()) }
    }
}

/// An axis, counted from the last, which is -1, or the first, which is 0.
pub(super) fn small_axis(axis: i64) -> Result<i8, String> {
    Axes::some(&[axis])?;
    Ok(axis as i8)
}

/// The place of such an axis among `rank`.
pub(super) fn place(axis: i8, rank: usize) -> Result<usize, String> {
    let is_named = Axes::some(&[axis.into()])?.of_rank(rank)?;
    Ok(is_named.iter().position(|&named| named).expect("there is such an axis"))
}

/// Sizes of axes, of which some are found out: -1 in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sizes {
    rank: u8,
    sizes: [u32; Sizes::MAX_RANK],
}

impl Sizes {
    /// The most axes that they are for.
    pub const MAX_RANK: usize = 8;

    /// What stands for -1.
    const FOUND: u32 = u32::MAX;

    /// Fails for too many sizes, and for what is none.
    pub fn new(sizes: &[i64]) -> Result<Sizes, String> {
        let rank = sizes.len();
        if rank > Sizes::MAX_RANK {
            return Err(format!("{rank} sizes are too many: there may be up to 8"));
        }
        let mut all = [0; Sizes::MAX_RANK];
        for (to, &size) in all.iter_mut().zip(sizes) {
            *to = match u32::try_from(size) {
                Ok(size) if size != Sizes::FOUND => size,
                _ if size == -1 => Sizes::FOUND,
                _ => {
                    let hint = "write one from 0 to 4294967294, or -1 for what fits";
                    return Err(format!("{size} is no size; {hint}"));
                }
            };
        }
        Ok(Sizes { rank: rank as u8, sizes: all })
    }

    /// Each size, and `None` for one that is found out.
    fn iter(&self) -> impl DoubleEndedIterator<Item = Option<usize>> + ExactSizeIterator {
        let sizes = self.sizes[..usize::from(self.rank)].iter();
        sizes.map(|&size| (size != Sizes::FOUND).then_some(size as usize))
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |size: Option<usize>| size.map_or("-1".into(), |size| size.to_string());
        f.write_str(&self.iter().map(size).collect::<Vec<String>>().join(", "))
    }
}

/// Sizes as they are written in Rust: `[2, -1]`.
pub trait IntoSizes {
    /// The sizes, or why there are none such.
    fn into_sizes(self) -> Result<Sizes, String>;
}

impl<const N: usize> IntoSizes for [i32; N] {
    fn into_sizes(self) -> Result<Sizes, String> {
        self[..].into_sizes()
    }
}

impl IntoSizes for &[i32] {
    fn into_sizes(self) -> Result<Sizes, String> {
        Sizes::new(&self.iter().map(|&size| size.into()).collect::<Vec<_>>())
    }
}

impl<const N: usize> IntoSizes for [usize; N] {
    fn into_sizes(self) -> Result<Sizes, String> {
        self[..].into_sizes()
    }
}

impl IntoSizes for &[usize] {
    fn into_sizes(self) -> Result<Sizes, String> {
        let sizes = self.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX));
        Sizes::new(&sizes.collect::<Vec<_>>())
    }
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

    /// Whether it may fit any array.
    fn check(self) -> Result<(), String> {
        match self {
            View::Squeeze(Axes::ALL) => {
                Err("name the axes that are dropped, as in `squeeze[-1](x)`".into())
            }
            View::Unsqueeze(Axes::ALL) => Err("name the new axes, as in `unsqueeze[-1](x)`".into()),
            View::Reshape(sizes) if sizes.iter().filter(Option::is_none).count() > 1 => {
                Err("at most one size can be found out".into())
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
                    return Err(format!("{found} axes are in order, but the array has {rank}"));
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
                    return Err(format!("axis {axis} has size {size}: only a 1 can be dropped"));
                }
                axes.retain(|axis| !axis.from.is_some_and(|from| named[from]));
            }
            View::Unsqueeze(new) => {
                let mut old = axes.into_iter();
                let is_new = new.of_rank(rank + new.count())?;
                let axis = |is_new: bool| match is_new {
                    true => Axis::new(E::ONE),
                    false => old.next().expect("the others are old"),
                };
                axes = is_new.into_iter().map(axis).collect();
            }
            View::Expand(sizes) => {
                let added = sizes.iter().len().checked_sub(rank);
                let Some(added) = added else {
                    return Err(format!("the array has {rank} axes, and must keep them"));
                };
                let expanded = sizes.iter().enumerate().map(|(at, size)| {
                    match (size, at.checked_sub(added)) {
                        (None, None) => Err("a new axis needs a size".to_string()),
                        (Some(size), None) => Ok(Axis::new(E::of(size))),
                        (None, Some(from)) => Ok(whole(from)),
                        (Some(size), Some(from)) => match shape[from].known() {
                            Some(known) if known != size && known != 1 => {
                                Err(format!("axis {from} has size {known}: only a 1 repeats"))
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
                return Err(format!("its {known} elements {into} the {named} of [{sizes}]"));
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

const ONE: Sizes = Sizes { rank: 1, sizes: [Sizes::FOUND; Sizes::MAX_RANK] };
const WHOLE: Slice = Slice { axis: -1, start: None, stop: None, step: 1 };

define_views! {
    View::Transpose => View::Transpose,
        "transpose" "a transpose", "The axes in reverse";
    View::Permute(_) => View::Permute(Permutation { rank: 1, axes: 0 }),
        "permute" "a permutation", "The axes in this order, as in `permute[1, 0](x)`";
    View::Swap(..) => View::Swap(-2, -1),
        "swapaxes" "a swap of axes", "Two axes change places, as in `swapaxes[-2, -1](x)`";
    View::Slice(_) => View::Slice(WHOLE),
        "slice" "a slice", "Elements along an axis, as in `slice[0, 1:10:2](x)`; bounds are NumPy's";
    View::Flip(_) => View::Flip(Axes::ALL),
        "flip" "a flip", "The elements along axes in reverse";
    View::Squeeze(_) => View::Squeeze(Axes::ALL),
        "squeeze" "a squeeze", "Axes of size 1 are dropped";
    View::Unsqueeze(_) => View::Unsqueeze(Axes::ALL),
        "unsqueeze" "an unsqueeze", "New axes of size 1, in these places of the result";
    View::Expand(_) => View::Expand(ONE),
        "expand" "an expansion", "Axes of size 1 repeat, as in `expand[3, -1](x)`; -1 keeps a size";
    View::Reshape(_) => View::Reshape(ONE),
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
mod tests {
    use crate::array::Array;
    use crate::dtype::DType;
    use crate::eval::eval;
    use crate::text::parse;

    /// What `text` makes of an array of 0, 1, 2, ..: its shape and its elements.
    fn of(text: &str, shape: &[usize]) -> (Vec<usize>, Vec<f64>) {
        let graph =
            parse(&format!("|x: f64[..]| {text}")).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(parse(&graph.to_string()).unwrap(), graph, "{graph}");
        let data: Vec<f64> = (0..shape.iter().product()).map(|at: usize| at as f64).collect();
        let x = Array::new(DType::F64, shape.to_vec(), data).unwrap();
        let result = eval(&graph, &[x]).unwrap_or_else(|e| panic!("{text}: {e}")).remove(0);
        (result.shape().to_vec(), result.data().to_vec())
    }

    #[test]
    fn views_by_hand() {
        let grid = &[2, 3][..];
        for (text, from, shape, data) in [
            ("transpose(x)", grid, &[3, 2][..], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0][..]),
            ("permute[1, 0](x)", grid, &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            ("permute[-1, 0](x)", grid, &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            ("swapaxes[0, -1](x)", grid, &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            ("slice[1, ::2](x)", grid, &[2, 2], &[0.0, 2.0, 3.0, 5.0]),
            ("slice[-1, -2:](x)", grid, &[2, 2], &[1.0, 2.0, 4.0, 5.0]),
            ("slice[0, ::-1](x)", grid, &[2, 3], &[3.0, 4.0, 5.0, 0.0, 1.0, 2.0]),
            ("slice[0, 8:1:-3](x)", &[10], &[3], &[8.0, 5.0, 2.0]),
            ("slice[0, -100:100](x)", &[2], &[2], &[0.0, 1.0]),
            ("slice[0, 5:2](x)", &[10], &[0], &[]),
            ("slice[0, ::-1](x)", &[0], &[0], &[]),
            ("slice[0, :-1](x)", &[0], &[0], &[]),
            (
                "slice[0, 9223372036854775807:-9223372036854775807:-9223372036854775807](x)",
                &[3],
                &[1],
                &[2.0],
            ),
            ("flip[-1](x)", grid, &[2, 3], &[2.0, 1.0, 0.0, 5.0, 4.0, 3.0]),
            ("flip[..](x)", grid, &[2, 3], &[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]),
            ("squeeze[0, -1](x)", &[1, 2, 1], &[2], &[0.0, 1.0]),
            ("unsqueeze[0, -1](x)", &[2], &[1, 2, 1], &[0.0, 1.0]),
            ("expand[2, 2](x)", &[2, 1], &[2, 2], &[0.0, 0.0, 1.0, 1.0]),
            ("expand[2, -1](x)", &[2], &[2, 2], &[0.0, 1.0, 0.0, 1.0]),
            ("expand[0, -1](x)", &[2], &[0, 2], &[]),
            ("reshape[3, -1](x)", grid, &[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            ("reshape[-1](x)", &[], &[1], &[0.0]),
            ("reshape[](x)", &[1, 1], &[], &[0.0]),
            ("reshape[0, 3](x)", &[2, 0], &[0, 3], &[]),
            ("reshape[2, -1](x)", &[0, 3], &[2, 0], &[]),
        ] {
            assert_eq!(of(text, from), (shape.to_vec(), data.to_vec()), "{text} of {from:?}");
        }
    }

    #[test]
    fn shapes_in_symbols() {
        for (head, text, shape) in [
            ("x: f32[n, d]", "transpose(x)", "[d, n]"),
            ("x: f32[n, d]", "swapaxes[-2, -1](x)", "[d, n]"),
            ("x: f32[n, 12]", "reshape[-1, 3, 4](x)", "[n, 3, 4]"),
            ("x: f32[n, 3, 4]", "reshape[-1, 12](x)", "[n, 12]"),
            ("x: f32[n, d]", "reshape[-1](x)", "[..]"),
            ("x: f32[n, d]", "reshape[2, 3](x)", "[2, 3]"),
            ("x: f32[n, 6]", "slice[-1, ::2](x)", "[n, 3]"),
            ("x: f32[n, 6]", "slice[0, ::-1](x)", "[n, 6]"),
            ("x: f32[n, 6]", "slice[0, 1:](x)", "[..]"),
            ("x: f32[n]", "unsqueeze[-1](x)", "[n, 1]"),
            ("x: f32[n]", "expand[3, -1](x)", "[3, n]"),
            ("x: f32[..]", "transpose(x)", "[..]"),
        ] {
            let graph = parse(&format!("kernel k({head}) {{ {text} }}")).unwrap();
            assert_eq!(graph.shape(graph.outputs()[0]).to_string(), shape, "{text} of {head}");
        }
    }

    #[test]
    fn what_cannot_be() {
        for (text, message) in [
            (
                "|x: f32[2, 3]| permute[0](x)",
                "permute: the shape [2, 3] does not fit: 1 axes are in order, but the array has 2",
            ),
            ("permute[0, 0](x)", "axis 0 is there twice; a permutation names each axis once"),
            ("permute[0, 2](x)", "there is no axis 2: the array has 2 axes; a permutation"),
            ("|x: f32[2, 3]| swapaxes[0, 2](x)", "there is no axis 2: the array has 2 axes"),
            ("slice[0, ::0](x)", "a step of 0 never ends"),
            ("slice[0](x)", "write an axis and a range"),
            ("slice(x)", "`slice` of which axes or sizes?"),
            ("|x: f32[2]| slice[1, :](x)", "there is no axis 1: the array has 1 axis"),
            ("|x: f32[2, 3]| squeeze[0](x)", "axis 0 has size 2: only a 1 can be dropped"),
            ("squeeze[..](x)", "name the axes"),
            ("|x: f32[2]| unsqueeze[3](x)", "there is no axis 3"),
            ("|x: f32[2, 3]| expand[3](x)", "the array has 2 axes, and must keep them"),
            ("|x: f32[2, 3]| expand[4, 3](x)", "axis 0 has size 2: only a 1 repeats"),
            ("|x: f32[2]| expand[-1, -1](x)", "a new axis needs a size"),
            (
                "|x: f32[2]| expand[4294967294, 4294967294, 2](x)",
                "more elements than can be counted",
            ),
            ("|x: f32[2, 3]| reshape[4](x)", "its 6 elements are not the 4 of [4]"),
            (
                "|x: f32[2, 3]| reshape[4, -1](x)",
                "its 6 elements do not divide into the 4 of [4, -1]",
            ),
            ("|x: f32[0, 3]| reshape[0, -1](x)", "may have any size"),
            ("|x: f32[2]| reshape[-1, -1](x)", "at most one size can be found out"),
            ("reshape[-2](x)", "-2 is no size"),
            ("reshape[1,1,1,1,1,1,1,1,1](x)", "9 sizes are too many"),
            ("fused(x) { transpose(x) }", "a transpose cannot stand in a fused body"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains(message), "{text}: {error}");
        }
        let x = crate::Expr::input("x: f32[2, 3]");
        for (expr, message) in [
            (x.reshape([4, 2]), "reshape: the shape [2, 3] does not fit: its 6 elements"),
            (x.slice_by(0, None, None, 0), "slice: a step of 0"),
            (x.permute([0, 0]), "permute: axis 0 is there twice"),
            (x.squeeze(..), "squeeze: name the axes"),
        ] {
            let error = crate::build("k", &[expr]).unwrap_err().to_string();
            assert!(error.contains(message) && error.contains("view.rs:"), "{error}");
        }
        let y = crate::build("k", &[x.slice(1, 1..=-1).t()]).unwrap();
        assert_eq!(y.shape(y.outputs()[0]).to_string(), "[2, 2]");
    }
}
