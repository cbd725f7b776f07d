//! What is known of a call: its memory, and what was measured.

use crate::error;
use kiln::profile::{ProfileError, Profiler, Resources};
use kiln::{Kernel, View};
use pyo3::prelude::*;

/// The bytes that a call takes beside its inputs and outputs.
#[pyclass(frozen, module = "kiln", get_all)]
pub(crate) struct Memory {
    /// What intermediates take at once.
    peak: usize,
    /// What they would take if no two shared a place.
    total: usize,
    /// What constants take that inputs are bound to. They are the kernel's, not the call's.
    bound: usize,
}

#[pymethods]
impl Memory {
    fn __repr__(&self) -> String {
        let Memory { peak, total, bound } = self;
        format!("Memory(peak={peak}, total={total}, bound={bound})")
    }
}

impl Memory {
    pub(crate) fn new(memory: &kiln::Memory) -> Memory {
        Memory { peak: memory.peak(), total: memory.total(), bound: memory.bound() }
    }
}

/// What was measured of a kernel's calls. `print` shows a report.
#[pyclass(frozen, module = "kiln", get_all)]
pub(crate) struct Profile {
    /// The median time of a call in seconds.
    median: f64,
    /// The least time of a call in seconds.
    minimum: f64,
    /// How far apart times lie, as a part of the median. From 0.1 on, something else was running.
    spread: f64,
    /// Floating-point operations of a call.
    flops: u64,
    /// Bytes that a call reads and writes.
    bytes: u64,
    /// 10^9 operations a second.
    gflops: f64,
    /// 10^9 bytes a second.
    gbytes: f64,
    report: String,
}

/// What this machine can do at most. `print` shows a table.
#[pyclass(frozen, module = "kiln", get_all)]
pub(crate) struct Roofline {
    /// How many threads it has.
    threads: usize,
    /// The most that all threads compute, in 10^9 operations of `f32` a second.
    gflops: f64,
    /// The most that all threads move from and to memory, in 10^9 bytes a second.
    gbytes: f64,
    report: String,
}

#[pymethods]
impl Roofline {
    fn __repr__(&self) -> &str {
        &self.report
    }
}

/// Measures what this machine can do at most: a few seconds, the first time.
#[pyfunction]
pub(crate) fn roofline(py: Python<'_>) -> PyResult<Roofline> {
    let measured = py.detach(kiln::profile::Roofline::measure).map_err(error::profile)?;
    let most = |figures: &mut dyn Iterator<Item = f64>| figures.fold(0.0, f64::max);
    let memory = measured.levels().last();
    Ok(Roofline {
        threads: measured.threads(),
        gflops: most(&mut measured.peaks().iter().map(|peak| peak.gflops)),
        gbytes: most(&mut memory.into_iter().flat_map(|it| &it.bandwidths).map(|it| it.gbytes)),
        report: measured.to_string(),
    })
}

/// Where calls of a kernel are under the roofs, in a sentence.
pub(crate) fn place(
    kernel: &Kernel,
    inputs: &[View<'_>],
    threads: Option<usize>,
) -> Result<String, ProfileError> {
    let measured = kiln::profile::Roofline::measure()?;
    let mut profiler = Profiler::new("it", kernel, inputs)?;
    let profile = profiler.profile(WARM_UP, SAMPLES)?;
    let threads = threads.unwrap_or(usize::MAX).min(measured.threads());
    Ok(measured.place(&profile, Resources::of(kernel, threads)).to_string())
}

/// Calls before those that are measured, and samples.
const WARM_UP: usize = 3;
const SAMPLES: usize = 20;

impl Profile {
    /// Measures calls of a kernel with these inputs.
    pub(crate) fn measure(kernel: &Kernel, inputs: &[View<'_>]) -> Result<Profile, ProfileError> {
        let name = kernel.graph().name();
        let mut profiler = Profiler::new(name, kernel, inputs)?;
        let profile = profiler.profile(WARM_UP, SAMPLES)?;
        let (latency, counts) = (profile.latency(), profile.counts());
        const NANOSECOND: f64 = 1e-9;
        Ok(Profile {
            median: latency.median() * NANOSECOND,
            minimum: latency.minimum() * NANOSECOND,
            spread: latency.spread(),
            flops: counts.flops.total(),
            bytes: counts.bytes(),
            gflops: profile.gflops(),
            gbytes: profile.gbytes(),
            report: profile.to_string(),
        })
    }
}

#[pymethods]
impl Profile {
    fn __repr__(&self) -> &str {
        &self.report
    }
}
