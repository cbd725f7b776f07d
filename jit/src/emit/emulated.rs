//! Machine code executed by something else: a software processor, supplied by tests.
//!
//! A machine without AVX-512 generates the same code as one with it, and so can test it. The
//! executor is not part of Kiln (its tests use `tools/emulate`): it is given the code once and then
//! calls, whose arrays are exactly what [`Code::call`](super::Code::call) may touch.

use super::carry::{Carry, VECTOR};
use super::code::{Code, Cursor, Rows, Software, Tile};
use super::emitters::EmitterKind;
use super::error::EmitError;
use super::native::pool::Line;
use super::native::stream;
use super::x86;
use crate::vir::{self, Routine, Sweep};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

/// Makes an executor from a routine's machine code.
pub type Load = fn(code: &[u8]) -> Execute;

/// Executes a routine once: one call on its arrays, which it may change.
pub type Execute = Box<dyn Fn(&Call<'_>, &mut [Array]) + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// A call of a routine.
#[derive(Debug)]
pub struct Call<'a> {
    /// The number of rows, at least 1.
    pub rows: usize,
    /// How many the code of a sweep takes at a time.
    pub tile: usize,
    /// How many rows later the rows are that it asks memory for.
    pub ahead: usize,
    /// Whether it asks memory for what its results are stored over.
    pub results: bool,
    /// Elements of a row that it stores first.
    pub head: usize,
    /// The number of elements of a row.
    pub n: usize,
    /// The inputs, then the outputs, then what folds leave.
    pub operands: &'a [Operand],
    /// The constants, aligned to a cache line.
    pub pool: &'a [u8],
    /// The index of the array of [carries](super::Carry), if there are any.
    pub carries: Option<usize>,
}

/// A cursor of a call.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// The index of its array.
    pub array: usize,
    /// Bytes from the start of the array to its first row.
    pub first: usize,
    /// Bytes from one vector to the next.
    pub step: usize,
    /// Bytes from one row to the next.
    pub row: isize,
}

/// Bytes that a routine may touch: rows, with gaps that it may not touch.
#[derive(Debug)]
pub struct Array {
    /// All rows, lowest address first. Those of an output do not start with their contents in
    /// memory.
    pub bytes: Vec<u8>,
    /// Bytes of a row.
    pub row: usize,
    /// Bytes from the start of one row to the next.
    pub pitch: usize,
    /// The address of the first row.
    pub address: usize,
    /// Whether it is an input, so that it may be read.
    pub is_input: bool,
    /// Whether it is an output, so that it must be written.
    pub is_output: bool,
}

/// What [`emulate`] was told, once per process.
static STAND_IN: OnceLock<(Vec<EmitterKind>, Load)> = OnceLock::new();

/// From now on, [`compile`](super::compile) with one of these emitters makes code that is executed
/// by what `load` makes, on any machine. [`EmitterKind::Auto`] still takes what the machine has.
/// Only the first call has an effect.
pub fn emulate(kinds: &[EmitterKind], load: Load) {
    STAND_IN.get_or_init(|| (kinds.to_vec(), load));
}

/// The code of an emitter that [`emulate`] was told of.
pub(super) fn stand_in(routine: &Routine, kind: EmitterKind) -> Option<Result<Code, EmitError>> {
    let (kinds, load) = STAND_IN.get()?;
    kinds.contains(&kind).then(|| x86::compile_for(routine, kind, *load))
}

/// The same of a sweep.
pub(super) fn sweep_stand_in(
    sweep: &Sweep,
    kind: EmitterKind,
) -> Option<Result<Option<Code>, EmitError>> {
    let (kinds, load) = STAND_IN.get()?;
    kinds.contains(&kind).then(|| x86::compile_sweep_for(sweep, kind, *load))
}

/// The code of one of the x86 emitters, executed by what `load` makes.
///
/// # Panics
///
/// If `kind` is another emitter.
pub fn compile(routine: &Routine, kind: EmitterKind, load: Load) -> Result<Code, EmitError> {
    vir::verify(routine).map_err(EmitError::Invalid)?;
    x86::compile_for(routine, kind, load)
}

