//! Numbers of 200 bits, in which references beyond `f64` are computed.
//!
//! `dashu-float` rounds its functions correctly at any precision. It has no `erf`; see [`erfc`].
//! Only finite numbers are made here: arguments of exponentials are clamped far beyond where an
//! `f64` overflows or vanishes.

use crate::real::{Real, tanhshrink};
use crate::ulp::ulp_exponent;
use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use kiln::DType;
use kiln::ir::Op;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Bits of the significand.
const BITS: usize = 200;

type Float = FBig<HalfEven, 2>;

/// A finite real number.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct Big(Float);

impl Big {
    /// `value`, which must be finite.
    pub fn from_f64(value: f64) -> Big {
        let exact = Float::try_from(value).expect("a finite number");
        Big(exact.with_precision(BITS).value())
    }

    /// The circle's.
    pub fn pi() -> Big {
        Big(Float::pi(BITS))
    }

    /// The nearest `f64`.
    pub fn to_f64(&self) -> f64 {
        self.0.to_f64().value()
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        *self == Big::from_f64(0.0)
    }

    /// Whether it is below 0.
    pub fn is_negative(&self) -> bool {
        *self < Big::from_f64(0.0)
    }

    /// Its magnitude.
    pub fn abs(&self) -> Big {
        if self.is_negative() { -self.clone() } else { self.clone() }
    }

    /// `self * 2^exponent`.
    pub fn shifted(self, exponent: i32) -> Big {
        Big(self.0 << exponent as isize)
    }

    /// The largest integer not above.
    pub fn floor(&self) -> Big {
        Big(self.0.floor().with_precision(BITS).value())
    }

    /// The `e` of `2^(e - 1) <= |self| < 2^e`; of 0 it means nothing.
    pub fn exponent(&self) -> isize {
        self.0.repr().exponent() + self.0.repr().digits() as isize
    }

    fn sqrt(&self) -> Big {
        if self.is_zero() { self.clone() } else { Big(self.0.sqrt()) }
    }

    fn exp(&self) -> Big {
        // Of what cancelled to 0 no precision is left.
        if self.is_zero() {
            return Big::from_f64(1.0);
        }
        // e^1e6 is beyond the range of every type, and far from that of the exponent here.
        let limit = Big::from_f64(1e6);
        if *self > limit {
            return limit.exp();
        }
        if *self < -limit.clone() {
            return (-limit).exp();
        }
        Big(self.0.exp())
    }

    fn powi(&self, n: u32) -> Big {
        (0..n).fold(Big::from_f64(1.0), |product, _| product * self.clone())
    }

    /// The error of `got`, as [`judge`](crate::ulp::judge) has it, where both are finite.
    pub(crate) fn ulp_error(&self, dtype: DType, got: f64) -> f64 {
        // Where the nearest f64 is a power of two, the exact value may be in the binade below.
        let nearest = self.to_f64();
        let mut exponent = ulp_exponent(dtype, nearest);
        if self.abs() < Big::from_f64(nearest).abs() && nearest.to_bits() << 12 == 0 {
            exponent = ulp_exponent(dtype, nearest * (1.0 - f64::EPSILON));
        }
        (Big::from_f64(got) - self.clone()).abs().shifted(-exponent).to_f64()
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident;)*) => {$(
        impl $trait for Big {
            type Output = Big;

            fn $method(self, other: Big) -> Big {
                Big(self.0.$method(other.0))
            }
        }
    )*};
}

operators! { Add add; Sub sub; Mul mul; Div div; }

impl Neg for Big {
    type Output = Big;

    fn neg(self) -> Big {
        Big(-self.0)
    }
}

/// `erf(x) = 2/√π e^(-x²) Σ 2^n x^(2n+1) / (1·3·5···(2n+1))`: all terms have one sign.
fn erf_series(x: &Big) -> Big {
    let two_square = (x.clone() * x.clone()).shifted(1);
    let (mut term, mut sum) = (x.clone(), x.clone());
    for n in 1..4000 {
        term = term * two_square.clone() / Big::from_f64(f64::from(2 * n + 1));
        sum = sum + term.clone();
        if term.abs() < sum.abs().shifted(-(BITS as i32)) {
            break;
        }
    }
    let root_pi = Big::pi().sqrt();
    sum.shifted(1) * (-(x.clone() * x.clone())).exp() / root_pi
}

