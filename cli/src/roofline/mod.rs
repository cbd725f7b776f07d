//! `kiln roofline`: what this machine can do at most, and where kernels are below it.

mod picture;
mod report;

use crate::bench::random;
use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::machine::{Machine, now};
use crate::options::{Arrays, Execution};
use crate::plot::File;
use crate::progress::Progress;
use crate::shapes::shapes_over;
use clap::Args;
use kiln::profile::{Counts, NOISY, Profiler, Race, Resources, Roofline};
use kiln::{Graph, Kernel, Tensor, View, compile_with};
use report::Report;
use std::path::PathBuf;
use std::time::Duration;

/// Measure what this machine can do at most, and how near to it kernels come
#[derive(Args)]
#[command(after_help = "\
A roof is the processor's peak, or the bandwidth of the cache or the memory that a kernel's arrays
fit into: whichever takes longer. It is the best of several ways to compute, or to move bytes, over
many rounds; what a kernel reaches is its median. It takes some seconds, on a busy machine more.
Without KERNEL: a sum, a product and tanh-GELU of 16 Mi elements, and a product of matrices.

Examples
  kiln roofline
  kiln roofline @mish --shape 4Mi --threads 1
  kiln roofline 'relu(x @ w + b)' --shape x=64x1024,w=1024x1024,b=1024
  kiln roofline --plot roofline.svg")]
pub(crate) struct Options {
    /// Files ending in .kiln, expressions, or @name for an op
    #[arg(value_name = "KERNEL")]
    kernels: Vec<String>,
    #[command(flatten)]
    arrays: Arrays,
    #[command(flatten)]
    execution: Execution,
    /// Draw kernels under their roofs, to a file ending in .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Elements of an array where no kernel is named: more than caches hold.
const N: usize = 16 << 20;

/// What is measured where no kernel is named: name and text, `T` being the element type.
const USUAL: [(&str, &str); 4] = [
    ("add", "kernel add(x: T[n], y: T[n]) { x + y }"),
    ("multiply", "kernel multiply(x: T[n], y: T[n]) { x * y }"),
    ("gelu_tanh", "kernel gelu_tanh(x: T[n]) { gelu_tanh(x) }"),
    ("matmul 1024", "kernel matmul(a: T[1024, 1024], b: T[1024, 1024]) { a @ b }"),
];

/// A kernel to be measured.
struct Named {
    name: String,
    graph: Graph,
    /// Of its inputs.
    shapes: Vec<Vec<usize>>,
}

/// A kernel, compiled, with arrays for it.
struct Subject {
    name: String,
    kernel: Kernel,
    arrays: Vec<Tensor>,
}

impl Options {
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        let plot = self.plot.as_deref().map(File::find).transpose()?;
        let kernels = self.kernels(console)?;
        let report = self.execution.in_pool(|| self.measure(&kernels, console))?;
        console.print(&if self.json { report.json() } else { report.table() })?;
        if let Some(plot) = plot {
            plot.write(&report.picture(command()).chart().picture())?;
        }
        Ok(())
    }

    fn kernels(&self, console: &Console) -> Result<Vec<Named>, Failure> {
        if self.kernels.is_empty() && !self.arrays.shape.is_empty() {
            return Err(Failure::Usage("--shape is of kernels: name one".into()));
        }
        let usual = |(name, text): (&str, &str)| {
            let text = text.replace('T', self.arrays.dtype.name());
            (name.to_string(), text)
        };
        let named: Vec<(String, String)> = match &self.kernels[..] {
            [] => USUAL.map(usual).to_vec(),
            kernels => kernels.iter().map(|text| (text.clone(), text.clone())).collect(),
        };
        let kernel = |(name, text): (String, String)| {
            let graph = Text::find(&text)?.graph_of(self.arrays.dtype, console)?;
            if graph.inputs().is_empty() {
                return Err(Failure::Usage(format!(
                    "{name} has no inputs: it computes a number once, and there is nothing to measure"
                )));
            }
            let sizes = match &self.kernels[..] {
                [] => self.arrays.sizes_or(&graph, N),
                _ => self.arrays.sizes(&graph),
            };
            let shapes = shapes_over(&graph, &sizes)?;
            Ok(Named { name: name.trim_start_matches('@').to_string(), graph, shapes })
        };
        named.into_iter().map(kernel).collect()
    }

    fn measure(&self, kernels: &[Named], console: &Console) -> Result<Report, Failure> {
        let mut subjects = Vec::new();
        for Named { name, graph, shapes } in kernels {
            let kernel = compile_with(graph, self.execution.options(true))?;
            // Whether sizes make sense is known before there are arrays.
            Counts::at(&kernel, shapes)?;
            let seeded = graph.inputs().iter().zip(shapes).zip(1..);
            let array = |((input, shape), seed): ((&kiln::ir::Input, &Vec<usize>), u64)| {
                random(input.dtype, shape, seed)
            };
            let arrays = seeded.map(array).collect::<Result<_, _>>()?;
            subjects.push(Subject { name: name.clone(), kernel, arrays });
        }
        let progress = Progress::of_one(console);
        progress.at("measuring the machine");
        let roofline = Roofline::measure()?;
        progress.at("measuring kernels");
        let threads = rayon::current_num_threads();
        let views: Vec<Vec<View<'_>>> =
            subjects.iter().map(|it| it.arrays.iter().map(Tensor::view).collect()).collect();
        let mut race = Race::new();
        for (Subject { name, kernel, .. }, views) in subjects.iter().zip(&views) {
            race.add(Profiler::new(name.clone(), kernel, views)?);
        }
        let profiles = race.run_for(Duration::from_millis(500 * subjects.len() as u64))?;
        let noisy = profiles.noise() >= NOISY;
        if noisy {
            console.note("the machine is busy with something else; measure again when it is not");
        }
        let placed = subjects.iter().zip(&profiles).map(|(subject, profile)| {
            roofline.place(profile, Resources::of(&subject.kernel, threads))
        });
        Ok(Report {
            machine: Machine::host(),
            date: now(),
            threads,
            noisy,
            roofline,
            placed: placed.collect(),
        })
    }
}

/// The command that this is, for the picture's small print.
fn command() -> String {
    let quoted = |word: String| match word.contains([' ', '*', '|', '(']) {
        true => format!("'{word}'"),
        false => word,
    };
    let words: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    format!("kiln {}", words.join(" "))
}
