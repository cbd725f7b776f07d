//! `kiln bench`: fused against unfused against a plain copy, interleaved in one run.

mod comparison;
mod data;
mod difference;
mod machine;
mod race;
mod report;
mod sweep;

pub(crate) use data::random;

use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::options::{Execution, dtypes};
use crate::progress::Progress;
use clap::Args;
use comparison::Comparison;
use data::{Copy, outputs};
use difference::Difference;
use kiln::ir::{Dim, Input};
use kiln::{DType, Graph, Tensor, View, compile_with};
use race::Race;
use std::time::{Duration, Instant};

/// Measure a kernel: fused, unfused, and a plain copy of the same bytes
#[derive(Args)]
#[command(after_help = "\
The three take turns in one run; a figure is the median over all rounds (about two seconds).
Inputs are pseudo-random, the same in every run. The copy reads and writes, in all, as many bytes
as the fused kernel does.

Examples
  kiln bench @gelu_tanh --shape n=4194304 --threads 1
  kiln bench bias_gelu.kiln --shape n=1024,d=4096 --json
  kiln bench --suite --shape n=262144 --threads 1
  kiln bench --sweep --quick @silu @mish --emitter avx2")]
pub(crate) struct Bench {
    /// Files ending in .kiln, expressions, or @name for an op
    #[arg(
        value_name = "KERNEL",
        required_unless_present_any = ["suite", "sweep", "report"],
        conflicts_with_all = ["suite", "report"]
    )]
    kernels: Vec<String>,
    /// Measure every derived op instead: one table, in about a minute
    #[arg(long)]
    suite: bool,
    /// Look for a size from 1 to 2^26 at which fused is slower than unfused, or two threads are
    /// slower than one: of each KERNEL, or of every derived op
    #[arg(long, conflicts_with_all = ["suite", "report", "shape", "threads", "json"])]
    sweep: bool,
    /// With --sweep, the largest number of elements
    #[arg(long, value_name = "SIZE", requires = "sweep")]
    up_to: Option<usize>,
    /// Print the measured figures of the guide
    #[arg(
        long,
        conflicts_with_all = ["suite", "shape", "dtype", "mode", "emitter", "threads", "json"]
    )]
    report: bool,
    /// Take less care: --sweep goes up to 2^22 in about a minute; --report, whose figures then mean
    /// nothing, shows its form in a few seconds
    #[arg(long)]
    quick: bool,
    /// The size of each axis; an input without a declared shape has all of them, in this order
    #[arg(
        long,
        value_name = "NAME=SIZE",
        default_value = "n=4194304",
        value_delimiter = ',',
        value_parser = axis
    )]
    shape: Vec<Axis>,
    /// The element type of inputs that KERNEL does not type
    #[arg(long, default_value = "f32", value_parser = dtypes())]
    dtype: DType,
    #[command(flatten)]
    execution: Execution,
    /// Print one JSON object for each kernel
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
struct Axis {
    name: String,
    size: usize,
}

fn axis(text: &str) -> Result<Axis, String> {
    let (name, size) = text.split_once('=').unwrap_or_default();
    match size.trim().parse() {
        Ok(size) if size > 0 && !name.trim().is_empty() => {
            Ok(Axis { name: name.trim().into(), size })
        }
        _ => Err("write NAME=SIZE with a size of at least 1, such as n=4096,d=128".into()),
    }
}

