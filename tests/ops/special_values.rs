//! Results at limits, zeros, poles and infinities, by bits: IEEE 754's for `pow`, `atan2` and `hypot`,
//! and those of the functions of one operand. Every emitter has the interpreter's.

use common::{differs, emitters};
use kiln::internals::emit::Operand;
use kiln::internals::vir::{Routine, interp};
use kiln::internals::{Tier, op_program_in};
use kiln_ir::{DType, Op, Typing};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Both types in both tiers.
const SETTINGS: [(DType, Tier); 4] = [
    (DType::F32, Tier::Default),
    (DType::F32, Tier::Fast),
    (DType::F64, Tier::Default),
    (DType::F64, Tier::Fast),
];

fn bits(dtype: DType, value: f64) -> u64 {
    if dtype == DType::F32 { u64::from((value as f32).to_bits()) } else { value.to_bits() }
}

fn value(dtype: DType, bits: u64) -> f64 {
    if dtype == DType::F32 { f32::from_bits(bits as u32).into() } else { f64::from_bits(bits) }
}

/// Checks rows of operands and result, numbers of any type rounded to `dtype`; NaN is any NaN, and a
/// multiple of π may be the next number.
fn check<const N: usize>(op: Op, dtype: DType, tier: Tier, rows: &[([f64; N], f64)]) {
    let program = op_program_in(tier, op, dtype);
    let columns: Vec<Vec<u64>> = (0..N)
        .map(|i| rows.iter().map(|(operands, _)| bits(dtype, operands[i])).collect())
        .collect();
    let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
    let results = interp::run(&program, &slices, rows.len()).swap_remove(0);
    emitters_agree(&program, &columns, &results);
    for ((operands, expected), result) in rows.iter().zip(results) {
        let got = value(dtype, result);
        let nearest = bits(dtype, *expected);
        let steps = u64::from(expected.abs() % FRAC_PI_4 == 0.0 && *expected != 0.0);
        let same = result.abs_diff(nearest) <= steps || got.is_nan() && expected.is_nan();
        assert!(same, "{}{operands:?} in {dtype}, {tier:?}: {got:e}, not {expected:e}", op.name());
    }
}

/// Runs the code of every emitter; the last row fills its last vector.
fn emitters_agree(program: &Routine, columns: &[Vec<u64>], expected: &[u64]) {
    let size = program.outputs[0].size();
    for code in emitters(program) {
        let n = expected.len().next_multiple_of(code.lanes());
        let bytes = |column: &Vec<u64>| -> Vec<u8> {
            let last = expected.len() - 1;
            let elements = (0..n).map(|at| column[at.min(last)].to_le_bytes());
            elements.flat_map(|element| element.into_iter().take(size)).collect()
        };
        let inputs: Vec<Vec<u8>> = columns.iter().map(bytes).collect();
        let operands: Vec<Operand> = inputs.iter().map(|bytes| Operand::Array(bytes)).collect();
        let mut output = vec![0; n * size];
        code.apply(n, &operands, &mut [&mut output]);
        for (at, (got, &want)) in output.chunks(size).zip(expected).enumerate() {
            let mut word = [0; 8];
            word[..size].copy_from_slice(got);
            let (got, storage) = (u64::from_le_bytes(word), program.outputs[0]);
            let emitter = code.emitter();
            assert!(!differs(storage, got, want), "{emitter}, row {at}: {got:#x}\n{program}");
        }
    }
}

fn check_all<const N: usize>(op: Op, rows: impl Fn(DType) -> Vec<([f64; N], f64)>) {
    for (dtype, tier) in SETTINGS {
        check(op, dtype, tier, &rows(dtype));
    }
}

/// The least and the largest positive number.
fn limits(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F32 => (f32::from_bits(1).into(), f32::MAX.into()),
        _ => (f64::from_bits(1), f64::MAX),
    }
}

