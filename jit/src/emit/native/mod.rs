//! Machine code: where it lies, how it is called, and what its emitters share.
//!
//! | file | |
//! |---|---|
//! | `launch.rs` | the ABI |
//! | `memory.rs` `slab.rs` | executable memory |
//! | `pool.rs` `live.rs` | constants, and which values are computed at all |
//! | `stream.rs` | stores that bypass the caches |

pub(super) mod launch;
pub(super) mod live;
pub(super) mod memory;
pub(super) mod pool;
#[cfg(target_os = "linux")]
mod slab;
pub(super) mod stream;
