//! SiLU and tanh-GELU as an expert writes them with `std::arch`: the same polynomial in the same
//! order as `jit/src/math`, so that every bit is Kiln's and only the code can differ.
//!
//! One text for three instruction sets. `U` vectors go side by side, instruction by instruction,
//! which is the unrolling that one would try first; constants are left to LLVM, which keeps them
//! in registers or folds them into operands.

/// A function over slices of the same length, a multiple of [`STEP`].
pub(crate) type Kernel = unsafe fn(&[f32], &mut [f32]);

/// What lengths must be multiples of: the widest vector, unrolled most.
pub(crate) const STEP: usize = 16 * 4;

/// The functions that are written by hand, in the order of every table here.
pub(crate) const NAMES: [&str; 2] = ["silu", "gelu_tanh"];

macro_rules! kernels {
    ($features:tt, $lanes:expr) => {
        use super::{Kernel, STEP};

        /// One, two and four vectors side by side; silu, then gelu_tanh.
        pub(crate) const KERNELS: [[Kernel; 3]; 2] =
            [[silu::<1>, silu::<2>, silu::<4>], [gelu_tanh::<1>, gelu_tanh::<2>, gelu_tanh::<4>]];

        kernels!(@lanewise $features: add, mul, sub, div, min, max);

        #[inline]
        #[target_feature(enable = $features)]
        fn splat<const U: usize>(value: f32) -> [Vector; U] {
            [splat_one(value); U]
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn fma<const U: usize>(
            mut a: [Vector; U],
            b: [Vector; U],
            c: [Vector; U],
        ) -> [Vector; U] {
            for at in 0..U {
                a[at] = fma_one(a[at], b[at], c[at]);
            }
            a
        }

        /// The low bits of a float as the exponent of one.
        #[inline]
        #[target_feature(enable = $features)]
        fn power_of_two<const U: usize>(mut biased: [Vector; U]) -> [Vector; U] {
            for each in &mut biased {
                *each = to_float(shift_left::<23>(to_bits(*each)));
            }
            biased
        }

        /// `jit/src/math/hyperbolic.rs`, sigmoid: `2^k / (2^k + e^-r)`, the quotient corrected.
        #[inline]
        #[target_feature(enable = $features)]
        fn sigmoid<const U: usize>(x: [Vector; U]) -> [Vector; U] {
            const LIFT: f32 = (1u64 << 60) as f32;
            let x = max(splat(-104.0), min(splat(18.0), x));
            let magic = splat(12_582_912.0 + 127.0 + 60.0);
            let biased = fma(x, splat(std::f32::consts::LOG2_E), magic);
            let k = sub(biased, magic);
            let r = fma(k, splat(-std::f32::consts::LN_2), x);
            let r = fma(k, splat(1.904_654_3e-9), r);
            let mut p = splat(0.0013782494 * -LIFT);
            for coefficient in [-0.008368673, 0.041668963, -0.16666521, 0.4999999, -1.0] {
                p = fma(p, r, splat(coefficient * -LIFT));
            }
            let power = power_of_two(biased);
            let complement = mul(p, r);
            let denominator = sub(add(power, splat(LIFT)), complement);
            let reciprocal = div(splat(1.0), denominator);
            let quotient = mul(reciprocal, power);
            let error = sub(fma(reciprocal, splat(-LIFT), splat(1.0)), quotient);
            let error = fma(reciprocal, complement, error);
            fma(quotient, error, quotient)
        }

        #[target_feature(enable = $features)]
        fn silu<const U: usize>(input: &[f32], output: &mut [f32]) {
            map::<U>(input, output, |x| mul(x, sigmoid(x)));
        }

        /// As Kiln's e-graph rewrites it: `x sigmoid(x (0.0713.. x x + 1.5957..))`.
        #[target_feature(enable = $features)]
        fn gelu_tanh<const U: usize>(input: &[f32], output: &mut [f32]) {
            map::<U>(input, output, |x| {
                let square = mul(x, x);
                let inner = fma(splat(0.071354814), square, splat(1.5957692));
                mul(x, sigmoid(mul(x, inner)))
            });
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn map<const U: usize>(
            input: &[f32],
            output: &mut [f32],
            function: impl Fn([Vector; U]) -> [Vector; U],
        ) {
            assert!(input.len() == output.len() && input.len() % STEP == 0);
            let step = U * $lanes;
            for start in (0..input.len()).step_by(step) {
                let mut x = splat(0.0);
                for (at, x) in x.iter_mut().enumerate() {
                    // SAFETY: `start + step` is at most the length, a multiple of `step`.
                    *x = unsafe { load(input.as_ptr().add(start + at * $lanes)) };
                }
                for (at, y) in function(x).into_iter().enumerate() {
                    // SAFETY: as above; the lengths are the same.
                    unsafe { store(output.as_mut_ptr().add(start + at * $lanes), y) };
                }
            }
        }
    };
    (@lanewise $features:tt: $($name:ident),*) => {
        $(
            #[inline]
            #[target_feature(enable = $features)]
            fn $name<const U: usize>(mut a: [Vector; U], b: [Vector; U]) -> [Vector; U] {
                for at in 0..U {
                    a[at] = one::$name(a[at], b[at]);
                }
                a
            }
        )*
    };
}

pub(crate) mod avx512 {
    use std::arch::x86_64::{
        __m512 as Vector, _mm512_castps_si512 as to_bits, _mm512_castsi512_ps as to_float,
        _mm512_fmadd_ps as fma_one, _mm512_loadu_ps as load, _mm512_set1_ps as splat_one,
        _mm512_slli_epi32 as shift_left, _mm512_storeu_ps as store,
    };
    mod one {
        pub(super) use std::arch::x86_64::{
            _mm512_add_ps as add, _mm512_div_ps as div, _mm512_max_ps as max, _mm512_min_ps as min,
            _mm512_mul_ps as mul, _mm512_sub_ps as sub,
        };
    }
    kernels!("avx512f", 16);
}

pub(crate) mod avx2 {
    use std::arch::x86_64::{
        __m256 as Vector, _mm256_castps_si256 as to_bits, _mm256_castsi256_ps as to_float,
        _mm256_fmadd_ps as fma_one, _mm256_loadu_ps as load, _mm256_set1_ps as splat_one,
        _mm256_slli_epi32 as shift_left, _mm256_storeu_ps as store,
    };
    mod one {
        pub(super) use std::arch::x86_64::{
            _mm256_add_ps as add, _mm256_div_ps as div, _mm256_max_ps as max, _mm256_min_ps as min,
            _mm256_mul_ps as mul, _mm256_sub_ps as sub,
        };
    }
    kernels!("avx2,fma", 8);
}

/// 128 bits wide, what Cranelift makes.
pub(crate) mod sse {
    use std::arch::x86_64::{
        __m128 as Vector, _mm_castps_si128 as to_bits, _mm_castsi128_ps as to_float,
        _mm_fmadd_ps as fma_one, _mm_loadu_ps as load, _mm_set1_ps as splat_one,
        _mm_slli_epi32 as shift_left, _mm_storeu_ps as store,
    };
    mod one {
        pub(super) use std::arch::x86_64::{
            _mm_add_ps as add, _mm_div_ps as div, _mm_max_ps as max, _mm_min_ps as min,
            _mm_mul_ps as mul, _mm_sub_ps as sub,
        };
    }
    kernels!("avx,fma", 4);
}
