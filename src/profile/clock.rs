//! The clock. That of the standard library panics where WebAssembly has no system.

#[cfg(target_family = "wasm")]
pub(super) use quanta::Instant;
#[cfg(not(target_family = "wasm"))]
pub(super) use std::time::Instant;
