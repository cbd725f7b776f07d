//! What is measured: a call with a name, and what it does.

use super::counts::Counts;
use super::error::ProfileError;
use super::flops::Flops;
use super::latency::Latency;
use super::race::Race;
use super::report::Profile;
use crate::run::{Kernel, RunError, Tensor, View, ViewMut};
use std::fmt;
use std::hint::black_box;

/// Calls something so many times.
type Calls<'a> = Box<dyn FnMut(u32) -> Result<(), RunError> + 'a>;

/// Something to be measured: a kernel with its inputs, or any code.
///
/// ```
/// use kiln::profile::Profiler;
/// use ndarray::Array1;
///
/// let kernel = kiln::compile_text("gelu_tanh(x)")?;
/// let x = Array1::<f32>::linspace(-6.0, 6.0, 4096);
/// let inputs = [(&x).into()];
/// let mut profiler = Profiler::new("gelu", &kernel, &inputs)?;
/// assert_eq!(profiler.count_flops().divisions, 0); // that of the sigmoid is within it
/// assert_eq!(profiler.count_flops().transcendentals, 4096);
/// assert_eq!(profiler.counts().bytes(), 2 * 4 * 4096);
/// let profile = profiler.profile(2, 10)?;
/// println!("{profile}");
/// assert!(profile.gflops() > 0.0 && profile.latency().minimum() > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Profiler<'a> {
    pub(super) name: String,
    pub(super) counts: Counts,
    pub(super) calls: Calls<'a>,
}

impl<'a> Profiler<'a> {
    /// Measures [`Kernel::run_into`] with these inputs, into arrays that are allocated here.
    ///
    /// Fails where the kernel does not run on them, without calling it.
    pub fn new(
        name: impl Into<String>,
        kernel: &'a Kernel,
        inputs: &'a [View<'a>],
    ) -> Result<Profiler<'a>, ProfileError> {
        let counts = Counts::of(kernel, inputs)?;
        let shapes = kernel.output_shapes(inputs)?;
        let output =
            |(index, shape): (usize, &Vec<usize>)| Tensor::zeros(kernel.output_dtype(index), shape);
        let mut outputs: Vec<Tensor> =
            shapes.iter().enumerate().map(output).collect::<Result<_, _>>()?;
        let calls = move |calls| {
            let mut views: Vec<ViewMut<'_>> = outputs.iter_mut().map(Tensor::view_mut).collect();
            (0..calls).try_for_each(|_| kernel.run_into(inputs, &mut views))
        };
        Ok(Profiler { name: name.into(), counts, calls: Box::new(calls) })
    }

    /// What one call does.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The operations of one call, by kind.
    pub fn count_flops(&self) -> &Flops {
        &self.counts.flops
    }

    /// Times `iterations` samples, after `warmup` more that do not count. Where a call takes less than
    /// what the clock can tell, a sample is the mean of many calls.
    ///
    /// Fails without iterations, and where a call fails.
    pub fn measure_latency(
        &mut self,
        warmup: usize,
        iterations: usize,
    ) -> Result<Latency, ProfileError> {
        Ok(self.profile(warmup, iterations)?.into_latency())
    }

    /// [`measure_latency`](Profiler::measure_latency), with the counts beside it.
    pub fn profile(&mut self, warmup: usize, iterations: usize) -> Result<Profile, ProfileError> {
        let mut race = Race::new();
        race.add(Profiler {
            name: self.name.clone(),
            counts: self.counts,
            calls: Box::new(&mut self.calls),
        });
        Ok(race.run(warmup, iterations)?.into_only())
    }
}

impl fmt::Debug for Profiler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Profiler");
        text.field("name", &self.name).field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// A profiler of any code, which does what `counts` says: [`Counts::default()`] where only time matters.
/// What `call` returns is dropped, and not optimised away.
///
/// An error that it returns is dropped too: use [`try_profile_fn`].
///
/// ```
/// use kiln::profile::{Counts, Flops, profile_fn};
/// use ndarray::Array2;
///
/// let (a, b) = (Array2::<f32>::ones((64, 64)), Array2::<f32>::ones((64, 64)));
/// let flops = Flops { products: 2 * 64 * 64 * 64, ..Flops::default() };
/// let counts = Counts { elements: 64 * 64, flops, ..Counts::default() };
/// let profile = profile_fn("ndarray", counts, || a.dot(&b)).profile(1, 5)?;
/// println!("{:.1} GFLOP/s", profile.gflops());
/// # Ok::<(), kiln::profile::ProfileError>(())
/// ```
pub fn profile_fn<'a, R>(
    name: impl Into<String>,
    counts: Counts,
    mut call: impl FnMut() -> R + 'a,
) -> Profiler<'a> {
    let calls = move |calls| {
        for _ in 0..calls {
            black_box(call());
        }
        Ok(())
    };
    Profiler { name: name.into(), counts, calls: Box::new(calls) }
}

/// [`profile_fn`] of calls that can fail, such as those of a [`Function`](crate::Function); the first
/// error ends the measurement.
///
/// ```
/// use kiln::profile::{Counts, try_profile_fn};
/// use ndarray::Array1;
///
/// let square = kiln::fuse!(|x| x * x)?;
/// let x = Array1::<f32>::ones(1000);
/// let mut y = Array1::<f32>::zeros(1000);
/// let counts = Counts::of(square.kernel(), &[(&x).into()])?;
/// let profile = try_profile_fn("square", counts, || square.call_into(&x, &mut y)).profile(1, 5)?;
/// assert_eq!(profile.counts().flops.total(), 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn try_profile_fn<'a, R>(
    name: impl Into<String>,
    counts: Counts,
    mut call: impl FnMut() -> Result<R, RunError> + 'a,
) -> Profiler<'a> {
    let calls =
        move |calls| (0..calls).try_for_each(|_| call().map(|result| drop(black_box(result))));
    Profiler { name: name.into(), counts, calls: Box::new(calls) }
}
