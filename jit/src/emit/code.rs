//! Compiled routines, and how they are called.
//!
//! # The kernel ABI
//!
//! A kernel routine is `fn(n, inputs, steps, outputs, pool)`, `extern "sysv64"` on every x86-64 (on
//! Windows, too) and `extern "C"` elsewhere:
//!
//! | argument | type | meaning |
//! |---|---|---|
//! | `n` | `usize` | number of elements, which may be 0: any where [`Code::takes_any_count`], else a multiple of [`Code::lanes`] |
//! | `inputs` | `*const *const u8` | one base pointer per routine input |
//! | `steps` | `*const usize` | per input, bytes from one *vector* (`lanes` elements) to the next |
//! | `outputs` | `*const *mut u8` | one base pointer per routine output, contiguous |
//! | `pool` | `*const u8` | the routine's constants, [`Code`]'s own |
//!
//! An input that is an array has the step `lanes * size`; an input that is one repeated element (a
//! *splat*) has the step 0 and points at [`Code::copies`] copies of that element: a routine handles
//! several vectors side by side where there are enough, and reads as many from a splat. So one
//! routine serves both. No pointer needs to be aligned. The inputs of an element are all read
//! before its outputs are written, so an output may be exactly an input's memory.
//!
//! Elements lie as [`Storage`] says; a `bool` is one byte, read as "not zero", written as 0 or 1.

use super::emitters::EmitterKind;
use super::memory::CodeMemory;
use super::{cost, emulated, interp, pool, stream};
use crate::vir::{Routine, Storage};
use std::sync::OnceLock;

/// Declares [`Entry`], which has one calling convention on all systems of a processor.
macro_rules! entry {
    ($convention:literal) => {
        /// A native kernel routine. See the module table.
        pub(super) type Entry = unsafe extern $convention fn(
            n: usize,
            inputs: *const *const u8,
            steps: *const usize,
            outputs: *const *mut u8,
            pool: *const u8,
        );
    };
}
#[cfg(target_arch = "x86_64")]
entry!("sysv64");
#[cfg(not(target_arch = "x86_64"))]
entry!("C");

/// The most bytes that [`Code::copies`] elements of an operand take: whoever calls with a splat, or
/// with less than a vector, needs so much room.
pub const MAX_VECTOR: usize = 512;

/// A compiled routine. It owns its machine code and frees it on drop.
#[derive(Debug)]
pub struct Code {
    callable: Callable,
    emitter: EmitterKind,
    nanoseconds: f64,
    lanes: usize,
    pub(super) copies: usize,
    takes_any_count: bool,
    pub(super) inputs: Vec<Storage>,
    pub(super) outputs: Vec<Storage>,
}

/// What a call runs.
#[derive(Debug)]
pub(super) enum Callable {
    Native {
        entry: Entry,
        /// Holds the code that `entry` points at.
        code: CodeMemory,
        /// Constants and tables.
        pool: Box<[pool::Line]>,
        /// The same code, its stores past the caches. Made when it is first called.
        streaming: OnceLock<Option<stream::Streaming>>,
    },
    Interp(interp::Interp),
    /// Executed by what tests lend.
    Emulated(emulated::Emulated),
}

impl Callable {
    /// # Safety
    ///
    /// The memory must hold a routine for this machine, whose constants are `pool`.
    pub(super) unsafe fn native(code: CodeMemory, pool: Box<[pool::Line]>) -> Callable {
        // SAFETY: required of the caller; the code lives as long as this.
        let entry = unsafe { code.routine() };
        Callable::Native { entry, code, pool, streaming: OnceLock::new() }
    }
}

/// How many elements a routine takes, and at a time. See [`Code`].
#[derive(Clone, Copy)]
pub(super) struct Vectors {
    pub(super) lanes: usize,
    pub(super) copies: usize,
    pub(super) takes_any_count: bool,
}