/// The same of a sweep; none if the emitter makes none of it.
///
/// # Panics
///
/// If `kind` is another emitter.
pub fn compile_sweep(
    sweep: &Sweep,
    kind: EmitterKind,
    load: Load,
) -> Result<Option<Code>, EmitError> {
    sweep.verify().map_err(EmitError::Invalid)?;
    x86::compile_sweep_for(sweep, kind, load)
}

/// A routine and its executor.
pub(super) struct Emulated {
    code: Box<[u8]>,
    pool: Box<[u8]>,
    load: Load,
    execute: Execute,
    /// The executor of its streaming twin, if it has one. Made on the first such call.
    streaming: OnceLock<Option<Execute>>,
}

impl fmt::Debug for Emulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulated").field("code", &self.code).finish_non_exhaustive()
    }
}

impl Software for Emulated {
    unsafe fn call(&self, code: &Code, rows: Rows, n: usize, operands: &[Cursor]) {
        // SAFETY: required of the caller.
        unsafe { self.run(&self.execute, code, rows, n, operands) };
    }

    unsafe fn call_streaming(&self, code: &Code, rows: Rows, n: usize, operands: &[Cursor]) {
        let twin = || stream::twin(&self.code).map(|twin| (self.load)(&twin));
        let execute = self.streaming.get_or_init(twin).as_ref().unwrap_or(&self.execute);
        // SAFETY: required of the caller.
        unsafe { self.run(execute, code, rows, n, operands) };
    }

    fn machine_code(&self) -> &[u8] {
        &self.code
    }
}

impl Emulated {
    pub(super) fn new(code: Vec<u8>, pool: &[Line], load: Load) -> Emulated {
        Emulated {
            pool: pool.iter().flat_map(|line| line.0).collect(),
            load,
            execute: load(&code),
            code: code.into_boxed_slice(),
            streaming: OnceLock::new(),
        }
    }

