//! `kiln-accuracy`: how wrong every op and composite of Kiln is, at worst.
//!
//! ```text
//! cargo run --release -p kiln-accuracy -- --all                 all of it, then ACCURACY.md
//! cargo run --release -p kiln-accuracy -- --ops exp,gelu        some, printed
//! cargo run --release -p kiln-accuracy -- --ops exp --stride 64 a sample of all f32
//! ```
//!
//! Functions of one `f32` are tried on all 2^32 inputs ([`exhaustive`]), the others on dense and
//! random samples ([`sweep`]); an error is what [`ulp`] says. What was measured is kept in a state
//! file, range by range: a run that is broken off goes on where it was, and a function whose code
//! did not change is not measured again.

mod big;
mod exhaustive;
mod formulas;
mod function;
mod measure;
mod points;
mod program;
mod published;
mod real;
mod record;
mod report;
mod scan;
mod speed;
mod sweep;
mod ulp;

use clap::Parser;
use function::Function;
use indicatif::{ProgressBar, ProgressStyle};
use kiln::{DType, Mode};
use measure::{Measure, Settings};
use record::State;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure the error of Kiln's ops and derived ops
#[derive(Parser)]
#[command(name = "kiln-accuracy", arg_required_else_help = true)]
struct Cli {
    /// Measure everything, then write the report
    #[arg(long, conflicts_with = "ops")]
    all: bool,
    /// Names of ops, derived ops and spellings
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    ops: Vec<String>,
    /// Only this element type: f32 or f64
    #[arg(long, value_parser = dtype)]
    dtype: Option<DType>,
    /// Of all f32, one block of 2048 in so many; a report needs 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// Random points of a sweep of one operand in f64; sweeps of more take twice as many
    #[arg(long, default_value_t = 4_000_000)]
    random: u64,
    /// Random points of a composite in f64, each of which takes 200 bits
    #[arg(long, default_value_t = 60_000)]
    composite: u64,
    /// Measure no throughput (it wants a quiet machine)
    #[arg(long)]
    no_speed: bool,
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
        if self.all {
            return Ok(all);
        }
        let find = |name: &String| {
            let found = all.iter().find(|function| function.name() == name);
            found.copied().ok_or_else(|| format!("nothing to measure is named `{name}`"))
        };
        self.ops.iter().map(find).collect()
    }

    fn execute(&self) -> Result<(), Box<dyn Error>> {
        let mut state = State::load(&self.state)?;
        state.machine = machine();
        let settings = Settings {
            stride: self.stride,
            random: self.random,
            composite: self.composite,
            speed: !self.no_speed,
            fresh: self.fresh,
        };
        let dtypes = self.dtype.map_or(vec![DType::F32, DType::F64], |dtype| vec![dtype]);
        let functions = self.functions()?;
        let jobs = dtypes.iter().flat_map(|&dtype| functions.iter().map(move |f| (f, dtype)));
        let jobs: Vec<(&Function, DType)> = jobs.collect();
        for (index, (function, dtype)) in jobs.iter().enumerate() {
            let bar = ProgressBar::new(1).with_style(ProgressStyle::with_template(
                "{prefix} {bar:32} {percent:>3} % of {human_len}, {eta} to go  {msg}",
            )?);
            bar.set_prefix(format!("{:>3}/{} {dtype} {}", index + 1, jobs.len(), function.name()));
            let measure = Measure { function, dtype: *dtype, modes: &Mode::ALL, settings };
            measure.run(&mut state, &self.state, &bar)?;
            bar.finish_and_clear();
            let record = &state.records[&State::key(function.name(), *dtype)];
            print!("{}", report::lines(function, *dtype, record));
        }
        let report = self.report.clone().or(self.all.then(|| PathBuf::from("ACCURACY.md")));
        if let Some(path) = report {
            std::fs::write(&path, report::document(&state)?)?;
            println!("wrote {}", path.display());
        }
        Ok(())
    }
}

/// The processor's name, as far as the system tells it.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    format!("{}, {} threads", name.unwrap_or(std::env::consts::ARCH), rayon::current_num_threads())
}

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
