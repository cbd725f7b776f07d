//! Folds of many rows, with vectors as wide as the machine's.
//!
//! Each fold is compiled for each width; what it computes is said once, in [`fold`](super::fold), and
//! nothing there may be contracted or reordered.

use super::extreme::{Extreme, Number, Place, Supremum};
use super::fold::{All, Any, BLOCK, Fold, Product, Sum};
use super::runs::{self, Runs};
#[cfg(target_arch = "x86_64")]
use super::simd;
use super::simd::{Blocked, Machine, Plain};
use super::{strips, trees};
use kiln_ir::{DType, Reduction};
use kiln_jit::cpu::Cpu;

/// Rows of elements.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Rows {
    /// The first element of the first row, aligned.
    pub(in crate::run) base: *const u8,
    pub(in crate::run) rows: usize,
    /// Elements of each.
    pub(in crate::run) len: usize,
    /// Which element of its row the first one is: the first one of a block.
    pub(in crate::run) first: usize,
    /// Whether neighbours are elements of neighbouring rows, and not of one row.
    pub(in crate::run) side_by_side: bool,
    /// Whether all elements are in L2.
    pub(in crate::run) is_near: bool,
    /// Bytes from row to row; if they are side by side, from element to element.
    pub(in crate::run) step: isize,
}

/// What the blocks of rows become: the blocks of a row one after the other, or those of neighbouring
/// rows if rows are side by side.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Blocks {
    pub(in crate::run) base: *mut u8,
    /// From row to row, and from block to block, in blocks.
    pub(in crate::run) row: usize,
    pub(in crate::run) block: usize,
}

impl Blocks {
    /// The place of a block.
    pub(super) fn at<F: Fold>(&self, row: usize, block: usize) -> *mut F::Block {
        self.base.cast::<F::Block>().wrapping_add(row * self.row + block * self.block)
    }
}

/// A fold of elements of one type.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Folder {
    /// Bytes of what a block becomes.
    pub(in crate::run) block_size: usize,
    /// Bytes of what a row becomes.
    result_size: usize,
    /// Elements of the longest rows that are folded [run by run](Folder::fold_runs).
    pub(in crate::run) longest_of_runs: usize,
    fold: unsafe fn(&Rows, &Blocks),
    finish: unsafe fn(&Blocks, usize, usize, *mut u8),
    runs: unsafe fn(&Runs),
}

impl Folder {
    /// Folds blocks of rows.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and places of blocks aligned and writable.
    pub(in crate::run) unsafe fn fold(&self, rows: &Rows, blocks: &Blocks) {
        // SAFETY: required of the caller; the machine has what the function was compiled for.
        unsafe { (self.fold)(rows, blocks) }
    }

