//! asin, acos, atan, atan2.
//!
//! Errors are the largest measured, in f32 and f64.

use super::bits::flip_sign;
use super::double_word::fast_two_sum;
use super::{Tier, by_type, horner};
use crate::vir::{Builder, Type, Value};
use std::f64::consts::{FRAC_PI_2, PI};

/// asin, 0.72 and 0.64 ULP: a polynomial up to 1/2, `π/2 - 2 asin(sqrt((1 - |x|) / 2))` above. NaN
/// beyond ±1, zeros are kept. The fast tier, in f32, drops the rounding errors: 2.35 ULP.
pub fn asin(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let folded = Folded::new(b, x);
    let minus_two = b.float(ty, -2.0);
    let doubled = b.mul(folded.root, minus_two);
    let lead = b.select(folded.far, doubled, folded.magnitude);
    let (zero, half_pi) = (b.float(ty, 0.0), b.float(ty, FRAC_PI_2));
    let base = b.select(folded.far, half_pi, zero);
    if (tier, ty) == (Tier::Fast, Type::F32) {
        let rest = b.fma(folded.excess, lead, lead);
        let angle = b.add(base, rest);
        return b.copysign(angle, x);
    }
    let tail = folded.tail(b, lead);
    // The root's rounding error, over 2 sqrt(z), for which a linear term is enough: it matters only
    // near the fold, where it is accurate.
    let (six, minus_five) = (b.float(ty, 6.0), b.float(ty, -5.0));
    let minus_root = b.neg(folded.root);
    let lost = b.fma(minus_root, folded.root, folded.halved);
    let lost = b.select(folded.far, lost, zero);
    let weight = b.fma(folded.root, six, minus_five);
    let tail = b.fma(lost, weight, tail);
    let angle = add_angle(b, base, lead, tail);
    b.copysign(angle, x)
}

/// acos, 1.15 and 1.06 ULP: the same polynomial, as `2 asin(sqrt((1 - x) / 2))` where `x` is above
/// 1/2, `π/2 - asin(x)` between, and π minus the first below -1/2. NaN beyond ±1.
pub fn acos(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let int = ty.int();
    let folded = Folded::new(b, x);
    let doubled = b.add(folded.root, folded.root);
    let lead = b.select(folded.far, doubled, folded.magnitude);
    // The sign is that of x in the outer ranges and the opposite between them.
    let sign = b.bitcast(x, int);
    let far = b.bitcast(folded.far, int);
    let near = b.not(far);
    let sign = b.xor(sign, near);
    let lead = flip_sign(b, lead, sign);
    let (zero, half_pi, pi) = (b.float(ty, 0.0), b.float(ty, FRAC_PI_2), b.float(ty, PI));
    let negative = b.lt(x, zero);
    let base = b.select(negative, pi, zero);
    let base = b.select(folded.far, base, half_pi);
    let tail = folded.tail(b, lead);
    add_angle(b, base, lead, tail)
}

/// Shared by asin and acos: the argument, folded at 1/2 to at most 1/2.
struct Folded {
    /// `|x|`.
    magnitude: Value,
    /// Whether `|x|` is above 1/2.
    far: Value,
    /// `(1 - |x|) / 2`, exact where `far`.
    halved: Value,
    /// Its root; NaN beyond ±1.
    root: Value,
    /// `(asin(s) - s) / s^3` of the root where `far`, else of `|x|`, times its square.
    excess: Value,
}

impl Folded {
    fn new(b: &mut Builder, x: Value) -> Folded {
        let ty = b.ty(x);
        let (half, minus_half) = (b.float(ty, 0.5), b.float(ty, -0.5));
        let magnitude = b.abs(x);
        let far = b.lt(half, magnitude);
        let halved = b.fma(magnitude, minus_half, half);
        let root = b.sqrt(halved);
        let square = b.mul(magnitude, magnitude);
        let square = b.select(far, halved, square);
        let polynomial = horner(b, square, by_type(ty, &ASIN_F32[..], &ASIN_F64));
        let excess = b.mul(polynomial, square);
        Folded { magnitude, far, halved, root, excess }
    }

    /// The correction to the leading term.
    fn tail(&self, b: &mut Builder, lead: Value) -> Value {
        b.mul(self.excess, lead)
    }
}

/// atan, 1.19 and 1.07 ULP: a polynomial up to 1, `π/2 - atan(1/|x|)` above. Zeros are kept, ±π/2
/// for infinities. The fast tier, in f32, has a shorter polynomial and plain sums: 3.23 ULP.
pub fn atan(b: &mut Builder, tier: Tier, x: Value) -> Value {
    let ty = b.ty(x);
    let (zero, one, minus_one) = (b.float(ty, 0.0), b.float(ty, 1.0), b.float(ty, -1.0));
    let half_pi = b.float(ty, FRAC_PI_2);
    let a = b.abs(x);
    let steep = b.lt(one, a);
    let above = b.select(steep, minus_one, a);
    let below = b.select(steep, a, one);
    let base = b.select(steep, half_pi, zero);
    let lead = b.div(above, below);
    let angle = if (tier, ty) == (Tier::Fast, Type::F32) {
        let tail = atan_tail(b, lead, &ATAN_FAST_F32);
        let rest = b.add(lead, tail);
        b.add(base, rest)
    } else {
        let tail = atan_tail(b, lead, by_type(ty, &ATAN_F32[..], &ATAN_F64));
        add_angle(b, base, lead, tail)
    };
    b.copysign(angle, x)
}

