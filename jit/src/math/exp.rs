//! exp, exp2, expm1, and the pieces of them that other functions reuse.
//!
//! All of them split `x = k ln 2 + r`, `|r| <= ln 2 / 2` (Cody and Waite), take a polynomial of `r`
//! and build powers of two from the bits of `k`. Adding 1.5 * 2^23 (2^52) rounds to an integer and
//! leaves it in the low bits of the sum; the magic number also carries a bias, so that a shift
//! alone turns `k` into the exponent of a float. Coefficients: `tools/coefficients/minimax.sollya`.

use super::bits::{clamp, exponent_bias, exponent_bits, magic, power_of_two};
use super::{Range, by_type, horner};
use crate::vir::{Builder, Value};

/// `e^r = 1 + r + r^2 P(r)`; log2 of the relative error is -28.2.
const EXP_32: &[f64] = &[0.4999999, 0.16666521, 0.041668963, 0.008368673, 0.0013782494];
/// The same for f64: -57.9.
const EXP_64: &[f64] = &[
    0.5000000000000011,
    0.16666666666666424,
    0.04166666666652699,
    0.008333333333487045,
    0.0013888888944338317,
    0.0001984126952252916,
    2.4801492449198554e-05,
    2.755757217331257e-06,
    2.763045883205698e-07,
    2.5004550712842454e-08,
];
/// `2^r = 1 + r P(r)`; -28.0.
#[expect(clippy::approx_constant, reason = "a coefficient, not the constant")]
const EXP2_32: &[f64] =
    &[0.6931472, 0.24022645, 0.05550359, 0.009618834, 0.0013391302, 0.00015241285];
/// The same for f64: -57.3.
#[expect(clippy::approx_constant, reason = "a coefficient, not the constant")]
const EXP2_64: &[f64] = &[
    0.6931471805599453,
    0.24022650695910136,
    0.05550410866482233,
    0.009618129107592587,
    0.0013333558146358634,
    0.00015403530458754544,
    1.5252733828893382e-05,
    1.3215434563166104e-06,
    1.0178076598318694e-07,
    7.0738941805687345e-09,
    4.451517988099611e-10,
];
/// `e^r - 1 = r + r^2 P(r)` for f64; -61.5. In f32 `EXP_32` is as good.
const EXPM1_64: &[f64] = &[
    0.5,
    0.16666666666666677,
    0.04166666666666661,
    0.008333333333321464,
    0.0013888888888923799,
    0.00019841269886478123,
    2.480158723750607e-05,
    2.7557243902127335e-06,
    2.755735297879858e-07,
    2.5109132231196656e-08,
    2.0889445941277942e-09,
];

/// `e^x`. Error 0.89 ULP (f32), 0.86 (f64).
///
/// Clamping gives infinities the right overflow and underflow. The power of two is applied as two
/// factors because it may be outside the exponent range where the result is not, and because a
/// subnormal result must round only once. What rounds to 0 is clamped to [far below](super) it.
pub fn exp(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    let (least, most) = by_type(ty, (-112.5, 89.0), (-756.0, 710.0));
    let x = clamp(b, x, within, least, most);
    // One factor is enough where the result is normal, and for a decaying exponential one that is
    // scaled up to be normal.
    let (first, last) = by_type(ty, (-86.0, 88.0), (-707.0, 709.0));
    let lift = match () {
        _ if within.inside(first, last) => 0.0,
        _ if within.high <= 0.0 => by_type(ty, 64.0, 512.0),
        _ => {
            let (k, r) = reduce(b, x, 1.0, 2.0 * exponent_bias(ty));
            let p = exp_of_reduced(b, r, 1.0);
            return scale(b, p, k);
        }
    };
    let (biased, r) = reduce(b, x, 1.0, exponent_bias(ty) + lift);
    let p = exp_of_reduced(b, r, 1.0);
    let power = power_of_two(b, biased);
    let scaled = b.mul(p, power);
    if lift == 0.0 {
        return scaled;
    }
    let lower = b.float(ty, (-lift).exp2());
    let scaled = b.mul(scaled, lower);
    let k = exponent(b, biased, exponent_bias(ty) + lift);
    b.scale(p, k, scaled)
}

/// `2^x`. Error 0.87 ULP (f32), 0.87 (f64); exact for integers.
pub fn exp2(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    let (least, most) = by_type(ty, (-162.0, 129.0), (-1090.0, 1025.0));
    let x = clamp(b, x, within, least, most);
    let (k, p) = exp2_parts(b, x, 2.0 * exponent_bias(ty));
    scale(b, p, k)
}

/// `2^x = p 2^k`, with `k` as the float whose low bits are `k + bias`.
pub(crate) fn exp2_parts(b: &mut Builder, x: Value, bias: f64) -> (Value, Value) {
    let ty = b.ty(x);
    let magic = b.float(ty, magic(ty) + bias);
    let biased = b.add(x, magic);
    let k = exponent(b, biased, bias);
    let r = b.sub(x, k);
    let p = horner(b, r, by_type(ty, EXP2_32, EXP2_64));
    let one = b.float(ty, 1.0);
    (biased, b.fma(p, r, one))
}

