//! How many vectors go side by side.
//!
//! A body is a chain of dependent instructions, and of long ones too few turns fit into the
//! processor's window to keep it busy. So a turn handles several vectors, instruction by
//! instruction. More of them need more registers, which constants could have, or which there are
//! not: what is spilled costs loads and stores. So what a body needs of them decides, unless its
//! chain is so long that nothing else hides its latency.
//!
//! Measured on a Zen 5 core in L1, ns per element with 1, 2, 4, 6 and 8 vectors; `p` is the pressure
//! of one, `c` its chain:
//!
//! | | p | c | 1 | 2 | 4 | 6 | 8 |
//! |---|---|---|---|---|---|---|---|
//! | AVX-512 f32 silu | 3 | 16 | .170 | .148 | .135 | .130 | .133 |
//! | AVX-512 f32 gelu | 6 | 24 | .304 | .274 | .242 | .271 | .287 |
//! | AVX-512 f32 asinh | 7 | 28 | .428 | .385 | .322 | .287 | .307 |
//! | AVX-512 f64 log1p | 8 | 23 | .538 | .495 | .481 | .494 | .547 |
//! | AVX-512 f64 erf | 6 | 39 | 1.29 | 1.08 | .990 | .870 | .824 |
//! | AVX-512 f32 mish | 7 | 54 | 1.10 | .969 | .676 | .552 | .510 |
//! | AVX2 f32 silu | 3 | 16 | .273 | .258 | .249 | .248 | .250 |
//! | AVX2 f32 tan | 8 | 23 | .752 | .640 | .773 | .911 | 1.04 |
//! | AVX2 f32 acosh | 6 | 25 | .678 | .647 | .556 | .559 | .755 |
//! | AVX2 f64 erf | 6 | 39 | 2.48 | 2.04 | 2.02 | 1.74 | 1.64 |
//! | AVX2 f32 mish | 7 | 54 | 2.15 | 1.84 | 1.31 | 1.14 | 1.13 |

use super::super::MAX_VECTOR;
use super::isa::{Class, Isa};
use super::machine::{Form, Function, Inst};
use super::pressure::{hot, pressure};
use crate::vir::Program;

/// Bodies of up to so many instructions run one vector at a time: the window holds turns enough.
const SHORT: usize = 8;
/// The most vectors of a body whose chain is not long.
const MOST: usize = 6;
/// A longer chain than this takes [`LONG_CHAIN_MOST`] vectors, spills or not.
const LONG_CHAIN: usize = 34;
const LONG_CHAIN_MOST: usize = 8;

/// How many vectors the main loop handles side by side, given the program of one.
pub(super) fn side_by_side(program: &Program, single: &Function) -> usize {
    let computes = |inst: &&Inst| !matches!(inst.form, Form::Store { .. } | Form::Splat);
    if hot(single).filter(computes).count() <= SHORT {
        return 1;
    }
    let widest = program.types.iter().map(|ty| ty.bits() as usize / 8).max().unwrap_or(1);
    let room = MAX_VECTOR / (single.lanes * widest);
    let chain = chain(single);
    if chain > LONG_CHAIN {
        return LONG_CHAIN_MOST.min(room);
    }
    let registers = single.isa.registers(Class::Vector).0 as usize;
    // Some are for constants.
    let without_spills = (registers - registers / 8) / pressure(single).max(1);
    let worth_spills = match single.isa {
        Isa::Avx512 => chain / 5,
        Isa::Avx2 => chain / 8,
    };
    without_spills.max(worth_spills).clamp(2, MOST).min(room)
}

/// The number of instructions of the longest chain, each of which waits for the one before.
fn chain(function: &Function) -> usize {
    let mut depths = vec![0; function.classes.len()];
    for inst in hot(function).filter(|inst| inst.form != Form::Splat) {
        let Some(def) = inst.def else { continue };
        let longest = inst.reads().map(|reg| depths[reg.0 as usize]).max();
        depths[def.0 as usize] = longest.unwrap_or(0) + 1;
    }
    depths.into_iter().max().unwrap_or(0)
}
