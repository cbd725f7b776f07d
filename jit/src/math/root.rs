//! rsqrt, cbrt, hypot.

use super::{by_type, horner};
use crate::vir::{Builder, Value};

/// `1 / sqrt(x)`, 1.5 ULP: two correct roundings. A zero gives an infinity of its sign, negative
/// `x` NaN.
///
/// Hardware estimates differ between vendors, so they cannot give the same bits everywhere.
pub fn rsqrt(b: &mut Builder, x: Value) -> Value {
    let one = b.float(b.ty(x), 1.0);
    let root = b.sqrt(x);
    b.div(one, root)
}

/// cbrt, 0.75 ULP measured in f32, 0.73 in f64, without a division. Zeros and infinities are kept.
///
/// An estimate of `x^(-1/3)` by arithmetic on the exponent and leading bits (10% off in the cube),
/// refined by a series in `e = 1 - x y^3`, gives `c = x y^2`; then one Newton step from the exact
/// residual `x - c^3`.
pub fn cbrt(b: &mut Builder, x: Value) -> Value {
    let ty = b.ty(x);
    let (one, third) = (b.float(ty, 1.0), b.float(ty, 1.0 / 3.0));
    let magnitude = b.abs(x);
    // Small lanes are scaled up, so that the residual is not subnormal.
    let (least, scale) = by_type(ty, (-90, 48), (-900, 600));
    let [least, up, down] = [least, scale, -scale / 3].map(|e| b.float(ty, 2f64.powi(e)));
    let small = b.lt(magnitude, least);
    let scaled = b.mul(magnitude, up);
    let a = b.select(small, scaled, magnitude);
    let unscale = b.select(small, down, one);

    let mut y = inverse_cbrt_estimate(b, a);
    // 1/cbrt(1 - e) = 1 + e/3 + 2/9 e^2 + 14/81 e^3 ...
    let series: &[&[f64]] = by_type(
        ty,
        &[&[1.0 / 3.0, 2.0 / 9.0, 14.0 / 81.0]],
        &[&[1.0 / 3.0, 2.0 / 9.0, 14.0 / 81.0], &[1.0 / 3.0, 2.0 / 9.0]],
    );
    for terms in series {
        let square = b.mul(y, y);
        let product = b.mul(a, y);
        let minus = b.neg(product);
        let e = b.fma(minus, square, one);
        let factor = horner(b, e, terms);
        let step = b.mul(y, e);
        y = b.fma(step, factor, y);
    }
    let square = b.mul(y, y);
    let c = b.mul(a, square);
    let c_square = b.mul(c, c);
    let minus = b.neg(c);
    let residual = b.fma(minus, c_square, a);
    let slope = b.mul(square, third);
    let root = b.fma(residual, slope, c);
    let root = b.mul(root, unscale);

    let infinity = b.float(ty, f64::INFINITY);
    let finite = b.lt(magnitude, infinity);
    let root = b.select(finite, root, magnitude);
    b.copysign(root, x)
}

/// About `a^(-1/3)`: a float's bits, read as a number, are nearly a multiple of its logarithm, so
/// the estimate has the bits `C - bits/3`. The number passes through float arithmetic in the
/// mantissa of a float whose last place is 1, with its lowest bits cut off.
fn inverse_cbrt_estimate(b: &mut Builder, a: Value) -> Value {
    let ty = b.ty(a);
    // From tools/coefficients/cbrt_estimate.py.
    let (digits, cut, c) = by_type(ty, (23, 9, 2_773_243.0), (52, 12, 1_499_659_093_495_775.0));
    let carrier = 2f64.powi(digits);
    let (exponent, minus_third) = (b.float(ty, carrier), b.float(ty, -1.0 / 3.0));
    let exponent = b.bitcast(exponent, ty.int());
    let bits = b.bitcast(a, ty.int());
    let number = b.shr(bits, cut);
    let number = b.or(number, exponent);
    let number = b.bitcast(number, ty);
    let offset = b.float(ty, carrier + carrier / 3.0 + c);
    let estimate = b.fma(number, minus_third, offset);
    let estimate = b.bitcast(estimate, ty.int());
    let estimate = b.shl(estimate, cut);
    b.bitcast(estimate, ty)
}

/// hypot, 0.94 ULP measured in f32, 0.93 in f64: the root of the sum of squares, with operands
/// scaled by the exponent of the larger. Infinite if either is, even if the other is NaN.
pub fn hypot(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.ty(x);
    let int = ty.int();
    let (ax, ay) = (b.abs(x), b.abs(y));
    // Selects keep a NaN from either. Sorted, so that operands commute bit for bit.
    let swap = b.lt(ax, ay);
    let (larger, smaller) = (b.select(swap, ay, ax), b.select(swap, ax, ay));
    let infinity = b.float(ty, f64::INFINITY);
    let exponent_bits = b.bitcast(infinity, int);
    let exponent = b.bitcast(larger, int);
    let exponent = b.and(exponent, exponent_bits);
    let exponent = b.bitcast(exponent, ty);
    // Clamped so that it has a reciprocal.
    let (low, high) = by_type(ty, (-126, 126), (-1022, 1022));
    let [low, high] = [low, high].map(|e| b.float(ty, 2f64.powi(e)));
    let power = b.max(low, exponent);
    let power = b.min(high, power);
    let (bits, one) = (b.bitcast(power, int), b.float(ty, 1.0));
    let one = b.bitcast(one, int);
    let twice_one = b.add(one, one);
    let inverse = b.sub(twice_one, bits);
    let inverse = b.bitcast(inverse, ty);

    let (scaled, smaller) = (b.mul(larger, inverse), b.mul(smaller, inverse));
    let square = b.mul(smaller, smaller);
    let sum = b.fma(scaled, scaled, square);
    let root = b.sqrt(sum);
    let result = b.mul(root, power);
    let (infinite_x, infinite_y) = (b.eq(ax, infinity), b.eq(ay, infinity));
    let infinite = b.or(infinite_x, infinite_y);
    b.select(infinite, infinity, result)
}
