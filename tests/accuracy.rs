//! Every op of the table, expanded and interpreted, against correctly rounded results.
//!
//! Unary f32 is sampled by stride over all 2^32 bit patterns and on every special value; binary
//! ops and f64 on random bits, on random values of ordinary size, and on all tuples of special
//! values. The bound is the op table's own. In f64 the error is computed with 200 bits wherever the
//! correctly rounded result leaves it open. `KILN_ACCURACY_STRIDE` makes the sweep denser (1 tries
//! every f32); `tools/accuracy` tries every f32 in seconds, as machine code.

use kiln::lower::{Tier, op_program, op_program_in};
use kiln::vir::{Program, interp};
use kiln_accuracy::correctly_rounded;
use kiln_ir::{DType, Op};

/// Distance of `got` from the exact result, in units in the last place of `dtype`.
///
/// Infinite where one is NaN or infinite and the other is not, or where zeros differ in sign.
fn ulp_error(dtype: DType, got: f64, exact: f64) -> f64 {
    if got.is_nan() || exact.is_nan() {
        return if got.is_nan() == exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let rounded = dtype.round(exact);
    if got == rounded {
        let signs_differ = got == 0.0 && got.is_sign_negative() != exact.is_sign_negative();
        if signs_differ {
            return f64::INFINITY;
        }
        return if got.is_infinite() { 0.0 } else { (got - exact).abs() / ulp(dtype, exact) };
    }
    // An overflow is judged as if the exponent range had one more step.
    let finite = |v: f64| if v.is_infinite() { overflow(dtype).copysign(v) } else { v };
    if dtype == DType::F64 && (got.is_infinite() || exact.is_infinite()) {
        let near = |v: f64| v.is_infinite() || v.abs() == f64::MAX;
        return if near(got) && near(exact) { 1.0 } else { f64::INFINITY };
    }
    (finite(got) - finite(exact)).abs() / ulp(dtype, finite(exact))
}

fn overflow(dtype: DType) -> f64 {
    if dtype == DType::F32 { 2f64.powi(128) } else { f64::INFINITY }
}

fn ulp(dtype: DType, value: f64) -> f64 {
    let (digits, least) = if dtype == DType::F32 { (23, -149) } else { (52, -1074) };
    let exponent = if value == 0.0 { -1074 } else { libm_exponent(value) };
    let exponent = (exponent - digits).max(least);
    if exponent < -1022 { f64::from_bits(1 << (exponent + 1074)) } else { 2f64.powi(exponent) }
}

fn libm_exponent(value: f64) -> i32 {
    let biased = (value.to_bits() >> 52 & 0x7ff) as i32;
    if biased == 0 { -1023 } else { biased - 1023 }
}

/// As many random cases more as the sweep is denser.
fn random_cases() -> u64 {
    60_000 * 40_009 / stride().clamp(997, 40_009)
}

// The arguments nearest to multiples of π/2, from tools/coefficients/hard_trig.py.
#[rustfmt::skip]
const HARD_TRIG_F64: [u64; 25] = [
    0x4149_eb71_48f3_54d6, 0x43fa_7f3b_c5a7_ed9e, 0x469d_99e1_681e_ada0, 0x495b_930d_6803_74c2,
    0x4c10_090a_775f_3363, 0x4ebd_f2a1_602b_3cb8, 0x5177_fe9a_7dd5_da32, 0x5421_a8b9_4e0e_8d12,
    0x56d6_4b41_3dd6_4fcb, 0x598e_3ca9_b6c6_55cb, 0x5c31_bc28_5fdf_5532, 0x5ebd_9016_9d24_0838,
    0x6181_fab4_1ebe_9846, 0x6434_c96c_1113_4d36, 0x66c3_dfd0_68a4_8750, 0x69ae_7e16_d0c9_6f8a,
    0x6c40_1b5d_89b9_1aea, 0x6ef1_b21e_0114_2fb4, 0x71a6_e8d7_78c9_4d66, 0x7466_bb62_833e_ac47,
    0x7703_d6cc_82a3_f3ca, 0x79bc_3092_1598_8102, 0x7c71_63dc_d0e3_814d, 0x7ef3_6bf9_a50c_0440,
    0x7506_ac5b_262c_a1ff,
];
#[rustfmt::skip]
const HARD_TRIG_F32: [u32; 18] = [
    0x450b_e628, 0x4882_665e, 0x4c23_32e9, 0x4f0f_fd14, 0x5223_e87f, 0x54b1_46a6,
    0x5790_3500, 0x5c07_bcd0, 0x6064_112c, 0x642e_0733, 0x6589_8498, 0x6a19_76f1,
    0x6c55_da58, 0x7079_be45, 0x72bf_a09a, 0x756f_a1dc, 0x7940_7f54, 0x7b16_75c0,
];

/// Arguments that are known to be hard.
fn hard_unary(op: Op) -> Vec<f64> {
    match op {
        // Next to multiples of π/2: the nearest of many exponents, small ones, and the nearest f64s
        // up to the limits of the fast reductions.
        Op::Sin | Op::Cos | Op::Tan => {
            let mut list: Vec<f64> = HARD_TRIG_F64.map(f64::from_bits).to_vec();
            list.extend(HARD_TRIG_F32.map(|bits| f64::from(f32::from_bits(bits))));
            list.extend([1e22, 355.0, 710.0, 131_071.99, 131_072.0, 131_072.01]);
            list.extend([2f64.powi(30) - 1e-6, 2f64.powi(30), 2f64.powi(30) + 1e-6]);
            let multiple = |k: u32| f64::from(k) * std::f64::consts::FRAC_PI_2;
            list.extend((1..4000).chain((1..4000).map(|k| k * 170_003)).map(multiple));
            list.iter().flat_map(|&v| [v, -v]).collect()
        }
        _ => vec![],
    }
}

/// SplitMix64, so that every run tries the same inputs.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Random bits, or a value of ordinary size, in turn.
    fn value(&mut self, dtype: DType) -> f64 {
        let (kind, sign) = (self.bits() % 4, if self.bits() & 1 == 0 { 1.0 } else { -1.0 });
        let value = match kind {
            0 if dtype == DType::F32 => f64::from(f32::from_bits(self.bits() as u32)),
            0 => f64::from_bits(self.bits()),
            1 => sign * self.unit() * 4.0,
            2 => sign * (self.unit() * 16.0 - 8.0).exp2(),
            _ => sign * (self.unit() * 140.0 - 70.0).exp2(),
        };
        dtype.round(value)
    }
}

