//! One kernel fused, unfused, and beside a copy.

use super::case::Case;
use super::data::{Copy, WAYS, outputs, random};
use super::difference::Difference;
use super::record::{Input, Reached, Record, VERSION};
use crate::failure::Failure;
use crate::machine::{Machine, now};
use crate::options::Execution;
use kiln::profile::{
    Counts, Profile, Profiles, Race, Resources, Roof, Roofline, profile_fn, try_profile_fn,
};
use kiln::{Kernel, Tensor, View, compile_with};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Entrants of the race; ways of copying follow.
const FUSED: usize = 0;
const UNFUSED: usize = 1;

/// Races them for about so long.
pub(super) fn measure(
    suite: Option<&str>,
    case: &Case,
    execution: &Execution,
    budget: Duration,
    roofline: Option<&Roofline>,
) -> Result<Record, Failure> {
    let Case { kernel, text, graph, size, shapes, bound } = case;
    let is_bound = |input: &kiln::ir::Input| bound.iter().any(|bound| *bound == *input.name);
    let seeded = graph.inputs().iter().zip(shapes).zip(1..);
    let arrays: Vec<Tensor> = seeded
        .map(|((input, shape), seed)| random(input.dtype, shape, seed))
        .collect::<Result<_, _>>()?;
    let (constants, given): (Vec<_>, Vec<_>) =
        graph.inputs().iter().zip(&arrays).partition(|(input, _)| is_bound(input));
    let views: Vec<View<'_>> = given.iter().map(|(_, array)| array.view()).collect();
    let bind = |kernel: Kernel| {
        constants.iter().try_fold(kernel, |kernel, (input, array)| {
            kernel.bind_constant(&input.name, array.view())
        })
    };

    // The first compilation finds cold caches and untouched pages.
    compile_with(graph, execution.options(true))?;
    let start = Instant::now();
    let fused = compile_with(graph, execution.options(true))?;
    let compile = start.elapsed();
    let fused = bind(fused)?;
    let unfused = bind(compile_with(graph, execution.options(false))?)?;

    let output_shapes = fused.output_shapes(&views)?;
    let counts = Counts::of(&fused, &views)?;
    let n = counts.elements as usize;
    if output_shapes.iter().all(|shape| shape.contains(&0)) {
        return Err(Failure::Usage("the kernel's outputs have no element".into()));
    }
    let plans = [fused.plan_for(&views)?, unfused.plan_for(&views)?];
    let [traffic_fused, traffic_unfused] = plans.each_ref().map(|plan| plan.traffic());
    let mut fused_outputs = outputs(&fused, &output_shapes)?;
    let threads = rayon::current_num_threads();
    let copy = RefCell::new(Copy::new(traffic_fused.bytes(), threads)?);
    let profiles = {
        // Both write to the same memory: where it lies makes no difference between them.
        let targets = fused_outputs.iter_mut().map(Tensor::view_mut).collect::<Vec<_>>();
        let targets = RefCell::new(targets);
        let mut race = Race::new();
        for (name, kernel) in [("fused", &fused), ("unfused", &unfused)] {
            let call = || kernel.run_into(&views, &mut targets.borrow_mut());
            race.add(try_profile_fn(name, counts, call));
        }
        for (name, way) in WAYS {
            let copy = &copy;
            race.add(profile_fn(name, counts, move || copy.borrow_mut().run(way)));
        }
        race.run_for(budget)?
    };
    let mut unfused_outputs = outputs(&unfused, &output_shapes)?;
    for (kernel, outputs) in [(&fused, &mut fused_outputs), (&unfused, &mut unfused_outputs)] {
        kernel
            .run_into(&views, &mut outputs.iter_mut().map(Tensor::view_mut).collect::<Vec<_>>())?;
    }
    let copied = (UNFUSED + 1..)
        .take(WAYS.len())
        .min_by(|&a, &b| median(&profiles, a).total_cmp(&median(&profiles, b)))
        .expect("there are ways of copying");
    let per_element = |entrant| median(&profiles, entrant) / n as f64;
    let spread = |entrant: usize| profiles[entrant].latency().spread();
    let resources = Resources::of(&fused, threads);
    let reached = roofline.map(|roofline| Reached::of(roofline, &profiles[FUSED], resources));
    let difference = Difference::of(&fused_outputs, &unfused_outputs);
    let (emitter, width) = fused.emitter().unzip();
    let input = |(input, shape): (&kiln::ir::Input, &Vec<usize>)| Input {
        name: input.name.to_string(),
        dtype: input.dtype.to_string(),
        shape: shape.clone(),
        bound: is_bound(input),
    };
    Ok(Record {
        command: "bench".into(),
        version: VERSION,
        date: now(),
        machine: Machine::host(),
        suite: suite.map(String::from),
        size: *size,
        kernel: kernel.clone(),
        text: text.clone(),
        inputs: graph.inputs().iter().zip(shapes).map(input).collect(),
        n,
        shape: output_shapes[0].clone(),
        mode: execution.mode.to_string(),
        emitter: emitter.map(|emitter| emitter.to_string()),
        width,
        threads,
        rounds: profiles.rounds(),
        fused_ns_per_element: per_element(FUSED),
        unfused_ns_per_element: per_element(UNFUSED),
        copy_ns_per_element: per_element(copied),
        fused_spread: spread(FUSED),
        unfused_spread: spread(UNFUSED),
        copy_spread: spread(copied),
        copied_by: profiles[copied].name().into(),
        unfused_over_fused: profiles.ratio(UNFUSED, FUSED),
        kernels_fused: plans[0].steps().len(),
        kernels_unfused: plans[1].steps().len(),
        bytes_fused: traffic_fused.bytes() as u64,
        bytes_unfused: traffic_unfused.bytes() as u64,
        ops_fused: traffic_fused.ops as u64,
        ops_unfused: traffic_unfused.ops as u64,
        flops: counts.flops.total(),
        roof: reached,
        peak_gflops: roofline
            .and_then(|roofline| roofline.peak_of(Resources { bits: u32::MAX, ..resources })),
        max_abs_diff: difference.abs,
        max_ulp_diff: difference.ulp,
        max_ulp_at: difference.most,
        compile_ms: compile.as_secs_f64() * 1e3,
        compared: None,
    })
}

/// The median time of a call.
fn median(profiles: &Profiles, entrant: usize) -> f64 {
    profiles[entrant].latency().median()
}

impl Reached {
    fn of(roofline: &Roofline, profile: &Profile, resources: Resources) -> Reached {
        let placed = roofline.place(profile, resources);
        match placed.roof {
            Roof::Bandwidth { level, access, gbytes } => {
                let mut levels = roofline.levels().iter();
                let measured = levels.find(|measured| measured.name == level);
                let fitting =
                    measured.into_iter().flat_map(|level| &level.bandwidths).filter(|bandwidth| {
                        bandwidth.access == access && bandwidth.threads <= resources.threads
                    });
                let best = fitting.max_by(|a, b| a.gbytes.total_cmp(&b.gbytes));
                let way = best.map_or(String::new(), |best| format!(" by {}", best.way));
                Reached {
                    part: placed.part,
                    of: level,
                    by: format!("{}{way}", access.name()),
                    giga: gbytes,
                }
            }
            Roof::Compute { bits, gflops } => Reached {
                part: placed.part,
                of: "peak".into(),
                by: format!("{bits}-bit FMAs"),
                giga: gflops,
            },
            // Whatever else may bind is not known here.
            roof => Reached {
                part: placed.part,
                of: format!("{roof:?}"),
                by: String::new(),
                giga: placed.gbytes,
            },
        }
    }
}
