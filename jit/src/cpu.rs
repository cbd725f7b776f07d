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
    data_caches().last().copied().unwrap_or(USUAL_SHARE)
}

/// What a few cores have of a large cache.
const USUAL_SHARE: usize = 32 << 20;

/// What a process can count on of a cache of so many bytes.
///
/// Cores next to each other share 96 MiB at most. A larger cache is the sum of what lies beside all cores of a
/// package, and a guest with two of them is told of it as if it were theirs. A Xeon 6 says 480 MiB; there one
/// core reads 64 bytes of an array of 32 MiB in 2.2 ns, of 64 MiB in 3.0, of 128 MiB in 4.0 and of 512 MiB in 4.3.
fn share_of(bytes: usize) -> usize {
    if is_of_package(bytes) { USUAL_SHARE } else { bytes }
}

/// Whether so many bytes are what lies beside all cores of a package.
fn is_of_package(bytes: usize) -> bool {
    const OF_ONE_COMPLEX: usize = 96 << 20;
    bytes > OF_ONE_COMPLEX
}

/// Whether the last-level cache is a package's, most of which lies far from a core: what one core reads of it on a
/// Xeon 6 takes half the time of what memory has, and ten times that of what is in the second level.
pub fn last_level_is_far() -> bool {
    static IS_FAR: OnceLock<bool> = OnceLock::new();
    *IS_FAR.get_or_init(|| detect_caches().into_iter().any(is_of_package))
}

/// Bytes of the second-level cache; a guess if the processor does not say.
pub fn second_level_cache() -> usize {
    data_caches().get(1).copied().unwrap_or(1 << 20)
}

/// Bytes of each cache that holds data, from the one next to the core, as many as a process can count on;
/// empty if neither the processor nor the system says.
pub fn data_caches() -> &'static [usize] {
    static BYTES: OnceLock<Vec<usize>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut caches: Vec<usize> = detect_caches().into_iter().map(share_of).collect();
        caches.retain(|&bytes| bytes > 0);
        caches.sort_unstable();
        caches.dedup();
        caches
    })
}

// Miri does not support `cpuid`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detect_caches() -> Vec<usize> {
    use raw_cpuid::{CacheParameter, CacheType, CpuId};
    let holds_data =
        |cache: &CacheParameter| matches!(cache.cache_type(), CacheType::Data | CacheType::Unified);
    let bytes = |cache: CacheParameter| {
        let lines = cache.sets() * cache.associativity() * cache.physical_line_partitions();
        lines * cache.coherency_line_size()
    };
    let caches = CpuId::new().get_cache_parameters().into_iter().flatten();
    caches.filter(holds_data).map(bytes).collect()
}

/// Those of the first processor, where the system is Linux.
#[cfg(any(not(target_arch = "x86_64"), miri))]
fn detect_caches() -> Vec<usize> {
    let field = |index: usize, name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
        std::fs::read_to_string(path).ok()
    };
    let bytes = |index: usize| {
        let size = field(index, "size")?;
        let kilobytes: usize = size.trim().strip_suffix('K')?.parse().ok()?;
        let holds_data = field(index, "type")?.trim() != "Instruction";
        Some(if holds_data { kilobytes << 10 } else { 0 })
    };
    (0..).map_while(bytes).collect()
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

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn a_package_is_not_ours_alone() {
        assert_eq!(share_of(32 << 20), 32 << 20);
        assert_eq!(share_of(96 << 20), 96 << 20);
        assert_eq!(share_of(480 << 20), 32 << 20);
    }
}
