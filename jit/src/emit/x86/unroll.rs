//! How many vectors the main loop is unrolled by.
//!
//! A body is a chain of dependent instructions; if it is long, too few iterations fit into the
//! processor's window to keep it busy. So one iteration handles several vectors, instruction by
//! instruction. More vectors need more registers, which constants could have used or which do not
//! exist: spills cost loads and stores, and a longer chain hides more of those.
//!
//! Measured on a Zen 5 core in L1, ns per element with 1 to 8 vectors; `p` is the pressure of one,
//! `c` its chain. The rule below is within 2 % of the best number on average, over 48 such bodies
//! on both instruction sets in both float types, and within 13 % everywhere:
//!
//! | | p | c | 1 | 2 | 3 | 4 | 5 | 6 | 8 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | AVX-512 f32 silu | 4 | 20 | .238 | .209 | .198 | .197 | .189 | .191 | .185 |
//! | AVX-512 f32 log, cold | 4 | 18 | .239 | .223 | .237 | .239 | .237 | .266 | .308 |
//! | AVX-512 f32 gelu | 8 | 19 | .278 | .261 | .250 | .259 | .265 | .274 | .278 |
//! | AVX-512 f32 mish | 6 | 48 | 1.04 | .891 | .758 | .638 | .575 | .529 | .485 |
//! | AVX-512 f64 cosh | 5 | 23 | .494 | .455 | .418 | .412 | .404 | .380 | .364 |
//! | AVX-512 f64 atanh, cold | 9 | 29 | 1.46 | 1.26 | 1.15 | 1.18 | 1.37 | 1.33 | 1.34 |
//! | AVX-512 f64 erf | 6 | 39 | 1.27 | 1.12 | 1.11 | 1.04 | .963 | .912 | .864 |
//! | AVX2 f32 tan, cold | 8 | 23 | .788 | .666 | .690 | .786 | .861 | .955 | 1.08 |
//! | AVX2 f32 gelu_tanh | 4 | 23 | .541 | .491 | .449 | .425 | .393 | .402 | .423 |
//! | AVX2 f64 log1p, cold | 8 | 24 | 1.59 | 1.80 | 2.06 | 2.15 | 2.16 | 2.34 | 2.60 |
//! | AVX2 f64 silu | 4 | 25 | 1.19 | 1.06 | .995 | .930 | .886 | .889 | .895 |
//! | AVX2 f64 pow | 11 | 47 | 4.37 | 3.70 | 3.03 | 2.77 | 2.89 | 3.17 | 3.43 |
//! | AVX2 f64 mish | 9 | 64 | 6.44 | 5.40 | 4.22 | 3.57 | 3.27 | 3.05 | 2.87 |

use super::super::MAX_VECTOR;
use super::isa::{Class, Isa};
use super::pressure::{hot, pressure};
use super::program::{Form, Function, Inst, Reg};
use crate::vir::{Routine, STRIPE_BYTES};

/// Bodies of up to this many instructions are short: enough iterations fit into the window.
const SHORT: usize = 4;
/// Vectors of a short body: then little of what a core does is the loop. On a Zen 4 with AVX-512, (4, 1024), one and
/// several: `x * x + x` .146 and .142 ns an element, relu .136 and .131; with AVX2 .195 and .180, .184 and .168.
/// Layer norm of (256, 1024) .188 and .181, but of (200, 48) .530 and .545.
const SEVERAL: usize = 4;
/// The most vectors.
const MOST: usize = 8;
/// The same of rows that have numbers of their own, which may be short: what more vectors leave of a row
/// goes one by one. On a Zen 4 layer norm of rows of 64 takes .51 ns an element, .55 with 8 vectors; of
/// rows of 1024 .24 with both.
const MOST_OF_ROW: usize = 4;
/// Instructions in the processor's window.
const WINDOW: usize = 512;
/// Bodies of fewer instructions are short enough for any number of vectors.
const LONG: usize = 4 * WINDOW;
/// Window instructions per link of the longest chain: with this many in flight, each of some four
/// cycles, a core is fully busy.
const BUSY: usize = 6;
/// The part of a chain that the next iteration hides.
const HIDDEN: usize = 5;

