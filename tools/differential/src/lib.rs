//! A differential test: random graphs, compiled in every way that Kiln has.
//!
//! ```text
//! cargo run --release -p kiln-differential -- --count 1000000          from seed 0
//! cargo run --release -p kiln-differential -- --seed 7 --count 1       one case
//! cargo run --release -p kiln-differential -- --replay failure.txt     a case as it was printed
//! ```
//!
//! A case (`draw`) is a typed graph, made of single ops and of fragments such as both sides of every
//! rule of the algebra, with inputs full of special and extreme values, laid out in any way. What
//! must hold of it (`check`): it reads back as it prints; strict mode has the bits of what was
//! written, whatever the emitter, the layout and the number of threads; the other modes have the
//! same bits on all emitters; each op is within its bound of the reference; and precise mode is
//! never NaN, infinite or far off where what was written is not, judged (`judge`) by an evaluation
//! with 200 bits (`truth`). A failure is made small (`shrink`) and printed so that it can be
//! replayed (`replay`).

#[allow(missing_docs)]
pub mod dump;
mod array;
mod check;
mod cli;
mod draw;
mod idioms;
mod judge;
mod numbers;
mod replay;
mod rng;
mod run;
mod shrink;
mod truth;

pub use cli::Cli;
pub use run::{Report, run};