    /// Runs `code`, which must be the code of `self`, on copies of what it may read, and copies back
    /// what it wrote.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`].
    unsafe fn run(
        &self,
        execute: &Execute,
        code: &Code,
        Rows { all, tile, head, carries }: Rows,
        n: usize,
        cursors: &[Cursor],
    ) {
        let inputs = code.inputs.len();
        let mut arrays: Vec<Array> = Vec::with_capacity(cursors.len());
        let mut operands: Vec<Operand> = Vec::with_capacity(cursors.len());
        let storages = code.inputs.iter().chain(&code.outputs).chain(&code.folds).chain(&code.kept);
        let folds = inputs + code.outputs.len()..inputs + code.outputs.len() + code.folds.len();
        let count = |at: usize, is_splat: bool| match folds.contains(&at) {
            true => 1,
            false if at < inputs && code.scalars[at] => 1,
            false if is_splat => code.copies,
            false => n,
        };
        // Of outputs that are realigned, whole vectors are stored, with what waits before them.
        let outputs = if carries.is_null() { 0..0 } else { inputs..folds.start };
        let whole = |span: Span| {
            let before = span.start.addr() % VECTOR;
            let row = (before + span.row) / VECTOR * VECTOR;
            Span { start: span.start.wrapping_sub(before), row, ..span }
        };
        let rows = |at: usize| if at < folds.end { all } else { tile.rows.min(all) };
        for (at, (&cursor, storage)) in cursors.iter().zip(storages).enumerate() {
            let (is_output, is_splat) = (at >= inputs, at < inputs && cursor.step == 0);
            let span = Span::new(cursor, rows(at), storage.size() * count(at, is_splat));
            let span = if outputs.contains(&at) { whole(span) } else { span };
            // Several inputs may share memory, and an output may share an input's; a repeated
            // element never belongs to an output.
            let key =
                |at: usize| (cursors[at].base, cursors[at].row, arrays[operands[at].array].row);
            let same = |&other: &usize| {
                !is_splat
                    && cursors[other].step != 0
                    && key(other) == (cursor.base, cursor.row, span.row)
            };
            let array = match (0..at.min(inputs)).find(same) {
                Some(other) => operands[other].array,
                None => {
                    let bytes = match is_output && at < folds.end {
                        true => vec![0xa5; span.row * span.count],
                        // SAFETY: the caller guarantees that these bytes may be read.
                        false => unsafe { span.read() },
                    };
                    let address = span.start.addr();
                    let Span { row, pitch, .. } = span;
                    let (is_input, is_output) = (false, false);
                    arrays.push(Array { bytes, row, pitch, address, is_input, is_output });
                    arrays.len() - 1
                }
            };
            // What is kept is read again.
            arrays[array].is_input |= !is_output || at >= folds.end;
            arrays[array].is_output |= is_output;
            let first = cursor.base.addr() - span.start.addr();
            operands.push(Operand { array, first, step: cursor.step, row: cursor.row });
        }
        let of_carries = Cursor { base: carries.cast(), step: 0, row: 0 };
        let of_carries = Span::new(of_carries, 1, code.outputs.len() * size_of::<Carry>());
        let carries = (!carries.is_null()).then(|| {
            // SAFETY: there is one for each output.
            let bytes = unsafe { of_carries.read() };
            let (row, address) = (bytes.len(), of_carries.start.addr());
            let (is_input, is_output) = (true, true);
            arrays.push(Array { bytes, row, pitch: 0, address, is_input, is_output });
            arrays.len() - 1
        });
        let (Tile { rows: tile, ahead, results }, pool) = (tile, &self.pool);
        let operands = &operands;
        let call = Call { rows: all, tile, ahead, results, head, n, operands, pool, carries };
        execute(&call, &mut arrays);
        if let Some(carries) = carries {
            // SAFETY: as above.
            unsafe { of_carries.write(&arrays[carries].bytes) };
        }
        for (at, storage) in
            (inputs..).zip(code.outputs.iter().chain(&code.folds).chain(&code.kept))
        {
            let span = Span::new(cursors[at], rows(at), count(at, false) * storage.size());
            let span = if outputs.contains(&at) { whole(span) } else { span };
            // SAFETY: the caller guarantees that these bytes may be written; the source is a copy.
            unsafe { span.write(&arrays[operands[at].array].bytes) };
        }
    }
}

/// The rows of an operand in memory. Rows that overlap or touch are merged.
#[derive(Clone, Copy)]
struct Span {
    /// The lowest.
    start: *mut u8,
    /// Bytes of a row.
    row: usize,
    pitch: usize,
    count: usize,
}

impl Span {
    fn new(cursor: Cursor, rows: usize, row: usize) -> Span {
        let (last, pitch) = (rows - 1, cursor.row.unsigned_abs());
        let back = if cursor.row < 0 { cursor.row * last as isize } else { 0 };
        let start = cursor.base.wrapping_offset(back);
        match pitch <= row {
            true => Span {
                start,
                row: if row == 0 { 0 } else { pitch * last + row },
                pitch: 0,
                count: 1,
            },
            false => Span { start, row, pitch, count: rows },
        }
    }

    /// Where each row is.
    fn rows(self) -> impl Iterator<Item = *mut u8> {
        (0..self.count).map(move |row| self.start.wrapping_add(row * self.pitch))
    }

    /// # Safety
    ///
    /// All rows must be readable.
    unsafe fn read(self) -> Vec<u8> {
        // SAFETY: required of the caller.
        let row = |from: *mut u8| unsafe { std::slice::from_raw_parts(from, self.row) };
        self.rows().flat_map(row).copied().collect()
    }

    /// # Safety
    ///
    /// All rows must be writable.
    unsafe fn write(self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.row * self.count, "an array changed its size");
        for (to, row) in self.rows().zip(bytes.chunks(self.row.max(1))) {
            // SAFETY: required of the caller.
            unsafe { to.copy_from_nonoverlapping(row.as_ptr(), row.len()) };
        }
    }
}
