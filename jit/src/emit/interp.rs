//! The interpreter behind the kernel ABI: the emitter of last resort, with one-element vectors.

use super::code::{Callable, Code, Cursor, Rows, Software, Vectors};
use super::cost;
use super::emitters::{Emitter, EmitterKind};
use crate::vir::{self, Part, Place, Routine, Step, Storage, Sweep};

/// Elements interpreted per batch, to amortise the interpreter's allocations.
const CHUNK: usize = 256;

/// A routine to interpret.
#[derive(Debug)]
struct Interp {
    routine: Routine,
}

pub(super) const INTERP: Emitter = Emitter {
    bits: 64,
    available: |_| Ok(()),
    compile: |routine, _| Ok(interpreted(routine, EmitterKind::Interp)),
    // What stores elements one by one has no vectors that could lie between those of memory.
    sweep: |sweep| Ok((!sweep.is_realigned()).then(|| interpreted_sweep(sweep))),
    listing: |_| Ok("; no machine code\n".to_string()),
    times: &cost::INTERP,
};

/// Wraps `routine`, as the code of an emitter.
pub(super) fn interpreted(routine: &Routine, kind: EmitterKind) -> Code {
    let callable = Callable::Software(Box::new(Interp { routine: routine.clone() }));
    let vectors = Vectors { lanes: 1, copies: 1, takes_any_count: true };
    Code::new(routine, kind, callable, vectors)
}

/// A sweep to interpret.
#[derive(Debug)]
struct InterpSweep {
    sweep: Sweep,
}

/// Wraps `sweep`.
pub(super) fn interpreted_sweep(sweep: &Sweep) -> Code {
    let callable = Callable::Software(Box::new(InterpSweep { sweep: sweep.clone() }));
    let vectors = Vectors { lanes: 1, copies: 1, takes_any_count: true };
    Code::of_sweep(sweep, EmitterKind::Interp, callable, vectors)
}

impl Software for InterpSweep {
    unsafe fn call(&self, _: &Code, rows: Rows, n: usize, operands: &[Cursor]) {
        let mut numbers = vec![0u64; self.sweep.numbers.len()];
        for row in 0..rows.all as isize {
            let (sweep, tile) = (&self.sweep, rows.tile.rows as isize);
            let mut row = Row { sweep, row, tile, operands, numbers: &mut numbers };
            for step in &self.sweep.steps {
                let (each, block) = match step {
                    Step::Each { join: Some(join), .. } => (n, join.block),
                    Step::Each { join: None, .. } => (n, n.max(1)),
                    Step::Once(_) => (1, 1),
                };
                let mut at = 0;
                loop {
                    for (index, part) in step.parts().enumerate() {
                        let elements = if index == 0 { at..each.min(at + block) } else { 0..1 };
                        // SAFETY: required of the caller; numbers have room for any element.
                        unsafe { row.part(part, elements) };
                    }
                    at += block;
                    if at >= each {
                        break;
                    }
                }
            }
            // SAFETY: as above.
            unsafe { row.leave() };
        }
    }
}

/// A row of a sweep.
struct Row<'a> {
    sweep: &'a Sweep,
    row: isize,
    /// How many rows at a time: as many are kept.
    tile: isize,
    operands: &'a [Cursor],
    numbers: &'a mut [u64],
}

impl Row<'_> {
    /// A part on some elements.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`].
    unsafe fn part(&mut self, part: &Part, elements: std::ops::Range<usize>) {
        let inputs = part.inputs.iter().map(|&place| {
            let (base, step) = self.place(place);
            (base.wrapping_add(elements.start * step).cast_const(), step)
        });
        let inputs: Vec<(*const u8, usize)> = inputs.collect();
        let results = part.results.iter().enumerate().map(|(index, &place)| {
            let size = part.routine.outputs.get(index).map_or(0, |storage| storage.size());
            self.place(place).0.wrapping_add(elements.start * size)
        });
        let results: Vec<*mut u8> = results.collect();
        // SAFETY: required of the caller.
        unsafe { interpret(&part.routine, elements.len(), &inputs, &results) };
    }

    /// Writes the numbers that are results.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`].
    unsafe fn leave(&self) {
        let results = self.sweep.inputs.len() + self.sweep.outputs.len();
        let left = self.sweep.left.iter().zip(self.sweep.left());
        for ((&number, storage), cursor) in left.zip(&self.operands[results..]) {
            let to = cursor.base.wrapping_offset(self.row * cursor.row);
            // SAFETY: required of the caller.
            unsafe { write(to, storage, self.numbers[number as usize]) };
        }
    }

    /// Where the elements of this row begin, and bytes from one to the next.
    fn place(&mut self, place: Place) -> (*mut u8, usize) {
        let Sweep { inputs, outputs, left, .. } = self.sweep;
        let operand = match place {
            Place::Input(index) => index as usize,
            Place::Output(index) => inputs.len() + index as usize,
            Place::Kept(index) => inputs.len() + outputs.len() + left.len() + index as usize,
            Place::Number(number) => {
                return ((&raw mut self.numbers[number as usize]).cast(), 0);
            }
        };
        let Cursor { base, step, row } = self.operands[operand];
        let at = if matches!(place, Place::Kept(_)) { self.row % self.tile } else { self.row };
        (base.wrapping_offset(at * row), step)
    }
}

