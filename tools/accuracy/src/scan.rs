//! The inner loops: a block of results against a block of references, in vector code.

use std::sync::LazyLock;

/// Inputs of a block. Inputs, results, references and keys of one block fit in the L1 cache.
pub(crate) const BLOCK: usize = 2048;

/// What the loop needs to know of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Bounds of the results.
    pub(crate) range: (f32, f32),
    /// Xor-ed into every number before it is hashed: the sign bit for the negative half of an odd
    /// function, so that both halves of a symmetric function have one hash.
    pub(crate) flip: u32,
    /// Whether results should fall from one input to the next, not rise.
    pub(crate) falls: bool,
}

/// What a block amounts to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Hash of the results, a NaN being one value.
    pub(crate) hash: u64,
    /// The largest error in ULP, at normal and at subnormal references, as bits of an `f64`: not
    /// below those of infinity where a result is wrong in kind.
    pub(crate) worst: [u64; 2],
    /// Whether a sign is wrong, or a result out of range.
    pub(crate) odd: bool,
    /// Steps from one input to the next that go the wrong way for a monotone function.
    pub(crate) turns: u64,
}

/// Odd multipliers, one for each place in a block.
static KEYS: LazyLock<Vec<u64>> =
    LazyLock::new(|| (0..BLOCK as u64).map(|place| mix(place) | 1).collect());

/// SplitMix64's finaliser.
pub(crate) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bits, with one NaN and no other.
fn canonical(value: f32) -> u32 {
    if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() }
}

/// `sum (bits + 1) * key[place]`: one differing result always changes it.
#[inline(always)]
fn hash_body(results: &[f32], flip: u32) -> u64 {
    let term = |(&result, &key): (&f32, &u64)| {
        let flipped = if result.is_nan() { 0x7fc0_0000 } else { result.to_bits() ^ flip };
        (u64::from(flipped) + 1).wrapping_mul(key)
    };
    results.iter().zip(KEYS.iter()).map(term).fold(0, u64::wrapping_add)
}

#[inline(always)]
fn scan_body(results: &[f32], references: &[f64], expected: Expected) -> Scan {
    const EXPONENT: u64 = 0x7ff << 52;
    let least = f64::from(f32::MIN_POSITIVE);
    let (low, high) = expected.range;
    let (mut normal, mut subnormal, mut odd) = (0i64, 0i64, 0u64);
    for (&got, &exact) in results.iter().zip(references) {
        let rounded = canonical(exact as f32);
        let bits = canonical(got);
        // 1 / ulp(exact), from the exponent alone.
        let exponent = (exact.to_bits() & EXPONENT).max(least.to_bits());
        let per_ulp = f64::from_bits(((2046 + 23) << 52) - exponent);
        let error = ((f64::from(got) - exact) * per_ulp).abs();
        // NaN for NaN, or infinity for what rounds to it.
        let special = (rounded & 0x7f80_0000 == 0x7f80_0000) & (rounded == bits);
        let error: i64 = if special { 0 } else { error.to_bits() as i64 };
        let small = exact.abs() < least;
        normal = normal.max(if small { 0 } else { error });
        subnormal = subnormal.max(if small { error } else { 0 });
        let wrong_sign = (bits ^ (exact.to_bits() >> 32) as u32) >> 31 != 0;
        odd |=
            u64::from((wrong_sign | (got < low) | (got > high)) & !(got.is_nan() & exact.is_nan()));
    }
    let mut turns = 0u64;
    for (&this, &next) in results[..results.len() - 1].iter().zip(&results[1..]) {
        turns += u64::from(if expected.falls { this < next } else { this > next });
    }
    let hash = hash_body(results, expected.flip);
    Scan { hash, worst: [normal as u64, subnormal as u64], odd: odd != 0, turns }
}

