//! Rows that are scanned side by side.
//!
//! Several rows are carried side by side, since one alone waits for each of its additions: many of those
//! whose elements are neighbours, and few of others, which a cache may have no room for.
//!
//! Loops are plain, and call nothing that is not always inlined: an iterator or a closure of the standard library that is
//! not, as with `lto = "off"`, has no wide vectors, and takes up to twenty times as long.
#![expect(clippy::needless_range_loop, reason = "see above")]

use super::carry::{Carry, Product, Sum};
#[cfg(target_arch = "x86_64")]
use super::turned::{turned_avx2, turned_avx512};
use crate::run::interrupt::goes_on;
use kiln_ir::{DType, Running};
#[cfg(target_arch = "x86_64")]
use kiln_jit::cpu::Cpu;

/// How many rows are carried side by side, if their elements are neighbours.
pub(in crate::run) const NEIGHBOURS: usize = 256;

/// How many others are: as many as the widest vectors turn.
pub(in crate::run) const LANES: usize = 16;

/// How many others are that are not turned, which a cache may have no room for.
pub(in crate::run) const FEW: usize = 4;

/// Rows whose elements are read, and written, at once, where they are few.
const BLOCK: usize = 16;

/// Elements after which somebody may end a scan of long rows.
const PORTION: usize = 1 << 18;

/// What rows that are scanned have come to.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct State(
    #[expect(dead_code, reason = "it is read as what it is of")] [u64; 2],
);

impl State {
    /// Room for one, of which nothing is known.
    pub(in crate::run) const NONE: State = State([0; 2]);
}

/// Elements of some rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Strip {
    /// The first element of the first row, of what is read and of what is written; these may be the same memory.
    pub(in crate::run) bases: [*mut u8; 2],
    /// How many rows there are, up to [`NEIGHBOURS`] if elements of rows are neighbours.
    pub(in crate::run) rows: usize,
    /// Elements of each.
    pub(in crate::run) len: usize,
    /// Bytes from row to row.
    pub(in crate::run) nearby: [isize; 2],
    /// Bytes from an element of a row to the next.
    pub(in crate::run) steps: [isize; 2],
}

impl Strip {
    /// Whether elements of rows lie one after another, and rows a multiple of one apart.
    #[cfg(target_arch = "x86_64")]
    fn can_turn<T>(&self) -> bool {
        let size = size_of::<T>() as isize;
        self.steps == [size; 2] && self.nearby.iter().all(|bytes| bytes % size == 0)
    }
}

/// What scans elements of a type in one way.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Scanner {
    size: usize,
    start: fn(&mut [State]),
    way: Way,
}

/// Goes on with rows that have come to these states; with none, begins with them and ends there.
type Go = unsafe fn(&Strip, *mut State);

impl Scanner {
    pub(in crate::run) fn new(by: Running, dtype: DType) -> Scanner {
        match (by, dtype) {
            (Running::Sum, DType::F32) => Scanner::by::<Sum, f32>(),
            (Running::Sum, DType::F64) => Scanner::by::<Sum, f64>(),
            (Running::Sum, DType::U8) => Scanner::by::<Sum, u8>(),
            (Running::Sum, DType::I32) => Scanner::by::<Sum, i32>(),
            (Running::Sum, DType::I64) => Scanner::by::<Sum, i64>(),
            (Running::Product, DType::F32) => Scanner::by::<Product, f32>(),
            (Running::Product, DType::F64) => Scanner::by::<Product, f64>(),
            (Running::Product, DType::U8) => Scanner::by::<Product, u8>(),
            (Running::Product, DType::I32) => Scanner::by::<Product, i32>(),
            (Running::Product, DType::I64) => Scanner::by::<Product, i64>(),
            (_, dtype) => unreachable!("no scan is of {dtype}"),
        }
    }

    fn by<C: Carry<T>, T: Copy>() -> Scanner {
        const {
            assert!(size_of::<C::State>() <= size_of::<State>());
            assert!(align_of::<C::State>() <= align_of::<State>());
        }
        let way = Way::all::<C, T>().next().expect("there is one for all machines");
        Scanner { size: size_of::<T>(), start: start::<C, T>, way }
    }

