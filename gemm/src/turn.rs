//! Rows that are turned into columns, in the registers of x86-64.

use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_pd,
    _mm256_loadu_ps, _mm256_permute2f128_pd, _mm256_unpackhi_pd, _mm256_unpackhi_ps,
    _mm256_unpacklo_pd, _mm256_unpacklo_ps, _mm512_castpd_ps, _mm512_castpd256_pd512,
    _mm512_castps_pd, _mm512_insertf64x4, _mm512_setzero_pd, _mm512_setzero_ps,
    _mm512_shuffle_f64x2, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
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

/// Sixteen rows of sixteen elements. Of each row, both halves are loaded one after the other: in L1 rows may evict
/// each other. A load may add a half to a vector for nothing, and shuffles are what this waits for, three an element.
///
/// # Safety
///
/// As for [`Simd::turned`](crate::simd::Simd::turned).
#[inline(always)]
pub(crate) unsafe fn turn_f32x16(from: *const f32, down: isize) -> [__m512; 16] {
    // SAFETY: required of the caller.
    unsafe {
        let [mut left, mut right] = [[_mm512_setzero_ps(); 8]; 2];
        for (at, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
            let from = from.offset((at / 4 * 8 + at % 4) as isize * down);
            *left = two_f32x8(from, 4 * down);
            *right = two_f32x8(from.add(8), 4 * down);
        }
        let mut turned = [_mm512_setzero_ps(); 16];
        for (rows, turned) in [left, right].iter().zip(turned.chunks_exact_mut(8)) {
            // Elements 0 and 1 of two rows, and 2 and 3, in each part; then those of four rows.
            let pairs = |at: usize| {
                let (a, b) = (rows[at], rows[at + 1]);
                [_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)].map(|x| _mm512_castps_pd(x))
            };
            let fours = |at: usize| {
                let ([low, high], [next_low, next_high]) = (pairs(at), pairs(at + 2));
                [
                    _mm512_unpacklo_pd(low, next_low),
                    _mm512_unpackhi_pd(low, next_low),
                    _mm512_unpacklo_pd(high, next_high),
                    _mm512_unpackhi_pd(high, next_high),
                ]
            };
            let (first, last) = (fours(0), fours(4));
            for element in 0..4 {
                let (first, last) = (first[element], last[element]);
                turned[element] = _mm512_castpd_ps(_mm512_shuffle_f64x2::<EVEN>(first, last));
                turned[element + 4] = _mm512_castpd_ps(_mm512_shuffle_f64x2::<ODD>(first, last));
            }
        }
        turned
    }
}

/// Eight rows of eight elements, as [`turn_f32x16`].
///
/// # Safety
///
/// As for [`Simd::turned`](crate::simd::Simd::turned).
#[inline(always)]
pub(crate) unsafe fn turn_f64x8(from: *const f64, down: isize) -> [__m512d; 8] {
    // SAFETY: required of the caller.
    unsafe {
        let [mut left, mut right] = [[_mm512_setzero_pd(); 4]; 2];
        for (at, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
            let from = from.offset((at / 2 * 4 + at % 2) as isize * down);
            *left = two_f64x4(from, 2 * down);
            *right = two_f64x4(from.add(4), 2 * down);
        }
        let mut turned = [_mm512_setzero_pd(); 8];
        for (rows, turned) in [left, right].iter().zip(turned.chunks_exact_mut(4)) {
            let pairs = |at: usize| {
                let (a, b) = (rows[at], rows[at + 1]);
                [_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b)]
            };
            let (first, last) = (pairs(0), pairs(2));
            for element in 0..2 {
                let (first, last) = (first[element], last[element]);
                turned[element] = _mm512_shuffle_f64x2::<EVEN>(first, last);
                turned[element + 2] = _mm512_shuffle_f64x2::<ODD>(first, last);
            }
        }
        turned
    }
}

/// Eight rows of eight elements: what is loaded are halves of cache lines, each once, for in L1 rows may evict
/// each other.
///
/// # Safety
///
/// As for [`Simd::turned`](crate::simd::Simd::turned).
#[inline(always)]
pub(crate) unsafe fn turn_f32x8(from: *const f32, down: isize) -> [__m256; 8] {
    // SAFETY: required of the caller.
    unsafe {
        let rows: [__m256; 8] =
            std::array::from_fn(|row| _mm256_loadu_ps(from.offset(row as isize * down)));
        // Elements 0 and 1 of two rows, and 2 and 3, each in both halves; then those of four rows.
        let pairs = |at: usize| {
            let (a, b) = (rows[at], rows[at + 1]);
            [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)].map(|x| _mm256_castps_pd(x))
        };
        let fours = |at: usize| {
            let ([low, high], [next_low, next_high]) = (pairs(at), pairs(at + 2));
            [
                _mm256_unpacklo_pd(low, next_low),
                _mm256_unpackhi_pd(low, next_low),
                _mm256_unpacklo_pd(high, next_high),
                _mm256_unpackhi_pd(high, next_high),
            ]
        };
        let (first, last) = (fours(0), fours(4));
        std::array::from_fn(|element| {
            let (first, last) = (first[element % 4], last[element % 4]);
            _mm256_castpd_ps(match element < 4 {
                true => _mm256_permute2f128_pd::<0x20>(first, last),
                false => _mm256_permute2f128_pd::<0x31>(first, last),
            })
        })
    }
}

/// Four rows of four elements.
///
/// # Safety
///
/// As for [`Simd::turned`](crate::simd::Simd::turned).
#[inline(always)]
pub(crate) unsafe fn turn_f64x4(from: *const f64, down: isize) -> [__m256d; 4] {
    // SAFETY: required of the caller.
    unsafe {
        let [a, b, c, d] =
            std::array::from_fn(|row| _mm256_loadu_pd(from.offset(row as isize * down)));
        let (even, odd) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        let (next_even, next_odd) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
        [
            _mm256_permute2f128_pd::<0x20>(even, next_even),
            _mm256_permute2f128_pd::<0x20>(odd, next_odd),
            _mm256_permute2f128_pd::<0x31>(even, next_even),
            _mm256_permute2f128_pd::<0x31>(odd, next_odd),
        ]
    }
}
