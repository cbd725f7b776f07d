//! A product of a single row, or a few, whose right operand has numbers of 16 bits, in rows: they are widened in registers,
//! so no more is read than there is.

use crate::matrix::Matrix;
use crate::row::{STREAMS, STRIP};
use crate::simd::{Plain, Simd};

/// A type of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Bf16,
    F16,
}

/// `(half, [k, n], a, b, c, goes_on)`: the row `a` times `b`, whose columns lie side by side, as those of `c` do. The
/// sums go on from `c` if it `goes_on`, and else from 0. There are some.
pub(crate) type Run<T> = unsafe fn(Half, [usize; 2], Matrix<T>, Matrix<u16>, *mut T, bool);

/// Up to so many rows are multiplied one by one: to read numbers of 16 bits again is no more than to keep them
/// widened. Three rows by 1024 by 1024 take .7 of the time, four would take as long (Zen 4).
pub(crate) const FEW_ROWS: usize = 3;
/// The same of panels, which are read in shorter pieces: two rows take .9 of the time, three 1.6.
pub(crate) const FEW_ROWS_OF_PANELS: usize = 2;

/// Vectors of `f32` that are loaded from numbers of 16 bits.
trait Halves: Simd<Element = f32> {
    /// # Safety
    ///
    /// The processor must have such vectors, and as many numbers as one has be readable; so below.
    unsafe fn bf16(from: *const u16) -> Self::Vector;

    /// # Safety
    ///
    /// As for [`bf16`](Halves::bf16).
    unsafe fn f16(from: *const u16) -> Self::Vector;
}

impl Halves for Plain<f32> {
    #[inline(always)]
    unsafe fn bf16(from: *const u16) -> Self::Vector {
        // SAFETY: required of the caller.
        std::array::from_fn(|lane| unsafe { half::bf16::from_bits(*from.add(lane)).to_f32() })
    }

    #[inline(always)]
    unsafe fn f16(from: *const u16) -> Self::Vector {
        // SAFETY: required of the caller.
        std::array::from_fn(|lane| unsafe { half::f16::from_bits(*from.add(lane)).to_f32() })
    }
}

/// # Safety
///
/// The processor must have the vectors of `S`. The operands must be readable and `c` writable, as [`Run`] says.
#[inline(always)]
unsafe fn row<S: Halves, const IS_BF16: bool>(
    [k, n]: [usize; 2],
    a: Matrix<f32>,
    b: Matrix<u16>,
    c: *mut f32,
    goes_on: bool,
) {
    let strip = STRIP / size_of::<f32>();
    for start in (0..n).step_by(strip) {
        let width = strip.min(n - start);
        let mut l = 0;
        while l < k {
            let (factors, from, to) = (a.from(0, l), b.from(l, start), c.wrapping_add(start));
            let goes_on = goes_on || l > 0;
            // SAFETY: these rows and this strip are within the operands.
            l += unsafe {
                match k - l {
                    STREAMS.. => streams::<S, IS_BF16, STREAMS>(goes_on, factors, from, to, width),
                    _ => streams::<S, IS_BF16, 1>(goes_on, factors, from, to, width),
                }
            };
        }
    }
}

/// Adds the products of `COUNT` elements of a row with as many rows. Returns how many.
///
/// # Safety
///
/// As for [`row`].
#[inline(always)]
unsafe fn streams<S: Halves, const IS_BF16: bool, const COUNT: usize>(
    goes_on: bool,
    a: Matrix<f32>,
    b: Matrix<u16>,
    c: *mut f32,
    width: usize,
) -> usize {
    // SAFETY: required of the caller; the last numbers of each row have room for a vector.
    unsafe {
        let rows: [*const u16; COUNT] = std::array::from_fn(|l| b.at(l, 0));
        let factors: [S::Vector; COUNT] = std::array::from_fn(|l| S::splat(a.at(0, l)));
        let load = |from: *const u16| if IS_BF16 { S::bf16(from) } else { S::f16(from) };
        let whole = width / S::LANES * S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            let mut sum = if goes_on { S::load(c.add(at)) } else { S::zero() };
            for (row, &factor) in rows.iter().zip(&factors) {
                sum = S::fma(factor, load(row.add(at)), sum);
            }
            S::store(c.add(at), sum);
        }
        let rest = width - whole;
        if rest > 0 {
            let mut sum = if goes_on { S::load_part(c.add(whole), rest) } else { S::zero() };
            for (row, &factor) in rows.iter().zip(&factors) {
                let mut last = [0; 16];
                std::ptr::copy_nonoverlapping(row.add(whole), last.as_mut_ptr(), rest);
                sum = S::fma(factor, load(last.as_ptr()), sum);
            }
            S::store_part(c.add(whole), sum, rest);
        }
    }
    COUNT
}

macro_rules! runs {
    ($($name:ident: $simd:ty $(, #[$feature:meta])?;)*) => {$(
        /// # Safety
        ///
        /// As for [`row`].
        $(#[$feature])?
        pub(crate) unsafe fn $name(
            half: Half,
            sizes: [usize; 2],
            a: Matrix<f32>,
            b: Matrix<u16>,
            c: *mut f32,
            goes_on: bool,
        ) {
            // SAFETY: required of the caller.
            unsafe {
                match half {
                    Half::Bf16 => row::<$simd, true>(sizes, a, b, c, goes_on),
                    Half::F16 => row::<$simd, false>(sizes, a, b, c, goes_on),
                }
            }
        }
    )*};
}

runs! {
    plain: Plain<f32>;
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    //! The same with the vectors of x86-64.

    use super::{Half, Halves, Matrix, row};
    use crate::simd::x86::{Avx2, Avx512};
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_castsi256_ps, _mm256_cvtepu16_epi32, _mm256_cvtph_ps,
        _mm256_loadu_si256, _mm256_slli_epi32, _mm512_castsi512_ps, _mm512_cvtepu16_epi32,
        _mm512_cvtph_ps, _mm512_slli_epi32,
    };

    impl Halves for Avx512<f32> {
        #[inline(always)]
        unsafe fn bf16(from: *const u16) -> Self::Vector {
            // SAFETY: required of the caller.
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }

        #[inline(always)]
        unsafe fn f16(from: *const u16) -> Self::Vector {
            // SAFETY: required of the caller.
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
        }
    }

    impl Halves for Avx2<f32> {
        #[inline(always)]
        unsafe fn bf16(from: *const u16) -> Self::Vector {
            // SAFETY: required of the caller.
            unsafe {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            }
        }

        #[inline(always)]
        unsafe fn f16(from: *const u16) -> Self::Vector {
            // SAFETY: required of the caller.
            unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
        }
    }

    runs! {
        avx512: Avx512<f32>, #[target_feature(enable = "avx512f")];
        avx2: Avx2<f32>, #[target_feature(enable = "avx2,fma,f16c")];
    }
}
