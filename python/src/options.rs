//! How to compile, as keyword arguments.

use crate::array::Foreign;
use kiln::{CompileOptions, EmitterKind, Mode};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What `kiln.compile` is told besides the text.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) emitter: EmitterKind,
    pub(crate) threads: Option<usize>,
    pub(crate) foreign: Foreign,
    /// Whether ops are merged, or each is a kernel, to compare with.
    pub(crate) fuse: bool,
}

impl Options {
    pub(crate) fn new(
        mode: &str,
        emitter: &str,
        threads: Option<isize>,
        copy: bool,
    ) -> PyResult<Options> {
        let count = |threads: isize| match usize::try_from(threads) {
            Ok(threads @ 1..) => Ok(threads),
            _ => Err(PyValueError::new_err(format!(
                "threads is {threads}: use 1 or more, or None for all"
            ))),
        };
        let value = |error: String| PyValueError::new_err(error);
        Ok(Options {
            mode: mode.parse().map_err(|error: kiln::UnknownMode| value(error.to_string()))?,
            emitter: emitter
                .parse()
                .map_err(|error: kiln::UnknownEmitter| value(error.to_string()))?,
            threads: threads.map(count).transpose()?,
            foreign: if copy { Foreign::Copy } else { Foreign::Refuse },
            fuse: true,
        })
    }

    pub(crate) fn compile_options(self) -> CompileOptions {
        let options = if self.fuse { CompileOptions::new() } else { CompileOptions::unfused() };
        let options = options.mode(self.mode).emitter(self.emitter);
        match self.threads {
            Some(threads) => options.threads(threads),
            None => options,
        }
    }
}
