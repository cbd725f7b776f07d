//! Numbers of 16 bits made wider, which is exact.

use half::slice::HalfFloatSliceExt;

/// Widens numbers of the upper half of an `f32`: `count` of each of some rows, which are `down` apart, to rows that are
/// `pitch` apart.
///
/// # Safety
///
/// The numbers must be readable, and as many writable.
pub(crate) unsafe fn bf16(
    from: *const u16,
    down: isize,
    sizes: [usize; 2],
    to: *mut f32,
    pitch: usize,
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the rest is required of the caller.
        return unsafe { bf16_avx2(from, down, sizes, to, pitch) };
    }
    // SAFETY: required of the caller.
    unsafe { shift(from, down, sizes, to, pitch) };
}

/// # Safety
///
/// As for [`bf16`].
#[inline(always)]
unsafe fn shift(
    from: *const u16,
    down: isize,
    [rows, count]: [usize; 2],
    to: *mut f32,
    pitch: usize,
) {
    for row in 0..rows {
        // SAFETY: required of the caller.
        unsafe {
            let (from, to) = (from.offset(row as isize * down), to.add(row * pitch));
            for at in 0..count {
                *to.add(at) = f32::from_bits(u32::from(*from.add(at)) << 16);
            }
        }
    }
}

/// # Safety
///
/// As for [`bf16`], on a processor with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn bf16_avx2(from: *const u16, down: isize, sizes: [usize; 2], to: *mut f32, pitch: usize) {
    // SAFETY: required of the caller.
    unsafe { shift(from, down, sizes, to, pitch) };
}

/// As [`bf16`], numbers of IEEE 754's binary16.
///
/// # Safety
///
/// As for [`bf16`].
pub(crate) unsafe fn f16(
    from: *const u16,
    down: isize,
    [rows, count]: [usize; 2],
    to: *mut f32,
    pitch: usize,
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("f16c") && is_x86_feature_detected!("avx") {
        // SAFETY: the processor has both; the rest is required of the caller.
        return unsafe { f16_f16c(from, down, [rows, count], to, pitch) };
    }
    for row in 0..rows {
        // SAFETY: required of the caller, who reads nothing else meanwhile; both types are 16 bits.
        unsafe {
            let (from, to) = (from.offset(row as isize * down), to.add(row * pitch));
            let from = std::slice::from_raw_parts(from.cast::<half::f16>(), count);
            from.convert_to_f32_slice(std::slice::from_raw_parts_mut(to, count));
        }
    }
}

/// # Safety
///
/// As for [`bf16`], on a processor with AVX and F16C.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
unsafe fn f16_f16c(
    from: *const u16,
    down: isize,
    [rows, count]: [usize; 2],
    to: *mut f32,
    pitch: usize,
) {
    use std::arch::x86_64::{
        _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtss_f32, _mm_loadu_si128, _mm256_cvtph_ps,
        _mm256_storeu_ps,
    };
    let whole = count / 8 * 8;
    for row in 0..rows {
        // SAFETY: required of the caller; a vector has eight numbers.
        unsafe {
            let (from, to) = (from.offset(row as isize * down), to.add(row * pitch));
            for at in (0..whole).step_by(8) {
                _mm256_storeu_ps(to.add(at), _mm256_cvtph_ps(_mm_loadu_si128(from.add(at).cast())));
            }
            for at in whole..count {
                let single = _mm_cvtsi32_si128((*from.add(at)).into());
                *to.add(at) = _mm_cvtss_f32(_mm_cvtph_ps(single));
            }
        }
    }
}
