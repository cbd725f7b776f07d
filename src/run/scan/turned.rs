//! Rows that are turned into columns, scanned there side by side, and turned back.
//!
//! Elements that lie side by side in a row wait for each other. So a line of each of several rows is turned, until a
//! vector holds an element of each: a whole line, for rows far apart evict each other from a cache.
#![expect(clippy::needless_range_loop, reason = "as in `strips`")]

use super::carry::Carry;
use super::strips::{State, Strip, carried, leave, step_apart};
use crate::run::interrupt::goes_on;
use kiln_gemm::{square_f32x8, square_f32x16, square_f64x4, square_f64x8};
use std::mem::MaybeUninit;

/// Bytes of a line.
const LINE: usize = 64;

/// Lines of some rows after which somebody may end a scan.
const LINES: usize = 1 << 10;

/// What turns squares of elements that have the size of this number.
trait Square {
    type Number;
    /// Rows of a square, and elements of each.
    const SIDE: usize;

    /// Turns rows that are `down[0]` elements apart into rows that are `down[1]` apart.
    ///
    /// # Safety
    ///
    /// Those must be readable, these writable and apart, and the processor must have such vectors.
    unsafe fn turn(from: *const Self::Number, to: *mut Self::Number, down: [isize; 2]);
}

macro_rules! squares {
    ($($square:ident $number:ident $side:literal $turn:ident;)*) => {$(
        struct $square;

        impl Square for $square {
            type Number = $number;
            const SIDE: usize = $side;

            #[inline(always)]
            unsafe fn turn(from: *const $number, to: *mut $number, down: [isize; 2]) {
                // SAFETY: required of the caller.
                unsafe { $turn(from, to, down) };
            }
        }
    )*};
}

squares! {
    F32x16 f32 16 square_f32x16;
    F32x8 f32 8 square_f32x8;
    F64x8 f64 8 square_f64x8;
    F64x4 f64 4 square_f64x4;
}

/// Scans as many rows of a strip as there are to turn, with vectors of AVX-512, and tells how many.
///
/// # Safety
///
/// As for [`Scanner::go_on`](super::strips::Scanner::go_on); the processor must have AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn turned_avx512<C: Carry<T>, T: Copy>(
    strip: &Strip,
    states: *mut State,
) -> usize {
    // SAFETY: required of the caller.
    unsafe {
        match size_of::<T>() {
            4 => {
                let done = all::<C, T, F32x16, 16, 16>(strip, 0, states);
                all::<C, T, F32x8, 8, 16>(strip, done, states)
            }
            8 => {
                let done = all::<C, T, F64x8, 8, 8>(strip, 0, states);
                all::<C, T, F64x4, 4, 8>(strip, done, states)
            }
            _ => 0,
        }
    }
}

/// The same with those of AVX2.
///
/// # Safety
///
/// As for [`turned_avx512`]; the processor must have AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn turned_avx2<C: Carry<T>, T: Copy>(strip: &Strip, states: *mut State) -> usize {
    // SAFETY: required of the caller.
    unsafe {
        match size_of::<T>() {
            4 => all::<C, T, F32x8, 8, 16>(strip, 0, states),
            8 => all::<C, T, F64x4, 4, 8>(strip, 0, states),
            _ => 0,
        }
    }
}

/// Scans rows from `first` on, `ROWS` at a time, and tells where those begin that are left.
///
/// # Safety
///
/// As for [`turned_avx512`]; the processor must have the vectors of the square.
#[inline(always)]
unsafe fn all<C: Carry<T>, T: Copy, S: Square, const ROWS: usize, const LEN: usize>(
    strip: &Strip,
    mut first: usize,
    states: *mut State,
) -> usize {
    while strip.rows - first >= ROWS {
        // SAFETY: required of the caller.
        unsafe { some::<C, T, S, ROWS, LEN>(strip, first, states) };
        first += ROWS;
    }
    first
}

/// Scans `ROWS` rows, a square's, of whose elements `LEN` are a line.
///
/// # Safety
///
/// As for [`all`].
#[inline(always)]
unsafe fn some<C: Carry<T>, T: Copy, S: Square, const ROWS: usize, const LEN: usize>(
    strip: &Strip,
    first: usize,
    states: *mut State,
) {
    const {
        assert!(ROWS == S::SIDE && LEN * size_of::<S::Number>() == LINE);
    }
    let &Strip { bases, len, nearby, .. } = strip;
    let mut bases = [0, 1].map(|of| bases[of].wrapping_offset(first as isize * nearby[of]));
    let down = nearby.map(|bytes| bytes / size_of::<T>() as isize);
    let states = if states.is_null() { states } else { states.wrapping_add(first) };
    // SAFETY: required of the caller; columns are written before they are read.
    unsafe {
        let mut carried = carried::<C, T, ROWS>(states, ROWS);
        let mut columns = [[MaybeUninit::<T>::uninit(); ROWS]; LEN];
        for line in 0..len / LEN {
            if line % LINES == LINES - 1 && !goes_on() {
                break;
            }
            for square in 0..LEN / ROWS {
                let from = bases[0].cast::<T>().add(square * ROWS);
                let to = columns[square * ROWS..].as_mut_ptr();
                S::turn(from.cast(), to.cast(), [down[0], ROWS as isize]);
            }
            for at in 0..LEN {
                for row in 0..ROWS {
                    let element = columns[at][row].assume_init();
                    columns[at][row].write(C::step(&mut carried[row], element));
                }
            }
            for square in 0..LEN / ROWS {
                let from = columns[square * ROWS..].as_ptr();
                let to = bases[1].cast::<T>().add(square * ROWS);
                S::turn(from.cast(), to.cast(), [ROWS as isize, down[1]]);
            }
            bases = [bases[0].wrapping_add(LINE), bases[1].wrapping_add(LINE)];
        }
        for _ in 0..len % LEN {
            step_apart::<C, T>(bases, nearby, &mut carried);
            let size = size_of::<T>();
            bases = [bases[0].wrapping_add(size), bases[1].wrapping_add(size)];
        }
        leave(&carried, states);
    }
}