    /// Bytes of an element.
    pub(in crate::run) fn size(&self) -> usize {
        self.size
    }

    /// The states of rows of which nothing was scanned.
    pub(in crate::run) fn start(&self, states: &mut [State]) {
        (self.start)(states);
    }

    /// Scans whole rows.
    ///
    /// # Safety
    ///
    /// Elements must be of the scanner's type, what is read readable, and what is written writable. A row may be
    /// written where it is read, element for element; else both must be apart.
    pub(in crate::run) unsafe fn whole(&self, strip: &Strip) {
        // SAFETY: required of the caller.
        unsafe { self.way.scan(self.size, strip, std::ptr::null_mut()) };
    }

    /// Scans elements of rows, of which these are the states, and leaves the states after them.
    ///
    /// # Safety
    ///
    /// As for [`whole`](Scanner::whole). There must be a state for each row that this scanner left or started.
    pub(in crate::run) unsafe fn go_on(&self, strip: &Strip, states: &mut [State]) {
        debug_assert!(states.len() >= strip.rows);
        // SAFETY: required of the caller.
        unsafe { self.way.scan(self.size, strip, states.as_mut_ptr()) };
    }
}

/// How rows are scanned by vectors of one width. Of 1024 columns of 64 `f32` it takes a Xeon 6 14 µs with AVX-512, and
/// 28 without; of 64 rows of 1024 it takes 17, and 41 where they are not turned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Rows whose elements are neighbours.
    neighbours: Go,
    /// Others.
    apart: Go,
}

impl Way {
    /// Those that this machine has, the widest vectors first.
    pub(super) fn all<C: Carry<T>, T: Copy>() -> impl Iterator<Item = Way> {
        let plain = Way {
            neighbours: neighbours::<C, T>,
            apart: |strip, states| {
                // SAFETY: required of the caller.
                unsafe { apart::<C, T>(strip, 0, states) }
            },
        };
        #[cfg(target_arch = "x86_64")]
        let wide = {
            let cpu = Cpu::host();
            let avx512 = Way { neighbours: neighbours_avx512::<C, T>, apart: apart_avx512::<C, T> };
            let avx2 = Way { neighbours: neighbours_avx2::<C, T>, apart: apart_avx2::<C, T> };
            [cpu.avx512.then_some(avx512), cpu.avx2.then_some(avx2)]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let wide = [None; 2];
        wide.into_iter().flatten().chain([plain])
    }

    /// Scans rows of elements of this size.
    ///
    /// # Safety
    ///
    /// As for [`Scanner::go_on`]; without states, for [`Scanner::whole`].
    pub(super) unsafe fn scan(&self, size: usize, strip: &Strip, states: *mut State) {
        let are_neighbours = strip.nearby == [size as isize; 2] && strip.rows > 1;
        let go = if are_neighbours { self.neighbours } else { self.apart };
        // SAFETY: required of the caller.
        unsafe { go(strip, states) };
    }
}

/// See [`apart`].
///
/// # Safety
///
/// As there; the processor must have AVX2.
#[cfg(target_arch = "x86_64")]
unsafe fn apart_avx2<C: Carry<T>, T: Copy>(strip: &Strip, states: *mut State) {
    // SAFETY: required of the caller.
    unsafe {
        let done = if strip.can_turn::<T>() { turned_avx2::<C, T>(strip, states) } else { 0 };
        apart::<C, T>(strip, done, states);
    }
}

/// See [`apart`].
///
/// # Safety
///
/// As there; the processor must have AVX-512.
#[cfg(target_arch = "x86_64")]
unsafe fn apart_avx512<C: Carry<T>, T: Copy>(strip: &Strip, states: *mut State) {
    // SAFETY: required of the caller.
    unsafe {
        let done = if strip.can_turn::<T>() { turned_avx512::<C, T>(strip, states) } else { 0 };
        apart::<C, T>(strip, done, states);
    }
}

/// See [`neighbours`].
///
/// # Safety
///
/// As there; the processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn neighbours_avx2<C: Carry<T>, T: Copy>(strip: &Strip, states: *mut State) {
    // SAFETY: required of the caller.
    unsafe { neighbours::<C, T>(strip, states) }
}

