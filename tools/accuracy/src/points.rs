//! Where to look when not everywhere: the operands of a sweep.

use crate::function::Function;
use crate::scan::mix;
use crate::worst::worst_cases;
use kiln::DType;
use kiln::internals::op_program;
use kiln::internals::vir::Inst;
use kiln::ir::Op;
use std::f64::consts::{FRAC_PI_2, LN_2};

/// Operands of one case; those beyond the arity are 0.
pub(crate) type Point = [f64; 3];

/// SplitMix64, so that every run tries the same operands.
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(mix(seed))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to 1, which it never is.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn signed(&mut self, scale: f64) -> f64 {
        (2.0 * self.unit() - 1.0) * scale
    }

    /// Any bits, or a number of ordinary size, in turn.
    fn value(&mut self, dtype: DType) -> f64 {
        match self.bits() % 4 {
            0 if dtype == DType::F32 => f64::from(f32::from_bits(self.bits() as u32)),
            0 => f64::from_bits(self.bits()),
            1 => self.signed(4.0),
            2 => self.signed(1.0) * (self.unit() * 16.0 - 8.0).exp2(),
            _ => self.signed(1.0) * (self.unit() * 140.0 - 70.0).exp2(),
        }
    }
}

/// `value` moved by `steps` numbers of `dtype`, across zero too.
pub fn neighbour(dtype: DType, value: f64, steps: i64) -> f64 {
    // Numbers in order, from the bits of a float: those of negative ones count down.
    match dtype {
        DType::F32 => {
            let bits = (value as f32).to_bits() as i32;
            let place = if bits < 0 { i64::from(i32::MIN) - i64::from(bits) } else { bits.into() };
            let moved = (place + steps).clamp(-0x7f80_0000, 0x7f80_0000);
            let bits = if moved < 0 { i64::from(i32::MIN) - moved } else { moved };
            f64::from(f32::from_bits(bits as u32))
        }
        _ => {
            let bits = value.to_bits() as i64;
            let place = if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits };
            let limit = f64::INFINITY.to_bits() as i64;
            let moved = place.saturating_add(steps).clamp(-limit, limit);
            f64::from_bits(if moved < 0 { i64::MIN.wrapping_sub(moved) } else { moved } as u64)
        }
    }
}

/// Limits of a type and the plainest numbers, of both signs.
fn plain(dtype: DType) -> Vec<f64> {
    let (least, normal, most) = match dtype {
        DType::F32 => (f64::from(f32::from_bits(1)), f32::MIN_POSITIVE.into(), f32::MAX.into()),
        _ => (f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX),
    };
    let numbers = [0.0, f64::INFINITY, 1.0, 0.5, 2.0, 3.0, 4.0, 5.0, 10.0, 0.1, 1.5, least, normal];
    let roots = [most, most.sqrt(), normal.sqrt(), most.cbrt()];
    let positive = numbers.into_iter().chain(roots).chain([neighbour(dtype, normal, -1)]);
    let signed = positive.flat_map(|v| [v, -v]).map(|v| dtype.round(v));
    signed.chain([f64::NAN]).collect()
}

/// Inputs where something can change, beyond the plain ones: thresholds at which exponentials
/// overflow or vanish, powers of two, multiples of π/2 and of half of ln 2, every constant of the
/// function's own expansion (with its root and its square), for these are the borders of its
/// branches, and what is known to be hard.
fn special(function: &Function, dtype: DType) -> Vec<f64> {
    let mut list =
        vec![88.722_839, 87.336_548, 103.972_08, 709.782_712_893_384, 708.396_418_532_264];
    list.extend([
        745.133_219_101_941,
        710.475_860_073_944,
        36.736_800_569_677,
        18.0,
        19.061_547_465,
    ]);
    list.extend([1.0 / 3.0, 0.414_213_562_373_095, 2.414_213_562_373_095, 5.92, 26.543, 27.226]);
    list.extend([308.254_715_559_917, 323.306_215_343_116, 1e22, 1e15, 1e5, 131_072.0]);
    list.extend(if dtype == DType::F32 { -149..128 } else { -1074..1024 }.map(|e| 2f64.powi(e)));
    list.extend((1..64).map(|k| f64::from(k) * FRAC_PI_2));
    list.extend((1..64).map(|k| f64::from(k) * LN_2 / 2.0));
    if let Some(op) = function.op() {
        list.extend(constants(op, dtype));
        list.extend(known(op));
    }
    list.iter().flat_map(|&v| [v, -v]).map(|v| dtype.round(v)).collect()
}