    /// Folds rows of at most a block each, and writes what they become one after the other: some rows at a time, while
    /// a near cache has their blocks.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and places of blocks and `results` aligned and writable.
    pub(in crate::run) unsafe fn fold_whole(&self, rows: &Rows, blocks: &Blocks, results: *mut u8) {
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
    pub(in crate::run) unsafe fn finish(
        &self,
        blocks: &Blocks,
        rows: usize,
        len: usize,
        results: *mut u8,
    ) {
        // SAFETY: as above.
        unsafe { (self.finish)(blocks, rows, len, results) }
    }

    /// Folds runs of rows that are not too long, and writes what they become.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and places of results aligned and writable.
    pub(in crate::run) unsafe fn fold_runs(&self, runs: &Runs) {
        // SAFETY: as above.
        unsafe { (self.runs)(runs) }
    }
}

/// The fold of a reduction.
pub(in crate::run) fn folder(by: Reduction, dtype: DType) -> Folder {
    folder_for(Cpu::host(), by, dtype)
}

/// The same for a processor that has such vectors.
fn folder_for(cpu: Cpu, by: Reduction, dtype: DType) -> Folder {
    /// The fold of each reduction, and whether it is for the largest, of each type of number.
    macro_rules! dispatch {
        ($($by:ident: $fold:ident $($largest:literal)?;)*) => {
            match (by, dtype) {
                $(
                    (Reduction::$by, DType::F32) => of::<$fold<f32 $(, $largest)?>>(cpu),
                    (Reduction::$by, DType::F64) => of::<$fold<f64 $(, $largest)?>>(cpu),
                    (Reduction::$by, DType::U8) => of::<$fold<u8 $(, $largest)?>>(cpu),
                    (Reduction::$by, DType::I32) => of::<$fold<i32 $(, $largest)?>>(cpu),
                    (Reduction::$by, DType::I64) => of::<$fold<i64 $(, $largest)?>>(cpu),
                )*
                (Reduction::All, DType::Bool) => of::<All>(cpu),
                (Reduction::Any, DType::Bool) => of::<Any>(cpu),
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
/// # Safety
///
/// `results` must be aligned and writable.
pub(in crate::run) unsafe fn count(dtype: DType, len: usize, rows: usize, results: *mut u8) {
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

/// A fold, as wide as the machine's vectors.
fn of<F: Fold>(cpu: Cpu) -> Folder {
    let folder = |fold, finish, runs| Folder {
        block_size: size_of::<F::Block>(),
        result_size: size_of::<F::Result>(),
        longest_of_runs: runs::longest::<F>(),
        fold,
        finish,
        runs,
    };
    #[cfg(target_arch = "x86_64")]
    {
        if cpu.avx512 {
            return folder(fold_avx512::<F>, finish_avx512::<F>, runs_avx512::<F>);
        }
        if cpu.avx2 {
            return folder(fold_avx2::<F>, finish_avx2::<F>, runs_avx2::<F>);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = cpu;
    folder(fold::<F, Plain>, finish::<F>, runs::fold::<F, Plain>)
}

/// The functions below for wider vectors.
macro_rules! define_wide {
    ($($features:literal $machine:ident $fold:ident $finish:ident $runs:ident;)*) => {
        $(
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = $features)]
            unsafe fn $fold<F: Fold>(rows: &Rows, blocks: &Blocks) {
                // SAFETY: required of the caller.
                unsafe { fold::<F, simd::$machine>(rows, blocks) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = $features)]
            unsafe fn $finish<F: Fold>(blocks: &Blocks, rows: usize, len: usize, results: *mut u8) {
                // SAFETY: required of the caller.
                unsafe { finish::<F>(blocks, rows, len, results) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = $features)]
            unsafe fn $runs<F: Fold>(runs: &Runs) {
                // SAFETY: required of the caller.
                unsafe { runs::fold::<F, simd::$machine>(runs) }
            }
        )*
    };
}

define_wide! {
    "avx2" Avx2 fold_avx2 finish_avx2 runs_avx2;
    "avx512f,avx512bw,avx512dq,avx512vl" Avx512 fold_avx512 finish_avx512 runs_avx512;
}

/// See [`Folder::finish`].
#[inline(always)]
unsafe fn finish<F: Fold>(blocks: &Blocks, rows: usize, len: usize, results: *mut u8) {
    let results = results.cast::<F::Result>();
    let count = len.div_ceil(BLOCK);
    if blocks.row != 1 {
        for row in 0..rows {
            let mut state = F::start();
            for block in 0..count {
                // SAFETY: required of the caller.
                F::join(&mut state, unsafe { blocks.at::<F>(row, block).read() });
            }
            // SAFETY: as above.
            unsafe { results.add(row).write(F::finish(state, len)) };
        }
        return;
    }
    if count == 1 {
        // SAFETY: as above; blocks and results are apart.
        unsafe {
            let blocks = std::slice::from_raw_parts(blocks.at::<F>(0, 0), rows);
            for (row, &block) in blocks.iter().enumerate() {
                results.add(row).write(F::only(block, len));
            }
        }
        return;
    }
    // In the order of memory.
    const AT_A_TIME: usize = 64;
    for first in (0..rows).step_by(AT_A_TIME) {
        let mut states: [F::State; AT_A_TIME] = std::array::from_fn(|_| F::start());
        let here = AT_A_TIME.min(rows - first);
        for block in 0..count {
            let blocks = blocks.at::<F>(first, block);
            for (row, state) in states[..here].iter_mut().enumerate() {
                // SAFETY: as above.
                F::join(state, unsafe { blocks.add(row).read() });
            }
        }
        for (row, state) in states.into_iter().take(here).enumerate() {
            // SAFETY: as above.
            unsafe { results.add(first + row).write(F::finish(state, len)) };
        }
    }
}

/// Most elements of rows of which several fill a vector.
const SHORT: usize = 16;

/// See [`Folder::fold`].
#[inline(always)]
unsafe fn fold<F: Fold, M: Machine>(rows: &Rows, blocks: &Blocks) {
    let is_dense = rows.step == (rows.len * size_of::<F::Element>()) as isize;
    if F::ADDS && !rows.side_by_side && is_dense && rows.len <= SHORT && blocks.row == 1 {
        let (from, to) = (rows.base.cast::<F::Element>(), blocks.at::<F>(0, 0));
        // SAFETY: required of the caller; what sums come to is of the type of elements.
        if unsafe { M::add_short::<F::Element>(from, rows.rows, rows.len, to.cast()) } {
            return;
        }
    }
    if !rows.side_by_side && rows.len <= BLOCK {
        let mut done = 0;
        if blocks.row == 1 && rows.len > 0 {
            let Rows { base, rows, len, step, .. } = *rows;
            let blocked = Blocked { from: base.cast(), rows, len, step };
            // SAFETY: required of the caller.
            done = unsafe { F::several::<M>(blocked, blocks.at::<F>(0, 0)) };
        }
        for row in done..rows.rows {
            let base = rows.base.wrapping_offset(row as isize * rows.step).cast::<F::Element>();
            // SAFETY: as below.
            unsafe {
                let block = std::slice::from_raw_parts(base, rows.len);
                blocks.at::<F>(row, 0).write(F::whole::<M>(rows.first, block));
            }
        }
        return;
    }
    if !rows.side_by_side {
        for row in 0..rows.rows {
            let base = rows.base.wrapping_offset(row as isize * rows.step).cast::<F::Element>();
            // SAFETY: the row is there, and aligned.
            let elements = unsafe { std::slice::from_raw_parts(base, rows.len) };
            for (index, block) in elements.chunks(BLOCK).enumerate() {
                let folded = F::whole::<M>(rows.first + index * BLOCK, block);
                // SAFETY: required of the caller.
                unsafe { blocks.at::<F>(row, index).write(folded) };
            }
        }
        return;
    }
    // SAFETY: required of the caller.
    unsafe {
        if !trees::fold::<F, M>(rows, blocks) {
            strips::fold::<F>(rows, blocks);
        }
    }
}

#[cfg(test)]
mod tests;
