//! `kiln bench`: fused against unfused against a plain copy, interleaved in one run.

mod case;
mod choice;
mod compare;
mod data;
mod detail;
mod difference;
mod measure;
mod plot;
mod record;
mod slowest;
mod sweep;
mod tables;

pub(crate) use data::{outputs, random};
pub(crate) use difference::Difference;

use crate::console::Console;
use crate::failure::Failure;
use crate::options::{Arrays, Execution};
use crate::plot::File;
use crate::progress::Progress;
use crate::sizes::{Sizes, size, sizes};
use crate::suites::{SUITES, Shows, Suite};
use case::Group;
use choice::Choice;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use kiln::profile::{NOISY, Roofline};
use record::Record;
use std::path::PathBuf;
use std::time::Duration;

/// Measure kernels: fused, unfused, and a plain copy of the same bytes
#[derive(Args)]
#[command(after_help = "\
The three take turns in one run; a figure is the median over all rounds (about two seconds, in a
suite or with --sizes a part of one). Half of the rounds lie within the spread. Inputs are
pseudo-random, the same in every run. The copy reads and writes, in all, as many bytes as the fused
kernel does, by the fastest of several ways.

Exit status: 0 also if kernels are slower than in the file that --compare names, unless
--fail-above says from which ratio on that is a failure, 1.

Examples
  kiln bench @gelu_tanh --shape n=4Mi --threads 1
  kiln bench bias_gelu.kiln --shape n=1024,d=4096 --json
  kiln bench 'x @ w' --shape x=64x1024,w=1024x256
  kiln bench 'relu(x @ w + b)' --shape x=8x4096,w=4096x4096,b=4096 --bind
  kiln bench --suite layers --bind
  kiln bench @silu @mish --sizes 1Ki..16Mi --plot silu.svg
  kiln bench --suite elementwise --threads 1 --markdown
  kiln bench --suite rows --roofs
  kiln bench --suite axes --only softmax --part 1/4 --threads 1
  kiln bench --suite matmul --plot matmul.png
  kiln bench --suite all --json > old.json
  kiln bench --suite all --compare old.json --fail-above 1.05
  kiln bench --load new.json --compare old.json
  kiln bench --sweep --quick @silu @mish --emitter avx2")]
pub(crate) struct Bench {
    /// Files ending in .kiln, expressions, or @name for an op
    #[arg(
        value_name = "KERNEL",
        required_unless_present_any = ["suite", "sweep", "load"],
        conflicts_with_all = ["suite", "load"]
    )]
    kernels: Vec<String>,
    /// Measure these kernels instead, in a table for each suite
    #[arg(
        long,
        value_name = "SUITE",
        value_delimiter = ',',
        value_parser = suites(),
        conflicts_with = "shape"
    )]
    suite: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// Measure at each of these sizes: of axis n, or elements, n or rows of a suite's kernels.
    /// 64..2Ki is 64, 128 and so on to 2Ki
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = sizes)]
    sizes: Vec<Sizes>,
    /// Look for a size from 1 to 2^26 at which fused is slower than unfused, or two threads are
    /// slower than one: of each KERNEL, or of every derived op
    #[arg(
        long,
        conflicts_with_all = [
            "suite", "sizes", "shape", "threads", "load", "compare", "roofs", "plot", "json", "markdown"
        ]
    )]
    sweep: bool,
    /// Bind inputs to constants, as a model does its weights: products then read them as they were packed
    /// once. Without names, all inputs but the first
    #[arg(
        long,
        value_name = "INPUT",
        value_delimiter = ',',
        num_args = 0..,
        require_equals = true,
        conflicts_with_all = ["sweep", "load"]
    )]
    bind: Option<Vec<String>>,
    /// With --sweep, the largest number of elements
    #[arg(long, value_name = "SIZE", requires = "sweep", value_parser = size)]
    up_to: Option<usize>,
    /// Take less care, and a tenth of the time; --sweep goes up to 2^22
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    arrays: Arrays,
    #[command(flatten)]
    execution: Execution,
    /// Measure nothing: take the figures from a file that --json has written
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["suite", "sizes", "shape", "dtype", "mode", "emitter", "threads", "quick", "roofs"]
    )]
    load: Option<PathBuf>,
    /// Compare with the figures of a file that --json has written on this machine
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// With --compare, fail if a kernel takes more than so many times as long as before, and that is
    /// not within the spread
    #[arg(long, value_name = "RATIO", requires = "compare", value_parser = ratio)]
    fail_above: Option<f64>,
    /// Measure the roofs of this machine first, in some seconds, and say how near each kernel is to
    /// the one that binds it
    #[arg(long)]
    roofs: bool,
    /// Draw the figures over sizes, in a file ending in .svg or .png: times of fused and unfused, or
    /// FLOPs a second of the suites that have products
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print tables in Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print one JSON object for each kernel and size
    #[arg(long)]
    json: bool,
}

/// Reads `--suite`.
fn suites() -> impl TypedValueParser<Value = String> {
    let rows = SUITES.iter().map(|suite| PossibleValue::new(suite.name).help(suite.about));
    PossibleValuesParser::new(rows.chain([PossibleValue::new("all").help("all of these but axes")]))
}

/// Reads `--fail-above`.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| ratio.is_finite() && *ratio >= 1.0);
    ratio.ok_or_else(|| "write a ratio of at least 1, such as 1.05".into())
}

