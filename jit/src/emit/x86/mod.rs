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

#[cfg(test)]
mod ahead;
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
mod realign;
mod row;
mod select;
mod stagger;
mod stripes;
mod sweep;
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
use encode::{Bound, Loops, Operands, Part, Step};
use isa::Isa;
pub(super) use listing::disassembled;
use program::Function;
pub(super) use sweep::compile_for as compile_sweep_for;

pub(super) const AVX512: Emitter = Emitter {
    bits: 512,
    available: |cpu| available(Isa::Avx512, cpu),
    compile: |routine, _| compile(routine, Isa::Avx512),
    sweep: |sweep| sweep::compile(sweep, Isa::Avx512),
    listing: |routine| listing::listing(routine, Isa::Avx512),
    times: &cost::AVX512,
};

pub(super) const AVX2: Emitter = Emitter {
    bits: 256,
    available: |cpu| available(Isa::Avx2, cpu),
    compile: |routine, _| compile(routine, Isa::Avx2),
    sweep: |sweep| sweep::compile(sweep, Isa::Avx2),
    listing: |routine| listing::listing(routine, Isa::Avx2),
    times: &cost::AVX2,
};

/// Compiles for this machine, on which `isa` is available.
fn compile(routine: &Routine, isa: Isa) -> Result<Code, EmitError> {
    let mut made = generate(routine, isa)?;
    let callable = made.native()?;
    Ok(made.code(routine, isa, callable))
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
    let isa = isa_of(kind);
    let mut made = generate(routine, isa)?;
    let callable = made.emulated(load);
    Ok(made.code(routine, isa, callable))
}

/// The instruction set of an emitter.
///
/// # Panics
///
/// If `kind` is not one of these.
fn isa_of(kind: EmitterKind) -> Isa {
    match kind {
        EmitterKind::Avx512 => Isa::Avx512,
        EmitterKind::Avx2 => Isa::Avx2,
        kind => panic!("the {kind} emitter makes no code that could be executed elsewhere"),
    }
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
    /// What this machine executes, which has the instructions.
    fn native(&mut self) -> Result<Callable, EmitError> {
        let code = CodeMemory::new(&self.encoded.bytes)?;
        let pool = std::mem::take(&mut self.pool);
        // SAFETY: the function has this ABI and these constants, and `available` made sure that this
        // machine has the instructions.
        Ok(Callable::Native(unsafe { Native::new(code, pool) }))
    }

    /// What `load` executes.
    fn emulated(&mut self, load: Load) -> Callable {
        let bytes = std::mem::take(&mut self.encoded.bytes);
        Callable::Software(Box::new(Emulated::new(bytes, &self.pool, load)))
    }

    fn vectors(&self) -> Vectors {
        let Generated { lanes, copies, takes_any_count, .. } = *self;
        Vectors { lanes, copies, takes_any_count }
    }

    fn code(&self, routine: &Routine, isa: Isa, callable: Callable) -> Code {
        Code::new(routine, kind(isa), callable, self.vectors())
    }
}

/// Machine code and constants of `routine`.
fn generate(routine: &Routine, isa: Isa) -> Result<Generated, EmitError> {
    let mut constants = select::Constants::new(routine, isa);
    let loops = loops(routine, isa, &mut constants);
    let row = loops.row.as_ref().map_or(0, |row| row.lanes);
    let (lanes, copies) = (loops.vector(), loops.full[0].lanes.max(row));
    let takes_any_count = loops.tail.is_some();
    let encoded = encoded(routine, loops, isa)?;
    Ok(Generated { encoded, pool: constants.finish(), lanes, copies, takes_any_count })
}

/// The machine code of a routine by itself.
fn encoded(routine: &Routine, loops: Loops, isa: Isa) -> Result<encode::Encoded, EmitError> {
    let cursors = routine.inputs.len() + routine.outputs.len() + routine.folds().count();
    let part = Part::Each { loops: Box::new(loops), join: None };
    let step = Step { bound: Bound::of(routine), part };
    encode::encode(&[step], Operands { cursors, ..Operands::default() }, isa)
        .map_err(|error| EmitError::Codegen(format!("{error}\n{routine}")))
}

/// The loops of a routine, placed.
fn loops(routine: &Routine, isa: Isa, constants: &mut select::Constants) -> Loops {
    let Functions { full, tail, around, row } = functions(routine, isa, constants);
    Loops {
        full: full.iter().map(allocate::allocate).collect(),
        tail: tail.as_ref().map(allocate::allocate),
        around: around.each_ref().map(allocate::allocate),
        row: row.as_ref().map(allocate::allocate),
    }
}

/// The loops of a routine, one after the other: see [`Loops`].
struct Functions {
    full: Vec<Function>,
    tail: Option<Function>,
    /// What comes before a row and after it.
    around: [Function; 2],
    /// What handles a row of as many elements as it has lanes.
    row: Option<Function>,
}

/// An unrolled loop, where that pays, and a loop over single vectors for the rest.
fn functions(routine: &Routine, isa: Isa, constants: &mut select::Constants) -> Functions {
    let single = select::select(routine, isa, 1, constants);
    let mut main = main_loop(routine, isa, &single, constants);
    let row = row::row(routine, isa, &main, constants);
    stripes::pin(routine, &mut main, constants);
    realign::pin(&mut main);
    // Only a loop of many iterations earns back the work done before it.
    hoist::hoist(&mut main);
    let unrolled = main.lanes > single.lanes;
    let around = [fold::start, fold::finish].map(|make| make(routine, isa, constants));
    let mut functions = Functions { full: vec![main], tail: None, around, row };
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
    match all {
        // Enough iterations fit into the window, and each has stripes of its own.
        Some(all) if stripes::is_short(single) => stripes::repeat(routine, single, all),
        // Each iteration's stripes are one after the other.
        _ => match all.map_or(unroll, |all| 1 << unroll.min(all).ilog2()) {
            1 => single.clone(),
            unroll => select::select(routine, isa, unroll, constants),
        },
    }
}