/// `10^x`. Error 1.14 ULP (f32), below 1.5 (f64).
///
/// `k = round(x log2 10)` and `r = x - k log10 2`, with the logarithm as a sum of two floats; then
/// `e^(r ln 10)`, whose argument is at most `ln 2 / 2` and so adds half of its own rounding error.
pub fn exp10(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    let (least, most) = by_type(ty, (-49.0, 39.0), (-329.0, 309.0));
    let x = clamp(b, x, within, least, most);
    let magic = b.float(ty, magic(ty) + 2.0 * exponent_bias(ty));
    let log2_10 = b.float(ty, std::f64::consts::LOG2_10);
    let biased = b.fma(x, log2_10, magic);
    let k = b.sub(biased, magic);
    let log10_2 = by_type(ty, f64::from(std::f32::consts::LOG10_2), std::f64::consts::LOG10_2);
    let rest = by_type(ty, -1.4320988897559699e-08, -2.8037281277851704e-18);
    let (high, low) = (b.float(ty, -log10_2), b.float(ty, -rest));
    let r = b.fma(k, high, x);
    let r = b.fma(k, low, r);
    let ln_10 = b.float(ty, std::f64::consts::LN_10);
    let r = b.mul(r, ln_10);
    let p = exp_of_reduced(b, r, 1.0);
    scale(b, p, biased)
}

/// `e^x - 1`. Error 1.27 ULP (f32), 1.39 (f64).
///
/// `2^k (e^r - 1) + (2^k - 1)`, at half scale since `2^k` may overflow where the result does not;
/// -1 below the clamp. Where the square vanishes, `x` itself: the sums lose the sign of -0, and
/// half of a subnormal is rounded.
pub fn expm1(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    let (least, most) = by_type(ty, (-18.0, 89.0), (-38.0, 710.0));
    let clamped = clamp(b, x, within, least, most);
    let (k, r) = reduce(b, clamped, 1.0, exponent_bias(ty) - 1.0);
    let half_power = power_of_two(b, k);
    let half = b.float(ty, -0.5);
    let half_power_minus = b.add(half_power, half);
    let slope = b.mul(half_power, r);
    let line = b.add(slope, half_power_minus);
    let p = horner(b, r, by_type(ty, EXP_32, EXPM1_64));
    let square = b.mul(slope, r);
    let half_result = b.fma(square, p, line);
    let result = b.add(half_result, half_result);
    let zero = b.float(ty, 0.0);
    let is_line = b.eq(square, zero);
    b.select(is_line, x, result)
}

/// `k = round(scale x / ln 2)` and `r = x - k ln 2 / scale`, with `scale` a power of two and `k` as
/// the float whose low bits are `k + bias`.
pub(crate) fn reduce(b: &mut Builder, x: Value, scale: f64, bias: f64) -> (Value, Value) {
    let ty = b.ty(x);
    let (biased, k) = quotient(b, x, scale, bias);
    // ln 2 as a sum of two floats, negated.
    let ln2 = by_type(ty, f64::from(std::f32::consts::LN_2), std::f64::consts::LN_2);
    let low = by_type(ty, -1.904_654_3e-9, 2.319_046_813_846_3e-17);
    let (high, low) = (b.float(ty, -ln2 / scale), b.float(ty, -low / scale));
    let r = b.fma(k, high, x);
    (biased, b.fma(k, low, r))
}

/// [`reduce`] with ln 2 in one piece: an absolute error of `k 2^-29` (`2^-55`) in `r`.
pub(crate) fn reduce_roughly(b: &mut Builder, x: Value, scale: f64, bias: f64) -> (Value, Value) {
    let ty = b.ty(x);
    let (biased, k) = quotient(b, x, scale, bias);
    let high = b.float(ty, -std::f64::consts::LN_2 / scale);
    (biased, b.fma(k, high, x))
}

fn quotient(b: &mut Builder, x: Value, scale: f64, bias: f64) -> (Value, Value) {
    let ty = b.ty(x);
    let magic = b.float(ty, magic(ty) + bias);
    let log2_e = b.float(ty, std::f64::consts::LOG2_E * scale);
    let biased = b.fma(x, log2_e, magic);
    (biased, exponent(b, biased, bias))
}

/// `e^(scale r)` for `|scale r| <= ln 2 / 2`, `scale` a power of two or its negative.
///
/// Horner down to the last 1 is the most accurate order.
pub(crate) fn exp_of_reduced(b: &mut Builder, r: Value, scale: f64) -> Value {
    let ty = b.ty(r);
    let slope = exp_slope(b, r, scale, 1.0);
    let one = b.float(ty, 1.0);
    b.fma(slope, r, one)
}

/// `factor (e^(scale r) - 1) / r`, `factor` a power of two: [`exp_of_reduced`] without its last
/// step, for sums that combine that step with another in a single rounding.
pub(crate) fn exp_slope(b: &mut Builder, r: Value, scale: f64, factor: f64) -> Value {
    let ty = b.ty(r);
    let coefficients = by_type(ty, EXP_32, EXP_64);
    let scaled = coefficients.iter().zip(2..).map(|(c, degree)| factor * c * scale.powi(degree));
    let p = horner(b, r, &scaled.collect::<Vec<_>>());
    let first = b.float(ty, factor * scale);
    b.fma(p, r, first)
}

/// `p 2^k`, including overflow and subnormals, from the float whose low bits are `k` plus twice the
/// exponent bias: half of that, rounded down, and the rest are the exponents of two normal floats.
fn scale(b: &mut Builder, p: Value, biased: Value) -> Value {
    let ty = b.ty(p);
    let bits = b.bitcast(biased, ty.int());
    let half = b.shr(bits, 1);
    let half = b.shl(half, by_type(ty, 23, 52));
    let all = exponent_bits(b, biased);
    let rest = b.sub(all, half);
    let (half, rest) = (b.bitcast(half, ty), b.bitcast(rest, ty));
    let scaled = b.mul(p, rest);
    let scaled = b.mul(scaled, half);
    let k = exponent(b, biased, 2.0 * exponent_bias(ty));
    b.scale(p, k, scaled)
}

/// `k`, from the float whose low bits are `k + bias`.
fn exponent(b: &mut Builder, biased: Value, bias: f64) -> Value {
    let ty = b.ty(biased);
    let magic = b.float(ty, magic(ty) + bias);
    b.sub(biased, magic)
}
