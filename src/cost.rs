//! What fusion must know about the generated code: the cost and the bits of each op.

use crate::fuse::CostModel;
use crate::lower::{self, Tier, op_program_in};
use crate::mode::Mode;
use kiln_ir::{DType, Op};
use kiln_jit::emit::cost;
use std::sync::LazyLock;

/// Only fast mode may trade the accuracy of an op for its speed.
pub(crate) fn tier(mode: Mode) -> Tier {
    if mode == Mode::Fast { Tier::Fast } else { Tier::Default }
}

/// What fusion must know about the code that `lower` makes: its cost and its bits.
pub fn cost_model(mode: Mode) -> &'static CostModel {
    static DEFAULT: LazyLock<CostModel> = LazyLock::new(|| {
        CostModel::new(|op, dtype| op_cost(Tier::Default, op, dtype), lower::compute)
    });
    static FAST: LazyLock<CostModel> = LazyLock::new(|| {
        CostModel::new(|op, dtype| op_cost(Tier::Fast, op, dtype), lower::compute)
    });
    match tier(mode) {
        Tier::Default => &DEFAULT,
        Tier::Fast => &FAST,
    }
}

/// The cost of an op, from its own expansion.
fn op_cost(tier: Tier, op: Op, dtype: DType) -> u64 {
    cost::weight(&op_program_in(tier, op, dtype))
}