/// Constants of an op's expansion that may be thresholds, with roots and squares.
fn constants(op: Op, dtype: DType) -> Vec<f64> {
    let program = op_program(op, dtype);
    let number = |inst: &Inst| match *inst {
        Inst::Const { bits, .. } if dtype == DType::F32 => {
            Some(f64::from(f32::from_bits(bits as u32)))
        }
        Inst::Const { bits, .. } => Some(f64::from_bits(bits)),
        _ => None,
    };
    let found =
        program.body().insts.iter().filter_map(number).filter(|c| c.is_finite() && *c != 0.0);
    found.flat_map(|c| [c, c.abs().sqrt(), c * c]).collect()
}

/// Inputs at which others were found to be wrong and that are in no list, then the published ones.
fn known(op: Op) -> Vec<f64> {
    let mut list = match op {
        // SLEEF's sinh and cosh overflow early (shibatch/sleef#460, pocl#2320).
        Op::Sinh | Op::Cosh => vec![88.821_573, 709.8, 710.4],
        // The tail dropped where k is not 0 (jax-ml/jax#39707).
        Op::Log1p => vec![-0.414, -0.292_893_218_813_452, 0.414_213_562_373_095],
        // Above 1 in older XLA.
        Op::Erf => vec![3.9, 3.92, 5.92],
        // Up to the limits of the fast reductions, and beyond.
        Op::Sin | Op::Cos | Op::Tan => {
            let factors = (64..1000).chain((1..1000).map(|k| k * 170_003));
            let mut list: Vec<f64> = factors.map(|k| f64::from(k) * FRAC_PI_2).collect();
            let limits = [131_072.0, 2f64.powi(30)];
            list.extend(limits.iter().flat_map(|v| [v - 1e-6, v + 1e-6]));
            list
        }
        _ => vec![],
    };
    if op.arity() == 1 {
        list.extend(worst_cases(op).into_iter().flatten());
    }
    list
}

/// The special inputs with their neighbours, near and ever farther off; of two operands all pairs of
/// a few and the pairs known to be hard, of three all triples of fewer.
pub(crate) fn special_points(function: &Function, dtype: DType) -> Vec<Point> {
    match function.arity() {
        1 => {
            let mut random = Random::new(1);
            let mut points = Vec::new();
            let mut around = |value: f64, steps: i64, farther: i64| {
                points.extend((-steps..=steps).map(|k| [neighbour(dtype, value, k), 0.0, 0.0]));
                for shift in 5..farther {
                    let far = (1i64 << shift) + (random.bits() & ((1 << shift) - 1)) as i64;
                    points.push([neighbour(dtype, value, far), 0.0, 0.0]);
                    points.push([neighbour(dtype, value, -far), 0.0, 0.0]);
                }
            };
            for value in plain(dtype).into_iter().chain(special(function, dtype)) {
                // One binade is as the next, but for the outermost.
                let (steps, farther) = if is_power(value) { (2, 8) } else { (24, 49) };
                around(value, steps, farther);
            }
            points
        }
        2 => {
            let near = |v: f64| [-1, 0, 1].map(|steps| neighbour(dtype, v, steps));
            let few: Vec<f64> = few(function, dtype, 7).into_iter().flat_map(near).collect();
            let pairs = few.iter().flat_map(|&a| few.iter().map(move |&b| [a, b, 0.0]));
            pairs.chain(hard_pairs(function, dtype)).collect()
        }
        _ => triples(function, dtype, 29),
    }
}

/// The special inputs themselves: what a quick test can afford.
pub(crate) fn few_special_points(function: &Function, dtype: DType) -> Vec<Point> {
    match function.arity() {
        1 => {
            let values = plain(dtype).into_iter().chain(special(function, dtype));
            values.map(|v| [v, 0.0, 0.0]).collect()
        }
        2 => {
            let few = few(function, dtype, 28);
            let pairs = few.iter().flat_map(|&a| few.iter().map(move |&b| [a, b, 0.0]));
            pairs.chain(hard_pairs(function, dtype)).collect()
        }
        _ => triples(function, dtype, 420),
    }
}

/// Published hard pairs with their neighbours.
fn hard_pairs(function: &Function, dtype: DType) -> Vec<Point> {
    let pairs = function.op().map(worst_cases).unwrap_or_default();
    let near = |v: f64| [-1, 0, 1].map(|steps| neighbour(dtype, dtype.round(v), steps));
    let around = |pair: &Vec<f64>| {
        let (a, b) = (near(pair[0]), near(pair[1]));
        a.map(|a| b.map(|b| [a, b, 0.0])).concat()
    };
    pairs.iter().flat_map(around).collect()
}

