//! What can go wrong, beside what DataFusion itself refuses.

use datafusion::error::DataFusionError;
use kiln::{CompileError, RunError, TextError};
use std::fmt;

/// Why a kernel is no function of DataFusion's, or could not run as one.
///
/// Its `Debug` is its text, for that is what Ballista sends of an error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The text is no kernel. The message shows where.
    #[error("{0}")]
    Text(#[from] TextError),
    /// The kernel could not be compiled.
    #[error("{0}")]
    Compile(#[from] CompileError),
    /// The kernel could not run.
    #[error("{0}")]
    Run(#[from] RunError),
    /// The kernel is valid, and not one that columns can go through.
    #[error("the kernel {name} is not a function of columns: {reason}")]
    Unfit {
        /// The name of the function.
        name: String,
        /// Why not, and what to write.
        reason: String,
    },
    /// A function got arguments that its kernel does not take.
    #[error("{name} takes {expected}, not ({found})")]
    Arguments {
        /// The name of the function.
        name: String,
        /// What it takes.
        expected: String,
        /// The types that it got.
        found: String,
    },
    /// The bytes that came with a plan are no function of ours, or damaged.
    #[error("a plan's payload for the kernel {name} is damaged: {reason}")]
    Payload {
        /// The name of the function in the plan.
        name: String,
        /// What is wrong with them.
        reason: String,
    },
}

impl fmt::Debug for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<KernelError> for DataFusionError {
    fn from(error: KernelError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}
