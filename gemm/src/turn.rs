//! Rows that are turned into columns, in the registers of x86-64. Columns are given some at a time, before others are made, so
//! that what is done with them runs beside shuffles.

use crate::simd::x86::{Avx2, Avx512};
use crate::simd::{Place, Simd, Take};
use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, _mm_loadu_ps, _mm256_castpd_ps, _mm256_castps_pd,
    _mm256_castps128_ps256, _mm256_insertf128_ps, _mm256_loadu_pd, _mm256_loadu_ps,
    _mm256_permute2f128_pd, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd,
    _mm256_unpacklo_ps, _mm512_castpd_ps, _mm512_castpd256_pd512, _mm512_castps_pd,
    _mm512_insertf64x4, _mm512_setzero_pd, _mm512_setzero_ps, _mm512_shuffle_f64x2,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

/// Parts 0 and 2 of two vectors, of four.
const EVEN: i32 = 0b10_00_10_00;
/// Parts 1 and 3.
const ODD: i32 = 0b11_01_11_01;

/// Eight elements of each of two rows that are `down` apart.
///
/// # Safety
///
/// They must be readable, and the processor must have such vectors.
#[inline(always)]
unsafe fn two_f32x8(from: *const f32, down: isize) -> __m512 {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm256_castps_pd(_mm256_loadu_ps(from));
        let high = _mm256_castps_pd(_mm256_loadu_ps(from.offset(down)));
        _mm512_castpd_ps(_mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low), high))
    }
}

/// Four elements of each of two rows.
///
/// # Safety
///
/// As for [`two_f32x8`].
#[inline(always)]
unsafe fn two_f64x4(from: *const f64, down: isize) -> __m512d {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm512_castpd256_pd512(_mm256_loadu_pd(from));
        _mm512_insertf64x4::<1>(low, _mm256_loadu_pd(from.offset(down)))
    }
}

/// Of four rows elements 0, 1, 2 and 3, in each part.
///
/// # Safety
///
/// The processor must have such vectors.
#[inline(always)]
unsafe fn fours_f32x16([a, b, c, d]: [__m512; 4]) -> [__m512d; 4] {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        let high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        let next_low = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        let next_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
        [
            _mm512_unpacklo_pd(low, next_low),
            _mm512_unpackhi_pd(low, next_low),
            _mm512_unpacklo_pd(high, next_high),
            _mm512_unpackhi_pd(high, next_high),
        ]
    }
}

/// Half of the columns, of half of each row: each vector has that of two rows, four apart.
///
/// # Safety
///
/// The processor must have such vectors.
#[inline(always)]
unsafe fn columns_f32x16(
    [a, b, c, d, e, f, g, h]: [__m512; 8],
    before: usize,
    to: &mut impl Take<__m512>,
) {
    // SAFETY: required of the caller.
    unsafe {
        let (first, last) = (fours_f32x16([a, b, c, d]), fours_f32x16([e, f, g, h]));
        let [mut even, mut odd] = [[_mm512_setzero_ps(); 4]; 2];
        for (at, (even, odd)) in even.iter_mut().zip(&mut odd).enumerate() {
            *even = _mm512_castpd_ps(_mm512_shuffle_f64x2::<EVEN>(first[at], last[at]));
            *odd = _mm512_castpd_ps(_mm512_shuffle_f64x2::<ODD>(first[at], last[at]));
        }
        to.take(before, &even);
        to.take(before + 4, &odd);
    }
}

/// Sixteen rows of sixteen elements. Of each row, both halves are loaded one after the other: in L1 rows may evict
/// each other. A load may add a half to a vector for nothing, and shuffles are what this waits for, three an element.
///
/// # Safety
///
/// As for [`Simd::turn`](crate::simd::Simd::turn).
#[inline(always)]
pub(crate) unsafe fn turn_f32x16(from: *const f32, down: isize, to: &mut impl Take<__m512>) {
    // SAFETY: required of the caller.
    unsafe {
        let [mut left, mut right] = [[_mm512_setzero_ps(); 8]; 2];
        for (at, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
            let from = from.offset((at / 4 * 8 + at % 4) as isize * down);
            *left = two_f32x8(from, 4 * down);
            *right = two_f32x8(from.add(8), 4 * down);
        }
        columns_f32x16(left, 0, to);
        columns_f32x16(right, 8, to);
    }
}

