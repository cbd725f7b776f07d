//! Matrix products over views: NumPy's `matmul`.
//!
//! Transposed, strided and broadcast operands are multiplied where they lie. Each element is one chain
//! of fused multiply-adds ([`kiln_gemm`]), so the result depends on nothing but the operands: not on
//! the number of threads, not on layouts, not on the machine.

use super::aligned::{align, is_aligned, readable};
use super::bound::Bound;
use super::copy::copy_layout;
use super::epilogue::{Block, Epilogue, GAP, Placed, SCRATCH, pitch, with_scratch};
use super::error::{Argument, Reread, RunError};
use super::exec::{Threads, threads_for};
use super::factors::{self, Stored, from_end};
use super::flat::Flat;
use super::interrupt::{self, goes_on};
use super::overlap;
use super::product_grid::Grid;
use super::queue::Shared;
use super::right::Right;
use super::tasks::each;
use super::tensor::Tensor;
use super::view::{Layout, View, ViewMut};
use crate::plan::ShapeError;
use kiln_gemm::{MatrixMut, Observer, Packed, multiply_packed};
use kiln_ir::{Call, DType, Dims};
use kiln_jit::cpu::last_level_cache;
use std::ops::Range;

/// Nanoseconds for a multiplication and addition of `f32` on one thread, at 50 of them a nanosecond
/// (AVX-512 at 3.7 GHz; AVX2 takes a little longer).
pub(super) const TERM: f64 = 0.02;

/// Bytes of the rows of a result that are taken as a whole: a part of L2.
pub(super) const PANEL: usize = 512 << 10;
/// Fewest rows of them, where there are more: the right operand is read for each few.
const FEW_ROWS: usize = 16;
/// With so many, the right operand may come from memory for each few.
const MANY_ROWS: usize = 96;
/// Most rows where what is masked is left out: the fewer, the more of it, but panels of 24 rows make products
/// slower by a twelfth.
const MASKED_ROWS: usize = 48;

/// The shape of a product, by NumPy's rules. Vectors are promoted to matrices, and the added
/// dimension is dropped again. Dimensions before the last two broadcast.
pub fn matmul_shape(left: &[usize], right: &[usize]) -> Result<Vec<usize>, RunError> {
    Ok(infer(left, right)?.into_vec())
}

fn infer(left: &[usize], right: &[usize]) -> Result<Dims<usize>, RunError> {
    let operands = [left, right];
    let misfit = |reason| ShapeError::of_call(Call::Matmul, &operands, reason).into();
    Call::Matmul.infer(&operands).map_err(misfit)
}

/// Writes the product of `left` and `right` to `output`, on at most `threads` threads.
pub fn matmul(
    left: &View<'_>,
    right: &View<'_>,
    output: &mut ViewMut<'_>,
    threads: Option<usize>,
) -> Result<(), RunError> {
    let _env = kiln_fenv::hold_default();
    left.layout.check_rank(|| Argument::input(0))?;
    right.layout.check_rank(|| Argument::input(1))?;
    let [left, right] = [&left.layout, &right.layout];
    check(left, right, &output.layout)?;
    // SAFETY: the views vouch for their memory, `output` is borrowed mutably, and they were just checked.
    unsafe { multiply(left, right, &output.layout, threads, Bound::NONE)? };
    interrupt::check()
}

/// Refuses what is no product of these operands, or shares memory with one.
fn check(left: &Layout, right: &Layout, output: &Layout) -> Result<(), RunError> {
    let shape = infer(&left.shape, &right.shape)?;
    let dtype = factors::product_type(left.dtype, right.dtype)?;
    if output.dtype != dtype {
        let (argument, found) = (Argument::output(0), output.dtype);
        return Err(RunError::DType { argument, expected: dtype, found });
    }
    if output.shape != shape {
        let (expected, found) = (shape.into_vec(), output.shape.to_vec());
        return Err(RunError::OutputShape { output: Argument::output(0), expected, found });
    }
    overlap::check_itself(output, || Argument::output(0))?;
    for (index, input) in [left, right].into_iter().enumerate() {
        if overlap::overlap(output, input) {
            let (written, other) = (Argument::output(0), Argument::input(index));
            return Err(match overlap::same(output, input) {
                true => RunError::InPlace { output: written, other, again: Reread::Product },
                false => RunError::Overlap { output: written, other },
            });
        }
    }
    Ok(())
}

