//! The kernel ABI: what machine code is called with.
//!
//! A kernel routine is `fn(&mut Launch)`, `extern "sysv64"` on every x86-64 (on Windows, too) and
//! `extern "C"` elsewhere. It does the same with each row of its operands:
//!
//! | field of [`Launch`] | meaning |
//! |---|---|
//! | `rows` | number of rows, at least 1; the routine counts them down |
//! | `n` | elements of a row, which may be 0: any number where [`Code::takes_any_count`], else a multiple of [`Code::lanes`] |
//! | `pool` | the routine's constants, [`Code`]'s own |
//! | `cursors` | a [`Cursor`] for each operand: inputs, outputs, folds, rows that are kept; the routine moves them from row to row |
//! | `head` | elements of a row that the code of a sweep stores first, so that outputs are aligned to a vector after them; fewer than a vector has |
//! | `tile` | how many rows at a time the code of a sweep takes, from 1 to [`MOST_ROWS`](crate::emit::MOST_ROWS) |
//! | `ahead` | how many rows later the rows are that memory is asked for, of [inputs](crate::vir::Routine::ahead) that say so or have a [turn](crate::vir::Routine::turns); 0 if it should not |
//! | `results` | 1 if the code of a sweep asks memory for what its results are stored over, else 0 |
//! | `carries` | a [`Carry`] for each output, if any is [realigned](crate::vir::Routine::realigned) |
//!
//! An input that is an array has the step `lanes * size`; an input that is one repeated element (a
//! *splat*) has the step 0 and points at [`Code::copies`] copies of it: a routine handles several
//! vectors at a time if there are enough elements, and reads as many from a splat. So one routine
//! serves both. A row scalar needs no copies: it is broadcast. A row of an output is contiguous, and a fold stores one element a row. No pointer needs to be aligned. All inputs of an
//! element are read before its outputs are written, so an output may be exactly an input's memory.
//!
//! Elements lie as [`Storage`](crate::vir::Storage) says; a `bool` is one byte, read as "not zero",
//! written as 0 or 1.
//!
//! [`Code`]: crate::emit::Code
//! [`Code::lanes`]: crate::emit::Code::lanes
//! [`Code::copies`]: crate::emit::Code::copies
//! [`Code::takes_any_count`]: crate::emit::Code::takes_any_count

use crate::emit::carry::Carry;
use crate::emit::code::Cursor;

/// The argument of a kernel routine. See the module table.
#[repr(C)]
#[derive(Debug)]
pub(in crate::emit) struct Launch {
    pub(in crate::emit) rows: usize,
    pub(in crate::emit) n: usize,
    pub(in crate::emit) pool: *const u8,
    pub(in crate::emit) cursors: *mut Cursor,
    pub(in crate::emit) tile: usize,
    pub(in crate::emit) head: usize,
    pub(in crate::emit) ahead: usize,
    pub(in crate::emit) results: usize,
    pub(in crate::emit) carries: *mut Carry,
}

/// Declares [`Entry`], which has one calling convention on all systems of a processor.
macro_rules! entry {
    ($convention:literal) => {
        /// A native kernel routine. See the module table.
        pub(in crate::emit) type Entry = unsafe extern $convention fn(&mut Launch);
    };
}
#[cfg(target_arch = "x86_64")]
entry!("sysv64");
#[cfg(not(target_arch = "x86_64"))]
entry!("C");

/// Memory offsets, for emitters of machine code.
pub(in crate::emit) mod offsets {
    use super::{Cursor, Launch};
    use std::mem::{offset_of, size_of};

    pub(in crate::emit) const ROWS: i32 = offset_of!(Launch, rows) as i32;
    pub(in crate::emit) const N: i32 = offset_of!(Launch, n) as i32;
    pub(in crate::emit) const POOL: i32 = offset_of!(Launch, pool) as i32;
    pub(in crate::emit) const CURSORS: i32 = offset_of!(Launch, cursors) as i32;
    /// From one operand's cursor to the next.
    pub(in crate::emit) const CURSOR: i32 = size_of::<Cursor>() as i32;
    pub(in crate::emit) const BASE: i32 = offset_of!(Cursor, base) as i32;
    pub(in crate::emit) const STEP: i32 = offset_of!(Cursor, step) as i32;
    pub(in crate::emit) const ROW: i32 = offset_of!(Cursor, row) as i32;

    // Cranelift makes no code of sweeps, and none that asks ahead.
    #[cfg(feature = "x86")]
    pub(in crate::emit) const TILE: i32 = offset_of!(Launch, tile) as i32;
    #[cfg(feature = "x86")]
    pub(in crate::emit) const HEAD: i32 = offset_of!(Launch, head) as i32;
    #[cfg(feature = "x86")]
    pub(in crate::emit) const AHEAD: i32 = offset_of!(Launch, ahead) as i32;
    #[cfg(feature = "x86")]
    pub(in crate::emit) const RESULTS: i32 = offset_of!(Launch, results) as i32;
    #[cfg(feature = "x86")]
    pub(in crate::emit) const CARRIES: i32 = offset_of!(Launch, carries) as i32;
}