/// As [`columns_f32x16`].
///
/// # Safety
///
/// The processor must have such vectors.
#[inline(always)]
unsafe fn columns_f64x8([a, b, c, d]: [__m512d; 4], before: usize, to: &mut impl Take<__m512d>) {
    // SAFETY: required of the caller.
    unsafe {
        let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
        let (next_low, next_high) = (_mm512_unpacklo_pd(c, d), _mm512_unpackhi_pd(c, d));
        let columns = [
            _mm512_shuffle_f64x2::<EVEN>(low, next_low),
            _mm512_shuffle_f64x2::<EVEN>(high, next_high),
            _mm512_shuffle_f64x2::<ODD>(low, next_low),
            _mm512_shuffle_f64x2::<ODD>(high, next_high),
        ];
        to.take(before, &columns);
    }
}

/// Eight rows of eight elements, as [`turn_f32x16`].
///
/// # Safety
///
/// As for [`Simd::turn`](crate::simd::Simd::turn).
#[inline(always)]
pub(crate) unsafe fn turn_f64x8(from: *const f64, down: isize, to: &mut impl Take<__m512d>) {
    // SAFETY: required of the caller.
    unsafe {
        let [mut left, mut right] = [[_mm512_setzero_pd(); 4]; 2];
        for (at, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
            let from = from.offset((at / 2 * 4 + at % 2) as isize * down);
            *left = two_f64x4(from, 2 * down);
            *right = two_f64x4(from.add(4), 2 * down);
        }
        columns_f64x8(left, 0, to);
        columns_f64x8(right, 4, to);
    }
}

/// Four columns of eight rows. A load may add a half to a vector for nothing, as above.
///
/// # Safety
///
/// As for [`Simd::turn`](crate::simd::Simd::turn).
#[inline(always)]
unsafe fn columns_f32x8(from: *const f32, down: isize) -> [__m256; 4] {
    // SAFETY: required of the caller.
    unsafe {
        let [a, b, c, d] = std::array::from_fn(|row| {
            let from = from.offset(row as isize * down);
            let low = _mm256_castps128_ps256(_mm_loadu_ps(from));
            _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.offset(4 * down)))
        });
        let low = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        let high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        let next_low = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        let next_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(low, next_low)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(low, next_low)),
            _mm256_castpd_ps(_mm256_unpacklo_pd(high, next_high)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(high, next_high)),
        ]
    }
}

/// Eight rows of eight elements.
///
/// # Safety
///
/// As for [`Simd::turn`](crate::simd::Simd::turn).
#[inline(always)]
pub(crate) unsafe fn turn_f32x8(from: *const f32, down: isize, to: &mut impl Take<__m256>) {
    // SAFETY: required of the caller.
    unsafe {
        to.take(0, &columns_f32x8(from, down));
        to.take(4, &columns_f32x8(from.add(4), down));
    }
}

/// Four rows of four elements.
///
/// # Safety
///
/// As for [`Simd::turn`](crate::simd::Simd::turn).
#[inline(always)]
pub(crate) unsafe fn turn_f64x4(from: *const f64, down: isize, to: &mut impl Take<__m256d>) {
    // SAFETY: required of the caller.
    unsafe {
        let [a, b, c, d] =
            std::array::from_fn(|row| _mm256_loadu_pd(from.offset(row as isize * down)));
        let (even, odd) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        let (next_even, next_odd) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
        let columns = [
            _mm256_permute2f128_pd::<0x20>(even, next_even),
            _mm256_permute2f128_pd::<0x20>(odd, next_odd),
            _mm256_permute2f128_pd::<0x31>(even, next_even),
            _mm256_permute2f128_pd::<0x31>(odd, next_odd),
        ];
        to.take(0, &columns);
    }
}

macro_rules! squares {
    ($($name:ident $simd:ty: $element:ty, $doc:literal;)*) => {$(
        #[doc = $doc]
        /// elements, turned from rows that are `down[0]` elements apart into rows that are `down[1]` apart.
        ///
        /// # Safety
        ///
        /// Those must be readable, these writable and apart, and the processor must have such vectors.
        #[doc(hidden)]
        #[inline(always)]
        pub unsafe fn $name(from: *const $element, to: *mut $element, down: [isize; 2]) {
            // SAFETY: required of the caller.
            unsafe { <$simd>::turn(from, down[0], &mut Place::<$simd> { to, pitch: down[1] }) };
        }
    )*};
}

squares! {
    square_f32x16 Avx512<f32>: f32, "Sixteen by sixteen";
    square_f64x8 Avx512<f64>: f64, "Eight by eight";
    square_f32x8 Avx2<f32>: f32, "Eight by eight";
    square_f64x4 Avx2<f64>: f64, "Four by four";
}
