//! Machine code with 128-bit vectors through Cranelift, for any machine that Cranelift supports.
//!
//! `translate` writes the loop in Cranelift's IR; this file has the instruction sets, the compiler
//! settings and the loading.
//!
//! Cranelift's optimiser stays off (`opt_level = none`). A vector routine is already hash-consed
//! and free of dead code, and the optimiser hoists every constant's load away from its use, to
//! where sixteen registers cannot hold them all. Measured on Zen 5 with it on: log1p in f32 1.38 ns
//! per element instead of 0.78, erf 1.44 instead of 0.95, nothing faster, and twice the compile
//! time.

mod bytes;
mod fold;
mod half;
mod listing;
mod primitive;
mod shuffle;
mod translate;

pub use listing::Listing;

use super::code::{Callable, Code, Vectors};
use super::cost;
use super::emitters::{Emitter, EmitterKind};
use super::error::EmitError;
use super::native::Native;
use super::native::memory::CodeMemory;
use super::native::pool::Line;
use crate::cpu::Cpu;
use crate::vir::{self, Inst, Routine};
use cranelift_codegen::ir::Endianness;
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CompiledCode, Context, control::ControlPlane};
use std::sync::OnceLock;

pub(super) const CRANELIFT: Emitter = Emitter {
    bits: 128,
    available: |_| host().map(|_| ()),
    compile,
    // The steps of a row are routines by themselves there.
    sweep: |_| Ok(None),
    listing: |routine| Ok(listing(routine, None)?.assembly),
    times: &cost::CRANELIFT,
};

/// Compiles for this machine.
fn compile(routine: &Routine, cpu: Cpu) -> Result<Code, EmitError> {
    let uses_fma = routine.body().insts.iter().any(|inst| matches!(inst, Inst::Fma { .. }));
    if uses_fma && !(cpu.fma && Cpu::host().fma) {
        return Err(EmitError::NoFma { emitter: EmitterKind::Cranelift });
    }
    let (compiled, pool) = generate(routine, host()?, false)?;
    let code = CodeMemory::new(compiled.code_buffer())?;
    // SAFETY: the function has this ABI and was generated for this machine, with these constants.
    let callable = Callable::Native(unsafe { Native::new(code, pool) });
    let lanes = translate::lanes(routine);
    let vectors = Vectors { lanes, copies: lanes, takes_any_count: false };
    Ok(Code::new(routine, EmitterKind::Cranelift, callable, vectors))
}

/// Compiles, for inspection, for a target such as `aarch64` or `x86_64`, or for this machine.
///
/// An x86-64 target means one with AVX2 and FMA.
pub fn listing(routine: &Routine, target: Option<&str>) -> Result<Listing, EmitError> {
    vir::verify(routine).map_err(EmitError::Invalid)?;
    let named;
    let isa = match target {
        None => host()?,
        Some(name) => {
            named = target_isa(name)?;
            &*named
        }
    };
    let (function, _) = translate::translate(routine, isa);
    let (compiled, _) = generate(routine, isa, true)?;
    Ok(Listing {
        clif: function.display().to_string(),
        assembly: compiled.vcode.clone().unwrap_or_default(),
        bytes: compiled.code_buffer().to_vec(),
    })
}

/// Machine code and constants of `routine`.
fn generate(
    routine: &Routine,
    isa: &dyn TargetIsa,
    disassemble: bool,
) -> Result<(CompiledCode, Box<[Line]>), EmitError> {
    if isa.endianness() != Endianness::Little {
        let reason = "its vectors are big-endian".to_string();
        return Err(EmitError::UnsupportedTarget { target: isa.triple().to_string(), reason });
    }
    let (function, pool) = translate::translate(routine, isa);
    let mut context = Context::for_function(function);
    context.set_disasm(disassemble);
    let failed = |what: String| EmitError::Codegen(format!("{what}\n{routine}"));
    context
        .compile(isa, &mut ControlPlane::default())
        .map_err(|error| failed(format!("{:?}", error.inner)))?;
    let compiled = context.take_compiled_code().ok_or_else(|| failed("no code".into()))?;
    if !compiled.buffer.relocs().is_empty() {
        return Err(failed("a kernel may not call or refer to anything outside".into()));
    }
    Ok((compiled, pool))
}

/// The instruction set of this machine, with all its features. Built once.
fn host() -> Result<&'static dyn TargetIsa, EmitError> {
    static HOST: OnceLock<Result<OwnedTargetIsa, String>> = OnceLock::new();
    let host = HOST.get_or_init(|| {
        let builder = cranelift_native::builder().map_err(str::to_string)?;
        builder.finish(flags()?).map_err(|error| error.to_string())
    });
    match host {
        Ok(isa) => Ok(&**isa),
        Err(reason) => Err(EmitError::UnsupportedTarget {
            target: format!("this machine ({})", std::env::consts::ARCH),
            reason: reason.clone(),
        }),
    }
}

/// The instruction set with this name.
fn target_isa(target: &str) -> Result<OwnedTargetIsa, EmitError> {
    let unsupported =
        |reason: String| EmitError::UnsupportedTarget { target: target.into(), reason };
    let mut builder =
        isa::lookup_by_name(target).map_err(|error| unsupported(error.to_string()))?;
    // AVX2 and FMA; the base aarch64 has all that is needed.
    if builder.triple().architecture.to_string() == "x86_64" {
        builder.enable("haswell").map_err(|error| unsupported(error.to_string()))?;
    }
    let flags = flags().map_err(unsupported)?;
    builder.finish(flags).map_err(|error| unsupported(error.to_string()))
}

/// Settings common to every target.
fn flags() -> Result<settings::Flags, String> {
    let mut flags = settings::builder();
    let choices = [
        ("opt_level", "none"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
        // Nothing unwinds through kernels.
        ("unwind_info", "false"),
        // The system handles a growing stack as long as no page is skipped, and kernels call
        // nothing.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
    ];
    for (name, value) in choices {
        flags.set(name, value).map_err(|error| error.to_string())?;
    }
    Ok(settings::Flags::new(flags))
}

#[cfg(test)]
mod tests {
    use super::listing;
    use crate::vir::{Builder, Routine, Storage};

    /// A routine that keeps that many values live at once.
    fn keeps(values: u32) -> Routine {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let products: Vec<_> = (0..values)
            .map(|i| {
                let c = b.f32(i as f32 + 0.5);
                b.mul(x, c)
            })
            .collect();
        let sum = products.into_iter().rev().reduce(|sum, product| b.add(sum, product));
        b.output(sum.unwrap(), Storage::F32);
        b.finish()
    }

    #[test]
    fn large_frames_touch_every_page() {
        let assembly = |values| listing(&keeps(values), Some("x86_64")).unwrap().assembly;
        let large = assembly(300);
        assert!(large.contains("stack_probe_loop"), "{}", &large[..200]);
        assert!(!assembly(3).contains("probe"));
    }

    #[test]
    fn one_calling_convention_on_every_system() {
        for target in ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "x86_64-apple-darwin"] {
            let clif = listing(&keeps(1), Some(target)).unwrap().clif;
            assert!(clif.contains("system_v"), "{target}: {clif}");
        }
    }
}
