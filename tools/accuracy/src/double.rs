//! What correct rounding left over: the exact value less the nearest `f64`, in pairs of `f64`s.
//!
//! 200 bits take 30 to 200 µs a result; this takes less than 1 µs, and is good to a millionth of an
//! ULP. It only sorts: what could be the largest error is computed with 200 bits.
//!
//! `exp`, `sin` and `cos` are summed; from the others' nearest `f64` `y`, one step of Newton's method
//! with the inverse function gives the rest: `log(x) - y = log(x e^-y)`.

use crate::ulp::{scale, ulp_exponent};
use kiln::DType;
use kiln::ir::Op;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The number `hi + lo`, of some 104 bits.
#[derive(Clone, Copy, Debug)]
struct Pair {
    hi: f64,
    lo: f64,
}

// Constants in parts, from mpmath.
const HALF_PI: [f64; 4] =
    [1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33, 5.562271104316826e-50];
const LN_2: [f64; 3] = [std::f64::consts::LN_2, 2.3190468138462996e-17, 5.707708438416212e-34];
const LN_10: Pair = Pair { hi: std::f64::consts::LN_10, lo: -2.1707562233822494e-16 };
const ROOT_HALF: Pair = Pair { hi: std::f64::consts::FRAC_1_SQRT_2, lo: -4.833646656726457e-17 };
const TWO_BY_ROOT_PI: Pair = Pair { hi: 1.1283791670955126, lo: 1.533545961316588e-17 };

fn two_sum(a: f64, b: f64) -> Pair {
    let hi = a + b;
    let part = hi - a;
    Pair { hi, lo: (a - (hi - part)) + (b - part) }
}

fn two_product(a: f64, b: f64) -> Pair {
    let hi = a * b;
    Pair { hi, lo: a.mul_add(b, -hi) }
}

/// `two_sum` where `a` is not the smaller.
fn renormalized(a: f64, b: f64) -> Pair {
    let hi = a + b;
    Pair { hi, lo: b - (hi - a) }
}

impl From<f64> for Pair {
    fn from(value: f64) -> Pair {
        Pair { hi: value, lo: 0.0 }
    }
}

impl Neg for Pair {
    type Output = Pair;

    fn neg(self) -> Pair {
        Pair { hi: -self.hi, lo: -self.lo }
    }
}

impl<T: Into<Pair>> Add<T> for Pair {
    type Output = Pair;

    fn add(self, other: T) -> Pair {
        let other = other.into();
        let (high, low) = (two_sum(self.hi, other.hi), two_sum(self.lo, other.lo));
        let sum = renormalized(high.hi, high.lo + low.hi);
        renormalized(sum.hi, sum.lo + low.lo)
    }
}

impl<T: Into<Pair>> Sub<T> for Pair {
    type Output = Pair;

    fn sub(self, other: T) -> Pair {
        self + -other.into()
    }
}

impl<T: Into<Pair>> Mul<T> for Pair {
    type Output = Pair;

    fn mul(self, other: T) -> Pair {
        let other = other.into();
        let product = two_product(self.hi, other.hi);
        let cross = self.hi.mul_add(other.lo, self.lo * other.hi);
        renormalized(product.hi, product.lo + cross)
    }
}

impl<T: Into<Pair>> Div<T> for Pair {
    type Output = Pair;

    fn div(self, other: T) -> Pair {
        let other = other.into();
        let first = self.hi / other.hi;
        let rest = self - other * first;
        let second = rest.hi / other.hi;
        let third = (rest - other * second).hi / other.hi;
        renormalized(first, second) + third
    }
}

impl Pair {
    fn scaled(self, exponent: i32) -> Pair {
        Pair { hi: scale(self.hi, exponent), lo: scale(self.lo, exponent) }
    }

    fn square(self) -> Pair {
        self * self
    }

    /// What is left beyond `nearest`.
    fn beyond(self, nearest: f64) -> f64 {
        (self.hi - nearest) + self.lo
    }
}

/// `e^x = 2^k (1 + m)`: `k`, and `m` with its own relative accuracy.
fn exp_parts(x: Pair) -> (i32, Pair) {
    let k = (x.hi * std::f64::consts::LOG2_E).round();
    let rest = x - two_product(k, LN_2[0]) - two_product(k, LN_2[1]) - k * LN_2[2];
    (k as i32, expm1_small(rest))
}

/// `2^x`, likewise.
fn exp2_parts(x: f64) -> (i32, Pair) {
    let k = x.round();
    (k as i32, expm1_small(Pair { hi: LN_2[0], lo: LN_2[1] } * (x - k)))
}