/// IEEE 754-2019, 9.2.1, `pow`.
#[test]
fn pow() {
    check_all(Op::Pow, |dtype| {
        let (least, most) = limits(dtype);
        // The largest odd number, and then all are even.
        let last_odd = if dtype == DType::F32 { 16_777_215.0 } else { 9_007_199_254_740_991.0 };
        let odd = [1.0, 3.0, 5.0, last_odd];
        let other = [2.0, 4.0, last_odd + 1.0, most, 0.5, 1.5, 2.5, 1e-5, least];
        let mut rows = Vec::new();
        let anything = [0.0, 1.0, 0.5, 2.0, 3.0, least, most, INF].into_iter();
        let anything: Vec<f64> = anything.flat_map(|v| [v, -v]).chain([NAN]).collect();
        for &v in &anything {
            rows.extend([([v, 0.0], 1.0), ([v, -0.0], 1.0), ([1.0, v], 1.0)]);
            if v != 0.0 {
                rows.push(([NAN, v], NAN));
            }
            if v != 1.0 {
                rows.push(([v, NAN], NAN));
            }
        }
        for y in odd {
            rows.extend([([0.0, -y], INF), ([-0.0, -y], -INF)]);
            rows.extend([([0.0, y], 0.0), ([-0.0, y], -0.0)]);
            rows.extend([([-INF, -y], -0.0), ([-INF, y], -INF)]);
            rows.extend([([-1.0, y], -1.0), ([-1.0, -y], -1.0)]);
        }
        for y in other {
            rows.extend([([0.0, -y], INF), ([-0.0, -y], INF)]);
            rows.extend([([0.0, y], 0.0), ([-0.0, y], 0.0)]);
            rows.extend([([-INF, -y], 0.0), ([-INF, y], INF)]);
        }
        for y in odd.into_iter().chain(other) {
            rows.extend([([INF, -y], 0.0), ([INF, y], INF)]);
        }
        for zero in [0.0, -0.0] {
            rows.extend([([zero, -INF], INF), ([zero, INF], 0.0)]);
        }
        rows.extend([([-1.0, INF], 1.0), ([-1.0, -INF], 1.0)]);
        let eps = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        for (small, large) in [(0.5, 2.0), (least, most), (1.0 - eps / 2.0, 1.0 + eps)] {
            for sign in [1.0, -1.0] {
                rows.extend([([sign * small, INF], 0.0), ([sign * small, -INF], INF)]);
                rows.extend([([sign * large, INF], INF), ([sign * large, -INF], 0.0)]);
            }
        }
        for infinite in [INF, -INF] {
            rows.extend([([infinite, INF], INF), ([infinite, -INF], 0.0)]);
        }
        // No real power; whole ones of either sign; out of range with the sign of an odd power.
        for x in [-0.5, -1.0, -2.0, -least, -most] {
            rows.extend([0.5, -0.5, 1.5, 1e-5, least].map(|y| ([x, y], NAN)));
        }
        rows.extend([([-2.0, 3.0], -8.0), ([-2.0, 2.0], 4.0), ([-2.0, -1.0], -0.5)]);
        rows.extend([([-most, 3.0], -INF), ([-most, 2.0], INF)]);
        rows.extend([([-most, -3.0], -0.0), ([-most, -2.0], 0.0)]);
        rows.extend([([-least, 3.0], -0.0), ([least, -3.0], INF), ([-least, -3.0], -INF)]);
        rows
    });
}

/// IEEE 754-2019, 9.2.1, `atan2`: of `(y, x)`.
#[test]
fn atan2() {
    check_all(Op::Atan2, |dtype| {
        let (least, most) = limits(dtype);
        let mut rows = Vec::new();
        for sign in [1.0, -1.0] {
            rows.extend([([sign * 0.0, -0.0], sign * PI), ([sign * 0.0, 0.0], sign * 0.0)]);
            rows.extend([([sign * INF, INF], sign * FRAC_PI_4)]);
            rows.extend([([sign * INF, -INF], sign * 3.0 * FRAC_PI_4)]);
            for v in [least, 1.0, 2.5, most] {
                rows.extend([([sign * 0.0, -v], sign * PI), ([sign * 0.0, v], sign * 0.0)]);
                rows.extend([([sign * v, 0.0], sign * FRAC_PI_2)]);
                rows.extend([([sign * v, -0.0], sign * FRAC_PI_2)]);
                rows.extend([([sign * v, -INF], sign * PI), ([sign * v, INF], sign * 0.0)]);
                rows.extend([([sign * INF, v], sign * FRAC_PI_2)]);
                rows.extend([([sign * INF, -v], sign * FRAC_PI_2)]);
                rows.extend([([sign * v, v], sign * FRAC_PI_4)]);
            }
            rows.extend([0.0, 1.0, INF, NAN].map(|v| ([NAN, sign * v], NAN)));
            rows.extend([0.0, 1.0, INF, NAN].map(|v| ([sign * v, NAN], NAN)));
            rows.extend([
                ([sign * least, most], sign * 0.0),
                ([sign * most, least], sign * FRAC_PI_2),
            ]);
        }
        rows
    });
}