/// The angle of the point (x, y), 1.50 and 1.41 ULP, special cases as in IEEE 754: atan of the
/// smaller magnitude over the larger, added to the nearest multiple of π/2.
pub fn atan2(b: &mut Builder, y: Value, x: Value) -> Value {
    let ty = b.ty(x);
    let int = ty.int();
    let (ax, ay) = (b.abs(x), b.abs(y));
    let steep = b.lt(ax, ay);
    let above = b.select(steep, ax, ay);
    let below = b.select(steep, ay, ax);
    // The quotient of equal magnitudes is 1, even of infinities, but of zeros it is 0.
    let least = b.float(ty, by_type(ty, f64::from(f32::from_bits(1)), f64::from_bits(1)));
    let below = b.max(least, below);
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let quotient = b.div(above, below);
    let equal = b.eq(above, below);
    let quotient = b.select(equal, one, quotient);

    let sign = b.bitcast(x, int);
    let steep_bits = b.bitcast(steep, int);
    let turn = b.xor(sign, steep_bits);
    let lead = flip_sign(b, quotient, turn);
    let tail = atan_tail(b, lead, by_type(ty, &ATAN_F32[..], &ATAN_F64));
    let (half_pi, pi) = (b.float(ty, FRAC_PI_2), b.float(ty, PI));
    // By the sign bit, because -0 lies on the left.
    let int_zero = b.int(int, 0);
    let left = b.lt(sign, int_zero);
    let base = b.select(left, pi, zero);
    let base = b.select(steep, half_pi, base);
    let angle = add_angle(b, base, lead, tail);
    b.copysign(angle, y)
}

/// `atan(t) - t` for `|t| <= 1`.
fn atan_tail(b: &mut Builder, t: Value, coefficients: &[f64]) -> Value {
    let square = b.mul(t, t);
    let polynomial = horner(b, square, coefficients);
    let cube = b.mul(square, t);
    b.mul(cube, polynomial)
}

/// `base + lead + tail`, where the base is the float nearest to 0, π/2 or π and stands for that
/// exact number, and the lead is no larger unless the base is 0.
fn add_angle(b: &mut Builder, base: Value, lead: Value, tail: Value) -> Value {
    let ty = b.ty(base);
    // What the floats lack of π/2 and π, relative to them.
    let lack = b.float(ty, by_type(ty, -4.371138828673793e-8, 6.123233995736766e-17) / FRAC_PI_2);
    let (sum, error) = fast_two_sum(b, base, lead);
    let error = b.fma(base, lack, error);
    let low = b.add(error, tail);
    b.add(sum, low)
}

// From tools/coefficients/trig_pow.sollya; relative errors 2^-28.5, 2^-57.5, 2^-27.6, 2^-59.8.
const ATAN_F32: [f64; 9] = [
    -0.333333,
    0.19998536,
    -0.14264126,
    0.109516546,
    -0.08402056,
    0.0579358,
    -0.031157766,
    0.010904537,
    -0.001791502,
];
/// Relative error 2^-23.1.
const ATAN_FAST_F32: [f64; 7] =
    [-0.33332393, 0.19974229, -0.14041407, 0.09968682, -0.06020597, 0.024736002, -0.004823059];
const ATAN_F64: [f64; 20] = [
    -0.3333333333333307,
    0.19999999999951756,
    -0.1428571428258855,
    0.1111111100735493,
    -0.09090907008003227,
    0.07692279891000552,
    -0.06666404438129865,
    0.058805298846729526,
    -0.052535270812955864,
    0.047223492737180406,
    -0.042192457555029254,
    0.036643201134804834,
    -0.0299058087635479,
    0.021987149042429332,
    -0.013902640588944897,
    0.00719792575897647,
    -0.002885627889651036,
    0.0008315652318609962,
    -0.00015221219870193814,
    1.3230091772371405e-05,
];
const ASIN_F32: [f64; 5] = [0.16666752, 0.0749531, 0.04546902, 0.024185503, 0.042157013];
const ASIN_F64: [f64; 13] = [
    0.1666666666666676,
    0.07499999999970867,
    0.04464285717455937,
    0.030381942709939623,
    0.022372214933962416,
    0.017351612884603268,
    0.013980810971389734,
    0.011398984890791528,
    0.010779871868343047,
    0.0037077635317693423,
    0.02170432555336977,
    -0.02099485893090953,
    0.0326261117857431,
];