impl Software for Interp {
    unsafe fn call(&self, _: &Code, rows: Rows, n: usize, operands: &[Cursor]) {
        for row in 0..rows.all as isize {
            let start = |cursor: &Cursor| cursor.base.wrapping_offset(row * cursor.row);
            let (inputs, results) = operands.split_at(self.routine.inputs.len());
            let steps = inputs.iter().map(|cursor| (start(cursor).cast_const(), cursor.step));
            let inputs: Vec<(*const u8, usize)> = steps.collect();
            let results: Vec<*mut u8> = results.iter().map(start).collect();
            // SAFETY: required of the caller.
            unsafe { interpret(&self.routine, n, &inputs, &results) };
        }
    }
}

/// Runs on one row, given the start and step of each input, the start of each output and the
/// place of each fold.
///
/// # Safety
///
/// As for [`Code::call`].
unsafe fn interpret(
    routine: &Routine,
    n: usize,
    inputs: &[(*const u8, usize)],
    results: &[*mut u8],
) {
    let folds: Vec<Storage> = routine.folds().collect();
    let places = results.iter().zip(routine.outputs.iter().chain(&folds));
    // A row that is folded is no row in pieces, and one without elements is folded, too.
    let chunk = if folds.is_empty() { CHUNK } else { n.max(1) };
    for start in (0..n.max(usize::from(!folds.is_empty()))).step_by(chunk) {
        let len = chunk.min(n - start);
        let mut elements = Vec::with_capacity(inputs.len());
        for (&(base, step), &storage) in inputs.iter().zip(&routine.inputs) {
            // SAFETY: element `i < n` of an input is readable at `base + i * step`.
            let element = |i| unsafe { read(base.add((start + i) * step), storage) };
            elements.push((0..len).map(element).collect::<Vec<u64>>());
        }
        let slices: Vec<&[u64]> = elements.iter().map(Vec::as_slice).collect();
        let made = vir::interp::run(routine, &slices, len);
        for (values, (&base, &storage)) in made.iter().zip(places.clone()) {
            for (i, &bits) in values.iter().enumerate() {
                let size = storage.size();
                // SAFETY: `n` elements of an output are writable from `base`, and one of a
                // fold, which has one value and begins at 0.
                unsafe { write(base.add((start + i) * size), storage, bits) };
            }
        }
    }
}

/// The bits of an element.
///
/// # Safety
///
/// `at` must be readable for an element of `storage`.
unsafe fn read(at: *const u8, storage: Storage) -> u64 {
    // SAFETY: required of the caller.
    unsafe {
        match storage {
            Storage::F16 | Storage::BF16 => u64::from(at.cast::<u16>().read_unaligned()),
            Storage::F32 | Storage::I32 => u64::from(at.cast::<u32>().read_unaligned()),
            Storage::F64 | Storage::I64 => at.cast::<u64>().read_unaligned(),
            Storage::Bool | Storage::U8 => u64::from(at.read()),
        }
    }
}

/// Stores the bits of an element.
///
/// # Safety
///
/// `at` must be writable for an element of `storage`.
unsafe fn write(at: *mut u8, storage: Storage, bits: u64) {
    // SAFETY: required of the caller.
    unsafe {
        match storage {
            Storage::F16 | Storage::BF16 => at.cast::<u16>().write_unaligned(bits as u16),
            Storage::F32 | Storage::I32 => at.cast::<u32>().write_unaligned(bits as u32),
            Storage::F64 | Storage::I64 => at.cast::<u64>().write_unaligned(bits),
            Storage::Bool | Storage::U8 => at.write(bits as u8),
        }
    }
}
