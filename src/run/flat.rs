//! A batch of products with one right operand is one product: of all their rows.

use super::strided::reshaped;
use super::view::Layout;
use kiln_ir::Dims;
use smallvec::SmallVec;

/// A batch that is one product.
pub(super) struct Flat<'a> {
    /// The axes of the batch, and that of rows: they become one.
    axes: &'a [usize],
    /// The axes of the result behind them: one, or none where the right operand is a vector.
    columns: usize,
}

impl<'a> Flat<'a> {
    /// If a left operand of this shape has a batch, and the right one is one for all of it.
    pub(super) fn new(left: &'a [usize], right: &Layout) -> Option<Flat<'a>> {
        let [axes @ .., _] = left else { return None };
        let columns = right.shape.len().checked_sub(1)?;
        (axes.len() > 1 && columns < 2).then_some(Flat { axes, columns })
    }

    /// The left operand or an output with one axis for all rows, if each row lies where those before it say.
    pub(super) fn whole(&self, array: &Layout) -> Option<Layout> {
        let rest = array.shape.strip_prefix(self.axes)?;
        let mut shape: Dims<usize> = SmallVec::new();
        shape.push(self.axes.iter().product());
        shape.extend_from_slice(rest);
        let strides = reshaped(array, &shape)?;
        Some(Layout { base: array.base, dtype: array.dtype, shape, strides })
    }

    /// An array that broadcasts to the result, if it does so to that of the one product.
    pub(super) fn broadcast(&self, array: &Layout) -> Option<Layout> {
        let own = array.shape.len().saturating_sub(self.columns);
        match array.shape[..own].iter().all(|&size| size == 1) {
            true => Some(Layout {
                base: array.base,
                dtype: array.dtype,
                shape: array.shape[own..].into(),
                strides: array.strides[own..].into(),
            }),
            false => self.whole(array),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Flat, Layout};
    use kiln_ir::DType;

    /// The strides of the matrices, in elements, that arrays of these shapes and strides are.
    fn strides([left, right, output]: [(&[usize], &[isize]); 3]) -> Option<[Vec<isize>; 2]> {
        let mut elements = [0f32; 1];
        let base = elements.as_mut_ptr().cast();
        let of = |(shape, strides)| Layout::new(base, DType::F32, shape, strides);
        let (left, right, output) = (of(left), of(right), of(output));
        let flat = Flat::new(&left.shape, &right)?;
        let flat = [flat.whole(&left)?, flat.whole(&output)?];
        Some(flat.map(|layout| layout.strides.iter().map(|stride| stride / 4).collect()))
    }

    #[test]
    fn rows_that_lie_evenly_are_one_matrix() {
        let w: (&[usize], &[isize]) = (&[5, 7], &[7, 1]);
        let left: (&[usize], &[isize]) = (&[2, 3, 5], &[15, 5, 1]);
        let output: (&[usize], &[isize]) = (&[2, 3, 7], &[21, 7, 1]);
        assert_eq!(strides([left, w, output]), Some([vec![5, 1], vec![7, 1]]));
        let vector: (&[usize], &[isize]) = (&[5], &[1]);
        let column: (&[usize], &[isize]) = (&[2, 3], &[3, 1]);
        assert_eq!(strides([left, vector, column]), Some([vec![5, 1], vec![1]]));
        // Every second row; rows backwards.
        let left: (&[usize], &[isize]) = (&[2, 3, 5], &[30, 10, 1]);
        assert_eq!(strides([left, w, output]), Some([vec![10, 1], vec![7, 1]]));
        let left: (&[usize], &[isize]) = (&[2, 3, 5], &[-15, -5, 1]);
        assert_eq!(strides([left, w, output]), Some([vec![-5, 1], vec![7, 1]]));
        // Rows with a gap after every third, a right operand for each, and one matrix as it is.
        let gap: (&[usize], &[isize]) = (&[2, 3, 5], &[20, 5, 1]);
        assert_eq!(strides([gap, w, output]), None);
        let batch: (&[usize], &[isize]) = (&[2, 5, 7], &[35, 7, 1]);
        assert_eq!(strides([left, batch, output]), None);
        let single: (&[usize], &[isize]) = (&[3, 5], &[5, 1]);
        assert_eq!(strides([single, w, (&[3, 7], &[7, 1])]), None);
    }

    #[test]
    fn what_broadcasts_does_so_to_all_rows() {
        let mut elements = [0f32; 1];
        let base = elements.as_mut_ptr().cast();
        let of = |shape: &[usize]| Layout::row_major(base, DType::F32, shape);
        let (left, right) = (of(&[2, 3, 5]), of(&[5, 7]));
        let flat = Flat::new(&left.shape, &right).unwrap();
        let shape = |array: &[usize]| Some(flat.broadcast(&of(array))?.shape.to_vec());
        assert_eq!(shape(&[]), Some(vec![]));
        assert_eq!(shape(&[7]), Some(vec![7]));
        assert_eq!(shape(&[1, 1, 7]), Some(vec![7]));
        assert_eq!(shape(&[2, 3, 7]), Some(vec![6, 7]));
        assert_eq!(shape(&[2, 3, 1]), Some(vec![6, 1]));
        assert_eq!(shape(&[3, 7]), None);
        assert_eq!(shape(&[2, 1, 7]), None);
    }
}
