//! Machine code for x86-64 with 512-bit vectors (AVX-512) or 256-bit ones (AVX2 and FMA).
//!
//! ```text
//! vir::Program ── select, hoist ──► Function ── allocate ──► Allocation ── encode ──► bytes
//! ```
//!
//! [`select`] writes both instruction sets from one set of rules: what differs is a row of
//! [`opcode`], and what a [`mask`] is. A routine has two loops: one over several vectors
//! [side by side](interleave), with [constants in registers](hoist), and one over single vectors for
//! what is left, which runs [under a mask](tail) to the last element, where there is a mask for every
//! load and store. (A third one, with AVX2, for whole single vectors before it: calls on few elements
//! 0 to 3 % quicker, compilation 2 to 21 % slower.) `rcp` and `rsqrt` and the like are never used:
//! every instruction gives the bits that its primitive defines.

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
mod tail;

pub(super) use listing::listing;

use super::memory::CodeMemory;
use super::pool::Line;
use super::{Body, Code, EmitError, EmitterKind, Vectors};
use crate::cpu::Cpu;
use crate::vir::Program;
use encode::Loops;
use isa::Isa;

/// Compiles for this machine. `kind` is one of the two emitters that are here.
pub(super) fn compile(program: &Program, kind: EmitterKind, cpu: Cpu) -> Result<Code, EmitError> {
    let isa = isa(kind);
    check(kind, isa, cpu)?;
    let Generated { encoded, pool, lanes, copies, takes_any_count } = generate(program, isa)?;
    let code = CodeMemory::new(&encoded.bytes)?;
    // SAFETY: the function has this ABI and these constants, and `check` saw to it that this machine
    // has the instructions and the calling convention.
    let body = unsafe { Body::native(code, pool) };
    let bits = isa.bytes() as u32 * 8;
    Ok(Code::new(program, kind, body, Vectors { bits, lanes, copies, takes_any_count }))
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
            unavailable("this machine has no AVX-512 (F, BW, DQ and VL, with BMI2)")
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
    takes_any_count: bool,
}

/// Machine code and constants of `program`: a loop over several vectors side by side, where that
/// pays, and one over single vectors for the rest.
fn generate(program: &Program, isa: Isa) -> Result<Generated, EmitError> {
    let mut constants = select::Constants::new(program, isa);
    let single = select::select(program, isa, 1, &mut constants);
    let side_by_side = interleave::side_by_side(program, &single);
    let mut main = match side_by_side {
        1 => single.clone(),
        _ => select::select(program, isa, side_by_side, &mut constants),
    };
    // Only a loop of many turns earns back what is done before it.
    hoist::hoist(&mut main);
    let mut loops = Loops { full: vec![allocate::allocate(&main)], tail: None };
    if tail::can_mask(program, isa) {
        let tail = tail::masked(program, single, &mut constants);
        loops.tail = Some(allocate::allocate(&tail));
    } else if side_by_side > 1 {
        loops.full.push(allocate::allocate(&single));
    }
    let encoded = encode::encode(program, &loops, isa)
        .map_err(|error| EmitError::Codegen(format!("{error}\n{program}")))?;
    Ok(Generated {
        encoded,
        pool: constants.finish(),
        lanes: loops.vector(),
        copies: main.lanes,
        takes_any_count: loops.tail.is_some(),
    })
}