fn triples(function: &Function, dtype: DType, step: usize) -> Vec<Point> {
    let few = few(function, dtype, step);
    let pairs = few.iter().flat_map(|&a| few.iter().map(move |&b| (a, b)));
    pairs.flat_map(|(a, b)| few.iter().map(move |&c| [a, b, c])).collect()
}

fn is_power(value: f64) -> bool {
    value.to_bits() << 12 == 0 && value.is_normal() && !(0.25..=4.0).contains(&value.abs())
}

/// The plain values, one in `step / 7` of the special ones that are no powers of two, and one power of
/// two in `8 * step`.
fn few(function: &Function, dtype: DType, step: usize) -> Vec<f64> {
    let special = special(function, dtype);
    let (powers, others): (Vec<f64>, Vec<f64>) = special.iter().partition(|v| is_power(**v));
    let mut found = plain(dtype);
    found.extend(others.into_iter().step_by(step.div_ceil(7)));
    found.extend(powers.into_iter().step_by(step * 8));
    found
}

/// The `index`-th random point of `function`.
pub(crate) fn random_point(function: &Function, dtype: DType, index: u64) -> Point {
    let mut random = Random::new(index ^ mix(function.name().len() as u64));
    let point = match function.arity() {
        1 => [unary(&mut random, dtype), 0.0, 0.0],
        2 => pair(&mut random, function, dtype),
        _ => [0; 3].map(|_| random.value(dtype)),
    };
    point.map(|v| dtype.round(v))
}

/// Uniform in bits, uniform in ordinary intervals, and uniform where exponentials are finite.
fn unary(random: &mut Random, dtype: DType) -> f64 {
    let finite = if dtype == DType::F32 { 104.0 } else { 746.0 };
    match random.bits() % 8 {
        0 | 1 => random.value(dtype),
        2 => random.signed(1.0),
        3 => random.signed(4.0),
        4 => random.signed(32.0),
        5 => random.signed(finite),
        6 => random.signed(1.0) * (random.unit() * 40.0).exp2(),
        _ => 1.0 + random.signed(1.0) * (-random.unit() * 50.0).exp2(),
    }
}

/// Operands of any kind, or such as are hard for the op.
fn pair(random: &mut Random, function: &Function, dtype: DType) -> Point {
    let x = random.value(dtype);
    let (spread, digits) = if dtype == DType::F32 { (250.0, 24.0) } else { (2090.0, 53.0) };
    if random.bits().is_multiple_of(4) {
        return [x, random.value(dtype), 0.0];
    }
    match function.op() {
        // A result in range: from bases of any size, next to 1, or small with a whole exponent.
        Some(Op::Pow) => {
            let base = match random.bits() % 3 {
                0 => x.abs(),
                1 => 1.0 + random.signed(0.5) * (-digits * random.unit()).exp2(),
                _ => return [random.signed(4.0), random.signed(150.0).round(), 0.0],
            };
            let base = dtype.round(base);
            [base, random.signed(spread / 2.0) / base.log2(), 0.0]
        }
        // Quotients of every size.
        Some(Op::Rem) => [x, x / (random.unit() * spread).exp2(), 0.0],
        // Of either sign, half of them next to an integer.
        Some(Op::FloorDiv | Op::Modulo) => {
            let whole = (random.unit() * (digits + 2.0)).exp2() * random.signed(1.0).signum();
            match random.bits() % 2 {
                0 => [x, x / whole, 0.0],
                _ => [dtype.round(x / whole) * whole.round(), x / whole, 0.0],
            }
        }
        // Magnitudes of the same order, and as far apart as matters.
        _ => [x, x * random.signed(2.0 * digits).exp2() * random.signed(1.0), 0.0],
    }
}

#[cfg(test)]
mod tests {
    use super::neighbour;
    use kiln::DType;

    #[test]
    fn neighbours_are_the_next_numbers() {
        let least = f64::from_bits(1);
        assert_eq!(neighbour(DType::F64, 1.0, 1), 1.0 + f64::EPSILON);
        assert_eq!(neighbour(DType::F64, 0.0, -1), -least);
        assert_eq!(neighbour(DType::F64, -least, 2), least);
        assert_eq!(neighbour(DType::F64, f64::MAX, 5), f64::INFINITY);
        assert_eq!(neighbour(DType::F32, 1.0, -1), f64::from(1.0 - f32::EPSILON / 2.0));
        assert_eq!(neighbour(DType::F32, 0.0, -1), -f64::from(f32::from_bits(1)));
        assert_eq!(neighbour(DType::F32, -1.0, -1), f64::from(-1.0 - f32::EPSILON));
    }
}
