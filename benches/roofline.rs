//! Are the roofs right? Against loops of intrinsics that know nothing of Kiln, and against kernels, none
//! of which may come out above its roof by more than the measurements spread.
//!
//! ```sh
//! cargo bench --bench roofline
//! ```
//!
//! Ends with status 1 where something does not hold. A noisy machine may have that.

use kiln::profile::{Access, Placed, Profiler, Race, Resources, Roofline};
use kiln::{CompileOptions, DType, Graph, Tensor, View, compile_with, ir};
use ndarray::ArrayD;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How far the roofs may be from the loops.
const TOLERANCE: f64 = 0.1;
/// Both are measured so many times, in turn: of a virtual machine's memory, neighbours take a fifth for
/// seconds.
const ROUNDS: usize = 4;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // `cargo test --benches` wants to know only that it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let mut checks = Vec::new();
    for _ in 0..ROUNDS {
        let found = measure_both(&Roofline::measure_anew()?);
        for (index, check) in found.into_iter().enumerate() {
            match checks.get_mut(index) {
                Some(best) => Check::keep_best(best, check),
                None => checks.push(check),
            }
        }
    }
    let loops = loops_agree(&checks);
    let roofline = Roofline::measure()?;
    println!("{roofline}");
    let kernels = kernels_are_below(roofline)?;
    Ok(if loops && kernels { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A roof, and what a loop that knows nothing of Kiln reaches.
struct Check {
    what: String,
    roof: f64,
    found: f64,
    is_judged: bool,
}

impl Check {
    /// Of either, what was best in any round.
    fn keep_best(&mut self, other: Check) {
        self.roof = self.roof.max(other.roof);
        self.found = self.found.max(other.found);
    }
}

/// The roofs of one thread, and plain intrinsics right after them.
fn measure_both(roofline: &Roofline) -> Vec<Check> {
    let mut checks = Vec::new();
    for peak in roofline.peaks().iter().filter(|peak| peak.threads == 1) {
        if let Some(found) = loops::fmas(peak.dtype, peak.bits) {
            let what = format!("{} FMA, {} bits", peak.dtype, peak.bits);
            checks.push(Check { what, roof: peak.gflops, found, is_judged: true });
        }
    }
    for level in roofline.levels() {
        // Of a cache that others use, too, a half may be more than it keeps.
        let quarters = if level.name == "L1" { 3 } else { 1 };
        let bytes = level.bytes.map_or(128 << 20, |bytes| bytes / 4 * quarters);
        for access in [Access::Read, Access::Copy] {
            let roof = level.bandwidth(access.part_read(), 1);
            if let (Some(roof), Some(found)) = (roof, loops::bandwidth(access, bytes)) {
                let what = format!("{level}, {}", access.name());
                let is_judged = access != Access::Read;
                checks.push(Check { what, roof: roof.gbytes, found, is_judged });
            }
        }
    }
    checks
}

/// Whether the loops come near to what the roofs say.
fn loops_agree(checks: &[Check]) -> bool {
    let mut agree = true;
    println!("{:<28} {:>8} {:>8} {:>6}", "one thread", "roof", "loop", "ratio");
    for Check { what, roof, found, is_judged } in checks {
        let near = !is_judged || (found / roof - 1.0).abs() <= TOLERANCE;
        let verdict = match (is_judged, near) {
            (false, _) => "  not judged: kernels store something, this loop does not",
            (_, true) => "",
            (_, false) => "  DIFFERS",
        };
        println!("{what:<28} {roof:>8.1} {found:>8.1} {:>6.2}{verdict}", found / roof);
        agree &= near;
    }
    println!();
    agree
}

/// Whether each kernel is below its roof, at each size, on one thread and on all.
fn kernels_are_below(roofline: &Roofline) -> Result<bool, Box<dyn Error>> {
    let flat = (10..=24).step_by(2).map(|power| vec![1usize << power]);
    let flat: Vec<Vec<usize>> = flat.collect();
    let square: Vec<Vec<usize>> = (6..=10).map(|power| vec![1 << power; 2]).collect();
    let cases = [
        ("add", "|x: f32[..], y: f32[..]| x + y", &flat),
        ("multiply", "|x: f32[..], y: f32[..]| x * y", &flat),
        ("gelu_tanh", "|x: f32[..]| gelu_tanh(x)", &flat),
        ("matmul", "|a: f32[m, k], b: f32[k, n]| a @ b", &square),
    ];
    println!(
        "{:<10} {:>12} {:>8} {:>9} {:>9} {:>8}",
        "", "shape", "threads", "reached", "spread", ""
    );
    let mut below = true;
    for (name, text, shapes) in cases {
        let graph = ir::parse(text)?;
        for shape in shapes {
            for threads in [1, roofline.threads()] {
                let placed = place(roofline, name, &graph, shape, threads)?;
                let above = placed.part > 1.0 + placed.spread;
                below &= !above;
                println!(
                    "{name:<10} {:>12} {threads:>8} {:>8.0}% {:>8.1}% {}",
                    format!("{shape:?}"),
                    100.0 * placed.part,
                    100.0 * placed.spread,
                    if above { "ABOVE THE ROOF" } else { "" }
                );
            }
        }
    }
    Ok(below)
}

fn place(
    roofline: &Roofline,
    name: &str,
    graph: &Graph,
    shape: &[usize],
    threads: usize,
) -> Result<Placed, Box<dyn Error>> {
    let kernel = compile_with(graph, CompileOptions::new().threads(threads))?;
    let array = |_| Tensor::from(ArrayD::<f32>::from_elem(shape, 0.75));
    let arrays: Vec<Tensor> = kernel.inputs().iter().map(array).collect();
    let inputs: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
    let mut race = Race::new();
    race.add(Profiler::new(name, &kernel, &inputs)?);
    let profiles = race.run_for(Duration::from_millis(100))?;
    Ok(roofline.place(&profiles[0], Resources::of(&kernel, threads)))
}

/// The best time of a call, in nanoseconds, among rounds of so many.
fn best(calls: usize, mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        best = best.min(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    best
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use super::{Access, DType, best};
    use std::arch::x86_64::{
        __m256i, _mm_sfence, _mm256_add_epi64, _mm256_fmadd_pd, _mm256_fmadd_ps,
        _mm256_loadu_si256, _mm256_set1_pd, _mm256_set1_ps, _mm256_setzero_si256,
        _mm256_storeu_si256, _mm256_stream_si256, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_set1_pd,
        _mm512_set1_ps,
    };
    use std::hint::black_box;

    const STEPS: usize = 4000;

    /// Ten chains of FMAs, written out; the FLOPs that they do.
    macro_rules! chains {
        ($name:ident, $features:literal, $fma:ident, $set:ident, $lanes:literal) => {
            #[target_feature(enable = $features)]
            fn $name() -> usize {
                let (x, y) = (black_box($set(0.5)), black_box($set(1.0)));
                let mut chains = [$set(0.0); 10];
                for _ in 0..STEPS {
                    for chain in &mut chains {
                        *chain = $fma(*chain, x, y);
                    }
                }
                black_box(chains);
                STEPS * 10 * $lanes * 2
            }
        };
    }
    chains!(f32_256, "avx2,fma", _mm256_fmadd_ps, _mm256_set1_ps, 8);
    chains!(f64_256, "avx2,fma", _mm256_fmadd_pd, _mm256_set1_pd, 4);
    chains!(f32_512, "avx512f", _mm512_fmadd_ps, _mm512_set1_ps, 16);
    chains!(f64_512, "avx512f", _mm512_fmadd_pd, _mm512_set1_pd, 8);

    /// GFLOP/s, at widths that there are intrinsics for.
    pub(super) fn fmas(dtype: DType, bits: u32) -> Option<f64> {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f");
        let mut flops = 0;
        let time = best(10, || {
            // SAFETY: the processor has these instructions, it was just asked.
            flops = unsafe {
                match (dtype, bits) {
                    (DType::F32, 256) if avx2 => f32_256(),
                    (DType::F64, 256) if avx2 => f64_256(),
                    (DType::F32, 512) if avx512 => f32_512(),
                    (DType::F64, 512) if avx512 => f64_512(),
                    _ => 0,
                }
            };
        });
        (flops > 0).then(|| flops as f64 / time)
    }

    /// GB/s of reading or copying arrays of so many bytes in all.
    pub(super) fn bandwidth(access: Access, bytes: usize) -> Option<f64> {
        if !is_x86_feature_detected!("avx2") {
            return None;
        }
        let calls = (1 << 22) / bytes + 1;
        let vectors = bytes / 32 / 8 * 8;
        // SAFETY: all bits make a vector.
        let zero = || vec![unsafe { std::mem::zeroed::<__m256i>() }; vectors];
        let time = match access {
            Access::Read => {
                let mut from = zero();
                black_box(&mut from).fill(one());
                // SAFETY: AVX2 was just asked for.
                best(calls, || unsafe { read(black_box(&from)) })
            }
            _ => {
                let (mut from, mut to) = (zero(), zero());
                from.resize(vectors + 66, one());
                // Pages that nobody wrote are one page, which L1 holds.
                black_box(&mut from).fill(one());
                let half = vectors / 16 * 8;
                // A load that follows a store 4 KiB before it may wait, so it is best of some places.
                let mut time = f64::INFINITY;
                for start in [0, 34, 66] {
                    let (to, from) = (&mut to[..half], &from[start..start + half]);
                    // SAFETY: as above.
                    let cached =
                        best(calls, || unsafe { copy(black_box(&mut *to), black_box(from)) });
                    // SAFETY: as above.
                    let streamed =
                        best(calls, || unsafe { stream(black_box(&mut *to), black_box(from)) });
                    time = time.min(cached).min(streamed);
                }
                time
            }
        };
        let moved = if access == Access::Read { vectors } else { vectors / 16 * 16 };
        Some((moved * 32) as f64 / time)
    }

    fn one() -> __m256i {
        // SAFETY: all bits make a vector.
        unsafe { std::mem::transmute([1u8; 32]) }
    }

    #[target_feature(enable = "avx2")]
    fn read(from: &[__m256i]) {
        let mut sums = [_mm256_setzero_si256(); 8];
        for chunk in from.chunks_exact(8) {
            for (sum, vector) in sums.iter_mut().zip(chunk) {
                // SAFETY: it is a vector of the slice.
                *sum = _mm256_add_epi64(*sum, unsafe { _mm256_loadu_si256(vector) });
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2")]
    fn copy(to: &mut [__m256i], from: &[__m256i]) {
        for (to, from) in to.chunks_exact_mut(8).zip(from.chunks_exact(8)) {
            for (to, from) in to.iter_mut().zip(from) {
                // SAFETY: they are vectors of slices.
                unsafe { _mm256_storeu_si256(to, _mm256_loadu_si256(from)) };
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn stream(to: &mut [__m256i], from: &[__m256i]) {
        for (to, from) in to.iter_mut().zip(from) {
            // SAFETY: they are vectors of slices, and aligned as such.
            unsafe { _mm256_stream_si256(to, _mm256_loadu_si256(from)) };
        }
        _mm_sfence();
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod loops {
    use super::{Access, DType};

    pub(super) fn fmas(_: DType, _: u32) -> Option<f64> {
        None
    }

    pub(super) fn bandwidth(_: Access, _: usize) -> Option<f64> {
        None
    }
}
