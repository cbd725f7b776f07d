//! What a benchmark computes on: arrays, and a copy of as many bytes as a kernel moves.

use crate::failure::Failure;
use fastrand::Rng;
use half::{bf16, f16};
use kiln::{DType, Kernel, RunError, Tensor};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use std::hint::black_box;

/// Arrays of zeros for the outputs of a kernel.
pub(crate) fn outputs(kernel: &Kernel, shapes: &[Vec<usize>]) -> Result<Vec<Tensor>, RunError> {
    let zeros =
        |(index, shape): (usize, &Vec<usize>)| Tensor::zeros(kernel.output_dtype(index), shape);
    shapes.iter().enumerate().map(zeros).collect()
}

/// Numbers from -3 to 3, any integers, or bools; the same ones for the same seed.
pub(crate) fn random(dtype: DType, shape: &[usize], seed: u64) -> Result<Tensor, RunError> {
    let mut rng = Rng::with_seed(seed);
    let mut number = || 6.0 * rng.f64() - 3.0;
    let mut tensor = Tensor::zeros(dtype, shape)?;
    match &mut tensor {
        Tensor::F16(array) => array.mapv_inplace(|_| f16::from_f64(number())),
        Tensor::BF16(array) => array.mapv_inplace(|_| bf16::from_f64(number())),
        Tensor::F32(array) => array.mapv_inplace(|_| number() as f32),
        Tensor::F64(array) => array.mapv_inplace(|_| number()),
        Tensor::Bool(array) => array.mapv_inplace(|_| rng.bool()),
        Tensor::U8(array) => array.mapv_inplace(|_| rng.u8(..)),
        Tensor::I32(array) => array.mapv_inplace(|_| rng.i32(..)),
        Tensor::I64(array) => array.mapv_inplace(|_| rng.i64(..)),
    }
    Ok(tensor)
}

/// The copy that kernels are compared with: half of the bytes are read, half are written.
pub(super) struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
    /// Bytes for each thread.
    share: usize,
}

/// A way of copying.
pub(super) type Way = fn(&mut [u8], &[u8]);

/// Ways of copying, each with its name: none is the fastest at all sizes and on all machines.
pub(super) const WAYS: [(&str, Way); 3] = [
    ("memcpy", <[u8]>::copy_from_slice),
    ("a plain loop", in_a_loop),
    ("non-temporal stores", past_the_caches),
];

impl Copy {
    /// Smaller copies are faster on one thread.
    const SHARED_FROM: usize = 1 << 20;

    pub(super) fn new(bytes: usize, threads: usize) -> Result<Copy, Failure> {
        let half = (bytes / 2).max(1);
        let touched = |value: u8| {
            let mut buffer = Vec::new();
            let reserved = buffer.try_reserve_exact(half);
            reserved
                .map_err(|_| Failure::Failed(format!("out of memory: {half} bytes to copy")))?;
            buffer.resize(half, value);
            Ok::<_, Failure>(buffer)
        };
        let share = if half < Copy::SHARED_FROM { half } else { half.div_ceil(threads) };
        Ok(Copy { from: touched(1)?, to: touched(2)?, share })
    }

    pub(super) fn run(&mut self, way: Way) {
        if self.share == self.from.len() {
            way(&mut self.to, &self.from);
        } else {
            let to = self.to.par_chunks_mut(self.share);
            to.zip(self.from.par_chunks(self.share)).for_each(|(to, from)| way(to, from));
        }
        black_box(&mut self.to);
    }
}

fn in_a_loop(to: &mut [u8], from: &[u8]) {
    // Plus nothing, so that it does not become `memcpy`.
    let nothing = black_box(0u8);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.wrapping_add(nothing));
}

/// A copy whose stores do not go through the caches.
#[cfg(target_arch = "x86_64")]
fn past_the_caches(to: &mut [u8], from: &[u8]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    // SAFETY: bytes make a vector, whatever they are.
    let (head, vectors, tail) = unsafe { to.align_to_mut::<__m128i>() };
    let (first, rest) = from.split_at(head.len());
    let (middle, last) = rest.split_at(size_of_val(vectors));
    head.copy_from_slice(first);
    for (to, from) in vectors.iter_mut().zip(middle.chunks_exact(size_of::<__m128i>())) {
        // SAFETY: x86-64 has SSE2; `to` is aligned, `from` has as many bytes.
        unsafe { _mm_stream_si128(to, _mm_loadu_si128(from.as_ptr().cast())) };
    }
    // SAFETY: as above. Later reads see what was stored.
    unsafe { _mm_sfence() };
    tail.copy_from_slice(last);
}

#[cfg(not(target_arch = "x86_64"))]
fn past_the_caches(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}
