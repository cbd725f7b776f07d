//! The one error type: a message and an exit status.

use kiln::profile::ProfileError;
use kiln::{CompileError, RunError};
use std::process::ExitCode;

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command is wrong: its flags, names or KERNEL. Exit status 2.
    Usage(String),
    /// The command is right, and it did not work: files, shapes, memory. Exit status 1.
    Failed(String),
    /// Whoever read the results has seen enough and closed the pipe, which is no failure.
    NobodyReads,
}

impl Failure {
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Failure::Usage(message) | Failure::Failed(message) => Some(message),
            Failure::NobodyReads => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::FAILURE,
            Failure::NobodyReads => ExitCode::SUCCESS,
        }
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Failure {
        Failure::Failed(error.to_string())
    }
}
