//! A function with too many inputs to try all: of `f64`, or of two or three operands.
//!
//! Tried are the neighbourhoods of every special point, random points, and points near those with
//! the largest errors, again and again, as in the search of Gladman, Innocente, Mather, Ozaki and
//! Zimmermann. The error found is a lower bound of the true maximum.
//!
//! An `f32` result is judged by the correctly rounded `f64`. An `f64` result is first compared
//! with the correctly rounded one; where they differ, with that and what it lacks (`double`);
//! where the error could pass the largest known, with 200 bits. For composites, which no library
//! rounds correctly, that is everywhere.

use crate::big::Big;
use crate::double;
use crate::function::Function;
use crate::points::{Point, Random, neighbour, random_point, special_points};
use crate::program::{Program, run};
use crate::record::{Tally, emitter_name};
use crate::scan::mix;
use crate::ulp::{Verdict, judge};
use kiln::{DType, Element, Kernel};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// To be raised with every change of the search: what earlier searches found is then out of date.
pub(crate) const VERSION: u64 = 4;

/// More than [`double::ulp_error`] is wrong by, in ULP.
const MARGIN: f64 = 1e-5;

/// Points that a thread takes at a time.
const TASK: usize = 4096;

/// The interpreter runs on one task in this many.
const INTERPRETED: u64 = 16;

/// Rounds of the search, points from which each starts, and points that each tries near one.
const ROUNDS: u64 = 24;
const SEEDS: usize = 128;

/// How many points may be of one cell, a sixty-fourth of a binade of each operand. The largest
/// errors of the first round are often all in one place, and the maximum in another.
const OF_CELL: usize = 16;

const NEAR: u64 = 1024;
const NEAR_COMPOSITE: u64 = 128;

/// A sweep that is ready to run.
pub(crate) struct Sweep<'a> {
    pub(crate) function: &'a Function,
    pub(crate) dtype: DType,
    pub(crate) programs: &'a [Program],
    /// The largest errors so far: `[program][normal, subnormal]`.
    known: Vec<[AtomicU64; 2]>,
}

/// What a set of points gave: a tally for each program, and points with large errors.
type Found = (Vec<Tally>, Vec<(f64, Point)>);

impl<'a> Sweep<'a> {
    pub(crate) fn new(function: &'a Function, dtype: DType, programs: &'a [Program]) -> Sweep<'a> {
        let known = programs.iter().map(|_| Default::default()).collect();
        Sweep { function, dtype, programs, known }
    }

    /// Tries special points, `random` random ones, and searches. `step` is called with the number
    /// of points that are done.
    pub(crate) fn measure(&self, random: u64, step: impl Fn(u64) + Sync) -> Vec<Tally> {
        let special = special_points(self.function, self.dtype);
        let (mut tallies, mut seeds) = self.points(&special, &step);
        let tasks = random.div_ceil(TASK as u64);
        let of_task = |task: u64| {
            let range = task * TASK as u64..((task + 1) * TASK as u64).min(random);
            let points: Vec<Point> =
                range.map(|index| random_point(self.function, self.dtype, index)).collect();
            let found = self.task(&points);
            step(points.len() as u64);
            found
        };
        let found = (0..tasks).into_par_iter().map(of_task).reduce(|| self.none(), join);
        tallies = merge(tallies, found.0);
        seeds = strongest(seeds, found.1);
        for round in 0..ROUNDS {
            let mut dice = Random::new(round);
            let count = if self.function.op().is_some() { NEAR } else { NEAR_COMPOSITE };
            let near: Vec<Point> = seeds
                .iter()
                .flat_map(|(_, seed)| {
                    (0..count).map(|_| self.near(*seed, &mut dice)).collect::<Vec<_>>()
                })
                .collect();
            let found = self.points(&near, &step);
            tallies = merge(tallies, found.0);
            seeds = strongest(seeds, found.1);
        }
        tallies
    }

    /// A point at a random distance, all orders of magnitude being as likely.
    fn near(&self, seed: Point, dice: &mut Random) -> Point {
        let reach = if self.dtype == DType::F32 { 20 } else { 48 };
        let mut point = seed;
        for operand in &mut point[..self.function.arity()] {
            let shift = dice.bits() % reach;
            let steps = (dice.bits() & ((2 << shift) - 1)) as i64 - (1 << shift);
            *operand = neighbour(self.dtype, *operand, steps);
        }
        point
    }

    fn none(&self) -> Found {
        (vec![Tally::default(); self.programs.len()], Vec::new())
    }

    fn points(&self, points: &[Point], step: &(impl Fn(u64) + Sync)) -> Found {
        let tasks = points.par_chunks(TASK).map(|chunk| {
            let found = self.task(chunk);
            step(chunk.len() as u64);
            found
        });
        // In order, so that equal errors leave the same seeds in every run.
        tasks.collect::<Vec<_>>().into_iter().fold(self.none(), join)
    }

    fn task(&self, points: &[Point]) -> Found {
        // The interpreter is slow.
        let interpreted = mix(points[0][0].to_bits()).is_multiple_of(INTERPRETED);
        let results: Vec<Vec<Vec<f64>>> = match self.dtype {
            DType::F32 => self.results::<f32>(points, interpreted, |v| v as f32, f64::from),
            _ => self.results::<f64>(points, interpreted, |v| v, |v| v),
        };
        let (mut tallies, mut seeds) = self.none();
        for (place, point) in points.iter().enumerate() {
            let operands = &point[..self.function.arity()];
            let reference = Reference::new(self.function, self.dtype, operands);
            let mut largest = 0f64;
            for (index, tally) in tallies.iter_mut().enumerate() {
                let got = results[index][0][place];
                let (low, high) = self.function.range();
                tally.outside += u64::from(got < low || got > high);
                tally.inputs += 1;
                // Composites may make a NaN of an infinity: they promise nothing there.
                if self.function.op().is_none() && operands[0].is_infinite() {
                    continue;
                }
                let verdict = reference.judge(got, &self.known[index]);
                if let Verdict::Ulp { error, .. } = verdict {
                    largest = largest.max(error);
                }
                tally.add(verdict, operands);
                for ((emitter, _), others) in self.kernels(index).zip(&results[index]) {
                    let other = others[place];
                    if other.to_bits() != got.to_bits() && !(other.is_nan() && got.is_nan()) {
                        let at: Vec<u64> = operands.iter().map(|v| v.to_bits()).collect();
                        tally.differs.entry(emitter).or_insert(at);
                    }
                }
            }
            seeds.push((largest, *point));
        }
        if interpreted {
            tallies.iter_mut().for_each(|tally| tally.interpreted += points.len() as u64);
        }
        (tallies, strongest(seeds, Vec::new()))
    }

    /// The kernels of a program with their names, the fastest first and the interpreter last.
    fn kernels(&self, index: usize) -> impl Iterator<Item = (String, &Kernel)> {
        let program = &self.programs[index];
        let interpreter = ("interp".to_string(), &program.interpreter);
        let compiled = program.kernels.iter().map(|(kind, kernel)| (emitter_name(*kind), kernel));
        compiled.chain([interpreter])
    }

    /// `[program][emitter][point]`, the interpreter's last if it is asked for.
    fn results<T: Element>(
        &self,
        points: &[Point],
        interpreted: bool,
        narrow: impl Fn(f64) -> T,
        widen: impl Fn(T) -> f64,
    ) -> Vec<Vec<Vec<f64>>> {
        let columns: Vec<Vec<T>> = (0..self.function.arity())
            .map(|i| points.iter().map(|point| narrow(point[i])).collect())
            .collect();
        let slices: Vec<&[T]> = columns.iter().map(Vec::as_slice).collect();
        let of_kernel = |kernel: &Kernel| {
            let mut out = vec![T::default(); points.len()];
            run(kernel, &slices, &mut out);
            out.into_iter().map(&widen).collect()
        };
        (0..self.programs.len())
            .map(|index| {
                let count = self.programs[index].kernels.len() + usize::from(interpreted);
                self.kernels(index).take(count).map(|(_, kernel)| of_kernel(kernel)).collect()
            })
            .collect()
    }
}

