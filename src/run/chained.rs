//! A second product, of rows that were just computed of a first one, while a cache holds them: `softmax(q @ kT) @ v`
//! needs no memory for its probabilities.

use super::aligned::is_aligned;
use super::bound::{Bound, Packed};
use super::epilogue::Block;
use super::factors::{Category, Matrices, Stored, product_type};
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
        let to = MatrixMut { first, down, across };
        let at = product.place(block.index, right, right.shape.len() - 2);
        let right_steps = steps(right, [Some(0), None]);
        let operand = T::operand(right.dtype, at, [0, 0], right_steps);
        // SAFETY: required of the caller; matrices lie within their views, as shapes and steps say.
        unsafe {
            if right.dtype == output.dtype && right_steps[1] == 1 {
                let live = live::<T>(block.first.cast(), left_steps, [rows, inner]);
                let rest = at.cast::<T>().wrapping_offset(live as isize * right_steps[0]);
                let is_finite = |x: T| x.category() != Category::Infinite;
                if live < inner
                    && 8 * (inner - live) >= inner
                    && all(rest, right_steps, [inner - live, columns], is_finite)
                {
                    multiply_with([rows, live, columns], left, operand, to, &mut |_, _| {});
                    // Zeros that are added change -0.0 alone, which takes a sum of numbers that vanish.
                    let is_kept = |x: T| x.category() != Category::NegativeZero;
                    if all(first, [down, across], [rows, columns], is_kept) {
                        return;
                    }
                }
            }
            let packed = match matrices {
                Right::AsItLies => None,
                Right::Packed(matrices) => Some(T::packed(matrices)),
                Right::Bound(packed) => Some(T::packed(&packed.matrices)),
            };
            match packed {
                Some(packed) => {
                    let packed = &packed[product.matrix(block.index, right)];
                    multiply_packed(rows, left, packed, 0..columns, to, &mut |_, _| {});
                }
                None => {
                    multiply_with([rows, inner, columns], left, operand, to, &mut |_, _| {});
                }
            }
        }
    }
}

/// The columns up to the last that has anything but 0.0: what is masked has weight 0.
///
/// # Safety
///
/// The matrix must be readable.
unsafe fn live<T: Stored>(
    first: *const T,
    [down, across]: [isize; 2],
    [rows, columns]: [usize; 2],
) -> usize {
    let mut live = 0;
    for row in 0..rows as isize {
        let is_zero = |column: &usize| {
            // SAFETY: required of the caller.
            let x = unsafe { *first.offset(row * down + *column as isize * across) };
            x.category() == Category::Zero
        };
        let dead = (live..columns).rev().take_while(is_zero).count();
        live = columns - dead;
    }
    live
}

/// Whether all elements of a matrix are so.
///
/// # Safety
///
/// The matrix must be readable.
unsafe fn all<T: Stored>(
    first: *const T,
    [down, across]: [isize; 2],
    [rows, columns]: [usize; 2],
    is_so: impl Fn(T) -> bool,
) -> bool {
    (0..rows as isize).all(|row| {
        // SAFETY: required of the caller.
        let at = |column: isize| unsafe { *first.offset(row * down + column * across) };
        // Without a way out within a row, this is done by vectors.
        (0..columns as isize).fold(true, |so, column| so & is_so(at(column)))
    })
}
