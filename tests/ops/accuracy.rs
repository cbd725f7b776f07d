//! Every op of the table, expanded and interpreted, against correctly rounded results.
//!
//! Where to look and what an error is are `tools/accuracy`'s: limits, thresholds, published worst
//! cases and random operands, and of unary f32 also a stride over all 2^32 bit patterns. The bound is
//! the op table's own. `KILN_ACCURACY_STRIDE` makes the sweep denser (1 tries every f32);
//! `tools/accuracy` tries every f32 in seconds, as machine code. Tables of special values are in
//! `special_values.rs`.

use kiln::internals::vir::{Routine, interp};
use kiln::internals::{Tier, max_ulp, op_program, op_program_in};
use kiln_accuracy::{cases, neighbour};
use kiln_ir::{DType, Flags, Op, Typing};
use std::f64::consts::{FRAC_PI_2, PI};

fn stride() -> u64 {
    let set = std::env::var("KILN_ACCURACY_STRIDE").ok().and_then(|s| s.parse().ok());
    // Prime, so that every low bit pattern comes up.
    set.unwrap_or(40_009)
}

/// As many random cases more as the sweep is denser.
fn random_cases() -> u64 {
    60_000 * 40_009 / stride().clamp(997, 40_009)
}

fn inputs(op: Op, dtype: DType) -> Vec<Vec<f64>> {
    let mut inputs = cases(op, dtype, if op.arity() == 2 { 2 } else { 1 } * random_cases());
    if op.arity() == 1 && dtype == DType::F32 {
        let all = (0..1u64 << 32).step_by(stride() as usize);
        inputs.extend(all.map(|bits| vec![f64::from(f32::from_bits(bits as u32))]));
    }
    inputs
}

fn to_bits(dtype: DType, value: f64) -> u64 {
    match dtype {
        DType::F16 => half::f16::from_f64(value).to_bits().into(),
        DType::BF16 => half::bf16::from_f64(value).to_bits().into(),
        DType::F32 => u64::from((value as f32).to_bits()),
        DType::F64 => value.to_bits(),
        DType::Bool => u64::from(value != 0.0),
        DType::U8 | DType::I32 | DType::I64 => unreachable!("see integer.rs"),
    }
}

fn from_bits(dtype: DType, bits: u64) -> f64 {
    match dtype {
        DType::F16 => half::f16::from_bits(bits as u16).to_f64(),
        DType::BF16 => half::bf16::from_bits(bits as u16).to_f64(),
        DType::F32 => f64::from(f32::from_bits(bits as u32)),
        DType::F64 => f64::from_bits(bits),
        DType::Bool | DType::U8 => bits as f64,
        DType::I32 => f64::from(bits as i32),
        DType::I64 => bits as i64 as f64,
    }
}

/// Bounds of the results in `dtype`: the row's, and where those are rounded up, the nearest.
fn range(op: Op, dtype: DType) -> (f64, f64) {
    let (quarter, half) = (dtype.round(FRAC_PI_2), dtype.round(PI));
    match op {
        Op::Asin | Op::Atan => (-quarter, quarter),
        Op::Acos => (0.0, half),
        Op::Atan2 => (-half, half),
        _ => op.info().range,
    }
}

/// The largest error of `program`, which is `op`, on the sampled inputs, and the input that has it.
fn worst(program: &Routine, op: Op, dtype: DType) -> (f64, Vec<f64>, f64) {
    let result = match op.info().typing {
        Typing::Compare | Typing::Logic => DType::Bool,
        Typing::Cast(to) => to,
        _ => dtype,
    };
    let operand = |index: usize| match op.info().typing {
        Typing::Logic => DType::Bool,
        Typing::Select if index == 0 => DType::Bool,
        _ => dtype,
    };
    let (low, high) = range(op, dtype);
    let mut worst = (0.0, vec![], 0.0);
    for chunk in inputs(op, dtype).chunks(4096) {
        let columns: Vec<Vec<u64>> = (0..op.arity())
            .map(|i| chunk.iter().map(|case| to_bits(operand(i), case[i])).collect())
            .collect();
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        let got = &interp::run(program, &slices, chunk.len())[0];
        for (case, &bits) in chunk.iter().zip(got) {
            let case: Vec<f64> =
                case.iter().enumerate().map(|(i, &v)| operand(i).round(v)).collect();
            let got = from_bits(result, bits);
            assert!(got.is_nan() || (low..=high).contains(&got), "{}{case:?} = {got:e}", op.name());
            let error = match result {
                // Nearest is the row's 0.5 or better, and nothing else will do.
                DType::F32 | DType::F64 if !matches!(op.info().typing, Typing::Cast(_)) => {
                    kiln_accuracy::error(op, dtype, &case, got)
                }
                _ => {
                    let exact = result.round(op.eval(dtype, &case));
                    let same = got == exact && got.is_sign_negative() == exact.is_sign_negative();
                    if same || got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY }
                }
            };
            if error > worst.0 {
                worst = (error, case, got);
            }
        }
    }
    worst
}

