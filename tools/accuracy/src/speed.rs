//! Throughput, so that a bound bought with too much speed is seen.

use crate::function::Function;
use crate::points::Random;
use crate::program::{Program, run};
use kiln::ir::Op;
use kiln::{Kernel, Mode};
use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Elements of a long and a short call: input and output stay in the L1 cache. The difference of
/// their times is that of the code alone, without what a call costs.
const LONG: usize = 4096;
const SHORT: usize = 1024;

/// How long each call is repeated, in how many turns; what counts is the fastest.
const TIME: Duration = Duration::from_millis(5);
const TURNS: usize = 6;

/// What is measured for one function, by the name of its column.
type Calls<'a> = Vec<(String, Box<dyn FnMut(usize) + 'a>)>;

/// Nanoseconds per element of each emitter's code for `f32` in the default mode (`avx512`, ...) and,
/// where that is another program, in the fast mode (`fast avx512`, ...), and of the standard library
/// called for one element after the other (`std`), where it has the function.
pub(crate) fn speed(function: &Function, programs: &[Program]) -> BTreeMap<String, f64> {
    let mut dice = Random::new(0);
    let columns: Vec<Vec<f32>> = (0..function.arity())
        .map(|_| (0..LONG).map(|_| ordinary(function, &mut dice)).collect())
        .collect();
    let mut calls: Calls<'_> = Vec::new();
    for program in programs {
        let default = program.modes.contains(&Mode::Precise);
        if !default && !program.modes.contains(&Mode::Fast) {
            continue;
        }
        for (kind, kernel) in &program.kernels {
            let name = if default { kind.to_string() } else { format!("fast {kind}") };
            calls.push((name, Box::new(kernel_call(kernel, &columns))));
        }
    }
    if let Some(scalar) = function.op().and_then(standard) {
        let mut out = vec![0f32; LONG];
        let input = &columns[0];
        let apply = move |count: usize| {
            for (x, y) in black_box(&input[..count]).iter().zip(&mut out) {
                *y = scalar(*x);
            }
        };
        calls.push(("std".to_string(), Box::new(apply)));
    }
    // In turns: a disturbance does not fall on one of them alone.
    let mut best = vec![[Duration::MAX; 2]; calls.len()];
    for _ in 0..TURNS {
        for ((_, call), best) in calls.iter_mut().zip(&mut best) {
            for (count, best) in [LONG, SHORT].into_iter().zip(best) {
                *best = fastest(|| call(count)).min(*best);
            }
        }
    }
    let each = |[long, short]: [Duration; 2]| {
        long.saturating_sub(short).as_secs_f64() * 1e9 / (LONG - SHORT) as f64
    };
    calls.into_iter().zip(best).map(|((name, _), best)| (name, each(best))).collect()
}

fn kernel_call<'a>(kernel: &'a Kernel, columns: &'a [Vec<f32>]) -> impl FnMut(usize) + 'a {
    let mut out = vec![0f32; LONG];
    move |count| {
        let slices: Vec<&[f32]> = columns.iter().map(|column| &column[..count]).collect();
        run(kernel, black_box(&slices), &mut out[..count]);
    }
}

/// The fastest call within [`TIME`].
fn fastest(mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < TIME {
        let before = Instant::now();
        call();
        best = best.min(before.elapsed());
    }
    best
}

/// Tells whether the machine was quiet, for a timing beside another program is none.
pub(crate) struct Quiet {
    since: Instant,
    others: Option<f64>,
}

/// What others may use of one processor.
const SHARE: f64 = 0.1;

impl Quiet {
    pub(crate) fn begin() -> Quiet {
        Quiet { since: Instant::now(), others: others() }
    }

    /// The share of one processor that other processes used since, if that is too much. Unknown where
    /// the system does not tell.
    pub(crate) fn disturbed(&self) -> Option<f64> {
        let used = others()? - self.others?;
        let share = used / self.since.elapsed().as_secs_f64();
        (share > SHARE).then_some(share)
    }
}

/// Seconds that all processors spent on other processes since the machine started.
fn others() -> Option<f64> {
    // In units of 1/100 s on every Linux (USER_HZ): user nice system idle iowait irq softirq steal.
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let cpu = stat.lines().next()?.split_whitespace().skip(1);
    let times: Vec<f64> = cpu.map_while(|time| time.parse().ok()).take(8).collect();
    let busy = times.iter().sum::<f64>() - times.get(3)? - times.get(4)?;
    // Behind the name in brackets, user and system time are the 12th and the 13th.
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    let own = own.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    let own: f64 = own.filter_map(|time| time.parse::<f64>().ok()).sum();
    Some((busy - own) / 100.0)
}

/// The most that an op may take on AVX-512, in nanoseconds per element: the project's aim.
pub(crate) fn aim(op: Op) -> Option<f64> {
    Some(match op {
        Op::Exp => 0.2,
        Op::Log => 0.25,
        Op::Tanh => 0.3,
        Op::Sin => 0.35,
        Op::Erf => 0.4,
        _ => return None,
    })
}

/// A number of ordinary size where the function is defined.
fn ordinary(function: &Function, dice: &mut Random) -> f32 {
    let unit = (dice.bits() >> 40) as f32 / (1 << 24) as f32;
    match function.op() {
        Some(Op::Log | Op::Log2 | Op::Log10 | Op::Sqrt | Op::Rsqrt | Op::Pow) => 0.01 + 8.0 * unit,
        Some(Op::Acosh) => 1.0 + 8.0 * unit,
        Some(Op::Asin | Op::Acos | Op::Atanh) => 1.98 * unit - 0.99,
        Some(Op::Log1p) => 8.0 * unit - 0.99,
        _ => 8.0 * unit - 4.0,
    }
}

/// The standard library's function, called through a pointer so that none is vectorised.
fn standard(op: Op) -> Option<fn(f32) -> f32> {
    Some(match op {
        Op::Sqrt => f32::sqrt,
        Op::Cbrt => f32::cbrt,
        Op::Exp => f32::exp,
        Op::Exp2 => f32::exp2,
        Op::Expm1 => f32::exp_m1,
        Op::Log => f32::ln,
        Op::Log2 => f32::log2,
        Op::Log10 => f32::log10,
        Op::Log1p => f32::ln_1p,
        Op::Sin => f32::sin,
        Op::Cos => f32::cos,
        Op::Tan => f32::tan,
        Op::Asin => f32::asin,
        Op::Acos => f32::acos,
        Op::Atan => f32::atan,
        Op::Sinh => f32::sinh,
        Op::Cosh => f32::cosh,
        Op::Tanh => f32::tanh,
        Op::Asinh => f32::asinh,
        Op::Acosh => f32::acosh,
        Op::Atanh => f32::atanh,
        _ => return None,
    })
}