/// IEEE 754-2019, 9.2.1, `hypot`: infinite with anything, NaN too.
#[test]
fn hypot() {
    check_all(Op::Hypot, |dtype| {
        let (least, most) = limits(dtype);
        let mut rows = Vec::new();
        for infinite in [INF, -INF] {
            for v in [0.0, -0.0, 1.0, -1.0, most, INF, -INF, NAN] {
                rows.extend([([infinite, v], INF), ([v, infinite], INF)]);
            }
        }
        for v in [0.0, least, 1.0, most, NAN] {
            rows.extend([([NAN, v], NAN), ([v, NAN], NAN)]);
            for w in [v, -v] {
                rows.extend([0.0, -0.0].map(|zero| ([w, zero], v)));
                rows.extend([0.0, -0.0].map(|zero| ([zero, w], v)));
            }
        }
        // Neither square may overflow or vanish before the root.
        let (large, small) = (most.log2().floor() - 3.0, least.log2() + 2.0);
        for scale in [large.exp2(), small.exp2(), 1.0] {
            rows.push(([3.0 * scale, -4.0 * scale], 5.0 * scale));
        }
        rows.extend([([most, most], INF), ([most, 1.0], most), ([most, least], most)]);
        rows
    });
}

/// Python's and NumPy's floor division, and its remainder.
#[test]
fn floor_division() {
    // a, b, a // b, a mod b.
    let rows = |dtype| {
        let (least, most) = limits(dtype);
        let mut rows = vec![
            (7.0, 2.0, 3.0, 1.0),
            (-7.0, 2.0, -4.0, 1.0),
            (7.0, -2.0, -4.0, -1.0),
            (-7.0, -2.0, 3.0, -1.0),
            (6.0, 2.0, 3.0, 0.0),
            (-6.0, 2.0, -3.0, 0.0),
            (6.0, -2.0, -3.0, -0.0),
            (-6.0, -2.0, 3.0, -0.0),
            (0.5, 2.0, 0.0, 0.5),
            (-0.5, 2.0, -1.0, 1.5),
            (0.0, 2.0, 0.0, 0.0),
            (-0.0, 2.0, -0.0, 0.0),
            (0.0, -2.0, -0.0, -0.0),
            (-0.0, -2.0, 0.0, -0.0),
            (5.5, 1.0, 5.0, 0.5),
            // All of it on the wrong side.
            (least, -most, -1.0, -most),
            (-least, most, -1.0, most),
            (least, most, 0.0, least),
            (most, least, INF, 0.0),
            (-most, least, -INF, 0.0),
        ];
        for v in [1.0, 2.5, least, most] {
            rows.extend([(v, INF, 0.0, v), (-v, -INF, 0.0, -v)]);
            rows.extend([(v, -INF, -1.0, -INF), (-v, INF, -1.0, INF)]);
            rows.extend([(v, 0.0, INF, NAN), (v, -0.0, -INF, NAN), (-v, 0.0, -INF, NAN)]);
            rows.extend([INF, -INF, NAN].map(|a| (a, v, NAN, NAN)));
            rows.extend([INF, -INF, NAN].map(|a| (a, -v, NAN, NAN)));
            rows.push((v, NAN, NAN, NAN));
        }
        rows.extend([(0.0, INF, 0.0, 0.0), (0.0, -INF, -0.0, -0.0), (-0.0, INF, -0.0, 0.0)]);
        rows.extend([(0.0, 0.0, NAN, NAN), (INF, 0.0, INF, NAN), (INF, -INF, NAN, NAN)]);
        rows
    };
    check_all(Op::FloorDiv, |dtype| {
        rows(dtype).into_iter().map(|(a, b, quotient, _)| ([a, b], quotient)).collect()
    });
    check_all(Op::Modulo, |dtype| {
        rows(dtype).into_iter().map(|(a, b, _, rest)| ([a, b], rest)).collect()
    });
    // A quotient that is rounded up to an integer: 0.1 is a little more than a tenth.
    check(Op::FloorDiv, DType::F64, Tier::Default, &[([1.0, 0.1], 9.0), ([-1.0, 0.1], -10.0)]);
    let rest = 0.099_999_999_999_999_95;
    check(Op::Modulo, DType::F64, Tier::Default, &[([1.0, 0.1], rest)]);
    check(Op::FloorDiv, DType::F32, Tier::Default, &[([1.0, 0.1], 9.0), ([-1.0, 0.1], -10.0)]);
}

