//! What can go wrong when something is measured or counted.

use crate::run::RunError;

/// Why there is no measurement, or no count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A measurement without samples.
    #[error("zero iterations measure nothing: ask for one or more")]
    NoIterations,
    /// A race without entrants.
    #[error("nothing to measure: add a profiler to the race first")]
    NoEntrants,
    /// A count above 2^64 - 1, or bytes above what can be addressed.
    #[error("{what} of a call of these shapes overflow: no machine runs it; are the sizes right?")]
    Overflow {
        /// What is counted.
        what: &'static str,
    },
    /// The kernel does not run on these inputs.
    #[error(transparent)]
    Run(#[from] RunError),
}
