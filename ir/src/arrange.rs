//! Arrays in other orders and shapes: the methods of [`Expr`] for views.

use crate::call::{
    Axes, Call, Concat, Gather, IntoAxes, IntoSizes, Iota, Pad, Permutation, Running, Scan, Slice,
    View, small_axis,
};
use crate::error::{Fault, Origin};
use crate::expr::{Expr, Kind};
use crate::ops::Op;
use std::ops::{Bound, RangeBounds};
use std::panic::Location;

/// A call of `operands`, or what is wrong with its attributes.
#[track_caller]
fn call(name: &'static str, call: Result<Call, String>, operands: impl Into<Box<[Expr]>>) -> Expr {
    let kind = match call {
        Ok(call) => Kind::Call(call, operands.into()),
        Err(reason) => Kind::Wrong(Fault::Axes { op: name, reason }.into()),
    };
    Expr::new(kind, Origin::Code(Location::caller()))
}

/// Views: the same elements in another order or shape. They move nothing where strides can say them,
/// which they can for all but some reshapes. Axes are counted from the last, which is -1, or the first,
/// which is 0.
impl Expr {
    #[track_caller]
    fn view(&self, name: &'static str, view: Result<View, String>) -> Expr {
        call(name, view.and_then(View::checked).map(Call::View), [self.clone()])
    }

    /// The same elements, the last axis fastest, in another shape; -1 is what fits: `x.reshape([-1, 3])`.
    #[track_caller]
    pub fn reshape(&self, sizes: impl IntoSizes) -> Expr {
        self.view("reshape", sizes.into_sizes().map(View::Reshape))
    }

    /// All axes in reverse: of a matrix its transpose.
    #[track_caller]
    pub fn t(&self) -> Expr {
        self.view("transpose", Ok(View::Transpose))
    }

    /// The axes in another order, each named once: `x.permute([0, 2, 1])`.
    #[track_caller]
    pub fn permute<const N: usize>(&self, axes: [i32; N]) -> Expr {
        let axes = Permutation::new(&axes.map(i64::from));
        self.view("permute", axes.map(View::Permute))
    }

    /// Two axes change places: `x.swapaxes(-2, -1)`.
    #[track_caller]
    pub fn swapaxes(&self, a: i32, b: i32) -> Expr {
        let swap = View::swap(a.into(), b.into());
        self.view("swapaxes", swap)
    }

