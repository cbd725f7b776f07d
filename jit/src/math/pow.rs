//! pow.

use super::bits::flip_sign;
use super::double_word::{fast_two_sum, two_prod};
use super::horner;
use crate::vir::{Builder, Type, Value};
use std::f64::consts::{LN_2, SQRT_2};

/// `x^y`, 0.54 ULP measured in f32, 0.95 in f64. Special cases as in IEEE 754: 1 for `y = 0` and
/// for `x = 1` whatever the other is, NaN for finite `x < 0` and fractional `y`, the sign of `x`
/// for odd `y`.
///
/// `2^(y log2 |x|)`, with more intermediate digits than the result has: f32 computes in f64, f64 in
/// double words.
///
/// With a constant exponent, the special cases that it excludes are left out.
pub fn pow(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let known = b.constant(y);
    let one = b.float(ty, 1.0);
    if known == Some(0.0) {
        return one;
    }
    let a = b.abs(x);
    let trivial = match known {
        Some(exponent) if exponent.is_finite() => None,
        _ => {
            let zero = b.float(ty, 0.0);
            // The base -1 too: its other powers become NaN below.
            let (unit, constant) = (b.eq(a, one), b.eq(y, zero));
            Some(b.or(unit, constant))
        }
    };
    let magnitude = match ty {
        Type::F32 => {
            let (wide_a, wide_y) = (b.promote(a), b.promote(y));
            let trivial = trivial.map(|mask| b.resize_mask(mask, Type::F64));
            let magnitude = pow_f32(b, wide_a, wide_y, trivial);
            b.demote(magnitude)
        }
        _ => pow_f64(b, a, y, trivial),
    };
    let signed = with_sign(b, magnitude, x, y);
    without_fractional_powers(b, signed, x, y)
}

/// `power` with the sign of `x` where `y` is odd.
fn with_sign(b: &mut Builder, power: Value, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let sign = b.bitcast(x, ty.int());
    if let Some(exponent) = b.constant(y) {
        let odd = (exponent % 2.0).abs() == 1.0;
        return if odd { flip_sign(b, power, sign) } else { power };
    }
    let half = b.float(ty, 0.5);
    let whole_part = b.trunc(y);
    let whole = b.eq(y, whole_part);
    let halved = b.mul(y, half);
    let half_part = b.trunc(halved);
    let uneven = b.ne(halved, half_part);
    let odd = b.and(whole, uneven);
    let odd = b.bitcast(odd, ty.int());
    let sign = b.and(sign, odd);
    flip_sign(b, power, sign)
}

/// `power`, but NaN where `x` is negative and finite and `y` is not an integer.
fn without_fractional_powers(b: &mut Builder, power: Value, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let known = b.constant(y);
    if known.is_some_and(|exponent| exponent.trunc() == exponent) {
        return power;
    }
    let (zero, minus_infinity) = (b.float(ty, 0.0), b.float(ty, f64::NEG_INFINITY));
    let nan = b.float(ty, f64::NAN);
    let (below, finite) = (b.lt(x, zero), b.lt(minus_infinity, x));
    let mut undefined = b.and(below, finite);
    if known.is_none() {
        let whole_part = b.trunc(y);
        let fractional = b.ne(y, whole_part);
        undefined = b.and(undefined, fractional);
    }
    b.select(undefined, nan, power)
}

/// `a^y` of f32 values in f64 lanes, to about 2^-29. 1 where `trivial`.
fn pow_f32(b: &mut Builder, a: Value, y: Value, trivial: Option<Value>) -> Value {
    let (zero, one) = (b.f64(0.0), b.f64(1.0));
    let (k, m) = split(b, a);
    let f = b.sub(m, one);
    let above = b.add(m, one);
    let s = b.div(f, above);
    let square = b.mul(s, s);
    let polynomial = horner(b, square, &LOG2_SHORT);
    let log = b.fma(s, polynomial, k);
    let log = log_of_extremes(b, log, a);

    let exponent = b.mul(y, log);
    let exponent = trivial.map_or(exponent, |mask| b.select(mask, zero, exponent));
    let (low, high) = (b.f64(-200.0), b.f64(200.0));
    let exponent = b.max(low, exponent);
    let exponent = b.min(high, exponent);
    let magic = b.f64(1.5 * 2f64.powi(52));
    let shifted = b.add(exponent, magic);
    let whole = b.sub(shifted, magic);
    let r = b.sub(exponent, whole);
    let polynomial = horner(b, r, &EXP2_SHORT);
    let power = b.fma(polynomial, r, one);
    // Far from the limits of f64's exponents, so they can be added.
    let (power, shifted) = (b.bitcast(power, Type::I64), b.bitcast(shifted, Type::I64));
    let step = b.shl(shifted, 52);
    let power = b.add(power, step);
    b.bitcast(power, Type::F64)
}

