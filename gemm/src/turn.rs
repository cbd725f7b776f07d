//! Rows that are turned into columns, in the registers of x86-64.

use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, _mm_loadu_pd, _mm_loadu_ps, _mm256_castpd_ps,
    _mm256_castpd128_pd256, _mm256_castps_pd, _mm256_castps128_ps256, _mm256_insertf128_pd,
    _mm256_insertf128_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_permute2f128_pd,
    _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    _mm512_castpd_ps, _mm512_castpd256_pd512, _mm512_castps_pd, _mm512_insertf64x4,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

/// Four elements of rows 0, 4, 8, .. that are `down` apart, a quarter of a vector each.
///
/// # Safety
///
/// They must be readable, and the processor must have such vectors.
#[inline(always)]
unsafe fn quarters_f32(from: *const f32, down: isize) -> __m512 {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm256_castps_pd(halves_f32(from, down));
        let high = _mm256_castps_pd(halves_f32(from.offset(8 * down), down));
        _mm512_castpd_ps(_mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low), high))
    }
}

/// Four elements of rows 0 and 4, half a vector each.
///
/// # Safety
///
/// As for [`quarters_f32`].
#[inline(always)]
unsafe fn halves_f32(from: *const f32, down: isize) -> __m256 {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm256_castps128_ps256(_mm_loadu_ps(from));
        _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.offset(4 * down)))
    }
}

/// Two elements of rows 0, 2, 4 and 6, a quarter of a vector each.
///
/// # Safety
///
/// As for [`quarters_f32`].
#[inline(always)]
unsafe fn quarters_f64(from: *const f64, down: isize) -> __m512d {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm512_castpd256_pd512(halves_f64(from, down));
        _mm512_insertf64x4::<1>(low, halves_f64(from.offset(4 * down), down))
    }
}

/// Two elements of rows 0 and 2, half a vector each.
///
/// # Safety
///
/// As for [`quarters_f32`].
#[inline(always)]
unsafe fn halves_f64(from: *const f64, down: isize) -> __m256d {
    // SAFETY: required of the caller.
    unsafe {
        let low = _mm256_castpd128_pd256(_mm_loadu_pd(from));
        _mm256_insertf128_pd::<1>(low, _mm_loadu_pd(from.offset(2 * down)))
    }
}

/// Sixteen rows of four elements, by instructions that work in parts of 128 bits.
///
/// # Safety
///
/// As for [`Simd::turned`](crate::simd::Simd::turned).
#[inline(always)]
pub(crate) unsafe fn turn_f32x16(from: *const f32, down: isize) -> [__m512; 4] {
    // SAFETY: required of the caller.
    unsafe {
        let [a, b, c, d] =
            std::array::from_fn(|row| quarters_f32(from.offset(row as isize * down), down));
        let pairs = |a, b| {
            [_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)].map(|x| _mm512_castps_pd(x))
        };
        let ([ab, ab_high], [cd, cd_high]) = (pairs(a, b), pairs(c, d));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}

/// Eight rows of two elements.
///
/// # Safety
///
/// As for [`Simd::turned`](crate::simd::Simd::turned).
#[inline(always)]
pub(crate) unsafe fn turn_f64x8(from: *const f64, down: isize) -> [__m512d; 2] {
    // SAFETY: required of the caller.
    unsafe {
        let (a, b) = (quarters_f64(from, down), quarters_f64(from.offset(down), down));
        [_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b)]
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
