//! Measuring: how long something takes, what it does meanwhile, and what follows of both.
//!
//! | | |
//! |---|---|
//! | [`Profiler`] | a kernel with its inputs, or any code ([`profile_fn`]), ready to be measured |
//! | [`Race`] | profilers measured against each other, round by round |
//! | [`Latency`] | a call's time: median, minimum, spread |
//! | [`Counts`], [`Flops`] | a call's operations, bytes and memory, exactly |
//! | [`Roofline`] | what this machine can do at most, and how near to it a profile [is](Roofline::place) |
//! | [`Workload`], [`Technique`], [`Score`], [`Priorities`] | which technique to reach for, before anything is measured |
//! | [`Profile`], [`Profiles`], [`Comparison`] | what was found; all print as text |
//!
//! [The guide](crate::guide::measuring) begins with examples, and says what is counted and what is not.

mod clock;
mod counts;
mod error;
mod flops;
mod latency;
mod profiler;
mod race;
mod report;
mod roofline;
mod units;
mod workload;

pub use counts::Counts;
pub use error::ProfileError;
pub use flops::Flops;
pub use latency::Latency;
pub use profiler::{Profiler, profile_fn, try_profile_fn};
pub use race::Race;
pub use report::{Comparison, NOISY, Profile, Profiles};
pub use roofline::{Access, Bandwidth, Level, Peak, Placed, Resources, Roof, Roofline, Way};
pub use workload::{Degree, Priorities, Priority, Score, Technique, Workload};
