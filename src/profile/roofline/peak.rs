//! Peak rates of FMAs: chains that do not wait for each other, compiled by Kiln's own emitters.

use super::work::{self, Care, Memory, PAGE, Rate, Work};
use crate::profile::counts::Counts;
use crate::profile::error::ProfileError;
use crate::profile::flops::Flops;
use crate::profile::report::Profile;
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{Code, EmitterKind, Operand, compile};
use kiln_jit::vir::{Builder, Routine, Storage, Type, Value};
use std::sync::OnceLock;

/// The most FLOPs a second with vectors of one width.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Peak {
    /// `f32` or `f64`.
    pub dtype: DType,
    /// The width of the vectors.
    pub bits: u32,
    /// How many threads did it.
    pub threads: usize,
    /// 10^9 FLOPs a second, an FMA being two.
    pub gflops: f64,
    /// How much longer the third of the best rounds took than the best.
    pub spread: f64,
    /// What made the code: an emitter, or `a plain loop`.
    pub by: &'static str,
}

/// Chains of a body. Twelve hide the latency of an FMA on two units and fit into 16 registers; an
/// emitter that interleaves several vectors needs fewer of each.
const CHAINS: [usize; 3] = [12, 4, 2];
/// FMAs of a body. Our own emitters do not unroll bodies so long, which would need more registers.
const LENGTH: usize = 2112;
/// Elements of a call, about.
const N: usize = 512;
/// Bytes of the largest splat.
const SPLAT: usize = kiln_jit::emit::MAX_VECTOR;

impl Peak {
    /// The peaks of this machine, of one thread and of all: [`Roofline::peaks`](super::Roofline::peaks),
    /// measured when first asked for, in a few seconds, and kept.
    ///
    /// Fails where there is no memory.
    pub fn measure() -> Result<&'static [Peak], ProfileError> {
        static MEASURED: OnceLock<Result<Vec<Peak>, ProfileError>> = OnceLock::new();
        let measured = MEASURED.get_or_init(measure).as_ref();
        measured.map(Vec::as_slice).map_err(Clone::clone)
    }
}

fn measure() -> Result<Vec<Peak>, ProfileError> {
    let threads = work::threads();
    let mut memory = Memory::new(threads, PAGE, PAGE)?;
    let chains = chains();
    let works: Vec<&dyn Work> = chains.iter().map(|chains| chains as &dyn Work).collect();
    let profiles = work::alone(&works, Care::Much, &mut memory)?;
    let best = work::fastest(chains, profiles, Chains::are_rivals);
    let mut peaks: Vec<Peak> = best.iter().map(|(chains, it)| chains.peak(1, it)).collect();
    if threads > 1 {
        let time = |profile: &Profile| profile.latency().minimum();
        let works: Vec<_> = best.iter().map(|(it, alone)| (it as &dyn Work, time(alone))).collect();
        let together = work::together(&works, &mut memory)?;
        let of_all = best.iter().zip(&together);
        peaks.extend(of_all.map(|((chains, _), profile)| chains.peak(threads, profile)));
    }
    Ok(peaks)
}

/// All widths that this machine has code for, both types.
fn chains() -> Vec<Chains> {
    let types = [DType::F32, DType::F64];
    let mut all = Vec::new();
    for kind in EmitterKind::ALL.into_iter().filter(|kind| *kind != EmitterKind::Auto) {
        for (dtype, count) in types.into_iter().flat_map(|dtype| CHAINS.map(|count| (dtype, count)))
        {
            all.extend(Chains::compiled(dtype, count, kind));
        }
    }
    if all.is_empty() {
        all.extend(types.map(Chains::by_loop));
    }
    all
}

/// Independent chains of `a = a * x + y`, which go to 2.
struct Chains {
    dtype: DType,
    bits: u32,
    by: &'static str,
    /// `None` for the plain loop.
    code: Option<Code>,
    /// Elements of a call.
    n: usize,
    /// The element `x`, as often as a splat needs.
    x: Vec<u8>,
}