impl Bench {
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        if self.report {
            return report::report(self.quick, console);
        }
        if self.sweep {
            return sweep::sweep(self, console);
        }
        let kernels = self.kernels();
        let progress = Progress::of_steps(console, kernels.len() as u64);
        for (index, kernel) in kernels.iter().enumerate() {
            progress.at(kernel);
            let comparison = self.compare(kernel, console)?;
            let text = match (self.json, self.suite, index) {
                (true, ..) => comparison.json(),
                (_, true, 0) => comparison.suite_head() + &comparison.suite_row(),
                (_, true, _) => comparison.suite_row(),
                (_, _, 0) => comparison.table(),
                _ => format!("\n{}", comparison.table()),
            };
            progress.pause(|| console.print(&text))?;
            progress.step();
        }
        Ok(())
    }

    /// What is measured: the kernels that were named, or all derived ops.
    fn kernels(&self) -> Vec<String> {
        if !self.kernels.is_empty() {
            return self.kernels.clone();
        }
        kiln::derived::DERIVED.iter().map(|op| format!("@{}", op.name)).collect()
    }

    fn graph(&self, kernel: &str, console: &Console) -> Result<Graph, Failure> {
        Text::find(kernel)?.graph_of(self.dtype, console)
    }

    fn compare(&self, kernel: &str, console: &Console) -> Result<Comparison, Failure> {
        let graph = self.graph(kernel, console)?;
        check_axes(&graph, &self.shape)?;
        let shapes = shapes(&graph, &self.shape)?;
        self.execution.in_pool(|| self.measure(&graph, &shapes))
    }

    fn measure(&self, graph: &Graph, shapes: &[Vec<usize>]) -> Result<Comparison, Failure> {
        let seeded = graph.inputs().iter().zip(shapes).zip(1..);
        let arrays: Vec<Tensor> = seeded
            .map(|((input, shape), seed)| random(input.dtype, shape, seed))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();

        // The first compilation finds cold caches and untouched pages.
        compile_with(graph, self.execution.options(true))?;
        let start = Instant::now();
        let fused = compile_with(graph, self.execution.options(true))?;
        let compile = start.elapsed();
        let unfused = compile_with(graph, self.execution.options(false))?;

        let output_shapes = fused.output_shapes(&views)?;
        let n = output_shapes.iter().map(|shape| shape.iter().product()).max().unwrap_or(0);
        if n == 0 {
            return Err(Failure::Usage("the kernel's outputs have no element".into()));
        }
        let plans = [fused.plan_for(&views)?, unfused.plan_for(&views)?];
        let bytes = plans.each_ref().map(|plan| plan.traffic().bytes());
        let ops = plans.each_ref().map(|plan| plan.traffic().ops);
        let mut fused_outputs = outputs(&fused, &output_shapes)?;
        let mut unfused_outputs = outputs(&unfused, &output_shapes)?;
        let threads = rayon::current_num_threads();
        let mut copy = Copy::new(bytes[0], threads)?;

        let times = {
            let mut fused_views: Vec<_> = fused_outputs.iter_mut().map(Tensor::view_mut).collect();
            let mut unfused_views: Vec<_> =
                unfused_outputs.iter_mut().map(Tensor::view_mut).collect();
            let mut race = Race::default();
            race.add(|| fused.run_into(&views, &mut fused_views));
            race.add(|| unfused.run_into(&views, &mut unfused_views));
            race.add(|| {
                copy.run();
                Ok(())
            });
            race.run(Duration::from_secs(2))?
        };
        Ok(Comparison {
            name: graph.name().to_string(),
            inputs: graph.inputs().iter().map(Input::to_string).collect(),
            shape: output_shapes[0].clone(),
            n,
            mode: self.execution.mode.to_string(),
            emitter: fused.emitter().map(|(emitter, bits)| (emitter.to_string(), bits)),
            threads,
            kernels: plans.each_ref().map(|plan| plan.steps().len()),
            bytes,
            ops,
            times: [0, 1, 2].map(|candidate| times.median(candidate)),
            rounds: times.rounds(),
            difference: Difference::of(&fused_outputs, &unfused_outputs),
            compile,
        })
    }
}

/// The shape of each input.
fn shapes(graph: &Graph, axes: &[Axis]) -> Result<Vec<Vec<usize>>, Failure> {
    graph.inputs().iter().map(|input| shape_of(input, axes)).collect()
}

/// Checks that each axis is named once, and meant for some input.
fn check_axes(graph: &Graph, axes: &[Axis]) -> Result<(), Failure> {
    let any_shape = graph.inputs().iter().any(|input| input.dims.is_none());
    let dims: Vec<&Dim> = graph.inputs().iter().flat_map(|i| i.dims.iter().flatten()).collect();
    let has = |name: &str| dims.iter().any(|dim| matches!(dim, Dim::Symbol(s) if **s == *name));
    for (index, Axis { name, .. }) in axes.iter().enumerate() {
        if axes[..index].iter().any(|other| other.name == *name) {
            return Err(Failure::Usage(format!("--shape gives axis {name} twice")));
        }
        if !any_shape && !has(name) {
            let inputs: Vec<String> = graph.inputs().iter().map(Input::to_string).collect();
            let takes = if inputs.is_empty() { "no input".into() } else { inputs.join(", ") };
            return Err(Failure::Usage(format!(
                "no input has an axis {name}; the kernel takes {takes}"
            )));
        }
    }
    Ok(())
}

fn shape_of(input: &Input, axes: &[Axis]) -> Result<Vec<usize>, Failure> {
    let Some(dims) = &input.dims else {
        return Ok(axes.iter().map(|axis| axis.size).collect());
    };
    let size = |dim: &Dim| match dim {
        Dim::Size(size) => Ok(*size),
        Dim::Symbol(name) => {
            let axis = axes.iter().find(|axis| axis.name[..] == **name);
            axis.map(|axis| axis.size).ok_or_else(|| {
                Failure::Usage(format!(
                    "no size for axis {name} of input {input}: give --shape {name}=SIZE"
                ))
            })
        }
    };
    dims.iter().map(size).collect()
}
