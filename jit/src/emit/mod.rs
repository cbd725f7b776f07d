//! From a vector routine to something that runs: [`compile`] returns a [`Code`].
//!
//! In: a verified [`Routine`]. Out: a [`Code`] whose results equal those of [`vir::interp`] in
//! every bit (except a NaN's payload).
//!
//! | file | |
//! |---|---|
//! | `code.rs` `carry.rs` `apply.rs` | calls of code, what they leave for others, and calls on slices |
//! | `native/` | machine code: its ABI, executable memory, constants, stores that bypass the caches |
//! | `emitters.rs` | the table of emitters |
//! | `x86/` `clif/` `interp.rs` | the emitters |
//! | `cost/` | what a routine costs on each |
//! | `emulated.rs` | routines that software executes, for tests |

mod apply;
mod carry;
#[cfg_attr(not(feature = "cranelift"), path = "clif/absent.rs")]
pub mod clif;
mod code;
pub mod cost;
mod emitters;
#[cfg(feature = "x86")]
#[doc(hidden)]
pub mod emulated;
mod error;
mod interp;
#[cfg_attr(not(feature = "_native"), path = "native/absent.rs")]
mod native;
#[cfg(test)]
mod toy;
#[cfg_attr(not(feature = "x86"), path = "x86/absent.rs")]
mod x86;

pub use crate::vir::Storage;
pub use apply::Operand;
pub use carry::Carry;
pub use code::{Code, Cursor, MAX_VECTOR, MOST_ROWS, Tile, fence, many_rows};
pub use emitters::{EmitterKind, UnknownEmitter};
pub use error::EmitError;

use crate::cpu::Cpu;
use crate::vir::{self, Routine, Sweep};
use emitters::{EMITTERS, Emitter};

/// Makes `routine` callable. `cpu` is [`Cpu::host`], or less, to rule out instruction sets.
///
/// [`EmitterKind::Auto`] takes the first emitter of the table that makes code for this machine: the
/// interpreter if machine code is impossible, for example where the system denies executable
/// memory. [`Code::emitter`] tells which one it took.
pub fn compile(routine: &Routine, kind: EmitterKind, cpu: Cpu) -> Result<Code, EmitError> {
    // Anyone can write a routine, and its code would read wherever it says.
    vir::verify(routine).map_err(EmitError::Invalid)?;
    #[cfg(feature = "x86")]
    if let Some(code) = emulated::stand_in(routine, kind) {
        return code;
    }
    match kind.emitter() {
        Some(emitter) => compile_by(emitter, routine, cpu),
        None => compile_by_first(routine, cpu),
    }
}

fn compile_by(emitter: &Emitter, routine: &Routine, cpu: Cpu) -> Result<Code, EmitError> {
    (emitter.available)(cpu)?;
    (emitter.compile)(routine, cpu)
}

/// By the first emitter that can.
fn compile_by_first(routine: &Routine, cpu: Cpu) -> Result<Code, EmitError> {
    let (last, others) = EMITTERS.split_last().expect("there are emitters");
    for emitter in others {
        match compile_by(emitter, routine, cpu) {
            Err(
                EmitError::NoFma { .. }
                | EmitError::Unavailable { .. }
                | EmitError::UnsupportedTarget { .. },
            ) => {}
            // No other machine code would get any either.
            Err(EmitError::Memory(_)) => break,
            made => return made,
        }
    }
    compile_by(last, routine, cpu)
}

/// Makes `sweep` callable by an emitter that made code of its routines; none if it makes none of
/// sweeps.
///
/// # Panics
///
/// If `kind` is [`EmitterKind::Auto`], which made no code.
pub fn compile_sweep(sweep: &Sweep, kind: EmitterKind) -> Result<Option<Code>, EmitError> {
    sweep.verify().map_err(EmitError::Invalid)?;
    #[cfg(feature = "x86")]
    if let Some(code) = emulated::sweep_stand_in(sweep, kind) {
        return code;
    }
    (kind.row().sweep)(sweep)
}

/// The machine code that `kind` makes of `routine`, as text. The x86 emitters name the primitive
/// that each instruction came from, and list their code on any machine.
pub fn assembly(routine: &Routine, kind: EmitterKind, cpu: Cpu) -> Result<String, EmitError> {
    vir::verify(routine).map_err(EmitError::Invalid)?;
    let kind = match kind {
        EmitterKind::Auto => compile(routine, kind, cpu)?.emitter(),
        kind => kind,
    };
    Ok(format!("; {kind}\n{}", (kind.row().listing)(routine)?))
}

/// The machine code that `kind` makes of `sweep`, as text, if it makes any. [`EmitterKind::Auto`] takes what
/// [`compile`] takes for its routines.
pub fn sweep_assembly(
    sweep: &Sweep,
    kind: EmitterKind,
    cpu: Cpu,
) -> Result<Option<String>, EmitError> {
    let kind = match (kind, sweep.steps.first()) {
        (EmitterKind::Auto, Some(step)) => compile(&step.part().routine, kind, cpu)?.emitter(),
        (EmitterKind::Auto, None) => return Ok(None),
        (kind, _) => kind,
    };
    (kind.row().available)(cpu)?;
    let code = compile_sweep(sweep, kind)?;
    let bytes = code.as_ref().map_or(&[][..], Code::machine_code);
    Ok((!bytes.is_empty())
        .then(|| format!("; {kind}\n{}", x86::disassembled(bytes, &[], |_| String::new()))))
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
    fn invalid_routines_are_refused() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        b.output(x, Storage::F32);
        let mut routine = b.finish();
        routine.stage.body.insts[0] = Inst::Load { slot: 1 };
        for kind in EmitterKind::ALL {
            let error = compile(&routine, kind, Cpu::host()).unwrap_err().to_string();
            assert_eq!(error, "no code can be made of an invalid routine: v0: no such input");
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
            "unknown emitter `llvm`: choose auto, avx512, avx2, cranelift, toy or interp"
        );
    }
}
