//! Throughput, so that a bound bought with too much speed is seen.

use crate::function::Function;
use crate::points::Random;
use crate::program::{Program, run};
use kiln::Kernel;
use kiln::ir::Op;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Elements: input and output stay in the L1 cache.
const COUNT: usize = 4096;

/// How long each kernel is measured; the figure is that of its fastest call.
const TIME: Duration = Duration::from_millis(20);

/// Nanoseconds per element of each emitter's code for `f32`, and of the standard library called
/// for one element after the other (`std`), where it has the function.
pub(crate) fn speed(function: &Function, program: &Program) -> BTreeMap<String, f64> {
    let mut dice = Random::new(0);
    let columns: Vec<Vec<f32>> = (0..function.arity())
        .map(|_| (0..COUNT).map(|_| ordinary(function, &mut dice)).collect())
        .collect();
    let slices: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    let mut out = vec![0f32; COUNT];
    let mut found = BTreeMap::new();
    for (kind, kernel) in &program.kernels {
        let kernel: &Kernel = kernel;
        found.insert(kind.to_string(), fastest(|| run(kernel, black_box(&slices), &mut out)));
    }
    if let Some(scalar) = function.op().and_then(standard) {
        let mut apply = || {
            for (x, y) in black_box(&columns[0]).iter().zip(&mut out) {
                *y = scalar(*x);
            }
        };
        found.insert("std".to_string(), fastest(&mut apply));
    }
    found
}

/// Nanoseconds per element of the fastest call.
fn fastest(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < TIME {
        let before = Instant::now();
        call();
        best = best.min(before.elapsed());
    }
    best.as_secs_f64() * 1e9 / COUNT as f64
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
