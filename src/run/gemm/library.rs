//! Products by the crate `gemm`.

use super::Matrix;
use gemm_common::Parallelism;

/// A kernel of `gemm` for one element type. Wherever it takes the steps of a matrix, the step
/// between columns comes first.
type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// An element type that `gemm` multiplies.
pub(super) trait Number: Copy + 'static {
    const ZERO: Self;
    const ONE: Self;

    /// The kernel for this machine.
    fn kernel() -> Gemm<Self>;

    /// `output = left * right`, for sizes `[m, n, k]`.
    ///
    /// `gemm`'s kernels prefer outputs with contiguous columns. They take no backward steps over
    /// rows and columns of the output, nor over columns of the left operand. So a product may be
    /// computed as its transpose, or from its other end.
    ///
    /// # Safety
    ///
    /// Every matrix must be valid for its size, and the output must overlap nothing.
    unsafe fn gemm(
        [mut m, mut n, k]: [usize; 3],
        mut output: Matrix<*mut Self>,
        mut left: Matrix<*const Self>,
        mut right: Matrix<*const Self>,
    ) {
        let transposed = |(at, columns, rows): Matrix<*const Self>| (at, rows, columns);
        if output.1.abs() < output.2.abs() {
            (m, n) = (n, m);
            output = (output.0, output.2, output.1);
            (left, right) = (transposed(right), transposed(left));
        }
        let end = |size: usize, step: isize| size.saturating_sub(1) as isize * step;
        if output.2 < 0 {
            output = (output.0.wrapping_offset(end(m, output.2)), output.1, -output.2);
            left = (left.0.wrapping_offset(end(m, left.2)), left.1, -left.2);
        }
        if output.1 < 0 {
            output = (output.0.wrapping_offset(end(n, output.1)), -output.1, output.2);
            right = (right.0.wrapping_offset(end(n, right.1)), -right.1, right.2);
        }
        if left.1 < 0 {
            left = (left.0.wrapping_offset(end(k, left.1)), -left.1, left.2);
            right = (right.0.wrapping_offset(end(k, right.2)), right.1, -right.2);
        }
        // SAFETY: the same elements, required of the caller.
        unsafe {
            Self::kernel()(
                m,
                n,
                k,
                output.0,
                output.1,
                output.2,
                false,
                left.0,
                left.1,
                left.2,
                right.0,
                right.1,
                right.2,
                Self::ZERO,
                Self::ONE,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;

    fn kernel() -> Gemm<f32> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    fn kernel() -> Gemm<f64> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }
}
