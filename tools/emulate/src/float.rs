//! Floats as x86 computes them in its default environment: rounding to nearest, keeping subnormals.
//!
//! Rust's operators are correctly rounded, like the instructions. Added here are x86's rules for
//! NaN: the first NaN operand comes out quieted; a new NaN is negative.

use half::f16;

macro_rules! formats {
    ($($module:ident: $float:ident $bits:ident $invalid:literal;)+) => { $(
        /// Functions of one format, on the bits of its numbers.
        pub(crate) mod $module {
            use super::Rounding;

            type Float = $float;
            const QUIET: $bits = 1 << (Float::MANTISSA_DIGITS - 2);
            /// The result of an invalid operation.
            const INVALID: $bits = $invalid;

            pub(crate) fn of(bits: u64) -> Float {
                Float::from_bits(bits as $bits)
            }

            pub(crate) fn bits(value: Float) -> u64 {
                u64::from(value.to_bits())
            }

            /// The first NaN, quieted; else the result, and a NaN result is a new one.
            fn known(operands: &[Float], result: Float) -> u64 {
                match operands.iter().find(|operand| operand.is_nan()) {
                    Some(nan) => u64::from(nan.to_bits() | QUIET),
                    None if result.is_nan() => u64::from(INVALID),
                    None => bits(result),
                }
            }

            pub(crate) fn add(a: u64, b: u64) -> u64 {
                known(&[of(a), of(b)], of(a) + of(b))
            }

            pub(crate) fn sub(a: u64, b: u64) -> u64 {
                known(&[of(a), of(b)], of(a) - of(b))
            }

            pub(crate) fn mul(a: u64, b: u64) -> u64 {
                known(&[of(a), of(b)], of(a) * of(b))
            }

            pub(crate) fn div(a: u64, b: u64) -> u64 {
                known(&[of(a), of(b)], of(a) / of(b))
            }

            /// The second operand if either is NaN, or if both are zero.
            pub(crate) fn min(a: u64, b: u64) -> u64 {
                if of(a) < of(b) { a } else { b }
            }

            /// Like [`min`].
            pub(crate) fn max(a: u64, b: u64) -> u64 {
                if of(a) > of(b) { a } else { b }
            }

            /// `a` times two to the power of `k`, rounded down to a whole one; rounded once.
            pub(crate) fn scale(a: u64, k: u64) -> u64 {
                let (of_a, of_k) = (of(a), of(k));
                let is_quiet = a as $bits & QUIET != 0;
                match (of_a, of_k) {
                    // As limits, these do not look at a quiet NaN.
                    (a, Float::INFINITY) if a.is_nan() && is_quiet => bits(Float::INFINITY),
                    (a, Float::NEG_INFINITY) if a.is_nan() && is_quiet => bits(0.0),
                    (a, k) if a.is_nan() || k.is_nan() => known(&[a, k], a),
                    (a, Float::INFINITY) => known(&[], a * Float::INFINITY),
                    (a, Float::NEG_INFINITY) => known(&[], a * 0.0),
                    (a, k) => bits(scaled(a, k.floor())),
                }
            }

            /// `a 2^k` of numbers, of which `k` is whole.
            fn scaled(a: Float, k: Float) -> Float {
                let most = Float::MAX_EXP as Float;
                // Beyond, every number becomes infinite or zero.
                let mut left = k.clamp(-3.0 * most, 3.0 * most);
                let mut a = a;
                // Exact steps, as long as the number is far from where they are not.
                let step = Float::from(32u8);
                let far = (most / 2.0).exp2();
                while left >= step && a.abs() < far {
                    (a, left) = (a * step.exp2(), left - step);
                }
                while left <= -step && a.abs() > far.recip() {
                    (a, left) = (a / step.exp2(), left + step);
                }
                let least = Float::MIN_EXP - Float::MANTISSA_DIGITS as i32;
                a * left.clamp(least as Float, most - 1.0).exp2()
            }

            pub(crate) fn sqrt(a: u64) -> u64 {
                known(&[of(a)], of(a).sqrt())
            }

            pub(crate) fn round(a: u64, to: Rounding) -> u64 {
                let a = of(a);
                let rounded = match to {
                    Rounding::Nearest => a.round_ties_even(),
                    Rounding::Down => a.floor(),
                    Rounding::Up => a.ceil(),
                    Rounding::ToZero => a.trunc(),
                };
                known(&[a], rounded)
            }

            /// `±(a * b) ± c`, rounded once.
            pub(crate) fn multiply_add(a: u64, b: u64, c: u64, signs: [bool; 2]) -> u64 {
                let flip = |value: Float, negative: bool| if negative { -value } else { value };
                let (a, b, c) = (of(a), of(b), of(c));
                known(&[a, b, c], flip(a, signs[0]).mul_add(b, flip(c, signs[1])))
            }

            /// The predicates of `vcmpps`; bit 4 affects only traps.
            #[allow(clippy::neg_cmp_op_on_partial_ord, reason = "NaN must be on this side")]
            pub(crate) fn compare(a: u64, b: u64, predicate: u8) -> bool {
                let (a, b) = (of(a), of(b));
                let unordered = a.is_nan() || b.is_nan();
                match predicate & 15 {
                    0 => a == b,
                    1 => a < b,
                    2 => a <= b,
                    3 => unordered,
                    4 => a != b,
                    5 => !(a < b),
                    6 => !(a <= b),
                    7 => !unordered,
                    8 => unordered || a == b,
                    9 => !(a >= b),
                    10 => !(a > b),
                    11 => false,
                    12 => !unordered && a != b,
                    13 => a >= b,
                    14 => a > b,
                    _ => true,
                }
            }
        }
    )+ };
}

formats! {
    single: f32 u32 0xffc0_0000;
    double: f64 u64 0xfff8_0000_0000_0000;
}

/// A direction of rounding to an integral value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    Nearest,
    Down,
    Up,
    ToZero,
}

impl Rounding {
    /// The meaning of an immediate's lowest bits; bit 2 selects the environment's direction.
    pub(crate) fn of(imm: u8) -> Rounding {
        match imm & 7 {
            1 => Rounding::Down,
            2 => Rounding::Up,
            3 => Rounding::ToZero,
            _ => Rounding::Nearest,
        }
    }
}

/// `f32` to `f64`. A NaN keeps the upper bits of its payload.
pub(crate) fn widen(a: u64) -> u64 {
    let value = single::of(a);
    if !value.is_nan() {
        return f64::from(value).to_bits();
    }
    let (sign, payload) = (a >> 31 << 63, (a & 0x7f_ffff) << 29);
    sign | 0x7ff8_0000_0000_0000 | payload
}

/// `f64` to `f32`.
pub(crate) fn narrow(a: u64) -> u64 {
    let value = double::of(a);
    if !value.is_nan() {
        return single::bits(value as f32);
    }
    (a >> 63 << 31) | 0x7fc0_0000 | (a >> 29 & 0x3f_ffff)
}

/// `f16` to `f32`.
pub(crate) fn from_half(a: u64) -> u64 {
    single::bits(f16::from_bits(a as u16).to_f32_const())
}

/// `f32` to `f16`, to nearest even.
pub(crate) fn to_half(a: u64) -> u64 {
    u64::from(f16::from_f32_const(single::of(a)).to_bits())
}
