//! The normal distribution function. Constants: `tools/coefficients/normcdf.py`.

use super::bits::magic;
use super::{Range, by_type, horner};
use crate::vir::{Builder, Type, Value};
use std::f64::consts::{LN_2, LOG2_E};

/// `e^(r/2) = 1 + r/2 + r^2 Q(r)` for `|r| <= ln 2 / 2`; log2 of the relative error is -29.1.
const Q_32: &[f64] = &[0.124999873, 0.0208333656, 0.00260773324, 0.000260276633];
/// The same for f64: -60.4.
const Q_64: &[f64] = &[
    0.125,
    0.02083333333333306,
    0.0026041666666670278,
    0.00026041666668517876,
    2.1701388879740317e-05,
    1.5500987909672448e-06,
    9.688128490652938e-08,
    5.386089365447567e-09,
    2.689166366870109e-10,
];
/// `Φ(-a) e^(a^2/2) = TOP / (a + 2 TOP - a S(a) / P(a))` for `a <= 14.35`, `P` with a leading 1; log2
/// of the relative error is -27.1.
const S_32: &[f64] = &[38.3243675, 19.6845303, 4.25507307, 0.166459441, -0.069761306];
const P_32: &[f64] = &[120.153198, 105.640465, 44.2598114, 9.83957767];
/// The same for f64 and `a <= 38.75`: -56.6.
const S_64: &[f64] = &[
    752991.2819511547,
    965011.8911324554,
    608197.4981610908,
    239937.95927058207,
    63727.86532524934,
    11400.901347085603,
    1252.8299388245744,
    47.8273909102363,
    -7.970749563646894,
    -1.3357365829076715,
    -0.06977053138318239,
];
const P_64: &[f64] = &[
    2360748.589456828,
    3888552.664516331,
    3176990.9567004787,
    1662812.2890251365,
    611559.6622879106,
    164381.22514258377,
    32655.324417118376,
    4739.643272407511,
    482.78473174416104,
    31.378433414748702,
];
/// With half of the highest bit of its fraction subtracted, it is `TOP / √2` (log2 of the error:
/// -26.4 and -55.9).
const TOP_32: f64 = 0.4267767071723938;
const TOP_64: f64 = 0.42677669529663687;
/// `2 TOP` in parts, the first with so few bits that its sum with `a` can be undone.
const FIRST_32: (f64, f64) = (0.853515625, 3.77893447875977e-5);
const FIRST_64: (f64, f64) = (0.8535533905933335, -5.972999872483342e-14);

/// `Φ(x)`, the chance that a normal variate is below `x`. Error 1.91 ULP (f32), 2.14 (f64,
/// sampled), all of it in the lower tail.
///
/// For the magnitude `a` the tail is `TOP 2^(k/2) / (d e^(r/2))` with `a^2 = r - k ln 2`, and for
/// positive `x` the result is 1 minus that. The root of 2 for an odd `k` costs nothing: `TOP` is
/// the one number for which it is a matter of bits. `d = a + 2 TOP - a S/P`, nearly `a` where that
/// is large (it is the reciprocal of Mills' ratio), is a sum of two floats, kept in two parts, and
/// a quotient that counts less than a fifth; so little more than the denominator and the last
/// quotient rounds at the scale of the result. `a^2` is exact, since rounding it would cost `a^2`
/// ULP. Using a single float for `ln 2` makes `e^(a^2/2)` wrong in proportion to `a^2`; `S/P`
/// corrects that.
pub fn normcdf(b: &mut Builder, x: Value, within: Range) -> Value {
    let ty = b.ty(x);
    // Beyond this, the tail rounds to 0: [far below](super).
    let most = by_type(ty, 14.8, 39.0);
    let mut a = b.abs(x);
    if !within.inside(-most, most) {
        let most = b.float(ty, most);
        a = b.min(most, a);
    }
    let (biased, r) = reduce_square(b, a);
    let top = scaled_top(b, biased);
    let [s, p] = by_type(ty, [S_32, P_32], [S_64, P_64]);
    let s: Vec<f64> = s.iter().map(|c| c * lift(ty).exp2()).collect();
    let (s, p) = (horner(b, a, &s), monic(b, a, p));
    let quotient = b.div(s, p);
    // The work that does not need the quotient hides its latency.
    let growth = growth(b, r);
    let (sum, sum_rest) = lifted_sum(b, a);
    let minus_a = b.neg(a);
    let d_rest = b.fma(minus_a, quotient, sum_rest);
    let d = b.add(sum, d_rest);
    let bottom_rest = b.fma(d, growth, d_rest);
    let bottom = b.add(sum, bottom_rest);
    let tail = b.div(top, bottom);
    if within.high <= 0.0 {
        return tail;
    }
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let rest = b.sub(one, tail);
    let is_tail = b.lt(x, zero);
    b.select(is_tail, tail, rest)
}