/// `erfc(x)`: `1 - erf(x)` below 6, where that loses 53 of the 200 bits at most; from there Laplace's
/// continued fraction `e^(-x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...))))`, whose first 150
/// levels are good to 140 bits (the tests compare the two).
fn erfc(x: &Big) -> Big {
    if x.is_negative() {
        return Big::from_f64(2.0) - erfc(&-x.clone());
    }
    if *x < Big::from_f64(6.0) { Big::from_f64(1.0) - erf_series(x) } else { erfc_fraction(x) }
}

fn erfc_fraction(x: &Big) -> Big {
    let level = |tail: Big, k: u32| x.clone() + Big::from_f64(f64::from(k) / 2.0) / tail;
    let tail = (1..=150).rev().fold(x.clone(), level);
    (-(x.clone() * x.clone())).exp() / (Big::pi().sqrt() * tail)
}

/// The quotient rounded down and the remainder, in as many bits as the longest quotient of two `f64`
/// has.
fn floor_division(a: &Big, b: &Big) -> (Big, Big) {
    let wide = |x: &Big| x.0.clone().with_precision(2400).value();
    let short = |x: Float| Big(x.with_precision(BITS).value());
    let quotient = (wide(a) / wide(b)).floor().with_precision(2400).value();
    let rest = wide(a) - quotient.clone() * wide(b);
    (short(quotient), short(rest))
}

/// A function of the op table at finite operands that have a finite, non-zero result.
pub fn apply(op: Op, x: &[Big]) -> Big {
    let a = &x[0];
    let one = || Big::from_f64(1.0);
    let ln = |value: f64| Float::try_from(value).expect("finite").with_precision(BITS).value().ln();
    if a.is_zero()
        && matches!(
            op,
            Op::Sin
                | Op::Tan
                | Op::Asin
                | Op::Atan
                | Op::Sinh
                | Op::Tanh
                | Op::Asinh
                | Op::Atanh
                | Op::Erf
                | Op::Expm1
                | Op::Log1p
                | Op::Cbrt
        )
    {
        return a.clone();
    }
    match op {
        Op::Neg => -a.clone(),
        Op::Abs => a.abs(),
        Op::Add => a.clone() + x[1].clone(),
        Op::Sub => a.clone() - x[1].clone(),
        Op::Mul => a.clone() * x[1].clone(),
        Op::Div => a.clone() / x[1].clone(),
        Op::FloorDiv => floor_division(a, &x[1]).0,
        Op::Modulo => floor_division(a, &x[1]).1,
        Op::Min => pick(a, &x[1], Ordering::Less),
        Op::Max => pick(a, &x[1], Ordering::Greater),
        Op::Clamp => pick(&pick(a, &x[1], Ordering::Greater), &x[2], Ordering::Less),
        Op::Fma => a.clone() * x[1].clone() + x[2].clone(),
        Op::Recip => one() / a.clone(),
        Op::Sqrt => a.sqrt(),
        Op::Rsqrt => one() / a.sqrt(),
        Op::Cbrt if a.is_negative() => -Big(a.abs().0.nth_root(3)),
        Op::Cbrt => Big(a.0.nth_root(3)),
        Op::Exp => a.exp(),
        Op::Exp2 => (a.clone() * Big(ln(2.0))).exp(),
        Op::Exp10 => (a.clone() * Big(ln(10.0))).exp(),
        Op::Expm1 if *a > Big::from_f64(200.0) => a.exp() - one(),
        Op::Expm1 if *a < Big::from_f64(-200.0) => a.exp() - one(),
        Op::Expm1 => Big(a.0.exp_m1()),
        Op::Log => Big(a.0.ln()),
        Op::Log2 => Big(a.0.ln() / ln(2.0)),
        Op::Log10 => Big(a.0.ln() / ln(10.0)),
        Op::Log1p => Big(a.0.ln_1p()),
        Op::Sin => Big(a.0.sin()),
        Op::Cos => Big(a.0.cos()),
        Op::Tan => Big(a.0.tan()),
        Op::Asin => Big(a.0.asin()),
        Op::Acos => Big(a.0.acos()),
        Op::Atan => Big(a.0.atan()),
        Op::Sinh => Big(a.0.sinh()),
        Op::Cosh => Big(a.0.cosh()),
        Op::Tanh => Big(a.0.tanh()),
        Op::Asinh => Big(a.0.asinh()),
        Op::Acosh => Big(a.0.acosh()),
        Op::Atanh => Big(a.0.atanh()),
        Op::Sigmoid => {
            let e = (-a.abs()).exp();
            let top = if a.is_negative() { e.clone() } else { one() };
            top / (one() + e)
        }
        Op::Erf if a.abs() < Big::from_f64(6.0) => erf_series(a),
        Op::Erf if a.is_negative() => erfc_fraction(&-a.clone()) - one(),
        Op::Erf => one() - erfc_fraction(a),
        Op::Erfc => erfc(a),
        Op::Tanhshrink => tanhshrink(a),
        Op::Normcdf => erfc(&-(a.clone() * Big::from_f64(0.5).sqrt())).shifted(-1),
        // A negative base has a whole exponent, or no real power.
        Op::Pow if a.is_negative() => {
            let power = Big(a.abs().0.powf(&x[1].0));
            let half = x[1].to_f64() / 2.0;
            if half == half.floor() { power } else { -power }
        }
        Op::Pow => Big(a.0.powf(&x[1].0)),
        Op::Atan2 => Big(a.0.atan2(&x[1].0)),
        Op::Hypot => (a.powi(2) + x[1].powi(2)).sqrt(),
        _ => panic!("{} is exact: it needs no 200 bits", op.name()),
    }
}

