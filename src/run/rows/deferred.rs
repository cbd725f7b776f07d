//! Code that is compiled where a call needs it.

use kiln_jit::emit::{Code, EmitterKind, compile_sweep};
use kiln_jit::vir::Sweep;
use std::sync::OnceLock;

/// A sweep that few calls run: to compile all of a softmax takes 1.17 ms on a Zen 4, and .60 without these.
#[derive(Debug)]
pub(crate) struct Deferred {
    sweep: Sweep,
    emitter: EmitterKind,
    /// None if it could not be compiled.
    code: OnceLock<Option<Code>>,
}

impl Deferred {
    pub(super) fn new(sweep: Sweep, emitter: EmitterKind) -> Deferred {
        Deferred { sweep, emitter, code: OnceLock::new() }
    }

    pub(super) fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// Its code, if there is any: what runs without it takes longer.
    pub(super) fn code(&self) -> Option<&Code> {
        self.code.get_or_init(|| compile_sweep(&self.sweep, self.emitter).ok().flatten()).as_ref()
    }
}
