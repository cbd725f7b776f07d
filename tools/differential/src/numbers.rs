//! Numbers where things go wrong, and ordinary ones.

use crate::array::bits_of;
use crate::rng::Rng;
use kiln::DType;
use kiln::ir::Scalar;

/// Limits, powers of two over the whole range, what is next to 1, and numbers of everyday use.
const FLOATS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    0.5,
    -0.5,
    0.25,
    4.0,
    3.0,
    10.0,
    0.1,
    0.3,
    0.7,
    1.1,
    0.044715,
    0.7978845608028654,
    std::f64::consts::SQRT_2,
    -std::f64::consts::FRAC_1_SQRT_2,
    std::f64::consts::FRAC_1_SQRT_2,
    1.0 + f32::EPSILON as f64,
    1.0 - f32::EPSILON as f64 / 2.0,
    1.0 + f64::EPSILON,
    1.0 - f64::EPSILON / 2.0,
    1e-10,
    1e-12,
    1e12,
    1e30,
    1e-30,
    -1e30,
    3e38,
    1e-40,
    1e-45,
    20.0,
    -20.0,
    50.0,
    88.0,
    -88.0,
    89.0,
    -89.0,
    100.0,
    104.0,
    -104.0,
    700.0,
    -710.0,
    -745.0,
    1e4,
    -1e4,
    f32::MAX as f64,
    f32::MIN as f64,
    f32::MIN_POSITIVE as f64,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    1e-310,
    5e-324,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

const POWERS: &[i32] =
    &[-149, -126, -120, -100, -60, -30, -2, 2, 10, 30, 60, 100, 120, 127, 1000, -1000];

fn power(rng: &mut Rng) -> f64 {
    let sign = if rng.one_in(4) { -1.0 } else { 1.0 };
    sign * f64::from(rng.pick(POWERS)).exp2()
}

/// A number that a graph may hold.
pub(crate) fn constant(rng: &mut Rng, dtype: DType) -> Scalar {
    if !dtype.is_float() {
        return element_value(rng, dtype);
    }
    Scalar::Float(match rng.below(10) {
        0..=3 => rng.pick(FLOATS),
        4 | 5 => power(rng),
        6 => rng.pick(&[0.5, 1.0, 2.0, -1.0, 0.25, 4.0]),
        _ => ordinary(rng),
    })
}

fn ordinary(rng: &mut Rng) -> f64 {
    let scale = rng.pick(&[1.0, 1.0, 4.0, 4.0, 30.0, 1e-3, 1e3, 1e6, 1e-6]);
    rng.signed() * scale
}

/// The bits of an element of an input.
pub(crate) fn element(rng: &mut Rng, dtype: DType) -> u64 {
    if dtype.is_float() && rng.one_in(16) {
        return rng.bits() & (u64::MAX >> (64 - 8 * dtype.size()));
    }
    bits_of(dtype, element_value(rng, dtype))
}

fn element_value(rng: &mut Rng, dtype: DType) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Float(rng.below(2) as f64),
        DType::U8 => {
            let any = rng.below(256) as i64;
            Scalar::Integer(rng.pick(&[0, 1, 2, 7, 128, 255, any]))
        }
        DType::I32 | DType::I64 => {
            let (least, most) = dtype.integer_range().expect("an integer type");
            let any = rng.bits() as i64;
            let value =
                rng.pick(&[0, 1, -1, 2, -7, 31, 64, least, most, least + 1, any, any >> 50]);
            Scalar::Integer(value.clamp(least, most))
        }
        _ => Scalar::Float(match rng.below(8) {
            0 | 1 => rng.pick(FLOATS),
            2 => power(rng),
            3 => rng.signed() * 100.0,
            4 => rng.signed() * (rng.signed() * 60.0).exp2(),
            _ => ordinary(rng),
        }),
    }
}
