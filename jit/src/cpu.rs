//! What the processor can do, detected in one place.
//!
//! Code that chooses by feature takes a [`Cpu`] value, so a test (or a user) can take features
//! away: `Cpu { fma: false, ..Cpu::host() }`. Nothing can add a feature that the host lacks: the
//! loader of machine code only accepts what fits in [`Cpu::host`].

use std::sync::OnceLock;

/// The instruction sets that Kiln distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cpu {
    /// Fused multiply-add in vector registers.
    pub fma: bool,
    /// 256-bit vectors (AVX2 with FMA and F16C).
    pub avx2: bool,
    /// 512-bit vectors with masks (AVX-512 F, BW, DQ and VL, with BMI2).
    pub avx512: bool,
}

impl Cpu {
    /// No feature beyond the architecture's baseline.
    pub const BASE: Cpu = Cpu { fma: false, avx2: false, avx512: false };

    /// The processor that this process runs on. Detected once.
    pub fn host() -> Cpu {
        static HOST: OnceLock<Cpu> = OnceLock::new();
        *HOST.get_or_init(detect)
    }
}

/// Bytes of the last-level cache; a guess if the processor does not say.
pub fn last_level_cache() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| detect_cache().unwrap_or(32 << 20))
}

// Miri does not support `cpuid`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detect_cache() -> Option<usize> {
    let caches = raw_cpuid::CpuId::new().get_cache_parameters()?;
    let bytes = |cache: raw_cpuid::CacheParameter| {
        let lines = cache.sets() * cache.associativity() * cache.physical_line_partitions();
        lines * cache.coherency_line_size()
    };
    caches.map(bytes).max().filter(|&bytes| bytes > 0)
}

#[cfg(any(not(target_arch = "x86_64"), miri))]
fn detect_cache() -> Option<usize> {
    None
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Cpu {
    let fma = is_x86_feature_detected!("avx") && is_x86_feature_detected!("fma");
    // No processor has only one of the two.
    let avx2 = fma && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    Cpu { fma, avx2, avx512 }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Cpu {
    // The vector units of AArch64 and RISC-V V have FMA from the start.
    Cpu { fma: true, ..Cpu::BASE }
}