impl Chains {
    /// By this emitter, if it makes machine code here.
    fn compiled(dtype: DType, count: usize, kind: EmitterKind) -> Option<Chains> {
        let code = compile(&routine(dtype, count), kind, Cpu::host()).ok()?;
        let machine_code = !code.machine_code().is_empty() && !code.is_emulated();
        let (bits, by, n) = (code.bits(), kind.name(), code.most_of(N));
        machine_code.then(|| Chains { code: Some(code), bits, by, n, ..Chains::by_loop(dtype) })
    }

    /// Whether both have the same type and width.
    fn are_rivals(&self, other: &Chains) -> bool {
        (self.dtype, self.bits) == (other.dtype, other.bits)
    }

    /// What was measured.
    fn peak(&self, threads: usize, profile: &Profile) -> Peak {
        let Rate { giga, spread } = Rate::of(profile, |counts| counts.flops.total());
        let Chains { dtype, bits, by, .. } = *self;
        Peak { dtype, bits, threads, gflops: giga, spread, by }
    }

    fn by_loop(dtype: DType) -> Chains {
        let x = match dtype {
            DType::F32 => 0.5f32.to_ne_bytes().repeat(SPLAT / 4),
            _ => 0.5f64.to_ne_bytes().repeat(SPLAT / 8),
        };
        Chains { dtype, bits: 128, by: "a plain loop", code: None, n: N, x }
    }
}

impl Work for Chains {
    fn run(&self, times: u32, memory: &mut [u8]) {
        let (output, _) = memory.split_at_mut(self.n * self.dtype.size());
        match (&self.code, self.dtype) {
            (Some(code), _) => {
                code.apply_times(times, false, self.n, &[Operand::Splat(&self.x)], &mut [output]);
            }
            (None, DType::F32) => (0..times).for_each(|_| loop_f32(output)),
            (None, _) => (0..times).for_each(|_| loop_f64(output)),
        }
    }

    fn counts(&self) -> Counts {
        let fmas = (self.n * LENGTH) as u64;
        Counts { flops: Flops { fmas, ..Flops::default() }, ..Counts::default() }
    }
}

fn routine(dtype: DType, count: usize) -> Routine {
    let (storage, ty) = match dtype {
        DType::F32 => (Storage::F32, Type::F32),
        _ => (Storage::F64, Type::F64),
    };
    let mut b = Builder::new();
    let x = b.input(storage);
    let y = b.float(ty, 1.0);
    let mut chains: Vec<Value> = (0..count).map(|chain| b.float(ty, chain as f64)).collect();
    for _ in 0..LENGTH / count {
        for chain in &mut chains {
            *chain = b.fma(*chain, x, y);
        }
    }
    let sum = chains.into_iter().reduce(|sum, chain| b.add(sum, chain)).expect("there are chains");
    b.output(sum, storage);
    b.finish()
}

/// Chains as the compiler of this crate vectorises them, where nothing else makes code: its products
/// and sums are not fused, and as many as FMAs have.
macro_rules! plain_loop {
    ($name:ident, $float:ty) => {
        fn $name(output: &mut [u8]) {
            const LANES: usize = 64 / size_of::<$float>();
            let x = std::hint::black_box(0.5);
            let mut total = 0.0;
            for _ in 0..N / LANES {
                let mut chains = [[0.0 as $float; LANES]; CHAINS[0]];
                for _ in 0..LENGTH / CHAINS[0] {
                    for chain in &mut chains {
                        chain.iter_mut().for_each(|a| *a = *a * x + 1.0);
                    }
                }
                total += chains.iter().flatten().sum::<$float>();
            }
            output[..size_of::<$float>()].copy_from_slice(&total.to_ne_bytes());
        }
    };
}

plain_loop!(loop_f32, f32);
plain_loop!(loop_f64, f64);