/// The mantissa and the exponent of its last place.
fn parts(value: f64) -> (i128, i32) {
    let (mut mantissa, mut exponent) = (value, 0);
    while mantissa.fract() != 0.0 {
        (mantissa, exponent) = (mantissa * 2.0, exponent - 1);
    }
    while mantissa != 0.0 && (mantissa / 2.0).fract() == 0.0 {
        (mantissa, exponent) = (mantissa / 2.0, exponent + 1);
    }
    (mantissa as i128, exponent)
}

/// Against integers, which are exact.
#[test]
fn floor_division_is_exact() {
    let mut rng = common::Rng::new(11);
    for (dtype, digits) in [(DType::F32, 24), (DType::F64, 53)] {
        let mut quotients = Vec::new();
        let mut rests = Vec::new();
        while quotients.len() < 20_000 {
            let b = dtype.round(rng.ordinary() * rng.pick(&[1.0, 1e-10, 1e12]));
            // Next to a multiple, where quotients are rounded to integers.
            let count = (rng.next() >> rng.below(64)) as f64 * rng.pick(&[1.0, -1.0, 0.5]);
            let step = rng.pick(&[0.0, 0.0, 1e-17, -1e-17, 1e-8, -1e-8]);
            let a = dtype.round(dtype.round(count * b) * (1.0 + step));
            let ((ma, ea), (mb, eb)) = (parts(a), parts(b));
            if b == 0.0 || (ea - eb).abs() > 60 {
                continue;
            }
            let unit = ea.min(eb);
            let (wide_a, wide_b) = (ma << (ea - unit), mb << (eb - unit));
            let mut quotient = wide_a / wide_b;
            if (quotient * wide_b != wide_a) && (wide_a < 0) != (wide_b < 0) {
                quotient -= 1;
            }
            if quotient.unsigned_abs() < 1 << digits && quotient != 0 {
                quotients.push(([a, b], quotient as f64));
                let rest = (wide_a - quotient * wide_b) as f64 * f64::from(unit).exp2();
                rests.push(([a, b], if rest == 0.0 { 0f64.copysign(b) } else { rest }));
            }
        }
        check(Op::FloorDiv, dtype, Tier::Default, &quotients);
        check(Op::Modulo, dtype, Tier::Default, &rests);
    }
}

#[test]
fn tests_of_floats() {
    let of = |value: f64| {
        let truth = f64::from;
        [
            (Op::IsNan, truth(value.is_nan())),
            (Op::IsInf, truth(value.is_infinite())),
            (Op::IsFinite, truth(value.is_finite())),
        ]
    };
    for dtype in [DType::F32, DType::F64] {
        let (least, most) = limits(dtype);
        let positive = [0.0, least, 1.0, most, INF, NAN];
        for value in positive.into_iter().flat_map(|v| [v, -v]) {
            for (op, expected) in of(value) {
                let got = interp::run(
                    &op_program_in(Tier::Default, op, dtype),
                    &[&[bits(dtype, value)]],
                    1,
                );
                assert_eq!(got[0][0] as f64, expected, "{} of {value}", op.name());
            }
        }
    }
}