/// An input of [`Code::apply`].
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// An array, at least as many elements as are asked for.
    Array(&'a [u8]),
    /// [`Code::copies`] copies of a repeated element.
    Splat(&'a [u8]),
}

impl Code {
    /// What `emitter` made of `routine`.
    ///
    /// # Panics
    ///
    /// If [`Code::copies`] elements of an operand take more than [`MAX_VECTOR`] bytes, or are no
    /// multiple of [`Code::lanes`]: callers make room by them.
    pub(super) fn new(
        routine: &Routine,
        emitter: EmitterKind,
        callable: Callable,
        vectors: Vectors,
    ) -> Code {
        let Vectors { lanes, copies, takes_any_count } = vectors;
        let inputs = routine.inputs.clone();
        let outputs: Vec<Storage> = routine.outputs.clone();
        let widest = inputs.iter().chain(&outputs).map(|storage| storage.size()).max();
        let vector = copies * widest.unwrap_or(0);
        assert!(vector <= MAX_VECTOR, "{emitter}: a vector of {vector} bytes\n{routine}");
        assert!(lanes > 0 && copies % lanes == 0, "{emitter}: {copies} by {lanes}\n{routine}");
        let nanoseconds = cost::nanoseconds(routine, emitter.row().times);
        Code { callable, emitter, nanoseconds, lanes, copies, takes_any_count, inputs, outputs }
    }

    /// The emitter that made it; never [`EmitterKind::Auto`].
    pub fn emitter(&self) -> EmitterKind {
        self.emitter
    }

    /// The width in bits of the vectors that it computes with.
    pub fn bits(&self) -> u32 {
        self.emitter.row().bits
    }

    /// How long an element takes on one thread where memory is no limit, in nanoseconds, estimated.
    pub fn nanoseconds(&self) -> f64 {
        self.nanoseconds
    }

    /// The number of elements of a vector.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// How many copies of its element a splat points at: a multiple of [`Code::lanes`].
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// Whether calls may be on any number of elements, or on a multiple of [`Code::lanes`] only.
    pub fn takes_any_count(&self) -> bool {
        self.takes_any_count
    }

    /// Storage of each input.
    pub fn inputs(&self) -> &[Storage] {
        &self.inputs
    }

    /// Storage of each output.
    pub fn outputs(&self) -> &[Storage] {
        &self.outputs
    }

    /// The machine code; empty for the interpreter.
    pub fn machine_code(&self) -> &[u8] {
        match &self.callable {
            Callable::Native { code, .. } => code.bytes(),
            Callable::Interp(_) => &[],
            Callable::Emulated(emulated) => &emulated.code,
        }
    }

    /// Whether it is executed by software that stands in for a machine.
    #[doc(hidden)]
    pub fn is_emulated(&self) -> bool {
        matches!(self.callable, Callable::Emulated(_))
    }

    /// Runs on memory, in the floating-point environment of the thread, which must be the default
    /// one for results to have the right bits. See the module table.
    ///
    /// # Panics
    ///
    /// If a slice's length is not the routine's number of inputs or outputs, or if `n` is no
    /// multiple of [`Code::lanes`] though the code [needs](Code::takes_any_count) that.
    ///
    /// # Safety
    ///
    /// For each operand of element size `s`:
    /// - input `i` must be readable in `n * s` bytes from `inputs[i]`, where `steps[i]` is
    ///   `lanes * s`; or `steps[i]` is 0, and it is readable in `copies * s` bytes;
    /// - output `j` must be writable in `n * s` bytes from `outputs[j]`;
    /// - nothing else may write the inputs or touch the outputs during the call;
    /// - an output may overlap an input only if both are the same memory, element for element, and
    ///   overlaps no other output.
    pub unsafe fn call(
        &self,
        n: usize,
        inputs: &[*const u8],
        steps: &[usize],
        outputs: &[*mut u8],
    ) {
        self.check(n, inputs, steps, outputs);
        match &self.callable {
            Callable::Native { entry, pool, .. } => {
                let (inputs, steps, outputs) = (inputs.as_ptr(), steps.as_ptr(), outputs.as_ptr());
                // SAFETY: the routine was compiled for this machine with this ABI and pool and
                // lives as long as `self`; the slices have one entry per operand; the caller vouches
                // for the memory.
                unsafe { entry(n, inputs, steps, outputs, pool.as_ptr().cast()) };
            }
            // SAFETY: the caller vouches for the memory.
            Callable::Interp(interp) => unsafe { interp.call(n, inputs, steps, outputs) },
            // SAFETY: as above.
            Callable::Emulated(emulated) => unsafe {
                emulated.call(self, n, inputs, steps, outputs)
            },
        }
    }

    /// [`call`](Code::call), with stores that go past the caches to outputs of elements as wide
    /// as lanes, where there is such code and these outputs are aligned to a vector of
    /// [`Code::bits`]. Pays for outputs larger than the caches.
    ///
    /// # Panics
    ///
    /// Where [`call`](Code::call) does.
    ///
    /// # Safety
    ///
    /// As for [`call`](Code::call).
    pub unsafe fn call_streaming(
        &self,
        n: usize,
        inputs: &[*const u8],
        steps: &[usize],
        outputs: &[*mut u8],
    ) {
        self.check(n, inputs, steps, outputs);
        let vector = self.bits() as usize / 8;
        let aligned = |(target, storage): (&*mut u8, &Storage)| {
            !storage.fills_lane() || target.addr().is_multiple_of(vector)
        };
        let aligned = outputs.iter().zip(&self.outputs).all(aligned);
        if let (Callable::Emulated(emulated), true) = (&self.callable, aligned) {
            // SAFETY: required of the caller.
            unsafe { emulated.call_streaming(self, n, inputs, steps, outputs) };
        } else if let Callable::Native { code, pool, streaming, .. } = &self.callable
            && aligned
            && let Some(streaming) = streaming.get_or_init(|| stream::Streaming::new(code.bytes()))
        {
            let (inputs, steps, outputs) = (inputs.as_ptr(), steps.as_ptr(), outputs.as_ptr());
            // SAFETY: as in `call`; vectors are aligned, for each is a whole number of vectors
            // from an aligned one.
            unsafe { streaming.call(n, inputs, steps, outputs, pool.as_ptr().cast()) };
        } else {
            // SAFETY: required of the caller.
            unsafe { self.call(n, inputs, steps, outputs) };
        }
    }

    fn check(&self, n: usize, inputs: &[*const u8], steps: &[usize], outputs: &[*mut u8]) {
        assert_eq!(inputs.len(), self.inputs.len(), "one pointer per input");
        assert_eq!(steps.len(), self.inputs.len(), "one step per input");
        assert_eq!(outputs.len(), self.outputs.len(), "one pointer per output");
        let fits = self.takes_any_count || n.is_multiple_of(self.lanes);
        assert!(fits, "{n} is no multiple of {} lanes", self.lanes);
    }

    /// Runs on `n` elements of slices, in the default floating-point environment.
    ///
    /// # Panics
    ///
    /// Where [`Code::call`] does, or if a slice is too short for `n` elements.
    pub fn apply(&self, n: usize, inputs: &[Operand<'_>], outputs: &mut [&mut [u8]]) {
        let _env = kiln_fenv::hold_default();
        let bytes_of = |storage: &Storage| {
            let bytes = n.checked_mul(storage.size());
            bytes.unwrap_or_else(|| panic!("no slice has {n} elements of {storage:?}"))
        };
        let mut pointers = Vec::with_capacity(inputs.len());
        let mut steps = Vec::with_capacity(inputs.len());
        for (operand, storage) in inputs.iter().zip(&self.inputs) {
            let size = storage.size();
            let (bytes, need, step) = match *operand {
                Operand::Array(bytes) => (bytes, bytes_of(storage), self.lanes * size),
                Operand::Splat(bytes) => (bytes, self.copies * size, 0),
            };
            assert!(bytes.len() >= need, "an input of {} bytes, not {need}", bytes.len());
            pointers.push(bytes.as_ptr());
            steps.push(step);
        }
        let mut targets = Vec::with_capacity(outputs.len());
        for (bytes, storage) in outputs.iter_mut().zip(&self.outputs) {
            let need = bytes_of(storage);
            assert!(bytes.len() >= need, "an output of {} bytes, not {need}", bytes.len());
            targets.push(bytes.as_mut_ptr());
        }
        // SAFETY: every slice was checked to hold what `n` elements need, and the borrows keep
        // inputs unchanged and outputs disjoint from everything.
        unsafe { self.call(n, &pointers, &steps, &targets) }
    }
}