macro_rules! for_widest {
    ($name:ident, $body:ident, ($($argument:ident: $ty:ty),*) -> $result:ty, $doc:literal) => {
        #[doc = $doc]
        pub(crate) fn $name($($argument: $ty),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
                fn avx512($($argument: $ty),*) -> $result {
                    $body($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $ty),*) -> $result {
                    $body($($argument),*)
                }
                let cpu = kiln::internals::cpu::Cpu::host();
                if cpu.avx512 {
                    // SAFETY: the processor has these features.
                    return unsafe { avx512($($argument),*) };
                }
                if cpu.avx2 {
                    // SAFETY: the processor has these features.
                    return unsafe { avx2($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}

for_widest!(hash, hash_body, (results: &[f32], flip: u32) -> u64, "The hash of a block's results.");
for_widest!(
    scan, scan_body, (results: &[f32], references: &[f64], expected: Expected) -> Scan,
    "Compares a block's results with references whose relative error is far below an `f32`'s."
);

#[cfg(test)]
mod tests {
    use super::{BLOCK, Expected, hash, scan};
    use crate::ulp::{Verdict, judge};
    use kiln::DType;

    const ANY: Expected =
        Expected { range: (f32::NEG_INFINITY, f32::INFINITY), flip: 0, falls: false };

    /// The loop finds what one judgement after the other finds.
    #[test]
    fn blocks_are_judged_as_single_results_are() {
        for seed in 0..200u64 {
            let (mut normal, mut subnormal, mut failed) = (0f64, 0f64, false);
            let mut results = vec![0f32; BLOCK];
            let mut references = vec![0f64; BLOCK];
            for place in 0..BLOCK {
                let random = super::mix(seed << 32 | place as u64);
                let value = f32::from_bits(random as u32);
                let near = f64::from(value) * (1.0 + (random >> 40) as f64 * 2f64.powi(-46));
                (results[place], references[place]) = (value, near);
                match judge(DType::F32, f64::from(value), near) {
                    Verdict::Ulp { error, subnormal: true } => subnormal = subnormal.max(error),
                    Verdict::Ulp { error, .. } => normal = normal.max(error),
                    Verdict::Failure(_) => failed = true,
                }
            }
            let found = scan(&results, &references, ANY);
            let infinite = found.worst[0].max(found.worst[1]) >= f64::INFINITY.to_bits();
            assert_eq!(found.odd || infinite, failed);
            if !failed {
                assert_eq!(found.worst.map(f64::from_bits), [normal, subnormal]);
            }
            assert_eq!(found.hash, hash(&results, 0));
        }
    }

    #[test]
    fn signs_ranges_and_turns_are_seen() {
        let ones = vec![1f32; BLOCK];
        let exact = vec![1f64; BLOCK];
        assert!(!scan(&ones, &exact, ANY).odd);
        let below = Expected { range: (-1.0, 0.5), ..ANY };
        assert!(scan(&ones, &exact, below).odd);
        let zeros = vec![0f32; BLOCK];
        assert!(scan(&zeros, &vec![-0f64; BLOCK], ANY).odd);
        assert!(scan(&zeros, &vec![-1e-300; BLOCK], ANY).odd);
        let mut stairs: Vec<f32> = (0..BLOCK).map(|k| k as f32).collect();
        stairs[7] = 3.0;
        assert_eq!(scan(&stairs, &exact, ANY).turns, 1);
        assert_eq!(scan(&stairs, &exact, Expected { falls: true, ..ANY }).turns, BLOCK as u64 - 2);
    }

    #[test]
    fn one_differing_result_changes_the_hash() {
        let mut results: Vec<f32> = (0..BLOCK).map(|k| k as f32).collect();
        let before = hash(&results, 0);
        assert_ne!(before, hash(&results, 1 << 31));
        let mirrored: Vec<f32> = results.iter().map(|v| -v).collect();
        assert_eq!(before, hash(&mirrored, 1 << 31));
        results[77] = f32::from_bits(results[77].to_bits() ^ 1);
        assert_ne!(before, hash(&results, 0));
        results[5] = f32::NAN;
        let quiet = hash(&results, 0);
        results[5] = -f32::NAN;
        assert_eq!(quiet, hash(&results, 0));
    }
}
