//! Compiled routines, and how they are called: as the [ABI](super::native::launch) says.

use super::carry::{Carry, VECTOR};
use super::cost::{self, Tally};
use super::emitters::EmitterKind;
use super::native::Native;
use crate::vir::{Part, Place, Routine, Step, Storage, Sweep};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;

/// The most bytes that [`Code::copies`] elements of an operand take: the room that a caller needs
/// for a splat, or for less than a vector.
pub const MAX_VECTOR: usize = 512;

/// The most rows that the code of a [`Sweep`] takes at a time.
pub const MOST_ROWS: usize = 32;
/// From how many rows of a tile on what is done once is done by vectors of so many lanes: these should be full, or nearly
/// so. A vector of numbers that were just stored one by one waits until they are in the cache, and so for all stores
/// before them. Layer norm of (4096, 1024), two rows at a time, takes .18 ns an element on a Zen 4 and .22 by vectors; of
/// (32768, 128), eight at a time, .31 on a Xeon 6 and .37, but with AVX2, of half as many lanes, .41 and .38; of 8 rows of
/// 64 1.18 and 1.37, of 12 .89 and .99, but of 15 .80 and .69.
pub const fn many_rows(lanes: usize) -> usize {
    const LEAST: usize = 8;
    let nearly = lanes - lanes / 8;
    if nearly > LEAST { nearly } else { LEAST }
}

/// A compiled routine. It owns its machine code and frees it on drop.
#[derive(Debug)]
pub struct Code {
    callable: Callable,
    emitter: EmitterKind,
    nanoseconds: f64,
    tally: Tally,
    pub(super) lanes: usize,
    pub(super) copies: usize,
    takes_any_count: bool,
    /// Whether a call may begin with fewer elements of each row than a vector has.
    has_heads: bool,
    /// Whether outputs are stored in whole vectors of memory.
    is_realigned: bool,
    pub(super) inputs: Vec<Storage>,
    pub(super) outputs: Vec<Storage>,
    pub(super) folds: Vec<Storage>,
    pub(super) kept: Vec<Storage>,
    /// Which inputs have one element for each row.
    pub(super) scalars: Vec<bool>,
}

/// Where an operand of a call is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// The first element of a row, or [`Code::copies`] copies of the element that it repeats; one is
    /// enough for a [row scalar](Code::is_scalar).
    pub base: *mut u8,
    /// For an input, bytes from one vector to the next: the size of a vector, or 0, as it is for a row
    /// scalar. Ignored for others; code whose outputs are [realigned](Sweep::realigned) keeps there how many bytes wait.
    pub step: usize,
    /// Bytes from one row to the next.
    pub row: isize,
}

/// What a call runs.
#[derive(Debug)]
pub(super) enum Callable {
    #[cfg_attr(not(feature = "_native"), expect(dead_code, reason = "nothing makes any"))]
    Native(Native),
    Software(Box<dyn Software>),
}

/// How the code of a [`Sweep`] goes through rows.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// How many rows each step takes before the next one does: 1 to [`MOST_ROWS`].
    pub rows: usize,
    /// How many rows later the rows are that memory is asked for [meanwhile](Routine::ahead); 0 if it is
    /// not. Pays for rows that no cache has yet.
    pub ahead: usize,
    /// Whether memory is asked for what results are about to be stored over. Pays where no cache has that yet; never
    /// done for those that bypass the caches.
    pub results: bool,
}

impl Tile {
    /// Row by row.
    pub const ONE: Tile = Tile { rows: 1, ahead: 0, results: false };
}

/// How many rows a call has, and how the code of a [`Sweep`] goes through them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "_native"), expect(dead_code, reason = "the interpreter goes row by row"))]
pub(super) struct Rows {
    pub(super) all: usize,
    pub(super) tile: Tile,
    /// Elements of each row before outputs are aligned to a vector.
    pub(super) head: usize,
    /// A carry for each output, if any is realigned.
    pub(super) carries: *mut Carry,
}

