//! A second product, of rows that were just computed of a first one, while a cache holds them: `softmax(q @ kT) @ v`
//! needs no memory for its probabilities.

use super::aligned::is_aligned;
use super::bound::{Bound, Packed};
use super::epilogue::Block;
use super::factors::{Matrices, Stored, product_type};
use super::product::{Product, TERM, from_end, pack_right, steps};
use super::view::Layout;
use kiln_gemm::{MatrixMut, multiply_packed, multiply_with};
use kiln_ir::DType;
use std::sync::Arc;

/// See the module.
pub(super) struct Chained<'a> {
    product: Product,
    right: &'a Layout,
    output: &'a Layout,
    /// The right operand, if all rows read it packed.
    matrices: Right,
}

/// A right operand that was packed for this call, or once for all.
enum Right {
    AsItLies,
    Packed(Matrices),
    Bound(Arc<Packed>),
}

impl<'a> Chained<'a> {
    /// The product of an array as large as the result of `first`, of this type, if each of its matrices is one
    /// of those.
    pub(super) fn new(
        first: &Product,
        dtype: DType,
        right: &'a Layout,
        output: &'a Layout,
    ) -> Option<Chained<'a>> {
        let product = Product::new(&first.shape, &right.shape).ok()?;
        let fits = product.has_matrices_of(first)
            && product.right_is_near()
            && output.shape[..] == product.shape
            && product_type(dtype, right.dtype) == Ok(dtype)
            && output.dtype == dtype
            && is_aligned(right)
            && is_aligned(output);
        fits.then_some(Chained { product, right, output, matrices: Right::AsItLies })
    }

    /// The same with its right operand packed, where that pays.
    ///
    /// # Safety
    ///
    /// The right operand must be readable.
    pub(super) unsafe fn packed(self, bound: &Bound) -> Chained<'a> {
        let matrices = match bound.packed(self.right) {
            Some(bound) => Right::Bound(bound),
            // SAFETY: required of the caller.
            None => match unsafe { pack_right(&self.product, self.right) } {
                Some(matrices) => Right::Packed(matrices),
                None => Right::AsItLies,
            },
        };
        Chained { matrices, ..self }
    }

    /// Nanoseconds for each element of its left operand.
    pub(super) fn nanoseconds(&self) -> f64 {
        let columns = self.product.shape[self.product.shape.len() - 1];
        columns as f64 * TERM * self.output.dtype.size() as f64 / 4.0
    }

    /// Multiplies rows of the left operand.
    ///
    /// # Safety
    ///
    /// The block must be readable, and have the type and the width of the left operand. So must the right
    /// operand. These rows of the output must be writable, and used by nothing else.
    pub(super) unsafe fn multiply(&self, block: &Block) {
        // SAFETY: required of the caller.
        unsafe {
            match self.output.dtype {
                DType::F64 => self.multiply_as::<f64>(block),
                _ => self.multiply_as::<f32>(block),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`multiply`](Chained::multiply), in elements of this type.
    unsafe fn multiply_as<T: Stored>(&self, block: &Block) {
        let Chained { product, right, output, matrices } = self;
        let (size, rows, inner) = (size_of::<T>() as isize, block.rows.len(), block.columns.len());
        let columns = output.shape[output.shape.len() - 1];
        let left_steps = block.steps.map(|step| step / size);
        let left = T::operand(output.dtype, block.first, [0, 0], left_steps);
        let [down, across] = [1, 0].map(|back| from_end(output, Some(back)));
        let first = product.place(block.index, output, output.shape.len() - 2).cast::<T>();
        let first = first.wrapping_offset(block.rows.start as isize * down);
        let output = MatrixMut { first, down, across };
        let packed = match matrices {
            Right::AsItLies => None,
            Right::Packed(matrices) => Some(T::packed(matrices)),
            Right::Bound(packed) => Some(T::packed(&packed.matrices)),
        };
        // SAFETY: required of the caller; matrices lie within their views, as shapes and steps say.
        unsafe {
            if let Some(packed) = packed {
                let packed = &packed[product.matrix(block.index, right)];
                return multiply_packed(rows, left, packed, 0..columns, output, &mut |_, _| {});
            }
            let at = product.place(block.index, right, right.shape.len() - 2);
            let right = T::operand(right.dtype, at, [0, 0], steps(right, [Some(0), None]));
            multiply_with([rows, inner, columns], left, right, output, &mut |_, _| {});
        }
    }
}