/// [`matmul`] on layouts that fit. A right operand that is a constant is read as it was packed.
///
/// # Safety
///
/// Types and shapes must be those of a product. The operands must be readable, and `output` writable and used
/// by nothing else.
pub(super) unsafe fn multiply(
    left: &Layout,
    right: &Layout,
    output: &Layout,
    threads: Option<usize>,
    bound: &Bound,
) -> Result<(), RunError> {
    let product = Product::new(&left.shape, &right.shape)?;
    // SAFETY: required of the caller.
    let copies = unsafe { [align(left, threads)?, align(right, threads)?] };
    let (left, right) = (readable(left, &copies[0]), readable(right, &copies[1]));
    let mut apart = match is_aligned(output) {
        true => None,
        false => Some(Tensor::zeros(output.dtype, &output.shape)?),
    };
    let written = output;
    let apart = apart.as_mut().map(|result| result.view_mut().layout);
    let output = apart.as_ref().unwrap_or(written);
    let flat = Flat::new(&left.shape, right)
        .and_then(|flat| Some([flat.whole(left)?, flat.whole(output)?]));
    let (product, [left, output]) = match &flat {
        Some([left, output]) => (Product::new(&left.shape, &right.shape)?, [left, output]),
        None => (product, [left, output]),
    };
    let operands = [left, right];
    let product = Run { product: &product, operands, target: Some(output), epilogue: None };
    // SAFETY: required of the caller; types, shapes and overlaps were just checked.
    unsafe { product.run(threads, bound) };
    if let Some(apart) = &apart {
        // SAFETY: required of the caller; the result that lies apart is ours.
        unsafe { copy_layout(apart, written, threads) };
    }
    Ok(())
}

/// Sizes of a batch of matrix products.
pub(super) struct Product {
    /// How many axes each operand has.
    ranks: [usize; 2],
    /// The result's shape.
    pub(super) shape: Dims<usize>,
    m: usize,
    k: usize,
    n: usize,
}

impl Product {
    pub(super) fn new(left: &[usize], right: &[usize]) -> Result<Product, RunError> {
        let shape = infer(left, right)?;
        Ok(Product {
            ranks: [left.len(), right.len()],
            shape,
            // A vector is a row on the left and a column on the right, and leaves no axis.
            m: if left.len() > 1 { left[left.len() - 2] } else { 1 },
            k: left[left.len() - 1],
            n: if right.len() > 1 { right[right.len() - 1] } else { 1 },
        })
    }

    /// The result's dimensions before rows and columns.
    fn batch(&self) -> &[usize] {
        let matrices = self.ranks.iter().filter(|&&rank| rank > 1).count();
        &self.shape[..self.shape.len() - matrices]
    }

    /// Whether its matrices are so small that what runs on blocks is better run on all of them at once: of
    /// 2000 products of 4 by 4 by 4 with `relu`, blocks take 2.5 times as long, and of 64 by 64 by 64 as long; of
    /// one matrix of four columns, a sixth longer.
    pub(super) fn is_small(&self) -> bool {
        let count: usize = self.batch().iter().product();
        (count > 1 && self.m.saturating_mul(self.n) < 64 * 64) || (self.m > 1 && self.n < 8)
    }

    /// Of which an array of this shape is the result, as far as places in it go.
    pub(super) fn with_result(shape: Dims<usize>) -> Option<Product> {
        let [.., m, n] = shape[..] else { return None };
        Some(Product { ranks: [shape.len(); 2], shape, m, k: 1, n })
    }

    /// Sizes of the result's matrices, and how many there are.
    pub(super) fn sizes(&self) -> ([usize; 2], usize) {
        ([self.m, self.n], self.batch().iter().product())
    }

    /// Whether the last axis of the result is that of its columns.
    pub(super) fn has_rows(&self) -> bool {
        self.ranks[1] > 1
    }

    /// The axes of the result that are rows and columns, counted from the last: a vector has none.
    fn kept(&self) -> [Option<usize>; 2] {
        match (self.ranks[0] == 1, self.ranks[1] == 1) {
            (false, false) => [Some(1), Some(0)],
            (true, false) => [None, Some(0)],
            (false, true) => [Some(0), None],
            (true, true) => [None, None],
        }
    }

