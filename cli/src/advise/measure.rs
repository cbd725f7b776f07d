//! Everything that is tried, in one race, and how far each result is from the default's.

use super::Subject;
use super::technique::Trial;
use crate::bench::{Difference, outputs, random};
use crate::failure::Failure;
use kiln::profile::{Counts, Profile, Profiles, Race, try_profile_fn};
use kiln::{DType, Kernel, RunError, Tensor, View, ViewMut, compile_text};
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};
use serde::Serialize;
use std::cell::RefCell;
use std::time::Duration;

/// What was measured.
pub(super) struct Measured {
    /// Of the default, then of each trial, in order.
    pub(super) profiles: Profiles,
    /// Of each trial.
    pub(super) outcomes: Vec<Outcome>,
}

/// What a trial came to.
pub(super) struct Outcome {
    pub(super) profile: Profile,
    /// Nanoseconds for each call; several may be made at once.
    pub(super) nanoseconds: f64,
    /// How many times as long the default takes, and by how much that may be off.
    pub(super) speed_up: f64,
    pub(super) spread: f64,
    /// How many times as much memory the default takes.
    pub(super) memory_ratio: f64,
    /// `None` where all results are the default's, bit by bit.
    pub(super) error: Option<Error>,
}

/// How far results are from those of the default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Error {
    /// In representable numbers of the output where that is most.
    pub(super) max_ulp: u64,
    /// The largest difference over the largest magnitude of the default's output; infinite where one is
    /// a number and the other is none.
    pub(super) max_relative: f64,
}

/// Arrays of one storage type. What is stored alike writes to the same memory, so that where it lies
/// makes no difference.
struct Arrays {
    stored: Option<DType>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// Races all trials and the default for about so long.
pub(super) fn measure(
    subject: &Subject,
    trials: &[&Trial],
    budget: Duration,
) -> Result<Measured, Failure> {
    let default = &subject.default.kernel;
    let mut arrays = vec![Arrays::new(None, default, &subject.shapes)?];
    for trial in trials {
        if arrays.iter().all(|arrays| arrays.stored != trial.stored) {
            arrays.push(Arrays::new(trial.stored, &trial.compiled.kernel, &subject.shapes)?);
        }
    }
    let mut sets = Vec::new();
    for Arrays { stored, inputs, outputs } in &mut arrays {
        let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
        let targets: Vec<ViewMut<'_>> = outputs.iter_mut().map(Tensor::view_mut).collect();
        sets.push((*stored, views, RefCell::new(targets)));
    }
    let set_of = |stored| sets.iter().find(|set| set.0 == stored).expect("there is one for each");

    let mut race = Race::new();
    let (_, views, targets) = set_of(None);
    if default.output_shapes(views)?.iter().all(|shape| shape.contains(&0)) {
        return Err(Failure::Usage("the kernel's outputs have no element".into()));
    }
    race.add(try_profile_fn("default", Counts::of(default, views)?, || {
        default.run_into(views, &mut targets.borrow_mut())
    }));
    for trial in trials {
        let kernel = &trial.compiled.kernel;
        let (_, views, targets) = set_of(trial.stored);
        let counts = Counts::of(kernel, views)?;
        race.add(match trial.at_once {
            1 => try_profile_fn(&trial.label, counts, || {
                kernel.run_into(views, &mut targets.borrow_mut())
            }),
            count => try_profile_fn(&trial.label, counts, at_once(count, kernel, views)?),
        });
    }
    let profiles = race.run_for(budget)?;

    let default_results = default.run(&sets[0].1)?;
    let mut outcomes = Vec::new();
    for (index, trial) in (1..).zip(trials) {
        let results = trial.compiled.kernel.run(&set_of(trial.stored).1)?;
        let [profile, first] = [index, 0].map(|index: usize| profiles[index].clone());
        let calls = trial.at_once as f64;
        let memory = profile.counts().memory.saturating_mul(trial.at_once as u64);
        outcomes.push(Outcome {
            nanoseconds: profile.latency().median() / calls,
            speed_up: profiles.ratio(0, index) * calls,
            spread: profile.latency().spread().max(first.latency().spread()),
            memory_ratio: first.counts().memory as f64 / memory as f64,
            error: error(&results, &default_results)?,
            profile,
        });
    }
    Ok(Measured { profiles, outcomes })
}

impl Arrays {
    /// The same pseudo-random numbers whatever they are stored as, but for rounding.
    fn new(
        stored: Option<DType>,
        kernel: &Kernel,
        shapes: &[Vec<usize>],
    ) -> Result<Arrays, Failure> {
        let seeded = kernel.inputs().iter().zip(shapes).zip(1..);
        let inputs: Vec<Tensor> = seeded
            .map(|((input, shape), seed)| random(input.dtype, shape, seed))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
        let outputs = outputs(kernel, &kernel.output_shapes(&views)?)?;
        Ok(Arrays { stored, inputs, outputs })
    }
}

/// So many calls at once, each with outputs of its own.
fn at_once<'a>(
    count: usize,
    kernel: &'a Kernel,
    views: &'a [View<'a>],
) -> Result<impl FnMut() -> Result<(), RunError> + 'a, Failure> {
    let shapes = kernel.output_shapes(views)?;
    let targets = (0..count).map(|_| outputs(kernel, &shapes));
    let mut targets: Vec<Vec<Tensor>> = targets.collect::<Result<_, _>>()?;
    Ok(move || {
        targets.par_iter_mut().try_for_each(|targets| {
            let mut targets: Vec<ViewMut<'_>> = targets.iter_mut().map(Tensor::view_mut).collect();
            kernel.run_into(views, &mut targets)
        })
    })
}

