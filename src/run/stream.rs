//! Copies past the caches.

/// Copies bytes that lie one after the other, past the caches but for those that share a line of memory with
/// others. Other threads may be told of them after a [`fence`](kiln_jit::emit::fence).
///
/// # Safety
///
/// Both places must have as many bytes and be apart.
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    if kiln_jit::cpu::Cpu::host().avx2 {
        // SAFETY: the processor has AVX; the rest is required of the caller.
        return unsafe { avx::copy(to, from, bytes) };
    }
    // SAFETY: required of the caller.
    unsafe { to.copy_from_nonoverlapping(from, bytes) };
}

#[cfg(target_arch = "x86_64")]
mod avx {
    use std::arch::x86_64::{_mm256_loadu_si256, _mm256_stream_si256};

    const VECTOR: usize = 32;
    const LINE: usize = 2 * VECTOR;

    /// See [`copy`](super::copy()).
    ///
    /// # Safety
    ///
    /// As there; and the processor must have AVX.
    #[target_feature(enable = "avx")]
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
        let head = to.align_offset(LINE).min(bytes);
        let whole = (bytes - head) / LINE * LINE;
        let end = head + whole;
        // SAFETY: required of the caller; from `head` on `to` is aligned to a line.
        unsafe {
            to.copy_from_nonoverlapping(from, head);
            for at in (head..end).step_by(VECTOR) {
                let vector = _mm256_loadu_si256(from.add(at).cast());
                _mm256_stream_si256(to.add(at).cast(), vector);
            }
            to.add(end).copy_from_nonoverlapping(from.add(end), bytes - end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::copy;

    #[test]
    fn all_bytes_and_no_others_are_copied() {
        let from: Vec<u8> = (0..400).map(|at| (at % 251) as u8 + 1).collect();
        for first in 0..70 {
            for bytes in (0..20).chain(120..200).chain([300]) {
                let mut to = vec![0; 400];
                // SAFETY: both have these bytes.
                unsafe { copy(to.as_mut_ptr().add(first), from.as_ptr().add(7), bytes) };
                kiln_jit::emit::fence();
                let copied = &from[7..7 + bytes];
                assert_eq!(&to[first..first + bytes], copied, "{bytes} from {first}");
                assert!(to[..first].iter().chain(&to[first + bytes..]).all(|&byte| byte == 0));
            }
        }
    }
}
