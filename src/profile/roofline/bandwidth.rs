//! Bandwidths: the best of several ways to move bytes, on arrays that lie in several ways.

use super::level::Level;
use super::work::{Care, Memory, PAGE, Rate, Work, alone};
use crate::profile::counts::Counts;
use crate::profile::error::ProfileError;
use crate::profile::report::Profile;
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{Code, EmitterKind, Operand, compile};
use kiln_jit::vir::{Builder, Routine, Storage};
use std::fmt;
use std::hint::black_box;
use std::mem::take;
use std::sync::Arc;

/// What is done with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Four arrays are read; a sixteenth of their bytes is written, for kernels have a result.
    Read,
    /// Two arrays are read, one is written.
    Sum,
    /// One array is read, one is written.
    Copy,
    /// One array is written.
    Write,
}

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a loop that the compiler of this crate vectorised.
    Loop,
    /// By the `memcpy` or `memset` of the system's library.
    Library,
    /// By machine code of this emitter.
    Kernel(EmitterKind),
    /// The same with non-temporal stores, which go past the caches.
    NonTemporal(EmitterKind),
}

/// How fast bytes move.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bandwidth {
    /// What is done with them.
    pub access: Access,
    /// How many threads do it, each with arrays of its own.
    pub threads: usize,
    /// 10^9 bytes a second, read and written.
    pub gbytes: f64,
    /// How much longer the third of the best rounds took than the best.
    pub spread: f64,
    /// The way that was best.
    pub way: Way,
    /// How the arrays lay when it was best: by so many bytes further into a page of 4 KiB, each after
    /// the one before.
    pub offset: usize,
    /// The same with non-temporal stores, in a single round, where these are not the best way; `None`
    /// where there are none, and for all threads.
    pub non_temporal: Option<f64>,
}

impl Access {
    /// All of them, from the one that reads most.
    pub const ALL: [Access; 4] = [Access::Read, Access::Sum, Access::Copy, Access::Write];

    /// The part of the bytes that is read.
    pub fn part_read(self) -> f64 {
        match self {
            Access::Read => 16.0 / 17.0,
            Access::Sum => 2.0 / 3.0,
            Access::Copy => 0.5,
            Access::Write => 0.0,
        }
    }

    /// The word of tables.
    pub fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Sum => "sum",
            Access::Copy => "copy",
            Access::Write => "write",
        }
    }

    fn inputs(self) -> usize {
        match self {
            Access::Read => 4,
            Access::Sum => 2,
            Access::Copy => 1,
            Access::Write => 0,
        }
    }

    /// Bytes of an element of the output; elements of inputs have 4.
    fn output_size(self) -> usize {
        if self == Access::Read { 1 } else { 4 }
    }

    fn routine(self) -> Routine {
        let (storage, output) = match self {
            Access::Read => (Storage::I32, Storage::U8),
            _ => (Storage::F32, Storage::F32),
        };
        let mut b = Builder::new();
        let inputs: Vec<_> = (0..self.inputs()).map(|_| b.input(storage)).collect();
        let sum = inputs.into_iter().reduce(|sum, input| b.add(sum, input));
        let value = sum.unwrap_or_else(|| b.f32(1.0));
        b.output(value, output);
        b.finish()
    }
}

impl Way {
    /// Whether its stores go past the caches.
    pub fn is_non_temporal(self) -> bool {
        matches!(self, Way::NonTemporal(_))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Loop => f.write_str("a plain loop"),
            Way::Library => f.write_str("memcpy"),
            Way::Kernel(kind) => write!(f, "{kind}"),
            Way::NonTemporal(kind) => write!(f, "{kind}, non-temporal"),
        }
    }
}

/// For each access in a level of memory, the ways and offsets that come near the best one.
pub(super) fn finalists(level: &Level, memory: &mut Memory) -> Result<Vec<Move>, ProfileError> {
    /// Those that a disturbance may have made look worse than the best one are among so many.
    const COUNT: usize = 2;
    // Where whole pages come and go, it matters little how arrays lie in them.
    let offsets = if level.bytes.is_some() { &OFFSETS[..] } else { &OFFSETS[1..2] };
    let mut all = Vec::new();
    for access in Access::ALL {
        let mut moves = moves(access, level, offsets);
        let works: Vec<&dyn Work> = moves.iter().map(|work| work as &dyn Work).collect();
        let heats = alone(&works, Care::Little, memory)?;
        for (work, heat) in moves.iter_mut().zip(&heats) {
            work.heat = Rate::of(heat, Counts::bytes).giga;
        }
        moves.sort_by(|a, b| b.heat.total_cmp(&a.heat));
        let non_temporal = moves.iter().find(|work| work.way.is_non_temporal());
        let non_temporal = non_temporal.map(|work| work.heat);
        moves.truncate(COUNT);
        all.extend(moves.into_iter().map(|work| Move { non_temporal, ..work }));
    }
    Ok(all)
}

/// One way to move bytes, on arrays that lie in one way.
#[derive(Clone)]
pub(super) struct Move {
    pub(super) access: Access,
    way: Way,
    offset: usize,
    /// Elements of each array.
    n: usize,
    /// Whether inputs are one after another. In the smallest cache they overlap, so that a call takes
    /// long enough not to count itself.
    apart: bool,
    code: Option<Arc<Code>>,
    /// 10^9 bytes a second when all competed, and those of the best non-temporal way.
    heat: f64,
    non_temporal: Option<f64>,
}