/// The largest difference of all outputs, which may be stored as narrower types than the default's.
fn error(results: &[Tensor], default: &[Tensor]) -> Result<Option<Error>, Failure> {
    let mut largest = Error { max_ulp: 0, max_relative: 0.0 };
    for (result, default) in results.iter().zip(default) {
        let rounded = converted(default, result.dtype())?;
        let [result_list, rounded] = [result, &rounded].map(std::slice::from_ref);
        largest.max_ulp = largest.max_ulp.max(Difference::of(result_list, rounded).ulp);
        let [result, default] = [converted(result, DType::F64)?, converted(default, DType::F64)?];
        let difference = Difference::of(&[result], std::slice::from_ref(&default));
        let magnitudes = default.into_f64()?.into_iter().map(f64::abs);
        let scale = magnitudes.filter(|magnitude| magnitude.is_finite()).fold(0.0, f64::max);
        if difference.abs > 0.0 {
            largest.max_relative = largest.max_relative.max(difference.abs / scale);
        }
    }
    Ok((largest.max_relative > 0.0).then_some(largest))
}

/// An array in another type.
fn converted(tensor: &Tensor, dtype: DType) -> Result<Tensor, Failure> {
    let convert = compile_text(&format!("|x: {}[..]| {dtype}(x)", tensor.dtype()))?;
    Ok(convert.run(&[tensor.view()])?.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::{Error, error};
    use kiln::Tensor;
    use ndarray::array;

    /// What `text` makes of an array.
    fn of(text: &str, x: &Tensor) -> Tensor {
        let kernel = kiln::compile_text(text).unwrap();
        kernel.run(&[x.view()]).unwrap().swap_remove(0)
    }

    #[test]
    fn errors_are_relative_to_the_largest_magnitude() {
        let x = Tensor::from(array![1.0f32, 1.0 + 1.0 / 256.0, -4.0]);
        assert_eq!(error(std::slice::from_ref(&x), std::slice::from_ref(&x)).unwrap(), None);
        // Halfway between two neighbours in bf16, rounded to even: to the one below.
        let narrow = of("|x: f32[n]| bf16(x)", &x);
        let expected = Error { max_ulp: 0, max_relative: 1.0 / 256.0 / 4.0 };
        assert_eq!(error(&[narrow], std::slice::from_ref(&x)).unwrap(), Some(expected));
        let next = of("|x: f32[n]| bf16(x) + 1.0 / 128.0 * (x == 1)", &x);
        let next = of("|x: f32[n]| bf16(x)", &next);
        let expected = Error { max_ulp: 1, max_relative: 1.0 / 128.0 / 4.0 };
        assert_eq!(error(&[next], std::slice::from_ref(&x)).unwrap(), Some(expected));
        let root = of("|x: f32[n]| sqrt(x)", &x);
        let error = error(&[root], &[x]).unwrap().unwrap();
        assert_eq!((error.max_ulp, error.max_relative), (u64::MAX, f64::INFINITY));
    }
}