    /// The elements along an axis in a range, as NumPy counts them: bounds below 0 count from the end,
    /// and bounds beyond the ends are the ends.
    #[track_caller]
    pub fn slice(&self, axis: i32, range: impl RangeBounds<i64>) -> Expr {
        let start = match range.start_bound() {
            Bound::Included(&start) => Some(start),
            Bound::Excluded(&before) => Some(before.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let stop = match range.end_bound() {
            // The one after the last.
            Bound::Included(-1) | Bound::Unbounded => None,
            Bound::Included(&last) => Some(last.saturating_add(1)),
            Bound::Excluded(&stop) => Some(stop),
        };
        self.slice_by(axis, start, stop, 1)
    }

    /// The same by steps, backwards where the step is below 0: `x.slice_by(0, None, None, -2)`.
    #[track_caller]
    pub fn slice_by(
        &self,
        axis: i32,
        start: impl Into<Option<i64>>,
        stop: impl Into<Option<i64>>,
        step: i64,
    ) -> Expr {
        let slice = Slice::new(axis.into(), start.into(), stop.into(), step);
        self.view("slice", slice.map(View::Slice))
    }

    /// The elements along these axes in reverse.
    #[track_caller]
    pub fn flip(&self, axes: impl IntoAxes) -> Expr {
        self.view("flip", axes.into_axes().map(View::Flip))
    }

    /// Without these axes, which must have size 1.
    #[track_caller]
    pub fn squeeze(&self, axes: impl IntoAxes) -> Expr {
        self.view("squeeze", named(axes).map(View::Squeeze))
    }

    /// With new axes of size 1 in these places of the result.
    #[track_caller]
    pub fn unsqueeze(&self, axes: impl IntoAxes) -> Expr {
        self.view("unsqueeze", named(axes).map(View::Unsqueeze))
    }

    /// Axes of size 1 repeat, and new ones may come first; -1 keeps a size: `x.expand([8, -1])`. Where
    /// operands of an op broadcast, they do so without it.
    #[track_caller]
    pub fn expand(&self, sizes: impl IntoSizes) -> Expr {
        self.view("expand", sizes.into_sizes().map(View::Expand))
    }
}

/// What is picked, put together, counted or summed up along an axis, which is counted from the last, -1, or the
/// first, 0.
impl Expr {
    /// What has these places along an axis, as NumPy's `take`: the axes of the places stand in place of
    /// the axis. Places are `i32` or `i64`; those below 0 count from the end, and one beyond the ends is an
    /// error of the call.
    #[track_caller]
    pub fn take(&self, places: impl Into<Expr>, axis: i32) -> Expr {
        let gather = small_axis(axis.into()).map(|axis| Gather { along: false, axis });
        call("take", gather.map(Call::Gather), [self.clone(), places.into()])
    }

    /// Of each row along an axis the elements in its places, as NumPy's `take_along_axis`: both have
    /// the same number of axes, and all but this one broadcast. For the rest see [`take`](Expr::take).
    #[track_caller]
    pub fn take_along(&self, places: impl Into<Expr>, axis: i32) -> Expr {
        let gather = small_axis(axis.into()).map(|axis| Gather { along: true, axis });
        call("take_along", gather.map(Call::Gather), [self.clone(), places.into()])
    }

    /// `before` and `after` times `value` before and after each row along an axis.
    #[track_caller]
    pub fn pad(&self, axis: i32, [before, after]: [u32; 2], value: impl Into<Expr>) -> Expr {
        let pad = Pad::new(axis.into(), before.into(), after.into());
        call("pad", pad.map(Call::Pad), [self.clone(), value.into()])
    }

    /// Arrays one after another along an axis.
    #[track_caller]
    pub fn concat<E: Into<Expr> + Clone>(arrays: &[E], axis: i32) -> Expr {
        let concat = small_axis(axis.into()).map(|axis| Concat { axis });
        let arrays: Vec<Expr> = arrays.iter().cloned().map(Into::into).collect();
        call("concat", concat.map(Call::Concat), arrays)
    }

    /// The places 0, 1, 2, .. along an axis, as `i64`. The other axes are there with size 1, so that it
    /// broadcasts: of scores `s`, `s.iota(-2).ge(s.iota(-1))` is a causal mask.
    #[track_caller]
    pub fn iota(&self, axis: i32) -> Expr {
        let iota = Iota::new(axis.into(), None);
        call("iota", iota.map(Call::Iota), [self.clone()])
    }

    /// The sum of each element and those before it along an axis, as NumPy's `cumsum`. Of bools and short
    /// integers it is `i64`.
    #[track_caller]
    pub fn cumsum(&self, axis: i32) -> Expr {
        let scan = small_axis(axis.into()).map(|axis| Scan { by: Running::Sum, axis });
        call("cumsum", scan.map(Call::Scan), [self.clone()])
    }

    /// The product of each element and those before it along an axis, as NumPy's `cumprod`. Of bools and
    /// short integers it is `i64`.
    #[track_caller]
    pub fn cumprod(&self, axis: i32) -> Expr {
        let scan = small_axis(axis.into()).map(|axis| Scan { by: Running::Product, axis });
        call("cumprod", scan.map(Call::Scan), [self.clone()])
    }

    /// With a new last axis of size `depth`, along which only the place that each element says is true.
    /// For elements that are no place, as -1, none is: rows of false, where labels would be refused.
    #[track_caller]
    pub fn one_hot(&self, depth: u32) -> Expr {
        self.one_hot_of(depth.into())
    }

    #[track_caller]
    pub(crate) fn one_hot_of(&self, depth: i64) -> Expr {
        let labels = self.unsqueeze(-1);
        let places = Iota::new(-1, Some(depth)).map(Call::Iota);
        let places = call("one_hot", places, [labels.clone()]);
        Expr::apply(Op::Eq, vec![labels, places])
    }
}

/// Axes of which there is at least one.
fn named(axes: impl IntoAxes) -> Result<Axes, String> {
    match axes.into_axes()? {
        Axes::ALL => Err("name the axes".into()),
        axes => Ok(axes),
    }
}