/// `a^y` of f64 values. 1 where `trivial`.
///
/// The logarithm is `k + 2/ln2 atanh((m-1) / (m+1))` to a relative 2^-66 or so: the quotient, its
/// first two terms and the sum are double words; the rest of the series is 1/6000 of it.
fn pow_f64(b: &mut Builder, a: Value, y: Value, trivial: Option<Value>) -> Value {
    let (zero, half, one) = (b.f64(0.0), b.f64(0.5), b.f64(1.0));
    let (least, up) = (b.f64(f64::MIN_POSITIVE), b.f64(2f64.powi(54)));
    let subnormal = b.lt(a, least);
    let scaled = b.mul(a, up);
    let normal = b.select(subnormal, scaled, a);
    let (k, m) = split(b, normal);
    let fifty_four = b.f64(54.0);
    let lower = b.sub(k, fifty_four);
    let k = b.select(subnormal, lower, k);

    let f = b.sub(m, one);
    let (above, above_low) = fast_two_sum(b, one, m);
    let reciprocal = b.div(one, above);
    let s = b.mul(f, reciprocal);
    let minus = b.neg(s);
    let error = b.fma(minus, above, f);
    let error = b.fma(minus, above_low, error);
    let s_low = b.mul(error, reciprocal);

    let (z, z_low) = two_prod(b, s, s);
    let twice = b.add(s, s);
    let z_low = b.fma(twice, s_low, z_low);
    let [c1, c1_low, c3, c3_low] = LOG2_LEAD.map(|c| b.f64(c));
    let polynomial = horner(b, z, &LOG2_LONG);
    let polynomial = b.fma(polynomial, z, c3_low);
    let (p, p_low) = fast_two_sum(b, c3, polynomial);
    let (q, q_low) = two_prod(b, p, z);
    let q_low = b.fma(p_low, z, q_low);
    let q_low = b.fma(p, z_low, q_low);
    let q_low = b.add(q_low, c1_low);
    let (slope, slope_low) = fast_two_sum(b, c1, q);
    let slope_low = b.add(slope_low, q_low);
    let (rest, rest_low) = two_prod(b, s, slope);
    let rest_low = b.fma(s, slope_low, rest_low);
    let rest_low = b.fma(s_low, slope, rest_low);
    let (log, log_low) = fast_two_sum(b, k, rest);
    let log_low = b.add(log_low, rest_low);
    let log = log_of_extremes(b, log, a);

    let (exponent, exponent_low) = two_prod(b, y, log);
    let exponent_low = b.fma(y, log_low, exponent_low);
    // The low word matters only where the result is neither 0 nor infinite nor NaN.
    let (magnitude, bound) = (b.abs(exponent), b.f64(1100.0));
    let moderate = b.lt(magnitude, bound);
    let exponent_low = b.select(moderate, exponent_low, zero);
    let exponent = trivial.map_or(exponent, |mask| b.select(mask, zero, exponent));
    let minus_bound = b.f64(-1100.0);
    let exponent = b.max(minus_bound, exponent);
    let exponent = b.min(bound, exponent);

    let magic = b.f64(1.5 * 2f64.powi(52) + 1023.0);
    let shifted = b.add(exponent, magic);
    let whole = b.sub(shifted, magic);
    let r = b.sub(exponent, whole);
    let r = b.add(r, exponent_low);
    let polynomial = horner(b, r, &EXP2_LONG);
    let power = b.fma(polynomial, r, one);
    // In two steps: the first is exact, the second rounds, overflows or underflows once.
    let first = b.fma(whole, half, magic);
    let first_whole = b.sub(first, magic);
    let second_whole = b.sub(whole, first_whole);
    let second = b.add(second_whole, magic);
    let [first, second] = [first, second].map(|biased| {
        let bits = b.bitcast(biased, Type::I64);
        let bits = b.shl(bits, 52);
        b.bitcast(bits, Type::F64)
    });
    let power = b.mul(power, first);
    b.mul(power, second)
}

