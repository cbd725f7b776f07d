//! A copy of the first input: what memory allows a formula of one array. For sums, a read of it.

use crate::peer::{Array, Bound, Case, Peer, Unable};

pub(crate) struct Copy {
    /// Past the caches, by non-temporal stores.
    pub(crate) streaming: bool,
}

impl Peer for Copy {
    fn version(&self) -> &'static str {
        if self.streaming { "AVX-512, non-temporal" } else { "memcpy" }
    }

    fn knows(&self) -> &'static str {
        "exp log log1p expm1 sqrt tanh erf abs maximum where softmax log_softmax layer_norm rms_norm"
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        if case.has_product() || inputs[0].stored != output.stored {
            return Err("is for elementwise formulas".into());
        }
        let (from, to) = (inputs[0].clone(), output.clone());
        let (from, to): (&[u8], &mut [u8]) = (from.bytes(), to.bytes());
        if !self.streaming {
            return Ok(Bound::new(move || to.copy_from_slice(std::hint::black_box(from))));
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && to.as_ptr().align_offset(64) == 0 {
            // SAFETY: the processor has the instructions, and the target is aligned.
            return Ok(Bound::new(move || unsafe { stream(from, to) }));
        }
        Err("needs AVX-512".into())
    }
}

/// Every byte is read, and next to nothing written.
pub(crate) struct Read;

impl Peer for Read {
    fn version(&self) -> &'static str {
        "a sum of integers"
    }

    fn knows(&self) -> &'static str {
        "sum_axis_0 sum_axis_1"
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        if case.has_product() || inputs[0].stored == output.stored {
            return Err("is for sums".into());
        }
        let from: &[u8] = inputs[0].clone().bytes();
        let words = from.as_chunks::<4>().0;
        Ok(Bound::new(move || {
            let add = |sum: u32, word: &[u8; 4]| sum.wrapping_add(u32::from_ne_bytes(*word));
            std::hint::black_box(std::hint::black_box(words).iter().fold(0, add));
        }))
    }
}

/// # Safety
///
/// The processor must have AVX-512 F, and `to` must be aligned to 64 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn stream(from: &[u8], to: &mut [u8]) {
    use std::arch::x86_64::{_mm_sfence, _mm512_loadu_si512, _mm512_stream_si512};
    for (from, to) in from.chunks_exact(64).zip(to.chunks_exact_mut(64)) {
        // SAFETY: both are 64 bytes; the caller vouches for the alignment.
        unsafe {
            _mm512_stream_si512(to.as_mut_ptr().cast(), _mm512_loadu_si512(from.as_ptr().cast()))
        };
    }
    _mm_sfence();
}
