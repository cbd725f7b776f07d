//! Code that is compiled where a call needs it.

use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{Code, EmitterKind, compile, compile_sweep};
use kiln_jit::vir::{Routine, Sweep};
use std::sync::OnceLock;

/// What few calls run: to compile all of a softmax takes 1.17 ms on a Zen 4, and .60 without late sweeps.
#[derive(Debug)]
pub(crate) struct Deferred<K> {
    kernel: K,
    emitter: EmitterKind,
    /// None if it could not be compiled.
    code: OnceLock<Option<Code>>,
}

/// What code is made of.
pub(super) trait Kernel {
    /// Its code, if there is any.
    fn compile(&self, emitter: EmitterKind) -> Option<Code>;
}

impl Kernel for Sweep {
    fn compile(&self, emitter: EmitterKind) -> Option<Code> {
        compile_sweep(self, emitter).ok().flatten()
    }
}

impl Kernel for Routine {
    fn compile(&self, emitter: EmitterKind) -> Option<Code> {
        compile(self, emitter, Cpu::host()).ok()
    }
}

impl<K: Kernel> Deferred<K> {
    pub(super) fn new(kernel: K, emitter: EmitterKind) -> Deferred<K> {
        Deferred { kernel, emitter, code: OnceLock::new() }
    }

    pub(super) fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Its code, if there is any: what runs without it takes longer.
    pub(super) fn code(&self) -> Option<&Code> {
        self.code.get_or_init(|| self.kernel.compile(self.emitter)).as_ref()
    }
}
