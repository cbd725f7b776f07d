//! One kernel fused, unfused, and beside a copy.

use super::case::Case;
use super::data::{Copy, outputs, random};
use super::difference::Difference;
use super::race::Race;
use super::record::{Input, Record, VERSION};
use crate::failure::Failure;
use crate::machine::{Machine, now};
use crate::options::Execution;
use kiln::{Tensor, View, compile_with};
use std::time::{Duration, Instant};

/// Races them for about so long.
pub(super) fn measure(
    suite: Option<&str>,
    case: &Case,
    execution: &Execution,
    budget: Duration,
) -> Result<Record, Failure> {
    let Case { kernel, text, graph, size, shapes } = case;
    let seeded = graph.inputs().iter().zip(shapes).zip(1..);
    let arrays: Vec<Tensor> = seeded
        .map(|((input, shape), seed)| random(input.dtype, shape, seed))
        .collect::<Result<_, _>>()?;
    let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();

    // The first compilation finds cold caches and untouched pages.
    compile_with(graph, execution.options(true))?;
    let start = Instant::now();
    let fused = compile_with(graph, execution.options(true))?;
    let compile = start.elapsed();
    let unfused = compile_with(graph, execution.options(false))?;

    let output_shapes = fused.output_shapes(&views)?;
    let n = output_shapes.iter().map(|shape| shape.iter().product()).max().unwrap_or(0);
    if n == 0 {
        return Err(Failure::Usage("the kernel's outputs have no element".into()));
    }
    let plans = [fused.plan_for(&views)?, unfused.plan_for(&views)?];
    let [traffic_fused, traffic_unfused] = plans.each_ref().map(|plan| plan.traffic());
    let mut fused_outputs = outputs(&fused, &output_shapes)?;
    let mut unfused_outputs = outputs(&unfused, &output_shapes)?;
    let threads = rayon::current_num_threads();
    let mut copy = Copy::new(traffic_fused.bytes(), threads)?;
    let times = {
        let mut fused_views: Vec<_> = fused_outputs.iter_mut().map(Tensor::view_mut).collect();
        let mut unfused_views: Vec<_> = unfused_outputs.iter_mut().map(Tensor::view_mut).collect();
        let mut race = Race::default();
        race.add(|| fused.run_into(&views, &mut fused_views));
        race.add(|| unfused.run_into(&views, &mut unfused_views));
        race.add(|| {
            copy.run();
            Ok(())
        });
        race.run(budget)?
    };
    let per_element = |candidate| times.median(candidate) / n as f64;
    let difference = Difference::of(&fused_outputs, &unfused_outputs);
    let (emitter, width) = fused.emitter().unzip();
    let input = |(input, shape): (&kiln::ir::Input, &Vec<usize>)| Input {
        name: input.name.to_string(),
        dtype: input.dtype.to_string(),
        shape: shape.clone(),
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
        rounds: times.rounds(),
        fused_ns_per_element: per_element(0),
        unfused_ns_per_element: per_element(1),
        copy_ns_per_element: per_element(2),
        fused_spread: times.spread(0),
        unfused_spread: times.spread(1),
        copy_spread: times.spread(2),
        copy: "memcpy".into(),
        unfused_over_fused: times.ratio(1, 0),
        kernels_fused: plans[0].steps().len(),
        kernels_unfused: plans[1].steps().len(),
        bytes_fused: traffic_fused.bytes() as u64,
        bytes_unfused: traffic_unfused.bytes() as u64,
        ops_fused: traffic_fused.ops as u64,
        ops_unfused: traffic_unfused.ops as u64,
        flops: traffic_fused.ops as u64,
        peak_gflops: None,
        max_abs_diff: difference.abs,
        max_ulp_diff: difference.ulp,
        max_ulp_at: difference.most,
        compile_ms: compile.as_secs_f64() * 1e3,
        compared: None,
    })
}