/// A routine that software executes: the interpreter, or what stands in for a processor.
pub(super) trait Software: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Runs `code`, which must be the code of `self`.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`].
    unsafe fn call(&self, code: &Code, rows: Rows, n: usize, operands: &[Cursor]);

    /// Like [`call`](Software::call), but with the streaming code, if there is any.
    ///
    /// # Safety
    ///
    /// As for [`Code::call_streaming`], with outputs that are aligned to a vector.
    unsafe fn call_streaming(&self, code: &Code, rows: Rows, n: usize, operands: &[Cursor]) {
        // SAFETY: required of the caller.
        unsafe { self.call(code, rows, n, operands) };
    }

    /// The machine code, if it is that what is executed.
    fn machine_code(&self) -> &[u8] {
        &[]
    }
}

/// The operands of a call. See [`Code`].
struct Operands {
    inputs: Vec<Storage>,
    outputs: Vec<Storage>,
    folds: Vec<Storage>,
    kept: Vec<Storage>,
    scalars: Vec<bool>,
    has_heads: bool,
    is_realigned: bool,
}

/// How many elements a routine takes, in all and at a time. See [`Code`].
#[derive(Clone, Copy)]
pub(super) struct Vectors {
    pub(super) lanes: usize,
    pub(super) copies: usize,
    pub(super) takes_any_count: bool,
}

/// Makes what [`Code::call_streaming`] stored visible to threads that are notified afterwards: such
/// stores are not ordered with others. It waits for memory, so it comes once after all calls of a
/// thread.
pub fn fence() {
    // SAFETY: every x86-64 has it.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

impl Code {
    /// What `emitter` made of `routine`.
    ///
    /// # Panics
    ///
    /// If [`Code::copies`] elements of an operand take more than [`MAX_VECTOR`] bytes, or are no
    /// multiple of [`Code::lanes`]: callers make room accordingly.
    pub(super) fn new(
        routine: &Routine,
        emitter: EmitterKind,
        callable: Callable,
        vectors: Vectors,
    ) -> Code {
        let operands = Operands {
            inputs: routine.inputs.clone(),
            outputs: routine.outputs.clone(),
            folds: routine.folds().collect(),
            kept: Vec::new(),
            scalars: (0..routine.inputs.len()).map(|slot| routine.is_scalar(slot)).collect(),
            has_heads: false,
            is_realigned: false,
        };
        Code::of([routine], operands, emitter, callable, vectors)
    }

    /// What `emitter` made of `sweep`.
    ///
    /// # Panics
    ///
    /// Where [`Code::new`] does.
    pub(super) fn of_sweep(
        sweep: &Sweep,
        emitter: EmitterKind,
        callable: Callable,
        vectors: Vectors,
    ) -> Code {
        let Sweep { inputs, outputs, kept, .. } = sweep;
        // Stripes of folds begin where rows do.
        let is_output = |place: &Place| matches!(place, Place::Output(_));
        let stores_last =
            |part: &Part| part.folds().is_empty() || !part.results.iter().any(is_output);
        let operands = Operands {
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            folds: sweep.left().collect(),
            kept: kept.clone(),
            scalars: (0..inputs.len()).map(|input| sweep.is_scalar(input)).collect(),
            has_heads: sweep.steps.iter().map(Step::part).all(stores_last),
            is_realigned: sweep.is_realigned(),
        };
        let each = |step: &Step| matches!(step, Step::Each { .. });
        let each = sweep.steps.iter().filter(|step| each(step));
        let routines = each.map(|step| &step.part().routine);
        Code::of(routines, operands, emitter, callable, vectors)
    }

    /// What `emitter` made, which executes some routines for each element.
    fn of<'r>(
        routines: impl IntoIterator<Item = &'r Routine>,
        operands: Operands,
        emitter: EmitterKind,
        callable: Callable,
        vectors: Vectors,
    ) -> Code {
        let Vectors { lanes, copies, takes_any_count } = vectors;
        let Operands { inputs, outputs, folds, kept, scalars, has_heads, is_realigned } = operands;
        let widest = inputs.iter().chain(&outputs).map(|storage| storage.size()).max();
        let vector = copies * widest.unwrap_or(0);
        assert!(vector <= MAX_VECTOR, "{emitter}: a vector of {vector} bytes");
        assert!(lanes > 0 && copies % lanes == 0, "{emitter}: {copies} by {lanes}");
        let (mut nanoseconds, mut tally) = (0.0, Tally::default());
        for routine in routines {
            nanoseconds += cost::nanoseconds(routine, emitter.row().times);
            tally.add(routine);
        }
        Code {
            callable,
            emitter,
            nanoseconds,
            tally,
            lanes,
            copies,
            takes_any_count,
            has_heads,
            is_realigned,
            inputs,
            outputs,
            folds,
            kept,
            scalars,
        }
    }

    /// The emitter that made it; never [`EmitterKind::Auto`].
    pub fn emitter(&self) -> EmitterKind {
        self.emitter
    }

    /// The width in bits of the vectors that it computes with.
    pub fn bits(&self) -> u32 {
        self.emitter.row().bits
    }

    /// The estimated nanoseconds per element on one thread where memory is no limit.
    pub fn nanoseconds(&self) -> f64 {
        self.nanoseconds
    }

    /// The primitives that it executes for an element.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The number of elements of a vector.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// How many copies of its element a splat points at: a multiple of [`Code::lanes`].
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// Whether a call may have any number of elements, or only a multiple of [`Code::lanes`].
    pub fn takes_any_count(&self) -> bool {
        self.takes_any_count
    }

    /// The most elements of at most `n` that a call takes.
    pub fn most_of(&self, n: usize) -> usize {
        if self.takes_any_count { n } else { n / self.lanes * self.lanes }
    }

    /// Storage of each input.
    pub fn inputs(&self) -> &[Storage] {
        &self.inputs
    }

    /// Storage of each output.
    pub fn outputs(&self) -> &[Storage] {
        &self.outputs
    }

    /// Whether an input is a row scalar: one element for each row, which code broadcasts.
    pub fn is_scalar(&self, slot: usize) -> bool {
        self.scalars[slot]
    }

    /// Storage of what each fold leaves, or of [what is left](Sweep::left) by a [`Sweep`]: one element a row.
    pub fn folds(&self) -> &[Storage] {
        &self.folds
    }

    /// Storage of each row of elements that the code of a [`Sweep`] keeps for itself while it is at
    /// a row. The cursor of one is like that of an input; it has as many rows as a
    /// [tile](Code::call_tiles).
    pub fn kept(&self) -> &[Storage] {
        &self.kept
    }

    /// The machine code; empty for the interpreter.
    pub fn machine_code(&self) -> &[u8] {
        match &self.callable {
            Callable::Native(native) => native.bytes(),
            Callable::Software(software) => software.machine_code(),
        }
    }

    /// Whether it is machine code, executed by software that stands in for a machine.
    #[doc(hidden)]
    pub fn is_emulated(&self) -> bool {
        matches!(self.callable, Callable::Software(_)) && !self.machine_code().is_empty()
    }

    /// Runs on rows of `n` elements, in the floating-point environment of the thread, which must be
    /// the default one for results to have the right bits. `operands` are the inputs, then the
    /// outputs, then what [folds](Code::folds) leave, then rows that are [kept](Code::kept). After a call of several
    /// rows, their bases may be anything.
    ///
    /// # Panics
    ///
    /// If there are not as many operands as the routine has, or if `n` is no multiple of
    /// [`Code::lanes`] though the code [needs](Code::takes_any_count) that.
    ///
    /// # Safety
    ///
    /// For each operand of element size `s` and each row `r` of `rows`, from `base + r * row` on:
    /// - an input must be readable in `n * s` bytes, if its step is `lanes * s`; or its step is 0, and
    ///   it is readable in `copies * s` bytes, or in `s` bytes as a [row scalar](Code::is_scalar),
    ///   which no output overlaps;
    /// - an output must be writable in `n * s` bytes, and what a fold leaves in `s` bytes, which no
    ///   other row of it overlaps;
    /// - what is kept must be writable in `n * s` bytes, which nothing overlaps;
    /// - nothing else may write the inputs or touch the outputs during the call;
    /// - an output may overlap an input only if both are the same memory, element for element, in
    ///   every row, and overlaps no other output.
    pub unsafe fn call(&self, rows: usize, n: usize, operands: &mut [Cursor]) {
        // SAFETY: required of the caller.
        unsafe { self.call_tiles(rows, Tile::ONE, n, operands) };
    }

    /// [`call`](Code::call), but the code of a [`Sweep`] takes rows as `tile` says.
    ///
    /// # Panics
    ///
    /// Where [`call`](Code::call) does, or if a tile has no rows or more than [`MOST_ROWS`].
    ///
    /// # Safety
    ///
    /// As for [`call`](Code::call), but there must be as many rows of what is kept as in a tile.
    pub unsafe fn call_tiles(&self, rows: usize, tile: Tile, n: usize, operands: &mut [Cursor]) {
        self.check(tile, n, operands);
        if rows == 0 {
            return;
        }
        assert!(!self.is_realigned, "it leaves elements for the next rows");
        let rows = Rows { all: rows, tile, head: 0, carries: ptr::null_mut() };
        // SAFETY: there is a cursor for each operand, and the caller guarantees the memory.
        unsafe {
            match &self.callable {
                Callable::Native(native) => native.call(rows, n, operands),
                Callable::Software(software) => software.call(self, rows, n, operands),
            }
        }
    }

    /// Like [`call`](Code::call), but stores bypass the caches for outputs whose elements are as
    /// wide as lanes, if there is such code and the rows of these outputs are aligned to a vector
    /// of [`Code::bits`]. Pays for outputs larger than the caches. Other threads may be told of what it
    /// stored after a [`fence`].
    ///
    /// # Panics
    ///
    /// Where [`call`](Code::call) does.
    ///
    /// # Safety
    ///
    /// As for [`call`](Code::call).
    pub unsafe fn call_streaming(&self, rows: usize, n: usize, operands: &mut [Cursor]) {
        // SAFETY: required of the caller.
        unsafe { self.call_tiles_streaming(rows, Tile::ONE, n, operands) };
    }

    /// [`call_tiles`](Code::call_tiles) as [`call_streaming`](Code::call_streaming).
    ///
    /// # Panics
    ///
    /// Where [`call_tiles`](Code::call_tiles) does.
    ///
    /// # Safety
    ///
    /// As for [`call_tiles`](Code::call_tiles).
    pub unsafe fn call_tiles_streaming(
        &self,
        rows: usize,
        tile: Tile,
        n: usize,
        operands: &mut [Cursor],
    ) {
        self.check(tile, n, operands);
        let all = (rows > 0).then(|| self.head(rows, n, operands)).flatten();
        let past = Tile { results: false, ..tile };
        let all = all.map(|head| Rows { all: rows, tile: past, head, carries: ptr::null_mut() });
        // SAFETY: required of the caller; there is a cursor for each operand.
        unsafe {
            match (all, &self.callable) {
                (None, _) => self.call_tiles(rows, tile, n, operands),
                (Some(all), Callable::Native(native)) => native.call_streaming(all, n, operands),
                (Some(all), Callable::Software(software)) => {
                    software.call_streaming(self, all, n, operands);
                }
            }
        }
    }

    /// Like [`call_tiles_streaming`](Code::call_tiles_streaming), by code whose outputs are
    /// [realigned](Sweep::realigned): they may begin anywhere, and `carries` have what waits there, one for each
    /// output. The last elements of the last row wait there then.
    ///
    /// # Panics
    ///
    /// Where [`call_tiles`](Code::call_tiles) does, or if rows of outputs do not lie one after the other, if a carry is
    /// of a place that is elsewhere in a vector, or if this is other code.
    ///
    /// # Safety
    ///
    /// As for [`call_tiles`](Code::call_tiles); and of the vector of memory that an output begins in, what comes before
    /// must be writable, too, and hold the [waiting](Carry::new) elements.
    pub unsafe fn call_tiles_realigned(
        &self,
        rows: usize,
        tile: Tile,
        n: usize,
        operands: &mut [Cursor],
        carries: &mut [Carry],
    ) {
        self.check(tile, n, operands);
        let first = self.inputs.len();
        assert!(self.is_realigned && carries.len() == self.outputs.len());
        let outputs = operands[first..].iter_mut().zip(&self.outputs);
        for ((cursor, storage), carry) in outputs.zip(&*carries) {
            assert_eq!(cursor.row, (n * storage.size()) as isize, "rows one after the other");
            assert_eq!(cursor.base.addr() % VECTOR, carry.bytes, "a carry for another place");
            cursor.step = carry.bytes;
        }
        if rows == 0 {
            return;
        }
        let elements = rows * n;
        let rows = Rows { all: rows, tile, head: 0, carries: carries.as_mut_ptr() };
        // SAFETY: required of the caller; there is a cursor for each operand, and vectors of outputs are aligned.
        unsafe {
            match &self.callable {
                Callable::Native(native) => native.call_streaming(rows, n, operands),
                Callable::Software(software) => software.call_streaming(self, rows, n, operands),
            }
        }
        for (carry, storage) in carries.iter_mut().zip(&self.outputs) {
            carry.bytes = (carry.bytes + elements * storage.size()) % VECTOR;
        }
    }

    /// How many elements of a row come before outputs are aligned to a vector, if that is the same for
    /// all that are as wide as lanes, and the code can begin with as many.
    fn head(&self, rows: usize, n: usize, operands: &[Cursor]) -> Option<usize> {
        let vector = self.bits() as usize / 8;
        let outputs = operands[self.inputs.len()..].iter().zip(&self.outputs);
        let mut heads =
            outputs.filter(|(_, storage)| storage.fills_lane()).map(|(cursor, storage)| {
                let row = if rows > 1 { cursor.row } else { 0 };
                let before = cursor.base.addr().wrapping_neg() % vector;
                let is_even = row.unsigned_abs().is_multiple_of(vector)
                    && before.is_multiple_of(storage.size());
                is_even.then_some(before / storage.size())
            });
        let first = heads.next().unwrap_or(Some(0))?;
        let fits = first == 0 || (self.has_heads && first < self.lanes && first <= n);
        (fits && heads.all(|head| head == Some(first))).then_some(first)
    }

    fn check(&self, tile: Tile, n: usize, operands: &[Cursor]) {
        assert!((1..=MOST_ROWS).contains(&tile.rows), "{} rows at a time", tile.rows);
        let results = self.outputs.len() + self.folds.len() + self.kept.len();
        let expected = self.inputs.len() + results;
        assert_eq!(operands.len(), expected, "one cursor per operand");
        let fits = self.takes_any_count || n.is_multiple_of(self.lanes);
        assert!(fits, "{n} is no multiple of {} lanes", self.lanes);
    }
}