/// See [`neighbours`].
///
/// # Safety
///
/// As there; the processor must have AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn neighbours_avx512<C: Carry<T>, T: Copy>(strip: &Strip, states: *mut State) {
    // SAFETY: required of the caller.
    unsafe { neighbours::<C, T>(strip, states) }
}

/// See [`Scanner::start`].
pub(super) fn start<C: Carry<T>, T>(states: &mut [State]) {
    for state in states {
        // SAFETY: it has room for one of this kind, as `Scanner::by` asserts.
        unsafe { (&raw mut *state).cast::<C::State>().write(C::start()) };
    }
}

/// Scans rows whose elements are neighbours.
///
/// # Safety
///
/// As for [`Scanner::go_on`]; without states, for [`Scanner::whole`].
#[inline(always)]
unsafe fn neighbours<C: Carry<T>, T: Copy>(strip: &Strip, states: *mut State) {
    debug_assert!(strip.rows <= NEIGHBOURS);
    let rows = strip.rows.min(NEIGHBOURS);
    let mut done = 0;
    // SAFETY: required of the caller.
    unsafe {
        if rows >= 4 * BLOCK {
            done = rows / BLOCK * BLOCK;
            match strip.bases[0] == strip.bases[1] && strip.steps[0] == strip.steps[1] {
                true => many::<C, T, true>(strip, done, states),
                false => many::<C, T, false>(strip, done, states),
            }
        }
        macro_rules! few {
            ($($count:expr)*) => {
                $(while rows - done >= $count {
                    few::<C, T, { $count }>(strip, done, states);
                    done += $count;
                })*
            };
        }
        few! { BLOCK 8 4 2 1 }
    }
}

/// Scans other rows, from one on.
///
/// # Safety
///
/// As for [`neighbours`].
#[inline(never)]
unsafe fn apart<C: Carry<T>, T: Copy>(strip: &Strip, mut row: usize, states: *mut State) {
    let &Strip { bases, rows, len, nearby, steps } = strip;
    let dense = [size_of::<T>() as isize; 2];
    while row < rows {
        let at = [0, 1].map(|of| bases[of].wrapping_offset(row as isize * nearby[of]));
        let count = if rows - row < FEW { 1 } else { FEW };
        let states = if states.is_null() { states } else { states.wrapping_add(row) };
        // SAFETY: required of the caller.
        unsafe {
            match (count, steps == dense) {
                (FEW, true) => side_by_side::<C, T, FEW>(at, nearby, dense, len, states),
                (FEW, false) => side_by_side::<C, T, FEW>(at, nearby, steps, len, states),
                (_, true) => side_by_side::<C, T, 1>(at, nearby, dense, len, states),
                (_, false) => side_by_side::<C, T, 1>(at, nearby, steps, len, states),
            }
        }
        row += count;
    }
}

/// Steps along rows, until somebody ends the work.
macro_rules! in_portions {
    ($len:expr, $portion:expr, $step:block) => {{
        let mut left = $len;
        loop {
            let here = left.min($portion);
            for _ in 0..here $step
            left -= here;
            if left == 0 || !goes_on() {
                break;
            }
        }
    }};
}

/// The states of rows as they are carried, to begin with.
///
/// # Safety
///
/// There must be one of each row, unless there are none.
#[inline(always)]
pub(super) unsafe fn carried<C: Carry<T>, T, const L: usize>(
    states: *mut State,
    rows: usize,
) -> [C::State; L] {
    let mut carried = [C::start(); L];
    if !states.is_null() {
        for (lane, carried) in carried[..rows].iter_mut().enumerate() {
            // SAFETY: required of the caller.
            *carried = unsafe { states.add(lane).cast::<C::State>().read() };
        }
    }
    carried
}

/// Leaves the states of rows, if there is room for them.
///
/// # Safety
///
/// As for [`carried`].
#[inline(always)]
pub(super) unsafe fn leave<S: Copy>(carried: &[S], states: *mut State) {
    if !states.is_null() {
        for (lane, &carried) in carried.iter().enumerate() {
            // SAFETY: required of the caller.
            unsafe { states.add(lane).cast::<S>().write(carried) };
        }
    }
}