    /// How an array lies that broadcasts to the result.
    pub(super) fn placed<'a>(&self, array: &'a Layout) -> Placed<'a> {
        let step = |back: Option<usize>| {
            let axis = back.and_then(|back| array.shape.len().checked_sub(back + 1));
            axis.filter(|&axis| array.shape[axis] != 1).map_or(0, |axis| array.strides[axis])
        };
        Placed { array, steps: self.kept().map(step) }
    }

    /// A block of such an array.
    pub(super) fn part(&self, operand: &Placed<'_>, block: &Block) -> Layout {
        let Placed { array, steps: [down, across] } = operand;
        let kept = self.shape.len() - self.batch().len();
        let first = self.place(block.index, array, array.shape.len().saturating_sub(kept));
        let offset = block.rows.start as isize * down + block.columns.start as isize * across;
        block.layout_at(first.wrapping_offset(offset), [*down, *across], array.dtype)
    }

    /// How many threads it is worth, of elements of so many bytes, with so many nanoseconds for what is done to each.
    pub(super) fn threads(&self, size: usize, nanoseconds: f64, threads: Option<usize>) -> Threads {
        let ([m, n], count) = self.sizes();
        let elements = m.saturating_mul(n).saturating_mul(count) as f64;
        let nanoseconds = self.k as f64 * TERM * (size as f64 / 4.0) + nanoseconds;
        threads_for(elements * nanoseconds, threads.unwrap_or(usize::MAX))
    }

    /// How many whole rows are taken at a time, of elements of so many bytes, if a scratch holds enough of them, and
    /// these are worth reading the right operand.
    pub(super) fn most_rows(&self, size: usize, is_masked: bool) -> Option<usize> {
        let row = self.n.saturating_mul(size);
        let most = (PANEL / row).max(FEW_ROWS).min(self.m);
        let is_near = self.right_is_near();
        let is_slow = most < MANY_ROWS.min(self.m) && !is_near;
        let most = if is_masked && is_near { most.min(MASKED_ROWS) } else { most };
        (!is_slow && most.saturating_mul(row) <= SCRATCH).then_some(most)
    }

    /// Whole rows, at most so many at a time, if they are enough for so many threads.
    pub(super) fn grid_of_rows(&self, threads: usize, most: usize) -> Option<Grid> {
        let ([m, n], count) = self.sizes();
        let grid = Grid::of_rows(m, n, count, threads, most);
        (grid.blocks().saturating_mul(count) >= threads).then_some(grid)
    }

    /// Whether a cache holds a matrix of the right operand, with others.
    pub(super) fn right_is_near(&self) -> bool {
        self.k.saturating_mul(self.n).saturating_mul(size_of::<f32>()) <= last_level_cache() / 4
    }

    /// Whether each of its matrices is of one of another product, whose result it has on the left.
    pub(super) fn has_matrices_of(&self, first: &Product) -> bool {
        self.ranks.iter().all(|&rank| rank > 1) && self.batch() == first.batch()
    }

    /// Which of the right operand's matrices, each counted once however often it repeats, is that of
    /// matrix `index` of the batch.
    pub(super) fn matrix(&self, mut index: usize, right: &Layout) -> usize {
        let (mut matrix, mut pitch) = (0, 1);
        let own_batch = right.shape.len().saturating_sub(2);
        for (axis, &size) in self.batch().iter().enumerate().rev() {
            let position = index % size;
            index /= size;
            let own = (axis + own_batch).checked_sub(self.batch().len());
            if own.is_some_and(|own| !factors::repeats(right, own)) {
                matrix += position * pitch;
                pitch *= size;
            }
        }
        matrix
    }

    /// How many matrices of a right operand there are, each counted once however often it repeats.
    pub(super) fn matrices(&self, right: &Layout) -> usize {
        match self.batch().iter().product::<usize>() {
            0 => 0,
            count => self.matrix(count - 1, right) + 1,
        }
    }

    /// Whether what an array has for each matrix of the batch, to whose result it broadcasts, is the same.
    pub(super) fn is_of_all(&self, array: &Layout) -> bool {
        let kept = self.shape.len() - self.batch().len();
        let own_batch = array.shape.len().saturating_sub(kept);
        (0..own_batch).all(|axis| factors::repeats(array, axis))
    }

    /// Where matrix `index` of the batch begins in an operand whose first `own_batch` dimensions
    /// are its own batch.
    pub(super) fn place(&self, mut index: usize, operand: &Layout, own_batch: usize) -> *mut u8 {
        let mut at = operand.base;
        for (axis, &size) in self.batch().iter().enumerate().rev() {
            let position = index % size;
            index /= size;
            let own = (axis + own_batch).checked_sub(self.batch().len());
            if let Some(own) = own.filter(|&own| operand.shape[own] != 1) {
                at = at.wrapping_offset(position as isize * operand.strides[own]);
            }
        }
        at
    }
}

