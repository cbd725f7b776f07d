//! A second product, of rows that were just computed of a first one, while a cache holds them: `softmax(q @ kT) @ v`
//! needs no memory for its probabilities. What is computed of it, as in `softmax(q @ kT) @ v + x`, runs on blocks.

use super::aligned::is_aligned;
use super::bound::Bound;
use super::epilogue::{Block, BlockCode, Place, SCRATCH, with_scratch};
use super::factors::{Category, Stored, from_end, product_type};
use super::layout::broadcasts_to;
use super::overlap::overlap;
use super::product::{Product, TERM, steps};
use super::right::Right;
use super::view::Layout;
use crate::lower::product::{Source, Tail, Then};
use half::{bf16, f16};
use kiln_gemm::{MatrixMut, gains_by_packing, multiply_packed, multiply_with};
use kiln_ir::DType;
use kiln_jit::emit::Code;
use std::ops::{BitAnd, Range};
use std::slice;
use std::sync::OnceLock;

/// Fewest rows of it that what follows runs on: whole tiles.
const FEW_ROWS: usize = 24;

/// See the module.
pub(super) struct Chained<'a> {
    product: Product,
    /// Its type.
    dtype: DType,
    right: &'a Layout,
    /// Where it goes: if only what follows reads it, into a scratch of each thread.
    target: Option<&'a Layout>,
    /// What follows.
    tail: Option<BlockCode<'a>>,
    /// How rows read it.
    matrices: Right,
    /// Of each matrix of the right operand, up to which row it has numbers that are not finite.
    kept: OnceLock<Box<[OnceLock<usize>]>>,
}

impl<'a> Chained<'a> {
    /// The product of an array as large as the result of `first`, of this type, if each of its matrices is one
    /// of those, and blocks can have what follows.
    pub(super) fn new(
        first: &Product,
        dtype: DType,
        Then { right, tail, .. }: &'a Then<Code>,
        inputs: &[&'a Layout],
        outputs: &[&'a Layout],
    ) -> Option<Chained<'a>> {
        let right = inputs[*right];
        let product = Product::new(&first.shape, &right.shape).ok()?;
        let is_written_over = |input: &Layout| outputs.iter().any(|output| overlap(output, input));
        let fits = product.has_matrices_of(first)
            && product.right_is_near()
            && outputs.iter().all(|output| output.shape == product.shape)
            && product_type(dtype, right.dtype) == Ok(dtype)
            && is_aligned(right)
            && !is_written_over(right);
        if !fits {
            return None;
        }
        let holds = |output: &&&Layout| {
            let is_apart = |input: &&Layout| !overlap(output, input);
            output.dtype == dtype && is_aligned(output) && inputs.iter().all(is_apart)
        };
        let target = outputs.iter().find(holds).copied();
        let tail = match tail {
            None => None,
            Some(Tail { inputs: sources, program: code }) => {
                let broadcasts = |source: &Source| match source {
                    Source::Product => true,
                    Source::Parameter(at) => broadcasts_to(&inputs[*at].shape, &product.shape),
                };
                let mut placed = Place::of_sources(sources, &product, inputs);
                placed.extend(Place::of_outputs(&product, outputs));
                let row = product.shape[product.shape.len() - 1] * dtype.size();
                let has_room = target.is_some() || row <= SCRATCH / FEW_ROWS;
                let is_able = has_room && sources.iter().all(broadcasts);
                Some(is_able.then_some(BlockCode { code, placed })?)
            }
        };
        if tail.is_none() && target.is_none() {
            return None;
        }
        let (matrices, kept) = (Right::AsItLies, OnceLock::new());
        Some(Chained { product, dtype, right, target, tail, matrices, kept })
    }

    /// The same with its right operand packed, where that pays.
    ///
    /// # Safety
    ///
    /// The right operand must be readable.
    pub(super) unsafe fn packed(self, bound: &Bound) -> Chained<'a> {
        // SAFETY: required of the caller.
        let matrices = unsafe { Right::packed(&self.product, self.right, bound) };
        Chained { matrices, ..self }
    }