/// log2 of a factor for both sides of the quotient that keeps the numerator normal; only the
/// quotient rounds, even if it is subnormal.
fn lift(ty: Type) -> f64 {
    by_type(ty, 64.0, 512.0)
}

/// `k + 2 lift` in the low bits of a float, and `r = a^2 + k ln 2` with `|r| <= ln 2 / 2`.
fn reduce_square(b: &mut Builder, a: Value) -> (Value, Value) {
    let ty = b.ty(a);
    let square = b.mul(a, a);
    let minus_square = b.neg(square);
    let square_rest = b.fma(a, a, minus_square);
    let magic = b.float(ty, magic(ty) + 2.0 * lift(ty));
    let scale = b.float(ty, -LOG2_E);
    let biased = b.fma(square, scale, magic);
    let k = b.sub(biased, magic);
    let ln2 = b.float(ty, LN_2);
    // Exact: a multiple of the last bit of ln 2, and smaller.
    let r = b.fma(k, ln2, square);
    (biased, b.add(r, square_rest))
}

/// `TOP 2^(n/2)`, from the float whose low bits are `n`.
fn scaled_top(b: &mut Builder, biased: Value) -> Value {
    let ty = b.ty(biased);
    let bits = b.bitcast(biased, ty.int());
    // The lowest bit of `n` lands on the highest of the fraction.
    let half_power = b.shl(bits, by_type(ty, 22, 51));
    let [narrow, wide] = [i64::from((TOP_32 as f32).to_bits()), TOP_64.to_bits() as i64];
    let top = b.int(ty.int(), by_type(ty, narrow, wide));
    let bits = b.add(top, half_power);
    b.bitcast(bits, ty)
}

/// `e^(r/2) - 1`.
fn growth(b: &mut Builder, r: Value) -> Value {
    let ty = b.ty(r);
    let q = horner(b, r, by_type(ty, Q_32, Q_64));
    let half = b.float(ty, 0.5);
    let slope = b.fma(q, r, half);
    b.mul(slope, r)
}

/// `2^lift (a + 2 TOP)`, in two parts.
fn lifted_sum(b: &mut Builder, a: Value) -> (Value, Value) {
    let ty = b.ty(a);
    let (first, first_rest) = by_type(ty, FIRST_32, FIRST_64);
    let first = b.float(ty, first * lift(ty).exp2());
    let first_rest = b.float(ty, first_rest * lift(ty).exp2());
    let lifted_a = lifted(b, a);
    let sum = b.add(lifted_a, first);
    let undone = b.sub(sum, first);
    let rest = b.sub(lifted_a, undone);
    (sum, b.add(rest, first_rest))
}

/// `2^lift a` for a normal `a`; otherwise something small.
fn lifted(b: &mut Builder, a: Value) -> Value {
    let ty = b.ty(a);
    let bits = b.bitcast(a, ty.int());
    let exponent = b.int(ty.int(), (lift(ty) as i64) << by_type(ty, 23, 52));
    let bits = b.add(bits, exponent);
    b.bitcast(bits, ty)
}

/// [`horner`] with a last coefficient of 1.
fn monic(b: &mut Builder, x: Value, coefficients: &[f64]) -> Value {
    let ty = b.ty(x);
    let (last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
    let last = b.float(ty, *last);
    let mut sum = b.add(x, last);
    for &coefficient in rest.iter().rev() {
        let coefficient = b.float(ty, coefficient);
        sum = b.fma(sum, x, coefficient);
    }
    sum
}