impl Random {
    /// Two operands that are hard for a binary op, where random ones seldom are.
    fn hard_pair(&mut self, op: Op, dtype: DType) -> Vec<f64> {
        let x = self.value(dtype);
        let spread = if dtype == DType::F32 { 250.0 } else { 2090.0 };
        let digits = if dtype == DType::F32 { 24.0 } else { 53.0 };
        let near = |random: &mut Random, scale: f64| (random.unit() - 0.5) * scale;
        let pair = match op {
            // A result in range, from bases of any size, next to 1, or small with a whole exponent.
            Op::Pow => {
                let base = match self.bits() % 3 {
                    0 => x.abs(),
                    1 => {
                        let scale = (-digits * self.unit()).exp2();
                        1.0 + near(self, scale)
                    }
                    _ => return vec![dtype.round(near(self, 8.0)), near(self, 300.0).round()],
                };
                let base = dtype.round(base);
                vec![base, near(self, spread) / base.log2()]
            }
            // Quotients of every size.
            Op::Rem => {
                let y = x / (self.unit() * spread).exp2();
                vec![x, if y == 0.0 { from_bits(dtype, self.bits() & 0xff) } else { y }]
            }
            // Magnitudes of the same order, and as far apart as matters.
            _ => vec![x, x * near(self, 4.0 * digits).exp2()],
        };
        pair.into_iter().map(|v| dtype.round(v)).collect()
    }
}