/// What is known of the exact value at one point.
struct Reference<'a> {
    function: &'a Function,
    dtype: DType,
    operands: &'a [f64],
    near: f64,
    big: OnceCell<Option<Big>>,
}

impl<'a> Reference<'a> {
    fn new(function: &'a Function, dtype: DType, operands: &'a [f64]) -> Reference<'a> {
        let mut near = function.float(operands);
        let big = OnceCell::new();
        // Composites' formulas in f64 are not to be trusted where they leave the range.
        if dtype == DType::F64 && function.op().is_none() {
            let exact = function.big(operands);
            if let Some(exact) = &exact {
                near = exact.to_f64();
            }
            let _ = big.set(exact);
        }
        Reference { function, dtype, operands, near, big }
    }

    fn judge(&self, got: f64, known: &[AtomicU64; 2]) -> Verdict {
        let verdict = judge(self.dtype, got, self.near);
        let Verdict::Ulp { error, subnormal } = verdict else { return verdict };
        // An infinity that is not wrong is right; so is a NaN.
        if self.dtype == DType::F32 || !got.is_finite() {
            return verdict;
        }
        let known = &known[usize::from(subnormal)];
        let least = f64::from_bits(known.load(Ordering::Relaxed));
        if let Some(op) = self.function.op() {
            if error == 0.0 {
                // Correctly rounded, at worst half an ULP; an exact op is exact.
                let exact = self.function.is_exact() || self.near == 0.0 || !self.near.is_finite();
                return Verdict::Ulp { error: if exact { 0.0 } else { 0.5 }, subnormal };
            }
            let near = double::ulp_error(op, self.operands, self.near, got).unwrap_or(error + 0.5);
            if near + MARGIN <= least {
                return Verdict::Ulp { error: near - MARGIN, subnormal };
            }
        }
        match self.big.get_or_init(|| self.function.big(self.operands)) {
            Some(exact) => {
                let error = exact.ulp_error(self.dtype, got);
                known.fetch_max(error.to_bits(), Ordering::Relaxed);
                Verdict::Ulp { error, subnormal }
            }
            None => verdict,
        }
    }
}

fn merge(left: Vec<Tally>, right: Vec<Tally>) -> Vec<Tally> {
    left.into_iter().zip(right).map(|(a, b)| a.merge(b)).collect()
}

fn join(left: Found, right: Found) -> Found {
    (merge(left.0, right.0), strongest(left.1, right.1))
}

/// The points with the largest errors, all distinct, and few of one cell.
fn strongest(mut left: Vec<(f64, Point)>, right: Vec<(f64, Point)>) -> Vec<(f64, Point)> {
    left.extend(right);
    let key = |point: &Point| point.map(f64::to_bits);
    left.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| key(&a.1).cmp(&key(&b.1))));
    left.dedup_by_key(|(_, point)| key(point));
    let mut cells: HashMap<[u64; 3], usize> = HashMap::new();
    let mut kept = Vec::with_capacity(SEEDS);
    for (error, point) in left {
        let count = cells.entry(point.map(|v| v.to_bits() >> 46)).or_default();
        *count += 1;
        if *count <= OF_CELL {
            kept.push((error, point));
        }
        if kept.len() == SEEDS {
            break;
        }
    }
    kept
}