/// `e^x - 1` of `|x| < 0.4`: Taylor's series at `x/256`, then `m(2 + m)` eight times.
fn expm1_small(x: Pair) -> Pair {
    let x = x.scaled(-8);
    let series = (2..=10).rev().fold(Pair::from(1.0), |sum, n| sum * x / f64::from(n) + 1.0);
    (0..8).fold(series * x, |m, _| m * (m + 2.0))
}

fn exp(x: Pair) -> Pair {
    let (k, m) = exp_parts(x);
    (m + 1.0).scaled(k)
}

fn expm1(x: f64) -> Pair {
    let (k, m) = exp_parts(x.into());
    if k == 0 { m } else { (m + 1.0).scaled(k) - 1.0 }
}

/// `(sinh x, cosh x)` with their own relative accuracy.
fn sinh_cosh(x: f64) -> (Pair, Pair) {
    let m = expm1(x.abs());
    let inverse = m / (m + 1.0);
    ((m + inverse) * 0.5f64.copysign(x), (m - inverse).scaled(-1) + 1.0)
}

/// `(sin x, cos x)` of `|x| < 2^45`.
fn sin_cos(x: f64) -> (Pair, Pair) {
    let k = (x * std::f64::consts::FRAC_2_PI).round();
    let reduced = HALF_PI[..3].iter().fold(Pair::from(x), |r, &part| r - two_product(k, part));
    let x = reduced - k * HALF_PI[3];
    let square = -x.square();
    // sum of (-x²)^n / (first+1)(first+2)...: 14 terms, the next below 2^-110.
    let series = |first: u32| {
        let step = |sum: Pair, n: u32| {
            sum * square / f64::from((2 * n - 1 + first) * (2 * n + first)) + 1.0
        };
        (1..=14).rev().fold(Pair::from(1.0), step)
    };
    let (sin, cos) = (series(1) * x, series(0));
    match k.rem_euclid(4.0) as u32 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// `log(1 + d)` of a tiny `d`.
fn log1p_tiny(d: Pair) -> f64 {
    d.hi - d.hi * d.hi / 2.0 + d.lo
}

/// `z e^-y - 1` from the parts of `e^-y`, where it is tiny.
fn past_one(z: Pair, (k, m): (i32, Pair)) -> Pair {
    let z = z.scaled(k);
    z * m + (z - 1.0)
}

/// `log(a) = nearest + rest`.
fn log(a: f64) -> Pair {
    let nearest = core_math::log(a);
    let rest = log1p_tiny(past_one(a.into(), exp_parts((-nearest).into())));
    two_sum(nearest, rest)
}

/// `erf(x)`, the series of `big`.
fn erf(x: Pair) -> Pair {
    let square = x.square();
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term = term * square.scaled(1) / f64::from(2 * n + 1);
        sum = sum + term;
        if term.hi.abs() < sum.hi.abs() * 2f64.powi(-108) {
            break;
        }
    }
    sum * exp(-square) * TWO_BY_ROOT_PI
}

/// `erfc(x)` of positive `x`, the difference or the fraction of `big`.
fn erfc(x: Pair) -> Pair {
    if x.hi < 4.0 {
        return -erf(x) + 1.0;
    }
    let level = |tail: Pair, k: u32| Pair::from(f64::from(k) / 2.0) / tail + x;
    let tail = (1..=200).rev().fold(x, level);
    exp(-x.square()) * TWO_BY_ROOT_PI.scaled(-1) / tail
}

/// `Φ(x) = erfc(-x/√2)/2`.
fn normcdf_pair(x: f64) -> Pair {
    erfc(-ROOT_HALF * x).scaled(-1)
}

/// The `f64` nearest to `Φ(x)`, likewise.
pub(crate) fn normcdf(x: f64) -> f64 {
    match x {
        _ if x > 9.0 => 1.0,
        _ if x < -39.0 => 0.0,
        _ => normcdf_pair(x).hi,
    }
}

/// `x - tanh(x)`; where that cancels, its series, the next coefficient of which is 0.0006.
fn tanhshrink_pair(x: f64) -> Pair {
    const SERIES: [(f64, f64); 7] = [
        (929_569.0, 638_512_875.0),
        (-21_844.0, 6_081_075.0),
        (1_382.0, 155_925.0),
        (-62.0, 2_835.0),
        (17.0, 315.0),
        (-2.0, 15.0),
        (1.0, 3.0),
    ];
    if x.abs() > 0.03 {
        let m = expm1(2.0 * x);
        return -(m / (m + 2.0)) + x;
    }
    let square = two_product(x, x);
    let sum = SERIES.iter().fold(Pair::from(0.0), |sum, &(p, q)| sum * square + Pair::from(p) / q);
    sum * square * x
}