/// A batch of matrix products of these operands.
pub(super) struct Run<'a> {
    pub(super) product: &'a Product,
    pub(super) operands: [&'a Layout; 2],
    /// Where the result goes: if only the epilogue reads it, into a scratch of each thread.
    pub(super) target: Option<&'a Layout>,
    pub(super) epilogue: Option<Epilogue<'a>>,
}

impl Run<'_> {
    /// Multiplies, on at most `threads` threads. Returns whether it can; if not, nothing is written: where whole
    /// rows are to be taken, too few fit in a scratch, or there are too few for the threads.
    ///
    /// # Safety
    ///
    /// The operands must have the product's shapes, and types that it may be of; they must be readable and
    /// aligned. So must the target, which must be writable and used by nothing else. The epilogue must be
    /// safe to run on disjoint blocks.
    pub(super) unsafe fn run(&self, threads: Option<usize>, bound: &Bound) -> bool {
        if self.product.shape.contains(&0) {
            // Of rows without elements there may be numbers.
            return !self.takes_rows();
        }
        let is_wide = self.operands.iter().any(|operand| operand.dtype == DType::F64);
        match is_wide {
            false => self.run_as::<f32>(threads, bound),
            true => self.run_as::<f64>(threads, bound),
        }
    }

    /// Every matrix product of the batch.
    fn run_as<T: Stored>(&self, threads: Option<usize>, bound: &Bound) -> bool {
        let Run { product, operands: [left, right], target, epilogue } = self;
        let (m, k, n) = (product.m, product.k, product.n);
        // Rows and columns: a vector is a row on the left and a column on the right.
        let [left_rows, left_columns] = steps(left, [None, Some(0)]);
        let [right_rows, right_columns] = steps(right, [Some(0), None]);
        let target_steps = target.map(|target| product.kept().map(|back| from_end(target, back)));

        let count: usize = product.batch().iter().product();
        let size = size_of::<T>();
        let nanoseconds = epilogue.as_ref().map_or(0.0, |epilogue| epilogue.nanoseconds);
        let threads = product.threads(size, nanoseconds, threads);
        let mut grid = match threads.count {
            threads if self.takes_rows() => {
                let is_masked =
                    epilogue.as_ref().is_some_and(|epilogue| epilogue.columns.is_some());
                let most = product.most_rows(size, is_masked);
                let grid = most.and_then(|most| product.grid_of_rows(threads, most));
                let Some(grid) = grid else { return false };
                grid
            }
            1 => Grid::whole(m, n),
            threads => Grid::new(m, n, count, threads),
        };
        if target.is_none() && !self.takes_rows() {
            grid.cut_to(SCRATCH / size);
        }
        // What is packed has columns side by side, and so should the result.
        let is_in_rows = m == 1
            || target_steps
                .is_none_or(|[down, across]| down.unsigned_abs() >= across.unsigned_abs());
        let is_read_often = self.takes_rows() && grid.blocks() > 1;
        let matrices = match if is_in_rows { bound.packed(right) } else { None } {
            Some(bound) => Right::Bound(bound),
            // SAFETY: required of the caller.
            None if is_read_often => unsafe { Right::packed(product, right, Bound::NONE) },
            None => Right::AsItLies,
        };
        let [on_parts, on_rows] = [false, true].map(|takes_rows| {
            epilogue.as_ref().filter(|epilogue| epilogue.takes_rows == takes_rows)
        });
        let one = |task: usize| {
            let (index, block) = (task / grid.blocks(), task % grid.blocks());
            let [rows, columns] = grid.block(block);
            let batch = |operand: &Layout, rank: usize| product.place(index, operand, rank);
            let left_at = batch(left, product.ranks[0].saturating_sub(2));
            let right_at = batch(right, product.ranks[1].saturating_sub(2));
            let [top, side] = [rows.start as isize, columns.start as isize];
            let steps = [left_rows, left_columns];
            let left = T::operand(left.dtype, left_at, [top, 0], steps);
            let steps = [right_rows, right_columns];
            let right_block = T::operand(right.dtype, right_at, [0, side], steps);
            let into = |columns: &Range<usize>, output: MatrixMut<T>| {
                let finished = |own_rows: Range<usize>, own_columns: Range<usize>| {
                    let Some(epilogue) = on_parts else { return };
                    let MatrixMut { first, down, across } = output;
                    let from = own_rows.start as isize * down + own_columns.start as isize * across;
                    (epilogue.run)(Block {
                        index,
                        rows: rows.start + own_rows.start..rows.start + own_rows.end,
                        columns: columns.start + own_columns.start..columns.start + own_columns.end,
                        first: first.wrapping_offset(from).cast(),
                        steps: [down, across].map(|step| step * size as isize),
                    });
                };
                let mut observer = Interruptible(finished);
                // SAFETY: the matrices lie within their views, as shapes and steps say, or in a scratch
                // as large as the block; the output overlaps nothing, and its blocks are disjoint.
                unsafe {
                    let whole = T::operand(right.dtype, right_at, [0, 0], steps);
                    let matrix = product.matrix(index, right);
                    matrices.lend(matrix, [k, n], whole, |packed| match packed {
                        Some(packed) => {
                            let (sizes, columns) = ([rows.len(), k], columns.clone());
                            multiply_packed(sizes, left, packed, columns, output, &mut observer);
                        }
                        None => {
                            let sizes = [rows.len(), k, columns.len()];
                            kiln_gemm::multiply_with(
                                sizes,
                                left,
                                right_block,
                                output,
                                &mut observer,
                            );
                        }
                    });
                }
            };
            let most = columns.len() * size + GAP;
            match target.zip(target_steps) {
                Some((target, [down, across])) => {
                    let first = batch(target, product.batch().len()).cast::<T>();
                    let first = first.wrapping_offset(top * down + side * across);
                    into(&columns, MatrixMut { first, down, across });
                }
                None => with_scratch(rows.len() * most, |first| {
                    let on = |columns: &Range<usize>| {
                        let row = columns.len() * size;
                        // Blocks that are no rows are one run without gaps.
                        let row = if self.takes_rows() { pitch(row) } else { row };
                        debug_assert!(row <= most, "{columns:?}");
                        let down = (row / size) as isize;
                        into(columns, MatrixMut { first: first.cast(), down, across: 1 });
                        on_rows.is_none_or(|epilogue| {
                            let steps = [down * size as isize, size as isize];
                            let (rows, columns) = (rows.clone(), columns.clone());
                            (epilogue.run)(Block { index, rows, columns, first, steps })
                        })
                    };
                    let needed = on_rows.and_then(|epilogue| epilogue.columns).map(|needed| {
                        let needed = needed(index, rows.clone());
                        0..needed.next_multiple_of(Packed::<T>::START).min(columns.end)
                    });
                    if !needed.is_some_and(|needed| on(&needed)) {
                        on(&columns);
                    }
                }),
            }
        };
        each(count * grid.blocks(), grid.blocks(), threads, &Shared(one));
        true
    }

    fn takes_rows(&self) -> bool {
        self.epilogue.as_ref().is_some_and(|epilogue| epilogue.takes_rows)
    }
}

/// Tells a closure what is finished, and ends where work does.
struct Interruptible<F>(F);

impl<F: FnMut(Range<usize>, Range<usize>)> Observer for Interruptible<F> {
    fn finished(&mut self, rows: Range<usize>, columns: Range<usize>) {
        (self.0)(rows, columns);
    }

    fn goes_on(&self) -> bool {
        goes_on()
    }
}

/// Element steps of rows and columns of an operand; `vector` says which of the two a vector's only
/// dimension is.
pub(super) fn steps(operand: &Layout, vector: [Option<usize>; 2]) -> [isize; 2] {
    match operand.shape.len() {
        1 => vector.map(|back| from_end(operand, back)),
        _ => [Some(1), Some(0)].map(|back| from_end(operand, back)),
    }
}
