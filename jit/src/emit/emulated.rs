//! Machine code that something else executes: a processor of software, which tests lend.
//!
//! A machine without AVX-512 makes the same code as one with it, and so can test it. What executes
//! it is no part of Kiln (`tools/emulate` is, in its tests): it is given the code once, and then
//! calls, whose arrays are exactly what [`Code::call`](super::Code::call) may touch.

use super::code::Code;
use super::emitters::EmitterKind;
use super::error::EmitError;
use super::pool::Line;
use super::{stream, x86};
use crate::vir::{self, Routine};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

/// Makes what executes a routine, of its machine code.
pub type Load = fn(code: &[u8]) -> Execute;

/// Executes a routine once: a call, and its arrays, which it may change.
pub type Execute = Box<dyn Fn(&Call<'_>, &mut [Array]) + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// A call of a routine. Pointers are numbers of arrays.
#[derive(Debug)]
pub struct Call<'a> {
    /// The number of elements.
    pub n: usize,
    /// For each input, its array.
    pub inputs: &'a [usize],
    /// For each input, bytes from one vector to the next.
    pub steps: &'a [usize],
    /// For each output, its array.
    pub outputs: &'a [usize],
    /// The constants, which begin a cache line.
    pub pool: &'a [u8],
}

/// Bytes that a routine may touch.
#[derive(Debug)]
pub struct Array {
    /// All of them. Those of an output are not what they are in memory.
    pub bytes: Vec<u8>,
    /// Where they are.
    pub address: usize,
    /// Whether an input begins here, so that they may be read.
    pub is_input: bool,
    /// Whether an output begins here, so that they must be written.
    pub is_output: bool,
}

/// What [`emulate`] was told, once for a process.
static STAND_IN: OnceLock<(Vec<EmitterKind>, Load)> = OnceLock::new();

/// From now on, [`compile`](super::compile) with one of these emitters makes code that is executed
/// by what `load` makes, on any machine. [`EmitterKind::Auto`] goes on taking what the machine has.
/// The first call counts.
pub fn emulate(kinds: &[EmitterKind], load: Load) {
    STAND_IN.get_or_init(|| (kinds.to_vec(), load));
}

/// The code of an emitter that [`emulate`] was told of.
pub(super) fn stand_in(routine: &Routine, kind: EmitterKind) -> Option<Result<Code, EmitError>> {
    let (kinds, load) = STAND_IN.get()?;
    kinds.contains(&kind).then(|| x86::compile_for(routine, kind, *load))
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

/// A routine, and what executes it.
pub(super) struct Emulated {
    pub(super) code: Box<[u8]>,
    pool: Box<[u8]>,
    load: Load,
    execute: Execute,
    /// What executes its streaming twin, if it has one. Made when it is first called.
    streaming: OnceLock<Option<Execute>>,
}

impl fmt::Debug for Emulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulated").field("code", &self.code).finish_non_exhaustive()
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

    /// Runs `code`, whose body this is, on copies of what it may read; what it wrote goes back.
    ///
    /// # Safety
    ///
    /// As for [`Code::call`].
    pub(super) unsafe fn call(
        &self,
        code: &Code,
        n: usize,
        inputs: &[*const u8],
        steps: &[usize],
        outputs: &[*mut u8],
    ) {
        // SAFETY: required of the caller.
        unsafe { self.run(&self.execute, code, n, inputs, steps, outputs) };
    }

    /// As [`call`](Emulated::call), by the code that streams, if there is any.
    ///
    /// # Safety
    ///
    /// As for [`Code::call_streaming`].
    pub(super) unsafe fn call_streaming(
        &self,
        code: &Code,
        n: usize,
        inputs: &[*const u8],
        steps: &[usize],
        outputs: &[*mut u8],
    ) {
        let twin = || stream::twin(&self.code).map(|twin| (self.load)(&twin));
        let execute = self.streaming.get_or_init(twin).as_ref().unwrap_or(&self.execute);
        // SAFETY: required of the caller.
        unsafe { self.run(execute, code, n, inputs, steps, outputs) };
    }

    /// # Safety
    ///
    /// As for [`Code::call`].
    unsafe fn run(
        &self,
        execute: &Execute,
        code: &Code,
        n: usize,
        inputs: &[*const u8],
        steps: &[usize],
        outputs: &[*mut u8],
    ) {
        let mut arrays: Vec<Array> = Vec::with_capacity(inputs.len() + outputs.len());
        for ((&from, &step), storage) in inputs.iter().zip(steps).zip(&code.inputs) {
            let len = storage.size() * if step == 0 { code.copies } else { n };
            // SAFETY: the caller vouches that so many bytes may be read.
            let bytes = unsafe { std::slice::from_raw_parts(from, len) }.to_vec();
            arrays.push(Array { bytes, address: from.addr(), is_input: true, is_output: false });
        }
        // The memory of an input, or memory of its own.
        let mut targets = Vec::with_capacity(outputs.len());
        for (&to, storage) in outputs.iter().zip(&code.outputs) {
            let (address, len) = (to.addr(), n * storage.size());
            let same = |array: &Array| array.address == address && array.bytes.len() == len;
            let shared = (0..inputs.len()).find(|&input| steps[input] != 0 && same(&arrays[input]));
            let target = shared.unwrap_or_else(|| {
                let bytes = vec![0xa5; len];
                arrays.push(Array { bytes, address, is_input: false, is_output: false });
                arrays.len() - 1
            });
            arrays[target].is_output = true;
            targets.push(target);
        }
        // Several inputs may be one memory; what repeats an element is no output's.
        let first = |input: usize| {
            let key = |at: usize| (inputs[at], steps[at]);
            let same = |&other: &usize| steps[input] != 0 && key(other) == key(input);
            (0..input).find(same).unwrap_or(input)
        };
        let sources: Vec<usize> = (0..inputs.len()).map(first).collect();
        let call = Call { n, inputs: &sources, steps, outputs: &targets, pool: &self.pool };
        execute(&call, &mut arrays);
        for ((&to, &target), storage) in outputs.iter().zip(&targets).zip(&code.outputs) {
            let bytes = &arrays[target].bytes;
            assert_eq!(bytes.len(), n * storage.size(), "an array changed its size");
            // SAFETY: the caller vouches that so many bytes may be written; the source is a copy.
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
    }
}
