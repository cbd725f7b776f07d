//! What views are written with: orders of axes, slices, sizes.

use crate::call::Axes;
use std::fmt;

/// An order of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permutation {
    pub(super) rank: u8,
    /// Four bits for each axis.
    pub(super) axes: u64,
}

impl Permutation {
    /// `[1, 0]`.
    pub(super) const OF_TWO: Permutation = Permutation { rank: 2, axes: 1 };

    /// The most axes that one has.
    pub const MAX_RANK: usize = 16;

    /// Axis `i` of the result is `axes[i]` of the operand. Fails unless each axis is there once.
    pub fn new(axes: &[i64]) -> Result<Permutation, String> {
        let rank = axes.len();
        if rank > Permutation::MAX_RANK {
            return Err(format!("{rank} axes are too many: a permutation has up to 16"));
        }
        if rank > 0 {
            Axes::some(axes)?.among(rank, "the permutation")?;
        }
        let place = |axis: i64| if axis < 0 { axis + rank as i64 } else { axis } as u64;
        let axes = axes.iter().enumerate();
        let axes = axes.fold(0, |bits, (at, &axis)| bits | place(axis) << (4 * at));
        Ok(Permutation { rank: rank as u8, axes })
    }

    /// The one that undoes it.
    pub(super) fn inverse(self) -> Permutation {
        let places = self.iter().enumerate();
        let axes = places.fold(0, |bits, (at, from)| bits | (at as u64) << (4 * from));
        Permutation { axes, ..self }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.rank).map(move |at| (self.axes >> (4 * at) & 15) as usize)
    }
}

/// Some of the elements along an axis, as NumPy counts them: bounds below 0 count from the end, and
/// bounds beyond the ends are the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slice {
    pub(super) axis: i8,
    start: Option<i64>,
    stop: Option<i64>,
    pub(super) step: i64,
}

impl Slice {
    /// Of all elements along the last axis.
    pub(super) const WHOLE: Slice = Slice { axis: -1, start: None, stop: None, step: 1 };

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
    pub(super) fn range(self, len: usize) -> (usize, usize) {
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
    pub(super) fn is_whole(self) -> bool {
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
pub(crate) fn small_axis(axis: i64) -> Result<i8, String> {
    Axes::some(&[axis])?;
    Ok(axis as i8)
}

/// The place of such an axis among `rank`.
pub(in crate::call) fn place(axis: i8, rank: usize) -> Result<usize, String> {
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
    /// `[-1]`.
    pub(super) const OF_ALL: Sizes = Sizes { rank: 1, sizes: [Sizes::FOUND; Sizes::MAX_RANK] };

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
    pub(super) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = Option<usize>> + ExactSizeIterator {
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
