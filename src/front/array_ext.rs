//! Functions as methods of arrays.

use super::function::Function;
use super::outputs::Outputs;
use crate::run::{Element, RunError};
use ndarray::{ArrayRef, Dimension};

/// Functions of one input as methods of arrays, beside `mapv` and `mapv_inplace`.
///
/// ```
/// use kiln::ArrayExt;
/// use ndarray::array;
///
/// let silu = kiln::fuse!(|x| x * x.sigmoid())?;
/// let mut x = array![[0.0f32, -1.0], [1.0, 10.0]];
/// let y = x.fused(&silu)?;
/// x.fuse_in_place(&silu)?;
/// assert_eq!(x, y);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ArrayExt<T: Element, D: Dimension> {
    /// What `function` makes of the array: as [`Function::call`].
    fn fused<O: Outputs>(&self, function: &Function<(T,), O>) -> Result<O::Arrays<D>, RunError>;

    /// Replaces the array by what `function` makes of it: as [`Function::call_in_place`].
    fn fuse_in_place(&mut self, function: &Function<(T,), (T,)>) -> Result<(), RunError>;
}

/// For all owned arrays and views, which dereference to this.
impl<T: Element, D: Dimension> ArrayExt<T, D> for ArrayRef<T, D> {
    #[inline]
    fn fused<O: Outputs>(&self, function: &Function<(T,), O>) -> Result<O::Arrays<D>, RunError> {
        function.call(self)
    }

    #[inline]
    fn fuse_in_place(&mut self, function: &Function<(T,), (T,)>) -> Result<(), RunError> {
        function.call_in_place(self, ())
    }
}