/// How many vectors one iteration of the main loop handles, given the machine program for one.
pub(super) fn unroll(routine: &Routine, single: &Function) -> usize {
    let computes = |inst: &&Inst| !matches!(inst.form, Form::Store { .. } | Form::Splat);
    if is_busy(single) {
        return 1;
    }
    // Inputs that are never loaded have pads too.
    let inputs = routine.inputs.iter().map(|storage| storage.size());
    let lanes = routine.body().types.iter().map(|ty| ty.bits() as usize / 8);
    let widest = lanes.chain(inputs).max().unwrap_or(1);
    let has_scalars = (0..routine.inputs.len()).any(|slot| routine.is_scalar(slot));
    // What is as short as a strip should be an iteration, not the rest of one.
    let most = match routine.in_strips {
        _ if has_scalars => MOST_OF_ROW,
        true => STRIPE_BYTES / single.isa.bytes(),
        false => MOST,
    };
    let room = (MAX_VECTOR / (single.lanes * widest)).min(most);
    if hot(single).filter(computes).count() <= SHORT {
        return room.min(SEVERAL);
    }
    let (chain, pressure) = (chain(single), pressure(single).max(1));
    let registers = single.isa.registers(Class::Vector).0 as usize;
    // Some registers are for constants.
    let without_spills = (registers - registers / 8) / pressure;
    // The longer the chain still to hide, the more registers are worth their spills.
    let by_registers = |registers| registers * chain.saturating_sub(HIDDEN) / (4 * pressure.max(4));
    let (worth_spills, most) = match (single.isa, routine.body().cold.is_empty()) {
        (Isa::Avx512, true) => (by_registers(7).max(chain / 8), room),
        (Isa::Avx2, true) => (by_registers(5).max(chain / 8), room),
        // Before a cold region every value is put in its place.
        (Isa::Avx512, false) => (by_registers(7), room.min(4)),
        (Isa::Avx2, false) => (chain / 9, room.min(3)),
    };
    without_spills.max(worth_spills).max(2).min(most)
}

/// The length of the longest chain of instructions, each waiting for the one before.
fn chain(function: &Function) -> usize {
    Chains::new(function).longest(hot(function))
}

/// Whether one vector keeps the processor busy: a body of many windows, each full of independent
/// instructions. More vectors would only add code.
fn is_busy(single: &Function) -> bool {
    let insts: Vec<&Inst> = hot(single).collect();
    if insts.len() < LONG {
        return false;
    }
    let mut chains = Chains::new(single);
    let longest = insts.chunks(WINDOW).map(|window| chains.longest(window.iter().copied()));
    insts.len() >= BUSY * longest.sum::<usize>()
}

/// For each register, the depth of the chain behind it within a stretch.
struct Chains {
    depths: Vec<(u32, usize)>,
    stretch: u32,
}

impl Chains {
    fn new(function: &Function) -> Chains {
        Chains { depths: vec![(0, 0); function.classes.len()], stretch: 0 }
    }

    /// The longest chain of a stretch; earlier results count as ready.
    fn longest<'a>(&mut self, insts: impl Iterator<Item = &'a Inst>) -> usize {
        self.stretch += 1;
        let mut longest = 0;
        for inst in insts.filter(|inst| inst.form != Form::Splat) {
            let Some(def) = inst.def else { continue };
            let depth = |reg: Reg| match self.depths[reg.0 as usize] {
                (stretch, depth) if stretch == self.stretch => depth,
                _ => 0,
            };
            let below = inst.reads().map(depth).max().unwrap_or(0);
            self.depths[def.0 as usize] = (self.stretch, below + 1);
            longest = longest.max(below + 1);
        }
        longest
    }
}
