//! From a vector program to something that runs: [`compile`] gives a [`Code`].
//!
//! In: a verified [`Program`]. Out: a routine with the kernel ABI below, its results equal to
//! those of [`vir::interp`] in every bit (a NaN's payload excepted).
//!
//! # The kernel ABI
//!
//! A kernel routine is `extern "C" fn(n, inputs, steps, outputs, pool)`:
//!
//! | argument | type | meaning |
//! |---|---|---|
//! | `n` | `usize` | number of elements, which may be 0: any where [`Code::takes_any_count`], else a multiple of [`Code::lanes`] |
//! | `inputs` | `*const *const u8` | one base pointer per program input |
//! | `steps` | `*const usize` | per input, bytes from one *vector* (`lanes` elements) to the next |
//! | `outputs` | `*const *mut u8` | one base pointer per program output, contiguous |
//! | `pool` | `*const u8` | the routine's constants, [`Code`]'s own |
//!
//! An input that is an array has the step `lanes * size`; an input that is one repeated element (a
//! *splat*) has the step 0 and points at [`Code::copies`] copies of that element: a routine handles
//! several vectors side by side where there are enough, and reads as many from a splat. So one
//! routine serves both. No pointer needs to be aligned. The inputs of an element are all read
//! before its outputs are written, so an output may be exactly an input's memory.
//!
//! Elements lie as [`Storage`] says; a `bool` is one byte, read as "not zero", written as 0 or 1.

pub mod clif;
pub mod cost;
#[doc(hidden)]
pub mod emulated;
mod interp;
mod live;
mod memory;
mod pool;
#[cfg(target_os = "linux")]
mod slab;
mod stream;
mod x86;

pub use crate::vir::Storage;

use crate::cpu::Cpu;
use crate::vir::{self, Inst, Program};
use memory::CodeMemory;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// Which emitter to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmitterKind {
    /// The fastest one that this machine can run.
    #[default]
    Auto,
    /// The interpreter: slow, and right everywhere.
    Interp,
    /// Cranelift: machine code with 128-bit vectors.
    Cranelift,
    /// x86-64 machine code with 256-bit vectors: AVX2 and FMA.
    Avx2,
    /// x86-64 machine code with 512-bit vectors: AVX-512.
    Avx512,
}

impl EmitterKind {
    /// Every choice.
    pub const ALL: [EmitterKind; 5] = [
        EmitterKind::Auto,
        EmitterKind::Avx512,
        EmitterKind::Avx2,
        EmitterKind::Cranelift,
        EmitterKind::Interp,
    ];

    /// The name in text: `auto`, `avx512`, `avx2`, `cranelift`, `interp`.
    pub fn name(self) -> &'static str {
        match self {
            EmitterKind::Auto => "auto",
            EmitterKind::Interp => "interp",
            EmitterKind::Cranelift => "cranelift",
            EmitterKind::Avx2 => "avx2",
            EmitterKind::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for EmitterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no emitter's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown emitter `{0}`: choose auto, avx512, avx2, cranelift or interp")]
pub struct UnknownEmitter(String);

impl FromStr for EmitterKind {
    type Err = UnknownEmitter;

    fn from_str(name: &str) -> Result<EmitterKind, UnknownEmitter> {
        let kind = EmitterKind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| UnknownEmitter(name.to_string()))
    }
}

/// Why no code was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The program is none that [`verify`](crate::vir::verify) accepts.
    #[error("no code can be made of an invalid program: {0}")]
    Invalid(String),
    /// The program needs FMA, and code without it would give other bits.
    #[error(
        "this machine has no fused multiply-add (FMA), which the {emitter} emitter needs for this \
         kernel: use the interpreter (emitter `interp`), it gives the same bits"
    )]
    NoFma {
        /// The emitter that refused.
        emitter: EmitterKind,
    },
    /// This machine cannot run what the emitter makes.
    #[error("the {emitter} emitter cannot be used: {reason} (emitter `auto` takes what there is)")]
    Unavailable {
        /// The emitter that refused.
        emitter: EmitterKind,
        /// What is missing.
        reason: &'static str,
    },
    /// Cranelift generates no code for this machine.
    #[error("the cranelift emitter cannot generate code for {target}: {reason}")]
    UnsupportedTarget {
        /// The target's name.
        target: String,
        /// What Cranelift says.
        reason: String,
    },
    /// The code generator failed. A bug of Kiln's.
    #[error("the code generator failed, which is a bug in Kiln: {0}")]
    Codegen(String),
    /// The system gave no executable memory.
    #[error(
        "cannot get executable memory: {0}; where the system denies it, use the interpreter (emitter \
         `interp`, or `auto`, which falls back to it): it gives the same bits"
    )]
    Memory(#[from] std::io::Error),
}