/// How far arrays are apart, modulo a page: not at all, which caches and store buffers may take for one
/// array, or by some lines.
const OFFSETS: [usize; 3] = [0, 1088, 2112];

/// The machine code that emitters make here, but for the slower ones with narrow vectors.
fn codes(routine: &Routine) -> Vec<(EmitterKind, Arc<Code>)> {
    let mut codes: Vec<(EmitterKind, Arc<Code>)> = Vec::new();
    for kind in EmitterKind::ALL.into_iter().filter(|kind| *kind != EmitterKind::Auto) {
        let Ok(code) = compile(routine, kind, Cpu::host()) else { continue };
        let is_native = !code.machine_code().is_empty() && !code.is_emulated();
        if is_native && (code.bits() > 128 || codes.is_empty()) {
            codes.push((kind, Arc::new(code)));
        }
    }
    codes
}

/// Everything that is tried for an access.
fn moves(access: Access, level: &Level, offsets: &'static [usize]) -> Vec<Move> {
    let mut ways = vec![(Way::Loop, None)];
    if matches!(access, Access::Copy | Access::Write) {
        ways.push((Way::Library, None));
    }
    for (kind, code) in codes(&access.routine()) {
        ways.push((Way::Kernel(kind), Some(code.clone())));
        if access != Access::Read {
            ways.push((Way::NonTemporal(kind), Some(code)));
        }
    }
    // One array lies in one way.
    let offsets = if access == Access::Write { &offsets[..1] } else { offsets };
    let placed = |(way, code): (Way, Option<Arc<Code>>)| {
        let work = Move {
            access,
            way,
            offset: 0,
            n: 0,
            apart: !level.is_first,
            code,
            heat: 0.0,
            non_temporal: None,
        };
        let work = work.of_bytes(level.alone);
        offsets.iter().map(move |&offset| Move { offset, ..work.clone() })
    };
    ways.into_iter().flat_map(placed).collect()
}

impl Move {
    /// The same on arrays that take so many bytes together, in whole lines and vectors.
    pub(super) fn of_bytes(self, bytes: usize) -> Move {
        let inputs = if self.apart { self.access.inputs() } else { self.access.inputs().min(1) };
        let n = bytes / (4 * inputs + self.access.output_size()) / 64 * 64;
        let n = self.code.as_ref().map_or(n, |code| code.most_of(n));
        Move { n, ..self }
    }

    /// What was measured.
    pub(super) fn bandwidth(&self, threads: usize, profile: &Profile) -> Bandwidth {
        let Rate { giga, spread } = Rate::of(profile, Counts::bytes);
        let Move { access, way, offset, non_temporal, .. } = *self;
        let non_temporal = non_temporal.filter(|_| threads == 1 && !way.is_non_temporal());
        Bandwidth { access, threads, gbytes: giga, spread, way, offset, non_temporal }
    }

    /// Cuts the arrays out of memory, the output first.
    fn arrays<'a>(&self, memory: &'a mut [u8]) -> (&'a mut [u8], Vec<&'a [u8]>) {
        let (output, mut rest) = memory.split_at_mut(self.n * self.access.output_size());
        let mut end = output.len();
        let mut inputs = Vec::new();
        if !self.apart {
            let rest = &*rest;
            inputs.extend((0..self.access.inputs()).map(|input| &rest[64 * input..][..4 * self.n]));
            return (output, inputs);
        }
        for input in 1..=self.access.inputs() {
            let start = end.next_multiple_of(PAGE) + input * self.offset;
            let (_, array) = take(&mut rest).split_at_mut(start - end);
            let (array, after) = array.split_at_mut(4 * self.n);
            inputs.push(&*array);
            (end, rest) = (start + 4 * self.n, after);
        }
        (output, inputs)
    }
}

impl Work for Move {
    fn run(&self, times: u32, memory: &mut [u8]) {
        let (output, inputs) = self.arrays(memory);
        if let Some(code) = &self.code {
            let streams = self.way.is_non_temporal();
            let inputs: Vec<Operand<'_>> = inputs.into_iter().map(Operand::Array).collect();
            code.apply_times(times, streams, self.n, &inputs, &mut [output]);
            return;
        }
        for _ in 0..times {
            match (&inputs[..], self.way) {
                ([], Way::Library) => output.fill(1),
                ([input], Way::Library) => output.copy_from_slice(input),
                ([], _) => write(output),
                ([input], _) => copy(output, input),
                ([a, b], _) => sum(output, a, b),
                (inputs, _) => read(output, inputs),
            }
            black_box(&mut *output);
        }
    }

    fn counts(&self) -> Counts {
        let bytes = |each: usize| (self.n * each) as u64;
        let (loaded, stored) = (bytes(4 * self.access.inputs()), bytes(self.access.output_size()));
        Counts { loaded, stored, ..Counts::default() }
    }
}

fn write(output: &mut [u8]) {
    let word = black_box(1u64).to_ne_bytes();
    output.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&word));
}

fn copy(output: &mut [u8], input: &[u8]) {
    // Plus nothing, so that it does not become `memcpy`.
    let nothing = black_box(0u8);
    output.iter_mut().zip(input).for_each(|(to, from)| *to = from.wrapping_add(nothing));
}

fn sum(output: &mut [u8], a: &[u8], b: &[u8]) {
    output.iter_mut().zip(a).zip(b).for_each(|((to, a), b)| *to = a.wrapping_add(*b));
}

/// Reads all, and writes a sum of each array.
fn read(output: &mut [u8], inputs: &[&[u8]]) {
    for (to, input) in output.iter_mut().zip(inputs) {
        *to = input.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    }
}
