//! Machine code for x86-64 with 512-bit vectors (AVX-512) or 256-bit ones (AVX2 and FMA).
//!
//! ```text
//! vir::Routine ── select, hoist ──► Function ── allocate ──► Allocation ── encode ──► bytes
//!                                       └──────── check ────────┘
//! ```
//!
//! [`select`] writes both instruction sets from one set of rules: the differences are a row of
//! [`opcode`] and the form of a [`mask`]. A routine has two loops: one over several vectors
//! ([unrolled](unroll)), with [constants in registers](hoist), and one over single vectors for the
//! remainder, which runs [under a mask](tail) to the last element if every load and store can be
//! masked. (With AVX2, a third loop for whole single vectors before it made calls on few elements 0
//! to 3 % quicker and compilation 2 to 21 % slower.) `rcp`, `rsqrt` and the like are never used:
//! every instruction gives the bits that its primitive defines.

mod allocate;
mod check;
mod encode;
mod fold;
mod half;
mod hoist;
mod integer;
mod isa;
mod listing;
mod mask;
#[cfg(test)]
mod mutate;
mod opcode;
mod pressure;
mod program;
mod select;
mod stripes;
mod table;
mod tail;
mod unroll;

use super::code::{Callable, Code, Vectors};
use super::cost;
use super::emitters::{Emitter, EmitterKind};
use super::emulated::{Emulated, Load};
use super::error::EmitError;
use super::native::Native;
use super::native::memory::CodeMemory;
use super::native::pool::Line;
use crate::cpu::Cpu;
use crate::vir::Routine;
use encode::Loops;
use isa::Isa;
use program::Function;

pub(super) const AVX512: Emitter = Emitter {
    bits: 512,
    available: |cpu| available(Isa::Avx512, cpu),
    compile: |routine, _| compile(routine, Isa::Avx512),
    listing: |routine| listing::listing(routine, Isa::Avx512),
    times: &cost::AVX512,
};

pub(super) const AVX2: Emitter = Emitter {
    bits: 256,
    available: |cpu| available(Isa::Avx2, cpu),
    compile: |routine, _| compile(routine, Isa::Avx2),
    listing: |routine| listing::listing(routine, Isa::Avx2),
    times: &cost::AVX2,
};

/// Compiles for this machine, on which `isa` is available.
fn compile(routine: &Routine, isa: Isa) -> Result<Code, EmitError> {
    let mut made = generate(routine, isa)?;
    let code = CodeMemory::new(&made.encoded.bytes)?;
    let pool = std::mem::take(&mut made.pool);
    // SAFETY: the function has this ABI and these constants, and `available` made sure that this
    // machine has the instructions.
    let native = unsafe { Native::new(code, pool) };
    Ok(made.code(routine, isa, Callable::Native(native)))
}

/// Compiles for any machine; what `load` makes executes the code.
///
/// # Panics
///
/// If `kind` is not one of these emitters.
pub(super) fn compile_for(
    routine: &Routine,
    kind: EmitterKind,
    load: Load,
) -> Result<Code, EmitError> {
    let isa = match kind {
        EmitterKind::Avx512 => Isa::Avx512,
        EmitterKind::Avx2 => Isa::Avx2,
        kind => panic!("the {kind} emitter makes no code that could be executed elsewhere"),
    };
    let mut made = generate(routine, isa)?;
    let bytes = std::mem::take(&mut made.encoded.bytes);
    let callable = Callable::Software(Box::new(Emulated::new(bytes, &made.pool, load)));
    Ok(made.code(routine, isa, callable))
}

/// The emitter of an instruction set.
fn kind(isa: Isa) -> EmitterKind {
    match isa {
        Isa::Avx512 => EmitterKind::Avx512,
        Isa::Avx2 => EmitterKind::Avx2,
    }
}

/// Whether code of `isa` can run here.
fn available(isa: Isa, cpu: Cpu) -> Result<(), EmitError> {
    let unavailable = |reason| Err(EmitError::Unavailable { emitter: kind(isa), reason });
    if cfg!(not(target_arch = "x86_64")) {
        return unavailable("this machine is no x86-64");
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

/// What is made of a routine.
struct Generated {
    encoded: encode::Encoded,
    pool: Box<[Line]>,
    /// Elements per iteration of the narrowest loop, and of the widest.
    lanes: usize,
    copies: usize,
    takes_any_count: bool,
}

impl Generated {
    fn code(&self, routine: &Routine, isa: Isa, callable: Callable) -> Code {
        let vectors = Vectors {
            lanes: self.lanes,
            copies: self.copies,
            takes_any_count: self.takes_any_count,
        };
        Code::new(routine, kind(isa), callable, vectors)
    }
}

/// Machine code and constants of `routine`.
fn generate(routine: &Routine, isa: Isa) -> Result<Generated, EmitError> {
    let mut constants = select::Constants::new(routine, isa);
    let Functions { full, tail, around } = functions(routine, isa, &mut constants);
    let loops = Loops {
        full: full.iter().map(allocate::allocate).collect(),
        tail: tail.as_ref().map(allocate::allocate),
        around: around.each_ref().map(allocate::allocate),
    };
    let encoded = encode::encode(routine, &loops, isa)
        .map_err(|error| EmitError::Codegen(format!("{error}\n{routine}")))?;
    Ok(Generated {
        encoded,
        pool: constants.finish(),
        lanes: loops.vector(),
        copies: full[0].lanes,
        takes_any_count: loops.tail.is_some(),
    })
}

/// The loops of a routine, one after the other: see [`Loops`].
struct Functions {
    full: Vec<Function>,
    tail: Option<Function>,
    /// What comes before a row and after it.
    around: [Function; 2],
}

/// An unrolled loop, where that pays, and a loop over single vectors for the rest.
fn functions(routine: &Routine, isa: Isa, constants: &mut select::Constants) -> Functions {
    let single = select::select(routine, isa, 1, constants);
    let mut main = main_loop(routine, isa, &single, constants);
    // Only a loop of many iterations earns back the work done before it.
    hoist::hoist(&mut main);
    let unrolled = main.lanes > single.lanes;
    let around = [fold::start, fold::finish].map(|make| make(routine, isa, constants));
    let mut functions = Functions { full: vec![main], tail: None, around };
    if tail::can_mask(routine, isa) {
        functions.tail = Some(tail::masked(routine, single, constants));
    } else if unrolled {
        functions.full.push(single);
    }
    functions
}

/// The loop over several vectors, where that pays.
fn main_loop(
    routine: &Routine,
    isa: Isa,
    single: &Function,
    constants: &mut select::Constants,
) -> Function {
    let unroll = unroll::unroll(routine, single);
    let all = stripes::vectors(routine, single);
    let mut main = match all {
        // Enough iterations fit into the window, and each has stripes of its own.
        Some(all) if stripes::is_short(single) => stripes::repeat(routine, single, all),
        // Each iteration's stripes are one after the other.
        _ => match all.map_or(unroll, |all| 1 << unroll.min(all).ilog2()) {
            1 => single.clone(),
            unroll => select::select(routine, isa, unroll, constants),
        },
    };
    stripes::pin(routine, &mut main, constants);
    main
}