/// Limits, roots and poles. What is odd has both signs here.
#[test]
fn one_operand() {
    let from_infinity = [(Op::Exp, 0.0), (Op::Exp2, 0.0), (Op::Exp10, 0.0), (Op::Expm1, -1.0)];
    for (op, low) in from_infinity {
        let at_zero = |zero: f64| if op == Op::Expm1 { zero } else { 1.0 };
        check_all(op, |_| {
            vec![([-INF], low), ([INF], INF), ([0.0], at_zero(0.0)), ([-0.0], at_zero(-0.0))]
        });
    }
    for op in [Op::Log, Op::Log2, Op::Log10] {
        check_all(op, |dtype| {
            let (least, most) = limits(dtype);
            let poles = [([0.0], -INF), ([-0.0], -INF), ([1.0], 0.0), ([INF], INF)];
            poles.into_iter().chain([-least, -1.0, -most, -INF].map(|v| ([v], NAN))).collect()
        });
    }
    let odd = [
        (Op::Sin, NAN),
        (Op::Tan, NAN),
        (Op::Asin, NAN),
        (Op::Atan, FRAC_PI_2),
        (Op::Sinh, INF),
        (Op::Tanh, 1.0),
        (Op::Asinh, INF),
        (Op::Atanh, NAN),
        (Op::Erf, 1.0),
        (Op::Cbrt, INF),
    ];
    for (op, limit) in odd {
        check_all(op, |_| vec![([INF], limit), ([-INF], -limit), ([0.0], 0.0), ([-0.0], -0.0)]);
        // The slope at 0 is 1, but for erf's 1.128, whose nearest multiple is 1 too.
        for dtype in [DType::F32, DType::F64].into_iter().filter(|_| op != Op::Cbrt) {
            let (least, _) = limits(dtype);
            check(op, dtype, Tier::Default, &[([least], least), ([-least], -least)]);
        }
    }
    check_all(Op::Log1p, |_| vec![([0.0], 0.0), ([-0.0], -0.0), ([-1.0], -INF), ([INF], INF)]);
    check_all(Op::Log1p, |_| vec![([-1.5], NAN), ([-INF], NAN)]);
    check_all(Op::Cos, |_| vec![([0.0], 1.0), ([-0.0], 1.0), ([INF], NAN), ([-INF], NAN)]);
    check_all(Op::Cosh, |_| vec![([0.0], 1.0), ([-0.0], 1.0), ([INF], INF), ([-INF], INF)]);
    check_all(Op::Acos, |_| vec![([1.0], 0.0), ([-1.0], PI), ([1.5], NAN), ([-INF], NAN)]);
    check_all(Op::Asin, |_| vec![([1.0], FRAC_PI_2), ([-1.0], -FRAC_PI_2), ([1.5], NAN)]);
    check_all(Op::Acosh, |_| vec![([1.0], 0.0), ([INF], INF), ([0.5], NAN), ([-INF], NAN)]);
    check_all(Op::Atanh, |_| vec![([1.0], INF), ([-1.0], -INF), ([1.5], NAN), ([-INF], NAN)]);
    check_all(Op::Sigmoid, |_| vec![([-INF], 0.0), ([INF], 1.0), ([0.0], 0.5), ([-0.0], 0.5)]);
    check_all(Op::Erfc, |_| vec![([-INF], 2.0), ([INF], 0.0), ([0.0], 1.0), ([-0.0], 1.0)]);
    check_all(Op::Sqrt, |_| vec![([-0.0], -0.0), ([0.0], 0.0), ([INF], INF), ([-1.0], NAN)]);
    check_all(Op::Rsqrt, |_| vec![([0.0], INF), ([-0.0], -INF), ([INF], 0.0), ([-1.0], NAN)]);
    check_all(Op::Recip, |_| vec![([0.0], INF), ([-0.0], -INF), ([INF], 0.0), ([-INF], -0.0)]);
    let float = |op: &&Op| matches!(op.info().typing, Typing::Float | Typing::Number);
    for &op in Op::ALL.iter().filter(|op| op.arity() == 1).filter(float) {
        check_all(op, |_| vec![([NAN], NAN), ([-NAN], NAN)]);
    }
}

/// Powers of two are exact both ways.
#[test]
fn powers_of_two() {
    let exponents = |dtype| if dtype == DType::F32 { -149..128 } else { -1074..1024 };
    check_all(Op::Exp2, |dtype| {
        exponents(dtype).map(|k| ([f64::from(k)], f64::from(k).exp2())).collect()
    });
    check_all(Op::Log2, |dtype| {
        exponents(dtype).map(|k| ([f64::from(k).exp2()], f64::from(k))).collect()
    });
}
