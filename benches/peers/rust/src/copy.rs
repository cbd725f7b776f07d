//! A copy of the first input: what memory allows a formula of one array.

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
        crate::peer::MATH
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
