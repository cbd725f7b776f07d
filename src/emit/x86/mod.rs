//! Machine code for x86-64 with 512-bit vectors (AVX-512) or 256-bit ones (AVX2 and FMA).
//!
//! ```text
//! vir::Program ── select, hoist ──► Function ── allocate ──► Allocation ── encode ──► bytes
//! ```
//!
//! [`select`] writes both instruction sets from one set of rules: what differs is a row of
//! [`opcode`], and what a [`mask`] is. A routine has two loops: one over several vectors
//! [side by side](interleave), with [constants in registers](hoist), and one over single vectors for
//! what is left. `rcp` and `rsqrt` and the like are never used: every instruction gives the bits
//! that its primitive defines.

mod allocate;
mod encode;
mod half;
mod hoist;
mod integer;
mod interleave;
mod isa;
mod listing;
mod machine;
mod mask;
mod opcode;
mod pressure;
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
    let Generated { encoded, pool, lanes, copies } = generate(program, isa)?;
    let code = memory::CodeMemory::new(&encoded.bytes)?;
    // SAFETY: the memory holds a function of this ABI, and `check` saw to it that this machine
    // has the instructions and the calling convention.
    let routine = unsafe { std::mem::transmute::<*const u8, Routine>(code.entry()) };
    Ok(Code {
        body: Body::native(routine, code, pool),
        emitter: kind,
        bits: isa.bytes() as u32 * 8,
        lanes,
        copies,
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

/// What is made of a program.
struct Generated {
    encoded: encode::Encoded,
    pool: Box<[Line]>,
    /// Elements that the narrowest loop handles in a turn, and the widest.
    lanes: usize,
    copies: usize,
}

/// Machine code and constants of `program`: a loop over several vectors side by side, where that
/// pays, and one over single vectors for the rest.
fn generate(program: &Program, isa: Isa) -> Result<Generated, EmitError> {
    let mut constants = select::Constants::new(program, isa);
    let mut single = select::select(program, isa, 1, &mut constants);
    let side_by_side = interleave::side_by_side(program, &single);
    let mut loops = Vec::new();
    if side_by_side > 1 {
        let mut several = select::select(program, isa, side_by_side, &mut constants);
        hoist::hoist(&mut several);
        loops.push(allocate::allocate(&several));
    } else {
        // Only a loop of many turns earns back what is done before it.
        hoist::hoist(&mut single);
    }
    loops.push(allocate::allocate(&single));
    let encoded = encode::encode(program, &loops, isa)
        .map_err(|error| EmitError::Codegen(format!("{error}\n{program}")))?;
    let [copies, lanes] = [&loops[0], &loops[loops.len() - 1]].map(|each| each.lanes);
    Ok(Generated { encoded, pool: constants.finish(), lanes, copies })
}