/// `a = 2^k m` with `m` between the root of 1/2 and that of 2, for normal positive `a`.
fn split(b: &mut Builder, a: Value) -> (Value, Value) {
    let int = Type::I64;
    let root = (SQRT_2 / 2.0).to_bits() as i64;
    let (offset, mantissa) = (b.int(int, 1f64.to_bits() as i64 - root), b.int(int, (1 << 52) - 1));
    let bits = b.bitcast(a, int);
    let bits = b.add(bits, offset);
    let root = b.int(int, root);
    let m = b.and(bits, mantissa);
    let m = b.add(m, root);
    let m = b.bitcast(m, Type::F64);
    // The biased exponent as a float, through the mantissa of a float whose last place is 1.
    let carrier = b.int(int, 2f64.powi(52).to_bits() as i64);
    let excess = b.f64(2f64.powi(52) + 1023.0);
    let k = b.shr(bits, 52);
    let k = b.or(k, carrier);
    let k = b.bitcast(k, Type::F64);
    let k = b.sub(k, excess);
    (k, m)
}

/// `log`, but -∞ where `a` is 0, and `a` where it is infinite or NaN.
fn log_of_extremes(b: &mut Builder, log: Value, a: Value) -> Value {
    let (zero, infinity) = (b.f64(0.0), b.f64(f64::INFINITY));
    let minus_infinity = b.f64(f64::NEG_INFINITY);
    let (vanishes, finite) = (b.eq(a, zero), b.lt(a, infinity));
    let log = b.select(finite, log, a);
    b.select(vanishes, minus_infinity, log)
}

// From tools/coefficients/trig_pow.sollya; relative errors 2^-37.7, 2^-73.4, 2^-28.8, 2^-57.2.
const LOG2_SHORT: [f64; 5] = [
    2.88539008179008,
    0.9617966733500631,
    0.577083583269123,
    0.4116728269077989,
    0.34072800809709264,
];
/// 2/ln 2 and a third of it, in two words each.
const LOG2_LEAD: [f64; 4] =
    [2.8853900817779268, 4.0710547481862066e-17, 0.9617966939259756, 5.0577616648125907e-17];
const LOG2_LONG: [f64; 8] = [
    0.5770780163555851,
    0.41219858311134516,
    0.32059889791297647,
    0.26230819863155685,
    0.22195227220264457,
    0.1924012523860232,
    0.16845288039941583,
    0.17280648446760452,
];
const EXP2_SHORT: [f64; 6] = [
    0.6931472031153821,
    0.24022647880055556,
    0.0555033185406769,
    0.00961843984862246,
    0.0013399132557498545,
    0.00015353153713493458,
];
const EXP2_LONG: [f64; 11] = [
    LN_2,
    0.24022650695910136,
    0.055504108664822305,
    0.00961812910759243,
    0.0013333558146367138,
    0.00015403530459093273,
    1.5252733820323599e-05,
    1.3215434340523297e-06,
    1.0178080095487596e-07,
    7.073939988166978e-09,
    4.4510194005443355e-10,
];

#[cfg(test)]
mod tests {
    use super::pow;
    use crate::vir::{Builder, Storage, interp};

    #[test]
    fn constant_exponents_give_the_same_bits() {
        let specials = [0.0, 5e-324, 0.3, 1.0, 1.5, 2.0, 3.0, 1e10, 1e300, f64::INFINITY, f64::NAN];
        let bases: Vec<u64> = specials.iter().flat_map(|v| [v.to_bits(), (-v).to_bits()]).collect();
        for exponent in specials.into_iter().flat_map(|v| [v, -v]) {
            let program = |constant: bool| {
                let mut b = Builder::new();
                let (x, y) = (b.input(Storage::F64), b.input(Storage::F64));
                let y = if constant { b.f64(exponent) } else { y };
                let power = pow(&mut b, x, y);
                b.output(power, Storage::F64);
                b.finish()
            };
            let exponents = vec![exponent.to_bits(); bases.len()];
            let run = |constant| {
                let results = interp::run(&program(constant), &[&bases, &exponents], bases.len());
                let nan_to_one = |v: &u64| if f64::from_bits(*v).is_nan() { 1 } else { *v };
                results[0].iter().map(nan_to_one).collect::<Vec<u64>>()
            };
            assert_eq!(run(true), run(false), "exponent {exponent}");
        }
    }
}
