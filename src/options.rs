//! How to compile.

use crate::mode::Mode;
use kiln_jit::emit::EmitterKind;

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    pub(crate) mode: Mode,
    pub(crate) emitter: EmitterKind,
    pub(crate) threads: Option<usize>,
    pub(crate) fuse: bool,
}

impl Default for CompileOptions {
    fn default() -> CompileOptions {
        CompileOptions {
            mode: Mode::Precise,
            emitter: EmitterKind::Auto,
            threads: None,
            fuse: true,
        }
    }
}

impl CompileOptions {
    /// [`Mode::Precise`], the fastest emitter, all threads of the pool, fused.
    pub fn new() -> CompileOptions {
        CompileOptions::default()
    }

    /// One kernel for each op, as written, with a real temporary for each result, which has a place of its own
    /// until the call ends. Fused code is compared with it. The mode does not matter, since nothing is rewritten.
    pub fn unfused() -> CompileOptions {
        CompileOptions { fuse: false, ..CompileOptions::default() }
    }

    /// How much rewrites may change.
    pub fn mode(self, mode: Mode) -> CompileOptions {
        CompileOptions { mode, ..self }
    }

    /// Which emitter makes the code.
    pub fn emitter(self, emitter: EmitterKind) -> CompileOptions {
        CompileOptions { emitter, ..self }
    }

    /// The most threads a call uses, of the rayon pool it is made from; 1 stays on the caller's
    /// thread, as every call does without the feature `threads`.
    pub fn threads(self, threads: usize) -> CompileOptions {
        CompileOptions { threads: Some(threads.max(1)), ..self }
    }
}
