//! Matrices and views of `faer`, transposed and reversed ones too.

use super::super::element::Element;
use super::{Layout, View, ViewMut};
use faer::{Mat, MatMut, MatRef};

/// Where a matrix lies; whoever takes this borrows it as long, or alone, as the matrix it is of.
fn layout<T: Element>(matrix: MatRef<'_, T>) -> Layout {
    let shape = [matrix.nrows(), matrix.ncols()];
    Layout::of(matrix.as_ptr().cast_mut(), &shape, &[matrix.row_stride(), matrix.col_stride()])
}

impl<'a, T: Element> From<MatRef<'a, T>> for View<'a> {
    fn from(matrix: MatRef<'a, T>) -> View<'a> {
        View::over(layout(matrix))
    }
}

impl<'a, T: Element> From<&'a Mat<T>> for View<'a> {
    fn from(matrix: &'a Mat<T>) -> View<'a> {
        matrix.as_ref().into()
    }
}

impl<'a, T: Element> From<MatMut<'a, T>> for ViewMut<'a> {
    fn from(matrix: MatMut<'a, T>) -> ViewMut<'a> {
        let base = matrix.as_ptr_mut().cast();
        ViewMut::over(Layout { base, ..layout(matrix.as_ref()) })
    }
}

impl<'a, T: Element> From<&'a mut Mat<T>> for ViewMut<'a> {
    fn from(matrix: &'a mut Mat<T>) -> ViewMut<'a> {
        matrix.as_mut().into()
    }
}

#[cfg(test)]
mod tests {
    use crate::{View, compile_text};
    use faer::Mat;

    #[test]
    fn transposed_and_reversed_views_are_read_and_written() {
        let x = Mat::from_fn(3, 4, |i, j| (10 * i + j) as f64);
        let turned = x.as_ref().transpose().reverse_rows();
        let y = Mat::from_fn(4, 3, |i, j| (i * j) as f64);
        let kernel = compile_text("|x: f64, y: f64| x * 2 + y").unwrap();
        let mut z = Mat::<f64>::zeros(3, 4);
        let room = z.as_mut().transpose_mut().into();
        kernel.run_into(&[turned.into(), (&y).into()], &mut [room]).unwrap();
        for i in 0..4 {
            for j in 0..3 {
                assert_eq!(z[(j, i)], turned[(i, j)] * 2.0 + y[(i, j)]);
            }
        }
    }

    #[test]
    fn columns_are_padded_and_matrices_may_be_empty() {
        // Room for more rows than there are: columns lie apart.
        let mut x = Mat::<f32>::with_capacity(8, 3);
        x.resize_with(5, 3, |i, j| (i * 3 + j) as f32);
        let view = View::from(&x);
        assert_eq!((view.shape(), view.strides()[0]), (&[5, 3][..], 4));
        assert!(view.strides()[1] >= 32, "{:?}", view.strides());
        let kernel = compile_text("x + x").unwrap();
        let mut twice = Mat::<f32>::zeros(5, 3);
        kernel.run_into(&[view], &mut [(&mut twice).into()]).unwrap();
        assert_eq!(twice, Mat::from_fn(5, 3, |i, j| 2.0 * x[(i, j)]));
        let mut none = Mat::<f32>::zeros(0, 3);
        let empty = Mat::<f32>::zeros(0, 3);
        kernel.run_into(&[(&empty).into()], &mut [(&mut none).into()]).unwrap();
        assert!(View::from(x.get(.., 3..)).is_empty());
    }
}