impl Real for Big {
    const CANCELS: f64 = 1.0 / (1u64 << 20) as f64;

    fn number(value: f64) -> Big {
        Big::from_f64(value)
    }

    fn pi() -> Big {
        Big::pi()
    }

    fn apply(op: Op, operands: &[Big]) -> Big {
        apply(op, operands)
    }

    fn above(&self, bound: f64, yes: impl FnOnce() -> Big, no: impl FnOnce() -> Big) -> Big {
        if *self > Big::from_f64(bound) { yes() } else { no() }
    }
}

fn pick(a: &Big, b: &Big, wanted: Ordering) -> Big {
    if a.partial_cmp(b) == Some(wanted) { a.clone() } else { b.clone() }
}

#[cfg(test)]
mod tests {
    use super::{Big, apply, erf_series, erfc_fraction};
    use crate::real::correctly_rounded;
    use kiln::DType;
    use kiln::ir::{Op, Typing};

    #[test]
    fn both_forms_of_erfc_agree() {
        for x in [6.0, 6.1, 6.5, 7.0] {
            let x = Big::from_f64(x);
            let series = Big::from_f64(1.0) - erf_series(&x);
            let relative = ((series.clone() - erfc_fraction(&x)) / series).abs();
            assert!(relative < Big::from_f64(2f64.powi(-120)), "{}", relative.to_f64());
        }
    }

    /// `core-math` is proven to round correctly: its results are the nearest to these.
    #[test]
    fn the_nearest_f64_is_that_of_core_math() {
        let values =
            [1e-300, 1e-20, 0.001, 0.3, 0.5, 0.9, 1.0, 1.5, 2.0, 3.7, 12.0, 40.0, 1e5, 1e20];
        for &op in Op::ALL {
            let info = op.info();
            let is_float = matches!(info.typing, Typing::Float | Typing::Number);
            let exact = info.max_ulp[1] == 0.0 || !is_float || op.arity() == 3;
            if exact {
                continue;
            }
            for a in values.into_iter().flat_map(|v| [v, -v]) {
                for b in if op.arity() == 2 { &values[..] } else { &[1.0][..] } {
                    let operands = &[a, *b][..op.arity()];
                    let near = correctly_rounded(op, operands);
                    if !near.is_normal() {
                        continue;
                    }
                    let big: Vec<Big> = operands.iter().map(|&v| Big::from_f64(v)).collect();
                    let error = apply(op, &big).ulp_error(DType::F64, near);
                    assert!(error <= 0.500_001, "{} at {operands:?}: {error}", op.name());
                }
            }
        }
    }
}
