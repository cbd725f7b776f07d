//! When results bypass the caches.

use super::Stage;
use super::setup::Setup;
use super::{LINE, Program, sweep};
use crate::lower::rows::Per;
use crate::run::exec::stream_above;
use crate::run::view::Layout;
use kiln_jit::cpu::{last_level_cache, last_level_is_far, second_level_cache};

impl Setup {
    /// Bytes read and written from which on results bypass the caches.
    ///
    /// A last stage that reads its rows from a cache and stores them waits for nothing but its stores, so
    /// these pay earlier than in one pass over everything: layer norm of 16 MB on a Zen 4 (32 MiB of
    /// cache) took .32 to .39 ns an element past the caches and .41 to .45 through them. Where what an
    /// earlier stage stores lies in the memory of results, they are in a cache already: softmax takes .48
    /// and .45. That was before memory was asked for the next tile's rows: with it, softmax of (65536, 64)
    /// takes .45 and .48, of (131072, 32) .68 and .72, but of (64, 65536) .37 and .35.
    ///
    /// In a cache that is far, results of as many bytes as a plain pass keeps there are no slower than past it, and
    /// rows from afar are: on a Xeon 6, whose core has some 32 MiB of such, softmax of (4096, 1024) takes .29 ns an
    /// element through the caches and .32 past them, of (65536, 64) .33 and .36, layer norm .285 and .31, .30 and .33;
    /// but softmax of (8192, 1024) .42 and .335, of (16384, 1024) .78 and .35. Stage by stage the difference is larger:
    /// softmax of (43690, 96) .44 and .70, layer norm .41 and .61, softmax of (131072, 32) .63 and .73. Where rows
    /// share vectors, or are too long for a sweep, that is so only if an earlier stage stores there what later ones read: of
    /// (262144, 16) softmax takes .64 and .73, RMS norm .60 and .55, layer norm of (32, 65536) in `f64` 1.55 and 1.42.
    pub(super) fn stream_above(&self, program: Program<'_>) -> f64 {
        match last_level_is_far() && (self.is_early(program) || self.stores_early(program, 2)) {
            true => stream_above() as f64,
            false => self.near_above(program),
        }
    }

    /// Bytes read and written from which on rows come from so far that memory is worth asking for them ahead. What
    /// is far begins after the second level on a Xeon 6: there layer norm of (2000, 256) took .385 ns an element, and
    /// a copy .14 to .27.
    pub(super) fn large_above(&self, program: Program<'_>) -> f64 {
        match last_level_is_far() && self.is_early(program) {
            true => second_level_cache() as f64,
            false => self.near_above(program),
        }
    }

    /// Whether rows are swept, or so short that they could be: then neither they nor results wait long for what is far.
    fn is_early(&self, program: Program<'_>) -> bool {
        let is_apart = !self.is_flat && !self.side_by_side;
        let is_short = is_apart && sweep::row_bytes(self) < sweep::WAITING;
        is_short || sweep::pays(program, self, true)
    }

    /// Both where the last level is near.
    fn near_above(&self, program: Program<'_>) -> f64 {
        const LONG: usize = 64 << 10;
        let sweeps = sweep::pays(program, self, true);
        let is_long = sweep::row_bytes(self) > LONG;
        match is_long && !sweeps && self.stores_early(program, 1) {
            true => stream_above() as f64,
            false => last_level_cache() as f64 / 2.0,
        }
    }

    /// Whether an early stage stores what lies in the memory of results, and so many later ones read.
    fn stores_early(&self, program: Program<'_>, readers: usize) -> bool {
        let outputs = program.inputs..program.operands();
        let lies_there = |&slot: &usize| {
            let of = program.slots[slot];
            of.reads >= readers && of.shares.is_some_and(|other| outputs.contains(&other))
        };
        program.stages.iter().any(|stage| match stage {
            Stage::Each(map) => self.code_of(map).2.iter().any(lies_there),
            _ => false,
        })
    }

    /// Whether rows of results begin and end where lines of a cache do, or are so long that it matters little
    /// if they do not. A line that is stored half through the caches, next to lines that are not, costs some
    /// 60 ns on a Zen 4: rows of 64 `f32` that begin 16 bytes after a line took 3.7 ns an element, .23 in lines.
    pub(super) fn rows_are_lines(&self, program: Program<'_>, operands: &[&Layout]) -> bool {
        const LONG: usize = 8 << 10;
        let is_element = |slot: &usize| program.slots[*slot].per == Per::Element;
        (program.inputs..program.operands()).filter(is_element).all(|slot| {
            let (grid, run) = (&self.grid, self.grid.runs().0);
            let (step, len) = match self.side_by_side {
                // A run of few rows is as one of them.
                true if self.group.is_some() => (0, grid.len.saturating_mul(run)),
                true => (grid.element_step(slot).unwrap_or(0), run),
                false => (grid.row_step(slot), grid.len),
            };
            let outer = grid.kept.iter().rev().skip(1).map(|axis| axis.steps[slot].unsigned_abs());
            let begins = operands[slot].base.addr() | step.unsigned_abs();
            let begins = outer.fold(begins, |all, step| all | step);
            begins.is_multiple_of(LINE) || len.saturating_mul(self.sizes[slot]) >= LONG
        })
    }
}