    /// The same where its left operand is computed so many rows at a time.
    ///
    /// # Safety
    ///
    /// The right operand must be readable.
    pub(super) unsafe fn by_rows(self, rows: usize, bound: &Bound) -> Chained<'a> {
        let Chained { dtype, right, .. } = &self;
        let steps = steps(right, [Some(0), None]);
        let ([all, _], count) = self.product.sizes();
        let gains = match dtype {
            DType::F64 => gains_by_packing(f64::operand(right.dtype, right.base, [0, 0], steps)),
            _ => gains_by_packing(f32::operand(right.dtype, right.base, [0, 0], steps)),
        };
        let is_read_often = all.div_ceil(rows.max(1)) * count > self.product.matrices(right);
        match gains && is_read_often || bound.packed(right).is_some() {
            // SAFETY: required of the caller.
            true => unsafe { self.packed(bound) },
            false => self,
        }
    }

    /// Whether its matrices are so small that it is better run as a whole.
    pub(super) fn is_small(&self) -> bool {
        self.product.is_small()
    }

    /// Nanoseconds for each element of its left operand.
    pub(super) fn nanoseconds(&self) -> f64 {
        let columns = self.product.shape[self.product.shape.len() - 1];
        columns as f64 * TERM * self.dtype.size() as f64 / 4.0
    }

    /// Up to which row of its matrix the right operand has numbers that are not finite: those times 0 are no 0.
    ///
    /// # Safety
    ///
    /// The right operand must be readable.
    pub(super) unsafe fn kept_rows(&self, index: usize) -> usize {
        let Chained { product, right, kept, .. } = self;
        let find = || {
            let [k, n] = [2, 1].map(|back| right.shape[right.shape.len() - back]);
            // SAFETY: required of the caller; elements are so large.
            let are_finite = |rows: Range<usize>| unsafe {
                match right.dtype {
                    DType::F16 => self.are_finite(index, [rows, 0..n], 0x7c00_u16),
                    DType::BF16 => self.are_finite(index, [rows, 0..n], 0x7f80_u16),
                    DType::F32 => self.are_finite(index, [rows, 0..n], 0x7f80_0000_u32),
                    _ => self.are_finite(index, [rows, 0..n], 0x7ff0_u64 << 48),
                }
            };
            let mut kept = if are_finite(0..k) { 0 } else { k };
            while kept > 0 && are_finite(kept - 1..kept) {
                kept -= 1;
            }
            kept
        };
        let none = || (0..product.matrices(right)).map(|_| OnceLock::new()).collect();
        *kept.get_or_init(none)[product.matrix(index, right)].get_or_init(find)
    }

    /// Multiplies rows of the left operand, by as many rows of the right one as the block has columns. The others
    /// meet zeros if the last column is one. Returns whether that is so, or there are none.
    ///
    /// # Safety
    ///
    /// The block must be readable, and have the type of the left operand, whose first columns it has. So must the
    /// right operand, and what follows reads. These rows of the outputs must be writable, and used by nothing else.
    pub(super) unsafe fn multiply(&self, block: &Block) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let used = match self.dtype {
                DType::F64 => self.used::<f64>(block),
                _ => self.used::<f32>(block),
            };
            used.map(|used| self.multiply_all(block, used)).is_some()
        }
    }

    /// How many of a block's columns are to be multiplied; `None` if others are, too.
    ///
    /// # Safety
    ///
    /// As for [`multiply`](Chained::multiply), in elements of this type.
    unsafe fn used<T: Stored>(&self, block: &Block) -> Option<usize> {
        let (size, inner) = (size_of::<T>(), block.columns.len());
        let whole = self.right.shape[self.right.shape.len() - 2];
        let steps = block.steps.map(|step| step / size as isize);
        // SAFETY: required of the caller.
        unsafe {
            let live = live::<T>(block.first.cast(), steps, [block.rows.len(), inner]);
            if inner < whole && live == inner {
                return None;
            }
            Some(match inner < whole || 8 * (inner - live) >= inner.max(1) {
                true => live.max(self.kept_rows(block.index)),
                false => inner,
            })
        }
    }

    /// [`multiply`](Chained::multiply) by so many rows of the right operand, whatever the block has there.
    ///
    /// # Safety
    ///
    /// As for [`multiply`](Chained::multiply); the others must meet zeros.
    pub(super) unsafe fn multiply_all(&self, block: &Block, used: usize) {
        // SAFETY: required of the caller.
        unsafe {
            match self.dtype {
                DType::F64 => self.multiply_as::<f64>(block, used),
                _ => self.multiply_as::<f32>(block, used),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`multiply_all`](Chained::multiply_all), in elements of this type.
    unsafe fn multiply_as<T: Stored>(&self, block: &Block, used: usize) {
        let Chained { product, target, .. } = self;
        let (size, rows) = (size_of::<T>(), block.rows.len());
        let columns = product.shape[product.shape.len() - 1];
        let part = |rows: Range<usize>, to: MatrixMut<T>| {
            // SAFETY: as above; `to` is these rows of the target, or a scratch for them.
            unsafe { self.multiply_rows(block, rows, used, to) };
        };
        match target {
            Some(target) => {
                let [down, across] = [1, 0].map(|back| from_end(target, Some(back)));
                let first = product.place(block.index, target, target.shape.len() - 2).cast::<T>();
                let first = first.wrapping_offset(block.rows.start as isize * down);
                part(0..rows, MatrixMut { first, down, across });
            }
            None => {
                let most = SCRATCH / (columns * size).max(1) / FEW_ROWS * FEW_ROWS;
                let most = most.clamp(1, rows.max(1));
                with_scratch(most * columns * size, |first| {
                    for top in (0..rows).step_by(most) {
                        let (first, down) = (first.cast(), columns as isize);
                        part(top..rows.min(top + most), MatrixMut { first, down, across: 1 });
                    }
                });
            }
        }
    }

    /// Multiplies some of a block's rows, of which so many columns are used, and runs what follows.
    ///
    /// # Safety
    ///
    /// As for [`multiply`](Chained::multiply); `to` must have room for these rows of the product.
    unsafe fn multiply_rows<T: Stored>(
        &self,
        block: &Block,
        rows: Range<usize>,
        used: usize,
        to: MatrixMut<T>,
    ) {
        let Chained { product, right, matrices, tail, .. } = self;
        let size = size_of::<T>() as isize;
        let whole = right.shape[right.shape.len() - 2];
        let columns = product.shape[product.shape.len() - 1];
        let left_steps = block.steps.map(|step| step / size);
        let from = [rows.start as isize, 0];
        let left = T::operand(self.dtype, block.first, from, left_steps);
        let at = product.place(block.index, right, right.shape.len() - 2);
        let operand = T::operand(right.dtype, at, [0, 0], steps(right, [Some(0), None]));
        let mut finished = |own_rows: Range<usize>, own_columns: Range<usize>| {
            let MatrixMut { first, down, across } = to;
            let from = own_rows.start as isize * down + own_columns.start as isize * across;
            let part = MatrixMut { first: first.wrapping_offset(from), down, across };
            // SAFETY: required of the caller. Blocks are disjoint.
            unsafe {
                self.add_zeros(block.index, part, own_rows.len(), &own_columns, used..whole);
                let Some(tail) = tail else { return };
                let top = block.rows.start + rows.start;
                let finished = Block {
                    index: block.index,
                    rows: top + own_rows.start..top + own_rows.end,
                    columns: own_columns,
                    first: part.first.cast(),
                    steps: [down, across].map(|step| step * size),
                };
                tail.run(product, &finished, self.dtype);
            }
        };
        let matrix = product.matrix(block.index, right);
        // SAFETY: required of the caller; matrices lie within their views, as shapes and steps say.
        unsafe {
            matrices.lend(matrix, [whole, columns], operand, |packed| match packed {
                Some(packed) => {
                    let sizes = [rows.len(), used];
                    multiply_packed(sizes, left, packed, 0..columns, to, &mut finished);
                }
                None => {
                    let sizes = [rows.len(), used, columns];
                    multiply_with(sizes, left, operand, to, &mut finished);
                }
            });
        }
    }

    /// Adds to some columns of a product what 0.0 times rows of the right operand gives. That changes -0.0 alone,
    /// which takes a sum of numbers that vanish.
    ///
    /// # Safety
    ///
    /// The right operand must be readable, and the product writable.
    unsafe fn add_zeros<T: Stored>(
        &self,
        index: usize,
        product: MatrixMut<T>,
        rows: usize,
        columns: &Range<usize>,
        terms: Range<usize>,
    ) {
        let MatrixMut { first, down, across } = product;
        if terms.is_empty() {
            return;
        }
        for row in 0..rows as isize {
            let at = |column: usize| first.wrapping_offset(row * down + column as isize * across);
            // SAFETY: required of the caller.
            let category = |column: usize| unsafe { (*at(column)).category() };
            let is_negative_zero = |column: usize| category(column) == Category::NegativeZero;
            // Without a way out within a row, this is done by vectors.
            if !(0..columns.len()).fold(false, |any, column| any | is_negative_zero(column)) {
                continue;
            }
            for column in (0..columns.len()).filter(|&column| is_negative_zero(column)) {
                // SAFETY: required of the caller.
                unsafe {
                    let of = columns.start + column;
                    if !terms.clone().all(|term| self.is_negative(index, term, of)) {
                        *at(column) = T::default();
                    }
                }
            }
        }
    }

    /// Where an element of a right operand's matrix is.
    fn at(&self, index: usize, row: usize, column: usize) -> *const u8 {
        let (right, batch) = (self.right, self.right.shape.len() - 2);
        let [down, across] = [right.strides[batch], right.strides[batch + 1]];
        let first = self.product.place(index, right, batch).cast_const();
        first.wrapping_offset(row as isize * down + column as isize * across)
    }

    /// Whether all elements of some rows and columns of a right operand's matrix are finite: infinities and
    /// what is no number have all bits of the exponent.
    ///
    /// # Safety
    ///
    /// The right operand must be readable, and its elements as large as this type.
    unsafe fn are_finite<B: Copy + PartialEq + BitAnd<Output = B>>(
        &self,
        index: usize,
        [mut rows, columns]: [Range<usize>; 2],
        exponent: B,
    ) -> bool {
        let across = self.right.strides[self.right.strides.len() - 1];
        let is_finite = |bits: B| bits & exponent != exponent;
        rows.all(|row| {
            let first = self.at(index, row, columns.start);
            // Without a way out within a row, this is done by vectors.
            // SAFETY: required of the caller.
            unsafe {
                if across == size_of::<B>() as isize && !columns.is_empty() {
                    let row = slice::from_raw_parts(first.cast::<B>(), columns.len());
                    return row.iter().fold(true, |so, &bits| so & is_finite(bits));
                }
                let at =
                    |column: usize| first.wrapping_offset(column as isize * across).cast::<B>();
                (0..columns.len()).fold(true, |so, column| so & is_finite(*at(column)))
            }
        })
    }

    /// Whether an element of a right operand's matrix has that sign.
    ///
    /// # Safety
    ///
    /// The right operand must be readable.
    unsafe fn is_negative(&self, index: usize, row: usize, column: usize) -> bool {
        let at = self.at(index, row, column);
        // SAFETY: required of the caller.
        unsafe {
            match self.right.dtype {
                DType::F16 => at.cast::<f16>().read().is_sign_negative(),
                DType::BF16 => at.cast::<bf16>().read().is_sign_negative(),
                DType::F32 => at.cast::<f32>().read().is_sign_negative(),
                _ => at.cast::<f64>().read().is_sign_negative(),
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
    // The last rows of a block are those that a mask of places leaves most of: others are then not looked at.
    for row in (0..rows as isize).rev() {
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