/// The `f64` nearest to `x - tanh(x)`, likewise.
pub(crate) fn tanhshrink(x: f64) -> f64 {
    match x.abs() {
        size if size > 300.0 => x - 1f64.copysign(x),
        0.0 => x,
        // A result that vanishes keeps its sign.
        _ => tanhshrink_pair(x).hi.abs().copysign(x),
    }
}

/// The `f64` nearest to `1 / (1 + e^-x)`, up to a millionth of an ULP. `core-math` has none.
pub(crate) fn sigmoid(x: f64) -> f64 {
    match x.abs() {
        // e^-700 added to 1 is far below that.
        size if size > 700.0 => core_math::exp(x.min(0.0)),
        _ => sigmoid_pair(x).hi,
    }
}

fn sigmoid_pair(x: f64) -> Pair {
    let e = exp((-x.abs()).into());
    (if x < 0.0 { e } else { 1.0.into() }) / (e + 1.0)
}

/// The error of `got` in ULP of the exact result, whose nearest `f64` is `nearest`, good to a millionth;
/// `None` where there is no formula, or it does not give what correct rounding can leave over.
pub(crate) fn ulp_error(op: Op, x: &[f64], nearest: f64, got: f64) -> Option<f64> {
    let rest = left_over(op, x, nearest)?;
    let exponent = ulp_exponent(DType::F64, nearest);
    if rest.abs() > scale(0.500_01, exponent) || rest.is_nan() {
        return None;
    }
    // Just below a power of two the unit is half as large.
    let power = nearest.to_bits() << 12 == 0;
    if power && scale(rest.abs(), -exponent) < 1e-9 {
        return None;
    }
    let below = power && (rest > 0.0) != (nearest > 0.0);
    Some(scale((got - nearest - rest).abs(), i32::from(below) - exponent))
}

