//! Folds of many rows, with vectors as wide as the machine's.
//!
//! Each fold is compiled for each width; what it computes is said once, in [`fold`](super::fold), and
//! nothing there may be contracted or reordered.

use super::extreme::{Extreme, Number, Place, Supremum};
use super::fold::{All, Any, BLOCK, Fold, Product, STRIP, STRIPES, Sum};
#[cfg(target_arch = "x86_64")]
use super::simd;
use super::simd::{Machine, Plain};
use kiln_ir::{DType, Reduction};
#[cfg(target_arch = "x86_64")]
use kiln_jit::cpu::Cpu;
use std::mem::MaybeUninit;

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
    fn at<F: Fold>(&self, row: usize, block: usize) -> *mut F::Block {
        self.base.cast::<F::Block>().wrapping_add(row * self.row + block * self.block)
    }
}

/// A fold of elements of one type.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Folder {
    /// Bytes of what a block becomes.
    pub(in crate::run) block_size: usize,
    fold: unsafe fn(&Rows, &Blocks),
    finish: unsafe fn(&Blocks, usize, usize, *mut u8),
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
}

/// The fold of a reduction.
pub(in crate::run) fn folder(by: Reduction, dtype: DType) -> Folder {
    /// The fold of each reduction, and whether it is for the largest, of each type of number.
    macro_rules! dispatch {
        ($($by:ident: $fold:ident $($largest:literal)?;)*) => {
            match (by, dtype) {
                $(
                    (Reduction::$by, DType::F32) => of::<$fold<f32 $(, $largest)?>>(),
                    (Reduction::$by, DType::F64) => of::<$fold<f64 $(, $largest)?>>(),
                    (Reduction::$by, DType::U8) => of::<$fold<u8 $(, $largest)?>>(),
                    (Reduction::$by, DType::I32) => of::<$fold<i32 $(, $largest)?>>(),
                    (Reduction::$by, DType::I64) => of::<$fold<i64 $(, $largest)?>>(),
                )*
                (Reduction::All, DType::Bool) => of::<All>(),
                (Reduction::Any, DType::Bool) => of::<Any>(),
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
fn of<F: Fold>() -> Folder {
    let block_size = size_of::<F::Block>();
    #[cfg(target_arch = "x86_64")]
    {
        let cpu = Cpu::host();
        if cpu.avx512 {
            return Folder { block_size, fold: fold_avx512::<F>, finish: finish_avx512::<F> };
        }
        if cpu.avx2 {
            return Folder { block_size, fold: fold_avx2::<F>, finish: finish_avx2::<F> };
        }
    }
    Folder { block_size, fold: fold::<F, Plain>, finish: finish::<F> }
}

/// The functions below for wider vectors.
macro_rules! define_wide {
    ($($features:literal $machine:ident $fold:ident $finish:ident;)*) => {
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
        )*
    };
}

define_wide! {
    "avx2" Avx2 fold_avx2 finish_avx2;
    "avx512f,avx512bw,avx512dq,avx512vl" Avx512 fold_avx512 finish_avx512;
}

/// See [`Folder::finish`].
#[inline(always)]
unsafe fn finish<F: Fold>(blocks: &Blocks, rows: usize, len: usize, results: *mut u8) {
    let results = results.cast::<F::Result>();
    if len.div_ceil(BLOCK) == 1 && blocks.row == 1 {
        let blocks = blocks.at::<F>(0, 0);
        for row in 0..rows {
            let mut state = F::start();
            // SAFETY: required of the caller.
            unsafe {
                F::join(&mut state, blocks.add(row).read());
                results.add(row).write(F::finish(state, len));
            }
        }
        return;
    }
    for row in 0..rows {
        let mut state = F::start();
        for block in 0..len.div_ceil(BLOCK) {
            // SAFETY: required of the caller.
            F::join(&mut state, unsafe { blocks.at::<F>(row, block).read() });
        }
        // SAFETY: as above.
        unsafe { results.add(row).write(F::finish(state, len)) };
    }
}

/// See [`Folder::fold`].
#[inline(always)]
unsafe fn fold<F: Fold, M: Machine>(rows: &Rows, blocks: &Blocks) {
    let size = size_of::<F::Element>();
    if !rows.side_by_side && rows.len <= BLOCK {
        for row in 0..rows.rows {
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
    let is_dense = rows.rows <= DENSE && rows.step == (rows.rows * size) as isize;
    for index in 0..rows.len.div_ceil(BLOCK) {
        let before = index * BLOCK;
        let base = rows.base.wrapping_offset(before as isize * rows.step);
        let block =
            Rows { base, len: (rows.len - before).min(BLOCK), first: rows.first + before, ..*rows };
        // SAFETY: a part of what the caller has.
        unsafe {
            if is_dense && !F::HAS_ACROSS {
                dense::<F>(&block, |row, folded| blocks.at::<F>(row, index).write(folded));
                continue;
            }
            for strip in (0..rows.rows).step_by(STRIP) {
                let base = base.wrapping_add(strip * size);
                let part = Rows { base, rows: STRIP.min(rows.rows - strip), ..block };
                let write = |row: usize, folded| blocks.at::<F>(strip + row, index).write(folded);
                let elements = |at: usize| {
                    let base = part.base.wrapping_offset(at as isize * part.step);
                    std::slice::from_raw_parts(base.cast::<F::Element>(), part.rows)
                };
                match F::HAS_ACROSS {
                    true => F::across(elements, part.len, part.first, write),
                    false => self::strip::<F>(&part, write),
                }
            }
        }
    }
}

/// Rows up to which a block of rows that lie side by side, with nothing else between them, is taken as
/// one of longer rows.
const DENSE: usize = 16;

/// Stripes of rows that lie side by side, one after the other, are wider stripes.
///
/// # Safety
///
/// There must be at most [`DENSE`] rows of at most a block, element after element.
#[inline(always)]
unsafe fn dense<F: Fold>(rows: &Rows, mut write: impl FnMut(usize, F::Block)) {
    let (width, first) = (rows.rows, rows.first);
    // SAFETY: required of the caller.
    let elements =
        unsafe { std::slice::from_raw_parts(rows.base.cast::<F::Element>(), rows.len * width) };
    let stripes = rows.len.min(F::COUNT);
    let mut lanes = [F::identity(); STRIPES * DENSE];
    let (heads, rest) = elements.split_at(stripes * width);
    for (at, (lane, &element)) in lanes.iter_mut().zip(heads).enumerate() {
        *lane = F::lane(first + at / width, element);
    }
    for (turn, row) in rest.chunks(F::COUNT * width).enumerate() {
        let first = first + (turn + 1) * F::COUNT;
        for (at, (lane, &element)) in lanes.iter_mut().zip(row).enumerate() {
            *lane = F::merge(*lane, F::lane(first + at / width, element));
        }
    }
    let mut half = F::COUNT / 2;
    while half > 0 {
        let (left, right) = lanes.split_at_mut(half * width);
        let count = half.min(stripes.saturating_sub(half)) * width;
        for (left, &right) in left.iter_mut().zip(&right[..count]) {
            *left = F::merge(*left, right);
        }
        half /= 2;
    }
    lanes[..width].iter().enumerate().for_each(|(row, &lane)| write(row, F::block(lane)));
}

/// Merges stripes of rows that lie side by side. Stripe `j` and `j + 32` come one after the other, then
/// `j + 16` and `j + 48`: so there are never more than a few that wait for their other half.
///
/// # Safety
///
/// There must be at most [`STRIP`] rows of at most a block.
#[inline(always)]
unsafe fn strip<F: Fold>(rows: &Rows, mut write: impl FnMut(usize, F::Block)) {
    const DEPTH: usize = STRIPES.ilog2() as usize + 1;
    let Rows { rows: width, len, first, .. } = *rows;
    let row = |at: usize| {
        let base = rows.base.wrapping_offset(at as isize * rows.step).cast::<F::Element>();
        // SAFETY: element `at` of each row is there, and aligned.
        unsafe { std::slice::from_raw_parts(base, width) }
    };
    // Those that have no element are at the end, and change nothing.
    let stripes = F::COUNT.min(len.next_power_of_two());
    let depth = stripes.ilog2();
    let stripe_of = |turn: usize| match depth {
        0 => 0,
        _ => turn.reverse_bits() >> (usize::BITS - depth),
    };
    let mut waiting = [const { MaybeUninit::<[F::Lane; STRIP]>::uninit() }; DEPTH];
    let mut top = 0;
    for turn in 0..stripes {
        let stripe = stripe_of(turn);
        // No processor guesses where the next one is.
        (stripe_of(turn + 1)..len).step_by(F::COUNT).for_each(|at| fetch(row(at)));
        let is_there = stripe < len;
        if is_there {
            // SAFETY: any lanes; those that are read are written below.
            let lanes = unsafe { lanes_of(&mut waiting[top], width) };
            let mut at = stripe;
            if at + 3 * F::COUNT < len {
                let ats = [0, 1, 2, 3].map(|turn| at + turn * F::COUNT);
                let [a, b, c, d] = ats.map(row);
                let elements = a.iter().zip(b).zip(c).zip(d);
                for (lane, (((&a, &b), &c), &d)) in lanes.iter_mut().zip(elements) {
                    let merged = F::merge(F::lane(first + ats[0], a), F::lane(first + ats[1], b));
                    let merged = F::merge(merged, F::lane(first + ats[2], c));
                    *lane = F::merge(merged, F::lane(first + ats[3], d));
                }
                at += 4 * F::COUNT;
            } else {
                for (lane, &element) in lanes.iter_mut().zip(row(at)) {
                    *lane = F::lane(first + at, element);
                }
                at += F::COUNT;
            }
            while at + 3 * F::COUNT < len {
                let ats = [0, 1, 2, 3].map(|turn| at + turn * F::COUNT);
                let [a, b, c, d] = ats.map(row);
                let elements = a.iter().zip(b).zip(c).zip(d);
                for (lane, (((&a, &b), &c), &d)) in lanes.iter_mut().zip(elements) {
                    let merged = F::merge(*lane, F::lane(first + ats[0], a));
                    let merged = F::merge(merged, F::lane(first + ats[1], b));
                    let merged = F::merge(merged, F::lane(first + ats[2], c));
                    *lane = F::merge(merged, F::lane(first + ats[3], d));
                }
                at += 4 * F::COUNT;
            }
            while at < len {
                for (lane, &element) in lanes.iter_mut().zip(row(at)) {
                    *lane = F::merge(*lane, F::lane(first + at, element));
                }
                at += F::COUNT;
            }
        }
        // Like the carry of a binary counter. Where the right one is not there, the left one is as it is.
        let mut carry = turn;
        let mut right_is_there = is_there;
        while carry & 1 == 1 {
            carry >>= 1;
            top -= 1;
            if right_is_there {
                let (left, right) = waiting.split_at_mut(top + 1);
                // SAFETY: both were written.
                let [left, right] =
                    unsafe { [lanes_of(&mut left[top], width), lanes_of(&mut right[0], width)] };
                for (left, &mut right) in left.iter_mut().zip(right) {
                    *left = F::merge(*left, right);
                }
            }
            // A stripe is on the left of those after it.
            right_is_there = true;
        }
        top += 1;
    }
    // SAFETY: it was written.
    let lanes = unsafe { lanes_of(&mut waiting[0], width) };
    lanes.iter().enumerate().for_each(|(row, &lane)| write(row, F::block(lane)));
}

/// The first of some lanes.
///
/// # Safety
///
/// They must be written before they are read.
#[inline(always)]
unsafe fn lanes_of<T: Copy>(lanes: &mut MaybeUninit<[T; STRIP]>, width: usize) -> &mut [T] {
    // SAFETY: required of the caller; there is room for that many.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast::<T>(), width.min(STRIP)) }
}

/// Asks for elements that are needed soon.
#[inline(always)]
fn fetch<T>(elements: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(elements)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which may have any address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(elements.as_ptr().cast::<i8>().wrapping_add(at));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = elements;
}