/// Makes `program` callable. `cpu` is [`Cpu::host`], or less to rule instruction sets out.
///
/// [`EmitterKind::Auto`] takes the interpreter where no machine code can be had, as where the system
/// denies executable memory; [`Code::emitter`] tells which it took.
pub fn compile(program: &Program, kind: EmitterKind, cpu: Cpu) -> Result<Code, EmitError> {
    // Anyone can write a program, and its code would read where it says.
    vir::verify(program).map_err(EmitError::Invalid)?;
    emulated::stand_in(program, kind).unwrap_or_else(|| compile_verified(program, kind, cpu))
}

fn compile_verified(program: &Program, kind: EmitterKind, cpu: Cpu) -> Result<Code, EmitError> {
    match kind {
        EmitterKind::Interp => Ok(interp::compile(program)),
        EmitterKind::Cranelift => clif::compile(program, cpu),
        EmitterKind::Avx2 | EmitterKind::Avx512 => x86::compile(program, kind, cpu),
        EmitterKind::Auto => {
            for kind in FASTEST_FIRST {
                match compile_verified(program, kind, cpu) {
                    Err(
                        EmitError::NoFma { .. }
                        | EmitError::Unavailable { .. }
                        | EmitError::UnsupportedTarget { .. },
                    ) => {}
                    // Nor would any other emitter get some.
                    Err(EmitError::Memory(_)) => break,
                    made => return made,
                }
            }
            Ok(interp::compile(program))
        }
    }
}

/// What [`EmitterKind::Auto`] tries before the interpreter.
const FASTEST_FIRST: [EmitterKind; 3] =
    [EmitterKind::Avx512, EmitterKind::Avx2, EmitterKind::Cranelift];

/// The machine code that `kind` makes of `program`, as text. The x86 emitters say which primitive
/// each instruction came from, and show their code on any machine.
pub fn assembly(program: &Program, kind: EmitterKind, cpu: Cpu) -> Result<String, EmitError> {
    vir::verify(program).map_err(EmitError::Invalid)?;
    let kind = match kind {
        EmitterKind::Auto => compile(program, kind, cpu)?.emitter(),
        kind => kind,
    };
    let header = format!("; {kind}\n");
    Ok(header
        + &match kind {
            EmitterKind::Avx512 | EmitterKind::Avx2 => x86::listing(program, kind)?,
            EmitterKind::Cranelift => clif::listing(program, None)?.assembly,
            EmitterKind::Auto | EmitterKind::Interp => "; no machine code\n".to_string(),
        })
}

/// A native kernel routine. See the module table.
type Routine = unsafe extern "C" fn(
    n: usize,
    inputs: *const *const u8,
    steps: *const usize,
    outputs: *const *mut u8,
    pool: *const u8,
);

/// The most bytes that [`Code::copies`] elements of an operand take: whoever calls with a splat, or
/// with less than a vector, needs so much room.
pub const MAX_VECTOR: usize = 512;

/// A compiled program. It owns its machine code and frees it on drop.
#[derive(Debug)]
pub struct Code {
    body: Body,
    emitter: EmitterKind,
    bits: u32,
    lanes: usize,
    copies: usize,
    takes_any_count: bool,
    inputs: Vec<Storage>,
    outputs: Vec<Storage>,
}

