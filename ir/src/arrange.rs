//! Arrays in other orders and shapes: the methods of [`Expr`] for views.

use crate::call::{Axes, Call, IntoAxes, IntoSizes, Permutation, Slice, View};
use crate::error::{Fault, Origin};
use crate::expr::{Expr, Kind};
use std::ops::{Bound, RangeBounds};
use std::panic::Location;

/// A call of `operands`, or what is wrong with its attributes.
#[track_caller]
fn call<const N: usize>(
    name: &'static str,
    call: Result<Call, String>,
    operands: [Expr; N],
) -> Expr {
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
        call(name, view.map(Call::View), [self.clone()])
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

/// Axes of which there is at least one.
fn named(axes: impl IntoAxes) -> Result<Axes, String> {
    match axes.into_axes()? {
        Axes::ALL => Err("name the axes".into()),
        axes => Ok(axes),
    }
}
