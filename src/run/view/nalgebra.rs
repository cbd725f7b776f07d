//! Matrices, vectors and views of `nalgebra`, of any sizes and strides: each has two axes.

use super::super::element::Element;
use super::{Layout, View, ViewMut};
use nalgebra::{Dim, Matrix, MatrixView, MatrixViewMut, RawStorage, RawStorageMut};

/// Where a matrix lies; whoever takes this borrows it as long, or alone, as its storage does.
fn layout<T: Element, R: Dim, C: Dim, S: RawStorage<T, R, C>>(
    matrix: &Matrix<T, R, C, S>,
) -> Layout {
    let ((rows, columns), (down, across)) = (matrix.shape(), matrix.strides());
    let strides = [down as isize, across as isize];
    Layout::of(matrix.as_ptr().cast_mut(), &[rows, columns], &strides)
}

impl<'a, T: Element, R: Dim, C: Dim, S: RawStorage<T, R, C>> From<&'a Matrix<T, R, C, S>>
    for View<'a>
{
    fn from(matrix: &'a Matrix<T, R, C, S>) -> View<'a> {
        View::over(layout(matrix))
    }
}

impl<'a, T: Element, R: Dim, C: Dim, Down: Dim, Across: Dim>
    From<MatrixView<'a, T, R, C, Down, Across>> for View<'a>
{
    fn from(matrix: MatrixView<'a, T, R, C, Down, Across>) -> View<'a> {
        View::over(layout(&matrix))
    }
}

impl<'a, T: Element, R: Dim, C: Dim, S: RawStorageMut<T, R, C>> From<&'a mut Matrix<T, R, C, S>>
    for ViewMut<'a>
{
    fn from(matrix: &'a mut Matrix<T, R, C, S>) -> ViewMut<'a> {
        let layout = Layout { base: matrix.as_mut_ptr().cast(), ..layout(matrix) };
        ViewMut::over(layout)
    }
}

impl<'a, T: Element, R: Dim, C: Dim, Down: Dim, Across: Dim>
    From<MatrixViewMut<'a, T, R, C, Down, Across>> for ViewMut<'a>
{
    fn from(mut matrix: MatrixViewMut<'a, T, R, C, Down, Across>) -> ViewMut<'a> {
        let layout = Layout { base: matrix.as_mut_ptr().cast(), ..layout(&matrix) };
        ViewMut::over(layout)
    }
}

#[cfg(test)]
mod tests {
    use crate::{View, ViewMut, compile_text};
    use nalgebra::{DMatrix, DVector, Matrix2x3, RowDVector};

    #[test]
    fn strides_are_those_of_the_matrix() {
        let whole = DMatrix::from_fn(6, 5, |i, j| (10 * i + j) as f64);
        let view = View::from(&whole);
        assert_eq!((view.shape(), view.strides()), (&[6, 5][..], &[8, 48][..]));
        let part = View::from(whole.view_with_steps((1, 0), (2, 3), (1, 1)));
        assert_eq!((part.shape(), part.strides()), (&[2, 3][..], &[16, 96][..]));
        let vector = DVector::from_element(4, 1f32);
        assert_eq!(View::from(&vector).shape(), [4, 1]);
        assert_eq!(View::from(&RowDVector::from_element(4, 1u8)).shape(), [1, 4]);
        assert!(View::from(&DMatrix::<i32>::zeros(0, 3)).is_empty());
    }

    #[test]
    fn what_is_read_and_written_is_where_nalgebra_has_it() {
        let kernel = compile_text("x * w").unwrap();
        let whole = DMatrix::from_fn(6, 5, |i, j| (10 * i + j) as f32);
        let part = whole.view_with_steps((1, 0), (2, 3), (1, 1));
        let w = DVector::from_vec(vec![1.0f32, 2.0]);
        let mut small = Matrix2x3::<f32>::zeros();
        kernel.run_into(&[part.into(), (&w).into()], &mut [(&mut small).into()]).unwrap();
        assert_eq!(small, Matrix2x3::from_fn(|i, j| part[(i, j)] * w[i]));

        // A part of a larger matrix is written, and nothing beside it.
        let mut large = DMatrix::from_element(5, 4, -1f32);
        let room = ViewMut::from(large.view_with_steps_mut((1, 0), (2, 3), (1, 0)));
        kernel.run_into(&[part.into(), (&w).into()], &mut [room]).unwrap();
        let expected = DMatrix::from_fn(5, 4, |i, j| match (i, j) {
            (1 | 3, ..3) => small[((i - 1) / 2, j)],
            _ => -1.0,
        });
        assert_eq!(large, expected);
    }

    #[test]
    fn products_take_columns() {
        let x = DMatrix::from_fn(7, 3, |i, j| (i + 2 * j) as f64);
        let y = DMatrix::from_fn(3, 4, |i, j| (5 * i) as f64 - j as f64);
        let kernel = compile_text("|x: f64[m, k], y: f64[k, n]| x @ y").unwrap();
        let mut product = DMatrix::<f64>::zeros(7, 4);
        kernel.run_into(&[(&x).into(), (&y).into()], &mut [(&mut product).into()]).unwrap();
        assert_eq!(product, x * y);
    }
}
