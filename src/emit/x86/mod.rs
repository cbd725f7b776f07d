//! Machine code for x86-64 with 512-bit vectors (AVX-512) or 256-bit ones (AVX2 and FMA).
//!
//! ```text
//! vir::Program ── select ──► machine::Function ── allocate ──► Allocation ── encode ──► bytes
//! ```
//!
//! [`select`] writes both instruction sets from one set of rules: what differs is a row of
//! [`opcode`], and what a [`mask`] is. Constants are operands in memory, on AVX-512 repeated by
//! the load itself. `rcp` and `rsqrt` and the like are never used: every instruction gives the bits
//! that its primitive defines.

mod allocate;
mod encode;
mod half;
mod integer;
mod isa;
mod listing;
mod machine;
mod mask;
mod opcode;
mod select;

pub(super) use listing::listing;

use super::pool::Line;
use super::{Body, Code, EmitError, EmitterKind, Routine, memory};
use crate::cpu::Cpu;
use crate::vir::Program;
use isa::Isa;

/// Compiles for this machine. `kind` is one of the two emitters that are here.
pub(super) fn compile(program: &Program, kind: EmitterKind, cpu: Cpu) -> Result<Code, EmitError> {
    let isa = isa(kind);
    check(kind, isa, cpu)?;
    let (encoded, pool) = generate(program, isa)?;
    let code = memory::CodeMemory::new(&encoded.bytes)?;
    // SAFETY: the memory holds a function of this ABI, and `check` saw to it that this machine
    // has the instructions and the calling convention.
    let routine = unsafe { std::mem::transmute::<*const u8, Routine>(code.entry()) };
    Ok(Code {
        body: Body::Native { routine, code, pool },
        emitter: kind,
        bits: isa.bytes() as u32 * 8,
        lanes: select::lanes(program, isa),
        inputs: program.inputs.clone(),
        outputs: program.outputs.iter().map(|output| output.storage).collect(),
    })
}

/// The instruction set of an emitter.
fn isa(kind: EmitterKind) -> Isa {
    if kind == EmitterKind::Avx512 { Isa::Avx512 } else { Isa::Avx2 }
}

/// Whether code of `isa` may run here.
fn check(kind: EmitterKind, isa: Isa, cpu: Cpu) -> Result<(), EmitError> {
    let unavailable = |reason| Err(EmitError::Unavailable { emitter: kind, reason });
    if cfg!(not(target_arch = "x86_64")) {
        return unavailable("this machine is no x86-64");
    }
    if cfg!(windows) {
        return unavailable("it writes no code for the calling convention of Windows yet");
    }
    let host = Cpu::host();
    match isa {
        Isa::Avx512 if !(cpu.avx512 && host.avx512) => {
            unavailable("this machine has no AVX-512 (F, BW, DQ and VL)")
        }
        Isa::Avx2 if !(cpu.avx2 && host.avx2) => unavailable("this machine has no AVX2 with FMA"),
        _ => Ok(()),
    }
}

/// Machine code and constants of `program`.
fn generate(program: &Program, isa: Isa) -> Result<(encode::Encoded, Box<[Line]>), EmitError> {
    let (function, pool) = select::select(program, isa);
    let allocation = allocate::allocate(&function);
    let encoded = encode::encode(program, &allocation, isa, select::lanes(program, isa))
        .map_err(|error| EmitError::Codegen(format!("{error}\n{program}")))?;
    Ok((encoded, pool))
}
