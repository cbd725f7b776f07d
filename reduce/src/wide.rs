//! Folds of many rows, with vectors as wide as the machine's.
//!
//! Each fold is compiled for each width; what it computes is said once, in [`fold`](super::fold), and
//! nothing there may be contracted or reordered.

use super::fold::{BLOCK, Fold};
use super::folder::{Blocks, Folder, Rows};
use super::runs;
#[cfg(target_arch = "x86_64")]
use super::runs::Runs;
#[cfg(target_arch = "x86_64")]
use super::simd;
use super::simd::{Blocked, Machine, Plain};
use super::{strips, trees};
use std::sync::OnceLock;

/// How wide vectors are.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "there is but one"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// As of every processor of this kind.
    Base,
    Avx2,
    Avx512,
}

impl Width {
    /// Those of this machine. Detected once.
    pub(crate) fn host() -> Width {
        static HOST: OnceLock<Width> = OnceLock::new();
        *HOST.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::is_x86_feature_detected as has;
                if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                    return Width::Avx512;
                }
                if has!("avx2") {
                    return Width::Avx2;
                }
            }
            Width::Base
        })
    }
}

/// A fold, with vectors that are as wide.
pub(crate) fn folder_of<F: Fold>(width: Width) -> Folder {
    let folder = |fold, finish, runs| Folder {
        block_size: size_of::<F::Block>(),
        result_size: size_of::<F::Result>(),
        longest_of_runs: runs::longest::<F>(),
        fold,
        finish,
        runs,
    };
    match width {
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => folder(fold_avx512::<F>, finish_avx512::<F>, runs_avx512::<F>),
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => folder(fold_avx2::<F>, finish_avx2::<F>, runs_avx2::<F>),
        _ => folder(fold::<F, Plain>, finish::<F>, runs::fold::<F, Plain>),
    }
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
        // Those count places from the first element of a row on.
        if blocks.row == 1 && rows.len > 0 && rows.first == 0 {
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