fn specials(dtype: DType) -> Vec<f64> {
    let (min_sub, max_sub, min_normal, max, eps) = match dtype {
        DType::F32 => (
            f64::from(f32::from_bits(1)),
            f64::from(f32::from_bits(0x007f_ffff)),
            f64::from(f32::MIN_POSITIVE),
            f64::from(f32::MAX),
            f64::from(f32::EPSILON),
        ),
        _ => (
            f64::from_bits(1),
            f64::from_bits((1 << 52) - 1),
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::EPSILON,
        ),
    };
    let mut list = vec![0.0, min_sub, max_sub, min_normal, max, f64::INFINITY];
    list.extend([0.25, 0.5, 1.0, 1.0 + eps, 1.0 - eps / 2.0, 2.0, 3.0, 4.0, 5.0, 0.1, 1.5, 10.0]);
    list.extend([
        1e-5,
        1e-10,
        100.0,
        1e5,
        1e10,
        1e15,
        1e30,
        2f64.powi(23),
        2f64.powi(24),
        2f64.powi(53),
    ]);
    // Thresholds where exponentials overflow, become subnormal, or vanish, and half of them.
    for edge in [
        88.722_84,
        87.336_55,
        103.972_08,
        709.782_712_893_384,
        708.396_418,
        745.133_2,
        127.0,
        128.0,
        126.0,
        149.0,
        150.0,
        1023.0,
        1024.0,
        1022.0,
        1074.0,
        1075.0,
        16.6,
        17.3,
        36.7,
        9.19,
        10.06,
        26.54,
        27.23,
        3.92,
        5.92,
    ] {
        list.extend([edge, edge / 2.0, edge * (1.0 + eps), edge * (1.0 - eps)]);
    }
    for k in 1..=16 {
        list.push(std::f64::consts::FRAC_PI_4 * f64::from(k));
    }
    let mut both: Vec<f64> = list.iter().map(|&v| dtype.round(v)).flat_map(|v| [v, -v]).collect();
    both.push(f64::NAN);
    both
}

fn stride() -> u64 {
    let set = std::env::var("KILN_ACCURACY_STRIDE").ok().and_then(|s| s.parse().ok());
    // Prime, so that every low bit pattern comes up.
    set.unwrap_or(40_009)
}

fn inputs(op: Op, dtype: DType) -> Vec<Vec<f64>> {
    let special = specials(dtype);
    let mut random = Random(op as u64);
    let mut cases: Vec<Vec<f64>> = Vec::new();
    match op.arity() {
        1 => {
            cases.extend(special.iter().map(|&v| vec![v]));
            if dtype == DType::F32 {
                let all = (0..1u64 << 32).step_by(stride() as usize);
                cases.extend(all.map(|bits| vec![f64::from(f32::from_bits(bits as u32))]));
            }
            cases.extend(hard_unary(op).iter().map(|&v| vec![dtype.round(v)]));
            cases.extend((0..random_cases()).map(|_| vec![random.value(dtype)]));
        }
        2 => {
            cases.extend(special.iter().flat_map(|&a| special.iter().map(move |&b| vec![a, b])));
            cases.extend(
                (0..random_cases()).map(|_| vec![random.value(dtype), random.value(dtype)]),
            );
            cases.extend((0..random_cases()).map(|_| random.hard_pair(op, dtype)));
        }
        _ => {
            let few: Vec<f64> = special.iter().copied().step_by(7).collect();
            for &a in &few {
                for &b in &few {
                    cases.extend(few.iter().map(|&c| vec![a, b, c]));
                }
            }
            let mut three = || vec![random.value(dtype), random.value(dtype), random.value(dtype)];
            cases.extend((0..20_000).map(|_| three()));
        }
    }
    cases
}