/// Scans `L` rows of `len` elements, which lie `nearby` bytes apart, and their elements `steps` bytes.
///
/// # Safety
///
/// From `bases`, the first elements, there must be such elements of type `T`, those of the first readable,
/// those of the second writable; and a state of each row, or none.
#[inline(always)]
unsafe fn side_by_side<C: Carry<T>, T: Copy, const L: usize>(
    mut bases: [*mut u8; 2],
    nearby: [isize; 2],
    steps: [isize; 2],
    len: usize,
    states: *mut State,
) {
    // SAFETY: required of the caller.
    let mut carried = unsafe { carried::<C, T, L>(states, L) };
    in_portions!(len, PORTION / L, {
        // SAFETY: required of the caller.
        unsafe { step_apart::<C, T>(bases, nearby, &mut carried) };
        bases = [bases[0].wrapping_offset(steps[0]), bases[1].wrapping_offset(steps[1])];
    });
    // SAFETY: required of the caller.
    unsafe { leave(&carried, states) };
}

/// Scans an element of each of some rows, which lie `nearby` bytes apart.
///
/// # Safety
///
/// From `bases` on there must be such elements, readable and writable.
#[inline(always)]
pub(super) unsafe fn step_apart<C: Carry<T>, T: Copy>(
    bases: [*mut u8; 2],
    nearby: [isize; 2],
    carried: &mut [C::State],
) {
    for lane in 0..carried.len() {
        let from = bases[0].wrapping_offset(lane as isize * nearby[0]).cast::<T>();
        let to = bases[1].wrapping_offset(lane as isize * nearby[1]).cast::<T>();
        // SAFETY: required of the caller.
        unsafe { to.write_unaligned(C::step(&mut carried[lane], from.read_unaligned())) };
    }
}

/// Scans the first `count` rows of many whose elements are neighbours.
///
/// # Safety
///
/// As for [`neighbours`]; what is read and what is written must lie alike if they are one.
#[inline(always)]
unsafe fn many<C: Carry<T>, T: Copy, const ONE: bool>(
    strip: &Strip,
    count: usize,
    states: *mut State,
) {
    let &Strip { mut bases, len, steps, .. } = strip;
    // SAFETY: required of the caller.
    let mut carried = unsafe { carried::<C, T, NEIGHBOURS>(states, count) };
    in_portions!(len, PORTION / NEIGHBOURS, {
        let from = bases[0].cast::<T>();
        // Of one memory each element is written where it was read, and the compiler need not look whether it is.
        let to = if ONE { from } else { bases[1].cast::<T>() };
        for lane in 0..count {
            // SAFETY: required of the caller.
            unsafe {
                let element = from.add(lane).read_unaligned();
                to.add(lane).write_unaligned(C::step(&mut carried[lane], element));
            }
        }
        bases = [bases[0].wrapping_offset(steps[0]), bases[1].wrapping_offset(steps[1])];
    });
    // SAFETY: required of the caller.
    unsafe { leave(&carried[..count], states) };
}

/// Scans `L` rows from one on, whose elements are neighbours.
///
/// # Safety
///
/// As for [`neighbours`].
#[inline(always)]
unsafe fn few<C: Carry<T>, T: Copy, const L: usize>(strip: &Strip, row: usize, states: *mut State) {
    let &Strip { bases, len, steps, .. } = strip;
    let mut bases = bases.map(|base| base.wrapping_add(row * size_of::<T>()));
    let states = if states.is_null() { states } else { states.wrapping_add(row) };
    // SAFETY: required of the caller.
    let mut carried = unsafe { carried::<C, T, L>(states, L) };
    in_portions!(len, PORTION / L, {
        let (from, to) = (bases[0].cast::<[T; L]>(), bases[1].cast::<[T; L]>());
        // All are read before any is written, so the compiler need not ask where that is.
        // SAFETY: required of the caller.
        let mut elements = unsafe { from.read_unaligned() };
        for lane in 0..L {
            elements[lane] = C::step(&mut carried[lane], elements[lane]);
        }
        // SAFETY: required of the caller.
        unsafe { to.write_unaligned(elements) };
        bases = [bases[0].wrapping_offset(steps[0]), bases[1].wrapping_offset(steps[1])];
    });
    // SAFETY: required of the caller.
    unsafe { leave(&carried, states) };
}
