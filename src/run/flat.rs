//! A batch of products with one right operand is one product: of all their rows.

use super::strided::reshaped;
use super::view::Layout;

/// The left operand and the output as matrices, or as a matrix and a vector, if each row of them lies where
/// the one before says, and the right operand is one for the whole batch.
pub(super) fn flat(left: &Layout, right: &Layout, output: &Layout) -> Option<[Layout; 2]> {
    let [batch @ .., k] = &left.shape[..] else { return None };
    let columns = match right.shape[..] {
        [_] => None,
        [_, n] => Some(n),
        _ => return None,
    };
    if batch.len() < 2 {
        return None;
    }
    let rows = batch.iter().product();
    let shaped = |of: &Layout, shape: &[usize]| {
        let strides = reshaped(of, shape)?;
        Some(Layout { base: of.base, dtype: of.dtype, shape: shape.into(), strides })
    };
    let left = shaped(left, &[rows, *k])?;
    let output = match columns {
        None => shaped(output, &[rows])?,
        Some(n) => shaped(output, &[rows, n])?,
    };
    Some([left, output])
}

#[cfg(test)]
mod tests {
    use super::{Layout, flat};
    use kiln_ir::DType;

    /// The strides of the matrices, in elements, that arrays of these shapes and strides are.
    fn strides([left, right, output]: [(&[usize], &[isize]); 3]) -> Option<[Vec<isize>; 2]> {
        let mut elements = [0f32; 1];
        let base = elements.as_mut_ptr().cast();
        let of = |(shape, strides)| Layout::new(base, DType::F32, shape, strides);
        let flat = flat(&of(left), &of(right), &of(output))?;
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
}