fn to_bits(dtype: DType, value: f64) -> u64 {
    match dtype {
        DType::F16 => half::f16::from_f64(value).to_bits().into(),
        DType::BF16 => half::bf16::from_f64(value).to_bits().into(),
        DType::F32 => u64::from((value as f32).to_bits()),
        DType::F64 => value.to_bits(),
        DType::Bool => u64::from(value != 0.0),
        DType::U8 | DType::I32 | DType::I64 => unreachable!("see tests/integer.rs"),
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

/// The largest error of `program`, which is `op`, on the sampled inputs, and the input that has it.
fn worst(program: &Program, op: Op, dtype: DType) -> (f64, Vec<f64>, f64, f64) {
    use kiln_ir::Typing;
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
    let mut worst = (0.0, vec![], 0.0, 0.0);
    for chunk in inputs(op, dtype).chunks(4096) {
        let columns: Vec<Vec<u64>> = (0..op.arity())
            .map(|i| chunk.iter().map(|case| to_bits(operand(i), case[i])).collect())
            .collect();
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        let got = &interp::run(program, &slices, chunk.len())[0];
        for (case, &bits) in chunk.iter().zip(got) {
            let case: Vec<f64> =
                case.iter().enumerate().map(|(i, &v)| operand(i).round(v)).collect();
            let exact =
                if op == Op::Fma { op.eval(dtype, &case) } else { correctly_rounded(op, &case) };
            let got = from_bits(result, bits);
            let (low, high) = op.info().range;
            assert!(got.is_nan() || (low..=high).contains(&got), "{}{case:?} = {got:e}", op.name());
            let mut error = ulp_error(result, got, exact);
            if result == DType::F64 && error.is_finite() {
                // Fractions of an ULP, where they can matter.
                let slack = kiln_accuracy::slack(op);
                let matters = error > 0.0 && op.max_ulp(result) > 0.5 && error + slack > worst.0;
                let precise = || kiln_accuracy::error(op, result, &case, got);
                error = matters.then(precise).flatten().unwrap_or((error - slack).max(0.0));
            }
            if error > worst.0 {
                worst = (error, case, got, exact);
            }
        }
    }
    worst
}

/// Odd and even functions are so by bits, and operands commute by bits (NaN aside).
fn check_symmetry(program: &Program, op: Op, dtype: DType) {
    use kiln_ir::Flags;
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

/// Monotone functions are so up to one unit in the last place, in the fast tier up to its bound;
/// neighbours are among the pairs.
fn check_order(program: &Program, tier: Tier, op: Op, dtype: DType) {
    use kiln_ir::{Flags, Typing};
    if op.arity() != 1
        || !matches!(op.info().typing, Typing::Float | Typing::Number)
        || !op.has(Flags::MONOTONE)
    {
        return;
    }
    let next = |x: f64| match dtype {
        DType::F32 => f64::from((x as f32).next_up()),
        _ => x.next_up(),
    };
    let slack = match tier {
        Tier::Default => 1.0,
        Tier::Fast => tier.max_ulp(op, dtype),
    };
    let cases = inputs(op, dtype);
    let mut points: Vec<f64> = cases.iter().flat_map(|case| [case[0], next(case[0])]).collect();
    points.retain(|x| !x.is_nan());
    points.sort_by(f64::total_cmp);
    let column: Vec<u64> = points.iter().map(|&x| to_bits(dtype, x)).collect();
    let results = interp::run(program, &[&column], points.len()).swap_remove(0);
    let results: Vec<f64> = results.iter().map(|&bits| from_bits(dtype, bits)).collect();
    for (x, pair) in points.windows(2).zip(results.windows(2)) {
        let falls = pair[1] < pair[0] - slack * ulp(dtype, pair[0]);
        assert!(!falls, "{} in {dtype} falls from {pair:?} at {x:?}", op.name());
    }
}

fn check(op: Op) {
    if op.info().typing == kiln_ir::Typing::Integer {
        return; // see tests/integer.rs
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

fn check_program(program: &Program, tier: Tier, op: Op, dtype: DType) {
    check_symmetry(program, op, dtype);
    check_order(program, tier, op, dtype);
    let (error, at, got, exact) = worst(program, op, dtype);
    let bound = tier.max_ulp(op, dtype);
    println!(
        "{:9} {dtype} {tier:?} {error:.3} ULP (bound {bound}) at {at:?}: {got:e}, exact {exact:e}",
        op.name()
    );
    assert!(
        error <= bound + 1e-6,
        "{} in {dtype}, {tier:?}: {error:.3} ULP at {at:?}, bound {bound}: got {got:e}, exact {exact:e}",
        op.name()
    );
}

macro_rules! accuracy_tests {
    ($($group:ident { $($variant:ident $name:ident $arity:ident $typing:ident $(($target:expr))? [$a:expr, $b:expr $(; $c:expr, $d:expr)?] {$($flag:ident)|*} ($lo:expr, $hi:expr) = $reference:expr $(; $integers:expr)?, $doc:literal;)* })*) => {
        $($(
            #[test]
            fn $name() {
                check(Op::$variant);
            }
        )*)*
    };
}

kiln_ir::for_each_op!(accuracy_tests);
