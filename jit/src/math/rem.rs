//! rem: C's fmod.

use super::by_type;
use crate::vir::{Builder, Type, Value};

/// `x - y * trunc(x / y)`, exact, with the sign of `x`. NaN for infinite `x` and for zero `y`.
///
/// Where the quotient has no more digits than a float, its integer part is off by at most one and
/// the fma is exact; larger quotients are reduced piece by piece in a cold region.
pub fn rem(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let (a, d) = (b.abs(x), b.abs(y));
    let quotient = b.div(a, d);
    let whole = b.trunc(quotient);
    let minus_whole = b.neg(whole);
    let rest = b.fma(minus_whole, d, a);
    let rest = raise_negative(b, rest, d);

    let limit = b.float(ty, by_type(ty, 2f64.powi(24), 2f64.powi(53)));
    let large = b.ge(quotient, limit);
    let [rest] = b.cold(large, [rest], |b| {
        let rest =
            if ty == Type::F32 { long_division_f32(b, a, d) } else { long_division_f64(b, a, d) };
        // Here the quotient is infinite for a zero `d`, too.
        let (zero, infinity) = (b.float(ty, 0.0), b.float(ty, f64::INFINITY));
        let nan = b.float(ty, f64::NAN);
        let (finite, divisible) = (b.lt(a, infinity), b.lt(zero, d));
        let defined = b.and(finite, divisible);
        [b.select(defined, rest, nan)]
    });
    // Also where `d` is infinite and 0 * d is NaN.
    let below = b.lt(a, d);
    let rest = b.select(below, a, rest);
    b.copysign(rest, x)
}

/// `rest`, or `rest + d` where that is negative.
fn raise_negative(b: &mut Builder, rest: Value, d: Value) -> Value {
    let zero = b.float(b.ty(rest), 0.0);
    let negative = b.lt(rest, zero);
    let raised = b.add(rest, d);
    b.select(negative, raised, rest)
}

/// The remainder of f32 lanes in f64, by 48 bits of the quotient (278 at most) per step. A step
/// subtracts the nearest multiple of `d * 2^k`, so it leaves a signed rest of about half of that,
/// which is exact: a multiple of the last place of `a` or `d`, and no longer than either.
fn long_division_f32(b: &mut Builder, a: Value, d: Value) -> Value {
    let (mut rest, d) = (b.promote(a), b.promote(d));
    let minus_one = b.f64(-1.0);
    let inverse = b.div(minus_one, d);
    for k in [240, 192, 144, 96, 48, 0] {
        let (up, down) = (b.f64(2f64.powi(k)), b.f64(2f64.powi(-k)));
        let (divisor, inverse) = (b.mul(d, up), b.mul(inverse, down));
        let count = b.mul(rest, inverse);
        let count = b.nearest(count);
        rest = b.fma(count, divisor, rest);
    }
    let rest = raise_negative(b, rest, d);
    b.demote(rest)
}

/// The remainder of f64 lanes: with `a = m 2^n` and `d = v` in units that bring both mantissas to
/// [1, 2), `m 2^(n mod 50)` is reduced by `v`, and then the rest times 2^50 as often as a lane
/// needs it. Every rest is signed, at most about half of `v`, and exact.
fn long_division_f64(b: &mut Builder, a: Value, d: Value) -> Value {
    const STEP: i32 = 50;
    const LARGEST: i32 = 1023 + 1074;
    let int = Type::I64;
    // Only `d` may be subnormal here.
    let (least, up, down) = (b.f64(f64::MIN_POSITIVE), b.f64(2f64.powi(54)), b.f64(2f64.powi(-54)));
    let (one, step) = (b.f64(1.0), b.f64(2f64.powi(STEP)));
    let subnormal = b.lt(d, least);
    let normal = b.mul(d, up);
    let normal = b.select(subnormal, normal, d);
    let unscale = b.select(subnormal, down, one);

    let (a_bits, d_bits) = (b.bitcast(a, int), b.bitcast(normal, int));
    let (a_exponent, d_exponent) = (b.shr(a_bits, 52), b.shr(d_bits, 52));
    let distance = b.sub(a_exponent, d_exponent);
    let scaled_by = b.int(int, 54);
    let subnormal = b.bitcast(subnormal, int);
    let scaled_by = b.and(subnormal, scaled_by);
    let distance = b.add(distance, scaled_by);
    // The integer as a float, through the mantissa of a float whose last place is 1.
    let magic = b.f64(1.5 * 2f64.powi(52));
    let magic_bits = b.bitcast(magic, int);
    let distance = b.add(distance, magic_bits);
    let distance = b.bitcast(distance, Type::F64);
    let distance = b.sub(distance, magic);

    let per_step = b.f64(1.0 / f64::from(STEP));
    let minus_step = b.f64(-f64::from(STEP));
    let steps = b.mul(distance, per_step);
    let steps = b.floor(steps);
    let first = b.fma(steps, minus_step, distance);
    let biased_magic = b.f64(1.5 * 2f64.powi(52) + 1023.0);
    let first = b.add(first, biased_magic);
    let first = b.bitcast(first, int);
    let first = b.shl(first, 52);
    let first = b.bitcast(first, Type::F64);

    let (mantissa, one_bits) = (b.int(int, (1 << 52) - 1), b.bitcast(one, int));
    let [m, v] = [a_bits, d_bits].map(|bits| {
        let digits = b.and(bits, mantissa);
        let digits = b.or(digits, one_bits);
        b.bitcast(digits, Type::F64)
    });
    let minus_one = b.f64(-1.0);
    let inverse = b.div(minus_one, v);
    let inverse_step = b.mul(inverse, step);
    let start = b.mul(m, first);
    let count = b.mul(start, inverse);
    let count = b.nearest(count);
    let mut rest = b.fma(count, v, start);
    for done in 0..LARGEST / STEP {
        let raised = b.mul(rest, step);
        let count = b.mul(rest, inverse_step);
        let count = b.nearest(count);
        let reduced = b.fma(count, v, raised);
        let done = b.f64(f64::from(done));
        let more = b.lt(done, steps);
        rest = b.select(more, reduced, rest);
    }
    let rest = raise_negative(b, rest, v);
    let exponent_bits = b.int(int, 0x7ff << 52);
    let unit = b.and(d_bits, exponent_bits);
    let unit = b.bitcast(unit, Type::F64);
    let rest = b.mul(rest, unit);
    b.mul(rest, unscale)
}