/// The exact result of `op` less `nearest`, the `f64` nearest to it; `None` where this has no formula,
/// or the operands or the result are too large or too small for it.
fn left_over(op: Op, x: &[f64], nearest: f64) -> Option<f64> {
    let (a, y) = (x[0], nearest);
    let within =
        |v: f64, exponent: i32| (2f64.powi(-exponent)..2f64.powi(exponent)).contains(&v.abs());
    // Squares and cubes, and what their product lacks, must stay in range.
    let limit = match op {
        Op::Log | Op::Log2 | Op::Log10 | Op::Log1p | Op::Asinh | Op::Acosh | Op::Pow => 1000,
        _ => 300,
    };
    if !x.iter().all(|&v| within(v, limit)) || !within(y, 900) {
        return None;
    }
    let below = |limit: f64, v: f64| (v.abs() < limit).then_some(v);
    Some(match op {
        Op::Exp => exp(a.into()).beyond(y),
        Op::Exp2 => {
            let (k, m) = exp2_parts(a);
            (m + 1.0).scaled(k).beyond(y)
        }
        Op::Exp10 => exp(LN_10 * a).beyond(y),
        Op::Expm1 => expm1(below(600.0, a)?).beyond(y),
        Op::Sigmoid => sigmoid_pair(below(600.0, a)?).beyond(y),
        Op::Sinh => sinh_cosh(below(300.0, a)?).0.beyond(y),
        Op::Cosh => sinh_cosh(below(300.0, a)?).1.beyond(y),
        Op::Tanh => {
            let m = expm1(2.0 * below(300.0, a)?);
            (m / (m + 2.0)).beyond(y)
        }
        Op::Log => log1p_tiny(past_one(a.into(), exp_parts((-y).into()))),
        Op::Log2 => log1p_tiny(past_one(a.into(), exp2_parts(-y))) * std::f64::consts::LOG2_E,
        Op::Log10 => {
            log1p_tiny(past_one(a.into(), exp_parts(LN_10 * -y))) * std::f64::consts::LOG10_E
        }
        Op::Log1p => log1p_tiny(past_one(two_sum(1.0, a), exp_parts((-y).into()))),
        Op::Sin => sin_cos(below(2f64.powi(45), a)?).0.beyond(y),
        Op::Cos => sin_cos(below(2f64.powi(45), a)?).1.beyond(y),
        Op::Tan => {
            let (sin, cos) = sin_cos(below(2f64.powi(45), a)?);
            (sin / cos).beyond(y)
        }
        Op::Asin => {
            let (sin, cos) = sin_cos(y);
            (-sin + a).hi / cos.hi
        }
        // cos(y) - a as (1 - a) - 2 sin²(y/2), where both are near 1.
        Op::Acos if a > 0.5 => {
            let half = sin_cos(y / 2.0).0.square().scaled(1);
            (-half + (1.0 - a)).hi / sin_cos(y).0.hi
        }
        Op::Acos => {
            let (sin, cos) = sin_cos(y);
            (cos - a).hi / sin.hi
        }
        Op::Atan => angle(a, 1.0, y),
        Op::Atan2 => angle(a, x[1], y),
        Op::Asinh => {
            let (sinh, cosh) = sinh_cosh(below(300.0, y)?);
            (-sinh + a).hi / cosh.hi
        }
        // cosh(y) - a as (1 - a) + 2 sinh²(y/2).
        Op::Acosh => {
            let half = sinh_cosh(below(300.0, y)? / 2.0).0.square().scaled(1);
            (two_sum(a, -1.0) - half).hi / sinh_cosh(y).0.hi
        }
        // e^(2 rest) - 1 = (2a - m (1 - a)) / ((1 - a) (1 + m)), m = e^2y - 1.
        Op::Atanh => {
            let (m, beside) = (expm1(2.0 * y), two_sum(1.0, -a));
            (-(m * beside) + 2.0 * a).hi / (beside * (m + 1.0)).hi / 2.0
        }
        Op::Erf => erf(below(6.0, a)?.into()).beyond(y),
        Op::Erfc if a < 0.0 => (-erf(below(6.0, a)?.into()) + 1.0).beyond(y),
        Op::Erfc => erfc(a.into()).beyond(y),
        Op::Normcdf if a < 8.0 => normcdf_pair(a).beyond(y),
        Op::Tanhshrink => tanhshrink_pair(below(300.0, a)?).beyond(y),
        Op::Cbrt => (-(two_product(y, y) * y) + a).hi / (3.0 * y * y),
        Op::Rsqrt => (-(two_product(a, y) * y) + 1.0).hi * y / 2.0,
        Op::Pow => {
            let power = exp(log(a.abs()) * x[1]);
            power.beyond(y.abs()) * y.signum()
        }
        Op::Hypot => {
            let squares = two_product(a, a) + two_product(x[1], x[1]);
            (squares - two_product(y, y)).hi / (2.0 * y)
        }
        _ => return None,
    })
}

/// The angle of the point `(b, a)` less `y`.
fn angle(a: f64, b: f64, y: f64) -> f64 {
    let (sin, cos) = sin_cos(y);
    (cos * a - sin * b).hi / (cos * b + sin * a).hi
}

#[cfg(test)]
mod tests {
    use super::{left_over, ulp_error};
    use crate::big::{self, Big};
    use crate::function::Function;
    use crate::points::random_point;
    use crate::real::correctly_rounded;
    use kiln::DType;
    use kiln::ir::{Op, Typing};

    /// It is what 200 bits say, to a millionth of an ULP, or absent.
    #[test]
    fn errors_are_those_of_200_bits() {
        let (mut tried, mut unknown) = (0, 0);
        let mut wrong = Vec::new();
        for &op in Op::ALL.iter().filter(|op| matches!(op.info().typing, Typing::Float)) {
            let mut worst = (0.0, [0.0; 3]);
            for index in 0..150 {
                let point = random_point(&Function::Op(op), DType::F64, index);
                let operands = &point[..op.arity()];
                let nearest = correctly_rounded(op, operands);
                let got = if index % 2 == 0 { nearest.next_up() } else { nearest.next_down() };
                if left_over(op, operands, nearest).is_none() {
                    continue;
                }
                tried += 1;
                let Some(found) = ulp_error(op, operands, nearest, got) else {
                    unknown += 1;
                    continue;
                };
                let operands: Vec<Big> = operands.iter().map(|&v| Big::from_f64(v)).collect();
                let gap = (big::apply(op, &operands).ulp_error(DType::F64, got) - found).abs();
                if gap > worst.0 {
                    worst = (gap, point);
                }
            }
            if worst.0 > 1e-6 {
                wrong.push(format!("{}: {} at {:?}", op.name(), worst.0, worst.1));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(tried > 2000 && unknown < tried / 50, "{unknown} of {tried}");
    }
}
