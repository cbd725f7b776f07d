//! Why a routine has no code.

use super::EmitterKind;

/// Why no code was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// [`verify`](crate::vir::verify) rejects the routine.
    #[error("no code can be made of an invalid routine: {0}")]
    Invalid(String),
    /// The routine needs FMA, and code without it would give other bits.
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
