//! A function of one `f32`, on all 2^32 of them.
//!
//! Inputs are taken in blocks of consecutive bit patterns, at a few nanoseconds an input:
//!
//! 1. each program runs on the block, as compiled by every emitter; outputs are hashed, and
//!    compared with those of the fastest emitter;
//! 2. a *fast reference* is computed: the formula of the function in `f64`, itself compiled by
//!    Kiln, good to a few ULP of `f64`, which is a hundred-millionth of an ULP of `f32`;
//! 3. one vector loop ([`scan`]) gives the block's largest error against it.
//!
//! The fast reference shares code with what is measured, so it decides nothing alone. Whatever
//! comes within [`MARGIN`] of the largest error known, and whatever looks wrong in kind, is judged
//! by the *precise reference*: `core-math`'s correctly rounded function of the same argument in
//! `f64`, or the formula in such functions. And 8 inputs of each block of 2048, at places that
//! differ from block to block, are judged by the precise reference whatever the fast one says;
//! [`Tally::reference_gap`] is the largest difference between the two, and a gap above
//! [`MARGIN`] fails the measurement. To go unseen, an error would have to be in both `f64` and
//! `f32` code, and be confined to a few hundred neighbouring numbers.

use crate::function::Function;
use crate::program::{Program, compile, run};
use crate::record::{Hashes, Tally, emitter_name};
use crate::scan::{BLOCK, Expected, Scan, hash, mix, scan};
use crate::ulp::{Verdict, judge};
use kiln::ir::Flags;
use kiln::{CompileError, DType, EmitterKind, Kernel, Mode};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks of all bit patterns.
pub(crate) const BLOCKS: u64 = (1 << 32) / BLOCK as u64;

/// How near to the largest error, in ULP, an input is judged precisely; more than the fast
/// references are wrong by.
pub(crate) const MARGIN: f64 = 1e-3;

/// One input in this many is judged precisely in any case.
const SAMPLE: usize = 256;

/// The interpreter runs on one block in this many.
const INTERPRETED: u64 = 1024;

/// Blocks that a thread takes at a time.
const TASK: u64 = 256;

/// How many results that are wrong in kind are judged precisely; the fast reference counts the rest.
const CONFIRMED: u64 = 10_000;

/// A measurement that is ready to run.
pub(crate) struct Exhaustive<'a> {
    function: &'a Function,
    programs: &'a [Program],
    reference: Kernel,
    /// Every `stride`-th block only.
    stride: u64,
    /// The largest errors so far, of all threads, to be passed: `[program][normal, subnormal]`.
    known: Vec<[AtomicU64; 2]>,
}

/// A thread's buffers.
struct Buffers {
    inputs: Vec<f32>,
    results: Vec<f32>,
    others: Vec<f32>,
    references: Vec<f64>,
}

/// Consecutive inputs, what the fastest emitter makes of them, and what it should.
struct Block<'a> {
    number: u64,
    inputs: &'a [f32],
    results: &'a [f32],
    references: &'a [f64],
}

