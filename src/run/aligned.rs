//! Operands of products that do not lie at multiples of their size, which may be views of records: copied
//! to where they do.

use super::copy::copy_layout;
use super::error::RunError;
use super::factors::in_elements;
use super::tensor::Tensor;
use super::view::Layout;
use kiln_ir::Dims;

/// Whether elements lie where products, which count in elements, read and write them.
pub(super) fn is_aligned(operand: &Layout) -> bool {
    let size = operand.dtype.size();
    let is_whole = |(&len, &step): (&usize, &isize)| len <= 1 || in_elements(step, size).is_some();
    operand.base.addr().is_multiple_of(size)
        && operand.shape.iter().zip(&operand.strides).all(is_whole)
}

/// A copy of an operand.
pub(super) struct Copied {
    layout: Layout,
    #[expect(dead_code, reason = "it is held, and reached through the layout")]
    elements: Tensor,
}

/// An operand as products read it: `copied` has what had to be copied.
pub(super) fn readable<'a>(operand: &'a Layout, copied: &'a Option<Copied>) -> &'a Layout {
    copied.as_ref().map_or(operand, |copied| &copied.layout)
}

/// A copy of an operand that is not aligned. What repeats in it is copied once.
///
/// # Safety
///
/// The operand must be readable.
pub(super) unsafe fn align(
    operand: &Layout,
    threads: Option<usize>,
) -> Result<Option<Copied>, RunError> {
    if is_aligned(operand) {
        return Ok(None);
    }
    let mut once = operand.clone();
    once.shape.iter_mut().zip(&once.strides).for_each(|(size, &stride)| {
        if stride == 0 {
            *size = (*size).min(1);
        }
    });
    let mut elements = Tensor::zeros(once.dtype, &once.shape)?;
    let to = elements.view_mut().layout;
    // SAFETY: required of the caller; the copy is ours.
    unsafe { copy_layout(&once, &to, threads) };
    let repeated = operand.strides.iter().zip(&to.strides);
    let strides: Dims<isize> =
        repeated.map(|(&from, &to)| if from == 0 { 0 } else { to }).collect();
    let layout = Layout { shape: operand.shape.clone(), strides, ..to };
    Ok(Some(Copied { layout, elements }))
}