/// Odd and even functions are so by bits, and operands commute by bits (NaN aside).
fn check_symmetry(program: &Routine, op: Op, dtype: DType) {
    let (odd, even, commutes) =
        (op.has(Flags::ODD), op.has(Flags::EVEN), op.has(Flags::COMMUTATIVE));
    let float = op.result_type(&vec![dtype; op.arity()]) == Some(dtype);
    if !float || !(odd || even || commutes) {
        return;
    }
    let mut cases = inputs(op, dtype);
    cases.truncate(100_000);
    let columns: Vec<Vec<u64>> = (0..op.arity())
        .map(|i| cases.iter().map(|case| to_bits(dtype, case[i])).collect())
        .collect();
    let minus = |v: &u64| to_bits(dtype, -from_bits(dtype, *v));
    let mirrored: Vec<Vec<u64>> = match commutes {
        true => columns.iter().rev().cloned().collect(),
        false => columns.iter().map(|column| column.iter().map(minus).collect()).collect(),
    };
    let run = |columns: &[Vec<u64>]| {
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        interp::run(program, &slices, cases.len()).swap_remove(0)
    };
    for ((case, left), right) in cases.iter().zip(run(&columns)).zip(run(&mirrored)) {
        let right = if odd { minus(&right) } else { right };
        let both_nan = from_bits(dtype, left).is_nan() && from_bits(dtype, right).is_nan();
        assert!(left == right || both_nan, "{} in {dtype} breaks symmetry at {case:?}", op.name());
    }
}

/// How many consecutive numbers make a run, and how many runs start anywhere.
const RUN: i64 = 8;
const RUNS: u64 = 2_000;

/// Monotone functions never fall by more than the error bound, rounded up to whole units in the last
/// place (the row's alone would allow it twice): in runs of consecutive numbers around every special
/// point, the borders of the expansion's branches among them, and in many places, and from each run
/// to the next.
fn check_order(program: &Routine, tier: Tier, op: Op, dtype: DType) {
    let float = matches!(op.info().typing, Typing::Float | Typing::Number);
    if op.arity() != 1 || !float || !op.is_rising() {
        return;
    }
    let starts = cases(op, dtype, RUNS).into_iter().map(|case| case[0]);
    let run = |start: f64| (-RUN / 2..RUN / 2).map(move |step| neighbour(dtype, start, step));
    let mut points: Vec<f64> = starts.filter(|x| !x.is_nan()).flat_map(run).collect();
    points.sort_by(f64::total_cmp);
    points.dedup_by_key(|x| x.to_bits());
    let column: Vec<u64> = points.iter().map(|&x| to_bits(dtype, x)).collect();
    let results = interp::run(program, &[&column], points.len()).swap_remove(0);
    let units = max_ulp(tier, op, dtype).ceil() as i64;
    let mut highest = f64::NEG_INFINITY;
    for (x, bits) in points.into_iter().zip(results) {
        let result = from_bits(dtype, bits);
        let falls = result < neighbour(dtype, highest, -units);
        assert!(!falls, "{} in {dtype} falls from {highest:e} to {result:e} at {x:e}", op.name());
        highest = highest.max(result);
    }
}

fn check(op: Op) {
    if op.info().typing == Typing::Integer {
        return; // see integer.rs
    }
    for dtype in [DType::F32, DType::F64] {
        let program = op_program(op, dtype);
        check_program(&program, Tier::Default, op, dtype);
        let fast = op_program_in(Tier::Fast, op, dtype);
        if fast != program {
            check_program(&fast, Tier::Fast, op, dtype);
        }
    }
}

fn check_program(program: &Routine, tier: Tier, op: Op, dtype: DType) {
    check_symmetry(program, op, dtype);
    check_order(program, tier, op, dtype);
    let (error, at, got) = worst(program, op, dtype);
    let bound = max_ulp(tier, op, dtype);
    println!("{:9} {dtype} {tier:?} {error:.3} ULP (bound {bound}) at {at:?}: {got:e}", op.name());
    assert!(
        error <= bound + 1e-6,
        "{} in {dtype}, {tier:?}: {error:.3} ULP at {at:?}, bound {bound}: got {got:e}",
        op.name()
    );
}

macro_rules! accuracy_tests {
    ($($group:ident { $($variant:ident $name:ident $arity:ident $typing:ident $(($target:expr))? [$a:expr, $b:expr $(; $c:expr, $d:expr)?] {$($flag:ident)|*} ($lo:expr, $hi:expr) $transfer:ident $(($rule:path))? = $reference:expr $(; $integers:expr)?, $doc:literal $(also $($alias:literal)+)?;)* })*) => {
        $($(
            #[test]
            fn $name() {
                check(Op::$variant);
            }
        )*)*
    };
}

kiln_ir::for_each_op!(accuracy_tests);
