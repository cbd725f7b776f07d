//! The interpreter behind the kernel ABI: the emitter of last resort, with one-element vectors.

use super::code::{Callable, Code, Cursor, Software, Vectors};
use super::cost;
use super::emitters::{Emitter, EmitterKind};
use crate::vir::{self, Routine, Storage};

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
    listing: |_| Ok("; no machine code\n".to_string()),
    times: &cost::INTERP,
};

/// Wraps `routine`, as the code of an emitter.
pub(super) fn interpreted(routine: &Routine, kind: EmitterKind) -> Code {
    let callable = Callable::Software(Box::new(Interp { routine: routine.clone() }));
    let vectors = Vectors { lanes: 1, copies: 1, takes_any_count: true };
    Code::new(routine, kind, callable, vectors)
}

impl Software for Interp {
    unsafe fn call(&self, _: &Code, rows: usize, n: usize, operands: &[Cursor]) {
        for row in 0..rows as isize {
            let start = |cursor: &Cursor| cursor.base.wrapping_offset(row * cursor.row);
            let (inputs, results) = operands.split_at(self.routine.inputs.len());
            let steps = inputs.iter().map(|cursor| (start(cursor).cast_const(), cursor.step));
            let inputs: Vec<(*const u8, usize)> = steps.collect();
            let results: Vec<*mut u8> = results.iter().map(start).collect();
            // SAFETY: required of the caller.
            unsafe { self.row(n, &inputs, &results) };
        }
    }
}

impl Interp {
    /// Runs on one row, given the start and step of each input, the start of each output and the
    /// place of each fold.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`].
    unsafe fn row(&self, n: usize, inputs: &[(*const u8, usize)], results: &[*mut u8]) {
        let routine = &self.routine;
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