impl Bench {
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        if self.sweep {
            return sweep::sweep(self, console);
        }
        // Whatever can be wrong with the command is found before anything is measured.
        let plot = self.plot.as_deref().map(File::find).transpose()?;
        let old = self.compare.as_deref().map(record::read).transpose()?;
        let mut records = Vec::new();
        let mut take = |group: Vec<Record>, progress: Option<&Progress>| {
            let group = match &old {
                Some(old) => compare::compare(group, old, console)?,
                None => group,
            };
            let text = self.text(&group, records.is_empty());
            records.extend(group);
            match progress {
                Some(progress) => progress.pause(|| console.print(&text)),
                None => console.print(&text),
            }
        };
        match &self.load {
            Some(path) => {
                let loaded = record::read(path)?;
                if plot.is_some() {
                    plot::check(loaded.iter().map(|record| record.suite.as_deref()))?;
                }
                for group in loaded.chunk_by(|a, b| a.suite == b.suite) {
                    take(group.to_vec(), None)?;
                }
            }
            None => {
                let groups = self.groups(console)?;
                if plot.is_some() {
                    plot::check(groups.iter().map(|group| group.suite))?;
                }
                let steps = groups.iter().map(|group| group.cases.len() as u64).sum();
                let progress = Progress::of_steps(console, steps);
                let roofline = match self.roofs || (plot.is_some() && needs_peak(&groups)) {
                    true => {
                        progress.at("the roofs of this machine");
                        Some(Roofline::measure()?)
                    }
                    false => None,
                };
                for group in groups {
                    let measured = self.measure(&group, roofline, &progress)?;
                    take(measured, Some(&progress))?;
                }
            }
        }
        if self.load.is_none() {
            warn_of_noise(&records, console);
        }
        if let Some(plot) = plot {
            plot.write(&plot::picture(&records))?;
        }
        if old.is_some() {
            compare::conclude(&records, self.fail_above, console)?;
        }
        Ok(())
    }

    /// What is to be measured.
    fn groups(&self, console: &Console) -> Result<Vec<Group>, Failure> {
        let sizes: Vec<usize> = self.sizes.iter().flat_map(|sizes| sizes.0.clone()).collect();
        if self.suite.is_empty() {
            let mut group = Group::of_kernels(self, &sizes, console)?;
            group.bind(self.bind.as_deref());
            return all_bound(self.bind.as_deref(), vec![group]);
        }
        let all = self.suite.iter().any(|name| name == "all");
        let chosen = |suite: &&Suite| {
            (all && suite.is_short()) || self.suite.iter().any(|name| name == suite.name)
        };
        let group = |suite: &Suite| {
            let (is_plotted, dtype) = (self.plot.is_some(), self.arrays.dtype);
            let mut group = Group::of_suite(suite, &sizes, is_plotted, dtype, console)?;
            group.bind(self.bind.as_deref());
            Ok(group)
        };
        let groups = SUITES.iter().filter(chosen).map(group).collect::<Result<_, Failure>>()?;
        all_bound(self.bind.as_deref(), self.choice.of(groups)?)
    }

    /// Measures a group, case by case.
    fn measure(
        &self,
        group: &Group,
        roofline: Option<&Roofline>,
        progress: &Progress,
    ) -> Result<Vec<Record>, Failure> {
        let whole = if group.cases.len() == 1 { 2000 } else { 400 };
        let budget = Duration::from_millis(if self.quick { whole / 10 } else { whole });
        let is_sought = slowest::is_sought(group.suite);
        let measure = if is_sought { slowest::measure_again } else { measure::measure };
        let record = |case| {
            progress.at(group.title(case));
            let record = self
                .execution
                .in_pool(|| measure(group.suite, case, &self.execution, budget, roofline));
            progress.step();
            record
        };
        let mut records = group.cases.iter().map(record).collect::<Result<Vec<Record>, _>>()?;
        if is_sought {
            slowest::sort(&mut records);
        }
        Ok(records)
    }

    /// What is printed of a group.
    fn text(&self, group: &[Record], is_first: bool) -> String {
        if self.json {
            return group.iter().map(Record::json).collect();
        }
        let gap = if is_first { "" } else { "\n" };
        let is_compared = group.iter().any(|record| record.compared.is_some());
        match group {
            [record] if !is_compared && !self.markdown && record.suite.is_none() => {
                gap.to_string() + &detail::detail(record)
            }
            _ => gap.to_string() + &tables::section(group, is_compared, self.markdown),
        }
    }
}

/// These, if each name that `--bind` has is an input that some kernel binds.
fn all_bound(names: Option<&[String]>, groups: Vec<Group>) -> Result<Vec<Group>, Failure> {
    let cases = || groups.iter().flat_map(|group| &group.cases);
    let is_input = |name: &str| cases().any(|case| case.bound.iter().any(|bound| bound == name));
    match names.unwrap_or_default().iter().find(|name| !is_input(name)) {
        Some(name) => Err(Failure::Usage(format!("--bind: no kernel has an input {name}"))),
        None => Ok(groups),
    }
}

/// Whether the picture of these has the machine's peak.
fn needs_peak(groups: &[Group]) -> bool {
    let mut suites = groups.iter().filter_map(|group| group.suite).filter_map(Suite::find);
    suites.any(|suite| matches!(suite.shows, Shows::Flops | Shows::Products))
}

/// How many figures have a spread that is too large.
fn noisy(records: &[Record]) -> usize {
    let is_noisy = |record: &&Record| record.fused_spread.max(record.unfused_spread) >= NOISY;
    records.iter().filter(is_noisy).count()
}

/// Says so where the spread of many figures is too large for them to be worth reading.
fn warn_of_noise(records: &[Record], console: &Console) {
    let noisy = noisy(records);
    if noisy > 0 {
        console.note(&format!(
            "the machine is noisy: in {noisy} of {} figures half of the rounds spread over {:.0}% of the \
             median or more; measure again when nothing else runs",
            records.len(),
            100.0 * NOISY
        ));
    }
}
