//! In which order the axes of a result lie: as those of the inputs of its shape do, if these agree.

use super::view::View;
use crate::plan::Dims;

/// The strides, in elements, of a result of `shape`; `None` for row-major order. They are those of
/// the inputs of that shape, if these are dense and all lie in one order: then nothing is moved.
pub(super) fn strides_like(inputs: &[View<'_>], shape: &[usize]) -> Option<kiln_ir::Dims<isize>> {
    let mut agreed: Option<kiln_ir::Dims<isize>> = None;
    // `ndarray` wants no strides of an array without elements.
    if shape.contains(&0) {
        return None;
    }
    for input in inputs.iter().filter(|input| input.shape() == shape) {
        if input.layout.is_row_major() {
            return None;
        }
        let mut axes: Dims = (0..shape.len()).collect();
        axes.sort_by_key(|&axis| std::cmp::Reverse(input.strides()[axis]));
        let dense = dense(shape, &axes);
        let size = input.dtype().size() as isize;
        let lies_so = dense.iter().zip(input.strides()).zip(shape);
        if !lies_so.into_iter().all(|((a, b), &len)| len == 1 || a.wrapping_mul(size) == *b) {
            continue;
        }
        if agreed.as_ref().is_some_and(|agreed| *agreed != dense) {
            return None;
        }
        agreed = Some(dense);
    }
    agreed
}

/// The strides of a dense array whose axes lie in this order, the last fastest.
fn dense(shape: &[usize], axes: &[usize]) -> kiln_ir::Dims<isize> {
    let mut strides = kiln_ir::Dims::from_elem(0, shape.len());
    let mut step = 1isize;
    for &axis in axes.iter().rev() {
        strides[axis] = step;
        step = step.wrapping_mul(shape[axis].max(1) as isize);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::strides_like;
    use crate::run::View;
    use ndarray::{Array, s};

    #[test]
    fn results_lie_as_their_inputs() {
        let c = Array::<f32, _>::zeros((2, 3, 4));
        let f = Array::<f32, _>::zeros((4, 3, 2)).reversed_axes();
        let middle = Array::<f64, _>::zeros((3, 2, 4)).permuted_axes([1, 0, 2]);
        let bias = Array::<f32, _>::zeros(4);
        let wide = Array::<f32, _>::zeros((2, 3, 8));
        let like =
            |views: &[View<'_>]| strides_like(views, &[2, 3, 4]).map(|strides| strides.to_vec());
        let (row_major, column_major) = (None, Some(vec![1, 2, 6]));
        assert_eq!(like(&[]), row_major);
        assert_eq!(like(&[(&c).into()]), row_major);
        assert_eq!(like(&[(&f).into()]), column_major);
        assert_eq!(like(&[(&bias).into(), (&f).into(), 1f32.into(), (&f).into()]), column_major);
        assert_eq!(like(&[(&middle).into()]), Some(vec![4, 8, 1]));
        // They do not agree.
        assert_eq!(like(&[(&f).into(), (&middle).into()]), row_major);
        assert_eq!(like(&[(&f).into(), (&c).into()]), row_major);
        let (_, empty) = f.view().split_at(ndarray::Axis(2), 4);
        assert_eq!(strides_like(&[empty.into()], &[2, 3, 0]), None);
        // What has gaps does not count.
        let gaps = wide.slice(s![.., .., ..;2]);
        assert_eq!(like(&[gaps.into(), (&f).into()]), column_major);
    }
}