#[derive(Debug)]
enum Body {
    Native {
        routine: Routine,
        /// Holds the code that `routine` points at.
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

impl Body {
    /// # Safety
    ///
    /// The memory must hold a routine for this machine, whose constants are `pool`.
    unsafe fn native(code: CodeMemory, pool: Box<[pool::Line]>) -> Body {
        // SAFETY: required of the caller; the code lives as long as the body.
        let routine = unsafe { code.routine() };
        Body::Native { routine, code, pool, streaming: OnceLock::new() }
    }
}

/// How many elements a routine takes, and at a time. See [`Code`].
#[derive(Clone, Copy)]
struct Vectors {
    bits: u32,
    lanes: usize,
    copies: usize,
    takes_any_count: bool,
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
    /// What `emitter` made of `program`.
    ///
    /// # Panics
    ///
    /// If [`Code::copies`] elements of an operand take more than [`MAX_VECTOR`] bytes, or are no
    /// multiple of [`Code::lanes`]: callers make room by them.
    fn new(program: &Program, emitter: EmitterKind, body: Body, vectors: Vectors) -> Code {
        let Vectors { bits, lanes, copies, takes_any_count } = vectors;
        let inputs = program.inputs.clone();
        let outputs: Vec<Storage> = program.outputs.iter().map(|output| output.storage).collect();
        let widest = inputs.iter().chain(&outputs).map(|storage| storage.size()).max();
        let vector = copies * widest.unwrap_or(0);
        assert!(vector <= MAX_VECTOR, "{emitter}: a vector of {vector} bytes\n{program}");
        assert!(lanes > 0 && copies % lanes == 0, "{emitter}: {copies} by {lanes}\n{program}");
        Code { body, emitter, bits, lanes, copies, takes_any_count, inputs, outputs }
    }

    /// The emitter that made it; never [`EmitterKind::Auto`].
    pub fn emitter(&self) -> EmitterKind {
        self.emitter
    }

    /// The width in bits of the vectors that it computes with.
    pub fn bits(&self) -> u32 {
        self.bits
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
        match &self.body {
            Body::Native { code, .. } => code.bytes(),
            Body::Interp(_) => &[],
            Body::Emulated(emulated) => &emulated.code,
        }
    }

    /// Whether it is executed by software that stands in for a machine.
    #[doc(hidden)]
    pub fn is_emulated(&self) -> bool {
        matches!(self.body, Body::Emulated(_))
    }

    /// Runs on memory, in the floating-point environment of the thread, which must be the default
    /// one for results to have the right bits. See the module table.
    ///
    /// # Panics
    ///
    /// If a slice's length is not the program's number of inputs or outputs, or if `n` is no
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
        match &self.body {
            Body::Native { routine, pool, .. } => {
                let (inputs, steps, outputs) = (inputs.as_ptr(), steps.as_ptr(), outputs.as_ptr());
                // SAFETY: the routine was compiled for this machine with this ABI and pool and
                // lives as long as `self`; the slices have one entry per operand; the caller vouches
                // for the memory.
                unsafe { routine(n, inputs, steps, outputs, pool.as_ptr().cast()) };
            }
            // SAFETY: the caller vouches for the memory.
            Body::Interp(interp) => unsafe { interp.call(n, inputs, steps, outputs) },
            // SAFETY: as above.
            Body::Emulated(emulated) => unsafe { emulated.call(self, n, inputs, steps, outputs) },
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
        let vector = self.bits as usize / 8;
        let aligned = |(target, storage): (&*mut u8, &Storage)| {
            !storage.fills_lane() || target.addr().is_multiple_of(vector)
        };
        let aligned = outputs.iter().zip(&self.outputs).all(aligned);
        if let (Body::Emulated(emulated), true) = (&self.body, aligned) {
            // SAFETY: required of the caller.
            unsafe { emulated.call_streaming(self, n, inputs, steps, outputs) };
        } else if let Body::Native { code, pool, streaming, .. } = &self.body
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

/// Whether a program contains a fused multiply-add.
fn uses_fma(program: &Program) -> bool {
    program.insts.iter().any(|inst| matches!(inst, Inst::Fma { .. }))
}

#[cfg(test)]
mod tests {
    use super::{Code, EmitterKind, compile};
    use crate::cpu::Cpu;
    use crate::vir::{Builder, Inst, Storage};

    #[test]
    fn code_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Code>();
    }

    #[test]
    fn invalid_programs_are_refused() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        b.output(x, Storage::F32);
        let mut program = b.finish();
        program.insts[0] = Inst::Load { slot: 1 };
        for kind in EmitterKind::ALL {
            let error = compile(&program, kind, Cpu::host()).unwrap_err().to_string();
            assert_eq!(error, "no code can be made of an invalid program: v0: no such input");
        }
    }

    #[test]
    fn names_of_emitters_read_back() {
        for kind in EmitterKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "llvm".parse::<EmitterKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown emitter `llvm`: choose auto, avx512, avx2, cranelift or interp"
        );
    }
}
