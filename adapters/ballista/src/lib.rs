//! Kiln's kernels on a cluster of Apache Ballista, on one machine: what the tests and the example share.
//!
//! Nothing here is needed to use Kiln with Ballista but [`config`]: the codecs, given to every node.

pub mod data;
pub mod processes;

use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionConfig;
use kiln_datafusion::{FuseKernels, KilnCodec};
use std::sync::Arc;

/// A configuration through which kernels travel: for clients, schedulers and executors alike.
pub fn config() -> SessionConfig {
    with_codecs(SessionConfig::new_with_ballista())
}

fn with_codecs(config: SessionConfig) -> SessionConfig {
    let logical = KilnCodec::new(BallistaLogicalExtensionCodec::default());
    let physical = KilnCodec::new(BallistaPhysicalExtensionCodec::default());
    config
        .with_ballista_logical_extension_codec(Arc::new(logical))
        .with_ballista_physical_extension_codec(Arc::new(physical))
        // Through the network even where a file would do, as between machines.
        .with_ballista_shuffle_reader_force_remote_read(true)
        // Ballista's adaptive planner has a list of rules of its own, and runs none of a session's.
        .with_ballista_adaptive_query_planner(false)
}

/// The state of a client or an executor: the codecs, and no function.
pub fn state() -> SessionState {
    SessionStateBuilder::new().with_config(config()).with_default_features().build()
}

/// The state of a scheduler, which plans: it fuses what queries compute.
pub fn planner(config: SessionConfig) -> SessionState {
    let config = with_codecs(config);
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    FuseKernels::new().least_rows(0).install(builder).build()
}