impl<'a> Exhaustive<'a> {
    pub(crate) fn new(
        function: &'a Function,
        programs: &'a [Program],
        stride: u64,
    ) -> Result<Exhaustive<'a>, CompileError> {
        let reference = compile(&function.reference_graph(), Mode::Strict, EmitterKind::Auto)?;
        let known = programs.iter().map(|_| Default::default()).collect();
        Ok(Exhaustive { function, programs, reference, stride, known })
    }

    /// Measures a range of blocks on all threads: one tally for each program. `step` is called with
    /// the number of blocks of each finished task.
    pub(crate) fn measure(&self, blocks: Range<u64>, step: impl Fn(u64) + Sync) -> Vec<Tally> {
        let tasks = (blocks.end - blocks.start).div_ceil(TASK);
        let none = || vec![Tally::default(); self.programs.len()];
        (0..tasks)
            .into_par_iter()
            .map(|task| {
                let start = blocks.start + task * TASK;
                let end = (start + TASK).min(blocks.end);
                let mut buffers = Buffers {
                    inputs: vec![0.0; BLOCK],
                    results: vec![0.0; BLOCK],
                    others: vec![0.0; BLOCK],
                    references: vec![0.0; BLOCK],
                };
                let mut tallies = none();
                for block in (start..end).filter(|block| self.takes(*block)) {
                    self.block(block, &mut buffers, &mut tallies);
                }
                step(end - start);
                tallies
            })
            .reduce(none, |left, right| {
                left.into_iter().zip(right).map(|(a, b)| a.merge(b)).collect()
            })
    }

    /// Whether a block is in the sample: both halves take the same, for their hashes to compare.
    fn takes(&self, block: u64) -> bool {
        mix(block % (BLOCKS / 2)).is_multiple_of(self.stride)
    }

    fn block(&self, number: u64, buffers: &mut Buffers, tallies: &mut [Tally]) {
        let Buffers { inputs, results, others, references } = buffers;
        let first = number as u32 * BLOCK as u32;
        for (place, input) in inputs.iter_mut().enumerate() {
            *input = f32::from_bits(first + place as u32);
        }
        run(&self.reference, &[&*inputs], references);
        let negative = first >> 31 != 0;
        let odd = negative && self.function.has(Flags::ODD);
        let (low, high) = self.function.range();
        let expected = Expected {
            range: (low as f32, high as f32),
            flip: if odd { 1 << 31 } else { 0 },
            falls: negative,
        };
        for (index, (program, tally)) in self.programs.iter().zip(tallies).enumerate() {
            let (fastest, rest) = program.kernels.split_first().expect("some emitter works");
            run(&fastest.1, &[&*inputs], results);
            let found = scan(results, references, expected);
            let block = Block { number, inputs, results, references };
            add_hash(tally, fastest.0, found.hash, number);
            for (emitter, kernel) in rest {
                run(kernel, &[&*inputs], others);
                let hash = hash(others, expected.flip);
                add_hash(tally, *emitter, hash, number);
                if hash != found.hash {
                    differ(tally, *emitter, &block, others);
                }
            }
            if mix(!number).is_multiple_of((INTERPRETED / self.stride).max(1)) {
                run(&program.interpreter, &[&*inputs], others);
                if hash(others, expected.flip) != found.hash {
                    differ(tally, EmitterKind::Interp, &block, others);
                }
                tally.interpreted += BLOCK as u64;
            }
            tally.inputs += BLOCK as u64;
            tally.turns += found.turns;
            self.judge_block(index, found, &block, tally);
            self.sample(index, &block, tally);
        }
    }

    /// Judges what the fast reference finds worth it.
    fn judge_block(&self, index: usize, found: Scan, block: &Block<'_>, tally: &mut Tally) {
        let least = self.known[index]
            .each_ref()
            .map(|known| (f64::from_bits(known.load(Ordering::Relaxed)) - MARGIN).max(0.0));
        let interesting = |regime: usize| found.worst[regime] > least[regime].to_bits();
        if !found.odd && !interesting(0) && !interesting(1) {
            return;
        }
        let (low, high) = self.function.range();
        for (place, &reference) in block.references.iter().enumerate() {
            let (input, got) = (block.inputs[place], f64::from(block.results[place]));
            if self.promises_nothing(input) {
                continue;
            }
            tally.outside += u64::from(got < low || got > high);
            let doubtful = match judge(DType::F32, got, reference) {
                Verdict::Ulp { error, subnormal } => error > least[usize::from(subnormal)],
                Verdict::Failure(failure) => {
                    let seen = tally.failures.get(&failure).map_or(0, |failed| failed.count);
                    if seen >= CONFIRMED {
                        tally.add(Verdict::Failure(failure), &[f64::from(input)]);
                    }
                    seen < CONFIRMED
                }
            };
            if doubtful {
                self.judge_one(index, input, got, tally);
            }
        }
    }

    /// Composites may make a NaN of an infinity (-inf * 0).
    fn promises_nothing(&self, input: f32) -> bool {
        input.is_infinite() && self.function.op().is_none()
    }

    /// Judges one result by the precise reference.
    fn judge_one(&self, index: usize, input: f32, got: f64, tally: &mut Tally) {
        let input = f64::from(input);
        let verdict = judge(DType::F32, got, self.function.float(&[input]));
        tally.add(verdict, &[input]);
        if let Verdict::Ulp { error, subnormal } = verdict {
            // Bits of numbers that are not negative are in the order of the numbers.
            self.known[index][usize::from(subnormal)].fetch_max(error.to_bits(), Ordering::Relaxed);
        }
    }

    /// Judges a few results by the precise reference, and the fast reference too.
    fn sample(&self, index: usize, block: &Block<'_>, tally: &mut Tally) {
        let from = mix(block.number ^ index as u64) as usize % SAMPLE;
        for place in (from..BLOCK).step_by(SAMPLE) {
            let (input, reference) = (block.inputs[place], block.references[place]);
            if self.promises_nothing(input) {
                continue;
            }
            let exact = self.function.float(&[f64::from(input)]);
            // A failure of both stays unseen here, and is one of `judge_block`'s.
            if let Verdict::Ulp { error, .. } = judge(DType::F32, reference, exact) {
                tally.reference_gap = tally.reference_gap.max(error);
            } else if DType::F32.round(reference).to_bits() != DType::F32.round(exact).to_bits() {
                // JSON has no infinity.
                tally.reference_gap = f64::MAX;
            }
            tally.checked += 1;
            let verdict = judge(DType::F32, f64::from(block.results[place]), exact);
            if matches!(verdict, Verdict::Ulp { .. }) {
                tally.add(verdict, &[f64::from(input)]);
            }
        }
    }
}

/// Adds an emitter's hash of a block to those of its half, whatever the order of blocks.
fn add_hash(tally: &mut Tally, emitter: EmitterKind, hash: u64, number: u64) {
    let half = BLOCKS / 2;
    let Hashes(sums) = tally.hashes.entry(emitter_name(emitter)).or_default();
    let sum = &mut sums[(number / half) as usize];
    *sum = sum.wrapping_add(mix(hash ^ mix(number % half)));
}

/// Notes the first input of a block at which another emitter's results differ.
fn differ(tally: &mut Tally, emitter: EmitterKind, block: &Block<'_>, others: &[f32]) {
    let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    let first = (0..BLOCK).find(|&place| !same(block.results[place], others[place]));
    if let Some(place) = first {
        let at = vec![f64::from(block.inputs[place]).to_bits()];
        let known = tally.differs.entry(emitter_name(emitter)).or_insert_with(|| at.clone());
        *known = at.min(known.clone());
    }
}
