//! The command line.

use crate::function::Function;
use crate::measure::{Measure, Settings};
use crate::products;
use crate::record::State;
use crate::report;
use crate::rows;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use kiln::{DType, Mode};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// Measure the error of Kiln's ops and derived ops
#[derive(Debug, Parser)]
#[command(name = "kiln-accuracy", arg_required_else_help = true)]
pub struct Cli {
    /// Measure everything, then write the report
    #[arg(long, conflicts_with_all = ["ops", "products", "rows"])]
    all: bool,
    /// Names of ops, derived ops and spellings
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    ops: Vec<String>,
    /// Measure products of matrices, printed
    #[arg(long)]
    products: bool,
    /// Measure softmax, norms and losses, printed
    #[arg(long, conflicts_with = "products")]
    rows: bool,
    /// Only this element type: f32 or f64
    #[arg(long, value_parser = dtype)]
    dtype: Option<DType>,
    /// Of all f32, one block of 2048 in so many; a report needs 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// Random points of a sweep of one operand in f64; sweeps of more take twice as many
    #[arg(long, default_value_t = 8_000_000)]
    random: u64,
    /// Random points of a composite in f64, each of which takes 200 bits
    #[arg(long, default_value_t = 60_000)]
    composite: u64,
    /// Measure no throughput
    #[arg(long)]
    no_speed: bool,
    /// Measure the throughput only, again, and write the report from that and what is kept
    #[arg(long, conflicts_with = "no_speed")]
    speed_only: bool,
    /// Where measurements are kept
    #[arg(long, default_value = "target/accuracy.json")]
    state: PathBuf,
    /// Measure again what is kept
    #[arg(long)]
    fresh: bool,
    /// Where to write the report
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn dtype(name: &str) -> Result<DType, String> {
    match name {
        "f32" => Ok(DType::F32),
        "f64" => Ok(DType::F64),
        _ => Err("choose f32 or f64".into()),
    }
}

impl Cli {
    fn functions(&self) -> Result<Vec<Function>, String> {
        let all = Function::all();
        if self.all || self.speed_only && self.ops.is_empty() {
            return Ok(all);
        }
        let find = |name: &String| {
            let found = all.iter().find(|function| function.name() == name);
            found.copied().ok_or_else(|| format!("nothing to measure is named `{name}`"))
        };
        self.ops.iter().map(find).collect()
    }

    /// Prints what is measured, names what is not as its row says.
    fn measure_errors(
        &self,
        functions: &[Function],
        settings: Settings,
        state: &mut State,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let dtypes = self.dtype.map_or(vec![DType::F32, DType::F64], |dtype| vec![dtype]);
        let jobs = dtypes.iter().flat_map(|&dtype| functions.iter().map(move |f| (f, dtype)));
        let jobs: Vec<(&Function, DType)> = jobs.collect();
        let mut broken = Vec::new();
        for (index, (function, dtype)) in jobs.iter().enumerate() {
            let bar = ProgressBar::new(1).with_style(ProgressStyle::with_template(
                "{prefix} {bar:32} {percent:>3} % of {human_len}, {eta} to go  {msg}",
            )?);
            bar.set_prefix(format!("{:>3}/{} {dtype} {}", index + 1, jobs.len(), function.name()));
            let measure = Measure { function, dtype: *dtype, modes: &Mode::ALL, settings };
            let start = Instant::now();
            measure.run(state, &self.state, &bar)?;
            bar.finish_and_clear();
            let record = &state.records[&State::key(function.name(), *dtype)];
            print!("{}", report::lines(function, *dtype, record, start.elapsed()));
            if report::breaks_contract(function, *dtype, record) {
                broken.push(format!("{dtype} {}", function.name()));
            }
        }
        Ok(broken)
    }

    /// Keeps and prints throughputs, unless the machine is busy.
    fn measure_speed(
        &self,
        functions: &[Function],
        settings: Settings,
        state: &mut State,
    ) -> Result<(), Box<dyn Error>> {
        let mut busy: Vec<String> = Vec::new();
        let bar = ProgressBar::new(functions.len() as u64);
        for function in functions {
            let measure = Measure { function, dtype: DType::F32, modes: &Mode::ALL, settings };
            let again = self.speed_only || self.fresh;
            if let Some(share) = measure.run_speed(state, &self.state, again)? {
                busy.push(format!("{} ({:.0} %)", function.name(), share * 100.0));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        if !busy.is_empty() {
            println!(
                "other processes used the machine (so much of a processor): no throughput is kept of \
                 {}; try --speed-only when it is quiet",
                busy.join(", ")
            );
        }
        Ok(())
    }

    /// Measures, prints, and writes the report.
    ///
    /// Fails where files cannot be read or written, or an op breaks its contract.
    pub fn execute(&self) -> Result<(), Box<dyn Error>> {
        if self.products {
            print!("{}", products::section()?);
            return Ok(());
        }
        if self.rows {
            print!("{}", rows::section()?);
            return Ok(());
        }
        let mut state = State::load(&self.state)?;
        state.machine = machine();
        let settings = Settings {
            stride: self.stride,
            random: self.random,
            composite: self.composite,
            fresh: self.fresh,
        };
        let functions = self.functions()?;
        if !self.no_speed && self.dtype != Some(DType::F64) {
            // First, while nothing else runs.
            self.measure_speed(&functions, settings, &mut state)?;
        }
        let mut broken = Vec::new();
        if !self.speed_only {
            broken = self.measure_errors(&functions, settings, &mut state)?;
        }
        let report = self.report.clone().or(self.all.then(|| PathBuf::from("ACCURACY.md")));
        if let Some(path) = report {
            std::fs::write(&path, report::document(&state)?)?;
            println!("wrote {}", path.display());
        }
        match broken.is_empty() {
            true => Ok(()),
            false => Err(format!("not as the op table says: {}", broken.join(", ")).into()),
        }
    }
}

/// The processor's name, as far as the system tells it.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    format!("{}, {} threads", name.unwrap_or(std::env::consts::ARCH), rayon::current_num_threads())
}
