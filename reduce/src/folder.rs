//! What folds rows, for each reduction and type of elements.

use super::extreme::{Extreme, Number, Place, Supremum};
use super::fold::{All, Any, BLOCK, Fold, Product, Sum};
use super::runs::Runs;
use super::wide::{Width, folder_of};
use kiln_ir::{DType, Reduction};

/// Rows of elements: each one after the other in memory, or all of them side by side.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The first element of the first row, aligned.
    pub base: *const u8,
    /// How many there are.
    pub rows: usize,
    /// Elements of each.
    pub len: usize,
    /// Which element of its row the first one is: the first one of a block.
    pub first: usize,
    /// Whether neighbours are elements of neighbouring rows, and not of one row.
    pub side_by_side: bool,
    /// Whether all elements are in L2.
    pub is_near: bool,
    /// Bytes from row to row; if they are side by side, from element to element.
    pub step: isize,
}

/// What the blocks of rows become: the blocks of a row one after the other, or those of neighbouring
/// rows if rows are side by side.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// The first block of the first row.
    pub base: *mut u8,
    /// From row to row, in blocks.
    pub row: usize,
    /// From block to block of a row, in blocks.
    pub block: usize,
}

impl Blocks {
    /// The place of a block.
    pub(super) fn at<F: Fold>(&self, row: usize, block: usize) -> *mut F::Block {
        self.base.cast::<F::Block>().wrapping_add(row * self.row + block * self.block)
    }
}

/// A fold of elements of one type.
#[derive(Clone, Copy, Debug)]
pub struct Folder {
    /// Bytes of what a block becomes.
    pub block_size: usize,
    /// Bytes of what a row becomes.
    pub(crate) result_size: usize,
    /// Elements of the longest rows that are folded [run by run](Folder::fold_runs).
    pub longest_of_runs: usize,
    pub(crate) fold: unsafe fn(&Rows, &Blocks),
    pub(crate) finish: unsafe fn(&Blocks, usize, usize, *mut u8),
    pub(crate) runs: unsafe fn(&Runs),
}

impl Folder {
    /// Folds blocks of rows.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and places of blocks aligned and writable.
    pub unsafe fn fold(&self, rows: &Rows, blocks: &Blocks) {
        // SAFETY: required of the caller; the machine has what the function was compiled for.
        unsafe { (self.fold)(rows, blocks) }
    }

    /// Folds rows of at most a block each, and writes what they become one after the other: some rows at a time, while
    /// a near cache has their blocks.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and places of blocks and `results` aligned and writable.
    pub unsafe fn fold_whole(&self, rows: &Rows, blocks: &Blocks, results: *mut u8) {
        const AT_A_TIME: usize = 1024;
        debug_assert!(rows.len <= BLOCK && !rows.side_by_side);
        for first in (0..rows.rows).step_by(AT_A_TIME) {
            let base = rows.base.wrapping_offset(first as isize * rows.step);
            let here = AT_A_TIME.min(rows.rows - first);
            let results = results.wrapping_add(first * self.result_size);
            // SAFETY: required of the caller.
            unsafe {
                self.fold(&Rows { base, rows: here, ..*rows }, blocks);
                self.finish(blocks, here, rows.len, results);
            }
        }
    }

    /// Joins the blocks of rows of `len` elements, and writes what they become one after the other.
    ///
    /// # Safety
    ///
    /// The blocks must be there, and `results` aligned and writable.
    pub unsafe fn finish(&self, blocks: &Blocks, rows: usize, len: usize, results: *mut u8) {
        // SAFETY: as above.
        unsafe { (self.finish)(blocks, rows, len, results) }
    }

    /// Folds runs of rows that are not too long, and writes what they become.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and places of results aligned and writable.
    pub unsafe fn fold_runs(&self, runs: &Runs) {
        // SAFETY: as above.
        unsafe { (self.runs)(runs) }
    }
}

/// The fold of a reduction, with vectors as wide as this machine's.
///
/// # Panics
///
/// If no graph has such a reduction: the verifier of `kiln_ir` says which there are.
pub fn folder(by: Reduction, dtype: DType) -> Folder {
    folder_for(Width::host(), by, dtype)
}

/// The same for vectors that are as wide.
pub(crate) fn folder_for(width: Width, by: Reduction, dtype: DType) -> Folder {
    /// The fold of each reduction, and whether it is for the largest, of each type of number.
    macro_rules! dispatch {
        ($($by:ident: $fold:ident $($largest:literal)?;)*) => {
            match (by, dtype) {
                $(
                    (Reduction::$by, DType::F32) => folder_of::<$fold<f32 $(, $largest)?>>(width),
                    (Reduction::$by, DType::F64) => folder_of::<$fold<f64 $(, $largest)?>>(width),
                    (Reduction::$by, DType::U8) => folder_of::<$fold<u8 $(, $largest)?>>(width),
                    (Reduction::$by, DType::I32) => folder_of::<$fold<i32 $(, $largest)?>>(width),
                    (Reduction::$by, DType::I64) => folder_of::<$fold<i64 $(, $largest)?>>(width),
                )*
                (Reduction::All, DType::Bool) => folder_of::<All>(width),
                (Reduction::Any, DType::Bool) => folder_of::<Any>(width),
                (by, dtype) => panic!("no graph has {} of {dtype}", by.info().noun),
            }
        };
    }
    dispatch! {
        Sum: Sum;
        Prod: Product;
        Max: Extreme true;
        Sup: Supremum;
        Min: Extreme false;
        ArgMax: Place true;
        ArgMin: Place false;
    }
}

/// Writes `len` as a number, `rows` times.
///
/// # Panics
///
/// If there are no such numbers.
///
/// # Safety
///
/// `results` must be aligned and writable.
pub unsafe fn count(dtype: DType, len: usize, rows: usize, results: *mut u8) {
    unsafe fn write<T: Number>(len: usize, rows: usize, results: *mut u8) {
        // SAFETY: required of the caller.
        (0..rows).for_each(|row| unsafe { results.cast::<T>().add(row).write(T::count(len)) });
    }
    // SAFETY: required of the caller.
    unsafe {
        match dtype {
            DType::F32 => write::<f32>(len, rows, results),
            DType::F64 => write::<f64>(len, rows, results),
            DType::U8 => write::<u8>(len, rows, results),
            DType::I32 => write::<i32>(len, rows, results),
            DType::I64 => write::<i64>(len, rows, results),
            dtype => panic!("no graph has a count of {dtype}"),
        }
    }
}
